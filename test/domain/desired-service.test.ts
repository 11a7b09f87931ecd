// What a place should be (DESIGN §6, §8): by flags, dates, services, sessions and places; and that a session is told what an Access-Request would be
// answered.

import fc from 'fast-check';
import t from 'tap';
import { decideAccess, type ProfileAnswers } from '../../src/domain/access.js';
import { shownState } from '../../src/domain/accepted-service.js';
import type {
  DesiredService,
  EnforcementPlace,
  EnforcementSubject,
  PlaceSession,
} from '../../src/domain/desired-service.js';
import { nothingKnown } from '../../src/domain/known-service.js';
import { planCommands } from '../../src/domain/plan-commands.js';
import { policyHash } from '../../src/domain/policy-hash.js';
import type { Account } from '../../src/domain/subscriber.js';
import {
  desire,
  entry,
  fields,
  gardens,
  home,
  HOUR,
  NOW,
  online,
  place,
  subject,
} from '../support/enforced-subject.js';

/** `blocked redirect`, or `absent`. */
function shape({ state }: DesiredService): string {
  if (!state.present) return 'absent';
  const on = (['blocked', 'redirect', 'ownDisabled', 'authorised'] as const).filter((name) => state[name]);
  return on.join(' ') || 'closed out';
}

t.test('a provisioned entry', async (test) => {
  const rows: readonly [string, EnforcementSubject, EnforcementPlace, string, string][] = [
    ['nobody logged in', subject(), entry(), 'closed out', 'served'],
    ['let in by a portal', subject({}, { webLoggedAtMs: NOW - 1 }), entry(), 'authorised', 'served'],
    ['a session of RADIUS', subject(), entry({ session: online }), 'authorised', 'served'],
    ['deleted', subject({ deleted: true }), entry(), 'absent', 'deleted'],
    ['administrative block', subject({ adminBlocked: true }), entry(), 'blocked', 'limited'],
    ['of the account', subject({}, { account: { adminBlocked: true } }), entry(), 'blocked', 'limited'],
    ['no money', subject({ redirect: true }), entry(), 'redirect', 'limited'],
    ['own wish', subject({ ownDisabled: true }), entry(), 'ownDisabled', 'limited'],
    [
      'flags stay independent',
      subject({ adminBlocked: true, redirect: true, ownDisabled: true }),
      entry(),
      'blocked redirect ownDisabled',
      'limited',
    ],
    ['no plan', subject({}, { plan: undefined }), entry(), 'blocked', 'limited'],
    ['a plan that is switched off', subject({}, { plan: { ...home, active: false } }), entry(), 'blocked', 'limited'],
    ['a plan that is over', subject({}, { plan: { ...home, validUntilMs: NOW } }), entry(), 'blocked', 'limited'],
    ['a plan to come', subject({}, { plan: { ...home, validFromMs: NOW + 1 } }), entry(), 'blocked', 'limited'],
    [
      'money goes before the plan, as in an Accept',
      subject({ redirect: true }, { plan: undefined }),
      entry(),
      'redirect',
      'limited',
    ],
    ['of another NAS', subject({ nasName: 'bras2' }), entry({ belongs: false }), 'absent', 'elsewhere'],
    ['without an address', subject({ staticAddress: undefined }), entry(), 'absent', 'no-address'],
    [
      'without one where the profile does not ask for it',
      subject({ staticAddress: undefined }),
      entry({ needsAddress: false }),
      'closed out',
      'served',
    ],
    [
      'an address from a lease',
      subject({ staticAddress: undefined }),
      entry({ session: online }),
      'authorised',
      'served',
    ],
    [
      'a further lease of the line',
      subject({ staticAddress: undefined }),
      entry({ session: online, isFurther: true }),
      'authorised',
      'served',
    ],
    [
      'limits hold for every lease',
      subject({ staticAddress: undefined, redirect: true }),
      entry({ session: online, isFurther: true }),
      'redirect authorised',
      'limited',
    ],
    [
      'a further lease that is over',
      subject({ staticAddress: undefined, nasName: 'bras1' }),
      entry({ isFurther: true, belongs: false }),
      'absent',
      'no-further-entry',
    ],
    [
      'a further lease, since when the address is static',
      subject(),
      entry({ session: online, isFurther: true }),
      'absent',
      'no-further-entry',
    ],
    [
      'a further lease on a NAS that finds entries by login',
      subject({ staticAddress: undefined }),
      entry({ session: online, isFurther: true, needsAddress: false }),
      'absent',
      'no-further-entry',
    ],
    [
      'asked to disconnect',
      subject({}, { disconnectBeforeMs: NOW - 1 }),
      entry({ session: online }),
      'closed out',
      'served',
    ],
    [
      'asked before this session began',
      subject({}, { disconnectBeforeMs: online.startedAtMs }),
      entry({ session: online }),
      'authorised',
      'served',
    ],
    [
      'the profile rejects the blocked, and an entry can still be blocked',
      subject({ adminBlocked: true }),
      entry({ session: online }),
      'blocked authorised',
      'limited',
    ],
  ];
  for (const [why, who, where, state, because] of rows) {
    const desired = desire(who, where);
    test.equal(shape(desired), state, why);
    test.equal(desired.because.kind, because, why);
  }
});

