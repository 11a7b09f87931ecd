/**
 * Accounting facts for tests. Enters: what matters to a test. Leaves: whole facts, and a way to apply them to a database as the
 * applier does. Invariant: what a test does not say is the same in every fact.
 */
import type { Pool } from 'pg';
import type { AccountingFact, RestartFact, SessionFact } from '../../src/domain/accounting-fact.js';
import { foldBatch, type Resolve } from '../../src/domain/session-batch.js';
import { saveOutcome } from '../../src/store/batch-outcome.js';
import { loadWorld } from '../../src/store/batch-world.js';
import { withTransaction } from '../../src/store/database.js';

/** 2026-11-02T00:00:00Z: a fixed beginning, so that a failure reads the same every time. */
export const T0 = Date.UTC(2026, 10, 2);

export interface SessionFactShape extends Partial<Omit<SessionFact, 'class'>> {
  /** Seconds after T0 at which it happened. */
  readonly at: number;
  /** Seconds by which it arrived later than it happened. */
  readonly late?: number;
  readonly octets?: number;
  readonly offer?: number;
  readonly subscriber?: number;
}

export function fact(status: SessionFact['status'], shape: SessionFactShape): SessionFact {
  const { at, late = 0, octets, offer, subscriber = 1, ...rest } = shape;
  return {
    status,
    eventAtMs: T0 + at * 1000,
    receivedAtMs: T0 + (at + late) * 1000,
    nasName: 'bras1',
    nasBox: 'bras1',
    acctSessionId: 's1',
    routingDomain: 'default',
    login: 'alice',
    mac: null,
    callingStation: null,
    calledStation: null,
    nasPortId: null,
    nasAddress: '10.0.0.2',
    address: null,
    framedPrefix: null,
    delegatedPrefix: null,
    interfaceId: null,
    class: offer === undefined ? null : { subscriberId: subscriber, policyHash: 7, offerId: offer },
    sessionSeconds: null,
    input: octets === undefined ? null : { octets, gigawords: true },
    output: octets === undefined ? null : { octets: octets * 2, gigawords: true },
    delayDeclared: true,
    terminateCause: status === 'stop' ? 1 : null,
    ...rest,
  };
}

export function restart(status: RestartFact['status'], at: number, nasBox = 'bras1'): RestartFact {
  return { status, eventAtMs: T0 + at * 1000, receivedAtMs: T0 + at * 1000, nasName: 'bras1', nasBox };
}

/** Applies facts in one transaction, as the applier does. @returns subscribers to settle */
export function applyFacts(pool: Pool, facts: readonly AccountingFact[], resolve: Resolve): Promise<number[]> {
  return withTransaction(pool, async (client) => {
    const world = await loadWorld(client, facts, resolve);
    return saveOutcome(client, foldBatch(world, facts, resolve), 'test');
  });
}
