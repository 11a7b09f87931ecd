/**
 * What follows from a run of commands, outcome by outcome: what is known afterwards, when it is looked at again, and what the lane learns of its NAS.
 */
import t from 'tap';
import { planRun } from '../../src/domain/plan-commands.js';
import { absent, type KnownService, type ServiceState } from '../../src/domain/service-state.js';
import type { CommandOutcome, CommandResult } from '../../src/nas/driver.js';
import type { EnforcementWrite } from '../../src/store/enforcement-writes.js';
import { desiredAt, lookAt } from '../../src/workers/enforcement-look.js';
import { type BegunRun, outcomeOfRun, type RunResults } from '../../src/workers/run-outcome.js';
import { RateClock } from '../../src/domain/effective-rate.js';
import type { CommandedNas } from '../../src/workers/commanded-nas.js';
import type { Enforcement } from '../../src/store/enforcement-rows.js';
import { commanded, enforcedRow, liveSession, served } from '../support/enforced-row.js';
import { home, NOW, subject } from '../support/enforced-subject.js';

const rates = new RateClock('UTC');

/** A run that makes alice what her row says, begun on generation 4. */
function begunOf(
  row: Enforcement,
  more: { parked?: Enforcement['parked']; isFarewell?: boolean; nas?: Partial<CommandedNas> } = {},
): BegunRun {
  const nas = commanded({ ...(row.kind === 'provisioned' && { place: 'provisioned' }), ...more.nas });
  const desired = desiredAt(row, nas, { rates, isOwnPool: () => false, nowMs: NOW });
  const aim = more.isFarewell === true ? absent : desired.state;
  return {
    row,
    generation: 4,
    nas,
    plan: planRun(row.kind, row.known, aim, desired.planOptions),
    intent: {
      desired,
      urgency: 'neither',
      known: row.known,
      parked: more.parked ?? null,
      asksFuse: false,
      isFarewell: more.isFarewell ?? false,
    },
  };
}

const redirected = enforcedRow({ subject: subject({ redirect: true }), attempts: 2, lastError: 'as before' });
const slower: ServiceState = { ...served, rate: { downBps: 1e6, upBps: 1e6 } };
const known = (state: ServiceState): KnownService => ({ applied: { state, evidence: 'ack' }, attempted: [] });

function results(begun: BegunRun, ...outcomes: CommandOutcome[]): CommandResult[] {
  return outcomes.map((outcome, index) => ({
    command: begun.plan.commands[Math.min(index, begun.plan.commands.length - 1)]!,
    driver: 'coa',
    sent: 'CoA-Request',
    sentAtMs: NOW,
    answeredAtMs: NOW,
    attempts: 1,
    outcome,
    ...(index >= begun.plan.commands.length && { isReadBack: true as const }),
  }));
}

const ack: CommandOutcome = { outcome: 'applied', evidence: 'ack', text: '' };
const refused: CommandOutcome = { outcome: 'refused', errorCause: 404, text: 'no' };
const never: CommandOutcome = { outcome: 'unreachable', reached: 'never', text: 'no route' };
const maybe: CommandOutcome = { outcome: 'unreachable', reached: 'maybe', text: 'silence' };
const gone: CommandOutcome = { outcome: 'session-gone', text: '503' };
const unsayable: CommandOutcome = { outcome: 'unsayable', text: 'NUL' };
const later: CommandOutcome = { outcome: 'later', afterMs: 7_000, text: 'busy' };
const seen: CommandOutcome = { outcome: 'applied', evidence: 'read-back', text: '' };
const unread: CommandOutcome = { outcome: 'unreachable', reached: 'maybe', text: 'it could not be read back' };
const lied: CommandOutcome = { outcome: 'disproved', text: 'acknowledged, yet not redirected' };

