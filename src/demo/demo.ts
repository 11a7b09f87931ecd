/**
 * `npm run demo`: a whole provider on one machine, to look at. Enters: options on the command line. Leaves: a server with two simulated NASes, 200 subscribers
 * and a billing that blocks some of them, which the NASes are told; the address of the page. Invariants: everything is in one folder of its own on free
 * ports of loopback, and gone with Ctrl-C; the server is the real one, and everything is done through its ordinary doors.
 */
import { createSocket } from 'node:dgram';
import { once, setMaxListeners } from 'node:events';
import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { createServer, type AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { PassThrough } from 'node:stream';
import { setTimeout as delay } from 'node:timers/promises';
import pino from 'pino';
import { type Server, startServer } from '../app.js';
import { runCommand } from '../cli/program.js';
import { bill, live, type Town } from './life.js';
import { makeTown, plans, poolNetwork, seededRandom, townCsv } from './population.js';
import { SimulatedNas } from './simulated-nas.js';

export interface DemoOptions {
  /** An empty folder, or one that will be made; it is the caller's to remove. */
  readonly directory: string;
  readonly subscribers: number;
  readonly seed: number;
  /** Port of the page; 0 for any free one. */
  readonly statusPort: number;
  /** A line for people. */
  readonly say: (line: string) => void;
}

/** A provider that runs. */
export interface Demo {
  /** `http://127.0.0.1:PORT/` */
  readonly pageUrl: string;
  readonly nases: readonly SimulatedNas[];
  /** Runs a command line of `sluice` on this provider. @throws DemoCommandError with what it said */
  command(argv: readonly string[]): Promise<void>;
  /** Rejects when a life or the server fails. */
  readonly failed: Promise<never>;
  /** Ends every session in order, then the server. */
  stop(): Promise<void>;
}

const HOST = '127.0.0.1';
const NAS_NAMES = ['bras1', 'bras2'] as const;
/** What each NAS is in the files: two kinds, so that both kinds of answers are seen. */
const NAS_PROFILES = { bras1: 'mikrotik-ppp', bras2: 'accel-ppp' } as const;

/** Starts everything. @throws what the server's start throws */
export async function startDemo(options: DemoOptions): Promise<Demo> {
  const { directory, say } = options;
  const folders = { confDir: join(directory, 'conf'), dataDir: join(directory, 'data') };
  const ports = {
    auth: await freeUdpPort(),
    accounting: await freeUdpPort(),
    status: options.statusPort === 0 ? await freeTcpPort() : options.statusPort,
    database: await freeTcpPort(),
    commands: { bras1: await freeUdpPort(), bras2: await freeUdpPort() },
  };
  await writeConfiguration(folders.confDir, ports);
  await mkdir(folders.dataDir, { recursive: true, mode: 0o700 });
  say('starting the server with a database of its own (a few seconds the first time) …');
  const log = pino(
    { base: null, timestamp: pino.stdTimeFunctions.isoTime },
    pino.destination(join(directory, 'server.log')),
  );
  const server = await startServer({ ...folders, log, isNewcomerGreeted: false });
  const ending = new AbortController();
  // Everybody waits for the end of the demo.
  setMaxListeners(0, ending.signal);
  const nases: SimulatedNas[] = [];
  try {
    const random = seededRandom(options.seed);
    const inhabitants = makeTown(options.subscribers, random);
    const command = (argv: readonly string[]): Promise<void> =>
      sluice(['--conf', folders.confDir, '--data', folders.dataDir, ...argv]);
    say(`making ${String(options.subscribers)} subscribers …`);
    const file = join(directory, 'town.csv');
    await writeFile(file, townCsv(inhabitants), { mode: 0o600 });
    await command(['pool', 'add', 'main', poolNetwork]);
    for (const { name, down, up } of plans)
      await command(['plan', 'add', name, '--down', down, '--up', up, '--pool', 'main']);
    await command(['subscriber', 'import', file]);
    const secret = (await readFile(join(folders.dataDir, 'secrets', 'demo-nas'), 'utf8')).trim();
    for (const name of NAS_NAMES) {
      const nas = await SimulatedNas.open({
        name,
        secret,
        host: HOST,
        authPort: ports.auth,
        accountingPort: ports.accounting,
        commandPort: ports.commands[name],
        nowMs: Date.now,
        onCommand: ({ kind, session }) =>
          say(`${name}: ${kind} for ${session === undefined ? 'a session it does not have' : session.device.login}`),
      });
      nases.push(nas);
      await nas.restarted('on');
    }
    const town: Town = {
      nases,
      random,
      signal: ending.signal,
      wait: (milliseconds) => delay(milliseconds, undefined, { signal: ending.signal }),
    };
    const lives = [...inhabitants.map((one) => live(town, one)), bill(town, inhabitants, command)];
    return {
      pageUrl: `http://${HOST}:${String(ports.status)}/`,
      nases,
      command,
      failed: Promise.race([firstFailure(lives), server.failed.then((error) => Promise.reject(error))]),
      stop: async () => {
        ending.abort();
        await Promise.allSettled(lives);
        await stopAll(nases, server);
      },
    };
  } catch (error) {
    ending.abort();
    await stopAll(nases, server);
    throw error;
  }
}

async function stopAll(nases: readonly SimulatedNas[], server: Server): Promise<void> {
  await Promise.all(nases.map((nas) => nas.shutDown()));
  for (const nas of nases) nas.close();
  await server.stop();
}

/** Lives end in order when the demo does; only failures count. */
async function firstFailure(lives: readonly Promise<void>[]): Promise<never> {
  const never = new Promise<never>(() => undefined);
  return await Promise.race(lives.map((life) => life.then(() => never)));
}

async function writeConfiguration(
  confDir: string,
  ports: {
    readonly auth: number;
    readonly accounting: number;
    readonly status: number;
    readonly database: number;
    readonly commands: Readonly<Record<(typeof NAS_NAMES)[number], number>>;
  },
): Promise<void> {
  await mkdir(join(confDir, 'nas.d'), { recursive: true });
  const settings = [
    '[server]',
    'instance = "demo"',
    `time_zone = "${Intl.DateTimeFormat().resolvedOptions().timeZone || 'UTC'}"`,
    '[database]',
    `port = ${String(ports.database)}`,
    '[radius]',
    `auth = ["${HOST}:${String(ports.auth)}"]`,
    `accounting = ["${HOST}:${String(ports.accounting)}"]`,
    'interim_seconds = 60',
    '[addresses]',
    'quarantine_seconds = 20',
    '[enforcement]',
    // The billing blocks more people in ten minutes than a town of this size ever would.
    'fuse_window_minutes = 1',
    '[status]',
    `listen = "${HOST}:${String(ports.status)}"`,
    '',
  ];
  await writeFile(join(confDir, 'sluice.toml'), settings.join('\n'));
  const nases = NAS_NAMES.map((name) =>
    [
      '[[nas]]',
      `name = "${name}"`,
      `address = "${HOST}"`,
      `nas_identifier = "${name}"`,
      'secret_file = "${data}/secrets/demo-nas"',
      `profile = "${NAS_PROFILES[name]}"`,
      `coa = { port = ${String(ports.commands[name])} }`,
      '',
    ].join('\n'),
  );
  await writeFile(join(confDir, 'nas.d', 'demo.toml'), nases.join('\n'));
}

/** A command that was refused, with what it said. */
class DemoCommandError extends Error {
  override readonly name = 'DemoCommandError';
}

/** Runs a command of the command line, as the billing of the demo would. */
async function sluice(argv: readonly string[]): Promise<void> {
  const said: Buffer[] = [];
  const stderr = new PassThrough().on('data', (chunk: Buffer) => said.push(chunk));
  const stdin = new PassThrough();
  stdin.end();
  const code = await runCommand(argv, {
    stdin,
    stdout: new PassThrough().resume(),
    stderr,
    environment: {},
    nowMs: () => Date.now(),
    userName: 'demo-billing',
  });
  if (code !== 0) throw new DemoCommandError(Buffer.concat(said).toString('utf8').trim());
}

async function freeTcpPort(): Promise<number> {
  const probe = createServer().listen(0, HOST);
  await once(probe, 'listening');
  const { port } = probe.address() as AddressInfo;
  probe.close();
  await once(probe, 'close');
  return port;
}

async function freeUdpPort(): Promise<number> {
  const probe = createSocket('udp4');
  probe.bind(0, HOST);
  await once(probe, 'listening');
  const { port } = probe.address();
  probe.close();
  await once(probe, 'close');
  return port;
}

/** A town of its own folder, removed at the end. */
export async function temporaryDirectory(): Promise<{ path: string; remove: () => Promise<void> }> {
  const path = await mkdtemp(join(tmpdir(), 'sluice-demo-'));
  return { path, remove: () => rm(path, { recursive: true, force: true, maxRetries: 5 }) };
}
