/** Leases, access lines and devices on the pages: who has which, what was refused and why, what is down, and who sits behind it. */
import t from 'tap';
import type { AccessDecision } from '../../src/domain/access.js';
import { countLeases } from '../../src/store/lease-queries.js';
import { freshDatabase } from '../support/database.js';
import { addDevice } from '../support/devices.js';
import { foreignMarkup } from '../support/foreign-markup.js';
import { addLease, addRefusal } from '../support/lease-rows.js';
import { pageHouse, type PageHouse } from '../support/page.js';
import { addAccount, addLiveSession, addSubscriber } from '../support/subscriber-rows.js';
import { hostileTexts } from './hostile-text.js';

const decision: AccessDecision = { answer: 'accept', state: 'active', slot: 0, address: { from: 'none' } };
const SWITCH = '3c:33:32:66:43:50';
const minutesAgo = (minutes: number): Date => new Date(Date.now() - minutes * 60_000);

/** What a reader reads: without tags, and with single spaces. */
function plain(body: string): string {
  return body
    .replaceAll(/<[^>]*>/g, ' ')
    .replaceAll('&quot;', '"')
    .replaceAll('&#39;', "'")
    .replaceAll(/\s+/g, ' ');
}

interface Street {
  readonly house: PageHouse;
  readonly deviceId: number;
  /** Of user1 to user4, at ports 1, 2, 10 and 1/2 of the switch. */
  readonly ids: readonly number[];
  /** The page as a reader reads it. */
  readonly read: (path: string, language?: string) => Promise<string>;
}

/** A switch with four subscribers, the first of them online. */
async function street(t: Parameters<typeof pageHouse>[0]): Promise<Street> {
  const house = await pageHouse(t, { decision });
  const { pool } = house.database;
  const deviceId = await addDevice(pool, {
    name: 'Lenina 5 sw1',
    mac: SWITCH,
    address: '10.9.0.5',
    serial: 'DGS1210',
    group: 'north',
    place: 'attic',
    status: 'up',
    status_since: minutesAgo(600),
    status_at: minutesAgo(600),
  });
  const accountId = await addAccount(pool, { contract: 'C-5', name: 'Anna Petrova', address: 'Lenina 5, 12' });
  const ids: number[] = [];
  for (const [index, port] of ['1', '2', '10', '1/2'].entries())
    ids.push(await addSubscriber(pool, { accountId, login: `user${String(index + 1)}`, device_id: deviceId, port }));
  await pool.query(`UPDATE subscriber SET mac = '02:00:00:00:00:01', logged = true WHERE id = $1`, [ids[0]]);
  const read = async (path: string, language = 'en'): Promise<string> => {
    const answer = await house.get(path, { 'accept-language': language });
    return plain(answer.body);
  };
  return { house, deviceId, ids, read };
}

t.test('with nothing configured the pages say so, and the others are as before', async (t) => {
  const house = await pageHouse(t, { decision });
  const id = await addSubscriber(house.database.pool, { accountId: await addAccount(house.database.pool) });
  t.match(plain((await house.get('/leases')).body), /No DHCP server has told of a lease yet\. .* None\./);
  t.match(plain((await house.get('/devices')).body), /No device is registered\./);
  t.match(plain((await house.get('/devices?status=down')).body), /Monitoring says of none that it is down\./);
  const russian = { 'accept-language': 'ru' };
  t.match((await house.get('/leases', russian)).body, 'Ни один DHCP-сервер ещё не сообщал об аренде.');
  t.match((await house.get('/devices', russian)).body, 'Ни одно устройство не заведено.');
  t.notMatch((await house.get('/')).body, 'Leases and devices');
  const person = (await house.get(`/subscribers/${String(id)}`)).body;
  for (const section of ['Access line', 'DHCP leases', 'MAC seen', 'not followed']) t.notMatch(person, section);
  t.match((await house.get('/api/leases')).json(), {
    search: '',
    counts: { bound: 0, overdue: 0, refused_last_hour: 0 },
    leases: [],
    next: null,
    refused: [],
  });
  t.match((await house.get('/api/devices')).json(), { devices: [], down: [], next: null });
  for (const path of ['/devices/1', '/devices/x', '/devices/0', '/api/devices/99999999999999999999'])
    t.equal((await house.get(path)).statusCode, 404, path);
  t.same(house.errors, []);
});

