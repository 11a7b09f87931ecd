/**
 * What NASes would not do, for the log. Enters: results of commands. Leaves: now and then a line. Invariants: the first of a kind on a NAS is told at once, then one in
 * five minutes with the number of those between; memory is two numbers for each NAS and kind, whatever a NAS refuses.
 */
import type { Logger } from 'pino';
import type { CommandResult } from '../nas/driver.js';

/** One line about a NAS and kind in this time, ms: as for packets that are dropped. */
const QUIET_MS = 300_000;

const MESSAGES = {
  refused: 'the NAS refused a command: see "sluice nas show" and "sluice explain"',
  unsayable: 'a command cannot be said to the NAS: see "sluice explain"',
} as const;

type TroubleKind = keyof typeof MESSAGES;

interface Told {
  readonly atMs: number;
  untold: number;
}

export class TroubleLog {
  readonly #log: Logger;
  readonly #nasName: string;
  readonly #nowMs: () => number;
  readonly #told = new Map<TroubleKind, Told>();

  /** @param nowMs monotonic, ms */
  constructor(log: Logger, nasName: string, nowMs: () => number) {
    this.#log = log;
    this.#nasName = nasName;
    this.#nowMs = nowMs;
  }

  /** Tells of a result that means trouble, unless the like was told lately. Silence is told by whoever counts it. */
  note(login: string, { command, outcome }: Pick<CommandResult, 'command' | 'outcome'>): void {
    const kind = outcome.outcome;
    if (kind !== 'refused' && kind !== 'unsayable') return;
    const nowMs = this.#nowMs();
    const told = this.#told.get(kind);
    if (told !== undefined && nowMs - told.atMs < QUIET_MS) {
      told.untold += 1;
      return;
    }
    this.#told.set(kind, { atMs: nowMs, untold: 0 });
    const others = told === undefined || told.untold === 0 ? {} : { othersSince: told.untold };
    this.#log.warn(
      { nas: this.#nasName, login, command: command.name, reason: outcome.text, ...others },
      MESSAGES[kind],
    );
  }
}
