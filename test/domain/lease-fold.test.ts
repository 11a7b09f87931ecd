/** What lease events do, row by row of the table of effects; and that order, repetition and the cut between batches mean nothing. */
import t from 'tap';
import fc from 'fast-check';
import type { LeaseEvent } from '../../src/domain/lease-event.js';
import { LEASE_BOX } from '../../src/domain/lease.js';
import { dlink, leaseEvent, LeaseNetwork, leaseSubscriber, SWITCH } from '../support/lease-events.js';

const A = '100.65.0.10';
const B = '100.65.0.11';
const MAC1 = '02:00:00:00:00:01';
const MAC2 = '02:00:00:00:00:02';
const at = (seconds: number, rest: object = {}): LeaseEvent => leaseEvent('commit', { at: seconds, ...rest });

t.test('a commit opens a session of the subscriber at the port', (t) => {
  const network = new LeaseNetwork();
  network.play(at(0, { lasts: 600 }));
  t.same(network.bound, [`${A} user1 until 600`]);
  t.match(network.facts, [
    {
      status: 'start',
      address: A,
      mac: MAC1,
      whose: 1,
      login: 'user1',
      nasName: 'bras1',
      nasBox: LEASE_BOX,
      nasPortId: '1',
    },
  ]);
  t.match(network.leases.get(A), { deviceId: 1, port: '1', source: 'dhcp1', via: 'hook' });
  t.end();
});

t.test('the same address again: the time goes on, and nobody is told', (t) => {
  const network = new LeaseNetwork();
  network.play(at(0, { lasts: 600 }));
  const { facts, changed } = network.play(at(300, { lasts: 600 }));
  t.same(facts, []);
  t.equal(changed.length, 1);
  t.same(network.bound, [`${A} user1 until 900`]);
  t.end();
});

t.test('a new address takes the place of the old one, or stands beside it as far as the plan goes', (t) => {
  const network = new LeaseNetwork();
  network.play(at(0));
  network.play(at(60, { address: B }));
  t.same([network.bound, network.live], [[`${B} user1`], [`${B} user1`]]);
  t.match(network.leases.get(A)?.end, { cause: 'moved' });

  const two = new LeaseNetwork([leaseSubscriber(1, { maxAddresses: 2 })]);
  two.play(at(0), at(10, { address: B, mac: MAC2 }));
  t.same(two.live, [`${A} user1`, `${B} user1`]);
  two.play(at(20, { address: '100.65.0.12', mac: '02:00:00:00:00:03' }));
  t.same(two.live, [`${B} user1`, '100.65.0.12 user1'], 'the oldest goes');
  t.match(two.leases.get(A)?.end, { cause: 'replaced' });
  t.end();
});

t.test('a static subscriber has its own address and no other', (t) => {
  const network = new LeaseNetwork([leaseSubscriber(1, { staticAddress: '203.0.113.7' })]);
  network.play(at(0, { address: '203.0.113.7' }));
  t.same(network.live, ['203.0.113.7 user1']);
  network.play(at(10));
  t.same([network.live, network.refused], [['203.0.113.7 user1'], ['static-address']]);
  t.end();
});

t.test('an address that another one holds is taken from him first', (t) => {
  const network = new LeaseNetwork();
  network.play(at(0));
  const { facts } = network.play(at(30, { mac: MAC2, port: '2' }));
  t.match(facts, [
    { status: 'stop', whose: 1 },
    { status: 'start', whose: 2 },
  ]);
  t.same([network.bound, network.live], [[`${A} user2`], [`${A} user2`]]);
  t.end();
});

