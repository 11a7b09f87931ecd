/**
 * An UPDATE without WHERE, by the whole server with the fuse as it comes: 500 of 10,000 are redirected, then it stops and raises the alarm; what gives back goes on;
 * after `sluice hold release` the rest follows.
 */
import t from 'tap';
import { Attribute } from '../../src/radius/attribute-number.js';
import { runIn } from '../cli/command-line.js';
import { ack, CommandNas } from '../support/command-nas.js';
import { freshDatabase } from '../support/database.js';
import { waitFor } from '../support/deadline.js';
import { markAccepted, population } from '../support/enforced-network.js';
import { knowsSubscribers } from '../support/scrape.js';
import { TestServer } from '../support/server.js';
import { addPlan } from '../support/subscriber-rows.js';

const MIKROTIK = 14988;
const ADDRESS_LIST = 19;
const SUBSCRIBERS = 10_000;
const HELD_ABOVE = 500;
const WAIT_MS = 120_000;
const secret = 'a secret of some length';

t.test('UPDATE subscriber SET redirect = true', { timeout: 300_000 }, async (t) => {
  const database = await freshDatabase(t);
  const { pool } = database;
  const { subscriberIds } = await population(pool, {
    count: SUBSCRIBERS,
    planId: await addPlan(pool),
    sessionsOn: ['bras1'],
  });
  await markAccepted(pool, { downBps: 50_000_000, upBps: 10_000_000 });
  await pool.query('ANALYZE');
  const nas = await CommandNas.open(t, secret);
  const redirected = new Set<string>();
  nas.behave = (request) => {
    const acctSessionId = request.text(Attribute.acctSessionId)!;
    if (request.vendorText(MIKROTIK, ADDRESS_LIST) === 'sluice-redirect') redirected.add(acctSessionId);
    else redirected.delete(acctSessionId);
    return [ack];
  };
  const server = await TestServer.start(t, {
    databaseUrl: database.url,
    files: {
      'nas.d/localhost.toml':
        `name = "bras1"\naddress = "127.0.0.1"\nsecret = "${secret}"\nprofile = "mikrotik-ppp"\n` +
        `commands_per_second = 10000\n[coa]\naddress = "127.0.0.1"\nport = ${String(nas.port)}\n`,
    },
  });
  await knowsSubscribers(server.statusUrl, SUBSCRIBERS);
  const operate = async (...argv: readonly string[]): Promise<string> => {
    const result = await runIn(['--conf', server.confDir, '--data', server.dataDir, ...argv]);
    if (result.code !== 0) throw new Error(`${argv.join(' ')}: ${result.stderr}`);
    return result.stdout;
  };
  const states = async (): Promise<Record<string, number>> => {
    const { rows } = await pool.query<{ state: string; n: number }>(
      'SELECT state, count(*)::int AS n FROM enforcement GROUP BY state ORDER BY state',
    );
    return Object.fromEntries(rows.map(({ state, n }) => [state, n]));
  };

  await pool.query('UPDATE subscriber SET redirect = true');
  await waitFor('the rest to be held', WAIT_MS, async () => {
    const now = await states();
    return now['held'] === SUBSCRIBERS - HELD_ABOVE && now['converged'] === HELD_ABOVE;
  });
  t.equal(redirected.size, HELD_ABOVE);
  const alarms = server.logs.filter(({ level, msg }) => Number(level) >= 50 && /alarm of the fuse/u.test(msg ?? ''));
  t.equal(alarms.length, 1, 'one alarm');
  t.match(await operate('hold', 'list'), /9,?500/u);

  const [first] = [...redirected];
  const back = Number(first!.slice(1));
  await pool.query('UPDATE subscriber SET redirect = false WHERE id = $1', [back]);
  await waitFor('whoever paid to be out of the garden', WAIT_MS, () => !redirected.has(first!));
  t.equal(redirected.size, HELD_ABOVE - 1, 'giving back is never held, and nobody takes the place');

  await operate('hold', 'release');
  await waitFor('the rest to follow', WAIT_MS, () => redirected.size === SUBSCRIBERS - 1);
  await waitFor('all to be as PostgreSQL says', WAIT_MS, async () => (await states())['converged'] === SUBSCRIBERS);
  t.equal(subscriberIds.length, SUBSCRIBERS);
  t.notOk(redirected.has(first!));
});
