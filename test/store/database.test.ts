/**
 * The pool, transactions, and what errors mean, against a real server that is stopped, crashed and cut off in the middle.
 */
import { createServer, connect, type Socket } from 'node:net';
import { once } from 'node:events';
import t from 'tap';
import pg from 'pg';
import {
  AmbiguousCommitError,
  TransactionAbortedError,
  classifyDatabaseError,
  createPool,
  withTransaction,
} from '../../src/store/database.js';
import { freshDatabase, startPrivatePostgres } from '../support/database.js';
import { freeTcpPort } from '../support/free-port.js';
import { asClient } from '../support/postgres-server.js';

const failureOf = (work: Promise<unknown>): Promise<unknown> =>
  work.then(
    () => undefined,
    (error: unknown) => error,
  );

/** A server error with a SQLSTATE and nothing else. */
function serverError(code: string): pg.DatabaseError {
  const error = new pg.DatabaseError('text that nobody reads', 0, 'error');
  error.code = code;
  return error;
}

const systemError = (code: string) => Object.assign(new Error('text that nobody reads'), { code });

t.test('the class of an error follows from its code', async (t) => {
  const table: [unknown, string][] = [
    [serverError('40001'), 'transient'],
    [serverError('40P01'), 'transient'],
    [serverError('55P03'), 'transient'],
    [serverError('57014'), 'transient'],
    [serverError('57P01'), 'unreachable'],
    [serverError('57P03'), 'unreachable'],
    [serverError('08006'), 'unreachable'],
    [serverError('53300'), 'unreachable'],
    [serverError('53100'), 'unreachable'],
    [serverError('25006'), 'unreachable'],
    [serverError('40003'), 'ambiguous-commit'],
    [serverError('08007'), 'ambiguous-commit'],
    [serverError('23505'), 'permanent'],
    [serverError('42P01'), 'permanent'],
    [serverError('28P01'), 'permanent'],
    [systemError('ECONNREFUSED'), 'unreachable'],
    [systemError('ETIMEDOUT'), 'unreachable'],
    [systemError('ENOTFOUND'), 'unreachable'],
    [systemError('ERR_INVALID_ARG_TYPE'), 'permanent'],
    [new AggregateError([systemError('ECONNREFUSED'), systemError('ECONNREFUSED')]), 'unreachable'],
    [new AmbiguousCommitError({ cause: systemError('ECONNRESET') }), 'ambiguous-commit'],
    [new TypeError('connection terminated'), 'permanent'],
    [new Error('Connection terminated unexpectedly'), 'permanent'],
    ['timeout', 'permanent'],
    [undefined, 'permanent'],
  ];
  for (const [error, expected] of table) {
    const name = error instanceof Error ? `${error.name} ${'code' in error ? String(error.code) : ''}` : String(error);
    t.equal(classifyDatabaseError(error), expected, `${name}: ${expected}`);
  }
});

t.test('values: int8 as numbers while that is exact, numeric as text', async (t) => {
  const { pool } = await freshDatabase(t);
  const { rows } = await pool.query(
    `SELECT 9007199254740991::int8 AS safe, 9223372036854775807::int8 AS big, '{1,NULL,-9223372036854775808}'::int8[] AS many,
            12.50::numeric AS money, current_setting('application_name') AS name`,
  );
  t.same(rows, [
    {
      safe: 9007199254740991,
      big: 9223372036854775807n,
      many: [1, null, -9223372036854775808n],
      money: '12.50',
      name: 'sluice/test',
    },
  ]);
});

t.test('a transaction', async (t) => {
  const { pool, url } = await freshDatabase(t);
  await pool.query(
    'CREATE TABLE fact (id bigint PRIMARY KEY, later bigint REFERENCES fact DEFERRABLE INITIALLY DEFERRED)',
  );
  const ids = async () =>
    (await pool.query<{ id: number }>('SELECT id FROM fact ORDER BY id')).rows.map((row) => row.id);

  await t.test('commits what its work did and returns its result', async (t) => {
    t.equal(
      await withTransaction(pool, async (client) => (await client.query('INSERT INTO fact VALUES (1)')).rowCount),
      1,
    );
    t.same(await ids(), [1]);
  });

  await t.test('rolls back when its work throws, and the client is used again', async (t) => {
    const boom = new RangeError('the work itself failed');
    t.equal(
      await failureOf(
        withTransaction(pool, async (client) => {
          await client.query('INSERT INTO fact VALUES (2)');
          throw boom;
        }),
      ),
      boom,
    );
    t.same(await ids(), [1]);
    t.equal(pool.totalCount, pool.idleCount, 'nothing is checked out');
  });

  await t.test('by key: a whole table is read by no plan, and only for as long as the transaction lasts', async (t) => {
    const settings = async (client: Pick<typeof pool, 'query'>) =>
      (await client.query<{ seqscan: string }>(`SELECT current_setting('enable_seqscan') AS seqscan`)).rows[0]?.seqscan;
    t.equal(await withTransaction(pool, settings, 'by-key'), 'off');
    t.equal(await withTransaction(pool, settings), 'on');
  });

  await t.test('that swallowed a failed statement is not taken for committed', async (t) => {
    const error = await failureOf(
      withTransaction(pool, async (client) => {
        await client.query('INSERT INTO fact VALUES (3)');
        await failureOf(client.query('SELECT 1 / 0'));
      }),
    );
    t.type(error, TransactionAbortedError);
    t.same(await ids(), [1]);
  });

  await t.test('that COMMIT itself refuses is a definite failure', async (t) => {
    const error = await failureOf(withTransaction(pool, (client) => client.query('INSERT INTO fact VALUES (4, 999)')));
    t.match(error, { code: '23503' });
    t.equal(classifyDatabaseError(error), 'permanent');
    t.same(await ids(), [1]);
  });

  await t.test('whose backend dies before COMMIT is unreachable, not ambiguous; the pool goes on', async (t) => {
    const heard: Error[] = [];
    const own = createPool(url, {
      instance: 'own',
      maxConnections: 1,
      onConnectionError: (error) => heard.push(error),
    });
    t.teardown(() => own.end());
    const error = await failureOf(
      withTransaction(own, async (client) => {
        await client.query('INSERT INTO fact VALUES (5)');
        const { rows } = await client.query<{ pid: number }>('SELECT pg_backend_pid() AS pid');
        await pool.query('SELECT pg_terminate_backend($1)', [rows[0]!.pid]);
        await client.query('SELECT 1');
      }),
    );
    t.equal(classifyDatabaseError(error), 'unreachable');
    t.same(await ids(), [1]);
    t.same((await own.query('SELECT 1 AS answer')).rows, [{ answer: 1 }]);
    t.ok(heard.length >= 1, 'the owner of the pool was told');
  });

  await t.test('that waits too long for a lock or for itself is transient', async (t) => {
    const impatient = createPool(url, { instance: 'impatient', statementTimeoutMs: 50 });
    t.teardown(() => impatient.end());
    const error = await failureOf(withTransaction(impatient, (client) => client.query('SELECT pg_sleep(30)')));
    t.match(error, { code: '57014' });
    t.equal(classifyDatabaseError(error), 'transient');
  });
});

