/**
 * People are told of devices: against a mail server that speaks SMTP and a web server, both on loopback. Time passes by moving rows into the
 * past; nothing here waits for it.
 */
import { createHmac } from 'node:crypto';
import { once } from 'node:events';
import { createServer, type IncomingMessage, type Server } from 'node:http';
import net, { type AddressInfo } from 'node:net';
import { Writable } from 'node:stream';
import { pino } from 'pino';
import t, { type Test } from 'tap';
import type pg from 'pg';
import type { Config } from '../../src/config/config.js';
import { SecretValue } from '../../src/config/secret-value.js';
import type { DeviceStatus, MonitoredStatus } from '../../src/domain/device-status.js';
import { storeDeviceEvent } from '../../src/store/device-events.js';
import { Notifier } from '../../src/workers/notifier.js';
import { freshDatabase } from '../support/database.js';
import { addContact, addDevice } from '../support/devices.js';
import { mailServer } from '../support/mail-server.js';
import { until } from '../support/until.js';

type Settings = Config['monitoring'];

const secret = 'a-secret-of-some-length';
const nowMs = Date.parse('2026-11-22T12:00:00Z');

const off: Settings = {
  smtpPort: 25,
  smtpTls: 'off',
  smtpTimeoutMs: 5_000,
  smtpPassword: undefined,
  smtpCa: undefined,
  webhooks: false,
  webhookTimeoutMs: 5_000,
  webhookSecrets: { noc: SecretValue.of(secret) },
  gatherSeconds: 10,
  pauseSeconds: 60,
  giveUpHours: 24,
  keepDays: 30,
};

interface House {
  readonly pool: pg.Pool;
  readonly lines: Record<string, unknown>[];
  notifier(settings: Settings, instance?: string): Notifier;
  /** Monitoring says something of a device. */
  says(device: string, status: MonitoredStatus, atMs?: number): Promise<void>;
  /** So much time passes for what waits. */
  pass(seconds: number): Promise<void>;
  /** How the notices stand. */
  notices(): Promise<{ waiting: number; sent: number; gaveUp: number }>;
  contact(id: number): Promise<{ failures: number; last_error: string | null; retries: boolean; claimed: boolean }>;
}

async function house(t: Test): Promise<House> {
  const { pool } = await freshDatabase(t);
  const lines: Record<string, unknown>[] = [];
  const log = pino(
    { level: 'info', base: null },
    new Writable({
      write: (chunk, _encoding, done) => {
        lines.push(JSON.parse(String(chunk)) as Record<string, unknown>);
        done();
      },
    }),
  );
  return {
    pool,
    lines,
    notifier: (settings, instance = 'one') =>
      new Notifier({
        pool,
        log,
        instance,
        settings: () => settings,
        timeZone: () => 'Europe/Moscow',
        nowMs: () => nowMs,
        random: () => 0.5,
      }),
    says: async (device, status, atMs = nowMs) =>
      void (await storeDeviceEvent(
        pool,
        { device, status, eventAtMs: atMs, receivedAtMs: nowMs, source: 'test', note: null },
        ['mail', 'webhook'],
      )),
    pass: async (seconds) => {
      await pool.query(`UPDATE device_notice SET created_at = created_at - make_interval(secs => $1)`, [seconds]);
      await pool.query(
        `UPDATE device_contact SET told_at = told_at - make_interval(secs => $1), retry_at = retry_at - make_interval(secs => $1),
           claimed_until = claimed_until - make_interval(secs => $1)`,
        [seconds],
      );
    },
    notices: async () => {
      const { rows } = await pool.query<{ waiting: number; sent: number; gaveUp: number }>(
        `SELECT count(*) FILTER (WHERE sent_at IS NULL AND gave_up_at IS NULL)::int AS waiting, count(sent_at)::int AS sent,
           count(gave_up_at)::int AS "gaveUp" FROM device_notice`,
      );
      return rows[0]!;
    },
    contact: async (id) => {
      const { rows } = await pool.query<{
        failures: number;
        last_error: string | null;
        retries: boolean;
        claimed: boolean;
      }>(
        `SELECT failures, last_error, retry_at IS NOT NULL AS retries, claimed_by IS NOT NULL AS claimed FROM device_contact WHERE id = $1`,
        [id],
      );
      return rows[0]!;
    },
  };
}

