/**
 * `decode`: packets as text.
 *
 * Enters: hexadecimal text, captures, raw packets, rubbish. Leaves: attributes and verdicts. Invariant: no password is ever
 * shown, and nothing that a packet holds reaches the terminal as it is.
 */
import { existsSync, readFileSync } from 'node:fs';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import t from 'tap';
import type { Test } from 'tap';
import { Attribute } from '../../src/radius/attribute-number.js';
import { Code } from '../../src/radius/code.js';
import { parsePacket } from '../../src/radius/packet.js';
import { ReplyBuilder } from '../../src/radius/reply.js';
import { SharedSecret } from '../../src/radius/shared-secret.js';
import { accessRequest, accountingRequest } from '../support/radius-client.js';
import { runIn } from './command-line.js';

const secretText = 'a secret of some length';
const secret = new SharedSecret(secretText);
const request = accessRequest({ secret, userName: 'alice', password: 'wonderland', identifier: 9 });
const accounting = accountingRequest({
  secret,
  status: 'start',
  userName: 'alice',
  acctSessionId: 's1',
  identifier: 3,
});

function replyTo(bytes: Buffer): Buffer {
  const parsed = parsePacket(bytes);
  if (!parsed.ok) throw new Error(parsed.reason);
  const reply = new ReplyBuilder(parsed.packet, Code.accessAccept, secret);
  reply.addText(Attribute.replyMessage, 'hello');
  return reply.finish();
}

async function folder(t: Test): Promise<(name: string, content: string | Buffer) => Promise<string>> {
  const path = await mkdtemp(join(tmpdir(), 'sluice-decode-'));
  t.teardown(() => rm(path, { recursive: true, force: true }));
  return async (name, content) => {
    await writeFile(join(path, name), content);
    return join(path, name);
  };
}

interface DecodedPacket {
  readonly code?: string;
  readonly problem?: string;
  readonly authenticator?: string | null;
  readonly message_authenticator?: string | null;
  readonly attributes?: readonly { name: string; value: string }[];
}

t.test('the octets of a packet are shown by name, its password never', async (t) => {
  const file = await folder(t);
  const hex = request.bytes.toString('hex');
  const colons = hex.replace(/..(?!$)/gu, '$&:').toUpperCase();
  const inputs: [argv: string[], stdin?: string | undefined][] = [
    [[hex]],
    [[`0x${hex}`]],
    [[await file('colons', `${colons}\n`)]],
    [[await file('raw', request.bytes)]],
    [['-'], hex],
    [[], hex.replace(/.{32}/gu, '$&\n')],
  ];
  for (const [argv, stdin] of inputs) {
    const { code, stdout } = await runIn(['decode', ...argv], stdin === undefined ? {} : { stdin });
    t.equal(code, 0, argv.join(' ').slice(0, 40));
    t.match(stdout, /^Access-Request Identifier 9 Length \d+\n/u);
    t.match(stdout, '  User-Name = "alice"\n');
    t.match(stdout, '  User-Password = <hidden>\n');
  }
  const revealed = await runIn(['decode', hex, '--secret-file', await file('secret', `${secretText}\n`), '--json']);
  t.notMatch(revealed.stdout, 'wonderland', 'not even with the secret');
});

