// CHAP, MS-CHAP and MPPE by the vectors of their RFCs (RFC 2865 §7.2, 2433 §B, 2759 §9, 3079 §3.5).

import t from 'tap';
import { Attribute, MicrosoftAttribute, Vendor } from '../../src/radius/attribute-number.js';
import { checkChap } from '../../src/radius/chap.js';
import { Code } from '../../src/radius/code.js';
import { addMppeAttributes, EncryptionPolicy, EncryptionTypes, masterKey, startKeys } from '../../src/radius/mppe.js';
import {
  authenticatorResponse,
  challengeHash,
  checkMsChap,
  msChapError,
  readMsChap,
  type MsChapRequest,
} from '../../src/radius/mschap.js';
import { challengeResponse, hashNtPasswordHash, lmPasswordHash, ntPasswordHash } from '../../src/radius/nt-hash.js';
import { parsePacket, type Packet } from '../../src/radius/packet.js';
import { ReplyBuilder } from '../../src/radius/reply.js';
import { RequestBuilder } from '../../src/radius/request.js';
import { SharedSecret } from '../../src/radius/shared-secret.js';
import { parseStoredPassword, type StoredPassword } from '../../src/radius/stored-password.js';
import { accessRequest } from '../support/radius-client.js';

const hex = (text: string): Buffer => Buffer.from(text.replace(/\s/g, ''), 'hex');
const secret = new SharedSecret('testing123');

function stored(text: string): StoredPassword {
  const result = parseStoredPassword(text);
  if (!result.ok) throw new Error(result.reason);
  return result.stored;
}

function opened(bytes: Buffer): Packet {
  const result = parsePacket(bytes);
  if (!result.ok) throw new Error(result.reason);
  return result.packet;
}

function msChapOf(packet: Packet): MsChapRequest {
  const request = readMsChap(packet);
  if (request === undefined || request === 'malformed') throw new Error('no MS-CHAP');
  return request;
}

t.test('RFC 2865 §7.2: CHAP of flopsy, with the Request Authenticator as challenge', (t) => {
  const request = opened(
    hex(`01 01 00 47 2a ee 86 f0 8d 0d 55 96 9c a5 97 8e 0d 33 67 a2 01 08 66 6c 6f 70 73 79 03 13 16 e9
         75 57 c3 16 18 58 95 f2 93 ff 63 44 07 72 75 04 06 c0 a8 01 10 05 06 00 00 00 14 06 06 00 00 00
         02 07 06 00 00 00 01`),
  );
  t.same(checkChap(stored('arctangent'), request), { ok: true });
  t.same(checkChap(stored('arctangenT'), request), { ok: false, reason: 'wrong-password' });
  t.end();
});

t.test('CHAP with a challenge of its own', (t) => {
  const request = opened(accessRequest({ secret, userName: 'alice', password: 'pass', method: 'chap' }).bytes);
  t.same(checkChap(stored('pass'), request), { ok: true });
  t.same(checkChap(stored('{CLEAR}pass'), request), { ok: true });
  t.same(checkChap(stored('other'), request), { ok: false, reason: 'wrong-password' });
  t.same(checkChap(stored(`{NT}${ntPasswordHash('pass').toString('hex')}`), request), {
    ok: false,
    reason: 'method-needs-cleartext',
  });
  for (const octets of [0, 1, 16, 18]) {
    const bad = new RequestBuilder(Code.accessRequest, 1).addOctets(Attribute.chapPassword, Buffer.alloc(octets));
    t.same(
      checkChap(stored('pass'), opened(bad.finish(secret))),
      { ok: false, reason: 'malformed' },
      `${octets} octets`,
    );
  }
  t.end();
});

t.test('RFC 2433 §B: hashes and response of "MyPw"', (t) => {
  t.equal(ntPasswordHash('MyPw').toString('hex'), 'fc156af7edcd6c0edde3337d427f4eac');
  t.equal(lmPasswordHash('MyPw')?.toString('hex'), '75ba30198e6d1975aad3b435b51404ee');
  t.equal(
    challengeResponse(hex('10 2D B5 DF 08 5D 30 41'), ntPasswordHash('MyPw')).toString('hex'),
    '4e9d3c8f9cfd385d5bf4d3246791956ca4c351ab409a3d61',
  );
  t.equal(lmPasswordHash('fifteen letters'), undefined, 'LM ends at fourteen octets');
  t.equal(lmPasswordHash('пароль'), undefined, 'and at ASCII');
  t.end();
});

