/**
 * What processes cost. Enters: process ids. Leaves: processor time and memory. Invariant: children count, those that have ended and were
 * waited for included.
 */
import { execFile } from 'node:child_process';
import { readdir, readFile } from 'node:fs/promises';
import { promisify } from 'node:util';

/** USER_HZ of every Linux on the architectures that Node runs on: /proc counts in hundredths of a second. */
const TICKS_PER_SECOND = 100;

interface Stat {
  readonly parent: number;
  readonly ticks: number;
  readonly reapedTicks: number;
}

async function statOf(pid: number): Promise<Stat | undefined> {
  const text = await readFile(`/proc/${String(pid)}/stat`, 'utf8').catch(() => undefined);
  if (text === undefined) return undefined;
  // The name stands in parentheses and may hold anything, blanks included.
  const fields = text.slice(text.lastIndexOf(')') + 2).split(' ');
  const number = (index: number): number => Number(fields[index]);
  return { parent: number(1), ticks: number(11) + number(12), reapedTicks: number(13) + number(14) };
}

/** A process and all its descendants. */
async function family(root: number): Promise<Map<number, Stat>> {
  const all = new Map<number, Stat>();
  for (const name of await readdir('/proc')) {
    const stat = /^\d+$/.test(name) ? await statOf(Number(name)) : undefined;
    if (stat !== undefined) all.set(Number(name), stat);
  }
  const found = new Map<number, Stat>();
  const visit = (pid: number): void => {
    const stat = all.get(pid);
    if (stat === undefined || found.has(pid)) return;
    found.set(pid, stat);
    for (const [child, { parent }] of all) if (parent === pid) visit(child);
  };
  visit(root);
  return found;
}

/** Processor time of a process and its descendants so far, seconds. */
export async function cpuSeconds(root: number): Promise<number> {
  let ticks = 0;
  for (const stat of (await family(root)).values()) ticks += stat.ticks + stat.reapedTicks;
  return ticks / TICKS_PER_SECOND;
}

/** Resident memory of one process, octets. */
export async function residentOctets(pid: number): Promise<number> {
  const status = await readFile(`/proc/${String(pid)}/status`, 'utf8').catch(() => '');
  return Number(/^VmRSS:\s+(\d+) kB/m.exec(status)?.[1] ?? 0) * 1024;
}

/** Binds a process, its descendants and all their threads to processors: `0`, or `0-1` to let them go. */
export async function bindToProcessors(root: number, processors: string): Promise<void> {
  for (const pid of (await family(root)).keys())
    // One that has ended meanwhile needs no binding.
    await promisify(execFile)('taskset', ['-a', '-c', '-p', processors, String(pid)]).catch(() => undefined);
}
