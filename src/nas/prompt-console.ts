/**
 * A console that is typed at. Enters: batches. Leaves: what each line printed. Invariants: one line at a time, and the next one only after the prompt came
 * back; a line with a control character is never typed, because a terminal acts on it.
 */
import type { ClientChannel } from 'ssh2';
import { plainOutput } from './console-text.js';
import type { SshConnection } from './ssh-connection.js';
import { notBegun } from './ssh-console.js';
import type { BatchFrame, Judge, LineAnswer, PartAnswer, SshConsole } from './ssh-console.js';

// Lines wait their turn here anyway; a batch is bounded by its number of lines. Octets.
const maxTypedOctets = 65_536;
const morePrompt = /--\s?More\s?--\s*$/iu;
// eslint-disable-next-line no-control-regex -- control characters are what it looks for
const controlCharacter = /[\u0000-\u001f\u007f-\u009f]/u;

/** Whether a line may be typed at a terminal. */
export function canBeTyped(line: string): boolean {
  return !controlCharacter.test(line);
}

/** One shell for as long as the connection lives. */
export class PromptConsole implements SshConsole {
  readonly maxBatchOctets = maxTypedOctets;
  readonly #connection: SshConnection;
  readonly #frame: BatchFrame;
  readonly #prompt: RegExp;
  #terminal: Terminal | undefined;

  constructor(connection: SshConnection, frame: BatchFrame, prompt: RegExp) {
    this.#connection = connection;
    this.#frame = frame;
    this.#prompt = prompt;
  }

  async exchange(
    parts: readonly (readonly string[])[],
    judge: Judge,
    maxTextOctets: number,
  ): Promise<readonly PartAnswer[]> {
    const terminal = await this.#open();
    if (terminal === undefined) return notBegun(parts, 'the NAS opens no terminal, or shows no prompt');
    for (const line of this.#frame.prologue) {
      const answer = await terminal.say(line, maxTextOctets);
      if (answer === undefined) return notBegun(parts, `no prompt after "${line}"`);
      if (!judge({ isFailure: false, text: answer })) {
        return parts.map(() => ({ answers: [], end: 'unread', text: `before the batch: ${answer}` }));
      }
    }
    const answers: PartAnswer[] = [];
    for (const lines of parts) answers.push(await sayPart(terminal, lines, judge, maxTextOctets));
    for (const line of this.#frame.epilogue) await terminal.say(line, maxTextOctets);
    return answers;
  }

  async #open(): Promise<Terminal | undefined> {
    if (this.#terminal?.isOpen === true) return this.#terminal;
    const channel = await this.#connection.shell();
    if (channel === undefined) return undefined;
    const terminal = new Terminal(channel, this.#prompt);
    if (!(await terminal.greeted())) return undefined;
    this.#terminal = terminal;
    return terminal;
  }
}

async function sayPart(
  terminal: Terminal,
  lines: readonly string[],
  judge: Judge,
  maxTextOctets: number,
): Promise<PartAnswer> {
  const answers: LineAnswer[] = [];
  for (const line of lines) {
    if (!terminal.isOpen)
      return { answers, end: answers.length === 0 ? 'never' : 'maybe', text: 'the terminal was closed' };
    const text = await terminal.say(line, maxTextOctets);
    if (text === undefined) return { answers, end: 'maybe', text: 'the prompt did not come back' };
    const answer: LineAnswer = { isFailure: false, text };
    answers.push(answer);
    if (!judge(answer)) return { answers, end: 'stopped', text };
  }
  return { answers, end: 'whole', text: '' };
}

/** A terminal between two prompts. */
class Terminal {
  readonly #channel: ClientChannel;
  readonly #prompt: RegExp;
  /** How every prompt of this NAS begins: its name. */
  #promptStart: string | undefined;
  #text = '';
  #maxTextOctets = maxTypedOctets;
  #isOpen = true;
  #wake: (() => void) | undefined;

  constructor(channel: ClientChannel, prompt: RegExp) {
    this.#channel = channel;
    this.#prompt = prompt;
    const closed = (): void => {
      this.#isOpen = false;
      this.#wake?.();
    };
    channel.on('data', (chunk: Buffer) => this.#read(chunk));
    channel.on('close', closed);
    channel.on('error', closed);
  }

  get isOpen(): boolean {
    return this.#isOpen;
  }

  /** Waits for the first prompt. @returns false when the terminal closed before */
  async greeted(): Promise<boolean> {
    const prompt = await this.#untilPrompt(0);
    if (prompt === undefined) return false;
    // `R1#` and `R1(config)#` both begin with the name.
    this.#promptStart = /^[^\s>#$(\]]*/u.exec(prompt)?.[0] ?? '';
    return true;
  }

  /** Types a line. @returns what it printed, without its echo and the prompt; `undefined` when the terminal closed before the prompt came */
  async say(line: string, maxTextOctets: number): Promise<string | undefined> {
    if (!this.#isOpen) return undefined;
    this.#text = '';
    this.#maxTextOctets = maxTextOctets;
    this.#channel.write(`${line}\r`);
    // The echo ends with a line break, so the prompt stands on the second line at the earliest.
    if ((await this.#untilPrompt(1)) === undefined) return undefined;
    const lines = plainOutput(this.#text).split('\n');
    return lines.slice(1, -1).join('\n').trim();
  }

  #read(chunk: Buffer): void {
    this.#text += chunk.toString('utf8');
    if (this.#text.length > this.#maxTextOctets + maxTypedOctets) {
      this.#text = this.#text.slice(0, this.#maxTextOctets) + this.#text.slice(-1_024);
    }
    this.#wake?.();
  }

  async #untilPrompt(afterLines: number): Promise<string | undefined> {
    for (;;) {
      const tail = plainOutput(this.#text.slice(-1_024));
      const last = tail.slice(tail.lastIndexOf('\n') + 1);
      if (morePrompt.test(last)) {
        this.#text = this.#text.slice(0, this.#text.lastIndexOf('\n') + 1);
        if (this.#isOpen) this.#channel.write(' ');
      } else if (
        this.#prompt.test(last) &&
        last.startsWith(this.#promptStart ?? '') &&
        (afterLines === 0 || this.#text.includes('\n'))
      ) {
        return last;
      }
      if (!this.#isOpen) return undefined;
      await new Promise<void>((resolve) => {
        this.#wake = resolve;
      });
      this.#wake = undefined;
    }
  }
}
