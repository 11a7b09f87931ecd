// The file between the hook and the server: what it may hold, how arguments and Kea's variables are understood, and that nothing in it is obeyed.
import t from 'tap';
import { maxHookFileOctets, readHookFile } from '../../src/dhcp/hook-file.js';
import type { HookFault } from '../../src/dhcp/hook-file.js';
import type { Heard } from '../../src/dhcp/told-lease.js';
import { chooseSeed, seededRandom } from '../support/seeded-random.js';

const receivedAtMs = 1_795_288_900_000;
const writtenAtMs = 1_795_288_897_680;
const heard: Heard = { receivedAtMs, via: 'hook', source: 'dhcp1', happenedAtMs: writtenAtMs };

type Value = string | Buffer | null;

/** A file as the hook writes it; null stands for a value that was too long. */
function fileOf(lines: readonly (readonly [name: string, value: Value])[]): Buffer {
  return Buffer.concat([
    Buffer.from('sluice-lever 1\n'),
    ...lines.flatMap(([name, value]) => {
      if (value === null) return [Buffer.from(`${name}=!\n`)];
      const octets = Buffer.from(value as string);
      return [Buffer.from(`${name}=${String(octets.length)}:`), octets, Buffer.from('\n')];
    }),
    Buffer.from('end\n'),
  ]);
}

const words = (...all: Value[]): Buffer => fileOf(all.map((word, index) => [String(index + 1), word]));
const variables = (point: string, all: Readonly<Record<string, string>>): Buffer =>
  fileOf([['1', point], ...Object.entries(all)]);

const faultOf = (file: Buffer): HookFault | undefined => {
  const reading = readHookFile(file, heard);
  return reading.ok ? undefined : reading.fault;
};

function eventsOf(file: Buffer) {
  const reading = readHookFile(file, heard);
  if (!reading.ok) throw new Error(`refused: ${reading.fault}`);
  return reading.events;
}

t.test('arguments have their places, and the last ones may be left out or empty', async (t) => {
  const event = { kind: 'commit', address: '100.65.1.10', eventAtMs: writtenAtMs, timeDeclared: true, via: 'hook' };
  const mac = '02:00:00:00:c1:01';
  const switchMac = '02:00:00:00:77:bb';
  const circuitId = '61636331';
  for (const [file, expected] of [
    [words('commit', '100.65.1.10'), { mac: null, line: null }],
    [words('commit', '100.65.1.10', '2:0:0:0:c1:1'), { mac, line: null }],
    [words('commit', '100.65.1.10', mac, switchMac, '11'), { mac, line: { switchMac, switchPort: '11' } }],
    [words('commit', '100.65.1.10', '', '', ''), { mac: null, line: null }],
    [words('commit', '100.65.1.10', '', '', '', '', ''), { mac: null, line: null }],
    [words('commit', '100.65.1.10', mac, '', '', 'circuit_id=61:63:63:31'), { mac, line: { circuitId } }],
    [words('commit', '100.65.1.10', mac, 'circuit_id=61636331'), { mac, line: { circuitId } }],
    [words('commit', '100.65.1.10', 'circuit_id=61636331', 'remote_id='), { mac: null, line: { circuitId } }],
    [words('commit', '100.65.1.10', mac, '', '', 'lease_seconds=20'), { leaseEndsAtMs: writtenAtMs + 20_000 }],
    [words('commit', '100.65.1.10', mac, '', '', 'at=1795288800'), { eventAtMs: 1_795_288_800_000 }],
    [words('release', '100.65.1.10'), { kind: 'release', mac: null }],
    [words('expiry', '100.65.1.10', mac), { kind: 'expiry', mac }],
    [words('decline', '100.65.1.10', mac, 'at=1795288800'), { kind: 'decline', eventAtMs: 1_795_288_800_000 }],
    [words('release', '100.65.1.10', mac, 'circuit_id=6163'), { kind: 'release', line: { circuitId: '6163' } }],
  ] as const) {
    t.match(eventsOf(file), [{ ...event, ...expected }], file.toString());
  }
});

t.test('arguments that make no sense', async (t) => {
  for (const [file, fault] of [
    [words('renew', '100.65.1.10'), 'unknown-command'],
    [words('commit'), 'bad-address'],
    [words('commit', '', '02:00:00:00:c1:01'), 'bad-address'],
    [words('commit', '100.65.1.10', 'colour=red'), 'bad-client-mac'],
    [words('commit', '100.65.1.10', '', '', '', 'colour=red'), 'unknown-word'],
    [words('commit', '100.65.1.10', '', '', '', '02:00:00:00:c1:01'), 'unknown-word'],
    [words('commit', '100.65.1.10', '', '', '', 'at=1795288800', 'at=1795288801'), 'repeated-word'],
    [words('commit', '100.65.1.10', 'at=1795288800', '02:00:00:00:c1:01'), 'unknown-word'],
    // What stands in the place of the port may come from a client.
    [words('commit', '100.65.1.10', '', '', 'circuit_id=6163'), 'bad-switch-port'],
    [words('commit', '100.65.1.10', '', '', 'a\nend\n'), 'bad-switch-port'],
    [words('commit', '100.65.1.10', '', '', Buffer.from([0xff, 0xfe])), 'bad-switch-port'],
    [words('commit', null), 'too-long'],
    [words('__proto__', '100.65.1.10'), 'unknown-command'],
    [words('commit', '100.65.1.10', '', '', '', '__proto__=1'), 'unknown-word'],
    [words(), 'unknown-command'],
  ] as const) {
    t.equal(faultOf(file), fault, file.toString());
  }
});

