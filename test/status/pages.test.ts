/** The pages over a real database: what they show, to whom, and what they refuse. */
import t from 'tap';
import { SecretValue } from '../../src/config/secret-value.js';
import type { Measure } from '../../src/status/metrics.js';
import { addDevice } from '../support/devices.js';
import { foreignMarkup } from '../support/foreign-markup.js';
import { pageHouse, type PageHouse } from '../support/page.js';
import { addAccount, addLiveSession, addPlan, addPool, addSubscriber } from '../support/subscriber-rows.js';
import { hostileTexts } from './hostile-text.js';

const measures: readonly Measure[] = [
  {
    name: 'access_total',
    help: 'x',
    kind: 'counter',
    labels: ['outcome', 'reason'],
    read: () => [
      { labels: { outcome: 'accept', reason: 'active' }, value: 7 },
      { labels: { outcome: 'reject', reason: 'wrong-password' }, value: 3 },
      { labels: { outcome: 'reject', reason: 'unknown-login' }, value: 5 },
    ],
  },
  {
    name: 'radius_dropped_total',
    help: 'x',
    kind: 'counter',
    labels: ['nas', 'reason'],
    read: () => [{ labels: { nas: 'bras1', reason: 'bad-authenticator' }, value: 2 }],
  },
  { name: 'directory_sessions', help: 'x', kind: 'gauge', read: () => 4711 },
];

interface Ivanov {
  readonly house: PageHouse;
  readonly id: number;
}

/** One subscriber with everything that a page can show. */
async function withIvanov(t: Parameters<typeof pageHouse>[0], options = {}): Promise<Ivanov> {
  const house = await pageHouse(t, { measures, decision: { answer: 'reject', reason: 'own-disabled' }, ...options });
  const { pool } = house.database;
  const planId = await addPlan(pool, { name: 'home' });
  const accountId = await addAccount(pool, {
    planId,
    contract: 'C-1007',
    name: 'Пётр Иванов',
    phone: '+7 901 234-56-78',
    address: 'ул. Ленина 1, 12',
  });
  const id = await addSubscriber(pool, {
    accountId,
    login: 'ivanov',
    mac: '02:00:00:00:00:07',
    password: 'ha1lo-s3cret',
  });
  await pool.query(`UPDATE subscriber SET own_disabled = true, own_disabled_reason = 'on holiday' WHERE id = $1`, [id]);
  await addPool(pool, '100.64.0.0/29', ['100.64.0.1', '100.64.0.2'], { name: 'main' });
  await pool.query(`INSERT INTO nas (name, profile, last_packet_at) VALUES ('bras1', 'linux', now())`);
  await pool.query(
    `INSERT INTO access_attempt (at, login, mac, nas_name, subscriber_id, outcome, reason)
     VALUES (now(), 'ivanov', '02:00:00:00:00:07', 'bras1', $1, 'reject', 'own-disabled'),
            (now(), 'ivanof', '02:00:00:00:00:08', 'bras1', NULL, 'reject', 'unknown-login')`,
    [id],
  );
  await pool.query(
    `INSERT INTO assignment (routing_domain, address, subscriber_id, login, nas_name, started_at, ended_at, end_cause)
     VALUES ('default', '100.64.0.1', $1, 'ivanov', 'bras1', '2026-11-01 20:30+00', '2026-11-01 22:00+00', 'stop')`,
    [id],
  );
  return { house, id };
}

t.test('the overview shows what the metrics count', async (t) => {
  const { house } = await withIvanov(t);
  const { body } = await house.get('/');
  for (const text of ['4,711', 'the password is wrong', 'bras1: bad-authenticator', 'main', '100.64.0.0/29'])
    t.match(body, text);
  const json = (await house.get('/api/overview')).json<{ totals: { rejects: unknown } }>();
  t.same(json.totals.rejects, [
    { reason: 'unknown-login', count: 5 },
    { reason: 'wrong-password', count: 3 },
  ]);
});

t.test('people are found by whatever is known of them', async (t) => {
  const { house, id } = await withIvanov(t);
  await addLiveSession(house.database.pool, {
    subscriberId: id,
    acctSessionId: 'a',
    address: '100.64.0.1',
    mac: '02:00:00:00:00:99',
  });
  const ways = [
    'ivan',
    'IVANOV',
    'c-10',
    'иван',
    'ИВАНОВ петр',
    'ленина 12',
    '8 901 234-56-78',
    '2345678',
    '0200.0000.0007',
    '100.64.0.1',
    '02-00-00-00-00-99',
  ];
  for (const way of ways) {
    const found = (await house.get(`/api/subscribers?q=${encodeURIComponent(way)}`)).json<{
      people: { id: number }[];
    }>();
    t.same(
      found.people.map((one) => one.id),
      [id],
      way,
    );
  }
  for (const way of ['nobody', 'ленина 13', '9999999', '%', '_vanov', '100.64.0.2', "' OR 1=1 --", 'и'])
    t.same(
      (await house.get(`/api/subscribers?q=${encodeURIComponent(way)}`)).json<{ people: unknown[] }>().people,
      [],
      way,
    );
});

