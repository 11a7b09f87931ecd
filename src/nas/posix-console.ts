/**
 * A POSIX shell at the far end. Enters: batches. Leaves: the exit status and output of each line. Invariant: a batch is one script on the standard input of
 * one shell, each part in a subshell of its own with nothing to read, so that none takes the rest of the script for its input, changes the folder for
 * others, or ends them by `exit`.
 */
import { plainOutput } from './console-text.js';
import { MarkedOutput, markWord } from './marked-output.js';
import type { Mark } from './marked-output.js';
import type { SshConnection } from './ssh-connection.js';
import { notBegun } from './ssh-console.js';
import type { BatchFrame, Judge, LineAnswer, PartAnswer, SshConsole } from './ssh-console.js';

// A script on standard input has no limit of its own; this bounds our memory and the time to the first answer. Octets.
const maxScriptOctets = 524_288;
// What a shell says of itself, beside the output of parts. Octets.
const maxOwnTextOctets = 4_096;

interface PartState {
  readonly lineCount: number;
  readonly answers: LineAnswer[];
  hasEnded: boolean;
}

/** One shell for each batch. */
export class PosixConsole implements SshConsole {
  readonly maxBatchOctets = maxScriptOctets;
  readonly #connection: SshConnection;
  readonly #frame: BatchFrame;

  constructor(connection: SshConnection, frame: BatchFrame) {
    this.#connection = connection;
    this.#frame = frame;
  }

  async exchange(
    parts: readonly (readonly string[])[],
    _judge: Judge,
    maxTextOctets: number,
  ): Promise<readonly PartAnswer[]> {
    const word = markWord();
    const states = parts.map((lines): PartState => ({ lineCount: lines.length, answers: [], hasEnded: false }));
    const frameIndex = parts.length;
    let frameFailure: string | undefined;
    const output = new MarkedOutput(word, maxTextOctets, (mark, text) => {
      if (mark.part === frameIndex) {
        if (mark.status !== 0) frameFailure ??= plainOutput(text) || `exit status ${mark.status}`;
      } else note(states[mark.part], mark, text);
    });
    let ownText = '';
    const end = await this.#connection.run('exec /bin/sh -s', this.#script(parts, word), (chunk, isError) => {
      if (!isError) output.push(chunk);
      else if (ownText.length < maxOwnTextOctets) ownText += chunk.toString('utf8');
    });
    if (end.end === 'broken' && !end.wasWritten) return notBegun(parts, end.text);
    const why =
      end.end === 'broken'
        ? end.text
        : plainOutput(ownText).trim() || plainOutput(output.rest).trim() || 'the shell ended without a word';
    const nothingBegan = states.every(({ answers, hasEnded }) => answers.length === 0 && !hasEnded);
    if (frameFailure !== undefined && nothingBegan) {
      const text = `before the batch: ${frameFailure}`;
      return parts.map(() => ({ answers: [], end: 'unread', text }));
    }
    return states.map((state, index) => {
      const last = state.answers.at(-1);
      if (state.answers.length === (parts[index] ?? []).length && last?.isFailure !== true)
        return { answers: state.answers, end: 'whole', text: '' };
      if (last?.isFailure === true) return { answers: state.answers, end: 'stopped', text: last.text };
      return { answers: state.answers, end: end.end === 'closed' && nothingBegan ? 'unread' : 'maybe', text: why };
    });
  }

  #script(parts: readonly (readonly string[])[], word: string): string {
    const script = ['LC_ALL=C; export LC_ALL; PATH=$PATH:/usr/local/sbin:/usr/sbin:/sbin; export PATH; exec 2>&1'];
    const frameIndex = parts.length;
    const mark = (part: number, line: number | 'e'): string => `printf '\\n%s %s %s %s\\n' ${word} ${part} ${line} $?`;
    const outside = (line: string): string[] => [
      line,
      `sluice_status=$?; (exit $sluice_status); ${mark(frameIndex, 0)}; [ $sluice_status -eq 0 ] || exit $sluice_status`,
    ];
    script.push(...this.#frame.prologue.flatMap(outside));
    parts.forEach((lines, part) => {
      script.push('(');
      lines.forEach((line, index) => {
        // The line stands by itself, so that whatever its end means to the shell concerns it alone.
        script.push(
          line,
          `sluice_status=$?; (exit $sluice_status); ${mark(part, index)}; [ $sluice_status -eq 0 ] || exit 0`,
        );
      });
      script.push(`) </dev/null`, mark(part, 'e'));
    });
    script.push(...this.#frame.epilogue.flatMap(outside), '');
    return script.join('\n');
  }
}

function note(state: PartState | undefined, mark: Mark, text: string): void {
  if (state === undefined || state.hasEnded) return;
  if (mark.line !== undefined) {
    const printed = plainOutput(text).trim();
    const isFailure = mark.status !== 0;
    state.answers.push({ isFailure, text: isFailure && printed === '' ? `exit status ${mark.status}` : printed });
    return;
  }
  state.hasEnded = true;
  // The subshell ended inside a line: that line said `exit`, or something killed it.
  const isStopped = state.answers.at(-1)?.isFailure === true;
  if (!isStopped && state.answers.length < state.lineCount) {
    const printed = plainOutput(text).trim();
    state.answers.push({
      isFailure: true,
      text: printed === '' ? `ended the shell, exit status ${mark.status}` : printed,
    });
  }
}