t.test('a file that is not whole, or not of the hook', async (t) => {
  const whole = words('commit', '100.65.1.10', '', '', 'a\nend\nb', 'circuit_id=61636331');
  for (let length = 0; length < whole.length; length++) {
    t.equal(faultOf(whole.subarray(0, length)), 'torn', `cut after ${String(length)} octets`);
  }
  for (const [text, fault] of [
    ['sluice-lever 2\nwhatever', 'unknown-version'],
    ['sluice-lever 10\n', 'unknown-version'],
    ['{"cmd":"commit"}', 'not-of-the-hook'],
    ['#!/bin/sh\nreboot\n', 'not-of-the-hook'],
    ['sluice-lever 1\r\nend\r\n', 'not-of-the-hook'],
    ['sluice-lever 1\n1=6:commit\n1=6:commit\nend\n', 'not-of-the-hook'],
    ['sluice-lever 1\n1=5:commit\nend\n', 'not-of-the-hook'],
    ['sluice-lever 1\n1=-6:commit\nend\n', 'not-of-the-hook'],
    ['sluice-lever 1\n1=6commit\nend\n', 'not-of-the-hook'],
    ['sluice-lever 1\nx=6:commit\nend\n', 'not-of-the-hook'],
    ['sluice-lever 1\n1=6:commit\n3=1:x\nend\n', 'not-of-the-hook'],
    ['sluice-lever 1\n1=6:commit\nend\nmore', 'not-of-the-hook'],
    ['sluice-lever 1\n1=99999:commit\nend\n', 'torn'],
  ] as const) {
    t.equal(faultOf(Buffer.from(text)), fault, text);
  }
  t.equal(faultOf(Buffer.alloc(maxHookFileOctets + 1, 'x')), 'too-long');
  const many = words('commit', '100.65.1.10', ...Array<string>(600).fill(''));
  t.equal(faultOf(many), 'too-long', 'more lines than any hook writes');
});

const lease = (prefix: string, change: Readonly<Record<string, string>> = {}): Record<string, string> =>
  Object.fromEntries(
    Object.entries({
      ADDRESS: '100.66.2.10',
      HWADDR: '02:00:00:00:c2:01',
      CLTT: '1795288897',
      VALID_LIFETIME: '20',
      STATE: 'default',
      ...change,
    }).map(([name, value]) => [`${prefix}_${name}`, value]),
  );

const option82 = '0x010D6F6C74372F302F342F323A313102060200000077BB06085355422D37373131';
const line = {
  circuitId: '6f6c74372f302f342f323a3131',
  remoteId: '0200000077bb',
  subscriberId: '5355422d37373131',
  switchMac: null,
  switchPort: null,
};

t.test('hook points of Kea', async (t) => {
  const common = { address: '100.66.2.10', mac: '02:00:00:00:c2:01', via: 'hook', source: 'dhcp1', timeDeclared: true };
  const ends = 1_795_288_917_000;
  const over = { ...common, eventAtMs: writtenAtMs, leaseEndsAtMs: null };
  for (const [point, all, expected] of [
    [
      'leases4_committed',
      { QUERY4_OPTION_82: option82, ...lease('LEASES4_AT0') },
      [{ ...common, kind: 'commit', eventAtMs: writtenAtMs, leaseEndsAtMs: ends, line }],
    ],
    [
      'lease4_renew',
      { QUERY4_OPTION_82: '', ...lease('LEASE4') },
      [{ ...common, kind: 'commit', leaseEndsAtMs: ends, line: null }],
    ],
    ['lease4_release', { QUERY4_OPTION_82: option82, ...lease('LEASE4') }, [{ ...over, kind: 'release', line }]],
    ['lease4_expire', { QUERY4_OPTION_82: '', ...lease('LEASE4') }, [{ ...over, kind: 'expiry', line: null }]],
    [
      'lease4_decline',
      { QUERY4_OPTION_82: '', ...lease('LEASE4', { HWADDR: '' }) },
      [{ ...over, kind: 'decline', mac: null }],
    ],
    ['leases4_committed', lease('DELETED_LEASES4_AT0'), [{ ...over, kind: 'release', line: null }]],
    [
      'leases4_committed',
      {
        QUERY4_OPTION_82: option82,
        ...lease('LEASES4_AT0'),
        ...lease('LEASES4_AT1', { ADDRESS: '100.66.2.11' }),
        ...lease('DELETED_LEASES4_AT0', { ADDRESS: '100.66.2.9' }),
      },
      [
        { kind: 'release', address: '100.66.2.9' },
        { kind: 'commit', address: '100.66.2.10' },
        { kind: 'commit', address: '100.66.2.11', line },
      ],
    ],
    ['leases4_committed', lease('LEASES4_AT0', { STATE: 'declined', HWADDR: '' }), [{ kind: 'decline', mac: null }]],
    ['leases4_committed', lease('LEASES4_AT0', { STATE: 'released' }), [{ kind: 'release' }]],
    ['leases4_committed', lease('LEASES4_AT0', { STATE: 'expired-reclaimed' }), [{ kind: 'release' }]],
    [
      'leases4_committed',
      lease('LEASES4_AT0', { VALID_LIFETIME: '4294967295' }),
      [{ leaseEndsAtMs: 1_795_288_897_000 + 4_294_967_295_000 }],
    ],
  ] as const) {
    const events = eventsOf(variables(point, all));
    t.equal(events.length, expected.length, point);
    t.match(events, expected, point);
  }
});

