/**
 * What DHCP and monitoring told about one subscriber. Enters: a subscriber, and the MACs of its sessions. Leaves: where it is plugged in, its leases, and the lease events of
 * its MACs or its port that were refused. Invariant: at a port that others may have as well, only its MACs tell that an event was its own.
 */
import type { Pool } from 'pg';
import { leasesOfSubscriber, refusalsAround, type LeaseRow, type RefusalRow } from './lease-queries.js';
import { lineOf, type SubscriberLine } from './page-devices.js';

/** A line has 64 leases at most (`plan.max_addresses`); most have one. */
const LEASE_ROWS = 20;
const REFUSAL_ROWS = 20;

/** What is known of the line of a subscriber. */
export interface LineKnowledge {
  /** Undefined: it is plugged in nowhere that is known. */
  readonly line: SubscriberLine | undefined;
  /** Of its newest session that tells one, else of its lease. */
  readonly mac_seen: string | null;
  readonly leases: readonly LeaseRow[];
  readonly refusals: readonly RefusalRow[];
}

/** @param sessionMacs the newest first */
export async function readLineKnowledge(
  pool: Pool,
  subscriber: { readonly id: number; readonly mac: string | null },
  sessionMacs: readonly (string | null)[],
): Promise<LineKnowledge> {
  const { id, mac } = subscriber;
  const line = await lineOf(pool, id);
  const macs = different([mac, ...sessionMacs]);
  const own = { id, macs, deviceId: line?.device_id ?? null, port: line?.port ?? null };
  const leases = await leasesOfSubscriber(pool, own, LEASE_ROWS);
  const leased = leases.filter(({ state }) => state === 'bound').map((lease) => lease.mac);
  const refusals = await refusalsAround(
    pool,
    {
      subscriberId: id,
      macs: different([...macs, ...leased]),
      devices: line?.is_own === true ? line.names : [],
      port: line?.by_port === true ? line.port : null,
    },
    REFUSAL_ROWS,
  );
  const seen = different([...sessionMacs, ...leased])[0] ?? null;
  return { line, mac_seen: seen, leases, refusals };
}

function different(macs: readonly (string | null)[]): string[] {
  return [...new Set(macs.filter((mac) => mac !== null))];
}
