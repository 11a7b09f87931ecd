/** Commanding NASes on the pages: how far a NAS is, what is desired beside what is applied, commands with their answers, the fuse. */
import t from 'tap';
import type { PresentService, ServiceState } from '../../src/domain/service-state.js';
import { english } from '../../src/status/english.js';
import { Format } from '../../src/status/format.js';
import { russian } from '../../src/status/russian.js';
import { commandSentence } from '../../src/status/enforcement-parts.js';
import type { CommandRow } from '../../src/store/command-history.js';
import { pageHouse, type PageHouse } from '../support/page.js';
import { addAccount, addLiveSession, addSubscriber } from '../support/subscriber-rows.js';
import { foreignMarkup } from '../support/foreign-markup.js';
import { hostileTexts } from './hostile-text.js';

const served: PresentService = {
  present: true,
  key: { login: 'ivanov', mac: '02:00:00:00:00:07', address: '100.64.0.7', framedPrefix: null, delegatedPrefix: null },
  blocked: false,
  redirect: false,
  ownDisabled: false,
  authorised: true,
  rate: { downBps: 50_000_000, upBps: 10_000_000 },
  services: [],
};

interface PlaceOptions {
  readonly acctSessionId?: string;
  readonly desired?: ServiceState | null;
  readonly applied?: ServiceState | null;
  readonly attempted?: readonly ServiceState[];
  readonly [column: string]: unknown;
}

async function insert(house: PageHouse, table: string, row: Record<string, unknown>): Promise<void> {
  const columns = Object.keys(row);
  await house.database.pool.query(
    `INSERT INTO ${table} (${columns.join(', ')}) VALUES (${columns.map((_, i) => `$${String(i + 1)}`).join(', ')})`,
    Object.values(row),
  );
}

/** A place at a session of its own. */
async function addPlace(house: PageHouse, subscriberId: number, options: PlaceOptions = {}): Promise<void> {
  const { acctSessionId, desired = served, applied = served, attempted = [], ...rest } = options;
  const { rows } = await house.database.pool.query<{ count: number }>('SELECT count(*)::int AS count FROM session');
  const number = rows[0]!.count;
  const sessionId = await addLiveSession(house.database.pool, {
    subscriberId,
    acctSessionId: acctSessionId ?? `s${String(number)}`,
    slot: number,
  });
  await insert(house, 'enforcement', {
    kind: 'session',
    nas_name: 'bras1',
    subscriber_id: subscriberId,
    session_id: sessionId,
    desired: desired && JSON.stringify(desired),
    applied: applied && JSON.stringify(applied),
    evidence: applied === null ? null : 'ack',
    applied_at: applied === null ? null : new Date(),
    attempted: JSON.stringify(attempted),
    state: 'converged',
    due_at: null,
    ...rest,
  });
}

async function addCommand(house: PageHouse, subscriberId: number, row: Record<string, unknown> = {}): Promise<void> {
  await insert(house, 'nas_command', {
    enforcement_id: 1,
    nas_name: 'bras1',
    subscriber_id: subscriberId,
    login: 'ivanov',
    command: 'user_redirect_cancel',
    driver: 'coa',
    sent: 'CoA-Request User-Name="ivanov"',
    attempts: 1,
    planned_at: new Date('2026-11-21T11:02:06.990Z'),
    sent_at: new Date('2026-11-21T11:02:07.000Z'),
    answered_at: new Date('2026-11-21T11:02:07.012Z'),
    outcome: 'applied',
    evidence: 'ack',
    detail: '',
    generation: 1,
    instance: 'sluice-1',
    ...row,
  });
}

async function houseWithIvanov(t: Parameters<typeof pageHouse>[0]): Promise<{ house: PageHouse; id: number }> {
  const house = await pageHouse(t);
  const { pool } = house.database;
  const id = await addSubscriber(pool, { accountId: await addAccount(pool), login: 'ivanov' });
  await insert(house, 'nas', { name: 'bras1', profile: 'mikrotik-ppp', place: 'session', mode: 'enforce' });
  return { house, id };
}

async function addOwner(house: PageHouse, row: Record<string, unknown> = {}): Promise<void> {
  await insert(house, 'nas_owner', {
    nas_name: 'bras1',
    instance: 'sluice-1',
    since: new Date(),
    seen_at: new Date(),
    converge_seconds: 0,
    ...row,
  });
}

/** What a reader reads: without tags, and with single spaces. */
function plain(body: string): string {
  return body
    .replaceAll(/<[^>]*>/g, ' ')
    .replaceAll('&quot;', '"')
    .replaceAll(/\s+/g, ' ');
}

