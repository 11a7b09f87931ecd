/**
 * Looks whether a NAS did what it acknowledged. Enters: a run whose commands were acknowledged, what `user_info` prints. Leaves: one more result for the
 * run, or none. Invariants: nothing is judged by output that neither pattern of the profile knows; few are looked at at once, so that a sample slows
 * nobody down; what was once found out to be false is always looked at.
 */
import { isSampled, readBackDifferences, type SeenService } from '../domain/read-back.js';
import { outcomeText } from './console-text.js';
import type { CommandOutcome, CommandResult, DriverName, EnforcementRun } from './driver.js';
import type { NasClock } from './nas-clock.js';
import type { ReadAnswer } from './step.js';

/** Subscribers of one NAS that are looked at at once: the sample is for finding boxes that lie, not for loading them. */
const MAX_AT_ONCE = 4;
/** Output that patterns run over, characters: one subscriber fills some screens at most. */
const MAX_OUTPUT = 16_384;

/** How it is read back what a NAS has of one subscriber. */
export interface ReadBackManner {
  /** From 1 to 100. */
  readonly percent: number;
  /** How long a NAS may take to do what it acknowledged, ms. */
  readonly afterMs: number;
  /** With the named groups of `read_back.there` in a profile. */
  readonly there: RegExp;
  readonly gone: RegExp;
  /** In what the NAS shows rates, bit/s. */
  readonly unitBps: number;
}

/** What of a profile says so. */
export interface ReadBackSettings {
  readonly coa: { readonly readBackPercent: number };
  readonly readBack?:
    | {
        readonly there: string;
        readonly gone: string;
        readonly rateUnitBps: number;
        readonly afterMs: number;
      }
    | undefined;
}

/** @returns undefined: this kind of NAS is believed */
export function readBackManner({ coa, readBack }: ReadBackSettings): ReadBackManner | undefined {
  if (coa.readBackPercent === 0 || readBack === undefined) return undefined;
  return {
    percent: coa.readBackPercent,
    afterMs: readBack.afterMs,
    there: new RegExp(readBack.there, 'mu'),
    gone: new RegExp(readBack.gone, 'mu'),
    unitBps: readBack.rateUnitBps,
  };
}

/** What output says; undefined: nobody can tell. */
export function seenService(output: string, { there, gone, unitBps }: ReadBackManner): SeenService | undefined {
  const text = output.slice(0, MAX_OUTPUT);
  const match = there.exec(text);
  if (match === null) return gone.test(text) ? { isThere: false, policy: {} } : undefined;
  const groups = match.groups ?? {};
  const flag = (name: string, key: 'blocked' | 'redirect' | 'ownDisabled') =>
    there.source.includes(`(?<${name}>`) ? { [key]: (groups[name] ?? '') !== '' } : {};
  const rate = (name: string, key: 'downBps' | 'upBps') => {
    const said = groups[name];
    if (said === undefined || !/^[0-9]{1,15}$/u.test(said)) return {};
    return { [key]: Number(said) === 0 ? null : Number(said) * unitBps };
  };
  return {
    isThere: true,
    policy: {
      ...flag('blocked', 'blocked'),
      ...flag('redirect', 'redirect'),
      ...flag('own_disabled', 'ownDisabled'),
      ...rate('down', 'downBps'),
      ...rate('up', 'upBps'),
    },
  };
}

/** Reads back for one NAS. */
export class ReadBack {
  readonly #manner: ReadBackManner;
  readonly #read: (about: EnforcementRun) => Promise<ReadAnswer>;
  readonly #clock: NasClock;
  readonly #driver: DriverName;
  readonly #waiting = new Set<() => void>();
  #atOnce = 0;
  #isStopped = false;

  /**
   * @param read says `user_info` of its profile
   * @param driver by which it does
   */
  constructor(
    manner: ReadBackManner,
    read: (about: EnforcementRun) => Promise<ReadAnswer>,
    driver: DriverName,
    clock: NasClock,
  ) {
    this.#driver = driver;
    this.#manner = manner;
    this.#read = read;
    this.#clock = clock;
  }

  /**
   * Looks at what a run was to bring about, when it is in the sample.
   *
   * @param results of all its commands
   * @returns as another result of its last command: applied, read back; or disproved; or that it could not be read. undefined: it was not looked at
   */
  async check(run: EnforcementRun, results: readonly CommandResult[]): Promise<CommandResult | undefined> {
    const last = results.at(-1);
    if (last === undefined || !this.#isWanted(run, results)) return undefined;
    this.#atOnce += 1;
    try {
      if (!(await this.#wait())) return undefined;
      const sentAtMs = this.#clock.nowMs();
      const answer = await this.#read(run);
      return {
        command: last.command,
        driver: this.#driver,
        sent: 'user_info',
        sentAtMs,
        answeredAtMs: this.#clock.nowMs(),
        attempts: 1,
        outcome: this.#judge(run, answer),
        isReadBack: true,
      };
    } finally {
      this.#atOnce -= 1;
    }
  }

  /** Nothing is waited for any more. */
  stop(): void {
    this.#isStopped = true;
    for (const end of [...this.#waiting]) end();
  }

  #isWanted({ enforcementId, generation, isSuspect }: EnforcementRun, results: readonly CommandResult[]): boolean {
    if (this.#isStopped || generation === undefined) return false;
    const isByWord = results.some(({ outcome }) => outcome.outcome === 'applied' && outcome.evidence === 'ack');
    if (!isByWord || results.some(({ outcome }) => outcome.outcome !== 'applied')) return false;
    if (isSuspect === true) return true;
    return this.#atOnce < MAX_AT_ONCE && isSampled(enforcementId, generation, this.#manner.percent);
  }

  /** @returns whether it is to be looked at after all */
  async #wait(): Promise<boolean> {
    await new Promise<void>((resolve) => {
      const end = (): void => {
        this.#waiting.delete(end);
        cancel();
        resolve();
      };
      const cancel = this.#clock.startTimer(this.#manner.afterMs, end);
      this.#waiting.add(end);
    });
    return !this.#isStopped;
  }

  #judge({ desired }: EnforcementRun, answer: ReadAnswer): CommandOutcome {
    const unread = (text: string): CommandOutcome => ({
      outcome: 'unreachable',
      reached: 'maybe',
      text: `it could not be read back: ${text}`,
    });
    if (!answer.ok) return unread(answer.outcome.text);
    const seen = seenService(answer.output, this.#manner);
    if (seen === undefined) return unread(`neither pattern of read_back matches: ${outcomeText(answer.output)}`);
    const differences = readBackDifferences(desired, seen, this.#manner.unitBps);
    if (differences.length === 0) return { outcome: 'applied', evidence: 'read-back', text: '' };
    return { outcome: 'disproved', text: `acknowledged, yet ${differences.join(', ')}` };
  }
}
