/**
 * A NAS is compared with the database by what it lists: whatever differs is mended through the dispatcher, and nothing of others is touched.
 */
import type { Pool } from 'pg';
import { pino } from 'pino';
import t from 'tap';
import type { Test } from 'tap';
import type { ListedEntry } from '../../src/nas/driver.js';
import { withTransaction } from '../../src/store/database.js';
import { adoptEntries, lastRun } from '../../src/store/reconcile-rows.js';
import { type ListingNas, NIGHTLY, type OwnedNas, Reconciler, reconcileNas } from '../../src/workers/reconciler.js';
import { freshDatabase } from '../support/database.js';
import { commandedNas, startServer } from '../support/enforced-network.js';
import { acceptedEntry, FakeNas } from '../support/fake-nas.js';
import { addAccount, addPlan, addSubscriber } from '../support/subscriber-rows.js';
import { until } from '../support/until.js';

const home = { downBps: 50_000_000, upBps: 10_000_000 };
const mend = { by: 'test', dryRun: false, limit: 100 };

/** Lists what it has, with our mark where a subscriber put it: number 0 stands for entries of others. */
function listing(nas: FakeNas, before: () => Promise<unknown> = () => Promise.resolve()): ListingNas {
  return {
    name: 'nas1',
    onlyServed: false,
    list: async () => {
      await before();
      const entries = [...nas.entries].map(([key, entry]): ListedEntry => {
        const [id = '', address = ''] = key.split(' ');
        const { blocked, redirect, ownDisabled, rate } = entry;
        return {
          subscriberId: id === '0' ? null : Number(id),
          address,
          text: key,
          policy: { blocked, redirect, ownDisabled, ...rate },
        };
      });
      return { ok: true, entries };
    },
  };
}

/** Three subscribers with entries on nas1, all as they should be. */
async function scene(t: Test) {
  const database = await freshDatabase(t);
  const { pool } = database;
  const planId = await addPlan(pool);
  const ids: number[] = [];
  for (const [index, login] of ['alice', 'bob', 'carol'].entries())
    ids.push(
      await addSubscriber(pool, {
        accountId: await addAccount(pool, { planId }),
        login,
        static_address: `100.64.0.${String(index + 1)}`,
        nas_name: 'nas1',
      }),
    );
  const nas = new FakeNas({ kind: 'provisioned' });
  const server = await startServer(t, database, [commandedNas('nas1', nas)]);
  await until(() => allConverged(pool, 3));
  const key = (index: number, address: string): string => `${String(ids[index])} ${address}`;
  return { database, pool, planId, ids, nas, server, key, listing: listing(nas) };
}

async function allConverged(pool: Pool, count: number): Promise<boolean> {
  const { rows } = await pool.query<{ state: string; due_at: Date | null }>('SELECT state, due_at FROM enforcement');
  return rows.length === count && rows.every((row) => row.state === 'converged' && row.due_at === null);
}

