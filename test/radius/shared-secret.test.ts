// Signatures and hidden values (RFC 2865 §5.2 and §7, RFC 2866 §3, RFC 2868 §3.5, RFC 3579 §3.2, RFC 5176, RFC 5997 §6).

import t from 'tap';
import { createHash, createHmac, randomBytes } from 'node:crypto';
import { inspect } from 'node:util';
import fc from 'fast-check';
import { Attribute } from '../../src/radius/attribute-number.js';
import { Code } from '../../src/radius/code.js';
import { parsePacket, type Packet } from '../../src/radius/packet.js';
import { ReplyBuilder } from '../../src/radius/reply.js';
import { RequestBuilder } from '../../src/radius/request.js';
import { SharedSecret } from '../../src/radius/shared-secret.js';
import { thrown } from './thrown.js';

const hex = (text: string): Buffer => Buffer.from(text.replace(/\s/g, ''), 'hex');

function opened(bytes: Buffer): Packet {
  const result = parsePacket(bytes);
  if (!result.ok) throw new Error(result.reason);
  return result.packet;
}

t.test('RFC 2865 §7.1: request and reply of nemo', (t) => {
  const secret = new SharedSecret('xyzzy5461');
  const request = opened(
    hex(`01 00 00 38 0f 40 3f 94 73 97 80 57 bd 83 d5 cb 98 f4 22 7a 01 06 6e 65 6d 6f 02 12 0d be 70 8d
         93 d4 13 ce 31 96 e4 3f 78 2a 0a ee 04 06 c0 a8 01 10 05 06 00 00 00 03`),
  );
  t.equal(request.text(Attribute.userName), 'nemo');
  t.equal(
    secret.revealPassword(request.first(Attribute.userPassword)!, request.authenticator)?.toString(),
    'arctangent',
  );
  t.same(secret.hidePassword(Buffer.from('arctangent'), request.authenticator), request.first(Attribute.userPassword));
  const reply = opened(
    hex(
      '02 00 00 26 86 fe 22 0e 76 24 ba 2a 10 05 f6 bf 9b 55 e0 b2 06 06 00 00 00 01 0f 06 00 00 00 00 0e 06 c0 a8 01 03',
    ),
  );
  t.ok(secret.responseAuthenticatorMatches(reply, request.authenticator));
  t.notOk(new SharedSecret('xyzzy5462').responseAuthenticatorMatches(reply, request.authenticator));
  t.end();
});

t.test('RFC 2865 §7.3: challenge of mopsy', (t) => {
  const secret = new SharedSecret('xyzzy5461');
  const request = opened(
    hex(`01 02 00 39 f3 a4 7a 1f 6a 6d 76 71 0b 94 7a b9 30 41 a0 39 01 07 6d 6f 70 73 79 02 12 33 65 75
         73 77 82 89 b5 70 88 5e 15 08 48 25 c5 04 06 c0 a8 01 10 05 06 00 00 00 07`),
  );
  t.equal(
    secret.revealPassword(request.first(Attribute.userPassword)!, request.authenticator)?.toString(),
    'challenge',
  );
  const challenge = opened(
    hex(`0b 02 00 4e 36 f3 c8 76 4a e8 c7 11 57 40 3c 0c 71 ff 9c 45 12 30 43 68 61 6c 6c 65 6e 67 65 20
         33 32 37 36 39 34 33 30 2e 20 20 45 6e 74 65 72 20 72 65 73 70 6f 6e 73 65 20 61 74 20 70 72 6f
         6d 70 74 2e 18 0a 33 32 37 36 39 34 33 30`),
  );
  t.ok(secret.responseAuthenticatorMatches(challenge, request.authenticator));
  t.end();
});

t.test('RFC 5997 §6: Status-Server and its replies', (t) => {
  const secret = new SharedSecret('xyzzy5461');
  const request = opened(
    hex(`0c da 00 26 8a 54 f4 68 6f b3 94 c5 28 66 e3 02 18 5d 06 23 50 12 5a 66 5e 2e 1e 84 11 f3 e2 43
         82 20 97 c8 4f a3`),
  );
  t.ok(secret.messageAuthenticatorMatches(request));
  const reply = opened(hex('02 da 00 14 ef 0d 55 2a 4b f2 d6 93 ec 2b 6f e8 b5 41 1d 66'));
  t.ok(secret.responseAuthenticatorMatches(reply, request.authenticator));
  t.notOk(secret.messageAuthenticatorMatches(reply, request.authenticator), 'none is not a right one');
  t.end();
});