t.test('a session', async (test) => {
  const rows: readonly [string, EnforcementSubject, EnforcementPlace, string, string][] = [
    ['served', subject(), place(), 'authorised', 'served'],
    ['in the garden', subject({ redirect: true }), place(), 'redirect authorised', 'limited'],
    ['own wish', subject({ ownDisabled: true }), place(), 'ownDisabled authorised', 'limited'],
    ['blocked, where the profile rejects the blocked', subject({ adminBlocked: true }), place(), 'absent', 'rejected'],
    [
      'blocked, where it has a page for them',
      subject({ adminBlocked: true }),
      place({ answers: { ...gardens, admin_blocked: { answer: 'accept' } } }),
      'blocked authorised',
      'limited',
    ],
    [
      'the state that holds counts: the own wish has a page, money alone would be rejected',
      subject({ ownDisabled: true, redirect: true }),
      place({ answers: { ...gardens, redirect: { answer: 'reject' } } }),
      'ownDisabled authorised',
      'limited',
    ],
    ['no plan: no request would be accepted', subject({}, { plan: undefined }), place(), 'absent', 'rejected'],
    [
      'no plan and no money: the garden',
      subject({ redirect: true }, { plan: undefined }),
      place(),
      'redirect authorised',
      'limited',
    ],
    ['deleted', subject({ deleted: true }), place(), 'absent', 'deleted'],
    ['bound to another NAS', subject({ nasName: 'bras2' }), place(), 'absent', 'elsewhere'],
    ['bound to this one', subject({ nasName: 'bras1' }), place(), 'authorised', 'served'],
    ['asked to disconnect', subject({}, { disconnectBeforeMs: NOW - 1 }), place(), 'absent', 'disconnect-asked'],
    ['asked before it began', subject({}, { disconnectBeforeMs: NOW - HOUR }), place(), 'authorised', 'served'],
    ['under an old login', subject({}, { keyChangedAtMs: NOW - 1 }), place(), 'absent', 'key-changed'],
    ['begun under the new one', subject({}, { keyChangedAtMs: NOW - HOUR }), place(), 'authorised', 'served'],
    [
      'a lock out counts as one, whatever else there is',
      subject({ adminBlocked: true }, { disconnectBeforeMs: NOW, keyChangedAtMs: NOW }),
      place(),
      'absent',
      'rejected',
    ],
  ];
  for (const [why, who, where, state, because] of rows) {
    const desired = desire(who, where);
    test.equal(shape(desired), state, why);
    test.equal(desired.because.kind, because, why);
  }
});

