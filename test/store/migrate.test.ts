/**
 * From an empty database to the schema of this program, and the databases that are refused.
 */
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import t from 'tap';
import { migrate, refuseUnusable, schemaStatus, type SchemaErrorKind } from '../../src/store/migrate.js';
import { freshDatabase } from '../support/database.js';
import { asClient } from '../support/postgres-server.js';

type Tap = typeof t;

/** A folder with migrations of its own: name → body of `up`. */
async function migrations(t: Pick<Tap, 'teardown'>, files: Record<string, string>): Promise<string> {
  const directory = await mkdtemp(join(tmpdir(), 'sluice-migrations-'));
  t.teardown(() => rm(directory, { recursive: true, force: true }));
  await mkdir(directory, { recursive: true });
  await writeFile(join(directory, 'package.json'), '{"type":"module"}');
  for (const [name, body] of Object.entries(files)) {
    await writeFile(join(directory, name), `export async function up(knex) { ${body} }\n`);
  }
  return directory;
}

const failureOf = (work: Promise<unknown>) =>
  work.then(
    () => undefined,
    (error: unknown) => error,
  );

t.test('the schema of this program: applied once, in order, with a line for each', async (t) => {
  const { url } = await freshDatabase(t, { migrated: false });
  const before = await schemaStatus(url);
  t.same(before.applied, []);
  t.ok(before.pending.length > 0);
  const lines: string[] = [];
  const { applied } = await migrate(url, { onProgress: (line) => lines.push(line) });
  t.same(applied, before.pending);
  t.equal(lines.length, applied.length);
  t.match(lines[0], new RegExp(`${applied[0]!} \\(1 of ${String(applied.length)}\\)`));
  t.same((await migrate(url)).applied, [], 'the second time there is nothing to do');
  t.match(await schemaStatus(url), { applied, pending: [], unknown: [], encoding: 'UTF8' });
});

t.test('many at once do the work once', async (t) => {
  const { url } = await freshDatabase(t, { migrated: false });
  const directory = await migrations(t, {
    '001_slow.js': `await knex.raw('SELECT pg_sleep(0.2)'); await knex.raw('CREATE TABLE once (id int)');`,
  });
  const results = await Promise.all([1, 2, 3, 4].map(() => migrate(url, { directory })));
  t.same(
    results.map((result) => result.applied).sort((a, b) => a.length - b.length),
    [[], [], [], ['001_slow.js']],
  );
});

t.test('a migration that fails leaves nothing of itself, and those before it stay', async (t) => {
  const { url, pool } = await freshDatabase(t, { migrated: false });
  const directory = await migrations(t, {
    '001_good.js': `await knex.raw('CREATE TABLE good (id int)');`,
    '002_bad.js': `await knex.raw('CREATE TABLE half (id int)'); await knex.raw('SELECT 1/0');`,
  });
  t.match(await failureOf(migrate(url, { directory })), {
    kind: 'migration-failed' satisfies SchemaErrorKind,
    message: /002_bad\.js/,
  });
  const { rows } = await pool.query(
    `SELECT to_regclass('good') IS NOT NULL AS good, to_regclass('half') IS NOT NULL AS half`,
  );
  t.same(rows, [{ good: true, half: false }]);
  t.match(await schemaStatus(url, directory), { applied: ['001_good.js'], pending: ['002_bad.js'] });
});

t.test('a runner that was killed leaves no lock behind', async (t) => {
  const { url, pool } = await freshDatabase(t, { migrated: false });
  const directory = await migrations(t, { '001_first.js': `await knex.raw('CREATE TABLE first (id int)');` });
  await migrate(url, { directory });
  await pool.query('UPDATE sluice_migration_lock SET is_locked = 1');
  await writeFile(
    join(directory, '002_second.js'),
    `export const up = (knex) => knex.raw('CREATE TABLE second (id int)');`,
  );
  t.same((await migrate(url, { directory })).applied, ['002_second.js']);
});

t.test('refused databases', async (t) => {
  await t.test('a server before PostgreSQL 13; 13 itself is welcome', async (t) => {
    const status = { encoding: 'UTF8', applied: [], pending: [], unknown: [] };
    t.throws(() => refuseUnusable({ ...status, serverVersion: '12.22', serverVersionNumber: 120022 }), {
      name: 'SchemaError',
      message: /12\.22.*13 or later/,
    });
    t.doesNotThrow(() => refuseUnusable({ ...status, serverVersion: '13.0', serverVersionNumber: 130000 }));
  });

  await t.test('one that a later release has migrated', async (t) => {
    const { url, pool } = await freshDatabase(t);
    await pool.query(`INSERT INTO sluice_migration (name, batch, migration_time) VALUES ('999_future.js', 9, now())`);
    t.match(await failureOf(migrate(url)), { kind: 'schema-newer', message: /999_future\.js/ });
    t.same((await schemaStatus(url)).unknown, ['999_future.js']);
  });

  await t.test('one that holds tables of somebody else under our names', async (t) => {
    const { url, pool } = await freshDatabase(t, { migrated: false });
    await pool.query('CREATE TABLE subscriber (id int, name text)');
    await pool.query(`INSERT INTO subscriber VALUES (1, 'theirs')`);
    t.match(await failureOf(migrate(url)), { kind: 'foreign-objects', message: /database\.url/ });
    t.same((await pool.query('SELECT * FROM subscriber')).rows, [{ id: 1, name: 'theirs' }], 'theirs is untouched');
    t.same(
      (await pool.query(`SELECT to_regclass('plan') AS plan`)).rows,
      [{ plan: null }],
      'and nothing of ours is there',
    );
  });

  await t.test('one whose encoding cannot hold every name', async (t) => {
    const { adminUrl, name } = await freshDatabase(t, { migrated: false });
    const latin = `${name}_latin`;
    await asClient(adminUrl, (client) =>
      client.query(
        `CREATE DATABASE ${latin} TEMPLATE template0 ENCODING 'LATIN1' LOCALE_PROVIDER libc LC_COLLATE 'C' LC_CTYPE 'C'`,
      ),
    );
    t.teardown(() => asClient(adminUrl, (client) => client.query(`DROP DATABASE ${latin} WITH (FORCE)`)));
    const url = new URL(adminUrl);
    url.pathname = `/${latin}`;
    t.match(await failureOf(migrate(url.href)), { kind: 'encoding', message: /LATIN1/ });
  });
});

t.test('a database that is not there is the connection error, not a schema error', async (t) => {
  const { url } = await freshDatabase(t, { migrated: false });
  const missing = new URL(url);
  missing.pathname = '/does_not_exist';
  t.match(await failureOf(migrate(missing.href)), { code: '3D000' });
});