t.test('Message-Authenticator by code, computed independently', (t) => {
  const text = 'a shared secret that is rather longer than the sixty-four octets of one HMAC block';
  for (const secretText of ['s', 'testing123', text]) {
    const secret = new SharedSecret(secretText);
    for (const [name, code, zeroed] of [
      ['Access-Request', Code.accessRequest, false],
      ['Status-Server', Code.statusServer, false],
      ['Accounting-Request', Code.accountingRequest, true],
      ['CoA-Request', Code.coaRequest, true],
      ['Disconnect-Request', Code.disconnectRequest, true],
    ] as const) {
      const builder = new RequestBuilder(code, 9, randomBytes(16), true).addText(Attribute.userName, 'alice');
      const bytes = builder.finish(secret);
      const packet = opened(bytes);
      const plain = Buffer.from(bytes);
      plain.fill(0, 22, 38);
      if (zeroed) plain.fill(0, 4, 20);
      const expected = createHmac('md5', secretText).update(plain).digest('hex');
      t.equal(
        packet.first(Attribute.messageAuthenticator)?.toString('hex'),
        expected,
        `${name} is signed as the RFC says`,
      );
      t.ok(secret.messageAuthenticatorMatches(packet), `${name} verifies`);
      if (zeroed) {
        const unsigned = Buffer.from(bytes);
        unsigned.fill(0, 4, 20);
        const authenticator = createHash('md5').update(unsigned).update(secretText).digest('hex');
        t.equal(packet.authenticator.toString('hex'), authenticator, `${name} carries its Request Authenticator`);
        t.ok(secret.requestAuthenticatorMatches(packet));
      }
      const reply = opened(new ReplyBuilder(packet, Code.accessAccept, secret).addMessageAuthenticator().finish());
      t.ok(secret.messageAuthenticatorMatches(reply, packet.authenticator), `a reply to ${name} verifies`);
      t.ok(secret.responseAuthenticatorMatches(reply, packet.authenticator));
      t.notOk(secret.messageAuthenticatorMatches(reply, randomBytes(16)), 'not for another request');
    }
  }
  t.end();
});

t.test('any flipped bit breaks both signatures', (t) => {
  const secret = new SharedSecret('testing123');
  const bytes = new RequestBuilder(Code.accountingRequest, 1, undefined, true)
    .addText(Attribute.userName, 'alice')
    .addText(Attribute.acctSessionId, '0001')
    .finish(secret);
  let broken = 0;
  let whole = 0;
  for (let bit = 0; bit < bytes.length * 8; bit++) {
    const changed = Buffer.from(bytes);
    changed[bit >> 3]! ^= 1 << (bit & 7);
    const result = parsePacket(changed);
    if (!result.ok) continue;
    whole++;
    if (secret.requestAuthenticatorMatches(result.packet)) t.fail(`authenticator, bit ${bit}`);
    // The authenticator field itself is not under the Message-Authenticator of this code.
    if (bit < 32 || bit >= 160) {
      broken++;
      if (secret.messageAuthenticatorMatches(result.packet)) t.fail(`Message-Authenticator, bit ${bit}`);
    }
  }
  t.ok(whole > 200 && broken > 200, 'the loop did look');
  t.end();
});

t.test('sixteen octets of 0xff are not every Message-Authenticator', (t) => {
  // A comparison after conversion to text takes any octets that are no UTF-8 for the same.
  const secret = new SharedSecret('testing123');
  for (let round = 0; round < 200; round++) {
    const bytes = new RequestBuilder(Code.accessRequest, 1).finish(secret);
    bytes.fill(0xff, 22, 38);
    if (secret.messageAuthenticatorMatches(opened(bytes))) t.fail('accepted');
  }
  t.end();
});