t.test(
  'a session and its IPv6 prefixes: a garden for IPv4 is entered without them, and left for them',
  async (test) => {
    const active = { answer: 'accept', prefixes: true } as const;
    const garden = { ...gardens, active, redirect: { answer: 'accept' as const } };
    const covered = { ...gardens, active, redirect: { answer: 'accept' as const, prefixes: true } };
    const plan = { ...home, delegatedPoolId: 9 };
    const of = (state: string) => policyHash(state, home.rateDownBps, home.rateUpBps);
    const has = { delegatedPrefix: '2001:db8:100::/56' };
    const served = subject({}, { plan });
    const poor = subject({ redirect: true }, { plan });
    const rows: readonly [string, EnforcementSubject, ProfileAnswers, Partial<PlaceSession>, string][] = [
      ['served with them', served, garden, { policyHash: of('active'), ...has }, 'served'],
      ['has not asked for them yet', served, garden, { policyHash: of('active') }, 'served'],
      ['no money any more', poor, garden, { policyHash: of('active'), ...has }, 'prefixes'],
      ['no money any more, and may ask for them yet', poor, garden, { policyHash: of('active') }, 'prefixes'],
      ['came back into the garden', poor, garden, { policyHash: of('redirect') }, 'limited'],
      ['has paid', served, garden, { policyHash: of('redirect') }, 'prefixes'],
      ['a garden that covers IPv6', poor, covered, { policyHash: of('active'), ...has }, 'limited'],
      ['out of it', served, covered, { policyHash: of('redirect'), ...has }, 'served'],
      ['without a Class: has one too much', poor, garden, has, 'prefixes'],
      ['without a Class: nobody can tell what it lacks', served, garden, {}, 'served'],
      [
        'nothing of IPv6 in the plan',
        subject({ redirect: true }),
        garden,
        { policyHash: of('active'), ...has },
        'limited',
      ],
      [
        'a static prefix',
        subject({ redirect: true }, { staticPrefixes: { framed: '2001:db8:f::/64', delegated: undefined } }),
        garden,
        { policyHash: of('active') },
        'prefixes',
      ],
    ];
    for (const [why, who, answers, session, because] of rows) {
      const desired = desire(who, place({ answers, session: { ...online, ...session } }));
      test.equal(desired.because.kind, because, why);
      test.equal(desired.state.present, because !== 'prefixes', why);
    }
  },
);

t.test(
  'prefixes in the key of an entry: where something is found by them, and never because a session comes or goes',
  async (test) => {
    const session = { ...online, framedPrefix: '2001:db8:0:1::/64', delegatedPrefix: '2001:db8:100::/56' };
    const keyOf = (who: EnforcementSubject, where: EnforcementPlace) => {
      const { state } = desire(who, where);
      return state.present ? [state.key.framedPrefix, state.key.delegatedPrefix] : undefined;
    };
    const dynamic = subject({ staticAddress: undefined });
    const deaf = { rate: true, services: true, prefixes: false };
    const own = subject({}, { staticPrefixes: { framed: undefined, delegated: '2001:db8:f00::/48' } });
    test.same(keyOf(dynamic, entry({ session })), [session.framedPrefix, session.delegatedPrefix]);
    test.same(keyOf(dynamic, entry({ session, words: deaf })), [null, null]);
    test.same(keyOf(subject(), entry({ session })), [null, null]);
    test.same(keyOf(own, entry({ session })), [null, '2001:db8:f00::/48']);
    test.same(keyOf(own, entry()), [null, '2001:db8:f00::/48']);
  },
);

