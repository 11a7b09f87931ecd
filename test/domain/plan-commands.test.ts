// Which commands make a place what it should be: the table of DESIGN §8, every pair of states against a model of a NAS, and what is known of a place once
// commands were tried.

import t from 'tap';
import {
  afterCommand,
  forgotten,
  MAX_ATTEMPTED,
  nothingKnown,
  sameKey,
  withAttempt,
  type CommandEnd,
} from '../../src/domain/known-service.js';
import { afterRun, planCommands, planRun } from '../../src/domain/plan-commands.js';
import {
  absent,
  commandNames,
  type KnownService,
  type PlaceKind,
  type PlannedCommand,
  type PresentService,
  type ServiceKey,
  type ServiceState,
} from '../../src/domain/service-state.js';
import { ModelNas, ModelSession } from '../support/model-nas.js';
import {
  alice,
  applied,
  fast,
  here,
  key,
  maybe,
  never,
  proven,
  slow,
  there,
  unlimited,
  with_,
} from '../support/service-states.js';

/** `user_del 100.64.0.1`, `usluga_activated tv`. */
const words = (commands: readonly PlannedCommand[]) =>
  commands.map(({ name, data, service }) =>
    name === 'user_del' || name === 'user_add' ? `${name} ${data.key.address!}` : service ? `${name} ${service}` : name,
  );

type Row = readonly [why: string, known: KnownService, desired: ServiceState, commands: readonly string[]];

const tv = with_({ services: ['tv'] });
const both = with_({ services: ['tv', 'voip'] });

const provisionedRows: readonly Row[] = [
  ['nothing to do', proven(alice), alice, []],
  ['a flag set: administrative block', proven(alice), with_({ blocked: true }), ['user_drop']],
  ['and cleared', proven(with_({ blocked: true })), alice, ['user_accept']],
  ['money', proven(alice), with_({ redirect: true }), ['user_redirect']],
  ['paid', proven(with_({ redirect: true })), alice, ['user_redirect_cancel']],
  ['voluntary block', proven(alice), with_({ ownDisabled: true }), ['own_disabled']],
  [
    'voluntary block while blocked for money',
    proven(with_({ redirect: true })),
    with_({ redirect: true, ownDisabled: true }),
    ['own_disabled'],
  ],
  ['lifted', proven(with_({ ownDisabled: true })), alice, ['own_disabled_cancel']],
  ['let in by a portal', proven(alice), with_({ authorised: true }), ['user_auth']],
  ['disconnected', proven(with_({ authorised: true })), alice, ['user_disconnect']],
  ['slower', proven(alice), with_({ rate: slow }), ['user_rate_set']],
  ['one direction only', proven(alice), with_({ rate: { ...fast, upBps: null } }), ['user_rate_set']],
  ['without limit', proven(alice), with_({ rate: unlimited }), ['user_rate_set_cancel']],
  ['services, one event each', proven(alice), both, ['usluga_activated tv', 'usluga_activated voip']],
  ['one of them ends', proven(both), tv, ['usluga_deactivated voip']],
  [
    'everything at once, in order',
    proven(with_({ services: ['tv'], redirect: true, rate: slow, authorised: true })),
    with_({ services: ['voip'], blocked: true, ownDisabled: true, rate: fast }),
    [
      'usluga_deactivated tv',
      'user_drop',
      'own_disabled',
      'user_disconnect',
      'user_redirect_cancel',
      'user_rate_set',
      'usluga_activated voip',
    ],
  ],
  ['created', proven(absent), alice, ['user_add 100.64.0.1', 'user_accept', 'user_rate_set']],
  [
    'restored with its whole state',
    proven(absent),
    with_({ redirect: true, authorised: true, services: ['tv'], rate: unlimited }),
    ['user_add 100.64.0.1', 'user_redirect', 'user_accept', 'user_auth', 'usluga_activated tv'],
  ],
  [
    'created blocked: never opened',
    proven(absent),
    with_({ blocked: true, rate: unlimited }),
    ['user_add 100.64.0.1', 'user_drop'],
  ],
  [
    'deleted: each service, then the entry',
    proven(both),
    absent,
    ['usluga_deactivated tv', 'usluga_deactivated voip', 'user_del 100.64.0.1'],
  ],
  ['deleted and proven so', proven(absent), absent, []],
  [
    'another address: the old entry, the new one, then all anew',
    proven(alice),
    with_({ key: there }),
    ['user_del 100.64.0.1', 'user_del 100.64.0.2', 'user_add 100.64.0.2', 'user_accept', 'user_rate_set'],
  ],
  [
    'another address, with a service and a block',
    proven(tv),
    with_({ key: there, services: ['tv'], redirect: true }),
    [
      'usluga_deactivated tv',
      'user_del 100.64.0.1',
      'user_del 100.64.0.2',
      'user_add 100.64.0.2',
      'user_redirect',
      'user_accept',
      'user_rate_set',
      'usluga_activated tv',
    ],
  ],
  [
    'another address tried before, and nobody knows how that ended',
    proven(alice, with_({ key: there })),
    with_({ key: key('100.64.0.3') }),
    [
      'user_del 100.64.0.1',
      'user_del 100.64.0.2',
      'user_del 100.64.0.3',
      'user_add 100.64.0.3',
      'user_accept',
      'user_rate_set',
    ],
  ],
  [
    'back to the old address after such an attempt',
    proven(alice, with_({ key: there })),
    alice,
    ['user_del 100.64.0.2', 'user_del 100.64.0.1', 'user_add 100.64.0.1', 'user_accept', 'user_rate_set'],
  ],
  [
    'deleted after such an attempt: both, since neither is proven gone',
    proven(alice, with_({ key: there })),
    absent,
    ['user_del 100.64.0.1', 'user_del 100.64.0.2'],
  ],
  [
    'nothing known: the whole state in so many words',
    nothingKnown,
    with_({ redirect: true, authorised: true }),
    ['user_add 100.64.0.1', 'user_redirect', 'user_accept', 'own_disabled_cancel', 'user_rate_set', 'user_auth'],
  ],
  [
    'nothing known, and nobody is let in',
    nothingKnown,
    with_({ rate: unlimited }),
    [
      'user_add 100.64.0.1',
      'user_disconnect',
      'user_accept',
      'own_disabled_cancel',
      'user_redirect_cancel',
      'user_rate_set_cancel',
    ],
  ],
  [
    'restored while the removal is not proven',
    proven(tv, absent),
    with_({ blocked: true }),
    [
      'usluga_deactivated tv',
      'user_add 100.64.0.1',
      'user_drop',
      'user_disconnect',
      'own_disabled_cancel',
      'user_redirect_cancel',
      'user_rate_set',
    ],
  ],
  ['a block that may have happened is taken back', proven(alice, with_({ blocked: true })), alice, ['user_accept']],
  ['nothing known and nobody to name', nothingKnown, absent, []],
];

