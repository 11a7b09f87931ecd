// Stored forms of passwords, and PAP against all of them.

import t from 'tap';
import { createHash, randomBytes, scryptSync } from 'node:crypto';
import bcrypt from 'bcrypt';
import fc from 'fast-check';
import { HashGate, overloaded } from '../../src/radius/hash-gate.js';
import { ntPasswordHash } from '../../src/radius/nt-hash.js';
import { PapVerifier } from '../../src/radius/pap.js';
import { PasswordCache } from '../../src/radius/password-cache.js';
import {
  parseStoredPassword,
  sealPassword,
  SealKeyError,
  type StoredPassword,
} from '../../src/radius/stored-password.js';

const password = 'пароль 1';
const octets = Buffer.from(password);
const salt = Buffer.from('0123456789abcdef');
const key = randomBytes(32);
const keys = new Map([[7, key]]);
const digest = (algorithm: string, salted: Buffer): string =>
  Buffer.concat([createHash(algorithm).update(octets).update(salted).digest(), salted]).toString('base64');
const none = Buffer.alloc(0);
const scryptHash = scryptSync(octets, salt, 32, { N: 1024, r: 8, p: 1 });
const forms: Record<string, string> = {
  bare: password,
  clear: `{CLEAR}${password}`,
  'lower case': `{clear}${password}`,
  sealed: sealPassword(password, 7, key),
  nt: `{NT}${ntPasswordHash(password).toString('hex').toUpperCase()}`,
  ssha: `{SSHA}${digest('sha1', salt)}`,
  sha: `{SHA}${digest('sha1', none)}`,
  smd5: `{SMD5}${digest('md5', salt)}`,
  md5: `{MD5}${digest('md5', none)}`,
  'md5 in hexadecimal': `{MD5}${createHash('md5').update(octets).digest('hex')}`,
  scrypt: `{SCRYPT}1024$8$1$${salt.toString('base64')}$${scryptHash.toString('base64')}`,
  bcrypt: `{BCRYPT}${bcrypt.hashSync(password, 4)}`,
  'bare bcrypt': bcrypt.hashSync(password, 4),
  'bcrypt as PHP names it': bcrypt.hashSync(password, 4).replace('$2b$', '$2y$'),
};

function stored(text: string): StoredPassword {
  const result = parseStoredPassword(text, keys);
  if (!result.ok) throw new Error(`${result.reason}: ${text}`);
  return result.stored;
}

t.test('PAP against every form', async (t) => {
  const verifier = new PapVerifier();
  for (const [name, text] of Object.entries(forms)) {
    const form = stored(text);
    const slow = form.form === 'scrypt' || form.form === 'bcrypt';
    const first = verifier.check(name, form, octets);
    t.equal(first instanceof Promise, slow, `${name}: only slow hashes are later`);
    t.same(await first, { ok: true }, `${name}: right`);
    t.same(verifier.check(name, form, octets), { ok: true }, `${name}: again, at once`);
    for (const wrong of ['', 'Пароль 1', `${password} `, `${password}\0`, `${password}\0x`])
      t.same(
        await verifier.check(name, form, Buffer.from(wrong)),
        { ok: false, reason: 'wrong-password' },
        `${name}: wrong`,
      );
    t.same(verifier.check(name, form, undefined), { ok: false, reason: 'malformed' });
  }
});

t.test('texts that are no stored password', (t) => {
  for (const [text, reason] of [
    ['', 'empty'],
    ['x'.repeat(1025), 'too-long'],
    ['{WHAT}x', 'unknown-form'],
    ['{NT}1234', 'bad-encoding'],
    [`{NT}${'g'.repeat(32)}`, 'bad-encoding'],
    ['{SSHA}', 'bad-encoding'],
    [`{SSHA}${digest('sha1', none)}`, 'bad-encoding'],
    [`{SHA}${digest('sha1', salt)}`, 'bad-encoding'],
    ['{SHA}not base64 at all', 'bad-encoding'],
    ['{MD5}AAAA', 'bad-encoding'],
    ['{SCRYPT}1024$8$1$c2FsdA==', 'bad-encoding'],
    [`{SCRYPT}1000$8$1$c2FsdA==$${scryptHash.toString('base64')}`, 'cost-out-of-range'],
    [`{SCRYPT}1$8$1$c2FsdA==$${scryptHash.toString('base64')}`, 'cost-out-of-range'],
    [`{SCRYPT}16777216$8$1$c2FsdA==$${scryptHash.toString('base64')}`, 'cost-out-of-range'],
    [`{SCRYPT}65536$1$1$c2FsdA==$${scryptHash.toString('base64')}`, 'cost-out-of-range'],
    [`{SCRYPT}1024$8$99$c2FsdA==$${scryptHash.toString('base64')}`, 'cost-out-of-range'],
    ['$2b$31$N9qo8uLOickgx2ZMRZoMyeIjZAgcfl7p92ldGxad68LJZdL17lhWy', 'cost-out-of-range'],
    ['$2b$10$tooshort', 'bad-encoding'],
    ['{BCRYPT}plain', 'bad-encoding'],
    ['{SEALED}AAAA', 'bad-encoding'],
    [sealPassword('x', 8, key), 'seal-key-unknown'],
    [sealPassword('x', 7, randomBytes(32)), 'seal-broken'],
  ] as const) {
    const result = parseStoredPassword(text, keys);
    t.equal(result.ok ? 'ok' : result.reason, reason, text.slice(0, 40));
  }
  t.same(stored('{CLEAR}{SSHA}x'), { form: 'cleartext', password: Buffer.from('{SSHA}x') });
  t.same(stored('{not a tag}x'), { form: 'cleartext', password: Buffer.from('{not a tag}x') });
  t.end();
});

