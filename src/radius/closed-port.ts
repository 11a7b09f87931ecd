// Whether a port of a silent peer is closed.
// In: an address and port that did not answer. Out: true when that host said by ICMP that nobody listens there.
// Invariant: a peer is asked at most once in `restMs`, by one octet that no RADIUS implementation takes for a packet
// (RFC 2865 §3: shorter than 20 octets is silently discarded); sockets and memory are bounded; nothing waits for the answer.

import { createSocket, type Socket } from 'node:dgram';

/** Time and timers; a test decides when something is due. */
export interface CommandClock {
  /** ms since 1970 */
  nowMs(): number;
  /** Runs `run` once after `delayMs`; the returned function calls it off. */
  startTimer(delayMs: number, run: () => void): () => void;
}

/** Pause between two questions to one port, ms: an operator sees what is wrong, and the peer does not feel it. */
const restMs = 30_000;
/** An ICMP answer takes a round trip, ms. */
const patienceMs = 2_000;
/** Questions under way at once; a network with more dead ports has one trouble, not many. */
const maxProbes = 32;
/** Ports remembered. */
const maxRemembered = 4_096;

const octet = Buffer.of(0);

/**
 * Unconnected sockets, which see replies from wrong addresses, never hear of ICMP; connected ones do. So a silent port is asked
 * once more from a connected socket of its own.
 */
export class ClosedPortProbe {
  readonly #clock: CommandClock;
  readonly #askedAtMs = new Map<string, number>();
  readonly #closed = new Set<string>();
  readonly #ends = new Set<() => void>();

  constructor(clock: CommandClock) {
    this.#clock = clock;
  }

  /** Whether the last question was answered with "nobody listens here". */
  isClosed(address: string, port: number): boolean {
    return this.#closed.has(key(address, port));
  }

  /** The port has answered, so it is open. */
  forget(address: string, port: number): void {
    this.#closed.delete(key(address, port));
  }

  /** Asks, unless it was asked a moment ago. */
  ask(address: string, port: number, family: 4 | 6, sourceAddress: string | undefined): void {
    const name = key(address, port);
    const nowMs = this.#clock.nowMs();
    if (this.#ends.size >= maxProbes || nowMs - (this.#askedAtMs.get(name) ?? -Infinity) < restMs) return;
    if (this.#askedAtMs.size >= maxRemembered) {
      this.#askedAtMs.clear();
      this.#closed.clear();
    }
    this.#askedAtMs.set(name, nowMs);
    const socket = createSocket(family === 4 ? 'udp4' : 'udp6');
    const end = (): void => {
      if (!this.#ends.delete(end)) return;
      cancel();
      socket.close();
    };
    const cancel = this.#clock.startTimer(patienceMs, end);
    this.#ends.add(end);
    socket.on('error', (error: NodeJS.ErrnoException) => {
      if (error.code === 'ECONNREFUSED' && this.#ends.has(end)) this.#closed.add(name);
      end();
    });
    connect(socket, address, port, sourceAddress, () => {
      if (this.#ends.has(end)) socket.send(octet);
    });
  }

  /** Ends what is under way. */
  stop(): void {
    for (const end of [...this.#ends]) end();
  }
}

function connect(
  socket: Socket,
  address: string,
  port: number,
  sourceAddress: string | undefined,
  onConnect: () => void,
): void {
  socket.once('connect', onConnect);
  if (sourceAddress === undefined) socket.connect(port, address);
  else socket.bind({ address: sourceAddress, port: 0, exclusive: true }, () => socket.connect(port, address));
}

function key(address: string, port: number): string {
  return `${address} ${port}`;
}
