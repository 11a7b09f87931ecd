/**
 * `radtest` and `trace` beside a running server, and `explain --if` against what it then answers.
 *
 * Enters: a real server, logins, methods. Leaves: exit codes, replies, events. Invariant: 0 is a verified Accept and nothing
 * else; a trace tells the whole way of a request; no password or secret is in any output.
 */
import { createSocket } from 'node:dgram';
import { once } from 'node:events';
import { stat } from 'node:fs/promises';
import { createConnection } from 'node:net';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import t from 'tap';
import { traceSocketPath } from '../../src/status/trace-protocol.js';
import type { TraceEvent } from '../../src/status/trace-protocol.js';
import { textOf } from '../../src/cli/trace.js';
import { freshDatabase } from '../support/database.js';
import { TestServer } from '../support/server.js';
import { until } from '../support/until.js';
import { runIn } from './command-line.js';

t.test('a server that runs', async (t) => {
  const database = await freshDatabase(t);
  const server = await TestServer.start(t, { databaseUrl: database.url });
  const run = (argv: readonly string[], stdin = 'wonderland\n') =>
    runIn(['--conf', server.confDir, '--data', server.dataDir, ...argv], { stdin });
  await run(['plan', 'add', 'home', '--down', '50M']);
  const added = await run(['subscriber', 'add', 'alice', '--plan', 'home', '--ip', '100.64.9.9', '--password-stdin']);
  t.equal(added.code, 0, added.stderr);
  await until(async () => (await run(['radtest', 'alice', '--password-stdin'])).code === 0);

  await t.test('every method is accepted with the right password and rejected with a wrong one', async (t) => {
    for (const method of ['pap', 'chap', 'mschap', 'mschapv2']) {
      const yes = await run(['radtest', 'alice', '--method', method, '--password-stdin']);
      t.match(yes, { code: 0, stderr: '', stdout: /^Access-Accept Identifier \d+/u }, `${method} ${yes.stderr}`);
      t.match(yes.stdout, 'Framed-IP-Address = 100.64.9.9');
      t.match(yes.stdout, '(the signatures are right;');
      const no = await run(['radtest', 'alice', '--method', method, '--password-stdin', '--json'], 'mistaken\n');
      t.match(no, { code: 1, stderr: /^sluice: 'alice' is not accepted; ask why with/u }, method);
      t.match(no.json(), { code: 'Access-Reject', attempts: 1 });
      t.notMatch(yes.stdout + no.stdout + no.stderr, /wonderland|mistaken/u);
    }
  });

  await t.test('three commands are one session', async (t) => {
    const session = async (): Promise<unknown> => (await run(['session', 'list', '--login', 'alice', '--json'])).json();
    const values = ['--session-time', '60', '--input-octets', '5000000000', '--output-octets', '7'];
    for (const kind of ['start', 'interim'])
      t.match(await run(['radtest', 'alice', '--accounting', kind, '--framed-address', '100.64.9.9', ...values]), {
        code: 0,
        stdout: /^Accounting-Response/u,
      });
    await until(async () => JSON.stringify(await session()).includes('5000000000'));
    t.match(await session(), [{ acct_session_id: 'radtest-alice', nas_name: 'localhost', output_octets: 7 }]);
    t.equal((await run(['radtest', 'alice', '--accounting', 'stop', ...values])).code, 0);
    await until(async () => ((await session()) as unknown[]).length === 0);
  });

  await t.test('silence is 3, with what is likely', async (t) => {
    const folder = await mkdtemp(join(tmpdir(), 'sluice-radtest-'));
    t.teardown(() => rm(folder, { recursive: true, force: true }));
    const wrong = join(folder, 'wrong');
    await writeFile(wrong, 'not the secret of this server\n');
    const patience = ['--password-stdin', '--timeout', '1', '--attempts', '1'];
    const unknown = await run(['radtest', 'alice', '--secret-file', wrong, ...patience]);
    t.match(unknown, { code: 3, stdout: '', stderr: /does not answer; a server is silent when/u });
    // Somebody who answers without the secret.
    const liar = createSocket('udp4');
    t.teardown(() => liar.close());
    liar.on('message', (datagram, from) => {
      const reply = Buffer.alloc(20);
      reply.set([2, datagram[1]!, 0, 20]);
      liar.send(reply, from.port, from.address);
    });
    liar.bind(0, '127.0.0.1');
    await once(liar, 'listening');
    const at = `127.0.0.1:${String(liar.address().port)}`;
    const forged = await run(['radtest', 'alice', '--server', at, ...patience]);
    t.match(forged, { code: 3, stdout: '', stderr: /answered 1 times with a signature that is wrong/u });
    const closed = await run(['radtest', 'alice', '--server', '127.0.0.1:9', ...patience]);
    t.match(closed, { code: 3, stderr: /nobody listens at 127\.0\.0\.1 port 9/u });
  });

  await t.test('the secret comes from a file, from standard input, or with a warning from the argument', async (t) => {
    const folder = await mkdtemp(join(tmpdir(), 'sluice-radtest-'));
    t.teardown(() => rm(folder, { recursive: true, force: true }));
    await writeFile(join(folder, 'right'), `${server.secret}\n`);
    const both = `${server.secret}\r\nwonderland\r\n`;
    const once = ['--timeout', '1', '--attempts', '1'];
    const visible = (option: string) =>
      new RegExp(`^warning: everybody on this machine can see ${option} in the process list`, 'u');
    const table: [argv: string[], stdin: string, code: number, said: RegExp][] = [
      [['--secret-file', join(folder, 'right'), '--password-stdin'], 'wonderland', 0, /^$/u],
      [['--secret-stdin', '--password-stdin'], both, 0, /^$/u],
      [['--secret-stdin', '--no-password'], server.secret, 1, /is not accepted/u],
      [['--secret', server.secret, '--password-stdin'], 'wonderland', 0, visible('--secret')],
      [['--secret-stdin', '--password', 'wonderland'], both, 0, visible('--password')],
      [['--secret-stdin', '--accounting', 'start'], server.secret, 0, /^$/u],
      [['--secret-stdin', '--password-stdin', ...once], `wrong\nwonderland\n`, 3, /does not answer/u],
      [['--secret-stdin', '--password-stdin'], server.secret, 1, /the password is empty/u],
      [['--secret-stdin', '--password-stdin'], '', 1, /the secret is empty/u],
      [['--secret-stdin', '--secret-file', join(folder, 'right')], '', 2, /the secret is given in several ways/u],
      [['--password', 'x', '--password-stdin'], '', 2, /are both given/u],
    ];
    for (const [argv, stdin, code, said] of table) {
      const result = await run(['radtest', 'alice', ...argv], stdin);
      t.match(result, { code, stderr: said }, argv.map((one) => (one === server.secret ? 'SECRET' : one)).join(' '));
      t.notMatch(result.stdout + result.stderr, server.secret, 'and is never shown');
    }
    const start = ['radtest', 'alice', '--accounting', 'stop', '--secret-stdin'];
    t.equal((await run(start, server.secret)).code, 0);
  });

  await t.test('what makes no sense is told before anything is sent', async (t) => {
    const table: [argv: string[], code: number, message: RegExp][] = [
      [['--method', 'eap'], 2, /--method is 'eap'; write one of pap, chap, mschap, mschapv2/u],
      [['--accounting', 'begin'], 2, /write one of start, interim, stop/u],
      [['--server', 'a:b:c'], 2, /--server is 'a:b:c'/u],
      [['--server', '192.0.2.1:1812'], 2, /the secret is not known/u],
      [['--nas-ip-address', '1.2.3'], 2, /is no IPv4 address/u],
      [[], 1, /there is no terminal to ask for the password on/u],
      [['--password-stdin', '--calling-station', ''], 2, /0 octets/u],
    ];
    for (const [argv, code, message] of table)
      t.match(await run(['radtest', 'alice', ...argv]), { code, stdout: '', stderr: message }, argv.join(' '));
  });

  await t.test('a trace tells what arrives, what is decided and why, what is answered', async (t) => {
    const { mode } = await stat(traceSocketPath(server.dataDir));
    t.equal(mode & 0o777, 0o600, 'only the owner may trace');
    const tracing = run(['trace', 'alice', '--count', '6', '--json']);
    const mac = run(['trace', '02-00-00-00-00-07', '--count', '3']);
    // Both are connected once they see a request; those before are of nobody's trace.
    let settled = false;
    void Promise.all([tracing, mac]).then(() => (settled = true));
    const station = ['--calling-station', '02:00:00:00:00:07'];
    await until(async () => {
      await run(['radtest', 'alice', '--password-stdin', ...station], 'mistaken\n');
      return settled;
    });
    const events = (await tracing).stdout
      .trim()
      .split('\n')
      .map((line) => JSON.parse(line) as TraceEvent);
    t.same(
      events.slice(0, 3).map(({ event, code, outcome, reason }) => [event, code ?? outcome, reason]),
      [
        ['arrived', 'Access-Request', undefined],
        ['decided', 'reject', 'wrong-password'],
        ['answered', 'Access-Reject', undefined],
      ],
    );
    t.match(events[0], { subscriber: 'alice', nas: 'localhost', port: 'auth' });
    t.match(
      events[0]?.attributes?.find(({ name }) => name === 'User-Password'),
      { value: '<hidden>' },
    );
    t.equal(new Set(events.slice(0, 3).map(({ request }) => request)).size, 1, 'one number for one request');
    t.match(
      (await mac).stdout,
      /^\S+ #\d+ arrived: Access-Request Identifier \d+ from localhost \(127\.0\.0\.1:\d+\), of alice, known by login\n/u,
    );
    t.match((await mac).stdout, /decided: reject \(wrong-password\): the password is wrong\n/u);
    t.notMatch((await tracing).stdout + (await mac).stdout, 'mistaken');
  });

  await t.test('at most four trace, and one who goes makes room', async (t) => {
    const path = traceSocketPath(server.dataDir);
    const open = async () => {
      const socket = createConnection(path);
      socket.on('error', () => undefined);
      socket.write('{"login":"bob"}\n');
      const [line] = (await once(socket, 'data')) as [Buffer];
      return { socket, event: (JSON.parse(line.toString()) as TraceEvent).event };
    };
    // The tracers of the test before are let go within moments.
    const held: Awaited<ReturnType<typeof open>>[] = [];
    await until(async () => {
      const one = await open();
      if (one.event === 'tracing') held.push(one);
      return held.length === 4;
    });
    t.equal((await open()).event, 'turned-away');
    t.match(await run(['trace', 'bob', '--count', '1']), { code: 1, stderr: /there are too many tracers already/u });
    held[0]?.socket.destroy();
    await until(async () => {
      const { event, socket } = await open();
      socket.destroy();
      return event === 'tracing';
    });
    const nonsense = createConnection(path);
    nonsense.write('x'.repeat(5000));
    t.match(String((await once(nonsense, 'data'))[0]), 'the question cannot be read');
    for (const { socket } of held) socket.destroy();
  });

  await t.test('explain --if says what would be answered, and changes nothing', async (t) => {
    const table: [assumed: string[], expected: object, sentence: RegExp][] = [
      [
        ['own_disabled=true'],
        { answer: 'reject', reason: 'own-disabled' },
        /^if own_disabled=true: 'alice' on localhost is rejected/u,
      ],
      [
        ['redirect=true'],
        { answer: 'accept', answer_state: 'redirect' },
        /^if redirect=true: .*accepted into the state redirect/u,
      ],
      [['own_disabled=true,redirect=true'], { answer: 'reject' }, /^if own_disabled=true, redirect=true:/u],
      [['plan='], { answer: 'reject', reason: 'no-plan' }, /^if plan=: /u],
      [['account_blocked=true'], { answer: 'reject', reason: 'admin-blocked' }, /blocked by the administration/u],
      [['deleted=true'], { answer: 'reject' }, /the subscriber is deleted/u],
      [['own_disabled=false'], { answer: 'accept', answer_state: 'active' }, /is accepted/u],
    ];
    for (const [assumed, expected, sentence] of table) {
      const argv = assumed.flatMap((text) => ['--if', text]);
      const explained = await run(['explain', 'alice', '--json', ...argv]);
      t.match(explained.json(), { ...expected, sentence }, assumed.join(' '));
      t.match((await run(['explain', 'alice', ...argv])).stdout, sentence);
    }
    t.match((await run(['explain', 'alice', '--json'])).json(), { answer: 'accept', assumed: null });
    t.match(await run(['explain', 'alice', '--if', 'redirected=true']), { code: 2, stderr: /did you mean redirect/u });
    t.match(await run(['explain', 'alice', '--if', 'redirect=yes']), { code: 2, stderr: /write true or false/u });
    t.match(await run(['explain', 'alice', '--if', 'plan=hom']), { code: 1, stderr: /did you mean home/u });
  });

  t.same(await server.stop(), { code: 0, signal: null }, 'tracers keep no server from stopping');
  const gone = await run(['trace', 'alice']);
  t.match(gone, { code: 1, stderr: /no server runs on/u });
});

t.test('hostile values of an event are shown and not obeyed', async (t) => {
  const hostile = '\u001b[2J\nname\u202e';
  const text = textOf({
    at: '2026-11-21T00:00:00.000Z',
    event: 'arrived',
    nas: hostile,
    source: hostile,
    code: hostile,
    subscriber: hostile,
    explanation: hostile,
    attributes: [{ name: hostile, tag: null, value: hostile }],
  });
  t.equal(text.split('\n').length, 2, 'a head and one attribute');
  // eslint-disable-next-line no-control-regex
  t.notMatch(text, /[\u0000-\u0009\u000b-\u001f\u202e]/u);
});