t.test(
  'an address in a RADIUS session of somebody else is not taken, one of the own session is the same session',
  (t) => {
    const network = new LeaseNetwork();
    const radius = { address: A, nasBox: '10.0.0.2', nasName: 'bras1', acctSessionId: 'a1' };
    network.sessions.set('radius', { ...radius, subscriberId: 2 });
    network.play(at(0));
    t.same([network.refused, network.bound], [['address-in-session'], []]);
    network.sessions.set('radius', { ...radius, subscriberId: 1 });
    network.play(at(10));
    t.same([network.bound, network.facts], [[`${A} user1`], []]);
    network.play(leaseEvent('release', { at: 20 }));
    t.same([network.bound, network.facts], [[], []], 'the lease lets go of nothing but itself');
    network.play(at(30));
    network.sessions.delete('radius');
    network.play(at(40));
    t.match(network.facts, [{ status: 'start', whose: 1 }], 'a renewal after the RADIUS session ended opens one');
    t.end();
  },
);

t.test('a renewal without option 82 keeps what is known', (t) => {
  const network = new LeaseNetwork();
  network.play(at(0, { lasts: 60 }));
  network.play(at(30, { lasts: 60, port: null }));
  t.same(network.bound, [`${A} user1 until 90`]);
  t.match(network.leases.get(A), { line: { switchMac: SWITCH, switchPort: '1' }, deviceId: 1, port: '1' });
  network.play(leaseEvent('expiry', { at: 200 }));
  network.play(at(210, { port: null }));
  t.same(network.bound, [`${A} user1`], 'also after it had ended');
  t.match(network.leases.get(A), { line: { switchPort: '1' }, port: '1' });
  network.play(at(220, { port: null, mac: MAC2 }));
  t.same([network.bound, network.refused], [[`${A} user1`], ['no-subscriber']], 'but not for another client');
  t.end();
});

t.test('release and expiry', (t) => {
  const over = (kind: 'release' | 'expiry', shape: object, expected: { live: string[]; idle: string[] }): void => {
    const network = new LeaseNetwork();
    network.play(at(0, { lasts: 60 }), at(30, { lasts: 60 }));
    network.play(leaseEvent(kind, { at: 0, ...shape }));
    t.same({ live: network.live, idle: network.idle }, expected, `${kind} ${JSON.stringify(shape)}`);
  };
  const online = [`${A} user1`];
  over('release', { at: 40 }, { live: [], idle: [] });
  over('release', { at: 40, mac: null }, { live: [], idle: [] });
  over('release', { at: 40, mac: MAC2 }, { live: online, idle: ['other-mac'] });
  over('release', { at: 20 }, { live: online, idle: ['late'] });
  over('release', { at: 40, address: B }, { live: online, idle: ['no-lease'] });
  over('expiry', { at: 90 }, { live: [], idle: [] });
  over('expiry', { at: 89 }, { live: [], idle: [] });
  over('expiry', { at: 70 }, { live: online, idle: ['early-expiry'] });
  t.end();
});

t.test('a server that was asked, and has given the address to nobody, is believed before the end', (t) => {
  const network = new LeaseNetwork();
  network.play(at(0, { lasts: 600 }), leaseEvent('expiry', { at: 60, via: 'leasequery', mac: null }));
  t.same(network.live, []);
  t.match(network.leases.get(A)?.end, { cause: 'expiry' });
  t.end();
});

t.test('an expiry whose end nobody told ends the lease', (t) => {
  const network = new LeaseNetwork();
  network.play(at(0), leaseEvent('expiry', { at: 5 }));
  t.same(network.live, []);
  t.match(network.facts.at(-1), { status: 'stop', terminateCause: 5, sessionSeconds: 5 });
  t.end();
});

t.test('a declined address is nobody’s for a while, and the lease of the client is over', (t) => {
  const network = new LeaseNetwork();
  network.play(at(0));
  const { declined } = network.play(leaseEvent('decline', { at: 1 }));
  t.same([declined, network.live, network.refused], [[A], [], ['declined']]);
  t.end();
});

