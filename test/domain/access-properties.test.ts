// What holds for every Access-Request that can be imagined.

import fc from 'fast-check';
import t from 'tap';
import {
  decideAccess,
  isOwnSession,
  requesterKey,
  type AccessInput,
  type PasswordOutcome,
} from '../../src/domain/access.js';
import { REJECT_REASONS } from '../../src/domain/access-reason.js';
import { Subscriber } from '../../src/domain/subscriber.js';

const NOW_MS = 1_000_000;
const macs = fc.option(fc.constantFrom('00:00:00:00:00:01', '00:00:00:00:00:02', '00:00:00:00:00:03'), {
  nil: undefined,
});
const ports = fc.option(fc.constantFrom('p1', 'p2'), { nil: undefined });
const addresses = fc.option(fc.constantFrom(1, 2), { nil: undefined });
const slots = fc.nat(4);

const subscriber = fc
  .record({
    id: fc.constantFrom(1, 2),
    staticAddress: addresses,
    poolId: fc.option(fc.constantFrom(7, 99), { nil: undefined }),
    nasName: fc.option(fc.constantFrom('bras1', 'bras2'), { nil: undefined }),
    mac: macs,
    associatePppoeMac: fc.boolean(),
    associateVpnIp: fc.boolean(),
    deleted: fc.boolean(),
    redirect: fc.boolean(),
    ownDisabled: fc.boolean(),
    adminBlocked: fc.boolean(),
  })
  .map((fields) => new Subscriber({ accountId: 1, login: 'x', password: undefined, ...fields }));

const plan = fc.record({
  id: fc.constant(1),
  name: fc.constant('p'),
  active: fc.boolean(),
  validFromMs: fc.option(fc.constantFrom(NOW_MS - 1, NOW_MS + 1), { nil: undefined }),
  validUntilMs: fc.option(fc.constantFrom(NOW_MS - 1, NOW_MS + 1), { nil: undefined }),
  rateDownBps: fc.constant(undefined),
  rateUpBps: fc.constant(undefined),
  poolId: fc.option(fc.constant(7), { nil: undefined }),
  sessionLimit: fc.integer({ min: 1, max: 3 }),
  sessionLimitAction: fc.constantFrom('reject' as const, 'replace' as const),
});

const session = fc.record({
  nasName: fc.constantFrom('bras1', 'bras2'),
  nasBox: fc.constant('box'),
  acctSessionId: fc.string(),
  subscriberId: fc.constant(1),
  slot: slots,
  mac: macs,
  nasPortId: ports,
  address: addresses,
  routingDomain: fc.constant('default'),
  startedAtMs: fc.integer({ min: 1, max: NOW_MS }),
});

const requester = fc.record({
  nasName: fc.constantFrom('bras1', 'bras2'),
  nasBox: fc.constant('box'),
  routingDomain: fc.constantFrom('default', 'other'),
  mac: macs,
  nasPortId: ports,
  callingStation: fc.constant(undefined),
  callingAddress: addresses,
});

const answer = fc.record({
  answer: fc.constantFrom('accept' as const, 'reject' as const),
  pool: fc.option(fc.constantFrom('main', 'walled'), { nil: undefined }),
});

const passwords: readonly PasswordOutcome[] = [
  'verified',
  'not-required',
  'wrong-password',
  'no-password',
  'method-needs-cleartext',
];
const pool = { id: 7, name: 'main', routingDomain: 'default' };

const inputs: fc.Arbitrary<AccessInput> = fc.record({
  identity: fc.oneof(
    { weight: 1, arbitrary: fc.constant({ found: 'several' } as const) },
    { weight: 1, arbitrary: fc.constant({ found: 'none', soughtBy: 'mac' } as const) },
    {
      weight: 8,
      arbitrary: fc.record({
        found: fc.constant('one' as const),
        subscriber,
        account: fc.option(
          fc.record({
            id: fc.constant(1),
            contract: fc.constant('c'),
            planId: fc.constant(1),
            adminBlocked: fc.boolean(),
          }),
          { nil: undefined },
        ),
        plan: fc.option(plan, { nil: undefined }),
        line: fc.option(
          fc.record({
            auth: fc.constantFrom('port' as const, 'port-mac' as const, 'mac' as const, undefined),
            where: fc.constantFrom('own' as const, 'other' as const, 'untold' as const),
          }),
          { nil: undefined },
        ),
      }),
    },
  ),
  password: fc.oneof(
    { weight: 5, arbitrary: fc.constant('verified' as const) },
    { weight: 1, arbitrary: fc.constantFrom(...passwords) },
  ),
  answers: fc.record({
    active: answer,
    redirect: answer,
    own_disabled: answer,
    admin_blocked: answer,
    unknown: answer,
  }),
  requester,
  sessions: fc.array(session, { maxLength: 4 }),
  offers: fc.array(
    fc.record({
      offerId: fc.nat(),
      slot: slots,
      requesterKey: fc.constantFrom('00:00:00:00:00:01', '00:00:00:00:00:02', 'other'),
      offeredAtMs: fc.integer({ min: 1, max: NOW_MS }),
      expiresAtMs: fc.constantFrom(NOW_MS - 1, NOW_MS + 1),
    }),
    { maxLength: 3 },
  ),
  staticHolders: fc.array(session, { maxLength: 2 }),
  poolById: fc.constant((id: number) => (id === 7 ? pool : undefined)),
  poolByName: fc.constant((name: string) => (name === 'main' ? pool : undefined)),
  nowMs: fc.constant(NOW_MS),
});

