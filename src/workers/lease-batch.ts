/**
 * The lease events of a batch. Enters: the transaction of the batch and durable events. Leaves: leases and refusals written, and what sessions are to open and to end.
 * Invariant: sessions follow in the same transaction, so that a lease and its session are one.
 */
import type { PoolClient } from 'pg';
import type { SessionFact } from '../domain/accounting-fact.js';
import type { AccessLine } from '../domain/access-line.js';
import type { LeaseEvent, LineEvidence } from '../domain/lease-event.js';
import { foldLeases } from '../domain/lease-fold.js';
import type { LeaseLine } from '../domain/lease-holder.js';
import type { LeaseIdle, RefusedLease } from '../domain/lease.js';
import { saveLeases } from '../store/lease-outcome.js';
import { loadLeaseWorld } from '../store/lease-world.js';

export interface LeaseRules {
  readonly routingDomain: string;
  /** What the rules make of octets; undefined: no rule knows them. */
  readonly lineOf: (evidence: LineEvidence) => AccessLine | undefined;
  /** The NAS that serves an address whose subscriber is bound to none. */
  readonly nasOf: (address: string) => string | undefined;
}

export interface LeaseBatch {
  readonly facts: readonly SessionFact[];
  /** Subscribers who have one lease fewer. */
  readonly settled: readonly number[];
  readonly refused: readonly RefusedLease[];
  readonly idle: readonly LeaseIdle[];
  /** Addresses that are to be kept from everybody once their sessions have ended: `quarantineDeclined`. */
  readonly declined: readonly string[];
}

export const NO_LEASES: LeaseBatch = { facts: [], settled: [], refused: [], idle: [], declined: [] };

export async function applyLeases(
  client: PoolClient,
  events: readonly LeaseEvent[],
  rules: LeaseRules,
): Promise<LeaseBatch> {
  if (events.length === 0) return NO_LEASES;
  const lines = events.map((event) => ({ event, read: readLine(event, rules) }));
  const world = await loadLeaseWorld(client, lines, rules.routingDomain, rules.nasOf);
  const outcome = foldLeases(world, lines);
  const settled = await saveLeases(client, outcome);
  const { facts, refused, idle, declined } = outcome;
  return { facts, settled, refused, idle, declined };
}

/** What a hook took out by itself counts before what the rules make of the octets. */
function readLine({ line }: LeaseEvent, { lineOf }: LeaseRules): LeaseLine {
  if (line === null) return { read: 'none' };
  const { switchMac, switchPort, lying } = line;
  if (lying !== undefined) return { read: 'lying', octets: lying };
  if (switchMac !== null) {
    const device = { by: 'mac', value: switchMac } as const;
    return { read: 'line', line: switchPort === null ? { device } : { device, port: switchPort } };
  }
  const read = lineOf(line);
  return read === undefined ? { read: 'unknown' } : { read: 'line', line: read };
}
