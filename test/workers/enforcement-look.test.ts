/**
 * One look at an enforcement: every step that it can end in, from a row, a NAS and an instant. A row that is looked at twice gives the same step.
 */
import t from 'tap';
import { policyHash } from '../../src/domain/policy-hash.js';
import { RateClock } from '../../src/domain/effective-rate.js';
import { absent, type KnownService, type PresentService, type ServiceState } from '../../src/domain/service-state.js';
import type { Enforcement } from '../../src/store/enforcement-rows.js';
import type { CommandedNas } from '../../src/workers/commanded-nas.js';
import { goneDueAtMs, type Look, lookAt, unchanged } from '../../src/workers/enforcement-look.js';
import { commanded, enforcedRow, liveSession, served } from '../support/enforced-row.js';
import { HOUR, NOW, subject } from '../support/enforced-subject.js';

const rates = new RateClock('UTC');
const known = (state: ServiceState, ...attempted: ServiceState[]): KnownService => ({
  applied: { state, evidence: 'ack' },
  attempted,
});
const nothing: KnownService = { applied: null, attempted: [] };

function look(
  row: Enforcement,
  nas: Partial<CommandedNas> = {},
  more: { nowMs?: number; isForced?: boolean } = {},
): Look {
  const context = { rates, isOwnPool: () => false, nowMs: NOW, isForced: false, ...more };
  const at = commanded({ ...(row.kind === 'provisioned' && { place: 'provisioned' }), ...nas });
  const first = lookAt(row, at, context);
  t.same(lookAt(row, at, context), first, 'twice the same');
  return first;
}

const commandsOf = (one: Look): readonly string[] =>
  one.step === 'send' ? one.plan.commands.map(({ name }) => name) : [one.step];

const entryState: PresentService = {
  ...served,
  key: { ...served.key, login: 'alice', mac: null },
  authorised: false,
};
/** Alice bound to bras1, where entries are put, without a session. */
const entry = (rest: Partial<Enforcement> = {}): Enforcement =>
  enforcedRow({
    kind: 'provisioned',
    session: null,
    isOwnSession: false,
    subject: subject({ nasName: 'bras1' }),
    known: known(entryState),
    desired: entryState,
    ...rest,
  });

t.test('a session: what is done about it', (t) => {
  const redirected = subject({ redirect: true });
  const cases: readonly [what: string, look: Look, steps: readonly string[]][] = [
    ['as it should be', look(enforcedRow()), ['none']],
    ['redirected since', look(enforcedRow({ subject: redirected })), ['user_redirect']],
    [
      'blocked, where that is a reject',
      look(enforcedRow({ subject: subject({ adminBlocked: true }) })),
      ['user_disconnect'],
    ],
    ['deleted', look(enforcedRow({ subject: subject({ deleted: true }) })), ['user_del']],
    ['of a NAS that puts entries now', look(enforcedRow(), { place: 'provisioned' }), ['end']],
    ['without its session', look(enforcedRow({ session: null })), ['end']],
    ['observed only', look(enforcedRow({ subject: redirected }), { driver: undefined }), ['write']],
  ];
  for (const [what, found, steps] of cases) t.same(commandsOf(found), steps, what);
  t.end();
});

t.test('a new session is as its Accept said, and is told what has changed since', (t) => {
  const born = (hash: number | null, rest: Partial<Enforcement> = {}) =>
    enforcedRow({
      known: nothing,
      desired: null,
      state: 'new',
      session: { ...liveSession, policyHash: hash },
      ...rest,
    });
  const hash = policyHash('active', 50e6, 10e6);
  t.match(look(born(hash)), {
    step: 'write',
    write: { state: 'converged', known: { applied: { evidence: 'class' } } },
  });
  t.same(commandsOf(look(born(hash, { subject: subject({ redirect: true }) }))), ['user_redirect']);
  t.equal(look(born(null)).step, 'send', 'without a Class it is told everything');
  t.end();
});

