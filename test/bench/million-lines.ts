/**
 * Access lines and leases of a city: everybody is plugged in somewhere and has a lease. Enters: a database with the people. Leaves: devices, ports, leases and
 * refused events in it, and the pages that show them. Invariant: what is written here triggers nothing, so that the server reads it at its next start.
 */
import pg from 'pg';

/** People of one switch. */
const PORTS = 48;
/** As many as are kept of refused events. */
const REFUSALS = 20_000;
const CHUNK = 50_000;

/** Plugs everybody in. @param people with ids from 1 on */
export async function plugInCity(databaseUrl: string, people: number): Promise<void> {
  const client = new pg.Client(databaseUrl);
  await client.connect();
  try {
    await client.query('SET statement_timeout = 0; ALTER TABLE subscriber DISABLE TRIGGER USER');
    await client.query(
      `INSERT INTO device (kind_id, name, mac, address, status, status_since, noticeable)
       SELECT (SELECT id FROM device_kind WHERE name = 'dlink'), 'sw-' || n, ('04:00:00' || regexp_replace(lpad(to_hex(n), 6, '0'), '(..)', ':\\1', 'g'))::macaddr,
         inet '10.200.0.0' + n, CASE WHEN n % 100 = 0 THEN 'down' ELSE 'up' END, now() - n * interval '1 second', true
       FROM generate_series(1, $1::int) AS n`,
      [Math.ceil(people / PORTS)],
    );
    for (let from = 1; from <= people; from += CHUNK) {
      const ids = [from, Math.min(people, from + CHUNK - 1)];
      await client.query(
        `UPDATE subscriber SET device_id = 1 + (id - 1) / ${String(PORTS)}, port = (1 + (id - 1) % ${String(PORTS)})::text, port_key = (1 + (id - 1) % ${String(PORTS)})::text
         WHERE id BETWEEN $1 AND $2`,
        ids,
      );
      await client.query(
        `INSERT INTO lease (routing_domain, address, state, mac, subscriber_id, nas_name, device_id, port, circuit_id, remote_id, source, via,
           began_at, committed_at, ends_at, event_at)
         SELECT 'default', inet '10.0.0.0' + id, 'bound', mac, id, 'localhost', device_id, port, '000400010001', '0006040000000001', 'dhcp1', 'hook',
           now() - id * interval '1 millisecond', now(), now() + interval '1 hour', now()
         FROM subscriber WHERE id BETWEEN $1 AND $2`,
        ids,
      );
    }
    await client.query(
      `INSERT INTO lease_refusal (first_at, at, routing_domain, address, mac, kind, reason, device, port, source, via)
       SELECT now(), now() - n * interval '1 second', 'default', inet '10.99.0.0' + n, ('06:00:00' || regexp_replace(lpad(to_hex(n), 6, '0'), '(..)', ':\\1', 'g'))::macaddr,
         'commit', CASE WHEN n % 3 = 0 THEN 'no-device' ELSE 'no-subscriber' END, '04:00:00:ff:00:01', '7', 'dhcp1', 'hook'
       FROM generate_series(1, ${String(REFUSALS)}) AS n`,
    );
    await client.query('ALTER TABLE subscriber ENABLE TRIGGER USER');
    await client.query('VACUUM ANALYZE subscriber, lease, lease_refusal, device');
  } finally {
    await client.end();
  }
}

/** Lists, searches and single pages of them: common, rare, nobody's. */
export function linePaths(people: number): string[] {
  const n = Math.floor(people / 2);
  const device = 1 + Math.floor((n - 1) / PORTS);
  return [
    '/',
    '/leases',
    `/leases?q=10.${String((n >>> 16) & 255)}.${String((n >>> 8) & 255)}.${String(n & 255)}`,
    `/leases?q=user${String(n)}@city.example`,
    '/leases?q=user',
    `/leases?q=sw-${String(device)}`,
    `/leases?q=sw-${String(device)} 7`,
    '/leases?q=02:10:00:07:a1:20',
    '/leases/refused',
    '/leases/refused?reason=no-device',
    '/devices',
    '/devices?status=down',
    '/devices?q=sw-1',
    `/devices?q=sw-${String(device)}`,
    `/devices/${String(device)}`,
    `/subscribers/${String(n)}`,
    `/subscribers?q=sw-${String(device)}`,
  ];
}
