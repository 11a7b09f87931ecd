/** What the page's role may do in the database: look, and nothing else. */
import t from 'tap';
import { openPagePool, PAGE_ROLE } from '../../src/store/page-pool.js';
import { makePageRole, pageHouse } from '../support/page.js';
import { freshDatabase } from '../support/database.js';
import { addAccount, addSubscriber } from '../support/subscriber-rows.js';

t.test('PostgreSQL refuses every write of the role, in a transaction that may write too', async (t) => {
  const house = await pageHouse(t);
  const { pool } = house.database;
  const accountId = await addAccount(pool);
  await addSubscriber(pool, { accountId, login: 'ivanov', password: 'wonderland' });
  const { rows: tables } = await pool.query<{ name: string }>(
    `SELECT c.oid::regclass::text AS name FROM pg_class c WHERE c.relkind IN ('r', 'p') AND c.relnamespace = 'public'::regnamespace`,
  );
  t.ok(tables.length > 20);
  const client = await house.pagePool.connect();
  t.teardown(() => client.release(true));
  await client.query('SET SESSION CHARACTERISTICS AS TRANSACTION READ WRITE');
  const refused = async (statement: string): Promise<void> => {
    await t.rejects(client.query(statement), { code: '42501' }, statement);
  };
  for (const { name } of tables) {
    const { rows } = await pool.query<{ column: string }>(
      `SELECT quote_ident(attname) AS column FROM pg_attribute WHERE attrelid = $1::regclass AND attnum > 0 AND attgenerated = '' AND attidentity <> 'a' LIMIT 1`,
      [name],
    );
    await refused(`INSERT INTO ${name} DEFAULT VALUES`);
    await refused(`UPDATE ${name} SET ${rows[0]!.column} = NULL`);
    await refused(`DELETE FROM ${name}`);
    await refused(`TRUNCATE ${name}`);
    await refused(`ALTER TABLE ${name} ADD COLUMN pwned int`);
  }
  await refused('SELECT password FROM subscriber');
  await refused('SELECT * FROM subscriber');
  await refused('SELECT * FROM sluice_migration');
  await refused('SET ROLE sluice');
  await refused("SELECT pg_read_file('/etc/passwd')");
});

t.test('transactions are read-only before anybody asks for it', async (t) => {
  const house = await pageHouse(t);
  await t.rejects(house.pagePool.query('CREATE TEMPORARY TABLE x (y int)'), { code: '25006' });
});

t.test('without the role the page reads as the server does, in read-only transactions', async (t) => {
  const { pool, url } = await freshDatabase(t);
  const { rows } = await pool.query(`SELECT FROM pg_roles WHERE rolname = '${PAGE_ROLE}'`);
  const page = await openPagePool(pool, {
    instance: 'test',
    url,
    pageUrl: undefined,
    onConnectionError: () => undefined,
  });
  t.teardown(() => page.pool.end());
  t.equal(
    page.protection,
    'read-only-transactions',
    `whether the role exists (${String(rows.length)}) or not: it is not ours to use`,
  );
  await t.rejects(page.pool.query(`UPDATE plan SET name = 'x'`), { code: '25006' });
});

t.test('a role that the server is a member of is used from the first statement on', async (t) => {
  const database = await freshDatabase(t);
  await makePageRole(database);
  const { asClient } = await import('../support/postgres-server.js');
  await asClient(database.adminUrl, (client) => client.query(`GRANT ${PAGE_ROLE} TO sluice`));
  t.teardown(() => asClient(database.adminUrl, (client) => client.query(`REVOKE ${PAGE_ROLE} FROM sluice`)));
  const page = await openPagePool(database.pool, {
    instance: 'test',
    url: database.url,
    pageUrl: undefined,
    onConnectionError: () => undefined,
  });
  t.equal(page.protection, 'role');
  t.same((await page.pool.query('SELECT current_user')).rows, [{ current_user: PAGE_ROLE }]);
  await page.pool.query('RESET ROLE').catch(() => undefined);
  t.same((await page.pool.query('SELECT current_user')).rows, [{ current_user: PAGE_ROLE }], 'RESET leads back to it');
  await page.pool.end();
});
