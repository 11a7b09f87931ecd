/**
 * What a power cut does to a spool, done to the spool of a killed server. Enters: its folder, what was answered, how far the database is. Leaves: a
 * newest segment that ends anywhere behind the last byte that is known to have been synced. Invariant: it never takes a byte that an
 * answer or the database depends on; kill -9 alone leaves all of them, because the page cache survives the process.
 */
import { readdir, readFile, truncate, appendFile } from 'node:fs/promises';
import { join } from 'node:path';
import { randomBytes } from 'node:crypto';
import type { Packet } from '../../src/radius/packet.js';
import { Attribute } from '../../src/radius/attribute-number.js';
import { Code } from '../../src/radius/code.js';
import type { BuiltRequest } from './radius-client.js';

/** Octets of a segment's header, of a record's header, and where the latter has its length (src/spool/segment-format.ts). */
const SEGMENT_HEADER_OCTETS = 1024;
const RECORD_HEADER_OCTETS = 32;
const LENGTH_AT = 12;
const KIND_AT = 15;
const GRANT_KIND = 3;
/** A block that was being written when the power went, at most. */
const TORN_OCTETS = 512;

/** Remembers which requests were answered, in terms that are found again in the spool. */
export class Answered {
  readonly #tokens = new Set<string>();

  readonly note = (request: BuiltRequest, reply: Packet): void => {
    if (reply.code === Code.accountingResponse) this.#tokens.add(request.authenticator.toString('hex'));
    const offer = reply.code === Code.accessAccept ? reply.first(Attribute.class) : undefined;
    // The offer stands in six octets behind version, subscriber and policy (src/handlers/class-cookie.ts).
    if (offer?.length === 27) this.#tokens.add(`offer ${String(offer.readUIntBE(11, 6))}`);
  };

  has(kind: number, payload: Buffer): boolean {
    if (kind === GRANT_KIND)
      return this.#tokens.has(`offer ${String((JSON.parse(payload.toString()) as { offerId: number }).offerId)}`);
    let at = 1;
    for (let text = 0; text < 3; text++) at += 1 + payload[at]!;
    return this.#tokens.has(payload.toString('hex', at + 4, at + 20));
  }
}

/** How far the database is: as `spool_position` has it. */
export interface AppliedPosition {
  readonly segment: number;
  readonly offset: number;
}

/** What was taken away. */
export interface Cut {
  /** Octets behind the last one that had to be on the disk. */
  readonly unsyncedOctets: number;
  /** Of these, left in place. */
  readonly keptOctets: number;
}

/** Cuts the newest segment. @param random from 0 up to 1 */
export async function cutPower(
  spoolDirectory: string,
  answered: Answered,
  applied: AppliedPosition | undefined,
  random: () => number,
): Promise<Cut> {
  const names = (await readdir(spoolDirectory)).filter((name) => /^\d+\.\w+$|segment/.test(name)).sort();
  const newest = names.at(-1);
  if (newest === undefined) throw new Error(`no segment in ${spoolDirectory}`);
  const path = join(spoolDirectory, newest);
  const bytes = await readFile(path);
  const number = Number(bytes.readBigUInt64LE(48));
  let needed = SEGMENT_HEADER_OCTETS;
  if (applied?.segment === number) needed = Math.max(needed, applied.offset);
  for (let at = SEGMENT_HEADER_OCTETS; at + RECORD_HEADER_OCTETS <= bytes.length;) {
    const end = at + RECORD_HEADER_OCTETS + (bytes.readUInt32LE(at + LENGTH_AT) & 0xff_ffff);
    if (end > bytes.length) break;
    if (answered.has(bytes[at + KIND_AT]!, bytes.subarray(at + RECORD_HEADER_OCTETS, end)))
      needed = Math.max(needed, end);
    at = end;
  }
  const unsyncedOctets = bytes.length - needed;
  const keptOctets = Math.floor(random() * (unsyncedOctets + 1));
  await truncate(path, needed + keptOctets);
  await appendFile(path, randomBytes(Math.floor(random() * TORN_OCTETS)));
  return { unsyncedOctets, keptOctets };
}
