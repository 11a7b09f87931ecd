// Malformed input: no throw, no answer, bounded time. Every mutation comes from a printed seed.

import t from 'tap';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import fc from 'fast-check';
import { admit, type SourceGroup, type SourceTable } from '../../src/radius/admission.js';
import { Attribute, Vendor } from '../../src/radius/attribute-number.js';
import { checkChap } from '../../src/radius/chap.js';
import { Code } from '../../src/radius/code.js';
import { decodeAttributes } from '../../src/radius/decode-attribute.js';
import { describePacket } from '../../src/radius/describe.js';
import { loadDictionary } from '../../src/radius/dictionary-file.js';
import { checkMsChap, readMsChap } from '../../src/radius/mschap.js';
import { maxPacketOctets, parsePacket } from '../../src/radius/packet.js';
import { ReplyBuilder, replyFits } from '../../src/radius/reply.js';
import type { RequestBuilder } from '../../src/radius/request.js';
import { SharedSecret } from '../../src/radius/shared-secret.js';
import { accessRequest, accountingRequest, statusServer } from '../support/radius-client.js';

const here = dirname(fileURLToPath(import.meta.url));
const { dictionary } = loadDictionary([
  join(here, '../../dictionaries/dictionary'),
  join(here, 'all-types.dictionary'),
]);
const secret = new SharedSecret('testing123');
const group: SourceGroup = {
  name: 'fuzz',
  secrets: [secret],
  requireMessageAuthenticator: true,
  limitProxyState: true,
};
const sources: SourceTable = { lookup: () => group };
const seed = Number(process.env['FUZZ_SEED'] ?? 20_261_121);
const runs = Number(process.env['FUZZ_RUNS'] ?? 20_000);
/** Far above what any packet takes, so that only a runaway is caught on a busy machine. */
const maxMs = 5;

/** Everything that is done with a packet before anybody trusts it, and after. */
function exercise(bytes: Buffer): void {
  admit(sources, 'auth', bytes, '10.0.0.2');
  admit(sources, 'accounting', bytes, '10.0.0.2');
  describePacket(dictionary, bytes);
  const parsed = parsePacket(bytes);
  if (!parsed.ok) return;
  const { packet } = parsed;
  decodeAttributes(dictionary, packet, { secret, requestAuthenticator: packet.authenticator });
  for (let type = 0; type < 256; type += 5) {
    packet.text(type);
    packet.uint32(type);
    packet.address(type);
    packet.ipv6Prefix(type);
  }
  for (const vendor of [Vendor.microsoft, Vendor.mikrotik, Vendor.adslForum, 429, 24757]) {
    const format = dictionary.vendorFormat(vendor);
    packet.vendorFirst(vendor, 1, format);
    packet.vendorAll(vendor, 1, format);
    packet.vendorText(vendor, 8, format);
  }
  checkChap({ form: 'cleartext', password: Buffer.from('x') }, packet);
  const msChap = readMsChap(packet);
  if (msChap !== undefined && msChap !== 'malformed')
    checkMsChap({ form: 'cleartext', password: Buffer.from('x') }, msChap, packet.text(Attribute.userName) ?? '');
  const password = packet.first(Attribute.userPassword);
  if (password !== undefined) secret.revealPassword(password, packet.authenticator);
  if (replyFits(packet) && new ReplyBuilder(packet, Code.accessReject, secret).finish().length > maxPacketOctets)
    throw new Error('a reply beyond 4096 octets');
}

/** A generator of numbers below `limit` that a seed fixes (mulberry32). */
function numbers(start: number): (limit: number) => number {
  let state = start >>> 0;
  return (limit) => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) % limit;
  };
}

function seeds(): Buffer[] {
  const rich = (request: RequestBuilder): void => {
    request
      .addVendorText(Vendor.mikrotik, 8, '10M/50M')
      .addVendor(Vendor.adslForum, 1, Buffer.from('000402130010', 'hex'));
    request
      .addText(Attribute.proxyState, 'proxy')
      .addOctets(64, Buffer.of(1, 0, 0, 13))
      .addOctets(97, Buffer.alloc(18));
    request.addOctets(208, Buffer.from('010600000005', 'hex')).addVendor(24757, 1, Buffer.alloc(5));
  };
  return [
    ...(['pap', 'chap', 'mschap1', 'mschap2'] as const).map(
      (method) => accessRequest({ secret, userName: 'alice', password: 'pass', method, fill: rich }).bytes,
    ),
    accountingRequest({
      secret,
      status: 'stop',
      userName: 'alice',
      acctSessionId: '1',
      inputOctets: 2n ** 40n,
      fill: rich,
    }).bytes,
    statusServer({ secret }).bytes,
  ];
}

