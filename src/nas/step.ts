/**
 * What a profile does for one command, fit for use. Enters: compiled profiles. Leaves: the types that transports and the driver share.
 * Invariant: the tasks of one run stand together and in order, and none is begun after one before it in its run was not applied.
 */
import type { ProfileCommandName } from '../config/config.js';
import type { PlannedCommand, ReadingCommandName } from '../domain/service-state.js';
import type { CommandTemplate } from './command-template.js';
import type { CompiledAttribute } from './compile-attribute.js';
import type { CommandOutcome, DriverName, EnforcementRun } from './driver.js';

/** One step of a command. */
export type CompiledStep =
  /** `state`: the attributes that an Accept in the desired state would carry, before `attributes`. */
  | { readonly send: 'coa'; readonly state: boolean; readonly attributes: readonly CompiledAttribute[] }
  | { readonly send: 'disconnect' }
  | {
      readonly send: 'ssh';
      readonly lines: readonly CommandTemplate[];
      /** A program of the NAS that reads them from its standard input, those of many subscribers at once. */
      readonly into?: string | undefined;
    }
  | { readonly send: 'exec' };

export interface CompiledCommand {
  readonly steps: readonly CompiledStep[];
  /** Done in place of the steps when the NAS refused one of them. */
  readonly fallback: readonly CompiledStep[];
  /** Set: nothing is sent, and that counts as applied. */
  readonly notApplicable: string | undefined;
}

/** The commands of a profile; one that is missing was never defined. */
export type CompiledCommands = ReadonlyMap<ProfileCommandName, CompiledCommand>;

/** One step of one command of one run. */
export interface StepTask {
  readonly run: EnforcementRun;
  readonly command: PlannedCommand;
  readonly step: CompiledStep;
}

export interface StepResult {
  readonly task: StepTask;
  readonly driver: DriverName;
  /** What was sent, without secrets. */
  readonly sent: string;
  /** ms since 1970 */
  readonly sentAtMs: number;
  readonly answeredAtMs: number;
  readonly attempts: number;
  readonly outcome: CommandOutcome;
}

/** One way to a NAS: CoA, SSH or a local script. */
export interface StepTransport {
  /** Runs that one call may take together. */
  readonly maxBatchRuns: number;
  /**
   * Carries out steps.
   *
   * @param isOwner asked before each exchange; when false the rest is `unreachable`, `never`
   * @returns results of the tasks that were begun, in their order
   */
  exchange(tasks: readonly StepTask[], isOwner: () => boolean): Promise<readonly StepResult[]>;
  /**
   * Says lines that read and change nothing. Only transports with a console have it.
   *
   * @param about whom they ask about; `undefined`: the NAS as a whole
   * @returns all that was printed, or why nothing was
   */
  read?(
    lines: readonly CommandTemplate[],
    name: ReadingCommandName,
    about: EnforcementRun | undefined,
  ): Promise<ReadAnswer>;
  stop(): Promise<void>;
}

/** What a reading command printed. */
export type ReadAnswer =
  { readonly ok: true; readonly output: string } | { readonly ok: false; readonly outcome: CommandOutcome };
