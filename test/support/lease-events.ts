/**
 * Lease events and the world that they meet. Enters: what matters to a test. Leaves: whole events, and a network of leases and sessions that follows the fold as
 * the database does. Invariant: what a test does not say is the same everywhere.
 */
import type { AccessLine } from '../../src/domain/access-line.js';
import type { SessionFact } from '../../src/domain/accounting-fact.js';
import type { LeaseEvent, LineEvidence } from '../../src/domain/lease-event.js';
import { foldLeases, type AddressSession, type LeaseOutcome } from '../../src/domain/lease-fold.js';
import type { LeaseLine } from '../../src/domain/lease-holder.js';
import type { LeaseDevice, LeaseRecord, LeaseSubscriber } from '../../src/domain/lease.js';
import { T0 } from './facts.js';

export const SWITCH = '3c:33:32:66:43:50';

export interface LeaseEventShape extends Partial<Omit<LeaseEvent, 'line'>> {
  /** Seconds after T0. */
  readonly at: number;
  /** Seconds that the lease is given for. */
  readonly lasts?: number;
  /** Port of `SWITCH`, or of the switch before the slash; null: without option 82. */
  readonly port?: string | null;
}

const noEvidence: LineEvidence = {
  circuitId: null,
  remoteId: null,
  subscriberId: null,
  switchMac: null,
  switchPort: null,
};

export function leaseEvent(kind: LeaseEvent['kind'], shape: LeaseEventShape): LeaseEvent {
  const { at, lasts, port = kind === 'commit' ? '1' : null, ...rest } = shape;
  const [mac, number] = port?.includes('/') === true ? port.split('/') : [SWITCH, port];
  return {
    kind,
    eventAtMs: T0 + at * 1000,
    receivedAtMs: T0 + at * 1000,
    timeDeclared: true,
    via: 'hook',
    source: 'dhcp1',
    address: '100.65.0.10',
    mac: '02:00:00:00:00:01',
    leaseEndsAtMs: lasts === undefined ? null : T0 + (at + lasts) * 1000,
    line: port === null ? null : { ...noEvidence, switchMac: mac!, switchPort: number! },
    ...rest,
  };
}

/** A hook that decodes option 82 by itself says the line outright. */
export function readLine({ line }: LeaseEvent): LeaseLine {
  if (line === null) return { read: 'none' };
  if (line.lying !== undefined) return { read: 'lying', octets: line.lying };
  if (line.switchMac === null) return { read: 'unknown' };
  const read: AccessLine = {
    device: { by: 'mac', value: line.switchMac },
    ...(line.switchPort !== null && { port: line.switchPort }),
  };
  return { read: 'line', line: read };
}

export function leaseSubscriber(id: number, rest: Partial<LeaseSubscriber> = {}): LeaseSubscriber {
  return {
    id,
    login: `user${String(id)}`,
    mac: null,
    staticAddress: null,
    nasName: 'bras1',
    deviceId: 1,
    port: String(id),
    option82Auth: null,
    maxAddresses: 1,
    ...rest,
  };
}

export const dlink: LeaseDevice = { id: 1, mac: SWITCH, name: 'sw1', serial: null, byPort: true };

/** Keeps leases and sessions, and plays events over them one batch after the other. */
export class LeaseNetwork {
  readonly leases = new Map<string, LeaseRecord>();
  readonly sessions = new Map<string, AddressSession>();
  readonly facts: SessionFact[] = [];
  readonly refused: string[] = [];
  readonly idle: string[] = [];

  constructor(
    readonly subscribers: readonly LeaseSubscriber[] = [leaseSubscriber(1), leaseSubscriber(2)],
    readonly devices: readonly LeaseDevice[] = [dlink],
  ) {}

  /** One batch. */
  play(...events: LeaseEvent[]): LeaseOutcome {
    const { subscribers, devices } = this;
    const outcome = foldLeases(
      {
        routingDomain: 'default',
        leases: [...this.leases.values()].map((lease) => ({ ...lease })),
        sessions: [...this.sessions.values()],
        isInPool: (address) => address.startsWith('100.65.'),
        nasOf: () => undefined,
        subscribers,
        devices,
      },
      events.map((event) => ({ event, read: readLine(event) })),
    );
    for (const lease of outcome.changed) this.leases.set(lease.address, { ...lease, isStored: true });
    for (const fact of outcome.facts) this.#follow(fact);
    this.refused.push(...outcome.refused.map(({ reason }) => reason));
    this.idle.push(...outcome.idle);
    return outcome;
  }

  /** Bound leases: address, subscriber and, where it is known, the end in seconds after T0. */
  get bound(): string[] {
    return [...this.leases.values()]
      .filter(({ end }) => end === null)
      .map(({ address, login, endsAtMs }) =>
        [address, login, ...(endsAtMs === null ? [] : [`until ${String((endsAtMs - T0) / 1000)}`])].join(' '),
      )
      .sort();
  }

  /** Live sessions: address and subscriber. */
  get live(): string[] {
    return [...this.sessions.values()]
      .map(({ address, subscriberId }) => `${address} user${String(subscriberId)}`)
      .sort();
  }

  #follow(fact: SessionFact): void {
    this.facts.push(fact);
    const key = `${fact.nasName} ${fact.nasBox} ${fact.acctSessionId}`;
    if (fact.status === 'stop') this.sessions.delete(key);
    else
      this.sessions.set(key, {
        address: fact.address!,
        subscriberId: fact.whose ?? null,
        nasBox: fact.nasBox,
        nasName: fact.nasName,
        acctSessionId: fact.acctSessionId,
      });
  }
}
