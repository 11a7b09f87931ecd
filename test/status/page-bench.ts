/**
 * How long pages take over many subscribers: `npx tsx test/status/page-bench.ts [subscribers]`. Enters: a number. Leaves: a table on standard output, milliseconds
 * of the slowest of ten requests, through the page's own role. Invariant: the database is its own and is gone afterwards.
 */
import pg from 'pg';
import { pageHouse } from '../support/page.js';

const subscribers = Number(process.argv[2] ?? 1_000_000);
const ends: (() => unknown)[] = [];
const house = await pageHouse({ teardown: (end: () => unknown) => ends.unshift(end) });

async function timed<T>(what: string, work: () => Promise<T>): Promise<T> {
  const beganAt = performance.now();
  const result = await work();
  console.log(`${what}: ${((performance.now() - beganAt) / 1000).toFixed(1)} s`);
  return result;
}

const families = ['Иванов', 'Петрова', 'Сидоров', 'Смирнова', 'Кузнецов', 'Miller', 'Novák', 'Jansen'];
const statements: readonly (readonly [string, string])[] = [
  [
    'accounts',
    `INSERT INTO account (contract, name, phone, address)
     SELECT 'C-' || i, (ARRAY['${families.join("','")}'])[1 + i % 8] || ' ' || (ARRAY['Анна','Олег','Eva','Jan'])[1 + i / 8 % 4],
            '+7 9' || lpad((i::bigint * 7919 % 1000000000)::text, 9, '0'), 'ул. Улица' || i % 5000 || ' ' || i % 90
       FROM generate_series(1, ${String(subscribers)}) i`,
  ],
  [
    'subscribers',
    `INSERT INTO subscriber (account_id, login, mac)
     SELECT id, 'user' || id, ('02:00:' || regexp_replace(lpad(to_hex(id), 8, '0'), '(..)(..)(..)(..)', '\\1:\\2:\\3:\\4'))::macaddr FROM account`,
  ],
  [
    'session keys',
    `INSERT INTO session_key (nas_name, nas_box, acct_session_id, epoch) SELECT 'bras' || id % 20, 'box', id::text, 0 FROM subscriber WHERE id % 2 = 0`,
  ],
  [
    'sessions',
    `INSERT INTO session (id, subscriber_id, login, nas_name, nas_box, routing_domain, acct_session_id, epoch, mac, address, started_at,
       started_exactly, last_event_at, last_received_at)
     SELECT k.session_id, s.id, s.login, k.nas_name, 'box', 'default', k.acct_session_id, 0, s.mac, '100.64.0.0'::inet + s.id, now(), true, now(), now()
       FROM session_key k JOIN subscriber s ON s.id = k.acct_session_id::bigint`,
  ],
  ['pool', `INSERT INTO pool (name) VALUES ('main')`],
  [
    'addresses',
    `INSERT INTO pool_address (routing_domain, address, pool_id) SELECT 'default', '100.64.0.0'::inet + i, 1 FROM generate_series(1, ${String(subscribers)}) i`,
  ],
  [
    'nas',
    `INSERT INTO nas (name, profile, last_packet_at, place, mode) SELECT 'bras' || i, 'linux', now(), 'session', 'enforce' FROM generate_series(0, 19) i`,
  ],
  [
    'places',
    `INSERT INTO enforcement (kind, nas_name, subscriber_id, session_id, desired, applied, evidence, applied_at, state, due_at)
     SELECT 'session', nas_name, subscriber_id, id, d, d, 'ack', now(), CASE WHEN id % 100 = 0 THEN 'held' ELSE 'converged' END, NULL
       FROM session, LATERAL (SELECT jsonb_build_object('present', true, 'key', jsonb_build_object('login', login, 'mac', mac, 'address', host(address),
         'framedPrefix', NULL, 'delegatedPrefix', NULL), 'blocked', false, 'redirect', false, 'ownDisabled', false, 'authorised', true,
         'rate', jsonb_build_object('downBps', 50000000, 'upBps', 10000000), 'services', '[]'::jsonb) AS d) AS state`,
  ],
  [
    'commands',
    `INSERT INTO nas_command (at, enforcement_id, nas_name, subscriber_id, login, command, driver, sent, attempts, planned_at, sent_at, answered_at,
       outcome, evidence, detail, generation, instance)
     SELECT now() - make_interval(secs => id % 86400), id, nas_name, subscriber_id, login, 'user_rate_set', 'coa', repeat('x', 200), 1, now(), now(),
       now(), 'applied', 'ack', '', 1, 'sluice-1' FROM session`,
  ],
  [
    'owners',
    `INSERT INTO nas_owner (nas_name, instance, since, seen_at, counts, counted_at)
     SELECT name, 'sluice-1', now(), now(), '{"converged": 20000, "held": 250}', now() FROM nas`,
  ],
  // An OLT with 10,000 people, switches with 24, and an ONU for every hundredth subscriber; one device in a hundred is down.
  [
    'devices',
    `INSERT INTO device (kind_id, name, mac, address, status, status_since)
     SELECT k.id, 'sw' || i, ('02:0a:' || regexp_replace(lpad(to_hex(i), 8, '0'), '(..)(..)(..)(..)', '\\1:\\2:\\3:\\4'))::macaddr, '10.0.0.0'::inet + i,
       CASE WHEN i % 100 = 0 THEN 'down' ELSE 'up' END, now() - make_interval(secs => i)
     FROM device_kind k, generate_series(0, ${String(Math.ceil(subscribers / 24))}) i WHERE k.name = 'dlink'`,
  ],
  [
    'terminals',
    `INSERT INTO device (kind_id, serial) SELECT k.id, 'HWTC' || upper(lpad(to_hex(i), 8, '0'))
     FROM device_kind k, generate_series(1, ${String(Math.ceil(subscribers / 100))}) i WHERE k.name = 'onu'`,
  ],
  [
    'ports',
    `UPDATE subscriber s SET device_id = d.id, port = CASE WHEN s.id <= 10000 THEN '0/1/' || s.id % 16 || '/' || s.id ELSE (s.id % 24 + 1)::text END
     FROM device d WHERE d.name = 'sw' || CASE WHEN s.id <= 10000 THEN 0 ELSE s.id / 24 END`,
  ],
  ['online', `UPDATE subscriber SET logged = true WHERE id % 2 = 0`],
  [
    'leases',
    `INSERT INTO lease (routing_domain, address, state, mac, subscriber_id, nas_name, device_id, port, circuit_id, remote_id, source, via, began_at,
       committed_at, ends_at, event_at)
     SELECT 'default', '100.64.0.0'::inet + id, 'bound', mac, id, 'bras' || id % 20, device_id, port, '000400010001', '00063c3332664350', 'dhcp1', 'hook', t, t,
       t + interval '1 day', t FROM subscriber, LATERAL (SELECT now() - make_interval(secs => id % 90000) AS t) AS at`,
  ],
  [
    'refused',
    `INSERT INTO lease_refusal (first_at, at, routing_domain, address, mac, kind, reason, subscriber_id, device, port, circuit_id, source, via)
     SELECT t, t, 'default', '100.64.0.0'::inet + i, '02:00:00:00:00:01'::macaddr, 'commit', 'no-device', i, '02:0a:00:00:00:01', (i % 24)::text, '000400010001', 'dhcp1', 'hook'
       FROM generate_series(1, 60000) i, LATERAL (SELECT now() - make_interval(secs => i) AS t) AS at`,
  ],
  ['fuse', `UPDATE fuse SET held_at = now()`],
];
// A connection of its own: those of the pool give up long before a million rows are written.
const client = new pg.Client({ connectionString: house.database.url });
await client.connect();
for (const [what, statement] of statements) await timed(what, () => client.query({ text: statement }));
await timed('analyze', () => client.query('VACUUM ANALYZE'));
await client.end();

