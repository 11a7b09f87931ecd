/**
 * What a change takes from the database, done once on nothing. Enters: the connections that changes go through. Leaves: connections that know tables and
 * statements, which is most of what the first change costs. Invariants: it writes no row and sends nothing; that it fails is no trouble, for the first
 * change does the same.
 */
import type { FuseThresholds } from '../domain/fuse.js';
import type { EnforcementReader } from '../store/enforcement-rows.js';
import { type EnforcementWrite, writeEnforcements } from '../store/enforcement-writes.js';
import { passFuse } from '../store/fuse-rows.js';
import type { NasOwner } from '../store/nas-owner.js';

/** Nobody has this id: identities begin at 1. */
const NOBODY = 0;
/** Connections of the pool that are made ready: a change is read on one while others are written on the next. */
const CONNECTIONS = 3;

const NOTHING: EnforcementWrite = {
  id: NOBODY,
  generation: NOBODY,
  isAttempt: true,
  desired: null,
  known: { applied: null, attempted: [] },
  mayBePresent: false,
  state: 'pending',
  attempts: 0,
  fusePassed: false,
  dueAtMs: null,
  parked: null,
  goneAtMs: null,
  lastOutcome: null,
  lastError: null,
  disproved: 0,
};

export interface RehearsalDeps {
  readonly reader: EnforcementReader;
  readonly owner: NasOwner;
  readonly nasNames: readonly string[];
  readonly fuse: FuseThresholds;
  readonly totalSubscribers: number;
}

/** Once, for a plan that is made while the tables are empty would be kept after some more times. @throws the database's error */
export async function rehearse({ reader, owner, nasNames, fuse, totalSubscribers }: RehearsalDeps): Promise<void> {
  const reading = async (): Promise<void> => {
    for (const by of ['subscriber', 'id'] as const) await reader.read({ by, ids: [NOBODY] }, nasNames);
  };
  const writing = owner.transaction(async (client) => {
    await passFuse(client, fuse, totalSubscribers, []);
    await writeEnforcements(client, [NOTHING], false);
  });
  await Promise.all([...Array.from({ length: CONNECTIONS }, reading), writing]);
}
