/**
 * Random histories against an oracle that knows the truth. A failure names its seed: SLUICE_SEED=n repeats it alone; SLUICE_HISTORIES says
 * how many to try.
 */
import t from 'tap';
import type { SessionRecord } from '../../src/domain/session.js';
import { MemoryWorld } from '../support/memory-world.js';
import { type Arrival, makeHistory, Random } from '../support/session-lives.js';
import { lifeProblems } from '../support/session-oracle.js';

const HISTORIES = Number(process.env['SLUICE_HISTORIES'] ?? 10_000);
const SEED = process.env['SLUICE_SEED'];

/** Applies the arrivals in batches of random size, some twice, some again after a part of them. @returns counters that fell */
function play(random: Random, arrivals: readonly Arrival[], world: MemoryWorld): number {
  const counted = new Map<SessionRecord, number>();
  let fell = 0;
  const look = (): void => {
    for (const session of world.sessions) {
      const octets = session.inputOctets + session.outputOctets + session.sessionSeconds;
      if (octets < (counted.get(session) ?? 0)) fell += 1;
      counted.set(session, octets);
    }
  };
  for (let at = 0; at < arrivals.length;) {
    const size = random.whole(1, 12);
    const batch = arrivals.slice(at, at + size).map(({ fact }) => fact);
    if (random.chance(0.1)) world.apply(...batch.slice(0, random.whole(1, size)));
    world.apply(...batch);
    look();
    if (random.chance(0.1)) world.apply(...batch);
    if (random.chance(0.3)) world.sweepRestarts();
    look();
    at += size;
  }
  world.sweepRestarts();
  return fell;
}

function problems(seed: number): string[] {
  const history = makeHistory(seed);
  const random = new Random(seed ^ 0x5eed);
  const world = new MemoryWorld((fact) => Number(fact.login.slice(4)));
  const found: string[] = [];
  const fell = play(random, history.arrivals, world);
  if (fell > 0) found.push(`${fell} counters fell`);
  found.push(...lifeProblems(history, world.sessions));
  found.push(...holdProblems(world), ...usageProblems(world));
  return found;
}

/** One open assignment per address, held by living sessions only; who has an address and no conflict holds it. */
function holdProblems(world: MemoryWorld): string[] {
  const found: string[] = [];
  const holders = new Set<SessionRecord>();
  const addresses = new Set<string>();
  for (const assignment of world.openAssignments) {
    if (addresses.has(assignment.address)) found.push(`${assignment.address} is assigned twice`);
    addresses.add(assignment.address);
    if (assignment.holders.size === 0) found.push(`${assignment.address} is held by nobody`);
    for (const holder of assignment.holders) {
      if (holders.has(holder)) found.push(`${holder.calledStation} holds two addresses`);
      holders.add(holder);
      if (holder.end !== null) found.push(`${assignment.address} is held by the dead`);
      if (holder.address !== assignment.address) found.push(`${holder.calledStation} holds another address`);
      if (holder.subscriberId !== assignment.subscriberId) found.push(`${assignment.address} is held by two people`);
    }
  }
  for (const session of world.live) {
    if (session.address === null || holders.has(session)) continue;
    if (session.conflict !== 'address-held') found.push(`${session.calledStation} holds nothing and says nothing`);
    if (!addresses.has(session.address)) found.push(`${session.calledStation} waits for a free address`);
  }
  const slots = world.openAssignments.map((a) => `${a.subscriberId}/${a.slot}`);
  if (new Set(slots).size !== slots.length) found.push('a slot is taken twice');
  return found;
}

function usageProblems(world: MemoryWorld): string[] {
  const sum = (list: readonly { inputOctets: number; outputOctets: number; sessionSeconds: number }[]): number[] =>
    list.reduce(([i, o, s], one) => [i! + one.inputOctets, o! + one.outputOctets, s! + one.sessionSeconds], [0, 0, 0]);
  const used = sum(world.usage);
  const stored = sum(world.sessions);
  return used.every((value, i) => value === stored[i]) ? [] : [`usage ${used.join()} is not ${stored.join()}`];
}

t.test('random histories agree with the oracle', (t) => {
  const seeds = SEED === undefined ? Array.from({ length: HISTORIES }, (_, i) => i + 1) : [Number(SEED)];
  const failed: string[] = [];
  let packets = 0;
  for (const seed of seeds) {
    packets += makeHistory(seed).arrivals.length;
    for (const problem of problems(seed)) failed.push(`seed ${seed}: ${problem}`);
    if (failed.length > 50) break;
  }
  t.same(failed, []);
  t.ok(packets > seeds.length * 5, `${packets} packets in ${seeds.length} histories`);
  t.end();
});
