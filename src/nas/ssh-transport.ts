/**
 * Steps over SSH. Enters: steps of many enforcements. Leaves: what is known of each. Invariants: each step's output is its own, so the failure of one is that
 * enforcement's and the rest goes on; `never` is said only of what was not written; no line with a value that its console cannot carry is sent.
 */
import { compilePatterns, lineSucceeded, outcomeText, redactor } from './console-text.js';
import type { OutputPatterns } from './console-text.js';
import { renderCommandLine } from './command-template.js';
import type { CommandTemplate, Dialect } from './command-template.js';
import type { CommandContext, CommandNas } from './command-variable.js';
import type { CommandOutcome } from './driver.js';
import { maxPartOctets, maxReadOctets } from './marked-output.js';
import type { NasClock } from './nas-clock.js';
import { PosixConsole } from './posix-console.js';
import { PromptConsole, canBeTyped } from './prompt-console.js';
import { RouterosConsole } from './routeros-console.js';
import { SshConnection } from './ssh-connection.js';
import type { SshFailure, SshOpened, SshTarget } from './ssh-connection.js';
import type { BatchFrame, PartAnswer, SshConsole } from './ssh-console.js';
import { SshPool } from './ssh-pool.js';
import type { PooledConsole } from './ssh-pool.js';
import { inRounds } from './step-rounds.js';
import type { StepResult, StepTask, StepTransport } from './step.js';

/** How a profile wants to be spoken to over SSH, fit for use. */
export interface SshManner {
  readonly dialect: Dialect;
  readonly mode: 'exec' | 'prompt';
  readonly prompt: RegExp | undefined;
  readonly prologue: readonly CommandTemplate[];
  readonly epilogue: readonly CommandTemplate[];
  readonly patterns: OutputPatterns;
  readonly batchLines: number;
}

/** Everything that a transport needs of its surroundings. */
export interface SshSurroundings {
  readonly nas: CommandNas;
  readonly target: SshTarget;
  readonly connections: number;
  readonly commandTimeoutMs: number;
  /** The fingerprint that the host key must have; asked at each connect, so that a decision to trust counts at once. */
  readonly hostKey: () => Promise<string | undefined>;
  /** Called when a host key was refused, or none is known. */
  readonly onHostKeyRefused: (refused: { readonly known: string | undefined; readonly offered: string }) => void;
  /** Hides secrets in texts. */
  readonly redact: ReturnType<typeof redactor>;
  readonly clock: NasClock;
}

/** What a reading command printed. */
export type ReadAnswer =
  { readonly ok: true; readonly output: string } | { readonly ok: false; readonly outcome: CommandOutcome };

// More runs in one call would only make the first answer late.
const maxRunsInOneCall = 1_000;
// Text kept of what was sent for the history, characters.
const maxSentText = 4_000;
// What a line costs beside its own text in a batch: marks and guards, octets.
const lineOverheadOctets = 220;

export { compilePatterns, redactor };

/** One step on its way. */
interface Work {
  readonly task: StepTask;
  readonly lines: readonly string[];
  /** Lines that are done. */
  from: number;
  readonly texts: string[];
  sentAtMs: number;
}

/** Speaks to one NAS over SSH. */
export class SshTransport implements StepTransport {
  readonly maxBatchRuns: number;
  readonly #manner: SshManner;
  readonly #around: SshSurroundings;
  readonly #pool: SshPool;
  readonly #maxBatchOctets: number;

