/**
 * What is wrong with a configuration, said so that it can be put right.
 *
 * Enters: findings of the readers and validators in this folder and of the profile compiler in `src/nas`.
 * Leaves: `ConfigProblem` values, their one-line text form, and `ConfigError`, which carries all of them.
 * Invariant: a problem names a file, a line where there is one, a key and a remedy, and never a value that may be secret.
 */

/** One thing that is wrong (or, as a warning, unwise) in one place of the configuration. */
export interface ConfigProblem {
  /** The file as the operator would name it, for example `conf/nas.d/bras1.toml`. */
  readonly file: string;
  /** Line in that file, from 1; 0 when the problem belongs to the file as a whole. */
  readonly line: number;
  /** Dotted path of the key, for example `radius.duplicate_seconds`; empty for the file as a whole. */
  readonly key: string;
  /** What is wrong, to be read after the key: `is 5 octets long`. */
  readonly problem: string;
  /** What to do about it, as an instruction. */
  readonly remedy: string;
}

/**
 * The one-line text form, `conf/nas.d/bras1.toml:3: secret: is 5 octets long; use at least 8`.
 *
 * @param problem what to say
 * @returns one line without a line break; parts that are empty are left out
 */
export function formatProblem(problem: ConfigProblem): string {
  const place = problem.line > 0 ? `${problem.file}:${problem.line}` : problem.file;
  const key = problem.key === '' ? '' : `${problem.key}: `;
  return `${place}: ${key}${problem.problem}; ${problem.remedy}`;
}

/** A configuration that cannot be used. It carries every problem of every file, in the order of files and lines. */
export class ConfigError extends Error {
  override readonly name = 'ConfigError';
  readonly code = 'config-invalid';
  readonly problems: readonly ConfigProblem[];

  /** @param problems at least one; they are sorted by file and line here */
  constructor(problems: readonly ConfigProblem[]) {
    const sorted = sortProblems(problems);
    super(sorted.map(formatProblem).join('\n'));
    this.problems = Object.freeze(sorted);
  }
}

/** Problems in reading order: by file, then by line; equal places keep the order in which they were found. */
export function sortProblems(problems: readonly ConfigProblem[]): ConfigProblem[] {
  return [...problems].sort((a, b) => (a.file < b.file ? -1 : a.file > b.file ? 1 : a.line - b.line));
}
