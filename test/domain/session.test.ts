/** Which session a packet belongs to, and what it does to it: one line of the table per thing that NASes are known to do. */
import t from 'tap';
import type { AccountingFact, SessionFact } from '../../src/domain/accounting-fact.js';
import type { SessionRecord } from '../../src/domain/session.js';
import { fact, restart, type SessionFactShape, T0 } from '../support/facts.js';
import { MemoryWorld } from '../support/memory-world.js';

const DAY = 86_400;
const GIB4 = 2 ** 32;
const MAC_1 = '02:00:00:00:00:01';
const MAC_2 = '02:00:00:00:00:02';

const start = (shape: SessionFactShape): SessionFact => fact('start', shape);
const interim = (shape: SessionFactShape): SessionFact => fact('interim', { sessionSeconds: shape.at, ...shape });
const stop = (shape: SessionFactShape): SessionFact => fact('stop', { sessionSeconds: shape.at, ...shape });
/** A NAS that never says how late a packet is: what it reports happened earlier than it seems. */
const undeclared = (one: SessionFact, arrivedLaterSeconds = 0): SessionFact => ({
  ...one,
  delayDeclared: false,
  eventAtMs: one.eventAtMs + arrivedLaterSeconds * 1000,
  receivedAtMs: one.receivedAtMs + arrivedLaterSeconds * 1000,
});
/** The counters of a NAS that sends no Gigawords. */
const words = (octets: number): Pick<SessionFact, 'input' | 'output'> => ({
  input: { octets, gigawords: false },
  output: { octets, gigawords: false },
});

/** A session as a table row says it: when it was (seconds), and what it counted. */
interface Seen {
  readonly from: number;
  readonly until: number | 'live';
  readonly octets?: number;
  readonly cause?: string;
  readonly amended?: boolean;
  readonly address?: string | null;
  readonly estimated?: boolean;
  readonly seconds?: number;
}

function seen(session: SessionRecord, like: Seen): Seen {
  const { end } = session;
  const whole: Required<Seen> = {
    from: (session.startedAtMs - T0) / 1000,
    until: end === null ? 'live' : (end.endedAtMs - T0) / 1000,
    octets: session.inputOctets,
    cause: end?.cause ?? 'live',
    amended: end?.amended ?? false,
    address: session.address,
    estimated: session.octetsEstimated,
    seconds: session.sessionSeconds,
  };
  return Object.fromEntries(Object.keys(like).map((key) => [key, whole[key as keyof Seen]])) as unknown as Seen;
}

interface Case {
  readonly name: string;
  readonly facts: readonly AccountingFact[];
  readonly sessions: readonly Seen[];
}

const A = '100.64.0.1';
const B = '100.64.0.2';

