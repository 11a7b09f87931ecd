// The lever over HTTP: who is let in, what is understood, what is answered when; and the monitoring form beside it.
import t from 'tap';
import type { DeviceAnswer, DeviceEventSink } from '../../src/dhcp/device-intake.js';
import { leaseFaults } from '../../src/dhcp/told-lease.js';
import { leverSecret, openRules, startIntake } from '../support/intake.js';
import { ManualClock } from '../support/manual-clock.js';
import { until } from '../support/until.js';

const commit = {
  cmd: 'commit',
  client_ip: '10.0.0.1',
  client_mac: '0:1:a:2:3:4',
  switch_mac: '2:0:0:0:77:bb',
  switch_port: '11',
};
const ok = { status: 200, body: { status: 'ok' } };
const denied = { status: 403, body: { text: 'access denied' } };

t.test('a commit over any of its paths is an event', async (t) => {
  const { query, leases, counts } = await startIntake(t);
  const paths = ['/dhcp_lever', '/dhcp_lever/', '/abons/api/dhcp_lever', '/abons/api/dhcp_lever/'];
  for (const path of paths) t.match(await query(path, commit), ok, path);
  t.equal(leases.events.length, 4);
  const [event] = leases.events;
  t.match(event, {
    kind: 'commit',
    via: 'lever',
    source: '127.0.0.1',
    address: '10.0.0.1',
    mac: '00:01:0a:02:03:04',
    leaseEndsAtMs: null,
    timeDeclared: false,
    line: { switchMac: '02:00:00:00:77:bb', switchPort: '11', circuitId: null },
  });
  t.equal(event?.eventAtMs, event?.receivedAtMs);
  t.same(counts('lever'), { taken: 4 });
});

t.test('expiry and release need an address alone; what is empty is not under the signature', async (t) => {
  const { query, leases } = await startIntake(t);
  t.match(await query('/dhcp_lever', { cmd: 'expiry', client_ip: '10.0.0.1' }), ok);
  t.match(await query('/dhcp_lever', { cmd: 'release', client_ip: '10.0.0.1', client_mac: '', switch_port: '' }), ok);
  t.match(leases.events, [
    { kind: 'expiry', mac: null, line: null },
    { kind: 'release', mac: null, line: null },
  ]);
});

t.test('who is let in', async (t) => {
  const { query, request, use, leases, counts } = await startIntake(t);
  const elsewhere = { secrets: [leverSecret], admits: () => false };
  for (const [what, rules, expected] of [
    ['off', openRules({ lever: undefined }), { off: 1 }],
    ['without a secret', openRules({ lever: { secrets: [], admits: () => true } }), { off: 2 }],
    ['from elsewhere', openRules({ lever: elsewhere }), { off: 2, 'foreign-source': 1 }],
  ] as const) {
    use(rules);
    t.match(await query('/dhcp_lever', commit), denied, what);
    t.same(counts('lever'), expected, what);
  }
  use(openRules());
  t.match(await query('/dhcp_lever', commit, Buffer.from('another secret')), denied);
  t.match(await request('/dhcp_lever?cmd=commit&client_ip=10.0.0.1'), denied, 'unsigned');
  t.match(await request('/dhcp_lever'), denied);
  t.match(await request(`/dhcp_lever?cmd=commit&client_ip=10.0.0.1&sign=${'0'.repeat(64)}`), denied);
  t.same(counts('lever'), { off: 2, 'foreign-source': 1, 'bad-signature': 2, unsigned: 2 });
  use(openRules({ lever: { secrets: [Buffer.from('the next one'), leverSecret], admits: () => true } }));
  t.match(await query('/dhcp_lever', commit), ok, 'while the secret is being changed both are right');
  t.equal(leases.events.length, 1);
});

t.test('what makes no sense is answered in words, and changes nothing', async (t) => {
  const { query, request, leases, counts } = await startIntake(t);
  for (const [change, fault] of [
    [{ cmd: 'renew' }, 'unknown-command'],
    [{ cmd: '' }, 'unknown-command'],
    [{ client_ip: '10.0.0.256' }, 'bad-address'],
    [{ client_ip: '' }, 'bad-address'],
    [{ client_ip: '255.255.255.255' }, 'bad-address'],
    [{ client_mac: 'nobody' }, 'bad-client-mac'],
    [{ switch_mac: '1:2:3' }, 'bad-switch-mac'],
    [{ switch_port: '11\n' }, 'bad-switch-port'],
  ] as const) {
    t.match(await query('/dhcp_lever', { ...commit, ...change }), { status: 200, body: { text: leaseFaults[fault] } });
    t.equal(counts('lever')[fault]! > 0, true, fault);
  }
  t.match(await query('/dhcp_lever', { ...commit, colour: 'red' }), {
    status: 200,
    body: { text: /not known; known here: cmd/ },
  });
  t.match(await query('/dhcp_lever', { cmd: 'release', client_ip: '10.0.0.1', 'client_mac[]': 'x' }), {
    body: { text: /not known/ },
  });
  t.match(await request('/dhcp_lever?cmd=commit&cmd=release&client_ip=10.0.0.1&sign=00'), {
    status: 200,
    body: { text: /twice/ },
  });
  t.same(leases.events, []);
  t.match(counts('lever'), { 'unknown-parameter': 2, 'repeated-parameter': 1 });
});

