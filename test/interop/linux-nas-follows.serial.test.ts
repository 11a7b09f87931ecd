/**
 * The whole server and a Linux router for real: what billing writes into PostgreSQL is what a subscriber behind OpenSSH, nftables and tc sees. Holds for each
 * step: one UPDATE, and nothing else that anybody does.
 */
import t from 'tap';
import type { Test } from 'tap';
import { runIn } from '../cli/command-line.js';
import { waitFor } from '../support/deadline.js';
import { freshDatabase, type FreshDatabase } from '../support/database.js';
import { freeUdpPort } from '../support/free-port.js';
import {
  management,
  startLinuxRouter,
  subscriber,
  viewFrom,
  withoutLinuxRouter,
  world,
} from '../support/linux-router.js';
import type { LinuxRouter } from '../support/linux-router.js';
import { insertPlan, insertPool, insertPopulation } from '../support/population.js';
import { accountingRequest } from '../support/radius-client.js';
import { TestServer } from '../support/server.js';

const skip = await withoutLinuxRouter();
const secret = 'pk3Lx9Qv7Tz1Wd5Rb8Ym';
/** A change travels in a tenth of a second; this machine may be busy with others, ms. */
const FOLLOW_TIMEOUT_MS = 30_000;

interface House {
  readonly nas: LinuxRouter;
  readonly database: FreshDatabase;
  readonly server: TestServer;
  /** UPDATE as a billing program writes it. */
  bill(sql: string): Promise<void>;
  /** A command of the operator, that has to succeed. @returns what it prints */
  operate(...argv: readonly string[]): Promise<string>;
  /** Accounting-On, as the router's own programs send it after a start. */
  tellRestart(): Promise<void>;
  converged(count: number): Promise<void>;
}

/** @param count subscribers with static addresses from `first` on */
async function houseOf(t: Test, count: number, first: string): Promise<House> {
  const nas = await startLinuxRouter(t);
  const database = await freshDatabase(t);
  const { pool } = database;
  const planId = await insertPlan(pool);
  const poolId = await insertPool(pool, '100.127.0.0/28');
  await insertPopulation(pool, {
    prefix: 'u',
    staticCount: count,
    dynamicCount: 0,
    planId,
    poolId,
    firstStaticAddress: first,
  });
  await pool.query(`UPDATE subscriber SET nas_name = 'linux'`);
  const accountingPort = await freeUdpPort();
  const server = await TestServer.start(t, {
    databaseUrl: database.url,
    files: {
      'nas.d/localhost.toml':
        `name = "linux"\naddress = "${management.nas}"\nprofile = "linux-nft-ssh"\nsecret = "${secret}"\n` +
        `[ssh]\nuser = "root"\nkey_file = "key"\nconnections = 2\nhost_key = "${nas.fingerprint}"\n`,
      key: nas.clientKey,
    },
    settings: {
      radius: { accounting: [`${management.host}:${String(accountingPort)}`] },
      enforcement: { fuse_least_subscribers: 1_000_000, fuse_subscribers: 1_000_000 },
    },
  });
  return {
    nas,
    database,
    server,
    bill: async (sql) => void (await pool.query(sql)),
    async operate(...argv) {
      const { code, stdout, stderr } = await runIn(['--conf', server.confDir, '--data', server.dataDir, ...argv]);
      if (code !== 0) throw new Error(`${argv.join(' ')}: ${stderr}${stdout}`);
      return stdout;
    },
    async tellRestart() {
      const { bytes } = accountingRequest({
        secret,
        status: 'accountingOn',
        acctSessionId: '0',
        nasIdentifier: 'linux',
      });
      const script = `const socket = require('node:dgram').createSocket('udp4');
        socket.on('message', () => { console.log('acknowledged'); socket.close(); });
        socket.send(Buffer.from('${bytes.toString('hex')}', 'hex'), ${String(accountingPort)}, '${management.host}');`;
      t.equal(await nas.router.run(process.execPath, '-e', script), 'acknowledged\n');
    },
    async converged(wanted) {
      let seen: unknown;
      await waitFor(`${String(wanted)} converged places`, 120_000, async () => {
        const { rows } = await pool.query<{ n: number; done: number }>(
          `SELECT count(*)::int AS n, count(*) FILTER (WHERE state = 'converged' AND applied IS NOT NULL AND due_at IS NULL)::int AS done
           FROM enforcement`,
        );
        seen = rows[0];
        return rows[0]?.n === wanted && rows[0].done === wanted;
      }).catch(async (error: unknown) => {
        const { rows } = await pool.query(
          'SELECT state, last_error, last_outcome, attempts, count(*)::int AS n FROM enforcement GROUP BY 1, 2, 3, 4 LIMIT 10',
        );
        t.comment(JSON.stringify([seen, rows, server.logs.slice(-10)]));
        throw error;
      });
    },
  };
}