t.test('bound leases with subscriber, device and end; one that nobody ended is marked', async (t) => {
  const { house, deviceId, ids, read } = await street(t);
  const { pool } = house.database;
  await addLease(pool, {
    address: '100.65.0.1',
    mac: '02:00:00:00:00:01',
    subscriber_id: ids[0],
    device_id: deviceId,
    port: '1',
    began_at: minutesAgo(10),
  });
  await addLease(pool, {
    address: '100.65.0.2',
    subscriber_id: ids[1],
    nas_name: 'dhcp',
    began_at: minutesAgo(20),
    ends_at: null,
  });
  await addLease(pool, {
    address: '100.65.0.3',
    subscriber_id: ids[2],
    began_at: minutesAgo(30),
    ends_at: minutesAgo(5),
  });
  await addLease(pool, { address: '100.65.0.4', subscriber_id: ids[3], ended_at: minutesAgo(1) });
  const page = await read('/leases');
  t.match(
    page,
    /100\.65\.0\.1 02:00:00:00:00:01 user1 bras1 Lenina 5 sw1 1 20.* 100\.65\.0\.2 user2 no NAS .* no end was told .* 100\.65\.0\.3 user3 bras1 .* overdue/,
    'newest first',
  );
  t.match(page, /Leases bound: 3 of these overdue: 1/);
  t.match(page, /A DHCP server that is silent ends nobody\./);
  t.notMatch(page, '100.65.0.4', 'what has ended is not bound');
  t.match((await house.get('/leases')).body, `<a href="/devices/${String(deviceId)}">Lenina 5 sw1</a>`);
  t.match((await house.get('/api/leases')).json(), {
    leases: [
      { address: '100.65.0.1', login: 'user1', device: 'Lenina 5 sw1', port: '1', overdue: false },
      { address: '100.65.0.2', ends_at: null, overdue: false },
      { address: '100.65.0.3', overdue: true },
    ],
  });
  t.match(await read('/leases', 'ru'), /просрочена .* Молчание DHCP-сервера никого не отключает/);

  const found = async (typed: string): Promise<string[]> =>
    (await house.get(`/api/leases?q=${encodeURIComponent(typed)}`))
      .json<{ leases: { address: string }[] }>()
      .leases.map(({ address }) => address);
  const ways: readonly (readonly [string, readonly string[]])[] = [
    ['100.65.0.2', ['100.65.0.2']],
    ['0200.0000.0001', ['100.65.0.1']],
    ['USER3', ['100.65.0.3']],
    ['user', ['100.65.0.1', '100.65.0.2', '100.65.0.3']],
    ['lenina 5 SW1', ['100.65.0.1']],
    [SWITCH, ['100.65.0.1']],
    ['10.9.0.5', ['100.65.0.1']],
    ['dgs1210', ['100.65.0.1']],
    ['Lenina 5 sw1 1', ['100.65.0.1']],
    ['3C-33-32-66-43-50 01', ['100.65.0.1']],
    ['Lenina 5 sw1 2', []],
    ['100.65.0.4', []],
    ['%', []],
    ['nobody', []],
  ];
  for (const [typed, addresses] of ways) t.same(await found(typed), addresses, typed);
  t.equal(house.lookUps.at(-1)?.search, 'nobody', 'whoever looks somebody up is named in the log');
  t.same(house.errors, []);
});

t.test('leases are counted while they are few, and known from their index when there are too many', async (t) => {
  const { pool } = await freshDatabase(t);
  const subscriberId = await addSubscriber(pool, { accountId: await addAccount(pool) });
  for (let i = 1; i <= 3; i++)
    await addLease(pool, { address: `10.0.0.${String(i)}`, subscriber_id: subscriberId, ends_at: minutesAgo(i - 2) });
  await addLease(pool, { address: '10.0.0.9', ended_at: minutesAgo(1) });
  await addRefusal(pool, { address: '10.0.0.1', at: minutesAgo(59) });
  await addRefusal(pool, { address: '10.0.0.2', at: minutesAgo(61) });
  t.same(await countLeases(pool), { bound: 3, is_estimate: false, overdue: 2, refused_last_hour: 1 });
  await pool.query('VACUUM ANALYZE lease');
  t.same(await countLeases(pool, 0), { bound: 3, is_estimate: true, overdue: null, refused_last_hour: 1 });
});

