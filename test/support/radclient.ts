/**
 * FreeRADIUS' radclient, an independent NAS. Enters: attributes as it reads them. Leaves: the reply as it prints it. Invariant: it is only run with a
 * secret in a file and on loopback; without the program the tests that need it skip themselves.
 */
import { execFile, spawn } from 'node:child_process';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import type { Test } from 'tap';

/** False, or why tests have to be skipped. */
export async function withoutRadclient(): Promise<string | false> {
  return await promisify(execFile)('radclient', ['-v']).then(
    () => false as const,
    () => 'radclient is not installed (Debian: freeradius-utils)',
  );
}

export interface RadclientReply {
  /** `Access-Accept`, …; undefined when nothing came. */
  readonly code: string | undefined;
  /** By name, as printed: quotes taken off. */
  readonly attributes: ReadonlyMap<string, string>;
  readonly tookMs: number;
  /** Everything that it printed. */
  readonly text: string;
}

export type RadclientCommand = 'auth' | 'acct' | 'status' | 'auto' | 'coa' | 'disconnect';

/** Asks servers with one secret. */
export class Radclient {
  private constructor(private readonly secretFile: string) {}

  static async create(t: Pick<Test, 'teardown'>, secret: string): Promise<Radclient> {
    const folder = await mkdtemp(join(tmpdir(), 'sluice-radclient-'));
    t.teardown(() => rm(folder, { recursive: true, force: true }));
    const secretFile = join(folder, 'secret');
    await writeFile(secretFile, `${secret}\n`, { mode: 0o600 });
    return new Radclient(secretFile);
  }

  /** @param timeoutMs of the only attempt */
  async ask(
    port: number,
    command: RadclientCommand,
    attributes: readonly string[],
    timeoutMs = 5000,
  ): Promise<RadclientReply> {
    const options = ['-x', '-r', '1', '-t', String(timeoutMs / 1000), '-S', this.secretFile];
    const child = spawn('radclient', [...options, `127.0.0.1:${String(port)}`, command], {
      stdio: ['pipe', 'pipe', 'pipe'],
    });
    const beganAt = performance.now();
    let text = '';
    child.stdout.on('data', (chunk) => (text += String(chunk)));
    child.stderr.on('data', (chunk) => (text += String(chunk)));
    const ended = new Promise<void>((settle) => child.once('close', () => settle()));
    child.stdin.end(`${attributes.join('\n')}\n`);
    await ended;
    const tookMs = performance.now() - beganAt;
    const received = /^Received (\S+)[^\n]*\n((?:\t[^\n]*\n?)*)/m.exec(text);
    const lines = (received?.[2] ?? '').split('\n').map((line) => /^\t(\S+) = "?(.*?)"?$/.exec(line));
    const pairs = lines.flatMap((match) => (match === null ? [] : [[match[1]!, match[2]!] as const]));
    return { code: received?.[1], attributes: new Map(pairs), tookMs, text };
  }
}
