/**
 * `decode`: packets as text.
 *
 * Enters: hexadecimal text, captures, raw packets, rubbish. Leaves: attributes and verdicts. Invariant: no password is ever
 * shown, and nothing that a packet holds reaches the terminal as it is.
 */
import { existsSync, readdirSync, readFileSync } from 'node:fs';
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
import { seededRandom } from '../support/seeded-random.js';
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
      if (
        !/^(?:not shown: 1 frame cut short by the end of the file\n)?sluice: there is no RADIUS packet in it/u.test(
          stderr,
        )
      )
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

/** 16 octets a line with their offset, as `line` writes them. */
function dumpOf(octets: Buffer, line: (offset: string, part: Buffer, text: string) => string): string {
  const lines: string[] = [];
  for (let at = 0; at < octets.length; at += 16) {
    const part = octets.subarray(at, at + 16);
    const text = [...part].map((octet) => (octet > 31 && octet < 127 ? String.fromCharCode(octet) : '.')).join('');
    lines.push(line(at.toString(16), part, text));
  }
  return `${lines.join('\n')}\n`;
}

const pairs = (part: Buffer, of: number): string =>
  part.toString('hex').replace(new RegExp(`.{${String(2 * of)}}(?!$)`, 'gu'), '$& ');

const dumpStyles: readonly [name: string, write: (octets: Buffer) => string][] = [
  [
    'tshark -x',
    (octets) => dumpOf(octets, (at, part, text) => `${at.padStart(4, '0')}  ${pairs(part, 1).padEnd(47)}   ${text}`),
  ],
  [
    'Wireshark',
    (octets) =>
      dumpOf(
        octets,
        (at, part, text) =>
          `${at.padStart(4, '0')}   ${`${pairs(part.subarray(0, 8), 1)}  ${pairs(part.subarray(8), 1)}`.padEnd(48)}   ${text}`,
      ),
  ],
  [
    'tcpdump -X',
    (octets) =>
      `12:00:00.000000 IP 10.0.0.2.40000 > 10.0.0.1.1812: RADIUS, length: 99\n${dumpOf(octets, (at, part, text) => `\t0x${at.padStart(4, '0')}:  ${pairs(part, 2).padEnd(39)}  ${text}`)}`,
  ],
  [
    'xxd',
    (octets) => dumpOf(octets, (at, part, text) => `${at.padStart(8, '0')}: ${pairs(part, 2).padEnd(39)}  ${text}`),
  ],
  [
    'hexdump -C',
    (octets) =>
      `${dumpOf(octets, (at, part, text) => `${at.padStart(8, '0')}  ${`${pairs(part.subarray(0, 8), 1)}  ${pairs(part.subarray(8), 1)}`.padEnd(48)}  |${text}|`)}${octets.length.toString(16).padStart(8, '0')}\n`,
  ],
  ['a C array', (octets) => octets.toString('hex').replace(/../gu, '0x$&, ').replace(/, $/u, '')],
  ['a C string', (octets) => octets.toString('hex').replace(/../gu, '\\x$&')],
];

t.test('a dump is read as the programs write it, from the packet or from the frame', async (t) => {
  // Names whose characters look like the digits of a dump; 1 to 16 octets in the last line.
  const named = Array.from({ length: 17 }, (_, length) =>
    accessRequest({ secret, userName: `ab cd ef 01 ${'a'.repeat(length)}`, password: 'x', identifier: 7 }),
  );
  for (const [style, write] of dumpStyles)
    for (const { bytes } of named) {
      const { stdout, stderr } = await runIn(['decode', '-', '--json'], { stdin: write(bytes) });
      const [packet] = stderr === '' ? (JSON.parse(stdout) as DecodedPacket[]) : [];
      const name = packet?.attributes?.find((one) => one.name === 'User-Name')?.value;
      if (!name?.startsWith('"ab cd ef 01 ')) t.fail(`${style}, ${String(bytes.length)} octets: ${stderr}`);
    }
  const frame = ethernetFrame(request.bytes);
  for (const [style, write] of dumpStyles.slice(0, 5))
    for (const octets of [frame, frame.subarray(14)]) {
      const { code, stdout } = await runIn(['decode'], { stdin: write(octets) });
      t.equal(code, 0, style);
      t.match(stdout, /^10\.0\.0\.2:40000 -> 10\.0\.0\.1:1812\nAccess-Request Identifier 9/u, style);
    }
  const xxd = dumpStyles[3]![1];
  const both = await runIn(['decode', '-', '--json'], { stdin: xxd(request.bytes) + xxd(replyTo(request.bytes)) });
  t.match(both.json(), [{ code: 'Access-Request' }, { code: 'Access-Accept' }], 'an offset of 0 begins another');
  const lines = xxd(request.bytes).split('\n');
  const without = await runIn(['decode'], { stdin: [lines[0], ...lines.slice(2)].join('\n') });
  t.match(without, { code: 1, stdout: '', stderr: /holds neither a capture, nor hexadecimal/u }, 'a line is missing');
});

