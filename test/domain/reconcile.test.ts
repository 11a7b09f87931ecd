/**
 * What a NAS has beside what it should have: each difference by its name, and what mends it.
 */
import fc from 'fast-check';
import t from 'tap';
import {
  classify,
  countFindings,
  foundState,
  type ListedPlace,
  type MarkedSubscriber,
  type ReconcileInput,
  type WantedPlace,
  withinLimit,
} from '../../src/domain/reconcile.js';
import { absent, type PresentService, type ServiceState } from '../../src/domain/service-state.js';

function served(address: string | null, over: Partial<PresentService> = {}): PresentService {
  const { key, ...rest } = foundState('x', '0.0.0.0');
  return { ...rest, key: { ...key, address }, ...over };
}

function place(subscriberId: number, desired: ServiceState | null, over: Partial<WantedPlace> = {}): WantedPlace {
  return {
    enforcementId: subscriberId * 10,
    generation: 3,
    subscriberId,
    login: `user${String(subscriberId)}`,
    desired,
    known: { applied: desired === null ? null : { state: desired, evidence: 'output' }, attempted: [] },
    isInHand: false,
    ...over,
  };
}

const listed = (subscriberId: number | null, address: string | null, policy?: ListedPlace['policy']): ListedPlace => ({
  subscriberId,
  address,
  text: `${String(address)} sluice-${String(subscriberId)}`,
  ...(policy !== undefined && { policy }),
});

const marked = (subscriberId: number, over: Partial<MarkedSubscriber> = {}): [number, MarkedSubscriber] => [
  subscriberId,
  { subscriberId, login: `user${String(subscriberId)}`, deleted: false, nasName: null, ...over },
];

const nothing: ReconcileInput = { listed: [], wanted: [], marked: new Map(), adopted: new Set(), onlyServed: false };

const a = '100.64.0.1';
const b = '100.64.0.2';

