/**
 * One round: some enforcements looked at, and what follows committed together. Enters: rows, lanes, the fuse. Leaves: runs that may be sent, rows
 * written. Invariants: an attempt is committed, on the connection that holds the locks, before anything of it is sent; tightening passes the
 * fuse first, in the same transaction; a row that moved on meanwhile is looked at again.
 */
import type { FuseReason, FuseThresholds } from '../domain/fuse.js';
import type { Tendency } from '../domain/tightening.js';
import { addressRivals } from '../store/address-rivals.js';
import type { Enforcement } from '../store/enforcement-rows.js';
import { type CommandRecord, insertCommands } from '../store/command-history.js';
import { type EnforcementWrite, writeAndEndEnforcements } from '../store/enforcement-writes.js';
import { passFuse } from '../store/fuse-rows.js';
import type { NasOwner } from '../store/nas-owner.js';
import { type Look, type LookContext, lookAt, unchanged } from './enforcement-look.js';
import type { NasLane } from './nas-lane.js';
import type { BegunRun } from './run-outcome.js';
import { STILL_THERE } from './still-there.js';

export interface RoundDeps {
  /** In the history. */
  readonly instance: string;
  readonly owner: NasOwner;
  readonly laneOf: (nasName: string) => NasLane | undefined;
  readonly fuse: FuseThresholds;
  readonly totalSubscribers: number;
  readonly contextOf: (row: Enforcement) => LookContext;
}

/** What became of the rows. */
export interface RoundResult {
  /** Their attempts are committed: they may be sent. */
  readonly begun: readonly BegunRun[];
  /** They wait for room in their lanes. */
  readonly waiting: readonly { readonly row: Enforcement; readonly urgency: Tendency }[];
  /** They moved on meanwhile. */
  readonly missed: readonly number[];
  /** Done with. */
  readonly ended: readonly Enforcement[];
  /** Their NASes do not know these sessions. */
  readonly gone: readonly Enforcement[];
  /** Their NASes had confirmed their end, and they live on. */
  readonly disproved: readonly Enforcement[];
  readonly tripped: Extract<FuseReason, { kind: 'tripped' }> | undefined;
}

type Send = Extract<Look, { step: 'send' }> & { readonly row: Enforcement; readonly lane: NasLane };

/** How long an entry waits for somebody who is to leave its address first, before it is looked at again, ms: some commands to a NAS that answers. */
const RIVAL_PAUSE_MS = 100;

const URGENCY: Readonly<Record<Tendency, number>> = { loosening: 0, neither: 1, tightening: 2 };

/**
 * Looks at rows and commits what follows.
 *
 * @throws the database's error; then nothing of it was committed, or the NASes are no longer ours
 */
export async function runRound(rows: readonly Enforcement[], deps: RoundDeps): Promise<RoundResult> {
  const sends: Send[] = [];
  const writes: EnforcementWrite[] = [];
  const ends: Enforcement[] = [];
  const gone: Enforcement[] = [];
  const disproofs: Disproof[] = [];
  for (const row of rows) {
    const lane = deps.laneOf(row.nasName);
    if (lane === undefined) continue;
    const look = lookAt(row, lane.nas, deps.contextOf(row));
    if (look.step === 'send') sends.push({ ...look, row, lane });
    else if (look.step === 'write') writes.push(look.write);
    else if (look.step === 'disproved') disproofs.push({ row, write: look.write });
    else if (look.step === 'end') ends.push(row);
    else if (look.step === 'close-session') gone.push(row);
  }
  sends.sort((a, b) => URGENCY[a.intent.urgency] - URGENCY[b.intent.urgency]);
  const committed = await commit(sends, writes, ends, disproofs, deps);
  return { ...committed, ended: ends.filter(({ id }) => committed.endedIds.has(id)), gone };
}

interface Disproof {
  readonly row: Enforcement;
  readonly write: EnforcementWrite;
}

interface Committed extends Pick<RoundResult, 'begun' | 'waiting' | 'missed' | 'tripped' | 'disproved'> {
  readonly endedIds: ReadonlySet<number>;
}

