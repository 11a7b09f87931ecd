/**
 * IPv6 prefixes through the whole server: from the Accept over accounting to quarantine and back to the same subscriber. Holds: address and
 * prefixes are one promise; nobody has a prefix that another has, over restarts and two servers; an exhausted pool is a Reject.
 */
import t from 'tap';
import { Attribute } from '../../src/radius/attribute-number.js';
import { Code } from '../../src/radius/code.js';
import type { Packet } from '../../src/radius/packet.js';
import type { RequestBuilder } from '../../src/radius/request.js';
import { waitFor } from '../support/deadline.js';
import { freshDatabase, type FreshDatabase } from '../support/database.js';
import { insertPlan, insertPool, insertPopulation, type Household } from '../support/population.js';
import { differences } from '../support/recorded-truth.js';
import { applied } from '../support/scrape.js';
import { startPair } from '../support/server-pair.js';
import { ServerSeries } from '../support/server-series.js';
import { addPrefixPool } from '../support/subscriber-rows.js';
import { describe, TestNas, type LogIn } from '../support/test-nas.js';

type Pool = FreshDatabase['pool'];

const LINKS = '2001:db8::/60';
const NETWORKS = '2001:db8:100::/53';

/** A plan with an address and both prefixes, and people who have it. Eight prefixes can be delegated. */
async function town(pool: Pool, count: number, networks = NETWORKS): Promise<Household[]> {
  const poolId = await insertPool(pool, '100.64.0.0/26', { quarantineSeconds: 1 });
  const links = await addPrefixPool(pool, LINKS, { kind: 'framed-prefix', prefix_length: 64, quarantine_seconds: 1 });
  const homes = await addPrefixPool(pool, networks, {
    kind: 'delegated-prefix',
    prefix_length: 56,
    quarantine_seconds: 1,
  });
  const planId = await insertPlan(pool);
  await pool.query('UPDATE plan SET framed_pool_id = $1, delegated_pool_id = $2', [links, homes]);
  return insertPopulation(pool, { prefix: 'v', staticCount: 0, dynamicCount: count, planId, poolId });
}

const loginOf = (who: Household): LogIn => ({
  userName: who.login,
  password: who.password,
  callingStationId: who.mac,
});

interface Granted {
  readonly address: string;
  readonly framed: string;
  readonly delegated: string;
  readonly class: Buffer;
}

function grantedBy(reply: Packet | undefined): Granted {
  if (reply?.code !== Code.accessAccept) throw new Error(`no Accept: ${describe(reply)}`);
  return {
    address: reply.address(Attribute.framedIpAddress)!,
    framed: reply.ipv6Prefix(Attribute.framedIpv6Prefix)!,
    delegated: reply.ipv6Prefix(Attribute.delegatedIpv6Prefix)!,
    class: Buffer.from(reply.first(Attribute.class)!),
  };
}

/** Puts prefixes into an accounting packet as a NAS does. */
const fill =
  ({ framed, delegated }: Granted) =>
  (request: RequestBuilder): void => {
    request.addOctets(Attribute.framedIpv6Prefix, prefixOctets(framed));
    request.addOctets(Attribute.delegatedIpv6Prefix, prefixOctets(delegated));
    request.addOctets(Attribute.framedInterfaceId, Buffer.from('000000fffe000001', 'hex'));
  };

/** RFC 3162 §2.3: a reserved octet, the length, and as many octets of the prefix as are needed. */
function prefixOctets(prefix: string): Buffer {
  const [address = '', bits = ''] = prefix.split('/');
  const groups = address.split('::')[0]!.split(':');
  const octets = Buffer.alloc(2 + Math.ceil(Number(bits) / 8));
  octets[1] = Number(bits);
  groups.forEach((group, at) => {
    if (2 + at * 2 + 2 <= octets.length + 1) {
      const value = Number.parseInt(group, 16);
      octets[2 + at * 2] = value >> 8;
      if (3 + at * 2 < octets.length) octets[3 + at * 2] = value & 255;
    }
  });
  return octets;
}

async function assignments(pool: Pool, login: string): Promise<Record<string, unknown>[]> {
  const { rows } = await pool.query<Record<string, unknown>>(
    `SELECT kind, abbrev(address) AS address, slot, ended_at IS NULL AS open, end_cause, pool_id IS NOT NULL AS pooled
     FROM assignment WHERE login = $1 ORDER BY array_position(ARRAY['ipv4', 'framed-prefix', 'delegated-prefix'], kind), started_at`,
    [login],
  );
  return rows;
}

