// Enters: what accounting says at acknowledgement, and rows of sessions that other instances wrote. Leaves: who is online
// where, with which address and slot. Invariants: memory only, no SQL; a late Start of a session that has ended opens
// nothing; a restart of a box ends all its earlier sessions at once, however many there are.

import type { LiveSession } from '../domain/access.js';
import { addressKey } from '../domain/assignment.js';
import { DenseMap, ShardedMultiMap } from './sharded-index.js';

/** A session as the accounting handler knows it when it acknowledges a packet. */
export interface SessionStart {
  readonly nasName: string;
  readonly nasBox: string;
  readonly acctSessionId: string;
  readonly subscriberId: number | undefined;
  /** Canonical. */
  readonly mac: string | undefined;
  readonly nasPortId: string | undefined;
  /** Unsigned 32-bit. */
  readonly address: number | undefined;
  /** Canonical IPv6 prefixes; undefined: none. */
  readonly prefixes?: readonly string[] | undefined;
  readonly routingDomain: string;
  /** Event time, ms since 1970. */
  readonly startedAtMs: number;
  /** Undefined: the lowest one that no live session of the subscriber has. */
  readonly slot?: number | undefined;
}

/** A session as the database has it. */
export interface SessionRow extends SessionStart {
  readonly sessionId: number;
  readonly slot: number;
}

/** The prefixes of a session as it is held. */
export function heldPrefixes(
  framed: string | null | undefined,
  delegated: string | null | undefined,
): readonly string[] | undefined {
  const prefixes = [framed, delegated].filter((one) => one !== null && one !== undefined);
  return prefixes.length === 0 ? undefined : prefixes;
}

/** A key whose session the database says is over. */
export interface EndedSessionRow {
  readonly sessionId: number;
  readonly nasName: string;
  readonly nasBox: string;
  readonly acctSessionId: string;
  readonly closedAtMs: number | undefined;
}

/** How long an end is remembered, ms: NASes repeat a Start for two minutes, and queues reorder within less. */
const ENDED_MEMORY_MS = 600_000;
/** Ends remembered per box. */
const MAX_ENDED = 8_192;
/** Sessions of a restarted box forgotten before other work gets its turn: about 2 ms. */
const FORGET_SLICE = 1_000;
/** Boxes without a session remembered per NAS entry: a NAS that changes its NAS-Identifier with every packet must not fill memory. */
const MAX_EMPTY_BOXES = 1_024;
/** Boxes looked at for one to forget when another one comes. */
const FORGET_BOXES_STEP = 8;
/** A session that the accounting packet placed in no slot gets one below this, the highest that the schema allows. */
const MAX_SLOT = 32_767;

class Box {
  readonly sessions = new Map<string, HeldSession>();
  readonly ended = new Map<string, { readonly endedAtMs: number; readonly notedAtMs: number }>();
  restartedAtMs = -Infinity;

  constructor(
    readonly nasName: string,
    readonly nasBox: string,
  ) {}
}

/** One live session in memory. Names of the NAS are shared by all sessions of a box. */
export class HeldSession implements LiveSession {
  readonly acctSessionId: string;
  readonly subscriberId: number | undefined;
  readonly slot: number;
  readonly mac: string | undefined;
  readonly nasPortId: string | undefined;
  readonly address: number | undefined;
  readonly prefixes: readonly string[] | undefined;
  readonly routingDomain: string;
  readonly startedAtMs: number;

  constructor(
    readonly box: Box,
    start: SessionStart,
    slot: number,
    /** Ours in the database; undefined for a session of this instance, which is known before it has one. */
    readonly sessionId: number | undefined,
  ) {
    this.acctSessionId = start.acctSessionId;
    this.subscriberId = start.subscriberId;
    this.slot = slot;
    this.mac = start.mac;
    this.nasPortId = start.nasPortId;
    this.address = start.address;
    this.prefixes = start.prefixes;
    this.routingDomain = start.routingDomain;
    this.startedAtMs = start.startedAtMs;
  }

  get nasName(): string {
    return this.box.nasName;
  }

  get nasBox(): string {
    return this.box.nasBox;
  }
}

/** All live sessions of all NASes, as far as this instance knows. */
export class LiveSessions {
  private readonly boxes = new Map<string, Map<string, Box>>();
  private readonly bySubscriber = new ShardedMultiMap<number, HeldSession>(new DenseMap());
  private readonly byAddress = new Map<string, ShardedMultiMap<number, HeldSession>>();
  /** By `addressKey`: only sessions that have prefixes stand here. */
  private readonly byPrefix = new ShardedMultiMap<string, HeldSession>();
  private count = 0;

