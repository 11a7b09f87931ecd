/**
 * Command lines for Cisco IOS and consoles like it. Enters: the pieces of a template. Leaves: the line, or the variable that cannot be said. Invariant:
 * IOS has no quoting that can be trusted (`?` asks for help and Ctrl-V, Ctrl-Z and others act inside quotes too), so a value has only characters that
 * mean nothing anywhere.
 */
import { unsayableAnywhere } from './command-piece.js';
import type { DialectRules, LineResult, TemplatePiece, TemplateProblem, ValuePiece } from './command-piece.js';

const allowed = /^[A-Za-z0-9._:@/-]+$/u;
// IOS cuts lines at 254 characters in the console of its older releases.
const maxValueLength = 128;

/** The rules of IOS. */
export const iosRules: DialectRules = {
  check(pieces: readonly TemplatePiece[]): TemplateProblem | undefined {
    const before = typeof pieces[0] === 'string' ? pieces[0].trim() : '';
    if (pieces.some((piece) => typeof piece === 'string' && piece.includes('?'))) {
      return { problem: 'has a ?, which asks for help', remedy: 'take it away' };
    }
    if (before.startsWith('!'))
      return { problem: 'is a comment of IOS', remedy: 'write comments as comments of the file' };
    if (pieces.length > 0 && before === '') {
      return { problem: 'has a variable where a command is named', remedy: 'write the command out' };
    }
    return undefined;
  },
  write(pieces: readonly ValuePiece[]): LineResult {
    let line = '';
    for (const piece of pieces) {
      if (typeof piece === 'string') {
        line += piece;
        continue;
      }
      const why = unsayableAnywhere(piece.kind, piece.value) ?? unsayable(piece.value);
      if (why !== undefined) return { ok: false, variable: piece.name, why };
      line += piece.value;
    }
    return { ok: true, line };
  },
};

function unsayable(value: string): string | undefined {
  if (value.length > maxValueLength) return `is longer than ${maxValueLength} characters`;
  return allowed.test(value) ? undefined : 'has characters other than letters, digits and . _ : @ / -';
}
