/** Lease events from the spool to PostgreSQL: what is stored, what follows in sessions and assignments, and what other servers and bad events change. */
import t from 'tap';
import type { Pool } from 'pg';
import type { LeaseEvent } from '../../src/domain/lease-event.js';
import { RecordKind } from '../../src/handlers/accounting-record.js';
import { encodeLeaseRecord } from '../../src/handlers/lease-record.js';
import { settleSubscribers } from '../../src/store/settle.js';
import type { LeaseBatch } from '../../src/workers/lease-batch.js';
import { freshDatabase } from '../support/database.js';
import { leaseEvent, SWITCH } from '../support/lease-events.js';
import { runApplier, type RunningApplier } from '../support/running-applier.js';
import { invariantProblems } from '../support/stored-world.js';
import { addAccount, addPlan, addPool, addSubscriber } from '../support/subscriber-rows.js';

const A = '100.65.0.10';

/** Three subscribers at ports 1 to 3 of a switch, a pool, and NAS bras1 where entries are put. */
async function scene(
  t: Parameters<typeof freshDatabase>[0] & Parameters<typeof runApplier>[0],
  plan: Record<string, unknown> = {},
) {
  const database = await freshDatabase(t);
  const { pool } = database;
  await addPool(pool, '100.65.0.0/24', [A, '100.65.0.11', '100.65.0.12']);
  await pool.query(
    `INSERT INTO device (kind_id, name, mac) SELECT id, 'sw1', $1 FROM device_kind WHERE name = 'dlink'`,
    [SWITCH],
  );
  await pool.query(
    `INSERT INTO nas (name, profile, place, mode) VALUES ('bras1', 'linux-nft-ssh', 'provisioned', 'enforce')`,
  );
  const accountId = await addAccount(pool, { planId: await addPlan(pool, plan) });
  const ids: number[] = [];
  for (const port of ['1', '2', '3'])
    ids.push(await addSubscriber(pool, { accountId, login: `user${port}`, device_id: 1, port, nas_name: 'bras1' }));
  const batches: LeaseBatch[] = [];
  const running = await runApplier(t, pool, (fact) => fact.whose ?? null, { onLeases: (batch) => batches.push(batch) });
  return { ...database, pool, ids, running, batches };
}

async function play({ appendRaw, applier }: RunningApplier, ...events: LeaseEvent[]): Promise<void> {
  await Promise.all(events.map((event) => appendRaw(RecordKind.leaseEvent, encodeLeaseRecord(event))));
  await applier.caughtUp();
}

async function one(pool: Pool, text: string): Promise<unknown> {
  return (await pool.query(text)).rows[0];
}

t.test('a lease is stored with its line, and is a session to everything behind it', async (t) => {
  const { pool, ids, running, batches } = await scene(t);
  const evidence = {
    circuitId: '000400010001',
    remoteId: '00063c3332664350',
    subscriberId: null,
    switchMac: SWITCH,
    switchPort: '1',
  };
  await play(running, { ...leaseEvent('commit', { at: 0, lasts: 3600 }), line: evidence });
  t.match(
    await one(
      pool,
      `SELECT host(address) AS address, state, mac::text AS mac, subscriber_id, nas_name, device_id, port, circuit_id, remote_id,
      switch_mac::text AS switch_mac, switch_port, source, via, ends_at - began_at AS lasts FROM lease`,
    ),
    {
      address: A,
      state: 'bound',
      mac: '02:00:00:00:00:01',
      subscriber_id: ids[0],
      nas_name: 'bras1',
      device_id: 1,
      port: '1',
      circuit_id: '000400010001',
      remote_id: '00063c3332664350',
      switch_mac: SWITCH,
      switch_port: '1',
      source: 'dhcp1',
      via: 'hook',
    },
  );
  t.match(await one(pool, 'SELECT subscriber_id, nas_name, nas_box, host(address) AS address FROM session'), {
    subscriber_id: ids[0],
    nas_name: 'bras1',
    nas_box: 'dhcp lease',
    address: A,
  });
  t.match(await one(pool, 'SELECT host(address) AS address, subscriber_id FROM assignment WHERE ended_at IS NULL'), {
    address: A,
  });
  t.match(await one(pool, "SELECT state, subscriber_id FROM pool_address WHERE address = '100.65.0.10'"), {
    state: 'assigned',
  });
  t.match(await one(pool, 'SELECT kind, nas_name, subscriber_id FROM enforcement'), {
    kind: 'provisioned',
    subscriber_id: ids[0],
  });
  t.ok(running.settled.has(ids[0]!), '`logged` follows');
  t.match(batches[0]?.facts, [{ status: 'start', whose: ids[0] }]);

  await play(running, leaseEvent('release', { at: 60 }));
  t.match(await one(pool, 'SELECT state, end_cause, circuit_id FROM lease'), {
    state: 'ended',
    end_cause: 'release',
    circuit_id: '000400010001',
  });
  t.match(await one(pool, 'SELECT end_cause, session_seconds, terminate_cause FROM session_history'), {
    end_cause: 'stop',
    session_seconds: 60,
    terminate_cause: 1,
  });
  t.equal((await pool.query('SELECT FROM session')).rowCount, 0);
  t.equal((await pool.query('SELECT FROM assignment WHERE ended_at IS NULL')).rowCount, 0);
  t.match(await one(pool, 'SELECT due_at IS NOT NULL AS due FROM enforcement'), { due: true });
  t.same(await invariantProblems(pool), []);
});

