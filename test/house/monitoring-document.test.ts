/**
 * The examples of docs/monitoring.md are taken out of the document and used: the Nagios command is run, the script asks a listener, the
 * notification of Alertmanager changes devices, and a receiver of webhooks verifies what is really sent. Its shell commands are run by
 * documented-commands.serial.test.ts.
 */
import { execFile, spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { chmod, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { pino } from 'pino';
import t, { type Test } from 'tap';
import { SecretValue } from '../../src/config/secret-value.js';
import { alertmanagerEvents } from '../../src/domain/alertmanager-events.js';
import { gatherNews, newsBody } from '../../src/domain/device-news.js';
import { DeviceEventHandler, deviceEventOf, deviceReply } from '../../src/handlers/device-event.js';
import { postNews } from '../../src/workers/webhook-news.js';
import { commandHouse } from '../cli/command-line.js';
import { freshDatabase } from '../support/database.js';
import { addContact, addDevice } from '../support/devices.js';
import { blocksOf } from '../support/documented-blocks.js';

const run = promisify(execFile);
const document = await readFile(fileURLToPath(new URL('../../docs/monitoring.md', import.meta.url)), 'utf8');
const blocks = blocksOf(document);

/** The blocks of a language that have a text in them; at least one. */
function blocksWith(language: string, text: string): string[] {
  const found = blocks.filter((block) => block.language === language && block.text.includes(text));
  if (found.length === 0) throw new Error(`docs/monitoring.md has no ${language} block with ${text}`);
  return found.map((block) => block.text);
}

async function folder(t: Test): Promise<string> {
  const made = await mkdtemp(join(tmpdir(), 'sluice-monitoring-'));
  t.teardown(() => rm(made, { recursive: true, force: true }));
  return made;
}

t.test('the command of Nagios is one that we understand', async (t) => {
  const [config = ''] = blocksWith('nagios', 'define command');
  const line = /^\s*command_line\s+(.+)$/mu.exec(config)?.[1] ?? '';
  const name = /^\s*command_name\s+(\S+)$/mu.exec(config)?.[1];
  t.equal(/^\s*host_notification_commands\s+(\S+)$/mu.exec(config)?.[1], name, 'the contact uses it');
  t.equal(/^\s*host_notification_options\s+(\S+)$/mu.exec(config)?.[1], 'd,u,r', 'down, unreachable, recovery');
  const house = await commandHouse(t);
  await house.done(['device', 'add', 'sw1', '--kind', 'dlink', '--address', '10.0.0.5']);
  const place = await folder(t);
  // What the shell of Nagios would start, with its arguments.
  const sluice = join(place, 'sluice');
  await writeFile(sluice, `#!/bin/sh\nfor word in "$@"; do printf '%s\\0' "$word"; done\n`);
  await writeFile(join(place, 'sudo'), `#!/bin/sh\nshift 2\nexec "$@"\n`);
  for (const program of ['sluice', 'sudo']) await chmod(join(place, program), 0o755);
  const seconds = Math.floor(Date.now() / 1000);
  const states: [state: string, status: string][] = [
    ['DOWN', 'down'],
    ['UNREACHABLE', 'unreachable'],
    ['UP', 'up'],
  ];
  for (const [index, [state, status]] of states.entries()) {
    const macros: Record<string, string> = {
      HOSTADDRESS: '10.0.0.5',
      HOSTSTATE: state,
      TIMET: String(seconds - 10 + index),
    };
    const filled = line.replaceAll(/\$([A-Z]+)\$/gu, (_, macro: string) => {
      if (macros[macro] === undefined) throw new Error(`the test does not know $${macro}$`);
      return macros[macro];
    });
    const placed = filled.replace('/usr/bin/sudo', join(place, 'sudo')).replace('/usr/local/bin/sluice', sluice);
    const { stdout } = await run('/bin/sh', ['-c', placed]);
    await house.done(stdout.split('\0').slice(0, -1));
    const shown = (await house.done(['device', 'show', 'sw1', '--json'])).json();
    t.match(shown, { status, status_since: new Date((seconds - 10 + index) * 1000).toISOString() }, state);
  }
});

t.test('the script signs as the listener reckons', async (t) => {
  if (spawnSync('curl', ['--version']).status !== 0) {
    t.comment('curl is not installed');
    return;
  }
  const { pool } = await freshDatabase(t);
  await addDevice(pool, { name: 'sw1', address: '10.0.0.5', group: 'north', noticeable: true });
  await addContact(pool, 'north', 'mail', 'noc@example.net');
  const handler = new DeviceEventHandler({ pool, log: pino({ level: 'silent' }), ways: () => ['mail'] });
  const secret = "s3cret 'with' blanks";
  const server = createServer((request, response) => {
    void (async () => {
      const url = new URL(request.url ?? '', 'http://localhost');
      const { sign = '', ...values } = Object.fromEntries(url.searchParams);
      const texts = Object.values(values)
        .filter((value) => value !== '')
        .sort();
      const isSigned =
        sign ===
        createHash('sha256')
          .update([...texts, secret].join('_'))
          .digest('hex');
      response.statusCode = isSigned && url.pathname === '/dev/on_device_event/' ? 200 : 403;
      const reading = deviceEventOf(url.searchParams, Date.now(), 'http');
      response.end(
        JSON.stringify(reading.ok ? deviceReply(reading.event, await handler.handle(reading.event)) : reading.reply),
      );
    })();
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  t.teardown(() => server.close());
  const place = await folder(t);
  const [script = ''] = blocksWith('script', 'SLUICE_INTAKE');
  await writeFile(join(place, 'agent'), script);
  await writeFile(join(place, 'secret'), `${secret}\n`);
  const environment = {
    PATH: process.env['PATH'],
    SLUICE_INTAKE: `http://127.0.0.1:${String((server.address() as AddressInfo).port)}`,
    SLUICE_INTAKE_SECRET: join(place, 'secret'),
  };
  const rows = document.split('\n').filter((line) => line.startsWith('| `'));
  const answers: [address: string, state: string, text: string][] = [
    ['10.0.0.5', 'DOWN', 'notification successfully sent'],
    ['10.0.0.5', 'DOWN', 'Notification for 10.0.0.5 is unnecessary'],
    ['10.0.0.6', 'UP', 'Devices with ip 10.0.0.6 does not exist'],
    ['sw1', 'UP', 'ip address sw1 is not valid'],
    ['10.0.0.5', 'SIDEWAYS', 'status SIDEWAYS is none of UP, DOWN, UNREACHABLE'],
    ['', 'UP', 'ip does not passed'],
  ];
  for (const [address, state, text] of answers) {
    const { stdout } = await run('/bin/sh', [join(place, 'agent'), address, state], { env: environment });
    t.same(JSON.parse(stdout), { text });
    const documented = rows.some((row) =>
      [...row.split('|')[1]!.matchAll(/`([^`]+)`/gu)].some(([, shown = '']) => {
        const pattern = shown
          .replaceAll('10.0.0.5', '…')
          .split('…')
          .map((part) => part.replaceAll(/[.()]/gu, '\\$&'));
        return new RegExp(`^${pattern.join('.*')}$`, 'u').test(text);
      }),
    );
    t.ok(documented, `${text}: is in the table`);
  }
  const forged = run('/bin/sh', [join(place, 'agent'), '10.0.0.5', 'UP'], {
    env: { ...environment, SLUICE_INTAKE_SECRET: '/dev/null' },
  });
  await t.rejects(forged, 'another secret is another signature');
});

t.test('the notification of Alertmanager changes the devices that it names', async (t) => {
  const { pool } = await freshDatabase(t);
  await addDevice(pool, { name: 'sw-lenina-12', address: '10.0.0.5' });
  await addDevice(pool, {
    name: 'sw-mira-3',
    status: 'down',
    status_since: '2026-11-22T11:40:26Z',
    status_at: '2026-11-22T11:40:26Z',
  });
  const [body = ''] = blocksWith('json', '"alerts"');
  const reading = alertmanagerEvents(JSON.parse(body), Date.parse('2026-11-22T12:00:00Z'));
  if (!reading.ok) throw new Error(reading.problem);
  t.equal(reading.skipped, 0);
  const handler = new DeviceEventHandler({ pool, log: pino({ level: 'silent' }), ways: () => [] });
  const first = [];
  for (const event of reading.events) first.push(await handler.handle(event));
  t.match(first, [
    { outcome: 'changed', device: { name: 'sw-lenina-12' }, status: 'down' },
    { outcome: 'changed', device: { name: 'sw-mira-3' }, status: 'up', oldStatus: 'down' },
  ]);
  const again = [];
  for (const event of reading.events) again.push((await handler.handle(event)).outcome);
  t.same(again, ['unchanged', 'unchanged'], 'a notification that is repeated is no news');
  const { rows } = await pool.query('SELECT name, status, status_since FROM device ORDER BY id');
  t.match(rows, [
    { name: 'sw-lenina-12', status: 'down', status_since: new Date('2026-11-22T11:58:26.739Z') },
    { name: 'sw-mira-3', status: 'up', status_since: new Date('2026-11-22T11:59:11.739Z') },
  ]);
});

t.test('the rule names its devices as we read them, and the receiver tells of their end', async (t) => {
  const [rule = ''] = blocksWith('yaml', 'alert: DeviceDown');
  const labels = /labels:\n((?: {10}.*\n?)+)/u.exec(rule)?.[1] ?? '';
  const names = [...labels.matchAll(/^\s+(\w+):/gmu)].map((match) => match[1]!);
  t.same(names, ['device']);
  const alert = { status: 'firing', labels: Object.fromEntries(names.map((name) => [name, 'sw1'])) };
  t.match(alertmanagerEvents({ version: '4', alerts: [alert] }, 0), { ok: true, events: [{ device: 'sw1' }] });
  const [receiver = ''] = blocksWith('yaml', 'webhook_configs');
  t.match(receiver, /send_resolved: true/u);
  t.match(receiver, /matchers: \[alertname="DeviceDown"\]/u);
});

t.test('what a webhook gets is what is shown, and the receiver that is shown believes it', async (t) => {
  const [shown = ''] = blocksWith('json', '"old_status"');
  const news = gatherNews([
    {
      deviceId: 12,
      name: 'sw-lenina-12',
      mac: '00:1e:58:aa:bb:cc',
      serial: null,
      address: '10.0.0.5',
      place: 'Lenina 12, attic',
      status: 'down',
      oldStatus: 'up',
      atMs: Date.parse('2026-11-22T12:00:00Z'),
      note: 'no answer to ping',
    },
  ]);
  t.same(newsBody('7.4711.1', 'north', news), JSON.parse(shown));

  const [code = ''] = blocksWith('js', 'isFromSluice');
  const { isFromSluice } = (await import(`data:text/javascript,${encodeURIComponent(code)}`)) as {
    isFromSluice: (headers: object, body: string, key: string, nowSeconds: number) => boolean;
  };
  const posted: { headers: object; body: string }[] = [];
  const server = createServer((request, response) => {
    let body = '';
    request.on('data', (chunk: Buffer) => (body += chunk.toString('utf8')));
    request.on('end', () => {
      posted.push({ headers: request.headers, body });
      response.end();
    });
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  t.teardown(() => {
    server.closeAllConnections();
    server.close();
  });
  const key = 'a-secret-of-some-length';
  const nowMs = Date.parse('2026-11-22T12:00:10Z');
  const attempt = await postNews({
    contact: {
      contactId: 7,
      address: `http://127.0.0.1:${String((server.address() as AddressInfo).port)}/`,
      group: 'north',
      noticeIds: [4711],
    },
    secret: SecretValue.of(key),
    news,
    timeoutMs: 5_000,
    nowMs,
    signal: new AbortController().signal,
  });
  t.same(attempt, { end: 'sent' });
  const [{ headers, body }] = posted as [{ headers: object; body: string }];
  t.same(JSON.parse(body), JSON.parse(shown));
  const seconds = nowMs / 1000;
  t.equal(isFromSluice(headers, body, key, seconds + 10), true);
  t.equal(isFromSluice(headers, body, 'another', seconds), false, 'another key');
  t.equal(isFromSluice(headers, body.replace('down', 'up'), key, seconds), false, 'another body');
  t.equal(isFromSluice(headers, body, key, seconds + 301), false, 'too late');
  t.equal(isFromSluice({ ...headers, 'x-sluice-timestamp': String(seconds + 1) }, body, key, seconds), false);
  t.equal(isFromSluice({}, body, key, seconds), false, 'no signature');
});