t.test('what is missing, wrong, moved or left over is mended, and what is right is left alone', async (t) => {
  const { pool, nas, key, listing, planId } = await scene(t);
  const quiet = await reconcileNas(pool, listing, mend);
  t.match(quiet, { error: null, listed: 3, wanted: 3, mended: 0, findings: [] });
  const gone = await addSubscriber(pool, {
    accountId: await addAccount(pool, { planId }),
    login: 'gone',
    deleted: true,
  });
  const elsewhere = await addSubscriber(pool, {
    accountId: await addAccount(pool, { planId }),
    login: 'elsewhere',
    nas_name: 'nas2',
  });

  nas.entries.delete(key(0, '100.64.0.1'));
  nas.entries.get(key(1, '100.64.0.2'))!.redirect = true;
  nas.entries.get(key(1, '100.64.0.2'))!.rate = { downBps: 1, upBps: null };
  nas.entries.set(key(2, '100.64.0.77'), acceptedEntry(home));
  nas.entries.set(`${String(gone)} 100.64.0.78`, acceptedEntry(home));
  nas.entries.set(`${String(elsewhere)} 100.64.0.79`, acceptedEntry(home));
  const wire = nas.wire.length;
  const report = await reconcileNas(pool, listing, mend);
  t.same(report.counts, {
    missing: 1,
    'wrong-policy': 1,
    moved: 2,
    'duplicate-address': 0,
    'left-over': 1,
    unknown: 0,
  });
  t.equal(report.mended, 5);
  t.match(
    report.findings.find(({ kind }) => kind === 'wrong-policy'),
    {
      login: 'bob',
      text: 'redirected, down 1 bit/s instead of 50000000 bit/s, up unlimited instead of 10000000 bit/s',
    },
  );
  await until(() => allConverged(pool, 3));
  t.same(
    [...nas.entries.keys()].sort(),
    [key(0, '100.64.0.1'), key(1, '100.64.0.2'), key(2, '100.64.0.3')].sort(),
    'every subscriber is where he should be, and nothing else is there',
  );
  for (const entry of nas.entries.values()) t.match(entry, { blocked: false, redirect: false, rate: home });
  t.equal(nas.overlaps, 0);
  t.ok(nas.wire.length > wire);
  t.match(await reconcileNas(pool, listing, mend), { mended: 0, findings: [] }, 'the next comparison finds nothing');
  t.match(await lastRun(pool, 'nas1'), { by: 'test', listed: 3, wanted: 3, mended: 0 });
});

t.test('a dry run tells and changes nothing', async (t) => {
  const { pool, nas, listing } = await scene(t);
  nas.wipe();
  nas.entries.set('99 100.64.0.99', acceptedEntry(home));
  const rows = async () => (await pool.query('SELECT * FROM enforcement ORDER BY id')).rows;
  const before = await rows();
  const report = await reconcileNas(pool, listing, { ...mend, dryRun: true });
  t.match(report, { dryRun: true, counts: { missing: 3, 'left-over': 1 }, mended: 0 });
  t.same(await rows(), before);
  t.equal((await pool.query('SELECT FROM nas_entry')).rowCount, 0);
  t.match(await lastRun(pool, 'nas1'), { dry_run: true, counts: { missing: 3 } });
});

t.test('no more is mended in one run than its limit, and the rest is counted', async (t) => {
  const { pool, nas, listing } = await scene(t);
  nas.wipe();
  t.match(await reconcileNas(pool, listing, { ...mend, limit: 2 }), { mended: 2, beyondLimit: 1 });
  await until(() => allConverged(pool, 3));
  t.equal(nas.entries.size, 2);
  t.match(await reconcileNas(pool, listing, { ...mend, limit: 2 }), { mended: 1, beyondLimit: 0 });
  await until(() => nas.entries.size === 3);
});

t.test('whatever changed while the NAS was asked is left to the dispatcher', async (t) => {
  const { pool, nas, key } = await scene(t);
  nas.entries.delete(key(0, '100.64.0.1'));
  const slow = listing(nas, async () => {
    await pool.query(`UPDATE subscriber SET static_address = '100.64.0.11' WHERE login = 'alice'`);
    await until(() => nas.entries.has(key(0, '100.64.0.11')));
    await until(() => allConverged(pool, 3));
    nas.entries.delete(key(0, '100.64.0.11'));
    nas.entries.set(key(0, '100.64.0.1'), acceptedEntry(home));
  });
  const { rows } = await pool.query<{ generation: number }>(`SELECT generation FROM enforcement ORDER BY id LIMIT 1`);
  const report = await reconcileNas(pool, slow, mend);
  t.match(report, { mended: 0 }, 'what was read before the list says nothing of what was done since');
  t.ok(
    (await pool.query<{ generation: number }>(`SELECT generation FROM enforcement ORDER BY id LIMIT 1`)).rows[0]!
      .generation > rows[0]!.generation,
  );
});