t.test('an address changes hands in one transaction', async (t) => {
  const { pool, ids, running } = await scene(t);
  await play(running, leaseEvent('commit', { at: 0 }));
  await play(running, leaseEvent('commit', { at: 30, port: '2', mac: '02:00:00:00:00:02' }));
  t.match(await one(pool, 'SELECT subscriber_id, state FROM lease'), { subscriber_id: ids[1], state: 'bound' });
  t.match(await one(pool, 'SELECT subscriber_id FROM session'), { subscriber_id: ids[1] });
  t.match(await one(pool, 'SELECT subscriber_id FROM assignment WHERE ended_at IS NULL'), { subscriber_id: ids[1] });
  t.same(await invariantProblems(pool), []);
});

t.test('a client that releases its address and asks for it again within the second is online', async (t) => {
  const { pool, running } = await scene(t);
  for (let at = 0; at < 3; at++) {
    await play(running, leaseEvent('commit', { at }), leaseEvent('release', { at: at + 0.4 }));
    await play(running, leaseEvent('commit', { at: at + 0.5 }));
  }
  t.equal((await pool.query('SELECT FROM session')).rowCount, 1);
  t.equal((await pool.query('SELECT FROM session_history')).rowCount, 3);
  t.same(await invariantProblems(pool), []);
});

t.test('what cannot be followed changes nothing and is listed once, with its reason', async (t) => {
  const { pool, running } = await scene(t);
  const strange = leaseEvent('commit', { at: 0, port: '9' });
  await play(running, strange, strange, leaseEvent('commit', { at: 5, port: '9' }));
  await play(running, leaseEvent('commit', { at: 9, port: '00:00:00:00:00:09/1' }));
  t.equal((await pool.query('SELECT FROM lease')).rowCount, 0);
  t.match((await pool.query('SELECT reason, repeats, device, port FROM lease_refusal ORDER BY id')).rows, [
    { reason: 'no-subscriber', repeats: 3, device: SWITCH, port: '9' },
    { reason: 'no-device', repeats: 1, device: '00:00:00:00:00:09', port: '1' },
  ]);
});

t.test('a declined address is quarantined', async (t) => {
  const { pool, running } = await scene(t);
  await play(running, leaseEvent('commit', { at: 0 }));
  await play(running, leaseEvent('decline', { at: 1 }));
  t.match(
    await one(
      pool,
      `SELECT state, subscriber_id, until_at > now() + interval '23 hours' AS long FROM pool_address WHERE address = '${A}'`,
    ),
    {
      state: 'quarantined',
      subscriber_id: null,
      long: true,
    },
  );
});

t.test('a plan may allow several addresses on a line', async (t) => {
  const { pool, running } = await scene(t, { max_addresses: 2, session_limit: 2 });
  const clients = ['100.65.0.10', '100.65.0.11', '100.65.0.12'].map((address, i) =>
    leaseEvent('commit', { at: i, address, mac: `02:00:00:00:00:0${String(i + 1)}` }),
  );
  await play(running, ...clients);
  t.same(
    (await pool.query('SELECT host(address) AS address FROM session ORDER BY 1')).rows.map(
      (row: { address: string }) => row.address,
    ),
    ['100.65.0.11', '100.65.0.12'],
  );
  t.same(await invariantProblems(pool), []);
});

