/**
 * One NAS by its profile. Enters: runs of commands. Leaves: what is known of each command. Invariants: steps are taken in their order, and none after one
 * that was not applied; the fallback is taken once, and only after a refusal; a command that the profile never defined is `unsayable`, never silently done.
 */
import { setImmediate as nextTurn } from 'node:timers/promises';
import type { ReadingCommandName } from '../domain/service-state.js';
import { outcomeText } from './console-text.js';
import { listedEntries, mergedEntries, type ListingManner } from './listed-entries.js';
import type { ListedEntry } from './driver.js';
import type { CommandOutcome, CommandResult, DriverName, EnforcementRun, NasDriver, RunResult } from './driver.js';
import type { NasClock } from './nas-clock.js';
import { ReadBack, type ReadBackManner } from './read-back.js';
import type { CompiledCommands, CompiledStep, ReadAnswer, StepResult, StepTask, StepTransport } from './step.js';

/** The ways to a NAS; one that is missing is not configured. */
export type Transports = Readonly<Partial<Record<DriverName, StepTransport>>>;

/** The entries of a NAS, or why they are not known. */
export type ListAnswer =
  { readonly ok: true; readonly entries: readonly ListedEntry[] } | Extract<ReadAnswer, { readonly ok: false }>;

// Text kept of what was sent for one command, characters.
const maxSentText = 8_000;

// Lines of a list that are read before requests are answered again: some milliseconds.
const listSlice = 1_000;

/** Which transport takes a step. */
export function driverOf(step: CompiledStep): DriverName {
  return step.send === 'ssh' || step.send === 'exec' ? step.send : 'coa';
}

/** Where a run is. */
interface Cursor {
  readonly run: EnforcementRun;
  readonly results: CommandResult[];
  command: number;
  steps: readonly CompiledStep[];
  step: number;
  isFallback: boolean;
  /** Of the command at hand. */
  done: StepResult[];
  /** Why the fallback was taken. */
  refusal: StepResult | undefined;
  /** A Disconnect took the place of a command: there is no session any more that the rest could be said about. */
  isSessionEnded: boolean;
  isOver: boolean;
}

/** Steps of one run that go to a transport together. */
interface Stretch {
  readonly cursor: Cursor;
  readonly tasks: readonly StepTask[];
}

/** Carries out commands as the profile of a NAS says. */
export class ProfileDriver implements NasDriver {
  readonly maxBatchRuns: number;
  readonly #commands: CompiledCommands;
  readonly #transports: Transports;
  readonly #clock: NasClock;
  readonly #listing: ListingManner | undefined;
  readonly #readBack: ReadBack | undefined;

  /**
   * @param listing how what `users_from_nas` prints is read
   * @param readBack how the NAS is asked whether it did what it acknowledged; undefined: it is believed
   */
  constructor(
    commands: CompiledCommands,
    transports: Transports,
    clock: NasClock,
    listing?: ListingManner,
    readBack?: ReadBackManner,
  ) {
    this.#readBack =
      readBack === undefined
        ? undefined
        : new ReadBack(readBack, (about) => this.read('user_info', about), readingDriver(commands), clock);
    this.#listing = listing;
    this.#commands = commands;
    this.#transports = transports;
    this.#clock = clock;
    const used = new Set(
      [...commands.values()].flatMap(({ steps, fallback }) => [...steps, ...fallback].map(driverOf)),
    );
    const limits = [...used].flatMap((driver) => transports[driver]?.maxBatchRuns ?? []);
    this.maxBatchRuns = Math.max(1, limits.length === 0 ? 1 : Math.min(...limits));
  }

