/**
 * Who holds which address or prefix. Enters: the open assignments that a batch touches, then acquisitions and releases in order. Leaves:
 * assignments opened, held, let go and ended. Invariants: one open assignment per (routing domain, address) and per
 * (subscriber, kind, slot); an assignment ends exactly when its last holder goes; a holder lets go of its own hold only. Pure.
 */
import { addressKinds, type AddressKind } from './pool-address.js';
import type { SessionRecord } from './session.js';

export interface AssignmentRecord {
  /** null until it is stored. */
  id: number | null;
  kind: AddressKind;
  routingDomain: string;
  /** IPv4, dotted, or a canonical IPv6 prefix. */
  address: string;
  subscriberId: number | null;
  login: string;
  slot: number;
  nasName: string;
  mac: string | null;
  startedAtMs: number;
  end: { endedAtMs: number; cause: string } | null;
  holders: Set<SessionRecord>;
  /** Holders that the batch does not touch, by session id. */
  otherHolderIds: Set<number>;
  /** A use that was over before it was heard of: it belongs to history and says nothing about the address now. */
  past: boolean;
}

/** The conflict of a session whose IPv4 address somebody else holds, and of one whose prefix somebody else holds. */
export const ADDRESS_HELD = 'address-held';
export const PREFIX_HELD = 'prefix-held';

/** The highest slot that the schema takes; far above any session limit. */
const HIGHEST_SLOT = 32_767;

export function addressKey(routingDomain: string, address: string): string {
  return `${routingDomain}\u0000${address}`;
}

/** What a session says that it uses of a kind. */
export function addressOf(session: SessionRecord, kind: AddressKind): string | null {
  switch (kind) {
    case 'ipv4':
      return session.address;
    case 'framed-prefix':
      return session.framedPrefix;
    case 'delegated-prefix':
      return session.delegatedPrefix;
  }
}

/** Everything that a session says that it uses. */
export function addressesOf(session: SessionRecord): string[] {
  return addressKinds.map((kind) => addressOf(session, kind)).filter((address) => address !== null);
}

/** Whether a session waits for something that somebody else holds. */
export function isWaiting(session: SessionRecord): boolean {
  return session.conflict === ADDRESS_HELD || session.conflict === PREFIX_HELD;
}

function assignmentOf(
  session: SessionRecord,
  kind: AddressKind,
  address: string,
  slot: number,
  startedAtMs: number,
): AssignmentRecord {
  return {
    id: null,
    kind,
    routingDomain: session.routingDomain,
    address,
    subscriberId: session.subscriberId,
    login: session.login,
    slot,
    nasName: session.nasName,
    mac: session.mac,
    startedAtMs,
    end: null,
    holders: new Set(),
    otherHolderIds: new Set(),
    past: false,
  };
}

type ByKind<Value> = Readonly<Record<AddressKind, Value>>;

function forEachKind<Value>(make: () => Value): ByKind<Value> {
  return { ipv4: make(), 'framed-prefix': make(), 'delegated-prefix': make() };
}

export class AssignmentBook {
  readonly #open = new Map<string, AssignmentRecord>();
  readonly #held = forEachKind(() => new Map<SessionRecord, AssignmentRecord>());
  readonly #slots = forEachKind(() => new Map<number, Set<number>>());
  /** Every assignment that changed, in the order in which it first changed. */
  readonly changed = new Set<AssignmentRecord>();

  /** @param stored every open assignment of the addresses and subscribers in hand */
  constructor(stored: readonly AssignmentRecord[]) {
    for (const assignment of stored) {
      const { kind } = assignment;
      this.#open.set(addressKey(assignment.routingDomain, assignment.address), assignment);
      for (const holder of assignment.holders) this.#held[kind].set(holder, assignment);
      if (assignment.subscriberId !== null) this.#slotsOf(assignment.subscriberId, kind).add(assignment.slot);
    }
  }

  /** Who holds the address now; undefined when nobody does. */
  holderOf(routingDomain: string, address: string): AssignmentRecord | undefined {
    return this.#open.get(addressKey(routingDomain, address));
  }

  /** What the session holds of a kind, if anything. */
  heldBy(session: SessionRecord, kind: AddressKind): AssignmentRecord | undefined {
    return this.#held[kind].get(session);
  }

