/**
 * What `decode` is given, as RADIUS octets.
 *
 * Enters: hexadecimal text, a file of it, a raw packet, or a capture. Leaves: octets of packets with what is known of their way.
 * Invariant: bounded; every octet of hexadecimal input is accounted for; of a capture, what is clearly something else is left out.
 */
import { open, stat } from 'node:fs/promises';
import { codeName } from '../radius/code.js';
import { headerOctets, parsePacket } from '../radius/packet.js';
import { CommandError } from './command-error.js';
import type { CommandIo } from './command-io.js';
import { looksLikeCapture, readPcap } from './pcap-file.js';

/** One packet, or what should have been one. */
export interface DecodeInput {
  readonly octets: Buffer;
  /** Of a capture only. */
  readonly atMs: number | undefined;
  /** `address:port`, of a capture only. */
  readonly source: string | undefined;
  readonly destination: string | undefined;
}

/** The largest file or input, octets: it is held whole, and larger captures can be cut with `editcap`. */
export const maxInputOctets = 256 * 1024 * 1024;

/** Ports of RADIUS, its older ones, and of dynamic authorisation (RFC 2865 §3, RFC 5176 §2.1). */
const radiusPorts = new Set([1645, 1646, 1700, 1812, 1813, 3799]);

/**
 * Reads what the argument names.
 *
 * @param named `-` or undefined for standard input, the name of a file, or hexadecimal digits
 * @throws CommandError when it is neither a capture, nor a packet, nor hexadecimal, or too large
 */
export async function readDecodeInput(io: CommandIo, named: string | undefined): Promise<DecodeInput[]> {
  if (named === undefined || named === '-') return inputOf(await readStandardInput(io), 'standard input');
  const isFile = await stat(named).then(
    (found) => !found.isDirectory(),
    () => false,
  );
  if (isFile) return inputOf(await readBounded(named), named);
  const octets = hexOctets(named);
  if (octets === undefined)
    throw new CommandError(
      `'${named.slice(0, 80)}' is neither a file nor hexadecimal`,
      'give the name of a capture, the octets of a packet in hex, or - for standard input',
    );
  return plainInputs(octets);
}

function inputOf(content: Buffer, name: string): DecodeInput[] {
  if (looksLikeCapture(content)) return captured(content);
  const octets = hexOctets(content.toString('latin1'));
  if (octets !== undefined) return plainInputs(octets);
  if (isWholePacket(content)) return plainInputs(content);
  throw new CommandError(
    `${name} holds neither a capture, nor hexadecimal, nor a RADIUS packet`,
    'give a pcap or pcapng file, or the octets of a packet in hex',
  );
}

/** Octets of hexadecimal text with blanks, line ends, `0x` and `:` between; undefined when it is something else, or empty. */
export function hexOctets(text: string): Buffer | undefined {
  const digits = text.replace(/0x|[\s:,]/giu, '');
  if (digits === '' || digits.length % 2 !== 0 || !/^[0-9a-f]+$/iu.test(digits)) return undefined;
  return Buffer.from(digits, 'hex');
}

// Several packets in a row are told apart by their Length fields, so that a reply can stand after its request.
function plainInputs(octets: Buffer): DecodeInput[] {
  const inputs: DecodeInput[] = [];
  for (let offset = 0; offset < octets.length;) {
    const rest = octets.subarray(offset);
    const length = rest.length >= headerOctets ? rest.readUInt16BE(2) : rest.length;
    const whole = length >= headerOctets && length <= rest.length ? length : rest.length;
    inputs.push({ octets: rest.subarray(0, whole), atMs: undefined, source: undefined, destination: undefined });
    offset += whole;
  }
  return inputs;
}

function captured(content: Buffer): DecodeInput[] {
  return readPcap(content)
    .filter(
      ({ sourcePort, destinationPort, payload }) =>
        radiusPorts.has(sourcePort) || radiusPorts.has(destinationPort) || isWholePacket(payload),
    )
    .map(({ atMs, source, sourcePort, destination, destinationPort, payload }) => ({
      octets: payload,
      atMs,
      source: endpointText(source, sourcePort),
      destination: endpointText(destination, destinationPort),
    }));
}

// On other ports only what has a known code, and a Length and a chain of attributes that end with the datagram.
function isWholePacket(octets: Buffer): boolean {
  const parsed = parsePacket(octets);
  return parsed.ok && parsed.packet.length === octets.length && !codeName(parsed.packet.code).startsWith('Code-');
}

function endpointText(address: string, port: number): string {
  return address.includes(':') ? `[${address}]:${String(port)}` : `${address}:${String(port)}`;
}

async function readBounded(path: string): Promise<Buffer> {
  const file = await open(path, 'r');
  try {
    const chunks: Buffer[] = [];
    let octets = 0;
    for await (const chunk of file.createReadStream({ autoClose: false })) {
      octets += (chunk as Buffer).length;
      if (octets > maxInputOctets) throw tooLarge(path);
      chunks.push(chunk as Buffer);
    }
    return Buffer.concat(chunks);
  } finally {
    await file.close();
  }
}

async function readStandardInput(io: CommandIo): Promise<Buffer> {
  const chunks: Buffer[] = [];
  let octets = 0;
  for await (const chunk of io.stdin) {
    const buffer = typeof chunk === 'string' ? Buffer.from(chunk) : (chunk as Buffer);
    octets += buffer.length;
    if (octets > maxInputOctets) throw tooLarge('standard input');
    chunks.push(buffer);
  }
  return Buffer.concat(chunks);
}

function tooLarge(name: string): CommandError {
  return new CommandError(
    `${name} is larger than ${String(maxInputOctets / 1024 / 1024)} MiB`,
    'cut it first, for instance with: editcap -c 100000',
  );
}
