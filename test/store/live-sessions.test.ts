// Who is online, as memory knows it: packets come late, twice and out of order, and boxes restart.

import t from 'tap';
import type { SessionRow, SessionStart } from '../../src/store/live-sessions.js';
import { Directory, type SessionStarted } from '../../src/store/directory.js';
import { OfferBook, type Offer } from '../../src/store/offer-book.js';
import { until } from '../support/until.js';

const BOX = { nasName: 'bras1', nasBox: '192.0.2.1' };

function start(fields: Partial<SessionStarted> = {}): SessionStarted {
  return {
    ...BOX,
    acctSessionId: 's1',
    subscriberId: 1,
    mac: '00:00:00:00:00:01',
    nasPortId: 'p1',
    address: 10,
    routingDomain: 'default',
    startedAtMs: 1_000,
    ...fields,
  };
}

function row(fields: Partial<SessionRow> = {}): SessionRow {
  return { ...(start() as SessionStart), sessionId: 7, slot: 0, ...fields };
}

function offer(fields: Partial<Offer> = {}): Offer {
  return {
    offerId: 5,
    subscriberId: 1,
    slot: 3,
    requesterKey: 'x',
    address: 10,
    poolId: 7,
    prefixes: [],
    routingDomain: 'default',
    source: 'grant',
    offeredAtMs: 0,
    expiresAtMs: 60_000,
    durable: true,
    ...fields,
  };
}

t.test('a Start, its repeat, and its Stop', async (test) => {
  const directory = new Directory();
  const { sessions } = directory;
  const first = directory.sessionStarted(start());
  test.equal(directory.sessionStarted(start()), first, 'the repeat changes nothing');
  test.equal(sessions.size, 1);
  test.same(sessions.ofSubscriber(1), [first]);
  test.same(sessions.holders('default', 10), [first]);
  test.same(sessions.holders('other', 10), [], 'another routing domain');
  test.equal(sessions.ofLine('bras1', '192.0.2.1', 's1'), first);
  directory.sessionEnded('bras1', '192.0.2.1', 's1', 2_000, 2_000);
  test.equal(sessions.size, 0);
  test.same(sessions.ofSubscriber(1), []);
  test.same(sessions.holders('default', 10), []);
});

t.test('a late Start opens nothing; the same Acct-Session-Id later is a new session', async (test) => {
  const directory = new Directory();
  directory.sessionEnded('bras1', '192.0.2.1', 's1', 2_000, 2_000);
  test.equal(directory.sessionStarted(start()), undefined, 'the Stop overtook it');
  test.ok(directory.sessionStarted(start({ startedAtMs: 2_001 })), 'used again');
  directory.sessionEnded('bras1', '192.0.2.1', 's1', 1_500, 3_000);
  test.equal(directory.sessions.size, 1, 'the Stop of the one before does not end it');
});

t.test('another address or MAC under a live key replaces the session', async (test) => {
  const directory = new Directory();
  directory.sessionStarted(start({ slot: 2 }));
  const next = directory.sessionStarted(start({ address: 11 }))!;
  test.equal(next.slot, 2, 'its slot stays');
  test.same(directory.sessions.holders('default', 10), []);
  test.same(directory.sessions.holders('default', 11), [next]);
  test.equal(directory.sessions.size, 1);
});

t.test('slots: that of the offer, else the lowest free one', async (test) => {
  const directory = new Directory();
  directory.offers.add(offer());
  test.equal(directory.sessionStarted(start({ offerId: 5 }))?.slot, 3);
  test.equal(directory.offers.size, 0, 'the offer is used up');
  test.equal(directory.sessionStarted(start({ acctSessionId: 's2', address: 12 }))?.slot, 0);
  test.equal(directory.sessionStarted(start({ acctSessionId: 's3', address: 13 }))?.slot, 1);
  directory.offers.add(offer({ offerId: 6, slot: 4, address: 14 }));
  test.equal(
    directory.sessionStarted(start({ acctSessionId: 's4', address: 14 }))?.slot,
    4,
    'without Class the address tells',
  );
  directory.offers.add(offer({ offerId: 8, subscriberId: 2, address: 15 }));
  directory.sessionStarted(start({ acctSessionId: 's5', address: 15, offerId: 8 }));
  test.equal(directory.offers.size, 1, 'the Class of another subscriber does not end his offer');
});

