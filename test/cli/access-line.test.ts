/**
 * Trying an access line from the command line: `radtest` asks as a NAS does that passes on option 82, `explain` says by what somebody is known.
 *
 * Enters: a subscriber at a port. Leaves: answers of a running server, and explanations. Invariant: they agree.
 */
import t from 'tap';
import { freshDatabase } from '../support/database.js';
import { TestServer } from '../support/server.js';
import { addAccount, addPlan, addSubscriber } from '../support/subscriber-rows.js';
import { until } from '../support/until.js';
import { runIn } from './command-line.js';

const [HIS, OTHER] = ['02:00:00:00:00:01', '02:00:00:00:00:09'];
const remote = ['--remote-id', '00063c3332664350'];
const at = (port: number): string[] => ['--circuit-id', `00040064000${String(port)}`, ...remote];

interface Explained {
  readonly answer: string;
  readonly reason: string | null;
  readonly found_by: string | null;
  readonly access_line: string | null;
  readonly known_by: string | null;
  readonly sentence: string;
}

t.test('radtest and explain from an access line', async (t) => {
  const database = await freshDatabase(t);
  const { pool } = database;
  const server = await TestServer.start(t, {
    databaseUrl: database.url,
    files: {
      'nas.d/localhost.toml':
        'name = "localhost"\naddress = "127.0.0.1"\nsecret = "0123456789abcdefghij"\nprofile = "ours"\n',
      'profiles/ours.toml':
        'description = "x"\nchannel = "dhcp"\nidentity = ["line", "mac"]\n[mac_authorisation]\nno_password = ["absent"]\n[state.active]\nanswer = "accept"\n',
    },
  });
  const run = async (...argv: string[]) => await runIn(['--conf', server.confDir, '--data', server.dataDir, ...argv]);
  const done = async (...argv: string[]) => {
    const result = await run(...argv);
    t.equal(result.code, 0, `${argv.join(' ')} ${result.stderr}`);
    return result;
  };
  const accountId = await addAccount(pool, { planId: await addPlan(pool) });
  await addSubscriber(pool, { accountId, login: 'alice', static_address: '100.64.9.9' });
  await addSubscriber(pool, { accountId, login: 'bob', static_address: '100.64.9.10' });
  await pool.query(
    `INSERT INTO device (kind_id, mac) SELECT id, '3c:33:32:66:43:50' FROM device_kind WHERE name = 'dlink'`,
  );
  await pool.query(`UPDATE subscriber SET device_id = 1, port = '5', mac = $1 WHERE login = 'alice'`, [HIS]);
  await pool.query(`UPDATE subscriber SET device_id = 1, port = '6' WHERE login = 'bob'`);
  const explain = async (...argv: string[]) => (await done('explain', ...argv, '--json')).json<Explained>();

  const ask = (mac: string, ...line: string[]) =>
    run('radtest', mac, '--no-password', '--calling-station', mac, '--attempts', '1', ...line);

  await t.test('radtest', async (t) => {
    await until(async () => (await ask(OTHER, ...at(5))).code === 0);
    const served = await ask(OTHER, ...at(5));
    t.match(served.stdout, /Framed-IP-Address = 100\.64\.9\.9/u, 'whoever asks from there is alice');
    t.match((await ask(OTHER, ...at(6))).stdout, /Framed-IP-Address = 100\.64\.9\.10/u);
    t.equal((await ask(HIS, ...at(7))).code, 1, 'nobody is there');
    t.equal((await ask(HIS)).code, 1, 'no line, and known by one');
    const accounting = await run('radtest', HIS, '--accounting', 'start', ...at(5), '--framed-address', '100.64.9.9');
    t.equal(accounting.code, 0, accounting.stderr);
    await until(async () => {
      const { rows } = await pool.query(
        'SELECT s.login FROM session x JOIN subscriber s ON s.id = x.subscriber_id WHERE x.mac = $1',
        [HIS],
      );
      return rows.length === 1 && rows[0].login === 'alice';
    });
    t.match(await run('radtest', HIS, '--no-password', '--circuit-id', 'xyz'), {
      code: 2,
      stderr: /--circuit-id is not hexadecimal/u,
    });
    t.match(await run('radtest', HIS, '--no-password', '--remote-id', '00'.repeat(248)), {
      code: 2,
      stderr: /--remote-id has 248 octets/u,
    });
  });

  await t.test('explain', async (t) => {
    t.match(await explain('alice'), {
      answer: 'accept',
      found_by: 'line',
      access_line: 'device 3c:33:32:66:43:50, port 5',
      known_by: 'line (device 3c:33:32:66:43:50, port 5)',
    });
    t.match(await explain('alice', '--mac', OTHER, ...at(5)), { answer: 'accept', found_by: 'line' });
    t.match(await explain('alice', ...at(7)), { answer: 'reject', reason: 'unknown-line', known_by: null });
    t.match(await explain('alice', '--circuit-id', 'ff'), {
      answer: 'reject',
      reason: 'unknown-line',
      access_line: null,
    });
    t.match(await run('explain', 'alice', ...at(6)), {
      code: 1,
      stderr: /whoever asks from there \(device 3c:33:32:66:43:50, port 6.*\) is 'bob', not 'alice'/u,
    });
    t.match((await done('explain', 'alice')).stdout, /^known by +line \(device 3c:33:32:66:43:50, port 5\)$/mu);

    await pool.query(`UPDATE subscriber SET option82_auth = 'port-mac' WHERE login = 'alice'`);
    t.match(await explain('alice'), { answer: 'accept', found_by: 'line' });
    t.match(await explain('alice', '--mac', OTHER), { answer: 'reject', reason: 'mac-binding', found_by: 'line' });
    t.match(await explain('alice', ...at(7)), { answer: 'reject', reason: 'line-binding', found_by: 'mac' });
    await pool.query(`UPDATE subscriber SET option82_auth = 'mac' WHERE login = 'alice'`);
    t.match(await explain('alice', ...at(7)), { answer: 'accept', found_by: 'mac', known_by: 'mac' });
    t.match(await explain('alice', '--if', 'own_disabled=true'), { answer: 'reject', reason: 'own-disabled' });
  });
});