t.test('who is meant', (t) => {
  const shared = { ...dlink, id: 2, mac: '3c:33:32:66:43:51', name: 'sw2' };
  const onu = { id: 3, mac: null, name: null, serial: 'HWTC12345678', byPort: false };
  const subscribers = [
    leaseSubscriber(1),
    leaseSubscriber(2, { deviceId: 2, port: '7', mac: MAC1 }),
    leaseSubscriber(3, { deviceId: 2, port: '7', mac: MAC2 }),
    leaseSubscriber(4, { deviceId: null, port: null, mac: '02:00:00:00:00:04' }),
    leaseSubscriber(5, { port: '5', option82Auth: 'port-mac', mac: '02:00:00:00:00:05' }),
    leaseSubscriber(6, { port: '6', option82Auth: 'mac', mac: '02:00:00:00:00:06' }),
    leaseSubscriber(7, { deviceId: null, port: null, mac: '02:00:00:00:00:08' }),
    leaseSubscriber(8, { deviceId: null, port: null, mac: '02:00:00:00:00:08' }),
    leaseSubscriber(9, { deviceId: 3, port: null }),
  ];
  for (const [name, shape, expected] of [
    ['port', {}, 'user1'],
    ['port that nobody has', { port: '9' }, 'no-subscriber'],
    ['device that nobody knows', { port: '00:00:00:00:00:09/1' }, 'no-device'],
    ['shared port, told apart by MAC', { port: '3c:33:32:66:43:51/7', mac: MAC2 }, 'user3'],
    ['shared port, with another MAC', { port: '3c:33:32:66:43:51/7', mac: '02:00:00:00:00:99' }, 'several'],
    ['MAC of one without a line', { port: null, mac: '02:00:00:00:00:04' }, 'user4'],
    ['the same from a line that nobody has', { port: '9', mac: '02:00:00:00:00:04' }, 'user4'],
    ['port and MAC', { port: '5', mac: '02:00:00:00:00:05' }, 'user5'],
    ['port with another MAC', { port: '5', mac: MAC1 }, 'mac-differs'],
    ['port and MAC without option 82', { port: null, mac: '02:00:00:00:00:05' }, 'no-line'],
    ['MAC that counts at any port', { port: '9', mac: '02:00:00:00:00:06' }, 'user6'],
    ['its port with another MAC', { port: '6', mac: MAC1 }, 'mac-differs'],
    ['a MAC of two', { port: null, mac: '02:00:00:00:00:08' }, 'several'],
    ['nobody', { port: null, mac: '02:00:00:00:00:77' }, 'no-subscriber'],
    ['outside of all pools', { address: '192.0.2.1' }, 'outside-pools'],
  ] as const) {
    const network = new LeaseNetwork(subscribers, [dlink, shared, onu]);
    network.play(leaseEvent('commit', { at: 0, ...shape }));
    t.equal(network.refused[0] ?? [...network.leases.values()][0]?.login, expected, name);
  }
  const network = new LeaseNetwork(subscribers, [dlink, shared, onu]);
  const unread = { circuitId: 'ff', remoteId: null, subscriberId: null, switchMac: null, switchPort: null };
  network.play({ ...at(0), line: unread });
  t.same(network.refused, ['line-unknown'], 'octets that no rule knows');
  const lying = new LeaseNetwork(subscribers, [dlink, shared, onu]);
  lying.play(at(0));
  for (const kind of ['commit', 'request', 'release', 'decline'] as const)
    lying.play({ ...leaseEvent(kind, { at: 10 }), line: { ...unread, circuitId: null, lying: '0141' } });
  t.same(lying.refused, Array(4).fill('line-lies'), 'a length that lies, whatever it says');
  t.ok(
    [...lying.leases.values()].every(({ end }) => end === null),
    'and whoever has the address keeps it',
  );
  t.end();
});

t.test('whoever is bound to another NAS meanwhile moves there with the next commit', (t) => {
  const network = new LeaseNetwork();
  network.play(at(0));
  const moved = new LeaseNetwork([leaseSubscriber(1, { nasName: 'bras2' })]);
  for (const lease of network.leases.values()) moved.leases.set(lease.address, lease);
  for (const [key, session] of network.sessions) moved.sessions.set(key, session);
  const { facts } = moved.play(at(10));
  t.match(facts, [
    { status: 'stop', nasName: 'bras1' },
    { status: 'start', nasName: 'bras2' },
  ]);
  t.end();
});

