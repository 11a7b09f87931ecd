/**
 * The npm package `radius` as a client: it builds requests and reads replies independently of the server's own codec.
 *
 * Enters: attributes, a secret. Leaves: octets of a request; what the package reads in a reply.
 * Invariant: the package verifies nothing: it compares authenticators after a lossy conversion, so that is `SharedSecret`'s work.
 */
import { createRequire } from 'node:module';
import { parsePacket } from '../radius/packet.js';

/** Name and value; a vendor's attributes by number, in octets. */
export type PeerAttribute =
  | readonly [name: string, value: string | number | Buffer]
  | readonly [name: 'Vendor-Specific', vendor: number, attributes: readonly (readonly [type: number, value: Buffer])[]];

/** What the package reads. */
interface PeerPacket {
  readonly code: string;
  readonly identifier: number;
  /** Type and value, in packet order. */
  readonly raw_attributes: readonly (readonly [number, Buffer])[];
}

interface RadiusPackage {
  encode(options: {
    readonly code: string;
    readonly secret: Buffer;
    readonly identifier: number;
    readonly authenticator?: Buffer;
    readonly attributes: PeerAttribute[];
    readonly add_message_authenticator: boolean;
  }): Buffer;
  decode_without_secret(options: { readonly packet: Buffer }): PeerPacket;
}

const peer = createRequire(import.meta.url)('radius') as RadiusPackage;

/**
 * Builds an Access-Request with a Message-Authenticator (RFC 3579 §3.2).
 *
 * @param authenticator 16 random octets
 */
export function peerAccessRequest(
  secret: Buffer,
  identifier: number,
  authenticator: Buffer,
  attributes: readonly PeerAttribute[],
): Buffer {
  return peer.encode({
    code: 'Access-Request',
    secret,
    identifier,
    authenticator,
    attributes: [...attributes],
    add_message_authenticator: true,
  });
}

/** Builds an Accounting-Request, signed by its Request Authenticator (RFC 2866 §3). */
export function peerAccountingRequest(
  secret: Buffer,
  identifier: number,
  attributes: readonly PeerAttribute[],
): Buffer {
  return peer.encode({
    code: 'Accounting-Request',
    secret,
    identifier,
    attributes: [...attributes],
    add_message_authenticator: false,
  });
}

/**
 * Whether the package reads in a packet what the server's codec reads: code name, Identifier, and every attribute octet by
 * octet.
 *
 * @param codeName the name that the codec gives
 * @returns undefined when they agree, else in what they differ
 */
export function peerDisagreement(bytes: Buffer, codeName: string): string | undefined {
  const parsed = parsePacket(bytes);
  if (!parsed.ok) return `not a RADIUS packet (${parsed.reason})`;
  const { packet } = parsed;
  let read: PeerPacket;
  try {
    read = peer.decode_without_secret({ packet: Buffer.from(bytes) });
  } catch {
    return 'it cannot read the packet';
  }
  if (read.code !== codeName) return `its code is ${read.code}`;
  if (read.identifier !== packet.identifier) return `its Identifier is ${String(read.identifier)}`;
  const octets = Buffer.concat(
    read.raw_attributes.map(([type, value]) => Buffer.concat([Buffer.of(type, value.length + 2), value])),
  );
  return Buffer.compare(octets, packet.bytes.subarray(20, packet.length)) === 0 ? undefined : 'its attributes differ';
}