const RUNS = { numRuns: 3_000 };

/** Whether the line decides who asks there. */
function isKnownByLine({ identity }: AccessInput): boolean {
  const line = identity.found === 'one' ? identity.line : undefined;
  return line?.where === 'own' && (line.auth === 'port' || line.auth === 'port-mac');
}

t.test('total: every input has one answer, and every Reject a known reason', async (test) => {
  fc.assert(
    fc.property(inputs, (input) => {
      const decision = decideAccess(input);
      return decision.answer === 'accept' || REJECT_REASONS.includes(decision.reason);
    }),
    RUNS,
  );
  test.pass();
});

t.test('never an Accept for the deleted, the ambiguous, the wrong password, or against the profile', async (test) => {
  let accepts = 0;
  fc.assert(
    fc.property(inputs, (input) => {
      const decision = decideAccess(input);
      if (decision.answer === 'reject') return true;
      accepts++;
      const { identity } = input;
      if (identity.found === 'several') return false;
      if (input.answers[decision.state].answer !== 'accept') return false;
      if (identity.found === 'none') return decision.state === 'unknown';
      const { subscriber: who } = identity;
      return (
        !who.deleted &&
        (input.password === 'verified' || input.password === 'not-required') &&
        (who.nasName === undefined || who.nasName === input.requester.nasName) &&
        (!who.associatePppoeMac || (who.mac !== undefined && who.mac === input.requester.mac)) &&
        (identity.line?.auth !== 'port-mac' ||
          (identity.line.where === 'own' && who.mac !== undefined && who.mac === input.requester.mac)) &&
        decision.state !== 'unknown' &&
        (decision.state !== 'active' ||
          (!who.redirect && !who.ownDisabled && !who.adminBlocked && identity.plan !== undefined))
      );
    }),
    RUNS,
  );
  test.ok(accepts > 100, 'accepts were among them');
});

t.test('a slot is below the limit, and nobody else who stays is on it', async (test) => {
  fc.assert(
    fc.property(inputs, (input) => {
      const decision = decideAccess(input);
      if (decision.answer === 'reject' || input.identity.found !== 'one') return true;
      const limit = input.identity.plan?.sessionLimit ?? 1;
      // What is given up with one of its line are the other devices of that line.
      const isGivenUp = (one: { readonly nasName?: string }) =>
        isKnownByLine(input) &&
        (decision.replaces !== undefined || decision.supersedes !== undefined) &&
        (one.nasName ?? input.requester.nasName) === input.requester.nasName;
      const stays = input.sessions.some(
        (one) =>
          one.slot === decision.slot &&
          one !== decision.replaces &&
          !isOwnSession(one, input.requester) &&
          !isGivenUp(one),
      );
      const promised = input.offers.some(
        (one) =>
          one.slot === decision.slot &&
          one.expiresAtMs > NOW_MS &&
          one !== decision.supersedes &&
          one.requesterKey !== requesterKey(input.requester) &&
          !isGivenUp({}),
      );
      return decision.slot >= 0 && decision.slot < limit && !stays && !promised;
    }),
    RUNS,
  );
  test.pass();
});

t.test('whoever joins under a rejecting plan leaves the number of devices within the limit', async (test) => {
  fc.assert(
    fc.property(inputs, (input) => {
      const decision = decideAccess(input);
      if (decision.answer === 'reject' || input.identity.found !== 'one') return true;
      const { plan: its } = input.identity;
      if (its?.sessionLimitAction === 'replace' || decision.takesOver || decision.repeats) return true;
      if (decision.replaces || decision.supersedes)
        return (
          isKnownByLine(input) &&
          (decision.replaces === undefined || decision.replaces.nasName === input.requester.nasName)
        );
      const others = input.sessions.filter((one) => !isOwnSession(one, input.requester)).length;
      return others < (its?.sessionLimit ?? 1);
    }),
    RUNS,
  );
  test.pass();
});

t.test('a static address is never given while somebody else is on it', async (test) => {
  fc.assert(
    fc.property(inputs, (input) => {
      const decision = decideAccess(input);
      if (decision.answer === 'reject' || decision.address.from !== 'static' || input.identity.found !== 'one')
        return true;
      const { id } = input.identity.subscriber;
      return decision.slot === 0 && input.staticHolders.every((holder) => holder.subscriberId === id);
    }),
    RUNS,
  );
  test.pass();
});

t.test('the owner is never kept out by his own zombie', async (test) => {
  fc.assert(
    fc.property(inputs, (input) => {
      const own = input.sessions.filter((one) => isOwnSession(one, input.requester));
      const alone = { ...input, sessions: own, offers: [], staticHolders: [] };
      const decision = decideAccess(alone);
      return decision.answer === 'accept' || decision.reason !== 'session-limit';
    }),
    RUNS,
  );
  test.pass();
});
