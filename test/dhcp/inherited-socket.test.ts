// A socket that a supervisor holds: what arrives while no process reads it is read by the next one.

import t, { type Test } from 'tap';
import { spawn } from 'node:child_process';
import { createSocket, type Socket } from 'node:dgram';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import { until } from '../support/until.js';
import { senderAt } from './listening.js';
import { samples } from './sample-packets.js';

// What is private of Node is used knowingly here.
process.noDeprecation = true;
const child = fileURLToPath(new URL('inheriting-child.ts', import.meta.url));

/** Node tells nobody the descriptor of a socket that it could pass on. */
interface SocketWithHandle extends Socket {
  readonly _handle: { readonly fd: number };
}

function start(t: Test, descriptor: number) {
  const lines: string[] = [];
  const running = spawn(process.execPath, ['--import', 'tsx', child], {
    stdio: ['ignore', 'pipe', 'inherit', descriptor],
  });
  t.teardown(() => running.kill('SIGKILL'));
  running.stdout!.setEncoding('utf8').on('data', (text: string) => lines.push(...text.split('\n').filter(Boolean)));
  const ended = once(running, 'exit');
  return {
    lines,
    async stop() {
      running.kill('SIGTERM');
      await ended;
    },
  };
}

t.test('what arrives between two processes is not lost', async (t) => {
  const held = createSocket('udp4') as SocketWithHandle;
  held.bind(0, '127.0.0.1');
  await once(held, 'listening');
  t.teardown(() => held.close());
  const { port } = held.address();
  const relay = await senderAt(t, '127.0.0.2');

  const first = start(t, held._handle.fd);
  // Whoever holds it must not read it: bound and without a listener for messages, Node would read all the same.
  (held as Socket & { _stopReceiving?: () => void })._stopReceiving?.();
  await until(() => first.lines.includes('listening'));
  await relay.send(samples.request(), port);
  await until(() => first.lines.length === 2);
  await first.stop();
  t.same(first.lines, ['listening', 'request 100.65.2.10', 'stopped']);

  await relay.send(samples.release(), port);
  const second = start(t, held._handle.fd);
  await until(() => second.lines.length === 2);
  await second.stop();
  t.same([...second.lines].sort(), ['listening', 'release 100.65.2.10', 'stopped']);
});
