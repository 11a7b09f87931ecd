// What the bench's numbers rest on: which packets are sent, how rounds become rows, what counts as kept.

import t from 'tap';
import { SharedSecret } from '../../src/radius/shared-secret.js';
import { chart } from './chart.js';
import { poolQueries } from './freeradius-configuration.js';
import { median, rowOf, type Round, type Row } from './measure.js';
import { readOptions, UsageError } from './options.js';
import { GENERATOR_SOCKETS, identifierOf } from './packet-file.js';
import { accountingMix, accountingStep, liveSessions, papRequest } from './packets.js';
import { markdown, terminalTable, verdicts, withMeasured, type Section } from './report.js';
import { STATIC_SUBSCRIBERS } from './world.js';

t.test('no two packets that may wait at once share a socket and an Identifier', async (test) => {
  const slots = GENERATOR_SOCKETS * 256;
  const socketOf = (index: number): number => Math.floor(index / 8) % GENERATOR_SOCKETS;
  const keys = new Set(Array.from({ length: slots }, (_, index) => socketOf(index) * 256 + identifierOf(index)));
  test.equal(keys.size, slots);
  test.equal(identifierOf(slots), identifierOf(0), 'and then it begins anew');
});

for (const interims of [8, 48]) {
  t.test(
    `the stream of accounting: a session is a Start, ${interims} Interim-Updates in order, and a Stop`,
    async (test) => {
      const mix = accountingMix(interims);
      const lives = liveSessions(mix);
      const packets = interims + 2;
      const seen = new Map<number, number[]>();
      const live = new Map<number, number>();
      const twice: number[] = [];
      let most = 0;
      for (let index = 0; index < lives + packets * (lives + mix.liveSteps * packets); index++) {
        const { session, step } = accountingStep(mix, index);
        const steps = seen.get(session) ?? [];
        steps.push(step);
        seen.set(session, steps);
        const subscriber = session % STATIC_SUBSCRIBERS;
        if (step === 0) {
          if (live.has(subscriber)) twice.push(subscriber);
          live.set(subscriber, session);
        }
        if (step === interims + 1) live.delete(subscriber);
        most = Math.max(most, live.size);
      }
      const whole = [...seen].filter(([session]) => session >= lives && session < 2 * lives - mix.liveSteps);
      test.ok(whole.length > 0);
      test.same(
        new Set(whole.map(([, steps]) => steps.join())),
        new Set([Array.from({ length: packets }, (_, i) => i).join()]),
      );
      test.same(twice, [], 'nobody has two sessions at once');
      test.equal(most, lives + 1);
    },
  );
}

t.test('a request can be made again, octet for octet, to check its answer', async (test) => {
  const secret = new SharedSecret('bench');
  test.same(papRequest(secret, 12_345).bytes, papRequest(secret, 12_345).bytes);
  test.notSame(papRequest(secret, 0).authenticator, papRequest(secret, STATIC_SUBSCRIBERS).authenticator);
});

t.test('the median', async (test) => {
  for (const [values, expected] of [
    [[3], 3],
    [[3, 1, 2], 2],
    [[4, 1, 3, 2], 2.5],
  ] as const)
    test.equal(median(values), expected);
});

function round(perSecond: number, lost = 0, lagSeconds = 0): Round {
  const result = {
    sent: 100,
    answered: 100 - lost,
    lost,
    repeated: 0,
    wrong: 0,
    strays: 0,
    seconds: 1,
    answeredInTime: 100,
    p50Us: 1000,
    p90Us: 2000,
    p99Us: 3000,
    p999Us: 4000,
    maxUs: 5000,
    generatorCpuSeconds: 0.25,
    next: 100,
  };
  return { result, perSecond, sideCpuUs: 20, postgresCpuUs: 10, residentOctets: 1e8, lagSeconds };
}

t.test('rounds become a row: medians of rates, sums of losses, the worst lag', async (test) => {
  test.match(rowOf('Sluice', [round(100, 1, 0.5), round(300), round(200, 2, 1.5)]), {
    perSecond: 200,
    slowestPerSecond: 100,
    fastestPerSecond: 300,
    lost: 3,
    sent: 300,
    lagSeconds: 1.5,
    generatorLoad: 0.25,
  });
});

function section(id: Section['id'], ours: Row, other: string, perSecond: number): Section {
  return { id, isPinned: false, outcome: { rows: [ours, rowOf(other, [round(perSecond)])], checks: ['looked at'] } };
}

t.test('a promise is kept at its target and missed below; loss and lag are promises too', async (test) => {
  const kept = verdicts([section('pap', rowOf('Sluice', [round(1000)]), 'FreeRADIUS + files', 1000)]);
  test.same(
    kept.map(({ met }) => met),
    [true, true],
  );
  const missed = verdicts([
    section('pap', rowOf('Sluice', [round(999, 1)]), 'FreeRADIUS + files', 1000),
    section('accounting', rowOf('Sluice', [round(5000, 0, 2.1)]), 'FreeRADIUS + rlm_sql', 1000),
  ]);
  test.same(
    missed.map(({ met }) => met),
    [false, false, true, false, true],
  );
  test.same(
    verdicts([{ ...section('pap', rowOf('Sluice', [round(1)]), 'FreeRADIUS + files', 9), isPinned: true }]),
    [],
  );
});

t.test('the document keeps what is around its measured part', async (test) => {
  const sections = [section('pool', rowOf('Sluice', [round(12_000)]), 'FreeRADIUS + sqlippool', 1000)];
  const at = {
    date: '2026-11-21',
    command: 'npm run bench',
    machine: '2 × processor, 8 GB',
    kernel: 'Linux',
    versions: ['Sluice 0.1.0'],
    settings: 'fsync = on',
    seconds: 300,
  };
  const before = 'above\n<!-- measured: written by npm run bench -->\nold\n<!-- end of what was measured -->\nbelow\n';
  const after = withMeasured(before, markdown(sections, at));
  test.match(after, /^above\n/);
  test.match(after, /\nbelow\n$/);
  test.notMatch(after, /\nold\n/);
  test.match(after, /\| Sluice \| 12,000 \|/);
  test.match(after, /pool: Sluice ÷ FreeRADIUS \+ sqlippool \| 12 \| 10 \| kept/);
  test.equal(withMeasured(after, markdown(sections, at)), after, 'and twice is as good as once');
  test.throws(() => withMeasured('nothing', ''), Error);
  test.match(terminalTable(sections), /✓ looked at/);
  test.match(chart(sections), /prefers-color-scheme: dark/);
});

t.test('options: what cannot be understood shows the usage', async (test) => {
  test.match(readOptions([]), { rounds: 5, isQuick: false, isPinned: true, writesDocs: true });
  test.match(readOptions(['--quick']), { rounds: 1, isPinned: false, writesDocs: false });
  test.match(readOptions(['--only', 'pool', '--rounds', '2']), { works: ['pool'], rounds: 2, writesDocs: false });
  for (const wrong of [['--only', 'x'], ['--rounds', '0'], ['--rounds', 'many'], ['--unknown']])
    test.throws(() => readOptions(wrong), UsageError);
});

t.test('sqlippool is measured with the setting that its own file advises', async (test) => {
  test.equal(
    poolQueries('#skip_locked = "SKIP LOCKED"\nskip_locked = ""\n'),
    '#skip_locked = "SKIP LOCKED"\nskip_locked = "SKIP LOCKED"\n',
  );
});
