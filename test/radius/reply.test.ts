// Replies: Message-Authenticator first, Proxy-State back in order, never beyond 4096 octets.

import t from 'tap';
import { Attribute, Vendor } from '../../src/radius/attribute-number.js';
import { AttributeWriter, PacketBuildError } from '../../src/radius/attribute-writer.js';
import { Code } from '../../src/radius/code.js';
import { headerOctets, parsePacket, type Packet } from '../../src/radius/packet.js';
import { ReplyBuilder, replyFits } from '../../src/radius/reply.js';
import { RequestBuilder } from '../../src/radius/request.js';
import { SharedSecret } from '../../src/radius/shared-secret.js';

const secret = new SharedSecret('testing123');

function opened(bytes: Buffer): Packet {
  const result = parsePacket(bytes);
  if (!result.ok) throw new Error(result.reason);
  return result.packet;
}

function request(code: number, fill?: (builder: RequestBuilder) => void): Packet {
  const builder = new RequestBuilder(code, 42);
  fill?.(builder);
  return opened(builder.finish(secret));
}

function reasonOf(work: () => unknown): string | undefined {
  try {
    work();
  } catch (error) {
    if (error instanceof PacketBuildError) return error.reason;
    throw error;
  }
  return undefined;
}

t.test('Message-Authenticator is the first attribute of what answers Access-Request and Status-Server', (t) => {
  for (const [asked, answered, expected] of [
    [Code.accessRequest, Code.accessAccept, headerOctets],
    [Code.accessRequest, Code.accessReject, headerOctets],
    [Code.accessRequest, Code.accessChallenge, headerOctets],
    [Code.statusServer, Code.accessAccept, headerOctets],
    [Code.statusServer, Code.accountingResponse, headerOctets],
    [Code.accountingRequest, Code.accountingResponse, -1],
  ] as const) {
    const from = request(asked);
    const reply = opened(new ReplyBuilder(from, answered, secret).addText(Attribute.replyMessage, 'hello').finish());
    t.equal(reply.messageAuthenticatorOffset, expected, `${asked} → ${answered}`);
    t.equal(reply.identifier, 42);
    t.ok(secret.responseAuthenticatorMatches(reply, from.authenticator));
    if (expected >= 0) t.ok(secret.messageAuthenticatorMatches(reply, from.authenticator));
  }
  t.end();
});

t.test('Proxy-State comes back unchanged and in order (RFC 2865 §5.33)', (t) => {
  const from = request(Code.accessRequest, (builder) => {
    builder.addText(Attribute.proxyState, 'second hop').addText(Attribute.userName, 'alice');
    builder.addOctets(Attribute.proxyState, Buffer.alloc(0)).addText(Attribute.proxyState, 'first hop');
  });
  const reply = opened(new ReplyBuilder(from, Code.accessAccept, secret).addText(Attribute.class, 'c').finish());
  t.same(reply.all(Attribute.proxyState), from.all(Attribute.proxyState));
  t.equal(reply.all(Attribute.proxyState).length, 3);
  t.end();
});

t.test('values as they are written', (t) => {
  const from = request(Code.accessRequest);
  const reply = opened(
    new ReplyBuilder(from, Code.accessAccept, secret)
      .addAddress(Attribute.framedIpAddress, '100.64.0.1')
      .addAddress(168, '2001:db8::5')
      .addUint32(Attribute.sessionTimeout, 0xffff_ffff)
      .addText(Attribute.replyMessage, 'баланс')
      .addVendorText(Vendor.mikrotik, 8, '10M/50M')
      .addVendorUint32(Vendor.wispr, 7, 50_000_000)
      .addVendor(429, 0xbfbe, Buffer.of(1, 2), { typeOctets: 4, lengthOctets: 0, continuation: false })
      .addEncoded(Buffer.from('0b0468690b0468 6f'.replace(' ', ''), 'hex'))
      .finish(),
  );
  t.equal(reply.address(Attribute.framedIpAddress), '100.64.0.1');
  t.equal(reply.address(168), '2001:db8::5');
  t.equal(reply.uint32(Attribute.sessionTimeout), 0xffff_ffff);
  t.equal(reply.text(Attribute.replyMessage), 'баланс');
  t.equal(reply.vendorText(Vendor.mikrotik, 8), '10M/50M');
  t.equal(reply.vendorUint32(Vendor.wispr, 7), 50_000_000);
  t.equal(reply.all(Attribute.filterId).length, 2);
  t.match(reply.bytes.toString('hex'), '1a0c000001ad0000bfbe0102');
  t.end();
});

