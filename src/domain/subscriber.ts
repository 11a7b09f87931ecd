// Enters: rows of subscriber, account and plan. Leaves: what they mean together: the policy state. Invariant: every
// combination of flags has exactly one state, chosen by one order, so that two parts of the program never disagree.

import type { RateWindow } from './effective-rate.js';
import type { AddressKind } from './pool-address.js';

/** What a subscriber's account allows at most, and how fast. Rates are bit/s; undefined is unlimited. */
export interface Plan {
  readonly id: number;
  readonly name: string;
  readonly active: boolean;
  /** From this instant (ms since 1970) the plan serves; undefined: since ever. */
  readonly validFromMs: number | undefined;
  /** Before this instant (ms since 1970) the plan serves; undefined: for ever. */
  readonly validUntilMs: number | undefined;
  readonly rateDownBps: number | undefined;
  readonly rateUpBps: number | undefined;
  /** Rates by hour of day; absent: the plan has one rate. */
  readonly rateWindows?: readonly RateWindow[] | undefined;
  readonly poolId: number | undefined;
  /** Pools of prefixes; absent: none is given. */
  readonly framedPoolId?: number | undefined;
  readonly delegatedPoolId?: number | undefined;
  readonly sessionLimit: number;
  readonly sessionLimitAction: 'reject' | 'replace';
}

/** Who pays. Several subscribers share one. */
export interface Account {
  readonly id: number;
  readonly contract: string;
  readonly planId: number | undefined;
  readonly adminBlocked: boolean;
}

/** Addresses or prefixes that are given out one by one, all in one routing domain. */
export interface Pool {
  readonly id: number;
  readonly name: string;
  readonly routingDomain: string;
  /** Absent: IPv4 addresses. */
  readonly kind?: AddressKind | undefined;
}

/** What one pool gives. */
export function kindOfPool(pool: Pool): AddressKind {
  return pool.kind ?? 'ipv4';
}

/** Prefixes that are a subscriber's by contract, canonical; few have any. */
export interface StaticPrefixes {
  readonly framed: string | undefined;
  readonly delegated: string | undefined;
}

/**
 * What a client of DHCP is known by: the port of the access node that it is plugged into (the line decides, its MAC is not looked at), both (they must
 * fit), or its MAC (wherever it is plugged in).
 */
export type Option82Auth = 'port' | 'port-mac' | 'mac';

/** What a subscriber may be told from. */
export interface SubscriberFields {
  readonly id: number;
  readonly accountId: number;
  readonly login: string;
  readonly password: string | undefined;
  /** Canonical, `aa:bb:cc:dd:ee:ff`. */
  readonly mac: string | undefined;
  /** Unsigned 32-bit number. */
  readonly staticAddress: number | undefined;
  readonly poolId: number | undefined;
  readonly nasName: string | undefined;
  readonly associatePppoeMac: boolean;
  readonly associateVpnIp: boolean;
  readonly deleted: boolean;
  readonly redirect: boolean;
  readonly ownDisabled: boolean;
  readonly adminBlocked: boolean;
  /** Absent: as the profile says, where there is a device. */
  readonly option82Auth?: Option82Auth | undefined;
  /** Whether a switch or ONU is known that it is plugged into. Absent: none is. */
  readonly hasDevice?: boolean | undefined;
}

const ASSOCIATE_PPPOE_MAC = 1;
const ASSOCIATE_VPN_IP = 2;
const DELETED = 4;
const REDIRECT = 8;
const OWN_DISABLED = 16;
const ADMIN_BLOCKED = 32;
const HAS_DEVICE = 64;
const AUTH_SHIFT = 7;
const AUTHS: readonly (Option82Auth | undefined)[] = [undefined, 'port', 'port-mac', 'mac'];

/**
 * One network identity of an account. A million of these are held at once, so the flags share one small number, absent
 * fields are undefined rather than missing (one object shape), and account and plan are named by id.
 */
export class Subscriber implements SubscriberFields {
  readonly id: number;
  readonly accountId: number;
  readonly login: string;
  readonly password: string | undefined;
  readonly mac: string | undefined;
  readonly staticAddress: number | undefined;
  readonly poolId: number | undefined;
  readonly nasName: string | undefined;
  private readonly flags: number;
  /** For whoever holds accounts: the one that was found last, and at which state of them. It is no part of the subscriber. */
  accountSeen: Account | undefined = undefined;
  accountSeenAt = -1;