t.test('RFC 2759 §9.2 and RFC 3079 §3.5.3: "User" with "clientPass"', (t) => {
  const authenticatorChallenge = hex('5B 5D 7C 7D 7B 3F 2F 3E 3C 2C 60 21 32 26 26 28');
  const peerChallenge = hex('21 40 23 24 25 5E 26 2A 28 29 5F 2B 3A 33 7C 7E');
  const ntHash = ntPasswordHash('clientPass');
  t.equal(ntHash.toString('hex'), '44ebba8d5312b8d611474411f56989ae');
  t.equal(hashNtPasswordHash(ntHash).toString('hex'), '41c00c584bd2d91c4017a2a12fa59f3f');
  const challenge = challengeHash(peerChallenge, authenticatorChallenge, 'User');
  t.equal(challenge.toString('hex'), 'd02e4386bce91226');
  t.same(challengeHash(peerChallenge, authenticatorChallenge, 'DOMAIN\\User'), challenge, 'the domain does not count');
  const ntResponse = challengeResponse(challenge, ntHash);
  t.equal(ntResponse.toString('hex'), '82309ecd8d708b5ea08faa3981cd83544233114a3d85d6df');
  t.equal(authenticatorResponse(ntHash, ntResponse, challenge), 'S=407A5589115FD0D6209F510FE9C04566932CDA56');
  const master = masterKey(ntHash, ntResponse);
  t.equal(master.toString('hex'), 'fdece3717a8c838cb388e527ae3cdd31');
  t.equal(startKeys(master).sendKey.toString('hex'), '8b7cdc149b993a1ba118cb153f56dccb');
  t.notOk(startKeys(master).sendKey.equals(startKeys(master).recvKey));
  t.end();
});

t.test('what each stored form can serve', (t) => {
  const nt = `{NT}${ntPasswordHash('pass').toString('hex')}`;
  const sha = '{SHA}nU4eI71bcnBGqeO0t9tXvY1u5oQ=';
  for (const method of ['mschap1', 'mschap2'] as const) {
    const packet = opened(accessRequest({ secret, userName: 'alice', password: 'pass', method }).bytes);
    for (const [text, expected] of [
      ['pass', 'ok'],
      [nt, 'ok'],
      ['Pass', 'wrong-password'],
      [`{NT}${'00'.repeat(16)}`, 'wrong-password'],
      [sha, 'method-needs-cleartext'],
      ['$2b$10$N9qo8uLOickgx2ZMRZoMyeIjZAgcfl7p92ldGxad68LJZdL17lhWy', 'method-needs-cleartext'],
    ] as const) {
      const result = checkMsChap(stored(text), msChapOf(packet), 'alice');
      t.equal(result.ok ? 'ok' : result.reason, expected, `${method}, ${text.slice(0, 6)}`);
    }
  }
  t.end();
});

t.test('MS-CHAPv2: success and error texts carry the ident', (t) => {
  const packet = opened(accessRequest({ secret, userName: 'alice', password: 'pass', method: 'mschap2' }).bytes);
  const request = msChapOf(packet);
  const result = checkMsChap(stored('pass'), request, 'alice');
  t.ok(result.ok);
  if (result.ok) t.equal(result.success?.[0], 7);
  if (result.ok) t.match(result.success?.toString('latin1'), /^.S=[0-9A-F]{40}$/);
  t.equal(msChapError(request)[0], 7);
  t.match(msChapError(request).toString('latin1'), /^.E=691 R=0 C=[0-9A-F]{32} V=3 M=.+$/);
  const other = checkMsChap(stored('pass'), request, 'bob');
  t.same(other, { ok: false, reason: 'wrong-password' }, 'the name is part of the response');
  t.end();
});

