// What a subscriber's state means at Access-Request: every state against every answer that a profile may give, and the order
// in which reasons count.

import t from 'tap';
import {
  decideAccess,
  isOwnSession,
  requesterKey,
  type AccessInput,
  type AnswerState,
  type LineStanding,
  type LiveSession,
  type OutstandingOffer,
  type PasswordOutcome,
  type ProfileAnswers,
  type Requester,
} from '../../src/domain/access.js';
import { policyState, Subscriber, type Account, type Plan, type Pool } from '../../src/domain/subscriber.js';

const NOW_MS = Date.UTC(2026, 10, 21, 12);
const MAC = '00:11:22:33:44:55';
const OTHER_MAC = '66:77:88:99:aa:bb';

const plan: Plan = {
  id: 1,
  name: 'home',
  active: true,
  validFromMs: undefined,
  validUntilMs: undefined,
  rateDownBps: 50_000_000,
  rateUpBps: 10_000_000,
  poolId: 7,
  sessionLimit: 1,
  sessionLimitAction: 'reject',
};
const account: Account = { id: 1, contract: 'C-1', planId: 1, adminBlocked: false };
const pool: Pool = { id: 7, name: 'main', routingDomain: 'default' };
const guestPool: Pool = { id: 8, name: 'guests', routingDomain: 'default' };

function subscriber(fields: Partial<ConstructorParameters<typeof Subscriber>[0]> = {}): Subscriber {
  return new Subscriber({
    id: 1,
    accountId: 1,
    login: 'alice',
    password: 'secret',
    mac: MAC,
    staticAddress: undefined,
    poolId: undefined,
    nasName: undefined,
    associatePppoeMac: false,
    associateVpnIp: false,
    deleted: false,
    redirect: false,
    ownDisabled: false,
    adminBlocked: false,
    ...fields,
  });
}

const requester: Requester = {
  nasName: 'bras1',
  nasBox: '192.0.2.1',
  routingDomain: 'default',
  mac: MAC,
  nasPortId: 'eth0/1',
  callingStation: MAC,
  callingAddress: undefined,
};

const everywhere = (answer: 'accept' | 'reject'): ProfileAnswers => ({
  active: { answer: 'accept' },
  redirect: { answer },
  own_disabled: { answer },
  admin_blocked: { answer },
  unknown: { answer },
});

interface Case {
  readonly who?: Subscriber;
  readonly account?: Account | undefined;
  readonly plan?: Plan | undefined;
  readonly line?: LineStanding;
  readonly input?: Partial<AccessInput>;
}

function input(given: Case = {}): AccessInput {
  return {
    identity: {
      found: 'one',
      subscriber: given.who ?? subscriber(),
      account: 'account' in given ? given.account : account,
      plan: 'plan' in given ? given.plan : plan,
      line: given.line,
    },
    password: 'verified',
    answers: everywhere('reject'),
    requester,
    sessions: [],
    offers: [],
    staticHolders: [],
    poolById: (id) => [pool, guestPool].find((one) => one.id === id),
    poolByName: (name) => [pool, guestPool].find((one) => one.name === name),
    nowMs: NOW_MS,
    ...given.input,
  };
}

function session(fields: Partial<LiveSession> = {}): LiveSession {
  return {
    nasName: 'bras1',
    nasBox: '192.0.2.1',
    acctSessionId: 'a1',
    subscriberId: 1,
    slot: 0,
    mac: OTHER_MAC,
    nasPortId: 'eth0/2',
    address: undefined,
    routingDomain: 'default',
    startedAtMs: NOW_MS - 1_000,
    ...fields,
  };
}

function offer(fields: Partial<OutstandingOffer> = {}): OutstandingOffer {
  return {
    offerId: 1,
    slot: 0,
    requesterKey: OTHER_MAC,
    offeredAtMs: NOW_MS - 500,
    expiresAtMs: NOW_MS + 1_000,
    ...fields,
  };
}

