/**
 * The whole server and NASes that answer badly: lost and repeated packets, every kind of no, silence, forgeries. Holds for each: what the tables, `nas show` and `explain`
 * say of it is what happened; nobody is delayed by it; and when the NAS is well again it is told what PostgreSQL says.
 */
import t from 'tap';
import type { Test } from 'tap';
import { Attribute } from '../../src/radius/attribute-number.js';
import { Code } from '../../src/radius/code.js';
import { runIn } from '../cli/command-line.js';
import { ack, CommandNas, nak, type CommandBehaviour } from '../support/command-nas.js';
import { freshDatabase } from '../support/database.js';
import { waitFor } from '../support/deadline.js';
import { insertPlan, insertPool, insertPopulation } from '../support/population.js';
import { knowsSubscribers, scrape } from '../support/scrape.js';
import { TestServer } from '../support/server.js';
import { TestNas } from '../support/test-nas.js';

const MIKROTIK = 14988;
const ADDRESS_LIST = 19;
const secret = 'a secret of some length';
const WAIT_MS = 30_000;

/** What stands in `enforcement` and in the first row of `nas_command`. */
interface Expected {
  readonly state: 'converged' | 'pending' | 'parked';
  /** Whether the garden is what there is evidence for. */
  readonly proven: boolean;
  /** Whether it stays among what may be so. */
  readonly attempted: boolean;
  readonly outcome: string;
  readonly times: number;
  readonly errorCause?: number;
  /** What `nas show` and `explain` tell. */
  readonly told: RegExp | undefined;
}

interface Trouble {
  readonly name: string;
  readonly behave: CommandBehaviour;
  readonly expected: Expected;
  /** Reason under which its datagrams are counted. */
  readonly drop?: string;
  /** Requests by kind that it heard, where that is fixed. */
  readonly heard?: readonly number[];
}

const confirmed: Expected = {
  state: 'converged',
  proven: true,
  attempted: false,
  outcome: 'applied',
  times: 1,
  told: undefined,
};
const unheard = (told: RegExp): Expected => ({
  state: 'pending',
  proven: false,
  attempted: true,
  outcome: 'unreachable',
  times: 3,
  told,
});
const refused = (errorCause: number | undefined, told: RegExp): Expected => ({
  state: 'pending',
  proven: false,
  attempted: true,
  outcome: 'refused',
  times: 2,
  ...(errorCause !== undefined && { errorCause }),
  told,
});
const firstThen =
  (first: ReturnType<CommandBehaviour>, then: ReturnType<CommandBehaviour>): CommandBehaviour =>
  (_request, count) =>
    count === 1 ? first : then;
const always =
  (...reactions: ReturnType<CommandBehaviour>): CommandBehaviour =>
  () =>
    reactions;
const bySessionIdAlone: CommandBehaviour = (request) => [
  request.text(Attribute.userName) === undefined ? ack : nak(503),
];
const { coaRequest: coa, disconnectRequest: disconnect } = Code;

