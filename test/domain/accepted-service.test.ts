// What a session is born with: what its Accept said, as far as its Class proves it.

import t from 'tap';
import { acceptedService, knownFromClass, shownState } from '../../src/domain/accepted-service.js';
import type { EnforcementSubject } from '../../src/domain/desired-service.js';
import { nothingKnown } from '../../src/domain/known-service.js';
import { planCommands } from '../../src/domain/plan-commands.js';
import { policyHash } from '../../src/domain/policy-hash.js';
import { desire, gardens, home, place, subject } from '../support/enforced-subject.js';

t.test('a session is born with what its Accept said', async (test) => {
  const born = (who: EnforcementSubject, answers = gardens) => {
    const desired = desire(who, place({ answers }));
    const state = desired.data!;
    const hash = policyHash(shownState(state), home.rateDownBps, home.rateUpBps);
    return { hash, known: knownFromClass(hash, who, answers, state.key), desired: desired.state };
  };
  const plain = born(subject());
  test.equal(plain.known.applied?.evidence, 'class');
  test.same(plain.known.applied?.state, plain.desired);
  test.same(planCommands('session', plain.known, plain.desired), [], 'nothing is to be done');

  const both = born(subject({ redirect: true, ownDisabled: true }));
  test.same(
    planCommands('session', both.known, both.desired).map((command) => command.name),
    ['user_redirect'],
    'the page that the Accept could not show besides',
  );
  const blocked = subject({ redirect: true });
  test.same(
    planCommands('session', plain.known, desire(blocked, place()).state).map((command) => command.name),
    ['user_redirect'],
    'what changed between Accept and Start is not missed',
  );
  const unrated = { ...gardens, redirect: { answer: 'accept' as const, rated: false } };
  const guest = born(blocked, unrated);
  test.same(planCommands('session', guest.known, guest.desired), [], 'no rate in the garden');
  test.same(
    planCommands('session', guest.known, desire(subject(), place({ answers: unrated })).state).map((one) => one.name),
    ['user_redirect_cancel', 'user_rate_set'],
    'so that it is set when the garden is left',
  );
  const services = subject({}, { services: [{ name: 'tv', startsAtMs: null, endsAtMs: null }] });
  test.same(
    planCommands('session', born(services).known, born(services).desired).map((command) => command.name),
    ['usluga_activated'],
    'services do not come with an Accept',
  );
});

t.test('a Class that proves nothing', async (test) => {
  const { key } = desire(subject(), place()).data!;
  const faster = subject({}, { plan: { ...home, rateDownBps: 99e6 } });
  const hash = policyHash('active', home.rateDownBps, home.rateUpBps);
  test.same(knownFromClass(null, subject(), gardens, key), nothingKnown, 'none came');
  test.same(knownFromClass(hash, faster, gardens, key), nothingKnown, 'of a rate that nobody has any more');
  const blocked = policyHash('admin_blocked', home.rateDownBps, home.rateUpBps);
  test.same(knownFromClass(blocked, subject(), gardens, key), nothingKnown, 'of a state that is always rejected');
  test.equal(acceptedService(blocked, subject(), gardens), undefined);
});

t.test('a Class of any hour of day is recognised', async (test) => {
  const night = { id: 1, weekdays: [1], fromMinute: 0, untilMinute: 60, rateDownBps: 7, rateUpBps: undefined };
  const who = subject({}, { plan: { ...home, rateWindows: [night] } });
  const { key } = desire(who, place()).data!;
  const known = knownFromClass(policyHash('active', 7, undefined), who, gardens, key);
  test.same(known.applied?.state, { ...desire(who, place()).data, rate: { downBps: 7, upBps: null } });
});