const mailSettings = (port: number, more: Partial<Settings> = {}): Settings => ({
  ...off,
  smtpHost: '127.0.0.1',
  smtpPort: port,
  mailFrom: 'sluice@provider.example',
  gatherSeconds: 0,
  pauseSeconds: 0,
  ...more,
});

/** One device, one contact by mail, and news of it. */
async function oneDown(t: Test, name = 'sw1'): Promise<House & { readonly contactId: number }> {
  const made = await house(t);
  await addDevice(made.pool, { name, address: '10.0.0.5', place: 'Lenina 12', group: 'north', noticeable: true });
  const contactId = await addContact(made.pool, 'north', 'mail', 'noc@example.net');
  await made.says('10.0.0.5', 'down');
  return { ...made, contactId };
}

t.test('a mail', async (t) => {
  const server = await mailServer(t, { login: { user: 'sluice', password: 'pässword' } });
  const { notifier, notices, contact, contactId, lines } = await oneDown(t);
  const one = notifier(
    mailSettings(server.port, {
      smtpTls: 'required',
      smtpCa: server.ca,
      smtpUser: 'sluice',
      smtpPassword: SecretValue.of('pässword'),
    }),
  );
  await one.tell();
  t.match(server.taken, [
    {
      from: 'sluice@provider.example',
      to: ['noc@example.net'],
      user: 'sluice',
      isEncrypted: true,
      subject: 'DOWN: sw1 (10.0.0.5)',
      text: 'sw1 (10.0.0.5) is DOWN since 2026-11-22 15:00:00 Europe/Moscow, it was UNKNOWN\n  place: Lenina 12\n',
    },
  ]);
  const { headers } = server.taken[0]!;
  t.same(headers.get('from'), ['Sluice <sluice@provider.example>']);
  t.same(headers.get('to'), ['noc@example.net']);
  t.same(headers.get('auto-submitted'), ['auto-generated']);
  t.same(headers.get('message-id'), ['<sluice.1.1.1@provider.example>']);
  t.same(headers.get('date'), ['Sun, 22 Nov 2026 12:00:00 +0000']);
  t.same(await notices(), { waiting: 0, sent: 1, gaveUp: 0 });
  t.match(await contact(contactId), { failures: 0, last_error: null, claimed: false });
  t.same(one.counts, { sent: 1, failed: 0, refused: 0 });
  t.match(lines, [{ level: 30, kind: 'mail', group: 'north', changes: 1 }]);
  t.equal(await one.tell(), false);
  t.equal(server.taken.length, 1, 'it is told once');
});

t.test('what stands in a name is text and no header, and reaches nobody else', async (t) => {
  const server = await mailServer(t);
  const names = [
    'sw1\r\nBcc: everybody@example.net\r\nX-Evil: yes\r\n\r\nClick here',
    'sw1\nTo: everybody@example.net',
    'sw1\r.\r\nMAIL FROM:<evil@example.net>',
    '=?utf-8?Q?sw1=0D=0ABcc:_everybody=40example.net?=',
    'свитч «Ленина, 12» 📡'.repeat(4),
    '"\\"<script>@\u202e\u0000'.replace('\u0000', ''),
  ];
  for (const [index, name] of names.entries()) {
    const { notifier, pool, notices } = await oneDown(t, name);
    await pool.query(`UPDATE device SET place = name`);
    await pool.query(`UPDATE device_notice SET note = (SELECT name FROM device)`);
    await notifier(mailSettings(server.port)).tell();
    t.equal(server.taken.length, index + 1, JSON.stringify(name));
    const mail = server.taken.at(-1)!;
    t.same(mail.to, ['noc@example.net']);
    t.same(
      [...mail.headers.keys()].sort(),
      [
        'auto-submitted',
        'content-transfer-encoding',
        'content-type',
        'date',
        'from',
        'message-id',
        'mime-version',
        'subject',
        'to',
      ],
      'the headers are ours',
    );
    for (const values of mail.headers.values()) t.equal(values.length, 1);
    t.match(mail.subject, /^DOWN: /u);
    t.match(mail.text, /^.+ is DOWN since .+\n {2}place: .+\n {2}note: .+\n$/u, 'three lines');
    t.same(await notices(), { waiting: 0, sent: 1, gaveUp: 0 });
  }
  t.match(server.taken[4]!.subject, 'DOWN: свитч «Ленина, 12» 📡свитч');
});