  constructor(fields: SubscriberFields) {
    this.id = fields.id;
    this.accountId = fields.accountId;
    this.login = fields.login;
    this.password = fields.password;
    this.mac = fields.mac;
    this.staticAddress = fields.staticAddress;
    this.poolId = fields.poolId;
    this.nasName = fields.nasName;
    this.flags =
      (fields.associatePppoeMac ? ASSOCIATE_PPPOE_MAC : 0) |
      (fields.associateVpnIp ? ASSOCIATE_VPN_IP : 0) |
      (fields.deleted ? DELETED : 0) |
      (fields.redirect ? REDIRECT : 0) |
      (fields.ownDisabled ? OWN_DISABLED : 0) |
      (fields.adminBlocked ? ADMIN_BLOCKED : 0) |
      (fields.hasDevice ? HAS_DEVICE : 0) |
      (AUTHS.indexOf(fields.option82Auth) << AUTH_SHIFT);
  }

  get associatePppoeMac(): boolean {
    return (this.flags & ASSOCIATE_PPPOE_MAC) !== 0;
  }
  get associateVpnIp(): boolean {
    return (this.flags & ASSOCIATE_VPN_IP) !== 0;
  }
  get deleted(): boolean {
    return (this.flags & DELETED) !== 0;
  }
  get redirect(): boolean {
    return (this.flags & REDIRECT) !== 0;
  }
  get ownDisabled(): boolean {
    return (this.flags & OWN_DISABLED) !== 0;
  }
  get adminBlocked(): boolean {
    return (this.flags & ADMIN_BLOCKED) !== 0;
  }
  get hasDevice(): boolean {
    return (this.flags & HAS_DEVICE) !== 0;
  }
  get option82Auth(): Option82Auth | undefined {
    return AUTHS[this.flags >> AUTH_SHIFT];
  }

  /** Whether both say the same in every field. */
  equals(other: Subscriber): boolean {
    return (
      this.flags === other.flags &&
      this.id === other.id &&
      this.accountId === other.accountId &&
      this.login === other.login &&
      this.password === other.password &&
      this.mac === other.mac &&
      this.staticAddress === other.staticAddress &&
      this.poolId === other.poolId &&
      this.nasName === other.nasName
    );
  }

  /** What a log or a page may show: the password stays inside. */
  toJSON(): Record<string, unknown> {
    return {
      id: this.id,
      accountId: this.accountId,
      login: this.login,
      mac: this.mac,
      staticAddress: this.staticAddress,
      poolId: this.poolId,
      nasName: this.nasName,
      deleted: this.deleted,
      redirect: this.redirect,
      ownDisabled: this.ownDisabled,
      adminBlocked: this.adminBlocked,
      option82Auth: this.option82Auth,
    };
  }

  [Symbol.for('nodejs.util.inspect.custom')](): string {
    return `Subscriber ${String(this.id)} ${JSON.stringify(this.login)}`;
  }
}

/** What the flags, the account and the plan come to. */
export type PolicyState =
  'active' | 'redirect' | 'own_disabled' | 'admin_blocked' | 'deleted' | 'no_plan' | 'plan_inactive';

/** What of a subscriber decides the state. */
export type PolicyFlags = Pick<SubscriberFields, 'deleted' | 'redirect' | 'ownDisabled' | 'adminBlocked'>;

/**
 * The one state of a subscriber. When several hold, the first counts: deleted, administrative block (the subscriber's or
 * the account's), voluntary block, money, plan; a NAS can show only one page.
 *
 * @param nowMs the instant at which the plan's dates are judged, ms since 1970
 */
export function policyState(
  subscriber: PolicyFlags,
  account: Pick<Account, 'adminBlocked'> | undefined,
  plan: Pick<Plan, 'active' | 'validFromMs' | 'validUntilMs'> | undefined,
  nowMs: number,
): PolicyState {
  if (subscriber.deleted) return 'deleted';
  if (subscriber.adminBlocked || account?.adminBlocked) return 'admin_blocked';
  if (subscriber.ownDisabled) return 'own_disabled';
  if (subscriber.redirect) return 'redirect';
  if (!plan) return 'no_plan';
  if (!plan.active) return 'plan_inactive';
  if (plan.validFromMs !== undefined && nowMs < plan.validFromMs) return 'plan_inactive';
  if (plan.validUntilMs !== undefined && nowMs >= plan.validUntilMs) return 'plan_inactive';
  return 'active';
}
