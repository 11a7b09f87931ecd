// Retransmissions (RFC 5080 §2.2.2): the same octets again; strangers never merged; bounded and self-cleaning.

import t from 'tap';
import fc from 'fast-check';
import { Attribute } from '../../src/radius/attribute-number.js';
import { Code } from '../../src/radius/code.js';
import { DuplicateTable, type DuplicateHandle } from '../../src/radius/duplicate-table.js';
import { parsePacket, type Packet } from '../../src/radius/packet.js';
import { RequestBuilder } from '../../src/radius/request.js';
import { SharedSecret } from '../../src/radius/shared-secret.js';

const secret = new SharedSecret('testing123');
const reply = Buffer.from('a reply');

function packet(identifier: number, authenticatorOctet: number, userName = 'alice'): Packet {
  const builder = new RequestBuilder(Code.accessRequest, identifier, Buffer.alloc(16, authenticatorOctet), false);
  const result = parsePacket(builder.addText(Attribute.userName, userName).finish(secret));
  if (!result.ok) throw new Error(result.reason);
  return result.packet;
}

function tableAt(clock: { ms: number }, lifetimeMs = 10_000, maxEntries = 1_000): DuplicateTable {
  return new DuplicateTable({ nowMs: () => clock.ms, lifetimeMs, maxEntries });
}

t.test('in hand, then the same reply, then forgotten', (t) => {
  const clock = { ms: 0 };
  const table = tableAt(clock);
  const request = packet(1, 1);
  t.equal(table.find(0, '10.0.0.2', 5000, request), undefined);
  const entry = table.add(0, '10.0.0.2', 5000, request);
  t.equal(table.inHand, 1);
  t.equal(table.find(0, '10.0.0.2', 5000, packet(1, 1)), entry, 'a retry while in hand');
  t.equal(table.replyOf(entry), undefined);
  table.answer(entry, reply);
  t.equal(table.inHand, 0);
  clock.ms = 9_999;
  t.same(table.replyOf(table.find(0, '10.0.0.2', 5000, request)!), reply, 'just before its end');
  clock.ms = 10_000;
  t.equal(table.find(0, '10.0.0.2', 5000, request), undefined, 'at its end');
  t.end();
});

t.test('every part of the key tells requests apart', (t) => {
  const table = tableAt({ ms: 0 });
  table.answer(table.add(0, '10.0.0.2', 5000, packet(1, 1)), reply);
  for (const [name, socket, address, port, request] of [
    ['another socket', 1, '10.0.0.2', 5000, packet(1, 1)],
    ['another address', 0, '10.0.0.3', 5000, packet(1, 1)],
    ['another port', 0, '10.0.0.2', 5001, packet(1, 1)],
    ['another Identifier', 0, '10.0.0.2', 5000, packet(2, 1)],
    ['another authenticator', 0, '10.0.0.2', 5000, packet(1, 2)],
    ['the same authenticator over another body', 0, '10.0.0.2', 5000, packet(1, 1, 'bob')],
  ] as const)
    t.equal(table.find(socket, address, port, request), undefined, name);
  t.end();
});

t.test('a new packet under an old key replaces it, and the old one cannot come back', (t) => {
  const table = tableAt({ ms: 0 });
  const first = table.add(0, 'a', 1, packet(1, 1));
  const second = table.add(0, 'a', 1, packet(1, 2));
  t.equal(table.find(0, 'a', 1, packet(1, 1)), undefined);
  table.answer(first, Buffer.from('late'));
  t.equal(table.find(0, 'a', 1, packet(1, 2)), second);
  t.equal(table.replyOf(second), undefined, 'a late answer to the first is not the answer to the second');
  table.forget(first);
  t.equal(table.find(0, 'a', 1, packet(1, 2)), second, 'nor does forgetting the first forget the second');
  t.end();
});

t.test('a discarded request is handled as new', (t) => {
  const table = tableAt({ ms: 0 });
  table.forget(table.add(0, 'a', 1, packet(1, 1)));
  t.equal(table.find(0, 'a', 1, packet(1, 1)), undefined);
  t.equal(table.inHand, 0);
  t.end();
});

t.test('accel-ppp: fresh sockets, all with Identifier 1', (t) => {
  const table = tableAt({ ms: 0 }, 10_000, 10_000);
  for (let port = 1024; port < 6024; port++) {
    const request = packet(1, port & 0xff, `subscriber-${port}`);
    if (table.find(0, '10.0.0.2', port, request) !== undefined) t.fail(`merged at port ${port}`);
    table.add(0, '10.0.0.2', port, request);
  }
  t.equal(table.inHand, 5_000);
  t.end();
});