t.test('with a secret, each signature is right, wrong, or cannot be judged', async (t) => {
  const file = await folder(t);
  const right = await file('right', `${secretText}\r\n`);
  const wrong = await file('wrong', 'another');
  const reply = replyTo(request.bytes);
  const broken = Buffer.from(reply);
  broken[5]! ^= 1;
  const table: [name: string, packets: Buffer[], secretFile: string, exit: number, verdicts: (string | null)[][]][] = [
    ['a request', [request.bytes], right, 0, [['random', 'right']]],
    ['under another secret', [request.bytes], wrong, 1, [['random', 'wrong']]],
    ['accounting', [accounting.bytes], right, 0, [['right', null]]],
    ['accounting under another secret', [accounting.bytes], wrong, 1, [['wrong', null]]],
    [
      'a reply after its request',
      [request.bytes, reply],
      right,
      0,
      [
        ['random', 'right'],
        ['right', 'right'],
      ],
    ],
    ['a reply alone', [reply], right, 0, [['unknown', 'unknown']]],
    [
      'a reply that was changed',
      [request.bytes, broken],
      right,
      1,
      [
        ['random', 'right'],
        ['wrong', 'right'],
      ],
    ],
  ];
  for (const [name, packets, secretFile, exit, verdicts] of table) {
    const hex = Buffer.concat(packets).toString('hex');
    const result = await runIn(['decode', hex, '--secret-file', secretFile, '--json']);
    t.equal(result.code, exit, name);
    t.same(
      result.json<DecodedPacket[]>().map((one) => [one.authenticator, one.message_authenticator]),
      verdicts,
      name,
    );
  }
  const text = await runIn(['decode', request.bytes.toString('hex'), '--secret-file', wrong]);
  t.match(text.stdout, '  (the Message-Authenticator is WRONG)\n');
  t.match(text.stderr, /^sluice: 1 packet of 1 has a wrong signature; compare the secret/u);
  t.notMatch(text.stdout + text.stderr, 'another', 'the secret is in no message');
});

t.test('what is no packet is said, and what is neither file nor hex is refused', async (t) => {
  const file = await folder(t);
  const short = await runIn(['decode', '0102']);
  t.match(short, { code: 0, stdout: 'not a RADIUS packet (too-short), 2 octets: 0102\n' });
  for (const argv of [
    ['decode', 'nonsense'],
    ['decode', '123'],
    ['decode', await file('text', 'hello there')],
  ]) {
    const refused = await runIn(argv);
    t.match(refused, { code: 1, stdout: '' }, argv.join(' '));
    t.match(refused.stderr, /hexadecimal/u);
    t.notMatch(refused.stderr, /mistake in the program/u);
  }
  t.match((await runIn(['decode', '/nonexistent/\u001b[2Jx'])).stderr, '\\x1b[2J');
  const empty = await runIn(['decode', '0102', '--secret-file', await file('empty', '\n')]);
  t.match(empty, { code: 1, stderr: /has no secret on its first line/u });
});

t.test('hostile values are shown and not obeyed', async (t) => {
  for (const hostile of ['\u001b[2J', 'a\nUser-Name = "root"', '\u202eevil', '\u0000', '\u009b31m', '<b>', '"\\']) {
    const { bytes } = accessRequest({ secret, userName: hostile });
    for (const json of [[], ['--json']]) {
      const { stdout } = await runIn(['decode', bytes.toString('hex'), ...json]);
      // eslint-disable-next-line no-control-regex
      t.notMatch(stdout, /[\u0000-\u0009\u000b-\u001f\u007f-\u009f\u202e]/u, JSON.stringify(hostile));
      if (json.length === 0) t.equal(stdout.match(/User-Name = /gu)?.length, hostile.includes('User-Name') ? 2 : 1);
      if (json.length === 0) t.equal(stdout.match(/^ {2}User-Name = /gmu)?.length, 1, 'one line for one attribute');
    }
  }
});

/** A capture of one UDP datagram, from 10.0.0.2:40000 to 10.0.0.1:1812, after a second and a half. */
function ethernetFrame(payload: Buffer): Buffer {
  const ethernet = Buffer.from('0200000000010200000000020800', 'hex');
  const ip = Buffer.alloc(20);
  ip[0] = 0x45;
  ip.writeUInt16BE(28 + payload.length, 2);
  ip[9] = 17;
  ip.set([10, 0, 0, 2, 10, 0, 0, 1], 12);
  const udp = Buffer.alloc(8);
  udp.writeUInt16BE(40_000, 0);
  udp.writeUInt16BE(1812, 2);
  udp.writeUInt16BE(8 + payload.length, 4);
  return Buffer.concat([ethernet, ip, udp, payload]);
}