t.test('the answer comes once the event is on disk', async (t) => {
  const { query, leases, counts } = await startIntake(t);
  leases.answer = undefined;
  let isAnswered = false;
  const answer = query('/dhcp_lever', commit).finally(() => {
    isAnswered = true;
  });
  await until(() => leases.waiting === 1);
  t.notOk(isAnswered);
  leases.answerAll(true);
  t.match(await answer, ok);
  leases.answer = false;
  const refused = await query('/dhcp_lever', commit);
  t.match(refused, { status: 503, body: { text: /say it again/ } });
  t.equal(refused.headers.get('retry-after'), '1');
  t.same(counts('lever'), { taken: 1, 'not-stored': 1 });
});

t.test('a disk that does not answer is not waited for for ever', async (t) => {
  const clock = new ManualClock(Date.now());
  const { query, leases, counts } = await startIntake(t, { clock });
  leases.answer = undefined;
  const answer = query('/dhcp_lever', commit);
  await until(() => leases.waiting === 1);
  clock.advance(8_000);
  t.match(await answer, { status: 503 });
  t.same(counts('lever'), { 'not-stored': 1 });
});

t.test('only GET pulls it', async (t) => {
  const { request, leases } = await startIntake(t);
  for (const method of ['HEAD', 'PUT', 'DELETE', 'OPTIONS']) {
    const { status } = await request('/dhcp_lever?cmd=release&client_ip=10.0.0.1', { method }).catch(() => ({
      status: 404,
    }));
    t.equal(status, 404, method);
  }
  t.match(await request('/'), { status: 404, body: { text: 'there is nothing here' } });
  t.same(leases.events, []);
});

/** Answers as it is told to and keeps what it was given. */
function deviceSink(answer: () => DeviceAnswer): DeviceEventSink & { readonly given: unknown[] } {
  const given: unknown[] = [];
  const keep = async (what: unknown, heard: unknown): Promise<DeviceAnswer> => {
    given.push([what, heard]);
    return answer();
  };
  return { given, takeQuery: keep, takeEvent: keep, takeAlerts: keep };
}

t.test('the monitoring form hands on what it was told', async (t) => {
  let answer: DeviceAnswer = { outcome: 'taken' };
  const devices = deviceSink(() => answer);
  const { query, request, counts, use } = await startIntake(t, { devices });
  const report = { dev_ip: '10.9.0.7', status: 'DOWN' };
  t.match(await query('/dev/on_device_event/', report), ok);
  t.match(devices.given, [
    [
      { devIp: '10.9.0.7', status: 'DOWN' },
      { source: '127.0.0.1', toldAtMs: undefined, receivedAtMs: Number },
    ],
  ]);
  answer = { outcome: 'taken', text: 'notification sent' };
  t.match(await query('/dev/on_device_event', report), {
    status: 200,
    body: { status: 'ok', text: 'notification sent' },
  });
  answer = { outcome: 'refused', text: 'no device has this address' };
  t.match(await query('/dev/on_device_event', report), { status: 200, body: { text: 'no device has this address' } });
  answer = { outcome: 'not-stored' };
  t.match(await query('/dev/on_device_event', report), { status: 503 });
  t.match(await query('/dev/on_device_event', { ...report, cmd: 'commit' }), {
    body: { text: /known here: dev_ip, status/ },
  });
  t.match(await query('/dev/on_device_event', {}), { status: 503 }, 'what is missing is for its handler to judge');
  t.match(await request('/dev/on_device_event?dev_ip=10.9.0.7&status=DOWN'), denied);
  use(openRules({ lever: undefined }));
  t.match(await query('/dev/on_device_event', report), denied);
  t.same(counts('device-query'), {
    taken: 2,
    refused: 1,
    'not-stored': 2,
    'unknown-parameter': 1,
    unsigned: 1,
    off: 1,
  });
});

t.test('without somebody who knows devices their paths are not there', async (t) => {
  const { query, post, request } = await startIntake(t);
  t.match(await query('/dev/on_device_event/', { dev_ip: '10.9.0.7', status: 'UP' }), { status: 404 });
  t.match(await post('/events/device', {}), { status: 404 });
  t.match(await request('/events/alertmanager', { method: 'POST' }), { status: 404 });
});
