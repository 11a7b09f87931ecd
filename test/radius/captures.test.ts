// The decoder over packets of real devices and peers, where the folder of captures is beside the checkout: what a capture
// holds, signatures under the secret that is named for it, and values against an independent decoder's.

import t from 'tap';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { Code, codeName, isSignedRequest } from '../../src/radius/code.js';
import { decodeAttributes, hiddenText } from '../../src/radius/decode-attribute.js';
import { describePacket } from '../../src/radius/describe.js';
import { loadDictionary } from '../../src/radius/dictionary-file.js';
import { parsePacket, type Packet } from '../../src/radius/packet.js';
import { SharedSecret } from '../../src/radius/shared-secret.js';
import { readCapture } from '../../src/cli/pcap-file.js';

const checkout = join(dirname(fileURLToPath(import.meta.url)), '../..');
const captures = join(checkout, '../shared/captures');
const { dictionary } = loadDictionary(join(checkout, 'dictionaries/dictionary'));

interface Listed {
  readonly file: string;
  readonly codes: ReadonlyMap<string, number>;
  readonly secret: string | undefined;
}

/** Signatures of these files that do not hold, and why. */
const knownWrong = new Map([
  // Its CoA-Request was made by hand: a random authenticator, and a Message-Authenticator computed over it.
  ['pcap/RADIUS-RFC5176.pcap', 2],
  // Two clients use another secret: three tries of one request, one request of the other and its reply.
  ['pcap/zeek-radius_localhost.pcap', 5],
]);

/** What CONTENTS.txt says of each file that holds RADIUS. */
function listed(): Listed[] {
  return readFileSync(join(captures, 'CONTENTS.txt'), 'utf8')
    .split('\n')
    .filter((line) => line.includes(':'))
    .map((line) => ({
      file: line.slice(0, line.indexOf(':')),
      codes: new Map([...line.matchAll(/([A-Z][A-Za-z]+-[A-Za-z]+) x(\d+)/g)].map((m) => [m[1]!, Number(m[2])])),
      secret: /secret \['([^']+)'\]/.exec(line)?.[1],
    }));
}

interface Conversation {
  readonly packet: Packet;
  readonly from: string;
  readonly to: string;
}

/** The RADIUS packets of a file. A port is RADIUS when either side is a well-known one or the file holds nothing else. */
function packetsOf(file: string): Conversation[] {
  const octets = readFileSync(join(captures, file));
  const found: Conversation[] = [];
  const take = (payload: Buffer, from: string, to: string): void => {
    const result = parsePacket(payload);
    if (result.ok && !codeName(result.packet.code).startsWith('Code-')) found.push({ packet: result.packet, from, to });
  };
  if (file.endsWith('.packet')) take(octets, 'nas', 'server');
  else
    for (const datagram of readCapture(octets).datagrams) {
      const ports = [datagram.sourcePort, datagram.destinationPort];
      if (ports.some((port) => port === 67 || port === 68 || port === 53 || port === 5353)) continue;
      take(
        datagram.payload,
        `${datagram.source}:${datagram.sourcePort}`,
        `${datagram.destination}:${datagram.destinationPort}`,
      );
    }
  return found;
}

