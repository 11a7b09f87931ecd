// After an outage: what servers say of leases that are believed in.

import t from 'tap';
import type { LeaseEvent } from '../../src/domain/lease-event.js';
import type { QueryOutcome, LeaseServer } from '../../src/dhcp/lease-query-client.js';
import { mostParallel, refreshLeases, type BelievedLease } from '../../src/dhcp/lease-refresh.js';
import { RelayTable, type Relay } from '../../src/dhcp/relay-table.js';
import { ManualClock } from '../support/manual-clock.js';
import { until } from '../support/until.js';

const relay = (name: string, ...addresses: string[]): Relay => ({
  name,
  source: [],
  giaddr: [],
  trusted: false,
  acks: false,
  leasequeryServers: addresses.map((address) => ({ address, port: 67 })),
});
const relays = new RelayTable([relay('olt-1', '10.0.0.1'), relay('olt-2', '10.0.0.1', '10.0.0.2'), relay('olt-3')]);

const active = (seconds: number | null, mac = '02:00:00:00:c2:01'): QueryOutcome => ({
  answer: 'active',
  lease: {
    address: '100.65.2.10',
    mac,
    leaseSeconds: 600,
    lastTransactionSeconds: seconds,
    line: null,
    clientId: null,
    associated: [],
  },
});
const unassigned: QueryOutcome = { answer: 'unassigned' };
const unknown: QueryOutcome = { answer: 'unknown' };
const silence: QueryOutcome = { answer: 'silence', reason: 'timeout' };

type Says = (server: LeaseServer, address: number) => QueryOutcome | Promise<QueryOutcome>;

async function refresh(leases: Iterable<BelievedLease> | AsyncIterable<BelievedLease>, says: Says, table = relays) {
  const clock = new ManualClock();
  const delivered: LeaseEvent[] = [];
  const asked: string[] = [];
  const result = await refreshLeases(leases, {
    clock,
    relays: table,
    ask: async (server, question) => {
      asked.push(server.address);
      return await says(server, question.by === 'address' ? question.address : 0);
    },
    deliver: (event) => delivered.push(event),
    parallel: mostParallel,
    isStopped: () => false,
  });
  return { result, delivered, asked, atMs: clock.nowMs() };
}

const lease = (source: string): BelievedLease => ({ address: '100.65.2.10', source });

t.test('what is leased is a commit, what nobody has is an expiry', async (t) => {
  const leased = await refresh([lease('olt-1')], () => active(30));
  t.match(leased.delivered, [
    {
      kind: 'commit',
      via: 'leasequery',
      source: 'olt-1',
      address: '100.65.2.10',
      mac: '02:00:00:00:c2:01',
      eventAtMs: leased.atMs - 30_000,
      timeDeclared: true,
      leaseEndsAtMs: leased.atMs + 600_000,
    },
  ]);
  const free = await refresh([lease('olt-1')], () => unassigned);
  t.same(free.delivered, [
    {
      kind: 'expiry',
      eventAtMs: free.atMs,
      timeDeclared: false,
      receivedAtMs: free.atMs,
      via: 'leasequery',
      source: 'olt-1',
      address: '100.65.2.10',
      mac: null,
      leaseEndsAtMs: null,
      line: null,
    },
  ]);
});

t.test('two servers: silence and ignorance decide nothing, the newest word counts', async (t) => {
  const table: readonly [what: string, first: QueryOutcome, second: QueryOutcome, kind: string, mac?: string][] = [
    ['one has it', unknown, active(5), 'commit'],
    ['one has it, one is down', silence, active(5), 'commit'],
    ['both have it', active(5, '02:00:00:00:00:05'), active(4, '02:00:00:00:00:04'), 'commit', '02:00:00:00:00:04'],
    [
      'one does not tell when',
      active(null, '02:00:00:00:00:05'),
      active(9, '02:00:00:00:00:04'),
      'commit',
      '02:00:00:00:00:04',
    ],
    ['nobody has it', unassigned, unassigned, 'expiry'],
    ['one does not know it', unknown, unassigned, 'expiry'],
    ['one is down', unassigned, silence, 'nothing'],
    ['neither knows it', unknown, unknown, 'nothing'],
    ['both are down', silence, silence, 'nothing'],
  ];
  for (const [what, first, second, kind, mac] of table) {
    const { result, delivered } = await refresh([lease('olt-2')], ({ address }) =>
      address === '10.0.0.1' ? first : second,
    );
    t.equal(delivered[0]?.kind ?? 'nothing', kind, what);
    if (mac !== undefined) t.equal(delivered[0]?.mac, mac, what);
    const { end, ...counts } = result;
    t.equal(end, 'all', what);
    const outcome = { commit: 'active', expiry: 'unassigned', nothing: 'undecided' }[kind]!;
    t.same(counts, { active: 0, unassigned: 0, undecided: 0, [outcome]: 1 }, what);
  }
});