t.test('Accept, Start, Interim with prefixes, Stop, quarantine, and the same prefixes again', async (t) => {
  const database = await freshDatabase(t);
  const [alice, bob] = await town(database.pool, 2);
  const server = await ServerSeries.start(t, { databaseUrl: database.url });
  const nas = await TestNas.open(t, server);
  const first = grantedBy(await nas.logIn(loginOf(alice!)));
  t.match(first, { address: /^100\.64\.0\./, framed: /^2001:db8:.*\/64$/, delegated: /^2001:db8:100:.*\/56$/ });
  t.match(grantedBy(await nas.logIn(loginOf(alice!))), { ...first, class: Buffer }, 'asked again: the same again');
  const other = grantedBy(await nas.logIn(loginOf(bob!)));
  for (const key of ['address', 'framed', 'delegated'] as const) t.not(other[key], first[key], `his own ${key}`);
  await applied(server.statusUrl);
  const offered = await database.pool.query(
    `SELECT count(*)::int AS count, count(DISTINCT offer_id)::int AS offers FROM pool_address WHERE state = 'offered'`,
  );
  t.same(offered.rows, [{ count: 6, offers: 2 }], 'one promise for all that an Accept names');

  const session = {
    userName: alice!.login,
    acctSessionId: 's1',
    callingStationId: alice!.mac,
    framedIpAddress: first.address,
    class: first.class,
  };
  t.ok(await nas.account({ ...session, status: 'start' }));
  await applied(server.statusUrl);
  t.same(
    (await assignments(database.pool, alice!.login)).map((row) => row['kind']),
    ['ipv4'],
    'before the router of the subscriber has asked for any',
  );
  t.ok(await nas.account({ ...session, status: 'interimUpdate', sessionSeconds: 60, fill: fill(first) }));
  await applied(server.statusUrl);
  const held = { open: true, slot: 0, pooled: true };
  t.match(await assignments(database.pool, alice!.login), [
    { kind: 'ipv4', address: first.address, ...held },
    { kind: 'framed-prefix', address: first.framed, ...held },
    { kind: 'delegated-prefix', address: first.delegated, ...held },
  ]);
  const { rows } = await database.pool.query(
    'SELECT framed_prefix::text, delegated_prefix::text, interface_id, conflict FROM session',
  );
  t.same(rows, [
    {
      framed_prefix: first.framed,
      delegated_prefix: first.delegated,
      interface_id: '0:ff:fe00:1',
      conflict: null,
    },
  ]);

  t.ok(await nas.account({ ...session, status: 'stop', sessionSeconds: 90, fill: fill(first) }));
  await applied(server.statusUrl);
  t.ok(
    (await assignments(database.pool, alice!.login)).every(
      (row) => row['open'] === false && row['end_cause'] === 'stop',
    ),
  );
  await waitFor('the end of quarantine', 20_000, async () => {
    const free = await database.pool.query(
      `SELECT FROM pool_address WHERE state = 'free' AND subscriber_id = (SELECT id FROM subscriber WHERE login = $1)`,
      [alice!.login],
    );
    return free.rowCount === 3;
  });
  const again = grantedBy(await nas.logIn(loginOf(alice!)));
  t.match(again, { address: first.address, framed: first.framed, delegated: first.delegated });
  await applied(server.statusUrl);
  t.match(
    await differences(database.pool, []),
    ['s1: recorded, never sent'],
    'tables agree with each other, but for the session, which is in no notes',
  );
});