t.test('one sentence tells what was done, when, and what the NAS said', async (t) => {
  const nowMs = Date.parse('2026-11-21T12:00:00Z');
  const row: CommandRow = {
    at: new Date('2026-11-21T11:02:07.015Z'),
    nas_name: 'bras1',
    subscriber_id: 1,
    login: 'ivanov',
    command: 'user_redirect_cancel',
    service: null,
    driver: 'coa',
    sent: '',
    attempts: 1,
    planned_at: new Date('2026-11-21T11:02:06.990Z'),
    sent_at: new Date('2026-11-21T11:02:07.000Z'),
    answered_at: new Date('2026-11-21T11:02:07.012Z'),
    outcome: 'applied',
    evidence: 'ack',
    error_cause: null,
    detail: '',
    instance: 'sluice-1',
  };
  const en = { language: english, format: new Format(english.units, 'Europe/Moscow', nowMs) };
  const ru = { language: russian, format: new Format(russian.units, 'Europe/Moscow', nowMs) };
  t.equal(commandSentence(en, row), 'walled garden lifted 14:02:07, bras1 confirmed after 12 ms');
  t.equal(commandSentence(ru, row), 'ограничение доступа снято 14:02:07, bras1 подтвердил через 12 мс');
  const cases: readonly (readonly [Partial<CommandRow>, string])[] = [
    [{ outcome: 'refused', detail: '401' }, 'wanted: lift the walled garden 14:02:07, bras1 refused: 401'],
    [
      { outcome: 'unreachable', answered_at: new Date('2026-11-21T11:02:22Z') },
      'wanted: lift the walled garden 14:02:07, bras1 did not answer within 15 s',
    ],
    [{ outcome: 'session-gone' }, 'wanted: lift the walled garden 14:02:07, bras1 does not know the session'],
    [{ outcome: 'unsayable', detail: 'x' }, 'wanted: lift the walled garden 14:02:07, cannot be said to bras1: x'],
    [{ outcome: 'of another release' }, 'wanted: lift the walled garden 14:02:07, bras1: of another release'],
    [{ command: 'usluga_activated', service: 'tv' }, 'service begun: tv 14:02:07, bras1 confirmed after 12 ms'],
    [{ command: 'of_another_release' }, 'of_another_release 14:02:07, bras1 confirmed after 12 ms'],
    [{ answered_at: row.sent_at }, 'walled garden lifted 14:02:07, bras1 confirmed after < 1 ms'],
    [
      { sent_at: null, answered_at: null, outcome: 'later' },
      'wanted: lift the walled garden 14:02:07, bras1 asks to be called again later',
    ],
    [
      { sent_at: new Date('2026-11-19T11:02:07Z'), answered_at: new Date('2026-11-19T11:02:08.5Z') },
      'walled garden lifted 2026-11-19 14:02:07, bras1 confirmed after 1.5 s',
    ],
  ];
  for (const [change, sentence] of cases) t.equal(commandSentence(en, { ...row, ...change }), sentence);
});

t.test(
  'a subscriber: what is desired beside what is applied, with its evidence, and what was only tried',
  async (t) => {
    const { house, id } = await houseWithIvanov(t);
    await addPlace(house, id, {
      desired: { ...served, redirect: true, rate: { downBps: 1_000_000, upBps: null } },
      attempted: [{ ...served, redirect: true }],
      state: 'pending',
      attempts: 3,
      last_error: 'user_redirect: no answer',
      due_at: new Date(),
    });
    await addCommand(house, id, { at: new Date('2026-11-21T11:02:07.100Z') });
    await addCommand(house, id, { at: new Date('2026-11-21T11:02:07.100Z'), command: 'user_rate_set' });
    const earlier = { planned_at: new Date('2026-11-21T11:00:00Z'), at: new Date('2026-11-21T11:00:01Z') };
    await addCommand(house, id, { ...earlier, command: 'user_redirect' });
    const body = plain((await house.get(`/subscribers/${String(id)}`)).body);
    for (const text of [
      /walled garden lifted, rate set (?:2026-11-21 )?14:02:07, bras1 confirmed after 12 ms/,
      /bras1 session s0 pending/,
      /Access walled garden: no money served walled garden: no money/,
      /Rate 1 Mbit\/s down, unlimited up 50 Mbit\/s down, 10 Mbit\/s up/,
      /Evidence: the NAS acknowledged 20/,
      /Last error: user_redirect: no answer \(3 tries\)/,
      /CoA-Request User-Name="ivanov"/,
    ])
      t.match(body, text);
    const twin = (await house.get(`/api/subscribers/${String(id)}`)).json<{
      places: Record<string, unknown>[];
      commands: Record<string, unknown>[];
    }>();
    t.match(twin.places, [
      { nas_name: 'bras1', state: 'pending', evidence: 'ack', applied: served, last_error: 'user_redirect: no answer' },
    ]);
    t.match(twin.commands, [
      { command: 'user_rate_set', sentence: /^rate set / },
      { command: 'user_redirect_cancel', outcome: 'applied', sentence: /^walled garden lifted / },
      { command: 'user_redirect' },
    ]);
    t.same(house.errors, []);
  },
);

