// HMAC-SHA256 of short messages: the vectors of RFC 4231, and OpenSSL as the oracle.

import { createHmac } from 'node:crypto';
import t from 'tap';
import fc from 'fast-check';
import { hmacOctets, longestMessageOctets, ShortHmac } from '../../src/radius/short-hmac.js';

function digest(key: Uint8Array, message: Uint8Array): string {
  const target = Buffer.alloc(hmacOctets);
  new ShortHmac(key).digest(message, target);
  return target.toString('hex');
}

t.test('RFC 4231 §4, the cases with messages of one block', (t) => {
  for (const [name, key, message, expected] of [
    [
      '4.2',
      Buffer.alloc(20, 0x0b),
      Buffer.from('Hi There'),
      'b0344c61d8db38535ca8afceaf0bf12b881dc200c9833da726e9376c2e32cff7',
    ],
    [
      '4.3',
      Buffer.from('Jefe'),
      Buffer.from('what do ya want for nothing?'),
      '5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843',
    ],
    [
      '4.4',
      Buffer.alloc(20, 0xaa),
      Buffer.alloc(50, 0xdd),
      '773ea91e36800e46854db8ebd09181a72959098b3ef8c122d9635514ced565fe',
    ],
    [
      '4.7, a key longer than a block',
      Buffer.alloc(131, 0xaa),
      Buffer.from('Test Using Larger Than Block-Size Key - Hash Key First'),
      '60e431591ee0b67f0d8a26aacbf5b77f8e0bc6213728c5140546040f0ee37f54',
    ],
  ] as const)
    t.equal(digest(key, message), expected, name);
  t.end();
});

t.test('property: OpenSSL says the same, whatever was digested before', (t) => {
  fc.assert(
    fc.property(
      fc.uint8Array({ minLength: 1, maxLength: 100 }),
      fc.array(fc.uint8Array({ maxLength: longestMessageOctets }), { minLength: 1, maxLength: 4 }),
      (key, messages) => {
        const hmac = new ShortHmac(key);
        const target = Buffer.alloc(hmacOctets);
        return messages.every((message) => {
          hmac.digest(message, target);
          return target.equals(createHmac('sha256', key).update(message).digest());
        });
      },
    ),
    { numRuns: 1_000 },
  );
  t.pass('no counterexample');
  t.end();
});

t.test('a message that does not fit one block is refused', (t) => {
  const hmac = new ShortHmac(Buffer.alloc(32, 1));
  t.throws(() => hmac.digest(Buffer.alloc(longestMessageOctets + 1), Buffer.alloc(hmacOctets)), RangeError);
  t.end();
});
