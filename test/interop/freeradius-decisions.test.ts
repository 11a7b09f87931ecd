/**
 * FreeRADIUS and Sluice on the same users: 10,000 of them, with open sessions, are imported, and the same requests get the same
 * decisions and attributes from both, but for the differences that the table below explains.
 */
import t from 'tap';
import { fileURLToPath } from 'node:url';
import { createHash } from 'node:crypto';
import { Attribute } from '../../src/radius/attribute-number.js';
import { Code } from '../../src/radius/code.js';
import { decodeAttributes } from '../../src/radius/decode-attribute.js';
import { loadDictionary } from '../../src/radius/dictionary-file.js';
import { ntPasswordHash } from '../../src/radius/nt-hash.js';
import { parsePacket } from '../../src/radius/packet.js';
import { SharedSecret } from '../../src/radius/shared-secret.js';
import { readRate } from '../../src/domain/freeradius-rate.js';
import type { MappedRates } from '../../src/domain/freeradius-rate.js';
import { runIn } from '../cli/command-line.js';
import { freshDatabase } from '../support/database.js';
import { startFreeradius, withoutFreeradius } from '../support/freeradius-server.js';
import { createFreeradiusTables, insertFreeradiusRows, insertOpenSessions } from '../support/freeradius-tables.js';
import type { FreeradiusItem, OpenRow } from '../support/freeradius-tables.js';
import { RadiusClient, accessRequest, accountingRequest } from '../support/radius-client.js';
import type { AccessRequestOptions } from '../support/radius-client.js';
import { applied, knowsSubscribers } from '../support/scrape.js';
import { TestServer } from '../support/server.js';

const USERS = 10_000;
/** Requests under way at once; rejects wait for a second each. */
const AT_ONCE = 200;
const skip = await withoutFreeradius();
const { dictionary } = loadDictionary(fileURLToPath(new URL('../../dictionaries/dictionary', import.meta.url)));

type Request = Pick<AccessRequestOptions, 'password' | 'method' | 'callingStationId'>;

/** A kind of user: his rows, and what he sends. */
interface Kind {
  readonly what: string;
  readonly check: (password: string, mac: string) => readonly (readonly [string, string, string])[];
  readonly reply?: (index: number) => readonly (readonly [string, string, string])[];
  readonly groups?: readonly string[];
  readonly request?: (password: string) => Request;
  /** Host part of the address of his open session, if he has one. */
  readonly isOnline?: boolean;
}

const clear = (password: string) => [['Cleartext-Password', ':=', password]] as const;
const address = (network: number, index: number) =>
  `100.${String(network)}.${String(index >> 8)}.${String(index & 255)}`;
const macOf = (index: number) => `02-00-00-00-${hex(index >> 8)}-${hex(index & 255)}`;
const hex = (octet: number) => octet.toString(16).padStart(2, '0').toUpperCase();
const digest = (algorithm: string, password: string, salt: string) =>
  Buffer.concat([createHash(algorithm).update(password).update(salt).digest(), Buffer.from(salt)]);