  /** Number of sessions held, those of restarted boxes included until they are forgotten. */
  get size(): number {
    return this.count;
  }

  /** Number of boxes remembered. */
  get boxCount(): number {
    let boxCount = 0;
    for (const boxes of this.boxes.values()) boxCount += boxes.size;
    return boxCount;
  }

  ofSubscriber(subscriberId: number): readonly HeldSession[] {
    return alive(this.bySubscriber.get(subscriberId));
  }

  /** Sessions that hold an address; more than one only in a conflict. */
  holders(routingDomain: string, address: number): readonly HeldSession[] {
    const index = this.byAddress.get(routingDomain);
    return index ? alive(index.get(address)) : [];
  }

  /** Sessions that hold a prefix, as it is. */
  prefixHolders(routingDomain: string, prefix: string): readonly HeldSession[] {
    return alive(this.byPrefix.get(addressKey(routingDomain, prefix)));
  }

  ofLine(nasName: string, nasBox: string, acctSessionId: string): HeldSession | undefined {
    const box = this.boxes.get(nasName)?.get(nasBox);
    const session = box?.sessions.get(acctSessionId);
    return session && session.startedAtMs >= session.box.restartedAtMs ? session : undefined;
  }

  /**
   * A Start, or an Interim-Update of a session that was not known.
   *
   * @returns the session as held now, or undefined when this is a late packet of a session that is over
   */
  started(start: SessionStart): HeldSession | undefined {
    const box = this.boxOf(start.nasName, start.nasBox);
    if (start.startedAtMs < box.restartedAtMs) return undefined;
    const ended = box.ended.get(start.acctSessionId);
    if (ended && start.startedAtMs <= ended.endedAtMs) return undefined;
    const known = box.sessions.get(start.acctSessionId);
    if (known && saysTheSame(known, start)) return known;
    if (known) this.forget(known);
    const slot = start.slot ?? (known?.subscriberId === start.subscriberId ? known?.slot : undefined);
    return this.hold(new HeldSession(box, start, slot ?? this.lowestSlot(start.subscriberId), undefined));
  }

  /**
   * A Stop.
   *
   * @param endedAtMs event time, ms since 1970
   * @param receivedAtMs our clock, ms since 1970
   */
  ended(nasName: string, nasBox: string, acctSessionId: string, endedAtMs: number, receivedAtMs: number): void {
    const box = this.boxOf(nasName, nasBox);
    const session = box.sessions.get(acctSessionId);
    // The Stop of an earlier session with the same Acct-Session-Id does not end the present one.
    if (session && session.startedAtMs > endedAtMs) return;
    if (session) this.forget(session);
    box.ended.delete(acctSessionId);
    box.ended.set(acctSessionId, { endedAtMs, notedAtMs: receivedAtMs });
    for (const [key, end] of box.ended) {
      if (end.notedAtMs > receivedAtMs - ENDED_MEMORY_MS && box.ended.size <= MAX_ENDED) break;
      box.ended.delete(key);
    }
  }

  /**
   * Accounting-On or -Off: ends every session of the box that began before.
   *
   * @param atMs event time, ms since 1970
   */
  restarted(nasName: string, nasBox: string, atMs: number): void {
    const box = this.boxOf(nasName, nasBox);
    if (atMs <= box.restartedAtMs) return;
    box.restartedAtMs = atMs;
    this.forgetEarlier(box, [...box.sessions.values()], 0);
  }

  /** A session that another instance wrote, or that was in the database at start. */
  applyRow(row: SessionRow): void {
    const box = this.boxOf(row.nasName, row.nasBox);
    // What we acknowledged may not have reached the database yet: its row is older than what is known here.
    const ended = box.ended.get(row.acctSessionId);
    if (row.startedAtMs < box.restartedAtMs || (ended && row.startedAtMs <= ended.endedAtMs)) return;
    const known = box.sessions.get(row.acctSessionId);
    if (known) {
      if (known.startedAtMs > row.startedAtMs) return;
      this.forget(known);
    }
    this.hold(new HeldSession(box, row, row.slot, row.sessionId));
  }

  /** A session that the database has closed. */
  applyEnd(row: EndedSessionRow): void {
    const session = this.boxes.get(row.nasName)?.get(row.nasBox)?.sessions.get(row.acctSessionId);
    if (!session) return;
    if (session.sessionId !== undefined ? session.sessionId !== row.sessionId : isNewer(session, row)) return;
    this.forget(session);
  }

