/**
 * Steps by a local script. Enters: steps. Leaves: what its exit code said. Invariants: no shell is involved, the command is the only argument and the
 * variables are the environment, no secret among them; a script never outlives its time, nor do its children; scripts at once and output are bounded.
 */
import { spawn } from 'node:child_process';
import { dirname } from 'node:path';
import { commandEnvironment } from './command-variables.js';
import type { CommandNas } from './command-variable.js';
import { outcomeText, plainOutput } from './console-text.js';
import type { ReadingCommandName } from '../domain/service-state.js';
import type { CommandTemplate } from './command-template.js';
import type { CommandOutcome, EnforcementRun } from './driver.js';
import { maxPartOctets, maxReadOctets } from './marked-output.js';
import type { NasClock } from './nas-clock.js';
import { contextOf } from './ssh-transport.js';
import { inRounds } from './step-rounds.js';
import type { ReadAnswer, StepResult, StepTask, StepTransport } from './step.js';

/** The script of a NAS and its bounds. */
export interface ExecSettings {
  readonly nas: CommandNas;
  /** Absolute path. */
  readonly script: string;
  readonly timeoutMs: number;
  /** Scripts at once. */
  readonly parallel: number;
  readonly redact: (text: string) => string;
  readonly clock: NasClock;
}

// Carbon Billing's contract: these exit codes ask to be called again after 0.017 × attempt hours, ten times at most.
const laterExitCodes: ReadonlySet<number> = new Set([143, 254]);
const laterStepMs = 61_200;
const maxLaterTimes = 10;
// Enforcements that asked to be called later and are remembered; the oldest is forgotten, and starts from one again.
const maxRemembered = 10_000;
// Between SIGTERM and SIGKILL, ms.
const graceMs = 2_000;
// After the last process was killed its pipes close at once; what still holds them open is not waited for. ms
const closingMs = 1_000;

/** How one run of a script ended. */
type ScriptEnd =
  | { readonly end: 'exit'; readonly code: number; readonly output: string }
  | { readonly end: 'signal'; readonly signal: string; readonly output: string }
  | { readonly end: 'timeout'; readonly output: string }
  | { readonly end: 'not-started'; readonly text: string };

/** Runs the script of one NAS. */
export class ExecTransport implements StepTransport {
  readonly maxBatchRuns: number;
  readonly #settings: ExecSettings;
  /** How often an enforcement asked to be called later, in a row. */
  readonly #later = new Map<number, number>();
  readonly #killers = new Set<() => void>();
  #isStopped = false;

  constructor(settings: ExecSettings) {
    this.#settings = settings;
    this.maxBatchRuns = settings.parallel;
  }