t.test('each difference has its name, and what mends it', async (t) => {
  const again = (subscriberId: number) => ({ by: 'saying-again', enforcementId: subscriberId * 10, generation: 3 });
  const clearing = (subscriberId: number, address: string, hasPlace: boolean) => ({
    by: 'clearing',
    subscriberId,
    place: hasPlace ? { enforcementId: subscriberId * 10, generation: 3 } : null,
    login: `user${String(subscriberId)}`,
    address,
  });
  const removing = (mark: number | null, address: string | null) => ({ by: 'removing', mark, address });
  const table: [what: string, input: Partial<ReconcileInput>, expected: readonly object[]][] = [
    ['nothing wanted, nothing there', {}, []],
    ['as it should be', { wanted: [place(1, served(a))], listed: [listed(1, a)] }, []],
    ['as it should be, listed twice', { wanted: [place(1, served(a))], listed: [listed(1, a), listed(1, a)] }, []],
    ['without a mark, at his address', { wanted: [place(1, served(a))], listed: [listed(null, a)] }, []],
    ['with a mark and no address', { wanted: [place(1, served(a))], listed: [listed(1, null)] }, []],
    [
      'not there',
      { wanted: [place(1, served(a))] },
      [{ kind: 'missing', subscriberId: 1, address: a, login: 'user1', mend: again(1) }],
    ],
    ['not there, as commands are under way', { wanted: [place(1, served(a), { isInHand: true })] }, []],
    ['never looked at', { wanted: [place(1, null)], listed: [listed(1, a)] }, []],
    [
      'two leases of one line, each where it should be',
      {
        wanted: [place(1, served(a)), place(1, served(b), { enforcementId: 11 })],
        listed: [listed(1, b), listed(1, a)],
      },
      [],
    ],
    [
      'of two leases of one line one is not there',
      { wanted: [place(1, served(a)), place(1, served(b), { enforcementId: 11 })], listed: [listed(1, a)] },
      [{ kind: 'missing', address: b, mend: { by: 'saying-again', enforcementId: 11 } }],
    ],
    [
      'of two leases of one line one is over and still there',
      {
        wanted: [
          place(1, served(a)),
          place(1, absent, { enforcementId: 11, known: { applied: null, attempted: [served(b)] } }),
        ],
        listed: [listed(1, a), listed(1, b)],
      },
      [{ kind: 'left-over', address: b, mend: { by: 'clearing', place: { enforcementId: 11 } } }],
    ],
    ['not wanted and not there', { wanted: [place(1, absent)] }, []],
    [
      'not wanted and there',
      { wanted: [place(1, absent)], listed: [listed(1, a)] },
      [{ kind: 'left-over', mend: clearing(1, a, true) }],
    ],
    [
      'at another address',
      { wanted: [place(1, served(a))], listed: [listed(1, b)] },
      [{ kind: 'moved', address: b, text: 'it should be at 100.64.0.1', mend: clearing(1, b, true) }],
    ],
    [
      'at both addresses',
      { wanted: [place(1, served(a))], listed: [listed(1, a), listed(1, b)] },
      [{ kind: 'moved', address: b, mend: clearing(1, b, true) }],
    ],
    [
      'at the address of another one, who cannot be there',
      { wanted: [place(1, served(a)), place(2, served(b))], listed: [listed(1, b)] },
      [
        { kind: 'missing', subscriberId: 2, mend: again(2) },
        { kind: 'duplicate-address', subscriberId: 1, text: 'it is the address of user2', mend: clearing(1, b, true) },
      ],
    ],
    [
      'two wanted at one address',
      { wanted: [place(1, served(a)), place(2, served(a))], listed: [listed(1, a), listed(2, a)] },
      [{ kind: 'duplicate-address', subscriberId: 2, mend: { by: 'nobody' } }],
    ],
    [
      'of a subscriber of another NAS',
      { listed: [listed(1, a)], marked: new Map([marked(1, { nasName: 'nas2' })]) },
      [{ kind: 'moved', text: 'it belongs to nas2', mend: clearing(1, a, false) }],
    ],
    [
      'of a deleted one',
      { listed: [listed(1, a)], marked: new Map([marked(1, { deleted: true, nasName: 'nas2' })]) },
      [{ kind: 'left-over', text: 'the subscriber is deleted', mend: clearing(1, a, false) }],
    ],
    [
      'of a deleted one, at an address that another one has by now',
      { wanted: [place(2, served(a))], listed: [listed(1, a)], marked: new Map([marked(1, { deleted: true })]) },
      [{ kind: 'missing' }, { kind: 'duplicate-address', subscriberId: 1, mend: clearing(1, a, false) }],
    ],
    ['with a number that nobody has', { listed: [listed(99, a)] }, [{ kind: 'left-over', mend: removing(99, a) }]],
    [
      'with a number that nobody has, at an address that somebody has',
      { wanted: [place(2, served(a))], listed: [listed(99, a), listed(2, a)] },
      [{ kind: 'duplicate-address', subscriberId: 99, mend: { by: 'nobody' } }],
    ],
    ['of somebody else', { listed: [listed(null, a)] }, [{ kind: 'unknown', login: null, mend: { by: 'nobody' } }]],
    [
      'of somebody else, adopted',
      { listed: [listed(null, a)], adopted: new Set([a]) },
      [{ kind: 'unknown', mend: removing(null, a) }],
    ],
    [
      'without a mark, where we may have put it and are about to take it away',
      {
        wanted: [place(1, absent, { known: { applied: null, attempted: [served(a)] }, isInHand: true })],
        listed: [listed(null, a)],
        adopted: new Set([a]),
      },
      [],
    ],
    [
      'passes although it is blocked',
      {
        wanted: [place(1, served(a, { blocked: true, redirect: true }))],
        listed: [listed(1, a, { blocked: false, redirect: true })],
      },
      [{ kind: 'wrong-policy', text: 'not blocked', mend: again(1) }],
    ],
    [
      'another rate',
      {
        wanted: [place(1, served(a, { rate: { downBps: 5, upBps: null } }))],
        listed: [listed(1, a, { downBps: null, upBps: null })],
      },
      [{ kind: 'wrong-policy', text: 'down unlimited instead of 5 bit/s', mend: again(1) }],
    ],
    [
      'policy that the list does not tell',
      { wanted: [place(1, served(a, { blocked: true }))], listed: [listed(1, a)] },
      [],
    ],
    [
      'only the served are listed, and he is',
      { onlyServed: true, wanted: [place(1, served(a, { redirect: true }))], listed: [listed(null, a)] },
      [{ kind: 'wrong-policy', text: 'it may pass' }],
    ],
    [
      'only the served are listed, and he is not',
      { onlyServed: true, wanted: [place(1, served(a, { ownDisabled: true }))] },
      [],
    ],
    [
      'without an address among entries without marks',
      { wanted: [place(1, served(null))], listed: [listed(null, b)] },
      [{ kind: 'unknown' }],
    ],
  ];
  for (const [what, input, expected] of table) {
    const findings = classify({ ...nothing, ...input });
    t.equal(findings.length, expected.length, what);
    t.match(findings, expected, what);
  }
});

