/** `kea-leases4.csv`: columns by name, what a row says, and option 82 in the forms that Kea has kept it in. */
import t from 'tap';
import { KeaLeaseFile } from '../../src/dhcp/kea-lease-file.js';
import type { FiledLease, LeaseFileItem } from '../../src/dhcp/lease-file.js';
import { linesOf, readThrough, tooLong } from './lease-file-text.js';

const endS = Date.UTC(2026, 10, 22, 12, 5, 0) / 1000;
const nowMs = endS * 1000 - 300_000;
const read = (text: string): LeaseFileItem[] => readThrough(new KeaLeaseFile(nowMs), text);

// Kea 2.2.0; later ones have pool_id behind it.
const header =
  'address,hwaddr,client_id,valid_lifetime,expire,subnet_id,fqdn_fwd,fqdn_rev,hostname,state,user_context\n';
const row = (parts: Record<string, string | number> = {}): string => {
  const cells: Record<string, string | number> = {
    address: '100.65.1.10',
    hwaddr: '02:00:00:00:c1:01',
    client_id: '01:02:00:00:00:c1:01',
    valid_lifetime: 600,
    expire: endS,
    subnet_id: 1,
    fqdn_fwd: 0,
    fqdn_rev: 0,
    hostname: 'a&#x2cb',
    state: 0,
    user_context: '',
    ...parts,
  };
  return `${Object.values(cells).join(',')}\n`;
};
const inCell = (value: unknown) => JSON.stringify(value).replaceAll(',', '&#x2c');

function only(text: string): FiledLease {
  const items = read(header + text);
  if (items.length !== 1 || !('lease' in items[0]!)) throw new Error(JSON.stringify(items));
  return items[0].lease;
}

t.test('a row', async (t) => {
  t.same(only(row()), {
    address: '100.65.1.10',
    mac: '02:00:00:00:c1:01',
    line: null,
    atMs: endS * 1000 - 600_000,
    endsAtMs: endS * 1000,
    isGiven: true,
  });
  for (const state of [1, 2, 3, 4]) t.equal(only(row({ state })).isGiven, false, `state ${String(state)}`);
  t.equal(only(row({ valid_lifetime: 0 })).isGiven, false, 'how Kea takes a lease away');
  t.equal(only(row({ hwaddr: '' })).mac, null);
  t.equal(only(row({ hwaddr: '80:00:02:08:fe:80:00:00' })).mac, null, 'not of Ethernet');
  t.match(only(row({ valid_lifetime: 0xffff_ffff, expire: endS - 600 + 0xffff_ffff })), {
    atMs: endS * 1000 - 600_000,
  });
});

t.test('columns are found by their names', async (t) => {
  t.match(read(`address,hwaddr,expire,valid_lifetime\n100.65.1.10,,${String(endS)},600\n`), [
    { lease: { endsAtMs: endS * 1000, isGiven: true } },
  ]);
  t.match(
    read(header.replace('\n', ',pool_id\n') + row({ pool_id: 0 }).repeat(2)).map((item) => item.line),
    [2, 3],
  );
  t.match(read(`lease 100.65.1.10 {\n${row()}${row()}`), [
    { line: 1, problem: 'does not name the columns address, hwaddr, valid_lifetime, expire' },
  ]);
});

t.test('option 82', async (t) => {
  const octets = '0x0104616363310206020000007' + '7bb';
  const line = {
    circuitId: '61636331',
    remoteId: '0200000077bb',
    subscriberId: null,
    switchMac: null,
    switchPort: null,
  };
  for (const [what, context] of Object.entries({
    'an object, since 2.3.2': { ISC: { 'relay-agent-info': { 'sub-options': octets, 'remote-id': 'x' } } },
    'octets alone, before': { ISC: { 'relay-agent-info': octets.toUpperCase().replace('X', 'x') } },
    'without ISC': { 'relay-agent-info': octets, other: [1, 2] },
  }))
    t.same(only(row({ user_context: inCell(context) })).line, line, what);
  for (const context of [
    {},
    [],
    1,
    null,
    { ISC: null },
    { ISC: { 'relay-agent-info': {} } },
    { ISC: { 'relay-agent-info': '0x' } },
  ])
    t.equal(only(row({ user_context: inCell(context) })).line, null, JSON.stringify(context));
  for (const [context, problem] of [
    ['{', 'has a user_context that is no JSON'],
    [inCell({ ISC: { 'relay-agent-info': '0x0' } }), 'has relay-agent-info that is no octets'],
    [inCell({ ISC: { 'relay-agent-info': 7 } }), 'has relay-agent-info that is no octets'],
    [inCell({ ISC: { 'relay-agent-info': '0x01ff61' } }), 'has option 82 with a length that lies'],
  ] as const)
    t.match(read(header + row({ user_context: context })), [{ line: 2, address: '100.65.1.10', problem }]);
  t.equal(only(row({ user_context: '{', state: 2 })).isGiven, false, 'of what is over nothing else is read');
});

t.test('what makes no sense is told with its line, and the rest goes on', async (t) => {
  for (const [parts, problem, address = '100.65.1.10'] of [
    [{ address: '2001:db8::1' }, 'names no IPv4 address that a client can have', null],
    [{ address: '' }, 'names no IPv4 address that a client can have', null],
    [{ expire: '1e9' }, 'has no whole numbers in valid_lifetime, expire and state'],
    [{ valid_lifetime: -1 }, 'has no whole numbers in valid_lifetime, expire and state'],
    [{ state: '' }, 'has no whole numbers in valid_lifetime, expire and state'],
    [{ hwaddr: 'zz' }, 'has no hardware address in hwaddr'],
    [{ hostname: 'a,b' }, 'has 12 cells, and the first line has 11'],
    [{ expire: 600 }, 'is of a time before DHCP servers had clocks'],
    [{ expire: endS + 3600 }, 'is of a time that is still to come: compare the clocks'],
  ] as const)
    t.match(
      read(header + row(parts) + row({ address: '100.65.1.11' })),
      [
        { line: 2, problem, address },
        { line: 3, lease: { address: '100.65.1.11' } },
      ],
      JSON.stringify(parts),
    );
  t.match(
    read(header + row().slice(0, 40)),
    [{ line: 2, address: '100.65.1.10', problem: /^has \d cells/u }],
    'a file that was cut',
  );
  t.equal(read(`${header}${','.repeat(60_000)}\n`).length, 1);
});

t.test('lines come whole, whatever pieces they came in, and never longer than allowed', async (t) => {
  const text = Buffer.from('one\r\ntwo\n\nfour\xff', 'latin1');
  for (let size = 1; size <= text.length; size++) {
    const pieces = Array.from({ length: Math.ceil(text.length / size) }, (_, i) =>
      text.subarray(i * size, (i + 1) * size),
    );
    t.same(await linesOf(pieces), ['one', 'two', '', 'four\xff']);
  }
  const long = Buffer.from(tooLong);
  t.same(await linesOf([Buffer.from('a\n'), long, long, Buffer.from('\nb')]), ['a', null, 'b']);
  t.same(await linesOf([long]), [null]);
  t.same(await linesOf([]), []);
});
