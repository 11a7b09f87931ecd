/**
 * Steps over SSH. Enters: steps of many enforcements. Leaves: what is known of each. Invariants: each step's output is its own, so the failure of one is that
 * enforcement's and the rest goes on; `never` is said only of what was not written; no line with a value that its console cannot carry is sent.
 */
import { compilePatterns, lineSucceeded, outcomeText, redactor } from './console-text.js';
import type { OutputPatterns } from './console-text.js';
import { renderCommandLine } from './command-template.js';
import type { CommandTemplate, Dialect } from './command-template.js';
import type { CommandContext, CommandNas } from './command-variable.js';
import type { ReadingCommandName } from '../domain/service-state.js';
import type { CommandOutcome, EnforcementRun } from './driver.js';
import { maxPartOctets, maxReadOctets } from './marked-output.js';
import type { NasClock } from './nas-clock.js';
import { PosixConsole } from './posix-console.js';
import { PromptConsole, canBeTyped } from './prompt-console.js';
import { RouterosConsole } from './routeros-console.js';
import { SshConnection } from './ssh-connection.js';
import type { SshFailure, SshOpened, SshTarget } from './ssh-connection.js';
import type { BatchFrame, LineAnswer, PartAnswer, SshConsole } from './ssh-console.js';
import { SshPool } from './ssh-pool.js';
import type { PooledConsole } from './ssh-pool.js';
import { batchesOf, gatheredCommand, halves } from './ssh-work.js';
import type { SshWork } from './ssh-work.js';
import { inRounds } from './step-rounds.js';
import type { ReadAnswer, StepResult, StepTask, StepTransport } from './step.js';

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

// More runs in one call would only make the first answer late.
const maxRunsInOneCall = 1_000;
// Text kept of what was sent for the history, characters.
const maxSentText = 4_000;

export { compilePatterns, redactor };

