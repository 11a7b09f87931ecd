// Events as signed JSON: who is believed, that a body is taken whole or not at all and only once, and Alertmanager's token.
import t from 'tap';
import type { DeviceAnswer, DeviceEventSink } from '../../src/dhcp/device-intake.js';
import { alertToken, jsonSecret, openRules, startIntake } from '../support/intake.js';
import { ManualClock } from '../support/manual-clock.js';
import { until } from '../support/until.js';

const release = (address: string) => ({ cmd: 'release', client_ip: address });
const two = [release('10.0.0.1'), release('10.0.0.2')];
const denied = { status: 403, body: { text: 'access denied' } };

t.test('a signed body is taken, and answered with how many events it had', async (t) => {
  const clock = new ManualClock(1_795_288_900_500);
  const { post, leases, counts } = await startIntake(t, { clock });
  t.match(await post('/events/lease', two), { status: 200, body: { status: 'ok', events: 2 } });
  t.match(leases.events, [
    {
      kind: 'release',
      via: 'json',
      source: 'dhcp2',
      address: '10.0.0.1',
      eventAtMs: 1_795_288_900_000,
      receivedAtMs: 1_795_288_900_500,
      timeDeclared: true,
    },
    { address: '10.0.0.2' },
  ]);
  t.same(counts('json-lease'), { taken: 2 });
});

t.test('who is believed', async (t) => {
  const { post, request, use, leases, counts } = await startIntake(t);
  t.match(await post('/events/lease', two, { source: 'dhcp9' }), denied, 'a name that nobody has');
  t.match(await post('/events/lease', two, { secret: Buffer.from('another secret') }), denied);
  t.match(await post('/events/lease', two, { headers: { 'x-sluice-signature': '0'.repeat(64) } }), denied);
  const unsigned = { method: 'POST', body: JSON.stringify(two), headers: { 'content-type': 'application/json' } };
  t.match(await request('/events/lease', unsigned), { status: 401, body: { text: /X-Sluice-Signature/ } });
  t.match(await post('/events/lease', two, { atMs: Date.now() - 400_000 }), {
    status: 401,
    body: { text: /set the clocks/ },
  });
  t.match(await post('/events/lease', two, { atMs: Date.now() + 400_000 }), { status: 401 });
  use(openRules({ jsonSources: [{ name: 'dhcp2', secrets: [jsonSecret], admits: () => false }] }));
  t.match(await post('/events/lease', two), denied, 'from elsewhere');
  t.match(await request('/events/lease', unsigned), denied, 'who is not listed does not hear what is missing');
  use(openRules({ jsonSources: [] }));
  t.match(await post('/events/lease', two), denied, 'off');
  use(
    openRules({ jsonSources: [{ name: 'dhcp2', secrets: [Buffer.from('the next'), jsonSecret], admits: () => true }] }),
  );
  t.match(await post('/events/lease', two), { status: 200 }, 'while the secret is being changed both are right');
  t.equal(leases.events.length, 2);
  t.same(counts('json-lease'), {
    'foreign-source': 3,
    'bad-signature': 2,
    unsigned: 1,
    'stale-timestamp': 2,
    off: 1,
    taken: 2,
  });
});

t.test('the signature is over the octets as they came', async (t) => {
  const { post, request, leases } = await startIntake(t);
  t.match(await post('/events/lease', ' [ {"client_ip" : "10.0.0.1",\n "cmd":"release"} ] '), { status: 200 });
  const body = JSON.stringify(two);
  const { signatureHeaders, signBody } = await import('../../src/dhcp/body-signature.js');
  const timestamp = String(Math.floor(Date.now() / 1_000));
  const headers = {
    'content-type': 'application/json',
    [signatureHeaders.source]: 'dhcp2',
    [signatureHeaders.timestamp]: timestamp,
    [signatureHeaders.signature]: signBody(timestamp, Buffer.from(body), jsonSecret).toString('hex'),
  };
  const forged = body.replace('10.0.0.1', '10.0.0.9');
  t.match(await request('/events/lease', { method: 'POST', body: forged, headers }), denied);
  t.equal(leases.events.length, 1);
});

t.test('all of a body or nothing of it', async (t) => {
  const { post, leases, counts } = await startIntake(t);
  t.match(await post('/events/lease', [...two, { cmd: 'commit', client_ip: 'x' }]), {
    status: 422,
    body: { reason: 'bad-address', index: 2, text: /^event 3: client_ip/ },
  });
  t.match(await post('/events/lease', '{'), { status: 422, body: { reason: 'not-json', index: undefined } });
  t.match(await post('/events/lease', ''), { status: 422, body: { reason: 'not-json' } });
  t.same(leases.events, []);
  t.same(counts('json-lease'), { 'bad-address': 1, 'not-json': 2 });
  leases.answer = undefined;
  const answer = post('/events/lease', two);
  await until(() => leases.waiting === 2);
  leases.answerAll(false);
  t.match(await answer, { status: 503, body: { text: /say it again/ } });
  t.match(counts('json-lease'), { taken: undefined, 'not-stored': 1 });
});

t.test('the same request is taken once; one that failed may be tried again', async (t) => {
  const { post, leases, counts } = await startIntake(t);
  const atMs = Date.now();
  leases.answer = false;
  t.match(await post('/events/lease', two, { atMs }), { status: 503 });
  leases.answer = true;
  t.match(await post('/events/lease', two, { atMs }), { status: 200 });
  t.match(await post('/events/lease', two, { atMs }), { status: 409, body: { text: /already/ } });
  t.match(
    await post('/events/lease', two, { atMs: atMs + 1_000 }),
    { status: 200 },
    'signed anew it is another request',
  );
  t.equal(leases.events.length, 6);
  t.match(counts('json-lease'), { replayed: 1, taken: 4 });
});

