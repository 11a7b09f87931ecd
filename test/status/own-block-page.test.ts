/** On a subscriber's page: when a voluntary block ends by itself, and when there may be another one. */
import t from 'tap';
import { pageHouse } from '../support/page.js';
import { addAccount, addPlan, addSubscriber } from '../support/subscriber-rows.js';

t.test('a voluntary block, while it is on and afterwards', async (t) => {
  const house = await pageHouse(t);
  const { pool } = house.database;
  const planId = await addPlan(pool, { own_block_max_days: 30, own_block_pause_days: 10 });
  const id = await addSubscriber(pool, { accountId: await addAccount(pool, { planId }), login: 'ivanov' });
  const page = async (language: string) =>
    (await house.get(`/subscribers/${String(id)}`, { 'accept-language': language })).body;

  t.notMatch(await page('en'), 'Voluntary block</', 'nothing while there was none');
  await pool.query('UPDATE subscriber SET own_disabled = true');
  await pool.query(`UPDATE subscriber SET own_disabled_since = '2026-11-01 09:00Z'`);
  t.match(await page('en'), /Voluntary block[\s\S]{0,80}ends by itself at 2026-12-01 \d\d:00:00/u);
  t.match(await page('ru'), /Добровольная блокировка[\s\S]{0,80}закончится сама 2026-12-01/u);
  await pool.query('UPDATE subscriber SET own_disabled = false');
  await pool.query(`UPDATE subscriber SET own_disabled_ended_at = '2026-11-20 09:00Z'`);
  t.match(await page('en'), /Voluntary block[\s\S]{0,80}the next one from 2026-11-30 \d\d:00:00 on/u);
});
