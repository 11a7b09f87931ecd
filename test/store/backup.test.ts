/**
 * Dump and restore of a database.
 *
 * Enters: rows of every kind, hostile text included, a second empty database. Leaves: the same rows there. Invariants: every
 * table of the schema is copied, or left out with a reason; what is restored goes on as if nothing had been; a refusal
 * leaves the database as empty as it was.
 */
import { Readable } from 'node:stream';
import t from 'tap';
import type pg from 'pg';
import {
  BackupError,
  type BackupErrorKind,
  type BackupManifest,
  parseManifest,
} from '../../src/store/backup-manifest.js';
import { backupTables, copiedTables, monthlyPartition } from '../../src/store/backup-tables.js';
import { dumpDatabase } from '../../src/store/database-dump.js';
import { restoreDatabase, SKIPPED_IDS } from '../../src/store/database-restore.js';
import { freshDatabase, type FreshDatabase } from '../support/database.js';
import { insertPlan, insertPool, insertPopulation } from '../support/population.js';

/** A backup in memory. */
interface HeldBackup {
  readonly manifest: BackupManifest;
  readonly rows: Map<string, Buffer>;
  readonly otherTables: readonly string[];
}

async function dump(url: string, onTable?: (table: string) => Promise<void>): Promise<HeldBackup> {
  const rows = new Map<string, Buffer>();
  const { manifest, otherTables } = await dumpDatabase(url, async (table, stream) => {
    const chunks: Buffer[] = [];
    for await (const chunk of stream) chunks.push(chunk as Buffer);
    rows.set(table, Buffer.concat(chunks));
    await onTable?.(table);
  });
  // As it is read back from its file.
  return { manifest: parseManifest(JSON.stringify(manifest)), rows, otherTables };
}

async function restore(url: string, { manifest, rows }: HeldBackup): Promise<void> {
  await restoreDatabase(url, manifest, (table) => Readable.from([rows.get(table) ?? Buffer.alloc(0)]));
}

/** Every row of every table as text, sorted. */
async function contents(pool: pg.Pool): Promise<Record<string, string[]>> {
  const all: Record<string, string[]> = {};
  for (const table of copiedTables) {
    const { rows } = await pool.query<{ row: string }>(`SELECT t::text AS row FROM ${table} t ORDER BY 1`);
    all[table] = rows.map(({ row }) => row);
  }
  return all;
}

const hostile = `tab\there \\N \\. new\nline "quote" 'quote' \u202e\u{1f4a5} é`;