t.test('an idle client whose backend is killed does not end the process', async (t) => {
  const { pool, adminUrl } = await freshDatabase(t);
  const heard = new Promise<Error>((settle) => pool.once('error', settle));
  const { rows } = await pool.query<{ pid: number }>('SELECT pg_backend_pid() AS pid');
  await asClient(adminUrl, (client) => client.query('SELECT pg_terminate_backend($1)', [rows[0]!.pid]));
  t.equal(classifyDatabaseError(await heard), 'unreachable');
  t.same((await pool.query('SELECT 1 AS answer')).rows, [{ answer: 1 }]);
});

t.test('a server that is away is unreachable, and the same pool works when it is back', async (t) => {
  const server = await startPrivatePostgres(t, { migrated: false });
  const pool = createPool(server.url, { instance: 'outage', connectTimeoutMs: 5_000 });
  t.teardown(() => pool.end());
  const held = await pool.connect();
  await held.query('SELECT 1');
  await server.kill();
  t.equal(classifyDatabaseError(await failureOf(held.query('SELECT 1'))), 'unreachable', 'a query on a held client');
  held.release(true);
  t.equal(classifyDatabaseError(await failureOf(pool.query('SELECT 1'))), 'unreachable', 'a new query');
  t.equal(classifyDatabaseError(await failureOf(withTransaction(pool, () => Promise.resolve()))), 'unreachable');
  await server.start();
  t.same((await pool.query('SELECT 1 AS answer')).rows, [{ answer: 1 }]);
});

t.test('a host that accepts and says nothing is unreachable after the connection timeout', async (t) => {
  const port = await freeTcpPort();
  const sockets: Socket[] = [];
  const silent = createServer((socket) => sockets.push(socket)).listen(port, '127.0.0.1');
  await once(silent, 'listening');
  t.teardown(() => {
    for (const socket of sockets) socket.destroy();
    silent.close();
  });
  const pool = createPool(`postgres://sluice@127.0.0.1:${String(port)}/sluice`, {
    instance: 'x',
    connectTimeoutMs: 50,
  });
  t.teardown(() => pool.end());
  t.equal(classifyDatabaseError(await failureOf(pool.query('SELECT 1'))), 'unreachable');
  t.equal(classifyDatabaseError(await failureOf(withTransaction(pool, () => Promise.resolve()))), 'unreachable');
});

t.test('a COMMIT whose answer is lost is ambiguous, whichever way it went', async (t) => {
  const { pool, url } = await freshDatabase(t);
  await pool.query('CREATE TABLE fact (id bigint)');
  const target = new URL(url);

  // A proxy that cuts the line when COMMIT passes: before the server sees it, or after.
  for (const delivered of [false, true]) {
    await t.test(delivered ? 'the server did commit' : 'the server never saw it', async (t) => {
      const proxy = createServer((near) => {
        const far = connect(Number(target.port), target.hostname);
        for (const socket of [near, far]) socket.on('error', () => undefined);
        far.on('data', (chunk) => near.write(chunk));
        far.on('close', () => near.destroy());
        near.on('close', () => far.end());
        near.on('data', (chunk) => {
          if (!chunk.includes('COMMIT')) {
            far.write(chunk);
            return;
          }
          far.removeAllListeners('data');
          far.once('data', () => near.resetAndDestroy());
          if (delivered) far.write(chunk);
          else near.resetAndDestroy();
        });
      }).listen(0, '127.0.0.1');
      await once(proxy, 'listening');
      t.teardown(() => proxy.close());
      const through = new URL(url);
      through.port = String((proxy.address() as { port: number }).port);
      const own = createPool(through.href, { instance: 'proxied' });
      t.teardown(() => own.end());
      const error = await failureOf(
        withTransaction(own, (client) => client.query('INSERT INTO fact VALUES ($1)', [delivered ? 2 : 1])),
      );
      t.type(error, AmbiguousCommitError);
      t.equal(classifyDatabaseError(error), 'ambiguous-commit');
      t.equal(own.totalCount, 0, 'the client is destroyed');
      const { rowCount } = await pool.query('SELECT FROM fact WHERE id = $1', [delivered ? 2 : 1]);
      t.equal(rowCount, delivered ? 1 : 0);
    });
  }
});
