// Who is meant by an access line, and what option82_auth makes of line and MAC: every combination.

import t from 'tap';
import { accessLineText, type AccessLine } from '../../src/domain/access-line.js';
import type { ReadLine } from '../../src/domain/lease-holder.js';
import { Subscriber, type Option82Auth, type SubscriberFields } from '../../src/domain/subscriber.js';
import {
  findIdentity,
  resolveSubscriber,
  type FoundIdentity,
  type IdentityRules,
  type PacketNames,
} from '../../src/handlers/identity.js';
import { Directory } from '../../src/store/directory.js';

const SWITCH = '3c:33:32:66:43:50';
const [HIS, ANOTHER] = ['02:00:00:00:00:01', '02:00:00:00:00:09'];
const ADDRESS = 0x6440_0001;

function rules(identity: IdentityRules['identity'], option82Auth: Option82Auth = 'port'): IdentityRules {
  return {
    identity,
    option82Auth,
    realm: { handling: 'keep', suffixSeparators: '@', prefixSeparators: '\\', only: [] },
    mac: { formats: ['colon', 'hyphen', 'dot', 'bare'], sources: ['User-Name', 'Calling-Station-Id'] },
  };
}

interface Person extends Partial<SubscriberFields> {
  readonly login: string;
  /** Device and port. */
  readonly at?: readonly [deviceId: number, port?: string];
}

/** Device 1 is a switch with ports, 2 an ONU that serves one flat, 3 a switch whose kind shares ports, 4 an OLT with ports. */
function directory(...people: readonly Person[]): Directory {
  const held = new Directory();
  const none = { mac: null, name: null, serial: null };
  held.plugged.putDevice({ ...none, id: 1, mac: SWITCH, name: 'north', byPort: true });
  held.plugged.putDevice({ ...none, id: 2, serial: 'HWTC1A2B3C4D', byPort: false });
  held.plugged.putDevice({ ...none, id: 3, mac: '3c:33:32:66:43:53', byPort: true });
  held.plugged.putDevice({ ...none, id: 4, name: 'olt-1', byPort: true });
  people.forEach(({ at, ...fields }, index) => {
    const id = index + 1;
    held.putSubscriber(
      new Subscriber({
        id,
        accountId: 1,
        password: undefined,
        mac: undefined,
        staticAddress: undefined,
        poolId: undefined,
        nasName: undefined,
        associatePppoeMac: false,
        associateVpnIp: false,
        deleted: false,
        redirect: false,
        ownDisabled: false,
        adminBlocked: false,
        hasDevice: at !== undefined,
        ...fields,
      }),
    );
    if (at) held.plugged.plugIn(id, { deviceId: at[0], port: at[1] });
  });
  return held;
}

const lineAt = (port?: string, mac = SWITCH): AccessLine => ({
  device: { by: 'mac', value: mac },
  ...(port !== undefined && { port }),
});
const read = (line: AccessLine): ReadLine => ({ read: 'line', line });

/** A DHCP client: User-Name is its MAC. */
function client(mac: string | undefined, line: ReadLine | undefined, more: Partial<PacketNames> = {}): PacketNames {
  return { userName: mac, callingStation: undefined, framedAddress: undefined, mac, line, ...more };
}

function said(held: Directory, found: FoundIdentity): string {
  if (found.found === 'none') return `none: ${found.soughtBy}`;
  if (found.found === 'several') return `several by ${found.by}: ${found.subscriberIds.join()}`;
  const { login } = held.subscriber(found.subscriber.id)!;
  const { line } = found;
  return `${login} by ${found.by}${line === undefined ? '' : `, ${String(line.auth)} ${line.where}`}`;
}

