// Plans against a model of a NAS that fails, loses and forgets at random between any two steps: in the end it is what is desired, nothing is left under an
// old key, and what it has was known at every moment.

import fc from 'fast-check';
import t from 'tap';
import {
  forgotten,
  isCertainlyAbsent,
  MAX_ATTEMPTED,
  mayHold,
  type CommandEnd,
} from '../../src/domain/known-service.js';
import { afterRun, MAX_OTHER_KEYS, planRun, type CommandPlan } from '../../src/domain/plan-commands.js';
import { absent, type KnownService, type PlaceKind, type ServiceState } from '../../src/domain/service-state.js';
import { keyText, ModelNas, ModelSession } from '../support/model-nas.js';
import { applied, fast, key, maybe, never, proven, slow, unlimited, with_ } from '../support/service-states.js';

const anyKey = (addresses: number) => fc.integer({ min: 1, max: addresses }).map((n) => key(`100.64.0.${n}`));

function anyState(addresses: number): fc.Arbitrary<ServiceState> {
  const present = fc.record({
    present: fc.constant(true as const),
    key: anyKey(addresses),
    blocked: fc.boolean(),
    redirect: fc.boolean(),
    ownDisabled: fc.boolean(),
    authorised: fc.boolean(),
    rate: fc.constantFrom(unlimited, slow, fast),
    services: fc.subarray(['radio', 'tv', 'voip']),
  });
  return fc.oneof({ weight: 5, arbitrary: present }, { weight: 1, arbitrary: fc.constant(absent) });
}

/** What becomes of one command: whether the NAS does it, and what we hear of it. */
interface Fate {
  readonly isDone: boolean;
  readonly end: CommandEnd;
}

const fates: readonly Fate[] = [
  { isDone: true, end: maybe },
  { isDone: false, end: maybe },
  { isDone: false, end: never },
  { isDone: false, end: { outcome: 'refused' } },
  // The first of its steps was carried out, the second refused.
  { isDone: true, end: { outcome: 'refused' } },
  { isDone: false, end: { outcome: 'later' } },
  { isDone: true, end: { outcome: 'later' } },
  { isDone: false, end: { outcome: 'unsayable' } },
];

type Happening =
  | { readonly what: 'desire'; readonly state: ServiceState }
  /** After `at` commands comes a failure, or with `crash` the end of the server, which remembers what it committed. */
  | { readonly what: 'run'; readonly at: number; readonly fate: Fate; readonly crash: boolean }
  | { readonly what: 'wiped' }
  | { readonly what: 'doubted' };

function happenings(addresses: number): fc.Arbitrary<readonly Happening[]> {
  return fc.array(
    fc.oneof(
      { weight: 4, arbitrary: fc.record({ what: fc.constant('desire' as const), state: anyState(addresses) }) },
      {
        weight: 6,
        arbitrary: fc.record({
          what: fc.constant('run' as const),
          at: fc.integer({ min: 0, max: 12 }),
          fate: fc.constantFrom(...fates),
          crash: fc.boolean(),
        }),
      },
      { weight: 1, arbitrary: fc.constantFrom<Happening>({ what: 'wiped' }, { what: 'doubted' }) },
    ),
    { minLength: 1, maxLength: 40 },
  );
}

/** Carries out a plan until it fails. @returns what is known afterwards */
function attempt(
  nas: ModelNas | ModelSession,
  plan: CommandPlan,
  { at, fate, crash }: Extract<Happening, { what: 'run' }>,
): KnownService {
  const ends: CommandEnd[] = [];
  for (const [index, command] of plan.commands.entries()) {
    const isDone = index < at || fate.isDone;
    if (isDone) nas.do(command);
    ends.push(index < at ? applied : fate.end);
    if (index === at) break;
  }
  return crash ? plan.tried : afterRun(plan, ends);
}

/** Whether everything that the NAS has may hold, for all we know. @returns what contradicts it */
function contradiction(nas: ModelNas, known: KnownService): string | undefined {
  const possible = mayHold(known).filter((state) => state.present);
  if (isCertainlyAbsent(known) && nas.entries.size > 0) return 'there is something where nothing can be';
  for (const [at, entry] of nas.entries) {
    const states = possible.filter((state) => keyText(state.key) === at);
    if (states.length === 0) return `nobody knows of ${at}`;
    for (const service of entry.services)
      if (!states.some((state) => state.services.includes(service))) return `nobody knows of ${service} at ${at}`;
    if (known.applied === null || mayHold(known).some((state) => !state.present) || states.length < possible.length)
      continue;
    for (const name of ['blocked', 'redirect', 'ownDisabled', 'authorised'] as const)
      if (!states.some((state) => state[name] === entry[name])) return `${name} cannot be ${String(entry[name])}`;
    if (!states.some((state) => state.rate.downBps === entry.rate.downBps)) return 'it cannot be that fast';
  }
  return undefined;
}

