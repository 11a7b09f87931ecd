// The bundled profiles, octet by octet: what each kind of NAS is sent in each state, in the units that it reads.
import t from 'tap';
import { join } from 'node:path';
import { readdir } from 'node:fs/promises';
import { bundledProfilesDir, checkout, confFolder } from '../config/conf-folder.js';
import { dictionaryEncoder } from '../../src/nas/dictionary-encoder.js';
import { loadDictionary } from '../../src/radius/dictionary-file.js';
import { compileProfile } from '../../src/nas/profile.js';
import type { CompiledState } from '../../src/nas/profile.js';
import { sampleContext } from '../../src/nas/attribute-variables.js';
import type { AttributeContext, PlanRate } from '../../src/nas/attribute-variables.js';
import type { ProfileState } from '../../src/config/profile-schema.js';
import { smallEncoder } from './small-dictionary.js';

const hex = (value: string): string => Buffer.from(value, 'latin1').toString('hex');
const octet = (value: number): string => value.toString(16).padStart(2, '0');
// RFC 2865 §5: type, length, value. §5.26: type 26, length, four octets of vendor, then type, length, value of the vendor's.
const standard = (type: number, value: string): string => octet(type) + octet(2 + value.length / 2) + value;
const vendor = (number: number, type: number, value: string): string =>
  standard(26, number.toString(16).padStart(8, '0') + standard(type, value));
const integer = (value: number): string => value.toString(16).padStart(8, '0');

const framedUser = '060600000002';
const ppp = '070600000001';
const rateLimit = (value: string): string => vendor(14988, 8, hex(value));
const addressList = (value: string): string => vendor(14988, 19, hex(value));
const accountInfo = (value: string): string => vendor(9, 250, hex(value));
const filterId = (value: string): string => standard(11, hex(value));
const wispr = (up: number | undefined, down: number | undefined): string =>
  (up === undefined ? '' : vendor(14122, 7, integer(up))) + (down === undefined ? '' : vendor(14122, 8, integer(down)));

const shaping = (bps: string): string => vendor(4874, 108, hex(`T02 ${bps}`));
const service = (tag: number, name: string): string => vendor(4874, 65, octet(tag) + hex(name));
const redback = (type: number, value: string): string => vendor(2352, type, hex(value));
const alc = (type: number, value: string): string => vendor(6527, type, hex(value));

const home: PlanRate = { rateDownBps: 50_000_000, rateUpBps: 10_000_000 };
const gigabit: PlanRate = { rateDownBps: 1_000_000_000, rateUpBps: 1_000_000_000 };
const uneven: PlanRate = { rateDownBps: 1_536_400, rateUpBps: 400 };
const burst: PlanRate = {
  ...home,
  burstDownBps: 80_000_000,
  burstUpBps: 20_000_000,
  burstThresholdDownBps: 40_000_000,
  burstThresholdUpBps: 8_000_000,
  burstSeconds: 8,
};
const downOnly: PlanRate = { rateDownBps: 50_000_000, rateUpBps: undefined };
const upOnly: PlanRate = { rateDownBps: undefined, rateUpBps: 10_000_000 };

