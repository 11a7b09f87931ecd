/**
 * Statements of many rows on connections that billing programs keep: what a trigger costs must not depend on what came before.
 */
import t from 'tap';
import { freshDatabase } from '../support/database.js';
import { asClient } from '../support/postgres-server.js';

const COUNT = 10_000;

t.test('10,000 rows in one statement, on a connection that has changed single rows before', async (t) => {
  const database = await freshDatabase(t);
  await asClient(database.url, async (client) => {
    await client.query(`INSERT INTO account (contract) SELECT i::text FROM generate_series(1, $1::int) i`, [COUNT]);
    await client.query(`INSERT INTO subscriber (account_id, login) SELECT id, 'user' || id FROM account`);
    await client.query('ANALYZE subscriber');
    // Five times and more: then the plan of each statement stays.
    for (let id = 1; id <= 20; id++) {
      await client.query('UPDATE subscriber SET redirect = true WHERE id = $1', [id]);
      await client.query('UPDATE subscriber SET turbo_rate_down_bps = 1000 WHERE id = $1', [id]);
      await client.query('UPDATE account SET admin_blocked = true WHERE id = $1', [id]);
    }
    await client.query(`TRUNCATE change_feed; SET statement_timeout = 15000`);
    await client.query('UPDATE subscriber SET redirect = NOT redirect, turbo_rate_down_bps = 2000');
    await client.query('UPDATE account SET admin_blocked = NOT admin_blocked');
    const { rows } = await client.query(
      'SELECT kind, count(DISTINCT ref)::int AS refs FROM change_feed GROUP BY kind ORDER BY kind',
    );
    t.same(rows, [
      { kind: 'account', refs: COUNT },
      { kind: 'subscriber', refs: COUNT },
    ]);
  });
});