/** Rows in every table, some of years ago. */
async function fill({ pool }: FreshDatabase): Promise<void> {
  const planId = await insertPlan(pool, hostile.slice(0, 40));
  const poolId = await insertPool(pool, '100.64.0.0/28');
  await insertPopulation(pool, { prefix: 'u', staticCount: 2, dynamicCount: 3, planId, poolId });
  await pool.query(`UPDATE account SET name = $1, phone = '', address = NULL`, [hostile]);
  await pool.query(`UPDATE subscriber SET redirect = true, redirect_reason = $1 WHERE login = 'u1'`, [hostile]);
  await pool.query(`UPDATE subscriber SET deleted = true WHERE login = 'u2'`);
  await pool.query(`UPDATE device_kind SET shared_ports = true WHERE name = 'cisco'; DELETE FROM device_kind WHERE name = 'zte';
    INSERT INTO device_kind (name, by_port) VALUES ('attic', false);
    INSERT INTO device_group (name) VALUES ('north');
    INSERT INTO device_contact (group_id, kind, address, secret) SELECT id, 'webhook', 'http://127.0.0.1/', 'noc' FROM device_group;
    INSERT INTO device (kind_id, name, mac, group_id, status, status_since, status_at)
      SELECT k.id, k.name, '02:00:00:00:00:0a', g.id, 'down', now(), now() FROM device_kind k, device_group g WHERE k.name = 'cisco';
    INSERT INTO device_event (at, device_id, status, old_status, effect, source) SELECT now(), id, 'down', 'up', 'changed', 'x' FROM device;
    INSERT INTO device_notice (contact_id, device_id, status, old_status, at) SELECT c.id, d.id, 'down', 'up', now() FROM device_contact c, device d;`);
  await pool.query(`UPDATE subscriber SET device_id = (SELECT id FROM device), port = login WHERE NOT deleted`);
  await pool.query(`
    INSERT INTO session_key (nas_name, nas_box, acct_session_id, epoch) VALUES ('n', 'n', 'live', 0), ('n', 'n', 'old', 0);
    INSERT INTO session (id, subscriber_id, login, nas_name, nas_box, routing_domain, acct_session_id, epoch, address, mac,
        started_at, started_exactly, last_event_at, last_received_at, input_octets, output_octets, offer_id)
      SELECT k.session_id, s.id, s.login, 'n', 'n', 'default', 'live', 0, '10.20.0.1', '02:00:00:00:00:01', now(), true, now(),
        now(), 9223372036854775807, 9007199254740993, 281474976710655
      FROM session_key k, subscriber s WHERE k.acct_session_id = 'live' AND s.login = 'u0';
    INSERT INTO assignment (routing_domain, address, subscriber_id, login, nas_name, started_at)
      SELECT 'default', '10.20.0.1', id, login, 'n', now() FROM subscriber WHERE login = 'u0';
    INSERT INTO assignment_holder SELECT a.id, s.id FROM assignment_open a, session s;
    INSERT INTO nas_restart (nas_name, nas_box, event_at, kind) VALUES ('n', 'n', now(), 'on');
    INSERT INTO nas (name, profile, interim_seconds) VALUES ('n', 'mikrotik-ppp', 300);
    INSERT INTO instance (name, started_at, heartbeat_at, caught_up_at) VALUES ('sluice-1', now(), now(), now());
    INSERT INTO spool_position (spool_uuid, instance, segment, byte_offset, sequence)
      VALUES ('6f2c2f9c-0000-4000-8000-000000000001', 'sluice-1', 7, 4096, 12);
    INSERT INTO set_aside (instance, spool_uuid, segment, byte_offset, reason, payload)
      VALUES ('sluice-1', '6f2c2f9c-0000-4000-8000-000000000001', 7, 0, 'spool-damage', '\\x00ff0a5c2e');
    INSERT INTO access_attempt (at, login, nas_name, outcome, reason) VALUES (now(), 'u0', 'n', 'accept', 'active');
    INSERT INTO lease (routing_domain, address, state, mac, subscriber_id, nas_name, port, circuit_id, source, via, began_at, committed_at, ends_at, event_at,
        stray_mac, stray_ended_at, stray_cause)
      SELECT 'default', '10.20.0.1', 'bound', '02:00:00:00:00:01', id, 'n', E'a\\tb', '00ff', 'dhcp1', 'hook', now(), now(), NULL, now(),
        '02:00:00:00:00:02', now(), 'release' FROM subscriber WHERE login = 'u0';
    INSERT INTO lease_refusal (first_at, at, repeats, routing_domain, address, kind, reason, detail, source, via)
      VALUES (now(), now(), 7, 'default', '10.20.0.7', 'commit', 'several', E'u0\\nu1', 'dhcp1', 'hook');
    CREATE TABLE assignment_202001 PARTITION OF assignment FOR VALUES FROM ('2020-01-01 00:00+00') TO ('2020-02-01 00:00+00');
    INSERT INTO assignment (routing_domain, address, login, nas_name, started_at, ended_at, end_cause)
      VALUES ('default', '10.20.0.9', 'gone', 'n', '2020-01-05 00:00+00', '2020-01-31 23:59:59.999999+00', 'stop');`);
}

t.test('every table of the schema is in the list, behind those that it refers to', async (t) => {
  const { pool } = await freshDatabase(t);
  const { rows } = await pool.query<{ name: string }>(
    `SELECT relname AS name FROM pg_class WHERE relnamespace = 'public'::regnamespace AND relkind IN ('r', 'p')
       AND NOT relispartition AND NOT starts_with(relname, 'sluice_migration') ORDER BY 1`,
  );
  const names = backupTables.map(({ name }) => name);
  t.same(
    [...names].sort(),
    rows.map(({ name }) => name),
    'a new table is copied, or left out with a reason, in src/store/backup-tables.ts',
  );
  const references = await pool.query<{ from: string; to: string }>(
    `SELECT DISTINCT conrelid::regclass::text AS from, regexp_replace(confrelid::regclass::text, '^assignment_open$', 'assignment') AS to
       FROM pg_constraint WHERE contype = 'f'`,
  );
  t.ok(references.rows.length > 5);
  t.same(
    references.rows.filter(({ from, to }) => names.indexOf(from) < names.indexOf(to)),
    [],
  );
});