const kinds: readonly Kind[] = [
  {
    what: 'PAP, static address',
    check: clear,
    reply: (i) => [['Framed-IP-Address', ':=', address(80, i)]],
    groups: ['home'],
  },
  {
    what: 'PAP, static address, online',
    check: clear,
    reply: (i) => [['Framed-IP-Address', ':=', address(80, i)]],
    groups: ['home'],
    isOnline: true,
  },
  { what: 'CHAP', check: clear, groups: ['home'], request: (password) => ({ password, method: 'chap' }) },
  {
    what: 'MS-CHAPv2 on an NT hash',
    check: (p) => [['NT-Password', ':=', ntPasswordHash(p).toString('hex')]],
    groups: ['home'],
    request: (password) => ({ password, method: 'mschap2' }),
  },
  { what: 'a wrong password', check: clear, groups: ['home'], request: () => ({ password: 'something else' }) },
  { what: 'Auth-Type := Reject', check: (p) => [...clear(p), ['Auth-Type', ':=', 'Reject']], groups: ['home'] },
  { what: 'a group that rejects', check: clear, groups: ['disabled'] },
  { what: 'expired', check: (p) => [...clear(p), ['Expiration', ':=', '01 Jan 2020 00:00:00']], groups: ['home'] },
  { what: 'bound to his MAC', check: (p, mac) => [...clear(p), ['Calling-Station-Id', '==', mac]], groups: ['home'] },
  {
    what: 'bound to another MAC',
    check: (p) => [...clear(p), ['Calling-Station-Id', '==', '02-FF-FF-FF-FF-FF']],
    groups: ['home'],
  },
  {
    what: 'SSHA',
    check: (p) => [['SSHA-Password', ':=', digest('sha1', p, 'salt').toString('base64')]],
    groups: ['home'],
  },
  {
    what: 'SMD5 in hexadecimal',
    check: (p) => [['SMD5-Password', ':=', digest('md5', p, 'salt').toString('hex')]],
    groups: ['home'],
  },
  {
    what: 'Password-With-Header',
    check: (p) => [['Password-With-Header', ':=', `{md5}${digest('md5', p, '').toString('base64')}`]],
    groups: ['home'],
  },
  {
    what: 'a rate of his own before that of the group',
    check: clear,
    reply: () => [['Mikrotik-Rate-Limit', ':=', '7M/9M']],
    groups: ['home'],
  },
  {
    what: 'a group whose := overrides his own rate',
    check: clear,
    reply: () => [['Mikrotik-Rate-Limit', ':=', '7M/9M']],
    groups: ['strict'],
  },
  { what: 'two groups, the first falls through', check: clear, groups: ['through', 'home'] },
  { what: 'two groups, the first does not', check: clear, groups: ['strict', 'timed'] },
  { what: 'Fall-Through = No of his own', check: clear, reply: () => [['Fall-Through', '=', 'No']], groups: ['home'] },
  { what: 'no password at all', check: () => [['Simultaneous-Use', ':=', '1']], groups: ['home'] },
  { what: 'no group', check: clear },
  { what: 'a pool', check: clear, groups: ['pooled'] },
  { what: 'a pool, online', check: clear, groups: ['pooled'], isOnline: true },
  { what: 'a rate in the words of WISPr', check: clear, groups: ['wispr'] },
  { what: 'Session-Timeout', check: clear, groups: ['timed'] },
  {
    what: 'crypt with SHA-512',
    check: () => [
      [
        'Crypt-Password',
        ':=',
        '$6$saltsalt$qFmFH.bQmmtXzyBY0s9v7Oicd2z4XSIecDzlB5KiA2/jctKu9YterLp8wwnSq.qc.eoxqOmSuNp2xS0ktL3nh/',
      ],
    ],
    groups: ['home'],
    request: () => ({ password: 'password' }),
  },
];

const groupReply: readonly FreeradiusItem[] = [
  ['home', 'Mikrotik-Rate-Limit', '=', '10M/50M'],
  ['home', 'Service-Type', '=', 'Framed-User'],
  ['home', 'Framed-Protocol', '=', 'PPP'],
  ['strict', 'Mikrotik-Rate-Limit', ':=', '2M/3M'],
  ['through', 'Mikrotik-Rate-Limit', '=', '4M/6M'],
  ['through', 'Fall-Through', '=', 'Yes'],
  ['pooled', 'Framed-Pool', ':=', 'main'],
  ['pooled', 'Mikrotik-Rate-Limit', ':=', '10M/50M'],
  ['wispr', 'WISPr-Bandwidth-Max-Down', ':=', '50000000'],
  ['wispr', 'WISPr-Bandwidth-Max-Up', ':=', '10000000'],
  ['timed', 'Session-Timeout', ':=', '3600'],
];

