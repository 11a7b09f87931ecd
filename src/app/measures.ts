/**
 * What is measured, from the parts that count. Enters: the running parts. Leaves: measures for the status listener. Invariant: reading them
 * costs nothing on the hot paths and never waits.
 */
import type { AccountingHandler } from '../handlers/accounting-request.js';
import { codeName } from '../radius/code.js';
import type { RadiusServer } from '../radius/radius-server.js';
import type { Spool } from '../spool/spool.js';
import type { Labelled, Measure } from '../status/metrics.js';
import type { AccessAttempts } from '../store/access-attempts.js';
import type { AddressReserve } from '../store/address-reserve.js';
import type { ChangeFeed } from '../store/change-feed.js';
import type { Directory } from '../store/directory.js';
import type { Applier } from '../workers/applier.js';
import type { Notifier } from '../workers/notifier.js';
import type { Settler } from '../workers/settler.js';
import { enforcementMeasures } from './enforcement-measures.js';
import type { EnforcementSide } from './enforcement-side.js';
import type { LeaseSide } from './lease-side.js';

export interface MeasuredParts {
  readonly server: RadiusServer;
  readonly accounting: AccountingHandler;
  readonly spool: Spool;
  readonly directory: Directory;
  /** The parts that need the database: undefined until it was reached. */
  readonly database: () =>
    | {
        readonly feed: ChangeFeed;
        readonly applier: Applier;
        readonly settler: Settler;
        readonly reserve: AddressReserve;
        readonly attempts: AccessAttempts;
        readonly enforcement: EnforcementSide;
        readonly notifier: Notifier;
        readonly available: boolean;
      }
    | undefined;
  /** Answers to Access-Requests by outcome and reason, both from fixed sets. */
  readonly accessOutcomes: () => Iterable<Labelled>;
  readonly leases: LeaseSide;
  readonly ready: () => boolean;
}

export function measuresOf(parts: MeasuredParts): Measure[] {
  const { server, spool, directory, database, leases } = parts;
  const counter = (name: string, help: string, read: Measure['read'], labels: readonly string[] = []): Measure => ({
    name,
    help,
    kind: 'counter',
    labels,
    read,
  });
  const gauge = (name: string, help: string, read: Measure['read'], labels: readonly string[] = []): Measure => ({
    ...counter(name, help, read, labels),
    kind: 'gauge',
  });
  return [
    gauge('ready', '1 when Access-Requests are decided', () => Number(parts.ready())),
    counter('radius_requests_total', 'Requests that passed admission', () => server.counters().admitted),
    counter('radius_repeated_total', 'Retransmissions answered with the same octets', () => server.counters().repeated),
    counter('radius_replies_total', 'Replies by packet code', () => byCode(server), ['code']),
    counter('radius_dropped_total', 'Datagrams without an answer, by NAS and reason', () => drops(server), [
      'nas',
      'reason',
    ]),
    gauge('radius_in_hand', 'Requests being decided', () => server.counters().inHand),
    gauge('radius_held_rejects', 'Rejects that wait for their delay', () => server.counters().heldRejects),
    gauge('radius_duplicate_entries', 'Entries of the duplicate table', () => server.counters().duplicateEntries),
    counter('access_total', 'Access decisions by outcome and reason', parts.accessOutcomes, ['outcome', 'reason']),
    counter('accounting_total', 'Accounting-Requests by what became of them', () => accounting(parts.accounting), [
      'status',
    ]),
    counter(
      'lease_events_total',
      'Lease events when they were applied, by what came of them',
      () => leases.outcomes(),
      ['outcome'],
    ),
    counter(
      'intake_total',
      'Events of hooks, levers and monitoring as they came in, by way and outcome',
      () => leases.arrivals(),
      ['way', 'outcome'],
    ),
    counter('dhcp_packets_total', 'Relayed DHCP packets, by relay and what they became', () => leases.packets(), [
      'relay',
      'outcome',
    ]),
    counter(
      'device_notices_total',
      'Messages to people about devices, by what came of them',
      () => notices(database()),
      ['outcome'],
    ),
    gauge('inbox_waiting_files', 'Files of lease hooks that wait', () => leases.waitingFiles),
    gauge('spool_appendable', '1 while facts can be recorded', () => Number(spool.appendable)),
    counter('spool_synced_records_total', 'Facts on disk since the spool was made', () => spool.syncedSequence),
    gauge('spool_lag_records', 'Facts on disk that are not in the database yet', () => {
      const applied = database()?.applier.status.appliedSequence;
      return applied === undefined ? 0 : Math.max(0, spool.syncedSequence - applied);
    }),
    counter(
      'applied_records_total',
      'Facts applied by this process',
      () => database()?.applier.status.appliedRecords ?? 0,
    ),
    counter('applied_batches_total', 'Transactions of the applier', () => database()?.applier.status.batches ?? 0),
    counter('applier_conflicts_total', 'Batches folded again', () => database()?.applier.status.conflicts ?? 0),
    counter('set_aside_total', 'Records set aside by this process', () => database()?.applier.status.setAside ?? 0),
    gauge('database_available', '1 while PostgreSQL takes facts and tells changes', () =>
      Number(database()?.available ?? false),
    ),
    gauge('settler_backlog', 'Subscribers to be brought in line', () => database()?.settler.backlog ?? 0),
    gauge('directory_subscribers', 'Subscribers in memory', () => directory.subscriberCount),
    gauge('directory_sessions', 'Live sessions in memory', () => directory.sessions.size),
    counter('feed_polls_total', 'Polls of the change feed', () => database()?.feed.status.polls ?? 0),
    counter('feed_rows_total', 'Rows read from the change feed', () => database()?.feed.status.rows ?? 0),
    counter('feed_reloads_total', 'Times that the directory was read anew', () => database()?.feed.status.reloads ?? 0),
    gauge('reserve_addresses', 'Addresses held for offers', () => reserves(parts), ['pool']),
    counter('access_attempts_dropped_total', 'Attempts too many to be kept', () => database()?.attempts.dropped ?? 0),
    ...enforcementMeasures(() => database()?.enforcement),
  ];
}

function* byCode(server: RadiusServer): Generator<Labelled> {
  for (const [code, value] of server.counters().sentByCode) yield { labels: { code: codeName(code) }, value };
}

function* drops(server: RadiusServer): Generator<Labelled> {
  for (const { group, reason, count } of server.drops()) yield { labels: { nas: group, reason }, value: count };
}

function* accounting(handler: AccountingHandler): Generator<Labelled> {
  for (const [status, value] of Object.entries(handler.counters)) yield { labels: { status }, value };
}

function* reserves(parts: MeasuredParts): Generator<Labelled> {
  for (const one of parts.database()?.reserve.status ?? []) {
    const pool = parts.directory.pool(one.poolId)?.name ?? String(one.poolId);
    yield { labels: { pool }, value: one.held };
  }
}

function* notices(database: { readonly notifier: Notifier } | undefined): Generator<Labelled> {
  for (const [outcome, value] of Object.entries(database?.notifier.counts ?? {})) yield { labels: { outcome }, value };
}
