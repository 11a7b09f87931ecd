/**
 * What the people of the demo do all day. Enters: inhabitants, NASes, chance, time that passes. Leaves: logins, octets, ends, changes of flags and plans. Invariants: everybody stops at
 * once when the demo ends; chance is the caller's, so a test can live the same day twice.
 */
import { between, oneOf, plans, type Inhabitant, type Random } from './population.js';
import { TerminateCause, type Device, type NasSession, type SimulatedNas } from './simulated-nas.js';

export interface Town {
  readonly nases: readonly SimulatedNas[];
  readonly random: Random;
  /** Waits; rejects when the demo ends. */
  readonly wait: (milliseconds: number) => Promise<void>;
  readonly signal: AbortSignal;
}

/** Everybody is there within this, ms. */
const MORNING_MS = 25_000;
/** A session lasts between these, ms: short enough to be seen ending. */
const SHORTEST_SESSION_MS = 40_000;
const LONGEST_SESSION_MS = 300_000;
/** How often a NAS reports, ms: more often than in life, so that octets are seen moving. */
const REPORT_EVERY_MS = 10_000;
/** The line of a house, bit/s: nobody is faster, whatever the plan. */
const LINE_BPS = 1e9;
/** People use a small part of what they pay for. */
const USED_SHARE = 0.06;
/** In the walled garden there is only a page that asks for money, octets/s. */
const WALLED_GARDEN_OCTETS_PER_SECOND = 4_000;
/** Between two sessions, and after a refusal, ms. */
const SHORTEST_PAUSE_MS = 5_000;
const LONGEST_PAUSE_MS = 40_000;

/** Lives one life until the demo ends. */
export async function live(town: Town, inhabitant: Inhabitant): Promise<void> {
  const { random, wait, signal } = town;
  try {
    await wait(between(random, 0, MORNING_MS));
    while (!signal.aborted) {
      const nas = oneOf(random, town.nases);
      const answer = await nas.logIn(deviceOf(inhabitant, random));
      if (answer.result === 'accepted') await use(town, nas, answer.session);
      await wait(between(random, SHORTEST_PAUSE_MS, LONGEST_PAUSE_MS));
    }
  } catch (error) {
    if (!signal.aborted) throw error;
  }
}

function deviceOf(inhabitant: Inhabitant, random: Random): Device {
  const { login, password, mac, temper } = inhabitant;
  switch (temper) {
    case 'mistypes-password':
      return { login, mac, password: random() < 0.8 ? `${password}x` : password };
    case 'mistypes-login':
      return { login: random() < 0.8 ? `${login.slice(0, 3)}q${login.slice(3)}` : login, mac, password };
    case 'wrong-device':
      return { login, mac: `06${mac.slice(2)}`, password };
    case 'ordinary':
      return { login, mac, password };
  }
}

async function use(town: Town, nas: SimulatedNas, session: NasSession): Promise<void> {
  const { random, wait } = town;
  const lengthMs = between(random, SHORTEST_SESSION_MS, LONGEST_SESSION_MS);
  let disconnected = false;
  session.onDisconnect = () => (disconnected = true);
  for (let usedMs = 0; usedMs < lengthMs && !disconnected;) {
    const stepMs = Math.min(REPORT_EVERY_MS * between(random, 0.7, 1.3), lengthMs - usedMs);
    await wait(stepMs);
    usedMs += stepMs;
    const speed = octetsPerSecond(session);
    session.outputOctets += Math.floor((speed * between(random, 0, 1) * stepMs) / 1000);
    session.inputOctets += Math.floor((speed * between(random, 0, 0.2) * stepMs) / 1000);
    if (usedMs < lengthMs) await nas.report(session);
  }
  const { userRequest, lostCarrier, idleTimeout } = TerminateCause;
  await nas.end(session, oneOf(random, [userRequest, userRequest, userRequest, lostCarrier, idleTimeout]));
}

/** How fast somebody is who does as the NAS was told. */
function octetsPerSecond({ service }: NasSession): number {
  if (service.isWalledGarden) return WALLED_GARDEN_OCTETS_PER_SECOND;
  return (Math.min(service.downBps ?? LINE_BPS, LINE_BPS) / 8) * USED_SHARE;
}

/** How long the billing waits between two acts, ms. */
const BILLING_EVERY_MS = 4_000;
/** People who are kept out at once, at most. */
const MOST_BLOCKED = 12;
/** How many acts of a hundred are which; what is left ends a session. */
const LIFTS_PERCENT = 35;
const BLOCKS_PERCENT = 35;
const PLANS_PERCENT = 20;

const blocks = [
  ['redirect', 'owes 300'],
  ['redirect', 'нет денег с 1-го числа'],
  ['own_disabled', 'on holiday until the 15th'],
  ['own_disabled', 'отпуск'],
  ['admin_blocked', 'complaint 4711'],
] as const;

/**
 * Blocks people and lets them in again, sells them other plans, ends sessions, until the demo ends. It writes what should be, and tells no NAS: that is
 * the server's work.
 *
 * @param act one command line of `sluice`
 */
export async function bill(
  town: Town,
  inhabitants: readonly Inhabitant[],
  act: (argv: readonly string[]) => Promise<void>,
): Promise<void> {
  const { random, wait, signal } = town;
  const blocked: { readonly login: string; readonly flag: string }[] = [];
  const set = (login: string, ...assignments: readonly string[]): Promise<void> =>
    act(['subscriber', 'set', login, ...assignments]);
  try {
    while (!signal.aborted) {
      await wait(BILLING_EVERY_MS);
      const chance = random() * 100;
      const oldest = blocked[0];
      if (oldest !== undefined && (blocked.length >= MOST_BLOCKED || chance < LIFTS_PERCENT)) {
        blocked.shift();
        await set(oldest.login, `${oldest.flag}=false`);
        continue;
      }
      const { login } = oneOf(random, inhabitants);
      if (blocked.some((one) => one.login === login)) continue;
      if (chance < LIFTS_PERCENT + BLOCKS_PERCENT) {
        const [flag, reason] = oneOf(random, blocks);
        blocked.push({ login, flag });
        await set(login, `${flag}=true`, `${flag}_reason=${reason}`);
      } else if (chance < LIFTS_PERCENT + BLOCKS_PERCENT + PLANS_PERCENT)
        await set(login, `plan=${oneOf(random, plans).name}`);
      else await act(['subscriber', 'disconnect', login]);
    }
  } catch (error) {
    if (!signal.aborted) throw error;
  }
}