  exchange(tasks: readonly StepTask[], isOwner: () => boolean): Promise<readonly StepResult[]> {
    return inRounds(tasks, async (round) => {
      const results: StepResult[] = [];
      const waiting = [...round.entries()];
      const worker = async (): Promise<void> => {
        for (let next = waiting.shift(); next !== undefined; next = waiting.shift()) {
          results[next[0]] = await this.#carryOut(next[1], isOwner);
        }
      };
      await Promise.all(Array.from({ length: Math.min(this.#settings.parallel, round.length) }, worker));
      return results;
    });
  }

  /** Runs a command that reads: what it prints is the answer. */
  async read(
    _lines: readonly CommandTemplate[],
    name: ReadingCommandName,
    about: EnforcementRun | undefined,
  ): Promise<ReadAnswer> {
    const data = about?.desired.present === true ? about.desired : undefined;
    const environment = commandEnvironment({
      nas: this.#settings.nas,
      command: name,
      subject: about?.subject,
      session: about?.session,
      data,
      service: undefined,
    });
    const end = await this.#run(name, environment, maxReadOctets);
    if (end.end === 'exit' && end.code === 0) return { ok: true, output: plainOutput(end.output) };
    return { ok: false, outcome: this.#outcome(0, end) };
  }

  async stop(): Promise<void> {
    this.#isStopped = true;
    for (const kill of this.#killers) kill();
  }

  async #carryOut(task: StepTask, isOwner: () => boolean): Promise<StepResult> {
    const { clock, script, nas } = this.#settings;
    const sentAtMs = clock.nowMs();
    const result = (outcome: CommandOutcome): StepResult => ({
      task,
      driver: 'exec',
      sent: `${script} ${task.command.name}`,
      sentAtMs,
      answeredAtMs: clock.nowMs(),
      attempts: 1,
      outcome,
    });
    if (task.step.send !== 'exec')
      return result({ outcome: 'unsayable', text: `${task.step.send} is no step of a script` });
    if (this.#isStopped) return result({ outcome: 'unreachable', reached: 'never', text: 'this server is stopping' });
    if (!isOwner())
      return result({ outcome: 'unreachable', reached: 'never', text: 'another server owns this NAS now' });
    const environment = commandEnvironment(contextOf(nas, task));
    const unsayable = Object.entries(environment).find(
      ([, value]) => value.includes('\0') || value.length > maxPartOctets,
    );
    if (unsayable !== undefined)
      return result({ outcome: 'unsayable', text: `the value of $${unsayable[0]} cannot stand in an environment` });
    const end = await this.#run(task.command.name, environment);
    return result(this.#outcome(task.run.enforcementId, end));
  }

  #outcome(enforcementId: number, end: ScriptEnd): CommandOutcome {
    const shown = (text: string): string => this.#settings.redact(outcomeText(plainOutput(text)));
    if (end.end === 'not-started') return { outcome: 'unreachable', reached: 'never', text: end.text };
    if (end.end === 'timeout') {
      const text = `killed after ${this.#settings.timeoutMs} ms ${shown(end.output)}`.trim();
      return { outcome: 'unreachable', reached: 'maybe', text };
    }
    if (end.end === 'exit' && laterExitCodes.has(end.code))
      return this.#askedLater(enforcementId, end.code, shown(end.output));
    this.#later.delete(enforcementId);
    if (end.end === 'signal') return { outcome: 'unreachable', reached: 'maybe', text: `ended by ${end.signal}` };
    if (end.code === 0) return { outcome: 'applied', evidence: 'exit-code', text: shown(end.output) };
    return { outcome: 'refused', errorCause: null, text: `exit code ${end.code} ${shown(end.output)}`.trim() };
  }

  #askedLater(enforcementId: number, code: number, output: string): CommandOutcome {
    const times = (this.#later.get(enforcementId) ?? 0) + 1;
    this.#later.delete(enforcementId);
    if (times > maxLaterTimes) {
      return {
        outcome: 'refused',
        errorCause: null,
        text: `asked to be called later ${maxLaterTimes} times ${output}`.trim(),
      };
    }
    this.#later.set(enforcementId, times);
    const oldest = this.#later.size > maxRemembered ? this.#later.keys().next() : undefined;
    if (oldest?.done === false) this.#later.delete(oldest.value);
    return { outcome: 'later', afterMs: laterStepMs * times, text: `exit code ${code} ${output}`.trim() };
  }

  #run(argument: string, environment: Readonly<Record<string, string>>, maxOutput = maxPartOctets): Promise<ScriptEnd> {
    const { script, timeoutMs, clock } = this.#settings;
    return new Promise((resolve) => {
      // In a group of its own, so that its children end with it.
      const child = spawn(script, [argument], {
        cwd: dirname(script),
        env: { PATH: process.env['PATH'] ?? '/usr/bin:/bin', LC_ALL: 'C.UTF-8', ...environment },
        stdio: ['ignore', 'pipe', 'pipe'],
        detached: true,
      });
      let output = '';
      let isLate = false;
      let exited: { code: number | null; signal: string | null } | undefined;
      const callOffs: (() => void)[] = [];
      const killGroup = (signal: NodeJS.Signals): void => {
        if (child.pid === undefined) return;
        try {
          process.kill(-child.pid, signal);
        } catch (error) {
          // ESRCH: all of it is gone already.
          if (!(error instanceof Error && 'code' in error && error.code === 'ESRCH')) throw error;
        }
      };
      const kill = (): void => {
        killGroup('SIGTERM');
        callOffs.push(clock.startTimer(graceMs, () => killGroup('SIGKILL')));
      };
      const finish = (end: ScriptEnd): void => {
        for (const callOff of callOffs) callOff();
        this.#killers.delete(kill);
        child.stdout.destroy();
        child.stderr.destroy();
        resolve(end);
      };
      const ended = (): void => {
        if (exited === undefined) return;
        // Whatever it left behind has lost its purpose.
        killGroup('SIGKILL');
        if (isLate) finish({ end: 'timeout', output });
        else if (exited.code !== null) finish({ end: 'exit', code: exited.code, output });
        else finish({ end: 'signal', signal: exited.signal ?? 'a signal', output });
      };
      const read = (chunk: Buffer): void => {
        if (output.length < maxOutput) output += chunk.toString('utf8');
      };
      child.stdout.on('data', read);
      child.stderr.on('data', read);
      child.once('error', (error: NodeJS.ErrnoException) => {
        if (child.pid === undefined)
          finish({ end: 'not-started', text: `the script cannot be run: ${error.code ?? 'unknown'}` });
      });
      child.once('exit', (code, signal) => {
        exited = { code, signal };
        callOffs.push(clock.startTimer(closingMs, ended));
      });
      child.once('close', ended);
      callOffs.push(
        clock.startTimer(timeoutMs, () => {
          isLate = true;
          kill();
        }),
      );
      this.#killers.add(kill);
    });
  }
}
