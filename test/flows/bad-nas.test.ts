/**
 * The whole server and NASes that are set up wrongly, each in its own way, beside one that is right. Holds for each: `nas show`, `explain` and the log say what is wrong;
 * nobody else waits for it; and once it is put right, what PostgreSQL says is done: nothing was lost.
 */
import { readFile, rm, writeFile } from 'node:fs/promises';
import { createServer, type AddressInfo } from 'node:net';
import { once } from 'node:events';
import { join } from 'node:path';
import t from 'tap';
import { runIn } from '../cli/command-line.js';
import { freshDatabase } from '../support/database.js';
import { waitFor } from '../support/deadline.js';
import { freeTcpPort } from '../support/free-port.js';
import { insertPlan, insertPool, insertPopulation } from '../support/population.js';
import { knowsSubscribers } from '../support/scrape.js';
import { type LogLine, TestServer } from '../support/server.js';
import { makeHostKey, startSshNas } from '../support/ssh-nas.js';

const secret = 'pk3Lx9Qv7Tz1Wd5Rb8Ym';
const password = 'correct horse';
const WAIT_MS = 60_000;

const ssh = await startSshNas(t, { password });
/** Takes connections and says nothing. */
const mute = createServer((socket) => socket.on('error', () => undefined));
mute.listen(0, '127.0.0.1');
await once(mute, 'listening');
t.teardown(() => mute.close());

const commandNames = ['user_add', 'user_del', 'user_drop', 'user_accept', 'own_disabled', 'own_disabled_cancel']
  .concat(['user_redirect', 'user_redirect_cancel', 'user_rate_set', 'user_rate_set_cancel', 'user_disconnect'])
  .concat(['user_auth', 'usluga_activated', 'usluga_deactivated']);
/** A profile of entries; each command is one step. */
const profile = (step: string, more = ''): string =>
  `description = "entries"\nchannel = "dhcp"\n[state.active]\nanswer = "accept"\n[enforcement]\nplace = "provisioned"\n${more}` +
  commandNames.map((name) => `[command.${name}]\nsteps = [${step}]\n`).join('');

interface BadNas {
  readonly name: string;
  readonly profile: string;
  /** Tables of its entry. */
  readonly entry: string;
  /** What is told of it; undefined: nothing, it is right. */
  readonly told: RegExp | undefined;
  readonly state: 'pending' | 'parked' | 'converged';
}

const ways = (settings: string, port = ssh.port): string => `[ssh]\nport = ${String(port)}\n${settings}`;
const right = ways(`password_file = "password"\nhost_key = "${ssh.fingerprint}"\n`);
const pinned = `host_key = "${ssh.fingerprint}"\n`;
const closedPort = await freeTcpPort();
const nases: readonly BadNas[] = [
  { name: 'right', profile: 'console', entry: right, told: undefined, state: 'converged' },
  {
    name: 'unreachable',
    profile: 'console',
    entry: ways(`password_file = "password"\n${pinned}`, closedPort),
    told: /no connection: ECONNREFUSED/u,
    state: 'pending',
  },
  {
    name: 'mute',
    profile: 'console',
    entry: ways(
      `password_file = "password"\nconnect_timeout_ms = 300\n${pinned}`,
      (mute.address() as AddressInfo).port,
    ),
    told: /no answer in time/u,
    state: 'pending',
  },
  {
    name: 'other-host-key',
    profile: 'console',
    entry: ways(`password_file = "password"\nhost_key = "${makeHostKey().fingerprint}"\n`),
    told: /its host key changed: known is SHA256:\S+, it shows SHA256:/u,
    state: 'pending',
  },
  {
    name: 'unknown-host-key',
    profile: 'console',
    entry: ways('password_file = "password"\n'),
    told: /its host key SHA256:\S+ is not trusted yet: compare it, then "sluice nas trust"/u,
    state: 'pending',
  },
  {
    name: 'wrong-password',
    profile: 'console',
    entry: ways(`password_file = "wrong-password"\n${pinned}`),
    told: /sluice: the NAS refused the password or key/u,
    state: 'pending',
  },
  {
    name: 'wrong-key',
    profile: 'console',
    entry: ways(`key_file = "key"\n${pinned}`),
    told: /sluice: the NAS refused the password or key/u,
    state: 'pending',
  },
  {
    name: 'says-error',
    profile: 'says-error',
    entry: right,
    told: /user_add: % Invalid input detected/u,
    state: 'pending',
  },
  { name: 'lacks-a-value', profile: 'prefixes', entry: right, told: /user_add: .*framed_prefix/u, state: 'parked' },
  {
    name: 'slow-console',
    profile: 'slow-console',
    entry: `${right}command_timeout_ms = 300\n`,
    told: /user_add: no answer in 300 ms/u,
    state: 'pending',
  },
  {
    name: 'hanging-script',
    profile: 'script',
    entry: '[exec]\nscript = "hangs"\n',
    told: /user_add: killed after 1000 ms/u,
    state: 'pending',
  },
  {
    name: 'failing-script',
    profile: 'script',
    entry: '[exec]\nscript = "fails"\n',
    told: /user_add: exit code 3 no such line/u,
    state: 'pending',
  },
  { name: 'leaves', profile: 'console', entry: right, told: undefined, state: 'converged' },
];

