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
import { count } from './display.js';
import { hexDumps, hexRow } from './hex-text.js';
import { datagramIn, looksLikeCapture, readCapture } from './pcap-file.js';
import type { CapturedDatagram, LeftOut } from './pcap-file.js';

/** One packet, or what should have been one. */
export interface DecodeInput {
  readonly octets: Buffer;
  /** Of a capture only. */
  readonly atMs: number | undefined;
  /** `address:port`, of a capture only. */
  readonly source: string | undefined;
  readonly destination: string | undefined;
}

/** What is there to decode. */
export interface DecodeInputs {
  readonly packets: readonly DecodeInput[];
  /** What of a capture is not shown, in words; empty when everything is. */
  readonly leftOut: readonly string[];
}

/** The largest file or input, octets: it is held whole, and larger captures can be cut with `editcap`. */
export const maxInputOctets = 256 * 1024 * 1024;

/** First octets of a gzip file (RFC 1952 §2.3.1). */
const gzipMagic = [0x1f, 0x8b] as const;

/** Ports of RADIUS, its older ones, and of dynamic authorisation (RFC 2865 §3, RFC 5176 §2.1). */
const radiusPorts = new Set([1645, 1646, 1700, 1812, 1813, 3799]);

/**
 * Reads what the argument names.
 *
 * @param named `-` or undefined for standard input, the name of a file, or hexadecimal digits
 * @throws CommandError when it is neither a capture, nor a packet, nor hexadecimal, or too large
 */
export async function readDecodeInput(io: CommandIo, named: string | undefined): Promise<DecodeInputs> {
  if (named === undefined || named === '-') return inputOf(await readStandardInput(io), 'standard input');
  const isFile = await stat(named).then(
    (found) => !found.isDirectory(),
    () => false,
  );
  if (isFile) return inputOf(await readBounded(named), named);
  const octets = hexRow(named);
  if (octets === undefined)
    throw new CommandError(
      `'${named.slice(0, 80)}' is neither a file nor hexadecimal`,
      'give the name of a capture, the octets of a packet in hex, or - for standard input',
    );
  return { packets: plainInputs(octets), leftOut: [] };
}

function inputOf(content: Buffer, name: string): DecodeInputs {
  if (looksLikeCapture(content)) return captured(content);
  if (isWholePacket(content)) return { packets: plainInputs(content), leftOut: [] };
  if (content[0] === gzipMagic[0] && content[1] === gzipMagic[1])
    throw new CommandError(`${name} is compressed`, 'uncompress it first: gunzip');
  const text = content.toString('latin1');
  const dumps = hexDumps(text);
  if (dumps !== undefined) return { packets: dumps.flatMap(dumpInputs), leftOut: [] };
  const octets = hexRow(text);
  if (octets !== undefined) return { packets: plainInputs(octets), leftOut: [] };
  throw new CommandError(
    `${name} holds neither a capture, nor hexadecimal, nor a RADIUS packet`,
    'give a pcap or pcapng file, or the octets of a packet in hex or as a dump',
  );
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

// A dump of tshark or tcpdump begins at the frame, or at the IP header; one of a program at the packet.
function dumpInputs(octets: Buffer): DecodeInput[] {
  const datagram = isWholePacket(octets) ? undefined : datagramIn(octets);
  return datagram === undefined ? plainInputs(octets) : [inputOfDatagram(datagram, undefined)];
}

const leftOutWords: Readonly<Record<LeftOut, string>> = {
  'link-type': 'of a link type that is not read (read are Ethernet, raw IP, Linux cooked, null)',
  'not-udp': 'without UDP',
  fragment: 'fragments of IP, which are not put together',
  cut: 'cut short by the capture (tcpdump -s 0 captures whole ones)',
  'file-cut': 'cut short by the end of the file',
  'simple-packet': 'without a time and an interface (simple packet blocks)',
};

function captured(content: Buffer): DecodeInputs {
  const { datagrams, leftOut } = readCapture(content);
  const shown = datagrams.filter(
    ({ sourcePort, destinationPort, payload }) =>
      radiusPorts.has(sourcePort) || radiusPorts.has(destinationPort) || isWholePacket(payload),
  );
  const words = [...leftOut].map(([reason, number]) => `${count(number, 'frame')} ${leftOutWords[reason]}`);
  const others = datagrams.length - shown.length;
  if (others > 0)
    words.push(`${count(others, 'datagram')} on other ports that ${others === 1 ? 'is' : 'are'} no RADIUS`);
  return { packets: shown.map((datagram) => inputOfDatagram(datagram, datagram.atMs)), leftOut: words };
}

function inputOfDatagram(datagram: Omit<CapturedDatagram, 'atMs'>, atMs: number | undefined): DecodeInput {
  const { source, sourcePort, destination, destinationPort, payload } = datagram;
  return {
    octets: payload,
    atMs,
    source: endpointText(source, sourcePort),
    destination: endpointText(destination, destinationPort),
  };
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
