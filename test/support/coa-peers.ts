/**
 * Programs of Debian that hear CoA and Disconnect, as child processes. Enters: a secret, a configuration. Leaves: a port that answers. Invariant: each has a
 * folder of its own and is gone, with it, when its test is; none touches an interface or a service of the machine.
 */
import { execFile, spawn } from 'node:child_process';
import { chmod, mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import type { Test } from 'tap';
import { freeUdpPort } from './free-port.js';

/** A start takes a second; a loaded machine more, ms. */
const READY_TIMEOUT_MS = 30_000;

/** False, or why tests have to be skipped. */
export async function withoutHostapd(): Promise<string | false> {
  // It prints its version and ends with 1.
  return await promisify(execFile)('hostapd', ['-v']).then(
    () => false as const,
    (error: unknown) =>
      error instanceof Error && 'stderr' in error && String(error.stderr).includes('hostapd v')
        ? (false as const)
        : 'hostapd is not installed (Debian: hostapd)',
  );
}

/** False, or why tests have to be skipped. */
export async function withoutFreeradiusServer(): Promise<string | false> {
  return await promisify(execFile)('freeradius', ['-v']).then(
    () => false as const,
    () => 'FreeRADIUS is not installed (Debian: freeradius)',
  );
}

async function start(
  t: Pick<Test, 'teardown'>,
  program: string,
  argv: readonly string[],
  isReady: (output: string) => boolean,
): Promise<() => string> {
  const child = spawn(program, argv, { stdio: ['ignore', 'pipe', 'pipe'] });
  let text = '';
  const ended = new Promise<void>((settle) => child.once('close', () => settle()));
  t.teardown(async () => {
    child.kill('SIGKILL');
    await ended;
  });
  await new Promise<void>((settle, fail) => {
    const timer = setTimeout(
      () => fail(new Error(`${program} is not ready:\n${text.slice(-3_000)}`)),
      READY_TIMEOUT_MS,
    );
    const read = (chunk: unknown): void => {
      if (text.length < 200_000) text += String(chunk);
      if (!isReady(text)) return;
      clearTimeout(timer);
      settle();
    };
    child.stdout.on('data', read);
    child.stderr.on('data', read);
    void ended.then(() => fail(new Error(`${program} ended:\n${text.slice(-3_000)}`)));
  });
  return () => text;
}

async function folderOf(t: Pick<Test, 'teardown'>, name: string): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), `sluice-${name}-`));
  t.teardown(() => rm(folder, { recursive: true, force: true }));
  await chmod(folder, 0o700);
  return folder;
}

/** hostapd without a radio: an 802.1X authenticator with nobody behind it. @returns its port */
export async function startHostapd(t: Pick<Test, 'teardown'>, secret: string): Promise<number> {
  const folder = await folderOf(t, 'hostapd');
  const port = await freeUdpPort();
  await writeFile(
    join(folder, 'hostapd.conf'),
    [
      'interface=none0',
      'driver=none',
      'own_ip_addr=127.0.0.1',
      'nas_identifier=ap1',
      `radius_das_port=${String(port)}`,
      `radius_das_client=127.0.0.1 ${secret}`,
      'radius_das_time_window=300',
      'radius_das_require_event_timestamp=1',
      'radius_das_require_message_authenticator=1',
      '',
    ].join('\n'),
    { mode: 0o600 },
  );
  await start(t, 'hostapd', [join(folder, 'hostapd.conf')], (text) => text.includes('AP-ENABLED'));
  return port;
}

/** A FreeRADIUS that hears commands. */
export interface FreeradiusPeer {
  readonly port: number;
  /** Where the script may leave traces. */
  readonly folder: string;
}

/**
 * FreeRADIUS with a part of its configuration as documented.
 *
 * @param configuration `client`, `modules` and `server` sections, for a port
 * @param script text of the program that they run, for its folder
 */
export async function startFreeradiusPeer(
  t: Pick<Test, 'teardown'>,
  configuration: (port: number, script: string) => string,
  script: (folder: string) => string,
): Promise<FreeradiusPeer> {
  const folder = await folderOf(t, 'freeradius-coa');
  const port = await freeUdpPort();
  await mkdir(join(folder, 'logs'));
  const program = join(folder, 'end-session');
  await writeFile(program, script(folder), { mode: 0o700 });
  const general = `
prefix = /usr
logdir = ${folder}/logs
raddbdir = ${folder}
confdir = ${folder}
run_dir = ${folder}
libdir = /usr/lib/freeradius
pidfile = ${folder}/freeradius.pid
max_request_time = 30
cleanup_delay = 5
max_requests = 1024
hostname_lookups = no
security {
  max_attributes = 200
  reject_delay = 0
  status_server = no
}
thread pool {
  start_servers = 1
  max_servers = 2
  min_spare_servers = 1
  max_spare_servers = 2
}
`;
  await writeFile(join(folder, 'radiusd.conf'), general + configuration(port, program), { mode: 0o600 });
  const argv = ['-f', '-x', '-l', 'stdout', '-d', folder];
  await start(t, 'freeradius', argv, (text) => text.includes('Ready to process requests'));
  return { port, folder };
}