t.test('what is mended is bounded, what gives first; what nobody mends does not count', async (t) => {
  const findings = classify({
    ...nothing,
    wanted: [place(1, served(a)), place(2, served(b))],
    listed: [listed(99, '100.64.9.9'), listed(null, '100.64.9.8')],
  });
  t.same(countFindings(findings), {
    missing: 2,
    'wrong-policy': 0,
    moved: 0,
    'duplicate-address': 0,
    'left-over': 1,
    unknown: 1,
  });
  const { mends, beyond } = withinLimit(findings, 2);
  t.same(
    mends.map(({ kind }) => kind),
    ['missing', 'missing'],
  );
  t.equal(beyond, 1);
  t.same(withinLimit(findings, 0), { mends: [], beyond: 3 });
});

t.test('whatever is listed: nobody who is at his place is touched, and nothing of others is taken away', async () => {
  const address = fc.integer({ min: 1, max: 6 }).map((last) => `100.64.0.${String(last)}`);
  const entry = fc
    .tuple(fc.option(fc.integer({ min: 1, max: 6 })), fc.option(address))
    .map(([id, at]) => listed(id, at));
  const places = fc.uniqueArray(
    fc.tuple(fc.integer({ min: 1, max: 4 }), fc.option(address), fc.boolean(), fc.boolean()),
    { selector: ([id]) => id, maxLength: 4 },
  );
  fc.assert(
    fc.property(fc.array(entry, { maxLength: 8 }), places, (entries, rows) => {
      const wanted = rows.map(([id, at, isPresent, isInHand]) =>
        place(id, isPresent ? served(at) : absent, { isInHand }),
      );
      const findings = classify({ ...nothing, listed: entries, wanted, marked: new Map([marked(5)]) });
      for (const { mend } of findings) {
        const isKnown = (id: number): boolean => id === 5 || wanted.some((one) => one.subscriberId === id);
        if (mend.by === 'removing' && (mend.mark === null || isKnown(mend.mark))) return false;
        if (mend.by === 'nobody') continue;
        const own = 'subscriberId' in mend ? wanted.find((one) => one.subscriberId === mend.subscriberId) : undefined;
        if (own?.isInHand === true) return false;
        const at = own?.desired?.present === true ? own.desired.key.address : null;
        if (mend.by === 'clearing' && at === mend.address) return false;
        if (
          mend.by === 'removing' &&
          wanted.some(
            (one) => one.desired?.present === true && one.desired.key.address === mend.address && mend.address !== null,
          )
        )
          return false;
      }
      return true;
    }),
    { numRuns: 2_000 },
  );
});
