/**
 * What lease events do. Enters: leases as stored, everybody who may be meant, and events. Leaves: leases changed, sessions to open and to close, and the events
 * that were refused, with the reason. Invariants: event time decides, so that events may come twice and in any order; an address has one lease; a lease that
 * is refused changes nothing; what ends, ends for its own client only; nothing ends because nobody spoke. Pure.
 */
import type { SessionFact } from './accounting-fact.js';
import { deviceText, holderOf, type LeaseCandidates, type LeaseLine, type ReadLine } from './lease-holder.js';
import type { LeaseEvent } from './lease-event.js';
import {
  LEASE_BOX,
  leaseSessionId,
  NO_NAS,
  type LeaseDevice,
  type LeaseEndCause,
  type LeaseIdle,
  type LeaseRecord,
  type LeaseRefusal,
  type LeaseSubscriber,
  type RefusedLease,
} from './lease.js';

/** A live session at an address of an event. */
export interface AddressSession {
  readonly address: string;
  readonly subscriberId: number | null;
  readonly nasBox: string;
  readonly nasName: string;
  readonly acctSessionId: string;
}

export interface LeaseWorld extends LeaseCandidates {
  readonly routingDomain: string;
  /** Of the addresses that the events name, and bound ones of the subscribers. The fold changes them in place. */
  readonly leases: readonly LeaseRecord[];
  readonly sessions: readonly AddressSession[];
  /** Whether an address is in one of our pools. */
  readonly isInPool: (address: string) => boolean;
  /** The NAS that serves an address whose subscriber is bound to none. */
  readonly nasOf: (address: string) => string | undefined;
}

export interface LeaseOutcome {
  readonly changed: readonly LeaseRecord[];
  /** In the order in which they are to be applied. */
  readonly facts: readonly SessionFact[];
  readonly refused: readonly RefusedLease[];
  readonly idle: readonly LeaseIdle[];
  /** Addresses that a client declined: nobody gets them for a while. */
  readonly declined: readonly string[];
}

/** Clocks of DHCP servers and ours, and times in whole seconds, ms. */
const TOLERANCE_MS = 5_000;
/** Acct-Terminate-Cause (RFC 2866 §5.10): User Request, Session Timeout, and NAS Request for what we end ourselves. */
const TERMINATE = { release: 1, expiry: 5, decline: 1, moved: 10, replaced: 10, taken: 10 } as const;

/** @param read what the access line of each event was read as */
export function foldLeases(
  world: LeaseWorld,
  events: readonly { readonly event: LeaseEvent; readonly read: LeaseLine }[],
): LeaseOutcome {
  const fold = new LeaseFold(world);
  for (const { event, read } of events) fold.add(event, read);
  return fold;
}

class LeaseFold implements LeaseOutcome {
  readonly facts: SessionFact[] = [];
  readonly refused: RefusedLease[] = [];
  readonly idle: LeaseIdle[] = [];
  readonly declined: string[] = [];
  readonly #world: LeaseWorld;
  readonly #leases = new Map<string, LeaseRecord>();
  readonly #changed = new Set<LeaseRecord>();
  /** Sessions that leases alone have opened, by address and Acct-Session-Id. */
  readonly #open = new Set<string>();

  constructor(world: LeaseWorld) {
    this.#world = world;
    for (const lease of world.leases) this.#leases.set(lease.address, lease);
    for (const { nasBox, nasName, acctSessionId } of world.sessions)
      if (nasBox === LEASE_BOX) this.#open.add(sessionKey(nasName, acctSessionId));
  }

