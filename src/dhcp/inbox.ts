/**
 * The inbox of the lease hooks. Enters: files in a folder. Leaves: their lease events to a sink, oldest first. Invariants: a file is deleted once all its
 * events are durable, so nothing is lost while the server is away, and after a crash it is taken again; what cannot be understood is put aside and
 * counted with its reason; the folder may come, go and be replaced at any time; what is read and not yet durable is bounded.
 *
 * The kernel tells of new files at once; that the folder is looked at regularly makes it certain.
 */
import { watch } from 'node:fs';
import type { FSWatcher } from 'node:fs';
import type { LeaseEvent, LeaseSink } from '../domain/lease-event.js';
import { maxHookFileOctets, readHookFile } from './hook-file.js';
import type { HookReading } from './hook-file.js';
import { fileLanes, InboxFolder } from './inbox-folder.js';
import type { WaitingFile } from './inbox-folder.js';
import type { IntakeClock } from './intake-clock.js';
import type { IntakeFault, IntakeLedger } from './intake-ledger.js';
import { inLanes } from './lanes.js';

/** `later`: it could not be stored and has to be said again. `refused`: whoever stores it will never have it. */
export type InboxOutcome = 'durable' | 'later' | 'refused';

/** Who takes the events of files. */
export interface InboxSink {
  take(event: LeaseEvent, answered: (outcome: InboxOutcome) => void): void;
}

/** A sink of lease events as one for an inbox. */
export function inboxSinkOf(sink: LeaseSink): InboxSink {
  return {
    take: (event, answered) => sink.take(event, (durable) => answered(durable ? 'durable' : 'later')),
  };
}

export interface InboxOptions {
  readonly folder: string;
  /** Name of the source, from the configuration. */
  readonly source: string;
  readonly sink: InboxSink;
  readonly ledger: IntakeLedger;
  readonly clock: IntakeClock;
  /** The folder cannot be looked at; told once until it can again. */
  readonly onError: (error: unknown) => void;
}

export interface InboxStatus {
  /** `open`: everybody on this host may write there, so nothing is taken. */
  readonly folder: 'unknown' | 'absent' | 'open' | 'there';
  /** Files found by the last look that are still there. */
  readonly waitingFiles: number;
}

/** How often the folder is looked at when nothing is told, ms. */
const pollMs = 1_000;
/** Files that are read, handed on and deleted together; two such groups are in hand at most. */
const filesOfGroup = 256;
/** First and longest pause after something could not be stored, ms; each is twice the one before. */
const firstPauseMs = 250;
const longestPauseMs = 30_000;
/** A file that could not be read or deleted, and files that were never finished, are tried again after this, ms. */
const retryFileMs = 60_000;
/** Such files remembered. When there are more, something is wrong with the folder, and no more are taken. */
const maxStuckFiles = 10_000;

interface ReadFile {
  readonly file: WaitingFile;
  readonly reading: HookReading | { readonly ok: false; readonly fault: 'foreign-file' | 'too-long' };
}

export class Inbox {
  readonly #options: InboxOptions;
  readonly #folder: InboxFolder;
  readonly #buffers: Buffer[] = [];
  /** Taken and not deleted, and when to try again. */
  readonly #undeletable = new Map<string, number>();
  readonly #unreadable = new Map<string, number>();
  #state: InboxStatus['folder'] = 'unknown';
  #waitingFiles = 0;
  #watcher: { readonly handle: FSWatcher; readonly identity: string } | undefined;
  #callOffTimer = (): void => undefined;
  #running: Promise<void> | undefined;
  #again = false;
  #stopped = true;
  #failing = false;
  #pauseMs = 0;
  #cleanAtMs = 0;

  constructor(options: InboxOptions) {
    this.#options = options;
    this.#folder = new InboxFolder(options.folder);
  }