/** Changes that know where lengths and types are; most keep the packet's own Length right so that they get further in. */
function mutate(bytes: Buffer, below: (limit: number) => number): Buffer {
  let changed = Buffer.from(bytes);
  for (let count = 1 + below(3); count > 0; count--) {
    const starts: number[] = [];
    for (let at = 20; at + 1 < changed.length && changed[at + 1]! >= 2; at += changed[at + 1]!) starts.push(at);
    const at = starts[below(starts.length || 1)] ?? 20;
    switch (below(9)) {
      case 0:
        changed[below(changed.length)]! ^= 1 << below(8);
        break;
      case 1:
        if (at + 1 < changed.length) changed[at + 1] = [0, 1, 2, 3, 255, below(256)][below(6)]!;
        break;
      case 2:
        if (at < changed.length) changed[at] = [1, 2, 3, 26, 33, 79, 80, 97, below(256)][below(9)]!;
        break;
      case 3:
        changed = changed.subarray(0, below(changed.length + 1));
        break;
      case 4: {
        const piece = changed.subarray(at, at + (changed[at + 1] ?? 0));
        changed = Buffer.concat([changed, piece]).subarray(0, 5_000);
        break;
      }
      case 5:
        // Inside a Vendor-Specific: the inner length.
        if (changed[at] === 26 && at + 7 < changed.length) changed[at + 7] = below(256);
        break;
      case 6:
        if (changed[at] === 26 && at + 6 <= changed.length)
          changed.writeUInt32BE([0, 9, 311, 429, 3561, 14988, 24757, 0xffff_ffff][below(8)]!, at + 2);
        break;
      case 7:
        changed = Buffer.concat([changed, Buffer.alloc(below(300), below(256))]);
        break;
      default:
        if (changed.length >= 4) changed.writeUInt16BE([0, 19, 20, 4096, 4097, 65535, below(5_000)][below(7)]!, 2);
        return changed;
    }
  }
  if (changed.length >= 4) changed.writeUInt16BE(Math.min(changed.length, 65535), 2);
  return changed;
}

t.test(`structure-aware mutations, seed ${seed}`, (t) => {
  const below = numbers(seed);
  const corpus = seeds();
  for (const bytes of corpus) exercise(bytes);
  let slowestMs = 0;
  let parsed = 0;
  let admitted = 0;
  for (let run = 0; run < runs; run++) {
    const original = corpus[below(corpus.length)]!;
    const bytes = mutate(original, below);
    try {
      exercise(bytes);
    } catch (error) {
      t.fail(`run ${run} of seed ${seed}: ${String(error)}: ${bytes.toString('hex')}`);
      return t.end();
    }
    let tookMs = Infinity;
    // Taken again when slow: a collection or another program is not the decoder's fault.
    for (let attempt = 0; attempt < 5 && tookMs > maxMs; attempt++) {
      const start = performance.now();
      admit(sources, 'auth', bytes, '10.0.0.2');
      describePacket(dictionary, bytes);
      tookMs = Math.min(tookMs, performance.now() - start);
    }
    slowestMs = Math.max(slowestMs, tookMs);
    if (parsePacket(bytes).ok) parsed++;
    const { length } = original;
    const unchanged = bytes.length >= length && bytes.subarray(0, length).equals(original);
    for (const port of ['auth', 'accounting'] as const)
      if (!unchanged && admit(sources, port, bytes, '10.0.0.2').ok) admitted++;
  }
  t.equal(admitted, 0, 'a changed packet is never admitted');
  t.ok(slowestMs < maxMs, `slowest ${slowestMs.toFixed(2)} ms`);
  t.ok(parsed > runs / 10, `${parsed} of ${runs} got past the structure`);
  t.end();
});

t.test('arbitrary octets', (t) => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 400 }), fc.boolean(), (octets, withHeader) => {
      const bytes = Buffer.from(octets);
      if (withHeader && bytes.length >= 20) {
        bytes[0] = [1, 4, 12][bytes[0]! % 3]!;
        bytes.writeUInt16BE(bytes.length, 2);
      }
      exercise(bytes);
      return !admit(sources, 'auth', bytes, '10.0.0.2').ok && !admit(sources, 'accounting', bytes, '10.0.0.2').ok;
    }),
    { numRuns: 2_000, seed },
  );
  t.pass('nothing threw, nothing was admitted');
  t.end();
});

t.test('packets that are as expensive as they can be', (t) => {
  const packet = (attributes: Buffer): Buffer => {
    const bytes = Buffer.concat([Buffer.of(1, 1, 0, 0), Buffer.alloc(16), attributes]);
    bytes.writeUInt16BE(bytes.length, 2);
    return bytes;
  };
  for (const [name, bytes] of [
    ['2038 empty attributes', packet(Buffer.from('0102'.repeat(2038), 'hex'))],
    ['2038 empty EAP-Messages', packet(Buffer.from('4f02'.repeat(2038), 'hex'))],
    ['509 empty vendor attributes', packet(Buffer.from('1a0800003a8c0802'.repeat(509), 'hex'))],
    ['TLVs inside TLVs', packet(Buffer.from(`d0ff${'0102'.repeat(126)}02`.repeat(15), 'hex'))],
    [
      'Vendor-Specific full of two-octet attributes',
      packet(Buffer.from(`1afe00000137${'0102'.repeat(124)}`.repeat(16), 'hex')),
    ],
  ] as const) {
    exercise(bytes);
    let tookMs = Infinity;
    for (let attempt = 0; attempt < 5; attempt++) {
      const start = performance.now();
      admit(sources, 'auth', bytes, '10.0.0.2');
      describePacket(dictionary, bytes);
      const parsed = parsePacket(bytes);
      if (parsed.ok) for (let type = 0; type < 100; type++) parsed.packet.text(type);
      tookMs = Math.min(tookMs, performance.now() - start);
    }
    t.ok(tookMs < maxMs, `${name}: ${tookMs.toFixed(2)} ms`);
  }
  t.end();
});