const rows: readonly [profile: string, state: ProfileState, rate: PlanRate | undefined, expected: string | 'reject'][] =
  [
    // RouterOS: rx is what the router receives from the client, so the upload comes first; k is 1000 bit/s.
    ['mikrotik-ppp', 'active', home, framedUser + ppp + rateLimit('10000k/50000k')],
    ['mikrotik-ppp', 'active', gigabit, framedUser + ppp + rateLimit('1000000k/1000000k')],
    ['mikrotik-ppp', 'active', uneven, framedUser + ppp + rateLimit('1k/1536k')],
    ['mikrotik-ppp', 'active', burst, framedUser + ppp + rateLimit('10000k/50000k 20000k/80000k 8000k/40000k 8/8')],
    ['mikrotik-ppp', 'active', downOnly, framedUser + ppp + rateLimit('0/50000k')],
    ['mikrotik-ppp', 'active', upOnly, framedUser + ppp + rateLimit('10000k/0')],
    ['mikrotik-ppp', 'active', undefined, framedUser + ppp],
    ['mikrotik-ppp', 'redirect', home, framedUser + ppp + addressList('sluice-redirect') + rateLimit('1000k/1000k')],
    ['mikrotik-ppp', 'own_disabled', home, 'reject'],
    ['mikrotik-ppp', 'admin_blocked', home, 'reject'],
    ['mikrotik-ppp', 'unknown', undefined, 'reject'],
    // accel-ppp: down first, kbit/s, no suffix.
    ['accel-ppp', 'active', home, filterId('50000/10000')],
    ['accel-ppp', 'active', gigabit, filterId('1000000/1000000')],
    ['accel-ppp', 'active', uneven, filterId('1536/1')],
    ['accel-ppp', 'active', downOnly, filterId('50000/0')],
    ['accel-ppp', 'active', upOnly, filterId('0/10000')],
    ['accel-ppp', 'active', undefined, ''],
    ['accel-ppp', 'redirect', home, 'reject'],
    ['accel-ppp', 'own_disabled', home, 'reject'],
    ['accel-ppp', 'admin_blocked', home, 'reject'],
    ['accel-ppp', 'unknown', undefined, 'reject'],
    ['accel-ppp-ipoe', 'active', home, filterId('50000/10000')],
    ['accel-ppp-ipoe', 'active', undefined, ''],
    ['accel-ppp-ipoe', 'redirect', home, 'reject'],
    ['accel-ppp-ipoe', 'own_disabled', home, 'reject'],
    ['accel-ppp-ipoe', 'admin_blocked', home, 'reject'],
    ['accel-ppp-ipoe', 'unknown', undefined, 'reject'],
    // A DHCP server of RouterOS reads the same rates, and is no PPP.
    ['mikrotik-dhcp', 'active', home, rateLimit('10000k/50000k')],
    ['mikrotik-dhcp', 'active', burst, rateLimit('10000k/50000k 20000k/80000k 8000k/40000k 8/8')],
    ['mikrotik-dhcp', 'active', downOnly, rateLimit('0/50000k')],
    ['mikrotik-dhcp', 'active', upOnly, rateLimit('10000k/0')],
    ['mikrotik-dhcp', 'active', undefined, ''],
    ['mikrotik-dhcp', 'redirect', home, addressList('sluice-redirect') + rateLimit('1000k/1000k')],
    ['mikrotik-dhcp', 'own_disabled', home, 'reject'],
    ['mikrotik-dhcp', 'admin_blocked', home, 'reject'],
    ['mikrotik-dhcp', 'unknown', undefined, 'reject'],
    // ISG: U is from the subscriber, D to him; bit/s, then bursts in octets: 10 Mbit/s × 1.5 s ÷ 8 = 1,875,000.
    [
      'cisco-isg',
      'active',
      home,
      framedUser + ppp + accountInfo('QU;10000000;1875000;3750000;D;50000000;9375000;18750000'),
    ],
    ['cisco-isg', 'active', downOnly, framedUser + ppp + accountInfo('QD;50000000;9375000;18750000')],
    ['cisco-isg', 'active', upOnly, framedUser + ppp + accountInfo('QU;10000000;1875000;3750000')],
    ['cisco-isg', 'active', undefined, framedUser + ppp],
    [
      'cisco-isg',
      'redirect',
      home,
      framedUser +
        ppp +
        accountInfo('ASLUICE_REDIRECT') +
        accountInfo('QU;10000000;1875000;3750000;D;50000000;9375000;18750000'),
    ],
    ['cisco-isg', 'redirect', undefined, framedUser + ppp + accountInfo('ASLUICE_REDIRECT')],
    ['cisco-isg', 'own_disabled', home, 'reject'],
    ['cisco-isg', 'admin_blocked', home, 'reject'],
    ['cisco-isg', 'unknown', undefined, 'reject'],
    // Junos: 108 is a CoS parameter and its value, 65 a tagged service with its parameters; bit/s.
    ['juniper-mx', 'active', home, framedUser + ppp + shaping('50000000') + service(1, 'SLUICE_UP(10000000)')],
    ['juniper-mx', 'active', downOnly, framedUser + ppp + shaping('50000000')],
    ['juniper-mx', 'active', undefined, framedUser + ppp],
    [
      'juniper-mx',
      'redirect',
      home,
      framedUser + ppp + shaping('50000000') + service(1, 'SLUICE_UP(10000000)') + service(2, 'SLUICE_REDIRECT'),
    ],
    ['juniper-mx', 'redirect', undefined, framedUser + ppp + service(2, 'SLUICE_REDIRECT')],
    ['juniper-mx', 'own_disabled', home, 'reject'],
    ['juniper-mx', 'admin_blocked', home, 'reject'],
    ['juniper-mx', 'unknown', undefined, 'reject'],
    // Huawei: input from the subscriber, bit/s as 32-bit numbers; Filter-Id is the user group.
    [
      'huawei-me60',
      'active',
      home,
      framedUser +
        ppp +
        filterId('sluice-active') +
        vendor(2011, 2, integer(10_000_000)) +
        vendor(2011, 5, integer(50_000_000)),
    ],
    ['huawei-me60', 'active', undefined, framedUser + ppp + filterId('sluice-active')],
    ['huawei-me60', 'redirect', home, framedUser + ppp + filterId('sluice-redirect')],
    ['huawei-me60', 'own_disabled', home, 'reject'],
    ['huawei-me60', 'admin_blocked', home, 'reject'],
    ['huawei-me60', 'unknown', undefined, 'reject'],
    // SmartEdge: inbound from the subscriber, kbit/s as text.
    [
      'redback-se',
      'active',
      home,
      framedUser + ppp + redback(92, 'in:sluice-active') + redback(156, '10000') + redback(157, '50000'),
    ],
    ['redback-se', 'active', undefined, framedUser + ppp + redback(92, 'in:sluice-active')],
    [
      'redback-se',
      'redirect',
      home,
      framedUser + ppp + redback(92, 'in:sluice-redirect') + redback(107, 'sluice-redirect'),
    ],
    ['redback-se', 'own_disabled', home, 'reject'],
    ['redback-se', 'admin_blocked', home, 'reject'],
    ['redback-se', 'unknown', undefined, 'reject'],
    // SR OS: kbit/s; e to the subscriber, i from him.
    [
      'nokia-sr',
      'active',
      home,
      framedUser + ppp + alc(13, 'sluice-active') + alc(126, 'e:r:rate=50000') + alc(126, 'i:q:1:pir=10000'),
    ],
    ['nokia-sr', 'active', undefined, framedUser + ppp + alc(13, 'sluice-active')],
    ['nokia-sr', 'redirect', home, framedUser + ppp + alc(13, 'sluice-redirect')],
    ['nokia-sr', 'own_disabled', home, 'reject'],
    ['nokia-sr', 'admin_blocked', home, 'reject'],
    ['nokia-sr', 'unknown', undefined, 'reject'],
    // WISPr: bit/s as 32-bit numbers.
    ['linux', 'active', home, framedUser + ppp + wispr(10_000_000, 50_000_000)],
    ['linux', 'active', uneven, framedUser + ppp + wispr(400, 1_536_400)],
    ['linux', 'active', downOnly, framedUser + ppp + wispr(undefined, 50_000_000)],
    ['linux', 'active', undefined, framedUser + ppp],
    ['linux', 'redirect', home, framedUser + ppp + filterId('sluice-redirect') + wispr(1_000_000, 1_000_000)],
    ['linux', 'own_disabled', home, 'reject'],
    ['linux', 'admin_blocked', home, 'reject'],
    ['linux', 'unknown', undefined, 'reject'],
  ];