t.test('sealed passwords', (t) => {
  t.not(sealPassword('x', 7, key), sealPassword('x', 7, key), 'a nonce for each');
  t.notMatch(sealPassword('correct horse', 7, key), 'horse');
  const sealed = Buffer.from(sealPassword('correct horse', 7, key).slice('{SEALED}'.length), 'base64');
  for (let index = 1; index < sealed.length; index++) {
    const changed = Buffer.from(sealed);
    changed[index]! ^= 1;
    const result = parseStoredPassword(`{SEALED}${changed.toString('base64')}`, keys);
    if (result.ok || result.reason !== 'seal-broken') t.fail(`octet ${index}`);
  }
  t.throws(() => sealPassword('x', 7, Buffer.alloc(16)), SealKeyError);
  t.throws(() => sealPassword('x', 256, key), SealKeyError);
  t.end();
});

t.test('no stored text throws, and what parses is bounded', (t) => {
  const piece = fc.oneof(
    fc.constantFrom('{SSHA}', '{SCRYPT}', '{BCRYPT}', '{SEALED}', '{NT}', '$2b$', '$', '1024', '=', 'A', '{', '}'),
    fc.string({ maxLength: 20 }),
  );
  fc.assert(
    fc.property(fc.array(piece, { maxLength: 12 }), (pieces) => {
      const result = parseStoredPassword(pieces.join(''), keys);
      return !result.ok || result.stored.form !== 'scrypt' || result.stored.cost * result.stored.blockSize <= 2 ** 21;
    }),
    { numRuns: 500 },
  );
  t.pass('no counterexample');
  t.end();
});

t.test('the gate: two run, a bounded number waits, in order', async (t) => {
  const gate = new HashGate(2, 3);
  const started: number[] = [];
  const finish: (() => void)[] = [];
  const runs = Array.from({ length: 6 }, (_, index) =>
    gate.run(async () => {
      started.push(index);
      await new Promise<void>((resolve) => finish.push(resolve));
      return index;
    }),
  );
  t.equal(await runs[5], overloaded, 'the sixth finds no room');
  t.same(started, [0, 1]);
  t.equal(gate.running, 2);
  t.equal(gate.waiting, 3);
  finish.shift()!();
  t.equal(await runs[0], 0);
  // The place is handed over within the microtasks of the one that left it.
  await Promise.resolve();
  t.same(started, [0, 1, 2]);
  t.equal(gate.running, 2);
  while (started.length < 5 || finish.length > 0) {
    finish.shift()?.();
    await new Promise((resolve) => setImmediate(resolve));
  }
  t.same(await Promise.all(runs.slice(1, 5)), [1, 2, 3, 4]);
  t.equal(gate.running, 0);
  await t.rejects(
    gate.run(() => Promise.reject(new Error('broken'))),
    'what work throws is passed on',
  );
  t.equal(gate.running, 0, 'and its place is free again');
});

t.test('too many slow hashes are "overloaded", not a wait', async (t) => {
  const verifier = new PapVerifier(new HashGate(1, 1));
  const form = stored(forms['bcrypt']!);
  const results = await Promise.all(['a', 'b', 'c'].map((subscriber) => verifier.check(subscriber, form, octets)));
  t.same(results, [{ ok: true }, { ok: true }, { ok: false, reason: 'overloaded' }]);
  t.equal(verifier.pending, 0);
});

t.test('the cache of good passwords', (t) => {
  const cache = new PasswordCache(2);
  const bytes = (text: string): Buffer => Buffer.from(text);
  cache.remember('1', 'hash', bytes('pass'));
  t.ok(cache.has('1', 'hash', bytes('pass')));
  t.notOk(cache.has('1', 'hash', bytes('Pass')));
  t.notOk(cache.has('1', 'changed', bytes('pass')), 'a changed stored form');
  t.notOk(cache.has('2', 'hash', bytes('pass')), 'another subscriber');
  t.notOk(cache.has('1', 'has', bytes('hpass')), 'parts do not run into each other');
  cache.remember('2', 'hash', bytes('pass'));
  t.ok(cache.has('1', 'hash', bytes('pass')), '1 is used, so 2 is the oldest');
  cache.remember('3', 'hash', bytes('pass'));
  t.equal(cache.size, 2);
  t.notOk(cache.has('2', 'hash', bytes('pass')));
  t.ok(cache.has('1', 'hash', bytes('pass')));
  t.end();
});