t.test('states × what the profile answers', async (test) => {
  const states: readonly {
    readonly name: string;
    readonly given: Case;
    readonly whenAccepting: AnswerState | string;
    readonly whenRejecting: string;
  }[] = [
    { name: 'active', given: {}, whenAccepting: 'active', whenRejecting: 'active' },
    {
      name: 'redirect',
      given: { who: subscriber({ redirect: true }) },
      whenAccepting: 'redirect',
      whenRejecting: 'reject redirect',
    },
    {
      name: 'own_disabled',
      given: { who: subscriber({ ownDisabled: true }) },
      whenAccepting: 'own_disabled',
      whenRejecting: 'reject own-disabled',
    },
    {
      name: 'admin_blocked',
      given: { who: subscriber({ adminBlocked: true }) },
      whenAccepting: 'admin_blocked',
      whenRejecting: 'reject admin-blocked',
    },
    {
      name: 'account blocked',
      given: { account: { ...account, adminBlocked: true } },
      whenAccepting: 'admin_blocked',
      whenRejecting: 'reject admin-blocked',
    },
    {
      name: 'deleted',
      given: { who: subscriber({ deleted: true }) },
      whenAccepting: 'reject deleted',
      whenRejecting: 'reject deleted',
    },
    { name: 'no plan', given: { plan: undefined }, whenAccepting: 'reject no-plan', whenRejecting: 'reject no-plan' },
    {
      name: 'plan off',
      given: { plan: { ...plan, active: false } },
      whenAccepting: 'reject plan-inactive',
      whenRejecting: 'reject plan-inactive',
    },
    {
      name: 'plan not yet',
      given: { plan: { ...plan, validFromMs: NOW_MS + 1 } },
      whenAccepting: 'reject plan-inactive',
      whenRejecting: 'reject plan-inactive',
    },
    {
      name: 'plan begins now',
      given: { plan: { ...plan, validFromMs: NOW_MS } },
      whenAccepting: 'active',
      whenRejecting: 'active',
    },
    {
      name: 'plan over',
      given: { plan: { ...plan, validUntilMs: NOW_MS } },
      whenAccepting: 'reject plan-inactive',
      whenRejecting: 'reject plan-inactive',
    },
    {
      name: 'redirect without plan',
      given: { who: subscriber({ redirect: true, poolId: 7 }), plan: undefined },
      whenAccepting: 'redirect',
      whenRejecting: 'reject redirect',
    },
    {
      name: 'admin over own over money',
      given: { who: subscriber({ adminBlocked: true, ownDisabled: true, redirect: true }) },
      whenAccepting: 'admin_blocked',
      whenRejecting: 'reject admin-blocked',
    },
    {
      name: 'own over money',
      given: { who: subscriber({ ownDisabled: true, redirect: true }) },
      whenAccepting: 'own_disabled',
      whenRejecting: 'reject own-disabled',
    },
    {
      name: 'deleted over all',
      given: { who: subscriber({ deleted: true, adminBlocked: true, ownDisabled: true, redirect: true }) },
      whenAccepting: 'reject deleted',
      whenRejecting: 'reject deleted',
    },
  ];
  for (const { name, given, whenAccepting, whenRejecting } of states) {
    for (const [answer, expected] of [
      ['accept', whenAccepting],
      ['reject', whenRejecting],
    ] as const) {
      const decision = decideAccess(input({ ...given, input: { answers: everywhere(answer) } }));
      const got = decision.answer === 'accept' ? decision.state : `reject ${decision.reason}`;
      test.equal(got, expected, `${name}, profile says ${answer}`);
    }
  }
});

t.test('nobody found', async (test) => {
  for (const [soughtBy, reason] of [
    ['login', 'unknown-login'],
    ['mac', 'unknown-mac'],
    ['line', 'unknown-line'],
    ['untold-line', 'untold-line'],
    ['address', 'unknown-address'],
    ['nothing', 'no-identity'],
  ] as const) {
    const identity = { found: 'none', soughtBy } as const;
    test.same(decideAccess(input({ input: { identity } })), { answer: 'reject', reason });
    test.same(decideAccess(input({ input: { identity, answers: everywhere('accept') } })), {
      answer: 'accept',
      state: 'unknown',
      slot: 0,
      address: { from: 'none' },
    });
  }
  const answers: ProfileAnswers = { ...everywhere('accept'), unknown: { answer: 'accept', pool: 'guests' } };
  const decision = decideAccess(input({ input: { identity: { found: 'none', soughtBy: 'mac' }, answers } }));
  test.same(decision.answer === 'accept' && decision.address, { from: 'nas-pool', name: 'guests' });
});

