/**
 * The server under a supervisor that holds its sockets: what arrives during a restart waits and is answered; the supervisor hears what it has to
 * hear, and nothing when the work stands still. The supervisor is a small one of the tests.
 */
import { randomBytes } from 'node:crypto';
import { readlinkSync } from 'node:fs';
import { mkdir, mkdtemp, readdir, readFile, readlink, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import t, { type Test } from 'tap';
import { Code } from '../../src/radius/code.js';
import { waitFor, within } from '../support/deadline.js';
import { freshDatabase } from '../support/database.js';
import { freeTcpPort, freeUdpPort } from '../support/free-port.js';
import { insertPlan, insertPool, insertPopulation, type Household } from '../support/population.js';
import { accessRequest, accountingRequest, openReply, RadiusClient } from '../support/radius-client.js';
import { applied, health, scrape } from '../support/scrape.js';
import { nasFile } from '../support/server-pair.js';
import { SmallSupervisor, supervisorIsMissing } from '../support/small-supervisor.js';

const main = fileURLToPath(new URL('../../src/main.ts', import.meta.url));
const skip = supervisorIsMissing;

interface House {
  readonly supervisor: SmallSupervisor;
  readonly confDir: string;
  readonly secret: string;
  readonly authPort: number;
  readonly accountingPort: number;
  readonly statusPort: number;
  readonly households: readonly Household[];
  readonly recordedSessions: () => Promise<number>;
}

interface Held {
  readonly authPort: number;
  readonly accountingPort: number;
  readonly statusPort: number;
}

const allThree = ({ authPort, accountingPort, statusPort }: Held) => [
  `udp:127.0.0.1:${String(authPort)}`,
  `udp:127.0.0.1:${String(accountingPort)}`,
  `tcp:127.0.0.1:${String(statusPort)}`,
];

async function house(
  t: Pick<Test, 'teardown'>,
  options: { sockets?: (ports: Held) => string[]; watchdogMs?: number } = {},
): Promise<House> {
  const database = await freshDatabase(t as Test);
  const planId = await insertPlan(database.pool);
  const poolId = await insertPool(database.pool, '100.64.0.0/22');
  const households = await insertPopulation(database.pool, {
    prefix: 'u',
    staticCount: 50,
    dynamicCount: 50,
    planId,
    poolId,
  });
  const directory = await mkdtemp(join(tmpdir(), 'sluice-supervision-'));
  t.teardown(() => rm(directory, { recursive: true, force: true, maxRetries: 5 }));
  const ports = {
    authPort: await freeUdpPort(),
    accountingPort: await freeUdpPort(),
    statusPort: await freeTcpPort(),
  };
  const secret = randomBytes(18).toString('base64url');
  const confDir = join(directory, 'conf');
  await mkdir(join(confDir, 'nas.d'), { recursive: true });
  await writeFile(join(confDir, 'nas.d', 'localhost.toml'), nasFile(secret), { mode: 0o600 });
  await writeFile(
    join(confDir, 'sluice.toml'),
    `[database]
url = "${database.url}"
[radius]
auth = ["127.0.0.1:${String(ports.authPort)}"]
accounting = ["127.0.0.1:${String(ports.accountingPort)}"]
[status]
listen = "127.0.0.1:${String(ports.statusPort)}"
`,
    { mode: 0o600 },
  );
  const supervisor = await SmallSupervisor.open(t, {
    sockets: (options.sockets ?? allThree)(ports),
    ...(options.watchdogMs === undefined ? {} : { watchdogMs: options.watchdogMs }),
    command: [process.execPath, '--import', 'tsx', main, '--conf', confDir, '--data', join(directory, 'data'), 'serve'],
  });
  const recordedSessions = async (): Promise<number> => {
    const { rows } = await database.pool.query<{ count: number }>(
      `SELECT ((SELECT count(*) FROM session) + (SELECT count(*) FROM session_history))::int AS count`,
    );
    return rows[0]!.count;
  };
  return { ...ports, supervisor, confDir, secret, households, recordedSessions };
}

/** Long enough for a restart on a loaded machine, ms; nothing is ever sent a second time. */
const NAS_PATIENCE_MS = 60_000;
/** Requests of each kind in a second: what a restart of 10 s leaves waiting fits the smallest receive buffer of Linux. */
const REQUESTS_PER_SECOND = 20;

/** Sends at a steady rate, each request once. */
async function steadyTraffic(t: Pick<Test, 'teardown'>, at: House, untilDone: Promise<unknown>) {
  const clients: RadiusClient[] = [];
  t.teardown(() => clients.forEach((client) => client.close()));
  const answers: Promise<'accept' | 'reject' | 'acknowledged' | 'nothing'>[] = [];
  let isDone = false;
  void untilDone.finally(() => (isDone = true));
  for (let sent = 0; !isDone; sent++) {
    // An Identifier is free again after 256 requests; by then there is another socket.
    if (sent % 256 === 0)
      clients.push(await RadiusClient.open(at.authPort), await RadiusClient.open(at.accountingPort));
    const [auth, accounting] = clients.slice(-2);
    const who = at.households[sent % at.households.length]!;
    const shared = {
      secret: at.secret,
      identifier: sent % 256,
      userName: who.login,
      nasIpAddress: '127.0.0.1',
      callingStationId: who.mac,
    };
    const login = accessRequest({ ...shared, password: who.password });
    const start = accountingRequest({ ...shared, status: 'start', acctSessionId: `s${String(sent)}` });
    answers.push(
      auth!.request(login.bytes, { timeoutMs: NAS_PATIENCE_MS }).then((reply) => {
        if (reply === undefined) return 'nothing';
        return openReply(reply, login).code === Code.accessAccept ? 'accept' : 'reject';
      }),
      accounting!.request(start.bytes, { timeoutMs: NAS_PATIENCE_MS }).then((reply) => {
        if (reply === undefined) return 'nothing';
        return openReply(reply, start).code === Code.accountingResponse ? 'acknowledged' : 'reject';
      }),
    );
    await pause(1000 / REQUESTS_PER_SECOND);
  }
  const outcomes = await Promise.all(answers);
  const count = (one: (typeof outcomes)[number]) => outcomes.filter((outcome) => outcome === one).length;
  return { sent: outcomes.length, accepts: count('accept'), acknowledged: count('acknowledged') };
}

t.test('three restarts under traffic: every request is answered though none is sent twice', { skip }, async (t) => {
  const at = await house(t);
  await at.supervisor.start();
  await at.supervisor.logged('ready');
  const statusUrl = `http://127.0.0.1:${String(at.statusPort)}`;
  const stranger = await RadiusClient.open(at.authPort);
  t.teardown(() => stranger.close());
  const restarts = (async () => {
    for (let restart = 0; restart < 3; restart++) {
      await at.supervisor.loggedTimes('ready', restart + 1);
      // A Reject that is held back makes the stop last a second or more, in which others go on to ask.
      const wrong = accessRequest({ secret: at.secret, userName: 'u0', password: 'wrong', nasIpAddress: '127.0.0.1' });
      const refused = stranger.ask(wrong, { timeoutMs: NAS_PATIENCE_MS });
      await waitFor('the Reject to be held', NAS_PATIENCE_MS, async () => {
        return (await scrape(statusUrl)).sum('radius_held_rejects') > 0;
      });
      t.equal(await at.supervisor.stop(), 'exit 0');
      t.equal((await refused)?.code, Code.accessReject, 'what was in hand is answered');
      // A packet at the worst moment: nobody is there at all.
      await pause(200);
      await at.supervisor.start();
    }
    await pause(300);
  })();
  const { sent, accepts, acknowledged } = await steadyTraffic(t, at, restarts);
  t.comment(`${String(sent)} requests`);
  t.ok(sent > 100);
  t.equal(accepts, sent / 2, 'every login is accepted');
  t.equal(acknowledged, sent / 2, 'every accounting packet is acknowledged');
  await applied(statusUrl);
  t.equal(await at.recordedSessions(), sent / 2, 'and recorded');
});

t.test('the status page too: whoever connects during a restart waits, and is answered', { skip }, async (t) => {
  const at = await house(t);
  await at.supervisor.start();
  t.equal(await at.supervisor.stop(), 'exit 0');
  const asked = health(`http://127.0.0.1:${String(at.statusPort)}`);
  await pause(100);
  await at.supervisor.start();
  t.equal((await asked).status, 200);
});

t.test('the supervisor hears: ready, a line about us, a reload, the stop', { skip }, async (t) => {
  const at = await house(t);
  await at.supervisor.start();
  await at.supervisor.notice('STATUS=answering; 100 subscribers, 0 sessions');
  at.supervisor.signal('HUP');
  await at.supervisor.logged('configuration reloaded');
  await at.supervisor.notice('RELOADING=1 MONOTONIC_USEC=');
  t.equal(await at.supervisor.stop(), 'exit 0');
  const kinds = at.supervisor.notices.map((notice) => /READY|RELOADING|STOPPING/u.exec(notice)?.[0] ?? '');
  t.same(
    kinds.filter((kind) => kind !== ''),
    ['READY', 'RELOADING', 'READY', 'STOPPING'],
    'in this order',
  );
  t.ok(at.supervisor.notices.every((notice) => !notice.includes(at.secret)));
});

t.test('heartbeats come twice within the patience, and end when the process stands still', { skip }, async (t) => {
  const at = await house(t, { watchdogMs: 1000 });
  await at.supervisor.start();
  const beats = () => at.supervisor.notices.filter((notice) => notice.includes('WATCHDOG=1')).length;
  await at.supervisor.notice('WATCHDOG=1');
  const [before, beganAt] = [beats(), performance.now()];
  await within(
    'five more heartbeats',
    20_000,
    (async () => {
      while (beats() < before + 5) await pause(20);
    })(),
  );
  t.ok(performance.now() - beganAt >= 1500, 'not more often than asked for');
  at.supervisor.signal('STOP');
  await pause(500);
  const still = beats();
  await pause(1500);
  t.equal(beats(), still, 'a process that stands still does not beat');
  at.supervisor.signal('CONT');
  t.equal(await at.supervisor.stop(), 'exit 0');
});

t.test('sockets of another address are refused with both addresses and the remedy', { skip }, async (t) => {
  const at = await house(t, { sockets: ({ authPort }) => [`udp:0.0.0.0:${String(authPort)}`] });
  at.supervisor.launch();
  t.equal(await at.supervisor.ended(1), 'exit 1');
  t.match(
    at.supervisor.lines.join('\n'),
    new RegExp(
      `sluice\\.socket holds 0\\.0\\.0\\.0:${String(at.authPort)}/udp, and sluice\\.toml says 127\\.0\\.0\\.1:${String(at.authPort)}: make the two equal`,
    ),
  );
});

t.test(
  'a spare socket is a warning that names it; an address without one is bound by the server',
  { skip },
  async (t) => {
    const spare = await freeUdpPort();
    const at = await house(t, {
      sockets: ({ accountingPort }) => [`udp:127.0.0.1:${String(accountingPort)}`, `udp:127.0.0.1:${String(spare)}`],
    });
    await at.supervisor.start();
    const warning = await at.supervisor.logged('a socket was passed to us in vain');
    t.match(warning['socket'], new RegExp(`127\\.0\\.0\\.1:${String(spare)}/udp, which nothing here serves`));
    await at.supervisor.logged('ready');
    const { sent, accepts } = await steadyTraffic(t, at, pause(300));
    t.equal(accepts, sent / 2);
    t.equal(await at.supervisor.stop(), 'exit 0');
  },
);

t.test('children of the server get neither the sockets nor the variables', { skip }, async (t) => {
  const at = await house(t);
  await at.supervisor.start();
  const { pid } = at.supervisor;
  const socketsOf = async (process: number | string): Promise<(string | undefined)[]> => {
    const folder = `/proc/${String(process)}/fd`;
    const links = (await readdir(folder)).map((name) => readlink(join(folder, name)).catch(() => undefined));
    return (await Promise.all(links)).filter((link) => link?.startsWith('socket:'));
  };
  const held = [3, 4, 5].map((descriptor) => readlinkSync(`/proc/${String(pid)}/fd/${String(descriptor)}`));
  t.equal(held.filter((link) => link.startsWith('socket:')).length, 3, 'the server has them');
  const children = (await readFile(`/proc/${String(pid)}/task/${String(pid)}/children`, 'utf8')).trim().split(' ');
  t.ok(children.length > 0 && children[0] !== '', 'it has children: the shell that speaks to the supervisor');
  for (const child of children) {
    const environment = await readFile(`/proc/${child}/environ`, 'utf8');
    t.notMatch(environment, /LISTEN_|WATCHDOG_/);
    const sockets = await socketsOf(child);
    t.same(
      held.filter((link) => sockets.includes(link)),
      [],
    );
  }
});
