/** Who holds which address: acquired, shared, refused, let go of, taken over by whom waits. */
import t from 'tap';
import type { AssignmentRecord } from '../../src/domain/assignment.js';
import type { SessionFact } from '../../src/domain/accounting-fact.js';
import { fact, type SessionFactShape, T0 } from '../support/facts.js';
import { MemoryWorld } from '../support/memory-world.js';

const A = '100.64.0.1';
const B = '100.64.0.2';
const subscriberOf: Readonly<Record<string, number>> = { alice: 1, bob: 2, carol: 3 };
const world = (): MemoryWorld => new MemoryWorld((f) => subscriberOf[f.login] ?? null);

/** A session of `login` on `box`, named after both. */
const on = (login: string, nasBox = 'bras1'): Pick<SessionFactShape, 'login' | 'nasBox' | 'acctSessionId'> => ({
  login,
  nasBox,
  acctSessionId: `${login}@${nasBox}`,
});
const start = (at: number, address: string | null, who: Partial<SessionFactShape>, late = 0): SessionFact =>
  fact('start', { at, late, address, ...who });
const stop = (at: number, who: Partial<SessionFactShape>, seconds = at): SessionFact =>
  fact('stop', { at, sessionSeconds: seconds, ...who });

interface Row {
  readonly address: string;
  readonly who: number | string;
  readonly from: number;
  readonly to: number | 'open';
  readonly holders?: number;
  readonly slot?: number;
}

function rows(list: readonly AssignmentRecord[]): Row[] {
  return list.map((a) => ({
    address: a.address,
    who: a.subscriberId ?? a.login,
    from: (a.startedAtMs - T0) / 1000,
    to: a.end === null ? 'open' : (a.end.endedAtMs - T0) / 1000,
    holders: a.holders.size,
    slot: a.slot,
  }));
}

t.test('a Start takes hold, its Stop lets go', (t) => {
  const w = world();
  w.apply(start(0, A, on('alice')));
  t.match(rows(w.assignments), [{ address: A, who: 1, from: 0, to: 'open', holders: 1, slot: 0 }]);
  w.apply(stop(90, on('alice')));
  t.match(rows(w.assignments), [{ to: 90, holders: 0 }]);
  t.end();
});

t.test('two sessions of one subscriber on one address: two holders, and the last one ends it', (t) => {
  const w = world();
  w.apply(start(0, A, on('alice', 'bras1')), start(50, A, on('alice', 'bras2')));
  t.match(rows(w.assignments), [{ to: 'open', holders: 2 }]);
  w.apply(stop(90, on('alice', 'bras1')));
  t.match(rows(w.assignments), [{ to: 'open', holders: 1 }]);
  w.apply(stop(120, on('alice', 'bras2'), 70));
  t.match(rows(w.assignments), [{ from: 0, to: 120 }]);
  t.end();
});

t.test('a conflict on another NAS: who came second holds nothing and is shown', (t) => {
  const w = world();
  w.apply(start(0, A, on('alice', 'bras1')), start(50, A, on('bob', 'bras2')));
  t.match(rows(w.assignments), [{ who: 1, to: 'open', holders: 1 }]);
  t.match(
    w.live.map((s) => s.conflict),
    [null, 'address-held'],
  );
  w.apply(stop(60, on('bob', 'bras2'), 10));
  t.match(rows(w.assignments), [{ who: 1, to: 'open', holders: 1 }], 'his end frees nothing');
  t.end();
});

t.test('who waits for an address has it from the moment it is let go', (t) => {
  const w = world();
  w.apply(start(0, A, on('alice', 'bras1')), start(50, A, on('bob', 'bras2')));
  w.apply(stop(200, on('alice', 'bras1')));
  t.match(rows(w.assignments), [
    { who: 1, from: 0, to: 200 },
    { who: 2, from: 200, to: 'open', holders: 1 },
  ]);
  t.match(
    w.live.map((s) => s.conflict),
    [null],
  );
  t.end();
});

t.test('the same address on the same box proves the other session dead', (t) => {
  const w = world();
  w.apply(start(0, A, on('alice')), start(50, A, on('bob')));
  t.match(rows(w.assignments), [
    { who: 1, from: 0, to: 50 },
    { who: 2, from: 50, to: 'open' },
  ]);
  t.match(w.sessions[0]!.end, { cause: 'superseded' });
  t.end();
});

