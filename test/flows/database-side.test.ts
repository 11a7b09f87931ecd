/**
 * The server and its database at odds. Holds: a spool that is an older copy than the database has seen starts all the same; a database that goes
 * away is told at once, with or without accounting.
 */
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import t from 'tap';
import { waitFor } from '../support/deadline.js';
import { freshDatabase, startPrivatePostgres } from '../support/database.js';
import { applied, health, scrape } from '../support/scrape.js';
import { ServerSeries } from '../support/server-series.js';
import { TestServer } from '../support/server.js';
import { TestNas } from '../support/test-nas.js';

/** The least that `database.pool_size` may be. */
const FEWEST = 4;

t.test('a spool restored from an older copy: the server starts, and what it holds is applied again', async (t) => {
  const { pool, url } = await freshDatabase(t);
  const server = await ServerSeries.start(t, { databaseUrl: url });
  await server.kill();
  const { rows } = await pool.query<{ spool_uuid: string }>('SELECT spool_uuid FROM instance');
  await pool.query(
    `INSERT INTO spool_position (spool_uuid, instance, segment, byte_offset, sequence) VALUES ($1, 'sluice-1', 77, 4096, 1000)
     ON CONFLICT (spool_uuid) DO UPDATE SET segment = 77, byte_offset = 4096`,
    [rows[0]!.spool_uuid],
  );
  await server.restart();
  t.match(await health(server.statusUrl), { status: 200, problems: [] });
});

t.test('a database that goes away while no accounting comes is told, and so is its return', async (t) => {
  const postgres = await startPrivatePostgres(t);
  const server = await TestServer.start(t, { databaseUrl: postgres.url });
  const available = async (): Promise<number> => (await scrape(server.statusUrl)).sum('database_available');
  t.equal(await available(), 1);
  await postgres.stop();
  await waitFor('the metric to say so', 10_000, async () => (await available()) === 0);
  t.match((await health(server.statusUrl)).problems, [/database is away/]);
  t.ok(
    server.logs.some((line) => line.level === 50 && /PostgreSQL/.test(line.msg ?? '')),
    'and the log',
  );
  await postgres.start();
  await waitFor('the metric to say that it is back', 20_000, async () => (await available()) === 1);
});

t.test('the fewest connections that the configuration allows are enough', async (t) => {
  const { url } = await freshDatabase(t);
  const server = await TestServer.start(t, { databaseUrl: url, settings: { database: { pool_size: FEWEST } } });
  const nas = await TestNas.open(t, server);
  t.ok(await nas.account({ status: 'start', acctSessionId: 'one', userName: 'alice' }));
  await applied(server.statusUrl, 15_000);
});

t.test('a reload names every section that only a restart takes over, secrets included', async (t) => {
  const { url } = await freshDatabase(t);
  const server = await TestServer.start(t, { databaseUrl: url });
  const file = join(server.confDir, 'sluice.toml');
  const other = new URL(url);
  other.searchParams.set('connect_timeout', '9');
  const text = (await readFile(file, 'utf8')).replace(url, other.href);
  await writeFile(file, `${text}\n[change_feed]\npoll_ms = 777\n\n[access_attempts]\nkeep_days = 3\n`);
  server.signal('SIGHUP');
  await waitFor('the reload', 10_000, () => server.logs.some((line) => line.msg === 'configuration reloaded'));
  const named = server.logs.filter((line) => /next restart/.test(line.msg ?? '')).map((line) => line['key']);
  t.same(named, ['database', 'changeFeed', 'accessAttempts']);
});
