/**
 * Which networks a lease is of. Enters: the networks of `[dhcp]`. Leaves: answers about single addresses. Invariant: of networks that overlap the longest prefix
 * counts; an address is looked up in at most 33 steps, however many networks there are.
 */
import { parseIpv4Address } from '../domain/ipv4-address.js';
import type { Config } from './config.js';

interface Network {
  readonly address: number;
  readonly prefixLength: number;
}

/** Values by network. */
export class NetworkTable<Value> {
  /** By prefix length, then by the bits of the prefix; the longest first. */
  readonly #byLength = new Map<number, Map<number, Value>>();
  readonly #lengths: readonly number[];

  constructor(entries: readonly { readonly networks: readonly Network[]; readonly value: Value }[]) {
    for (const { networks, value } of entries)
      for (const { address, prefixLength } of networks) {
        let prefixes = this.#byLength.get(prefixLength);
        if (prefixes === undefined) this.#byLength.set(prefixLength, (prefixes = new Map<number, Value>()));
        prefixes.set(prefixOf(address, prefixLength), value);
      }
    this.#lengths = [...this.#byLength.keys()].sort((a, b) => b - a);
  }

  /** @param text IPv4, dotted */
  find(text: string): Value | undefined {
    const address = parseIpv4Address(text);
    if (address === undefined) return undefined;
    for (const length of this.#lengths) {
      const found = this.#byLength.get(length)!.get(prefixOf(address, length));
      if (found !== undefined) return found;
    }
    return undefined;
  }
}

/** Which NAS opens the network for a lease, by address. */
export function nasNetworks({ networks }: Config['dhcp']): NetworkTable<string> {
  return new NetworkTable(networks.map(({ network, nas }) => ({ networks: network, value: nas })));
}

function prefixOf(address: number, prefixLength: number): number {
  return Math.floor(address / 2 ** (32 - prefixLength));
}
