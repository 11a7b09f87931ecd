/**
 * A command line for tests: the real commands, in this process, on a database of their own.
 *
 * Enters: arguments. Leaves: exit code and what was written. Invariant: no terminal, clock or environment but the given ones.
 */
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { PassThrough, Readable } from 'node:stream';
import type { Test } from 'tap';
import type { CommandInput, CommandIo, CommandOutput } from '../../src/cli/command-io.js';
import { runCommand } from '../../src/cli/program.js';
import { freshDatabase } from '../support/database.js';
import type { FreshDatabase } from '../support/database.js';

/** What a command left behind. */
export interface CommandResult {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
  /** Standard output as JSON. */
  json<Value = Record<string, unknown>>(): Value;
}

/** What differs from a pipe without input. */
export interface CommandSurroundings {
  readonly stdin?: string | CommandInput;
  readonly columns?: number;
  readonly nowMs?: () => number;
  readonly environment?: Record<string, string>;
}

/** Collects what is written. */
export class CollectingOutput extends PassThrough implements CommandOutput {
  readonly columns: number | undefined;
  private readonly chunks: Buffer[] = [];

  constructor(columns: number | undefined) {
    super();
    this.columns = columns;
    this.on('data', (chunk: Buffer) => this.chunks.push(chunk));
  }

  get text(): string {
    return Buffer.concat(this.chunks).toString('utf8');
  }
}

/** A terminal on which somebody types. */
export class TypingInput extends PassThrough implements CommandInput {
  readonly isTTY = true;
  readonly rawModes: boolean[] = [];

  setRawMode(raw: boolean): this {
    this.rawModes.push(raw);
    return this;
  }
}

/** Runs one command with everything given. */
export async function runIn(argv: readonly string[], surroundings: CommandSurroundings = {}): Promise<CommandResult> {
  const stdout = new CollectingOutput(surroundings.columns);
  const stderr = new CollectingOutput(undefined);
  const { stdin = '' } = surroundings;
  const io: CommandIo = {
    stdin: typeof stdin === 'string' ? Readable.from(stdin === '' ? [] : [Buffer.from(stdin)]) : stdin,
    stdout,
    stderr,
    environment: surroundings.environment ?? {},
    nowMs: surroundings.nowMs ?? (() => Date.now()),
    userName: 'tester',
  };
  const code = await runCommand(argv, io);
  return {
    code,
    stdout: stdout.text,
    stderr: stderr.text,
    json: <Value>() => JSON.parse(stdout.text) as Value,
  };
}

/** A conf and a data folder, a database, and commands that use them. */
export interface CommandHouse {
  readonly database: FreshDatabase;
  readonly confDir: string;
  readonly dataDir: string;
  /** A file in a folder that is removed at the end. */
  file(name: string, content: string | Buffer): Promise<string>;
  /** Runs a command. */
  run(argv: readonly string[], surroundings?: CommandSurroundings): Promise<CommandResult>;
  /** Runs a command that has to succeed. */
  done(argv: readonly string[], surroundings?: CommandSurroundings): Promise<CommandResult>;
}

/** The time zone of the test configuration: three hours ahead of UTC, without daylight saving. */
export const testTimeZone = 'Europe/Moscow';

/** Makes a house on a fresh database. */
export async function commandHouse(
  t: Test,
  options: { migrated?: boolean; timeZone?: string } = {},
): Promise<CommandHouse> {
  const database = await freshDatabase(t, options.migrated === false ? { migrated: false } : {});
  const folder = await mkdtemp(join(tmpdir(), 'sluice-cli-'));
  t.teardown(() => rm(folder, { recursive: true, force: true }));
  const file = async (name: string, content: string | Buffer) => {
    const path = join(folder, name);
    await writeFile(path, content);
    return path;
  };
  const zone = options.timeZone ?? testTimeZone;
  await file('sluice.toml', `[server]\ntime_zone = "${zone}"\n[database]\nurl = "${database.url}"\n`);
  const dataDir = join(folder, 'data');
  const run = (argv: readonly string[], surroundings?: CommandSurroundings) =>
    runIn(['--conf', folder, '--data', dataDir, ...argv], surroundings);
  return {
    database,
    confDir: folder,
    dataDir,
    file,
    run,
    done: async (argv, surroundings) => {
      const result = await run(argv, surroundings);
      if (result.code !== 0) throw new Error(`${argv.join(' ')} ended in ${String(result.code)}: ${result.stderr}`);
      return result;
    },
  };
}
