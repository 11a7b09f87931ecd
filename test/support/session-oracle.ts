/**
 * What must be stored of true lives, read off the packets that arrived, by the simplest method there is. Enters: a history and the stored
 * sessions. Leaves: every difference in words. Invariant: none of the server's rules are used here.
 */
import type { SessionFact } from '../../src/domain/accounting-fact.js';
import type { SessionRecord } from '../../src/domain/session.js';
import type { History, Life } from './session-lives.js';

/** What must be stored of one life, read off the packets that arrived. */
interface Expected {
  readonly life: Life;
  readonly input: number;
  readonly output: number;
  readonly seconds: number;
  readonly stops: readonly number[];
  readonly heardMs: number;
}

function expectations(history: History): Expected[] {
  const byLife = new Map<Life, SessionFact[]>();
  for (const { fact, life } of history.arrivals) {
    if (life === null) continue;
    const facts = byLife.get(life);
    if (facts === undefined) byLife.set(life, [fact as SessionFact]);
    else facts.push(fact as SessionFact);
  }
  return [...byLife].map(([life, facts]) => ({
    life,
    input: Math.max(...facts.map((f) => f.input?.octets ?? 0)),
    output: Math.max(...facts.map((f) => f.output?.octets ?? 0)),
    seconds: Math.max(...facts.map((f) => f.sessionSeconds ?? 0)),
    stops: facts.filter((f) => f.status === 'stop').map((f) => f.eventAtMs),
    heardMs: Math.max(...facts.map((f) => f.eventAtMs)),
  }));
}

/** @param sessions as stored; `calledStation` names the life whose packet opened each */
export function lifeProblems(history: History, sessions: readonly SessionRecord[]): string[] {
  const stored = new Map<string, SessionRecord[]>();
  for (const session of sessions) {
    const list = stored.get(session.calledStation!);
    if (list === undefined) stored.set(session.calledStation!, [session]);
    else list.push(session);
  }
  const expected = expectations(history);
  return expected.flatMap((one) => problemsOf(one, stored.get(one.life.id) ?? [], expected, history));
}

function problemsOf(
  one: Expected,
  stored: readonly SessionRecord[],
  all: readonly Expected[],
  history: History,
): string[] {
  const { life } = one;
  if (stored.length === 0) return [`${life.id} merged into another`];
  if (stored.length > 1) return [`${life.id} split`];
  const [session] = stored as [SessionRecord];
  const found: string[] = [];
  if (session.inputOctets !== one.input || session.outputOctets !== one.output) found.push(`${life.id} octets differ`);
  if (session.sessionSeconds !== one.seconds) found.push(`${life.id} seconds differ`);
  if (session.subscriberId !== life.subscriber) found.push(`${life.id} is somebody else's`);
  // Session time is in whole seconds, and so is a delay; an undeclared delay can only make the start too late.
  const startOffMs = session.startedAtMs - life.startMs;
  if (life.declares ? Math.abs(startOffMs) > 2000 : startOffMs < -2000) found.push(`${life.id} start is off`);
  const { end } = session;
  if (one.stops.length > 0) {
    if (end?.cause !== 'stop') found.push(`${life.id} has no real end in spite of its Stop`);
    else if (!one.stops.includes(end.endedAtMs)) found.push(`${life.id} does not end with its Stop`);
    return found;
  }
  const restarted = history.arrivals.some(
    ({ fact }) =>
      fact.status === 'on' && fact.nasBox === life.box && fact.eventAtMs > one.heardMs && fact.eventAtMs > life.startMs,
  );
  const followed = all.some(({ life: other }) => other.subscriber === life.subscriber && other.startMs > life.startMs);
  if (restarted && end === null) found.push(`${life.id} survived a restart`);
  if (!restarted && !followed && life.end === null && end !== null) found.push(`${life.id} was closed (${end.cause})`);
  return found;
}