function pcap(frame: Buffer, order: 'LE' | 'BE', nano: boolean): Buffer {
  const words = (...values: number[]): Buffer => {
    const bytes = Buffer.alloc(4 * values.length);
    values.forEach((value, index) =>
      order === 'LE' ? bytes.writeUInt32LE(value, 4 * index) : bytes.writeUInt32BE(value, 4 * index),
    );
    return bytes;
  };
  const fraction = nano ? 500_000_000 : 500_000;
  return Buffer.concat([
    words(nano ? 0xa1b23c4d : 0xa1b2c3d4, 0, 0, 0, 65_535, 1),
    words(1, fraction, frame.length, frame.length),
    frame,
  ]);
}

function pcapng(frame: Buffer): Buffer {
  const block = (type: number, body: Buffer): Buffer => {
    const padded = Buffer.concat([body, Buffer.alloc((4 - (body.length % 4)) % 4)]);
    const head = Buffer.alloc(8);
    head.writeUInt32LE(type, 0);
    head.writeUInt32LE(padded.length + 12, 4);
    return Buffer.concat([head, padded, head.subarray(4)]);
  };
  const packet = Buffer.alloc(20);
  packet.writeUInt32LE(1_500_000, 8);
  packet.writeUInt32LE(frame.length, 12);
  packet.writeUInt32LE(frame.length, 16);
  return Buffer.concat([
    block(0x0a0d0d0a, Buffer.from('4d3c2b1a01000000ffffffffffffffff', 'hex')),
    block(1, Buffer.from('01000000ffff0000', 'hex')),
    block(6, Buffer.concat([packet, frame])),
  ]);
}

t.test('captures of every kind give their packets, with time and way', async (t) => {
  const file = await folder(t);
  const frame = ethernetFrame(request.bytes);
  const captures: [string, Buffer][] = [
    ['little', pcap(frame, 'LE', false)],
    ['big', pcap(frame, 'BE', false)],
    ['nano-little', pcap(frame, 'LE', true)],
    ['nano-big', pcap(frame, 'BE', true)],
    ['pcapng', pcapng(frame)],
  ];
  for (const [name, capture] of captures) {
    const { code, stdout } = await runIn(['decode', await file(name, capture)]);
    t.equal(code, 0, name);
    t.match(stdout, '1970-01-01T00:00:01.500Z 10.0.0.2:40000 -> 10.0.0.1:1812\nAccess-Request Identifier 9', name);
    for (let cut = 24; cut < capture.length; cut += 7) {
      const { stderr } = await runIn(['decode', await file('cut', capture.subarray(0, cut))]);
      if (!stderr.startsWith('sluice: there is no RADIUS packet in it'))
        t.fail(`${name} cut at ${String(cut)}: ${stderr}`);
    }
  }
});

const captures = join(fileURLToPath(new URL('../..', import.meta.url)), '../shared/captures');
t.test(
  'captures of real devices give the packets that are listed for them',
  { skip: !existsSync(captures) },
  async (t) => {
    const listed = readFileSync(join(captures, 'CONTENTS.txt'), 'utf8')
      .split('\n')
      .filter((line) => /^pcap\/.*RADIUS|^pcap\/.*radius/u.test(line) && / x\d/u.test(line));
    t.ok(listed.length > 3);
    for (const line of listed) {
      const name = line.slice(0, line.indexOf(':'));
      const expected = Object.fromEntries(
        [...line.matchAll(/([A-Z][A-Za-z]+-[A-Za-z]+) x(\d+)/gu)].map((one) => [one[1] ?? '', Number(one[2])]),
      );
      const { stdout, stderr } = await runIn(['decode', join(captures, name), '--json']);
      t.equal(stderr, '', name);
      const counts: Record<string, number> = {};
      for (const { code } of JSON.parse(stdout) as DecodedPacket[])
        if (code !== undefined && !code.startsWith('Code-')) counts[code] = (counts[code] ?? 0) + 1;
      t.same(counts, expected, name);
    }
  },
);
