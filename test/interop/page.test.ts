/**
 * The pages in a real Chromium, over the whole demo: what people see at two widths, in light and dark, in two languages, and that nothing runs. Needs
 * Debian's chromium. With SLUICE_SCREENSHOTS naming a folder, the pictures stay there.
 */
import { access, mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { chromium, type Browser } from 'playwright-core';
import t, { type Test } from 'tap';
import { startDemo, temporaryDirectory } from '../../src/demo/demo.js';
import { addDevice } from '../support/devices.js';
import { addLease, addRefusal } from '../support/lease-rows.js';
import { pageHouse } from '../support/page.js';
import { addAccount, addLiveSession, addSubscriber } from '../support/subscriber-rows.js';
import { waitFor } from '../support/deadline.js';
import { hostileTexts } from '../status/hostile-text.js';

const CHROMIUM = '/usr/bin/chromium';
const SCREENSHOTS = process.env['SLUICE_SCREENSHOTS'];
/** How long the town takes to wake up on a loaded machine, ms. */
const MORNING_MS = 120_000;

const found = await access(CHROMIUM).then(
  () => true,
  () => false,
);
const skip = found ? false : 'needs: apt-get install chromium';

async function browserFor(t: { teardown(end: () => Promise<void>): void }): Promise<Browser> {
  // Tests run as root in containers, where Chromium's own sandbox has no user namespaces.
  const browser = await chromium.launch({ executablePath: CHROMIUM, args: ['--no-sandbox'] });
  t.teardown(() => browser.close());
  return browser;
}

t.test('a provider comes to life on the page', { skip, timeout: 300_000 }, async (t) => {
  const directory = await temporaryDirectory();
  t.teardown(directory.remove);
  const demo = await startDemo({
    directory: directory.path,
    subscribers: 200,
    seed: 1,
    statusPort: 0,
    say: () => undefined,
  });
  t.teardown(() => demo.stop());
  demo.failed.catch((error: unknown) => t.fail(String(error)));
  const api = async <Answer>(path: string): Promise<Answer> =>
    (await (await fetch(new URL(path, demo.pageUrl))).json()) as Answer;
  type Overview = { totals: { sessions: number; rejects: { count: number }[] }; lastHour: { atMs: number[] } };
  await waitFor('sessions, rejects and charts', MORNING_MS, async () => {
    const { totals, lastHour } = await api<Overview>('/api/overview');
    return totals.sessions > 150 && totals.rejects.length > 1 && lastHour.atMs.length > 3;
  });
  type Person = { id: number; redirect: boolean; own_disabled: boolean; admin_blocked: boolean };
  const off = await waitFor('somebody who is blocked', MORNING_MS, async () => {
    const { people } = await api<{ people: Person[] }>('/api/subscribers?q=C-10');
    const more = await api<{ people: Person[] }>('/api/subscribers?q=C-101');
    return [...people, ...more.people].find((one) => one.redirect || one.own_disabled || one.admin_blocked)?.id;
  });
  type Nas = { name: string; standing: { counts: Record<string, number>; owner: string } };
  type Command = { subscriber_id: number; command: string; outcome: string; detail: string };
  const told = await waitFor('a CoA that was acknowledged', MORNING_MS, async () => {
    const { commands } = await api<{ commands: Command[] }>('/api/nas/bras1');
    return commands.find((one) => /redirect|rate/.test(one.command) && one.outcome === 'applied')?.subscriber_id;
  });
  const { rows } = await api<{ rows: { subscriber_id: number }[] }>('/api/sessions');
  const online = rows[0]!.subscriber_id;
  const pages = {
    overview: '/',
    search: '/subscribers?q=C-100',
    online: `/subscribers/${String(online)}`,
    offline: `/subscribers/${String(off)}`,
    told: `/subscribers/${String(told)}`,
    sessions: '/sessions',
    leases: '/leases',
    devices: '/devices',
    nas: '/nas',
    'one-nas': '/nas/bras1',
    pools: '/pools',
    'set-aside': '/set-aside',
  };
  if (SCREENSHOTS !== undefined) await mkdir(SCREENSHOTS, { recursive: true });
  const browser = await browserFor(t);
  await lookAtAll(t, browser, demo.pageUrl, pages);

  await demo.command(['plan', 'set', 'home-200', 'down=20M']);
  const held = await waitFor('the fuse', MORNING_MS, async () => {
    const now = await api<{ held?: { changes: number } }>('/api/overview');
    return (now.held?.changes ?? 0) > 0 && now.held;
  });
  t.ok(held.changes > 0, 'a plan that gets slower for a third of the town is held');
  const waiting = await api<{ unsettled: { subscriber_id: number; state: string }[] }>('/api/nas/bras1');
  const heldOne = waiting.unsettled.find((one) => one.state === 'held')?.subscriber_id;
  await lookAtAll(t, browser, demo.pageUrl, {
    'held-overview': '/',
    'held-nas': '/nas',
    'held-one-nas': '/nas/bras1',
    'held-subscriber': `/subscribers/${String(heldOne)}`,
  });
  await demo.command(['hold', 'release']);
  await waitFor('everybody as desired again', MORNING_MS, async () => {
    const { held: left, places } = await api<{ held?: unknown; places: Record<string, number> }>('/api/overview');
    return left === undefined && (places['held'] ?? 0) === 0;
  });
  const nases = await api<Nas[]>('/api/nas');
  t.same(
    nases.map((nas) => nas.standing.owner),
    ['demo', 'demo'],
  );

  const page = await (await browser.newContext({ javaScriptEnabled: false, locale: 'en-GB' })).newPage();
  await page.goto(demo.pageUrl);
  await page.fill('input[name=q]', 'C-10008');
  await page.click('form.search button');
  await page.click('td a');
  t.match(await page.textContent('.sentence'), /^O(n|ff)line/, 'search and a person, without any script');
  t.match(await page.textContent('main'), 'C-10008');
});

/** Looks at pages at two widths, in light and dark, in two languages. */
async function lookAtAll(
  t: Test,
  browser: Browser,
  pageUrl: string,
  pages: Readonly<Record<string, string>>,
): Promise<void> {
  for (const width of [390, 1280])
    for (const [colorScheme, locale] of [
      ['light', 'en-GB'],
      ['dark', 'ru-RU'],
    ] as const) {
      const context = await browser.newContext({ colorScheme, locale, viewport: { width, height: 844 } });
      const page = await context.newPage();
      const complaints: string[] = [];
      page.on('console', (message) => complaints.push(message.text()));
      page.on('request', (request) => {
        if (!request.url().startsWith(pageUrl)) complaints.push(`asked for ${request.url()}`);
      });
      for (const [name, path] of Object.entries(pages)) {
        const label = `${name}, ${String(width)} px, ${colorScheme}`;
        const answer = await page.goto(new URL(path, pageUrl).href);
        t.equal(answer?.status(), 200, label);
        const overflow = await page.evaluate(
          'document.documentElement.scrollWidth - document.documentElement.clientWidth',
        );
        t.equal(overflow, 0, `${label}: nothing sticks out`);
        t.equal(await page.getAttribute('html', 'lang'), locale.slice(0, 2));
        if (SCREENSHOTS !== undefined)
          await page.screenshot({
            path: join(SCREENSHOTS, `${name}-${colorScheme}-${String(width)}.png`),
            fullPage: true,
          });
      }
      t.match(await page.locator('nav a').allTextContents(), locale === 'ru-RU' ? ['Обзор'] : ['Overview']);
      t.same(complaints, [], 'no complaint of the browser, no request to elsewhere');
      await context.close();
    }
}

t.test('leases, access lines and devices', { skip, timeout: 300_000 }, async (t) => {
  const house = await pageHouse(t, {
    decision: { answer: 'accept', state: 'active', slot: 0, address: { from: 'none' } },
  });
  const { pool } = house.database;
  const minutesAgo = (minutes: number): Date => new Date(Date.now() - minutes * 60_000);
  const switchMac = '3c:33:32:66:43:50';
  const deviceId = await addDevice(pool, {
    name: 'Lenina 5 entrance 2',
    mac: switchMac,
    address: '10.9.0.5',
    group: 'north',
    place: 'attic, grey cabinet',
    status: 'up',
    status_since: minutesAgo(6000),
  });
  await addDevice(pool, {
    name: 'Sadovaya 12',
    mac: '3c:33:32:66:43:51',
    status: 'down',
    status_since: minutesAgo(42),
  });
  const onuId = await addDevice(pool, {
    kind: 'onu',
    serial: 'HWTC1A2B3C4D',
    status: 'unreachable',
    status_since: minutesAgo(40),
  });
  const people: number[] = [];
  for (let port = 1; port <= 24; port++) {
    const accountId = await addAccount(pool, {
      contract: `C-${String(1000 + port)}`,
      name: `Anna Petrova ${String(port)}`,
      address: `Lenina 5, ${String(port)}`,
    });
    const mac = `02:00:00:00:00:${String(port).padStart(2, '0')}`;
    const id = await addSubscriber(pool, {
      accountId,
      login: `user${String(port)}`,
      device_id: deviceId,
      port: String(port),
      mac,
    });
    people.push(id);
    if (port % 3 === 0) continue;
    const address = `100.65.0.${String(port)}`;
    const ends = port % 7 === 0 ? { ends_at: minutesAgo(3) } : {};
    const seen = port === 1 ? '02:00:00:00:00:77' : mac;
    await addLease(pool, {
      address,
      mac: seen,
      subscriber_id: id,
      device_id: deviceId,
      port: String(port),
      began_at: minutesAgo(port),
      ...ends,
    });
    await addLiveSession(pool, { subscriberId: id, acctSessionId: `${address} ${seen}`, address, mac: seen });
  }
  await pool.query(
    'UPDATE subscriber SET logged = EXISTS (SELECT FROM session e WHERE e.subscriber_id = subscriber.id)',
  );
  const flat = await addSubscriber(pool, { accountId: await addAccount(pool), login: 'flat', device_id: onuId });
  for (const [index, row] of [
    { reason: 'line-unknown', circuit_id: '000408770017', remote_id: '00063c3332664350', repeats: 1200 },
    { reason: 'no-device', device: '02:0a:00:00:00:01', port: '7', mac: '02:00:00:00:00:99' },
    {
      reason: 'mac-differs',
      device: switchMac,
      port: '1',
      subscriber_id: people[0],
      detail: '02:00:00:00:00:01',
      mac: '02:00:00:00:00:55',
    },
    { reason: 'several', detail: 'user1, user2', circuit_id: Buffer.from('olt7 xpon 0/1/0/5:2.2.100').toString('hex') },
    { reason: 'declined', kind: 'decline', mac: '02:00:00:00:00:98' },
  ].entries())
    await addRefusal(pool, {
      address: `100.65.1.${String(index)}`,
      at: minutesAgo(index),
      first_at: minutesAgo(600),
      ...row,
    });
  for (const [status, old] of [
    ['up', 'down'],
    ['down', 'up'],
  ])
    await pool.query(
      `INSERT INTO device_event (at, device_id, status, old_status, effect, told, source, note) VALUES (now(), $1, $2, $3, 'changed', 2, 'nagios', 'no ping for five minutes')`,
      [deviceId, status, old],
    );
  if (SCREENSHOTS !== undefined) await mkdir(SCREENSHOTS, { recursive: true });
  await lookAtAll(t, await browserFor(t), await house.listen(), {
    'some-leases': '/leases',
    'leases-refused': '/leases/refused',
    'leases-of-a-port': '/leases?q=Lenina 5 entrance 2 1',
    'some-devices': '/devices',
    'one-device': `/devices/${String(deviceId)}`,
    'line-of-somebody': `/subscribers/${String(people[0])}`,
    'behind-a-silent-onu': `/subscribers/${String(flat)}`,
    'search-by-switch': '/subscribers?q=Lenina 5 entrance 2',
    'overview-with-devices': '/',
    'no-devices': '/devices?q=nobody',
  });
  t.same(house.errors, []);
});

t.test('fifty hostile texts do nothing in a browser', { skip, timeout: 300_000 }, async (t) => {
  const house = await pageHouse(t);
  const base = await house.listen();
  const ids: number[] = [];
  for (const text of hostileTexts) {
    const accountId = await addAccount(house.database.pool, {
      contract: `c ${text}`,
      name: text,
      phone: text,
      address: text,
    });
    const device_id = await addDevice(house.database.pool, { name: `d ${text}`.slice(0, 100), place: text });
    const id = await addSubscriber(house.database.pool, { accountId, login: `l ${text}`, nas_name: text, device_id });
    ids.push(id);
    await addRefusal(house.database.pool, {
      address: `10.0.0.${String(ids.length)}`,
      subscriber_id: id,
      reason: text,
      detail: text,
      device: text,
      port: text,
      circuit_id: Buffer.from(text).toString('hex'),
    });
  }
  const page = await (await (await browserFor(t)).newContext({ locale: 'en-GB' })).newPage();
  const complaints: string[] = [];
  page.on('dialog', (dialog) => {
    complaints.push(dialog.message());
    void dialog.dismiss();
  });
  page.on('request', (request) => {
    if (!request.url().startsWith(base)) complaints.push(request.url());
  });
  for (const [index, text] of hostileTexts.entries()) {
    for (const path of [
      `/devices/${String(index + 1)}`,
      `/subscribers/${String(ids[index])}`,
      `/subscribers?q=${encodeURIComponent(`l ${text}`)}`,
    ]) {
      await page.goto(base + path);
      t.equal(await page.evaluate('typeof window.PWNED'), 'undefined', `text ${String(index)} on ${path.slice(0, 13)}`);
    }
    t.equal(
      await page.inputValue('input[name=q]'),
      `l ${text}`.replaceAll(/[\r\n]/g, '').trim(),
      'the field shows it as typed, without space around it',
    );
  }
  for (const path of ['/leases', '/leases/refused', '/devices']) {
    await page.goto(base + path);
    t.equal(await page.evaluate('typeof window.PWNED'), 'undefined', path);
  }
  t.same(complaints, []);
});
