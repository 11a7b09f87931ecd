/**
 * Enforcements come and go with what accounting says: born with a session, ended with it, and due when it changes.
 */
import type { Pool } from 'pg';
import t from 'tap';
import { freshDatabase } from '../support/database.js';
import { applyFacts, fact, restart } from '../support/facts.js';
import { addAccount, addSubscriber } from '../support/subscriber-rows.js';

interface Row {
  readonly kind: string;
  readonly subscriber_id: number;
  readonly session_id: number | null;
  readonly due: boolean;
}

async function rowsOf(pool: Pool): Promise<Row[]> {
  const { rows } = await pool.query<Row>(
    `SELECT kind, subscriber_id, session_id, due_at <= now() AS due FROM enforcement ORDER BY id`,
  );
  return rows;
}

/** One NAS `bras1`, one subscriber. */
async function scene(t: Parameters<typeof freshDatabase>[0], nas: string) {
  const { pool } = await freshDatabase(t);
  await pool.query(`INSERT INTO nas (name, profile, ${nas}`);
  const alice = await addSubscriber(pool, { accountId: await addAccount(pool), login: 'alice' });
  return { pool, alice, apply: (...facts: Parameters<typeof applyFacts>[1]) => applyFacts(pool, facts, () => alice) };
}

const sessionPlace = `place) VALUES ('bras1', 'p', 'session')`;
const provisionedPlace = `place) VALUES ('bras1', 'p', 'provisioned')`;

t.test('a session is an enforcement from its Start to its Stop, and is looked at at once', async (t) => {
  const { pool, alice, apply } = await scene(t, sessionPlace);
  await apply(fact('start', { at: 0 }));
  const [session] = (
    await pool.query<{ id: number; nas_address: string }>('SELECT id, host(nas_address) AS nas_address FROM session')
  ).rows;
  t.equal(session!.nas_address, '10.0.0.2', 'and it is known where commands go');
  t.same(await rowsOf(pool), [{ kind: 'session', subscriber_id: alice, session_id: session!.id, due: true }]);
  await apply(fact('stop', { at: 60 }));
  t.same(await rowsOf(pool), []);
});

t.test('an update that only counts stirs nothing; another address does', async (t) => {
  const { pool, apply } = await scene(t, sessionPlace);
  await apply(fact('start', { at: 0, address: '10.0.0.1' }));
  await pool.query('UPDATE enforcement SET due_at = NULL');
  await apply(fact('interim', { at: 300, address: '10.0.0.1', sessionSeconds: 300, octets: 5 }));
  t.equal((await rowsOf(pool))[0]!.due, null);
  await apply(fact('interim', { at: 600, address: '10.0.0.9', sessionSeconds: 600, octets: 9 }));
  t.equal((await rowsOf(pool))[0]!.due, true);
});

t.test('a NAS that is not commanded, and a session of nobody, make no enforcement', async (t) => {
  const { pool } = await scene(t, `place) VALUES ('bras1', 'p', NULL)`);
  await applyFacts(pool, [fact('start', { at: 0 })], () => 1);
  t.same(await rowsOf(pool), []);
  await pool.query(`UPDATE nas SET place = 'session'`);
  await applyFacts(pool, [fact('start', { at: 0, acctSessionId: 'other' })], () => null);
  t.same(await rowsOf(pool), []);
});

t.test('a session whose owner is found later is enforced from then on', async (t) => {
  const { pool, alice, apply } = await scene(t, sessionPlace);
  await applyFacts(pool, [fact('start', { at: 0 })], () => null);
  await apply(fact('interim', { at: 300, sessionSeconds: 300 }));
  t.match(await rowsOf(pool), [{ kind: 'session', subscriber_id: alice }]);
});

t.test('where entries are provisioned, a session makes one due, and its end leaves it to be compared', async (t) => {
  const { pool, alice, apply } = await scene(t, provisionedPlace);
  await apply(fact('start', { at: 0 }));
  t.same(await rowsOf(pool), [{ kind: 'provisioned', subscriber_id: alice, session_id: null, due: true }]);
  await pool.query('UPDATE enforcement SET due_at = NULL');
  await apply(fact('stop', { at: 60 }));
  t.match(await rowsOf(pool), [{ kind: 'provisioned', due: true }]);
});

t.test('a NAS that wants to be told of a Stop keeps the enforcement until it was', async (t) => {
  const { pool, apply } = await scene(t, `place, disconnect_on_stop) VALUES ('bras1', 'p', 'session', true)`);
  await apply(fact('start', { at: 0 }));
  await pool.query('UPDATE enforcement SET due_at = NULL');
  await apply(fact('stop', { at: 60 }));
  t.match(await rowsOf(pool), [{ kind: 'session', due: true }]);
});

t.test(
  'Accounting-On makes the entries of a NAS unknown, forgets no key, and a repeated one changes nothing',
  async (t) => {
    const { pool, alice, apply } = await scene(t, provisionedPlace);
    const state = { present: true, key: { login: 'alice', address: '10.0.0.1' } };
    await pool.query(
      `INSERT INTO enforcement (kind, nas_name, subscriber_id, applied, evidence, due_at) VALUES ('provisioned', 'bras1', $1, $2, 'output', NULL)`,
      [alice, JSON.stringify(state)],
    );
    const read = async () =>
      (await pool.query(`SELECT applied, evidence, attempted, generation, due_at IS NOT NULL AS due FROM enforcement`))
        .rows;
    await apply(restart('on', 0));
    const spoiled = [{ applied: null, evidence: null, attempted: [state], generation: 1, due: true }];
    t.same(await read(), spoiled);
    await apply(restart('on', 0));
    t.same(await read(), spoiled);
  },
);