t.test('the list of leases goes on where it ended, whatever comes meanwhile', async (t) => {
  const house = await pageHouse(t);
  const { pool } = house.database;
  const id = await addSubscriber(pool, { accountId: await addAccount(pool), login: 'user1' });
  await pool.query(
    `INSERT INTO lease (routing_domain, address, state, subscriber_id, nas_name, began_at, committed_at, event_at, source, via)
     SELECT 'default', '10.0.0.0'::inet + i, 'bound', $1, 'bras1', t, t, t, 'dhcp1', 'hook'
     FROM generate_series(1, 250) AS i, LATERAL (SELECT now() - make_interval(mins => i / 3) AS t) AS at`,
    [id],
  );
  type Answer = { leases: { address: string }[]; next: string | null };
  for (const query of ['', 'q=user1&']) {
    const seen: string[] = [];
    let next: string | null = '';
    let pages = 0;
    while (next !== null) {
      const answer: Answer = (
        await house.get(`/api/leases?${query}${next === '' ? '' : `before=${encodeURIComponent(next)}`}`)
      ).json<Answer>();
      seen.push(...answer.leases.map(({ address }) => address));
      ({ next } = answer);
      pages += 1;
      await addLease(pool, { address: `10.1.${query === '' ? '0' : '1'}.${String(pages)}`, subscriber_id: id });
    }
    t.equal(pages, 3);
    t.equal(new Set(seen).size, seen.length, 'nothing comes twice');
    t.equal(seen.filter((address) => address.startsWith('10.0.')).length, 250, 'and nothing is left out');
  }
  const body = (await house.get('/leases')).body;
  t.match(body, /<a class="next" href="\/leases\?before=\d+-10\.0\.[\d.]+-default">Older<\/a>/);
  for (const before of ['x', '1-2-3', '-1-10.0.0.1-default', "1-10.0.0.1-' OR 1=1", '9'.repeat(300)])
    t.equal((await house.get(`/leases?before=${encodeURIComponent(before)}`)).statusCode, 200, before.slice(0, 30));
  t.same(house.errors, []);
});

t.test('refused events: the reason in words, how often, since when, and what they named', async (t) => {
  const { house, ids, read } = await street(t);
  const { pool } = house.database;
  await addRefusal(pool, {
    address: '100.65.0.9',
    mac: '02:00:00:00:00:09',
    reason: 'mac-differs',
    detail: '02:00:00:00:00:01',
    subscriber_id: ids[0],
    device: SWITCH,
    port: '1',
    circuit_id: '000408770017',
    remote_id: '65746820302f32',
    repeats: 1200,
    first_at: new Date('2026-11-01T09:00:00Z'),
  });
  await addRefusal(pool, { address: '100.65.0.8', reason: 'line-unknown', at: minutesAgo(120), circuit_id: 'ff00' });
  await addRefusal(pool, {
    address: '100.65.0.7',
    reason: 'of another release',
    kind: 'of another',
    at: minutesAgo(200),
  });
  const page = await read('/leases');
  t.match(
    page,
    /1,200 times, since 2026-11-01 12:00:00 lease 100\.65\.0\.9 02:00:00:00:00:09 user1 3c:33:32:66:43:50 Port 1 circuit 000408770017 remote "eth 0\/2" the MAC address is not the one that the subscriber is bound to : 02:00:00:00:00:01 dhcp1/,
  );
  t.match(page, /no rule of lines\.toml knows this option 82/);
  t.match(page, /of another 100\.65\.0\.7 of another release/, 'a word of another release is shown as it is');
  t.match(page, /Events not followed, last hour: 1/);
  t.match((await house.get('/leases')).body, `<a href="/subscribers/${String(ids[0])}">user1</a>`);
  const russian = await read('/leases', 'ru');
  t.match(russian, /1\s200 раз, с 2026-11-01 12:00:00 аренда .* MAC-адрес не тот, к которому привязан абонент/);
  t.match(russian, /ни одно правило lines\.toml не понимает эту опцию 82/);

  const found = async (query: string): Promise<string[]> =>
    (await house.get(`/api/leases/refused?${query}`))
      .json<{ refused: { address: string }[] }>()
      .refused.map(({ address }) => address);
  t.same(await found(''), ['100.65.0.9', '100.65.0.8', '100.65.0.7']);
  t.same(await found('reason=mac-differs'), ['100.65.0.9']);
  t.same(await found('reason=nothing%00'), []);
  for (const typed of ['100.65.0.9', '02-00-00-00-00-09', 'user1', SWITCH, `${SWITCH} 1`])
    t.same(await found(`q=${encodeURIComponent(typed)}`), ['100.65.0.9'], typed);
  t.same(await found(`q=${encodeURIComponent(`${SWITCH} 2`)}`), []);
  t.match(await read('/leases/refused?reason=mac-differs'), /bound to any reason/);

  await pool.query(
    `INSERT INTO lease_refusal (first_at, at, routing_domain, address, kind, reason, source, via)
     SELECT now() - make_interval(days => 1), now() - make_interval(days => 1, secs => i / 2), 'default', '10.0.0.0'::inet + i, 'commit', 'no-device', 'dhcp1', 'hook'
     FROM generate_series(1, 150) AS i`,
  );
  const first = (await house.get('/api/leases/refused')).json<{ refused: unknown[]; next: string }>();
  const rest = (await house.get(`/api/leases/refused?before=${first.next}`)).json<{ refused: unknown[]; next: null }>();
  t.same([first.refused.length, rest.refused.length, rest.next], [100, 53, null], 'the list goes on where it ended');
  t.match((await house.get('/leases')).body, '<a class="next" href="/leases/refused?">All of them</a>');
  t.same(house.errors, []);
});

