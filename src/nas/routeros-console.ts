/**
 * The console of MikroTik RouterOS at the far end. Enters: batches. Leaves: what became of each line. Invariants: a batch is one command of parts that each
 * catch their own errors; since a caught error tells no reason, a line that failed is said once more by itself, and the answer to that counts.
 */
import { plainOutput } from './console-text.js';
import { MarkedOutput, markWord, maxPartOctets } from './marked-output.js';
import type { SshConnection } from './ssh-connection.js';
import { notBegun } from './ssh-console.js';
import type { BatchFrame, Judge, LineAnswer, PartAnswer, SshConsole } from './ssh-console.js';

// Its documents name no limit for a command over SSH; this stays below what one SSH packet (RFC 4253 §6.1) always carries. Octets.
const maxCommandOctets = 24_576;
// Of how many failed parts of one batch the reason is asked for: when all fail, they fail for the same reason.
const maxAsked = 8;

interface PartState {
  done: number;
  isStopped: boolean;
  readonly texts: string[];
}

/** One command for each batch. */
export class RouterosConsole implements SshConsole {
  readonly maxBatchOctets = maxCommandOctets;
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
    const states = parts.map((): PartState => ({ done: 0, isStopped: false, texts: [] }));
    const output = new MarkedOutput(word, maxTextOctets, ({ part, line }, text) => {
      const state = states[part];
      if (state === undefined) return;
      if (line === undefined) {
        state.isStopped = true;
        return;
      }
      state.done = line + 1;
      state.texts.push(plainOutput(text).trim());
    });
    const end = await this.#connection.run(this.#command(parts, word), undefined, (chunk) => output.push(chunk));
    if (end.end === 'broken' && !end.wasWritten) return notBegun(parts, end.text);
    const nothingBegan = states.every(({ done, isStopped }) => done === 0 && !isStopped);
    const rest = plainOutput(output.rest).trim();
    const answers: PartAnswer[] = [];
    let asked = 0;
    for (const [index, state] of states.entries()) {
      const lines = parts[index] ?? [];
      const done = state.texts.map((text): LineAnswer => ({ isFailure: false, text }));
      if (state.done === lines.length) answers.push({ answers: done, end: 'whole', text: '' });
      else if (state.isStopped) {
        asked += 1;
        answers.push(await this.#stopped(done, lines[state.done] ?? '', asked <= maxAsked));
      } else {
        const text = end.end === 'broken' ? end.text : rest || 'the console ended without a word';
        answers.push({ answers: done, end: end.end === 'closed' && nothingBegan ? 'unread' : 'maybe', text });
      }
    }
    return answers;
  }

  #command(parts: readonly (readonly string[])[], word: string): string {
    const guarded = parts.map((lines, part) => {
      const marked = lines.map((line, index) => `${line}; :put "${word} ${part} ${index} 0"`);
      return `:do { ${marked.join('; ')} } on-error={ :put "${word} ${part} e 1" }`;
    });
    return [...this.#frame.prologue, ...guarded, ...this.#frame.epilogue].join('; ');
  }

  async #stopped(done: readonly LineAnswer[], line: string, mayAsk: boolean): Promise<PartAnswer> {
    if (!mayAsk) {
      const text = 'the router refused it; others in this batch say why';
      return { answers: [...done, { isFailure: true, text }], end: 'stopped', text };
    }
    let printed = '';
    const end = await this.#connection.run(line, undefined, (chunk) => {
      if (printed.length < maxPartOctets) printed += chunk.toString('utf8');
    });
    if (end.end === 'broken') return { answers: done, end: 'maybe', text: end.text };
    const text = plainOutput(printed).trim();
    // A command that changes something prints nothing when it succeeds; the exit status says it too where RouterOS gives one.
    const isFailure = text !== '' || (end.exitCode ?? 0) !== 0;
    const reason = text === '' && isFailure ? 'the router refused it and gave no reason' : text;
    return { answers: [...done, { isFailure, text: reason }], end: 'stopped', text: reason };
  }
}