t.test('a deleted subscriber waits for its lease', async (t) => {
  const { pool, ids, running } = await scene(t);
  await pool.query('DELETE FROM enforcement');
  await play(running, leaseEvent('commit', { at: 0 }));
  await pool.query('UPDATE subscriber SET deleted = true WHERE id = $1', [ids[0]]);
  await settleSubscribers(pool, ids);
  t.match(await one(pool, `SELECT released_at FROM subscriber WHERE id = ${String(ids[0])}`), { released_at: null });
  await play(running, leaseEvent('release', { at: 60 }));
  t.ok(running.settled.has(ids[0]!));
  await settleSubscribers(pool, ids);
  t.not(
    ((await one(pool, `SELECT released_at FROM subscriber WHERE id = ${String(ids[0])}`)) as { released_at: unknown })
      .released_at,
    null,
  );
  t.match(await one(pool, `SELECT close_reason FROM period WHERE subscriber_id = ${String(ids[0])}`), {
    close_reason: 'deleted',
  });
});

t.test('an option 82 that lies is listed as it came, and changes nothing', async (t) => {
  const { pool, running } = await scene(t);
  const line = {
    circuitId: null,
    remoteId: null,
    subscriberId: null,
    switchMac: null,
    switchPort: null,
    lying: '0141',
  };
  await play(running, { ...leaseEvent('commit', { at: 0 }), line }, { ...leaseEvent('commit', { at: 5 }), line });
  t.equal((await pool.query('SELECT FROM lease')).rowCount, 0);
  t.match(await one(pool, 'SELECT host(address) AS address, reason, detail, repeats FROM lease_refusal'), {
    address: A,
    reason: 'line-lies',
    detail: '0141',
    repeats: 2,
  });
});

t.test('a record that is none is set aside, and the rest goes on', async (t) => {
  const { pool, running } = await scene(t);
  for (const text of [
    '\u0001{',
    '\u0001{}',
    '\u0002{}',
    '',
    '\u0001' + JSON.stringify({ ...leaseEvent('commit', { at: 0 }), address: '1.2.3' }),
  ])
    await running.appendRaw(RecordKind.leaseEvent, Buffer.from(text));
  await play(running, leaseEvent('commit', { at: 0 }));
  t.same(
    (await pool.query('SELECT reason FROM set_aside ORDER BY id')).rows.map((row: { reason: string }) => row.reason),
    ['lease-unreadable', 'lease-unreadable', 'record-version', 'record-version', 'lease-unreadable'],
  );
  t.equal((await pool.query('SELECT FROM session')).rowCount, 1);
});

t.test('two servers hear of the same leases', async (t) => {
  const { pool, running } = await scene(t);
  const other = await runApplier(t, pool, (fact) => fact.whose ?? null, { instance: 'sluice-2' });
  const events = Array.from({ length: 120 }, (_, i) =>
    leaseEvent(i % 5 === 4 ? 'release' : 'commit', {
      at: i,
      lasts: 600,
      address: `100.65.0.1${String(i % 3)}`,
      mac: `02:00:00:00:00:0${String((i % 3) + 1)}`,
      port: i % 5 === 4 ? null : String((i % 3) + 1),
    }),
  );
  await Promise.all([play(running, ...events), play(other, ...[...events].reverse())]);
  const last = new Map(events.map((event) => [event.address, event.kind]));
  const bound = [...last]
    .filter(([, kind]) => kind === 'commit')
    .map(([address]) => address)
    .sort();
  t.same(
    (await pool.query(`SELECT host(address) AS a FROM lease WHERE state = 'bound' ORDER BY address`)).rows.map(
      (row: { a: string }) => row.a,
    ),
    bound,
  );
  t.same(
    (await pool.query('SELECT host(address) AS a FROM session ORDER BY address')).rows.map(
      (row: { a: string }) => row.a,
    ),
    bound,
  );
  t.same(await invariantProblems(pool), []);
  t.equal((await pool.query('SELECT FROM set_aside')).rowCount, 0);
});