t.test('devices: what is down stands first; everybody who is plugged in is counted', async (t) => {
  const { house, deviceId, read } = await street(t);
  const { pool } = house.database;
  await addDevice(pool, {
    mac: '02:0a:00:00:00:01',
    status: 'down',
    status_since: minutesAgo(30),
    status_at: minutesAgo(3),
  });
  await addDevice(pool, { kind: 'onu', serial: 'HWTC1A2B3C4D', status: 'unreachable', status_since: minutesAgo(20) });
  await addDevice(pool, { name: 'a switch that is gone', deleted: true });
  const page = await read('/devices');
  t.match(
    page,
    /Down or unreachable .* HWTC1A2B3C4D onu unreachable 20.* 02:0a:00:00:00:01 dlink down 20.* All devices .* 02:0a:00:00:00:01 .* HWTC1A2B3C4D .* Lenina 5 sw1 dlink up 20[\d-]+ [\d:]+ 4 3 10\.9\.0\.5 3c:33:32:66:43:50 DGS1210 north attic/,
  );
  t.notMatch(page, 'a switch that is gone');
  const down = (await house.get('/api/devices?status=down')).json<{ devices: { label: string }[] }>();
  t.same(
    down.devices.map(({ label }) => label),
    ['HWTC1A2B3C4D', '02:0a:00:00:00:01'],
    'the last change first',
  );
  const found = async (typed: string): Promise<string[]> =>
    (await house.get(`/api/devices?q=${encodeURIComponent(typed)}`))
      .json<{ devices: { label: string }[] }>()
      .devices.map(({ label }) => label);
  for (const typed of ['lenina', 'LENINA 5 SW1', SWITCH, '3c33.3266.4350', '10.9.0.5', 'dgs', 'Lenina 5 sw1 10'])
    t.same(await found(typed), ['Lenina 5 sw1'], typed);
  for (const typed of ['hwtc1a2b3c4d', 'HWTC1A2B', '485754431A2B3C4D', 'hwtc-1a2b3c4d'])
    t.same(await found(typed), ['HWTC1A2B3C4D'], typed);
  for (const typed of ['%', 'enina', '10.9.0.6', 'a switch']) t.same(await found(typed), [], typed);

  const overview = (await house.get('/')).body;
  t.match(overview, /<a href="\/devices\?status=down"[^>]*>\s*<span class="badge bad">Devices down or unreachable: 2/);
  t.match(plain(overview), /Leases and devices Count Devices down or unreachable 2/);
  t.match((await house.get('/api/overview')).json(), { devices: { down: 2, any: true }, leases: { bound: 0 } });
  t.match(await read(`/devices/${String(deviceId)}`, 'ru'), /работает .* 3 из 4 не в сети/);
  t.same(house.errors, []);
});