type Finish = (work: Pick<SshWork, 'task' | 'lines' | 'into' | 'sentAtMs'>, outcome: CommandOutcome) => void;

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

  async read(
    lines: readonly CommandTemplate[],
    name: ReadingCommandName,
    about: EnforcementRun | undefined,
  ): Promise<ReadAnswer> {
    const data = about?.commands[0]?.data ?? (about?.desired.present === true ? about.desired : undefined);
    const context: CommandContext = {
      nas: this.#around.nas,
      command: name,
      subject: about?.subject,
      session: about?.session,
      data,
      service: undefined,
    };
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
    const finish: Finish = (work, outcome) => {
      const sent = [...(work.into === undefined ? [] : [work.into]), ...work.lines].join('\n');
      results.set(work.task, {
        task: work.task,
        driver: 'ssh',
        sent: this.#around.redact(sent).slice(0, maxSentText),
        sentAtMs: work.sentAtMs,
        answeredAtMs: this.#around.clock.nowMs(),
        attempts: 1,
        outcome,
      });
    };
    let pending = this.#begin(round, finish);
    // Set once: nothing more can be said in this call.
    const lost: CommandOutcome[] = [];
    while (pending.length > 0 && lost.length === 0) {
      const again: SshWork[] = [];
      const { connections } = this.#around;
      const bounds = { maxLines: this.#manner.batchLines, maxOctets: this.#maxBatchOctets, connections };
      const carry = async (batch: readonly SshWork[]): Promise<void> => {
        const used = await this.#pool.use(async (pooled) => {
          if (lost.length > 0) return;
          if (!isOwner()) {
            lost.push({ outcome: 'unreachable', reached: 'never', text: 'another server owns this NAS now' });
            return;
          }
          for (const work of batch) if (work.from === 0) work.sentAtMs = this.#around.clock.nowMs();
          if (batch[0]?.into === undefined) again.push(...(await this.#carrySpoken(pooled, batch, finish)));
          else await this.#carryGathered(pooled, batch, isOwner, finish);
        });
        // One failed connect is enough to know: the rest of this call would wait as long, one after the other.
        if (!used.ok) lost.push(this.#notReached(used.failure));
      };
      await Promise.all(batchesOf(pending, bounds).map(carry));
      const [outcome] = lost;
      if (outcome !== undefined) {
        for (const work of pending) {
          if (results.has(work.task)) continue;
          finish(work, work.from === 0 ? outcome : { outcome: 'unreachable', reached: 'maybe', text: outcome.text });
        }
      }
      pending = again;
    }
    return round.flatMap((task) => results.get(task) ?? []);
  }

  /** Steps with their lines; those that cannot be said, or have nothing to say, are finished. */
  #begin(round: readonly StepTask[], finish: Finish): SshWork[] {
    const nowMs = this.#around.clock.nowMs();
    return round.flatMap((task): SshWork[] => {
      const { step } = task;
      const bare = { task, lines: [], into: undefined, sentAtMs: nowMs };
      if (step.send !== 'ssh') {
        finish(bare, { outcome: 'unsayable', text: `${step.send} is no step of SSH` });
        return [];
      }
      const rendered = this.#render(step.lines, contextOf(this.#around.nas, task));
      if (!rendered.ok) finish(bare, rendered.outcome);
      else if (rendered.lines.length === 0) {
        finish(bare, { outcome: 'applied', evidence: 'not-applicable', text: 'no line applies' });
      } else return [{ task, lines: rendered.lines, into: step.into, from: 0, texts: [], sentAtMs: nowMs }];
      return [];
    });
  }

  /** Says lines to the console. @returns steps whose lines after an ignored failure are still to be said */
  async #carrySpoken(pooled: PooledConsole, batch: readonly SshWork[], finish: Finish): Promise<readonly SshWork[]> {
    const parts = batch.map(({ lines, from }) => lines.slice(from));
    const answers = await this.#say(pooled, parts, maxPartOctets);
    return batch.filter((work, index) => {
      const outcome = this.#take(work, answers[index]);
      if (outcome !== undefined) finish(work, outcome);
      return outcome === undefined;
    });
  }

  /** Gives lines to a program, all at once; when it refuses them, in halves, until those that it refuses stand alone. */
  async #carryGathered(
    pooled: PooledConsole,
    batch: readonly SshWork[],
    isOwner: () => boolean,
    finish: Finish,
  ): Promise<void> {
    let groups: (readonly SshWork[])[] = [batch];
    while (groups.length > 0) {
      const refused: (readonly SshWork[])[] = [];
      const parts = groups.map((group) => [gatheredCommand(group)]);
      const answers = await this.#say(pooled, parts, maxPartOctets);
      groups.forEach((group, index) => {
        const answer = answers[index];
        const [only] = group;
        if (group.length === 1 && only !== undefined) {
          const whole: SshWork = { ...only, lines: ['all of them'] };
          finish(only, this.#take(whole, answer) ?? this.#judgeWhole(whole));
          return;
        }
        const said = answer?.answers[0];
        // What is to be ignored of one would hide that the others were not done.
        const isDone = answer?.end === 'whole' && said !== undefined && this.#isPlainSuccess(said);
        if (isDone) for (const work of group) finish(work, { outcome: 'applied', evidence: 'output', text: '' });
        else if (said !== undefined) refused.push(...halves(group));
        else for (const work of group) finish(work, this.#unanswered(answer));
      });
      groups = refused;
      if (groups.length === 0 || isOwner()) continue;
      const lost: CommandOutcome = {
        outcome: 'unreachable',
        reached: 'maybe',
        text: 'another server owns this NAS now',
      };
      for (const work of groups.flat()) finish(work, lost);
      return;
    }
  }

  #isPlainSuccess({ isFailure, text }: LineAnswer): boolean {
    const { error, success } = this.#manner.patterns;
    return !isFailure && !error.some((pattern) => pattern.test(text)) && (success === undefined || success.test(text));
  }

  /** Takes an answer in. @returns the outcome, or `undefined` when the lines after an ignored failure are still to be said */
  #take(work: SshWork, answer: PartAnswer | undefined): CommandOutcome | undefined {
    const answers = answer?.answers ?? [];
    for (const one of answers) {
      work.texts.push(one.text);
      if (!this.#judge(one))
        return { outcome: 'refused', errorCause: null, text: this.#shown(one.text || 'it failed and said nothing') };
    }
    work.from += answers.length;
    if (answer?.end === 'whole' || (answer?.end === 'stopped' && work.from >= work.lines.length)) {
      return this.#judgeWhole(work);
    }
    if (answer?.end === 'stopped') return undefined;
    const outcome = this.#unanswered(answer);
    return outcome.outcome === 'unreachable' && work.from > 0 ? { ...outcome, reached: 'maybe' } : outcome;
  }

  /** The outcome where an answer has no end. */
  #unanswered(answer: PartAnswer | undefined): CommandOutcome {
    const text = this.#shown(answer?.text ?? '');
    if (answer?.end === 'unread') return { outcome: 'refused', errorCause: null, text };
    return { outcome: 'unreachable', reached: answer?.end === 'never' ? 'never' : 'maybe', text };
  }

  #judgeWhole(work: SshWork): CommandOutcome {
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
