/**
 * A NAS that sends as fast as it is answered. Enters: packets made beforehand, a window. Leaves: answers per second, times to answer, losses. Invariant:
 * closed loop: never more than `window` requests without an answer, so the server is measured and not the socket buffer.
 */
import { createSocket, type Socket } from 'node:dgram';

export interface LoadOptions {
  readonly port: number;
  readonly packets: readonly Buffer[];
  /** Requests without an answer at once, over all sockets. */
  readonly window: number;
  readonly sockets: number;
  /** A request that is not answered after this is lost, ms. */
  readonly timeoutMs: number;
}

export interface LoadResult {
  readonly answered: number;
  readonly lost: number;
  readonly seconds: number;
  readonly perSecond: number;
  readonly p50Ms: number;
  readonly p99Ms: number;
  /** Replies by code. */
  readonly codes: ReadonlyMap<number, number>;
}

interface Pending {
  readonly sentAtMs: number;
}

/** Sends every packet once. The Identifier of each is set here: packets must be signed for the one they were made with, index modulo 256. */
export async function runLoad(options: LoadOptions): Promise<LoadResult> {
  const { packets, port, window, sockets: socketCount, timeoutMs } = options;
  const sockets = await Promise.all(Array.from({ length: socketCount }, () => open()));
  // A packet keeps its Identifier, so the packets of one Identifier take turns on a socket.
  const waiting = sockets.map(() => new Array<Pending | undefined>(256).fill(undefined));
  const latencies: number[] = [];
  const codes = new Map<number, number>();
  let next = 0;
  let inFlight = 0;
  let answered = 0;
  let lost = 0;
  const startedMs = performance.now();
  await new Promise<void>((resolve) => {
    const refill = (): void => {
      while (inFlight < window && next < packets.length) {
        const packet = packets[next]!;
        const slot = sockets.findIndex((_, i) => waiting[(next + i) % socketCount]![packet[1]!] === undefined);
        if (slot < 0) break;
        const at = (next + slot) % socketCount;
        waiting[at]![packet[1]!] = { sentAtMs: performance.now() };
        sockets[at]!.send(packet, port, '127.0.0.1');
        inFlight++;
        next++;
      }
      if (inFlight === 0 && next >= packets.length) done();
    };
    const sweep = setInterval(() => {
      const before = performance.now() - timeoutMs;
      for (const slots of waiting) {
        for (let id = 0; id < 256; id++) {
          if (slots[id] === undefined || slots[id]!.sentAtMs > before) continue;
          slots[id] = undefined;
          inFlight--;
          lost++;
        }
      }
      refill();
    }, 100);
    const done = (): void => {
      clearInterval(sweep);
      resolve();
    };
    sockets.forEach((socket, at) =>
      socket.on('message', (reply) => {
        const pending = waiting[at]![reply[1]!];
        if (pending === undefined) return;
        waiting[at]![reply[1]!] = undefined;
        inFlight--;
        answered++;
        codes.set(reply[0]!, (codes.get(reply[0]!) ?? 0) + 1);
        latencies.push(performance.now() - pending.sentAtMs);
        refill();
      }),
    );
    refill();
  });
  const seconds = (performance.now() - startedMs) / 1000;
  for (const socket of sockets) socket.close();
  latencies.sort((a, b) => a - b);
  const at = (share: number): number =>
    latencies[Math.min(latencies.length - 1, Math.floor(latencies.length * share))] ?? 0;
  return { answered, lost, seconds, perSecond: answered / seconds, p50Ms: at(0.5), p99Ms: at(0.99), codes };
}

function open(): Promise<Socket> {
  const socket = createSocket({ type: 'udp4', recvBufferSize: 4 * 1024 * 1024 });
  return new Promise((resolve) => socket.bind(0, '127.0.0.1', () => resolve(socket)));
}
