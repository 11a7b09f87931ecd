/**
 * Everything about leases in one server. Enters: the policy, the spool, sockets. Leaves: the ways in for lease and device events, how events are read when they
 * are applied, and counts of what became of them. Invariants: whoever says something is told that it was taken when it is on disk; the ways in open after the spool
 * and close before it; labels of counters are of closed sets.
 */
import type { Logger } from 'pino';
import type { Config } from '../config/config.js';
import type { Endpoint } from '../config/endpoint.js';
import { nasNetworks, NetworkTable } from '../config/lease-networks.js';
import type { DeviceEventSink } from '../dhcp/device-intake.js';
import { Inbox, inboxSinkOf } from '../dhcp/inbox.js';
import { systemIntakeClock } from '../dhcp/intake-clock.js';
import { IntakeLedger } from '../dhcp/intake-ledger.js';
import type { IntakeRules } from '../dhcp/intake-rules.js';
import { IntakeServer } from '../dhcp/intake-server.js';
import type { BelievedLease } from '../dhcp/lease-refresh.js';
import { DhcpPacketListener, type OpenDhcpSocket } from '../dhcp/packet-listener.js';
import { RelayTable } from '../dhcp/relay-table.js';
import { LeaseIntake } from '../handlers/lease-event.js';
import { type ListenOptions, UdpListener } from '../radius/listener.js';
import type { Spool } from '../spool/spool.js';
import type { Labelled } from '../status/metrics.js';
import type { LeaseBatch, LeaseRules } from '../workers/lease-batch.js';
import { intakeRules, isIntakeOn } from './intake-policy.js';
import type { Policy } from './policy.js';

export interface LeaseSideDeps {
  readonly spool: Spool;
  readonly policy: () => Policy;
  readonly devices: DeviceEventSink;
  /** How to listen for datagrams at an address. */
  readonly listen: (endpoint: Endpoint) => ListenOptions;
  /** A listening socket of the intake that a supervisor holds. */
  readonly intakeDescriptor: (endpoint: Endpoint) => number | undefined;
  readonly log: Logger;
}

/** What is made of a configuration, once for each. */
interface Compiled {
  readonly config: Config;
  readonly intake: IntakeRules;
  readonly ignored: NetworkTable<true>;
  readonly nases: NetworkTable<string>;
}

export class LeaseSide {
  readonly intake: LeaseIntake;
  readonly #deps: LeaseSideDeps;
  readonly #ledger: IntakeLedger;
  readonly #outcomes = new Map<string, number>();
  readonly #inboxes: Inbox[] = [];
  #compiled: Compiled | undefined;
  #server: IntakeServer | undefined;
  #packets: DhcpPacketListener | undefined;

