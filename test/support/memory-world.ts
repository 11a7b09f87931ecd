/**
 * Sessions and assignments as a database would keep them, in memory. Enters: batches of facts. Leaves: what became of them. Invariant: a
 * batch sees everything stored, so whatever differs from the database is the fault of reading or writing it.
 */
import { type AccountingFact, boxKey } from '../../src/domain/accounting-fact.js';
import type { AssignmentRecord } from '../../src/domain/assignment.js';
import { type BatchOutcome, foldBatch, foldEnds, type Resolve, type Usage } from '../../src/domain/session-batch.js';
import type { SessionRecord, SyntheticCause } from '../../src/domain/session.js';

export class MemoryWorld {
  readonly sessions: SessionRecord[] = [];
  readonly assignments: AssignmentRecord[] = [];
  readonly usage: Usage[] = [];
  readonly restarts = new Map<string, number[]>();
  #resolve: Resolve;

  constructor(resolve: Resolve = () => 1) {
    this.#resolve = resolve;
  }

  get live(): SessionRecord[] {
    return this.sessions.filter((session) => session.end === null);
  }

  get openAssignments(): AssignmentRecord[] {
    return this.assignments.filter((assignment) => assignment.end === null);
  }

  /** One batch. */
  apply(...facts: AccountingFact[]): BatchOutcome {
    const { sessions, restarts } = this;
    return this.#keep(foldBatch({ sessions, assignments: this.openAssignments, restarts }, facts, this.#resolve));
  }

  /** What the sweeper does for all sessions that a restart ended. */
  sweepRestarts(): void {
    for (const [box, times] of this.restarts) {
      for (const atMs of times) {
        const over = this.live.filter((s) => boxKey(s) === box && s.startedAtMs < atMs && s.lastEventAtMs < atMs);
        this.end('nas-restart', atMs, ...over);
      }
    }
  }

  end(cause: SyntheticCause, atMs: number, ...sessions: SessionRecord[]): void {
    const world = { sessions: this.sessions, assignments: this.openAssignments, restarts: new Map() };
    this.#keep(
      foldEnds(
        world,
        sessions.map((session) => ({ session, cause, atMs })),
      ),
    );
  }

  #keep(outcome: BatchOutcome): BatchOutcome {
    for (const { session, storedAs } of outcome.touched) {
      if (storedAs !== 'absent') continue;
      session.id = this.sessions.push(session);
    }
    for (const assignment of outcome.assignments) {
      if (assignment.id === null) assignment.id = this.assignments.push(assignment);
    }
    this.usage.push(...outcome.usage);
    for (const fact of outcome.restarts) {
      const times = this.restarts.get(boxKey(fact)) ?? [];
      if (!times.includes(fact.eventAtMs)) times.push(fact.eventAtMs);
      this.restarts.set(boxKey(fact), times);
    }
    return outcome;
  }
}
