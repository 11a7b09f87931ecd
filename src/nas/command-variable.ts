/**
 * The variables of command lines and scripts, and what they are worth for one command at one place.
 *
 * Enters: whom a command is about, the state that it is about, and the NAS. Leaves: values under the names of the seed systems and our own.
 * Invariants: a password or key is never a variable, under any name; a value depends on what an enforcement compares, or on what never changes, so
 * that nothing that was said to a NAS goes stale without a command.
 */
import type { PresentService } from '../domain/service-state.js';
import type { ValueKind } from './command-piece.js';
import type { RunSession, RunSubject } from './driver.js';

/** The NAS, as far as templates may know it. */
export interface CommandNas {
  readonly name: string;
  /** Address or network of its entry, the first one. */
  readonly address: string;
  readonly identifier: string | undefined;
  readonly profile: string;
  /** vpn: PPP. dhcp: IPoE. */
  readonly channel: 'vpn' | 'dhcp';
  /** Login and TCP port of its console. */
  readonly sshUser: string;
  readonly sshPort: number;
}

/** Everything that a line can say. */
export interface CommandContext {
  readonly nas: CommandNas;
  readonly command: string;
  /** The rest is `undefined` before and after a batch, and in commands that read a whole NAS. */
  readonly subject: RunSubject | undefined;
  readonly session: RunSession | null | undefined;
  readonly data: PresentService | undefined;
  readonly service: string | null | undefined;
}

/** One variable. */
export interface CommandVariable {
  readonly kind: ValueKind;
  readonly meaning: string;
  readonly unit: string;
  /** It says nothing of a subscriber. */
  readonly isGeneral: boolean;
  /** Set: the name is known and refused, and this is what to do. */
  readonly withheld: string | undefined;
  /** `undefined` or an empty text: no value. */
  valueOf(context: CommandContext): string | number | undefined | null | false;
}

type ValueOf = CommandVariable['valueOf'];

/** A variable about a subscriber. */
export function given(kind: ValueKind, unit: string, meaning: string, valueOf: ValueOf): CommandVariable {
  return { kind, meaning, unit, isGeneral: false, withheld: undefined, valueOf };
}

/** A variable about the NAS alone. */
export function general(
  kind: ValueKind,
  unit: string,
  meaning: string,
  valueOf: (nas: CommandNas) => string | number | undefined,
): CommandVariable {
  return { kind, meaning, unit, isGeneral: true, withheld: undefined, valueOf: ({ nas }) => valueOf(nas) };
}

/** A name that is known and has no value here; check-config says why. */
export function withheld(meaning: string, remedy: string): CommandVariable {
  return { kind: 'text', meaning, unit: '', isGeneral: true, withheld: remedy, valueOf: () => undefined };
}

/** The text of a value; `undefined` when there is none, and nothing and an empty text are none. */
export function valueText(variable: CommandVariable, context: CommandContext): string | undefined {
  const value = variable.valueOf(context);
  return value === undefined || value === null || value === false || value === '' ? undefined : String(value);
}