t.test('encryption is as it is asked for, or nothing is sent', async (t) => {
  const stranger = await mailServer(t);
  type Case = [what: string, tls: 'starttls' | 'implicit' | 'none', settings: Partial<Settings>, takes: boolean];
  const table: Case[] = [
    ['implicit', 'implicit', { smtpTls: 'implicit' }, true],
    ['by name', 'starttls', { smtpTls: 'required', smtpHost: 'localhost' }, true],
    ['off', 'none', { smtpTls: 'off' }, true],
    ['off although it is offered', 'starttls', { smtpTls: 'off' }, true],
    ['required and not offered', 'none', { smtpTls: 'required' }, false],
    ['somebody else vouches for it', 'starttls', { smtpTls: 'required', smtpCa: stranger.ca }, false],
    ['nobody vouches for it', 'implicit', { smtpTls: 'implicit', smtpCa: undefined }, false],
  ];
  for (const [what, tls, settings, takes] of table) {
    const server = await mailServer(t, { tls });
    const { notifier, notices, contact, contactId } = await oneDown(t);
    await notifier(mailSettings(server.port, { smtpCa: server.ca, ...settings })).tell();
    t.equal(server.taken.length, takes ? 1 : 0, what);
    t.match(await notices(), takes ? { sent: 1 } : { waiting: 1 }, what);
    t.match(
      await contact(contactId),
      takes ? { failures: 0 } : { failures: 1, retries: true, last_error: /.{10}/u },
      what,
    );
    if (takes) t.equal(server.taken[0]!.isEncrypted, settings.smtpTls !== 'off', what);
  }
});

t.test('what may succeed later is tried later, what never will is given up', async (t) => {
  type Case = [what: string, code: number | undefined, password: string, end: object];
  const right = 'Zq7MARKERpk3';
  const table: Case[] = [
    ['greylisted', 451, right, { waiting: 1, gaveUp: 0 }],
    ['the mailbox is full', 452, right, { waiting: 1, gaveUp: 0 }],
    ['nobody of that name', 550, right, { waiting: 0, gaveUp: 1 }],
    ['our password is wrong', undefined, `${right}-not`, { waiting: 1, gaveUp: 0 }],
  ];
  for (const [what, code, password, end] of table) {
    const server = await mailServer(t, {
      tls: 'none',
      login: { user: 'sluice', password: right },
      refuse: () => code,
    });
    const { notifier, notices, contact, contactId, lines } = await oneDown(t);
    await notifier(mailSettings(server.port, { smtpUser: 'sluice', smtpPassword: SecretValue.of(password) })).tell();
    t.match(await notices(), { sent: 0, ...end }, what);
    const stands = await contact(contactId);
    t.match(stands, { failures: 1, claimed: false }, what);
    t.notMatch(JSON.stringify([stands, lines]), right, 'no password is told');
    t.match(lines, [{ level: code === 550 ? 50 : 40, contact: contactId, group: 'north' }], what);
  }
});

t.test('a mail server that is away, and back', async (t) => {
  const port = await closedPort();
  const { notifier, notices, contact, contactId, pass, lines, says } = await oneDown(t);
  const one = notifier(mailSettings(port));
  await one.tell();
  t.match(await contact(contactId), { failures: 1, retries: true, last_error: /ECONNREFUSED/u });
  await says('sw1', 'up', nowMs + 1);
  await one.tell();
  t.match(await contact(contactId), { failures: 1 }, 'news does not make it be asked sooner');
  await pass(60);
  await one.tell();
  t.match(await contact(contactId), { failures: 2 });
  t.equal(lines.filter(({ level }) => level === 40).length, 1, 'the log says it once');
  const server = await mailServer(t);
  await pass(600);
  await notifier(mailSettings(server.port)).tell();
  t.match(
    server.taken,
    [{ subject: 'UP: sw1 (10.0.0.5)', text: /changed 2 times/u }],
    'what happened meanwhile is one message',
  );
  t.match(await contact(contactId), { failures: 0, last_error: null });

  await t.test('for too long', async (t) => {
    await says('sw1', 'down', nowMs + 2);
    await pass(23 * 3600);
    await one.tell();
    t.match(await notices(), { waiting: 1, gaveUp: 0 });
    await pass(2 * 3600);
    await one.tell();
    t.match(await notices(), { waiting: 0, gaveUp: 1 });
    t.match(lines.at(-1), { level: 50, changes: 1 });
  });
});