t.test('every outcome of the one command of a run', (t) => {
  const begun = begunOf(redirected);
  const aim: ServiceState = { ...served, redirect: true };
  t.same(
    begun.plan.commands.map(({ name }) => name),
    ['user_redirect'],
  );
  const tried: KnownService = { ...known(served), attempted: [aim] };
  interface Expected {
    readonly known: KnownService;
    readonly write: Partial<EnforcementWrite>;
    readonly lesson: string;
  }
  const failed = { state: 'pending', attempts: 3 } as const;
  const cases: readonly [what: string, ended: RunResults, expected: Expected][] = [
    [
      'acknowledged',
      results(begun, ack),
      {
        known: known(aim),
        write: { state: 'converged', attempts: 0, dueAtMs: null, lastError: null },
        lesson: 'answered',
      },
    ],
    [
      'refused: nothing is proven, and it is tried again after a while',
      results(begun, refused),
      { known: tried, write: { ...failed, dueAtMs: NOW + 60_000, lastError: 'user_redirect: no' }, lesson: 'refused' },
    ],
    [
      'silence: it may have been done, and is asked for again sooner',
      results(begun, maybe),
      {
        known: tried,
        write: { ...failed, dueAtMs: NOW + 4_000, lastError: 'user_redirect: silence' },
        lesson: 'silent',
      },
    ],
    [
      'not one octet left us: nothing may have happened',
      results(begun, never),
      { known: known(served), write: { ...failed, lastError: 'user_redirect: no route' }, lesson: 'silent' },
    ],
    [
      'asked to come later, it comes then',
      results(begun, later),
      { known: tried, write: { state: 'pending', dueAtMs: NOW + 7_000 }, lesson: 'answered' },
    ],
    [
      'it cannot be said: it waits until something else is desired',
      results(begun, unsayable),
      {
        known: known(served),
        write: {
          state: 'parked',
          parked: { what: 'state', state: aim },
          dueAtMs: null,
          lastError: 'user_redirect: NUL',
        },
        lesson: 'none',
      },
    ],
    [
      'there is no such session: that is believed when an update is missed',
      results(begun, gone),
      {
        known: tried,
        write: { state: 'pending', attempts: 0, goneAtMs: NOW, dueAtMs: NOW - 60_000 + 360_000 },
        lesson: 'answered',
      },
    ],
    [
      'nothing was sent: that is no failure',
      [],
      {
        known: known(served),
        write: { state: 'pending', attempts: 2, dueAtMs: NOW, lastError: 'as before' },
        lesson: 'none',
      },
    ],
    [
      'nobody can say what was sent',
      'unknown',
      { known: tried, write: { ...failed, dueAtMs: NOW + 4_000, lastError: 'as before' }, lesson: 'none' },
    ],
    [
      'acknowledged and read back',
      results(begun, ack, seen),
      {
        known: { applied: { state: aim, evidence: 'read-back' }, attempted: [] },
        write: { state: 'converged', disproved: 0 },
        lesson: 'answered',
      },
    ],
    [
      'acknowledged, and nobody could read it',
      results(begun, ack, unread),
      { known: known(aim), write: { state: 'converged', lastError: null }, lesson: 'answered' },
    ],
    [
      'acknowledged, and read back otherwise: anything may hold, and it is said again at once',
      results(begun, ack, lied),
      {
        known: { applied: null, attempted: [aim] },
        write: {
          state: 'pending',
          attempts: 0,
          disproved: 1,
          dueAtMs: NOW,
          lastOutcome: 'disproved',
          lastError: 'user_redirect: acknowledged, yet not redirected',
        },
        lesson: 'answered',
      },
    ],
  ];
  for (const [what, ended, expected] of cases) {
    const outcome = outcomeOfRun(begun, ended, NOW, 0.5);
    t.match(outcome.write, { generation: 4, ...expected.write }, what);
    t.same(outcome.write?.known, expected.known, `${what}: what is known`);
    t.equal(outcome.lesson, expected.lesson, `${what}: what the lane learns`);
  }
  t.end();
});

t.test('who lies again is asked ever less often, and the count ends with the first thing that was seen', (t) => {
  const pauses = [0, 1, 2, 5, 20].map((disproved) => {
    const begun = begunOf({ ...redirected, disproved });
    return outcomeOfRun(begun, results(begun, ack, lied), NOW, 0.5).write!.dueAtMs! - NOW;
  });
  t.same(pauses, [0, 15_000, 30_000, 240_000, 300_000]);
  const begun = begunOf({ ...redirected, disproved: 5 });
  t.equal(outcomeOfRun(begun, results(begun, ack), NOW, 0.5).write?.disproved, 5, 'a word does not end it');
  t.equal(outcomeOfRun(begun, results(begun, ack, seen), NOW, 0.5).write?.disproved, 0);
  t.end();
});

t.test('a NAS that is believed loses the session at once', (t) => {
  const begun = begunOf(redirected, { nas: { goneIsCertain: true } });
  const outcome = outcomeOfRun(begun, results(begun, gone), NOW, 0.5);
  t.match(outcome, { isGone: true, write: { goneAtMs: NOW, dueAtMs: NOW } });
  t.end();
});

t.test(
  'a refused rate is parked, and what stands behind it is looked at at once; another refusal is not parked',
  (t) => {
    const begun = begunOf(enforcedRow({ known: known(slower) }));
    t.same(
      begun.plan.commands.map(({ name }) => name),
      ['user_rate_set'],
    );
    const outcome = outcomeOfRun(begun, results(begun, refused), NOW, 0.5);
    t.match(outcome, {
      lesson: 'refused',
      lookAgain: true,
      write: { state: 'parked', parked: { what: 'rate', rate: served.rate }, attempts: 0 },
    });
    t.end();
  },
);