t.test('two matches are refused, even where strangers are welcome', async (test) => {
  const decision = decideAccess(input({ input: { identity: { found: 'several' }, answers: everywhere('accept') } }));
  test.same(decision, { answer: 'reject', reason: 'ambiguous' });
});

t.test('passwords', async (test) => {
  const outcomes: readonly [PasswordOutcome, string][] = [
    ['verified', 'accept'],
    ['not-required', 'accept'],
    ['wrong-password', 'wrong-password'],
    ['no-password', 'no-password'],
    ['no-stored-password', 'no-stored-password'],
    ['method-needs-cleartext', 'method-needs-cleartext'],
    ['method-unsupported', 'method-unsupported'],
    ['malformed-password', 'malformed-password'],
    ['stored-password-unreadable', 'stored-password-unreadable'],
  ];
  for (const [password, expected] of outcomes) {
    const decision = decideAccess(input({ input: { password } }));
    test.equal(decision.answer === 'accept' ? 'accept' : decision.reason, expected);
    const blocked = decideAccess(
      input({ who: subscriber({ adminBlocked: true, nasName: 'bras2' }), input: { password } }),
    );
    if (expected !== 'accept')
      test.match(blocked, { reason: expected }, 'the state is not told to who does not know the password');
  }
});

t.test('bindings are judged after the password and before the state', async (test) => {
  const address = 0x0a00_0001;
  const cases: readonly [string, Partial<ConstructorParameters<typeof Subscriber>[0]>, Partial<Requester>, string][] = [
    ['the NAS he belongs to', { nasName: 'bras1' }, {}, 'accept'],
    ['another NAS', { nasName: 'bras2' }, {}, 'nas-binding'],
    ['bound MAC', { associatePppoeMac: true }, {}, 'accept'],
    ['another MAC', { associatePppoeMac: true }, { mac: OTHER_MAC }, 'mac-binding'],
    ['no MAC in the request', { associatePppoeMac: true }, { mac: undefined }, 'mac-binding'],
    [
      'bound to a MAC that nobody recorded',
      { associatePppoeMac: true, mac: undefined },
      { mac: undefined },
      'mac-binding',
    ],
    ['another MAC, not bound', {}, { mac: OTHER_MAC }, 'accept'],
    ['bound address', { associateVpnIp: true, staticAddress: address }, { callingAddress: address }, 'accept'],
    [
      'another address',
      { associateVpnIp: true, staticAddress: address },
      { callingAddress: address + 1 },
      'address-binding',
    ],
    ['no address in the request', { associateVpnIp: true, staticAddress: address }, {}, 'address-binding'],
    ['bound to an address that nobody recorded', { associateVpnIp: true }, {}, 'address-binding'],
  ];
  for (const [name, fields, changes, expected] of cases) {
    const given = { requester: { ...requester, ...changes } };
    const decision = decideAccess(input({ who: subscriber(fields), input: given }));
    test.equal(decision.answer === 'accept' ? 'accept' : decision.reason, expected, name);
    if (expected === 'accept') continue;
    const inGarden = { ...given, answers: everywhere('accept') };
    const redirected = decideAccess(input({ who: subscriber({ ...fields, redirect: true }), input: inGarden }));
    test.match(redirected, { reason: expected }, `${name}: not into a walled garden either`);
  }
});

