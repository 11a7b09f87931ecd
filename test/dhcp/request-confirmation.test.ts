// A DHCPREQUEST waits for a server's word: what comes of it, for every word that there may be.

import t from 'tap';
import type { LeaseEvent } from '../../src/domain/lease-event.js';
import type { KnownLease } from '../../src/dhcp/lease-query.js';
import type { LeaseServer, QueryOutcome } from '../../src/dhcp/lease-query-client.js';
import { firstPauseMs, RequestConfirmation, secondPauseMs } from '../../src/dhcp/request-confirmation.js';
import type { Relay } from '../../src/dhcp/relay-table.js';
import { ManualClock } from '../support/manual-clock.js';
import { until } from '../support/until.js';
import { olt7 } from './sample-packets.js';

const one: LeaseServer = { address: '10.0.0.1', port: 67 };
const two: LeaseServer = { address: '10.0.0.2', port: 67 };
const relay = (...leasequeryServers: LeaseServer[]): Relay => ({
  name: 'olt-7',
  source: [],
  giaddr: [],
  trusted: false,
  acks: false,
  leasequeryServers,
});
const lease: KnownLease = {
  address: '100.65.2.10',
  mac: '02:00:00:00:c2:01',
  leaseSeconds: 600,
  lastTransactionSeconds: 0,
  line: null,
  clientId: null,
  associated: [],
};
const active = (change: Partial<KnownLease> = {}): QueryOutcome => ({
  answer: 'active',
  lease: { ...lease, ...change },
});
const unassigned: QueryOutcome = { answer: 'unassigned' };
const unknown: QueryOutcome = { answer: 'unknown' };
const silence: QueryOutcome = { answer: 'silence', reason: 'timeout' };

interface Asked {
  readonly server: LeaseServer;
  readonly answer: (outcome: QueryOutcome) => void;
}

function setUp(maxHeld = 100) {
  const clock = new ManualClock();
  const asked: Asked[] = [];
  const delivered: LeaseEvent[] = [];
  const noted: string[] = [];
  const confirmation = new RequestConfirmation({
    clock,
    ask: (server, question) => {
      t.same(question, { by: 'address', address: 0x6441020a });
      return new Promise((answer) => asked.push({ server, answer }));
    },
    deliver: (event) => delivered.push(event),
    note: (reason) => noted.push(reason),
    maxHeld,
  });
  const request = (change: Partial<LeaseEvent> = {}): LeaseEvent => ({
    kind: 'request',
    eventAtMs: clock.nowMs(),
    timeDeclared: false,
    receivedAtMs: clock.nowMs(),
    via: 'packet',
    source: 'olt-7',
    address: '100.65.2.10',
    mac: '02:00:00:00:c2:01',
    leaseEndsAtMs: null,
    line: olt7,
    ...change,
  });
  return { clock, asked, delivered, noted, confirmation, request };
}

t.test('the server is asked a moment later, and its word is a commit', async (t) => {
  const { clock, asked, delivered, noted, confirmation, request } = setUp();
  confirmation.hold(request(), relay(one));
  clock.advance(firstPauseMs - 1);
  t.equal(asked.length, 0);
  clock.advance(1);
  t.equal(asked.length, 1);
  clock.advance(5);
  asked[0]!.answer(active());
  await until(() => delivered.length === 1);
  const atMs = clock.nowMs();
  t.same(delivered, [
    {
      ...request({ kind: 'commit', via: 'leasequery', eventAtMs: atMs, timeDeclared: true, receivedAtMs: atMs }),
      leaseEndsAtMs: atMs + 600_000,
    },
  ]);
  t.same(noted, []);
  t.equal(confirmation.held, 0);
  t.equal(clock.pending, 0);
});

/** Answers of each round, in the order of the servers, and what becomes of it. */
const rounds: readonly [
  what: string,
  first: QueryOutcome[],
  second: QueryOutcome[] | undefined,
  kinds: string[],
  noted: string[],
][] = [
  ['the second server knows', [unknown, active()], undefined, ['commit'], []],
  ['the second server knows, and the first is down', [silence, active()], undefined, ['commit'], []],
  ['nobody answers', [silence, silence], undefined, ['request'], ['no-answer']],
  ['one has given it to nobody, and one is down', [unassigned, silence], undefined, ['request'], ['no-answer']],
  ['the answer came too early', [unassigned, unknown], [unassigned, active()], ['commit'], []],
  ['the client was refused', [unassigned, unknown], [unassigned, unknown], [], ['not-confirmed']],
  [
    'another client has it',
    [active({ mac: '02:00:00:00:c2:99' }), unknown],
    [active({ mac: '02:00:00:00:c2:99' }), unknown],
    [],
    ['not-confirmed'],
  ],
  ['a client without MAC has it', [active({ mac: null })], [active({ mac: null })], [], ['not-confirmed']],
  ['an older lease first, then the new one', [active({ lastTransactionSeconds: 300 })], [active()], ['commit'], []],
  [
    'an older lease that stays',
    [active({ lastTransactionSeconds: 300 })],
    [active({ lastTransactionSeconds: 302 })],
    ['commit'],
    [],
  ],
  [
    'an older lease, and one server is down',
    [active({ lastTransactionSeconds: 300 }), silence],
    undefined,
    ['commit'],
    [],
  ],
  ['a server that does not tell the time', [active({ lastTransactionSeconds: null })], undefined, ['commit'], []],
  ['the second round is silent', [unknown], [silence], ['request'], ['no-answer']],
];

