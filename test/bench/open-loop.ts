/**
 * Requests at a fixed rate, whatever becomes of the answers. Enters: a rate, a time, who logs in. Leaves: when each request was sent and how long its answer
 * took. Invariant: a slow server is not sent less; the sender has a process of its own, so that nothing else of the measurement is
 * mistaken for the server. This file is both: the side that asks, and the process.
 */
import { fork } from 'node:child_process';
import { createSocket, type Socket } from 'node:dgram';
import { fileURLToPath } from 'node:url';
import { accessRequest, accountingRequest } from '../support/radius-client.js';
import { inhabitant } from './million-population.js';

export interface OpenLoopOptions {
  readonly port: number;
  readonly secret: string;
  readonly perSecond: number;
  readonly seconds: number;
  /** Person of request `i`: `first + i * step mod count`, from one on, in multiples of three: those with an address of their own. */
  readonly count: number;
  readonly step: number;
  readonly kind: 'access' | 'accounting-start';
}

export interface OpenLoopResult {
  /** Of each request: ms since 1970. */
  readonly sentAtMs: Float64Array;
  /** Of each request: ms; Infinity when no answer came. */
  readonly latencyMs: Float64Array;
  /** Replies that were neither Access-Accept nor Accounting-Response. */
  readonly refused: number;
  /** 99th percentile of how much later than meant a request was sent, ms: what the sender itself adds. */
  readonly lateP99Ms: number;
}

/** A request that is not answered after this is lost, ms. */
const ANSWER_TIMEOUT_MS = 3_000;
/** 256 Identifiers each: at 2,000/s an Identifier comes again after two seconds. */
const SOCKETS = 16;
/** Argument of the process that sends. */
const SENDER = 'open-loop-sender';
const ACCESS_ACCEPT = 2;
const ACCOUNTING_RESPONSE = 5;

/** A sender that is under way. */
export interface OpenLoop {
  readonly result: Promise<OpenLoopResult>;
  /** Ends before its time. */
  stop(): unknown;
}

/** Starts sending from a process of its own. */
export function openLoop(options: OpenLoopOptions): OpenLoop {
  const child = fork(fileURLToPath(import.meta.url), [SENDER], {
    execArgv: ['--import', 'tsx'],
    serialization: 'advanced',
  });
  const result = new Promise<OpenLoopResult>((resolve, reject) => {
    child.once('message', (message) => resolve(message as OpenLoopResult));
    child.once('error', reject);
    child.once('exit', (code) => reject(new Error(`the sender ended in ${String(code)} without a result`)));
  });
  // Heard here too: whoever waits for it may have failed before.
  result.catch(() => undefined);
  child.send(options);
  return { result, stop: () => child.connected && child.send('stop') };
}

/** The n-th person that requests name. */
export function requestedPerson(i: number, { count, step }: Pick<OpenLoopOptions, 'count' | 'step'>): number {
  return 3 * (1 + ((i * step) % Math.floor(count / 3)));
}

/** One request, signed. */
export function requestOf(i: number, identifier: number, options: OpenLoopOptions): Buffer {
  const n = requestedPerson(i, options);
  const { login, password, mac, staticAddress } = inhabitant(n);
  const shared = { secret: options.secret, identifier, userName: login, callingStationId: mac };
  return options.kind === 'access'
    ? accessRequest({ ...shared, password }).bytes
    : accountingRequest({
        ...shared,
        status: 'start',
        acctSessionId: `session-${String(n)}`,
        nasIpAddress: '127.0.0.1',
        ...(staticAddress !== undefined && { framedIpAddress: staticAddress }),
      }).bytes;
}

class Sender {
  readonly #options: OpenLoopOptions;
  readonly #sentAtMs: Float64Array;
  readonly #latencyMs: Float64Array;
  readonly #late: Float64Array;
  /** Which request a socket and an Identifier stand for. */
  readonly #waiting = Array.from({ length: SOCKETS }, () => new Int32Array(256).fill(-1));
  #sockets: Socket[] = [];
  #sent = 0;
  #refused = 0;
  #stopped = false;

  constructor(options: OpenLoopOptions) {
    this.#options = options;
    const total = Math.ceil(options.perSecond * options.seconds);
    this.#sentAtMs = new Float64Array(total);
    this.#latencyMs = new Float64Array(total).fill(Infinity);
    this.#late = new Float64Array(total);
  }

  stop(): void {
    this.#stopped = true;
  }

  async run(): Promise<OpenLoopResult> {
    this.#sockets = await Promise.all(Array.from({ length: SOCKETS }, (_, at) => this.#open(at)));
    const { perSecond } = this.#options;
    const total = this.#sentAtMs.length;
    const beganMs = performance.now();
    await new Promise<void>((resolve) => {
      const tick = (): void => {
        const due = Math.min(total, Math.floor(((performance.now() - beganMs) * perSecond) / 1000) + 1);
        while (this.#sent < due) this.#send(this.#sent++, beganMs);
        if (this.#stopped || this.#sent === total) resolve();
        else setTimeout(tick, 1);
      };
      tick();
    });
    await new Promise((resolve) => setTimeout(resolve, ANSWER_TIMEOUT_MS));
    for (const socket of this.#sockets) socket.close();
    const late = this.#late.subarray(0, this.#sent).sort();
    return {
      sentAtMs: this.#sentAtMs.subarray(0, this.#sent),
      latencyMs: this.#latencyMs.subarray(0, this.#sent),
      refused: this.#refused,
      lateP99Ms: late[Math.floor(late.length * 0.99)] ?? 0,
    };
  }

  #send(i: number, beganMs: number): void {
    const at = i % SOCKETS;
    const identifier = Math.floor(i / SOCKETS) % 256;
    const packet = requestOf(i, identifier, this.#options);
    this.#waiting[at]![identifier] = i;
    const nowMs = performance.now();
    this.#late[i] = nowMs - beganMs - (i * 1000) / this.#options.perSecond;
    this.#sentAtMs[i] = performance.timeOrigin + nowMs;
    this.#sockets[at]!.send(packet, this.#options.port, '127.0.0.1');
  }

  #open(at: number): Promise<Socket> {
    const socket = createSocket({ type: 'udp4', recvBufferSize: 4 * 1024 * 1024 });
    socket.on('message', (reply) => {
      const i = this.#waiting[at]![reply[1]!]!;
      if (i < 0) return;
      this.#waiting[at]![reply[1]!] = -1;
      this.#latencyMs[i] = performance.timeOrigin + performance.now() - this.#sentAtMs[i]!;
      if (reply[0] !== ACCESS_ACCEPT && reply[0] !== ACCOUNTING_RESPONSE) this.#refused++;
    });
    return new Promise((resolve) => socket.bind(0, '127.0.0.1', () => resolve(socket)));
  }
}

if (process.argv[2] === SENDER && process.send !== undefined) {
  process.once('message', (options) => {
    const sender = new Sender(options as OpenLoopOptions);
    process.once('message', () => sender.stop());
    void sender.run().then((result) => process.send!(result, () => process.exit()));
  });
}
