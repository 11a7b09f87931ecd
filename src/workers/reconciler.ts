/**
 * Compares NASes with the database by what they list. Enters: NASes that can list, the hour of the night. Leaves: marks by which the dispatcher mends, a report,
 * and entries of nobody taken away. Invariants: the places are read before the NAS is asked, so that whatever happened meanwhile is left alone;
 * no run mends more than its limit; only the owner of a NAS takes anything away.
 */
import type { Pool } from 'pg';
import type { Logger } from 'pino';
import { isNightlyDue, type NightlyTime } from '../domain/nightly.js';
import { setImmediate as nextTurn } from 'node:timers/promises';
import {
  classifying,
  countFindings,
  type Finding,
  foundState,
  type ReconcileInput,
  withinLimit,
} from '../domain/reconcile.js';
import type { ListedEntry, NasDriver } from '../nas/driver.js';
import type { ListAnswer } from '../nas/profile-driver.js';
import {
  lastNightlyRuns,
  markMends,
  noteRemoval,
  readAdopted,
  readMarked,
  readPlaces,
  readRemovals,
  recordRun,
  type ReconcileReport,
  type Removal,
} from '../store/reconcile-rows.js';
import { Loop } from './loop.js';

/** How often removals are looked for and the clock is asked, ms. */
const INTERVAL_MS = 5_000;
/** Entries of nobody that are taken away in one turn. */
const REMOVAL_SLICE = 100;
/** Marks that one statement asks for. */
const MARKED_SLICE = 10_000;
/** What clears entries away is looked at again, ms, and so many times at most: whose address another one had can only then be served. */
const AGAIN_AFTER_MS = 60_000;
const MOST_AGAIN = 2;
/** In reports: a server did it by itself. */
export const NIGHTLY = 'nightly';

/** A NAS that may be asked what it has. */
export interface ListingNas {
  readonly name: string;
  /** Whether whoever may not use the service is not listed. */
  readonly onlyServed: boolean;
  list(): Promise<ListAnswer>;
}

export interface ReconcileOptions {
  readonly by: string;
  /** Nothing is marked. */
  readonly dryRun: boolean;
  /** Findings that are mended at most. */
  readonly limit: number;
}

/** Compares one NAS, and marks what is to be mended unless that is only tried. The report is kept. */
export async function reconcileNas(pool: Pool, nas: ListingNas, options: ReconcileOptions): Promise<ReconcileReport> {
  const report = await compare(pool, nas, options);
  await recordRun(pool, report);
  return report;
}

async function compare(pool: Pool, nas: ListingNas, options: ReconcileOptions): Promise<ReconcileReport> {
  const { by, dryRun, limit } = options;
  const wanted = await readPlaces(pool, nas.name);
  const answer = await nas.list();
  const bare = { nasName: nas.name, by, dryRun, wanted: wanted.filter(isPresent).length };
  if (!answer.ok) {
    const { text } = answer.outcome;
    return { ...bare, error: text, listed: 0, counts: countFindings([]), mended: 0, beyondLimit: 0, findings: [] };
  }
  const places = new Set(wanted.map((place) => place.subscriberId));
  const findings = await inSlices({
    listed: answer.entries,
    wanted,
    marked: await markedBy(pool, answer.entries, places),
    adopted: await readAdopted(pool, nas.name),
    onlyServed: nas.onlyServed,
  });
  const { mends, beyond } = withinLimit(findings, limit);
  const mended = dryRun
    ? 0
    : await markMends(
        pool,
        nas.name,
        mends.map(({ mend }) => mend),
      );
  return {
    ...bare,
    error: null,
    listed: answer.entries.length,
    counts: countFindings(findings),
    mended,
    beyondLimit: beyond,
    findings,
  };
}

/** Requests are answered between two slices. */
async function inSlices(input: ReconcileInput): Promise<Finding[]> {
  const work = classifying(input);
  for (;;) {
    const step = work.next();
    if (step.done === true) return step.value;
    await nextTurn();
  }
}

function isPresent({ desired }: { readonly desired: { readonly present: boolean } | null }): boolean {
  return desired?.present === true;
}

async function markedBy(
  pool: Pool,
  entries: readonly ListedEntry[],
  places: ReadonlySet<number>,
): ReturnType<typeof readMarked> {
  const ids = [
    ...new Set(
      entries.flatMap(({ subscriberId }) => (subscriberId === null || places.has(subscriberId) ? [] : [subscriberId])),
    ),
  ];
  const marked = new Map<number, NonNullable<ReturnType<Awaited<ReturnType<typeof readMarked>>['get']>>>();
  for (let from = 0; from < ids.length; from += MARKED_SLICE)
    for (const [id, one] of await readMarked(pool, ids.slice(from, from + MARKED_SLICE))) marked.set(id, one);
  return marked;
}

