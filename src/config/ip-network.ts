/**
 * IP addresses and networks as numbers, for matching the source of a packet.
 *
 * Enters: text from configuration files and from sockets.
 * Leaves: `IpAddress` and `IpNetwork` values, and their canonical text.
 * Invariant: an IPv4-mapped IPv6 address (RFC 4291 §2.5.5.2) is its IPv4 address, everywhere.
 */
import { isIPv4, isIPv6 } from 'node:net';

/** One address. */
export interface IpAddress {
  readonly family: 4 | 6;
  readonly value: bigint;
}

/** A network; a single address is one whose prefix is as long as the address. */
export interface IpNetwork extends IpAddress {
  readonly prefixLength: number;
}

export type NetworkResult =
  | { readonly ok: true; readonly network: IpNetwork }
  | { readonly ok: false; readonly problem: string; readonly remedy: string };

/** Length of an address in bits. */
export const addressBits = { 4: 32, 6: 128 } as const;

const mappedPrefix = 0xffffn;

/**
 * Reads an address.
 *
 * @param text dotted IPv4 or any form of IPv6; a zone (`%eth0`) is ignored
 * @returns the address, or `undefined` when the text is none
 */
export function parseIpAddress(text: string): IpAddress | undefined {
  if (isIPv4(text)) return { family: 4, value: ipv4Value(text) };
  if (!isIPv6(text)) return undefined;
  const value = ipv6Value(text.split('%', 1)[0] ?? '');
  return value >> 32n === mappedPrefix ? { family: 4, value: value & 0xffff_ffffn } : { family: 6, value };
}

/**
 * Reads an address or a network in CIDR form.
 *
 * @param text `10.0.0.2`, `10.0.0.0/24`, `2001:db8::/48`
 * @returns the network, or problem and remedy; host bits must be zero, because a set one is more often a typing error
 */
export function parseIpNetwork(text: string): NetworkResult {
  const example = 'write an address such as "10.0.0.2" or a network such as "10.0.0.0/24"';
  const [addressText = '', lengthText, ...rest] = text.split('/');
  const address = parseIpAddress(addressText);
  if (address === undefined || addressText.includes('%') || rest.length > 0) {
    return { ok: false, problem: 'is not an IP address or network', remedy: example };
  }
  const bits = addressBits[address.family];
  if (lengthText === undefined) return { ok: true, network: { ...address, prefixLength: bits } };
  if (!/^\d{1,3}$/u.test(lengthText))
    return { ok: false, problem: 'has no prefix length after the slash', remedy: example };
  // A mapped address is written with an IPv6 prefix length.
  const prefixLength = Number(lengthText) - (address.family === 4 && addressText.includes(':') ? 96 : 0);
  if (prefixLength < 0 || prefixLength > bits) {
    return { ok: false, problem: `has a prefix length that is not between 0 and ${bits}`, remedy: example };
  }
  const network = { ...address, value: networkPart(address, prefixLength), prefixLength };
  if (network.value !== address.value) {
    return { ok: false, problem: 'has address bits after its prefix', remedy: `write "${formatIpNetwork(network)}"` };
  }
  return { ok: true, network };
}

/** The address with all bits after the prefix cleared. */
export function networkPart(address: IpAddress, prefixLength: number): bigint {
  const hostBits = BigInt(addressBits[address.family] - prefixLength);
  return (address.value >> hostBits) << hostBits;
}

/** Whether a network holds an address. */
export function contains(network: IpNetwork, address: IpAddress): boolean {
  return network.family === address.family && networkPart(address, network.prefixLength) === network.value;
}

/** Canonical text; IPv6 as RFC 5952 writes it. */
export function formatIpAddress(address: IpAddress): string {
  if (address.family === 4) {
    return [24n, 16n, 8n, 0n].map((shift) => String((address.value >> shift) & 0xffn)).join('.');
  }
  const groups = Array.from({ length: 8 }, (_, index) =>
    ((address.value >> BigInt(112 - 16 * index)) & 0xffffn).toString(16),
  );
  let longest = { at: -1, length: 1 };
  for (let at = 0; at < 8; at += 1) {
    let length = 0;
    while (groups[at + length] === '0') length += 1;
    if (length > longest.length) longest = { at, length };
  }
  if (longest.at < 0) return groups.join(':');
  return `${groups.slice(0, longest.at).join(':')}::${groups.slice(longest.at + longest.length).join(':')}`;
}

/** Canonical text: the bare address when the network is a single one. */
export function formatIpNetwork(network: IpNetwork): string {
  const address = formatIpAddress(network);
  return network.prefixLength === addressBits[network.family] ? address : `${address}/${network.prefixLength}`;
}

function ipv4Value(text: string): bigint {
  return BigInt(text.split('.').reduce((value, octet) => value * 256 + Number(octet), 0));
}

function ipv6Value(text: string): bigint {
  const [head = '', tail] = text.split('::');
  const before = hexGroups(head);
  const after = tail === undefined ? [] : hexGroups(tail);
  const zeros = new Array<number>(8 - before.length - after.length).fill(0);
  return [...before, ...zeros, ...after].reduce((value, group) => (value << 16n) | BigInt(group), 0n);
}

function hexGroups(text: string): number[] {
  if (text === '') return [];
  return text.split(':').flatMap((group) => {
    if (!group.includes('.')) return [Number.parseInt(group, 16)];
    const value = Number(ipv4Value(group));
    return [Math.floor(value / 65_536), value % 65_536];
  });
}