t.test('what is not known, not looked at, refused or absent is said so', async (t) => {
  const { house, id } = await houseWithIvanov(t);
  const cases: readonly (readonly [PlaceOptions, RegExp])[] = [
    [
      { desired: null, applied: null, state: 'new' },
      /new It has not been looked at yet\..*Access not looked at yet unknown/,
    ],
    [
      { desired: { present: false }, state: 'held' },
      /held The fuse holds this change until somebody says: sluice hold release.*Access not there served/,
    ],
    [
      { state: 'parked', parked: JSON.stringify({ what: 'rate', rate: { downBps: 1e9, upBps: 1e9 } }) },
      /parked: refused: 1 Gbit\/s down, 1 Gbit\/s up/,
    ],
    [{ state: 'observed' }, /observed This NAS is only observed: nothing is sent to it\./],
    [{ gone_at: new Date() }, /The NAS said that it does not know the session\./],
  ];
  for (const [options, text] of cases) {
    await addPlace(house, id, options);
    t.match(plain((await house.get(`/subscribers/${String(id)}`)).body), text);
    await house.database.pool.query('DELETE FROM enforcement');
  }
  t.match((await house.get(`/subscribers/${String(id)}`)).body, /No NAS has anything of this subscriber\./);
  t.same(house.errors, []);
});

t.test('a NAS: places by state, whether it answers, who commands it, how long the rest will take', async (t) => {
  const { house, id } = await houseWithIvanov(t);
  for (const state of ['converged', 'converged', 'pending', 'parked']) await addPlace(house, id, { state });
  await addOwner(house, {
    breaker: 'open',
    breaker_reason: 'silent since a while',
    converge_seconds: null,
    waiting: 7,
  });
  await addCommand(house, id, {
    at: new Date(),
    outcome: 'unreachable',
    detail: 'no answer within 15 s',
    command: 'user_drop',
  });
  await insert(house, 'nas', { name: 'bras2', profile: 'plain' });
  await insert(house, 'nas', { name: 'bras3', profile: 'linux-nft-ssh', place: 'provisioned', mode: 'observe' });
  await insert(house, 'nas_owner', {
    nas_name: 'bras3',
    instance: 'sluice-2',
    since: new Date(),
    seen_at: new Date(Date.now() - 600_000),
    converge_seconds: 3,
  });
  const compared = { nas_name: 'bras3', wanted: 40, beyond_limit: 0, findings: '[]' };
  await insert(house, 'reconcile_run', {
    ...compared,
    by: 'cli/ops',
    dry_run: true,
    listed: 0,
    counts: '{}',
    mended: 0,
    error: 'old',
  });
  const counts = JSON.stringify({ missing: 2, 'wrong-policy': 1, moved: 0, unknown: 0 });
  await insert(house, 'reconcile_run', {
    ...compared,
    by: 'nightly',
    dry_run: false,
    listed: 38,
    counts,
    mended: 3,
    error: null,
  });
  await insert(house, 'reconcile_run', {
    ...compared,
    nas_name: 'bras1',
    by: 'cli/ops <b>',
    dry_run: true,
    listed: 0,
    counts: '{}',
    mended: 0,
    error: 'no connection <script>',
  });
  const body = plain((await house.get('/nas')).body);
  for (const text of [
    /bras1 mikrotik-ppp 4 never 2 converged 1 pending 1 parked silent silent since a while not while it is silent/,
    /user_drop: no answer within 15 s/,
    /bras2 plain 0 never never commanded/,
    /bras3 linux-nft-ssh 0 never observed: nothing is sent .*, by itself missing: 2 wrong policy: 1 38 listed, 40 wanted, 3 mended sluice-2 not heard lately/,
    /by cli\/ops .* only tried no connection/,
  ])
    t.match(body, text);
  const one = plain((await house.get('/nas/bras1')).body);
  for (const text of [
    /Waiting 7/,
    /ivanov pending served; 50 Mbit\/s down/,
    /wanted: block user_drop bras1 did not answer within 12 ms: no answer within 15 s/,
  ])
    t.match(one, text);
  t.match((await house.get('/api/nas')).json(), [
    {
      name: 'bras1',
      standing: { counts: { converged: 2, pending: 1, parked: 1 }, breaker: 'open', owner: 'sluice-1' },
    },
  ]);
  t.match((await house.get('/api/nas/bras1')).json(), {
    nas: { name: 'bras1' },
    unsettled: [{ state: 'pending' }, { state: 'parked' }],
    commands: [{ command: 'user_drop' }],
  });
  t.match((await house.get('/api/nas/bras3')).json(), {
    nas: {
      standing: {
        compared: { by: 'nightly', dry_run: false, listed: 38, wanted: 40, mended: 3, counts: { missing: 2 } },
      },
    },
  });
  const foreign = foreignMarkup((await house.get('/nas/bras1')).body);
  t.same(foreign, [], 'what a NAS said is text');
  t.match((await house.get('/api/overview')).json(), { places: { converged: 2, pending: 1, parked: 1 } });
  t.equal((await house.get('/nas/nobody')).statusCode, 404);
  t.equal((await house.get('/nas/%00')).statusCode, 404);
  t.same(house.errors, []);
});