t.test('hidden passwords come back, whatever they are', (t) => {
  fc.assert(
    fc.property(
      fc.uint8Array({ minLength: 1, maxLength: 80 }),
      fc.uint8Array({ minLength: 0, maxLength: 128 }),
      fc.uint8Array({ minLength: 16, maxLength: 16 }),
      (secretOctets, passwordOctets, authenticator) => {
        const secret = new SharedSecret(secretOctets);
        const hidden = secret.hidePassword(passwordOctets, Buffer.from(authenticator));
        let end = passwordOctets.length;
        while (end > 0 && passwordOctets[end - 1] === 0) end--;
        const plain = secret.revealPassword(hidden, Buffer.from(authenticator));
        return (
          hidden.length % 16 === 0 && hidden.length >= 16 && plain!.equals(Buffer.from(passwordOctets.subarray(0, end)))
        );
      },
    ),
    { numRuns: 200 },
  );
  const secret = new SharedSecret('s');
  for (const octets of [0, 1, 15, 17, 129, 144])
    t.equal(
      secret.revealPassword(Buffer.alloc(octets), Buffer.alloc(16)),
      undefined,
      `${octets} octets are no User-Password`,
    );
  t.throws(() => secret.hidePassword(Buffer.alloc(129), Buffer.alloc(16)), RangeError);
  t.end();
});

t.test('salt encryption (RFC 2868 §3.5)', (t) => {
  const secret = new SharedSecret('testing123');
  fc.assert(
    fc.property(
      fc.uint8Array({ maxLength: 239 }),
      fc.uint8Array({ minLength: 16, maxLength: 16 }),
      (plain, authenticator) => {
        const hidden = secret.saltEncrypt(plain, Buffer.from(authenticator), Buffer.of(0x91, 0x22));
        return (
          hidden.length <= 253 && secret.saltDecrypt(hidden, Buffer.from(authenticator))!.equals(Buffer.from(plain))
        );
      },
    ),
    { numRuns: 200 },
  );
  // By the letter of the RFC, for one block: c1 = p1 xor MD5(S + R + A).
  const authenticator = randomBytes(16);
  const salt = Buffer.of(0x80, 0x01);
  const mask = createHash('md5').update('testing123').update(authenticator).update(salt).digest();
  const plain = Buffer.alloc(16);
  plain[0] = 3;
  plain.write('key', 1);
  const expected = Buffer.concat([salt, Buffer.from(plain.map((octet, index) => octet ^ mask[index]!))]);
  t.same(secret.saltEncrypt(Buffer.from('key'), authenticator, salt), expected);
  for (const octets of [0, 2, 17, 19, 33])
    t.equal(secret.saltDecrypt(Buffer.alloc(octets), authenticator), undefined, `${octets} octets`);
  t.throws(() => secret.saltEncrypt(Buffer.alloc(240), authenticator, salt), RangeError);
  t.throws(() => secret.saltEncrypt(Buffer.alloc(1), authenticator, Buffer.of(0x01, 0x01)), RangeError);
  const wrong = secret.saltDecrypt(secret.saltEncrypt(Buffer.from('key'), authenticator, salt), randomBytes(16));
  t.notOk(wrong?.equals(Buffer.from('key')), 'another authenticator reveals nothing');
  t.end();
});

t.test('the Ascend secret undoes itself', (t) => {
  const secret = new SharedSecret('testing123');
  const authenticator = randomBytes(16);
  const plain = Buffer.from('0123456789abcdef');
  const hidden = secret.ascendSecret(plain, authenticator);
  t.notOk(hidden.equals(plain));
  t.same(secret.ascendSecret(hidden, authenticator), plain);
  t.end();
});

t.test('the secret is not to be seen', (t) => {
  const text = 'correct-horse-battery';
  const secret = new SharedSecret(text);
  const shown = [
    inspect(secret, { showHidden: true, depth: 9 }),
    inspect({ nas: { secret } }, { depth: 9 }),
    JSON.stringify({ secret, list: [secret] }),
    String(secret),
    Object.values(secret).join(),
  ].join('\n');
  t.notMatch(shown, text);
  t.notMatch(shown, Buffer.from(text).toString('hex'));
  t.notMatch(shown, Buffer.from(text).toString('base64'));
  t.match(shown, '<hidden>');
  t.equal(secret.octetCount, text.length);
  t.ok(secret.equals(new SharedSecret(Buffer.from(text))));
  t.notOk(secret.equals(new SharedSecret(`${text}x`)));
  t.end();
});

t.test('secrets that cannot be', (t) => {
  t.match(
    thrown(() => new SharedSecret('')),
    { reason: 'empty' },
  );
  t.match(
    thrown(() => new SharedSecret('x'.repeat(513))),
    { reason: 'too-long' },
  );
  t.notMatch(String(thrown(() => new SharedSecret('x'.repeat(513)))), 'xxx');
  t.equal(new SharedSecret('x'.repeat(512)).octetCount, 512);
  t.end();
});