const troubles: readonly Trouble[] = [
  { name: 'well', behave: always(ack), expected: confirmed, heard: [coa] },
  { name: 'loses-the-first', behave: firstThen([], [ack]), expected: { ...confirmed, times: 2 }, heard: [coa, coa] },
  { name: 'answers-thrice', behave: always(ack, ack, ack), expected: confirmed, heard: [coa], drop: 'duplicate' },
  {
    name: 'forged-first',
    behave: firstThen([{ send: 'forged' }], [ack]),
    expected: { ...confirmed, times: 2 },
    drop: 'bad-authenticator',
  },
  {
    name: 'garbage-first',
    behave: firstThen([{ send: 'garbage' }], [ack]),
    expected: { ...confirmed, times: 2 },
    drop: 'malformed',
  },
  {
    name: 'wrong-signature-first',
    behave: firstThen([{ send: 'bad-message-authenticator' }], [ack]),
    expected: { ...confirmed, times: 2 },
    drop: 'bad-message-authenticator',
  },
  {
    name: 'other-code-first',
    behave: firstThen([{ send: 'other-code' }], [ack]),
    expected: { ...confirmed, times: 2 },
    drop: 'wrong-code',
  },
  {
    name: 'forged-always',
    behave: always({ send: 'forged' }),
    expected: unheard(/no answer from 127\.0\.0\.\d+:\d+ in 3 attempts/u),
  },
  { name: 'silent', behave: always(), expected: unheard(/no answer from 127\.0\.0\.\d+:\d+ in 3 attempts/u) },
  {
    name: 'answers-from-elsewhere',
    behave: always({ send: 'from-elsewhere' }),
    expected: unheard(/its answers come from 127\.0\.0\.\d+:\d+: set coa\.address/u),
    drop: 'wrong-source',
  },
  { name: 'knows-by-session-id', behave: bySessionIdAlone, expected: { ...confirmed, times: 2 }, heard: [coa, coa] },
  {
    name: 'knows-no-session',
    behave: always(nak(503)),
    expected: {
      state: 'pending',
      proven: false,
      attempted: true,
      outcome: 'session-gone',
      times: 2,
      told: /503 Session-Context-Not-Found/u,
    },
    heard: [coa, coa],
  },
  {
    name: 'disconnects-only',
    behave: (request) => [request.code === coa ? nak(406) : ack],
    expected: { ...confirmed, times: 2, told: undefined },
    heard: [coa, disconnect],
  },
  {
    name: 'prohibits',
    behave: always(nak(501)),
    expected: refused(501, /user_redirect: CoA-NAK 501 Administratively-Prohibited: .* Disconnect-NAK 501/u),
    heard: [coa, disconnect],
  },
  { name: 'unsupported', behave: always(nak(401)), expected: refused(401, /401 Unsupported-Attribute/u) },
  { name: 'says-no-why', behave: always(nak()), expected: refused(undefined, /CoA-NAK without Error-Cause/u) },
  {
    name: 'no-resources',
    behave: always(nak(506)),
    expected: { ...refused(undefined, /506 Resources-Unavailable/u), outcome: 'later', times: 1 },
    heard: [coa],
  },
];