  constructor(manner: SshManner, around: SshSurroundings) {
    this.#manner = manner;
    this.#around = around;
    this.maxBatchRuns = Math.min(maxRunsInOneCall, manner.batchLines * around.connections);
    this.#pool = new SshPool(
      around.connections,
      () => this.#open(),
      (connection) => this.#consoleOn(connection),
    );
    this.#maxBatchOctets = manner.dialect === 'routeros' && manner.mode === 'exec' ? 24_000 : 500_000;
  }

  exchange(tasks: readonly StepTask[], isOwner: () => boolean): Promise<readonly StepResult[]> {
    return inRounds(tasks, (round) => this.#round(round, isOwner));
  }

  /**
   * Says lines that read and change nothing.
   *
   * @returns all that they printed
   */
  async read(lines: readonly CommandTemplate[], context: CommandContext): Promise<ReadAnswer> {
    const rendered = this.#render(lines, context);
    if (!rendered.ok) return { ok: false, outcome: rendered.outcome };
    const used = await this.#pool.use((pooled) => this.#say(pooled, [rendered.lines], maxReadOctets));
    if (!used.ok) return { ok: false, outcome: this.#notReached(used.failure) };
    const [answer] = used.result;
    const last = answer?.answers.at(-1);
    if (answer?.end === 'whole' && last !== undefined && !answer.answers.some((one) => !this.#judge(one))) {
      return { ok: true, output: answer.answers.map(({ text }) => text).join('\n') };
    }
    return {
      ok: false,
      outcome: { outcome: 'refused', errorCause: null, text: this.#shown(answer?.text || last?.text || 'no answer') },
    };
  }

  async stop(): Promise<void> {
    this.#pool.stop();
  }

  async #round(round: readonly StepTask[], isOwner: () => boolean): Promise<readonly StepResult[]> {
    const results = new Map<StepTask, StepResult>();
    const finish = (work: Pick<Work, 'task' | 'lines' | 'sentAtMs'>, outcome: CommandOutcome): void => {
      results.set(work.task, {
        task: work.task,
        driver: 'ssh',
        sent: this.#around.redact(work.lines.join('\n')).slice(0, maxSentText),
        sentAtMs: work.sentAtMs,
        answeredAtMs: this.#around.clock.nowMs(),
        attempts: 1,
        outcome,
      });
    };
    let pending: Work[] = [];
    const now = this.#around.clock.nowMs();
    for (const task of round) {
      const rendered =
        task.step.send === 'ssh'
          ? this.#render(task.step.lines, contextOf(this.#around.nas, task))
          : {
              ok: false as const,
              outcome: { outcome: 'unsayable', text: `${task.step.send} is no step of SSH` } as const,
            };
      if (!rendered.ok) finish({ task, lines: [], sentAtMs: now }, rendered.outcome);
      else if (rendered.lines.length === 0) {
        finish(
          { task, lines: [], sentAtMs: now },
          { outcome: 'applied', evidence: 'not-applicable', text: 'no line applies' },
        );
      } else pending.push({ task, lines: rendered.lines, from: 0, texts: [], sentAtMs: now });
    }
    let down: CommandOutcome | undefined;
    while (pending.length > 0) {
      const again: Work[] = [];
      await Promise.all(
        this.#batches(pending).map((batch) =>
          this.#pool
            .use(async (pooled) => {
              if (down !== undefined) return;
              if (!isOwner()) {
                down = { outcome: 'unreachable', reached: 'never', text: 'another server owns this NAS now' };
                return;
              }
              for (const work of batch) if (work.from === 0) work.sentAtMs = this.#around.clock.nowMs();
              const answers = await this.#say(
                pooled,
                batch.map(({ lines, from }) => lines.slice(from)),
                maxPartOctets,
              );
              batch.forEach((work, index) => {
                const outcome = this.#take(work, answers[index]);
                if (outcome === undefined) again.push(work);
                else finish(work, outcome);
              });
            })
            .then((used) => {
              // One failed connect is enough to know: the rest of this call would wait as long, one after the other.
              if (!used.ok) down ??= this.#notReached(used.failure);
            }),
        ),
      );
      if (down !== undefined) {
        for (const work of pending) {
          if (results.has(work.task)) continue;
          finish(work, work.from === 0 ? down : { ...down, ...{ outcome: 'unreachable', reached: 'maybe' } });
        }
        break;
      }
      pending = again;
    }
    return round.flatMap((task) => results.get(task) ?? []);
  }

  /** Takes an answer in. @returns the outcome, or `undefined` when the lines after an ignored failure are still to be said */
  #take(work: Work, answer: PartAnswer | undefined): CommandOutcome | undefined {
    const answers = answer?.answers ?? [];
    for (const one of answers) {
      work.texts.push(one.text);
      if (!this.#judge(one))
        return { outcome: 'refused', errorCause: null, text: this.#shown(one.text || 'it failed and said nothing') };
    }
    work.from += answers.length;
    const why = this.#shown(answer?.text ?? '');
    if (answer?.end === 'unread') return { outcome: 'refused', errorCause: null, text: why };
    if (answer?.end === 'whole' || (answer?.end === 'stopped' && work.from >= work.lines.length))
      return this.#judgeWhole(work);
    if (answer?.end === 'stopped') return undefined;
    const reached = answer?.end === 'never' && work.from === 0 ? 'never' : 'maybe';
    return { outcome: 'unreachable', reached, text: why };
  }

  #judgeWhole(work: Work): CommandOutcome {
    const { success } = this.#manner.patterns;
    const text = work.texts.filter((one) => one !== '').join('\n');
    if (success !== undefined && !success.test(text)) {
      return { outcome: 'refused', errorCause: null, text: this.#shown(`no sign of success in: ${text}`) };
    }
    return { outcome: 'applied', evidence: 'output', text: this.#shown(text) };
  }

  readonly #judge = (answer: { readonly isFailure: boolean; readonly text: string }): boolean =>
    lineSucceeded(this.#manner.patterns, answer.isFailure, answer.text);

  #shown(text: string): string {
    return this.#around.redact(outcomeText(text));
  }

  #render(
    lines: readonly CommandTemplate[],
    context: CommandContext,
  ):
    | { readonly ok: true; readonly lines: readonly string[] }
    | { readonly ok: false; readonly outcome: CommandOutcome } {
    const rendered: string[] = [];
    for (const template of lines) {
      const line = renderCommandLine(template, context);
      if (line.outcome === 'unsayable') return { ok: false, outcome: line };
      if (line.outcome === 'left-out') continue;
      if (this.#manner.mode === 'prompt' && !canBeTyped(line.line)) {
        return {
          ok: false,
          outcome: { outcome: 'unsayable', text: 'a value has control characters, and a terminal acts on them' },
        };
      }
      rendered.push(line.line);
    }
    return { ok: true, lines: rendered };
  }

  /** Batches of whole steps, none with more lines or text than one exchange carries. */
  #batches(pending: readonly Work[]): Work[][] {
    const batches: Work[][] = [];
    let lines = Infinity;
    let octets = Infinity;
    // With several connections each gets its share at once.
    const share = Math.ceil(
      pending.reduce((sum, { lines: all, from }) => sum + all.length - from, 0) / this.#pool.size,
    );
    const maxLines = Math.max(1, Math.min(this.#manner.batchLines, share));
    for (const work of pending) {
      const left = work.lines.slice(work.from);
      const size = left.reduce((sum, line) => sum + Buffer.byteLength(line) + lineOverheadOctets, lineOverheadOctets);
      lines += left.length;
      octets += size;
      if (lines > maxLines || octets > this.#maxBatchOctets) {
        batches.push([]);
        lines = left.length;
        octets = size;
      }
      batches.at(-1)?.push(work);
    }
    return batches;
  }

  async #say(
    pooled: PooledConsole,
    parts: readonly (readonly string[])[],
    maxTextOctets: number,
  ): Promise<readonly PartAnswer[]> {
    const { commandTimeoutMs, clock } = this.#around;
    let isLate = false;
    const callOff = clock.startTimer(commandTimeoutMs, () => {
      isLate = true;
      pooled.breakOff();
    });
    try {
      const answers = await pooled.console.exchange(parts, this.#judge, maxTextOctets);
      if (!isLate) return answers;
      const text = `no answer in ${commandTimeoutMs} ms`;
      return answers.map((answer) => (answer.end === 'maybe' || answer.end === 'never' ? { ...answer, text } : answer));
    } finally {
      callOff();
    }
  }

  async #open(): Promise<SshOpened> {
    const known = await this.#around.hostKey();
    const opened = await SshConnection.open(this.#around.target, known);
    if (!opened.ok && opened.failure.offered !== undefined && opened.failure.reason.startsWith('host-key')) {
      this.#around.onHostKeyRefused({ known, offered: opened.failure.offered });
    }
    return opened;
  }

  #notReached(failure: SshFailure): CommandOutcome {
    return { outcome: 'unreachable', reached: 'never', text: this.#shown(failure.text) };
  }

  #consoleOn(connection: SshConnection): SshConsole {
    const context: CommandContext = {
      nas: this.#around.nas,
      command: '',
      subject: undefined,
      session: undefined,
      data: undefined,
      service: undefined,
    };
    const frameLines = (templates: readonly CommandTemplate[]): string[] =>
      templates.flatMap((template) => {
        const line = renderCommandLine(template, context);
        return line.outcome === 'line' ? [line.line] : [];
      });
    const frame: BatchFrame = {
      prologue: frameLines(this.#manner.prologue),
      epilogue: frameLines(this.#manner.epilogue),
    };
    if (this.#manner.mode === 'prompt') {
      return new PromptConsole(connection, frame, this.#manner.prompt ?? /[>#$%\]]\s*$/u);
    }
    return this.#manner.dialect === 'routeros'
      ? new RouterosConsole(connection, frame)
      : new PosixConsole(connection, frame);
  }
}

/** What the templates of a task may say. */
export function contextOf(nas: CommandNas, { run, command }: Pick<StepTask, 'run' | 'command'>): CommandContext {
  return {
    nas,
    command: command.name,
    subject: run.subject,
    session: run.session,
    data: command.data,
    service: command.service,
  };
}