  get changed(): LeaseRecord[] {
    return [...this.#changed];
  }

  add(event: LeaseEvent, read: LeaseLine): void {
    // Whatever it says, it may say it of another line.
    if (read.read === 'lying') {
      this.#refuse(event, read, 'line-lies', read.octets, null);
      return;
    }
    switch (event.kind) {
      case 'commit':
        this.#commit(event, read);
        break;
      case 'request':
        this.idle.push('unconfirmed');
        break;
      case 'expiry':
      case 'release':
      case 'decline':
        this.#over(event, event.kind, read);
    }
  }

  #commit(event: LeaseEvent, read: ReadLine): void {
    const lease = this.#leases.get(event.address);
    if (lease !== undefined && isLate(event, lease)) {
      this.idle.push('late');
      return;
    }
    const holder = holderOf(event, read, lease, this.#world);
    if (!holder.found) {
      this.#refuse(event, read, holder.reason, holder.detail, null);
      return;
    }
    const { subscriber } = holder;
    const nasName = subscriber.nasName ?? this.#world.nasOf(event.address) ?? NO_NAS;
    const reason = this.#obstacle(event, subscriber);
    if (reason !== undefined) {
      this.#refuse(event, read, reason.reason, reason.detail, subscriber.id);
      return;
    }
    const goesOn = lease !== undefined && isSameUse(lease, event, subscriber.id, nasName);
    if (goesOn) this.#refresh(lease, event, holder);
    else this.#begin(event, subscriber, nasName, holder);
    const bound = this.#leases.get(event.address)!;
    if (this.#isOverAlready(bound)) return;
    this.#openSession(bound, event);
    if (!goesOn) this.#keepWithin(subscriber, bound, event);
  }

  /** Ends a lease whose end came before its commit. */
  #isOverAlready(lease: LeaseRecord): boolean {
    const { strayEnd } = lease;
    if (strayEnd === null || strayEnd.mac !== lease.mac || isBefore(strayEnd.cause, strayEnd.endedAtMs, lease))
      return false;
    lease.strayEnd = null;
    this.#end(lease, strayEnd.cause, strayEnd.endedAtMs, strayEnd.endedAtMs);
    return true;
  }

  /** Why a subscriber must not have this address. */
  #obstacle(
    { address }: LeaseEvent,
    subscriber: LeaseSubscriber,
  ): { reason: LeaseRefusal; detail: string | null } | undefined {
    const { staticAddress, id } = subscriber;
    if (staticAddress !== null && staticAddress !== address) return { reason: 'static-address', detail: staticAddress };
    if (staticAddress === null && !this.#world.isInPool(address)) return { reason: 'outside-pools', detail: null };
    const other = this.#world.sessions.find(
      (session) => session.address === address && session.nasBox !== LEASE_BOX && session.subscriberId !== id,
    );
    return other && { reason: 'address-in-session', detail: `${other.nasName} ${other.acctSessionId}` };
  }

