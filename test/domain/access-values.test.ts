// The small values that access is made of: MAC and IPv4 addresses, rates, grants, policy hashes, reasons.

import fc from 'fast-check';
import t from 'tap';
import { describeReason, DISCARD_REASONS, REJECT_REASONS } from '../../src/domain/access-reason.js';
import { decodeGrant, encodeGrant, type GrantedAddress } from '../../src/domain/grant.js';
import { formatIpv4Address, parseIpv4Address } from '../../src/domain/ipv4-address.js';
import { parseMacAddress } from '../../src/domain/mac-address.js';
import { policyHash } from '../../src/domain/policy-hash.js';
import { formatRate, LARGEST_RATE_BPS, parseRate } from '../../src/domain/rate.js';

t.test('MAC addresses in every notation', async (test) => {
  const canonical = '00:01:0a:02:03:04';
  for (const text of [
    '00:01:0a:02:03:04',
    '00:01:0A:02:03:04',
    '0:1:a:2:3:4',
    '0:1:A:2:3:04',
    '00-01-0a-02-03-04',
    '0001.0a02.0304',
    '0001-0A02-0304',
    '00010a-020304',
    '00010a020304',
    '00010A020304',
  ])
    test.equal(parseMacAddress(text), canonical, text);
  for (const text of [
    '',
    'alice',
    '0:1:a:2:3',
    '0:1:a:2:3:4:5',
    '000:1:a:2:3:4',
    '00:01:0a:02:03:0g',
    '00:01-0a:02:03:04',
    ':1:a:2:3:4:5',
    '0:1:a:2:3:4:',
    '00010a02030',
    '00010a0203045',
    '0001.0a02.304',
    '1.a02.0304.1',
    '00010a:020304',
    '192.168.100.10',
    ' 0:1:a:2:3:4',
    '00:01:0a:02:03:04\n',
  ])
    test.equal(parseMacAddress(text), undefined, JSON.stringify(text));
});

t.test('IPv4 addresses', async (test) => {
  test.equal(parseIpv4Address('0.0.0.0'), 0);
  test.equal(parseIpv4Address('100.64.3.7'), 0x6440_0307);
  test.equal(parseIpv4Address('255.255.255.255'), 0xffff_ffff);
  for (const text of [
    '',
    '1.2.3',
    '1.2.3.4.5',
    '1.2.3.256',
    '01.2.3.4',
    '1.2.3.',
    '.1.2.3',
    '1..2.3',
    '1.2.3.4 ',
    '1.2.3.x',
    '::1',
  ])
    test.equal(parseIpv4Address(text), undefined, JSON.stringify(text));
  fc.assert(
    fc.property(
      fc.integer({ min: 0, max: 0xffff_ffff }),
      (address) => parseIpv4Address(formatIpv4Address(address)) === address,
    ),
  );
});

t.test('rates are bit/s, with decimal suffixes', async (test) => {
  const cases: readonly [string, number | undefined][] = [
    ['50M', 50_000_000],
    ['50m', 50_000_000],
    ['512k', 512_000],
    ['2.5G', 2_500_000_000],
    ['1000000', 1_000_000],
    ['10 Mbit/s', 10_000_000],
    ['10Mbps', 10_000_000],
    ['0', undefined],
    ['-1', undefined],
    ['0.1', undefined],
    ['1e9', undefined],
    ['50X', undefined],
    ['', undefined],
    ['101T', undefined],
  ];
  for (const [text, rateBps] of cases) test.equal(parseRate(text), rateBps, JSON.stringify(text));
  fc.assert(
    fc.property(fc.integer({ min: 1, max: LARGEST_RATE_BPS }), (rateBps) => parseRate(formatRate(rateBps)) === rateBps),
  );
});

const grant = {
  offerId: 2 ** 48 - 1,
  subscriberId: 42,
  slot: 1,
  routingDomain: 'd "1"',
  granted: [{ address: 0xffff_fffe, poolId: 7 }] as readonly GrantedAddress[],
  expiresAtMs: 1_800_000_000_000,
};

const prefixes: readonly GrantedAddress[] = [
  { address: '2001:db8:0:1::/64', poolId: 8 },
  { address: '2001:db8:100::/56', poolId: 9 },
];

t.test('a grant is read back as it was written, and nothing else is', async (test) => {
  test.same(decodeGrant(encodeGrant(grant)), grant);
  const whole6 = { ...grant, granted: [...grant.granted, ...prefixes] };
  test.same(decodeGrant(encodeGrant(whole6)), whole6, 'an address and both prefixes in one');
  test.same(decodeGrant(encodeGrant({ ...grant, granted: prefixes })), { ...grant, granted: prefixes });
  test.same(
    decodeGrant(
      Buffer.from(
        '{"offerId":5,"subscriberId":42,"slot":1,"address":"100.64.0.1","routingDomain":"default","poolId":7,"expiresAtMs":9}',
      ),
    ),
    {
      offerId: 5,
      subscriberId: 42,
      slot: 1,
      routingDomain: 'default',
      granted: [{ address: 0x6440_0001, poolId: 7 }],
      expiresAtMs: 9,
    },
    'a record of the release before',
  );
  for (const [name, payload] of [
    ['nothing', Buffer.alloc(0)],
    ['no JSON', Buffer.from('{')],
    ['another value', Buffer.from('[]')],
    ['null', Buffer.from('null')],
    ['a text for a number', encodeGrant({ ...grant, slot: '1' as unknown as number })],
    ['a slot out of range', encodeGrant({ ...grant, slot: 32_768 })],
    ['a negative id', encodeGrant({ ...grant, subscriberId: -1 })],
    ['a fraction', encodeGrant({ ...grant, granted: [{ address: 1, poolId: 1.5 }] })],
    ['no address', Buffer.from(JSON.stringify({ ...grant, address: '1.2.3', poolId: 7 }))],
    ['nothing granted', encodeGrant({ ...grant, granted: [] })],
    ['no prefix', encodeGrant({ ...grant, granted: [{ address: '2001:db8::/129', poolId: 8 }] })],
    ['more than one of each kind', encodeGrant({ ...grant, granted: [...prefixes, ...prefixes] })],
    ['prefixes that are no list', Buffer.from(JSON.stringify({ ...grant, prefixes: 'all' }))],
  ] as const)
    test.equal(decodeGrant(payload), undefined, name);
  const whole = encodeGrant(grant);
  for (let length = 0; length < whole.length; length++)
    if (decodeGrant(whole.subarray(0, length)) !== undefined) test.fail(`cut at ${String(length)}`);
});

t.test('a policy hash tells states and rates apart, and never changes', async (test) => {
  test.equal(policyHash('active', 50_000_000, 10_000_000), 315_710_545, 'as in every release');
  const hashes = new Set<number>();
  for (const state of ['active', 'redirect', 'own_disabled'])
    for (const down of [undefined, 1, 10, 50_000_000])
      for (const up of [undefined, 1, 10]) hashes.add(policyHash(state, down, up));
  test.equal(hashes.size, 36);
  for (const hash of hashes) test.ok(hash >= 0 && hash <= 0xffff_ffff);
});

t.test('every reason has a sentence', async (test) => {
  for (const reason of [...REJECT_REASONS, ...DISCARD_REASONS]) test.ok(describeReason(reason).length > 10, reason);
  test.equal(
    new Set([...REJECT_REASONS, ...DISCARD_REASONS].map(describeReason)).size,
    REJECT_REASONS.length + DISCARD_REASONS.length,
  );
});