t.test('every word that servers may say', async (t) => {
  for (const [what, first, second, kinds, reasons] of rounds) {
    const { clock, asked, delivered, noted, confirmation, request } = setUp();
    const servers = first.length === 1 ? [one] : [one, two];
    confirmation.hold(request(), relay(...servers));
    clock.advance(firstPauseMs);
    t.same(
      asked.map(({ server }) => server),
      servers,
      `${what}: all are asked at once`,
    );
    first.forEach((outcome, index) => asked[index]!.answer(outcome));
    if (second !== undefined) {
      await until(() => clock.pending === 1);
      t.equal(delivered.length, 0, `${what}: nothing yet`);
      clock.advance(secondPauseMs - 1);
      t.equal(asked.length, servers.length, what);
      clock.advance(1);
      t.equal(asked.length, 2 * servers.length, what);
      second.forEach((outcome, index) => asked[servers.length + index]!.answer(outcome));
    }
    await until(() => confirmation.held === 0);
    t.same(
      delivered.map(({ kind }) => kind),
      kinds,
      what,
    );
    t.same(noted, reasons, what);
    t.equal(clock.pending, 0, what);
  }
});

t.test('an older lease is told with its own time and end', async (t) => {
  const { clock, asked, delivered, confirmation, request } = setUp();
  confirmation.hold(request(), relay(one));
  clock.advance(firstPauseMs);
  asked[0]!.answer(active({ lastTransactionSeconds: 300, leaseSeconds: 300 }));
  await until(() => clock.pending === 1);
  clock.advance(secondPauseMs);
  asked[1]!.answer(active({ lastTransactionSeconds: 302, leaseSeconds: 298 }));
  await until(() => delivered.length === 1);
  t.match(delivered[0], { eventAtMs: clock.nowMs() - 302_000, leaseEndsAtMs: clock.nowMs() + 298_000, line: olt7 });
});

t.test('a lease that was renewed in the second of the DHCPREQUEST is new', async (t) => {
  const { clock, asked, delivered, confirmation, request } = setUp();
  confirmation.hold(request(), relay(one));
  clock.advance(firstPauseMs);
  asked[0]!.answer(active({ lastTransactionSeconds: 1 }));
  await until(() => delivered.length === 1);
  t.match(delivered[0], { kind: 'commit', eventAtMs: clock.nowMs() - 1_000 });
});

t.test('the same DHCPREQUEST waits once, and the line of any copy counts', async (t) => {
  const { clock, asked, delivered, noted, confirmation, request } = setUp();
  confirmation.hold(request({ line: null }), relay(one));
  confirmation.hold(request(), relay(one));
  confirmation.hold(request({ line: { ...olt7, circuitId: '00' } }), relay(one));
  t.equal(confirmation.held, 1);
  t.same(noted, ['repeated', 'repeated']);
  clock.advance(firstPauseMs);
  t.equal(asked.length, 1);
  asked[0]!.answer(active());
  await until(() => delivered.length === 1);
  t.same(delivered[0]!.line, olt7);
  confirmation.hold(request(), relay(one));
  t.equal(confirmation.held, 1, 'and a later one is a new one');
});

t.test('another client, and another relay, wait on their own', async (t) => {
  const { confirmation, request, noted } = setUp();
  confirmation.hold(request(), relay(one));
  confirmation.hold(request({ mac: '02:00:00:00:c2:02' }), relay(one));
  confirmation.hold(request(), { ...relay(one), name: 'olt-8' });
  t.equal(confirmation.held, 3);
  t.same(noted, []);
});

t.test('what is beyond the bound is passed on as a hint', async (t) => {
  const { confirmation, request, noted, delivered, clock } = setUp(2);
  for (const last of ['01', '02', '03', '04'])
    confirmation.hold(request({ mac: `02:00:00:00:c2:${last}` }), relay(one));
  t.equal(confirmation.held, 2);
  t.equal(clock.pending, 2);
  t.same(noted, ['too-many-held', 'too-many-held']);
  t.same(
    delivered.map(({ kind, mac }) => `${kind} ${String(mac)}`),
    ['request 02:00:00:00:c2:03', 'request 02:00:00:00:c2:04'],
  );
});

t.test('without a MAC there is nothing to compare: a hint at once', async (t) => {
  const { confirmation, request, delivered } = setUp();
  confirmation.hold(request({ mac: null }), relay(one));
  t.equal(confirmation.held, 0);
  t.match(delivered, [{ kind: 'request', mac: null }]);
});

t.test('a stop passes on what waits, in a pause or for an answer, and late answers change nothing', async (t) => {
  const { confirmation, request, delivered, noted, asked, clock } = setUp();
  confirmation.hold(request(), relay(one));
  clock.advance(firstPauseMs);
  confirmation.hold(request({ mac: '02:00:00:00:c2:02' }), relay(one));
  confirmation.stop();
  t.same(
    delivered.map(({ kind, mac }) => `${kind} ${String(mac)}`),
    ['request 02:00:00:00:c2:01', 'request 02:00:00:00:c2:02'],
  );
  t.equal(clock.pending, 0);
  asked[0]!.answer(active());
  await new Promise((resolve) => setImmediate(resolve));
  t.equal(delivered.length, 2);
  t.same(noted, []);
});
