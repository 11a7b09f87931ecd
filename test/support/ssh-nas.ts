/**
 * A NAS with an SSH server. Enters: how its console behaves. Leaves: its address, host key, and what it heard. Invariant: it notes every attempt to log in,
 * so that a test can say that no credential was ever sent.
 */
import { spawn } from 'node:child_process';
import { generateKeyPairSync } from 'node:crypto';
import { once } from 'node:events';
import { createServer } from 'node:net';
import type { AddressInfo } from 'node:net';
import ssh2 from 'ssh2';
import type { Connection, ServerChannel } from 'ssh2';
import type { Test } from 'tap';
import { SecretValue } from '../../src/config/secret-value.js';
import { fingerprintOf } from '../../src/nas/host-keys.js';
import type { SshTarget } from '../../src/nas/ssh-connection.js';

export interface SshNasOptions {
  /** Runs one command; the channel is to be ended. Default: a real /bin/sh. */
  readonly onExec?: (command: string, channel: ServerChannel, nas: SshNas) => void;
  readonly onShell?: (channel: ServerChannel, nas: SshNas) => void;
  readonly password?: string;
  /** `keyboard-interactive` in place of `password`. */
  readonly isKeyboard?: boolean;
}

export interface SshNas {
  readonly port: number;
  readonly fingerprint: string;
  readonly target: SshTarget;
  /** Commands that were run. */
  readonly commands: string[];
  /** Methods of log-in that were tried, `none` left out. */
  readonly attempts: string[];
  /** Connections since the start. */
  readonly connections: () => number;
  readonly open: () => number;
  /** Breaks every connection off. */
  breakOff(): void;
  /** Takes another host key from the next connection on. */
  changeHostKey(): void;
}

export function makeHostKey(): { readonly pem: string; readonly fingerprint: string } {
  // Made by node:crypto: one in a few hundred Ed25519 keys that the SSH library makes cannot be read again.
  const { privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
  const pem = privateKey.export({ type: 'sec1', format: 'pem' }).toString();
  const parsed = ssh2.utils.parseKey(pem);
  if (parsed instanceof Error) throw parsed;
  return { pem, fingerprint: fingerprintOf(parsed.getPublicSSH()) };
}

/** Runs a command in a real shell. */
export function realShell(command: string, channel: ServerChannel): void {
  const child = spawn('/bin/sh', ['-c', command], { env: { PATH: process.env['PATH'] } });
  child.stdout.on('data', (chunk: Buffer) => channel.write(chunk));
  child.stderr.on('data', (chunk: Buffer) => channel.stderr.write(chunk));
  channel.on('data', (chunk: Buffer) => child.stdin.write(chunk));
  channel.on('end', () => child.stdin.end());
  channel.on('close', () => child.kill());
  child.stdin.on('error', () => undefined);
  child.on('close', (code) => {
    channel.exit(code ?? 1);
    channel.end();
  });
}

/** Listens on loopback until the test ends. */
export async function startSshNas(t: Test, options: SshNasOptions = {}): Promise<SshNas> {
  const password = options.password ?? 'correct horse';
  let key = makeHostKey();
  const open = new Set<Connection>();
  let connections = 0;
  const commands: string[] = [];
  const attempts: string[] = [];
  const serve = (client: Connection): void => {
    open.add(client);
    connections += 1;
    client.on('error', () => undefined);
    client.on('close', () => open.delete(client));
    client.on('authentication', (context) => {
      if (context.method !== 'none') attempts.push(context.method);
      if (context.method === 'password' && options.isKeyboard !== true && context.password === password)
        context.accept();
      else if (context.method === 'keyboard-interactive' && options.isKeyboard === true) {
        context.prompt([{ prompt: 'Password: ', echo: false }], (answers) =>
          answers[0] === password ? context.accept() : context.reject(),
        );
      } else context.reject(options.isKeyboard === true ? ['keyboard-interactive'] : ['password']);
    });
    client.on('ready', () => {
      client.on('session', (accept) => {
        const session = accept();
        session.on('pty', (acceptPty) => acceptPty?.());
        session.on('exec', (acceptExec, _reject, { command }) => {
          commands.push(command);
          (options.onExec ?? realShell)(command, acceptExec(), nas);
        });
        session.on('shell', (acceptShell) => options.onShell?.(acceptShell(), nas));
      });
    });
  };
  // A listener of node:net in front lets the host key change while the port stays.
  let server = new ssh2.Server({ hostKeys: [key.pem] }, serve);
  const listener = createServer((socket) => {
    socket.on('error', () => undefined);
    server.injectSocket(socket);
  });
  listener.listen(0, '127.0.0.1');
  await once(listener, 'listening');
  const { port } = listener.address() as AddressInfo;
  const nas: SshNas = {
    port,
    get fingerprint() {
      return key.fingerprint;
    },
    target: {
      host: '127.0.0.1',
      port,
      user: 'sluice',
      password: SecretValue.of(password),
      key: undefined,
      connectTimeoutMs: 10_000,
    },
    commands,
    attempts,
    connections: () => connections,
    open: () => open.size,
    breakOff: () => {
      for (const client of open) client.end();
    },
    changeHostKey: () => {
      key = makeHostKey();
      server = new ssh2.Server({ hostKeys: [key.pem] }, serve);
    },
  };
  t.teardown(async () => {
    nas.breakOff();
    listener.close();
    await once(listener, 'close');
  });
  return nas;
}

/**
 * What a shell would answer to a script of one part: nothing to all its lines but the last, to that the text, and the marks behind each.
 *
 * @param script as it came on standard input
 */
export function answerOfShell(script: string, text: string): string {
  const word = /sluice-[0-9a-f]{24}/u.exec(script)?.[0] ?? '';
  const lines = Math.max(
    1,
    ...[...script.matchAll(/sluice-[0-9a-f]{24} 0 (\d+) /gu)].map((match) => Number(match[1]) + 1),
  );
  const marks = Array.from({ length: lines - 1 }, (_, line) => `\n${word} 0 ${String(line)} 0\n`);
  return `${marks.join('')}${text}\n${word} 0 ${String(lines - 1)} 0\n\n${word} 0 e 0\n`;
}
