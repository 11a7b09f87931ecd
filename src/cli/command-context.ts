/**
 * What every command stands on: where the folders are, what the configuration says, the database, the output.
 *
 * Enters: global options and environment. Leaves: settings, a connection pool, results on standard output.
 * Invariant: nothing is read or connected before a command asks for it, and everything opened is closed once at the end.
 */
import { access } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { Pool } from 'pg';
import type { Config } from '../config/config.js';
import type { ServerFile } from '../config/server-schema.js';
import type { LineRule } from '../domain/line-rule.js';
import { openCommandDatabase } from './command-database.js';
import type { CommandDatabase } from './command-database.js';
import { remark, terminalColumns, toJson, writeLine } from './command-io.js';
import type { CommandIo } from './command-io.js';

/** The values of the options that every command has. */
export interface GlobalOptions {
  readonly conf?: string;
  readonly data?: string;
  readonly json?: boolean;
}

/** The checkout (or installation): `src/cli` and `build/cli` are both two folders below it. */
export const checkoutDirectory = fileURLToPath(new URL('../..', import.meta.url));

/** What a running server offers to the command that started it. */
export interface RunningServer {
  /** Drains and stops; resolves when everything acknowledged is safe. */
  stop(): Promise<void>;
  /** Reads the configuration again; a wrong one is refused and logged, and the old one stays. */
  reload(): Promise<unknown>;
  /** Resolves when going on would be wrong; the command then stops the server and fails with it. */
  readonly failed: Promise<Error>;
}

/** Starts the server; the process passes it in, because commands do not import the application. */
export type StartServer = (options: { confDir: string; dataDir: string }) => Promise<RunningServer>;

/** Shared by the commands of one invocation. */
export class CommandContext {
  private options: GlobalOptions = {};
  private settingsRead: Promise<ServerFile> | undefined;
  private configRead: Promise<Config> | undefined;
  private databaseOpened: Promise<CommandDatabase> | undefined;

  constructor(
    readonly io: CommandIo,
    readonly startServer?: StartServer,
  ) {}

  /** Takes the global options, once they are parsed. */
  useOptions(options: GlobalOptions): void {
    this.options = options;
  }

  /** Whether results are for programs. */
  get json(): boolean {
    return this.options.json === true;
  }

  /** `--conf`, `SLUICE_CONF`, or `conf/` of the checkout. */
  get confDir(): string {
    return resolve(
      this.options.conf ?? nonEmpty(this.io.environment['SLUICE_CONF']) ?? join(checkoutDirectory, 'conf'),
    );
  }

  /** `--data`, `SLUICE_DATA`, or `data/` of the checkout. */
  get dataDir(): string {
    return resolve(
      this.options.data ?? nonEmpty(this.io.environment['SLUICE_DATA']) ?? join(checkoutDirectory, 'data'),
    );
  }

  /** Profiles that come with the program. */
  get bundledProfilesDir(): string {
    return join(checkoutDirectory, 'conf', 'profiles');
  }

  /** Who changes things, for `subscriber_event.changed_by`. */
  get actor(): string {
    return `cli/${this.io.userName}`;
  }

  /**
   * `sluice.toml` alone. Commands that only need the database work although a NAS file is broken, or its secret is for the
   * eyes of the server only.
   *
   * @throws ConfigError, ProblemList
   */
  settings(): Promise<ServerFile> {
    this.settingsRead ??= (async () => {
      await this.refuseMissingConf();
      const { readServerSettings } = await import('./command-settings.js');
      return await readServerSettings(this.confDir);
    })();
    return this.settingsRead;
  }

  /**
   * `lines.toml` alone.
   *
   * @throws ConfigError
   */
  async lineRules(): Promise<readonly LineRule[]> {
    await this.refuseMissingConf();
    const { readLineRules } = await import('./command-settings.js');
    return await readLineRules(this.confDir);
  }

  /**
   * The whole configuration; secrets that are missing below the data folder are made.
   *
   * @throws ConfigError with every problem of every file
   */
  config(): Promise<Config> {
    this.configRead ??= (async () => {
      await this.refuseMissingConf();
      const { readWholeConfig } = await import('./command-settings.js');
      return await readWholeConfig(this);
    })();
    return this.configRead;
  }

  /** The configured time zone. */
  async timeZone(): Promise<string> {
    return (await this.settings()).server.time_zone;
  }

  /** A pool on the database, which has the schema. Starts the embedded server when it does not run. */
  async pool(): Promise<Pool> {
    this.databaseOpened ??= openCommandDatabase(this);
    return (await this.databaseOpened).pool;
  }

  /** The URL of that database. Holds the password: not for logs, output or arguments. */
  async databaseUrl(): Promise<string> {
    this.databaseOpened ??= openCommandDatabase(this);
    return (await this.databaseOpened).url;
  }

  /** Width to draw tables for. */
  get columns(): number {
    return terminalColumns(this.io);
  }

  /** Writes text for people, which must be printable already (tables are). */
  async print(text: string): Promise<void> {
    await writeLine(this.io, text);
  }

  /** Writes a value as JSON. */
  async printJson(value: unknown): Promise<void> {
    await writeLine(this.io, toJson(value));
  }

  /** A remark on standard error. */
  remark(text: string): void {
    remark(this.io, text);
  }

  /** Closes what was opened. Safe to call when nothing was. */
  async close(): Promise<void> {
    const opened = this.databaseOpened;
    this.databaseOpened = undefined;
    if (opened === undefined) return;
    const database = await opened.catch(() => undefined);
    await database?.close();
  }

  // A folder that was named and is not there is a typing error; the default one may be absent.
  private async refuseMissingConf(): Promise<void> {
    if (this.options.conf === undefined && nonEmpty(this.io.environment['SLUICE_CONF']) === undefined) return;
    try {
      await access(this.confDir);
    } catch {
      const { CommandError } = await import('./command-error.js');
      throw new CommandError(`there is no conf folder ${this.confDir}`, 'correct --conf (or SLUICE_CONF)');
    }
  }
}

function nonEmpty(text: string | undefined): string | undefined {
  return text === '' ? undefined : text;
}
