/**
 * `nas forget`: what would be lost is told, and forgotten only when somebody says so of a NAS that nobody uses.
 */
import { chmod, mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import t from 'tap';
import type { Test } from 'tap';
import { settleSubscribers } from '../../src/store/settle.js';
import { commandHouse } from './command-line.js';

async function houseWithGone(t: Test) {
  const house = await commandHouse(t);
  await mkdir(join(house.confDir, 'nas.d'));
  const file = join(house.confDir, 'nas.d/used.toml');
  await writeFile(
    file,
    'name = "used"\naddress = "192.0.2.7"\nsecret = "pk3Lx9Qv7Tz1Wd5Rb8Ym"\nprofile = "mikrotik-ppp"\n',
  );
  await chmod(file, 0o600);
  const { pool } = house.database;
  for (const login of ['alice', 'bob', 'carol']) await house.done(['subscriber', 'add', login, '--no-password']);
  await pool.query(
    `INSERT INTO enforcement (kind, nas_name, subscriber_id, state, may_be_present, generation)
     SELECT 'provisioned', n, id, CASE login WHEN 'alice' THEN 'converged' ELSE 'pending' END, login <> 'bob', 7
     FROM subscriber, unnest(ARRAY['gone', 'used']) AS n`,
  );
  await pool.query(
    `INSERT INTO nas_entry (nas_name, address, text, adopted_at, adopted_by) VALUES ('gone', '192.0.2.9', 'x', now(), 'ops')`,
  );
  await pool.query(`UPDATE subscriber SET deleted = true WHERE login = 'carol'`);
  const left = async () =>
    (await pool.query<{ nas: string }>('SELECT nas_name AS nas FROM enforcement ORDER BY 1')).rows.map(
      ({ nas }) => nas,
    );
  return { house, pool, left };
}

t.test('without --yes it tells what would be lost, and changes nothing', async (t) => {
  const { house, left } = await houseWithGone(t);
  const asked = await house.run(['nas', 'forget', 'gone']);
  t.equal(asked.code, 1);
  t.match(asked.stdout, /gone has 3 enforcements \((1 converged, 2 pending|2 pending, 1 converged)\)/u);
  t.match(asked.stdout, /2 places that may still be on it.*: alice, carol$/mu);
  t.match(asked.stdout, /1 deleted subscriber:/u);
  t.match(asked.stdout, /1 adopted entry/u);
  t.match(asked.stderr, /nothing was forgotten.*sluice nas forget gone --yes/u);
  t.same(await left(), ['gone', 'gone', 'gone', 'used', 'used', 'used']);
});

t.test('with --yes it is gone, each with a line in the history, and nobody waits for it', async (t) => {
  const { house, pool, left } = await houseWithGone(t);
  const released = async (): Promise<boolean> =>
    (await pool.query(`SELECT FROM subscriber WHERE login = 'carol' AND released_at IS NOT NULL`)).rowCount === 1;
  const { rows: carol } = await pool.query<{ id: number }>(`SELECT id FROM subscriber WHERE login = 'carol'`);
  await pool.query(`DELETE FROM enforcement WHERE nas_name = 'used' AND subscriber_id = $1`, [carol[0]!.id]);
  await settleSubscribers(pool, [carol[0]!.id]);
  t.equal(await released(), false, 'her address waits for the NAS');

  t.match((await house.done(['nas', 'forget', 'gone', '--yes', '--json'])).json(), {
    nas: 'gone',
    forgotten: 3,
    may_be_present: 2,
    deleted_waiting: 1,
    adopted: 1,
  });
  t.same(await left(), ['used', 'used']);
  const { rows } = await pool.query(
    'SELECT login, command, outcome, detail, instance, generation FROM nas_command ORDER BY login',
  );
  t.match(rows, [
    {
      login: 'alice',
      command: 'nas_forget',
      outcome: 'forgotten',
      detail: 'something of it may still be there',
      generation: 7,
    },
    { login: 'bob', detail: 'nothing of it was there', instance: /tester/u },
    { login: 'carol' },
  ]);
  t.equal((await pool.query(`SELECT FROM nas_entry WHERE nas_name = 'gone'`)).rowCount, 0);
  const feed = await pool.query(`SELECT FROM change_feed WHERE kind = 'subscriber' AND ref = $1`, [carol[0]!.id]);
  t.ok((feed.rowCount ?? 0) > 0, 'the servers hear of her');
  await settleSubscribers(pool, [carol[0]!.id]);
  t.equal(await released(), true);
  t.match(await house.run(['nas', 'forget', 'gone', '--yes']), { code: 1, stderr: /there is no NAS/u });
});

t.test('it refuses while the NAS is in the configuration, and while a server commands it', async (t) => {
  const { house, pool, left } = await houseWithGone(t);
  t.match(await house.run(['nas', 'forget', 'used', '--yes']), {
    code: 1,
    stderr: /used is in the configuration \(.*used\.toml\)/u,
  });
  await pool.query(`INSERT INTO nas_owner (nas_name, instance, since, seen_at) VALUES ('gone', 'two', now(), now())`);
  t.match(await house.run(['nas', 'forget', 'gone', '--yes']), {
    code: 1,
    stderr: /the server two still commands gone/u,
  });
  t.equal((await left()).length, 6);
  await pool.query('UPDATE nas_owner SET released_at = now()');
  t.equal((await house.run(['nas', 'forget', 'gone', '--yes'])).code, 0);
});
