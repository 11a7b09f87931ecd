// Prefixes as texts and as numbers: what is one, what it is cut into, and what overlaps what, against ipaddr.js and by properties.

import fc from 'fast-check';
import ipaddr from 'ipaddr.js';
import t from 'tap';
import {
  firstAddressOf,
  interfaceIdOfMac,
  nthPrefix,
  parseIpv6Prefix,
  prefixBits,
  prefixesOverlap,
} from '../../src/domain/ipv6-prefix.js';
import { OverlappingPrefixes } from '../../src/domain/overlapping-prefixes.js';
import { formatPoolAddress, parsePoolAddress } from '../../src/domain/pool-address.js';

t.test('what is a prefix, and its canonical text', async (test) => {
  const table: readonly (readonly [text: string, canonical: string | undefined, why: string])[] = [
    ['2001:db8::/32', '2001:db8::/32', 'as it is'],
    ['2001:0DB8:0000:0001::/64', '2001:db8:0:1::/64', 'zeros and capitals'],
    ['2001:db8:0:1:0:0:0:5/64', '2001:db8:0:1::/64', 'what stands after it is cleared'],
    ['2001:db8::1', '2001:db8::1/128', 'one address'],
    ['2001:db8:0:0:1:0:0:1/128', '2001:db8::1:0:0:1/128', 'the first of the longest runs of zeros is shortened'],
    ['2001:db8::/129', undefined, 'too long'],
    ['2001:db8::/0', undefined, 'everything'],
    ['2001:db8::/', undefined, 'no length'],
    ['2001:db8::/5x', undefined, 'a length that is none'],
    ['2001:db8::/64/64', undefined, 'two lengths'],
    ['2001:db8::1%eth0', undefined, 'a zone'],
    ['fe80::1/64', undefined, 'link-local'],
    ['febf::/64', undefined, 'link-local to its end'],
    ['ff02::1/128', undefined, 'multicast'],
    ['::ffff:10.0.0.1', undefined, 'IPv4 in another form'],
    ['::/64', undefined, 'unspecified'],
    ['10.0.0.0/8', undefined, 'IPv4'],
    ['aa:bb:cc:dd:ee:ff', undefined, 'a MAC'],
    ['', undefined, 'nothing'],
    [`${'1:'.repeat(500)}1`, undefined, 'endless'],
  ];
  for (const [text, canonical, why] of table) test.equal(parseIpv6Prefix(text), canonical, why);
});

const anyPrefix = fc
  .tuple(
    fc.bigInt({ min: 0x2000n << 112n, max: (0x3fffn << 112n) + 2n ** 112n - 1n }),
    fc.integer({ min: 3, max: 128 }),
  )
  .map(([value, length]) => {
    const groups = Array.from({ length: 8 }, (_, i) => Number((value >> BigInt(112 - 16 * i)) & 0xffffn).toString(16));
    return `${groups.join(':')}/${String(length)}`;
  });

t.test('reading is the same as ipaddr.js’s network address, and canonical texts stay as they are', async () => {
  fc.assert(
    fc.property(anyPrefix, (text) => {
      const canonical = parseIpv6Prefix(text);
      const [address, length] = text.split('/') as [string, string];
      const expected = ipaddr.IPv6.networkAddressFromCIDR(`${address}/${length}`).toRFC5952String();
      return canonical === `${expected}/${length}` && parseIpv6Prefix(canonical) === canonical;
    }),
  );
});

t.test('a network is cut from its beginning to its end', async (test) => {
  test.equal(nthPrefix('2001:db8::/32', 56, 0), '2001:db8::/56');
  test.equal(nthPrefix('2001:db8::/32', 56, 1), '2001:db8:0:100::/56');
  test.equal(nthPrefix('2001:db8::/32', 56, 2 ** 24 - 1), '2001:db8:ffff:ff00::/56', 'the last of 16 million');
  test.equal(nthPrefix('2001:db8::/56', 56, 0), '2001:db8::/56', 'one piece');
  test.equal(nthPrefix('2001:db8::/120', 128, 255), '2001:db8::ff/128');
  test.throws(() => nthPrefix('10.0.0.0/8', 56, 0), RangeError);
});

t.test('addresses within a prefix', async (test) => {
  test.equal(firstAddressOf('2001:db8:0:1::/64'), '2001:db8:0:1::1');
  test.equal(firstAddressOf('2001:db8::7/128'), '2001:db8::7');
  test.equal(firstAddressOf('10.0.0.1'), undefined);
  // RFC 4291 appendix A: 34-56-78-9A-BC-DE becomes 36-56-78-FF-FE-9A-BC-DE.
  test.equal(interfaceIdOfMac('34:56:78:9a:bc:de'), '3656:78ff:fe9a:bcde');
  test.equal(interfaceIdOfMac('02:00:00:00:00:01'), '0:ff:fe00:1');
});

t.test('an address or a prefix in one field', async (test) => {
  for (const text of ['100.64.0.7', '2001:db8::/56']) test.equal(formatPoolAddress(parsePoolAddress(text)!), text);
  test.type(parsePoolAddress('100.64.0.7'), 'number');
  test.equal(parsePoolAddress('100.64.0'), undefined);
  test.equal(parsePoolAddress('2001:db8'), undefined);
});

t.test('whose prefix overlaps, whatever the lengths, as comparing with each would say', async () => {
  const owned = fc.array(fc.tuple(fc.integer({ min: 1, max: 5 }), anyPrefixOfOneNetwork()), { maxLength: 12 });
  fc.assert(
    fc.property(owned, anyPrefixOfOneNetwork(), fc.integer({ min: 1, max: 5 }), (entries, asked, exceptOwner) => {
      const index = new OverlappingPrefixes();
      const disjoint: [number, string][] = [];
      for (const [owner, prefix] of entries)
        if (!disjoint.some(([, other]) => prefixesOverlap(prefixBits(other)!, prefixBits(prefix)!)))
          disjoint.push([owner, prefix]);
      for (let owner = 1; owner <= 5; owner++)
        index.set(
          owner,
          disjoint.filter(([whose]) => whose === owner).map(([, prefix]) => prefix),
        );
      const expected = disjoint.some(
        ([owner, prefix]) => owner !== exceptOwner && prefixesOverlap(prefixBits(prefix)!, prefixBits(asked)!),
      );
      return index.isTaken(asked, exceptOwner) === expected;
    }),
  );
});

t.test('who gives his prefix up is forgotten', async (test) => {
  const index = new OverlappingPrefixes();
  index.set(1, ['2001:db8:100::/56']);
  test.equal(index.isTaken('2001:db8:100::/48', 2), true, 'more than it');
  test.equal(index.isTaken('2001:db8:100:1::/64', 2), true, 'a part of it');
  test.equal(index.isTaken('2001:db8:100::/56', 1), false, 'his own');
  index.set(1, []);
  test.equal(index.size, 0);
  test.equal(index.isTaken('2001:db8:100::/56', 2), false);
});

/** Few and near each other, so that they often overlap. */
function anyPrefixOfOneNetwork(): fc.Arbitrary<string> {
  return fc
    .tuple(fc.integer({ min: 0, max: 255 }), fc.integer({ min: 24, max: 32 }))
    .map(([part, length]) => parseIpv6Prefix(`2001:db${part.toString(16).padStart(2, '0')}::/${String(length)}`)!);
}
