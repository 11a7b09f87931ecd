// A lease event word by word: what is read, in which notations, and what is refused with which reason.
import fc from 'fast-check';
import t from 'tap';
import { leaseFaults, readToldLease } from '../../src/dhcp/told-lease.js';
import type { Heard, LeaseFault, ToldLease } from '../../src/dhcp/told-lease.js';

const receivedAtMs = 1_795_288_900_000;
const heard: Heard = { receivedAtMs, via: 'lever', source: 'dhcp1', happenedAtMs: undefined };
const commit: ToldLease = { command: 'commit', clientIp: '100.65.1.10', clientMac: '02:00:00:00:c1:01' };

function eventOf(told: ToldLease, change: Partial<Heard> = {}) {
  const reading = readToldLease({ ...commit, ...told }, { ...heard, ...change });
  if (!reading.ok) throw new Error(`refused: ${reading.fault}`);
  return reading.event;
}

const faultOf = (told: ToldLease): LeaseFault | undefined => {
  const reading = readToldLease({ ...commit, ...told }, heard);
  return reading.ok ? undefined : reading.fault;
};

t.test('a whole event', async (t) => {
  const told: ToldLease = {
    ...commit,
    switchMac: '2:0:0:0:77:bb',
    switchPort: '11',
    circuitId: '6f:6c:74:37',
    remoteId: '0x0200000077BB',
    subscriberId: '5355422D37373131',
    leaseSeconds: '600',
    at: '1795288861.864',
  };
  t.same(eventOf(told), {
    kind: 'commit',
    eventAtMs: 1_795_288_861_864,
    timeDeclared: true,
    receivedAtMs,
    via: 'lever',
    source: 'dhcp1',
    address: '100.65.1.10',
    mac: '02:00:00:00:c1:01',
    leaseEndsAtMs: 1_795_289_461_864,
    line: {
      circuitId: '6f6c7437',
      remoteId: '0200000077bb',
      subscriberId: '5355422d37373131',
      switchMac: '02:00:00:00:77:bb',
      switchPort: '11',
    },
  });
});

t.test('what is empty or missing was not told, which is not the same as that there is nothing', async (t) => {
  const nothing = {
    clientMac: '',
    switchMac: '',
    switchPort: '',
    circuitId: '',
    remoteId: '',
    leaseSeconds: '',
    at: '',
  };
  for (const told of [{ clientMac: undefined }, nothing]) {
    t.match(eventOf(told), {
      mac: null,
      line: null,
      leaseEndsAtMs: null,
      timeDeclared: false,
      eventAtMs: receivedAtMs,
    });
  }
  t.equal(eventOf({ clientMac: '0:0:0:0:0:0' }).mac, null, 'the zero MAC is nobody');
  t.equal(eventOf({ switchMac: '00:00:00:00:00:00' }).line, null);
  t.match(eventOf({ switchPort: '7' }).line, { switchPort: '7', circuitId: null });
});

t.test('words for what happened', async (t) => {
  for (const command of ['commit', 'expiry', 'release', 'decline']) t.equal(eventOf({ command }).kind, command);
  for (const command of ['', 'Commit', 'COMMIT', 'renew', 'commit ', 'toString', '__proto__', 'commit\0']) {
    t.equal(faultOf({ command }), 'unknown-command', JSON.stringify(command));
  }
  t.equal(eventOf({ command: 'release', leaseSeconds: '600' }).leaseEndsAtMs, null, 'what is over has no end to come');
});

t.test('MAC addresses in every notation are one', async (t) => {
  for (const notation of [
    '00:01:0a:02:03:04',
    '0:1:a:2:3:4',
    '0:1:A:2:3:4',
    '00-01-0A-02-03-04',
    '0001.0a02.0304',
    '0001-0a02-0304',
    '00010a-020304',
    '00010A020304',
  ]) {
    t.equal(eventOf({ clientMac: notation }).mac, '00:01:0a:02:03:04', notation);
    t.equal(eventOf({ switchMac: notation }).line?.switchMac, '00:01:0a:02:03:04', notation);
  }
  for (const wrong of ['0:1:a:2:3', '1:0:1:a:2:3:4', '0:1:a:2:3:g', '0:1:a:2:3:4 ', 'x'.repeat(1000), '0:1-a:2:3:4']) {
    t.equal(faultOf({ clientMac: wrong }), 'bad-client-mac', wrong);
    t.equal(faultOf({ switchMac: wrong }), 'bad-switch-mac', wrong);
  }
});

t.test('addresses that no client can have are refused', async (t) => {
  for (const right of ['1.0.0.1', '100.64.0.1', '223.255.255.254'])
    t.equal(eventOf({ clientIp: right }).address, right);
  for (const wrong of [
    undefined,
    '',
    '0.0.0.0',
    '0.1.2.3',
    '127.0.0.1',
    '224.0.0.1',
    '255.255.255.255',
    '10.0.0',
    '10.0.0.256',
    '010.0.0.1',
    '10.0.0.1 ',
    '10.0.0.1/32',
    '::1',
    '10.0.0.1\n10.0.0.2',
  ]) {
    t.equal(faultOf({ clientIp: wrong }), 'bad-address', String(wrong));
  }
});