t.test('a mail server that does not answer, or never ends', async (t) => {
  const silent = (socket: net.Socket) => void socket.on('error', () => undefined);
  const endless = (socket: net.Socket) => {
    silent(socket);
    const timer = setInterval(() => socket.write('220-hello\r\n'), 5);
    socket.on('close', () => clearInterval(timer));
  };
  for (const serve of [silent, endless]) {
    const server = net.createServer(serve).listen(0, '127.0.0.1');
    await once(server, 'listening');
    const { notifier, contact, contactId } = await oneDown(t);
    await notifier(mailSettings((server.address() as AddressInfo).port, { smtpTimeoutMs: 50 })).tell();
    t.match(await contact(contactId), { failures: 1, retries: true, claimed: false });
    const closed = once(server, 'close');
    server.close();
    await closed;
    t.pass('and no connection is left open');
  }
});

t.test('news is gathered, and messages to one contact have a pause between them', async (t) => {
  const server = await mailServer(t);
  const { pool, notifier, says, pass } = await house(t);
  for (const name of ['sw1', 'sw2', 'sw3']) await addDevice(pool, { name, group: 'north', noticeable: true });
  await addContact(pool, 'north', 'mail', 'noc@example.net');
  await addContact(pool, 'north', 'mail', 'chief@example.net');
  const one = notifier(mailSettings(server.port, { gatherSeconds: 10, pauseSeconds: 60 }));
  await says('sw1', 'down');
  await one.tell();
  t.equal(server.taken.length, 0, 'more may follow');
  await pass(9);
  await says('sw2', 'unreachable');
  await says('sw1', 'up', nowMs + 1);
  await says('sw1', 'down', nowMs + 2);
  await pass(1);
  await one.tell();
  t.same(server.taken.map((mail) => [mail.to[0], mail.subject]).sort(), [
    ['chief@example.net', '2 devices: 1 DOWN, 1 UNREACHABLE'],
    ['noc@example.net', '2 devices: 1 DOWN, 1 UNREACHABLE'],
  ]);
  t.match(server.taken[0]!.text, /^sw1 is DOWN .*\n {2}it changed 3 times since .*\n\nsw2 is UNREACHABLE/u);
  await says('sw3', 'down');
  await pass(50);
  await one.tell();
  t.equal(server.taken.length, 2, 'within the pause nothing goes out');
  await pass(10);
  await one.tell();
  t.equal(server.taken.length, 4);
});

interface Posted {
  readonly headers: IncomingMessage['headers'];
  readonly body: string;
  readonly url: string;
}