const cases: readonly Case[] = [
  {
    name: 'Start, Interim, Stop',
    facts: [start({ at: 0 }), interim({ at: 300, octets: 10 }), stop({ at: 400, octets: 20 })],
    sessions: [{ from: 0, until: 400, octets: 20, cause: 'stop', seconds: 400 }],
  },
  {
    name: 'the event time is what counts, not the time of arrival',
    facts: [start({ at: 0, late: 30 }), stop({ at: 400, late: 600, octets: 20 })],
    sessions: [{ from: 0, until: 400 }],
  },
  {
    name: 'an Interim without a Start opens the session at its claimed beginning',
    facts: [interim({ at: 1000, sessionSeconds: 900, octets: 5 })],
    sessions: [{ from: 100, until: 'live', octets: 5 }],
  },
  {
    name: 'an Interim before its Start',
    facts: [interim({ at: 300, octets: 5 }), start({ at: 0, late: 400 }), interim({ at: 600, octets: 7 })],
    sessions: [{ from: 0, until: 'live', octets: 7 }],
  },
  {
    name: 'an Interim without session time before its Start',
    facts: [fact('interim', { at: 300, octets: 5 }), start({ at: 0, late: 400 })],
    sessions: [{ from: 0, until: 'live', octets: 5 }],
  },
  {
    name: 'a late Start never reopens',
    facts: [interim({ at: 300, octets: 5 }), stop({ at: 400, octets: 6 }), start({ at: 0, late: 4000 })],
    sessions: [{ from: 0, until: 400, octets: 6, cause: 'stop' }],
  },
  {
    name: 'a Stop alone is a session that was',
    facts: [stop({ at: 400, octets: 6 })],
    sessions: [{ from: 0, until: 400, octets: 6 }],
  },
  {
    name: 'a Stop 25 hours late, after silence',
    facts: [start({ at: 0 }), interim({ at: 300, octets: 5 }), stop({ at: 500, late: 25 * 3600, octets: 9 })],
    sessions: [{ from: 0, until: 500, octets: 9, cause: 'stop' }],
  },
  {
    name: 'a Stop twice: the first one tells the end',
    facts: [start({ at: 0 }), stop({ at: 400, octets: 6 }), stop({ at: 401, sessionSeconds: 400, octets: 6 })],
    sessions: [{ from: 0, until: 400, octets: 6 }],
  },
  {
    name: 'a Stop without octets keeps the known ones (hostapd after a Disconnect)',
    facts: [start({ at: 0 }), interim({ at: 300, octets: 77 }), fact('stop', { at: 400 })],
    sessions: [{ from: 0, until: 400, octets: 77, seconds: 300 }],
  },
  {
    name: 'everything three times',
    facts: [
      ...[1, 2, 3].map(() => start({ at: 0 })),
      ...[1, 2, 3].map(() => interim({ at: 300, octets: 10 })),
      ...[1, 2, 3].map(() => stop({ at: 400, octets: 20 })),
    ],
    sessions: [{ from: 0, until: 400, octets: 20 }],
  },
  {
    name: 'retransmissions with a new Acct-Delay-Time, cut to whole seconds',
    facts: [
      start({ at: 0 }),
      start({ at: 0.8, late: 3 }),
      interim({ at: 300.6, sessionSeconds: 300, late: 6, octets: 10 }),
      interim({ at: 300, late: 3, octets: 10 }),
    ],
    sessions: [{ from: 0, until: 'live', octets: 10 }],
  },
  {
    name: 'a NAS without Acct-Delay-Time repeats its Start',
    facts: [
      undeclared(start({ at: 0 })),
      undeclared(start({ at: 0 }), 60),
      undeclared(interim({ at: 300, octets: 3 })),
    ],
    sessions: [{ from: 0, until: 'live', octets: 3 }],
  },
  {
    name: 'a NAS without Acct-Delay-Time: packets that arrive late fall under the same session',
    facts: [
      undeclared(start({ at: 0 })),
      undeclared(interim({ at: 600, octets: 9 })),
      undeclared(interim({ at: 300, octets: 4 }), 350),
      undeclared(stop({ at: 900, octets: 12 }), 100),
    ],
    sessions: [{ from: 0, until: 1000, octets: 12 }],
  },
  {
    name: 'a NAS without Acct-Delay-Time: a Start that comes after its Interim is no second session',
    facts: [undeclared(interim({ at: 300, octets: 4 })), undeclared(start({ at: 0 }), 100)],
    sessions: [{ from: 0, until: 'live', octets: 4 }],
  },
  {
    name: 'a NAS without Acct-Delay-Time that uses its Acct-Session-Id again at once: Start, Stop, Start are two sessions',
    facts: [undeclared(start({ at: 0 })), undeclared(stop({ at: 30, octets: 4 })), undeclared(start({ at: 40 }))],
    sessions: [
      { from: 0, until: 30, octets: 4 },
      { from: 40, until: 'live', octets: 0 },
    ],
  },
  {
    name: 'a NAS without Acct-Delay-Time: the Start that was lost comes after the Stop, and opens nothing',
    facts: [undeclared(stop({ at: 30, octets: 4 })), undeclared(start({ at: 0 }), 40)],
    sessions: [{ from: 0, until: 30, octets: 4 }],
  },
  {
    name: 'reordered interims never lower a counter',
    facts: [
      start({ at: 0 }),
      interim({ at: 900, octets: 30 }),
      interim({ at: 300, octets: 10 }),
      interim({ at: 600, octets: 20 }),
    ],
    sessions: [{ from: 0, until: 'live', octets: 30, seconds: 900 }],
  },
  {
    name: 'octets past 2^32 with Gigawords',
    facts: [start({ at: 0 }), interim({ at: 300, octets: GIB4 - 1 }), interim({ at: 600, octets: GIB4 + 5 })],
    sessions: [{ from: 0, until: 'live', octets: GIB4 + 5, estimated: false }],
  },
  {
    name: 'octets past 2^32 without Gigawords are estimated, and say so',
    facts: [
      start({ at: 0 }),
      interim({ at: 300, ...words(GIB4 - 100) }),
      interim({ at: 600, ...words(50) }),
      interim({ at: 900, ...words(70) }),
      interim({ at: 300, late: 700, ...words(GIB4 - 100) }),
    ],
    sessions: [{ from: 0, until: 'live', octets: GIB4 + 70, estimated: true }],
  },
  {
    name: 'an older packet without Gigawords is not taken for a wrap',
    facts: [start({ at: 0 }), interim({ at: 600, ...words(500) }), interim({ at: 300, late: 400, ...words(100) })],
    sessions: [{ from: 0, until: 'live', octets: 500, estimated: false }],
  },
  {
    name: 'Gigawords that are sent only when they are not 0',
    facts: [
      start({ at: 0 }),
      interim({ at: 600, octets: GIB4 + 9 }),
      interim({ at: 300, late: 400, ...words(GIB4 - 7) }),
    ],
    sessions: [{ from: 0, until: 'live', octets: GIB4 + 9, estimated: false }],
  },
  {
    name: 'an Acct-Session-Id used again, with Class',
    facts: [
      start({ at: 0, offer: 1 }),
      interim({ at: 300, octets: 10, offer: 1 }),
      start({ at: 900, offer: 2 }),
      interim({ at: 1200, sessionSeconds: 300, octets: 4, offer: 2 }),
      interim({ at: 600, late: 700, octets: 20, offer: 1 }),
    ],
    sessions: [
      { from: 0, until: 900, octets: 20, cause: 'superseded' },
      { from: 900, until: 'live', octets: 4 },
    ],
  },
  {
    name: 'an Acct-Session-Id used again, without Class, its Start lost',
    facts: [
      start({ at: 0 }),
      interim({ at: 300, octets: 10 }),
      interim({ at: 1200, sessionSeconds: 300, octets: 4 }),
      interim({ at: 1500, sessionSeconds: 600, octets: 14 }),
    ],
    sessions: [
      { from: 0, until: 900, octets: 10, cause: 'superseded' },
      { from: 900, until: 'live', octets: 14 },
    ],
  },
  {
    name: 'an Acct-Session-Id used again within a minute of the last packet: the session time went back',
    facts: [start({ at: 0 }), interim({ at: 600, octets: 10 }), interim({ at: 930, sessionSeconds: 300, octets: 4 })],
    sessions: [
      { from: 0, until: 630, octets: 10, cause: 'superseded' },
      { from: 630, until: 'live', octets: 4 },
    ],
  },
  {
    name: 'an Acct-Session-Id used again in the very second: only the session time tells',
    facts: [start({ at: 0 }), interim({ at: 600, octets: 10 }), interim({ at: 901, sessionSeconds: 300, octets: 40 })],
    sessions: [
      { from: 0, until: 601, octets: 10, cause: 'superseded' },
      { from: 601, until: 'live', octets: 40 },
    ],
  },
  {
    name: 'an Acct-Session-Id used again before the Start of the new session comes in',
    facts: [
      start({ at: 0 }),
      interim({ at: 1200, sessionSeconds: 200, octets: 4 }),
      start({ at: 1000, late: 300 }),
      stop({ at: 700, late: 2000, octets: 9 }),
    ],
    sessions: [
      { from: 0, until: 700, octets: 9, cause: 'stop', amended: true },
      { from: 1000, until: 'live', octets: 4 },
    ],
  },
  {
    name: 'an Acct-Session-Id used again right after the Stop',
    facts: [
      start({ at: 0 }),
      stop({ at: 50, octets: 5 }),
      start({ at: 60 }),
      stop({ at: 80, sessionSeconds: 20, octets: 1 }),
    ],
    sessions: [
      { from: 0, until: 50, octets: 5 },
      { from: 60, until: 80, octets: 1 },
    ],
  },
  {
    name: 'an Acct-Session-Id used again after Accounting-On',
    facts: [
      start({ at: 0 }),
      interim({ at: 300, octets: 10 }),
      restart('on', 400),
      start({ at: 430 }),
      interim({ at: 730, sessionSeconds: 300, octets: 3 }),
      interim({ at: 390, late: 500, octets: 13 }),
    ],
    sessions: [
      { from: 0, until: 400, octets: 13, cause: 'nas-restart' },
      { from: 430, until: 'live', octets: 3 },
    ],
  },
  {
    name: 'Accounting-On first, the Interim from before it later: nothing comes back to life',
    facts: [start({ at: 0 }), restart('on', 400), interim({ at: 300, late: 200, octets: 8 })],
    sessions: [{ from: 0, until: 400, octets: 8, cause: 'nas-restart' }],
  },
  {
    name: 'an old Accounting-On again closes nothing that began since',
    facts: [
      restart('on', 10),
      start({ at: 60 }),
      restart('on', 10),
      interim({ at: 360, sessionSeconds: 300, octets: 1 }),
    ],
    sessions: [{ from: 60, until: 'live', octets: 1 }],
  },
  {
    name: 'Accounting-Off and Accounting-On: the sessions end at the first',
    facts: [start({ at: 0 }), restart('off', 300), restart('on', 400)],
    sessions: [{ from: 0, until: 300, cause: 'nas-restart' }],
  },
  {
    name: 'a Start with another address under a live key',
    facts: [start({ at: 0, address: A }), start({ at: 500, address: B })],
    sessions: [
      { from: 0, until: 500, address: A, cause: 'superseded' },
      { from: 500, until: 'live', address: B },
    ],
  },
  {
    name: 'a Start with another MAC under a live key',
    facts: [start({ at: 0, mac: MAC_1 }), start({ at: 1, mac: MAC_2 }), interim({ at: 300, mac: MAC_1, octets: 2 })],
    sessions: [
      { from: 0, until: 1, octets: 2, cause: 'superseded' },
      { from: 1, until: 'live', octets: 0 },
    ],
  },
  {
    name: 'an address that changes in mid-session, and the first Start again',
    facts: [
      start({ at: 0, address: A }),
      interim({ at: 300, address: B, octets: 3 }),
      start({ at: 0, late: 400, address: A }),
      interim({ at: 300, late: 400, address: B, octets: 3 }),
    ],
    sessions: [{ from: 0, until: 'live', address: B, octets: 3 }],
  },
  {
    name: 'an older packet does not bring an older address back',
    facts: [
      start({ at: 0, address: A }),
      interim({ at: 600, address: B, octets: 6 }),
      interim({ at: 300, late: 400, address: A, octets: 3 }),
    ],
    sessions: [{ from: 0, until: 'live', address: B, octets: 6 }],
  },
  {
    name: 'authorised again in mid-session with a new Class',
    facts: [
      start({ at: 0, offer: 1 }),
      interim({ at: 300, octets: 3, offer: 1 }),
      interim({ at: 600, octets: 6, offer: 2 }),
      start({ at: 0, late: 700, offer: 1 }),
      interim({ at: 300, late: 500, octets: 3, offer: 1 }),
      stop({ at: 900, octets: 9, offer: 2 }),
    ],
    sessions: [{ from: 0, until: 900, octets: 9 }],
  },
  {
    name: 'a session whose packets all come after those of its successor',
    facts: [
      start({ at: 1000 }),
      start({ at: 0, late: 1100 }),
      interim({ at: 1300, sessionSeconds: 300, octets: 4 }),
      interim({ at: 300, late: 1100, octets: 8 }),
      stop({ at: 500, late: 1100, octets: 9 }),
      stop({ at: 1400, sessionSeconds: 400, octets: 5 }),
    ],
    sessions: [
      { from: 1000, until: 1400, octets: 5 },
      { from: 0, until: 500, octets: 9, amended: true },
    ],
  },
  {
    name: 'a NAS that replays a whole day',
    facts: [
      start({ at: 0, late: 25 * 3600 }),
      interim({ at: 300, late: 25 * 3600, octets: 1 }),
      stop({ at: DAY, late: 3600, octets: 2 }),
    ],
    sessions: [{ from: 0, until: DAY, octets: 2 }],
  },
];

