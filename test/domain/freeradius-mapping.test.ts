/**
 * What FreeRADIUS' items mean in our words: passwords, rates, groups and plans, blocks, bindings.
 */
import t from 'tap';
import { mapUser, readExpiration } from '../../src/domain/freeradius-mapping.js';
import type { MappedUser, MappingSettings } from '../../src/domain/freeradius-mapping.js';
import { readOperator } from '../../src/domain/freeradius-item.js';
import type { Item, Stanza } from '../../src/domain/freeradius-item.js';
import { mapPassword } from '../../src/domain/freeradius-password.js';
import { readRate } from '../../src/domain/freeradius-rate.js';
import type { MappedRates } from '../../src/domain/freeradius-rate.js';
import { openAccountingFacts } from '../../src/domain/freeradius-accounting.js';
import type { OpenAccounting } from '../../src/domain/freeradius-accounting.js';

const nowMs = Date.parse('2026-11-21T12:00:00Z');
const settings: MappingSettings = {
  fallThrough: 'own-goes-on',
  defaultSessionLimit: 64,
  nowMs,
  instantOf: (local) => Date.parse(`${local.replace(' ', 'T')}Z`),
  nasNameOf: (name) => (name === '10.0.0.2' ? 'bras1' : undefined),
};

function item(text: string): Item {
  const [, attribute, operator, value] = /^(\S+) (\S+) (.*)$/.exec(text)!;
  return { attribute: attribute!, operator: readOperator(operator!)!, value: value!, computed: value!.includes('%{') };
}

const own = (checks: string[], replies: string[] = []): Stanza => ({
  origin: 'own',
  shared: undefined,
  checks: checks.map(item),
  replies: replies.map(item),
});
const group = (name: string, replies: string[], checks: string[] = []): Stanza => ({
  origin: `group ${name}`,
  shared: name,
  checks: checks.map(item),
  replies: replies.map(item),
});
const map = (...stanzas: Stanza[]): MappedUser => mapUser('bob', stanzas, settings);

const digest20 = Buffer.alloc(20, 7);
const salted = Buffer.concat([digest20, Buffer.from('salt')]);
const passwords: readonly [key: string, value: string, stored: string | RegExp][] = [
  ['cleartext-password', 'x', 'x'],
  ['cleartext-password', '{x}', '{CLEAR}{x}'],
  ['cleartext-password', '$2 bill', '{CLEAR}$2 bill'],
  ['user-password', 'x', 'x'],
  ['nt-password', '8846F7EAEE8FB117AD06BDD830B7586C', '{NT}8846f7eaee8fb117ad06bdd830b7586c'],
  ['nt-password', '0x8846f7eaee8fb117ad06bdd830b7586c', '{NT}8846f7eaee8fb117ad06bdd830b7586c'],
  ['ssha-password', salted.toString('base64'), `{SSHA}${salted.toString('base64')}`],
  ['ssha-password', salted.toString('hex'), `{SSHA}${salted.toString('base64')}`],
  ['sha-password', digest20.toString('hex'), `{SHA}${digest20.toString('base64')}`],
  ['md5-password', Buffer.alloc(16, 1).toString('hex'), `{MD5}${Buffer.alloc(16, 1).toString('base64')}`],
  ['password-with-header', '{clear}x', 'x'],
  ['password-with-header', 'x', 'x'],
  ['password-with-header', `{ssha}${salted.toString('base64')}`, `{SSHA}${salted.toString('base64')}`],
  ['crypt-password', `$2y$10$${'a'.repeat(53)}`, `{BCRYPT}$2y$10$${'a'.repeat(53)}`],
  ['crypt-password', '$1$salt$hash', /no stored form/],
  ['nt-password', 'short', /no NT hash/],
  ['sha-password', salted.toString('hex'), /no SHA digest/],
  ['password-with-header', '{pbkdf2}x', /\{pbkdf2\}/],
  ['lm-password', '00', /no stored form/],
  ['cleartext-password', '', /empty/],
];

for (const [key, value, stored] of passwords) {
  t.test(`${key} ${value.slice(0, 24)}`, async (t) => {
    const mapped = mapPassword(key, value);
    if (typeof stored === 'string') t.same(mapped, { ok: true, stored });
    else t.match(mapped, { ok: false, problem: stored });
  });
}