t.test('which place a line means', async (t) => {
  const held = directory(
    { login: 'five', at: [1, '5'] },
    { login: 'flat', at: [2] },
    { login: 'shared-a', at: [3, '1'], mac: HIS },
    { login: 'shared-b', at: [3, '1'], mac: ANOTHER },
    { login: 'pon', at: [4, '0/1'] },
    { login: 'gone', at: [1, '8'], deleted: true },
    { login: 'before', at: [1, '9'], deleted: true },
    { login: 'after', at: [1, '9'] },
  );
  const unknownMac = '02:00:00:00:00:77';
  const shared = lineAt('1', '3c:33:32:66:43:53');
  const table: [what: string, line: AccessLine, mac: string | undefined, expected: string][] = [
    ['device and port', lineAt('5'), unknownMac, 'five by line, port own'],
    ['the device by name', { device: { by: 'name', value: 'north' }, port: '5' }, unknownMac, 'five by line, port own'],
    ['a name of other letters', { device: { by: 'name', value: 'North' }, port: '5' }, unknownMac, 'none: line'],
    ['another port', lineAt('6'), unknownMac, 'none: line'],
    ['a port is text, not a number', lineAt('05'), unknownMac, 'none: line'],
    ['a device with ports, and none is told', lineAt(), unknownMac, 'none: line'],
    ['a device that nobody registered', lineAt('5', '3c:33:32:66:43:51'), unknownMac, 'none: line'],
    ['an ONU, whatever its port', { onuSerial: 'HWTC1A2B3C4D', port: '3' }, unknownMac, 'flat by line, port own'],
    [
      'the ONU before the OLT that tells of it',
      { device: { by: 'name', value: 'olt-1' }, port: '0/1', onuSerial: 'HWTC1A2B3C4D' },
      unknownMac,
      'flat by line, port own',
    ],
    [
      'the OLT where its ONU is not registered',
      { device: { by: 'name', value: 'olt-1' }, port: '0/1', onuSerial: 'HWTC00000000' },
      unknownMac,
      'pon by line, port own',
    ],
    ['a shared port: the MAC tells', shared, HIS, 'shared-a by line, port own'],
    ['a shared port: the other one', shared, ANOTHER, 'shared-b by line, port own'],
    ['a shared port: a third device', shared, unknownMac, 'several by line: 3,4'],
    ['a shared port: no MAC at all', shared, undefined, 'several by line: 3,4'],
    ['a login from the access node', { login: 'flat' }, unknownMac, 'flat by line, port own'],
    ['a login before the port', { ...lineAt('5'), login: 'pon' }, unknownMac, 'pon by line, port own'],
    ['a login that nobody has: the port', { ...lineAt('5'), login: 'nobody' }, unknownMac, 'five by line, port own'],
    ['only a deleted one is there', lineAt('8'), unknownMac, 'gone by line'],
    ['whoever came after a deleted one', lineAt('9'), unknownMac, 'after by line, port own'],
  ];
  for (const [what, line, mac, expected] of table)
    t.equal(
      said(held, findIdentity(held, rules(['line']), client(mac, read(line)))),
      expected,
      `${what}: ${accessLineText(line)}`,
    );
});

