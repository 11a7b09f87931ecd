/** Promised addresses as the spool replays them into the pool. */
import t from 'tap';
import type { Grant } from '../../src/domain/grant.js';
import { parseIpv4Address } from '../../src/domain/ipv4-address.js';
import { withTransaction } from '../../src/store/database.js';
import { applyGrants } from '../../src/store/grants.js';
import { breakSticky } from '../../src/store/sweeps.js';
import { freshDatabase } from '../support/database.js';

const ADDRESS = '100.64.0.1';

function grant(subscriberId: number, overrides: Partial<Grant> = {}): Grant {
  const address = parseIpv4Address(ADDRESS)!;
  const base = { offerId: 5, subscriberId, slot: 0, routingDomain: 'default', granted: [{ address, poolId: 1 }] };
  return { ...base, expiresAtMs: Date.now() + 300_000, ...overrides };
}

const cases: {
  readonly name: string;
  readonly before: { readonly state: string; readonly owner: number | null; readonly instance?: string };
  readonly granted: boolean;
  readonly tells: readonly number[];
}[] = [
  { name: 'from our reserve', before: { state: 'reserved', owner: null, instance: 'us' }, granted: true, tells: [7] },
  {
    name: 'from the reserve of others',
    before: { state: 'reserved', owner: null, instance: 'them' },
    granted: false,
    tells: [],
  },
  { name: 'kept for its owner', before: { state: 'free', owner: 7 }, granted: true, tells: [] },
  { name: 'resting after its owner', before: { state: 'quarantined', owner: 7 }, granted: true, tells: [] },
  {
    name: 'taken from its owner while he was answered',
    before: { state: 'quarantined', owner: null },
    granted: true,
    tells: [7],
  },
  { name: 'kept for somebody else by now', before: { state: 'free', owner: 8 }, granted: false, tells: [] },
  { name: 'in use already', before: { state: 'assigned', owner: 7 }, granted: false, tells: [] },
  { name: 'in use by somebody else', before: { state: 'assigned', owner: 8 }, granted: false, tells: [] },
];

for (const { name, before, granted, tells } of cases) {
  t.test(`a promise of an address ${name}`, async (test) => {
    const { pool } = await freshDatabase(test);
    await pool.query(`INSERT INTO pool (name) VALUES ('main')`);
    await pool.query(
      `INSERT INTO pool_address (routing_domain, address, pool_id, state, subscriber_id, instance) VALUES ('default', $1, 1, $2, $3, $4)`,
      [ADDRESS, before.state, before.owner, before.instance ?? null],
    );
    await withTransaction(pool, (client) => applyGrants(client, 'us', [grant(7, { offerId: 4 }), grant(7)]));
    const { rows } = await pool.query('SELECT state, subscriber_id, offer_id FROM pool_address');
    const after = granted
      ? { state: 'offered', subscriber_id: 7, offer_id: 5 }
      : { state: before.state, subscriber_id: before.owner, offer_id: null };
    test.same(rows, [after]);
    const feed = await pool.query<{ ref: number }>(`SELECT ref FROM change_feed WHERE kind = 'address'`);
    test.same(
      feed.rows.map((row) => row.ref),
      tells,
    );
  });
}

t.test('what is promised again is not taken from its owner', async (test) => {
  const { pool } = await freshDatabase(test);
  await pool.query(`INSERT INTO pool (name) VALUES ('main')`);
  await pool.query(
    `INSERT INTO pool_address (routing_domain, address, pool_id, state, subscriber_id) VALUES ('default', $1, 1, 'free', 7)`,
    [ADDRESS],
  );
  await withTransaction(pool, (client) => applyGrants(client, 'us', [grant(7)]));
  await breakSticky(pool, 10);
  test.match((await pool.query('SELECT * FROM pool_address')).rows, [{ state: 'offered', subscriber_id: 7 }]);
});
