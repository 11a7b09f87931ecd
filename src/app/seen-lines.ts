/**
 * Access lines out of packets, by one policy. Enters: the configuration with its rules of lines, later packets. Leaves: the line that a packet tells of, for NASes
 * whose profiles look at lines. Invariant: of other NASes nothing is read, so that nobody pays for what he does not use.
 */
import type { Config } from '../config/config.js';
import { decodeOption82, isCut, lineEvidence } from '../dhcp/option82.js';
import type { LineEvidence } from '../domain/lease-event.js';
import type { LineRules } from '../domain/line-rules.js';
import { readsLine } from '../handlers/identity.js';
import { LineReader, type SeenLine } from '../nas/line-reader.js';
import type { Packet } from '../radius/packet.js';

/** The number of the option itself, with which a NAS may begin it (RFC 3046 §2.0). */
const OPTION = 82;

export class SeenLines {
  readonly #reader: LineReader;
  readonly #nasNames: ReadonlySet<string>;

  constructor({ nas, profiles }: Pick<Config, 'nas' | 'profiles'>, rules: LineRules) {
    this.#reader = new LineReader(rules, readOption82);
    this.#nasNames = new Set(
      nas
        .filter(({ profile }) => Object.hasOwn(profiles, profile) && readsLine(profiles[profile]!))
        .map(({ name }) => name),
    );
  }

  /** @returns undefined where the profile of this NAS does not look at lines */
  readonly of = (nasName: string, packet: Packet): SeenLine | undefined =>
    this.#nasNames.has(nasName) ? this.#reader.read(packet) : undefined;
}

/** What a NAS passes on of option 82, with its number and length or without. @returns null when a length lies: then nothing of it is believed */
export function readOption82(octets: Buffer): LineEvidence | null {
  const isWhole = octets[0] === OPTION && octets[1] === octets.length - 2;
  const information = decodeOption82(isWhole ? octets.subarray(2) : octets);
  return isCut(information) ? null : lineEvidence(information);
}