t.test('lists of devices go on where they ended, and people are counted up to a limit', async (t) => {
  const house = await pageHouse(t);
  const { pool } = house.database;
  await pool.query(
    `INSERT INTO device (kind_id, name, status, status_since)
     SELECT k.id, 'sw' || lpad(i::text, 3, '0'), 'down', now() - make_interval(mins => i / 2) FROM device_kind k, generate_series(1, 120) AS i WHERE k.name = 'olt'`,
  );
  type Answer = { devices: { label: string; position: string }[]; next: string | null };
  for (const query of ['', 'status=down&']) {
    const seen: string[] = [];
    for (let next: string | null = ''; next !== null;) {
      const path: string = `/api/devices?${query}${next === '' ? '' : `after=${encodeURIComponent(next)}`}`;
      const answer: Answer = (await house.get(path)).json<Answer>();
      seen.push(...answer.devices.map(({ label }) => label));
      ({ next } = answer);
    }
    t.same([seen.length, new Set(seen).size], [120, 120], query);
    if (query === '') t.same(seen, [...seen].sort(), 'by name');
  }
  await pool.query(`UPDATE device_kind SET shared_ports = true WHERE name = 'olt'`);
  const accountId = await addAccount(pool);
  await pool.query(
    `INSERT INTO subscriber (account_id, login, device_id, port, logged)
     SELECT $1, 'user' || i, d.id, '0/' || i % 3 || '/' || i, i % 4 = 0 FROM generate_series(1, 1500) AS i, device d WHERE d.name = 'sw001'`,
    [accountId],
  );
  t.match(plain((await house.get('/devices')).body), /sw001 olt down 20[\d-]+ [\d:]+ 1,000\+/);
  const { rows } = await pool.query<{ id: number }>(`SELECT id FROM device WHERE name = 'sw001'`);
  const path = `/devices/${String(rows[0]!.id)}`;
  t.match(plain((await house.get(path)).body), /1,125 of 1,500 offline/, 'its own page counts them all');
  const ports = async (query: string): Promise<(string | null)[]> =>
    (await house.get(`/api${path}?${query}`)).json<{ plugged: { port: string }[] }>().plugged.map(({ port }) => port);
  const all = [
    await ports(''),
    ...(await Promise.all(Array.from({ length: 7 }, (_, i) => ports(`from=${String(200 * (i + 1))}`)))),
  ].flat();
  t.same([all.length, new Set(all).size], [1500, 1500], 'every port is on one of its pages');
  t.same((await ports('offline=1&from=1000')).length, 125);
  t.same(await ports('from=1500'), []);
  t.same(await ports('from=999999999999'), []);
  t.match((await house.get(path)).body, `<a class="next" href="${path}?from=200">Next</a>`);
  const { rows: people } = await pool.query<{ id: number }>(`SELECT id FROM subscriber WHERE login = 'user1'`);
  t.match(
    plain((await house.get(`/subscribers/${String(people[0]!.id)}`)).body),
    /Neighbours at the device [\d,]+\+ of 1,000\+ offline/,
  );
  t.same(house.errors, []);
});

t.test('one device: its ports, who is offline, what monitoring said, what it was replaced by', async (t) => {
  const { house, deviceId, ids, read } = await street(t);
  const { pool } = house.database;
  for (const [status, oldStatus, effect, note] of [
    ['down', 'up', 'changed', 'no ping for 5 minutes'],
    ['down', 'down', 'unchanged', null],
  ])
    await pool.query(
      `INSERT INTO device_event (at, device_id, status, old_status, effect, told, source, note) VALUES (now(), $1, $2, $3, $4, 2, 'nagios', $5)`,
      [deviceId, status, oldStatus, effect, note],
    );
  await addRefusal(pool, { address: '100.65.0.9', device: SWITCH, port: '7', reason: 'no-subscriber' });
  await addRefusal(pool, { address: '100.65.0.10', device: 'another', port: '7' });
  const page = await read(`/devices/${String(deviceId)}`);
  for (const text of [
    /Lenina 5 sw1 Status up .* Plugged in 3 of 4 offline Kind dlink IP address 10\.9\.0\.5 MAC 3c:33:32:66:43:50 Serial DGS1210 Group north Place attic/,
    /1 user1 Anna Petrova Lenina 5, 12 02:00:00:00:00:01 online 1\/2 user4 .* offline 2 user2 .* 10 user3/,
    /down up → down 2 nagios no ping for 5 minutes/,
    /down no news 2 nagios/,
    /100\.65\.0\.9 .* nobody is plugged in there/,
  ])
    t.match(page, text);
  t.notMatch(page, '100.65.0.10');
  t.match((await house.get(`/devices/${String(deviceId)}`)).body, `<a href="/subscribers/${String(ids[0])}">user1</a>`);
  const offline = await read(`/devices/${String(deviceId)}?offline=1`);
  t.match(offline, 'user4');
  t.notMatch(offline, 'user1');

  const newId = await addDevice(pool, { name: 'Lenina 5 sw2' });
  await pool.query('UPDATE subscriber SET device_id = $1 WHERE device_id = $2', [newId, deviceId]);
  await pool.query('UPDATE device SET deleted = true, replaced_by = $1 WHERE id = $2', [newId, deviceId]);
  t.match(
    await read(`/devices/${String(deviceId)}`),
    /removed removed 20.* Replaced by Lenina 5 sw2 .* Nobody is plugged into it/,
  );
  t.same(house.errors, []);
});

