/**
 * Where a bench ran. Enters: nothing. Leaves: machine, kernel, versions. Invariant: nothing that names a person or a host.
 */
import { execFile } from 'node:child_process';
import { readFile } from 'node:fs/promises';
import { cpus, release, totalmem } from 'node:os';
import { promisify } from 'node:util';

/** The processor and memory of this machine in a few words. */
export function machine(): string {
  const all = cpus();
  return `${String(all.length)} × ${all[0]?.model ?? 'unknown processor'}, ${String(Math.round(totalmem() / 2 ** 30))} GB`;
}

/** The kernel. */
export function kernel(): string {
  return `Linux ${release()}`;
}

/** Sluice, Node.js, FreeRADIUS when it is there, PostgreSQL. */
export async function versions(postgres: string, withFreeradius: boolean): Promise<string[]> {
  const own = JSON.parse(await readFile(new URL('../../package.json', import.meta.url), 'utf8')) as { version: string };
  const list = [`Sluice ${own.version}`, `Node.js ${process.versions.node}`, `PostgreSQL ${postgres}`];
  if (withFreeradius) {
    const { stdout } = await promisify(execFile)('freeradius', ['-v']);
    list.push(`FreeRADIUS ${/Version ([\d.]+)/.exec(stdout)?.[1] ?? 'of unknown version'}`);
  }
  return list;
}
