// What a pool gives: an IPv4 address or an IPv6 prefix, under one name, so that offers, grants, holds and history are one mechanism for all.
// Enters: either form. Leaves: text and back. Invariant: the form tells the family: a number is IPv4 (a million of them are held), a text is a
// canonical prefix.

import { formatIpv4Address, parseIpv4Address } from './ipv4-address.js';
import { parseIpv6Prefix } from './ipv6-prefix.js';

/** What there is one of per slot of a subscriber; also the values of `assignment.kind` and `pool.kind`. */
export type AddressKind = 'ipv4' | PrefixKind;

/** `framed-prefix`: of the link to the subscriber (RFC 3162 §2.3). `delegated-prefix`: for the network behind it (RFC 4818 §3). */
export type PrefixKind = 'framed-prefix' | 'delegated-prefix';

export const prefixKinds: readonly PrefixKind[] = ['framed-prefix', 'delegated-prefix'];
export const addressKinds: readonly AddressKind[] = ['ipv4', ...prefixKinds];

/** An IPv4 address as an unsigned 32-bit number, or a prefix as canonical text. */
export type PoolAddress = number | string;

/** Dotted, or `prefix/length`. */
export function formatPoolAddress(address: PoolAddress): string {
  return typeof address === 'number' ? formatIpv4Address(address) : address;
}

/** @returns the address or the prefix, or undefined when the text is neither */
export function parsePoolAddress(text: string): PoolAddress | undefined {
  return text.includes(':') ? parseIpv6Prefix(text) : parseIpv4Address(text);
}