  constructor(deps: LeaseSideDeps) {
    this.#deps = deps;
    this.intake = new LeaseIntake({
      spool: deps.spool,
      isIgnored: (address) => this.#rules().ignored.find(address) === true,
    });
    this.#ledger = new IntakeLedger({
      nowMs: () => systemIntakeClock.nowMs(),
      onFault: (way, fault, source) => deps.log.warn({ way, reason: fault, source }, 'an event was not taken'),
    });
  }

  /** Opens what the configuration names. @throws IntakeListenError, ListenError; then nothing stays open */
  async start(): Promise<void> {
    const { config } = this.#deps.policy();
    try {
      if (isIntakeOn(config.intake)) await this.#serve(config.intake);
      if (config.dhcp.listen.length > 0) await this.#listen(config.dhcp);
      for (const { name, folder } of config.intake.inboxes) this.#watch(name, folder);
    } catch (error) {
      await this.stop();
      throw error;
    }
  }

  /** Takes nothing any more; what was taken is on disk. */
  async stop(): Promise<void> {
    await Promise.all([...this.#inboxes.map((inbox) => inbox.stop()), this.#packets?.stop(), this.#server?.stop()]);
  }

  /** While we were away nobody told us of relayed packets: the DHCP servers are asked about the leases that are believed in. Never throws. */
  async refresh(leases: AsyncIterable<BelievedLease>): Promise<void> {
    const { policy, log } = this.#deps;
    if (
      this.#packets === undefined ||
      policy().config.dhcp.relays.every((relay) => relay.leasequeryServers.length === 0)
    )
      return;
    try {
      log.info(await this.#packets.refresh(leases), 'DHCP servers were asked about leases from before the start');
    } catch (error) {
      log.warn({ err: error }, 'leases from before the start could not be read, and are not asked about');
    }
  }

  /** How events are read, by the policy of the moment. */
  rules(): LeaseRules {
    const { config, nases } = this.#rules();
    const { lines } = this.#deps.policy();
    return {
      routingDomain: config.dhcp.routingDomain,
      lineOf: (evidence) => lines.find(evidence)?.line,
      nasOf: (address) => nases.find(address),
    };
  }

  /** Counts what became of the events of a batch. */
  note({ facts, refused, idle }: LeaseBatch): void {
    for (const { status } of facts) this.#count(status === 'start' ? 'opened' : 'closed');
    for (const { reason } of refused) this.#count(reason);
    for (const reason of idle) this.#count(reason);
  }

  /** What came of events when they were applied. */
  *outcomes(): Generator<Labelled> {
    for (const [outcome, value] of this.#outcomes) yield { labels: { outcome }, value };
  }

  /** What came in over files and HTTP, and what was not taken. */
  *arrivals(): Generator<Labelled> {
    for (const { way, outcome, count } of this.#ledger.counts()) yield { labels: { way, outcome }, value: count };
  }

  /** Events of relayed packets, and packets that became none. */
  *packets(): Generator<Labelled> {
    const counters = this.#packets?.counters();
    for (const { relay, kind, count } of counters?.events ?? [])
      yield { labels: { relay, outcome: kind }, value: count };
    for (const { relay, reason, count } of counters?.drops ?? [])
      yield { labels: { relay, outcome: reason }, value: count };
  }

  /** Files of hooks that wait. */
  get waitingFiles(): number {
    return this.#inboxes.reduce((sum, inbox) => sum + inbox.status.waitingFiles, 0);
  }

  #rules(): Compiled {
    const { config } = this.#deps.policy();
    if (this.#compiled?.config === config) return this.#compiled;
    const { ignoreNetworks } = config.dhcp;
    this.#compiled = {
      config,
      intake: intakeRules(config.intake),
      ignored: new NetworkTable([{ networks: ignoreNetworks, value: true as const }]),
      nases: nasNetworks(config.dhcp),
    };
    return this.#compiled;
  }

  async #serve({ listen, maxConnections, maxRequestsInHand }: Config['intake']): Promise<void> {
    const descriptor = this.#deps.intakeDescriptor(listen);
    this.#server = new IntakeServer({
      listen,
      ...(descriptor !== undefined && { descriptor }),
      rules: () => this.#rules().intake,
      leases: this.intake,
      devices: this.#deps.devices,
      ledger: this.#ledger,
      clock: systemIntakeClock,
      maxConnections,
      maxRequestsInHand,
      onError: (error) => this.#deps.log.error({ err: error }, 'an event could not be handled'),
    });
    await this.#server.start();
  }

  async #listen({ listen, relays, maxHeldRequests, maxLeasequeries }: Config['dhcp']): Promise<void> {
    const { log } = this.#deps;
    this.#packets = new DhcpPacketListener({
      sockets: listen.map((endpoint) => socketOf(this.#deps.listen(endpoint))),
      relays: new RelayTable(relays),
      sink: this.intake,
      clock: systemIntakeClock,
      onDrop: (reason, relay, source, giaddr) =>
        log.warn({ reason, relay, source, giaddr }, 'a DHCP packet was dropped'),
      onError: (error) => log.error({ err: error }, 'a DHCP packet could not be handled'),
      maxHeldRequests,
      maxLeasequeries,
    });
    await this.#packets.start();
  }

  #watch(name: string, folder: string): void {
    const inbox = new Inbox({
      folder,
      source: name,
      sink: inboxSinkOf(this.intake),
      ledger: this.#ledger,
      clock: systemIntakeClock,
      onError: (error) => this.#deps.log.error({ err: error, inbox: name, folder }, 'an inbox cannot be looked at'),
    });
    inbox.start();
    this.#inboxes.push(inbox);
  }

  #count(outcome: string): void {
    this.#outcomes.set(outcome, (this.#outcomes.get(outcome) ?? 0) + 1);
  }
}

function socketOf(options: ListenOptions): OpenDhcpSocket {
  return async (onDatagram) =>
    await UdpListener.open(options, (datagram, address, port) => onDatagram(datagram, address, port));
}
