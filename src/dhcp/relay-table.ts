/**
 * Which relays are believed. Enters: the relays of the configuration; then source address and giaddr of each packet. Leaves: the relay that
 * both belong to. Invariants: a packet is of a relay only when both fit; of networks that overlap the longer prefix counts, that of the source
 * before that of the giaddr.
 */
import { parseIpv4Address } from '../domain/ipv4-address.js';
import type { LeaseServer } from './lease-query-client.js';

/** An address is a network of 32 bits. */
export interface Ipv4Network {
  /** Unsigned 32-bit number; bits after the prefix are zero. */
  readonly address: number;
  readonly prefixLength: number;
}

/** A device that copies packets of clients to us, or that shows us answers of a server. */
export interface Relay {
  readonly name: string;
  /** Where its packets come from. */
  readonly source: readonly Ipv4Network[];
  /** What it puts into giaddr; 0.0.0.0 for copies of packets that went past every relay. */
  readonly giaddr: readonly Ipv4Network[];
  /** Its DHCPREQUESTs count as leases that were given. */
  readonly trusted: boolean;
  /** It may show DHCPACKs of servers. */
  readonly acks: boolean;
  /** Who is asked whether a DHCPREQUEST led to a lease; none: nobody is. */
  readonly leasequeryServers: readonly LeaseServer[];
}

/** Answers for packets; another one may take its place while the listener runs. */
export interface Relays {
  /** @param source dotted */
  find(source: string, giaddr: number): Relay | undefined;
  /** How a source is counted: the name of some relay that sends from there, or that it is a server; undefined for a stranger. */
  nameOf(source: string): string | undefined;
  byName(name: string): Relay | undefined;
  /** Every server of every relay, each once. */
  readonly servers: readonly LeaseServer[];
}

interface Place {
  readonly giaddr: Ipv4Network;
  readonly relay: Relay;
}

interface SourceNetwork {
  readonly network: Ipv4Network;
  /** Longer prefixes first. */
  readonly places: Place[];
}

/** Built once per configuration. */
export class RelayTable implements Relays {
  readonly servers: readonly LeaseServer[];
  readonly #single = new Map<number, SourceNetwork>();
  /** Longer prefixes first. */
  readonly #networks: SourceNetwork[] = [];
  readonly #byName: ReadonlyMap<string, Relay>;
  readonly #serverAddresses: ReadonlySet<string>;

  constructor(relays: readonly Relay[]) {
    this.#byName = new Map(relays.map((relay) => [relay.name, relay]));
    const servers = relays.flatMap((relay) => relay.leasequeryServers);
    this.servers = [...new Map(servers.map((server) => [serverName(server), server])).values()];
    this.#serverAddresses = new Set(servers.map(({ address }) => address));
    for (const relay of relays)
      for (const network of relay.source)
        this.#sourceNetwork(network).places.push(...relay.giaddr.map((giaddr) => ({ giaddr, relay })));
    this.#networks.sort((a, b) => b.network.prefixLength - a.network.prefixLength);
    for (const { places } of [...this.#single.values(), ...this.#networks])
      places.sort((a, b) => b.giaddr.prefixLength - a.giaddr.prefixLength);
  }

  nameOf(source: string): string | undefined {
    for (const { places } of this.#matching(source)) if (places[0] !== undefined) return places[0].relay.name;
    return this.#serverAddresses.has(source) ? `server-${source}` : undefined;
  }

  find(source: string, giaddr: number): Relay | undefined {
    for (const { places } of this.#matching(source))
      for (const place of places) if (contains(place.giaddr, giaddr)) return place.relay;
    return undefined;
  }

  byName(name: string): Relay | undefined {
    return this.#byName.get(name);
  }

  *#matching(source: string): Generator<SourceNetwork> {
    const address = parseIpv4Address(source);
    if (address === undefined) return;
    const single = this.#single.get(address);
    if (single !== undefined) yield single;
    for (const one of this.#networks) if (contains(one.network, address)) yield one;
  }

  #sourceNetwork(network: Ipv4Network): SourceNetwork {
    const known =
      network.prefixLength === 32
        ? this.#single.get(network.address)
        : this.#networks.find(
            (one) => one.network.address === network.address && one.network.prefixLength === network.prefixLength,
          );
    if (known !== undefined) return known;
    const fresh: SourceNetwork = { network, places: [] };
    if (network.prefixLength === 32) this.#single.set(network.address, fresh);
    else this.#networks.push(fresh);
    return fresh;
  }
}

/** How a server is called in logs. */
export function serverName({ address, port }: LeaseServer): string {
  return `${address}:${String(port)}`;
}

function contains({ address, prefixLength }: Ipv4Network, one: number): boolean {
  return prefixLength === 0 || (address ^ one) >>> (32 - prefixLength) === 0;
}