const middle = Math.floor(subscribers / 2);
const paths = [
  '/',
  '/subscribers?q=user12345',
  '/subscribers?q=user',
  `/subscribers?q=C-${String(middle)}`,
  '/subscribers?q=иванов',
  '/subscribers?q=иванов анна улица77',
  '/subscribers?q=ул',
  '/subscribers?q=nobodyhasthis',
  '/subscribers?q=1234567',
  '/subscribers?q=02:00:00:00:30:39',
  '/subscribers?q=100.64.48.57',
  `/subscribers/${String(middle)}`,
  `/subscribers/${String(middle)}?date=2026-11-02`,
  '/sessions',
  '/sessions?nas=bras7',
  '/nas',
  '/nas/bras7',
  '/pools',
  '/leases',
  '/leases?q=user',
  '/leases?q=user12345',
  '/leases?q=sw0',
  '/leases?q=sw0 0/1/5/5',
  '/leases?q=100.64.48.57',
  '/leases?q=02:00:00:00:30:39',
  '/leases?q=nobodyhasthis',
  '/leases/refused',
  '/leases/refused?q=02:0a:00:00:00:01 5',
  '/leases/refused?reason=declined',
  '/devices',
  '/devices?status=down',
  '/devices?after=25000-sw500',
  '/devices?q=sw',
  '/devices?q=HWTC0000',
  '/devices/1',
  '/devices/1?offline=1&from=4000',
  '/devices/77',
  '/subscribers/5000',
  '/subscribers?q=sw0',
  '/subscribers?q=sw77',
  '/subscribers?q=sw77 5',
  '/subscribers?q=02:0a:00:00:00:4d',
  '/subscribers?q=HWTC0000',
  '/subscribers?q=HWTC00000001',
];
console.log('path, slowest of ten after the first, first (ms)');
for (const path of paths) {
  const times: number[] = [];
  for (let i = 0; i < 11; i++) {
    const beganAt = performance.now();
    const { statusCode } = await house.get(encodeURI(path));
    times.push(performance.now() - beganAt);
    if (statusCode !== 200) console.log(`${path} answered ${String(statusCode)}: ${String(house.errors.at(-1))}`);
  }
  console.log(`${path}\t${Math.max(...times.slice(1)).toFixed(0)}\t${times[0]!.toFixed(0)}`);
}
for (const end of ends) await end();
process.exit(0);
