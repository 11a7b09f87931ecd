/**
 * The options that say an access line: what a relay told of it, in hexadecimal.
 *
 * Enters: options as typed. Leaves: octets.
 * Invariant: what was typed is used as a whole or refused.
 */
import { UsageError } from './command-error.js';
import { hexRow } from './hex-text.js';

/** Options of `explain` and `radtest`, as typed. */
export interface LineOptions {
  readonly circuitId?: string;
  readonly remoteId?: string;
}

/** Sub-options 1 and 2 of option 82 (RFC 3046 §2.0). */
export interface LineOctets {
  readonly circuitId: Buffer | undefined;
  readonly remoteId: Buffer | undefined;
}

/** An attribute of a vendor has 253 octets, of which six are the vendor, a type and a length (RFC 2865 §5.26). */
const longestIdOctets = 247;

/** @throws UsageError for what is not hexadecimal, or more than an attribute holds */
export function lineOctetsOf({ circuitId, remoteId }: LineOptions): LineOctets {
  return { circuitId: octetsOf('--circuit-id', circuitId), remoteId: octetsOf('--remote-id', remoteId) };
}

function octetsOf(option: string, text: string | undefined): Buffer | undefined {
  if (text === undefined) return undefined;
  const octets = hexRow(text);
  if (octets === undefined)
    throw new UsageError(
      `${option} is not hexadecimal`,
      'write two digits for each octet, as sluice line test takes them',
    );
  if (octets.length > longestIdOctets)
    throw new UsageError(
      `${option} has ${String(octets.length)} octets`,
      `an attribute has ${String(longestIdOctets)} of them at most`,
    );
  return octets;
}