t.test('what does not fit is a typed error and changes nothing', (t) => {
  const from = request(Code.accessRequest);
  const reply = new ReplyBuilder(from, Code.accessAccept, secret);
  const before = reply.length;
  for (const [name, work, reason] of [
    ['254 octets', () => reply.addOctets(25, Buffer.alloc(254)), 'value-too-long'],
    ['127 two-octet letters and one', () => reply.addText(18, 'ж'.repeat(127)), 'value-too-long'],
    ['vendor value of 248', () => reply.addVendor(9, 1, Buffer.alloc(248)), 'value-too-long'],
    ['vendor type 256', () => reply.addVendor(9, 256, Buffer.alloc(1)), 'value-invalid'],
    ['no address', () => reply.addAddress(8, 'home'), 'value-invalid'],
    ['negative', () => reply.addUint32(27, -1), 'value-invalid'],
    ['2^32', () => reply.addUint32(27, 2 ** 32), 'value-invalid'],
    ['a fraction', () => reply.addUint32(27, 1.5), 'value-invalid'],
    ['half an attribute', () => reply.addEncoded(Buffer.from('0b0468', 'hex')), 'value-invalid'],
    ['attribute of length 0', () => reply.addEncoded(Buffer.from('0b00', 'hex')), 'value-invalid'],
  ] as const) {
    t.equal(reasonOf(work), reason, name);
    t.equal(reply.length, before, `${name}: nothing was written`);
  }
  t.end();
});

t.test('a reply has at most 4096 octets', (t) => {
  const from = request(Code.accessRequest);
  const full = new ReplyBuilder(from, Code.accessAccept, secret);
  const room = 4096 - full.length;
  for (let octets = 0; octets + 255 <= room; octets += 255) full.addOctets(25, Buffer.alloc(253, 1));
  full.addOctets(25, Buffer.alloc(4096 - full.length - 2, 2));
  t.equal(full.length, 4096);
  t.equal(
    reasonOf(() => full.addOctets(25, Buffer.alloc(0))),
    'packet-too-long',
  );
  const bytes = full.finish();
  t.equal(bytes.length, 4096);
  t.ok(secret.messageAuthenticatorMatches(opened(bytes), from.authenticator));
  t.equal(
    reasonOf(() => full.addUint32(27, 1)),
    'finished',
    'a finished reply takes nothing more',
  );
  t.equal(
    reasonOf(() => full.finish()),
    'finished',
  );
  t.end();
});

t.test('a request whose Proxy-State leaves no room is known beforehand', (t) => {
  const withProxyState = (octets: number): Packet => {
    const writer = new RequestBuilder(Code.accessRequest, 1, undefined, false);
    for (let left = octets; left > 0; left -= 255)
      writer.addOctets(Attribute.proxyState, Buffer.alloc(Math.min(left, 255) - 2));
    return opened(writer.finish(secret));
  };
  const fits = withProxyState(4096 - 20 - 18);
  t.ok(replyFits(fits));
  t.equal(new ReplyBuilder(fits, Code.accessReject, secret).finish().length, 4096);
  const tooLong = withProxyState(4096 - 20 - 17);
  t.notOk(replyFits(tooLong));
  t.equal(
    reasonOf(() => new ReplyBuilder(tooLong, Code.accessReject, secret)),
    'packet-too-long',
  );
  t.end();
});

t.test('a writer grows without losing what it has', (t) => {
  const writer = new AttributeWriter(1, 1);
  for (let index = 0; index < 200; index++) writer.addUint32(27, index);
  t.equal(writer.length, 20 + 200 * 6);
  t.end();
});
