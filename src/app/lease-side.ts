/**
 * Everything about leases in one server. Enters: the policy, the spool. Leaves: the sink that sources of lease events give to, how events are read when they are
 * applied, and counts of what became of them. Invariant: labels of counters are of closed sets.
 */
import type { SessionFact } from '../domain/accounting-fact.js';
import { LeaseIntake } from '../handlers/lease-event.js';
import type { Spool } from '../spool/spool.js';
import type { Labelled } from '../status/metrics.js';
import type { LeaseBatch, LeaseRules } from '../workers/lease-batch.js';
import type { Policy } from './policy.js';

export interface LeaseSideDeps {
  readonly spool: Spool;
  readonly policy: () => Policy;
}

export class LeaseSide {
  readonly intake: LeaseIntake;
  readonly #deps: LeaseSideDeps;
  readonly #outcomes = new Map<string, number>();

  constructor(deps: LeaseSideDeps) {
    this.#deps = deps;
    this.intake = new LeaseIntake({ spool: deps.spool, isIgnored: () => false });
  }

  /** How events are read, by the policy of the moment. */
  rules(): LeaseRules {
    const { lines } = this.#deps.policy();
    return {
      routingDomain: 'default',
      lineOf: (evidence) => lines.find(evidence)?.line,
      nasOf: () => undefined,
    };
  }

  /** Counts what became of the events of a batch. */
  note({ facts, refused, idle }: LeaseBatch): void {
    for (const { status } of facts as readonly SessionFact[]) this.#count(status === 'start' ? 'opened' : 'closed');
    for (const reason of refused) this.#count(reason);
    for (const reason of idle) this.#count(reason);
  }

  /** Events as they were taken in, and what came of them. */
  *outcomes(): Generator<Labelled> {
    for (const [outcome, value] of this.#outcomes) yield { labels: { outcome }, value };
  }

  #count(outcome: string): void {
    this.#outcomes.set(outcome, (this.#outcomes.get(outcome) ?? 0) + 1);
  }
}
