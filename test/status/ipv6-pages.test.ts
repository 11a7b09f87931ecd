/** IPv6 on the pages: pools of prefixes, a subscriber's prefixes now and over time, and the search by an address inside one. */
import t from 'tap';
import { pageHouse } from '../support/page.js';
import { addAccount, addLiveSession, addPrefixPool, addSubscriber } from '../support/subscriber-rows.js';

t.test('pools, sessions, addresses over time, search', async (t) => {
  const house = await pageHouse(t);
  const { pool } = house.database;
  const poolId = await addPrefixPool(pool, '2001:db8::/32', {
    name: 'home6',
    kind: 'delegated-prefix',
    prefix_length: 56,
  });
  await pool.query('UPDATE pool_network SET carved = 1');
  const accountId = await addAccount(pool, { contract: 'C-1' });
  const id = await addSubscriber(pool, {
    accountId,
    login: 'ivanov',
    static_framed_prefix: '2001:db9:0:1::/64',
  });
  await addSubscriber(pool, { accountId, login: 'petrov' });
  await pool.query(
    `INSERT INTO pool_address (routing_domain, address, pool_id, state, subscriber_id) VALUES ('default', '2001:db8::/56', $1, 'assigned', $2)`,
    [poolId, id],
  );
  await addLiveSession(pool, { subscriberId: id, acctSessionId: 's1', address: '100.64.0.1' });
  await pool.query(`UPDATE session SET framed_prefix = '2001:db9:0:1::/64', delegated_prefix = '2001:db8::/56'`);
  await pool.query(
    `INSERT INTO assignment (routing_domain, address, kind, subscriber_id, login, nas_name, started_at)
     VALUES ('default', '2001:db8::/56', 'delegated-prefix', $1, 'ivanov', 'bras1', now() - interval '1 hour')`,
    [id],
  );

  const pools = (await house.get('/pools')).body;
  t.match(pools, '2001:db8::/32 → /56');
  t.match(pools, '16,777,215', 'all but one are free');
  t.match((await house.get('/sessions')).body, /100\.64\.0\.1<br \/>2001:db9:0:1::\/64<br \/>2001:db8::\/56/u);
  const person = (await house.get(`/subscribers/${String(id)}`)).body;
  t.match(person, /Static IPv6 prefixes[\s\S]{0,80}2001:db9:0:1::\/64/u);
  t.match(person, /id="addresses"[\s\S]*2001:db8::\/56/u, 'over time');

  for (const [typed, found] of [
    ['2001:db8:0:a::17', true],
    ['2001:db9:0:1:2::', true],
    ['2001:DB8::/56', true],
    ['2001:db8:0:100::1', false],
  ] as const) {
    const json = (await house.get(`/api/subscribers?q=${encodeURIComponent(typed)}`)).body;
    t.equal(json.includes('ivanov'), found, typed);
    t.notMatch(json, 'petrov');
  }
});
