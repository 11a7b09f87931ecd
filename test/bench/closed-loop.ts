/**
 * A NAS that sends as fast as it is answered. Enters: signed packets, a window. Leaves: answers per second and losses. Invariant: never more than `window`
 * requests without an answer, so that the server is measured and not the buffer of a socket.
 */
import { createSocket, type Socket } from 'node:dgram';

export interface ClosedLoopOptions {
  readonly port: number;
  /** Each keeps the Identifier that it was signed for. */
  readonly packets: readonly Buffer[];
  readonly window: number;
}

export interface ClosedLoopResult {
  readonly answered: number;
  readonly lost: number;
  readonly perSecond: number;
}

/** A request that is not answered after this is lost, ms. */
const ANSWER_TIMEOUT_MS = 3_000;
const SWEEP_EVERY_MS = 100;
/** Source ports: an Identifier may be in flight once on each. */
const SOCKETS = 4;

/** Sends every packet once. */
export async function closedLoop({ port, packets, window }: ClosedLoopOptions): Promise<ClosedLoopResult> {
  const sockets = await Promise.all(Array.from({ length: SOCKETS }, open));
  /** When the request of an Identifier was sent, per socket; zero: none is in flight. */
  const sentAtMs = sockets.map(() => new Float64Array(256));
  let [next, inFlight, answered, lost] = [0, 0, 0, 0];
  const beganMs = performance.now();
  await new Promise<void>((finish) => {
    const fill = (): void => {
      while (inFlight < window && next < packets.length) {
        const packet = packets[next]!;
        const at = sentAtMs.findIndex((slots) => slots[packet[1]!] === 0);
        if (at < 0) break;
        sentAtMs[at]![packet[1]!] = performance.now();
        sockets[at]!.send(packet, port, '127.0.0.1');
        inFlight++;
        next++;
      }
      if (inFlight > 0 || next < packets.length) return;
      clearInterval(sweep);
      finish();
    };
    const sweep = setInterval(() => {
      const beforeMs = performance.now() - ANSWER_TIMEOUT_MS;
      for (const slots of sentAtMs) {
        for (const [identifier, atMs] of slots.entries()) {
          if (atMs === 0 || atMs > beforeMs) continue;
          slots[identifier] = 0;
          inFlight--;
          lost++;
        }
      }
      fill();
    }, SWEEP_EVERY_MS);
    for (const [at, socket] of sockets.entries()) {
      socket.on('message', (reply) => {
        if (sentAtMs[at]![reply[1]!] === 0) return;
        sentAtMs[at]![reply[1]!] = 0;
        inFlight--;
        answered++;
        fill();
      });
    }
    fill();
  });
  const seconds = (performance.now() - beganMs) / 1000;
  for (const socket of sockets) socket.close();
  return { answered, lost, perSecond: answered / seconds };
}

function open(): Promise<Socket> {
  const socket = createSocket({ type: 'udp4', recvBufferSize: 4 * 1024 * 1024 });
  return new Promise((resolve) => socket.bind(0, '127.0.0.1', () => resolve(socket)));
}