t.test('a session and the pool of its address', async (test) => {
  const guests = { ...gardens, redirect: { answer: 'accept' as const, pool: 'guests' } };
  const nasGuests = { ...gardens, redirect: { answer: 'accept' as const, pool: 'pool-of-the-nas' } };
  const of = (state: string) => policyHash(state, home.rateDownBps, home.rateUpBps);
  const poor = subject({ redirect: true });
  const rows: readonly [string, EnforcementSubject, ProfileAnswers, Partial<PlaceSession>, string][] = [
    ['a guest who has paid leaves the guest pool', subject(), guests, { poolName: 'guests' }, 'other-pool'],
    ['a guest stays while he is one', poor, guests, { poolName: 'guests' }, 'limited'],
    ['who becomes one needs a guest’s address', poor, guests, { poolName: 'main' }, 'other-pool'],
    ['also from a static one', poor, guests, { poolName: null }, 'other-pool'],
    ['without an address nobody can tell', poor, guests, { address: null }, 'limited'],
    ['nor in a pool of the NAS', poor, nasGuests, { poolName: null }, 'limited'],
    ['an Accept into a pool of the NAS is known', subject(), nasGuests, { policyHash: of('redirect') }, 'other-pool'],
    ['and one from before it', poor, nasGuests, { policyHash: of('active') }, 'other-pool'],
    [
      'what the Accept said counts more than the address: asked again, it would say the same',
      poor,
      guests,
      { policyHash: of('redirect'), poolName: 'main' },
      'limited',
    ],
    ['an ordinary pool is nobody’s garden', subject({}, { poolName: 'main' }), guests, { poolName: 'main' }, 'served'],
    [
      'a plan whose own pool is the guests’',
      subject({}, { poolName: 'guests' }),
      guests,
      { poolName: 'guests' },
      'served',
    ],
    ['a Class of an old rate says nothing', subject(), guests, { policyHash: 1, poolName: 'guests' }, 'other-pool'],
  ];
  for (const [why, who, answers, session, because] of rows) {
    const desired = desire(who, place({ answers, session: { ...online, ...session } }));
    test.equal(desired.because.kind, because, why);
    test.equal(desired.state.present, because !== 'other-pool', why);
  }
  test.same(desire(subject(), place({ answers: guests, session: { ...online, poolName: 'guests' } })).because, {
    kind: 'other-pool',
    from: 'guests',
    to: null,
    state: 'active',
  });
});

t.test('what it is found by', async (test) => {
  const keyOf = (desired: DesiredService) => desired.data?.key;
  test.same(
    keyOf(desire(subject({ login: 'alice-2', mac: '02:00:00:00:00:09' }), place())),
    { login: 'alice@isp', mac: '02:00:00:00:00:01', address: '100.64.0.1', framedPrefix: null, delegatedPrefix: null },
    'a session: what its NAS told',
  );
  test.same(
    keyOf(desire(subject({ mac: '02:00:00:00:00:09' }), entry({ session: { ...online, address: '100.64.9.9' } }))),
    { login: 'alice', mac: '02:00:00:00:00:09', address: '100.64.0.1', framedPrefix: null, delegatedPrefix: null },
    'an entry: what the subscriber has',
  );
  test.equal(keyOf(desire(subject(), entry({ session: online })))?.mac, null, 'a static address stands for itself');
  test.same(
    keyOf(
      desire(
        subject({ staticAddress: undefined }),
        entry({ session: { ...online, delegatedPrefix: '2001:db8::/56' } }),
      ),
    ),
    {
      login: 'alice',
      mac: '02:00:00:00:00:01',
      address: '100.64.0.1',
      framedPrefix: null,
      delegatedPrefix: '2001:db8::/56',
    },
    'what a lease gave',
  );
  test.equal(desire(subject({ deleted: true }), entry()).data?.key.address, '100.64.0.1', 'also of the deleted');
  test.equal(desire(subject({ staticAddress: undefined }), entry()).data, null, 'nothing that could be said');
});

t.test('rate, and the states in which there is none', async (test) => {
  const rateOf = (desired: DesiredService) => desired.data?.rate;
  const turbo = { rateDownBps: 100e6, rateUpBps: undefined, untilMs: NOW + HOUR };
  test.same(rateOf(desire(subject(), place())), { downBps: 50e6, upBps: 10e6 });
  test.same(rateOf(desire(subject({}, { turbo }), place())), { downBps: 100e6, upBps: 10e6 });
  test.same(rateOf(desire(subject({}, { plan: { ...home, rateUpBps: undefined } }), place())), {
    downBps: 50e6,
    upBps: null,
  });
  const answers = { ...gardens, redirect: { answer: 'accept' as const, rated: false } };
  test.same(rateOf(desire(subject({ redirect: true }), place({ answers }))), { downBps: null, upBps: null });
  test.same(
    rateOf(desire(subject({ redirect: true }), entry({ answers }))),
    { downBps: 50e6, upBps: 10e6 },
    'an entry keeps its own',
  );
});

