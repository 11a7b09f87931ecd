/**
 * Asks the DHCP servers again about leases that we know, after an outage in which their events were lost. Enters: addresses, with the source
 * that last spoke of each. Leaves: a `commit` for what a server says is leased, an `expiry` for what no server has given to anybody. Invariants:
 * silence and ignorance change nothing; an address is free only when every server that is to be asked has answered; no more are read from the
 * caller than are asked about at once; a server that is down does not hold up the others for long.
 */
import type { LeaseEvent } from '../domain/lease-event.js';
import { parseIpv4Address } from '../domain/ipv4-address.js';
import type { KnownLease, LeaseQuestion } from './lease-query.js';
import type { DhcpClock, LeaseServer, QueryOutcome } from './lease-query-client.js';
import { commitOf } from './packet-event.js';
import { serverName, type Relays } from './relay-table.js';

/** Addresses asked about at once at most: some thousand a second where an answer takes a few ms, and no burst that a server would feel. */
export const mostParallel = 16;
/** Pause before a server is asked again that has as many open questions as it may, ms; DHCPREQUESTs that wait go first. */
const busyPauseMs = 100;

/** A server that was silent to so many questions in a row is down, and is not asked again in this round. */
const silencesInARow = 8;

/** A lease that somebody believes in. */
export interface BelievedLease {
  /** IPv4, dotted. */
  readonly address: string;
  /** Source of its last event; the servers of the relay of that name are asked, all of them when there is none. */
  readonly source: string;
}

/** How many addresses had which end. */
export interface RefreshResult {
  /** `silent`: all servers are down, and the rest was not asked about. */
  readonly end: 'all' | 'silent' | 'stopped';
  readonly active: number;
  readonly unassigned: number;
  /** A server did not answer, or knows nothing of the address; or there is nobody to ask. */
  readonly undecided: number;
}

export interface LeaseRefreshOptions {
  readonly clock: DhcpClock;
  readonly relays: Relays;
  readonly ask: (server: LeaseServer, question: LeaseQuestion) => Promise<QueryOutcome>;
  readonly deliver: (event: LeaseEvent) => void;
  /** Addresses asked about at once. */
  readonly parallel: number;
  /** Asked before each address; true ends the work. */
  readonly isStopped: () => boolean;
}

/** Asks about every lease once. Rejects only with what `leases` throws. */
export async function refreshLeases(
  leases: Iterable<BelievedLease> | AsyncIterable<BelievedLease>,
  options: LeaseRefreshOptions,
): Promise<RefreshResult> {
  const round = new Round(options);
  const counts = { active: 0, unassigned: 0, undecided: 0 };
  const underWay = new Set<Promise<void>>();
  let end: RefreshResult['end'] = 'all';
  for await (const lease of leases) {
    if (options.isStopped()) end = 'stopped';
    else if (round.isSilent) end = 'silent';
    if (end !== 'all') break;
    const one = round.refresh(lease).then((outcome) => {
      counts[outcome]++;
      underWay.delete(one);
    });
    underWay.add(one);
    if (underWay.size >= options.parallel) await Promise.race(underWay);
  }
  await Promise.all(underWay);
  return { end, ...counts };
}

class Round {
  readonly #options: LeaseRefreshOptions;
  /** Of each server, in a row. */
  readonly #silences = new Map<string, number>();

  constructor(options: LeaseRefreshOptions) {
    this.#options = options;
  }

  /** Whether every server that there is has been given up. */
  get isSilent(): boolean {
    const { servers } = this.#options.relays;
    return servers.length > 0 && servers.every((server) => this.#isDown(server));
  }

  async refresh({ address, source }: BelievedLease): Promise<'active' | 'unassigned' | 'undecided'> {
    const { clock, relays, deliver } = this.#options;
    const number = parseIpv4Address(address);
    const ofRelay = relays.byName(source)?.leasequeryServers ?? [];
    const servers = ofRelay.length > 0 ? ofRelay : relays.servers;
    if (number === undefined || servers.length === 0) return 'undecided';
    const outcomes = await Promise.all(servers.map((server) => this.#ask(server, number)));
    const atMs = clock.nowMs();
    const lease = newest(outcomes);
    if (lease !== undefined) {
      deliver(commitOf(lease, { source, atMs, line: null }));
      return 'active';
    }
    const isFree =
      outcomes.some(({ answer }) => answer === 'unassigned') &&
      outcomes.every(({ answer }) => answer === 'unassigned' || answer === 'unknown');
    if (!isFree) return 'undecided';
    deliver(expiryOf(address, source, atMs));
    return 'unassigned';
  }

  async #ask(server: LeaseServer, address: number): Promise<QueryOutcome> {
    if (this.#isDown(server)) return { answer: 'silence', reason: 'timeout' };
    const { ask, clock } = this.#options;
    let outcome = await ask(server, { by: 'address', address });
    while (outcome.answer === 'silence' && outcome.reason === 'busy') {
      await new Promise<void>((resolve) => clock.startTimer(busyPauseMs, resolve));
      outcome = await ask(server, { by: 'address', address });
    }
    const name = serverName(server);
    if (outcome.answer !== 'silence') this.#silences.delete(name);
    else this.#silences.set(name, (this.#silences.get(name) ?? 0) + 1);
    return outcome;
  }

  #isDown(server: LeaseServer): boolean {
    return (this.#silences.get(serverName(server)) ?? 0) >= silencesInARow;
  }
}

function expiryOf(address: string, source: string, atMs: number): LeaseEvent {
  return {
    kind: 'expiry',
    eventAtMs: atMs,
    timeDeclared: false,
    receivedAtMs: atMs,
    via: 'leasequery',
    source,
    address,
    mac: null,
    leaseEndsAtMs: null,
    line: null,
  };
}

/** Of several servers that say to have given an address, the one that the client spoke to last (RFC 4388 §6). */
function newest(outcomes: readonly QueryOutcome[]): KnownLease | undefined {
  let best: KnownLease | undefined;
  const age = (lease: KnownLease): number => lease.lastTransactionSeconds ?? Infinity;
  for (const outcome of outcomes)
    if (outcome.answer === 'active' && (best === undefined || age(outcome.lease) < age(best))) best = outcome.lease;
  return best;
}
