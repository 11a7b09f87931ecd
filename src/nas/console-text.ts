/**
 * What a console printed, made fit for people. Enters: output of a NAS. Leaves: text without terminal escapes, control characters and secrets, and a
 * judgement of it. Invariant: nothing that a NAS or subscriber put into output can act on a terminal, a page or a log.
 */
import type { SecretValue } from '../config/secret-value.js';

/** Length of the text of an outcome, characters: a screenful, not a transcript. */
export const maxOutcomeText = 500;
// A shorter secret would make holes everywhere, and is refused elsewhere.
const minRedacted = 4;

/* eslint-disable no-control-regex -- control characters are what these look for */
// CSI, OSC (ended by BEL or ST), and other escapes of ECMA-48; then single control characters but newline and tab.
const escapes =
  /\u001b\[[0-?]*[ -/]*[@-~]|\u001b\][^\u0007\u001b]{0,4096}(?:\u0007|\u001b\\)|\u001b[ -/]*[0-~]|\u009b[0-?]*[ -/]*[@-~]/gu;
const controls = /[\u0000-\u0008\u000b-\u001f\u007f-\u009f\u2028\u2029\u200e\u200f\u202a-\u202e\u2066-\u2069]/gu;
/* eslint-enable no-control-regex */

/** Takes terminal escapes and control characters away; lines stay, ended by `\n`. */
export function plainOutput(output: string): string {
  return output.replace(escapes, '').replace(/\r+\n/gu, '\n').replace(controls, '');
}

/** Makes a function that hides secrets, should a NAS repeat one. */
export function redactor(secrets: readonly (SecretValue | undefined)[]): (text: string) => string {
  const hidden = secrets.flatMap((secret) => {
    if (secret === undefined || secret.isMissing || secret.length < minRedacted) return [];
    // A key of several lines is hidden line by line.
    return secret
      .text()
      .split('\n')
      .map((line) => line.trim())
      .filter((line) => line.length >= minRedacted);
  });
  return (text) => hidden.reduce((redacted, secret) => redacted.replaceAll(secret, '<secret>'), text);
}

/** One line of at most 500 characters. */
export function outcomeText(text: string): string {
  const line = text.trim().replace(/\s*\n\s*/gu, ' | ');
  return line.length <= maxOutcomeText ? line : `${line.slice(0, maxOutcomeText - 1)}…`;
}

/** How a profile reads output. */
export interface OutputPatterns {
  readonly error: readonly RegExp[];
  readonly ignore: readonly RegExp[];
  readonly success: RegExp | undefined;
}

/** @param profile patterns that the reader of profiles let pass */
export function compilePatterns(profile: {
  readonly error: readonly string[];
  readonly ignore: readonly string[];
  readonly success?: string | undefined;
}): OutputPatterns {
  const compile = (pattern: string): RegExp => new RegExp(pattern, 'mu');
  return {
    error: profile.error.map(compile),
    ignore: profile.ignore.map(compile),
    success: profile.success === undefined ? undefined : compile(profile.success),
  };
}

/**
 * Judges what one line printed.
 *
 * @param failed its exit status was not 0, or the console said that it failed
 * @returns whether it counts as done
 */
export function lineSucceeded(patterns: OutputPatterns, failed: boolean, text: string): boolean {
  if (!failed && !patterns.error.some((pattern) => pattern.test(text))) return true;
  return patterns.ignore.some((pattern) => pattern.test(text));
}
