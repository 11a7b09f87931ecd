/**
 * The access line of a packet. Enters: rules of access lines, a RADIUS packet. Leaves: what the packet says of the line, as rules read it, and the MAC
 * address of the client where it stands beside it. Invariants: nothing throws for any content; a line that names no device, ONU or login is none,
 * since nobody is found by it.
 */
import type { AccessLine } from '../domain/access-line.js';
import type { ReadLine } from '../domain/lease-holder.js';
import type { LineRules, LineSource } from '../domain/line-rules.js';
import type { Packet } from '../radius/packet.js';
import { lineAttributes } from './line-attributes.js';
import type { LineReading } from './line-attributes.js';

/** What a packet says of its client's line. */
export interface SeenLine {
  readonly read: ReadLine;
  /** Canonical; undefined: it does not stand beside the line. */
  readonly mac: string | undefined;
}

const nothing: SeenLine = { read: { read: 'none' }, mac: undefined };

/** Rules of access lines, applied to packets. */
export class LineReader {
  readonly #rules: LineRules;
  readonly #reading: LineReading;

  /** @param decodeOption82 takes the octets of a whole option 82 apart; null: they are not to be believed */
  constructor(rules: LineRules, decodeOption82: LineReading['decodeOption82']) {
    this.#rules = rules;
    this.#reading = { decodeOption82, nasPortId: rules.looksAt('nas_port_id') };
  }

  read(packet: Packet): SeenLine {
    const attributes = lineAttributes(packet, this.#reading);
    if (attributes === undefined) return nothing;
    return { read: readLine(this.#rules, attributes), mac: attributes.clientMac ?? undefined };
  }
}

/** What rules make of what is known of a line. */
export function readLine(rules: LineRules, source: LineSource): ReadLine {
  const found = rules.find(source)?.line;
  if (found !== undefined && namesSomebody(found)) return { read: 'line', line: found };
  const { circuitId, remoteId, subscriberId } = source;
  // NAS-Port-Id is in nearly every packet, and mostly an interface: by itself it is no line that a rule ought to know.
  return { read: (circuitId ?? remoteId ?? subscriberId) === null ? 'none' : 'unknown' };
}

function namesSomebody({ device, onuSerial, login }: AccessLine): boolean {
  return (device ?? onuSerial ?? login) !== undefined;
}