t.test('what waits for its time is left alone until then, unless something else is desired or somebody asks', (t) => {
  const redirect: ServiceState = { ...served, redirect: true };
  const waiting = enforcedRow({
    subject: subject({ redirect: true }),
    desired: redirect,
    known: known(served, redirect),
    state: 'pending',
    attempts: 3,
    fusePassed: true,
    dueAtMs: NOW + 60_000,
  });
  t.equal(look(waiting).step, 'none');
  t.same(commandsOf(look(waiting, {}, { nowMs: NOW + 60_000 })), ['user_redirect']);
  t.same(commandsOf(look(waiting, {}, { isForced: true })), ['user_redirect']);
  t.equal(look({ ...waiting, subject: subject() }).step, 'send', 'it is taken back');
  t.end();
});

t.test('the fuse is asked for what takes, once', (t) => {
  const asks = (row: Enforcement): boolean | undefined => {
    const found = look(row);
    return found.step === 'send' ? found.intent.asksFuse : undefined;
  };
  const redirect: ServiceState = { ...served, redirect: true };
  const blocked = subject({ redirect: true });
  t.equal(asks(enforcedRow({ subject: blocked })), true, 'redirected');
  t.equal(asks(enforcedRow({ subject: blocked, desired: redirect, fusePassed: true })), false, 'it has let that pass');
  t.equal(asks(enforcedRow({ subject: blocked, fusePassed: true })), true, 'it had let something else pass');
  t.equal(asks(enforcedRow({ known: known(redirect) })), false, 'what gives back is never asked for');
  t.end();
});

t.test('what was refused is not asked for again until something else is desired', (t) => {
  const slower: ServiceState = { ...served, rate: { downBps: 1e6, upBps: 1e6 } };
  const parkedRate = enforcedRow({
    known: known(slower),
    state: 'parked',
    parked: { what: 'rate', rate: served.rate },
    desired: served,
  });
  t.equal(look(parkedRate).step, 'none');
  t.same(commandsOf(look(parkedRate, {}, { isForced: true })), ['user_rate_set'], 'somebody asks');
  t.same(
    commandsOf(look({ ...parkedRate, subject: subject({ redirect: true }) })),
    ['user_redirect'],
    'the rest is done',
  );
  const parkedState = enforcedRow({
    known: known(slower),
    state: 'parked',
    parked: { what: 'state', state: served },
    desired: served,
  });
  t.equal(look(parkedState).step, 'none');
  t.equal(look({ ...parkedState, subject: subject({ redirect: true }) }).step, 'send', 'another state');
  t.end();
});

t.test('a session that its NAS does not know is closed once an update was missed, and lives on when one came', (t) => {
  const session = { ...liveSession, lastReceivedAtMs: NOW - 100_000, interimSeconds: 300 };
  const gone = enforcedRow({ goneAtMs: NOW - 50_000, session });
  const dueAtMs = NOW - 100_000 + 360_000;
  t.equal(goneDueAtMs(session, { goneIsCertain: false, interimSeconds: 60 }, NOW - 50_000), dueAtMs);
  t.equal(
    goneDueAtMs({ ...session, interimSeconds: null }, { goneIsCertain: false, interimSeconds: 60 }, NOW),
    NOW + 1_000,
  );
  t.equal(goneDueAtMs(session, { goneIsCertain: true, interimSeconds: 60 }, NOW), NOW);
  t.match(look(gone), { step: 'write', write: { dueAtMs } });
  t.equal(look({ ...gone, dueAtMs }).step, 'none');
  t.equal(look({ ...gone, dueAtMs }, {}, { nowMs: dueAtMs }).step, 'close-session');
  const alive = { ...gone, session: { ...session, lastReceivedAtMs: NOW } };
  t.match(look(alive), { step: 'write', write: { goneAtMs: null, state: 'converged' } });
  t.end();
});

