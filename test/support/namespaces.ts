/**
 * Network namespaces of a test. Enters: commands. Leaves: what they print. Invariant: whatever was made is gone when the test ends, processes first.
 */
import { execFile, spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { promisify } from 'node:util';
import type { Test } from 'tap';

const execute = promisify(execFile);

export interface Namespace {
  readonly name: string;
  /** Runs a command and returns its output. @throws when it fails */
  run(...command: readonly string[]): Promise<string>;
  /** Runs a script of the shell. */
  sh(script: string): Promise<string>;
  /** Whether a command succeeds. */
  succeeds(...command: readonly string[]): Promise<boolean>;
  /** Starts a process that is ended with the test. */
  start(...command: readonly string[]): ChildProcess;
}

/** Runs a command outside of any namespace. */
export async function run(...[command, ...args]: readonly [string, ...string[]]): Promise<string> {
  return (await execute(command, args, { maxBuffer: 1 << 26 })).stdout;
}

/** Whether namespaces can be made here. */
export async function canMakeNamespaces(): Promise<boolean> {
  const name = `sluice-probe-${process.pid}`;
  try {
    await run('ip', 'netns', 'add', name);
    await run('ip', 'netns', 'delete', name);
    return true;
  } catch {
    return false;
  }
}

/** Makes a namespace with its loopback up. */
export async function makeNamespace(t: Test, suffix: string): Promise<Namespace> {
  const name = `sluice-${process.pid}-${suffix}`;
  await run('ip', 'netns', 'add', name);
  const children: ChildProcess[] = [];
  t.teardown(async () => {
    for (const child of children) {
      if (child.exitCode !== null || child.signalCode !== null) continue;
      const ended = once(child, 'exit');
      child.kill('SIGKILL');
      await ended;
    }
    // What a daemon left behind in the namespace would keep it alive.
    const left = (await run('ip', 'netns', 'pids', name)).split('\n').filter((pid) => pid !== '');
    for (const pid of left) process.kill(Number(pid), 'SIGKILL');
    await run('ip', 'netns', 'delete', name);
  });
  const inside = (command: readonly string[]): readonly [string, ...string[]] => [
    'ip',
    'netns',
    'exec',
    name,
    ...command,
  ];
  const namespace: Namespace = {
    name,
    run: (...command) => run(...inside(command)),
    sh: (script) => run(...inside(['sh', '-ec', script])),
    async succeeds(...command) {
      try {
        await run(...inside(command));
        return true;
      } catch {
        return false;
      }
    },
    start(...command) {
      const [program, ...args] = inside(command);
      const child = spawn(program, args, { stdio: ['pipe', 'pipe', 'inherit'] });
      children.push(child);
      return child;
    },
  };
  await namespace.run('ip', 'link', 'set', 'lo', 'up');
  return namespace;
}