t.test('at a provisioned place', async (test) => {
  for (const [why, known, desired, commands] of provisionedRows)
    test.same(words(planCommands('provisioned', known, desired)), commands, why);
});

t.test('removal names the data under which the entry may be', async (test) => {
  const renamed = with_({ key: key('100.64.0.1', 'alice-2') });
  const commands = planCommands('provisioned', proven(tv), renamed);
  test.same(
    commands.slice(0, 4).map(({ name, data }) => [name, data.key.login]),
    [
      ['usluga_deactivated', 'alice'],
      ['user_del', 'alice'],
      ['user_del', 'alice-2'],
      ['user_add', 'alice-2'],
    ],
  );
});

t.test('what nobody ever proved is removed under the data of the subscriber', async (test) => {
  test.same(words(planCommands('provisioned', nothingKnown, absent, { data: tv })), [
    'usluga_deactivated tv',
    'user_del 100.64.0.1',
  ]);
  test.same(planCommands('provisioned', nothingKnown, absent, { data: null }), [], 'no address: nothing can be said');
});

const online = with_({ authorised: true });

const sessionRows: readonly Row[] = [
  ['nothing to do', proven(online), online, []],
  ['blocked', proven(online), { ...online, blocked: true }, ['user_drop']],
  ['slower', proven(online), { ...online, rate: slow }, ['user_rate_set']],
  ['to end', proven(online), absent, ['user_disconnect']],
  ['over', proven(absent), online, []],
  ['over and to end', proven(absent), absent, []],
  ['a disconnect that may have missed, and now he may stay', proven(online, absent), online, []],
  ['another key is no change: its NAS knows what it told', proven(online), { ...online, key: there }, []],
  [
    'an Accept that was not ours',
    nothingKnown,
    { ...online, redirect: true },
    ['user_redirect', 'user_accept', 'own_disabled_cancel', 'user_rate_set'],
  ],
  [
    'services are switched on after the Accept',
    proven(online),
    { ...online, services: ['tv'] },
    ['usluga_activated tv'],
  ],
];