t.test('a restart and a second server: every prefix stays its owner’s, and nobody’s twice', async (t) => {
  const database = await freshDatabase(t);
  const people = await town(database.pool, 8);
  const { first, second } = await startPair(t, database.url);
  const nases = [await TestNas.open(t, first), await TestNas.open(t, second, { secret: first.secret })];
  const before = new Map<string, Granted>();
  for (const [at, who] of people.slice(0, 6).entries())
    before.set(who.login, grantedBy(await nases[at % 2]!.logIn(loginOf(who))));
  for (const key of ['address', 'framed', 'delegated'] as const)
    t.equal(new Set([...before.values()].map((one) => one[key])).size, 6, `six of ${key}`);
  await first.kill();
  await first.restart();
  await Promise.all([applied(first.statusUrl), applied(second.statusUrl)]);
  const { rows } = await database.pool.query<{ now: Date }>('SELECT now()');
  await waitFor('both servers to have heard of it', 20_000, async () => {
    const behind = await database.pool.query('SELECT FROM instance WHERE caught_up_at <= $1', [rows[0]!.now]);
    return behind.rowCount === 0;
  });
  for (const [at, who] of people.slice(0, 6).entries()) {
    const now = grantedBy(await nases[(at + 1) % 2]!.logIn(loginOf(who)));
    const { address, framed, delegated } = before.get(who.login)!;
    t.match(now, { address, framed, delegated }, `${who.login} at the other server`);
  }
  await applied(first.statusUrl);
  const cut = await database.pool.query<{ carved: number; rows: number }>(
    `SELECT n.carved, (SELECT count(*)::int FROM pool_address a WHERE a.pool_id = n.pool_id) AS rows
     FROM pool_network n JOIN pool p ON p.id = n.pool_id WHERE p.kind = 'delegated-prefix'`,
  );
  t.equal(cut.rows[0]!.carved, cut.rows[0]!.rows, 'as many rows as were cut');
  t.ok(cut.rows[0]!.carved <= 8);
});

t.test('a pool of prefixes that has no more is a Reject, and the address is given back', async (t) => {
  const database = await freshDatabase(t);
  const [alice, bob] = await town(database.pool, 2, '2001:db8:100::/56');
  const server = await ServerSeries.start(t, { databaseUrl: database.url });
  const nas = await TestNas.open(t, server);
  grantedBy(await nas.logIn(loginOf(alice!)));
  t.match(describe(await nas.logIn(loginOf(bob!))), /^Reject: No address available/);
  await applied(server.statusUrl);
  const { rows } = await database.pool.query(
    `SELECT reason FROM access_attempt WHERE outcome = 'reject' AND login = $1`,
    [bob!.login],
  );
  t.same(rows, [{ reason: 'pool-empty' }]);
  await database.pool.query('UPDATE plan SET delegated_pool_id = NULL');
  await waitFor('bob to get in without', 10_000, async () => {
    const reply = await nas.logIn(loginOf(bob!));
    return reply?.code === Code.accessAccept && reply.ipv6Prefix(Attribute.delegatedIpv6Prefix) === undefined;
  });
});

t.test('static prefixes, alone and beside an address; what is static is not cut for anybody', async (t) => {
  const database = await freshDatabase(t);
  const [alice, bob] = await town(database.pool, 2, '2001:db8:100::/55');
  await database.pool.query(
    `UPDATE subscriber SET static_delegated_prefix = '2001:db8:100::/57', static_framed_prefix = '2001:db8:f::/64' WHERE login = $1`,
    [alice!.login],
  );
  const server = await ServerSeries.start(t, { databaseUrl: database.url });
  const nas = await TestNas.open(t, server);
  t.match(grantedBy(await nas.logIn(loginOf(alice!))), { framed: '2001:db8:f::/64', delegated: '2001:db8:100::/57' });
  t.match(grantedBy(await nas.logIn(loginOf(bob!))), { delegated: '2001:db8:100:100::/56' }, 'the other of the two');
  await database.pool.query(`UPDATE subscriber SET static_delegated_prefix = '2001:db8:aaaa::/48' WHERE login = $1`, [
    alice!.login,
  ]);
  await waitFor('the new static prefix', 10_000, async () => {
    const reply = await nas.logIn(loginOf(alice!));
    return reply?.ipv6Prefix(Attribute.delegatedIpv6Prefix) === '2001:db8:aaaa::/48';
  });
  const refused = await database.pool
    .query(`UPDATE subscriber SET static_framed_prefix = '2001:db8:aaaa:1::/64' WHERE login = $1`, [bob!.login])
    .catch((error: unknown) => error);
  t.match(refused, { constraint: 'subscriber_static_prefixes_apart' });
});

t.test('in a garden that was made for IPv4 nobody gets a prefix', async (t) => {
  const database = await freshDatabase(t);
  const [alice] = await town(database.pool, 1);
  await database.pool.query('UPDATE subscriber SET redirect = true');
  const server = await ServerSeries.start(t, { databaseUrl: database.url });
  const reply = await (await TestNas.open(t, server)).logIn(loginOf(alice!));
  t.match(describe(reply), /^Accept 100\.64/);
  t.equal(reply!.ipv6Prefix(Attribute.framedIpv6Prefix), undefined);
  t.equal(reply!.ipv6Prefix(Attribute.delegatedIpv6Prefix), undefined);
});
