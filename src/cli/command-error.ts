/**
 * What a command says when it cannot do what was asked.
 *
 * Enters: errors of every layer below. Leaves: one `CommandError` with what happened, why, and what to do, and the exit code.
 * Invariant: an expected failure is one clear line without a stack trace; what is recognised is recognised by class, code or
 * constraint name, never by the text of a message.
 */

/** Exit codes of `sluice`: 0 is done, 1 is refused or failed, 2 is a command line that makes no sense. */
export const exitCode = { done: 0, failed: 1, usage: 2 } as const;

/** A refusal or failure that was foreseen. The message is one line: what, why, and the remedy. */
export class CommandError extends Error {
  override readonly name: string = 'CommandError';
  readonly exitCode: number = exitCode.failed;

  /**
   * @param problem what happened and why
   * @param remedy what to do about it, as an instruction; empty when there is nothing to do
   */
  constructor(
    readonly problem: string,
    readonly remedy = '',
  ) {
    super(remedy === '' ? problem : `${problem}; ${remedy}`);
  }
}

/** A command line that cannot be understood: exit code 2. */
export class UsageError extends CommandError {
  override readonly name = 'UsageError';
  override readonly exitCode = exitCode.usage;
}

/** Several lines that say everything that is wrong at once (a configuration). Exit code 1. */
export class ProblemList extends CommandError {
  override readonly name = 'ProblemList';

  /** @param lines at least one, each complete by itself */
  constructor(readonly lines: readonly string[]) {
    super(lines.join('\n'));
  }
}