const rates: readonly [
  text: string,
  reading: string,
  down: number | null | undefined,
  up: number | null | undefined,
][] = [
  ['Mikrotik-Rate-Limit = 10M/50M', 'read', 50e6, 10e6],
  ['Mikrotik-Rate-Limit = 512k', 'read', 512e3, 512e3],
  ['Mikrotik-Rate-Limit = 0/2M', 'read', 2e6, null],
  ['Mikrotik-Rate-Limit = 1M/2M 2M/4M 1M/1M 8/8', 'read-in-part', 2e6, 1e6],
  ['Mikrotik-Rate-Limit = fast', 'not-understood', undefined, undefined],
  ['WISPr-Bandwidth-Max-Down = 8000000', 'read', 8e6, undefined],
  ['wispr-bandwidth-max-up = 1000', 'read', undefined, 1000],
  ['Ascend-Xmit-Rate = 64000', 'read', 64e3, undefined],
  ['Filter-Id = 50000/10000', 'read', 50e6, 10e6],
  ['Filter-Id = blocked', 'no-rate', undefined, undefined],
  ['Cisco-Service-Info = QU;10000000;1875000;D;50000000', 'read', 50e6, 10e6],
  ['Cisco-Account-Info = QU;;10000000;1;2;D;;50000000;1;2', 'read', 50e6, 10e6],
  ['Cisco-Account-Info = AService', 'no-rate', undefined, undefined],
  ['Framed-Pool = main', 'no-rate', undefined, undefined],
];

for (const [text, reading, down, up] of rates) {
  t.test(text, async (t) => {
    const found: MappedRates = { downBps: undefined, upBps: undefined };
    t.equal(readRate(found, item(text)), reading);
    t.same(found, { downBps: down, upBps: up });
  });
}

const home = group('home', ['Mikrotik-Rate-Limit = 10M/50M', 'Framed-Pool = main'], ['Simultaneous-Use = 1']);
const homePlan = { name: 'home', rateDownBps: 50e6, rateUpBps: 10e6, poolName: 'main', sessionLimit: 1 };

const plans: readonly [what: string, stanzas: readonly Stanza[], plan: object][] = [
  ['a group is a plan', [own([]), home], homePlan],
  [
    'his own rate before a group that says =',
    [own([], ['Mikrotik-Rate-Limit := 1M/2M']), home],
    { ...homePlan, name: 'home 2M/1M', rateDownBps: 2e6, rateUpBps: 1e6 },
  ],
  [
    'a group that says := overrides',
    [own([], ['Mikrotik-Rate-Limit := 1M/2M']), group('g', ['Mikrotik-Rate-Limit := 3M/4M'])],
    { name: 'g', rateDownBps: 4e6 },
  ],
  ['his own limit', [own(['Simultaneous-Use := 3']), home], { ...homePlan, name: 'home x3', sessionLimit: 3 }],
  ['a second group is not read', [own([]), group('a', []), home], { name: 'a', rateDownBps: null, sessionLimit: 64 }],
  [
    'unless the first falls through',
    [own([]), group('a', ['Fall-Through = Yes']), home],
    { name: 'a 50M/10M pool main x1' },
  ],
  ['Fall-Through = No of his own leaves groups out', [own([], ['Fall-Through = No']), home], { name: 'freeradius' }],
  ['a group with a condition is left out', [own([]), group('north', [], ['Huntgroup-Name == north']), home], homePlan],
  [
    'what every broadband NAS says is no condition',
    [own([]), group('ppp', ['Filter-Id = 2000/1000'], ['Framed-Protocol == PPP'])],
    { name: 'ppp', rateDownBps: 2e6 },
  ],
];

for (const [what, stanzas, plan] of plans) {
  t.test(what, async (t) => {
    t.match(map(...stanzas).plan, plan);
  });
}

t.test('blocks and their reasons', async (t) => {
  t.equal(map(own(['Auth-Type := Reject'])).blockedReason, 'FreeRADIUS: Auth-Type := Reject');
  t.equal(
    map(own([]), group('disabled', [], ['Auth-Type := Reject'])).blockedReason,
    'FreeRADIUS: Auth-Type := Reject (disabled)',
  );
  t.equal(map(own(['Expiration := 20 Nov 2026 10:00'])).blockedReason, 'FreeRADIUS: expired on 2026-11-20 10:00:00');
  const later = map(own(['Expiration := 20 Dec 2026']));
  t.equal(later.blockedReason, null);
  t.match(later.leftovers, [{ attribute: 'Expiration', why: /in the future/ }]);
  t.equal(map(own(['Auth-Type := Accept'])).blockedReason, null);
});