t.test('a User-Password is shown when that is asked for and the secret is right', async (t) => {
  const file = await folder(t);
  const right = await file('right', secretText);
  const hex = request.bytes.toString('hex');
  const shown = await runIn(['decode', hex, '--secret-file', right, '--show-passwords']);
  t.match(shown, { code: 0, stdout: '  User-Password = "wonderland"\n', stderr: 'warning: passwords are shown\n' });
  const wrong = await runIn(['decode', hex, '--secret-file', await file('wrong', 'another'), '--show-passwords']);
  t.match(wrong, { code: 1, stdout: '  User-Password = <hidden>\n' });
  t.match(await runIn(['decode', hex, '--show-passwords']), {
    code: 2,
    stdout: '',
    stderr: /needs the secret that hides them/u,
  });
  const chap = accessRequest({ secret, userName: 'alice', password: 'wonderland', method: 'chap' });
  const response = await runIn(['decode', chap.bytes.toString('hex'), '--secret-file', right, '--show-passwords']);
  t.match(response.stdout, 'CHAP-Password = <hidden>', 'what could be searched for the password stays hidden');
  const hostile = accessRequest({ secret, userName: 'alice', password: '\u001b[2J\u202e' });
  const safe = await runIn(['decode', hostile.bytes.toString('hex'), '--secret-file', right, '--show-passwords']);
  t.match(safe.stdout, 'User-Password = "\\x1b[2J\\u{202e}"');
});

t.test('what of a capture is not shown is said', async (t) => {
  const file = await folder(t);
  const frame = ethernetFrame(request.bytes);
  const arp = Buffer.concat([Buffer.alloc(12), Buffer.from('0806', 'hex'), Buffer.alloc(28)]);
  const fragment = Buffer.from(frame);
  fragment.writeUInt16BE(0x2000, 14 + 6);
  const other = ethernetFrame(Buffer.from('not a RADIUS packet'));
  other.writeUInt16BE(53, 14 + 20 + 2);
  const frames = [frame, arp, fragment, other, frame.subarray(0, 60)];
  const records = frames.map((one) => pcap(one, 'LE', false).subarray(24));
  const capture = Buffer.concat([pcap(frame, 'LE', false).subarray(0, 24), ...records, Buffer.alloc(16, 1)]);
  const { code, stdout, stderr } = await runIn(['decode', await file('mixed', capture), '--json']);
  t.equal(code, 0);
  t.equal((JSON.parse(stdout) as unknown[]).length, 1);
  for (const words of [
    '1 frame without UDP',
    '1 frame fragments of IP',
    '1 datagram on other ports',
    '1 frame cut short by the capture',
    '1 frame cut short by the end of the file',
  ])
    t.match(stderr, words);
  const wireless = Buffer.from(pcap(frame, 'LE', false));
  wireless.writeUInt32LE(105, 20);
  t.match(await runIn(['decode', await file('wireless', wireless)]), {
    code: 1,
    stderr: /not shown: 1 frame of a link type that is not read .*\nsluice: there is no RADIUS packet in it/u,
  });
  const compressed = await file('compressed', Buffer.from('1f8b0800', 'hex'));
  t.match(await runIn(['decode', compressed]), { code: 1, stderr: /is compressed; uncompress it first: gunzip/u });
});

/** What a terminal would obey, and text that hides or turns around text; line ends are ours. */
const hasControls = (text: string): boolean => /[\p{Cc}\p{Cf}]/u.test(text.replaceAll('\n', ''));

t.test('every file of the collection decodes or fails cleanly', { skip: !existsSync(captures) }, async (t) => {
  const files = readdirSync(captures, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath, entry.name));
  t.ok(files.length > 40);
  let packets = 0;
  for (const path of files) {
    const { code, stdout, stderr } = await runIn(['decode', path]);
    if (code > 1 || stderr.includes('please report') || hasControls(stdout)) t.fail(path, { code, stderr });
    packets += stdout.match(/^\S+ Identifier /gmu)?.length ?? 0;
  }
  t.ok(packets > 100, `${String(packets)} packets in ${String(files.length)} files`);
});

t.test('octets of chance are shown safely, whatever they are taken for', async (t) => {
  const random = seededRandom(4_711);
  const file = await folder(t);
  for (let round = 0; round < 200; round++) {
    const octets = Buffer.from(request.bytes);
    for (let changes = 0; changes < 1 + (round % 8); changes++)
      octets[Math.floor(random() * octets.length)] = Math.floor(random() * 256);
    const inputs = [
      octets.toString('hex'),
      await file('raw', octets),
      await file('capture', pcap(ethernetFrame(octets), 'LE', false)),
    ];
    for (const input of inputs) {
      const { code, stdout, stderr } = await runIn(['decode', input]);
      if (code > 1 || stderr.includes('please report') || hasControls(stdout + stderr))
        t.fail(octets.toString('hex'), { code, stderr });
    }
  }
  t.pass('all of them');
});
