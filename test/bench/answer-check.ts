/**
 * Whether answers are right, beyond their code and length. Enters: sampled answers and the requests that they answer. Leaves: how many were looked
 * at, or an error that says what is wrong. Invariant: nobody is fast by answering wrongly.
 */
import { Attribute, Vendor } from '../../src/radius/attribute-number.js';
import { Code } from '../../src/radius/code.js';
import { formatIpv4Address } from '../../src/domain/ipv4-address.js';
import { parsePacket, type Packet } from '../../src/radius/packet.js';
import type { BuiltRequest } from '../support/radius-client.js';
import { readAddresses, readSamples } from './packet-file.js';
import { INTERIM_SECONDS, POOL_ADDRESSES, RATE_LIMIT } from './world.js';

/** Mikrotik-Rate-Limit. */
const RATE_LIMIT_TYPE = 8;
const POOL_FIRST = 0x64400000;

/** An answer is not what the subscriber should have got. */
export class WrongAnswerError extends Error {
  override readonly name = 'WrongAnswerError';
}

/**
 * Opens sampled answers as a strict client does (Response Authenticator, Message-Authenticator) and looks inside.
 * @param requestOf makes the request of a packet number once more
 * @throws WrongAnswerError
 */
export async function checkSamples(
  side: string,
  path: string,
  requestOf: (packet: number) => BuiltRequest,
  look: (reply: Packet, packet: number) => string | undefined,
): Promise<number> {
  const samples = await readSamples(path);
  for (const { packet, bytes } of samples) {
    const reply = open(bytes, requestOf(packet));
    const fault = typeof reply === 'string' ? reply : look(reply, packet);
    if (fault !== undefined) throw new WrongAnswerError(`${side} answered packet ${String(packet)} wrongly: ${fault}`);
  }
  return samples.length;
}

/** The reply, or what is wrong with it. Where Message-Authenticator stands is not judged: FreeRADIUS 3.2.1 puts it last. */
function open(bytes: Buffer, request: BuiltRequest): Packet | string {
  const parsed = parsePacket(bytes);
  if (!parsed.ok) return parsed.reason;
  const { packet } = parsed;
  if (packet.identifier !== request.identifier) return 'another Identifier';
  if (!request.secret.responseAuthenticatorMatches(packet, request.authenticator))
    return 'wrong Response Authenticator';
  const isAccess = request.bytes[0] === Code.accessRequest;
  if (isAccess && !request.secret.messageAuthenticatorMatches(packet, request.authenticator))
    return 'Message-Authenticator missing or wrong';
  return packet;
}

/** What every Access-Accept must say. @param address the one that it must be, or undefined: any of the pool */
export function acceptFault(reply: Packet, address: string | undefined): string | undefined {
  const given = reply.uint32(Attribute.framedIpAddress);
  if (given === undefined) return 'no Framed-IP-Address';
  if (address !== undefined && formatIpv4Address(given) !== address) return `Framed-IP-Address is not ${address}`;
  if (address === undefined && (given < POOL_FIRST || given >= POOL_FIRST + POOL_ADDRESSES)) return 'not of the pool';
  if (reply.vendorText(Vendor.mikrotik, RATE_LIMIT_TYPE) !== RATE_LIMIT) return 'the rate is wrong';
  if (reply.uint32(Attribute.acctInterimInterval) !== INTERIM_SECONDS) return 'Acct-Interim-Interval is wrong';
  return undefined;
}

/** Notes the addresses that a round gave. @throws WrongAnswerError when one was given before */
export async function checkUnique(side: string, path: string, given: Set<number>): Promise<void> {
  for (const address of await readAddresses(path)) {
    if (given.has(address)) throw new WrongAnswerError(`${side} gave ${formatIpv4Address(address)} twice`);
    given.add(address);
  }
}
