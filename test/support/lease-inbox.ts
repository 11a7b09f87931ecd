/**
 * An inbox of lease hooks for tests. Enters: files as the hook writes them. Leaves: what a sink is handed, and answers that the test chooses. Invariant:
 * folder and inbox are gone when the test is.
 */
import { mkdtemp, readdir, rename, rm, writeFile, utimes } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Test } from 'tap';
import { Inbox } from '../../src/dhcp/inbox.js';
import type { InboxOptions, InboxOutcome } from '../../src/dhcp/inbox.js';
import { systemIntakeClock } from '../../src/dhcp/intake-clock.js';
import { IntakeLedger } from '../../src/dhcp/intake-ledger.js';
import type { LeaseEvent } from '../../src/domain/lease-event.js';

/** A file of the hook with these arguments. */
export function hookFile(...words: readonly string[]): string {
  const lines = words.map((word, index) => `${String(index + 1)}=${String(Buffer.byteLength(word))}:${word}\n`);
  return `sluice-lever 1\n${lines.join('')}end\n`;
}

/** Keeps events, and answers as it is told to. */
export class ChosenSink {
  readonly events: LeaseEvent[] = [];
  /** undefined: the answer waits for `answerAll`. */
  answer: InboxOutcome | undefined = 'durable';
  #waiting: ((outcome: InboxOutcome) => void)[] = [];
  mostWaiting = 0;

  take(event: LeaseEvent, answered: (outcome: InboxOutcome) => void): void {
    this.events.push(event);
    if (this.answer === undefined) {
      this.#waiting.push(answered);
      this.mostWaiting = Math.max(this.mostWaiting, this.#waiting.length);
      return;
    }
    const outcome = this.answer;
    setImmediate(() => answered(outcome));
  }

  get waiting(): number {
    return this.#waiting.length;
  }

  answerAll(outcome: InboxOutcome): void {
    const waiting = this.#waiting;
    this.#waiting = [];
    for (const answered of waiting) answered(outcome);
  }

  get addresses(): string[] {
    return this.events.map(({ address }) => address);
  }
}

export interface TestInbox {
  readonly folder: string;
  readonly sink: ChosenSink;
  readonly inbox: Inbox;
  readonly ledger: IntakeLedger;
  /** What was told for the log. */
  readonly told: string[];
  readonly errors: unknown[];
  /** Writes a file the way the hook does. @param ageMs how long ago it was written */
  put(name: string, content: string | Buffer, ageMs?: number): Promise<void>;
  /** Names in the folder, or in one below it. */
  names(below?: string): Promise<string[]>;
  count(outcome: string): number;
}

/** Not started yet. */
export async function testInbox(t: Test, change: Partial<InboxOptions> = {}): Promise<TestInbox> {
  const folder = change.folder ?? (await mkdtemp(join(tmpdir(), 'sluice-inbox-')));
  t.teardown(() => rm(folder, { recursive: true, force: true }));
  const told: string[] = [];
  const errors: unknown[] = [];
  const sink = new ChosenSink();
  const clock = change.clock ?? systemIntakeClock;
  const ledger = new IntakeLedger({
    nowMs: () => clock.nowMs(),
    onFault: (_way, fault, source) => told.push(`${source}: ${fault}`),
  });
  const inbox = new Inbox({
    folder,
    source: 'dhcp1',
    sink,
    ledger,
    clock,
    onError: (error) => errors.push(error),
    ...change,
  });
  t.teardown(() => {
    sink.answer = 'durable';
    sink.answerAll('later');
    return inbox.stop();
  });
  return {
    folder,
    sink,
    inbox,
    ledger,
    told,
    errors,
    async put(name, content, ageMs = 0) {
      const begun = join(folder, `.${name}`);
      await writeFile(begun, content, { flag: 'wx', mode: 0o640 });
      const writtenAt = new Date(clock.nowMs() - ageMs);
      if (ageMs > 0) await utimes(begun, writtenAt, writtenAt);
      await rename(begun, join(folder, name));
    },
    names: async (below = '.') => (await readdir(join(folder, below)).catch(() => [] as string[])).sort(),
    count: (outcome) => [...ledger.counts()].find((one) => one.way === 'inbox' && one.outcome === outcome)?.count ?? 0,
  };
}