t.test('octets: hexadecimal in a row, or groups from which leading zeros may be gone', async (t) => {
  for (const [text, hex] of [
    ['61636331', '61636331'],
    ['0x61636331', '61636331'],
    ['61:63:63:31', '61636331'],
    ['61-63-63-31', '61636331'],
    ['0:6:0:A:b', '0006000a0b'],
    ['5', '05'],
    ['a5', 'a5'],
    ['ff'.repeat(255), 'ff'.repeat(255)],
  ] as const) {
    t.equal(eventOf({ circuitId: text }).line?.circuitId, hex, text);
  }
  for (const wrong of ['616', 'port', '61:63:', ':61', '61::63', '61:163', '61:63-31', '0x', '0x6', 'ff'.repeat(256)]) {
    t.equal(faultOf({ circuitId: wrong }), 'bad-circuit-id', wrong);
    t.equal(faultOf({ remoteId: wrong }), 'bad-remote-id', wrong);
    t.equal(faultOf({ subscriberId: wrong }), 'bad-subscriber-id', wrong);
  }
});

t.test('a port is kept as the hook wrote it, as long as it is plain text', async (t) => {
  for (const port of ['11', '0/1/2', 'eth-trunk 1:2011.3001', 'ge-0/0/1.0"; drop', 'порт 7', 'a=b']) {
    t.equal(eventOf({ switchPort: port }).line?.switchPort, port);
  }
  for (const wrong of [
    'a\nb',
    'a\tb',
    '\u001b[31m',
    'a\u202eb',
    '\ufffd',
    'x'.repeat(129),
    'circuit_id=6163',
    'at=1',
  ]) {
    t.equal(faultOf({ switchPort: wrong }), 'bad-switch-port', JSON.stringify(wrong));
  }
});

t.test('the lease ends when it was given and its time has gone by', async (t) => {
  const ends = (leaseSeconds: string) => eventOf({ leaseSeconds, at: '1795288800' }).leaseEndsAtMs;
  t.equal(ends('20'), 1_795_288_820_000);
  t.equal(ends('4294967295'), 1_795_288_800_000 + 4_294_967_295_000, 'without end');
  for (const wrong of ['0', '-1', '1.5', '4294967296', '1e3', 'x', '99999999999']) {
    t.equal(faultOf({ leaseSeconds: wrong }), 'bad-lease-seconds', wrong);
  }
});

t.test('when it happened: as told, else as the way knows it, else now; never later than now', async (t) => {
  const at = (told: string | undefined, happenedAtMs?: number) => {
    const { eventAtMs, timeDeclared } = eventOf({ at: told }, { happenedAtMs });
    return [eventAtMs - receivedAtMs, timeDeclared];
  };
  t.same(at(undefined), [0, false]);
  t.same(at(undefined, receivedAtMs - 3_600_000), [-3_600_000, true]);
  t.same(at('1795288840', receivedAtMs), [-60_000, true], 'what the event says counts before the way');
  t.same(at('2026-11-21T22:20:40.5+03:00'), [-59_500, true]);
  t.same(at('1795288960'), [0, true], 'a clock that is a minute ahead');
  t.same(at(undefined, receivedAtMs + 999_999), [0, true]);
  t.same(at(undefined, 5_000), [0, false], 'a file of a host whose clock was never set');
  for (const wrong of [
    '1795289260',
    '12',
    'yesterday',
    '2026-13-01T00:00:00Z',
    '2026-11-22',
    '-1',
    '1e9',
    '999999999',
  ]) {
    t.equal(faultOf({ at: wrong }), 'bad-time', wrong);
  }
});

t.test('no text throws, and whatever is read is canonical', async (t) => {
  const digits = fc.string({ unit: fc.constantFrom(...'0123456789abcdef:-=.'), maxLength: 20 });
  const text = fc.option(fc.oneof(fc.string({ unit: 'binary' }), digits), { nil: undefined });
  const rarely = fc.oneof({ weight: 9, arbitrary: fc.constant(undefined) }, { weight: 1, arbitrary: text });
  const octets = fc.oneof(
    rarely,
    fc.uint8Array({ minLength: 1, maxLength: 9 }).map((some) => [...some].map((one) => one.toString(16)).join(':')),
  );
  const told = fc.record({
    command: fc.oneof(fc.constantFrom('commit', 'release', 'expiry', 'decline'), text),
    clientIp: fc.oneof(fc.ipV4(), text),
    clientMac: rarely,
    switchMac: rarely,
    switchPort: rarely,
    circuitId: octets,
    remoteId: octets,
    subscriberId: rarely,
    leaseSeconds: rarely,
    at: rarely,
  });
  let read = 0;
  fc.assert(
    fc.property(told, (one) => {
      const reading = readToldLease(one, heard);
      if (!reading.ok) return reading.fault in leaseFaults;
      read += 1;
      const { event } = reading;
      const { circuitId = null, remoteId = null } = event.line ?? {};
      return (
        event.eventAtMs <= receivedAtMs &&
        /^\d+\.\d+\.\d+\.\d+$/u.test(event.address) &&
        (event.mac === null || /^(?:[0-9a-f]{2}:){5}[0-9a-f]{2}$/u.test(event.mac)) &&
        [circuitId, remoteId].every((octets) => octets === null || /^(?:[0-9a-f]{2})+$/u.test(octets))
      );
    }),
    { numRuns: 20_000 },
  );
  t.ok(read > 50, `${String(read)} of them were events`);
});