t.test('a request that comes again while it is in hand is not taken twice', async (t) => {
  const { post, leases, counts } = await startIntake(t);
  leases.answer = undefined;
  const atMs = Date.now();
  const first = post('/events/lease', two, { atMs });
  await until(() => leases.waiting === 2);
  t.match(await post('/events/lease', two, { atMs }), { status: 503 });
  leases.answerAll(true);
  t.match(await first, { status: 200 });
  t.match(counts('json-lease'), { 'in-hand': 1, taken: 2 });
});

t.test('what becomes durable after its sender lost patience was taken', async (t) => {
  const clock = new ManualClock(Date.now());
  const { post, leases } = await startIntake(t, { clock });
  leases.answer = undefined;
  const answer = post('/events/lease', two);
  await until(() => leases.waiting === 2);
  clock.advance(8_000);
  t.match(await answer, { status: 503 });
  leases.answerAll(true);
  leases.answer = true;
  t.match(await post('/events/lease', two, { atMs: clock.nowMs() - 8_000 }), { status: 409 });
});

t.test('a replay to a server that was started again says the same, at the same time', async (t) => {
  const atMs = Math.floor(Date.now() / 1_000) * 1_000 - 60_000;
  const events = [];
  for (let start = 0; start < 2; start++) {
    const { post, leases, server } = await startIntake(t);
    t.match(await post('/events/lease', two, { atMs }), { status: 200 });
    events.push(
      ...leases.events.map(({ address, kind, eventAtMs, timeDeclared }) => ({
        address,
        kind,
        eventAtMs,
        timeDeclared,
      })),
    );
    await server.stop();
  }
  t.same(events.slice(0, 2), events.slice(2), 'so that event time lets it change nothing');
  t.equal(events[0]?.eventAtMs, atMs);
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

t.test('device events as signed JSON', async (t) => {
  let answer: DeviceAnswer = { outcome: 'taken' };
  const devices = deviceSink(() => answer);
  const { post, counts } = await startIntake(t, { devices });
  const event = { device: 'olt-7', status: 'DOWN' };
  const atMs = Math.floor(Date.now() / 1_000) * 1_000;
  t.match(await post('/events/device', event, { atMs }), { status: 200, body: { status: 'ok' } });
  t.match(devices.given, [[event, { source: 'dhcp2', toldAtMs: atMs }]]);
  t.match(await post('/events/device', event, { atMs }), { status: 409 });
  t.match(await post('/events/lease', event, { atMs }), { status: 409 }, 'nor is it taken for something else');
  answer = { outcome: 'refused', text: 'no device is called that' };
  t.match(await post('/events/device', { ...event, device: 'x' }), {
    status: 422,
    body: { text: 'no device is called that' },
  });
  answer = { outcome: 'not-stored' };
  t.match(await post('/events/device', event, { atMs: atMs - 1_000 }), { status: 503 });
  t.match(await post('/events/device', 'DOWN', { atMs }), { status: 422, body: { reason: 'not-json' } });
  t.equal(devices.given.length, 3);
  t.match(counts('device-json'), { taken: 1, replayed: 1, refused: 1, 'not-stored': 1, 'not-json': 1 });
});

t.test('Alertmanager shows its token', async (t) => {
  let answer: DeviceAnswer = { outcome: 'taken' };
  const devices = deviceSink(() => answer);
  const { request, use, counts } = await startIntake(t, { devices });
  const alerts = { version: '4', alerts: [{ status: 'firing', labels: { instance: '10.9.0.7' } }] };
  const send = (authorization: string | undefined, body: string = JSON.stringify(alerts)) =>
    request('/events/alertmanager', {
      method: 'POST',
      body,
      headers: { 'content-type': 'application/json', ...(authorization === undefined ? {} : { authorization }) },
    });
  t.match(await send(`Bearer ${alertToken}`), { status: 200, body: { status: 'ok' } });
  t.match(devices.given, [[alerts, { source: '127.0.0.1', toldAtMs: undefined }]]);
  for (const wrong of [
    undefined,
    '',
    'Bearer',
    'Bearer x',
    `Basic ${alertToken}`,
    `Bearer ${alertToken}x`,
    `Bearer ${alertToken} x`,
  ]) {
    t.match(await send(wrong), denied, String(wrong));
  }
  answer = { outcome: 'refused', text: 'nothing in it is about a device' };
  t.match(await send(`bearer ${alertToken}`), { status: 422, body: { text: /nothing in it/ } });
  answer = { outcome: 'not-stored' };
  t.match(await send(`Bearer ${alertToken}`), { status: 503 });
  t.match(await send(`Bearer ${alertToken}`, '{'), { status: 422, body: { reason: 'not-json' } });
  use(openRules({ alertmanager: { secrets: [Buffer.from(alertToken)], admits: () => false } }));
  t.match(await send(`Bearer ${alertToken}`), denied);
  use(openRules({ alertmanager: undefined }));
  t.match(await send(`Bearer ${alertToken}`), denied);
  t.equal(devices.given.length, 3);
  t.match(counts('alertmanager'), {
    taken: 1,
    refused: 1,
    'not-stored': 1,
    'not-json': 1,
    'foreign-source': 1,
    off: 1,
    unsigned: 5,
    'bad-signature': 2,
  });
});
