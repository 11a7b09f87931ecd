// Microseconds per step of answering RADIUS, printed as a table. Run: node --import=tsx test/radius/bench.ts
// In: nothing. Out: a table on standard output. One process, one thread; compare lines of one run only.

import { createHmac, hash } from 'node:crypto';
import { admit, type SourceTable } from '../../src/radius/admission.js';
import { Attribute, Vendor } from '../../src/radius/attribute-number.js';
import { checkChap } from '../../src/radius/chap.js';
import { Code } from '../../src/radius/code.js';
import { DuplicateTable } from '../../src/radius/duplicate-table.js';
import { md5Finish, md5Work } from '../../src/radius/md5.js';
import { checkMsChap, readMsChap } from '../../src/radius/mschap.js';
import { parsePacket, type Packet } from '../../src/radius/packet.js';
import { PapVerifier } from '../../src/radius/pap.js';
import { ReplyBuilder } from '../../src/radius/reply.js';
import { SharedSecret } from '../../src/radius/shared-secret.js';
import { parseStoredPassword } from '../../src/radius/stored-password.js';
import { accessRequest, accountingRequest, type AccessRequestOptions } from '../support/radius-client.js';

const roundMs = 300;
const rounds = 3;

function measure(name: string, work: () => void): void {
  let best = Infinity;
  for (let round = 0; round < rounds; round++) {
    let count = 0;
    const start = performance.now();
    while (performance.now() - start < roundMs) {
      for (let index = 0; index < 100; index++) work();
      count += 100;
    }
    best = Math.min(best, ((performance.now() - start) * 1000) / count);
  }
  console.log(`${name.padEnd(64)} ${best.toFixed(2).padStart(8)} µs`);
}

function opened(bytes: Buffer): Packet {
  const result = parsePacket(bytes);
  if (!result.ok) throw new Error(result.reason);
  return result.packet;
}

const secret = new SharedSecret('a secret of thirty-two characters');
const group = { name: 'bench', secrets: [secret], requireMessageAuthenticator: true, limitProxyState: true };
const sources: SourceTable = { lookup: () => group };
const shared: AccessRequestOptions = {
  secret,
  userName: 'subscriber-000123',
  password: 'correct horse',
  nasIpAddress: '10.0.0.2',
  callingStationId: '00:11:22:33:44:55',
  acctSessionId: '81a2b3c4',
  fill: (request) =>
    request
      .addUint32(Attribute.nasPort, 15_728_641)
      .addUint32(Attribute.nasPortType, 15)
      .addUint32(Attribute.serviceType, 2)
      .addUint32(Attribute.framedProtocol, 1)
      .addText(Attribute.calledStationId, 'pppoe-home')
      .addText(Attribute.nasPortId, 'vlan100')
      .addText(Attribute.nasIdentifier, 'bras1'),
};
const pap = accessRequest(shared).bytes;
const chap = accessRequest({ ...shared, method: 'chap' }).bytes;
const mschap2 = accessRequest({ ...shared, method: 'mschap2' }).bytes;
const interim = accountingRequest({
  secret,
  status: 'interimUpdate',
  userName: 'subscriber-000123',
  nasIpAddress: '10.0.0.2',
  acctSessionId: '81a2b3c4',
  framedIpAddress: '100.64.1.2',
  inputOctets: 5_000_000_000,
  outputOctets: 70_000_000_000,
  sessionSeconds: 3600,
}).bytes;
const parsed = parseStoredPassword('correct horse');
if (!parsed.ok) throw new Error(parsed.reason);
const { stored } = parsed;
const verifier = new PapVerifier();
const duplicates = new DuplicateTable({ nowMs: () => performance.now(), maxEntries: 50_000 });
const digest = Buffer.alloc(16);

console.log(`node ${process.version}; PAP request ${pap.length} octets, interim ${interim.length} octets`);
for (const octets of [60, 120, 300]) {
  const message = Buffer.alloc(octets, 7);
  measure(`MD5 of ${octets} octets, here`, () => {
    md5Work.set(message, 0);
    md5Finish(undefined, 0, octets, digest, 0);
  });
  measure(`MD5 of ${octets} octets, crypto.hash`, () => void hash('md5', message, 'buffer'));
}
measure('HMAC-MD5 of the PAP request, crypto.createHmac', () => void createHmac('md5', 'secret').update(pap).digest());
measure('parse a PAP request', () => void parsePacket(pap));
const papPacket = opened(pap);
measure('verify Message-Authenticator', () => void secret.messageAuthenticatorMatches(papPacket));
const interimPacket = opened(interim);
measure('verify an Accounting-Request', () => void secret.requestAuthenticatorMatches(interimPacket));
measure('read five attributes', () => {
  papPacket.text(Attribute.userName);
  papPacket.text(Attribute.callingStationId);
  papPacket.address(Attribute.nasIpAddress);
  papPacket.uint32(Attribute.nasPort);
  papPacket.vendorFirst(Vendor.adslForum, 1);
});
measure('reveal and check a PAP password', () => {
  const hidden = papPacket.first(Attribute.userPassword)!;
  void verifier.check('1', stored, secret.revealPassword(hidden, papPacket.authenticator));
});
const chapPacket = opened(chap);
measure('check CHAP', () => void checkChap(stored, chapPacket));
const mschap2Packet = opened(mschap2);
measure('check MS-CHAPv2 (cleartext)', () => {
  const request = readMsChap(mschap2Packet);
  if (request !== undefined && request !== 'malformed') checkMsChap(stored, request, 'subscriber-000123');
});
function reply(packet: Packet): Buffer {
  return new ReplyBuilder(packet, Code.accessAccept, secret)
    .addAddress(Attribute.framedIpAddress, '100.64.1.2')
    .addUint32(Attribute.acctInterimInterval, 300)
    .addOctets(Attribute.class, digest)
    .addVendorText(Vendor.mikrotik, 8, '10M/50M')
    .finish();
}
measure('build and sign an Access-Accept', () => void reply(papPacket));
let port = 0;
measure('duplicate table: find and add', () => {
  port = (port + 1) & 0xffff;
  if (duplicates.find(0, '10.0.0.2', port, papPacket) === undefined) duplicates.add(0, '10.0.0.2', port, papPacket);
});
measure('whole PAP answer: admit, duplicates, password, reply', () => {
  port = (port + 1) & 0xffff;
  const admission = admit(sources, 'auth', pap, '10.0.0.2');
  if (!admission.ok) throw new Error(admission.reason);
  const { packet } = admission;
  const entry = duplicates.add(0, '10.0.0.2', port, packet);
  packet.text(Attribute.userName);
  const hidden = packet.first(Attribute.userPassword)!;
  void verifier.check('1', stored, secret.revealPassword(hidden, packet.authenticator));
  duplicates.answer(entry, reply(packet));
});
measure('whole accounting answer: admit, duplicates, reply', () => {
  port = (port + 1) & 0xffff;
  const admission = admit(sources, 'accounting', interim, '10.0.0.2');
  if (!admission.ok) throw new Error(admission.reason);
  const entry = duplicates.add(0, '10.0.0.2', port, admission.packet);
  duplicates.answer(entry, new ReplyBuilder(admission.packet, Code.accountingResponse, secret).finish());
});