t.test('what a profile has no word for, is not desired there', async (test) => {
  const services = [{ name: 'tv', startsAtMs: null, endsAtMs: null }];
  const wordless = { rate: false, services: false };
  for (const where of [place({ words: wordless }), entry({ words: wordless })]) {
    const desired = desire(subject({}, { services }), where);
    test.match(desired.data, { rate: { downBps: null, upBps: null }, services: [] }, where.kind);
    test.match(desired.planOptions.says, { rate: false, services: false });
  }
  test.same(desire(subject(), place()).planOptions.says, {
    blocked: false,
    ownDisabled: true,
    redirect: true,
    rate: true,
    services: true,
    ends: true,
  });
  test.equal(
    desire(subject(), entry()).planOptions.says?.blocked,
    true,
    'an entry can be blocked, whatever is answered',
  );
  const { known, state } = { known: nothingKnown, state: desire(subject(), place()).state };
  test.same(
    planCommands('session', known, state, desire(subject(), place()).planOptions).map((command) => command.name),
    ['own_disabled_cancel', 'user_redirect_cancel', 'user_rate_set'],
    'a session is never let out of a state that it cannot be in',
  );
});

t.test('services by their dates', async (test) => {
  const services = [
    { name: 'voip', startsAtMs: null, endsAtMs: NOW },
    { name: 'tv', startsAtMs: NOW, endsAtMs: NOW + HOUR },
    { name: 'tv', startsAtMs: null, endsAtMs: null },
    { name: 'radio', startsAtMs: NOW + 2 * HOUR, endsAtMs: null },
    { name: 'alarm', startsAtMs: null, endsAtMs: null },
  ];
  const desired = desire(subject({}, { services }), entry());
  test.same(desired.data?.services, ['alarm', 'tv'], 'sorted, each once');
  test.equal(desired.recheckAtMs, NOW + HOUR);
});

t.test('when time alone changes something', async (test) => {
  const night = {
    id: 1,
    weekdays: [1, 2, 3, 4, 5, 6, 7],
    fromMinute: 22 * 60,
    untilMinute: 6 * 60,
    rateDownBps: 1,
    rateUpBps: 1,
  };
  const windows = { ...home, rateWindows: [night] };
  const rows: readonly [string, EnforcementSubject, number | null][] = [
    ['nothing', subject(), null],
    ['the plan begins', subject({}, { plan: { ...home, validFromMs: NOW + 1 } }), NOW + 1],
    ['the plan ends', subject({}, { plan: { ...home, validFromMs: NOW - 1, validUntilMs: NOW + 9 } }), NOW + 9],
    ['the night begins', subject({}, { plan: windows }), Date.UTC(2026, 10, 21, 22)],
    [
      'turbo ends before',
      subject({}, { plan: windows, turbo: { rateDownBps: 1, rateUpBps: undefined, untilMs: NOW + 5 } }),
      NOW + 5,
    ],
    ['it is over', subject({}, { plan: { ...home, validUntilMs: NOW } }), null],
    ['deleted', subject({ deleted: true }, { plan: windows }), null],
  ];
  for (const [why, who, atMs] of rows) test.equal(desire(who, entry()).recheckAtMs, atMs, why);
});