t.test('a subscriber: its line, its MAC beside the one that is seen, its leases and what was refused', async (t) => {
  const { house, deviceId, ids, read } = await street(t);
  const { pool } = house.database;
  const [first, second] = ids;
  await pool.query(`UPDATE subscriber SET option82_auth = 'port-mac' WHERE id = $1`, [first]);
  await addLease(pool, {
    address: '100.65.0.1',
    mac: '02:00:00:00:00:77',
    subscriber_id: first,
    device_id: deviceId,
    port: '1',
  });
  await addLease(pool, {
    address: '100.65.0.2',
    mac: '02:00:00:00:00:01',
    subscriber_id: first,
    ended_at: minutesAgo(9),
    end_cause: 'moved',
  });
  await addRefusal(pool, { address: '100.65.0.3', mac: '02:00:00:00:00:01', at: minutesAgo(5) });
  await addRefusal(pool, {
    address: '100.65.0.4',
    device: SWITCH,
    port: '1',
    reason: 'mac-differs',
    at: minutesAgo(6),
  });
  await addRefusal(pool, { address: '100.65.0.5', device: SWITCH, port: '2', reason: 'mac-differs' });
  await addLiveSession(pool, {
    subscriberId: first!,
    acctSessionId: 's',
    address: '100.65.0.1',
    mac: '02:00:00:00:00:77',
  });
  const path = `/subscribers/${String(first)}`;
  const page = await read(path);
  for (const text of [
    /MAC 02:00:00:00:00:01 MAC seen 02:00:00:00:00:77 another one/,
    /Access line Device Lenina 5 sw1 \(dlink\) Port 1 Status up 20.* Neighbours at the device 3 of 3 offline Known by its port and its MAC address Place attic/,
    /DHCP leases .* 100\.65\.0\.1 02:00:00:00:00:77 .* 100\.65\.0\.2 02:00:00:00:00:01 .* the client has another one/,
    /of its MAC or port that were not followed .* 100\.65\.0\.3 .* no such device is registered .* 100\.65\.0\.4/,
  ])
    t.match(page, text);
  t.notMatch(page, '100.65.0.5', 'nor what another port was refused');
  t.match(await read(path, 'ru'), /MAC в сети 02:00:00:00:00:77 другой .* Линия доступа .* 3 из 3 не в сети/);
  t.match((await house.get(`/api${path}`)).json(), {
    mac_seen: '02:00:00:00:00:77',
    line: { device: 'Lenina 5 sw1', port: '1', neighbours: 3, neighbours_offline: 3, status: 'up' },
    leases: [
      { address: '100.65.0.1', state: 'bound' },
      { address: '100.65.0.2', end_cause: 'moved' },
    ],
    refusals: [{ address: '100.65.0.3' }, { address: '100.65.0.4' }],
  });
  t.notMatch(await read(`/subscribers/${String(second)}`), 'another one', 'without a MAC of its own nothing differs');
  t.same(house.errors, []);
});

