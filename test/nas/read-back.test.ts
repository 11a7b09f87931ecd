/**
 * Looking whether a NAS did what it acknowledged: what its output says, who is looked at and when, and what that makes of a run.
 */
import t from 'tap';
import { type CommandResult, type EnforcementRun } from '../../src/nas/driver.js';
import { ReadBack, readBackManner, type ReadBackManner, seenService } from '../../src/nas/read-back.js';
import type { ReadAnswer } from '../../src/nas/step.js';
import { ManualClock } from '../support/manual-clock.js';
import { runOf } from './command-context.js';

/** As accel-ppp shows sessions: rates in kbit/s, a header alone when there is none. */
const manner: ReadBackManner = {
  percent: 100,
  afterMs: 1_000,
  there: /^ *ppp\d+ \|[^|]*\| *(?<down>\d+)\/(?<up>\d+) \|(?<redirect> garden)?/mu,
  gone: /^ifname .*$(?!\s*^ *ppp)/mu,
  unitBps: 1_000,
};
const header = 'ifname | username | rate-limit |\n-------+----------+------------+\n';
const line = (rate: string, rest = '') => `${header} ppp0 | ivanov | ${rate} |${rest}\n`;

t.test('output is read by the patterns of the profile, and nothing is guessed', (t) => {
  const cases: readonly [what: string, output: string, seen: object | undefined][] = [
    ['served', line('50000/10000'), { isThere: true, policy: { downBps: 50e6, upBps: 10e6, redirect: false } }],
    [
      'in the garden',
      line('0/0', ' garden'),
      { isThere: true, policy: { downBps: null, upBps: null, redirect: true } },
    ],
    ['nobody', header, { isThere: false, policy: {} }],
    ['something else', '% Invalid input', undefined],
    ['nothing', '', undefined],
  ];
  for (const [what, output, seen] of cases) t.same(seenService(output, manner), seen, what);
  t.end();
});

t.test('a profile that does not ask for it believes its NAS', (t) => {
  const readBack = { there: 'a', gone: 'b', rateUnitBps: 1, afterMs: 0 };
  t.equal(readBackManner({ coa: { readBackPercent: 0 }, readBack }), undefined);
  t.equal(readBackManner({ coa: { readBackPercent: 5 } }), undefined);
  t.match(readBackManner({ coa: { readBackPercent: 5 }, readBack }), { percent: 5, afterMs: 0, there: /a/mu });
  t.end();
});

function resultOf(run: EnforcementRun, outcome: CommandResult['outcome']): CommandResult[] {
  return run.commands.map((command) => ({
    command,
    driver: 'coa',
    sent: 'CoA-Request',
    sentAtMs: 1,
    answeredAtMs: 2,
    attempts: 1,
    outcome,
  }));
}

const ack = { outcome: 'applied', evidence: 'ack', text: 'CoA-ACK' } as const;
const run = (more: Partial<EnforcementRun> = {}) => runOf(['user_rate_set'], { generation: 4, ...more });

/** Looks once; the clock goes on as soon as somebody waits for it. */
async function look(
  about: EnforcementRun,
  results: readonly CommandResult[],
  answer: ReadAnswer,
  over: Partial<ReadBackManner> = {},
) {
  const clock = new ManualClock();
  const asked: number[] = [];
  const readBack = new ReadBack(
    { ...manner, ...over },
    (one) => {
      asked.push(one.enforcementId);
      return Promise.resolve(answer);
    },
    'ssh',
    clock,
  );
  const startedAtMs = clock.nowMs();
  const checking = readBack.check(about, results);
  clock.advance(999);
  t.equal(asked.length, 0, 'a NAS has its time');
  clock.advance(1);
  const result = await checking;
  return { result, asked, tookMs: (result?.sentAtMs ?? startedAtMs) - startedAtMs };
}

t.test('what it shows is evidence, for the word or against it', async (t) => {
  const good = await look(run(), resultOf(run(), ack), { ok: true, output: line('50000/10000') });
  t.match(good.result, {
    command: { name: 'user_rate_set' },
    driver: 'ssh',
    sent: 'user_info',
    outcome: { outcome: 'applied', evidence: 'read-back' },
    isReadBack: true,
  });
  t.equal(good.tookMs, 1_000);
  const lie = await look(run(), resultOf(run(), ack), { ok: true, output: line('20000/10000') });
  t.match(lie.result?.outcome, {
    outcome: 'disproved',
    text: 'acknowledged, yet down 20000000 bit/s instead of 50000000 bit/s',
  });
  const ended = run({ desired: { present: false } });
  const still = await look(ended, resultOf(ended, ack), { ok: true, output: line('50000/10000') });
  t.match(still.result?.outcome, { outcome: 'disproved', text: 'acknowledged, yet it is still there' });
  const over = await look(ended, resultOf(ended, ack), { ok: true, output: header });
  t.match(over.result?.outcome, { outcome: 'applied', evidence: 'read-back' });
});

t.test('what cannot be read is no evidence, and is told', async (t) => {
  const odd = await look(run(), resultOf(run(), ack), { ok: true, output: '% Invalid input' });
  t.match(odd.result?.outcome, {
    outcome: 'unreachable',
    text: 'it could not be read back: neither pattern of read_back matches: % Invalid input',
  });
  const away = await look(run(), resultOf(run(), ack), {
    ok: false,
    outcome: { outcome: 'unreachable', reached: 'never', text: 'no connection' },
  });
  t.match(away.result?.outcome, { outcome: 'unreachable', text: 'it could not be read back: no connection' });
});

t.test('only a word is tried, and only of the sample; a place with a past is always looked at', async (t) => {
  const seen: ReadAnswer = { ok: true, output: line('50000/10000') };
  const refused = { outcome: 'refused', errorCause: 404, text: 'no' } as const;
  const output = { outcome: 'applied', evidence: 'output', text: '' } as const;
  const cases: readonly [
    what: string,
    about: EnforcementRun,
    outcome: CommandResult['outcome'],
    percent: number,
    looks: boolean,
  ][] = [
    ['an ACK in the sample', run(), ack, 100, true],
    ['an ACK outside the sample', run(), ack, 0, false],
    ['a suspect outside the sample', run({ isSuspect: true }), ack, 0, true],
    ['a refusal', run(), refused, 100, false],
    ['output is evidence of its own', run(), output, 100, false],
    ['a run that enforces nothing', run({ generation: undefined }), ack, 100, false],
  ];
  for (const [what, about, outcome, percent, looks] of cases) {
    const { asked } = await look(about, resultOf(about, outcome), seen, { percent });
    t.equal(asked.length, looks ? 1 : 0, what);
  }
});

t.test('few are looked at at once, and whoever stops waits for nobody', async (t) => {
  const clock = new ManualClock();
  let asked = 0;
  const readBack = new ReadBack(
    manner,
    () => {
      asked += 1;
      return Promise.resolve({ ok: true, output: line('50000/10000') });
    },
    'ssh',
    clock,
  );
  const check = (enforcementId: number) => {
    const about = run({ enforcementId });
    return readBack.check(about, resultOf(about, ack));
  };
  const first = Array.from({ length: 10 }, (_, one) => check(one + 1));
  clock.advance(1_000);
  const looked = (await Promise.all(first)).filter((one) => one !== undefined);
  t.equal(looked.length, 4);
  t.equal(asked, 4);
  const waiting = check(11);
  readBack.stop();
  t.equal(await waiting, undefined);
  t.equal(await check(12), undefined);
  t.equal(asked, 4);
  t.equal(clock.pending, 0);
});
