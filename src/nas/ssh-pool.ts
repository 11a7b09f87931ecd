/**
 * The SSH connections to one NAS. Enters: work that needs a console. Leaves: the same work with a console, or why there is none. Invariants: never more
 * connections than configured; one user at a time for each; a connection that broke is opened again by the next work, and by nothing else.
 */
import type { SshConnection, SshFailure, SshOpened } from './ssh-connection.js';
import type { SshConsole } from './ssh-console.js';

/** A console and how to break it off. */
export interface PooledConsole {
  readonly console: SshConsole;
  /** Ends its connection; what runs on it ends as broken. */
  breakOff(): void;
}

interface Slot {
  connection: SshConnection | undefined;
  console: SshConsole | undefined;
}

/** A fixed number of connections, opened when they are needed. */
export class SshPool {
  readonly #open: () => Promise<SshOpened>;
  readonly #consoleOn: (connection: SshConnection) => SshConsole;
  readonly #free: Slot[];
  readonly #all: readonly Slot[];
  readonly #waiting: ((slot: Slot) => void)[] = [];
  #isStopped = false;

  constructor(size: number, open: () => Promise<SshOpened>, consoleOn: (connection: SshConnection) => SshConsole) {
    this.#open = open;
    this.#consoleOn = consoleOn;
    this.#all = Array.from({ length: size }, (): Slot => ({ connection: undefined, console: undefined }));
    this.#free = [...this.#all];
  }

  get size(): number {
    return this.#all.length;
  }

  /** Hands a console to some work when one is free. @returns what the work returned, or why there is no connection */
  async use<Result>(
    work: (pooled: PooledConsole) => Promise<Result>,
  ): Promise<{ readonly ok: true; readonly result: Result } | { readonly ok: false; readonly failure: SshFailure }> {
    const slot = this.#free.pop() ?? (await new Promise<Slot>((resolve) => this.#waiting.push(resolve)));
    try {
      const failure = await this.#connect(slot);
      const { connection, console } = slot;
      if (failure !== undefined || connection === undefined || console === undefined) {
        return { ok: false, failure: failure ?? stopped };
      }
      return { ok: true, result: await work({ console, breakOff: () => connection.end() }) };
    } finally {
      const next = this.#waiting.shift();
      if (next === undefined) this.#free.push(slot);
      else next(slot);
    }
  }

  /** Ends all connections; nothing is opened afterwards. */
  stop(): void {
    this.#isStopped = true;
    for (const { connection } of this.#all) connection?.end();
  }

  async #connect(slot: Slot): Promise<SshFailure | undefined> {
    if (this.#isStopped) return stopped;
    if (slot.connection?.isOpen === true) return undefined;
    slot.connection = undefined;
    slot.console = undefined;
    const opened = await this.#open();
    if (!opened.ok) return opened.failure;
    if (this.#isStopped) {
      opened.connection.end();
      return stopped;
    }
    slot.connection = opened.connection;
    slot.console = this.#consoleOn(opened.connection);
    return undefined;
  }
}

const stopped: SshFailure = { reason: 'network', text: 'this server is stopping', offered: undefined };
