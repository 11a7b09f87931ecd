// Subscribers and places to decide about. Enters: what a test cares about. Leaves: a subject and a place that are whole, at noon of a Saturday.

import type { ProfileAnswers } from '../../src/domain/access.js';
import {
  desiredService,
  type EnforcementPlace,
  type EnforcementSubject,
  type PlaceSession,
} from '../../src/domain/desired-service.js';
import { RateClock } from '../../src/domain/effective-rate.js';
import type { Plan, SubscriberFields } from '../../src/domain/subscriber.js';

export const NOW = Date.UTC(2026, 10, 21, 12);
export const HOUR = 3_600_000;
const rates = new RateClock('UTC');

export const home: Plan = {
  id: 1,
  name: 'home',
  active: true,
  validFromMs: undefined,
  validUntilMs: undefined,
  rateDownBps: 50e6,
  rateUpBps: 10e6,
  poolId: undefined,
  sessionLimit: 1,
  sessionLimitAction: 'reject',
};

export const fields: SubscriberFields = {
  id: 1,
  accountId: 1,
  login: 'alice',
  password: undefined,
  mac: undefined,
  staticAddress: 0x6440_0001,
  poolId: undefined,
  nasName: undefined,
  associatePppoeMac: false,
  associateVpnIp: false,
  deleted: false,
  redirect: false,
  ownDisabled: false,
  adminBlocked: false,
};

export function subject(
  subscriber: Partial<SubscriberFields> = {},
  rest: Partial<Omit<EnforcementSubject, 'subscriber'>> = {},
): EnforcementSubject {
  return {
    subscriber: { ...fields, ...subscriber },
    account: { adminBlocked: false },
    plan: home,
    turbo: undefined,
    services: [],
    poolName: null,
    disconnectBeforeMs: null,
    keyChangedAtMs: null,
    webLoggedAtMs: null,
    ...rest,
  };
}

export const gardens: ProfileAnswers = {
  active: { answer: 'accept' },
  redirect: { answer: 'accept' },
  own_disabled: { answer: 'accept' },
  admin_blocked: { answer: 'reject' },
  unknown: { answer: 'reject' },
};

export const online: PlaceSession = {
  login: 'alice@isp',
  startedAtMs: NOW - HOUR,
  mac: '02:00:00:00:00:01',
  address: '100.64.0.1',
  framedPrefix: null,
  delegatedPrefix: null,
  poolName: null,
  policyHash: null,
};

export function place(rest: Partial<EnforcementPlace> = {}): EnforcementPlace {
  return {
    kind: 'session',
    nasName: 'bras1',
    answers: gardens,
    belongs: true,
    needsAddress: false,
    session: online,
    isOwnPool: (name) => name === 'guests' || name === 'main',
    ...rest,
  };
}

export const entry = (rest: Partial<EnforcementPlace> = {}) =>
  place({ kind: 'provisioned', session: null, needsAddress: true, ...rest });

export const desire = (who: EnforcementSubject, where: EnforcementPlace, nowMs = NOW) =>
  desiredService(who, where, rates, nowMs);