  /** The same client, line and address: only the time goes on. */
  #refresh(
    lease: LeaseRecord,
    event: LeaseEvent,
    { device, port }: { readonly device: LeaseDevice | null; readonly port: string | null },
  ): void {
    const isNewer = event.eventAtMs >= lease.committedAtMs!;
    const isRepeat = event.eventAtMs <= lease.committedAtMs! && (event.leaseEndsAtMs ?? 0) <= (lease.endsAtMs ?? 0);
    if (isRepeat && (event.line === null || lease.line !== null)) {
      this.idle.push('repeated');
      return;
    }
    if (isNewer) {
      lease.committedAtMs = event.eventAtMs;
      lease.endsAtMs = event.leaseEndsAtMs ?? lease.endsAtMs;
      lease.eventAtMs = Math.max(lease.eventAtMs, event.eventAtMs);
      lease.source = event.source;
      lease.via = event.via;
    } else if (event.leaseEndsAtMs !== null) {
      lease.endsAtMs = Math.max(lease.endsAtMs ?? 0, event.leaseEndsAtMs);
    }
    if (event.line !== null && (isNewer || lease.line === null)) {
      lease.line = event.line;
      lease.deviceId = device?.id ?? lease.deviceId;
      lease.port = port ?? lease.port;
    }
    lease.mac ??= event.mac;
    this.#changed.add(lease);
  }

  #begin(
    event: LeaseEvent,
    subscriber: LeaseSubscriber,
    nasName: string,
    { device, port }: { readonly device: LeaseDevice | null; readonly port: string | null },
  ): void {
    const before = this.#leases.get(event.address);
    if (before !== undefined && before.end === null) {
      this.#end(before, before.subscriberId === subscriber.id ? 'moved' : 'taken', event.eventAtMs, event.receivedAtMs);
    }
    // What is known of a line stays with the client and the address that it was told for.
    const remembered = before?.mac === event.mac && before.subscriberId === subscriber.id ? before.line : null;
    const lease: LeaseRecord = {
      routingDomain: this.#world.routingDomain,
      address: event.address,
      isStored: before?.isStored ?? false,
      mac: event.mac,
      subscriberId: subscriber.id,
      login: subscriber.login,
      nasName,
      deviceId: device?.id ?? null,
      port,
      line: event.line ?? remembered,
      source: event.source,
      via: event.via,
      beganAtMs: event.eventAtMs,
      committedAtMs: event.eventAtMs,
      endsAtMs: event.leaseEndsAtMs,
      eventAtMs: event.eventAtMs,
      end: null,
      strayEnd: before?.strayEnd ?? null,
    };
    if (before !== undefined) this.#changed.delete(before);
    this.#leases.set(event.address, lease);
    this.#changed.add(lease);
  }

  /** A client has one address, and a line no more than it may have: the oldest go. */
  #keepWithin(subscriber: LeaseSubscriber, newest: LeaseRecord, event: LeaseEvent): void {
    const others = [...this.#leases.values()]
      .filter((one) => one !== newest && one.end === null && one.subscriberId === subscriber.id)
      .sort((a, b) => a.committedAtMs! - b.committedAtMs! || (a.address < b.address ? -1 : 1));
    for (const other of [...others]) {
      if (other.mac === null || other.mac !== newest.mac) continue;
      // Of two leases of one client the newer counts, in whatever order they were heard of.
      const [over, by] = other.committedAtMs! <= newest.committedAtMs! ? [other, newest] : [newest, other];
      this.#end(over, 'moved', by.committedAtMs!, event.receivedAtMs);
      others.splice(others.indexOf(other), 1);
      if (over === newest) return;
    }
    const kept = [...others, newest].sort((a, b) => a.committedAtMs! - b.committedAtMs!);
    for (const over of kept.slice(0, Math.max(0, kept.length - subscriber.maxAddresses)))
      this.#end(over, 'replaced', Math.max(event.eventAtMs, over.committedAtMs!), event.receivedAtMs);
  }

  #over(event: LeaseEvent, cause: 'expiry' | 'release' | 'decline', read: ReadLine): void {
    const lease = this.#leases.get(event.address);
    if (cause === 'decline') {
      this.declined.push(event.address);
      this.#refuse(event, read, 'declined', null, lease?.subscriberId ?? null);
    }
    if (lease === undefined) {
      this.#noteEnd(event, cause);
      this.idle.push('no-lease');
    } else if (event.mac !== null && lease.mac !== null && lease.mac !== event.mac) {
      this.idle.push('other-mac');
      this.#noteStray(lease, event.mac, event.eventAtMs, cause);
    } else if (lease.end !== null) this.#noteLater(lease, event, cause);
    else if (isBefore(event.via === 'leasequery' ? 'release' : cause, event.eventAtMs, lease))
      // A server that was asked knows that the lease is over; one that only says so may be early.
      this.idle.push(event.eventAtMs < lease.committedAtMs! ? 'late' : 'early-expiry');
    else {
      lease.source = event.source;
      lease.via = event.via;
      this.#end(lease, cause, event.eventAtMs, event.receivedAtMs);
    }
  }

  /** It ended before we heard that it began: the commit, when it comes, is late. */
  #noteEnd(event: LeaseEvent, cause: LeaseEndCause): void {
    const lease: LeaseRecord = {
      routingDomain: this.#world.routingDomain,
      address: event.address,
      isStored: false,
      mac: event.mac,
      subscriberId: null,
      login: '',
      nasName: null,
      deviceId: null,
      port: null,
      line: event.line,
      source: event.source,
      via: event.via,
      beganAtMs: null,
      committedAtMs: null,
      endsAtMs: null,
      eventAtMs: event.eventAtMs,
      end: { endedAtMs: event.eventAtMs, cause },
      strayEnd: null,
    };
    this.#leases.set(event.address, lease);
    this.#changed.add(lease);
  }

  #noteLater(lease: LeaseRecord, event: LeaseEvent, cause: 'expiry' | 'release' | 'decline'): void {
    this.idle.push('repeated');
    // An expiry is found out whenever the server looks: it says nothing against a commit between the end that is known and itself, unless it is of that one.
    if (cause === 'expiry') {
      if (lease.mac !== null) this.#noteStray(lease, lease.mac, event.eventAtMs, cause);
    } else if (event.eventAtMs > lease.eventAtMs) {
      lease.eventAtMs = event.eventAtMs;
      lease.end = { endedAtMs: event.eventAtMs, cause };
      this.#changed.add(lease);
    }
  }

  #noteStray(lease: LeaseRecord, mac: string, endedAtMs: number, cause: 'expiry' | 'release' | 'decline'): void {
    if (endedAtMs <= (lease.strayEnd?.endedAtMs ?? lease.committedAtMs ?? -Infinity)) return;
    lease.strayEnd = { mac, endedAtMs, cause };
    this.#changed.add(lease);
  }

  #end(lease: LeaseRecord, cause: LeaseEndCause, atMs: number, receivedAtMs: number): void {
    const endedAtMs = Math.max(atMs, lease.beganAtMs!);
    lease.end = { endedAtMs, cause };
    lease.eventAtMs = Math.max(lease.eventAtMs, endedAtMs);
    this.#changed.add(lease);
    const key = sessionKey(lease.nasName!, leaseSessionId(lease));
    if (!this.#open.delete(key)) return;
    this.facts.push(this.#fact(lease, 'stop', endedAtMs, receivedAtMs, TERMINATE[cause]));
  }

  /** Unless RADIUS has opened one for the same line, or ours is open. */
  #openSession(lease: LeaseRecord, event: LeaseEvent): void {
    const key = sessionKey(lease.nasName!, leaseSessionId(lease));
    if (this.#open.has(key)) return;
    const isMerged = this.#world.sessions.some(
      ({ address, nasBox, subscriberId }) =>
        address === lease.address && nasBox !== LEASE_BOX && subscriberId === lease.subscriberId,
    );
    if (isMerged) return;
    this.#open.add(key);
    this.facts.push(this.#fact(lease, 'start', event.eventAtMs, event.receivedAtMs, null));
  }

  #fact(
    lease: LeaseRecord,
    status: 'start' | 'stop',
    eventAtMs: number,
    receivedAtMs: number,
    terminateCause: number | null,
  ): SessionFact {
    return {
      status,
      nasName: lease.nasName!,
      nasBox: LEASE_BOX,
      acctSessionId: leaseSessionId(lease),
      receivedAtMs: Math.max(receivedAtMs, eventAtMs),
      eventAtMs,
      delayDeclared: true,
      nasAddress: null,
      routingDomain: lease.routingDomain,
      login: lease.login,
      mac: lease.mac,
      callingStation: lease.mac,
      calledStation: null,
      nasPortId: lease.port,
      address: lease.address,
      framedPrefix: null,
      delegatedPrefix: null,
      interfaceId: null,
      class: null,
      whose: lease.subscriberId!,
      sessionSeconds: status === 'stop' ? Math.max(0, Math.round((eventAtMs - lease.beganAtMs!) / 1000)) : null,
      input: null,
      output: null,
      terminateCause,
    };
  }

  #refuse(
    event: LeaseEvent,
    read: LeaseLine,
    reason: LeaseRefusal,
    detail: string | null,
    subscriberId: number | null,
  ): void {
    const line = read.read === 'line' ? read.line : undefined;
    this.refused.push({
      event,
      routingDomain: this.#world.routingDomain,
      reason,
      detail,
      subscriberId,
      device: line === undefined ? (event.line?.switchMac ?? null) : deviceText(line),
      port: line?.port ?? event.line?.switchPort ?? null,
    });
  }
}