const entryOf = (nas: Pick<BadNas, 'name' | 'profile' | 'entry'>, i: number): string =>
  `name = "${nas.name}"\naddress = "127.0.0.${String(10 + i)}"\nsecret = "${secret}"\nprofile = "${nas.profile}"\n${nas.entry}`.replace(
    '[ssh]\n',
    '[ssh]\naddress = "127.0.0.1"\n',
  );

t.test('NASes that are set up wrongly', { timeout: 300_000 }, async (t) => {
  const database = await freshDatabase(t);
  const { pool } = database;
  const planId = await insertPlan(pool);
  const poolId = await insertPool(pool, '100.64.0.0/28');
  await insertPopulation(pool, { prefix: 'u', staticCount: nases.length, dynamicCount: 0, planId, poolId });
  await pool.query(`UPDATE subscriber SET nas_name = ($1::text[])[1 + substr(login, 2)::int]`, [
    nases.map(({ name }) => name),
  ]);
  const server = await TestServer.start(t, {
    databaseUrl: database.url,
    files: {
      ...Object.fromEntries(nases.map((nas, i) => [`nas.d/${nas.name}.toml`, entryOf(nas, i)])),
      password: `${password}\n`,
      'wrong-password': 'wrong horse\n',
      key: makeHostKey().pem,
      hangs: '#!/bin/sh\nsleep 600\n',
      fails: '#!/bin/sh\necho no such line\nexit 3\n',
      'profiles/console.toml': profile('{ send = "ssh", lines = ["echo $command $login $ip"] }'),
      'profiles/says-error.toml': profile(
        '{ send = "ssh", lines = ["echo % Invalid input detected"] }',
        '[ssh]\nerror = ["^% Invalid"]\n',
      ),
      'profiles/prefixes.toml': profile('{ send = "ssh", lines = ["echo $framed_prefix"] }'),
      'profiles/slow-console.toml': profile('{ send = "ssh", lines = ["sleep 30; echo $ip"] }'),
      'profiles/script.toml': profile('{ send = "exec" }', '[exec]\ntimeout_seconds = 1\n'),
    },
    executable: ['hangs', 'fails'],
  });
  await knowsSubscribers(server.statusUrl, nases.length);
  const operate = (...argv: readonly string[]) =>
    runIn(['--conf', server.confDir, '--data', server.dataDir, ...argv], { columns: 200 });
  const shown = async (...argv: readonly string[]): Promise<string> => (await operate(...argv)).stdout;
  const reload = async (isWanted: (line: LogLine) => boolean): Promise<LogLine> => {
    const already = server.logs.length;
    process.kill(server.pid, 'SIGHUP');
    return await waitFor('the reload', WAIT_MS, () => server.logs.slice(already).find(isWanted));
  };
  const states = async (): Promise<ReadonlyMap<string, string>> => {
    const { rows } = await pool.query<{ nas_name: string; state: string }>('SELECT nas_name, state FROM enforcement');
    return new Map(rows.map((row) => [row.nas_name, row.state]));
  };

  for (const [i, { name, told, state }] of nases.entries()) {
    await t.test(name, async (t) => {
      const login = `u${String(i)}`;
      await waitFor(`${name} to be ${state}`, WAIT_MS, async () => {
        const { rows } = await pool.query<{ state: string; outcome: string | null }>(
          'SELECT state, last_outcome AS outcome FROM enforcement WHERE nas_name = $1',
          [name],
        );
        return rows[0]?.state === state && rows[0].outcome !== null;
      });
      if (told === undefined) return;
      t.match(await shown('nas', 'show', name), told, 'nas show');
      t.match(await shown('explain', login), told, 'explain');
      const reason = new RegExp(told.source.replace('user_add: ', ''), 'u');
      const line = await server.waitForLog(
        ({ nas, reason: why, offered }) => nas === name && (reason.test(String(why)) || offered !== undefined),
        WAIT_MS,
      );
      t.ok(Number(line.level) >= 40, 'the log');
    });
  }

  await t.test('nobody waits for them', async (t) => {
    for (const wanted of [true, false]) {
      const beganAt = performance.now();
      await pool.query(`UPDATE subscriber SET redirect = $1 WHERE nas_name = 'right'`, [wanted]);
      await waitFor('the right one to follow', WAIT_MS, async () => {
        const { rowCount } = await pool.query(
          `SELECT FROM enforcement WHERE nas_name = 'right' AND state = 'converged' AND applied->>'redirect' = $1`,
          [String(wanted)],
        );
        return rowCount === 1;
      });
      t.ok(performance.now() - beganAt < 5_000);
    }
  });

  await t.test('a wrong reload: told with file, line and key, and the right NAS is commanded as before', async (t) => {
    const path = join(server.confDir, 'profiles', 'console.toml');
    const before = await readFile(path, 'utf8');
    await writeFile(
      path,
      before
        .replace('$command $login $ip', '$command $logni $ip')
        .replace(
          'answer = "accept"\n',
          'answer = "accept"\nattributes = [{ name = "Mikrotik-Rate-Limt", value = "1k/1k" }]\n',
        ),
      { mode: 0o600 },
    );
    const checked = await operate('check-config');
    t.equal(checked.code, 1);
    const already = server.logs.length;
    await reload(({ problem }) => String(problem).includes('logni'));
    const logged = server.logs.slice(already).map(({ problem }) => String(problem));
    for (const text of [checked.stdout, logged.join('\n')]) {
      t.match(text, /console\.toml:\d+: command\.user_add.*\$logni/u, 'the undefined variable');
      t.match(text, /console\.toml:\d+: state\.active\.attributes.*not in the dictionary/u, 'the unknown attribute');
    }
    await pool.query(`UPDATE subscriber SET own_disabled = true WHERE nas_name = 'right'`);
    await waitFor('the right one to follow', WAIT_MS, async () => {
      const { rowCount } = await pool.query(
        `SELECT FROM enforcement WHERE nas_name = 'right' AND state = 'converged' AND applied->>'ownDisabled' = 'true'`,
      );
      return rowCount === 1;
    });
    await writeFile(path, before, { mode: 0o600 });
  });

  await t.test('a NAS that leaves the configuration', async (t) => {
    const file = join(server.confDir, 'nas.d', 'leaves.toml');
    const entry = await readFile(file, 'utf8');
    await rm(file);
    await reload(({ msg }) => msg === 'configuration reloaded');
    await server.waitForLog(
      ({ nas, enforcements, msg }) =>
        nas === 'leaves' && enforcements === 1 && /not in the configuration/u.test(msg ?? ''),
    );
    const login = `u${String(nases.length - 1)}`;
    await pool.query('UPDATE subscriber SET redirect = true WHERE login = $1', [login]);
    t.match(await shown('nas', 'list'), /^leaves .*not in the/mu);
    t.match(await shown('nas', 'show', 'leaves'), /mode: +not in the configuration/u);
    t.match(await shown('explain', login), /its NAS is not commanded by this configuration/u);
    t.equal((await states()).get('leaves'), 'converged', 'its row stays');
    await writeFile(file, entry, { mode: 0o600 });
    await reload(({ msg }) => msg === 'configuration reloaded');
    await waitFor('it to follow what changed meanwhile', WAIT_MS, async () => {
      const { rowCount } = await pool.query(
        `SELECT FROM enforcement WHERE nas_name = 'leaves' AND applied->>'redirect' = 'true'`,
      );
      return rowCount === 1;
    });
    t.pass('back again');
  });

  await t.test('all put right: nothing was lost', async (t) => {
    for (const [i, nas] of nases.entries())
      await writeFile(
        join(server.confDir, 'nas.d', `${nas.name}.toml`),
        entryOf({ ...nas, profile: 'console', entry: right }, i),
        { mode: 0o600 },
      );
    await reload(({ msg }) => msg === 'configuration reloaded');
    await waitFor('all to be converged', WAIT_MS, async () =>
      [...(await states()).values()].every((state) => state === 'converged'),
    );
    const { rows } = await pool.query<{ login: string }>(
      `SELECT s.login FROM subscriber s LEFT JOIN enforcement e ON e.subscriber_id = s.id AND e.nas_name = s.nas_name
       WHERE (e.applied->>'present')::boolean IS DISTINCT FROM true OR (e.applied->>'redirect')::boolean <> s.redirect`,
    );
    t.same(rows, []);
    const secrets = server.logs.filter((line) => /horse|pk3Lx9/u.test(JSON.stringify(line)));
    t.same(secrets, [], 'and no secret is in the log');
  });
});