t.test('the one sentence: the switch that is down, the lease that was refused, the lease that is over', async (t) => {
  const { house, deviceId, ids } = await street(t);
  const { pool } = house.database;
  const path = `/subscribers/${String(ids[1])}`;
  const sentence = async (language = 'en'): Promise<string> =>
    (await house.get(`/api${path}`, { 'accept-language': language })).json<{ sentence: string }>().sentence;
  t.match(await sentence(), /^Offline: nothing stands in the way, but no request/);
  await pool.query(
    `INSERT INTO session_history (id, subscriber_id, login, nas_name, nas_box, routing_domain, acct_session_id, epoch, started_at, started_exactly, last_event_at,
       last_received_at, ended_at, end_cause, terminate_cause, synthetic)
     VALUES (1, $1, 'user2', 'dhcp', 'dhcp lease', 'default', 'x', 0, $2, true, $2, $2, $2, 'stop', 5, false)`,
    [ids[1], minutesAgo(60)],
  );
  t.match(await sentence(), /^Offline since 20[\d-]+ [\d:]+: the DHCP lease expired\. Nothing stands in the way/);
  t.match(await sentence('ru'), /: аренда DHCP истекла\. Препятствий нет/);
  await addRefusal(pool, {
    address: '100.65.0.9',
    subscriber_id: ids[1],
    reason: 'static-address',
    at: minutesAgo(30),
  });
  t.match(
    await sentence(),
    /^Offline: the last DHCP lease, 100\.65\.0\.9 30 min ago, was not followed: the subscriber has a static address/,
  );
  await pool.query(`UPDATE device SET status = 'down', status_since = $2 WHERE id = $1`, [deviceId, minutesAgo(15)]);
  t.match(await sentence(), /^Offline: Lenina 5 sw1, which it is plugged into, has been down since 20[\d-]+ [\d:]+\.$/);
  t.match(await sentence('ru'), /^Не в сети: Lenina 5 sw1, куда включён абонент, не работает с 20/);
  await pool.query('UPDATE lease_refusal SET at = $1', [minutesAgo(10)]);
  t.match(await sentence(), /^Offline: the last DHCP lease/, 'whoever was heard since has a line that works');
  t.same(house.errors, []);
});

t.test('people and devices are found by switch, by switch and port, and by the serial of an ONU', async (t) => {
  const { house, deviceId, ids } = await street(t);
  const { pool } = house.database;
  const onuId = await addDevice(pool, { kind: 'onu', serial: 'HWTC1A2B3C4D' });
  const accountId = await addAccount(pool);
  const flat = await addSubscriber(pool, { accountId, login: 'flat', device_id: onuId });
  await addSubscriber(pool, { accountId, login: 'gone', device_id: deviceId, port: '77', deleted: true });
  type Found = { people: { id: number; found_by: string }[]; devices: { id: number }[] };
  const found = async (typed: string): Promise<Found> =>
    (await house.get(`/api/subscribers?q=${encodeURIComponent(typed)}`)).json<Found>();
  const cases: readonly (readonly [typed: string, people: readonly number[], devices: readonly number[]])[] = [
    ['Lenina 5 sw1', ids, [deviceId]],
    ['lenina 5 SW1', ids, [deviceId]],
    ['3c-33-32-66-43-50', ids, [deviceId]],
    ['10.9.0.5', ids, [deviceId]],
    ['DGS1210', ids, [deviceId]],
    ['lenina 5 sw1 2', [ids[1]!], [deviceId]],
    ['10.9.0.5 010', [ids[2]!], [deviceId]],
    ['3c:33:32:66:43:50 1/2', [ids[3]!], [deviceId]],
    ['Lenina 5 sw1 99', [], [deviceId]],
    ['hwtc1a2b3c4d', [flat], [onuId]],
    ['HWTC-1A2B3C4D', [flat], [onuId]],
    ['485754431a2b3c4d', [flat], [onuId]],
    ['HWTC1A', [flat], [onuId]],
    ['HWT', [], [onuId]],
  ];
  for (const [typed, people, devices] of cases) {
    const answer = await found(typed);
    t.same(answer.people.map(({ id }) => id).sort(), [...people].sort(), typed);
    t.same(
      answer.devices.map(({ id }) => id),
      devices,
      typed,
    );
  }
  t.match((await found('user2')).people, [{ found_by: 'login' }]);
  t.notMatch(
    (await house.get('/subscribers?q=user2')).body,
    '<h2>Devices</h2>',
    'nothing about devices where none is meant',
  );
  t.match((await house.get('/subscribers?q=lenina')).body, `<a href="/devices/${String(deviceId)}">Lenina 5 sw1</a>`);
  t.same(house.errors, []);
});

