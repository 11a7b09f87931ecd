/**
 * The listener for copies of relayed packets on 67/udp. Enters: datagrams. Leaves: lease events for a sink; questions to the leasequery servers
 * of the configuration; counts. Invariants: a packet of a source or giaddr that is not listed has no effect; nothing is ever sent to a client
 * or relay (the only octets that leave are leasequeries to configured servers); until it is stopped, every datagram ends as an event, a held
 * DHCPREQUEST, an answer to a question of ours, or a counted drop; what the network does never throws.
 */
import type { LeaseEvent, LeaseEventKind, LeaseSink } from '../domain/lease-event.js';
import { parseIpv4Address } from '../domain/ipv4-address.js';
import { isLeaseAnswer, type LeaseQuestion } from './lease-query.js';
import {
  LeaseQueryClient,
  type DhcpClock,
  type LeaseRoute,
  type LeaseServer,
  type QueryOutcome,
} from './lease-query-client.js';
import { mostParallel, refreshLeases, type BelievedLease, type RefreshResult } from './lease-refresh.js';
import { ownAddressToward } from './own-address.js';
import { decodePacket, type DhcpPacket } from './packet.js';
import { meaningOf } from './packet-event.js';
import { PacketLedger, type DropCount, type DropListener } from './packet-ledger.js';
import type { Relay, Relays } from './relay-table.js';
import { RequestConfirmation } from './request-confirmation.js';

/** A UDP socket that somebody opened for us. */
export interface DhcpSocket {
  /** Where it listens. */
  readonly socketAddress: { readonly address: string; readonly port: number };
  /** Whether somebody else holds it too, so that what is not read waits for the next process. */
  readonly isInherited: boolean;
  send(octets: Buffer, address: string, port: number): void;
  /** Reads nothing any more and still sends. */
  stopReading(): void;
  close(): Promise<void>;
}

/** Opens one socket and delivers what arrives there. Rejects when it cannot be had. */
export type OpenDhcpSocket = (
  onDatagram: (datagram: Buffer, sourceAddress: string, sourcePort: number) => void,
) => Promise<DhcpSocket>;

export interface DhcpPacketListenerOptions {
  /** One for each address of the configuration, IPv4. */
  readonly sockets: readonly OpenDhcpSocket[];
  readonly relays: Relays;
  readonly sink: LeaseSink;
  readonly clock: DhcpClock;
  /** Told at most once in five minutes per relay and reason. */
  readonly onDrop: DropListener;
  /** Told of what a sink throws. */
  readonly onError: (error: unknown) => void;
  /** DHCPREQUESTs that wait for a leasequery at most. */
  readonly maxHeldRequests: number;
  /** Open leasequeries to one server at most. */
  readonly maxLeasequeries: number;
  /** 0 up to 1; chance for jitter. */
  readonly random?: () => number;
}

/** Counters of a running listener. */
export interface DhcpPacketCounters {
  /** Lease events that were handed on, by relay and kind. */
  readonly events: readonly { readonly relay: string; readonly kind: LeaseEventKind; readonly count: number }[];
  readonly drops: readonly DropCount[];
  readonly heldRequests: number;
  readonly openLeasequeries: number;
}

const everyAddress = '0.0.0.0';
/** The label of events about leases whose source is no relay. */
const refreshed = 'refresh';

/** Start it once, stop it once. */
export class DhcpPacketListener {
  readonly #options: DhcpPacketListenerOptions;
  readonly #ledger: PacketLedger;
  readonly #client: LeaseQueryClient;
  readonly #confirmation: RequestConfirmation;
  readonly #sockets: DhcpSocket[] = [];
  readonly #events = new Map<string, Map<LeaseEventKind, number>>();
  #stopped = false;