  /**
   * The session, which holds nothing of this kind, takes hold of its address. When somebody else holds it, nothing is taken and the session
   * says so.
   * @param sinceMs from when on it has been in use, where it was free
   * @returns whether the session holds it now
   */
  acquire(session: SessionRecord, kind: AddressKind, sinceMs: number): boolean {
    const address = addressOf(session, kind);
    if (address === null) return false;
    const key = addressKey(session.routingDomain, address);
    const open = this.#open.get(key);
    if (open !== undefined) {
      // A prefix of 128 bits of the one kind may be told as the other; it is one hold all the same.
      if (!this.#samePerson(open, session) || open.kind !== kind) {
        if (kind === 'ipv4') session.conflict = ADDRESS_HELD;
        else session.conflict ??= PREFIX_HELD;
        return false;
      }
      open.holders.add(session);
      this.#hold(session, open);
      return true;
    }
    const assignment = assignmentOf(session, kind, address, this.#takeSlot(session, kind), sinceMs);
    assignment.holders.add(session);
    this.#open.set(key, assignment);
    this.#hold(session, assignment);
    return true;
  }

  /** A session that was over when it was first heard of: who had the address then is history, whoever has it now. */
  recordPast(session: SessionRecord, end: { endedAtMs: number; cause: string }): void {
    for (const kind of addressKinds) {
      const address = addressOf(session, kind);
      if (address === null) continue;
      const open = this.#open.get(addressKey(session.routingDomain, address));
      // The same person's use that goes on covers it.
      if (open !== undefined && this.#samePerson(open, session) && open.startedAtMs <= end.endedAtMs) continue;
      const assignment = assignmentOf(session, kind, address, session.slot, session.startedAtMs);
      assignment.end = { endedAtMs: end.endedAtMs, cause: end.cause };
      assignment.past = true;
      this.changed.add(assignment);
    }
  }

  /** The session lets go of what it holds of a kind. @returns the assignment that ended with it, if one did */
  release(session: SessionRecord, kind: AddressKind, atMs: number, cause: string): AssignmentRecord | undefined {
    const assignment = this.#held[kind].get(session);
    if (assignment === undefined) return undefined;
    this.#held[kind].delete(session);
    assignment.holders.delete(session);
    this.changed.add(assignment);
    if (assignment.holders.size > 0 || assignment.otherHolderIds.size > 0) return undefined;
    assignment.end = { endedAtMs: Math.max(atMs, assignment.startedAtMs), cause };
    this.#open.delete(addressKey(assignment.routingDomain, assignment.address));
    if (assignment.subscriberId !== null) this.#slotsOf(assignment.subscriberId, kind).delete(assignment.slot);
    return assignment;
  }

  #hold(session: SessionRecord, assignment: AssignmentRecord): void {
    const { kind } = assignment;
    this.#held[kind].set(session, assignment);
    this.changed.add(assignment);
    // The slot is that of the IPv4 address, where there is one: offers of prefixes follow it.
    if (kind === 'ipv4' || session.address === null) session.slot = assignment.slot;
    if (session.conflict === (kind === 'ipv4' ? ADDRESS_HELD : PREFIX_HELD)) session.conflict = null;
  }

  #samePerson(assignment: AssignmentRecord, session: SessionRecord): boolean {
    if (assignment.subscriberId !== session.subscriberId) return false;
    return session.subscriberId !== null || assignment.login === session.login;
  }

  #slotsOf(subscriberId: number, kind: AddressKind): Set<number> {
    let slots = this.#slots[kind].get(subscriberId);
    if (slots === undefined) this.#slots[kind].set(subscriberId, (slots = new Set()));
    return slots;
  }

  /** The lowest free one; of a prefix that of the session, where it is free. */
  #takeSlot(session: SessionRecord, kind: AddressKind): number {
    if (session.subscriberId === null) return 0;
    const slots = this.#slotsOf(session.subscriberId, kind);
    let slot = kind === 'ipv4' || slots.has(session.slot) ? 0 : session.slot;
    while (slots.has(slot) && slot < HIGHEST_SLOT) slot += 1;
    slots.add(slot);
    return slot;
  }
}