t.test('addresses', async (test) => {
  const address = 0x0a00_0001;
  const fixed = subscriber({ staticAddress: address });
  const source = (given: Case) => {
    const decision = decideAccess(input(given));
    return decision.answer === 'accept' ? decision.address : decision.reason;
  };
  const inGuestPool = (name: string): ProfileAnswers => ({
    ...everywhere('accept'),
    redirect: { answer: 'accept', pool: name },
  });
  test.same(source({ who: fixed }), { from: 'static', address }, 'his own comes first');
  test.same(source({}), { from: 'sticky-or-reserve', poolId: 7 }, 'of the plan');
  test.same(
    source({ who: subscriber({ poolId: 8 }) }),
    { from: 'sticky-or-reserve', poolId: 8 },
    'of the subscriber before that of the plan',
  );
  test.same(source({ plan: { ...plan, poolId: undefined } }), { from: 'none' }, 'no pool: the NAS chooses');
  test.equal(source({ who: subscriber({ poolId: 99 }) }), 'no-pool');
  test.equal(
    source({ input: { requester: { ...requester, routingDomain: 'other' } } }),
    'no-pool',
    'a pool of another routing domain',
  );
  const poor = subscriber({ redirect: true, staticAddress: address });
  test.same(
    source({ who: poor, input: { answers: inGuestPool('guests') } }),
    { from: 'sticky-or-reserve', poolId: 8 },
    'guest pool of ours',
  );
  test.same(
    source({ who: poor, input: { answers: inGuestPool('walled') } }),
    { from: 'nas-pool', name: 'walled' },
    'guest pool of the NAS',
  );
  test.same(
    source({ who: poor, input: { answers: everywhere('accept') } }),
    { from: 'static', address },
    'no guest pool: his own address',
  );

  const holder = (fields: Partial<LiveSession>) => ({ staticHolders: [session({ address, ...fields })] });
  test.equal(source({ who: fixed, input: holder({ subscriberId: 2 }) }), 'address-in-use', 'somebody else is on it');
  test.equal(
    source({ who: fixed, input: holder({ subscriberId: 2, mac: MAC }) }),
    'address-in-use',
    'whatever his MAC',
  );
  test.equal(
    source({ who: fixed, input: holder({ subscriberId: undefined }) }),
    'address-in-use',
    'a stranger is on it',
  );
  test.same(
    source({ who: fixed, input: holder({ subscriberId: undefined, mac: MAC }) }),
    { from: 'static', address },
    'his own device, not recognised',
  );

  const wide = { ...plan, sessionLimit: 2 };
  const second = { sessions: [session({ address })], staticHolders: [session({ address })] };
  test.same(
    source({ who: fixed, plan: wide, input: second }),
    { from: 'sticky-or-reserve', poolId: 7 },
    'a second session gets one of the pool',
  );
  test.equal(
    source({ who: fixed, plan: { ...wide, poolId: undefined }, input: second }),
    'address-in-use',
    'or nothing',
  );
});