for (const [text, local] of [
  ['24 Dec 2026 23:59:59', '2026-12-24 23:59:59'],
  ['Dec 24 2026', '2026-12-24 00:00:00'],
  ['December 4, 2026 7:05', '2026-12-04 07:05:00'],
  ['2026-12-24 10:00', '2026-12-24 10:00'],
  ['tomorrow', undefined],
  ['31 Foo 2026', undefined],
] as const) {
  t.test(`the date ${text}`, async (t) => {
    t.equal(readExpiration(text), local);
  });
}

t.test('bindings and addresses', async (t) => {
  const bound = map(
    own(
      ['Calling-Station-Id == 02-00-00-00-00-0A', 'NAS-IP-Address == 10.0.0.2'],
      ['Framed-IP-Address = 100.64.0.1', 'Framed-Pool = vip'],
    ),
  );
  t.match(bound, { mac: '02:00:00:00:00:0a', nasName: 'bras1', staticAddress: '100.64.0.1', poolName: 'vip' });
  t.same(bound.leftovers, []);
  t.match(map(own([], ['Framed-IP-Address = 255.255.255.254'])), {
    staticAddress: null,
    leftovers: [{ why: /NAS chooses/ }],
  });
  t.match(map(own(['Calling-Station-Id =~ ^02'])), { mac: null, leftovers: [{ why: /served without it/ }] });
});

t.test('no password is ever in what is told', async (t) => {
  const { leftovers } = map(
    own(['Crypt-Password := $1$secret', 'LM-Password := secret', 'Cleartext-Password := %{secret}']),
  );
  t.equal(leftovers.length, 3);
  t.notMatch(JSON.stringify(leftovers), /secret/);
});

const row: OpenAccounting = {
  id: '1',
  acctSessionId: 's',
  login: 'bob',
  nasAddress: '10.0.0.2',
  nasPortId: null,
  startedAtMs: nowMs - 100_000,
  updatedAtMs: nowMs - 10_000,
  sessionSeconds: 90,
  inputOctets: 5,
  outputOctets: 6,
  calledStation: null,
  callingStation: '02-00-00-00-00-0A',
  address: '100.64.0.1',
};
const nas = { nasName: 'bras1', nasBox: 'b', routingDomain: 'default' };

t.test(
  'an open row is a Start and an update; a row without an update a Start; dates of the future are refused',
  async (t) => {
    t.match(openAccountingFacts(row, nas, nowMs), {
      facts: [
        { status: 'start', eventAtMs: nowMs - 100_000, address: '100.64.0.1', mac: '02:00:00:00:00:0a' },
        {
          status: 'interim',
          eventAtMs: nowMs - 10_000,
          sessionSeconds: 90,
          input: { octets: 5 },
          output: { octets: 6 },
        },
      ],
    });
    const bare = openAccountingFacts({ ...row, updatedAtMs: null, sessionSeconds: null }, nas, nowMs);
    t.equal(bare.ok && bare.facts.length, 1);
    t.match(openAccountingFacts({ ...row, updatedAtMs: null, startedAtMs: null }, nas, nowMs), { ok: false });
    t.match(openAccountingFacts({ ...row, startedAtMs: nowMs + 7_200_000 }, nas, nowMs), {
      ok: false,
      problem: /future/,
    });
    t.match(openAccountingFacts({ ...row, acctSessionId: '' }, nas, nowMs), { ok: false });
  },
);

t.test('IPv6 prefixes of a user are told with the column that they belong in', (t) => {
  const { leftovers } = map(
    own([], ['Framed-IPv6-Prefix = 2001:db8:0:1::/64', 'Delegated-IPv6-Prefix = 2001:db8:1::/56']),
  );
  t.match(leftovers, [
    { attribute: 'Framed-IPv6-Prefix', place: 'reply', why: /set static_framed_prefix/u },
    { attribute: 'Delegated-IPv6-Prefix', place: 'reply', why: /set static_delegated_prefix/u },
  ]);
  t.end();
});
