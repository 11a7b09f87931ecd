/** What people and programs are told of devices. */
import t from 'tap';
import { gatherNews, labelOf, mailText, newsBody, oneLine, type WaitingChange } from '../../src/domain/device-news.js';

const sw1: WaitingChange = {
  deviceId: 1,
  name: 'sw1',
  mac: '02:00:00:00:00:01',
  serial: null,
  address: '10.0.0.1',
  place: 'Lenina 12',
  status: 'down',
  oldStatus: 'up',
  atMs: 1000,
  note: null,
};
const sw2: WaitingChange = { ...sw1, deviceId: 2, name: 'sw2', address: '10.0.0.2', place: null };
const time = (atMs: number) => `T${String(atMs)}`;

t.test('changes of one device are one piece of news', async (t) => {
  const changes: WaitingChange[] = [
    { ...sw2, status: 'up', oldStatus: 'down' },
    sw1,
    { ...sw1, status: 'up', oldStatus: 'down', atMs: 2000 },
    { ...sw1, status: 'down', oldStatus: 'up', atMs: 3000, note: 'ping timeout' },
  ];
  const news = gatherNews(changes);
  t.match(news, [
    { deviceId: 1, status: 'down', oldStatus: 'up', atMs: 3000, firstAtMs: 1000, changes: 3, note: 'ping timeout' },
    { deviceId: 2, status: 'up', oldStatus: 'down', changes: 1 },
  ]);
  t.equal(news.length, 2, 'what is down comes first');
  t.same(gatherNews([]), []);
});

t.test('one device by mail', async (t) => {
  t.same(mailText(gatherNews([{ ...sw1, note: 'ping timeout' }]), time), {
    subject: 'DOWN: sw1 (10.0.0.1)',
    text: 'sw1 (10.0.0.1) is DOWN since T1000, it was UP\n  place: Lenina 12\n  note: ping timeout\n',
  });
});

t.test('a device that came and went', async (t) => {
  const news = gatherNews([sw1, { ...sw1, status: 'up', oldStatus: 'down', atMs: 2000 }]);
  t.same(mailText(news, time), {
    subject: 'UP: sw1 (10.0.0.1)',
    text: 'sw1 (10.0.0.1) is UP since T2000, as before\n  it changed 2 times since T1000\n  place: Lenina 12\n',
  });
});

t.test('several devices by mail', async (t) => {
  const { subject, text } = mailText(gatherNews([sw1, sw2, { ...sw2, deviceId: 3, status: 'unreachable' }]), time);
  t.equal(subject, '3 devices: 2 DOWN, 1 UNREACHABLE');
  t.equal(text.split('\n\n').length, 3);
});

t.test('names and notes are one line of printable text, whatever is in them', async (t) => {
  const hostile = 'sw1\r\nBcc: everybody@example.net\r\n\r\n\u202egnp.exe\u0007\u001b[2J';
  const { subject, text } = mailText(gatherNews([{ ...sw1, name: hostile, place: hostile, note: hostile }]), time);
  const flat = 'sw1 Bcc: everybody@example.net gnp.exe [2J';
  t.equal(subject, `DOWN: ${flat} (10.0.0.1)`);
  t.equal(
    text,
    `${flat} (10.0.0.1) is DOWN since T1000, it was UP\n  place: ${flat}\n  note: ${flat}\n`,
    'no line of the text begins as somebody else wanted',
  );
  t.equal(mailText(gatherNews([{ ...sw1, name: 'x'.repeat(5000) }]), time).subject.length, 120);
  t.equal(oneLine('😀😀', 3), '😀…', 'no character is cut in half');
});

t.test('a device is called by the best that is known of it', async (t) => {
  const none = { deviceId: 7, name: null, mac: null, serial: null, address: null };
  t.equal(labelOf({ ...none, name: 'sw', mac: 'm', address: '10.0.0.1' }), 'sw (10.0.0.1)');
  t.equal(labelOf({ ...none, mac: 'm', serial: 's' }), 'm');
  t.equal(labelOf({ ...none, serial: 's' }), 's');
  t.equal(labelOf({ ...none, address: '10.0.0.1' }), '10.0.0.1');
  t.equal(labelOf(none), 'device 7');
});

t.test('the same for a program', async (t) => {
  t.same(newsBody('7.3.1', 'north', gatherNews([{ ...sw1, name: 'a\r\nb' }])), {
    version: 1,
    id: '7.3.1',
    group: 'north',
    devices: [
      {
        id: 1,
        name: 'a\r\nb',
        mac: '02:00:00:00:00:01',
        serial: null,
        address: '10.0.0.1',
        place: 'Lenina 12',
        status: 'down',
        old_status: 'up',
        since: '1970-01-01T00:00:01.000Z',
        changes: 1,
        note: null,
      },
    ],
  });
});