t.test('MS-CHAPv1: the LM response alone is not accepted', (t) => {
  const packet = opened(accessRequest({ secret, userName: 'alice', password: 'pass', method: 'mschap1' }).bytes);
  const request = msChapOf(packet);
  t.equal(request.version, 1);
  t.match(msChapError(request).toString('latin1'), /^.E=691 R=0 C=[0-9A-F]{16} V=2$/);
  t.same(checkMsChap(stored('pass'), { ...request, hasNtResponse: false }, 'alice'), {
    ok: false,
    reason: 'method-unsupported',
  });
  t.end();
});

t.test('malformed MS-CHAP attributes are results', (t) => {
  const { microsoft } = Vendor;
  const build = (fill: (builder: RequestBuilder) => void): Packet => {
    const builder = new RequestBuilder(Code.accessRequest, 1);
    fill(builder);
    return opened(builder.finish(secret));
  };
  for (const [name, response, responseOctets, challengeOctets, expected] of [
    ['nothing', undefined, 0, 16, undefined],
    ['version 2, 49 octets', MicrosoftAttribute.chap2Response, 49, 16, 'malformed'],
    ['version 2, 51 octets', MicrosoftAttribute.chap2Response, 51, 16, 'malformed'],
    ['version 2, empty', MicrosoftAttribute.chap2Response, 0, 16, 'malformed'],
    ['version 2, challenge of 8', MicrosoftAttribute.chap2Response, 50, 8, 'malformed'],
    ['version 1, challenge of 16', MicrosoftAttribute.chapResponse, 50, 16, 'malformed'],
    ['version 1, no challenge', MicrosoftAttribute.chapResponse, 50, undefined, 'malformed'],
  ] as const) {
    const packet = build((builder) => {
      if (challengeOctets !== undefined)
        builder.addVendor(microsoft, MicrosoftAttribute.chapChallenge, Buffer.alloc(challengeOctets));
      if (response !== undefined) builder.addVendor(microsoft, response, Buffer.alloc(responseOctets));
    });
    t.equal(readMsChap(packet), expected, name);
  }
  t.end();
});

t.test('MPPE keys reach the NAS hidden, and it can reveal them', (t) => {
  const choice = { policy: EncryptionPolicy.required, types: EncryptionTypes.rc4With128Bit };
  for (const method of ['mschap1', 'mschap2'] as const) {
    const packet = opened(accessRequest({ secret, userName: 'alice', password: 'pass', method }).bytes);
    const request = msChapOf(packet);
    const result = checkMsChap(stored('pass'), request, 'alice');
    if (!result.ok) throw new Error(result.reason);
    const reply = new ReplyBuilder(packet, Code.accessAccept, secret);
    addMppeAttributes(reply, request, stored('pass'), result.ntHash, secret, choice);
    const answer = opened(reply.finish());
    const value = (type: number): Buffer => answer.vendorFirst(Vendor.microsoft, type) ?? Buffer.alloc(0);
    t.equal(answer.vendorUint32(Vendor.microsoft, MicrosoftAttribute.mppeEncryptionPolicy), 2);
    t.equal(answer.vendorUint32(Vendor.microsoft, MicrosoftAttribute.mppeEncryptionTypes), 4);
    if (method === 'mschap1') {
      const keys = secret.revealPassword(value(MicrosoftAttribute.chapMppeKeys), packet.authenticator);
      t.same(keys?.subarray(0, 8), lmPasswordHash('pass')?.subarray(0, 8), 'LM half');
      t.same(keys?.subarray(8, 24), hashNtPasswordHash(result.ntHash), 'NT half');
    } else {
      const keys = startKeys(masterKey(result.ntHash, request.ntResponse));
      const send = value(MicrosoftAttribute.mppeSendKey);
      const recv = value(MicrosoftAttribute.mppeRecvKey);
      t.same(secret.saltDecrypt(send, packet.authenticator), keys.sendKey);
      t.same(secret.saltDecrypt(recv, packet.authenticator), keys.recvKey);
      t.notOk(send.subarray(0, 2).equals(recv.subarray(0, 2)), 'two salts');
    }
  }
  t.end();
});