const context = (rate: PlanRate | undefined, nasPool?: string): AttributeContext => ({
  ...sampleContext({ rate: false, burst: false }),
  rate,
  nasPool,
});

const octets = (state: CompiledState, one: AttributeContext): string => {
  const encoded = state.encode(one);
  return encoded.ok ? encoded.octets.toString('hex') : `failed: ${encoded.failure.reason}`;
};

const folder = await confFolder(t, {
  'conf/nas.d/all.toml': [...new Set(rows.map(([profile]) => profile))]
    .map(
      (profile, index) =>
        `[[nas]]\nname = "${profile}"\naddress = "10.0.0.${index + 1}"\nprofile = "${profile}"\nsecret = "0123456789abcdefghij"\n`,
    )
    .join(''),
});
const config = await folder.load();

t.test('each state is said in the octets and units of the vendor', async (t) => {
  for (const [name, state, rate, expected] of rows) {
    const compiled = compileProfile(config.profiles[name]!, smallEncoder).states[state];
    const label = `${name} ${state} ${rate === undefined ? 'without rate' : `${rate.rateDownBps}/${rate.rateUpBps}`}`;
    if (expected === 'reject') {
      t.equal(compiled.answer, 'reject', label);
      t.equal(octets(compiled, context(rate)), '', `${label}: a reject carries nothing`);
    } else {
      t.equal(compiled.answer, 'accept', label);
      t.equal(octets(compiled, context(rate)), expected, label);
      t.equal(octets(compiled, context(rate)), expected, `${label}, again`);
    }
  }
});