/** Whether an end speaks of a time before the newest commit, or before the lease that it gave is over. */
function isBefore(cause: LeaseEndCause, atMs: number, lease: LeaseRecord): boolean {
  if (atMs < lease.committedAtMs!) return true;
  return cause === 'expiry' && lease.endsAtMs !== null && atMs < lease.endsAtMs - TOLERANCE_MS;
}

/** Whether something newer is known of the address than this commit, which would undo it. */
function isLate(event: LeaseEvent, lease: LeaseRecord): boolean {
  const isOwn = lease.mac === null || event.mac === null || lease.mac === event.mac;
  if (lease.end === null) return !isOwn && event.eventAtMs < lease.committedAtMs!;
  // That a lease is over may be found out late, when the address is somebody else's already. A release is said by whoever has it.
  const isExact = isOwn || lease.end.cause === 'release' || lease.end.cause === 'decline';
  const lastAtMs = isExact ? lease.end.endedAtMs : (lease.committedAtMs ?? lease.end.endedAtMs);
  return event.eventAtMs <= lastAtMs;
}

function isSameUse(lease: LeaseRecord, event: LeaseEvent, subscriberId: number, nasName: string): boolean {
  return (
    lease.end === null &&
    lease.subscriberId === subscriberId &&
    lease.nasName === nasName &&
    (event.mac === null || lease.mac === null || lease.mac === event.mac)
  );
}

function sessionKey(nasName: string, acctSessionId: string): string {
  return `${nasName}\u0000${acctSessionId}`;
}
