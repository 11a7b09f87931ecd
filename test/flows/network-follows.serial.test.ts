/**
 * The whole server and a NAS that hears CoA: what billing writes is what the NAS was last told, also when the server is killed between any two steps.
 */
import { setTimeout as pause } from 'node:timers/promises';
import t from 'tap';
import { Attribute } from '../../src/radius/attribute-number.js';
import { Code } from '../../src/radius/code.js';
import { quantile } from '../support/busy-nas.js';
import { ack, CommandNas, nak } from '../support/command-nas.js';
import { freshDatabase } from '../support/database.js';
import { insertPlan, insertPool, insertPopulation } from '../support/population.js';
import { asClient } from '../support/postgres-server.js';
import { knowsSubscribers } from '../support/scrape.js';
import { chooseSeed, seededRandom } from '../support/seeded-random.js';
import { TestServer } from '../support/server.js';
import { TestNas } from '../support/test-nas.js';
import { until } from '../support/until.js';

const MIKROTIK = 14988;
const ADDRESS_LIST = 19;
const SUBSCRIBERS = 30;
const CHANGES = 200;
const KILLS = process.env['SLUICE_LONG'] === '1' ? 20 : 4;

const secret = 'a secret of some length';
const database = await freshDatabase(t);
const { pool } = database;
const planId = await insertPlan(pool);
const poolId = await insertPool(pool, '100.64.0.0/24');
const people = await insertPopulation(pool, { prefix: 'u', staticCount: SUBSCRIBERS, dynamicCount: 0, planId, poolId });
const commands = await CommandNas.open(t, secret);
const start = async (again?: TestServer): Promise<TestServer> => {
  const files = {
    'nas.d/localhost.toml':
      `name = "bras1"\naddress = "127.0.0.1"\nsecret = "${secret}"\nprofile = "mikrotik-ppp"\n` +
      `[coa]\nport = ${String(commands.port)}\ntimeout_ms = 200\n`,
  };
  const settings = { enforcement: { fuse_least_subscribers: 1_000_000, fuse_subscribers: 1_000_000 } };
  const server = await TestServer.start(t, {
    databaseUrl: database.url,
    files,
    settings,
    ...(again !== undefined && { again }),
  });
  await knowsSubscribers(server.statusUrl, people.length);
  return server;
};
let server = await start();
const nas = await TestNas.open(t, server, { secret });

/** What the NAS does with each session: its list, or that it was ended. */
const told = new Map<string, string | undefined>();
commands.behave = (request) => {
  const acctSessionId = request.text(Attribute.acctSessionId)!;
  if (request.code === Code.disconnectRequest) told.set(acctSessionId, 'ended');
  else if (told.get(acctSessionId) === 'ended') return [nak(503)];
  else told.set(acctSessionId, request.vendorText(MIKROTIK, ADDRESS_LIST));
  return [ack];
};

const isRedirected = (login: string): boolean => told.get(`s-${login}`) === 'sluice-redirect';

/** Logs everybody in, and tells of their sessions. */
for (const [i, { login, password, staticAddress }] of people.entries()) {
  const reply = await nas.logIn({
    userName: login,
    password,
    callingStationId: `02:00:00:00:01:${i.toString(16).padStart(2, '0')}`,
  });
  await nas.account({
    status: 'start',
    userName: login,
    acctSessionId: `s-${login}`,
    framedIpAddress: staticAddress!,
    callingStationId: `02:00:00:00:01:${i.toString(16).padStart(2, '0')}`,
    class: reply!.first(Attribute.class)!,
  });
}
const converged = async (): Promise<number> =>
  (await pool.query(`SELECT FROM enforcement WHERE state = 'converged'`)).rowCount ?? 0;
await until(async () => (await converged()) === SUBSCRIBERS);

t.test('a session that was accepted as it should be is not spoken to', (t) => {
  t.equal(commands.heard.length, 0);
  t.end();
});