async function commit(
  sends: readonly Send[],
  writes: readonly EnforcementWrite[],
  ends: readonly Enforcement[],
  disproofs: readonly Disproof[],
  deps: RoundDeps,
): Promise<Committed> {
  if (sends.length + writes.length + ends.length + disproofs.length === 0)
    return { begun: [], waiting: [], missed: [], disproved: [], tripped: undefined, endedIds: new Set() };
  const asking = [...new Set(sends.filter((one) => one.intent.asksFuse).map((one) => one.row.run.subscriberId))];
  const adds = sends.some((send) => addedEntry(send).length > 0);
  const isOneStatement = asking.length + ends.length + disproofs.length === 0 && !adds;
  return await deps.owner[isOneStatement ? 'statement' : 'transaction'](async (client) => {
    const answer =
      asking.length === 0
        ? { passed: new Set<number>(), tripped: undefined }
        : await passFuse(client, deps.fuse, deps.totalSubscribers, asking);
    const rivals = await addressRivals(client, sends.flatMap(addedEntry));
    const sorted = sort(sends, answer.passed, rivals, deps.contextOf);
    const all = [...writes, ...sorted.writes, ...disproofs.map(({ write }) => write)];
    const { written, ended: endedIds } = await writeAndEndEnforcements(client, all, ends, false);
    const disproved = disproofs.flatMap(({ row }) => (written.has(row.id) ? [row] : []));
    await insertCommands(client, deps.instance, disproved.map(disproofRecord));
    const missed = all.filter(({ id }) => !written.has(id)).map(({ id }) => id);
    return {
      begun: sorted.attempts.filter(({ row }) => written.has(row.id)).map(begunOf),
      waiting: sorted.waiting.map(({ row, intent }) => ({ row, urgency: intent.urgency })),
      missed: [...missed, ...ends.filter(({ id }) => !endedIds.has(id)).map(({ id }) => id)],
      disproved,
      tripped: answer.tripped,
      endedIds,
    };
  });
}

interface Sorted {
  readonly attempts: Send[];
  readonly waiting: Send[];
  readonly writes: EnforcementWrite[];
}

/** Who may go now, who waits for room, and whom the fuse holds. */
function sort(
  sends: readonly Send[],
  passed: ReadonlySet<number>,
  rivals: ReadonlyMap<number, string>,
  contextOf: RoundDeps['contextOf'],
): Sorted {
  const sorted: Sorted = { attempts: [], waiting: [], writes: [] };
  const taken = new Map<NasLane, number>();
  for (const send of sends) {
    const { row, lane, intent } = send;
    const common: EnforcementWrite = {
      ...unchanged(row),
      desired: intent.desired.state,
      known: intent.known,
      parked: intent.parked,
      fusePassed: true,
      goneAtMs: null,
    };
    if (intent.asksFuse && !passed.has(row.run.subscriberId)) {
      addNews(sorted.writes, row, {
        ...common,
        state: 'held',
        attempts: 0,
        fusePassed: false,
        dueAtMs: intent.desired.recheckAtMs,
      });
      continue;
    }
    const rival = rivals.get(row.id);
    if (rival !== undefined) {
      const dueAtMs = contextOf(row).nowMs + RIVAL_PAUSE_MS;
      const lastError = `waits: ${rival} is to leave the address first`;
      sorted.writes.push({ ...common, state: 'pending', dueAtMs, lastError });
      continue;
    }
    const used = taken.get(lane) ?? 0;
    if (lane.roomFor(intent.urgency) > used) {
      taken.set(lane, used + 1);
      sorted.attempts.push(send);
      sorted.writes.push({
        ...common,
        isAttempt: true,
        known: send.plan.tried,
        mayBePresent: true,
        state: 'pending',
        dueAtMs: null,
      });
    } else {
      sorted.waiting.push(send);
      // Its lane remembers it; the clock need not. Whoever takes the NAS over looks at everything anyway.
      addNews(sorted.writes, row, { ...common, state: 'pending', dueAtMs: null });
    }
  }
  return sorted;
}

/** The entry that a run adds, if it adds one at an address. */
function addedEntry({ row, plan }: Send): { id: number; nasName: string; address: string }[] {
  const added = plan.commands.find(({ name }) => name === 'user_add');
  const address = added?.data.key.address ?? null;
  return address === null ? [] : [{ id: row.id, nasName: row.nasName, address }];
}

function addNews(writes: EnforcementWrite[], row: Enforcement, write: EnforcementWrite): void {
  if (JSON.stringify(write) !== JSON.stringify(unchanged(row))) writes.push(write);
}

function begunOf({ row, lane, plan, intent }: Send): BegunRun {
  return { row, generation: row.generation + 1, nas: lane.nas, plan, intent };
}

/** How the history tells that what stands above it was not so. Nothing was sent: accounting said it. */
function disproofRecord({ id, nasName, run, subject, generation, session, appliedAtMs }: Enforcement): CommandRecord {
  return {
    enforcementId: id,
    nasName,
    subscriberId: run.subscriberId,
    login: subject.subscriber.login,
    generation,
    plannedAtMs: appliedAtMs!,
    result: {
      command: { name: 'user_disconnect', service: null },
      driver: 'accounting',
      sent: '',
      sentAtMs: appliedAtMs!,
      answeredAtMs: session!.lastEventAtMs,
      attempts: 0,
      outcome: { outcome: 'disproved', text: STILL_THERE },
    },
  };
}