t.test('session limit', async (test) => {
  const own = { mac: MAC, nasPortId: 'eth0/9' };
  const wide = { ...plan, sessionLimit: 2 };
  const replacing = { ...plan, sessionLimitAction: 'replace' } as const;
  const mine = offer({ offerId: 5, requesterKey: MAC });
  const old = session({ acctSessionId: 'old', startedAtMs: NOW_MS - 9_000 });
  const young = session({ acctSessionId: 'young', slot: 1, mac: 'aa:aa:aa:aa:aa:aa' });
  const zombie = session(own);
  const cases: readonly [string, Plan, Partial<AccessInput>, object][] = [
    ['first session', plan, {}, { slot: 0 }],
    ['the same MAC takes over', plan, { sessions: [zombie] }, { slot: 0, takesOver: zombie }],
    [
      'the same MAC takes over on another NAS too',
      plan,
      { sessions: [session({ ...own, nasName: 'bras2' })] },
      { slot: 0, takesOver: { nasName: 'bras2' } },
    ],
    ['another MAC is rejected', plan, { sessions: [session()] }, { reason: 'session-limit' }],
    [
      'another MAC on the same line is another device',
      plan,
      { sessions: [session({ nasPortId: 'eth0/1' })] },
      { reason: 'session-limit' },
    ],
    [
      'without MACs the line takes over',
      plan,
      { sessions: [session({ mac: undefined, nasPortId: 'eth0/1' })] },
      { slot: 0, takesOver: { nasPortId: 'eth0/1' } },
    ],
    ['another line does not', plan, { sessions: [session({ mac: undefined })] }, { reason: 'session-limit' }],
    [
      'the same port of another box does not',
      plan,
      { sessions: [session({ mac: undefined, nasPortId: 'eth0/1', nasBox: '192.0.2.2' })] },
      { reason: 'session-limit' },
    ],
    ['a second one within the limit', wide, { sessions: [session()] }, { slot: 1 }],
    ['the lowest free slot', wide, { sessions: [session({ slot: 1 })] }, { slot: 0 }],
    ['replaces the oldest, by plan', replacing, { sessions: [old] }, { slot: 0, replaces: old }],
    [
      'the oldest of two',
      { ...wide, sessionLimitAction: 'replace' },
      { sessions: [young, old] },
      { slot: 0, replaces: old },
    ],
    ['its own offer again', plan, { offers: [mine] }, { slot: 0, repeats: mine }],
    [
      'its own offer again, in its slot',
      wide,
      { offers: [offer({ requesterKey: MAC, slot: 1 })] },
      { slot: 1, repeats: { slot: 1 } },
    ],
    ["somebody else's offer holds its slot", plan, { offers: [offer()] }, { reason: 'session-limit' }],
    ['an offer that has expired holds nothing', plan, { offers: [offer({ expiresAtMs: NOW_MS })] }, { slot: 0 }],
    [
      'the oldest offer is given up, by plan',
      replacing,
      { offers: [offer()] },
      { slot: 0, supersedes: { offerId: 1 } },
    ],
    [
      'an offer beside the zombie of the same device',
      plan,
      { offers: [mine], sessions: [zombie] },
      { slot: 0, repeats: mine },
    ],
    ['a lowered limit counts sessions, not slots', plan, { sessions: [young] }, { reason: 'session-limit' }],
    [
      'a lowered limit moves the owner down',
      plan,
      { sessions: [session({ ...own, slot: 3 })] },
      { slot: 0, takesOver: { slot: 3 } },
    ],
    [
      'two on one slot: neither can be given up alone',
      replacing,
      { sessions: [old, session()] },
      { reason: 'session-limit' },
    ],
  ];
  for (const [name, its, given, expected] of cases)
    test.match(decideAccess(input({ plan: its, input: given })), expected, name);
});

t.test('whoever is known by line and MAC must be there with it', async (test) => {
  const device: Partial<Requester> = { mac: MAC };
  const cases: readonly [auth: LineStanding['auth'], where: LineStanding['where'], Partial<Requester>, string][] = [
    ['port-mac', 'own', device, 'accept'],
    ['port-mac', 'own', { mac: OTHER_MAC }, 'mac-binding'],
    ['port-mac', 'own', { mac: undefined }, 'mac-binding'],
    ['port-mac', 'other', device, 'line-binding'],
    ['port-mac', 'other', { mac: OTHER_MAC }, 'line-binding'],
    ['port-mac', 'untold', device, 'line-binding'],
    ['port', 'own', { mac: OTHER_MAC }, 'accept'],
    ['port', 'other', device, 'accept'],
    ['port', 'untold', { mac: undefined }, 'accept'],
    ['mac', 'other', device, 'accept'],
    ['mac', 'untold', device, 'accept'],
    [undefined, 'other', { mac: OTHER_MAC }, 'accept'],
  ];
  for (const [auth, where, who, expected] of cases) {
    const decision = decideAccess(input({ line: { auth, where }, input: { requester: { ...requester, ...who } } }));
    test.equal(decision.answer === 'accept' ? 'accept' : decision.reason, expected, `${String(auth)} ${where}`);
  }
  const nobodysMac = { who: subscriber({ mac: undefined }), line: { auth: 'port-mac', where: 'own' } } as const;
  test.match(decideAccess(input(nobodysMac)), { reason: 'mac-binding' }, 'a MAC that nobody recorded');
  const blocked = { who: subscriber({ adminBlocked: true }), line: { auth: 'port-mac', where: 'other' } } as const;
  test.match(decideAccess(input(blocked)), { reason: 'line-binding' }, 'before the state');
  test.match(
    decideAccess(input({ ...blocked, input: { password: 'wrong-password' } })),
    { reason: 'wrong-password' },
    'after the password',
  );
});

