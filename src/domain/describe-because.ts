/**
 * Why something is desired of a place, in words. Enters: a reason of `desiredService`. Leaves: a clause for people. Invariant: every reason has one; names that
 * others chose are given as they are, and whoever prints them makes them printable.
 */
import type { Because } from './desired-service.js';
import type { PolicyState } from './subscriber.js';

const states: Readonly<Record<PolicyState, string>> = {
  active: 'the subscriber may use the service',
  redirect: 'no money, or a limit reached',
  own_disabled: 'blocked voluntarily',
  admin_blocked: 'blocked by the administration',
  deleted: 'the subscriber is deleted',
  no_plan: 'the account has no plan',
  plan_inactive: 'the plan is not active',
};

const furtherEntry: Readonly<Record<Extract<Because, { kind: 'no-further-entry' }>['why'], string>> = {
  over: 'the lease that it was for is over',
  'static-address': 'the subscriber has a static address, which is served alone',
  'found-by-login': 'this NAS finds entries by login, and has one of the subscriber',
};

/** @returns a clause without a full stop */
export function describeBecause(because: Because): string {
  switch (because.kind) {
    case 'served':
      return states.active;
    case 'limited':
      return states[because.by];
    case 'deleted':
      return states.deleted;
    case 'elsewhere':
      return because.nasName === null
        ? 'the subscriber belongs to no NAS'
        : `the subscriber belongs to the NAS ${because.nasName}`;
    case 'no-address':
      return 'the subscriber has no address yet, and this NAS finds subscribers by address';
    case 'no-further-entry':
      return furtherEntry[because.why];
    case 'disconnect-asked':
      return 'somebody asked for a disconnect after it began';
    case 'key-changed':
      return 'login, MAC, static address or static prefix changed since it began';
    case 'rejected':
      return `an Access-Request would be rejected: ${states[because.by]}`;
    case 'other-pool':
      return because.to === null
        ? 'its address is of another pool than its state wants'
        : `its state wants an address of the pool ${because.to}`;
    case 'prefixes':
      return because.given
        ? 'its state goes with IPv6 prefixes, and its Accept had none'
        : 'its Accept had IPv6 prefixes, and its state goes without';
  }
}
