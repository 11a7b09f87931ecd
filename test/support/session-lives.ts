/**
 * True lives of sessions, and the packets that a NAS would send of them. Enters: a seed. Leaves: what happened, and the facts as they arrive:
 * lost, repeated, late, out of order. Invariant: the truth is known without any rule of the server, so an oracle can be simple.
 */
import type { AccountingFact, SessionFact } from '../../src/domain/accounting-fact.js';
import { T0 } from './facts.js';

/** A small seeded generator (mulberry32): a run is repeated by its seed alone. */
export class Random {
  #state: number;

  constructor(seed: number) {
    this.#state = seed >>> 0;
  }

  /** At least 0, below 1. */
  next(): number {
    this.#state = (this.#state + 0x6d2b79f5) >>> 0;
    let z = this.#state;
    z = Math.imul(z ^ (z >>> 15), z | 1);
    z ^= z + Math.imul(z ^ (z >>> 7), z | 61);
    return ((z ^ (z >>> 14)) >>> 0) / 2 ** 32;
  }

  /** A whole number, both ends included. */
  whole(from: number, to: number): number {
    return from + Math.floor(this.next() * (to - from + 1));
  }

  chance(probability: number): boolean {
    return this.next() < probability;
  }

  pick<T>(list: readonly T[]): T {
    return list[Math.floor(this.next() * list.length)]!;
  }
}

/** How one NAS behaves. */
interface Box {
  readonly name: string;
  /** Acct-Delay-Time in every packet. */
  readonly declares: boolean;
  /** Echoes our Class. */
  readonly echoesClass: boolean;
  /** Counts its Acct-Session-Ids from 1 after a reboot. */
  readonly reusesIds: boolean;
  readonly sendsMac: boolean;
  readonly announces: boolean;
  readonly interimSeconds: number;
  /** When it reboots and how long that takes, ms. */
  readonly reboots: readonly { readonly atMs: number; readonly backAtMs: number }[];
}

/** One true session. */
export interface Life {
  readonly id: string;
  readonly box: string;
  readonly declares: boolean;
  readonly subscriber: number;
  readonly startMs: number;
  /** How it was over; a reboot sends no Stop. */
  readonly end: { readonly atMs: number; readonly by: 'stop' | 'reboot' } | null;
}

export interface Arrival {
  readonly fact: AccountingFact;
  readonly life: Life | null;
}

export interface History {
  readonly lives: readonly Life[];
  /** In the order in which they are applied. */
  readonly arrivals: readonly Arrival[];
}

export interface HistoryShape {
  readonly subscribers: number;
  readonly addresses: readonly string[];
  /** Login and number of a subscriber. */
  readonly loginOf: (subscriber: number) => string;
}

export const smallShape: HistoryShape = {
  subscribers: 3,
  addresses: ['100.64.0.1', '100.64.0.2', '100.64.0.3', '100.64.0.4'],
  loginOf: (subscriber) => `user${subscriber}`,
};

/** A reboot takes at least this long; where ids come again without any Class, as long as hardware takes, ms. */
const SHORT_REBOOT_MS = 70_000;
const LONG_REBOOT_MS = 150_000;
const HOUR_MS = 3_600_000;

function makeBox(random: Random, name: string, spanMs: number): Box {
  const declares = random.chance(0.7);
  const echoesClass = !declares || random.chance(0.5);
  const leastMs = echoesClass ? SHORT_REBOOT_MS : LONG_REBOOT_MS;
  const reboots: { atMs: number; backAtMs: number }[] = [];
  for (let n = random.whole(0, 2); n > 0; n--) {
    const atMs = T0 + random.whole(0, spanMs);
    const backAtMs = atMs + leastMs + random.whole(0, 200_000);
    if (reboots.every((r) => backAtMs + leastMs < r.atMs || atMs > r.backAtMs + leastMs))
      reboots.push({ atMs, backAtMs });
  }
  return {
    name,
    declares,
    echoesClass,
    reusesIds: random.chance(0.6),
    sendsMac: random.chance(0.7),
    announces: random.chance(0.6),
    interimSeconds: random.pick([60, 300, 600]),
    reboots: reboots.sort((a, b) => a.atMs - b.atMs),
  };
}