/** Runs without failures until nothing is to be done. */
function settle(
  kind: PlaceKind,
  nas: ModelNas | ModelSession,
  from: KnownService,
  desired: ServiceState,
): KnownService {
  let known = from;
  for (let round = 0; round < 3; round++) {
    const plan = planRun(kind, known, desired);
    if (plan.commands.length === 0) return known;
    for (const command of plan.commands) nas.do(command);
    known = afterRun(
      plan,
      plan.commands.map(() => applied),
    );
  }
  throw new Error('it never comes to rest');
}

for (const addresses of [2, 40])
  t.test(`a NAS that fails at random becomes what is desired, ${String(addresses)} addresses`, async (test) => {
    let commands = 0;
    fc.assert(
      fc.property(happenings(addresses), fc.boolean(), (all, additionOpens) => {
        const nas = new ModelNas(additionOpens);
        let known = proven(absent);
        let desired: ServiceState = absent;
        for (const happening of all) {
          if (happening.what === 'desire') desired = happening.state;
          else if (happening.what === 'wiped' || happening.what === 'doubted') {
            if (happening.what === 'wiped') nas.wipe();
            known = forgotten(known);
          } else {
            const plan = planRun('provisioned', known, desired);
            commands += plan.commands.length;
            known = attempt(nas, plan, happening);
          }
          const wrong = contradiction(nas, known);
          if (wrong !== undefined) throw new Error(wrong);
          if (known.attempted.length > MAX_ATTEMPTED) throw new Error('too much is remembered');
        }
        settle('provisioned', nas, known, desired);
        const wrong = nas.differencesFrom(desired);
        if (wrong.length > 0) throw new Error(wrong.join('; '));
      }),
      { numRuns: 1_500 },
    );
    test.ok(commands > 10_000, `${String(commands)} commands were tried`);
  });

t.test('a NAS that acknowledges nothing, address after address: all are removed in the end', async (test) => {
  const nas = new ModelNas(true);
  let known = proven(absent);
  let clearedFirst = 0;
  for (let i = 1; i <= 40; i++) {
    const plan = planRun('provisioned', known, with_({ key: key(`100.64.0.${String(i)}`) }));
    if (!plan.aim.present) clearedFirst++;
    // Only the last answer is lost, so that every address that is reached is added.
    known = attempt(nas, plan, { what: 'run', at: plan.commands.length - 1, fate: fates[0]!, crash: true });
    test.ok(known.attempted.length <= MAX_ATTEMPTED);
    const keys = new Set(mayHold(known).flatMap((state) => (state.present ? [keyText(state.key)] : [])));
    for (const at of nas.entries.keys()) test.ok(keys.has(at), 'it is known of');
    test.ok(keys.size <= MAX_OTHER_KEYS + 1, 'and the list does not grow for ever');
  }
  test.ok(clearedFirst > 0, 'too many are cleared away before the next is added');
  known = settle('provisioned', nas, known, absent);
  test.same(nas.differencesFrom(absent), []);
  test.same(known, proven(absent));
});

t.test('a session that fails at random becomes what is desired, or is over', async (test) => {
  let over = 0;
  fc.assert(
    fc.property(anyState(1), happenings(1), (born, all) => {
      fc.pre(born.present);
      if (!born.present) return;
      const start = { ...born, authorised: true, services: [] };
      const nas = new ModelSession(start);
      let known = proven(start);
      let desired: ServiceState = start;
      for (const happening of all) {
        if (happening.what === 'desire')
          desired = happening.state.present ? { ...happening.state, authorised: true } : happening.state;
        else if (happening.what === 'run') known = attempt(nas, planRun('session', known, desired), happening);
        if (isCertainlyAbsent(known) && nas.entry !== undefined) throw new Error('it is believed to be over');
      }
      settle('session', nas, known, desired);
      const wrong = nas.differencesFrom(desired);
      if (wrong.length > 0) throw new Error(wrong.join('; '));
      if (nas.entry === undefined) over++;
    }),
    { numRuns: 1_500 },
  );
  test.ok(over > 100, 'some ended');
});
