/**
 * What is read back from a NAS beside what it acknowledged, and which acknowledgements are tried.
 */
import t from 'tap';
import { isSampled, readBackDifferences, type SeenService } from '../../src/domain/read-back.js';
import { absent, type ServiceState } from '../../src/domain/service-state.js';
import { served } from '../support/enforced-row.js';

const there = (policy: SeenService['policy'] = {}): SeenService => ({ isThere: true, policy });
const gone: SeenService = { isThere: false, policy: {} };

t.test('what differs is told, and what is not shown is not compared', (t) => {
  const unlimited: ServiceState = { ...served, rate: { downBps: null, upBps: null } };
  const cases: readonly [what: string, desired: ServiceState, seen: SeenService, unitBps: number, found: string[]][] = [
    ['nothing is shown but that it is there', served, there(), 1, []],
    ['as desired', served, there({ blocked: false, redirect: false, downBps: 50e6, upBps: 10e6 }), 1, []],
    [
      'another rate',
      served,
      there({ downBps: 20e6, upBps: 10e6 }),
      1,
      ['down 20000000 bit/s instead of 50000000 bit/s'],
    ],
    ['no rate where one is desired', served, there({ upBps: null }), 1, ['up unlimited instead of 10000000 bit/s']],
    [
      'a rate where none is desired',
      unlimited,
      there({ downBps: 1e6 }),
      1,
      ['down 1000000 bit/s instead of unlimited'],
    ],
    ['rounded by the NAS', served, there({ downBps: 49_999_500 }), 1_000, []],
    [
      'more than rounded',
      served,
      there({ downBps: 49_800_000 }),
      1_000,
      ['down 49800000 bit/s instead of 50000000 bit/s'],
    ],
    ['still in the garden', served, there({ redirect: true }), 1, ['redirected']],
    ['not in the garden', { ...served, redirect: true }, there({ redirect: false }), 1, ['not redirected']],
    ['not blocked', { ...served, blocked: true }, there({ blocked: false }), 1, ['not blocked']],
    ['gone, and it should be there', served, gone, 1, ['it is not there']],
    ['there, and it should be gone', absent, there(), 1, ['it is still there']],
    ['gone as it should be', absent, gone, 1, []],
  ];
  for (const [what, desired, seen, unitBps, found] of cases)
    t.same(readBackDifferences(desired, seen, unitBps), found, what);
  t.end();
});

t.test('the sample is what was asked for, evenly, and the same each time', (t) => {
  for (const percent of [0, 1, 5, 50, 99, 100]) {
    let count = 0;
    for (let id = 1; id <= 200; id += 1)
      for (let generation = 1; generation <= 200; generation += 1) {
        const sampled = isSampled(id, generation, percent);
        if (sampled !== isSampled(id, generation, percent)) t.fail('another answer');
        if (sampled) count += 1;
      }
    const share = (count / 40_000) * 100;
    t.ok(Math.abs(share - percent) < 0.75, `${String(percent)} %: ${share.toFixed(2)} %`);
  }
  const ofOne = (id: number) =>
    Array.from({ length: 400 }, (_, one) => isSampled(id, one + 1, 10)).filter(Boolean).length;
  for (const id of [1, 2, 3, 4_000_000_000]) t.ok(ofOne(id) > 15, 'each place has its turn');
  t.end();
});