t.test('a commit happened in the second that Kea names, however late its script ran', async (t) => {
  const at = (CLTT: string) => eventsOf(variables('leases4_committed', lease('LEASES4_AT0', { CLTT })))[0]?.eventAtMs;
  t.equal(at('1795288897'), writtenAtMs, 'in the same second the time of the file is nearer');
  t.equal(at('1795288895'), 1_795_288_895_999, 'a script that had to wait');
  t.equal(at('1795288899'), writtenAtMs, 'a clock that was set back meanwhile');
  t.equal(at(''), writtenAtMs);
  const [release] = eventsOf(variables('lease4_release', lease('LEASE4', { CLTT: '1795288000' })));
  t.equal(release?.eventAtMs, writtenAtMs, 'for a release it is the second of the commit before');
});

t.test('variables of Kea that make no sense', async (t) => {
  for (const [point, all, fault] of [
    ['lease4_select', lease('LEASE4'), 'unknown-hook-point'],
    ['leases4_committed', {}, 'unknown-hook-point'],
    ['leases4_committed', lease('LEASES4_AT1'), 'unknown-hook-point'],
    ['leases4_committed', lease('LEASES4_AT0', { STATE: 'haunted' }), 'unknown-lease-state'],
    ['leases4_committed', lease('LEASES4_AT0', { ADDRESS: '2001:db8::1' }), 'bad-address'],
    ['leases4_committed', lease('LEASES4_AT0', { HWADDR: '02:00' }), 'bad-client-mac'],
    ['leases4_committed', lease('LEASES4_AT0', { VALID_LIFETIME: '0' }), 'bad-lease-seconds'],
    ['leases4_committed', { ...lease('LEASES4_AT0'), ...lease('LEASES4_AT1', { HWADDR: 'x' }) }, 'bad-client-mac'],
    ['lease4_renew', { ...lease('LEASE4'), QUERY4_OPTION_82: '0x0104' }, 'bad-option-82'],
    ['lease4_renew', { ...lease('LEASE4'), QUERY4_OPTION_82: '0x01ff6163' }, 'bad-option-82'],
    ['lease4_renew', { ...lease('LEASE4'), QUERY4_OPTION_82: '010461636331' }, 'bad-option-82'],
    ['lease4_renew', { ...lease('LEASE4'), QUERY4_OPTION_82: '0x0104616363310' }, 'bad-option-82'],
  ] as const) {
    t.equal(faultOf(variables(point, all)), fault, `${point} ${JSON.stringify(all)}`);
  }
});

t.test('files that were changed at random are read or refused, and none throws', async (t) => {
  const seed = chooseSeed();
  t.comment(`SLUICE_SEED=${String(seed)}`);
  const random = seededRandom(seed);
  const upTo = (limit: number): number => Math.floor(random() * limit);
  const originals = [
    words('commit', '100.65.1.10', '2:0:0:0:c1:1', '2:0:0:0:77:bb', '11', 'circuit_id=61:63:63:31', 'lease_seconds=20'),
    variables('leases4_committed', {
      QUERY4_OPTION_82: option82,
      ...lease('LEASES4_AT0'),
      ...lease('DELETED_LEASES4_AT0'),
    }),
  ];
  let refused = 0;
  for (let round = 0; round < 100_000; round++) {
    const file = Buffer.from(originals[round % originals.length]!);
    for (let changes = upTo(4); changes >= 0; changes--) file[upTo(file.length)] = upTo(256);
    const reading = readHookFile(round % 5 === 0 ? file.subarray(0, upTo(file.length)) : file, heard);
    if (!reading.ok) refused += 1;
    else if (reading.events.some(({ eventAtMs }) => eventAtMs > receivedAtMs)) t.fail('an event of the future');
  }
  t.ok(refused > 50_000, `${String(refused)} were refused`);
});
