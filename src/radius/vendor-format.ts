// How a vendor lays out the attributes inside Vendor-Specific (26).
// In: the octets after the vendor number. Out: views of the sub-attribute values.
// Invariant: the walk ends within the range it was given for any content; what does not parse ends the walk.

/** Octets of the type and length fields, and whether a continuation octet follows (dictionary `format=t,l[,c]`). */
export interface VendorFormat {
  readonly typeOctets: 1 | 2 | 4;
  readonly lengthOctets: 0 | 1 | 2;
  readonly continuation: boolean;
}

/** The layout that RFC 2865 §5.26 recommends: one octet each. */
export const standardVendorFormat: VendorFormat = Object.freeze({
  typeOctets: 1,
  lengthOctets: 1,
  continuation: false,
});

/** Octets of a sub-attribute's own header. */
export function vendorHeaderOctets(format: VendorFormat): number {
  return format.typeOctets + format.lengthOctets + (format.continuation ? 1 : 0);
}

/**
 * Finds sub-attributes of one type.
 * @param start the octet after the vendor number
 * @param end the octet after the Vendor-Specific attribute
 * @param into when given, every match is added and the walk goes on; when not, the first match is returned
 */
export function vendorSubAttributes(
  bytes: Buffer,
  start: number,
  end: number,
  format: VendorFormat,
  type: number,
  into: Buffer[] | undefined,
): Buffer | undefined {
  let first: Buffer | undefined;
  walkVendorSubAttributes(bytes, start, end, format, (foundType, valueStart, valueEnd) => {
    if (foundType !== type) return true;
    const value = bytes.subarray(valueStart, valueEnd);
    first ??= value;
    into?.push(value);
    return into !== undefined;
  });
  return first;
}

/**
 * Walks the sub-attributes of one Vendor-Specific attribute.
 * @param visit called with type, value range, and the continuation octet (0 when the format has none); false ends the walk
 * @returns where the walk stopped: `end` when every octet belonged to a sub-attribute
 */
export function walkVendorSubAttributes(
  bytes: Buffer,
  start: number,
  end: number,
  format: VendorFormat,
  visit: (type: number, valueStart: number, valueEnd: number, continuation: number) => boolean,
): number {
  const header = vendorHeaderOctets(format);
  let offset = start;
  while (offset + header <= end) {
    const type = readBigEndian(bytes, offset, format.typeOctets);
    // Without a length field the sub-attribute takes the rest (USR).
    const octets =
      format.lengthOctets === 0 ? end - offset : readBigEndian(bytes, offset + format.typeOctets, format.lengthOctets);
    if (octets < header || offset + octets > end) return offset;
    const continuation = format.continuation ? bytes[offset + header - 1]! : 0;
    if (!visit(type, offset + header, offset + octets, continuation)) return end;
    offset += octets;
  }
  return offset;
}

function readBigEndian(bytes: Buffer, offset: number, octets: number): number {
  let value = 0;
  for (let index = 0; index < octets; index++) value = value * 256 + bytes[offset + index]!;
  return value;
}