t.test('nothing changes before the instant that is told, and what changes is told', async (test) => {
  const instant = fc.integer({ min: -3 * HOUR, max: 30 * HOUR }).map((ms) => NOW + Math.round(ms / 60_000) * 60_000);
  const orNull = fc.option(instant, { nil: null });
  let changed = 0;
  fc.assert(
    fc.property(
      fc.option(instant, { nil: undefined }),
      fc.option(instant, { nil: undefined }),
      fc.array(fc.record({ name: fc.constantFrom('a', 'b'), startsAtMs: orNull, endsAtMs: orNull }), { maxLength: 3 }),
      fc.option(instant, { nil: undefined }),
      fc.integer({ min: 1, max: 1_439 }),
      (validFromMs, validUntilMs, services, untilMs, fromMinute) => {
        const window = { id: 1, weekdays: [6, 7], fromMinute, untilMinute: 1_440, rateDownBps: 1, rateUpBps: 1 };
        const who = subject(
          {},
          {
            plan: { ...home, validFromMs, validUntilMs, rateWindows: [window] },
            services,
            turbo: { rateDownBps: 99, rateUpBps: undefined, untilMs },
          },
        );
        const now = desire(who, entry());
        const endMs = Math.min(now.recheckAtMs ?? Infinity, NOW + 24 * HOUR);
        for (let atMs = NOW; atMs < endMs; atMs += 60_000)
          if (JSON.stringify(desire(who, entry(), atMs).state) !== JSON.stringify(now.state)) return false;
        if (now.recheckAtMs !== null) changed++;
        return now.recheckAtMs === null || now.recheckAtMs > NOW;
      },
    ),
    { numRuns: 60 },
  );
  test.ok(changed > 20);
});

t.test('a session is told what an Access-Request would be answered', async (test) => {
  const answer = fc.constantFrom({ answer: 'accept' as const }, { answer: 'reject' as const });
  let accepted = 0;
  fc.assert(
    fc.property(
      fc.record({
        deleted: fc.boolean(),
        redirect: fc.boolean(),
        ownDisabled: fc.boolean(),
        adminBlocked: fc.boolean(),
        nasName: fc.constantFrom(undefined, 'bras1', 'bras2'),
      }),
      fc.boolean(),
      fc.option(fc.record({ active: fc.boolean(), validUntilMs: fc.constantFrom(undefined, NOW, NOW + 1) }), {
        nil: undefined,
      }),
      fc.record({ redirect: answer, own_disabled: answer, admin_blocked: answer }),
      (flags, accountBlocked, dates, answers) => {
        const plan = dates && { ...home, ...dates };
        const account: Account = { id: 1, contract: 'C-1', planId: 1, adminBlocked: accountBlocked };
        const profile: ProfileAnswers = { ...gardens, ...answers };
        const decision = decideAccess({
          identity: { found: 'one', subscriber: { ...fields, ...flags }, account, plan },
          password: 'verified',
          answers: profile,
          requester: {
            nasName: 'bras1',
            nasBox: 'bras1',
            routingDomain: 'default',
            mac: undefined,
            nasPortId: undefined,
            callingStation: undefined,
            callingAddress: undefined,
          },
          sessions: [],
          offers: [],
          staticHolders: [],
          poolById: () => undefined,
          poolByName: () => undefined,
          nowMs: NOW,
        });
        const desired = desire(subject(flags, { account, plan }), place({ answers: profile }));
        if (decision.answer === 'reject') return !desired.state.present;
        accepted++;
        return desired.state.present && shownState(desired.state) === decision.state;
      },
    ),
    { numRuns: 2_000 },
  );
  test.ok(accepted > 200);
});

t.test('a disconnect that somebody asked for is told from an end that nobody did', async (test) => {
  const asked = { disconnectBeforeMs: NOW - 60_000 };
  const rows: readonly [string, EnforcementSubject, EnforcementPlace, boolean][] = [
    ['a session', subject({}, asked), place(), true],
    ['an entry with an old session', subject({}, asked), entry({ session: online }), true],
    ['an entry that a portal had opened', subject({}, asked), entry(), true],
    ['an entry whose session ended by itself', subject(), entry(), false],
    ['long ago', subject({}, { disconnectBeforeMs: NOW - 48 * HOUR }), entry(), false],
    ['let in again since', subject({}, { ...asked, webLoggedAtMs: NOW }), entry(), false],
    ['rejected anyway', subject({ adminBlocked: true }, asked), place(), false],
  ];
  for (const [why, who, where, expected] of rows) test.equal(desire(who, where).disconnectAsked, expected, why);
});