t.test('the same equipment elsewhere takes over, and a late Stop of the zombie frees nothing', (t) => {
  const w = world();
  const mac = '02:00:00:00:00:01';
  w.apply(start(0, A, { ...on('alice', 'bras1'), mac }), start(100, A, { ...on('alice', 'bras2'), mac }));
  t.match(w.sessions[0]!.end, { cause: 'taken-over', endedAtMs: T0 + 100_000 });
  w.apply(stop(150, { ...on('alice', 'bras1'), mac }));
  t.match(
    w.openAssignments.map((a) => a.holders.size),
    [1],
  );
  t.equal(w.live.length, 1);
  t.end();
});

t.test('sessions of one subscriber with addresses of their own have slots of their own', (t) => {
  const w = world();
  w.apply(start(0, A, on('alice', 'bras1')), start(1, B, on('alice', 'bras2')));
  t.match(rows(w.assignments), [{ slot: 0 }, { slot: 1 }]);
  w.apply(stop(10, on('alice', 'bras1')));
  w.apply(start(20, '100.64.0.3', on('alice', 'bras3')));
  t.match(rows(w.openAssignments), [{ slot: 1 }, { slot: 0 }], 'a slot that is free is used again');
  t.end();
});

t.test('an address that changes in mid-session: each has its own time, and who waited gets the old one', (t) => {
  const w = world();
  w.apply(start(0, A, on('alice', 'bras1')), start(50, A, on('bob', 'bras2')));
  w.apply(fact('interim', { at: 300, sessionSeconds: 300, address: B, ...on('alice', 'bras1') }));
  t.match(rows(w.assignments), [
    { address: A, who: 1, from: 0, to: 300 },
    { address: A, who: 2, from: 300, to: 'open' },
    { address: B, who: 1, from: 300, to: 'open' },
  ]);
  t.end();
});

t.test('an address that comes with the first Interim', (t) => {
  const w = world();
  w.apply(start(0, null, on('alice')), fact('interim', { at: 60, sessionSeconds: 60, address: A, ...on('alice') }));
  t.match(rows(w.assignments), [{ address: A, from: 60, to: 'open' }]);
  t.end();
});

t.test('addresses of nobody we know, and from outside our pools, are recorded by their login', (t) => {
  const w = world();
  w.apply(start(0, '192.0.2.200', on('stranger')), stop(60, on('stranger')));
  t.match(rows(w.assignments), [{ address: '192.0.2.200', who: 'stranger', from: 0, to: 60 }]);
  t.end();
});

t.test('a session that was over when it was first heard of', (t) => {
  t.test('is history, and takes the address from nobody', (t) => {
    const w = world();
    w.apply(start(100_000, A, on('bob')));
    w.apply({ ...stop(500, { ...on('alice'), address: A }), receivedAtMs: T0 + 100_500_000 });
    t.match(rows(w.assignments), [
      { who: 2, from: 100_000, to: 'open', holders: 1 },
      { who: 1, from: 0, to: 500 },
    ]);
    t.match(
      w.sessions.map((s) => s.conflict),
      [null, null],
    );
    t.end();
  });
  t.test('is not told twice when the same person has the address still', (t) => {
    const w = world();
    w.apply(start(0, A, on('alice', 'bras1')), stop(500, { ...on('alice', 'bras2'), address: A }, 100));
    t.match(rows(w.assignments), [{ who: 1, from: 0, to: 'open', holders: 1 }]);
    t.end();
  });
  t.end();
});

t.test('routing domains have their own addresses', (t) => {
  const w = world();
  w.apply(start(0, A, on('alice', 'bras1')), start(1, A, { ...on('bob', 'bras2'), routingDomain: 'vrf-2' }));
  t.equal(w.openAssignments.length, 2);
  t.match(
    w.live.map((s) => s.conflict),
    [null, null],
  );
  t.end();
});

const FRAMED = '2001:db8:0:1::/64';
const DELEGATED = '2001:db8:100::/56';
const both = { framedPrefix: FRAMED, delegatedPrefix: DELEGATED };

const kinds = (list: readonly AssignmentRecord[]): unknown[] =>
  list.map(({ kind, address, subscriberId, slot, end }) => [
    kind,
    address,
    subscriberId,
    slot,
    end === null ? 'open' : end.cause,
  ]);