interface Sent {
  readonly fact: SessionFact;
  readonly loss: number;
}

/** One random history. */
export function makeHistory(seed: number, shape: HistoryShape = smallShape): History {
  const random = new Random(seed);
  const spanMs = random.whole(1, 8) * HOUR_MS;
  const boxes = [makeBox(random, 'bras1', spanMs), makeBox(random, 'bras2', spanMs)].slice(0, random.whole(1, 2));
  const lives: Life[] = [];
  const arrivals: { arrival: Arrival; orderMs: number }[] = [];
  const busyUntilMs = new Map<string, number>();
  const idsUsed = new Map<string, number>();

  const deliver = (fact: AccountingFact, life: Life | null, declares: boolean): void => {
    const copies = random.chance(0.15) ? random.whole(2, 3) : 1;
    for (let i = 0; i < copies; i++) {
      const lateMs = lateness(random, declares) + i * random.whole(3000, 20_000);
      const receivedAtMs = fact.eventAtMs + lateMs;
      const eventAtMs = declares ? receivedAtMs - Math.floor(lateMs / 1000) * 1000 : receivedAtMs;
      const arrived = 'login' in fact ? { ...fact, receivedAtMs, eventAtMs } : restartAt(fact, receivedAtMs, eventAtMs);
      arrivals.push({ arrival: { fact: arrived, life }, orderMs: receivedAtMs + random.whole(0, 3000) });
    }
  };

  const rounds: { atMs: number; subscriber: number }[] = [];
  for (let subscriber = 1; subscriber <= shape.subscribers; subscriber++) {
    for (let n = random.whole(1, 4); n > 0; n--) rounds.push({ atMs: T0 + random.whole(0, spanMs), subscriber });
  }
  rounds.sort((a, b) => a.atMs - b.atMs);
  for (const { atMs, subscriber } of rounds) {
    const box = random.pick(boxes);
    const startMs = afterReboots(box, Math.max(atMs, busyUntilMs.get(`s${subscriber}`) ?? 0));
    const address = shape.addresses.find((one) => (busyUntilMs.get(one) ?? 0) <= startMs);
    const reboot = box.reboots.find((r) => r.atMs > startMs);
    const wantedEndMs = startMs + random.whole(20_000, random.pick([60_000, HOUR_MS, 6 * HOUR_MS]));
    const goesOn = random.chance(0.15) && reboot === undefined;
    const end = goesOn
      ? null
      : reboot !== undefined && reboot.atMs <= wantedEndMs
        ? ({ atMs: reboot.atMs, by: 'reboot' } as const)
        : ({ atMs: wantedEndMs, by: 'stop' } as const);
    const overMs = end?.atMs ?? Infinity;
    busyUntilMs.set(`s${subscriber}`, overMs + 5000);
    if (overMs === Infinity) busyUntilMs.set(`s${subscriber}`, T0 + 100 * spanMs);
    if (address !== undefined) busyUntilMs.set(address, overMs + 5000);
    if (startMs > T0 + 2 * spanMs) continue;

    const id = `life${lives.length}`;
    const life: Life = { id, box: box.name, declares: box.declares, subscriber, startMs, end };
    lives.push(life);
    const lifeOfBox = box.reusesIds ? box.reboots.filter((r) => r.atMs < startMs).length : 0;
    const idKey = `${box.name}/${lifeOfBox}`;
    const number = (idsUsed.get(idKey) ?? 0) + 1;
    idsUsed.set(idKey, number);
    const lastMs = Math.min(overMs, startMs + 6 * HOUR_MS);
    for (const { fact, loss } of packetsOf(random, box, life, `id${number}`, address ?? null, lastMs, shape)) {
      if (!random.chance(loss)) deliver(fact, life, box.declares);
    }
  }
  for (const box of boxes) {
    if (!box.announces) continue;
    for (const reboot of box.reboots) {
      const fact = { status: 'on', nasName: box.name, nasBox: box.name } as const;
      deliver({ ...fact, receivedAtMs: reboot.backAtMs, eventAtMs: reboot.backAtMs }, null, true);
    }
  }
  arrivals.sort((a, b) => a.orderMs - b.orderMs);
  return { lives, arrivals: arrivals.map(({ arrival }) => arrival) };
}

