/**
 * The databases that every other store test stands on: fresh, separate, gone afterwards, and able to have an outage.
 */
import t from 'tap';
import { freshDatabase, startPrivatePostgres } from '../support/database.js';
import { asClient } from '../support/postgres-server.js';

t.test('a fresh database has the schema, works as an ordinary role, and shares nothing with the next', async (t) => {
  const [first, second] = [await freshDatabase(t), await freshDatabase(t)];
  t.not(first.name, second.name);
  await first.pool.query('CREATE TABLE only_here (id bigint)');
  const { rows } = await second.pool.query(
    `SELECT to_regclass('only_here') AS found, usesuper FROM pg_user WHERE usename = current_user`,
  );
  t.same(rows, [{ found: null, usesuper: false }]);
  const migrated = await first.pool.query(`SELECT to_regclass('sluice_migration') IS NOT NULL AS migrated`);
  t.same(migrated.rows, [{ migrated: true }]);
});

t.test('an empty database has no tables', async (t) => {
  const { pool } = await freshDatabase(t, { migrated: false });
  const { rows } = await pool.query(
    `SELECT count(*) AS tables FROM information_schema.tables WHERE table_schema = 'public'`,
  );
  t.same(rows, [{ tables: 0 }]);
});

t.test('the database of a test is dropped when the test ends', async (t) => {
  let name = '';
  let adminUrl = '';
  await t.test('the test', async (t) => {
    ({ name, adminUrl } = await freshDatabase(t));
    t.ok(name);
  });
  const server = new URL(adminUrl);
  server.pathname = '/postgres';
  const { rows } = await asClient(server.href, (client) =>
    client.query('SELECT 1 FROM pg_database WHERE datname = $1', [name]),
  );
  t.same(rows, []);
});

t.test('a private server stops, crashes and comes back on the same port with what was committed', async (t) => {
  const server = await startPrivatePostgres(t, { settings: { fsync: 'on', synchronous_commit: 'on' } });
  await asClient(server.url, (client) => client.query('CREATE TABLE kept (id bigint)'));
  await server.stop();
  await t.rejects(
    asClient(server.url, (client) => client.query('SELECT 1')),
    { code: 'ECONNREFUSED' },
  );
  await server.start();
  await asClient(server.url, (client) => client.query('INSERT INTO kept VALUES (7)'));
  await server.kill();
  await server.start();
  const { rows } = await asClient(server.url, (client) => client.query('SELECT id FROM kept'));
  t.same(rows, [{ id: '7' }]);
});