t.test(
  'a word that nearly everybody has fills a page from the newest; a rare one is found wherever it stands',
  async (t) => {
    const house = await pageHouse(t);
    const { pool } = house.database;
    // The first and the last street are one; every other address has the common word alone.
    await pool.query(
      `INSERT INTO account (contract, address)
     SELECT 'C-' || i, 'ул. ' || CASE WHEN i IN (1, 2000) THEN 'Садовая' ELSE 'Улица' || i END FROM generate_series(1, 2000) i`,
    );
    await pool.query(
      `INSERT INTO subscriber (account_id, login, static_address, deleted, deleted_at, released_at)
     SELECT id, 'user' || id, '10.0.0.0'::inet + id % 1000, id > 1000, CASE WHEN id > 1000 THEN now() END, CASE WHEN id > 1000 THEN now() END FROM account`,
    );
    const found = async (words: string): Promise<{ logins: string[]; more: boolean }> => {
      const { people, more } = (await house.get(`/api/subscribers?q=${encodeURIComponent(words)}`)).json<{
        people: { login: string }[];
        more: boolean;
      }>();
      return { logins: people.map((one) => one.login), more };
    };
    const common = await found('ул');
    t.equal(new Set(common.logins).size, 50);
    t.equal(common.more, true);
    t.same(
      await found('садовая'),
      { logins: ['user1', 'user2000'], more: false },
      'among the newest and among the oldest',
    );
    t.same(await found('ул садовая'), { logins: ['user1', 'user2000'], more: false });
    t.same(await found('улица77'), {
      logins: ['user77', ...[770, 771, 772, 773, 774, 775, 776, 777, 778, 779].map((n) => `user${String(n)}`)],
      more: false,
    });
    t.same(await found('10.0.0.5'), { logins: ['user5'], more: false }, 'whoever was released has the address no more');
  },
);

t.test('logins that nobody has, and devices that nobody has, are found among the attempts', async (t) => {
  const { house } = await withIvanov(t);
  t.match((await house.get('/subscribers?q=ivanof')).body, /no subscriber has this login/);
  t.match((await house.get('/subscribers?q=02:00:00:00:00:08')).body, /ivanof/);
});