t.test('at a session', async (test) => {
  for (const [why, known, desired, commands] of sessionRows)
    test.same(words(planCommands('session', known, desired)), commands, why);
  test.same(
    words(planCommands('session', proven({ ...online, services: ['tv'] }), absent, { isDeleted: true })),
    ['usluga_deactivated tv', 'user_del 100.64.0.1'],
    'of a deleted subscriber',
  );
  test.same(words(planCommands('session', nothingKnown, absent, { data: online })), ['user_disconnect']);
});

t.test('without words for rate and services neither is said', async (test) => {
  const says = { blocked: true, ownDisabled: true, redirect: true, rate: false, services: false };
  const rows: readonly [PlaceKind, KnownService, ServiceState, readonly string[]][] = [
    ['session', proven(both), with_({ rate: slow, blocked: true }), ['user_drop']],
    ['session', nothingKnown, both, ['user_accept', 'own_disabled_cancel', 'user_redirect_cancel']],
    ['provisioned', proven(absent), both, ['user_add 100.64.0.1', 'user_accept']],
    ['provisioned', proven(both), absent, ['user_del 100.64.0.1']],
    ['provisioned', proven(tv), with_({ rate: slow }), []],
  ];
  for (const [kind, known, desired, commands] of rows)
    test.same(words(planCommands(kind, known, desired, { says })), commands);
});

// Every pair of states.

const flags = [false, true];
const rates = [unlimited, slow];
const serviceSets = [[], ['tv'], ['voip'], ['tv', 'voip']];

function* everyPresent(keys: readonly ServiceKey[]): Generator<PresentService> {
  for (const blocked of flags)
    for (const redirect of flags)
      for (const ownDisabled of flags)
        for (const authorised of flags)
          for (const rate of rates)
            for (const services of serviceSets)
              for (const one of keys)
                yield { present: true, key: one, blocked, redirect, ownDisabled, authorised, rate, services };
}

const RANK = new Map(commandNames.map((name, index) => [name, index]));

/** Names in the order of DESIGN §8; after an addition its blocks and redirects stand first. */
function isInOrder(commands: readonly PlannedCommand[]): boolean {
  const added = commands.findIndex((command) => command.name === 'user_add');
  const ordered = (some: readonly PlannedCommand[]) =>
    some.every((command, i) => i === 0 || RANK.get(some[i - 1]!.name)! <= RANK.get(command.name)!);
  // The order of DESIGN: blocks first, then disconnect, then removal.
  if (added < 0) return ordered(commands);
  return ordered(commands.slice(0, added + 1)) && ordered(commands.slice(added + 1));
}

function dimensionsThatDiffer(one: PresentService, other: PresentService): number {
  const services = new Set([...one.services, ...other.services]);
  for (const name of services) if (one.services.includes(name) === other.services.includes(name)) services.delete(name);
  return (
    Number(one.blocked !== other.blocked) +
    Number(one.redirect !== other.redirect) +
    Number(one.ownDisabled !== other.ownDisabled) +
    Number(one.authorised !== other.authorised) +
    Number(one.rate !== other.rate) +
    services.size
  );
}

t.test('from every state to every state at a provisioned place', async (test) => {
  const states: ServiceState[] = [absent, ...everyPresent([here, there])];
  const wrong: string[] = [];
  const note = (what: string, ...values: unknown[]) => {
    if (wrong.length < 5) wrong.push(`${what}: ${JSON.stringify(values)}`);
  };
  let pairs = 0;
  for (const from of states)
    for (const to of states) {
      pairs++;
      for (const known of [proven(from), forgotten(proven(from))]) {
        const plan = planRun('provisioned', known, to);
        const nas = new ModelNas(pairs % 2 === 0, from);
        for (const command of plan.commands) nas.do(command);
        if (nas.differencesFrom(to).length > 0) note('not as desired', from, to, nas.differencesFrom(to));
        if (!isInOrder(plan.commands)) note('out of order', from, to, words(plan.commands));
        const after = afterRun(
          plan,
          plan.commands.map(() => applied),
        );
        if (planCommands('provisioned', after, to).length > 0) note('planned twice', from, to);
        if (known.applied === null || !from.present || !to.present || !sameKey(from.key, to.key)) continue;
        if (plan.commands.length !== dimensionsThatDiffer(from, to)) note('too many', from, to, words(plan.commands));
      }
    }
  test.same(wrong, []);
  test.equal(pairs, (2 ** 4 * 2 * 4 * 2 + 1) ** 2);
});

