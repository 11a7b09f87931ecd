/**
 * The command line of the bench. Enters: arguments. Leaves: options, or an error that shows the usage. Pure.
 */
import { parseArgs } from 'node:util';
import { USUAL_INTERIMS } from './packets.js';

export type WorkName = 'pap' | 'accounting' | 'pool';
export const WORKS: readonly WorkName[] = ['pap', 'accounting', 'pool'];

export interface BenchOptions {
  readonly isQuick: boolean;
  readonly works: readonly WorkName[];
  readonly rounds: number;
  /** Interim-Updates of each session. */
  readonly interims: number;
  readonly json: string | undefined;
  readonly isPinned: boolean;
  /** Docs are written by whole runs only. */
  readonly writesDocs: boolean;
  readonly profileFolder: string | undefined;
}

export const USAGE = `npm run bench -- [options]
  --quick             half a minute in all: one short round of everything, no pinned part
  --only WORK         pap, accounting or pool
  --rounds N          rounds of each kind of work, 1 to 50 (5)
  --interims N        Interim-Updates of each session, 1 to 500 (${String(USUAL_INTERIMS)}); another number writes no docs
  --json FILE         write all numbers to FILE
  --no-pinned         leave out the part with server and generator on a processor each
  --profile FOLDER    Sluice writes a processor profile there when it ends`;

/** The options cannot be understood. */
export class UsageError extends Error {
  override readonly name = 'UsageError';
}

/** @throws UsageError */
export function readOptions(args: readonly string[]): BenchOptions {
  const { values } = parse(args);
  const only = values.only;
  const works = only === undefined ? WORKS : WORKS.filter((work) => work === only);
  if (works.length === 0) throw new UsageError(`--only ${String(only)}: pap, accounting or pool\n${USAGE}`);
  const isQuick = values.quick === true;
  const rounds = values.rounds === undefined ? (isQuick ? 1 : 5) : Number(values.rounds);
  if (!Number.isInteger(rounds) || rounds < 1 || rounds > 50)
    throw new UsageError(`--rounds ${String(values.rounds)}: a whole number from 1 to 50\n${USAGE}`);
  const interims = values.interims === undefined ? USUAL_INTERIMS : Number(values.interims);
  if (!Number.isInteger(interims) || interims < 1 || interims > 500)
    throw new UsageError(`--interims ${String(values.interims)}: a whole number from 1 to 500\n${USAGE}`);
  const isPinned = !isQuick && values['no-pinned'] !== true;
  return {
    isQuick,
    works,
    rounds,
    interims,
    json: values.json,
    isPinned,
    writesDocs: !isQuick && only === undefined && isPinned && interims === USUAL_INTERIMS,
    profileFolder: values.profile,
  };
}

function parse(args: readonly string[]): {
  values: {
    quick?: boolean;
    only?: string;
    rounds?: string;
    interims?: string;
    json?: string;
    profile?: string;
    'no-pinned'?: boolean;
  };
} {
  try {
    return parseArgs({
      args: [...args],
      options: {
        quick: { type: 'boolean' },
        only: { type: 'string' },
        rounds: { type: 'string' },
        interims: { type: 'string' },
        json: { type: 'string' },
        profile: { type: 'string' },
        'no-pinned': { type: 'boolean' },
      },
    });
  } catch (error) {
    throw new UsageError(`${error instanceof Error ? error.message : String(error)}\n${USAGE}`);
  }
}