for (const { name, facts, sessions } of cases) {
  t.test(name, (t) => {
    const once = new MemoryWorld();
    for (const one of facts) once.apply(one);
    t.same(
      once.sessions.map((session, i) => seen(session, sessions[i] ?? { from: 0, until: 0 })),
      sessions,
      'one by one',
    );
    const batch = new MemoryWorld();
    batch.apply(...facts);
    t.same(batch.sessions, once.sessions, 'as one batch');
    const before = structuredClone(once.sessions);
    const usedBefore = once.usage.length;
    once.apply(...facts);
    t.same(once.sessions, before, 'again');
    t.equal(once.usage.length, usedBefore, 'nothing is counted twice');
    t.end();
  });
}

t.test('silence', (t) => {
  const silent = (): { world: MemoryWorld; session: SessionRecord } => {
    const world = new MemoryWorld();
    world.apply(start({ at: 0, address: A, offer: 1 }), interim({ at: 300, octets: 3, offer: 1 }));
    const session = world.sessions[0]!;
    world.end('silence', session.lastEventAtMs, session);
    return { world, session };
  };
  t.test('ends at the last sign of life', (t) => {
    const { world, session } = silent();
    t.match(session.end, { endedAtMs: T0 + 300_000, cause: 'silence', synthetic: true, amended: false });
    t.same(world.openAssignments, []);
    t.end();
  });
  t.test('a newer Interim undoes it', (t) => {
    const { world, session } = silent();
    world.apply(interim({ at: 1500, octets: 9 }));
    t.equal(session.end, null);
    t.match(world.openAssignments, [{ address: A, startedAtMs: T0 + 300_000 }], 'it was in use all the time');
    t.end();
  });
  t.test('an Interim from before it does not', (t) => {
    const { world, session } = silent();
    world.apply(interim({ at: 200, late: 1500, octets: 2 }));
    t.equal(session.end?.cause, 'silence');
    t.end();
  });
  t.test('an Interim that is late without saying so does not, when its session time tells', (t) => {
    const { world, session } = silent();
    world.apply(undeclared(interim({ at: 200, octets: 2, offer: 1 }), 2000));
    t.equal(session.end?.cause, 'silence');
    t.equal(world.sessions.length, 1);
    t.end();
  });
  t.test('a late Stop amends it', (t) => {
    const { world, session } = silent();
    const outcome = world.apply(stop({ at: 700, late: 4000, octets: 9 }));
    t.match(session.end, { endedAtMs: T0 + 700_000, cause: 'stop', synthetic: false, amended: true });
    t.match(outcome.amendedEnds, [{ formerlyMs: T0 + 300_000 }]);
    t.equal(session.inputOctets, 9);
    t.end();
  });
  t.test('a late Start does not undo it', (t) => {
    const { world, session } = silent();
    world.apply(start({ at: 0, late: 2000, address: A }));
    t.equal(session.end?.cause, 'silence');
    t.equal(world.sessions.length, 1);
    t.end();
  });
  t.end();
});

t.test('the interval between interims is measured, whatever was configured', (t) => {
  const world = new MemoryWorld();
  world.apply(start({ at: 0 }));
  t.match(world.sessions, [{ interimSeconds: null, interimCount: 0 }]);
  world.apply(interim({ at: 61, octets: 1 }), interim({ at: 122, octets: 2 }));
  t.match(world.sessions, [{ interimSeconds: 61, interimCount: 2 }]);
  world.apply(interim({ at: 124, octets: 2 }));
  t.match(world.sessions, [{ interimSeconds: 61, interimCount: 2 }], 'packets sent together measure nothing');
  const unknown = new MemoryWorld();
  unknown.apply(interim({ at: 5000, octets: 1 }));
  t.match(unknown.sessions, [{ interimSeconds: null }], 'the age of a session is no interval');
  t.end();
});
