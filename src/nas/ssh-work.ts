/**
 * Steps on their way over SSH, and how they are put together. Enters: steps with their lines. Leaves: batches. Invariant: a batch has whole steps of one
 * kind, and no more lines and text than one exchange carries.
 */
import { markWord } from './marked-output.js';
import type { StepTask } from './step.js';

/** One step on its way. */
export interface SshWork {
  readonly task: StepTask;
  readonly lines: readonly string[];
  /** The program that reads the lines from its standard input; `undefined`: the console itself does. */
  readonly into: string | undefined;
  /** Lines that are done. */
  from: number;
  readonly texts: string[];
  /** ms since 1970 */
  sentAtMs: number;
}

// What a line costs beside its own text in a batch: marks and guards, octets.
const lineOverheadOctets = 220;

/** Bounds of a batch. */
export interface BatchBounds {
  readonly maxLines: number;
  readonly maxOctets: number;
  /** Among which the work is shared out. */
  readonly connections: number;
}

/** Batches of whole steps, in the order of their steps. */
export function batchesOf(pending: readonly SshWork[], bounds: BatchBounds): SshWork[][] {
  const kinds = new Map<string | undefined, SshWork[]>();
  for (const work of pending) {
    const same = kinds.get(work.into);
    if (same === undefined) kinds.set(work.into, [work]);
    else same.push(work);
  }
  return [...kinds.values()].flatMap((works) => batchesOfOneKind(works, bounds));
}

function batchesOfOneKind(works: readonly SshWork[], { maxLines, maxOctets, connections }: BatchBounds): SshWork[][] {
  const batches: SshWork[][] = [];
  let lines = Infinity;
  let octets = Infinity;
  const left = (work: SshWork): readonly string[] => work.lines.slice(work.from);
  // With several connections each gets its share at once.
  const share = Math.ceil(works.reduce((sum, work) => sum + left(work).length, 0) / connections);
  // A program that reads lines takes many more than a shell runs, so the text alone bounds them.
  const linesInOne = works[0]?.into === undefined ? Math.max(1, Math.min(maxLines, share)) : Infinity;
  for (const work of works) {
    const count = left(work).length;
    const size = left(work).reduce(
      (sum, line) => sum + Buffer.byteLength(line) + lineOverheadOctets,
      lineOverheadOctets,
    );
    lines += count;
    octets += size;
    if (lines > linesInOne || octets > maxOctets) {
      batches.push([]);
      lines = count;
      octets = size;
    }
    batches.at(-1)?.push(work);
  }
  return batches;
}

/** A command of a shell that gives the lines of some steps to their program. */
export function gatheredCommand(works: readonly SshWork[]): string {
  // No line has this word in it, so none ends the document early; its quotes keep the shell from reading the lines.
  const end = markWord();
  return [`${works[0]?.into ?? 'cat'} <<'${end}'`, ...works.flatMap(({ lines }) => lines), end].join('\n');
}

/** Two halves, for finding the step that a whole batch was refused for. */
export function halves(works: readonly SshWork[]): SshWork[][] {
  const middle = Math.ceil(works.length / 2);
  return [works.slice(0, middle), works.slice(middle)].filter((half) => half.length > 0);
}