t.test('a subscriber: one sentence, flags with their authors, addresses of a day', async (t) => {
  const { house, id } = await withIvanov(t, {
    billingUrl: 'https://billing.example/c?login={login}&c={contract}&i={id}',
  });
  const { body } = await house.get(`/subscribers/${String(id)}`);
  t.match(body, /Offline: voluntarily blocked by the subscriber \(on holiday, sluice\/sluice\/test, /);
  t.match(body, `https://billing.example/c?login=ivanov&amp;c=C-1007&amp;i=${String(id)}`);
  t.match(body, /false → true/);
  t.notMatch(body, 'ha1lo-s3cret', 'and never the password');
  t.notMatch((await house.get(`/api/subscribers/${String(id)}`)).body, /password/);
  const russian = await house.get(`/subscribers/${String(id)}`, { 'accept-language': 'ru' });
  t.match(russian.body, /Не в сети: добровольная блокировка по желанию абонента \(on holiday, /);
  t.equal(russian.headers['content-language'], 'ru');

  const addresses = async (date: string) =>
    (await house.get(`/api/subscribers/${String(id)}?date=${date}`)).json<{
      addresses: { address: string }[];
      day?: string;
    }>();
  // 20:30 to 22:00 UTC is 23:30 to 01:00 in Moscow: two days of the configured zone.
  t.same(
    (await addresses('2026-11-01')).addresses.map((one) => one.address),
    ['100.64.0.1'],
  );
  t.same(
    (await addresses('2026-11-02')).addresses.map((one) => one.address),
    ['100.64.0.1'],
  );
  t.same((await addresses('2026-11-03')).addresses, []);
  for (const day of ['2026-02-30', 'x', '2026-11-01%00', '99999-01-01'])
    t.equal((await addresses(day)).day, undefined, `${day} is no day`);
});

t.test('who looked whom up is told, and only that', async (t) => {
  const { house, id } = await withIvanov(t);
  await house.get('/');
  await house.get('/subscribers?q=ivan');
  await house.get(`/subscribers/${String(id)}`);
  t.same(house.lookUps, [
    { user: undefined, remoteAddress: '127.0.0.1', search: 'ivan' },
    { user: undefined, remoteAddress: '127.0.0.1', subscriberId: id, login: 'ivanov' },
  ]);
});

t.test('lists are bounded, and go on', async (t) => {
  const { house, id } = await withIvanov(t);
  for (let i = 0; i < 103; i++)
    await addLiveSession(house.database.pool, { subscriberId: id, acctSessionId: `s${String(i)}`, slot: i });
  const first = (await house.get('/api/sessions')).json<{ rows: { id: number }[]; more: boolean }>();
  t.equal(first.rows.length, 100);
  t.ok(first.more);
  const last = first.rows.at(-1)!.id;
  t.match((await house.get('/sessions')).body, `/sessions?before=${String(last)}`);
  const second = (await house.get(`/api/sessions?before=${String(last)}`)).json<{ rows: unknown[]; more: boolean }>();
  t.equal(second.rows.length, 3);
  t.notOk(second.more);
  t.equal((await house.get('/api/sessions?nas=bras1')).json<{ rows: unknown[] }>().rows.length, 100);
  t.match((await house.get('/nas')).body, /103/);
  t.match((await house.get('/nas')).body, /bad-authenticator: 2/);
});

t.test('every page has a twin, and says what it is', async (t) => {
  const { house, id } = await withIvanov(t);
  await addDevice(house.database.pool, { name: 'sw1' });
  for (const path of [
    '/',
    '/subscribers',
    '/subscribers?q=i',
    `/subscribers/${String(id)}`,
    '/sessions',
    '/leases',
    '/leases?q=i',
    '/leases/refused',
    '/devices',
    '/devices?status=down',
    '/devices/1',
    '/nas',
    '/nas/bras1',
    '/pools',
    '/set-aside',
  ]) {
    const page = await house.get(path);
    t.equal(page.statusCode, 200, path);
    t.equal(page.headers['content-type'], 'text/html; charset=utf-8');
    t.match(page.headers['content-security-policy'], /^default-src 'none'; style-src 'self'/);
    t.equal(page.headers['cache-control'], 'no-store');
    t.notMatch(page.body, /<script|style=|javascript:| on[a-z]+=/i, `${path} has neither script nor style of its own`);
    t.notMatch(
      page.body.replaceAll('http://www.w3.org', ''),
      /(?:src|href|action)="(?:https?:)?\/\//,
      `${path} loads nothing from elsewhere`,
    );
    const twin = await house.get(`/api${path === '/' ? '/overview' : path}`);
    t.equal(twin.headers['content-type'], 'application/json; charset=utf-8', path);
    t.type(twin.json(), 'object');
  }
  t.same(house.errors, []);
});

t.test('what is not there is said so', async (t) => {
  const { house } = await withIvanov(t);
  for (const path of [
    '/nope',
    '/subscribers/99999999',
    '/subscribers/x',
    '/subscribers/-1',
    '/subscribers/99999999999999999999',
    '/api/nope',
    '/api/subscribers/0',
  ])
    t.equal((await house.get(path)).statusCode, 404, path);
  t.same((await house.get('/api/nope')).json(), { error: 'notFound' });
  t.equal((await house.get(`/subscribers/${'9'.repeat(5_000)}`)).statusCode, 414);
});

t.test('fifty hostile texts in every field are shown and do nothing', async (t) => {
  const house = await pageHouse(t);
  const { pool } = house.database;
  t.equal(hostileTexts.length, 50);
  for (const [index, text] of hostileTexts.entries()) {
    const login = `${String(index)}-${text}`;
    const planId = await addPlan(pool, { name: login.slice(0, 100) });
    const accountId = await addAccount(pool, { planId, contract: login, name: text, phone: text, address: text });
    const id = await addSubscriber(pool, { accountId, login, nas_name: text });
    await pool.query(
      `UPDATE subscriber SET redirect = true, redirect_reason = $2, deleted_reason = $2, admin_blocked = true, admin_blocked_reason = $2 WHERE id = $1`,
      [id, text],
    );
    await addLiveSession(pool, { subscriberId: id, acctSessionId: String(index) });
    await pool.query(`UPDATE session SET login = $2, conflict = $2, nas_port_id = $2 WHERE subscriber_id = $1`, [
      id,
      text,
    ]);
    await pool.query(
      `INSERT INTO access_attempt (at, login, nas_name, nas_port_id, subscriber_id, outcome, reason)
       VALUES (now(), $2, $3, $3, $1, 'reject', $3)`,
      [id, login, text],
    );
    await pool.query(
      `INSERT INTO assignment (routing_domain, address, subscriber_id, login, nas_name, started_at, ended_at, end_cause)
       VALUES ('default', '100.64.0.1', $1, $2, $2, now() - interval '2 hours', now() - interval '1 hour', $2)`,
      [id, text],
    );
    await pool.query(`UPDATE period SET closed_at = now(), close_reason = $2 WHERE subscriber_id = $1`, [id, text]);
    await pool.query(`INSERT INTO nas (name, profile) VALUES ($1, $2)`, [login, text]);
    await pool.query(
      `INSERT INTO set_aside (instance, spool_uuid, segment, byte_offset, nas_name, reason, detail, payload)
       VALUES ($1, gen_random_uuid(), 1, 1, $1, $1, $1, '')`,
      [text],
    );
    const query = encodeURIComponent(login);
    for (const path of [
      `/subscribers/${String(id)}`,
      `/subscribers?q=${query}`,
      `/sessions?nas=${encodeURIComponent(text)}`,
    ]) {
      const { body, statusCode } = await house.get(path);
      t.equal(statusCode, 200, `text ${String(index)} on ${path.slice(0, 13)}`);
      t.same(foreignMarkup(body), [], `text ${String(index)} on ${path.slice(0, 13)}`);
    }
    const found = (await house.get(`/api/subscribers?q=${query}`)).json<{ people: { name: string }[] }>();
    t.equal(found.people[0]?.name, text, 'and comes back as it was');
  }
  for (const path of ['/', '/sessions', '/nas', '/pools', '/set-aside'])
    t.same(foreignMarkup((await house.get(path)).body), [], path);
  t.same(house.errors, []);
});

t.test('anything but looking is refused', async (t) => {
  const { house, id } = await withIvanov(t);
  for (const method of ['POST', 'PUT', 'PATCH', 'DELETE', 'OPTIONS', 'TRACE'])
    for (const path of ['/', `/subscribers/${String(id)}`, '/api/overview', '/metrics', '/nope']) {
      const answer = await house.ask(method, path);
      t.equal(answer.statusCode, 405, `${method} ${path}`);
      t.equal(answer.headers['allow'], 'GET, HEAD');
    }
  t.equal((await house.ask('HEAD', '/')).statusCode, 200);
});

t.test('a web site that makes a browser ask for us by its own name gets nothing', async (t) => {
  const { house } = await withIvanov(t);
  for (const path of ['/', '/api/subscribers?q=ivanov', '/metrics', '/healthz'])
    t.equal((await house.get(path, { host: 'evil.example' })).statusCode, 421, path);
  const elsewhere = await pageHouse(t, { rules: { onLoopback: false } });
  t.equal(
    (await elsewhere.get('/', { host: '10.0.0.1:8080' })).statusCode,
    200,
    'off loopback passwords guard instead',
  );
});

t.test('with users, pages, twins and metrics want a name and a password; health does not', async (t) => {
  const users = [{ name: 'anna', passwordHash: SecretValue.of('hash') }];
  const { house, id } = await withIvanov(t, {
    rules: { users },
    checkPassword: async (_name: string, _hash: string, password: Buffer) =>
      String(password) === 'right' ? 'right' : 'wrong',
  });
  const basic = (password: string) => ({
    authorization: `Basic ${Buffer.from(`anna:${password}`).toString('base64')}`,
  });
  for (const path of ['/', '/subscribers?q=i', `/subscribers/${String(id)}`, '/api/sessions', '/metrics', '/nope']) {
    const refused = await house.get(path);
    t.equal(refused.statusCode, 401, path);
    t.match(refused.headers['www-authenticate'], /^Basic realm=/);
    t.equal((await house.get(path, basic('wrong'))).statusCode, 401, path);
    t.not((await house.get(path, basic('right'))).statusCode, 401, path);
  }
  t.equal(house.lookUps.at(-1)?.user, 'anna', 'and the log knows who it was');
  for (const path of ['/healthz', '/readyz', '/style.css']) t.equal((await house.get(path)).statusCode, 200, path);
});

t.test('status.metrics_open gives the metrics, and nothing else, to whoever asks', async (t) => {
  const users = [{ name: 'anna', passwordHash: SecretValue.of('hash') }];
  const house = await pageHouse(t, { rules: { users, metricsOpen: true } });
  t.equal((await house.get('/metrics')).statusCode, 200);
  t.equal((await house.get('/')).statusCode, 401);
  t.equal((await house.get('/api/overview')).statusCode, 401);
});

t.test('without the database the overview stays, and the rest says what is wrong', async (t) => {
  const house = await pageHouse(t, { away: true, measures });
  t.equal((await house.get('/')).statusCode, 200);
  t.match((await house.get('/')).body, /The database is away/);
  for (const path of ['/subscribers?q=i', '/subscribers/1', '/sessions', '/nas', '/pools', '/set-aside'])
    t.equal((await house.get(path)).statusCode, 503, path);
  t.same((await house.get('/api/pools')).json(), { error: 'databaseAway' });
  t.same(house.errors, []);
});