t.test('while the fuse holds, every page says how much, why, and what to do', async (t) => {
  const { house, id } = await houseWithIvanov(t);
  const paths = [
    '/',
    '/subscribers?q=i',
    `/subscribers/${String(id)}`,
    '/sessions',
    '/leases',
    '/devices',
    '/nas',
    '/nas/bras1',
    '/pools',
    '/set-aside',
    '/nope',
  ];
  for (const path of paths) t.notMatch((await house.get(path)).body, 'sluice hold release', `${path} before`);
  await addPlace(house, id, { state: 'held' });
  await addPlace(house, id, { state: 'held' });
  const reason = { kind: 'tripped', by: 'maxSubscribers', limit: 500, tightened: 500, waiting: 2 };
  await house.database.pool.query(`UPDATE fuse SET held_at = '2026-11-21 11:02:07Z', held_reason = $1`, [
    JSON.stringify(reason),
  ]);
  for (const path of paths)
    t.match(
      plain((await house.get(path)).body),
      /2 changes are held since 2026-11-21 14:02:07 \(500 of at most 500 had passed\)\. .*: sluice hold release/,
      path,
    );
  const russianBody = plain((await house.get('/', { 'accept-language': 'ru' })).body);
  t.match(
    russianBody,
    /Изменений задержано: 2, с 2026-11-21 14:02:07 \(прошло 500 из допустимых 500\)\. .*: sluice hold release/,
  );
  t.match((await house.get('/api/overview')).json(), { held: { changes: 2, reason } });
  await house.database.pool.query('UPDATE fuse SET held_at = NULL, held_reason = NULL');
  t.notMatch((await house.get('/')).body, 'sluice hold release', 'and no longer once it was released');
  t.same(house.errors, []);
});

t.test('fifty hostile texts in everything that a NAS or a subscriber says do nothing', async (t) => {
  const { house, id } = await houseWithIvanov(t);
  for (const [index, text] of hostileTexts.entries()) {
    const key = { ...served.key, login: text, mac: text, address: text };
    const state = { ...served, key, services: [text] };
    await addPlace(house, id, {
      acctSessionId: `${String(index)} ${text}`,
      desired: state,
      applied: { ...state, redirect: true },
      attempted: [state],
      state: 'pending',
      last_error: text,
      evidence: text,
    });
    await addCommand(house, id, {
      at: new Date(),
      login: text,
      command: text,
      service: text,
      driver: text,
      sent: text,
      outcome: text,
      detail: text,
    });
    await addOwner(house, { nas_name: text.slice(0, 60), instance: text, breaker_reason: text });
    await insert(house, 'nas', { name: text.slice(0, 60), profile: text, place: 'session', mode: 'enforce' });
    const page = await house.get(`/nas/${encodeURIComponent(text.slice(0, 60))}`);
    t.equal(page.statusCode, 200, `text ${String(index)} as a NAS`);
    t.same(foreignMarkup(page.body), [], `text ${String(index)} as a NAS`);
  }
  for (const path of [`/subscribers/${String(id)}`, '/nas', '/nas/bras1', '/']) {
    const { body, statusCode } = await house.get(path);
    t.equal(statusCode, 200, path);
    t.same(foreignMarkup(body), [], path);
    if (path !== '/') t.match(body, 'PWNED', `${path} shows them`);
  }
  t.same(house.errors, []);
});