t.test('of several commands what was proven is kept, and the rest is tried again', (t) => {
  const begun = begunOf(enforcedRow({ known: known({ ...slower, redirect: true }) }));
  t.same(
    begun.plan.commands.map(({ name }) => name),
    ['user_redirect_cancel', 'user_rate_set'],
  );
  const silent = outcomeOfRun(begun, results(begun, ack, maybe), NOW, 0.5);
  t.match(silent.write?.known.applied, { state: { redirect: false, rate: { downBps: 1e6 } } });
  t.match(silent.write?.known.attempted, [{ redirect: false, rate: served.rate }]);
  const half = outcomeOfRun(begun, results(begun, ack), NOW, 0.5);
  t.match(half.write, { state: 'pending', attempts: 0, dueAtMs: NOW }, 'the rest was not begun: no failure');
  t.end();
});

t.test('an entry that is gone is done with when nobody wants it, and a farewell whatever it says but silence', (t) => {
  const entry = { kind: 'provisioned', session: null, known: known(served) } as const;
  const deleted = begunOf(enforcedRow({ ...entry, subject: subject({ deleted: true }) }));
  t.equal(outcomeOfRun(deleted, results(deleted, { ...ack, evidence: 'output' }), NOW, 0.5).write, undefined);

  const over = { session: { ...liveSession, isOver: true } };
  const farewell = (attempts: number) => begunOf(enforcedRow({ ...over, attempts }), { isFarewell: true });
  for (const outcome of [ack, refused, gone, unsayable]) {
    const begun = farewell(0);
    t.equal(outcomeOfRun(begun, results(begun, outcome), NOW, 0.5).write, undefined, outcome.outcome);
  }
  for (const [attempts, ends] of [
    [0, false],
    [3, false],
    [4, true],
  ] as const) {
    const begun = farewell(attempts);
    const { write } = outcomeOfRun(begun, results(begun, maybe), NOW, 0.5);
    t.equal(write === undefined, ends, `silence after ${String(attempts)} tries`);
  }
  t.end();
});

t.test('a session that is over by the word of its NAS alone is looked at again', (t) => {
  const begun = begunOf(enforcedRow({ subject: subject({ adminBlocked: true }) }));
  t.same(
    begun.plan.commands.map(({ name }) => name),
    ['user_disconnect'],
  );
  const byWord = outcomeOfRun(begun, results(begun, ack), NOW, 0.5);
  t.match(byWord.write, { state: 'converged', dueAtMs: NOW + 60_000 });
  const bySight = outcomeOfRun(begun, results(begun, ack, seen), NOW, 0.5);
  t.match(bySight.write, { state: 'converged', dueAtMs: NOW + 60_000, known: { applied: { evidence: 'read-back' } } });
  t.end();
});

t.test('after a refused rate the rest is done, and every rate that may be there still may be', (t) => {
  const nas = commanded();
  const context = { rates, isOwnPool: () => false, nowMs: NOW, isForced: false };
  const at = (downBps: number): ServiceState => ({ ...served, rate: { downBps, upBps: 10e6 } });
  const plan = (downBps: number) => ({ plan: { ...home, rateDownBps: downBps } });
  // It has 50 Mbit/s, or 99 Mbit/s of an attempt whose answer was lost; 1 Mbit/s was refused.
  const row = enforcedRow({
    subject: subject({ redirect: true }, plan(1e6)),
    known: { ...known(at(50e6)), attempted: [at(99e6), at(1e6)] },
    state: 'parked',
    parked: { what: 'rate', rate: { downBps: 1e6, upBps: 10e6 } },
  });
  const look = lookAt(row, nas, context);
  if (look.step !== 'send') throw new Error(look.step);
  const begun: BegunRun = { row, generation: 4, nas, plan: look.plan, intent: look.intent };
  const names = look.plan.commands.map(({ name }) => name);
  t.same(names, ['user_redirect'], 'the rate is not asked for again');
  const { write } = outcomeOfRun(begun, results(begun, ack), NOW, 0);
  t.match(write, { state: 'parked', known: { applied: { state: { redirect: true } } } });
  const after = { ...row, ...write!, subject: row.subject };
  t.equal(lookAt(after, nas, context).step, 'none', 'nothing more while it stays refused');
  for (const wanted of [50e6, 99e6, 8e6]) {
    const next = lookAt({ ...after, subject: subject({ redirect: true }, plan(wanted)) }, nas, context);
    const told = next.step === 'send' ? next.plan.commands.map(({ name, data }) => [name, data.rate.downBps]) : [];
    t.same(told, [['user_rate_set', wanted]], `${String(wanted)} is not taken for had`);
  }
  t.end();
});