t.test('the servers of the relay are asked, all of them where it has none or is not known', async (t) => {
  for (const [source, servers] of [
    ['olt-1', ['10.0.0.1']],
    ['olt-2', ['10.0.0.1', '10.0.0.2']],
    ['olt-3', ['10.0.0.1', '10.0.0.2']],
    ['a hook', ['10.0.0.1', '10.0.0.2']],
  ] as const) {
    const { asked, delivered } = await refresh([lease(source)], () => active(1));
    t.same(asked, servers, source);
    t.equal(delivered[0]?.source, source);
  }
});

t.test('what cannot be asked is undecided', async (t) => {
  t.match((await refresh([lease('olt-1')], () => active(1), new RelayTable([]))).result, { end: 'all', undecided: 1 });
  const odd = await refresh([{ address: 'fe80::1', source: 'olt-1' }], () => active(1));
  t.match(odd.result, { undecided: 1 });
  t.same(odd.asked, []);
});

t.test('a server that is down is asked a few times, and does not hold up the others', async (t) => {
  const { result, asked } = await refresh(
    Array.from({ length: 200 }, () => lease('olt-2')),
    ({ address }) => (address === '10.0.0.1' ? active(1) : silence),
  );
  t.same(result, { end: 'all', active: 200, unassigned: 0, undecided: 0 });
  t.equal(asked.filter((address) => address === '10.0.0.1').length, 200);
  const askedInVain = asked.filter((address) => address === '10.0.0.2').length;
  t.ok(askedInVain >= 8 && askedInVain <= 32, String(askedInVain));
});

t.test('when all are down, the rest is left', async (t) => {
  let read = 0;
  function* many(): Generator<BelievedLease> {
    for (; read < 1_000_000; read++) yield lease('olt-2');
  }
  const { result } = await refresh(many(), () => silence);
  t.equal(result.end, 'silent');
  t.equal(result.active + result.unassigned, 0);
  t.ok(read <= 40, `${String(read)} were read`);
});

t.test('no more are read than are asked about at once', async (t) => {
  let open = 0;
  let most = 0;
  let read = 0;
  let answered = 0;
  async function* many(): AsyncGenerator<BelievedLease> {
    for (; read < 300; read++) {
      t.ok(read - answered <= 16, 'not read ahead');
      yield lease('olt-1');
    }
  }
  const { result } = await refresh(many(), async () => {
    most = Math.max(most, ++open);
    await new Promise((resolve) => setImmediate(resolve));
    open--;
    answered++;
    return active(1);
  });
  t.match(result, { end: 'all', active: 300 });
  t.equal(most, 16);
});

t.test('a server with as many open questions as it may have is asked again a moment later', async (t) => {
  const clock = new ManualClock();
  let asked = 0;
  const refreshed = refreshLeases([lease('olt-1')], {
    clock,
    relays,
    ask: async () => (++asked < 3 ? { answer: 'silence', reason: 'busy' } : active(1)),
    deliver: () => undefined,
    parallel: 1,
    isStopped: () => false,
  });
  for (const count of [1, 2]) {
    await until(() => asked === count && clock.pending === 1);
    clock.advance(100);
  }
  t.match(await refreshed, { end: 'all', active: 1 });
  t.equal(asked, 3);
});

t.test('a stop ends it', async (t) => {
  const asked: string[] = [];
  const result = await refreshLeases([lease('olt-1'), lease('olt-1'), lease('olt-1')], {
    clock: new ManualClock(),
    relays,
    ask: async ({ address }) => {
      asked.push(address);
      return silence;
    },
    deliver: () => undefined,
    parallel: 1,
    isStopped: () => asked.length > 0,
  });
  t.match(result, { end: 'stopped', undecided: 1 });
});
