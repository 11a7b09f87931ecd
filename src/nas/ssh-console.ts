/**
 * How lines are carried out at the far end of an SSH connection. Enters: parts, each the lines of one step of one enforcement. Leaves: what became of each
 * line. Invariants: answers are those of their own part, whatever the others print; a part stops at its first line that fails and the others go on.
 */

/** What a line did. */
export interface LineAnswer {
  readonly isFailure: boolean;
  /** What it printed, without escapes and control characters. */
  readonly text: string;
}

/**
 * What became of a part. `whole`: every line was answered. `stopped`: the last answer is a failure, and no line after it was begun. `never`: nothing of it
 * can have arrived. `maybe`: it broke, or the console ended without a word about it. `unread`: the console did not take the batch as commands at all.
 */
export interface PartAnswer {
  readonly answers: readonly LineAnswer[];
  readonly end: 'whole' | 'stopped' | 'never' | 'maybe' | 'unread';
  /** Why it is not whole. */
  readonly text: string;
}

/** Whether an answer lets the lines after it be carried out. */
export type Judge = (answer: LineAnswer) => boolean;

/** Lines around every batch. */
export interface BatchFrame {
  readonly prologue: readonly string[];
  readonly epilogue: readonly string[];
}

/** One console. */
export interface SshConsole {
  /** Text of one batch, octets at most. */
  readonly maxBatchOctets: number;
  /**
   * Carries out one batch.
   *
   * @param parts lines in the dialect of the console
   * @param judge for consoles that hear each answer before they say the next line
   * @param maxTextOctets what is kept of the output of one line
   * @returns one answer for each part, in their order
   */
  exchange(parts: readonly (readonly string[])[], judge: Judge, maxTextOctets: number): Promise<readonly PartAnswer[]>;
}

/** The answer to every part of a batch that was not begun. */
export function notBegun(parts: readonly unknown[], text: string): PartAnswer[] {
  return parts.map(() => ({ answers: [], end: 'never', text }));
}