  /** All sessions held, in slices, as copies. */
  *slices(): Generator<readonly HeldSession[]> {
    for (const boxes of [...this.boxes.values()])
      for (const box of [...boxes.values()]) {
        const sessions = [...box.sessions.values()];
        for (let i = 0; i < sessions.length; i += FORGET_SLICE) yield sessions.slice(i, i + FORGET_SLICE);
      }
  }

  /** Forgets a session without any further meaning. */
  forget(session: HeldSession): void {
    if (session.box.sessions.get(session.acctSessionId) !== session) return;
    session.box.sessions.delete(session.acctSessionId);
    this.count--;
    if (session.subscriberId !== undefined) this.bySubscriber.remove(session.subscriberId, session);
    if (session.address !== undefined) this.byAddress.get(session.routingDomain)?.remove(session.address, session);
    for (const prefix of session.prefixes ?? [])
      this.byPrefix.remove(addressKey(session.routingDomain, prefix), session);
  }

  private hold(session: HeldSession): HeldSession {
    session.box.sessions.set(session.acctSessionId, session);
    this.count++;
    if (session.subscriberId !== undefined) this.bySubscriber.add(session.subscriberId, session);
    if (session.address !== undefined) {
      let index = this.byAddress.get(session.routingDomain);
      if (!index) this.byAddress.set(session.routingDomain, (index = new ShardedMultiMap(new DenseMap())));
      index.add(session.address, session);
    }
    for (const prefix of session.prefixes ?? []) this.byPrefix.add(addressKey(session.routingDomain, prefix), session);
    return session;
  }

  private boxOf(nasName: string, nasBox: string): Box {
    let boxes = this.boxes.get(nasName);
    if (!boxes) this.boxes.set(nasName, (boxes = new Map()));
    let box = boxes.get(nasBox);
    if (!box) {
      if (boxes.size >= MAX_EMPTY_BOXES) forgetEmpty(boxes);
      boxes.set(nasBox, (box = new Box(nasName, nasBox)));
    }
    return box;
  }

  private lowestSlot(subscriberId: number | undefined): number {
    if (subscriberId === undefined) return 0;
    const sessions = this.ofSubscriber(subscriberId);
    let slot = 0;
    while (slot < MAX_SLOT && sessions.some((session) => session.slot === slot)) slot++;
    return slot;
  }

  private forgetEarlier(box: Box, sessions: readonly HeldSession[], from: number): void {
    const to = Math.min(from + FORGET_SLICE, sessions.length);
    for (let i = from; i < to; i++) {
      const session = sessions[i]!;
      if (session.startedAtMs < box.restartedAtMs) this.forget(session);
    }
    if (to < sessions.length) setImmediate(() => this.forgetEarlier(box, sessions, to));
  }
}

/** Looks at the oldest few: an empty one is forgotten, one with sessions goes to the end. So boxes are at most the empty ones and those in use. */
function forgetEmpty(boxes: Map<string, Box>): void {
  let looked = 0;
  for (const [name, box] of boxes) {
    if (looked++ === FORGET_BOXES_STEP) return;
    boxes.delete(name);
    if (box.sessions.size > 0) boxes.set(name, box);
  }
}

function alive(sessions: readonly HeldSession[]): readonly HeldSession[] {
  for (const session of sessions)
    if (session.startedAtMs < session.box.restartedAtMs)
      return sessions.filter((one) => one.startedAtMs >= one.box.restartedAtMs);
  return sessions;
}

function saysTheSame(session: HeldSession, start: SessionStart): boolean {
  return (
    session.subscriberId === start.subscriberId &&
    session.address === start.address &&
    samePrefixes(session.prefixes, start.prefixes) &&
    session.mac === start.mac &&
    session.nasPortId === start.nasPortId &&
    session.routingDomain === start.routingDomain &&
    (start.slot === undefined || session.slot === start.slot)
  );
}

function samePrefixes(held: readonly string[] | undefined, told: readonly string[] | undefined): boolean {
  if (held === told) return true;
  return held?.length === told?.length && held?.every((prefix, at) => prefix === told?.[at]) === true;
}

/** Whether a session of ours, which has no id yet, began after the one that the database closed under the same key. */
function isNewer(session: HeldSession, row: EndedSessionRow): boolean {
  return row.closedAtMs !== undefined && session.startedAtMs > row.closedAtMs;
}