t.test('a restart ends everything earlier of that box at once, and nothing else', async (test) => {
  const directory = new Directory();
  const { sessions } = directory;
  for (let i = 0; i < 5_000; i++)
    directory.sessionStarted(start({ acctSessionId: `s${String(i)}`, subscriberId: i, address: i, startedAtMs: i }));
  directory.sessionStarted(start({ nasBox: '192.0.2.2', subscriberId: 1, address: 99_999 }));
  directory.nasRestarted('bras1', '192.0.2.1', 4_990);
  test.same(sessions.ofSubscriber(10), [], 'before the slices have come to it');
  test.same(sessions.holders('default', 4_000), []);
  test.equal(sessions.ofLine('bras1', '192.0.2.1', 's4000'), undefined);
  test.equal(sessions.ofSubscriber(4_995).length, 1);
  test.equal(sessions.ofSubscriber(1).length, 1, 'another box');
  test.equal(directory.sessionStarted(start({ startedAtMs: 4_989 })), undefined, 'a late packet from before');
  await until(() => sessions.size === 11);
  directory.nasRestarted('bras1', '192.0.2.1', 100);
  test.equal(sessions.ofSubscriber(4_995).length, 1, 'an older On that comes late');
});

t.test('rows of other instances', async (test) => {
  const directory = new Directory();
  const { sessions } = directory;
  sessions.applyRow(row());
  test.equal(sessions.ofSubscriber(1)[0]?.slot, 0);
  sessions.applyRow(row({ slot: 1, address: 11 }));
  test.match(sessions.ofSubscriber(1), [{ slot: 1, address: 11 }]);
  sessions.applyEnd({ ...BOX, sessionId: 6, acctSessionId: 's1', closedAtMs: 9_000 });
  test.equal(sessions.size, 1, 'the end of an earlier one with this key');
  sessions.applyEnd({ ...BOX, sessionId: 7, acctSessionId: 's1', closedAtMs: 9_000 });
  test.equal(sessions.size, 0);
});

t.test('what we acknowledged is newer than a row', async (test) => {
  const directory = new Directory();
  const { sessions } = directory;
  directory.sessionEnded('bras1', '192.0.2.1', 's1', 2_000, 2_000);
  sessions.applyRow(row());
  test.equal(sessions.size, 0, 'its Stop is acknowledged and not applied yet');
  directory.sessionStarted(start({ startedAtMs: 5_000, address: 12 }));
  sessions.applyRow(row({ startedAtMs: 3_000 }));
  test.equal(sessions.ofSubscriber(1)[0]?.address, 12);
  sessions.applyEnd({ ...BOX, sessionId: 7, acctSessionId: 's1', closedAtMs: 4_000 });
  test.equal(sessions.size, 1, 'the end of the one before');
  sessions.applyEnd({ ...BOX, sessionId: 8, acctSessionId: 's1', closedAtMs: 6_000 });
  test.equal(sessions.size, 0, 'its own end');
});

t.test('ends are remembered for minutes, not for ever', async (test) => {
  const directory = new Directory();
  directory.sessionEnded('bras1', '192.0.2.1', 's1', 2_000, 2_000);
  directory.sessionEnded('bras1', '192.0.2.1', 's2', 700_000, 700_000);
  test.ok(directory.sessionStarted(start()), 'as if it had never been heard of');
});

t.test('offers expire, are prolonged, and are bounded', async (test) => {
  const book = new OfferBook(3);
  const first = offer({ offerId: 1 });
  book.add(first);
  book.prolong(first, 120_000);
  book.expire(100_000);
  test.equal(book.size, 1, 'prolonged in time');
  book.expire(122_000);
  test.equal(book.size, 0);
  book.add(offer({ offerId: 8 }));
  book.add(offer({ offerId: 9, offeredAtMs: 62_000, expiresAtMs: 120_000 }));
  test.equal(book.get(8), undefined, 'a new one sweeps the old out');
  book.expire(999_000);
  for (let i = 1; i <= 5; i++) book.add(offer({ offerId: i, subscriberId: i, expiresAtMs: i * 60_000 }));
  test.ok(book.size <= 3);
  test.same(book.ofSubscriber(1), [], 'the one that would end first went first');
  test.equal(book.ofSubscriber(5).length, 1);
});

t.test(
  'a NAS that changes its NAS-Identifier with every packet does not fill memory, and ends nobody',
  async (test) => {
    const { sessions } = new Directory();
    for (let i = 0; i < 3; i++) sessions.started(start({ nasBox: `kept${i}`, subscriberId: i, address: i }));
    for (let i = 0; i < 5_000; i++) {
      sessions.started(start({ nasBox: `box${i}`, subscriberId: 9 }));
      sessions.ended('bras1', `box${i}`, 's1', 2_000, 2_000);
    }
    test.ok(sessions.boxCount <= 1_024 + 3, `${sessions.boxCount} boxes`);
    test.equal(sessions.size, 3);
    test.ok(sessions.ofLine('bras1', 'kept2', 's1'));
  },
);
