/**
 * Who holds which address. Enters: the open assignments that a batch touches, then acquisitions and releases in order. Leaves:
 * assignments opened, held, let go and ended. Invariants: one open assignment per (routing domain, address) and per
 * (subscriber, slot); an assignment ends exactly when its last holder goes; a holder lets go of its own hold only. Pure.
 */
import type { SessionRecord } from './session.js';

export interface AssignmentRecord {
  /** null until it is stored. */
  id: number | null;
  routingDomain: string;
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

export const ADDRESS_HELD = 'address-held';

/** The highest slot that the schema takes; far above any session limit. */
const HIGHEST_SLOT = 32_767;

export function addressKey(routingDomain: string, address: string): string {
  return `${routingDomain}\u0000${address}`;
}

function assignmentOf(session: SessionRecord, address: string, slot: number, startedAtMs: number): AssignmentRecord {
  return {
    id: null,
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

export class AssignmentBook {
  readonly #open = new Map<string, AssignmentRecord>();
  readonly #held = new Map<SessionRecord, AssignmentRecord>();
  readonly #slots = new Map<number, Set<number>>();
  /** Every assignment that changed, in the order in which it first changed. */
  readonly changed = new Set<AssignmentRecord>();

  /** @param stored every open assignment of the addresses and subscribers in hand */
  constructor(stored: readonly AssignmentRecord[]) {
    for (const assignment of stored) {
      this.#open.set(addressKey(assignment.routingDomain, assignment.address), assignment);
      for (const holder of assignment.holders) this.#held.set(holder, assignment);
      if (assignment.subscriberId !== null) this.#slotsOf(assignment.subscriberId).add(assignment.slot);
    }
  }

  /** Who holds the address now; undefined when nobody does. */
  holderOf(routingDomain: string, address: string): AssignmentRecord | undefined {
    return this.#open.get(addressKey(routingDomain, address));
  }

  /** What the session holds, if anything. */
  heldBy(session: SessionRecord): AssignmentRecord | undefined {
    return this.#held.get(session);
  }

  /**
   * The session, which holds nothing, takes hold of its address. When somebody else holds it, nothing is taken and the session says so.
   * @param sinceMs from when on it has been in use, where it was free
   * @returns whether the session holds it now
   */
  acquire(session: SessionRecord, sinceMs: number): boolean {
    if (session.address === null) return false;
    const key = addressKey(session.routingDomain, session.address);
    const open = this.#open.get(key);
    if (open !== undefined) {
      if (!this.#samePerson(open, session)) {
        session.conflict = ADDRESS_HELD;
        return false;
      }
      open.holders.add(session);
      this.#hold(session, open);
      return true;
    }
    const slot = session.subscriberId === null ? 0 : this.#takeSlot(session.subscriberId);
    const assignment = assignmentOf(session, session.address, slot, sinceMs);
    assignment.holders.add(session);
    this.#open.set(key, assignment);
    this.#hold(session, assignment);
    return true;
  }

  /** A session that was over when it was first heard of: who had the address then is history, whoever has it now. */
  recordPast(session: SessionRecord, end: { endedAtMs: number; cause: string }): void {
    if (session.address === null) return;
    const open = this.#open.get(addressKey(session.routingDomain, session.address));
    // The same person's use that goes on covers it.
    if (open !== undefined && this.#samePerson(open, session) && open.startedAtMs <= end.endedAtMs) return;
    const assignment = assignmentOf(session, session.address, session.slot, session.startedAtMs);
    assignment.end = { endedAtMs: end.endedAtMs, cause: end.cause };
    assignment.past = true;
    this.changed.add(assignment);
  }

  /** The session lets go of what it holds. @returns the assignment that ended with it, if one did */
  release(session: SessionRecord, atMs: number, cause: string): AssignmentRecord | undefined {
    const assignment = this.#held.get(session);
    if (assignment === undefined) return undefined;
    this.#held.delete(session);
    assignment.holders.delete(session);
    this.changed.add(assignment);
    if (assignment.holders.size > 0 || assignment.otherHolderIds.size > 0) return undefined;
    assignment.end = { endedAtMs: Math.max(atMs, assignment.startedAtMs), cause };
    this.#open.delete(addressKey(assignment.routingDomain, assignment.address));
    if (assignment.subscriberId !== null) this.#slotsOf(assignment.subscriberId).delete(assignment.slot);
    return assignment;
  }

  #hold(session: SessionRecord, assignment: AssignmentRecord): void {
    this.#held.set(session, assignment);
    this.changed.add(assignment);
    session.slot = assignment.slot;
    if (session.conflict === ADDRESS_HELD) session.conflict = null;
  }

  #samePerson(assignment: AssignmentRecord, session: SessionRecord): boolean {
    if (assignment.subscriberId !== session.subscriberId) return false;
    return session.subscriberId !== null || assignment.login === session.login;
  }

  #slotsOf(subscriberId: number): Set<number> {
    let slots = this.#slots.get(subscriberId);
    if (slots === undefined) this.#slots.set(subscriberId, (slots = new Set()));
    return slots;
  }

  #takeSlot(subscriberId: number): number {
    const slots = this.#slotsOf(subscriberId);
    let slot = 0;
    while (slots.has(slot) && slot < HIGHEST_SLOT) slot += 1;
    slots.add(slot);
    return slot;
  }
}