/** A NAS of which this server is the owner. */
export interface OwnedNas extends ListingNas {
  readonly driver: NasDriver;
  isOwner(): boolean;
}

export interface ReconcilerDeps {
  readonly pool: Pool;
  readonly log: Logger;
  /** Those that can list, at this moment. */
  readonly owned: () => readonly OwnedNas[];
  /** undefined: never by itself. */
  readonly nightly: () => NightlyTime | undefined;
  readonly limit: () => number;
  /** ms since 1970 */
  readonly nowMs: () => number;
}

/** The comparisons of a server by night, and the removals that any comparison asks for. */
export class Reconciler {
  readonly #deps: ReconcilerDeps;
  readonly #loop: Loop;
  readonly #again = new Map<string, { readonly atMs: number; readonly times: number }>();

  constructor(deps: ReconcilerDeps) {
    this.#deps = deps;
    this.#loop = new Loop({ name: 'reconciler', intervalMs: INTERVAL_MS, run: () => this.round(), log: deps.log });
  }

  start(): void {
    this.#loop.start();
  }

  async stop(): Promise<void> {
    await this.#loop.stop();
  }

  /** Removes what was asked for, and compares what is due. @returns whether there is more to do at once */
  async round(): Promise<boolean> {
    const owned = this.#deps.owned();
    if (owned.length === 0) return false;
    const hasMore = await this.#remove(owned);
    for (const nas of await this.#due(owned)) await this.#compare(nas);
    return hasMore;
  }

  async #due(owned: readonly OwnedNas[]): Promise<OwnedNas[]> {
    const { nightly, pool, nowMs } = this.#deps;
    const time = nightly();
    if (time === undefined) return [];
    const last = await lastNightlyRuns(
      pool,
      owned.map((nas) => nas.name),
      NIGHTLY,
    );
    return owned.filter(({ name }) => {
      const again = this.#again.get(name);
      return (again !== undefined && nowMs() >= again.atMs) || isNightlyDue(time, nowMs(), last.get(name));
    });
  }

  async #compare(nas: OwnedNas): Promise<void> {
    const { pool, log, limit, nowMs } = this.#deps;
    if (!nas.isOwner()) return;
    const times = this.#again.get(nas.name)?.times ?? 0;
    this.#again.delete(nas.name);
    const report = await reconcileNas(pool, nas, { by: NIGHTLY, dryRun: false, limit: limit() });
    const { error, listed, wanted, counts, mended, beyondLimit } = report;
    const told = { nas: nas.name, error, listed, wanted, ...counts, mended, beyondLimit };
    if (error !== null) log.warn(told, 'a NAS could not be compared with the database');
    else log.info(told, 'a NAS was compared with the database');
    if (mended > 0 && times < MOST_AGAIN)
      this.#again.set(nas.name, { atMs: nowMs() + AGAIN_AFTER_MS, times: times + 1 });
  }

  async #remove(owned: readonly OwnedNas[]): Promise<boolean> {
    const { pool, log } = this.#deps;
    const byName = new Map(owned.map((nas) => [nas.name, nas]));
    const removals = await readRemovals(pool, [...byName.keys()], REMOVAL_SLICE);
    for (const removal of removals) {
      const nas = byName.get(removal.nasName)!;
      if (!nas.isOwner()) continue;
      const error = await removeEntry(nas, removal);
      await noteRemoval(pool, removal.id, error);
      const { nasName, mark, address } = removal;
      if (error === null) log.info({ nas: nasName, mark, address }, 'an entry of nobody was taken away');
      else log.warn({ nas: nasName, mark, address, error }, 'an entry of nobody could not be taken away');
    }
    return removals.length === REMOVAL_SLICE;
  }
}

/** @returns why it was not removed; null: the NAS confirmed it */
async function removeEntry(nas: OwnedNas, { id, mark, address }: Removal): Promise<string | null> {
  const state = foundState('', address ?? '');
  const data = { ...state, key: { ...state.key, address } };
  const [result] = await nas.driver.run(
    [
      {
        // No place has a number below zero, so that scripts and logs tell it from one.
        enforcementId: -id,
        subject: { subscriberId: mark ?? 0, accountId: 0, contract: '', plan: null },
        session: null,
        commands: [{ name: 'user_del', data, service: null }],
        desired: { present: false },
      },
    ],
    () => nas.isOwner(),
  );
  const outcome = result?.results.at(-1)?.outcome;
  if (outcome === undefined) return 'nothing was said to the NAS';
  return outcome.outcome === 'applied' ? null : outcome.text;
}