  constructor(options: DhcpPacketListenerOptions) {
    const { clock, random } = options;
    this.#options = options;
    this.#ledger = new PacketLedger({ nowMs: () => clock.nowMs(), onDrop: options.onDrop });
    this.#client = new LeaseQueryClient({
      clock,
      routeTo: (server) => this.#routeTo(server),
      maxInFlight: options.maxLeasequeries,
      ...(random === undefined ? {} : { random }),
    });
    this.#confirmation = new RequestConfirmation({
      clock,
      ask: (server, question) => this.#client.ask(server, question),
      deliver: (event, relay) => this.#deliver(event, relay.name),
      note: (reason, relay) => this.#ledger.drop(reason, relay.name),
      maxHeld: options.maxHeldRequests,
    });
  }

  /**
   * Opens all sockets. Rejects with the error of the first that cannot be had; the others are closed again.
   */
  async start(): Promise<void> {
    try {
      for (const open of this.#options.sockets)
        this.#sockets.push(await open((...received) => this.#receive(...received)));
    } catch (error) {
      await this.#closeAll();
      throw error;
    }
  }

  /**
   * Stops: nothing is read any more (what arrives waits in an inherited socket for the next process), DHCPREQUESTs that wait for a server are
   * handed to the sink as hints, then the sockets close.
   */
  async stop(): Promise<void> {
    if (this.#stopped) return;
    this.#stopped = true;
    for (const socket of this.#sockets) socket.stopReading();
    this.#confirmation.stop();
    this.#client.stop();
    await this.#closeAll();
  }

  /** Open sockets, with the ports that the system chose. */
  get sockets(): readonly DhcpSocket[] {
    return this.#sockets;
  }

  /** Asks one server about one lease. */
  async askServer(server: LeaseServer, question: LeaseQuestion): Promise<QueryOutcome> {
    return await this.#client.ask(server, question);
  }

  /** After an outage: asks the servers about leases that are believed in, and hands on what they say. Ends early with `stop`. */
  async refresh(leases: Iterable<BelievedLease> | AsyncIterable<BelievedLease>): Promise<RefreshResult> {
    const { clock, relays, maxLeasequeries } = this.#options;
    return await refreshLeases(leases, {
      clock,
      relays,
      ask: (server, question) => this.#client.ask(server, question),
      deliver: (event) => this.#deliver(event, relays.byName(event.source)?.name ?? refreshed),
      // Half of the places are left to those who wait to get on.
      parallel: Math.max(1, Math.min(mostParallel, Math.floor(maxLeasequeries / 2))),
      isStopped: () => this.#stopped,
    });
  }

  counters(): DhcpPacketCounters {
    return {
      events: [...this.#events].flatMap(([relay, kinds]) =>
        [...kinds].map(([kind, count]) => ({ relay, kind, count })),
      ),
      drops: [...this.#ledger.counts()],
      heldRequests: this.#confirmation.held,
      openLeasequeries: this.#client.inFlight,
    };
  }

  #receive(datagram: Buffer, sourceAddress: string, sourcePort: number): void {
    if (this.#stopped) return;
    const { relays } = this.#options;
    const name = relays.nameOf(sourceAddress);
    // Nothing of a stranger's datagram is looked at.
    if (name === undefined) return this.#ledger.drop('unknown-source', undefined, sourceAddress);
    const decoded = decodePacket(datagram);
    if (!decoded.ok) return this.#ledger.drop(decoded.reason, name, sourceAddress);
    const { packet } = decoded;
    if (isLeaseAnswer(packet)) {
      const stray = this.#client.hear(packet, sourceAddress, sourcePort);
      if (stray !== undefined) this.#ledger.drop(stray, name, sourceAddress);
      return;
    }
    const relay = relays.find(sourceAddress, packet.giaddr);
    if (relay === undefined) return this.#ledger.drop('unknown-giaddr', name, sourceAddress);
    this.#takeIn(packet, relay, sourceAddress);
  }

  #takeIn(packet: DhcpPacket, relay: Relay, sourceAddress: string): void {
    const result = meaningOf(packet, relay, this.#options.clock.nowMs());
    if (result.meaning === 'none') return this.#ledger.drop(result.reason, relay.name, sourceAddress);
    const { event } = result;
    // Of a line that nobody believes there is nothing to confirm.
    const isAsked = event.kind === 'request' && event.line?.lying === undefined;
    if (isAsked && relay.leasequeryServers.length > 0) this.#confirmation.hold(event, relay);
    else this.#deliver(event, relay.name);
  }

  #deliver(event: LeaseEvent, relay: string): void {
    let kinds = this.#events.get(relay);
    if (kinds === undefined) this.#events.set(relay, (kinds = new Map()));
    kinds.set(event.kind, (kinds.get(event.kind) ?? 0) + 1);
    try {
      this.#options.sink.take(event, (durable) => {
        // Nobody can be asked to say it again; a renewal will.
        if (!durable) this.#ledger.drop('not-stored', relay);
      });
    } catch (error) {
      this.#ledger.drop('error', relay);
      this.#options.onError(error);
    }
  }

  /** A server answers to giaddr, so that has to be an address where one of our sockets listens. */
  async #routeTo(server: LeaseServer): Promise<LeaseRoute | undefined> {
    const toward = await ownAddressToward(server.address, server.port);
    if (toward === undefined) return undefined;
    const listening = (address: string): DhcpSocket | undefined =>
      this.#sockets.find(({ socketAddress }) => socketAddress.address === address);
    const socket = listening(toward) ?? listening(everyAddress) ?? this.#sockets[0];
    const { address } = socket?.socketAddress ?? { address: everyAddress };
    const giaddr = parseIpv4Address(address === everyAddress ? toward : address);
    if (socket === undefined || giaddr === undefined) return undefined;
    return { giaddr, send: (octets) => socket.send(octets, server.address, server.port) };
  }

  async #closeAll(): Promise<void> {
    await Promise.all(this.#sockets.map((socket) => socket.close()));
  }
}