t.test('a session that is over is told so once, and is nothing to do when it is gone already', (t) => {
  const over = { session: { ...liveSession, isOver: true } };
  const found = look(enforcedRow(over));
  t.same(commandsOf(found), ['user_disconnect']);
  t.match(found, { intent: { isFarewell: true, asksFuse: false } });
  t.equal(look(enforcedRow({ ...over, known: known(absent) })).step, 'end');
  t.end();
});

t.test('an entry: put, kept, taken away, and done with when it is proven gone', (t) => {
  const deleted = { subject: subject({ nasName: 'bras1', deleted: true }) };
  const elsewhere = { subject: subject({ nasName: 'bras2' }) };
  const cases: readonly [what: string, row: Enforcement, steps: readonly string[]][] = [
    ['as it should be', entry(), ['none']],
    ['deleted', entry(deleted), ['user_del']],
    ['moved to another NAS', entry(elsewhere), ['user_del']],
    ['deleted and gone', entry({ ...deleted, known: known(absent) }), ['end']],
    ['deleted before anything was tried', entry({ ...deleted, known: nothing, mayBePresent: false }), ['end']],
    [
      'deleted, and something may be there',
      entry({ ...deleted, known: { applied: null, attempted: [entryState] } }),
      ['user_del'],
    ],
    [
      'another address',
      entry({ subject: subject({ nasName: 'bras1', staticAddress: 0x6440_0002 }) }),
      ['user_del', 'user_del', 'user_add', 'user_accept', 'user_rate_set'],
    ],
  ];
  for (const [what, row, steps] of cases) t.same(commandsOf(look(row)), steps, what);
  const stray = look(entry(), { place: 'session' });
  t.match(stray, { step: 'write', write: { state: 'parked', lastError: /puts no entries any more/u } });
  t.equal(look(entry({ mayBePresent: false, known: nothing }), { place: 'session' }).step, 'end');
  t.end();
});

t.test('the end of a session is told to an entry, unless its NAS does not want to hear of it', (t) => {
  const authorised: PresentService = { ...entryState, authorised: true };
  const left = entry({ known: known(authorised), desired: authorised });
  const quiet = { words: { rate: true, services: true, ends: false } };
  t.same(commandsOf(look(left)), ['user_disconnect']);
  t.match(look(left, quiet), { step: 'write', write: { state: 'converged', desired: { authorised: false } } });
  t.same(commandsOf(look({ ...left, subject: subject({ nasName: 'bras1', redirect: true }) }, quiet)), [
    'user_redirect',
  ]);
  const asked = subject({ nasName: 'bras1' }, { disconnectBeforeMs: NOW - 1_000 });
  t.same(commandsOf(look({ ...left, subject: asked }, quiet)), ['user_disconnect'], 'somebody asked for it');
  const back = subject({ nasName: 'bras1' }, { webLoggedAtMs: NOW });
  t.same(commandsOf(look(entry({ subject: back }), quiet)), ['user_auth'], 'letting in is always told');
  const wiped = entry({ known: nothing, mayBePresent: true });
  t.notOk(commandsOf(look(wiped, quiet)).includes('user_disconnect'), 'of a wiped NAS too');
  t.ok(commandsOf(look(wiped)).includes('user_disconnect'));
  t.end();
});

t.test('what only time changes is looked at then', (t) => {
  const services = [{ name: 'tv', startsAtMs: NOW + HOUR, endsAtMs: null }];
  t.match(look(enforcedRow({ subject: subject({}, { services }) })), { step: 'write', write: { dueAtMs: NOW + HOUR } });
  t.end();
});

t.test('a row that nothing changed is what it is', (t) => {
  const row = enforcedRow({ disproved: 2, lastError: 'x' });
  const { id, generation, known: believed, disproved, lastError } = unchanged(row);
  t.same(
    { id, generation, believed, disproved, lastError },
    { id: 1, generation: 3, believed: row.known, disproved: 2, lastError: 'x' },
  );
  t.equal(unchanged(row).isAttempt, false);
  t.end();
});