t.test('option82_auth: every combination of line and MAC, by the subscriber or by the profile', async (t) => {
  const combinations = {
    'his line, his MAC': [HIS, read(lineAt('5'))],
    'his line, another MAC': [ANOTHER, read(lineAt('5'))],
    'another line, his MAC': [HIS, read(lineAt('6'))],
    'another line, another MAC': [ANOTHER, read(lineAt('6'))],
    'a neighbour’s line, his MAC': [HIS, read(lineAt('7'))],
    'a line that no rule knows, his MAC': [HIS, { read: 'unknown' }],
    'no line, his MAC': [HIS, { read: 'none' }],
    'no line, another MAC': [ANOTHER, { read: 'none' }],
  } as const satisfies Record<string, readonly [string, ReadLine]>;
  type Combination = keyof typeof combinations;
  const expected: Record<Option82Auth, Record<Combination, string>> = {
    port: {
      'his line, his MAC': 'anna by line, port own',
      'his line, another MAC': 'anna by line, port own',
      'another line, his MAC': 'none: line',
      'another line, another MAC': 'none: line',
      'a neighbour’s line, his MAC': 'boris by line, port own',
      'a line that no rule knows, his MAC': 'none: line',
      'no line, his MAC': 'none: untold-line',
      'no line, another MAC': 'none: mac',
    },
    'port-mac': {
      'his line, his MAC': 'anna by line, port-mac own',
      'his line, another MAC': 'anna by line, port-mac own',
      'another line, his MAC': 'anna by mac, port-mac other',
      'another line, another MAC': 'none: line',
      'a neighbour’s line, his MAC': 'boris by line, port own',
      'a line that no rule knows, his MAC': 'anna by mac, port-mac other',
      'no line, his MAC': 'anna by mac, port-mac untold',
      'no line, another MAC': 'none: mac',
    },
    mac: {
      'his line, his MAC': 'anna by line, mac own',
      'his line, another MAC': 'none: line',
      'another line, his MAC': 'anna by mac, mac other',
      'another line, another MAC': 'none: line',
      'a neighbour’s line, his MAC': 'boris by line, port own',
      'a line that no rule knows, his MAC': 'anna by mac, mac other',
      'no line, his MAC': 'anna by mac, mac untold',
      'no line, another MAC': 'none: mac',
    },
  };
  for (const auth of ['port', 'port-mac', 'mac'] as const)
    for (const [whose, own, profile] of [
      ['the subscriber', auth, auth === 'port' ? 'mac' : 'port'],
      ['the profile', undefined, auth],
    ] as const) {
      const held = directory(
        { login: 'anna', at: [1, '5'], mac: HIS, option82Auth: own },
        { login: 'boris', at: [1, '7'], mac: '02:00:00:00:00:07', option82Auth: 'port' },
      );
      for (const [what, [mac, line]] of Object.entries(combinations))
        t.equal(
          said(held, findIdentity(held, rules(['line', 'mac'], profile), client(mac, line))),
          expected[auth][what as Combination],
          `${auth} by ${whose}: ${what}`,
        );
    }
});

t.test('without a device, or without line in the profile, a MAC is what it always was', async (t) => {
  const held = directory(
    { login: 'anna', mac: HIS },
    { login: 'boris', mac: ANOTHER, at: [1, '5'] },
    { login: 'clara', mac: '02:00:00:00:00:03', option82Auth: 'port' },
  );
  const withLine = rules(['line', 'mac']);
  const without = rules(['mac']);
  const ask = (its: IdentityRules, mac: string, line: ReadLine) =>
    said(held, findIdentity(held, its, client(mac, line)));
  t.equal(ask(withLine, HIS, { read: 'none' }), 'anna by mac, undefined untold');
  t.equal(ask(withLine, HIS, read(lineAt('6'))), 'anna by mac, undefined other', 'wherever it is plugged in');
  t.equal(ask(without, HIS, read(lineAt('5'))), 'anna by mac', 'the line is not looked at');
  t.equal(ask(without, ANOTHER, { read: 'none' }), 'boris by mac');
  t.equal(
    ask(withLine, '02:00:00:00:00:03', { read: 'none' }),
    'none: untold-line',
    'who is to be known by a port and has none is known by nothing',
  );
});

t.test('the order of the profile', async (t) => {
  const held = directory(
    { login: 'anna', at: [1, '5'] },
    { login: 'boris', mac: HIS, option82Auth: 'mac' },
    { login: HIS },
    { login: 'dora', staticAddress: ADDRESS },
  );
  const everything = client(HIS, read(lineAt('5')), { framedAddress: ADDRESS });
  for (const [identity, expected] of [
    [['login', 'mac', 'line', 'address'], `${HIS} by login, undefined other`],
    [['mac', 'line'], 'boris by mac, mac other'],
    [['line', 'mac'], 'anna by line, port own'],
    [['address', 'line'], 'dora by address, undefined other'],
  ] as const)
    t.equal(said(held, findIdentity(held, rules(identity), everything)), expected, identity.join(', '));
});