t.test('a subscriber of a Linux router, by SQL alone', { skip, timeout: 300_000 }, async (t) => {
  const house = await houseOf(t, 1, subscriber);
  const { nas, database, bill } = house;
  const look = viewFrom(nas.home);
  const sees = async (): Promise<string> =>
    (await Promise.all([look(`http://${world}/`), look(`http://${world}:8080/`)])).map(({ text }) => text).join(', ');
  const open = 'the world, another port';
  const closed = 'nothing, nothing';
  const garden = 'the portal, nothing';
  const isSeen = async (wanted: string, why: string): Promise<void> => {
    await waitFor(`${wanted}: ${why}`, FOLLOW_TIMEOUT_MS, async () => (await sees()) === wanted);
    t.pass(why);
  };
  const set = (columns: string): Promise<void> => bill(`UPDATE subscriber SET ${columns}`);

  await isSeen(open, 'who is in the database passes');
  await set('redirect = true');
  await isSeen(garden, 'redirect = true: the web goes to the portal, the rest is blocked');
  await set('redirect = false');
  await isSeen(open, 'redirect = false');
  await set('own_disabled = true');
  await isSeen(closed, 'own_disabled = true');
  await set('own_disabled = false, redirect = true');
  await isSeen(garden, 'one limit for another');
  await set('admin_blocked = true');
  await isSeen(closed, 'admin_blocked = true');
  await set('admin_blocked = false, redirect = false');
  await isSeen(open, 'nothing is left of limits');

  for (const downBps of [8_000_000, 16_000_000]) {
    await bill(`UPDATE plan SET rate_down_bps = ${String(downBps)}, rate_up_bps = 2000000`);
    const shown = `rate ${String(downBps / 1_000_000)}Mbit`;
    await waitFor(`tc to show ${shown}`, FOLLOW_TIMEOUT_MS, async () =>
      (await nas.router.run('tc', 'class', 'show', 'dev', 'sluice-down')).includes(shown),
    );
    t.match(await nas.router.run('tc', 'class', 'show', 'dev', 'sluice-up'), 'rate 2Mbit');
    const measured = (await look(`http://${world}/block`)).payloadBps;
    t.comment(`${String(downBps)} bit/s asked for, ${String(Math.round(measured))} bit/s of payload measured`);
    t.ok(measured > downBps * 0.75 && measured < downBps * 1.1, 'a transfer measures the rate of the plan');
  }

  await nas.wipe();
  t.equal(await sees(), closed, 'the router was wiped');
  t.match(await house.operate('reconcile', '--nas', 'linux'), /1 missing; 1 are being mended/u);
  await isSeen(open, 'sluice reconcile');
  await nas.wipe();
  t.match(await house.operate('nas', 'resync', 'linux'), '1 enforcement will be said again');
  await isSeen(open, 'sluice nas resync');
  await set('redirect = true');
  await isSeen(garden, 'in the garden again');
  await nas.wipe();
  await house.tellRestart();
  await isSeen(garden, 'the router tells of its restart, and the limits are back with the entry');
  await set('redirect = false');
  await isSeen(open, 'and go again');

  const users = () => nas.router.run('nft', 'list', 'set', 'inet', 'sluice', 'users');
  await set(`static_address = '100.64.9.9'`);
  await waitFor('the new address', FOLLOW_TIMEOUT_MS, async () => (await users()).includes('100.64.9.9'));
  t.notMatch(await users(), subscriber, 'the old address is not left open');
  await set(`static_address = '${subscriber}'`);
  await isSeen(open, 'and back');

  await house.converged(1);
  const shown = await house.operate('explain', 'u0');
  t.match(shown, /on linux, .*: converged/u);
  t.match(shown, /linux confirmed/u);
  t.match(await house.operate('nas', 'show', 'linux'), /enforcements: +1 converged/u);

  await set('deleted = true');
  await isSeen(closed, 'deleted = true');
  await waitFor(
    'nothing to be known of the router',
    FOLLOW_TIMEOUT_MS,
    async () => (await database.pool.query('SELECT FROM enforcement')).rowCount === 0,
  );
  const left = await nas.state();
  await nas.wipe();
  t.equal(left, await nas.state(), 'nothing of the subscriber is left');
  await set('deleted = false');
  await isSeen(open, 'deleted = false');
});

t.test('3,000 subscribers of a router that was wiped', { skip, timeout: 400_000 }, async (t) => {
  const count = 3_000;
  const house = await houseOf(t, count, '100.64.4.1');
  const { nas } = house;
  const sorted = async (): Promise<string> =>
    (await nas.state())
      .split(/[\n,]/u)
      .map((line) => line.trim())
      .sort()
      .join('\n');
  await house.converged(count);
  const whole = await sorted();
  t.equal(whole.match(/comment "sluice-/gu)?.length, count);
  await nas.wipe();
  const beganAt = performance.now();
  await house.operate('nas', 'resync', 'linux');
  await house.converged(count);
  const tookMs = performance.now() - beganAt;
  t.comment(
    `${String(count)} entries with their rates in ${String(Math.round(tookMs))} ms from "nas resync" to the last proof`,
  );
  t.ok((await sorted()) === whole, 'and is as it was');
  t.ok(tookMs <= 30_000, `within 30 s: ${String(Math.round(tookMs))} ms`);

  await house.bill('UPDATE subscriber SET deleted = true');
  await house.converged(0);
  const left = await nas.state();
  await nas.wipe();
  t.equal(left, await nas.state(), 'and empty after all were deleted');
});