  get status(): InboxStatus {
    return { folder: this.#state, waitingFiles: this.#waitingFiles };
  }

  start(): void {
    this.#stopped = false;
    this.#wake();
  }

  /** Takes no more files; resolves when those in hand are deleted or left where they are. */
  async stop(): Promise<void> {
    this.#stopped = true;
    this.#callOffTimer();
    this.#unwatch();
    await this.#running;
  }

  #wake(): void {
    if (this.#stopped) return;
    if (this.#running !== undefined) {
      this.#again = true;
      return;
    }
    this.#callOffTimer();
    this.#running = this.#pass()
      .then(
        () => {
          this.#failing = false;
        },
        (error: unknown) => {
          this.#options.ledger.fault('inbox', 'error', this.#options.source);
          if (!this.#failing) this.#options.onError(error);
          this.#failing = true;
          this.#hesitate();
        },
      )
      .finally(() => {
        this.#running = undefined;
        this.#schedule();
      });
  }

  #schedule(): void {
    if (this.#stopped) return;
    const again = this.#again && this.#pauseMs === 0;
    this.#again = false;
    if (again) this.#wake();
    else this.#callOffTimer = this.#options.clock.startTimer(this.#pauseMs || pollMs, () => this.#wake());
  }

  /** Looks once, and takes what is there. */
  async #pass(): Promise<void> {
    const { ledger, source, clock } = this.#options;
    const look = await this.#folder.look((name) => this.#isStuck(name));
    this.#state = look.state;
    if (look.state !== 'there') {
      this.#unwatch();
      this.#waitingFiles = 0;
      this.#pauseMs = 0;
      if (look.state === 'open') ledger.fault('inbox', 'open-folder', source);
      return;
    }
    // What is written between the look and the beginning of the watch is found by the next look.
    if (this.#watch(look.identity)) this.#again = true;
    this.#waitingFiles = look.files.length;
    if (clock.nowMs() >= this.#cleanAtMs) await this.#mend(look.unfinished);
    await this.#takeAll(look.files);
    if (look.more) this.#again = true;
  }

  async #takeAll(files: readonly WaitingFile[]): Promise<void> {
    let before: Promise<'taken' | 'later'> = Promise.resolve('taken');
    for (let at = 0; at < files.length && !this.#stopped; at += filesOfGroup) {
      if (this.#undeletable.size >= maxStuckFiles) break;
      const read = await this.#readGroup(files.slice(at, at + filesOfGroup));
      // One group is on its way to the disk while the next is read, and they go in their order.
      if ((await before) === 'later') {
        this.#hesitate();
        return;
      }
      if (this.#stopped) return;
      before = this.#hand(read);
    }
    if ((await before) === 'later') {
      this.#hesitate();
      return;
    }
    // Nothing was listened to during the pause.
    if (this.#pauseMs !== 0) this.#again = true;
    this.#pauseMs = 0;
  }

  async #readGroup(files: readonly WaitingFile[]): Promise<ReadFile[]> {
    const read = await inLanes(files, fileLanes, async (file): Promise<ReadFile | undefined> => {
      if (file.fault !== undefined) return { file, reading: { ok: false, fault: file.fault } };
      const buffer = this.#buffers.pop() ?? Buffer.allocUnsafe(maxHookFileOctets + 1);
      const read = await this.#folder.read(file.name, buffer);
      const reading = read.state === 'read' ? this.#understand(file, read.content) : undefined;
      this.#buffers.push(buffer);
      if (reading !== undefined) return { file, reading };
      if (read.state === 'foreign') return { file, reading: { ok: false, fault: 'foreign-file' } };
      this.#waitingFiles -= 1;
      if (read.state === 'unreadable') {
        // An owner or group that is wrong is put right by hand, and then nothing is lost.
        this.#stick(this.#unreadable, file.name);
        this.#options.ledger.fault('inbox', 'unreadable', this.#options.source);
      }
      return undefined;
    });
    return read.filter((one) => one !== undefined);
  }

  #understand(file: WaitingFile, content: Buffer): HookReading {
    const { clock, source } = this.#options;
    return readHookFile(content, {
      receivedAtMs: clock.nowMs(),
      via: 'hook',
      source,
      happenedAtMs: Math.floor(file.writtenAtMs),
    });
  }

  /** Hands the events of a group on, in their order, and deletes each file when it may go. */
  async #hand(group: readonly ReadFile[]): Promise<'taken' | 'later'> {
    const { ledger, source } = this.#options;
    const told = group.map(async ({ file, reading }) => {
      if (!reading.ok) return await this.#reject(file, reading.fault);
      const outcome = await this.#tell(reading.events);
      if (outcome === 'later') {
        ledger.fault('inbox', 'not-stored', source);
        return 'later';
      }
      if (outcome === 'refused') return await this.#reject(file, 'refused');
      ledger.taken('inbox', reading.events.length);
      await this.#remove(file);
      return 'taken';
    });
    return (await Promise.all(told)).includes('later') ? 'later' : 'taken';
  }

  #tell(events: readonly LeaseEvent[]): Promise<InboxOutcome> {
    return new Promise((resolve) => {
      let open = events.length;
      let worst: InboxOutcome = 'durable';
      for (const event of events) {
        this.#options.sink.take(event, (outcome) => {
          if (outcome === 'later' || (outcome === 'refused' && worst === 'durable')) worst = outcome;
          open -= 1;
          if (open === 0) resolve(worst);
        });
      }
    });
  }

  async #remove(file: WaitingFile): Promise<void> {
    const { ledger, source } = this.#options;
    this.#waitingFiles -= 1;
    if (await this.#folder.remove(file.name)) return;
    this.#stick(this.#undeletable, file.name);
    ledger.fault('inbox', 'undeletable', source);
  }

  async #reject(file: WaitingFile, fault: IntakeFault): Promise<'taken'> {
    const { ledger, source } = this.#options;
    ledger.fault('inbox', fault, source);
    this.#waitingFiles -= 1;
    const outcome = await this.#folder.reject(file.name, fault);
    if (outcome === 'instead') ledger.fault('inbox', 'not-kept', source);
    if (outcome === 'stays') {
      this.#stick(this.#unreadable, file.name);
      ledger.fault('inbox', 'undeletable', source);
    }
    return 'taken';
  }

  #isStuck(name: string): boolean {
    return this.#undeletable.has(name) || (this.#unreadable.get(name) ?? 0) > this.#options.clock.nowMs();
  }

  #stick(files: Map<string, number>, name: string): void {
    if (files === this.#unreadable && files.size >= maxStuckFiles) files.clear();
    files.set(name, this.#options.clock.nowMs() + retryFileMs);
  }

  /** Tries what could not be deleted again, and takes away what was never finished. */
  async #mend(unfinished: readonly string[]): Promise<void> {
    const { clock, ledger, source } = this.#options;
    this.#cleanAtMs = clock.nowMs() + retryFileMs;
    for (const name of [...this.#undeletable.keys()])
      if (await this.#folder.remove(name)) this.#undeletable.delete(name);
    const cleaned = await this.#folder.clean(unfinished, clock.nowMs());
    for (let count = 0; count < cleaned; count++) ledger.fault('inbox', 'abandoned', source);
  }

  #hesitate(): void {
    this.#pauseMs = Math.min(longestPauseMs, this.#pauseMs === 0 ? firstPauseMs : this.#pauseMs * 2);
  }

  /** @returns whether a watch began */
  #watch(identity: string): boolean {
    if (this.#watcher?.identity === identity) return false;
    this.#unwatch();
    try {
      const handle = watch(this.#options.folder, { persistent: false }, (_event, name) => {
        if (name === null || !name.startsWith('.')) this.#wakeUnlessPaused();
      });
      handle.on('error', () => this.#unwatch());
      this.#watcher = { handle, identity };
      return true;
    } catch {
      // Too many watches on this host: looking regularly is enough.
      return false;
    }
  }

  #wakeUnlessPaused(): void {
    if (this.#pauseMs === 0) this.#wake();
  }

  #unwatch(): void {
    this.#watcher?.handle.close();
    this.#watcher = undefined;
  }
}
