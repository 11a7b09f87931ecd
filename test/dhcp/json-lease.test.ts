// Lease events as JSON: one or many, all or nothing, and back again.
import t from 'tap';
import { jsonOfLease, maxEventsOfBody, readJsonLeases } from '../../src/dhcp/json-lease.js';
import type { Heard } from '../../src/dhcp/told-lease.js';

const receivedAtMs = 1_795_288_900_000;
const signedAtMs = 1_795_288_890_000;
const heard: Heard = { receivedAtMs, via: 'json', source: 'dhcp2', happenedAtMs: signedAtMs };
const read = (body: unknown) =>
  readJsonLeases(Buffer.from(typeof body === 'string' ? body : JSON.stringify(body)), heard);
const release = { cmd: 'release', client_ip: '10.0.0.1' };

t.test('one event, or a list', async (t) => {
  t.match(read(release), {
    ok: true,
    events: [{ kind: 'release', via: 'json', source: 'dhcp2', address: '10.0.0.1' }],
  });
  t.match(read([release, { ...release, client_ip: '10.0.0.2' }]), {
    ok: true,
    events: [{ address: '10.0.0.1' }, { address: '10.0.0.2' }],
  });
});

t.test('every key', async (t) => {
  const whole = {
    cmd: 'commit',
    client_ip: '100.65.1.10',
    client_mac: '2:0:0:0:c1:1',
    switch_mac: '2:0:0:0:77:bb',
    switch_port: '11',
    circuit_id: '61:63',
    remote_id: '0x6164',
    subscriber_id: null,
    lease_seconds: 600,
    at: 1_795_288_861.864,
  };
  const event = {
    kind: 'commit',
    eventAtMs: 1_795_288_861_864,
    timeDeclared: true,
    receivedAtMs,
    via: 'json',
    source: 'dhcp2',
    address: '100.65.1.10',
    mac: '02:00:00:00:c1:01',
    leaseEndsAtMs: 1_795_289_461_864,
    line: {
      circuitId: '6163',
      remoteId: '6164',
      subscriberId: null,
      switchMac: '02:00:00:00:77:bb',
      switchPort: '11',
    },
  };
  t.same(read(whole), { ok: true, events: [event] });
  t.same(read({ ...whole, lease_seconds: '600', at: '1795288861.864' }), { ok: true, events: [event] });
});

t.test(
  'an event without a time has that of its request, so that the same request says the same when it comes again',
  async (t) => {
    t.match(read(release), { ok: true, events: [{ eventAtMs: signedAtMs, timeDeclared: true }] });
  },
);

t.test('all of a body or nothing of it, with what is wrong', async (t) => {
  for (const [body, fault, text, index] of [
    ['', 'not-json', /not JSON/, undefined],
    ['{', 'not-json', /not JSON/, undefined],
    ['"commit"', 'not-an-event', /event 1: .*object/, 0],
    ['null', 'not-an-event', /event 1/, 0],
    [[], 'no-events', /neither/, undefined],
    [Array(maxEventsOfBody + 1).fill(release), 'too-many-events', /1000/, undefined],
    [[release, [release]], 'not-an-event', /event 2/, 1],
    [[release, 7], 'not-an-event', /event 2/, 1],
    [{ ...release, colour: 'red' }, 'unknown-key', /key that is not known/, 0],
    ['{"cmd":"release","client_ip":"10.0.0.1","__proto__":{"x":1}}', 'unknown-key', /event 1/, 0],
    [{ ...release, client_ip: { $gt: '' } }, 'not-an-event', /event 1/, 0],
    [{ ...release, client_ip: 167_772_161 }, 'not-an-event', /event 1/, 0],
    [{ ...release, switch_port: 7 }, 'not-an-event', /event 1/, 0],
    [{ ...release, at: true }, 'not-an-event', /event 1/, 0],
    [{ ...release, at: 1e300 }, 'bad-time', /event 1: at/, 0],
    [{ ...release, at: -1 }, 'bad-time', /event 1: at/, 0],
    [{ ...release, at: receivedAtMs }, 'bad-time', /event 1: at/, 0],
    [{ ...release, lease_seconds: 0.5 }, 'bad-lease-seconds', /event 1/, 0],
    [[release, { ...release, cmd: 'renew' }], 'unknown-command', /event 2: the command/, 1],
    [[release, release, { ...release, client_mac: 'x' }], 'bad-client-mac', /event 3: client_mac/, 2],
  ] as const) {
    const reading = read(body);
    t.match(reading, { ok: false, fault, text, index }, JSON.stringify(body)?.slice(0, 100));
    t.notOk('events' in reading);
  }
  t.match(read('['.repeat(100_000)), { ok: false, fault: 'not-json' });
  t.match(read(`${'['.repeat(5_000)}${']'.repeat(5_000)}`), { ok: false, fault: 'not-an-event' });
});

t.test('an event is the same after it was written and read again', async (t) => {
  for (const told of [
    release,
    { cmd: 'expiry', client_ip: '10.0.0.1', client_mac: '02:00:00:00:c1:01', at: 1_795_288_861.001 },
    { cmd: 'commit', client_ip: '10.0.0.1', circuit_id: '6163', lease_seconds: 4_294_967_295, at: 1_795_288_861.999 },
    {
      cmd: 'commit',
      client_ip: '10.0.0.1',
      switch_mac: '02:00:00:00:77:bb',
      switch_port: '"\\n é',
      lease_seconds: 1,
      at: 1_795_288_861,
    },
  ]) {
    const reading = read(told);
    if (!reading.ok) throw new Error(reading.text);
    t.same(read(jsonOfLease(reading.events[0]!)), reading);
  }
  const undated = { ...release, at: 1_795_288_861 };
  const reading = read(undated);
  if (!reading.ok) throw new Error(reading.text);
  t.notOk(
    'at' in jsonOfLease({ ...reading.events[0]!, timeDeclared: false }),
    'a time that nobody told is not made up',
  );
});
