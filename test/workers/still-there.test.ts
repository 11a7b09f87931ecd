/**
 * A NAS that confirms the end of a session and keeps it: by whose word a session is over, what speaks against it, and how often it is told again.
 */
import t from 'tap';
import { absent, type Evidence, type KnownService } from '../../src/domain/service-state.js';
import { RateClock } from '../../src/domain/effective-rate.js';
import type { Enforcement } from '../../src/store/enforcement-rows.js';
import { lookAt } from '../../src/workers/enforcement-look.js';
import {
  AFTER_CONFIRMATION_MS,
  isOverByWord,
  isStillThere,
  lookAgainAtMs,
  pauseAfterDisproofMs,
} from '../../src/workers/still-there.js';
import { commanded, enforcedRow, liveSession, served } from '../support/enforced-row.js';
import { NOW, subject } from '../support/enforced-subject.js';

const goneBy = (evidence: Evidence): KnownService => ({ applied: { state: absent, evidence }, attempted: [] });
const context = { rates: new RateClock('UTC'), isOwnPool: () => false, nowMs: NOW, isForced: false };
const blocked = subject({ adminBlocked: true });

/** A blocked subscriber's session whose end was acknowledged a minute ago. */
function acknowledged(rest: Partial<Enforcement> = {}): Enforcement {
  const known = goneBy('ack');
  return enforcedRow({ known, desired: absent, subject: blocked, appliedAtMs: NOW - 60_000, ...rest });
}

const heardAt = (lastEventAtMs: number) => ({
  session: { ...liveSession, lastEventAtMs, lastReceivedAtMs: NOW },
});

t.test('the end of a session is known by a word as long as nothing else tells it', (t) => {
  const cases: readonly [what: string, row: Enforcement, isWord: boolean][] = [
    ['a CoA-ACK', acknowledged(), true],
    ['output of a router', acknowledged({ known: goneBy('output') }), true],
    ['an exit code', acknowledged({ known: goneBy('exit-code') }), true],
    ['it was read back: the NAS says so itself', acknowledged({ known: goneBy('read-back') }), true],
    ['accounting said it', acknowledged({ known: goneBy('session-over') }), false],
    ['there was nothing to do', acknowledged({ known: goneBy('not-applicable') }), false],
    ['accounting has said that it is over', acknowledged({ session: { ...liveSession, isOver: true } }), false],
    ['the session is closed', acknowledged({ session: null }), false],
    ['an entry of ours', acknowledged({ kind: 'provisioned' }), false],
    ['a session that is served', enforcedRow(), false],
    [
      'another try is under way',
      acknowledged({ known: { applied: { state: absent, evidence: 'ack' }, attempted: [served] } }),
      false,
    ],
  ];
  for (const [what, row, isWord] of cases) t.equal(isOverByWord(row, row.known), isWord, what);
  t.end();
});

t.test('an update speaks against the word only when it was made clearly after it', (t) => {
  const wordAtMs = NOW - 60_000;
  const cases: readonly [what: string, row: Enforcement, isThere: boolean][] = [
    ['heard before it', acknowledged(heardAt(wordAtMs - 1)), false],
    ['an update that was under way', acknowledged(heardAt(wordAtMs + AFTER_CONFIRMATION_MS)), false],
    ['an update of later', acknowledged(heardAt(wordAtMs + AFTER_CONFIRMATION_MS + 1)), true],
    ['one that was held up on its way, and came now', acknowledged(heardAt(wordAtMs - 300_000)), false],
    ['nobody knows when the word was given', acknowledged({ ...heardAt(NOW), appliedAtMs: null }), false],
    ['a session that nobody ended', enforcedRow(heardAt(NOW)), false],
  ];
  for (const [what, row, isThere] of cases) t.equal(isStillThere(row, row.known), isThere, what);
  t.end();
});

t.test('whoever should be gone is looked at four times in an interval, within bounds', (t) => {
  const cases: readonly [interimSeconds: number | null, recheckMs: number | null, lookMs: number | null][] = [
    [120, null, 30_000],
    [null, null, 25_000],
    [10, null, 10_000],
    [3_600, null, 60_000],
    [120, 5_000, 5_000],
    [120, 50_000, 30_000],
  ];
  for (const [interimSeconds, recheckMs, lookMs] of cases) {
    const row = acknowledged({ session: { ...liveSession, interimSeconds } });
    const recheckAtMs = recheckMs === null ? null : NOW + recheckMs;
    const at = lookAgainAtMs(row, row.known, recheckAtMs, 100, NOW);
    t.equal(at, NOW + lookMs!, `updates every ${String(interimSeconds)} s`);
  }
  const row = enforcedRow();
  t.equal(
    lookAgainAtMs(row, row.known, null, 100, NOW),
    null,
    'a session that is served is not looked at by the clock',
  );
  t.end();
});

t.test(
  'the first time it is told again at once, then ever more slowly, and never less often than in five minutes',
  (t) => {
    const pauses = [1, 2, 3, 4, 5, 6, 7, 50].map(pauseAfterDisproofMs);
    t.same(pauses, [0, 15_000, 30_000, 60_000, 120_000, 240_000, 300_000, 300_000]);
    t.end();
  },
);

t.test(
  'a look at such a session takes the evidence back, and the next one ends it again without asking the fuse',
  (t) => {
    const look = lookAt(acknowledged({ ...heardAt(NOW), disproved: 1 }), commanded(), context);
    t.match(look, {
      step: 'disproved',
      write: {
        known: { applied: null, attempted: [absent] },
        state: 'pending',
        disproved: 2,
        dueAtMs: NOW + 15_000,
        lastError: 'user_disconnect: acknowledged, yet the session is still there',
      },
    });
    if (look.step !== 'disproved') return t.end();
    const row = acknowledged({ ...heardAt(NOW), ...look.write, appliedAtMs: null });
    t.equal(lookAt(row, commanded(), context).step, 'none', 'not before its time');
    const later = lookAt(row, commanded(), { ...context, nowMs: NOW + 15_000 });
    t.match(later, { step: 'send', plan: { commands: [{ name: 'user_disconnect' }] }, intent: { asksFuse: false } });
    t.end();
  },
);

t.test('one that is to be served again meanwhile is told everything, since nothing is known of it', (t) => {
  const look = lookAt(acknowledged({ ...heardAt(NOW), subject: subject() }), commanded(), context);
  t.equal(look.step, 'disproved');
  if (look.step !== 'disproved') return t.end();
  const next = lookAt(acknowledged({ ...heardAt(NOW), ...look.write, subject: subject() }), commanded(), context);
  t.match(next, { step: 'send', plan: { aim: { present: true, blocked: false } } });
  t.end();
});
