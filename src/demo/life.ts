/**
 * What the people of the demo do all day. Enters: inhabitants, NASes, chance, time that passes. Leaves: logins, octets, ends. Invariants: everybody stops at
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
      if (answer.result === 'accepted') await use(town, nas, inhabitant, answer.session);
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

async function use(town: Town, nas: SimulatedNas, inhabitant: Inhabitant, session: NasSession): Promise<void> {
  const { random, wait } = town;
  const speed = plans.find((plan) => plan.name === inhabitant.plan)?.octetsPerSecond ?? 0;
  const lengthMs = between(random, SHORTEST_SESSION_MS, LONGEST_SESSION_MS);
  let disconnected = false;
  session.onDisconnect = () => (disconnected = true);
  for (let usedMs = 0; usedMs < lengthMs && !disconnected;) {
    const stepMs = Math.min(REPORT_EVERY_MS * between(random, 0.7, 1.3), lengthMs - usedMs);
    await wait(stepMs);
    usedMs += stepMs;
    session.outputOctets += Math.floor((speed * between(random, 0, 1) * stepMs) / 1000);
    session.inputOctets += Math.floor((speed * between(random, 0, 0.2) * stepMs) / 1000);
    if (usedMs < lengthMs) await nas.report(session);
  }
  const { userRequest, lostCarrier, idleTimeout } = TerminateCause;
  await nas.end(session, oneOf(random, [userRequest, userRequest, userRequest, lostCarrier, idleTimeout]));
}

/** One thing that the billing does to somebody, as `subscriber set` takes it. */
export interface BillingAct {
  readonly login: string;
  readonly assignments: readonly string[];
}

/** Seconds between two acts of the billing, ms. */
const BILLING_EVERY_MS = 6_000;
/** People who are kept out at once, at most. */
const MOST_BLOCKED = 12;

const blocks = [
  ['redirect', 'owes 300'],
  ['redirect', 'нет денег с 1-го числа'],
  ['own_disabled', 'on holiday until the 15th'],
  ['own_disabled', 'отпуск'],
  ['admin_blocked', 'complaint 4711'],
] as const;

/** Blocks people and lets them in again until the demo ends. Whoever is blocked is put off the network by his NAS. */
export async function bill(
  town: Town,
  inhabitants: readonly Inhabitant[],
  act: (act: BillingAct) => Promise<void>,
): Promise<void> {
  const { random, wait, signal, nases } = town;
  const blocked: { readonly login: string; readonly flag: string }[] = [];
  try {
    while (!signal.aborted) {
      await wait(BILLING_EVERY_MS);
      const oldest = blocked[0];
      if (oldest !== undefined && (blocked.length >= MOST_BLOCKED || random() < 0.35)) {
        blocked.shift();
        await act({ login: oldest.login, assignments: [`${oldest.flag}=false`] });
        continue;
      }
      const { login } = oneOf(random, inhabitants);
      if (blocked.some((one) => one.login === login)) continue;
      const [flag, reason] = oneOf(random, blocks);
      blocked.push({ login, flag });
      await act({ login, assignments: [`${flag}=true`, `${flag}_reason=${reason}`] });
      // A NAS is not told of a flag by this release: its operator is.
      for (const nas of nases) {
        for (const session of nas.sessions) {
          if (session.device.login !== login) continue;
          session.onDisconnect();
          await nas.end(session, TerminateCause.adminReset);
        }
      }
    }
  } catch (error) {
    if (!signal.aborted) throw error;
  }
}
