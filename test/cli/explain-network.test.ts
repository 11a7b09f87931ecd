/**
 * `explain` about the network: what each NAS is told of a subscriber, why, what is known of it, and what it answered; and `nas test` over CoA.
 *
 * Enters: sessions and enforcements written into the tables. Leaves: the same in words. Invariant: what is desired is what the server would desire now.
 */
import { mkdir, writeFile, chmod } from 'node:fs/promises';
import { join } from 'node:path';
import t from 'tap';
import type { Test } from 'tap';
import { describeBecause } from '../../src/domain/describe-because.js';
import type { Because } from '../../src/domain/desired-service.js';
import { foundState } from '../../src/domain/reconcile.js';
import { CommandNas, nak } from '../support/command-nas.js';
import { openSession } from '../support/enforced-network.js';
import { commandHouse } from './command-line.js';
import type { CommandHouse } from './command-line.js';

const secret = 'pk3Lx9Qv7Tz1Wd5Rb8Ym';

async function houseWithNas(t: Test, port = 3799): Promise<CommandHouse> {
  const house = await commandHouse(t);
  await mkdir(join(house.confDir, 'nas.d'));
  const file = join(house.confDir, 'nas.d', 'bras1.toml');
  await writeFile(
    file,
    `name = "bras1"\naddress = "127.0.0.1"\nsecret = "${secret}"\nprofile = "accel-ppp"\n[coa]\nport = ${String(port)}\ntimeout_ms = 200\nattempts = 2\n`,
  );
  await chmod(file, 0o600);
  await house.done(['plan', 'add', 'home', '--down', '50M', '--up', '10M']);
  await house.done(['subscriber', 'add', 'alice', '--plan', 'home', '--no-password']);
  return house;
}

interface Explained {
  readonly places: readonly {
    nas_name: string;
    state: string;
    because: string | null;
    desired: { redirect?: boolean; present: boolean } | null;
  }[];
  readonly commands: readonly { command: string; outcome: string }[];
}

t.test('explain tells what is desired at each place now, what is known, and what the NAS answered', async (t) => {
  const house = await houseWithNas(t);
  const { pool } = house.database;
  const [{ id }] = (await pool.query<{ id: number }>('SELECT id FROM subscriber')).rows as [{ id: number }];
  await openSession(pool, { nasName: 'bras1', subscriberId: id, login: 'alice', address: '100.64.0.1' });
  await openSession(pool, { nasName: 'bras9', subscriberId: id, login: 'alice', address: '100.64.0.2' });
  const applied = { ...foundState('alice', '100.64.0.1'), rate: { downBps: 50_000_000, upBps: 10_000_000 } };
  const enforcement = (
    await pool.query<{ id: number }>(
      `UPDATE enforcement SET applied = $1, evidence = 'ack', applied_at = '2026-11-20T11:00:00Z', attempted = $2, state = 'pending', attempts = 3,
         last_error = $3, due_at = '2026-11-20T12:01:00Z' WHERE nas_name = 'bras1' RETURNING id`,
      [JSON.stringify(applied), JSON.stringify([{ ...applied, redirect: true }]), 'no answer\u001b[2J'],
    )
  ).rows[0]!.id;
  await pool.query(
    `INSERT INTO nas_command (enforcement_id, nas_name, subscriber_id, login, command, driver, sent, attempts, planned_at, sent_at, answered_at,
       outcome, evidence, generation, instance)
     VALUES ($1, 'bras1', $2, 'alice', 'user_redirect_cancel', 'coa', 'CoA-Request', 1, '2026-11-20T10:59:59Z', '2026-11-20T11:00:00Z',
       '2026-11-20T11:00:00.012Z', 'applied', 'ack', 1, 'sluice-1')`,
    [enforcement, id],
  );
  await house.done(['subscriber', 'set', 'alice', 'redirect=true', 'reason=owes 300']);

  const explained = (await house.done(['explain', 'alice', '--json'])).json<Explained>();
  t.match(explained.commands, [{ command: 'user_redirect_cancel', outcome: 'applied' }]);
  const known = explained.places.find((place) => place.nas_name === 'bras1');
  t.match(known, { state: 'pending', because: /limited|rejected/u });
  t.match(
    explained.places.find((place) => place.nas_name === 'bras9'),
    { desired: null, because: null },
    'a NAS that is not in the configuration',
  );

  const text = (await house.done(['explain', 'alice'])).stdout;
  t.match(text, /^on bras1, session \S+: pending\. Commands are on their way, or are tried again\.$/mu);
  t.match(text, /^ {2}because: .*no money, or a limit reached$/mu);
  t.match(
    text,
    /^ {2}applied: served, 50000000 bit\/s down 10000000 bit\/s up, as alice 100\.64\.0\.1 \(the NAS acknowledged, 2026-11-20 14:00:00\)$/mu,
  );
  t.match(text, /^ {2}tried, not proven: walled garden: no money, /mu);
  t.match(text, /^ {2}tries: 3$/mu);
  t.match(text, /^ {2}walled garden lifted 2026-11-20 14:00:00, bras1 confirmed after 12 ms$/mu);
  t.match(text, /its NAS is not commanded by this configuration/u);
  // eslint-disable-next-line no-control-regex -- it is what must not be there
  t.notMatch(text, /\u001b/u);
});

t.test('every reason has its words', async (t) => {
  const reasons: readonly Because[] = [
    { kind: 'served' },
    { kind: 'limited', by: 'redirect' },
    { kind: 'deleted' },
    { kind: 'elsewhere', nasName: null },
    { kind: 'elsewhere', nasName: 'bras2' },
    { kind: 'no-address' },
    { kind: 'disconnect-asked', beforeMs: 0 },
    { kind: 'key-changed', atMs: 0 },
    { kind: 'rejected', by: 'admin_blocked' },
    { kind: 'other-pool', from: 'guests', to: null, state: 'active' },
    { kind: 'other-pool', from: null, to: 'guests', state: 'redirect' },
    { kind: 'prefixes', given: true, state: 'active' },
    { kind: 'prefixes', given: false, state: 'redirect' },
  ];
  const words = reasons.map(describeBecause);
  t.equal(new Set(words).size, words.length);
  for (const one of words) t.match(one, /^[a-zA-Z].{10,100}[a-zA-Z0-9]$/u);
});

t.test('nas test asks about a session that there is not, and changes nothing', async (t) => {
  const nas = await CommandNas.open(t, secret, () => [nak(503)]);
  const house = await houseWithNas(t, nas.port);
  t.match(
    (await house.run(['nas', 'test', 'bras1'])).stdout,
    /ok {2}coa: it answers for a session that there is not: .* after \d+ ms/u,
  );
  t.ok(nas.heard.length > 0);
  for (const { packet } of nas.heard) t.equal(packet.code, 40, 'a Disconnect-Request');

  const other = await CommandNas.open(t, 'another secret of its own');
  const wrong = await houseWithNas(t, other.port);
  const silent = await wrong.run(['nas', 'test', 'bras1']);
  t.match(silent, { code: 1, stdout: /NO {2}coa: no answer from 127\.0\.0\.1:/u });
  t.ok(other.unsigned > 0, 'whoever has another secret does not answer');
  t.notMatch(silent.stdout + silent.stderr, secret);
});