  async run(runs: readonly EnforcementRun[], isOwner: () => boolean): Promise<readonly RunResult[]> {
    const cursors = runs.map((run): Cursor => {
      const cursor: Cursor = {
        run,
        results: [],
        command: -1,
        steps: [],
        step: 0,
        isFallback: false,
        done: [],
        refusal: undefined,
        isSessionEnded: false,
        isOver: false,
      };
      this.#nextCommand(cursor);
      return cursor;
    });
    for (;;) {
      const round = new Map<DriverName, Stretch[]>();
      for (const cursor of cursors) {
        if (cursor.isOver) continue;
        const { driver, tasks } = this.#stretchOf(cursor);
        const stretches = round.get(driver);
        if (stretches === undefined) round.set(driver, [{ cursor, tasks }]);
        else stretches.push({ cursor, tasks });
      }
      if (round.size === 0) break;
      await Promise.all([...round].map(([driver, entries]) => this.#exchange(driver, entries, isOwner)));
    }
    return await Promise.all(cursors.map(async (cursor) => this.#resultOf(cursor)));
  }

  async stop(): Promise<void> {
    this.#readBack?.stop();
    await Promise.all(Object.values(this.#transports).map((transport) => transport.stop()));
  }

  /**
   * Carries out a command that reads, in the words of the profile.
   *
   * @param about whom it asks about; `undefined` for `users_from_nas`
   * @returns what the NAS printed, or why there is nothing
   */
  async read(name: ReadingCommandName, about: EnforcementRun | undefined): Promise<ReadAnswer> {
    const { ssh, exec } = this.#transports;
    const steps = this.#commands.get(name)?.steps ?? [];
    if (steps.some((step) => step.send === 'exec') && exec?.read !== undefined) return exec.read([], name, about);
    const lines = steps.flatMap((step) => (step.send === 'ssh' && step.into === undefined ? step.lines : []));
    if (lines.length === 0 || ssh?.read === undefined) {
      return {
        ok: false,
        outcome: { outcome: 'unsayable', text: `the profile does not say how ${name} is done over SSH or by a script` },
      };
    }
    return ssh.read(lines, name, about);
  }

  /** What the NAS says it has. */
  async list(): Promise<ListAnswer> {
    const answer = await this.read('users_from_nas', undefined);
    if (!answer.ok) return answer;
    const pieces = answer.output.split(this.#listing?.entry === undefined ? /[\n,]/u : '\n');
    const entries: ListedEntry[] = [];
    for (let from = 0; from < pieces.length; from += listSlice) {
      entries.push(...listedEntries(pieces.slice(from, from + listSlice).join('\n'), this.#listing));
      await nextTurn();
    }
    return { ok: true, entries: this.#listing === undefined ? entries : mergedEntries(entries, this.#listing) };
  }

  async #resultOf({ run, results }: Cursor): Promise<RunResult> {
    const isWhole = results.length === run.commands.length;
    const seen = isWhole ? await this.#readBack?.check(run, results) : undefined;
    return { enforcementId: run.enforcementId, results: seen === undefined ? results : [...results, seen] };
  }

  /** The next steps of a run that go the same way, across its commands: a transport may put them into one packet. */
  #stretchOf(cursor: Cursor): { readonly driver: DriverName; readonly tasks: readonly StepTask[] } {
    const { run } = cursor;
    const tasks = cursor.steps.slice(cursor.step).map((step) => ({ run, command: commandOf(cursor), step }));
    for (const command of endsSession(cursor) ? [] : run.commands.slice(cursor.command + 1)) {
      const compiled = this.#commands.get(command.name);
      if (compiled?.notApplicable !== undefined) continue;
      if (compiled === undefined || compiled.steps.length === 0) break;
      tasks.push(...compiled.steps.map((step) => ({ run, command, step })));
    }
    const [first] = tasks;
    const driver = first === undefined ? this.#anyDriver() : driverOf(first.step);
    const turn = tasks.findIndex(({ step }) => driverOf(step) !== driver);
    return { driver, tasks: turn < 0 ? tasks : tasks.slice(0, turn) };
  }

  async #exchange(driver: DriverName, stretches: readonly Stretch[], isOwner: () => boolean): Promise<void> {
    const transport = this.#transports[driver];
    const missing = (task: StepTask, outcome: CommandOutcome): StepResult => {
      const nowMs = this.#clock.nowMs();
      return { task, driver, sent: '', sentAtMs: nowMs, answeredAtMs: nowMs, attempts: 0, outcome };
    };
    const begun =
      transport === undefined
        ? []
        : await transport.exchange(
            stretches.flatMap(({ tasks }) => tasks),
            isOwner,
          );
    const byTask = new Map(begun.map((result) => [result.task, result]));
    const otherwise: CommandOutcome =
      transport === undefined
        ? { outcome: 'unsayable', text: `${driver} is not configured for this NAS` }
        : { outcome: 'unreachable', reached: 'never', text: 'not begun' };
    for (const { cursor, tasks } of stretches) {
      for (const task of tasks) {
        const result = byTask.get(task) ?? missing(task, otherwise);
        this.#take(cursor, result);
        // The steps behind it are of no account any more: the run is over, or goes on by the fallback.
        if (result.outcome.outcome !== 'applied') break;
      }
    }
  }

  #take(cursor: Cursor, result: StepResult): void {
    cursor.done.push(result);
    if (result.outcome.outcome === 'applied') {
      cursor.step += 1;
      if (cursor.step < cursor.steps.length) return;
      if (endsSession(cursor)) cursor.isSessionEnded = true;
      this.#close(cursor, mergedOutcome(cursor));
      return;
    }
    const fallback = this.#commands.get(commandOf(cursor).name)?.fallback ?? [];
    if (result.outcome.outcome === 'refused' && !cursor.isFallback && fallback.length > 0) {
      cursor.isFallback = true;
      cursor.refusal = result;
      cursor.steps = fallback;
      cursor.step = 0;
      return;
    }
    this.#close(cursor, mergedOutcome(cursor));
  }

  #close(cursor: Cursor, outcome: CommandOutcome): void {
    const first = cursor.done[0];
    const last = cursor.done.at(-1);
    const nowMs = this.#clock.nowMs();
    cursor.results.push({
      command: commandOf(cursor),
      driver: last?.driver ?? 'ssh',
      sent: cursor.done
        .flatMap(({ sent }) => (sent === '' ? [] : [sent]))
        .join('\n')
        .slice(0, maxSentText),
      sentAtMs: first?.sentAtMs ?? nowMs,
      answeredAtMs: last?.answeredAtMs ?? nowMs,
      attempts: cursor.done.reduce((sum, { attempts }) => sum + attempts, 0),
      outcome,
    });
    if (outcome.outcome === 'applied') this.#nextCommand(cursor);
    else cursor.isOver = true;
  }

  /** Goes to the next command that has something to send. */
  #nextCommand(cursor: Cursor): void {
    for (;;) {
      cursor.command += 1;
      cursor.done = [];
      cursor.refusal = undefined;
      cursor.isFallback = false;
      cursor.step = 0;
      const planned = cursor.run.commands[cursor.command];
      if (planned === undefined) {
        cursor.isOver = true;
        return;
      }
      const compiled = this.#commands.get(planned.name);
      cursor.steps = compiled?.steps ?? [];
      const isMoot = cursor.isSessionEnded && cursor.steps.every((step) => driverOf(step) === 'coa');
      const needless = compiled?.notApplicable ?? (isMoot ? 'its session was ended instead' : undefined);
      if (needless === undefined && cursor.steps.length > 0) return;
      const outcome: CommandOutcome =
        needless === undefined
          ? { outcome: 'unsayable', text: `the profile does not say how ${planned.name} is done` }
          : { outcome: 'applied', evidence: 'not-applicable', text: outcomeText(needless) };
      const nowMs = this.#clock.nowMs();
      const driver = this.#anyDriver();
      cursor.results.push({
        command: planned,
        driver,
        sent: '',
        sentAtMs: nowMs,
        answeredAtMs: nowMs,
        attempts: 0,
        outcome,
      });
      if (outcome.outcome === 'applied') continue;
      cursor.isOver = true;
      return;
    }
  }

  /** Under which name a command that sends nothing stands in the history. */
  #anyDriver(): DriverName {
    const [first] = [...this.#commands.values()].flatMap(({ steps }) => steps.map(driverOf));
    return first ?? 'coa';
  }
}

function commandOf(cursor: Cursor): EnforcementRun['commands'][number] {
  const command = cursor.run.commands[cursor.command];
  if (command === undefined) throw new Error('a cursor stands behind its last command');
  return command;
}

/** Whether what is being done is to end the session in place of a command about it. */
function endsSession({ isFallback, steps }: Cursor): boolean {
  return isFallback && steps.every((step) => step.send === 'disconnect');
}

/** The outcome of the last step, with the texts of those before it. */
function mergedOutcome({ done, refusal, steps }: Cursor): CommandOutcome {
  const last = done.at(-1);
  if (last === undefined) return { outcome: 'unsayable', text: 'nothing to send' };
  const texts = done.flatMap(({ outcome }) => (outcome.text === '' ? [] : [outcome.text]));
  const text = outcomeText([...new Set(texts)].join(' | '));
  // Something of this command was carried out before: that it never arrived holds for its last step alone.
  const earlier = done.slice(0, -1).some(({ outcome }) => outcome.outcome !== 'refused');
  if (last.outcome.outcome === 'unreachable' && last.outcome.reached === 'never' && earlier) {
    return { outcome: 'unreachable', reached: 'maybe', text };
  }
  if (last.outcome.outcome === 'applied' && refusal === undefined && steps.length > 1) {
    const real = done.find(({ outcome }) => outcome.outcome === 'applied' && outcome.evidence !== 'not-applicable');
    const evidence = real?.outcome.outcome === 'applied' ? real.outcome.evidence : last.outcome.evidence;
    return { outcome: 'applied', evidence, text };
  }
  return { ...last.outcome, text };
}

/** By what one subscriber is read. */
function readingDriver(commands: CompiledCommands): DriverName {
  return commands.get('user_info')?.steps.some(({ send }) => send === 'exec') === true ? 'exec' : 'ssh';
}
