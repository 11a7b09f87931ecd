// Enforcements to look at. Enters: what a test cares about. Leaves: a row, a NAS and a session that are whole: alice, served and converged on bras1.

import type { PresentService } from '../../src/domain/service-state.js';
import type { EnforcedSession, Enforcement } from '../../src/store/enforcement-rows.js';
import type { CommandedNas } from '../../src/workers/commanded-nas.js';
import { gardens, NOW, online, subject } from './enforced-subject.js';

export const served: PresentService = {
  present: true,
  key: {
    login: 'alice@isp',
    mac: '02:00:00:00:00:01',
    address: '100.64.0.1',
    framedPrefix: null,
    delegatedPrefix: null,
  },
  blocked: false,
  redirect: false,
  ownDisabled: false,
  authorised: true,
  rate: { downBps: 50e6, upBps: 10e6 },
  services: [],
};

export const liveSession: EnforcedSession = {
  ...online,
  sessionId: 7,
  acctSessionId: 'a7',
  nasBox: 'bras1',
  nasAddress: '10.0.0.2',
  nasPortId: null,
  callingStation: null,
  lastEventAtMs: NOW - 60_000,
  lastReceivedAtMs: NOW - 60_000,
  interimSeconds: 300,
  isOver: false,
};

/** A session that has what it should have. */
export function enforcedRow(rest: Partial<Enforcement> = {}): Enforcement {
  return {
    id: 1,
    kind: 'session',
    isFurther: false,
    nasName: 'bras1',
    generation: 3,
    known: { applied: { state: served, evidence: 'ack' }, attempted: [] },
    desired: served,
    mayBePresent: true,
    state: 'converged',
    attempts: 0,
    fusePassed: false,
    dueAtMs: null,
    parked: null,
    goneAtMs: null,
    lastOutcome: 'applied',
    lastError: null,
    appliedAtMs: NOW - 600_000,
    disproved: 0,
    subject: subject(),
    run: { subscriberId: 1, accountId: 1, contract: 'c1', plan: 'home' },
    session: liveSession,
    isOwnSession: true,
    ...rest,
  };
}

/** A NAS that would carry out anything; nobody asks it to. */
export function commanded(rest: Partial<CommandedNas> = {}): CommandedNas {
  return {
    name: 'bras1',
    place: 'session',
    answers: gardens,
    words: { rate: true, services: true },
    needsAddress: false,
    goneIsCertain: false,
    interimSeconds: 300,
    parallelCalls: 1,
    commandsPerSecond: 100,
    driver: { maxBatchRuns: 1, run: () => Promise.resolve([]), stop: () => Promise.resolve() },
    fingerprint: 'bras1',
    ...rest,
  };
}
