/**
 * DHCP packets of real devices, where the folder of captures is beside the checkout. Enters: that folder. Leaves: datagrams with the file that
 * they are in. Invariant: nothing is left out for being odd, and without the folder there are none.
 */
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { readCapture } from '../../src/cli/pcap-file.js';

const captures = join(fileURLToPath(new URL('../..', import.meta.url)), '../shared/captures');

/** Whether the folder is there. */
export const haveCaptures = existsSync(captures);

export interface CapturedPacket {
  readonly file: string;
  readonly source: string;
  readonly sourcePort: number;
  readonly octets: Buffer;
}

/** The text of a file in the folder. */
export function captureText(file: string): string {
  return readFileSync(join(captures, file), 'utf8');
}

/** Names of the files in a part of the folder, relative to it. */
export function captureFiles(part: string): string[] {
  return haveCaptures ? readdirSync(join(captures, part)).map((name) => `${part}/${name}`) : [];
}

/** Every datagram to or from a DHCP port, and every packet that is written as hexadecimal. */
export function capturedPackets(): CapturedPacket[] {
  const pcaps = [...captureFiles('pcap'), ...captureFiles('own')].filter((file) => file.endsWith('.pcap'));
  const datagrams = pcaps.flatMap((file) =>
    readCapture(readFileSync(join(captures, file)))
      .datagrams.filter(({ sourcePort, destinationPort }) =>
        [sourcePort, destinationPort].some((port) => port === 67 || port === 68),
      )
      .map(({ payload, source, sourcePort }) => ({ file, source, sourcePort, octets: payload })),
  );
  const written = captureFiles('hex').flatMap((file) =>
    hexadecimalIn(captureText(file)).map((octets) => ({ file, source: '10.0.0.2', sourcePort: 67, octets })),
  );
  return [...datagrams, ...written];
}

/** Files of broken packets, as they are: they are no datagrams, and their octets are still worth a try. */
export function brokenOctets(): Buffer[] {
  return captureFiles('pcap')
    .filter((file) => /bootp_asan/.test(file))
    .map((file) => readFileSync(join(captures, file)));
}

/** Lines that hold a whole packet: more octets than a header, after at most two words. */
function hexadecimalIn(text: string): Buffer[] {
  return text
    .split('\n')
    .map((line) => /^(?:[a-z-]+ )?((?:[0-9a-f]{2} ?){240,})\s*$/i.exec(line)?.[1])
    .flatMap((hex) => (hex === undefined ? [] : [Buffer.from(hex.replaceAll(' ', ''), 'hex')]))
    .filter((octets) => octets[0] === 1 || octets[0] === 2);
}