t.test('a session holds an address and both prefixes, and lets go of all three', (t) => {
  const w = world();
  w.apply({ ...start(0, A, on('alice')), ...both });
  t.same(kinds(w.assignments), [
    ['ipv4', A, 1, 0, 'open'],
    ['framed-prefix', FRAMED, 1, 0, 'open'],
    ['delegated-prefix', DELEGATED, 1, 0, 'open'],
  ]);
  w.apply(stop(90, on('alice')));
  t.ok(w.assignments.every(({ end }) => end?.cause === 'stop' && end.endedAtMs === T0 + 90_000));
  t.end();
});

t.test('a prefix that comes with a later update is held from then on; one that is not named again stays', (t) => {
  const w = world();
  w.apply(start(0, A, on('alice')));
  w.apply({
    ...fact('interim', { at: 60, sessionSeconds: 60, address: A, ...on('alice') }),
    delegatedPrefix: DELEGATED,
  });
  w.apply(fact('interim', { at: 120, sessionSeconds: 120, address: A, ...on('alice') }));
  t.match(rows(w.openAssignments), [
    { address: A, from: 0 },
    { address: DELEGATED, from: 60, holders: 1 },
  ]);
  w.apply({
    ...fact('interim', { at: 180, sessionSeconds: 180, address: A, ...on('alice') }),
    delegatedPrefix: '2001:db8:200::/56',
  });
  t.match(rows(w.assignments), [
    { address: A, to: 'open' },
    { address: DELEGATED, from: 60, to: 180 },
    { address: '2001:db8:200::/56', from: 180, to: 'open' },
  ]);
  t.end();
});

t.test('the same packet again changes nothing', (t) => {
  const w = world();
  const opening = { ...start(0, A, on('alice')), ...both };
  w.apply(opening);
  t.same(w.apply(opening).assignments, []);
  t.end();
});

t.test('a prefix that somebody else has: the address is held all the same, and the session says what is wrong', (t) => {
  const w = world();
  w.apply({ ...start(0, A, on('alice', 'bras1')), ...both });
  w.apply({ ...start(10, B, on('bob', 'bras2')), framedPrefix: '2001:db8:0:2::/64', delegatedPrefix: DELEGATED });
  t.match(
    w.live.map(({ conflict }) => conflict),
    [null, 'prefix-held'],
  );
  t.match(kinds(w.openAssignments).slice(3), [
    ['ipv4', B, 2],
    ['framed-prefix', '2001:db8:0:2::/64', 2],
  ]);
  w.apply(stop(200, on('alice', 'bras1')));
  t.match(
    w.live.map(({ conflict }) => conflict),
    [null],
    'it has it from the moment it is let go',
  );
  t.match(rows(w.openAssignments).at(-1), { address: DELEGATED, who: 2, from: 200 });
  t.end();
});

t.test('prefixes follow the slot of the address; without one they have slots of their own', (t) => {
  const w = world();
  w.apply(start(0, A, on('alice', 'bras1')), { ...start(1, B, on('alice', 'bras2')), ...both });
  t.match(kinds(w.assignments), [
    ['ipv4', A, 1, 0],
    ['ipv4', B, 1, 1],
    ['framed-prefix', FRAMED, 1, 1],
    ['delegated-prefix', DELEGATED, 1, 1],
  ]);
  const six = world();
  six.apply(
    { ...start(0, null, on('bob', 'bras1')), delegatedPrefix: DELEGATED },
    { ...start(1, null, on('bob', 'bras2')), delegatedPrefix: '2001:db8:200::/56' },
  );
  t.match(kinds(six.assignments), [
    ['delegated-prefix', DELEGATED, 2, 0],
    ['delegated-prefix', '2001:db8:200::/56', 2, 1],
  ]);
  t.same(
    six.live.map(({ slot }) => slot),
    [0, 1],
  );
  t.end();
});

t.test('a session that was over when it was heard of leaves its prefixes in history', (t) => {
  const w = world();
  w.apply({ ...fact('stop', { at: 500, sessionSeconds: 100, address: A, ...on('alice') }), ...both });
  t.match(
    w.assignments.map(({ kind, past }) => [kind, past]),
    [
      ['ipv4', true],
      ['framed-prefix', true],
      ['delegated-prefix', true],
    ],
  );
  t.end();
});