/** Every difference, and why it is right. Each row has to be met at least once, or it is out of date. */
const differences: readonly {
  readonly attribute: string;
  readonly only: 'FreeRADIUS' | 'Sluice' | 'other value';
  readonly why: string;
  readonly of?: RegExp;
}[] = [
  {
    attribute: 'decision',
    only: 'other value',
    of: /^crypt with SHA-512$/,
    why: 'crypt(3) has no stored form but bcrypt: the report of the import names it, and the user needs a new password',
  },
  {
    attribute: 'Message-Authenticator',
    only: 'Sluice',
    why: 'FreeRADIUS 3.2.1 is older than the answer to BlastRADIUS',
  },
  { attribute: 'Class', only: 'Sluice', why: 'tells accounting whose session it is' },
  { attribute: 'Acct-Interim-Interval', only: 'Sluice', why: 'comes from the NAS entry for everybody' },
  { attribute: 'Service-Type', only: 'Sluice', why: 'comes from the profile for everybody' },
  { attribute: 'Framed-Protocol', only: 'Sluice', why: 'comes from the profile for everybody' },
  { attribute: 'Framed-Pool', only: 'FreeRADIUS', of: /^a pool/, why: 'the address comes from our pool of that name' },
  {
    attribute: 'Framed-IP-Address',
    only: 'Sluice',
    of: /^a pool/,
    why: 'the address comes from our pool of that name',
  },
  {
    attribute: 'WISPr-Bandwidth-Max-Down',
    only: 'FreeRADIUS',
    of: /WISPr/,
    why: 'the profile says the rate in the words of the NAS',
  },
  {
    attribute: 'WISPr-Bandwidth-Max-Up',
    only: 'FreeRADIUS',
    of: /WISPr/,
    why: 'the profile says the rate in the words of the NAS',
  },
  {
    attribute: 'Mikrotik-Rate-Limit',
    only: 'Sluice',
    of: /WISPr/,
    why: 'the profile says the rate in the words of the NAS',
  },
  {
    attribute: 'Session-Timeout',
    only: 'FreeRADIUS',
    of: /^Session-Timeout$/,
    why: 'no counterpart of a subscriber or plan: reported',
  },
  { attribute: 'Reply-Message', only: 'Sluice', why: 'a Reject says in a few words why' },
];

interface Answer {
  readonly decision: string;
  readonly attributes: ReadonlyMap<string, string>;
}

/** Values that are made anew for each request are compared by their presence. */
const madeAnew = /^(?:MS-CHAP2-Success|MS-CHAP-Error|MS-MPPE-.*)$/;

function sameValue(name: string, one: string, other: string): boolean {
  if (one === other || madeAnew.test(name)) return true;
  if (name !== 'Mikrotik-Rate-Limit') return false;
  const ratesOf = (value: string) => {
    const rates: MappedRates = { downBps: undefined, upBps: undefined };
    readRate(rates, { attribute: name, operator: '=', value: value.replaceAll('"', ''), computed: false });
    return JSON.stringify(rates);
  };
  return ratesOf(one) === ratesOf(other);
}

async function askAll(
  port: number,
  secret: string,
  requests: readonly Omit<AccessRequestOptions, 'secret'>[],
): Promise<Answer[]> {
  const shared = new SharedSecret(secret);
  const client = await RadiusClient.open(port);
  const answers: Answer[] = [];
  let next = 0;
  const worker = async (identifier: number) => {
    for (let at = next++; at < requests.length; at = next++) {
      const request = accessRequest({ ...requests[at]!, identifier, secret: shared });
      // Three seconds, as a NAS waits; the same octets again.
      const bytes = await client.request(request.bytes, { timeoutMs: 3_000, attempts: 5 });
      const parsed = bytes === undefined ? undefined : parsePacket(bytes);
      if (parsed?.ok !== true) throw new Error(`no answer for ${String(requests[at]!.userName)}`);
      if (!shared.responseAuthenticatorMatches(parsed.packet, request.authenticator))
        throw new Error('a forged answer');
      answers[at] = {
        decision: parsed.packet.code === Code.accessAccept ? 'accept' : 'reject',
        attributes: new Map(decodeAttributes(dictionary, parsed.packet).map(({ name, text }) => [name, text])),
      };
    }
  };
  try {
    await Promise.all(Array.from({ length: AT_ONCE }, (_, identifier) => worker(identifier)));
  } finally {
    client.close();
  }
  return answers;
}