if (!existsSync(captures)) {
  t.pass('no captures beside this checkout: nothing was compared');
} else {
  t.test('each capture holds the packets that are listed for it', (t) => {
    for (const { file, codes } of listed().filter(({ codes }) => codes.size > 0)) {
      const counts = new Map<string, number>();
      for (const { packet } of packetsOf(file)) {
        counts.set(codeName(packet.code), (counts.get(codeName(packet.code)) ?? 0) + 1);
        const text = describePacket(dictionary, packet.bytes);
        if (!text.startsWith(codeName(packet.code))) t.fail(`${file}: ${text}`);
      }
      t.same(Object.fromEntries(counts), Object.fromEntries(codes), file);
    }
    t.end();
  });

  t.test('signatures hold under the secret that is named', (t) => {
    for (const { file, secret: text } of listed().filter(({ secret }) => secret !== undefined)) {
      const secret = new SharedSecret(text!);
      const verdicts = { right: 0, wrong: 0 };
      const judge = (right: boolean): number => (right ? verdicts.right++ : verdicts.wrong++);
      const requests = new Map<string, Packet>();
      for (const { packet, from, to } of packetsOf(file)) {
        const isRequest =
          packet.code === Code.accessRequest || packet.code === Code.statusServer || isSignedRequest(packet.code);
        if (isRequest) {
          requests.set(`${from} ${to} ${packet.identifier}`, packet);
          if (isSignedRequest(packet.code)) judge(secret.requestAuthenticatorMatches(packet));
          if (packet.messageAuthenticatorOffset >= 0) judge(secret.messageAuthenticatorMatches(packet));
          continue;
        }
        const request = requests.get(`${to} ${from} ${packet.identifier}`);
        if (request === undefined) continue;
        judge(secret.responseAuthenticatorMatches(packet, request.authenticator));
        if (packet.messageAuthenticatorOffset >= 0)
          judge(secret.messageAuthenticatorMatches(packet, request.authenticator));
      }
      t.comment(`${file}: ${verdicts.right} right, ${verdicts.wrong} wrong`);
      t.ok(verdicts.right > 0, `${file}: some signature holds`);
      t.equal(verdicts.wrong, knownWrong.get(file) ?? 0, `${file}: and none fails that should not`);
    }
    t.end();
  });

  t.test("values agree with another decoder's", (t) => {
    let compared = 0;
    for (const file of readdirSync(join(captures, 'hex')).filter((name) => name.startsWith('freeradius-packet_'))) {
      const lines = readFileSync(join(captures, 'hex', file), 'utf8').split('\n');
      lines.forEach((line, index) => {
        const expected = lines[index + 1] ?? '';
        if (!/^decode-proto( [0-9a-f]{2})+$/.test(line.trim()) || !expected.startsWith('match ')) return;
        const bytes = Buffer.from(line.slice('decode-proto '.length).replaceAll(' ', ''), 'hex');
        const result = parsePacket(bytes);
        if (!result.ok) return t.fail(`${file}:${index + 1}: ${result.reason}`);
        for (const [name, value] of pairsOf(expected.slice('match '.length))) {
          const problem = mismatch(result.packet, name, value);
          if (problem === undefined) compared++;
          else t.fail(`${file}:${index + 1}: ${problem}`);
        }
      });
    }
    t.ok(compared > 200, `${compared} values are the same`);
    t.end();
  });
}

/** `Name = value` pairs at the outermost level; groups in braces are left out. */
function pairsOf(text: string): [string, string][] {
  return [...text.matchAll(/([A-Za-z0-9.-]+) = (\{(?:[^{}]|\{[^{}]*\})*\}|"(?:[^"\\]|\\.)*"|[^,]*)/g)]
    .map((m): [string, string] => [m[1]!.replace(/^raw\./, ''), m[2]!.trim().replace(/^::(?=[A-Za-z])/, '')])
    .filter(([, value]) => !value.startsWith('{'));
}

/** How the decoded packet differs from an expected pair, or undefined. */
function mismatch(packet: Packet, name: string, value: string): string | undefined {
  if (name === 'Packet-Type') return codeName(packet.code) === value ? undefined : `code is ${codeName(packet.code)}`;
  if (name === 'Packet-Authentication-Vector')
    return value === `0x${packet.authenticator.toString('hex')}` ? undefined : 'authenticator differs';
  const all = decodeAttributes(dictionary, packet).filter((attribute) => attribute.name === name);
  if (all.length === 0) return `${name} is missing`;
  // Theirs is revealed with a secret; ours is only known to be there.
  if (all.every(({ text }) => text === hiddenText)) return undefined;
  const octets = Buffer.concat(all.map((attribute) => attribute.octets));
  const found = [...all.map(({ text }) => text), `0x${octets.toString('hex')}`];
  if (value.startsWith('"'))
    return all.some((one) => one.octets.equals(unescaped(value))) ? undefined : `${name}: ${value}`;
  return found.includes(value) ? undefined : `${name} = ${found.join(' / ')} where ${value} is expected`;
}

function unescaped(text: string): Buffer {
  const octets: Buffer[] = [];
  for (const piece of text.slice(1, -1).matchAll(/\\([0-7]{3})|\\(.)|([^\\]+)/gu)) {
    const simple: Record<string, string> = { n: '\n', r: '\r', t: '\t' };
    if (piece[1] !== undefined) octets.push(Buffer.of(parseInt(piece[1], 8)));
    else octets.push(Buffer.from(piece[3] ?? simple[piece[2]!] ?? piece[2]!));
  }
  return Buffer.concat(octets);
}