t.test(`${String(CHANGES)} flags by SQL: each is a CoA on the wire`, { timeout: 120_000 }, async (t) => {
  const delaysMs: number[] = [];
  for (let i = 0; i < CHANGES; i++) {
    const { login } = people[i % SUBSCRIBERS]!;
    const before = commands.heard.length;
    await pool.query('UPDATE subscriber SET redirect = NOT redirect WHERE login = $1', [login]);
    const committedAtMs = performance.now();
    await until(() => commands.heard.length > before);
    delaysMs.push(performance.now() - committedAtMs);
    const redirect = Math.floor(i / SUBSCRIBERS) % 2 === 0;
    await until(() => isRedirected(login) === redirect);
  }
  t.comment(
    `commit to CoA: p50 ${quantile(delaysMs, 0.5).toFixed(1)} ms, p99 ${quantile(delaysMs, 0.99).toFixed(1)} ms`,
  );
  t.ok(quantile(delaysMs, 0.5) < 200, 'within a blink');
  await until(async () => (await converged()) === SUBSCRIBERS);
  const { rows } = await pool.query<{ n: number }>(
    `SELECT count(*)::int AS n FROM nas_command WHERE outcome = 'applied' AND driver = 'coa' AND command LIKE 'user_redirect%' AND sent LIKE '%CoA-Request%'`,
  );
  t.equal(rows[0]!.n, CHANGES, 'each is in the history');
  t.equal(commands.heard.length, CHANGES, 'and each was one packet, the rate of the garden included');
});

t.test('logged = false ends the session, and when its Stop comes nothing of it is left', async (t) => {
  const { login, staticAddress } = people[0]!;
  // Billing, not one of ours.
  await asClient(database.url, (billing) =>
    billing.query('UPDATE subscriber SET logged = false WHERE login = $1', [login]),
  );
  await until(() => told.get(`s-${login}`) === 'ended');
  await nas.account({ status: 'stop', userName: login, acctSessionId: `s-${login}`, framedIpAddress: staticAddress! });
  await until(async () => (await pool.query('SELECT FROM enforcement')).rowCount === SUBSCRIBERS - 1);
  t.pass();
});

t.test(
  `killed ${String(KILLS)} times while flags change: in the end the NAS was told what PostgreSQL says`,
  { timeout: 240_000 },
  async (t) => {
    const seed = chooseSeed();
    t.comment(`SLUICE_SEED=${String(seed)}`);
    const random = seededRandom(seed);
    for (let kill = 0; kill < KILLS; kill++) {
      const toggling = (async () => {
        for (let i = 0; i < 60; i++) {
          const { login } = people[1 + Math.floor(random() * (SUBSCRIBERS - 1))]!;
          await pool.query('UPDATE subscriber SET redirect = NOT redirect WHERE login = $1', [login]);
          await pause(random() * 10);
        }
      })();
      await pause(random() * 400);
      await server.kill('SIGKILL');
      await toggling;
      server = await start(server);
    }
    const different = async (): Promise<string[]> => {
      const { rows } = await pool.query<{ login: string; redirect: boolean }>('SELECT login, redirect FROM subscriber');
      return rows
        .filter(({ login }) => login !== people[0]!.login)
        .filter(({ login, redirect }) => isRedirected(login) !== redirect)
        .map(({ login }) => login);
    };
    // What changed while no server lived is looked at once one has taken the NAS.
    await until(async () => (await different()).length === 0 && (await converged()) === SUBSCRIBERS - 1).catch(
      () => undefined,
    );
    t.same(await different(), []);
    const { rows } = await pool.query<{ older: number }>(
      `SELECT count(*)::int AS older FROM (
       SELECT generation < max(generation) OVER (PARTITION BY enforcement_id ORDER BY sent_at, id) AS older FROM nas_command) AS h WHERE older`,
    );
    t.equal(rows[0]!.older, 0, 'no older command after a newer one');
  },
);
