/**
 * What the compiler of profiles needs of a RADIUS dictionary.
 *
 * Enters: the name of an attribute and a value.
 * Leaves: its octets, or why it has none.
 * Invariant: an encoder is a pure function of its arguments, so that what it makes may be kept.
 */

export type EncodeResult =
  /** The whole attribute: type, length, value; with the header of RFC 2865 §5.26 for a vendor's. */
  | { readonly ok: true; readonly octets: Buffer }
  | { readonly ok: false; readonly reason: 'unknown-attribute' | 'bad-value'; readonly problem: string };

/** Encodes attributes by name. */
export interface AttributeEncoder {
  /**
   * @param name in the dictionary's spelling
   * @param value text or an unsigned number; for an integer attribute also the name of one of its values
   * @param tag of a tagged attribute (RFC 2868 §3.1)
   * @param verbatim the text holds something that others chose: of an attribute of octets it is the octets themselves, even
   *   where it looks like a notation for octets
   */
  encode(name: string, value: string | number, tag: number | undefined, verbatim: boolean): EncodeResult;
  /** All names, to suggest the one that was meant. */
  names(): readonly string[];
}
