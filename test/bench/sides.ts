/**
 * Who is measured, as running processes. Enters: ports, a secret, databases. Leaves: sides that answer. Invariant: a side is ready when it is
 * returned, and `stop` leaves nothing of it behind.
 */
import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { freeUdpPort } from '../support/free-port.js';
import { scrape } from '../support/scrape.js';
import { SpoolLag } from './spool-lag.js';
import { TestServer } from '../support/server.js';
import {
  freeradiusConfiguration,
  poolQueries,
  usersFile,
  type FreeradiusKind,
  type FreeradiusSettings,
} from './freeradius-configuration.js';
import type { LoadGenerator } from './load-generator.js';

/** A start takes a second or two; a loaded machine more, ms. */
const READY_TIMEOUT_MS = 60_000;
const STOCK_POOL_QUERIES = '/etc/freeradius/3.0/mods-config/sql/ippool/postgresql/queries.conf';

/** Somebody who answers. */
export interface Side {
  readonly name: string;
  readonly authPort: number;
  readonly accountingPort: number;
  readonly pid: number;
  /** Records that were acknowledged and are not in the database yet. */
  readonly lag: () => Promise<number>;
  /** What else it has to do before it is at rest: subscribers to bring in line. */
  readonly unsettled: () => Promise<number>;
  readonly stop: () => Promise<void>;
}

const nothing = (): Promise<number> => Promise.resolve(0);

async function end(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const ended = once(child, 'close');
  child.kill('SIGKILL');
  await ended;
}

/** As in systemd/sluice.service and `npm start`. */
export const INSTALLED_NODE_ARGUMENTS: readonly string[] = ['--max-semi-space-size=64'];

/** Starts Sluice as it is installed. @param profileFolder where V8 writes a processor profile at the end, if given */
export async function startSluice(databaseUrl: string, secret: string, profileFolder?: string): Promise<Side> {
  const teardowns: (() => unknown)[] = [];
  const context = { teardown: (fn: () => unknown) => void teardowns.push(fn) };
  const stop = async (): Promise<void> => {
    for (const fn of teardowns.splice(0).reverse()) await fn();
  };
  try {
    const server = await TestServer.start(context as Parameters<typeof TestServer.start>[0], {
      databaseUrl,
      settings: { log: { level: 'warn' } },
      isBuilt: true,
      files: {
        'nas.d/localhost.toml': `name = "bras1"\naddress = "127.0.0.1"\nsecret = "${secret}"\nprofile = "mikrotik-ppp"\n`,
      },
      environment: { UV_THREADPOOL_SIZE: '8' },
      nodeArguments: [
        ...INSTALLED_NODE_ARGUMENTS,
        ...(profileFolder === undefined ? [] : ['--cpu-prof', `--cpu-prof-dir=${profileFolder}`]),
      ],
    });
    const lag = new SpoolLag(server.statusUrl, databaseUrl);
    return {
      name: 'Sluice',
      authPort: server.authPort,
      accountingPort: server.accountingPort,
      pid: server.pid,
      lag: () => lag.records(),
      unsettled: async () => (await scrape(server.statusUrl)).sum('settler_backlog'),
      stop,
    };
  } catch (error) {
    await stop();
    throw error;
  }
}

/** How the tables name the three kinds of FreeRADIUS. */
export const FREERADIUS_NAMES: Readonly<Record<FreeradiusKind, string>> = {
  files: 'FreeRADIUS + files',
  sql: 'FreeRADIUS + rlm_sql',
  sqlippool: 'FreeRADIUS + sqlippool',
};

/** Starts Debian's FreeRADIUS. */
export async function startFreeradius(kind: FreeradiusKind, databaseUrl: string, secret: string): Promise<Side> {
  const folder = await mkdtemp(join(tmpdir(), 'sluice-bench-freeradius-'));
  const settings: FreeradiusSettings = {
    kind,
    folder,
    authPort: await freeUdpPort(),
    accountingPort: await freeUdpPort(),
    secret,
    database: new URL(databaseUrl),
  };
  await mkdir(join(folder, 'logs'));
  const write = (name: string, text: string): Promise<void> => writeFile(join(folder, name), text, { mode: 0o600 });
  await write('radiusd.conf', freeradiusConfiguration(settings));
  await write('dictionary', '');
  if (kind === 'files') await write('users', usersFile());
  if (kind === 'sqlippool') await write('ippool-queries.conf', poolQueries(await readFile(STOCK_POOL_QUERIES, 'utf8')));
  const child = spawn('freeradius', ['-f', '-l', 'stdout', '-d', folder], { stdio: ['ignore', 'pipe', 'pipe'] });
  const stop = async (): Promise<void> => {
    await end(child);
    await rm(folder, { recursive: true, force: true });
  };
  try {
    await waitForText(child, 'Ready to process requests');
  } catch (error) {
    await stop();
    throw error;
  }
  const { authPort, accountingPort } = settings;
  return {
    name: FREERADIUS_NAMES[kind],
    authPort,
    accountingPort,
    pid: child.pid!,
    lag: nothing,
    unsettled: nothing,
    stop,
  };
}

async function waitForText(child: ChildProcess, wanted: string): Promise<void> {
  let text = '';
  await new Promise<void>((settle, fail) => {
    const timer = setTimeout(() => fail(new Error(`not ready in time:\n${text.slice(-2_000)}`)), READY_TIMEOUT_MS);
    const read = (chunk: unknown): void => {
      if (text.length < 100_000) text += String(chunk);
      if (!text.includes(wanted)) return;
      clearTimeout(timer);
      settle();
    };
    child.stdout?.on('data', read);
    child.stderr?.on('data', read);
    child.once('close', () => fail(new Error(`it ended:\n${text.slice(-2_000)}`)));
  });
}

/** A bare echo in Node: what receiving and sending alone costs there. */
export async function startNodeEcho(): Promise<Side> {
  const port = await freeUdpPort();
  const child = spawn(process.execPath, [fileURLToPath(new URL('udp-echo.mjs', import.meta.url)), String(port)], {
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  await waitForText(child, 'ready');
  return echoSide('UDP echo in Node', port, child);
}

/** The generator's own other side: how much it can send at most. */
export async function startGeneratorEcho(generator: LoadGenerator): Promise<Side> {
  const port = await freeUdpPort();
  return echoSide('UDP echo in C', port, await generator.startEcho(port));
}

function echoSide(name: string, port: number, child: ChildProcess): Side {
  return {
    name,
    authPort: port,
    accountingPort: port,
    pid: child.pid!,
    lag: nothing,
    unsettled: nothing,
    stop: () => end(child),
  };
}
