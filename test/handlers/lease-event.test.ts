/** Lease events on their way to the spool and back: nothing is acknowledged before it is durable, and what cannot be read is told. */
import t from 'tap';
import fc from 'fast-check';
import type { LeaseEvent } from '../../src/domain/lease-event.js';
import { RecordKind } from '../../src/handlers/accounting-record.js';
import { LeaseIntake } from '../../src/handlers/lease-event.js';
import { decodeLeaseRecord, encodeLeaseRecord } from '../../src/handlers/lease-record.js';
import type { Spool } from '../../src/spool/spool.js';
import { leaseEvent } from '../support/lease-events.js';

type Appended = (result: { ok: boolean }) => void;

/** A spool that is synced when the test says so. */
function heldSpool(accepts = true) {
  const waiting: Appended[] = [];
  const kinds: number[] = [];
  const append = (kind: number, _at: number, _payload: Uint8Array, done: Appended): boolean => {
    kinds.push(kind);
    if (accepts) waiting.push(done);
    return accepts;
  };
  return { spool: { append } as unknown as Pick<Spool, 'append'>, waiting, kinds };
}

t.test('whoever sent an event hears of it when it is on disk, and not before', (t) => {
  const { spool, waiting, kinds } = heldSpool();
  const intake = new LeaseIntake({ spool, isIgnored: () => false });
  const answers: boolean[] = [];
  for (let i = 0; i < 2; i++) intake.take(leaseEvent('commit', { at: i }), (durable) => answers.push(durable));
  t.same([answers, kinds], [[], [RecordKind.leaseEvent, RecordKind.leaseEvent]]);
  waiting[0]!({ ok: true });
  waiting[1]!({ ok: false });
  t.same(answers, [true, false]);
  t.same(intake.counters, { taken: 1, ignored: 0, refused: 1 });
  t.end();
});

t.test('a spool that takes nothing is told at once', (t) => {
  const intake = new LeaseIntake({ spool: heldSpool(false).spool, isIgnored: () => false });
  let answer: boolean | undefined;
  intake.take(leaseEvent('commit', { at: 0 }), (durable) => (answer = durable));
  t.equal(answer, false);
  t.end();
});

t.test('what the operator excludes is taken and forgotten', (t) => {
  const { spool, kinds } = heldSpool();
  const intake = new LeaseIntake({ spool, isIgnored: (address) => address.startsWith('10.') });
  let answer: boolean | undefined;
  intake.take(leaseEvent('commit', { at: 0, address: '10.0.0.9' }), (durable) => (answer = durable));
  t.same([answer, kinds, intake.counters.ignored], [true, [], 1]);
  t.end();
});

t.test('property: an event comes back as it was', (t) => {
  const hex = fc.option(fc.uint8Array({ maxLength: 255 }).map((octets) => Buffer.from(octets).toString('hex')));
  const mac = fc.option(
    fc
      .uint8Array({ minLength: 6, maxLength: 6 })
      .map((octets) => Buffer.from(octets).toString('hex').match(/../gu)!.join(':')),
  );
  const event: fc.Arbitrary<LeaseEvent> = fc.record({
    kind: fc.constantFrom('commit', 'request', 'expiry', 'release', 'decline'),
    eventAtMs: fc.nat(),
    timeDeclared: fc.boolean(),
    receivedAtMs: fc.nat(),
    via: fc.constantFrom('hook', 'lever', 'json', 'packet', 'leasequery', 'import'),
    source: fc.string({ unit: 'grapheme-composite', maxLength: 20 }).filter((text) => !/\p{Cc}/u.test(text)),
    address: fc.ipV4(),
    mac,
    leaseEndsAtMs: fc.option(fc.nat()),
    line: fc.option(
      fc.record({
        circuitId: hex,
        remoteId: hex,
        subscriberId: hex,
        switchMac: mac,
        switchPort: fc.option(fc.string({ maxLength: 20 }).filter((text) => !/\p{Cc}/u.test(text))),
      }),
    ),
  });
  fc.assert(
    fc.property(event, (one) => {
      t.same(decodeLeaseRecord(encodeLeaseRecord(one)), one);
    }),
  );
  t.end();
});

t.test('property: damaged octets are told, never thrown', (t) => {
  const whole = encodeLeaseRecord(leaseEvent('commit', { at: 0, lasts: 60 }));
  fc.assert(
    fc.property(fc.nat(whole.length - 1), fc.nat(255), fc.nat(whole.length), (at, octet, length) => {
      const damaged = Buffer.from(whole.subarray(0, length));
      if (at < damaged.length) damaged[at] = octet;
      const decoded = decodeLeaseRecord(damaged);
      return 'fault' in decoded || decoded.address.split('.').length === 4;
    }),
    { numRuns: 2_000 },
  );
  t.pass('no counterexample');
  t.end();
});

t.test('what only looks like an event is refused', (t) => {
  const record = (value: object): Buffer => Buffer.concat([Buffer.from([1]), Buffer.from(JSON.stringify(value))]);
  for (const change of [
    { kind: 'steal' },
    { address: '100.65.0.256' },
    { mac: '02-00-00-00-00-01' },
    { eventAtMs: -1 },
    { eventAtMs: 9e15 },
    { leaseEndsAtMs: 'soon' },
    { source: 'a\u0000b' },
    { line: { circuitId: 'abc' } },
    { more: 1 },
  ])
    t.same(
      decodeLeaseRecord(record({ ...leaseEvent('commit', { at: 0 }), ...change })),
      { fault: 'lease-unreadable' },
      JSON.stringify(change),
    );
  t.same(decodeLeaseRecord(Buffer.from([9])), { fault: 'record-version' });
  t.end();
});