t.test('a request that nobody confirmed changes nothing', (t) => {
  const network = new LeaseNetwork();
  network.play(leaseEvent('request', { at: 0, port: '1' }));
  t.same([network.bound, network.idle], [[], ['unconfirmed']]);
  t.end();
});

/** What one DHCP server says of a few clients: commits, renewals, releases and expiries, one event a second at most. */
const story = fc
  .array(
    fc.record({ client: fc.nat(2), act: fc.constantFrom('bind', 'renew', 'release', 'expire'), address: fc.nat(3) }),
    {
      maxLength: 14,
    },
  )
  .map((acts) => {
    const events: LeaseEvent[] = [];
    const holders = new Map<string, { client: number; endsAt: number }>();
    acts.forEach(({ client, act, address: number }, i) => {
      const now = (i + 1) * 40;
      const mac = `02:00:00:00:00:0${String(client + 1)}`;
      const port = String(client + 1);
      const own = [...holders].find(([, holder]) => holder.client === client);
      if (act === 'bind' || act === 'renew') {
        const address = own?.[0] ?? `100.65.0.1${String(number)}`;
        const holder = holders.get(address);
        if (holder !== undefined && holder.client !== client) return;
        holders.set(address, { client, endsAt: now + 100 });
        events.push(
          leaseEvent('commit', { at: now, lasts: 100, address, mac, port: act === 'renew' && own ? null : port }),
        );
      } else if (own !== undefined) {
        const [address, { endsAt }] = own;
        holders.delete(address);
        const over = act === 'expire' ? Math.max(now, endsAt) : now;
        // The next event of the server comes after this one.
        if (over >= (i + 2) * 40) {
          holders.set(address, { client, endsAt });
          return;
        }
        events.push(leaseEvent(act === 'expire' ? 'expiry' : 'release', { at: over, address, mac }));
      }
    });
    return events;
  });

/** The same events, some twice, each delayed by up to 200 s, cut into batches. */
function disordered(events: readonly LeaseEvent[], dice: readonly number[]): LeaseNetwork {
  const arrivals = events
    .flatMap((event, i) =>
      Array.from({ length: dice[i]! % 3 === 0 ? 2 : 1 }, (_, copy) => ({
        event,
        arrivesAtMs: event.eventAtMs + (dice[i + 15 * (copy + 1)]! % 200) * 1000,
      })),
    )
    .sort((a, b) => a.arrivesAtMs - b.arrivesAtMs);
  const network = newNetwork();
  const size = 1 + (dice[59]! % 5);
  for (let i = 0; i < arrivals.length; i += size)
    network.play(...arrivals.slice(i, i + size).map(({ event }) => event));
  return network;
}

function inOrder(events: readonly LeaseEvent[]): LeaseNetwork {
  const network = newNetwork();
  for (const event of events) network.play(event);
  return network;
}

const newNetwork = (): LeaseNetwork => new LeaseNetwork([1, 2, 3].map((id) => leaseSubscriber(id)));
const dice = fc.array(fc.nat(1_000), { minLength: 60, maxLength: 60 });

// Every commit tells the line: a renewal without it that overtakes the commit which tells it is nobody's, until the next one.
t.test('property: repetition, delay and the cut between batches change nothing in the end', (t) => {
  fc.assert(
    fc.property(story, dice, (events, thrown) => {
      const told = events.map((event) => ({ ...event, line: event.kind === 'commit' ? lineOf(event) : null }));
      const [late, ordered] = [disordered(told, thrown), inOrder(told)];
      return JSON.stringify([late.bound, late.live]) === JSON.stringify([ordered.bound, ordered.live]);
    }),
    { numRuns: 5_000 },
  );
  t.pass('no counterexample');
  t.end();
});

function lineOf({ mac }: LeaseEvent): LeaseEvent['line'] {
  return leaseEvent('commit', { at: 0, port: mac!.slice(-1) }).line;
}