t.test('the bounds of a partition are those that the schema gives it', async (t) => {
  const { pool } = await freshDatabase(t);
  await pool.query(`SELECT sluice_make_partitions(14)`);
  const { rows } = await pool.query<{ name: string; bound: string }>(
    `SELECT set_config('timezone', 'UTC', false), c.relname AS name, pg_get_expr(c.relpartbound, c.oid) AS bound
       FROM pg_class c WHERE c.relispartition AND c.relkind = 'r' AND pg_get_expr(c.relpartbound, c.oid) <> 'DEFAULT'`,
  );
  t.equal(rows.length, 75);
  const stamp = (iso: string): string => `${iso.slice(0, 10)} ${iso.slice(11, 19)}+00`;
  for (const { name, bound } of rows) {
    const partition = monthlyPartition(name);
    t.equal(bound, partition && `FOR VALUES FROM ('${stamp(partition.from)}') TO ('${stamp(partition.to)}')`, name);
  }
  for (const none of [
    'assignment_open',
    'session_history_default',
    'plan_202001',
    'assignment_202013',
    'assignment_2020',
  ])
    t.equal(monthlyPartition(none), undefined, none);
});

t.test('what is restored is what was there, and goes on', async (t) => {
  const before = await freshDatabase(t);
  const after = await freshDatabase(t);
  await fill(before);
  await before.pool.query('CREATE TABLE invoice (id int)');
  const backup = await dump(before.url);
  t.same(backup.otherTables, ['invoice'], "somebody else's table is told of");
  t.match(backup.manifest.spools, [{ instance: 'sluice-1', segment: 7, byte_offset: 4096 }]);
  // A trigger of the provider that was off stays off.
  await after.pool.query(`
    CREATE FUNCTION shout() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE EXCEPTION 'ran'; END $$;
    CREATE TRIGGER "Loud one" BEFORE INSERT ON subscriber FOR EACH ROW EXECUTE FUNCTION shout();
    CREATE TRIGGER quiet BEFORE UPDATE ON subscriber FOR EACH ROW EXECUTE FUNCTION shout();
    ALTER TABLE subscriber DISABLE TRIGGER quiet;`);
  await restore(after.url, backup);
  t.same(await contents(after.pool), await contents(before.pool));

  const partition = await after.pool.query('SELECT login FROM assignment_202001');
  t.same(partition.rows, [{ login: 'gone' }], 'a month of the past has its partition again, so retention finds it');
  const triggers = await after.pool.query(
    `SELECT tgname AS name, tgenabled AS enabled FROM pg_trigger
      WHERE tgrelid = 'subscriber'::regclass AND NOT tgisinternal ORDER BY 1`,
  );
  t.match(triggers.rows, [{ name: 'Loud one', enabled: 'O' }, { name: 'quiet', enabled: 'D' }, {}, {}, {}, {}]);
  await after.pool.query('DROP TRIGGER "Loud one" ON subscriber');
  const changed = await after.pool.query('SELECT count(*)::int AS rows FROM change_feed');
  t.same(changed.rows, [{ rows: 0 }], 'no transaction id of the old cluster is left');

  const [known] = (await before.pool.query<{ id: number }>('SELECT max(id) AS id FROM subscriber')).rows;
  const [made] = (
    await after.pool.query<{ id: number }>(
      `INSERT INTO subscriber (account_id, login) SELECT min(id), 'new' FROM account RETURNING id`,
    )
  ).rows;
  t.ok(made!.id > known!.id + SKIPPED_IDS - 1, 'nobody gets the id of somebody who was added after the backup');
  const feed = await after.pool.query('SELECT kind FROM change_feed');
  t.same(feed.rows, [{ kind: 'subscriber' }], 'and the triggers work again');
});

