// MD5 and MD4 against their RFCs and against an independent implementation.

import t from 'tap';
import { createHash, createHmac, randomBytes } from 'node:crypto';
import { md4 } from '../../src/radius/md4.js';
import { md5, md5Absorb, md5Finish, md5InitialState, md5Work, md5WorkOctets } from '../../src/radius/md5.js';
import { equalOctets, equalSecrets } from '../../src/radius/constant-time.js';

t.test('RFC 1321 §A.5', (t) => {
  for (const [message, digest] of [
    ['', 'd41d8cd98f00b204e9800998ecf8427e'],
    ['a', '0cc175b9c0f1b6a831c399e269772661'],
    ['abc', '900150983cd24fb0d6963f7d28e17f72'],
    ['message digest', 'f96b697d7cb7938d525a2f31aaf161d0'],
    ['abcdefghijklmnopqrstuvwxyz', 'c3fcd3d76192e4007dfb496cca67e13b'],
    ['ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789', 'd174ab98d277d9f5a5611c2c9f419d9f'],
    ['1234567890'.repeat(8), '57edf4a22be3c955ac49da2e2107b67a'],
  ] as const)
    t.equal(md5(Buffer.from(message)).toString('hex'), digest, JSON.stringify(message));
  t.end();
});

t.test('RFC 1320 §A.5', (t) => {
  for (const [message, digest] of [
    ['', '31d6cfe0d16ae931b73c59d7e0c089c0'],
    ['a', 'bde52cb31de33e46245e05fbdbd6fb24'],
    ['abc', 'a448017aaf21d8525fc10ae87aa6729d'],
    ['message digest', 'd9130a8164549fe818874806e1c7014b'],
    ['abcdefghijklmnopqrstuvwxyz', 'd79e1c308aa5bbcdeea8ed63df412da9'],
    ['ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789', '043f8582f241db351ce627e153e7f0e4'],
    ['1234567890'.repeat(8), 'e33b4ddc9c38f2199c3e7b164fcc0536'],
  ] as const)
    t.equal(md4(Buffer.from(message)).toString('hex'), digest, JSON.stringify(message));
  t.end();
});

t.test('MD5 agrees with OpenSSL for every length up to a few blocks and for a whole packet', (t) => {
  for (const octets of [...Array(300).keys(), 4095, 4096]) {
    const message = randomBytes(octets);
    const expected = createHash('md5').update(message).digest('hex');
    if (md5(message).toString('hex') !== expected) t.fail(`${octets} octets`);
  }
  t.throws(() => md5(Buffer.alloc(md5WorkOctets)), RangeError, 'what does not fit the work area is refused');
  t.end();
});

t.test('a saved state stands for the blocks it absorbed (the HMAC of RFC 2202 §2)', (t) => {
  const key = Buffer.alloc(16, 0x0b);
  const data = Buffer.from('Hi There');
  const pad = (octet: number): Buffer =>
    Buffer.from(Array.from({ length: 64 }, (_, index) => (key[index] ?? 0) ^ octet));
  const inner = md5InitialState();
  md5Absorb(inner, pad(0x36));
  const outer = md5InitialState();
  md5Absorb(outer, pad(0x5c));
  const digest = Buffer.alloc(16);
  md5Work.set(data);
  md5Finish(inner, 64, data.length, digest, 0);
  md5Work.set(digest);
  md5Finish(outer, 64, 16, digest, 0);
  t.equal(digest.toString('hex'), '9294727a3638bb1c13f48ef8158bfc9d');
  t.equal(digest.toString('hex'), createHmac('md5', key).update(data).digest('hex'));
  t.end();
});

t.test('comparison of secrets', (t) => {
  const bytes = (text: string): Buffer => Buffer.from(text);
  t.ok(equalOctets(bytes('xabc'), 1, bytes('abc'), 0, 3));
  t.notOk(equalOctets(bytes('xabd'), 1, bytes('abc'), 0, 3));
  t.notOk(equalOctets(bytes('ab'), 0, bytes('abc'), 0, 3), 'a range past the end is different, not an error');
  t.ok(equalSecrets(bytes(''), bytes('')));
  t.ok(equalSecrets(bytes('secret'), bytes('secret')));
  for (const [offered, expected] of [
    ['secre', 'secret'],
    ['secret', 'secre'],
    ['secret\0', 'secret'],
    ['secret', 'secret\0'],
    ['', 'x'],
    ['Secret', 'secret'],
  ] as const)
    t.notOk(equalSecrets(bytes(offered), bytes(expected)), JSON.stringify([offered, expected]));
  t.end();
});