t.test('10,000 users of FreeRADIUS, imported', { skip, timeout: 300_000 }, async (t) => {
  const people = Array.from({ length: USERS }, (_, index) => ({
    index,
    kind: kinds[index % kinds.length]!,
    login: `user${String(index)}`,
    password: `secret-${String(index)}`,
    mac: macOf(index),
  }));
  const foreign = await freshDatabase(t, { migrated: false });
  await createFreeradiusTables(foreign.pool);
  await insertFreeradiusRows(foreign.pool, {
    check: people.flatMap(({ kind, login, password, mac }) =>
      kind.check(password, mac).map((item) => [login, ...item] as const),
    ),
    reply: people.flatMap(({ kind, login, index }) =>
      (kind.reply?.(index) ?? []).map((item) => [login, ...item] as const),
    ),
    groups: people.flatMap(({ kind, login }) =>
      (kind.groups ?? []).map((group, at) => [login, group, at + 1] as const),
    ),
    groupCheck: [['disabled', 'Auth-Type', ':=', 'Reject']],
    groupReply,
  });
  const beganAtMs = Date.now() - 3_600_000;
  const online = people.filter(({ kind }) => kind.isOnline === true);
  const sessions: OpenRow[] = online.map(({ index, login, mac, kind }) => ({
    acctSessionId: `81${index.toString(16).padStart(6, '0')}`,
    login,
    nas: '127.0.0.1',
    address: kind.groups?.includes('pooled') === true ? address(64, index) : address(80, index),
    callingStation: mac,
    startedAtMs: beganAtMs,
    updatedAtMs: beganAtMs + 3_500_000,
    inputOctets: 6_000_000_000,
    outputOctets: 1_000,
  }));
  await insertOpenSessions(foreign.pool, sessions);

  const database = await freshDatabase(t);
  const server = await TestServer.start(t, { databaseUrl: database.url });
  const sluice = (...argv: string[]) => runIn(['--conf', server.confDir, '--data', server.dataDir, ...argv]);
  t.equal((await sluice('pool', 'add', 'main', '100.64.0.0/17')).code, 0);
  const imported = await sluice('import', 'freeradius', '--database', foreign.url, '--json');
  t.equal(imported.code, 0, imported.stderr);
  const report = imported.json<{
    users: object;
    sessions: object;
    seconds: number;
    no_counterpart: { attribute: string }[];
  }>();
  t.match(report.users, { read: USERS, added: USERS, errors: 0 });
  t.match(report.sessions, { read: sessions.length, added: sessions.length, errors: 0 });
  t.same(new Set(report.no_counterpart.map((item) => item.attribute)), new Set(['Session-Timeout', 'Crypt-Password']));
  t.comment(`${String(USERS)} users and ${String(sessions.length)} sessions in ${report.seconds.toFixed(1)} s`);
  await knowsSubscribers(server.statusUrl, USERS);

  const freeradiusPort = await startFreeradius(t, foreign.url, server.secret);
  const requests = people.map(({ kind, login, password, mac }) => ({
    userName: login,
    nasIpAddress: '127.0.0.1',
    callingStationId: mac,
    password,
    ...kind.request?.(password),
  }));
  requests.push({ userName: 'nobody-knows-me', nasIpAddress: '127.0.0.1', callingStationId: macOf(1), password: 'x' });
  const theirs = await askAll(freeradiusPort, server.secret, requests);
  const ours = await askAll(server.authPort, server.secret, requests);

  t.test('the same decisions and attributes', async (t) => {
    const met = new Set<object>();
    const unexplained = new Map<string, string>();
    const judge = (what: string, attribute: string, only: 'FreeRADIUS' | 'Sluice' | 'other value', example: string) => {
      const row = differences.find(
        (one) => one.attribute === attribute && one.only === only && (one.of?.test(what) ?? true),
      );
      if (row !== undefined) met.add(row);
      else unexplained.set(`${what}: ${attribute}: ${only}`, example);
    };
    for (const [at, their] of theirs.entries()) {
      const our = ours[at]!;
      const what = people[at]?.kind.what ?? 'an unknown login';
      if (their.decision !== our.decision) {
        judge(what, 'decision', 'other value', `${their.decision} / ${our.decision}`);
        continue;
      }
      for (const name of new Set([...their.attributes.keys(), ...our.attributes.keys()])) {
        const [one, other] = [their.attributes.get(name), our.attributes.get(name)];
        if (one === undefined) judge(what, name, 'Sluice', other!);
        else if (other === undefined) judge(what, name, 'FreeRADIUS', one);
        else if (!sameValue(name, one, other)) judge(what, name, 'other value', `${one} / ${other}`);
      }
    }
    t.same(Object.fromEntries(unexplained), {}, 'every difference is in the table');
    t.same(
      differences.filter((row) => !met.has(row)),
      [],
      'every row of the table is met',
    );
    const accepted = ours.filter((answer) => answer.decision === 'accept').length;
    t.ok(accepted > USERS / 2 && accepted < USERS, `${String(accepted)} are accepted`);
  });

  t.test('no address in use is offered to somebody else', async (t) => {
    const owner = new Map(sessions.map((session) => [session.address, session.login]));
    const offered = new Map<string, string>();
    for (const [at, { login, kind }] of people.entries()) {
      const given = ours[at]!.attributes.get('Framed-IP-Address');
      if (given === undefined) continue;
      if (owner.get(given) !== undefined && owner.get(given) !== login)
        t.fail(`${given} of ${owner.get(given)!} is offered to ${login}`);
      if (offered.has(given)) t.fail(`${given} is offered to ${login} and ${offered.get(given)!}`);
      offered.set(given, login);
      if (kind.isOnline === true) t.equal(owner.get(given), login, 'whoever is online keeps his address');
    }
    t.equal(offered.size, people.filter(({ kind }) => /static|^a pool/.test(kind.what)).length);
  });

  t.test('the Stop that comes after the cutover ends the imported session', async (t) => {
    const session = sessions[1]!;
    const client = await RadiusClient.open(server.accountingPort);
    t.teardown(() => client.close());
    const stop = accountingRequest({
      status: 'stop',
      secret: server.secret,
      userName: session.login,
      nasIpAddress: '127.0.0.1',
      acctSessionId: session.acctSessionId,
      callingStationId: session.callingStation!,
      framedIpAddress: session.address!,
      inputOctets: 6_000_000_500,
      outputOctets: 1_500,
      sessionSeconds: Math.round((Date.now() - beganAtMs) / 1000),
      terminateCause: 1,
      fill: (request) => request.addUint32(Attribute.acctDelayTime, 0),
    });
    t.ok(await client.ask(stop, { timeoutMs: 3_000, attempts: 3 }));
    await applied(server.statusUrl);
    const { rows } = await database.pool.query<Record<string, unknown>>(
      `SELECT end_cause, input_octets, host(address) AS address FROM session_history WHERE acct_session_id = $1`,
      [session.acctSessionId],
    );
    t.same(rows, [{ end_cause: 'stop', input_octets: 6_000_000_500, address: session.address }]);
    const used = await database.pool.query<Record<string, unknown>>(
      `SELECT p.input_octets, p.output_octets FROM period p JOIN subscriber s ON s.id = p.subscriber_id WHERE s.login = $1`,
      [session.login],
    );
    t.same(used.rows, [{ input_octets: 500, output_octets: 500 }], 'only what was used since the import counts here');
    const held = await database.pool.query('SELECT FROM assignment WHERE address = $1 AND ended_at IS NULL', [
      session.address,
    ]);
    t.equal(held.rows.length, 0, 'and its address is let go');
  });
});