t.test('a backup is one instant, whoever works meanwhile', async (t) => {
  const before = await freshDatabase(t);
  const after = await freshDatabase(t);
  await fill(before);
  const expected = await contents(before.pool);
  const backup = await dump(before.url, async (table) => {
    if (table !== 'pool') return;
    await before.pool.query(`
      INSERT INTO session_key (nas_name, nas_box, acct_session_id, epoch) VALUES ('n', 'n', 'meanwhile', 0);
      UPDATE spool_position SET segment = 8; UPDATE subscriber SET own_disabled = true; DELETE FROM assignment_holder;`);
  });
  await restore(after.url, backup);
  t.same(await contents(after.pool), expected, 'the position belongs to the sessions beside it');
});

t.test('what cannot be restored is refused in words, and leaves nothing', async (t) => {
  const before = await freshDatabase(t);
  await fill(before);
  const backup = await dump(before.url);
  const cut = (table: string, octets: Buffer): HeldBackup => ({
    ...backup,
    rows: new Map(backup.rows).set(table, octets),
  });
  const levels = (migrations: string[]): HeldBackup => ({ ...backup, manifest: { ...backup.manifest, migrations } });
  const { migrations, tables } = backup.manifest;
  const subscribers = backup.rows.get('subscriber')!;
  const cases: [what: string, backup: HeldBackup, kind: BackupErrorKind, message: RegExp][] = [
    [
      'rows are missing',
      cut('subscriber', subscribers.subarray(0, subscribers.indexOf(0x0a) + 1)),
      'damaged',
      /the rows of|has 1 rows/u,
    ],
    ['a row is cut', cut('subscriber', subscribers.subarray(0, -40)), 'damaged', /./u],
    ['a row is of nobody', cut('account', Buffer.alloc(0)), 'damaged', /account .* has 0 rows/u],
    [
      'a later release',
      levels([...migrations, '999_later.js']),
      'migration-level',
      /made by a later release \(it has 999_later\.js\)/u,
    ],
    ['an earlier release', levels(migrations.slice(0, -1)), 'migration-level', /made by an earlier release/u],
    [
      'a column of somebody',
      {
        ...backup,
        manifest: {
          ...backup.manifest,
          tables: tables.map((one) => (one.name === 'account' ? { ...one, columns: [...one.columns, 'vat'] } : one)),
        },
      },
      'other-schema',
      /the table account of this database has no column vat/u,
    ],
    [
      'a name that is none',
      { ...backup, manifest: { ...backup.manifest, partitions: ['assignment_open'] } },
      'damaged',
      /no partition of a month/u,
    ],
  ];
  const after = await freshDatabase(t);
  const empty = await contents(after.pool);
  for (const [what, broken, kind, message] of cases) {
    await t.rejects(restore(after.url, broken), { name: 'BackupError', kind, message }, what);
    t.same(await contents(after.pool), empty, `${what}: nothing is written`);
  }
  await t.rejects(restore(before.url, backup), {
    kind: 'not-empty',
    message: /there are rows in pool, pool_network, plan/u,
  });
  await t.rejects(
    restoreDatabase(
      after.url,
      backup.manifest,
      () =>
        new Readable({
          read() {
            this.destroy(new Error('the disk went away'));
          },
        }),
    ),
    { message: 'the disk went away' },
  );
  t.same(await contents(after.pool), empty, 'a reader that fails leaves nothing either');
  const unmigrated = await freshDatabase(t, { migrated: false });
  await t.rejects(
    dumpDatabase(unmigrated.url, () => Promise.resolve()),
    { kind: 'migration-level', message: /sluice migrate/u },
  );
  await restore(after.url, backup);
  t.same(await contents(after.pool), await contents(before.pool), 'and the whole backup is restored all the same');
});

t.test('a manifest that is not as it was written is refused', async (t) => {
  const { url } = await freshDatabase(t);
  const { manifest } = await dump(url);
  const text = JSON.stringify(manifest);
  const table: [what: string, text: string, message: RegExp][] = [
    ['cut short', text.slice(0, -20), /cut short or changed/u],
    ['something else', '[]', /not as it was written/u],
    ['another form', JSON.stringify({ ...manifest, format: 'sluice-backup-2' }), /the form sluice-backup-2/u],
    ['a name that is SQL', text.replace('"pool"', '"pool; DROP TABLE plan"'), /tables\.0\.name/u],
    ['a negative count', text.replace(/"rows":\d+/u, '"rows":-1'), /tables\.0\.rows/u],
  ];
  for (const [what, broken, message] of table)
    t.throws(() => parseManifest(broken), { name: BackupError.name, kind: 'damaged', message }, what);
});
