/**
 * One lease and who may have it. Enters: nothing. Leaves: the types that `lease-holder.ts` and `lease-fold.ts` share. Invariant: an address of a routing
 * domain has one lease; what an event did not tell is null, and never stands for "none".
 */
import type { LeaseEvent, LeaseVia, LineEvidence } from './lease-event.js';

/** The box of a session that a lease alone has opened; no NAS is called that. */
export const LEASE_BOX = 'dhcp lease';
/** Where a lease is that no NAS opens the network for: it is counted and shown, and nothing is commanded. */
export const NO_NAS = 'dhcp';

/** Why a lease is over. `moved`: its client or line has another; `replaced`: the line has too many; `taken`: somebody else has the address. */
export type LeaseEndCause = 'release' | 'expiry' | 'decline' | 'moved' | 'replaced' | 'taken';

export interface LeaseRecord {
  readonly routingDomain: string;
  /** IPv4, dotted. */
  readonly address: string;
  /** Whether there is a row of it. */
  isStored: boolean;
  mac: string | null;
  subscriberId: number | null;
  /** What the session of the lease is called by. */
  login: string;
  nasName: string | null;
  deviceId: number | null;
  port: string | null;
  line: LineEvidence | null;
  source: string;
  via: LeaseVia;
  /** null: it was over when it was first heard of. */
  beganAtMs: number | null;
  committedAtMs: number | null;
  endsAtMs: number | null;
  /** Of the newest event. */
  eventAtMs: number;
  end: { readonly endedAtMs: number; readonly cause: LeaseEndCause } | null;
  /** The newest end that was told of a lease whose commit has not come yet; null: none was. */
  strayEnd: StrayEnd | null;
}

export interface StrayEnd {
  readonly mac: string;
  readonly endedAtMs: number;
  readonly cause: 'release' | 'expiry' | 'decline';
}

/** Somebody who may be meant. */
export interface LeaseSubscriber {
  readonly id: number;
  readonly login: string;
  /** Canonical. */
  readonly mac: string | null;
  /** IPv4, dotted. */
  readonly staticAddress: string | null;
  readonly nasName: string | null;
  readonly deviceId: number | null;
  readonly port: string | null;
  /** What a client is known by; null: by the port where there is one, else by the MAC. */
  readonly option82Auth: 'port' | 'port-mac' | 'mac' | null;
  readonly maxAddresses: number;
}

/** A switch or ONU. */
export interface LeaseDevice {
  readonly id: number;
  readonly mac: string | null;
  readonly name: string | null;
  readonly serial: string | null;
  /** Whether subscribers are found by device and port, or by the device alone. */
  readonly byPort: boolean;
}

/** Why an event changed nothing. A closed set: pages and metrics word it. */
export type LeaseRefusal =
  /** No rule of `lines.toml` knows these octets. */
  | 'line-unknown'
  /** A length in option 82 says more than there is, so the line may be another one's. */
  | 'line-lies'
  | 'no-device'
  /** The device has ports, and the event names none. */
  | 'no-port'
  | 'no-subscriber'
  | 'several'
  | 'mac-differs'
  /** The client is known by its port, and the event came without option 82 for a lease that is not known. */
  | 'no-line'
  | 'static-address'
  | 'outside-pools'
  /** Somebody else's RADIUS session has the address. */
  | 'address-in-session'
  | 'declined';

/** An event that was not followed, for people. */
export interface RefusedLease {
  readonly event: LeaseEvent;
  readonly routingDomain: string;
  readonly reason: LeaseRefusal;
  readonly detail: string | null;
  readonly subscriberId: number | null;
  /** What the event names, as text. */
  readonly device: string | null;
  readonly port: string | null;
}

/** What an event meant that was no news, for counting. */
export type LeaseIdle =
  | 'repeated'
  | 'late'
  | 'other-mac'
  | 'no-lease'
  /** An expiry before the known end of the lease is only a hint. */
  | 'early-expiry'
  /** A request that nobody confirmed. */
  | 'unconfirmed';

/**
 * The Acct-Session-Id of the session that a lease opens: one client's use of one address. It names its beginning, since the next use of the same client may begin
 * within the second, where NASes with clocks of seconds would only repeat a Start.
 */
export function leaseSessionId({
  address,
  mac,
  beganAtMs,
}: Pick<LeaseRecord, 'address' | 'mac' | 'beganAtMs'>): string {
  return `${address} ${mac ?? '-'} ${String(beganAtMs)}`;
}
