/** Notifications of Alertmanager as events of devices; the example of docs/monitoring.md is read by test/house/monitoring-document.test.ts. */
import fc from 'fast-check';
import t from 'tap';
import { alertmanagerEvents } from '../../src/domain/alertmanager-events.js';

const now = Date.parse('2026-11-22T12:00:00Z');
const begun = '2026-11-22T11:00:00.123456789+00:00';
const never = '0001-01-01T00:00:00Z';

const alert = (labels: object, more: object = {}) => ({
  status: 'firing',
  labels,
  annotations: {},
  startsAt: begun,
  endsAt: never,
  ...more,
});
const read = (...alerts: unknown[]) => alertmanagerEvents({ version: '4', alerts }, now);

t.test('what an alert says', async (t) => {
  const event = (given: unknown) => {
    const reading = read(given);
    return reading.ok ? reading.events[0] : reading.problem;
  };
  const down = { status: 'down', eventAtMs: Date.parse('2026-11-22T11:00:00.123Z'), receivedAtMs: now };
  const table: [what: string, alert: unknown, event: object | undefined][] = [
    ['a label names it', alert({ device: 'sw1', instance: '10.0.0.9:9116' }), { device: 'sw1', ...down, note: null }],
    ['an instance does', alert({ instance: '10.0.0.5' }), { device: '10.0.0.5', ...down }],
    ['without its port', alert({ instance: '10.0.0.5:9116' }), { device: '10.0.0.5' }],
    ['of IPv6', alert({ instance: '[2001:db8::5]:9116' }), { device: '2001:db8::5' }],
    ['of IPv6 without brackets', alert({ instance: '2001:db8::5' }), { device: '2001:db8::5' }],
    ['a name with a port', alert({ instance: 'sw1.example:161' }), { device: 'sw1.example' }],
    ['unreachable', alert({ device: 'a', device_status: 'unreachable' }), { status: 'unreachable' }],
    [
      'resolved: at its end',
      alert({ device: 'a', device_status: 'unreachable' }, { status: 'resolved', endsAt: '2026-11-22T14:30:00+03:00' }),
      { status: 'up', eventAtMs: Date.parse('2026-11-22T11:30:00Z') },
    ],
    ['a clock that is ahead', alert({ device: 'a' }, { startsAt: '2026-11-22T13:00:00Z' }), { eventAtMs: now }],
    ['no time', alert({ device: 'a' }, { startsAt: undefined }), { eventAtMs: now }],
    ['a time that is none', alert({ device: 'a' }, { startsAt: 'yesterday' }), { eventAtMs: now }],
    [
      'the summary',
      alert({ device: 'a' }, { annotations: { summary: 'no ping', description: 'x' } }),
      { note: 'no ping' },
    ],
    ['the description', alert({ device: 'a' }, { annotations: { description: 'x\0y' } }), { note: 'x y' }],
    ['a note that is none', alert({ device: 'a' }, { annotations: { summary: 7 } }), { note: null }],
    ['nobody named', alert({ alertname: 'DiskFull' }), undefined],
    ['a name that is none', alert({ device: 5 }), undefined],
    ['a name with a NUL', alert({ device: 'a\0' }), undefined],
    ['a name without end', alert({ device: 'a'.repeat(201) }), undefined],
    ['a status that is none', alert({ device: 'a' }, { status: 'pending' }), undefined],
    ['a meaning that is none', alert({ device: 'a', device_status: 'sideways' }), undefined],
    ['a firing alert that means up', alert({ device: 'a', device_status: 'up' }), undefined],
    ['no labels', { status: 'firing' }, undefined],
    ['no object', null, undefined],
  ];
  for (const [what, given, expected] of table)
    if (expected === undefined) {
      t.equal(event(given), undefined, what);
      t.match(read(given), { ok: true, skipped: 1 }, `${what}: counted`);
    } else t.match(event(given), expected, what);
});

t.test('several at once', async (t) => {
  const reading = read(alert({ device: 'a' }), alert({}), alert({ device: 'b' }));
  t.match(reading, { ok: true, events: [{ device: 'a' }, { device: 'b' }], skipped: 1 });
});

t.test('what is no notification', async (t) => {
  for (const body of [undefined, null, 'x', [], {}, { version: '3', alerts: [] }, { version: 4, alerts: [] }])
    t.match(alertmanagerEvents(body, now), { ok: false, problem: /version 4/u }, JSON.stringify(body));
  t.match(alertmanagerEvents({ version: '4', alerts: {} }, now), { ok: false, problem: /no list/u });
  t.match(read(...Array.from({ length: 10_001 }, () => null)), { ok: false, problem: /more than 10000/u });
});

t.test('no body makes it throw, and no event is later than now or without a device', async (t) => {
  const value = fc.jsonValue({ maxDepth: 5 });
  const record = fc.dictionary(fc.constantFrom('device', 'instance', 'device_status', 'summary', '__proto__'), value);
  const anyAlert = fc.oneof(
    value,
    fc.record(
      {
        status: fc.oneof(fc.constantFrom('firing', 'resolved'), value),
        labels: fc.oneof(record, value),
        annotations: fc.oneof(record, value),
        startsAt: fc.oneof(
          fc.date({ noInvalidDate: true }).map((date) => date.toISOString()),
          value,
        ),
        endsAt: fc.oneof(
          fc.date({ noInvalidDate: true }).map((date) => date.toISOString()),
          value,
        ),
      },
      { requiredKeys: [] },
    ),
  );
  const body = fc.oneof(value, fc.record({ version: fc.constant('4'), alerts: fc.oneof(fc.array(anyAlert), value) }));
  fc.assert(
    fc.property(body, (given) => {
      const reading = alertmanagerEvents(given, now);
      if (!reading.ok) return reading.problem !== '';
      return reading.events.every((event) => event.device !== '' && event.eventAtMs <= now && event.eventAtMs > 0);
    }),
    { numRuns: 2_000 },
  );
  t.pass('for all of them');
});
