/**
 * What `line test` is given, as octets of a line.
 *
 * Enters: hexadecimal or text, whole or in parts. Leaves: circuit-id, remote-id, subscriber-id and NAS-Port-Id.
 * Invariant: what was typed is used as a whole or refused: a sub-option that is longer than the rest is no sub-option.
 */
import { decodeOption82, isCut } from '../dhcp/option82.js';
import type { LineSource } from '../domain/line-rules.js';
import { UsageError } from './command-error.js';
import { hexRow } from './hex-text.js';

/** The options of `line test`, as typed. */
export interface LineTestOptions {
  readonly circuitId?: string;
  readonly remote?: string;
  readonly subscriberId?: string;
  readonly text?: boolean;
  readonly nasPortId?: string;
}

/** A sample, and how it was read, for people. */
export interface LineSampleInput {
  readonly source: LineSource & { readonly nasPortId: string | null };
  readonly remark: string | undefined;
}

/** The option's own number, with which some dumps begin (RFC 3046 §2.0). */
const optionNumber = 82;

/**
 * Takes the arguments apart. Octets without parts beside them are a whole option 82 when they can be one, and else a circuit-id.
 *
 * @throws UsageError for nothing, for what is not hexadecimal, and for a circuit-id that is given twice
 */
export function lineSampleOf(octets: string | undefined, options: LineTestOptions): LineSampleInput {
  const read = (named: string, value: string | undefined): string | null =>
    value === undefined ? null : octetsOf(named, value, options.text === true).toString('hex');
  const circuitId = read('--circuit-id', options.circuitId);
  const remoteId = read('--remote', options.remote);
  const subscriberId = read('--subscriber-id', options.subscriberId);
  const given = read('OCTETS', octets);
  const nasPortId = options.nasPortId === undefined ? null : Buffer.from(options.nasPortId, 'utf8').toString('hex');
  if (given !== null && circuitId !== null)
    throw new UsageError('the circuit-id is given twice', 'give OCTETS or --circuit-id');
  if (given === null && circuitId === null && remoteId === null && subscriberId === null && nasPortId === null)
    throw new UsageError('there is no line to test', 'give option 82 in hex, its parts, or --nas-port-id');
  const isAlone = given !== null && remoteId === null && subscriberId === null && options.text !== true;
  const whole = isAlone ? wholeOption(Buffer.from(given, 'hex')) : undefined;
  const parts: Parts = whole ?? { circuitId: circuitId ?? given, remoteId, subscriberId };
  return {
    source: {
      ...parts,
      switchMac: null,
      switchPort: null,
      nasPortId,
    },
    remark: !isAlone
      ? undefined
      : whole === undefined
        ? 'no whole option 82: read as a circuit-id'
        : 'read as a whole option 82; --circuit-id if it is one part of it',
  };
}

function octetsOf(named: string, value: string, isText: boolean): Buffer {
  if (isText) return Buffer.from(value, 'utf8');
  const octets = hexRow(value);
  if (octets === undefined)
    throw new UsageError(`${named} is not hexadecimal`, 'write two digits for each octet, or use --text');
  return octets;
}

interface Parts {
  readonly circuitId: string | null;
  readonly remoteId: string | null;
  readonly subscriberId: string | null;
}

/** @returns undefined when lengths do not fit, or no sub-option is one that tells of the line */
function wholeOption(given: Buffer): Parts | undefined {
  const hasHeader = given[0] === optionNumber && given[1] === given.length - 2;
  const information = decodeOption82(hasHeader ? given.subarray(2) : given);
  if (isCut(information)) return undefined;
  const { circuitId, remoteId, subscriberId } = information;
  const parts = { circuitId, remoteId, subscriberId };
  return Object.values(parts).every((one) => one === null) ? undefined : parts;
}
