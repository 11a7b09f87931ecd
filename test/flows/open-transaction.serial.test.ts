/**
 * The whole server beside a billing that changes 10,000 rows and takes its time to commit. Holds: nobody else is delayed, be it a login, accounting, a flag, a rate or a
 * start of the server; nothing deadlocks; and what it changed is followed as soon as it commits, however long ago it began.
 */
import t from 'tap';
import { Attribute } from '../../src/radius/attribute-number.js';
import { Code } from '../../src/radius/code.js';
import { ack, CommandNas } from '../support/command-nas.js';
import { freshDatabase } from '../support/database.js';
import { waitFor } from '../support/deadline.js';
import { insertPlan, insertPool, insertPopulation } from '../support/population.js';
import { asClient } from '../support/postgres-server.js';
import { applied, health, knowsSubscribers } from '../support/scrape.js';
import { TestServer } from '../support/server.js';
import { TestNas } from '../support/test-nas.js';

const MIKROTIK = 14988;
const ADDRESS_LIST = 19;
const secret = 'a secret of some length';
const SUBSCRIBERS = 10_000;
/** Half of those who are online are locked by billing. */
const ONLINE = 40;
const MINUTES_OPEN = 20;
const WAIT_MS = 60_000;
/** Longer than anything takes that waits for nobody, also on a busy machine; shorter than any timeout, ms. */
const UNDELAYED_MS = 5_000;

const database = await freshDatabase(t);
const { pool } = database;
const planId = await insertPlan(pool);
const poolId = await insertPool(pool, '100.64.0.0/24');
const people = await insertPopulation(pool, { prefix: 'u', staticCount: SUBSCRIBERS, dynamicCount: 0, planId, poolId });
const commands = await CommandNas.open(t, secret);
/** The list that each session was last told to be in; undefined: none. */
const told = new Map<string, string | undefined>();
commands.behave = (request) => {
  const acctSessionId = request.text(Attribute.acctSessionId)!;
  told.set(acctSessionId, request.code === Code.coaRequest ? request.vendorText(MIKROTIK, ADDRESS_LIST) : 'ended');
  return [ack];
};
const start = async (again?: TestServer): Promise<TestServer> => {
  const server = await TestServer.start(t, {
    databaseUrl: database.url,
    files: {
      'nas.d/localhost.toml':
        `name = "bras1"\naddress = "127.0.0.1"\nsecret = "${secret}"\nprofile = "mikrotik-ppp"\n` +
        `[coa]\nport = ${String(commands.port)}\ntimeout_ms = 500\n`,
    },
    settings: { enforcement: { fuse_least_subscribers: 1_000_000, fuse_subscribers: 1_000_000 } },
    ...(again !== undefined && { again }),
  });
  await knowsSubscribers(server.statusUrl, people.length);
  return server;
};
let server = await start();
const nas = await TestNas.open(t, server, { secret });

const lockedOnline = people.slice(0, ONLINE / 2);
const freeOnline = people.slice(SUBSCRIBERS - ONLINE / 2);
const come = async (
  { login, password, staticAddress }: (typeof people)[number],
  acctSessionId = `s-${login}`,
): Promise<void> => {
  const reply = await nas.logIn({ userName: login, password });
  if (reply?.code !== Code.accessAccept) throw new Error(`${login} was not let in`);
  const isHeard = await nas.account({
    status: 'start',
    userName: login,
    acctSessionId,
    framedIpAddress: staticAddress!,
    class: reply.first(Attribute.class)!,
  });
  if (!isHeard) throw new Error(`the Start of ${login} was not acknowledged`);
};
const converged = async (count: number): Promise<void> => {
  await waitFor(`${String(count)} converged places`, WAIT_MS, async () => {
    const { rowCount } = await pool.query(`SELECT FROM enforcement WHERE state = 'converged' AND due_at IS NULL`);
    return rowCount === count;
  });
};
const listOf = (login: string): string | undefined => told.get(`s-${login}`);
const tookMs = async (work: () => Promise<unknown>): Promise<number> => {
  const beganAt = performance.now();
  await work();
  return performance.now() - beganAt;
};
for (const person of [...lockedOnline, ...freeOnline]) await come(person);
await converged(ONLINE);
await applied(server.statusUrl);