t.test('whoever was found by login or MAC is looked for at the line', async (t) => {
  const held = directory({ login: 'anna', mac: HIS, at: [1, '5'], option82Auth: 'port-mac' });
  const its = rules(['login', 'line']);
  for (const [line, where] of [
    [read(lineAt('5')), 'own'],
    [read(lineAt('6')), 'other'],
    [{ read: 'unknown' }, 'other'],
    [{ read: 'none' }, 'untold'],
    [undefined, 'untold'],
  ] as const)
    t.equal(
      said(held, findIdentity(held, its, { ...client(HIS, line), userName: 'anna' })),
      `anna by login, port-mac ${where}`,
    );
});

t.test('a renewal without a line is known by the session that holds the address', async (t) => {
  const held = directory({ login: 'anna', at: [1, '5'], option82Auth: 'port' });
  held.sessionStarted({
    nasName: 'bras1',
    nasBox: 'box',
    acctSessionId: 's1',
    subscriberId: 1,
    mac: HIS,
    nasPortId: undefined,
    address: ADDRESS,
    routingDomain: 'default',
    startedAtMs: 1,
  });
  const at = { nasName: 'bras1', routingDomain: 'default' };
  const its = rules(['line', 'mac']);
  const table: [what: string, names: PacketNames, expected: string][] = [
    ['the same client', client(HIS, { read: 'none' }, { framedAddress: ADDRESS, at }), 'anna by line, port own'],
    ['another device', client(ANOTHER, { read: 'none' }, { framedAddress: ADDRESS, at }), 'none: mac'],
    ['another address', client(HIS, { read: 'none' }, { framedAddress: ADDRESS + 1, at }), 'none: mac'],
    ['no address', client(HIS, { read: 'none' }, { at }), 'none: mac'],
    [
      'another NAS',
      client(HIS, { read: 'none' }, { framedAddress: ADDRESS, at: { ...at, nasName: 'bras2' } }),
      'none: mac',
    ],
    ['a line that is told counts', client(HIS, read(lineAt('6')), { framedAddress: ADDRESS, at }), 'none: line'],
    ['so does one that no rule knows', client(HIS, { read: 'unknown' }, { framedAddress: ADDRESS, at }), 'none: line'],
  ];
  for (const [what, names, expected] of table) t.equal(said(held, findIdentity(held, its, names)), expected, what);
});

t.test('accounting means whom the Access-Request meant', async (t) => {
  const held = directory(
    { login: 'anna', mac: HIS, at: [1, '5'] },
    { login: 'boris', mac: ANOTHER, option82Auth: 'mac', at: [1, '6'] },
    { login: 'shared-a', at: [3, '1'], mac: '02:00:00:00:00:0a' },
    { login: 'shared-b', at: [3, '1'], mac: '02:00:00:00:00:0b' },
  );
  const its = rules(['line', 'mac']);
  const shared = read(lineAt('1', '3c:33:32:66:43:53'));
  const session = (mac: string | null, line: ReadLine | undefined, offered?: number) =>
    resolveSubscriber(held, its, {
      login: mac ?? '',
      callingStation: mac,
      mac,
      address: null,
      class: offered === undefined ? null : { subscriberId: offered, policyHash: 0, offerId: 1 },
      line,
    });
  t.equal(session('02:00:00:00:00:77', read(lineAt('5'))), 1, 'by line');
  t.equal(session(ANOTHER, read(lineAt('5')), 2), 2, 'Class first');
  t.equal(session(ANOTHER, { read: 'none' }), 2, 'by MAC');
  t.equal(session(HIS, { read: 'none' }), undefined, 'known by his line, which is not told');
  t.equal(session('02:00:00:00:00:0b', shared), 4, 'one of several at a port');
  t.equal(session(null, shared), 'ambiguous');
  t.equal(session(HIS, read(lineAt('8'))), undefined);
});
