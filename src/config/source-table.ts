/**
 * Which NAS a packet comes from.
 *
 * Enters: the NAS entries of a `Config`; then the source address of each packet.
 * Leaves: the group of entries that own the address and share its secrets; then the one entry that a request names.
 * Invariant: a single address comes before any network, a longer prefix before a shorter one; an IPv4-mapped IPv6 source is
 * its IPv4 address; what is remembered of sources is bounded.
 */
import type { NasEntry } from './config.js';
import { formatIpAddress, networkPart, parseIpAddress, parseIpNetwork, addressBits } from './ip-network.js';
import type { IpAddress } from './ip-network.js';
import type { SecretValue } from './secret-value.js';

/** The entries behind one address or network. `Secret` is what the signature code wants. */
export interface SourceGroup<Secret> {
  /** For logs and metrics: the name of the entry, or a few names joined by `+`. */
  readonly name: string;
  readonly secrets: readonly Secret[];
  readonly requireMessageAuthenticator: boolean;
  readonly limitProxyState: boolean;
  readonly entries: readonly NasEntry[];
}

/** Answers for a source address as the socket reports it. */
export interface SourceTable<Secret> {
  /** @returns the group, or `undefined` for a source that no entry knows */
  lookup(address: string): SourceGroup<Secret> | undefined;
  /** Every group once, for metrics that begin at zero. */
  readonly groups: readonly SourceGroup<Secret>[];
}

// Sources remembered; a forged source per packet fills this, and then it is begun anew. Some 10 MB when full.
const defaultCachedSources = 65_536;
// A name with more parts than this is no label for a graph.
const namedEntries = 3;

/**
 * Builds the table once per configuration.
 *
 * @param entries of a loaded `Config`; entries with equal addresses have equal secrets there
 * @param makeSecret called once per secret and group, for instance to precompute key states
 * @param cachedSources how many sources are remembered at most
 */
export function buildSourceTable<Secret>(
  entries: readonly NasEntry[],
  makeSecret: (secret: SecretValue) => Secret,
  cachedSources: number = defaultCachedSources,
): SourceTable<Secret> {
  const groups = [...groupByAddress(entries)].map(([address, members]) => ({
    address,
    group: groupOf(members, makeSecret),
  }));
  const exact = new Map<string, SourceGroup<Secret>>();
  const networks = new NetworkTable<SourceGroup<Secret>>();
  for (const { address, group } of groups) {
    const parsed = parseIpNetwork(address);
    if (!parsed.ok) throw new RangeError(`not a canonical network: ${address}`);
    const { network } = parsed;
    if (network.prefixLength === addressBits[network.family]) exact.set(address, group);
    else networks.add(network, network.prefixLength, group);
  }
  const cache = new Map<string, SourceGroup<Secret> | undefined>();
  return {
    groups: groups.map(({ group }) => group),
    lookup(address) {
      // Sockets report IPv4 in the canonical form, so that this answers for nearly every packet.
      const direct = exact.get(address);
      if (direct !== undefined) return direct;
      if (cache.has(address)) return cache.get(address);
      const parsed = parseIpAddress(address);
      const found = parsed && (exact.get(formatIpAddress(parsed)) ?? networks.longestMatch(parsed));
      if (cache.size >= cachedSources) cache.clear();
      cache.set(address, found);
      return found;
    },
  };
}

/**
 * The entry of a group that a request comes from. An entry matches when everything that it names is equal; of several, the
 * one that names its NAS-Identifier comes first, then the one that names its NAS-IP-Address, then the one that names nothing.
 *
 * @param group from `lookup`
 * @param nasIdentifier NAS-Identifier of the request (RFC 2865 §5.32)
 * @param nasIpAddress NAS-IP-Address of the request, dotted (RFC 2865 §5.4)
 * @returns the entry, or `undefined` when the group expects other names
 */
export function selectNas<Secret>(
  group: Pick<SourceGroup<Secret>, 'entries'>,
  nasIdentifier: string | undefined,
  nasIpAddress: string | undefined,
): NasEntry | undefined {
  let best: NasEntry | undefined;
  let bestRank = -1;
  for (const entry of group.entries) {
    if (entry.nasIdentifier !== undefined && entry.nasIdentifier !== nasIdentifier) continue;
    if (entry.nasIpAddress !== undefined && entry.nasIpAddress !== nasIpAddress) continue;
    const rank = (entry.nasIdentifier === undefined ? 0 : 2) + (entry.nasIpAddress === undefined ? 0 : 1);
    if (rank > bestRank) {
      best = entry;
      bestRank = rank;
    }
  }
  return best;
}

function groupByAddress(entries: readonly NasEntry[]): Map<string, NasEntry[]> {
  const byAddress = new Map<string, NasEntry[]>();
  for (const entry of entries) {
    for (const address of entry.addresses) {
      const members = byAddress.get(address);
      if (members === undefined) byAddress.set(address, [entry]);
      else members.push(entry);
    }
  }
  return byAddress;
}

function groupOf<Secret>(
  members: readonly NasEntry[],
  makeSecret: (secret: SecretValue) => Secret,
): SourceGroup<Secret> {
  const names = members.map((entry) => entry.name);
  const more = names.length - namedEntries;
  return {
    name: [...names.slice(0, namedEntries), ...(more > 0 ? [`${more}-more`] : [])].join('+'),
    secrets: (members[0]?.secrets ?? []).map(makeSecret),
    requireMessageAuthenticator: members.some((entry) => entry.requireMessageAuthenticator),
    limitProxyState: members.some((entry) => entry.limitProxyState),
    entries: members,
  };
}

/** Networks by prefix length, the longest first. */
class NetworkTable<Value> {
  readonly #byFamily: Record<4 | 6, Map<number, Map<bigint, Value>>> = { 4: new Map(), 6: new Map() };
  readonly #lengths: Record<4 | 6, number[]> = { 4: [], 6: [] };

  add(network: IpAddress, prefixLength: number, value: Value): void {
    const lengths = this.#byFamily[network.family];
    let networks = lengths.get(prefixLength);
    if (networks === undefined) {
      lengths.set(prefixLength, (networks = new Map()));
      this.#lengths[network.family] = [...lengths.keys()].sort((a, b) => b - a);
    }
    networks.set(network.value, value);
  }

  longestMatch(address: IpAddress): Value | undefined {
    for (const prefixLength of this.#lengths[address.family]) {
      const found = this.#byFamily[address.family].get(prefixLength)?.get(networkPart(address, prefixLength));
      if (found !== undefined) return found;
    }
    return undefined;
  }
}