/** As `accountingFact` reads a restart: the second that was cut off a declared delay counts against it. */
function restartAt(fact: AccountingFact, receivedAtMs: number, eventAtMs: number): AccountingFact {
  return { ...fact, receivedAtMs, eventAtMs: receivedAtMs === eventAtMs ? eventAtMs : eventAtMs - 1000 };
}

function lateness(random: Random, declares: boolean): number {
  if (random.chance(0.7)) return random.whole(0, 900);
  if (!declares) return random.whole(1000, 40_000);
  return random.chance(0.1) ? random.whole(HOUR_MS, 25 * HOUR_MS) : random.whole(1000, 600_000);
}

function afterReboots(box: Box, atMs: number): number {
  let startMs = atMs;
  for (const { atMs: downMs, backAtMs } of box.reboots) {
    if (startMs >= downMs && startMs < backAtMs + 5000) startMs = backAtMs + 5000;
  }
  return startMs;
}

function packetsOf(
  random: Random,
  box: Box,
  life: Life,
  acctSessionId: string,
  address: string | null,
  lastMs: number,
  shape: HistoryShape,
): Sent[] {
  const moves = random.chance(0.1) && box.declares;
  const authorisesAgain = random.chance(0.1) && box.declares && box.echoesClass;
  const offer = Number(life.id.slice(4)) * 10 + 1;
  const counters = { input: 0, output: 0 };
  const perInterim = random.pick([1000, 5_000_000, 3_000_000_000]);
  const send = (
    status: SessionFact['status'],
    atMs: number,
    loss: number,
    terminateCause: number | null = null,
  ): Sent => {
    const seconds = Math.floor((atMs - life.startMs) / 1000);
    const second = atMs > life.startMs && moves;
    return {
      loss,
      fact: {
        status,
        eventAtMs: atMs,
        receivedAtMs: atMs,
        delayDeclared: box.declares,
        nasName: box.name,
        nasBox: box.name,
        nasAddress: null,
        routingDomain: 'default',
        acctSessionId,
        login: shape.loginOf(life.subscriber),
        mac: box.sendsMac ? `02:00:00:00:00:0${life.subscriber}` : null,
        callingStation: null,
        // Nobody decides by this one, so it can say which life a stored session began as.
        calledStation: life.id,
        nasPortId: `port${life.subscriber}`,
        address: second && address !== null ? `10.${life.subscriber}.0.${(offer % 200) + 1}` : address,
        framedPrefix: null,
        delegatedPrefix: null,
        interfaceId: null,
        class: box.echoesClass
          ? {
              subscriberId: life.subscriber,
              policyHash: 7,
              offerId: authorisesAgain && seconds > 600 ? offer + 1 : offer,
            }
          : null,
        sessionSeconds: status === 'start' ? null : seconds,
        input: status === 'start' ? null : { octets: counters.input, gigawords: true },
        output: status === 'start' ? null : { octets: counters.output, gigawords: true },
        terminateCause,
      },
    };
  };
  const sent = [send('start', life.startMs, 0.05)];
  for (let atMs = life.startMs + box.interimSeconds * 1000; atMs < lastMs; atMs += box.interimSeconds * 1000) {
    counters.input += random.whole(0, perInterim);
    counters.output += random.whole(0, perInterim * 3);
    sent.push(send('interim', atMs, 0.2));
  }
  if (life.end?.by === 'stop') {
    counters.input += random.whole(1, perInterim);
    counters.output += random.whole(1, perInterim);
    sent.push(send('stop', life.end.atMs, 0.05, 1));
  }
  return sent;
}