t.test('fifty hostile texts in everything that a switch, a client or monitoring says do nothing', async (t) => {
  const house = await pageHouse(t, { decision });
  const { pool } = house.database;
  const accountId = await addAccount(pool);
  for (const [index, text] of hostileTexts.entries()) {
    const deviceId = await addDevice(pool, {
      name: `${String(index)} ${text}`.slice(0, 100),
      // A serial is printable ASCII in upper case by a constraint of the schema.
      serial: `${String(index)}${text.replaceAll(/[^!-~]/g, '-').toUpperCase()}`.slice(0, 64),
      place: text,
      description: text,
      group: text.slice(0, 100),
      status: 'down',
      status_since: new Date(),
    });
    // Ports of subscribers are printable ASCII by a constraint of the schema; those of events are what the switch says.
    const port = `p${text.replaceAll(/[^!-~]/g, '-').slice(0, 60)}`;
    const id = await addSubscriber(pool, { accountId, login: `u${String(index)}`, device_id: deviceId, port });
    await pool.query(
      `INSERT INTO device_event (at, device_id, status, old_status, effect, source, note)
       VALUES (now(), $1, $2, $2, 'unchanged', $2, $2), (now(), $1, $2, $2, 'changed', $2, $2)`,
      [deviceId, text],
    );
    const octets = Buffer.from(text).toString('hex');
    const address = `10.0.0.${String(index)}`;
    await addLease(pool, {
      address,
      subscriber_id: id,
      device_id: deviceId,
      port: text,
      nas_name: text,
      source: text,
      via: text,
      circuit_id: octets,
    });
    await addLease(pool, {
      address: `10.0.1.${String(index)}`,
      mac: '02:00:00:00:00:01',
      subscriber_id: id,
      device_id: deviceId,
      port,
      source: text,
      ended_at: new Date(),
      end_cause: text,
    });
    for (const [kind, evidence] of [
      ['commit', octets],
      [text, text],
    ] as const)
      await addRefusal(pool, {
        address,
        kind,
        reason: text,
        detail: text,
        subscriber_id: id,
        device: text,
        port: text,
        circuit_id: evidence,
        remote_id: evidence,
        option82_subscriber_id: evidence,
        source: text,
        via: text,
      });
    for (const path of [
      `/devices/${String(deviceId)}`,
      `/subscribers/${String(id)}`,
      `/devices?q=${encodeURIComponent(`${String(index)} ${text}`)}`,
      `/leases?q=${encodeURIComponent(text)}`,
      `/leases/refused?reason=${encodeURIComponent(text)}`,
      `/subscribers?q=${encodeURIComponent(`${String(index)} ${text} ${port}`)}`,
    ]) {
      const { body, statusCode } = await house.get(path);
      t.equal(statusCode, 200, `text ${String(index)} on ${path.slice(0, 18)}`);
      t.same(foreignMarkup(body), [], `text ${String(index)} on ${path.slice(0, 18)}`);
    }
    const one = (await house.get(`/api/devices/${String(deviceId)}`)).json<{
      device: { place: string };
      events: { note: string }[];
    }>();
    t.same([one.device.place, one.events[0]?.note], [text, text], 'and comes back as it was');
  }
  for (const path of ['/', '/leases', '/leases/refused', '/devices', '/devices?status=down']) {
    const { body, statusCode } = await house.get(path);
    t.equal(statusCode, 200, path);
    t.same(foreignMarkup(body), [], path);
    if (path !== '/') t.match(body, 'PWNED', `${path} shows them`);
  }
  t.same(house.errors, []);
});

t.test('without the database the pages say what is wrong', async (t) => {
  const house = await pageHouse(t, { away: true });
  for (const path of ['/leases', '/leases/refused', '/devices', '/devices/1'])
    t.equal((await house.get(path)).statusCode, 503, path);
  t.same(house.errors, []);
});

t.test('what takes long is asked for before the first reader comes', async (t) => {
  const { house, ids } = await street(t);
  await house.prepare();
  await addLease(house.database.pool, { address: '100.65.0.77', subscriber_id: ids[0] });
  t.match((await house.get('/api/overview')).json(), { leases: { bound: 0 } }, 'and remembered for a while');
  const away = await pageHouse(t, { away: true });
  await away.prepare();
  t.same(away.errors, [], 'nobody is told that nothing could be asked');
});
