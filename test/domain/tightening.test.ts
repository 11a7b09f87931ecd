// What takes something from a subscriber, what gives, and what is neither.

import t from 'tap';
import type { Because, DesiredService } from '../../src/domain/desired-service.js';
import { forgotten, nothingKnown } from '../../src/domain/known-service.js';
import { absent, type KnownService, type PresentService, type ServiceState } from '../../src/domain/service-state.js';
import { isLoosening, isTightening, tendencyOf, type Tendency } from '../../src/domain/tightening.js';

const alice: PresentService = {
  present: true,
  key: { login: 'alice', mac: null, address: '100.64.0.1', framedPrefix: null, delegatedPrefix: null },
  blocked: false,
  redirect: false,
  ownDisabled: false,
  authorised: true,
  rate: { downBps: 50e6, upBps: 10e6 },
  services: ['tv'],
};
const with_ = (fields: Partial<PresentService>): PresentService => ({ ...alice, ...fields });
const proven = (state: ServiceState, ...attempted: ServiceState[]): KnownService => ({
  applied: { state, evidence: 'ack' },
  attempted,
});
const wish = (
  state: ServiceState,
  because: Because = { kind: 'served' },
  disconnectAsked = false,
): Pick<DesiredService, 'state' | 'because' | 'disconnectAsked'> => ({ state, because, disconnectAsked });

const redirected = with_({ redirect: true });
const other = with_({ key: { ...alice.key, address: '100.64.0.2' } });
const slower = with_({ rate: { downBps: 10e6, upBps: 10e6 } });
const faster = with_({ rate: { downBps: null, upBps: 10e6 } });
const toActive: Because = { kind: 'other-pool', from: 'guests', to: null, state: 'active' };
const withoutPrefixes: Because = { kind: 'prefixes', given: false, state: 'redirect' };
const withPrefixes: Because = { kind: 'prefixes', given: true, state: 'active' };
const toGarden: Because = { kind: 'other-pool', from: null, to: 'guests', state: 'redirect' };

const rows: readonly [string, KnownService, ReturnType<typeof wish>, Tendency][] = [
  ['nothing', proven(alice), wish(alice), 'neither'],
  ['blocked', proven(alice), wish(with_({ blocked: true })), 'tightening'],
  ['redirected', proven(alice), wish(redirected), 'tightening'],
  ['own wish', proven(alice), wish(with_({ ownDisabled: true })), 'tightening'],
  ['each of them lifted', proven(with_({ blocked: true })), wish(alice), 'loosening'],
  ['paid', proven(redirected), wish(alice), 'loosening'],
  ['own wish ended', proven(with_({ ownDisabled: true })), wish(alice), 'loosening'],
  ['slower', proven(alice), wish(slower), 'tightening'],
  [
    'slower one way and faster the other',
    proven(alice),
    wish(with_({ rate: { downBps: 99e6, upBps: 1 } })),
    'tightening',
  ],
  ['faster', proven(alice), wish(faster), 'loosening'],
  ['a limit where there was none', proven(faster), wish(alice), 'tightening'],
  ['slower in the garden: nobody notices', proven(redirected), wish({ ...redirected, rate: slower.rate }), 'neither'],
  [
    'out of a garden without a rate',
    proven({ ...redirected, rate: { downBps: null, upBps: null } }),
    wish(alice),
    'loosening',
  ],
  ['a service ends', proven(alice), wish(with_({ services: [] })), 'tightening'],
  ['a service begins', proven(alice), wish(with_({ services: ['radio', 'tv'] })), 'loosening'],
  ['one page for another', proven(redirected), wish(with_({ ownDisabled: true })), 'tightening'],
  ['another address', proven(alice), wish(other), 'neither'],
  ['another address and a block', proven(alice), wish({ ...other, blocked: true }), 'tightening'],
  ['deleted', proven(alice), wish(absent, { kind: 'deleted' }), 'tightening'],
  ['deleted and gone', proven(absent), wish(absent, { kind: 'deleted' }), 'neither'],
  ['deleted, tried before', proven(alice, absent), wish(absent, { kind: 'deleted' }), 'neither'],
  ['moved to another NAS', proven(alice), wish(absent, { kind: 'elsewhere', nasName: 'bras2' }), 'neither'],
  ['its lease ended', proven(alice), wish(absent, { kind: 'no-address' }), 'neither'],
  ['under an old login', proven(alice), wish(absent, { kind: 'key-changed', atMs: 0 }), 'neither'],
  ['asked to disconnect', proven(alice), wish(absent, { kind: 'disconnect-asked', beforeMs: 0 }, true), 'tightening'],
  ['would be rejected', proven(alice), wish(absent, { kind: 'rejected', by: 'admin_blocked' }), 'tightening'],
  ['leaves the guest pool', proven(redirected), wish(absent, toActive), 'loosening'],
  ['enters it', proven(alice), wish(absent, toGarden), 'tightening'],
  ['from one garden to another', proven(redirected), wish(absent, toGarden), 'neither'],
  ['enters it without his prefixes', proven(alice), wish(absent, withoutPrefixes), 'tightening'],
  ['leaves it for his prefixes', proven(redirected), wish(absent, withPrefixes), 'loosening'],
  ['let out because it was asked', proven(alice), wish(with_({ authorised: false }), undefined, true), 'tightening'],
  ['let out because a session ended', proven(alice), wish(with_({ authorised: false })), 'neither'],
  ['let in', proven(with_({ authorised: false })), wish(alice), 'loosening'],
  ['created', proven(absent), wish(alice), 'loosening'],
  ['created blocked', proven(absent), wish(with_({ blocked: true })), 'neither'],
  ['nothing known, served', nothingKnown, wish(slower), 'loosening'],
  ['nothing known, blocked', nothingKnown, wish(with_({ blocked: true })), 'tightening'],
  ['forgotten, and blocked as before', forgotten(proven(redirected)), wish(redirected), 'neither'],
  ['forgotten, and blocked since', forgotten(proven(alice)), wish(redirected), 'tightening'],
  ['tried before: counted before', proven(alice, redirected), wish(redirected), 'neither'],
  ['a block that may have happened is taken back', proven(alice, redirected), wish(alice), 'loosening'],
];

t.test('a change takes, gives, or neither', async (test) => {
  for (const [why, known, desired, tendency] of rows) {
    test.equal(tendencyOf(known, desired), tendency, why);
    test.equal(isTightening(known, desired), tendency === 'tightening', why);
    test.equal(isLoosening(known, desired), tendency === 'loosening', why);
  }
});

t.test(
  'whatever flag is set from the whole range of states is tightening, and clearing all of them is not',
  async (test) => {
    const states = [false, true].flatMap((blocked) =>
      [false, true].flatMap((redirect) =>
        [false, true].map((ownDisabled) => with_({ blocked, redirect, ownDisabled })),
      ),
    );
    const flags = ['blocked', 'redirect', 'ownDisabled'] as const;
    for (const from of states)
      for (const to of states) {
        const sets = flags.some((flag) => to[flag] && !from[flag]);
        const clears = flags.some((flag) => from[flag] && !to[flag]);
        const expected = sets ? 'tightening' : clears ? 'loosening' : 'neither';
        test.equal(tendencyOf(proven(from), wish(to)), expected, JSON.stringify([from, to]));
      }
  },
);