t.test('each trouble by itself, all at once', { timeout: 180_000 }, async (t) => {
  const database = await freshDatabase(t);
  const { pool } = database;
  const planId = await insertPlan(pool);
  const poolId = await insertPool(pool, '100.64.0.0/24');
  const people = await insertPopulation(pool, {
    prefix: 'u',
    staticCount: troubles.length + 1,
    dynamicCount: 0,
    planId,
    poolId,
  });
  const hosts = [...troubles, { name: 'closed' }].map(({ name }, i) => ({
    name,
    host: `127.0.0.${String(30 + i)}`,
    person: people[i]!,
  }));
  const nases = new Map<string, CommandNas>();
  for (const { name, host } of hosts) nases.set(name, await CommandNas.open(t, secret, always(ack), host));
  const closedPort = nases.get('closed')!.port;
  nases.get('closed')!.close();
  const files = Object.fromEntries(
    hosts.map(({ name, host }) => [
      `nas.d/${name}.toml`,
      `name = "${name}"\naddress = "${host}"\nsecret = "${secret}"\nprofile = "mikrotik-ppp"\n` +
        `[coa]\nport = ${String(name === 'closed' ? closedPort : nases.get(name)!.port)}\ntimeout_ms = 200\nattempts = 3\n`,
    ]),
  );
  const server = await TestServer.start(t, { databaseUrl: database.url, files });
  await knowsSubscribers(server.statusUrl, people.length);
  const radius = new Map<string, TestNas>();
  for (const { name, host, person } of hosts) {
    const nas = await TestNas.open(t, server, { secret, localAddress: host });
    radius.set(name, nas);
    const reply = await nas.logIn({ userName: person.login, password: person.password });
    const class_ = reply!.first(Attribute.class)!;
    await nas.account({
      status: 'start',
      userName: person.login,
      acctSessionId: `s-${name}`,
      framedIpAddress: person.staticAddress!,
      class: class_,
    });
  }
  const operate = async (...argv: readonly string[]): Promise<string> => {
    const result = await runIn(['--conf', server.confDir, '--data', server.dataDir, ...argv]);
    if (result.code !== 0) throw new Error(`${argv.join(' ')}: ${result.stderr}`);
    return result.stdout;
  };
  await waitFor('all sessions to be as they were accepted', WAIT_MS, async () => {
    const { rowCount } = await pool.query(`SELECT FROM enforcement WHERE state = 'converged'`);
    return rowCount === hosts.length;
  });
  for (const { name, behave } of troubles) nases.get(name)!.behave = behave;

  await pool.query('UPDATE subscriber SET redirect = true');
  await waitFor('a first result of each', WAIT_MS, async () => {
    const { rows } = await pool.query<{ n: number }>('SELECT count(DISTINCT nas_name)::int AS n FROM nas_command');
    return rows[0]!.n === hosts.length;
  });
  const rowsOf = async (name: string) => {
    const enforcement = await pool.query<{
      state: string;
      redirect: string | null;
      attempted: boolean;
      gone: boolean;
      error: string | null;
    }>(
      `SELECT state, applied->>'redirect' AS redirect, attempted @> '[{"redirect": true}]' AS attempted, gone_at IS NOT NULL AS gone, last_error AS error
       FROM enforcement WHERE nas_name = $1`,
      [name],
    );
    const command = await pool.query<{
      command: string;
      outcome: string;
      times: number;
      cause: number | null;
      ms: number;
    }>(
      `SELECT command, outcome, attempts AS times, error_cause AS cause, extract(epoch FROM answered_at - planned_at)::float8 * 1000 AS ms
       FROM nas_command WHERE nas_name = $1 ORDER BY id LIMIT 1`,
      [name],
    );
    return { enforcement: enforcement.rows[0], command: command.rows[0] };
  };

  const isTold = async (t: Test, name: string, told: RegExp | undefined): Promise<void> => {
    const { person } = hosts.find((one) => one.name === name)!;
    const [shown, explained] = [await operate('nas', 'show', name), await operate('explain', person.login)];
    if (told === undefined) t.notMatch(shown, /^trouble:/mu);
    else {
      t.match(shown, told, 'nas show');
      t.match(explained, told, 'explain');
    }
  };

  for (const { name, expected, heard } of troubles) {
    await t.test(name, async (t) => {
      const { enforcement, command } = await rowsOf(name);
      t.match(enforcement, {
        state: expected.state,
        attempted: expected.attempted,
        gone: expected.outcome === 'session-gone',
      });
      t.equal(enforcement?.redirect === 'true', expected.proven, 'evidence, or none');
      t.match(command, {
        command: 'user_redirect',
        outcome: expected.outcome,
        times: expected.times,
        cause: expected.errorCause ?? null,
      });
      if (heard !== undefined) {
        const codes = nases.get(name)!.heard.map(({ packet }) => packet.code);
        // What was refused may have been tried again by now.
        t.same(expected.state === 'converged' ? codes : codes.slice(0, heard.length), heard);
      }
      await isTold(t, name, expected.told);
    });
  }
  await t.test('closed', async (t) => {
    t.match((await rowsOf('closed')).command, { outcome: 'unreachable' });
    await isTold(t, 'closed', /nobody listens on that port: switch CoA on there, or correct coa\.port/u);
  });
  await t.test('whom the others did not delay', async (t) => {
    const { command } = await rowsOf('well');
    t.ok(command!.ms < 200, `${String(command!.ms)} ms, before the first wait for a silent one was over`);
  });
  const drops = await scrape(server.statusUrl);
  for (const { drop } of troubles)
    if (drop !== undefined) t.ok(drops.sum('coa_dropped_total', { reason: drop }) > 0, `counted: ${drop}`);

  await t.test('all well again: they are told what PostgreSQL says', async (t) => {
    for (const nas of nases.values()) nas.behave = always(ack);
    for (const { name } of troubles) await operate('nas', 'resync', name);
    await waitFor('all to be converged', WAIT_MS, async () => {
      const { rows } = await pool.query<{ nas_name: string }>(
        `SELECT nas_name FROM enforcement WHERE NOT (state = 'converged' AND applied->>'redirect' = 'true')`,
      );
      return rows.every(({ nas_name: name }) => name === 'closed');
    }).catch(async (error: unknown) => {
      const { rows } = await pool.query('SELECT * FROM enforcement');
      t.comment(JSON.stringify(rows.filter((row: { nas_name: string; state: string }) => row.state !== 'converged')));
      throw error;
    });
    for (const { name } of troubles) {
      const last = nases.get(name)!.heard.at(-1)!.packet;
      t.equal(last.code === coa ? last.vendorText(MIKROTIK, ADDRESS_LIST) : 'ended', 'sluice-redirect', name);
    }
  });
});