t.test(
  `an open transaction over ${String(SUBSCRIBERS / 2)} subscribers and all accounts`,
  { timeout: 240_000 },
  async (t) => {
    await asClient(database.url, async (billing) => {
      await billing.query('BEGIN');
      await billing.query(
        `UPDATE subscriber SET redirect = true, redirect_reason = 'the month' WHERE substr(login, 2)::int < ${String(SUBSCRIBERS / 2)}`,
      );
      await billing.query('UPDATE account SET admin_blocked = admin_blocked');
      // What it has told the feed is as old as the transaction is.
      await billing.query(
        `UPDATE change_feed SET at = at - interval '${String(MINUTES_OPEN)} minutes' WHERE xid = pg_current_xact_id()`,
      );

      for (const { login } of freeOnline.slice(0, 10)) {
        const delayMs = await tookMs(async () => {
          await pool.query('UPDATE subscriber SET redirect = true WHERE login = $1', [login]);
          await waitFor(`${login} in the garden`, WAIT_MS, () => listOf(login) === 'sluice-redirect');
        });
        t.ok(delayMs < UNDELAYED_MS, `a flag of somebody else: ${String(Math.round(delayMs))} ms`);
      }
      const rateMs = await tookMs(async () => {
        await pool.query('UPDATE plan SET rate_down_bps = 70000000');
        await waitFor('all who are served at their new rate', WAIT_MS, () => commands.heard.length >= 10 + 30);
      });
      t.ok(rateMs < UNDELAYED_MS, `the rate of everybody, the locked included: ${String(Math.round(rateMs))} ms`);

      const lateComers = people.slice(100, 110);
      const loginsMs = await tookMs(async () => {
        for (const person of lateComers) await come(person);
        await waitFor('their sessions', WAIT_MS, async () => {
          const { rows } = await pool.query<{ n: number }>('SELECT count(*)::int AS n FROM session');
          return rows[0]!.n === ONLINE + lateComers.length;
        });
      });
      t.ok(
        loginsMs < 2 * UNDELAYED_MS,
        `ten of the locked log in, and their sessions are stored: ${String(Math.round(loginsMs))} ms`,
      );
      const [leaver] = freeOnline.slice(-1);
      await nas.account({ status: 'stop', userName: leaver!.login, acctSessionId: `s-${leaver!.login}` });
      await waitFor('who left to be offline', WAIT_MS, async () => {
        const { rows } = await pool.query<{ logged: boolean }>('SELECT logged FROM subscriber WHERE login = $1', [
          leaver!.login,
        ]);
        return rows[0]!.logged === false;
      });

      const restartMs = await tookMs(async () => {
        await server.kill('SIGTERM');
        server = await start(server);
      });
      t.comment(`stop and start meanwhile: ${String(Math.round(restartMs))} ms`);
      await come(people[SUBSCRIBERS - 100]!);
      const [other] = freeOnline.slice(10, 11);
      await pool.query('UPDATE subscriber SET redirect = true WHERE login = $1', [other!.login]);
      await waitFor('a flag after the start', WAIT_MS, () => listOf(other!.login) === 'sluice-redirect');
      t.same((await health(server.statusUrl)).status, 200, 'nothing counts as stalled');
      t.notOk(
        lockedOnline.some(({ login }) => listOf(login) === 'sluice-redirect'),
        'and nothing is done that is not committed',
      );
      const committedMs = await tookMs(async () => {
        await billing.query('COMMIT');
        await waitFor('everybody of the transaction in the garden', WAIT_MS, () =>
          [...lockedOnline, ...lateComers].every(({ login }) => listOf(login) === 'sluice-redirect'),
        );
      });
      t.ok(
        committedMs < 2 * UNDELAYED_MS,
        `its own are followed ${String(Math.round(committedMs))} ms after the commit`,
      );
    });
    await converged(ONLINE + 10);
    await applied(server.statusUrl);
    const { rows } = await pool.query<{ n: number }>(
      `SELECT count(*)::int AS n FROM subscriber s WHERE s.logged <> EXISTS (SELECT FROM session WHERE subscriber_id = s.id)`,
    );
    t.same(rows, [{ n: 0 }], 'who is logged has a session, and the other way round');
  },
);

t.test(
  '10,000 rows in one transaction against others that change the same ones the other way round',
  { timeout: 240_000 },
  async (t) => {
    await Promise.all([
      asClient(database.url, (billing) => billing.query('UPDATE subscriber SET redirect = NOT redirect')),
      ...[0, 1, 2].map(async (part) => {
        for (let i = 0; i < 30; i++) {
          const { login } = people[SUBSCRIBERS - 1 - ((i * 7 + part) % ONLINE)]!;
          await pool.query('UPDATE subscriber SET own_disabled = NOT own_disabled WHERE login = $1', [login]);
        }
      }),
      (async () => {
        for (const person of people.slice(200, 220)) await come(person, `t-${person.login}`);
      })(),
    ]);
    await applied(server.statusUrl);
    await waitFor('all to be converged or over', WAIT_MS, async () => {
      const { rowCount } = await pool.query(
        `SELECT FROM enforcement WHERE state <> 'converged' OR (due_at IS NOT NULL AND may_be_present)`,
      );
      return rowCount === 0;
    });
    const { rows } = await pool.query<{ deadlocks: number }>(
      'SELECT deadlocks::int FROM pg_stat_database WHERE datname = current_database()',
    );
    t.same(rows, [{ deadlocks: 0 }]);
    t.same(
      server.logs.filter(({ level }) => Number(level) >= 50),
      [],
      'and nobody has anything to complain of',
    );
  },
);