// What brings a running session into a state: nothing may be left out that the session would keep.
const changes: readonly [profile: string, state: ProfileState, rate: PlanRate | undefined, expected: string][] = [
  ['mikrotik-ppp', 'active', home, addressList('sluice-active') + rateLimit('10000k/50000k')],
  ['mikrotik-ppp', 'active', upOnly, addressList('sluice-active') + rateLimit('10000k/0')],
  ['mikrotik-ppp', 'active', undefined, addressList('sluice-active') + rateLimit('0/0')],
  ['mikrotik-ppp', 'redirect', home, addressList('sluice-redirect') + rateLimit('1000k/1000k')],
  ['accel-ppp', 'active', home, filterId('50000/10000')],
  ['accel-ppp', 'active', undefined, filterId('0/0')],
  ['accel-ppp-ipoe', 'active', home, filterId('50000/10000')],
  ['accel-ppp-ipoe', 'active', undefined, filterId('0/0')],
  [
    'redback-se',
    'active',
    home,
    redback(92, 'in:sluice-active') + redback(156, '10000') + redback(157, '50000') + redback(107, ''),
  ],
  ['nokia-sr', 'active', home, alc(13, 'sluice-active') + alc(126, 'e:r:rate=50000') + alc(126, 'i:q:1:pir=10000')],
  ['nokia-sr', 'active', undefined, alc(13, 'sluice-active') + alc(126, 'e:r:rate=-2') + alc(126, 'i:q:1:pir=-2')],
  ['huawei-me60', 'redirect', home, filterId('sluice-redirect')],
];

t.test(
  'a running session is told what a new one has by itself, and neither Service-Type nor Framed-Protocol',
  async (t) => {
    for (const [name, state, rate, expected] of changes) {
      const encoded = compileProfile(config.profiles[name]!, smallEncoder).states[state].encodeChange(context(rate));
      t.equal(encoded.ok && encoded.octets.toString('hex'), expected, `${name} ${state}`);
    }
  },
);

t.test('every state of every bundled profile is in the table', async (t) => {
  const named = new Set(rows.map(([profile, state]) => `${profile} ${state}`));
  const bundled = (await readdir(bundledProfilesDir)).map((file) => file.slice(0, -'.toml'.length));
  // Profiles without a RADIUS session answer no Access-Request.
  for (const name of bundled) t.ok(config.profiles[name] !== undefined || /-ssh$|-script$/u.test(name), name);
  for (const [name, profile] of Object.entries(config.profiles)) {
    for (const state of Object.keys(profile.states)) t.ok(named.has(`${name} ${state}`), `${name} ${state}`);
  }
});

t.test('a pool of the NAS is named as the NAS wants it', async (t) => {
  const pool = (name: string): string =>
    octets(compileProfile(config.profiles[name]!, smallEncoder).states.active, context(undefined, 'main'));
  t.equal(pool('mikrotik-ppp'), framedUser + ppp + standard(88, hex('main')), 'Framed-Pool');
  t.equal(pool('cisco-isg'), framedUser + ppp + vendor(9, 1, hex('ip:addr-pool=main')), 'ip:addr-pool');
});

t.test('no rate ever reaches accel-ppp with a suffix', async (t) => {
  const state = compileProfile(config.profiles['accel-ppp']!, smallEncoder).states.active;
  for (const rateDownBps of [1, 999, 1_000_000, 2_500_000_000, 100_000_000_000]) {
    const [said] = state.explain(context({ rateDownBps, rateUpBps: rateDownBps }));
    t.match(String(said?.value), /^[1-9]\d*\/[1-9]\d*$/u, `${rateDownBps} bit/s`);
  }
});

t.test('a rate that 32 bits cannot hold fails the answer rather than being sent wrong', async (t) => {
  const state = compileProfile(config.profiles['linux']!, smallEncoder).states.active;
  t.same(state.encode(context({ rateDownBps: 10_000_000_000, rateUpBps: 1_000_000 })), {
    ok: false,
    failure: { attribute: 'WISPr-Bandwidth-Max-Down', reason: 'does-not-fit', variable: undefined },
  });
});

t.test('the shipped dictionaries make the same octets as the numbers that this test assumes', async (t) => {
  const shipped = dictionaryEncoder(loadDictionary(join(checkout, 'dictionaries/dictionary')).dictionary);
  for (const [name, state, rate, expected] of rows) {
    const compiled = compileProfile(config.profiles[name]!, shipped).states[state];
    t.equal(octets(compiled, context(rate)), expected === 'reject' ? '' : expected, `${name} ${state}`);
  }
});