t.test('from every state to every state at a session', async (test) => {
  const states = [...everyPresent([here])].filter((state) => state.authorised);
  const wrong: string[] = [];
  for (const from of states)
    for (const to of [absent, ...states])
      for (const known of [proven(from), nothingKnown, forgotten(proven(from))]) {
        // An Accept carries no services: of a session of which nothing is known, none is on.
        const nothingOn = known.applied === null && known.attempted.length === 0;
        const session = new ModelSession(nothingOn ? { ...from, services: [] } : from);
        const plan = planRun('session', known, to, { data: from });
        for (const command of plan.commands) session.do(command);
        const after = afterRun(
          plan,
          plan.commands.map(() => applied),
        );
        if (session.differencesFrom(to).length > 0) wrong.push(`not as desired: ${JSON.stringify([from, to])}`);
        if (!isInOrder(plan.commands)) wrong.push(`out of order: ${words(plan.commands).join()}`);
        if (planCommands('session', after, to).length > 0) wrong.push(`planned twice: ${JSON.stringify([from, to])}`);
        if (known.applied !== null && to.present && plan.commands.length !== dimensionsThatDiffer(from, to))
          wrong.push(`too many: ${words(plan.commands).join()}`);
      }
  test.same(wrong.slice(0, 5), []);
});

t.test('one dimension changes: one command', async (test) => {
  const flips: readonly Partial<PresentService>[] = [
    { blocked: true },
    { redirect: true },
    { ownDisabled: true },
    { authorised: true },
    { rate: slow },
    { services: ['tv'] },
  ];
  for (const flip of flips) {
    test.equal(planCommands('provisioned', proven(alice), with_(flip)).length, 1, JSON.stringify(flip));
    test.equal(planCommands('provisioned', proven(with_(flip)), alice).length, 1, `${JSON.stringify(flip)} back`);
  }
});

t.test('what is known after a run', async (test) => {
  const target = with_({ redirect: true, rate: slow });
  const plan = planRun('provisioned', proven(alice), target);
  test.same(plan.tried, proven(alice, target), 'committed before the first command');
  const rows: readonly [string, CommandEnd[], KnownService][] = [
    ['all applied', [applied, applied], proven(target)],
    ['nothing begun', [], proven(alice)],
    ['never reached: the attempt is taken back', [never], proven(alice)],
    ['cannot be said: nothing was sent', [{ outcome: 'unsayable' }], proven(alice)],
    ['lost on the way', [maybe], proven(alice, target)],
    ['refused, perhaps at its second step', [{ outcome: 'refused' }], proven(alice, target)],
    ['to be asked again later', [{ outcome: 'later' }], proven(alice, target)],
    ['what was applied before a failure is known', [applied, never], proven(with_({ redirect: true }))],
    ['and what may have been, may hold', [applied, maybe], proven(with_({ redirect: true }), target)],
  ];
  for (const [why, ends, known] of rows) test.same(afterRun(plan, ends), known, why);
  const again = planRun('provisioned', proven(with_({ redirect: true }), target), target);
  test.same(words(again.commands), ['user_rate_set'], 'only the rest is done again');
});

t.test('a removal that is proven takes its key away and no other', async (test) => {
  const known = proven(alice, with_({ key: there }));
  const [first, second] = planCommands('provisioned', known, absent);
  const one = afterCommand('provisioned', known, first!, applied);
  test.same(one, { applied: { state: absent, evidence: 'output' }, attempted: [with_({ key: there })] });
  test.same(afterCommand('provisioned', one, second!, applied), proven(absent));
});

t.test('the removal of an attempt alone leaves it open whether the first entry is there', async (test) => {
  const known = proven(alice, with_({ key: there }));
  const remove = planCommands('provisioned', known, alice)[0]!;
  test.equal(remove.data.key.address, there.address);
  test.same(afterCommand('provisioned', known, remove, applied), proven(alice, absent));
});

t.test('an attempt too many: nothing is believed, every key and service is kept', async (test) => {
  let known = proven(alice);
  for (let i = 0; i < MAX_ATTEMPTED; i++)
    known = withAttempt(known, with_({ rate: { downBps: i + 1, upBps: null }, key: i % 2 === 0 ? here : there }));
  test.equal(known.attempted.length, MAX_ATTEMPTED);
  test.not(known.applied, null);
  known = withAttempt(known, with_({ services: ['tv'] }));
  test.equal(known.applied, null);
  test.same(
    known.attempted.map((state) => (state.present ? [state.key.address, state.services] : [])),
    [
      [here.address, ['tv']],
      [there.address, []],
    ],
  );
});
