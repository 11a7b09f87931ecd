/**
 * The socket at which tracers ask.
 *
 * Enters: connections to a socket in the data folder, one question each. Leaves: lines of JSON.
 * Invariant: only the owner of the data folder (and root) can connect; a tracer that reads slowly loses events and holds at most
 * a bounded number of octets; the socket is gone when the server is.
 */
import { chmod, lstat, unlink } from 'node:fs/promises';
import { createServer, type Server as SocketServer, type Socket } from 'node:net';
import { StringDecoder } from 'node:string_decoder';
import {
  longestQuestionOctets,
  longestSocketPathOctets,
  readQuestion,
  type TraceEvent,
  type TraceQuestion,
} from '../status/trace-protocol.js';
import { maxTracers, type TraceHub, type Tracer } from './trace-hub.js';

/** Octets that may wait for a slow tracer: some hundred events. */
const maxQueuedOctets = 1024 * 1024;
/** Events a second for one tracer: more than anybody reads, and little work. */
const maxEventsPerSecond = 500;
/** How often a tracer that missed something is looked at for room to say so, ms. */
const lostIntervalMs = 500;
/** Who has not asked by then is let go, ms. */
const questionTimeoutMs = 5000;
/** Connections, those included that have not asked yet. */
const maxConnections = 2 * maxTracers;

/** The name is longer than a socket's can be. */
export class SocketPathError extends Error {
  override readonly name = 'SocketPathError';
}

/** Serves tracers; close it once. */
export class TraceSocket {
  readonly #hub: TraceHub;
  readonly #server: SocketServer;
  readonly #connections = new Set<Socket>();

  /**
   * Opens the socket. Whoever calls holds the lock of the data folder, so one that is there is left over.
   *
   * @throws SocketPathError; the system's error when the folder cannot be written
   */
  static async open(path: string, hub: TraceHub): Promise<TraceSocket> {
    if (Buffer.byteLength(path) > longestSocketPathOctets)
      throw new SocketPathError(`${path} is longer than ${String(longestSocketPathOctets)} octets`);
    await removeSocket(path);
    const socket = new TraceSocket(hub);
    await socket.#listen(path);
    return socket;
  }

  private constructor(hub: TraceHub) {
    this.#hub = hub;
    this.#server = createServer((connection) => this.#serve(connection));
    this.#server.maxConnections = maxConnections;
  }

  /** Lets all tracers go; the socket's file is removed with it. */
  async close(): Promise<void> {
    for (const connection of this.#connections) connection.destroy();
    await new Promise<void>((resolve) => {
      this.#server.close(() => {
        resolve();
      });
    });
  }

  async #listen(path: string): Promise<void> {
    await new Promise<void>((resolve, reject) => {
      this.#server.once('error', reject);
      // The file is made within this call, so nobody else can connect between its making and the chmod below.
      const mask = process.umask(0o177);
      try {
        this.#server.listen(path, () => {
          this.#server.off('error', reject);
          resolve();
        });
      } finally {
        process.umask(mask);
      }
    });
    await chmod(path, 0o600);
    // A tracer never keeps the process alive.
    this.#server.unref();
  }

  #serve(connection: Socket): void {
    this.#connections.add(connection);
    connection.unref();
    // A tracer that goes away while it is written to is no error of ours.
    connection.on('error', () => connection.destroy());
    connection.once('close', () => this.#connections.delete(connection));
    connection.setTimeout(questionTimeoutMs, () => connection.destroy());
    const decoder = new StringDecoder('utf8');
    let text = '';
    const onData = (chunk: Buffer): void => {
      text += decoder.write(chunk);
      const end = text.indexOf('\n');
      if (end < 0 && text.length <= longestQuestionOctets) return;
      connection.off('data', onData);
      connection.setTimeout(0);
      // Nothing more is expected; what comes is read and forgotten, so that the end is noticed.
      connection.resume();
      const question = end < 0 ? undefined : readQuestion(text.slice(0, end));
      this.#begin(connection, question);
    };
    connection.on('data', onData);
  }

  #begin(connection: Socket, question: TraceQuestion | undefined): void {
    const tracer = question && new SocketTracer(connection, question);
    if (tracer === undefined || !this.#hub.add(tracer)) {
      const explanation = tracer === undefined ? 'the question cannot be read' : 'there are too many tracers already';
      connection.end(lineOf({ at: new Date().toISOString(), event: 'turned-away', explanation }));
      return;
    }
    connection.once('close', () => this.#hub.remove(tracer));
    tracer.tell(() => ({ at: new Date().toISOString(), event: 'tracing' }));
  }
}

/** Writes what fits; counts what does not, and tells the count as soon as there is room again. */
class SocketTracer implements Tracer {
  readonly #connection: Socket;
  #lost = 0;
  #second = 0;
  #inSecond = 0;
  #telling: NodeJS.Timeout | undefined;

  constructor(
    connection: Socket,
    readonly question: TraceQuestion,
  ) {
    this.#connection = connection;
    connection.once('close', () => clearTimeout(this.#telling));
  }

  tell(make: () => TraceEvent): void {
    const second = Math.floor(performance.now() / 1000);
    if (second !== this.#second) {
      this.#second = second;
      this.#inSecond = 0;
    }
    if (this.#inSecond >= maxEventsPerSecond || !this.#hasRoom) {
      this.#lost += 1;
      this.#telling ??= setTimeout(() => this.#tellLost(), lostIntervalMs).unref();
      return;
    }
    this.#inSecond += 1;
    this.#writeLost();
    this.#write(make());
  }

  get #hasRoom(): boolean {
    return this.#connection.writableLength <= maxQueuedOctets;
  }

  // Nothing may come any more that the count could stand before.
  #tellLost(): void {
    this.#telling = undefined;
    if (this.#hasRoom) this.#writeLost();
    else this.#telling = setTimeout(() => this.#tellLost(), lostIntervalMs).unref();
  }

  #writeLost(): void {
    if (this.#lost === 0) return;
    this.#write({ at: new Date().toISOString(), event: 'lost', events: this.#lost });
    this.#lost = 0;
  }

  #write(event: TraceEvent): void {
    if (this.#connection.writable) this.#connection.write(lineOf(event));
  }
}

function lineOf(event: TraceEvent): string {
  return `${JSON.stringify(event)}\n`;
}

/** Removes a socket that is left over, and nothing but a socket. */
async function removeSocket(path: string): Promise<void> {
  const found = await lstat(path).catch(() => undefined);
  if (found?.isSocket() === true) await unlink(path);
}