t.test('a NAS that cannot be asked is reported, and nothing is taken for missing', async (t) => {
  const { pool, nas } = await scene(t);
  const dumb: ListingNas = {
    name: 'nas1',
    onlyServed: false,
    list: () =>
      Promise.resolve({ ok: false, outcome: { outcome: 'unreachable', reached: 'never', text: 'no connection' } }),
  };
  const wire = nas.wire.length;
  t.match(await reconcileNas(pool, dumb, mend), { error: 'no connection', mended: 0, findings: [] });
  t.equal(nas.wire.length, wire);
  t.match(await lastRun(pool, 'nas1'), { error: 'no connection' });
});

t.test(
  'by night the owner compares, takes away what is nobody’s, and leaves what is others’ until it is adopted',
  async (t) => {
    const { pool, nas, server, listing, key } = await scene(t);
    nas.entries.set('99 100.64.0.99', acceptedEntry(home));
    nas.entries.set('98 100.64.0.1', acceptedEntry(home));
    nas.entries.set('0 100.64.0.50', acceptedEntry(home));
    let nowMs = Date.parse('2026-11-22T00:10:00Z');
    let owns = false;
    const owned: OwnedNas = {
      ...listing,
      driver: nas.driver(),
      isOwner: () => owns && server.dispatcher.isOwner('nas1'),
    };
    const reconciler = new Reconciler({
      pool,
      log: pino({ level: 'silent' }),
      owned: () => [owned],
      nightly: () => ({ minute: 30, timeZone: 'UTC' }),
      limit: () => 100,
      nowMs: () => nowMs,
    });
    await reconciler.round();
    t.equal(await lastRun(pool, 'nas1'), undefined, 'it is not yet time');
    nowMs += 20 * 60_000;
    await reconciler.round();
    t.equal(await lastRun(pool, 'nas1'), undefined, 'it is somebody else’s');
    owns = true;
    await reconciler.round();
    t.match(await lastRun(pool, 'nas1'), {
      by: NIGHTLY,
      counts: { 'left-over': 1, unknown: 1, 'duplicate-address': 1 },
    });
    await reconciler.round();
    t.notOk(nas.entries.has('99 100.64.0.99'), 'nobody has this number');
    t.ok(nas.entries.has('98 100.64.0.1'), 'at the address of a subscriber nothing is removed by address');
    t.ok(nas.entries.has('0 100.64.0.50'), 'it is of others');
    t.ok(nas.entries.has(key(0, '100.64.0.1')));

    const entry = { address: '100.64.0.50', text: 'of others' };
    t.equal(await withTransaction(pool, (client) => adoptEntries(client, 'nas1', [entry], 'tester')), 1);
    t.equal(await withTransaction(pool, (client) => adoptEntries(client, 'nas1', [entry], 'tester')), 0, 'once');
    await reconcileNas(pool, listing, mend);
    await reconciler.round();
    t.notOk(nas.entries.has('0 100.64.0.50'), 'it was adopted, and nobody wants it');
    t.match((await pool.query('SELECT * FROM nas_entry WHERE mark IS NULL')).rows, [
      { adopted_by: 'tester', remove_asked_at: null, last_error: null },
    ]);
  },
);

t.test('an address that a subscriber got meanwhile is not taken from him with an adopted entry', async (t) => {
  const { pool, nas, server, listing, ids } = await scene(t);
  nas.entries.set('0 100.64.0.50', acceptedEntry(home));
  await withTransaction(pool, (client) =>
    adoptEntries(client, 'nas1', [{ address: '100.64.0.50', text: 'of others' }], 'tester'),
  );
  t.match(await reconcileNas(pool, listing, mend), { mended: 1 });
  await pool.query(`UPDATE subscriber SET static_address = '100.64.0.50' WHERE id = $1`, [ids[1]]);
  await until(() => nas.entries.has(`${String(ids[1])} 100.64.0.50`));
  await until(() => allConverged(pool, 3));
  const wire = nas.wire.length;
  const reconciler = new Reconciler({
    pool,
    log: pino({ level: 'silent' }),
    owned: () => [{ ...listing, driver: nas.driver(), isOwner: () => server.dispatcher.isOwner('nas1') }],
    nightly: () => undefined,
    limit: () => 100,
    nowMs: Date.now,
  });
  await reconciler.round();
  t.equal(nas.wire.length, wire);
});