t.test('a new device on a line takes the place of the old one', async (test) => {
  const wide = { ...plan, sessionLimit: 2 };
  const old = session({ acctSessionId: 'old', startedAtMs: NOW_MS - 9_000 });
  const young = session({ acctSessionId: 'young', slot: 1, mac: 'aa:aa:aa:aa:aa:aa' });
  const elsewhere = session({ acctSessionId: 'elsewhere', nasName: 'bras2', startedAtMs: NOW_MS - 20_000 });
  const zombie = session({ mac: MAC, slot: 1 });
  const own: LineStanding = { auth: 'port', where: 'own' };
  const refused = { reason: 'session-limit' };
  const cases: readonly [string, LineStanding, Plan, Partial<AccessInput>, object][] = [
    ['by his line', own, plan, { sessions: [old] }, { slot: 0, replaces: old }],
    ['by line and MAC', { auth: 'port-mac', where: 'own' }, plan, { sessions: [old] }, { slot: 0, replaces: old }],
    ['by MAC it is another device', { auth: 'mac', where: 'own' }, plan, { sessions: [old] }, refused],
    ['from another line too', { auth: 'port', where: 'other' }, plan, { sessions: [old] }, refused],
    ['from no line too', { auth: 'port', where: 'untold' }, plan, { sessions: [old] }, refused],
    ['by a name', { auth: undefined, where: 'own' }, plan, { sessions: [old] }, refused],
    ['a place that is free', own, wide, { sessions: [old] }, { slot: 1 }],
    ['the oldest', own, wide, { sessions: [young, old] }, { slot: 0, replaces: old }],
    ['not one on another NAS', own, plan, { sessions: [elsewhere] }, refused],
    ['the one on this NAS', own, wide, { sessions: [{ ...elsewhere }, young] }, { slot: 1, replaces: young }],
    ['its own session before any other', own, wide, { sessions: [old, zombie] }, { slot: 1, takesOver: zombie }],
    ['one that was promised an address', own, plan, { offers: [offer()] }, { slot: 0, supersedes: { offerId: 1 } }],
    [
      'two earlier devices that share a place',
      own,
      plan,
      { sessions: [old, session({ startedAtMs: NOW_MS - 5_000 })] },
      { slot: 0, replaces: old },
    ],
    ['a place that it would share with another NAS', own, plan, { sessions: [old, { ...elsewhere }] }, refused],
  ];
  for (const [name, line, its, given, expected] of cases) {
    const who = subscriber({ mac: MAC });
    test.match(decideAccess(input({ who, line, plan: its, input: given })), expected, name);
  }
  test.match(
    decideAccess(
      input({ line: own, plan: { ...plan, sessionLimitAction: 'replace' }, input: { sessions: [elsewhere] } }),
    ),
    { slot: 0, replaces: elsewhere },
    'by plan, any of them',
  );
});

t.test('who is the same requester', async (test) => {
  const bare = { ...requester, mac: undefined };
  test.equal(requesterKey(requester), MAC);
  test.not(requesterKey(bare), requesterKey({ ...bare, nasPortId: 'eth0/2' }));
  test.not(requesterKey(bare), requesterKey({ ...bare, nasBox: '192.0.2.2' }));
  test.not(
    requesterKey({ ...bare, nasPortId: undefined, callingStation: '10.0.0.1' }),
    requesterKey({ ...bare, nasPortId: undefined, callingStation: '10.0.0.2' }),
  );
  test.equal(
    isOwnSession(session({ mac: undefined, nasPortId: undefined }), { ...bare, nasPortId: undefined }),
    false,
    'nothing in common is nothing',
  );
});

t.test('a subscriber prints without his password', async (test) => {
  const { inspect } = await import('node:util');
  const alice = subscriber({ password: 'very-secret' });
  test.notMatch(inspect(alice, { depth: 5 }), /very-secret/);
  test.notMatch(JSON.stringify({ alice }), /very-secret/);
  test.equal(policyState(alice, account, plan, NOW_MS), 'active');
});
