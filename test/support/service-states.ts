// States of a subscriber called alice at a place. Enters: what a test cares about. Leaves: whole states, what is known of them, and how commands end.

import type { CommandEnd } from '../../src/domain/known-service.js';
import type { KnownService, PresentService, ServiceKey, ServiceState } from '../../src/domain/service-state.js';

export const key = (address: string, login = 'alice'): ServiceKey => ({
  login,
  mac: null,
  address,
  framedPrefix: null,
  delegatedPrefix: null,
});
export const slow = { downBps: 10e6, upBps: 1e6 };
export const fast = { downBps: 50e6, upBps: 10e6 };
export const unlimited = { downBps: null, upBps: null };
export const here = key('100.64.0.1');
export const there = key('100.64.0.2');

export const alice: PresentService = {
  present: true,
  key: here,
  blocked: false,
  redirect: false,
  ownDisabled: false,
  authorised: false,
  rate: fast,
  services: [],
};
export const with_ = (fields: Partial<PresentService>): PresentService => ({ ...alice, ...fields });
export const proven = (state: ServiceState, ...attempted: ServiceState[]): KnownService => ({
  applied: { state, evidence: 'output' },
  attempted,
});
export const applied: CommandEnd = { outcome: 'applied', evidence: 'output' };
export const never: CommandEnd = { outcome: 'unreachable', reached: 'never' };
export const maybe: CommandEnd = { outcome: 'unreachable', reached: 'maybe' };