/** A web server that answers with a status, or with what `answer` does. */
async function webServer(
  t: Test,
  answer: number | ((request: IncomingMessage) => number | undefined),
): Promise<{ url: string; posted: Posted[]; server: Server }> {
  const posted: Posted[] = [];
  const server = createServer((request, response) => {
    const chunks: Buffer[] = [];
    request.on('data', (chunk: Buffer) => chunks.push(chunk));
    request.on('end', () => {
      posted.push({ headers: request.headers, body: Buffer.concat(chunks).toString('utf8'), url: request.url ?? '' });
      const status = typeof answer === 'number' ? answer : answer(request);
      if (status === undefined) return;
      response.writeHead(status, status >= 300 && status < 400 ? { location: '/elsewhere' } : {});
      response.end('x'.repeat(100_000));
    });
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  t.teardown(() => {
    server.closeAllConnections();
    server.close();
  });
  return { url: `http://127.0.0.1:${String((server.address() as AddressInfo).port)}/hook?x=1`, posted, server };
}

const hookSettings: Settings = { ...off, webhooks: true, gatherSeconds: 0, pauseSeconds: 0 };

/** One device, one webhook, and news of it. */
async function oneHook(
  t: Test,
  url: string,
  secretName: string | null = 'noc',
): Promise<House & { readonly contactId: number }> {
  const made = await house(t);
  await addDevice(made.pool, { name: 'sw1\r\n"x"', mac: '02:00:00:00:00:01', group: 'north', noticeable: true });
  const contactId = await addContact(made.pool, 'north', 'webhook', url, secretName);
  await made.says('02:00:00:00:00:01', 'down');
  return { ...made, contactId };
}

t.test('a webhook', async (t) => {
  const { url, posted } = await webServer(t, 204);
  const { notifier, notices } = await oneHook(t, url);
  await notifier(hookSettings).tell();
  t.equal(posted.length, 1);
  const [{ headers, body, url: path }] = posted as [Posted];
  t.equal(path, '/hook?x=1');
  t.match(headers, { 'content-type': 'application/json', 'x-sluice-timestamp': String(nowMs / 1000) });
  const signed = createHmac('sha256', secret)
    .update(`${String(nowMs / 1000)}${body}`)
    .digest('hex');
  t.equal(headers['x-sluice-signature'], signed);
  t.match(JSON.parse(body), {
    version: 1,
    id: '1.1.1',
    group: 'north',
    devices: [
      {
        name: 'sw1\r\n"x"',
        mac: '02:00:00:00:00:01',
        status: 'down',
        old_status: 'unknown',
        since: new Date(nowMs).toISOString(),
      },
    ],
  });
  t.notMatch(body, secret);
  t.same(await notices(), { waiting: 0, sent: 1, gaveUp: 0 });
});

t.test('without a secret nothing is signed', async (t) => {
  const { url, posted } = await webServer(t, 200);
  const { notifier } = await oneHook(t, url, null);
  await notifier(hookSettings).tell();
  t.equal(posted[0]!.headers['x-sluice-signature'], undefined);
});

t.test('answers of a webhook', async (t) => {
  const sent = { sent: 1 };
  const later = { waiting: 1 };
  const never = { gaveUp: 1 };
  const table: [status: number, end: object][] = [
    [200, sent],
    [202, sent],
    [301, never],
    [307, never],
    [400, never],
    [404, never],
    [408, later],
    [429, later],
    [500, later],
    [503, later],
  ];
  for (const [status, end] of table) {
    const { url, posted } = await webServer(t, status);
    const { notifier, notices, contact, contactId } = await oneHook(t, url);
    await notifier(hookSettings).tell();
    t.match(await notices(), end, String(status));
    t.equal(posted.length, 1, 'a redirect is not followed');
    if (end !== sent) t.match(await contact(contactId), { failures: 1, last_error: new RegExp(String(status), 'u') });
  }
});

t.test('webhooks that do not answer, are not there, or are none', async (t) => {
  const deaf = await webServer(t, () => undefined);
  const table: [what: string, url: string, secretName: string | null, end: object, error: RegExp][] = [
    ['no answer', deaf.url, 'noc', { waiting: 1 }, /no answer within 50 ms/u],
    ['nobody there', `http://127.0.0.1:${String(await closedPort())}/`, 'noc', { waiting: 1 }, /ECONNREFUSED/u],
    ['a secret that is not configured', deaf.url, 'other', { waiting: 1 }, /webhook_secrets has no 'other'/u],
    ['a secret of everybody', deaf.url, 'constructor', { waiting: 1 }, /has no 'constructor'/u],
    [
      'a password in the address',
      'http://user:password@127.0.0.1/',
      'noc',
      { gaveUp: 1 },
      /none that can be posted to/u,
    ],
    ['no address', 'http://[', 'noc', { gaveUp: 1 }, /none that can be posted to/u],
  ];
  for (const [what, url, secretName, end, error] of table) {
    const { notifier, notices, contact, contactId } = await oneHook(t, url, secretName);
    await notifier({ ...hookSettings, webhookTimeoutMs: 50 }).tell();
    t.match(await notices(), end, what);
    t.match(await contact(contactId), { failures: 1, last_error: error }, what);
  }
});

t.test('nobody is told while nothing is configured, or the contact is not active', async (t) => {
  const { url, posted } = await webServer(t, 200);
  const { pool, notifier, notices } = await oneHook(t, url);
  await notifier({ ...off, gatherSeconds: 0 }).tell();
  await pool.query('UPDATE device_contact SET active = false');
  await notifier(hookSettings).tell();
  t.equal(posted.length, 0);
  t.same(await notices(), { waiting: 1, sent: 0, gaveUp: 0 });
});

t.test('several servers: each message goes out once', async (t) => {
  const { url, posted } = await webServer(t, 200);
  const { pool, notifier, says, notices } = await house(t);
  for (let i = 0; i < 20; i++) {
    await addDevice(pool, { name: `sw${String(i)}`, group: `g${String(i)}`, noticeable: true });
    await addContact(pool, `g${String(i)}`, 'webhook', `${url}&n=${String(i)}`);
    await says(`sw${String(i)}`, 'down');
  }
  const servers = ['one', 'two', 'three'].map((instance) => notifier(hookSettings, instance));
  while ((await notices()).waiting > 0) await Promise.all(servers.map((server) => server.tell()));
  t.equal(posted.length, 20);
  t.equal(new Set(posted.map((one) => one.url)).size, 20);
});

t.test('a server that died in the middle: another one tells it when the claim is over', async (t) => {
  const { url, posted } = await webServer(t, 200);
  const { pool, notifier, pass, contact, contactId } = await oneHook(t, url);
  await pool.query(`UPDATE device_contact SET claimed_by = 'dead', claimed_until = now() + interval '10 minutes'`);
  const two = notifier(hookSettings, 'two');
  await two.tell();
  t.equal(posted.length, 0, 'it may still be on its way');
  await pass(601);
  await two.tell();
  t.equal(posted.length, 1);
  t.match(await contact(contactId), { claimed: false });
});

t.test('a server that stops breaks a post off, and another one tells it at once', async (t) => {
  const deaf = await webServer(t, () => undefined);
  const { pool, notifier, contact, contactId } = await oneHook(t, deaf.url);
  const one = notifier({ ...hookSettings, webhookTimeoutMs: 60_000 });
  one.start();
  await until(() => deaf.posted.length === 1);
  await one.stop();
  t.match(await contact(contactId), { claimed: false });
  const { url, posted } = await webServer(t, 200);
  await pool.query('UPDATE device_contact SET address = $1', [url]);
  await notifier(hookSettings, 'two').tell();
  t.equal(posted.length, 1);
  t.equal(
    JSON.parse(posted[0]!.body).id,
    JSON.parse(deaf.posted[0]!.body).id,
    'the receiver can tell that it is the same',
  );
});

t.test('a contact that is taken away takes with it what it was to be told', async (t) => {
  const { pool, notices } = await oneHook(t, 'http://127.0.0.1:9/');
  await pool.query('DELETE FROM device_contact');
  t.same(await notices(), { waiting: 0, sent: 0, gaveUp: 0 });
});

t.test('what was told long ago is deleted', async (t) => {
  const { notifier, notices, pass, says } = await oneHook(t, 'http://127.0.0.1:9/');
  const one = notifier(hookSettings);
  await pass(29 * 86_400);
  t.equal(await one.prune(), false);
  t.match(await notices(), { waiting: 1 });
  await pass(2 * 86_400);
  await says('02:00:00:00:00:01', 'up', nowMs + 1);
  await one.prune();
  t.match(await notices(), { waiting: 1 }, 'the newer one stays');
});

t.test('a thousand changes of one contact are told in messages of a bound', async (t) => {
  const { url, posted } = await webServer(t, 200);
  const { pool, notifier, notices } = await oneHook(t, url);
  const statuses: DeviceStatus[] = ['up', 'down'];
  await pool.query(
    `INSERT INTO device_notice (contact_id, device_id, status, old_status, at)
     SELECT 1, 1, ($1::text[])[1 + n % 2], ($1::text[])[2 - n % 2], now() FROM generate_series(1, 1000) n`,
    [statuses],
  );
  const one = notifier(hookSettings);
  while ((await notices()).waiting > 0) await one.tell();
  t.same(
    posted.map(({ body }) => (JSON.parse(body) as { devices: { changes: number }[] }).devices[0]!.changes),
    [500, 500, 1],
  );
});

async function closedPort(): Promise<number> {
  const server = net.createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  server.close();
  await once(server, 'close');
  return port;
}