t.test('bounded: the oldest goes first; what was in hand is no longer counted', (t) => {
  const clock = { ms: 0 };
  const table = tableAt(clock, 10_000, 3);
  for (let port = 1; port <= 5; port++) table.add(0, 'a', port, packet(1, 1));
  t.equal(table.size, 3);
  t.equal(table.inHand, 3);
  t.equal(table.evicted, 2);
  t.equal(table.find(0, 'a', 2, packet(1, 1)), undefined);
  t.not(table.find(0, 'a', 3, packet(1, 1)), undefined);
  clock.ms = 20_000;
  table.add(0, 'b', 1, packet(1, 1));
  t.equal(table.size, 1, 'the next insertion clears away all that is past');
  t.equal(table.inHand, 1);
  t.equal(table.evicted, 2);
  t.end();
});

t.test('replies have a bound of their own: whoever asks again for one that had to make room is handled again', (t) => {
  const clock = { ms: 0 };
  // 4,096 entries may hold a megabyte of replies: two chunks are too many.
  const table = tableAt(clock, 10_000, 4_096);
  const large = Buffer.alloc(4_096, 7);
  for (let port = 1; port <= 600; port++) table.answer(table.add(0, 'a', port, packet(1, 1)), large);
  t.equal(table.find(0, 'a', 1, packet(1, 1)), undefined);
  t.same(table.replyOf(table.find(0, 'a', 600, packet(1, 1))!), large);
  t.equal(table.size, 600);
  t.end();
});

t.test('what was sent stays what was sent: a reply is kept as a copy, and given as one', (t) => {
  const table = tableAt({ ms: 0 });
  const octets = Buffer.from('first');
  const entry = table.add(0, 'a', 1, packet(1, 1));
  table.answer(entry, octets);
  octets.write('other');
  table.replyOf(entry)!.write('again');
  t.equal(table.replyOf(entry)?.toString(), 'first');
  t.end();
});

t.test('property: many sources come and go through a small table, and each finds its own', (t) => {
  const step = fc.record({ waitMs: fc.nat(900), source: fc.nat(30), port: fc.nat(3), repeat: fc.boolean() });
  fc.assert(
    fc.property(fc.array(step, { maxLength: 200 }), (steps) => {
      const clock = { ms: 0 };
      const table = tableAt(clock, 1_000, 16);
      const said = new Map<string, { text: string; bornMs: number; order: number }>();
      let order = 0;
      for (const { waitMs, source, port, repeat } of steps) {
        clock.ms += waitMs;
        const request = packet(port, source);
        const key = `${source} ${port}`;
        const found = table.find(source & 3, `10.0.0.${source}`, port, request);
        const known = said.get(key);
        const text = found === undefined ? undefined : table.replyOf(found)?.toString();
        if (found !== undefined && text !== known?.text) return false;
        const isKept = known !== undefined && clock.ms - known.bornMs < 1_000 && order - known.order <= 16;
        if (isKept !== (found !== undefined)) return false;
        if (found !== undefined && repeat) continue;
        said.set(key, { text: `${key} ${order}`, bornMs: clock.ms, order });
        table.answer(table.add(source & 3, `10.0.0.${source}`, port, request), Buffer.from(`${key} ${order}`));
        order += 1;
      }
      return table.size <= 16;
    }),
    { numRuns: 500 },
  );
  t.pass('no counterexample');
  t.end();
});

t.test('property: the table agrees with a plain list', (t) => {
  const step = fc.record({
    waitMs: fc.nat(4_000),
    port: fc.nat(2),
    identifier: fc.nat(2),
    authenticator: fc.nat(2),
    then: fc.constantFrom('answer', 'leave', 'forget'),
  });
  fc.assert(
    fc.property(fc.array(step, { maxLength: 60 }), (steps) => {
      const clock = { ms: 0 };
      const table = tableAt(clock);
      const model = new Map<string, { authenticator: number; bornMs: number; entry: DuplicateHandle }>();
      for (const { waitMs, port, identifier, authenticator, then } of steps) {
        clock.ms += waitMs;
        const request = packet(identifier, authenticator);
        const key = `${port} ${identifier}`;
        const known = model.get(key);
        const alive = known !== undefined && known.authenticator === authenticator && clock.ms - known.bornMs < 10_000;
        const found = table.find(0, 'a', port, request);
        if (found !== (alive ? known.entry : undefined)) return false;
        if (found !== undefined) continue;
        const entry = table.add(0, 'a', port, request);
        model.set(key, { authenticator, bornMs: clock.ms, entry });
        if (then === 'answer') table.answer(entry, reply);
        if (then === 'forget') {
          table.forget(entry);
          model.delete(key);
        }
      }
      return table.inHand >= 0 && table.inHand <= table.size;
    }),
    { numRuns: 300 },
  );
  t.pass('no counterexample');
  t.end();
});
