// What a NAS tells of an access line: each attribute that carries it, octets of real NASes, and everything that means nobody.

import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import t from 'tap';
import { readOption82 } from '../../src/app/seen-lines.js';
import { readCapture } from '../../src/cli/pcap-file.js';
import { accessLineText } from '../../src/domain/access-line.js';
import { compileLineRules } from '../../src/domain/line-rules.js';
import { clientMacOf } from '../../src/handlers/client-mac.js';
import { LineReader } from '../../src/nas/line-reader.js';
import { Attribute, Vendor } from '../../src/radius/attribute-number.js';
import { Code } from '../../src/radius/code.js';
import { parsePacket, type Packet } from '../../src/radius/packet.js';
import type { RequestBuilder } from '../../src/radius/request.js';
import { checkout, confFolder } from '../config/conf-folder.js';
import { accessRequest } from '../support/radius-client.js';

const { lines } = await (await confFolder(t, {})).load();
const reader = new LineReader(compileLineRules(lines), readOption82);

function said(packet: Packet): string {
  const { read, mac } = reader.read(packet);
  const line = read.read === 'line' ? accessLineText(read.line) : read.read;
  return mac === undefined ? line : `${line}; MAC ${mac}`;
}

function packetOf(fill: (request: RequestBuilder) => void): Packet {
  const parsed = parsePacket(accessRequest({ secret: 'x', userName: 'u', fill }).bytes);
  if (!parsed.ok) throw new Error(parsed.reason);
  return parsed.packet;
}

const [circuit, remote] = [Buffer.from('000408770017', 'hex'), Buffer.from('00063c3332664350', 'hex')];
const place = 'device 3c:33:32:66:43:50, port 23, VLAN 2167';
const text = (value: string): Buffer => Buffer.from(value, 'latin1');
const { adslForum, redback, erx, cisco } = Vendor;

t.test('each carrier, alone and with what does not count', async (t) => {
  const table: [
    what: string,
    attributes: (readonly [vendor: number, type: number, value: Buffer])[],
    expected: string,
  ][] = [
    [
      'ADSL-Forum',
      [
        [adslForum, 1, circuit],
        [adslForum, 2, remote],
      ],
      place,
    ],
    [
      'Redback',
      [
        [redback, 97, circuit],
        [redback, 96, remote],
      ],
      place,
    ],
    [
      'one part from each',
      [
        [redback, 97, circuit],
        [adslForum, 2, remote],
      ],
      place,
    ],
    [
      'the first of two',
      [
        [adslForum, 1, circuit],
        [adslForum, 2, remote],
        [redback, 97, text('else')],
      ],
      place,
    ],
    ['a whole option 82', [[erx, 159, Buffer.from('0106000408770017020800063c3332664350', 'hex')]], place],
    ['with its number and length', [[erx, 159, Buffer.from('52120106000408770017020800063c3332664350', 'hex')]], place],
    ['whose last length lies', [[erx, 159, Buffer.from('0106000408770017020900063c3332664350', 'hex')]], 'none'],
    [
      'Cisco, octets as digits',
      [
        [cisco, 1, text('circuit-id-tag=000408770017')],
        [cisco, 1, text('remote-id-tag=00063c3332664350')],
      ],
      place,
    ],
    [
      'MAC addresses beside it',
      [
        [adslForum, 1, circuit],
        [adslForum, 2, remote],
        [erx, 56, text('3c:8c:f8:00:00:01')],
      ],
      `${place}; MAC 3c:8c:f8:00:00:01`,
    ],
    ['a MAC address alone', [[cisco, 1, text('client-mac-address=3c8c.f800.0001')]], 'none; MAC 3c:8c:f8:00:00:01'],
    ['octets that no rule knows', [[adslForum, 1, Buffer.from('ff00ff', 'hex')]], 'unknown'],
    ['a port of nobody knows which device', [[adslForum, 1, text('acc1')]], 'unknown'],
    ['empty attributes', [[adslForum, 1, Buffer.alloc(0)]], 'none'],
    ['other vendors', [[Vendor.mikrotik, 1, circuit]], 'none'],
    ['nothing', [], 'none'],
  ];
  for (const [what, attributes, expected] of table) {
    const packet = packetOf((request) => {
      for (const [vendor, type, value] of attributes) request.addVendor(vendor, type, value);
    });
    t.equal(said(packet), expected, what);
  }
});

t.test('an interface of the NAS is a line to nobody', async (t) => {
  for (const name of ['ether5', 'sub2', '0/0/2/50.1957', 'slot=6;subslot=2;port=14;vlanid=3887;vlanid2=770;']) {
    t.equal(said(packetOf((request) => request.addText(Attribute.nasPortId, name))), 'none', name);
  }
});

t.test('hostile octets come to an end and mean nobody', async (t) => {
  for (let length = 1; length <= 247; length += 41)
    for (const octet of [0x00, 0x01, 0x2f, 0x41, 0xff]) {
      const value = Buffer.alloc(length, octet);
      const packet = packetOf((request) => {
        request.addVendor(adslForum, 1, value);
        request.addVendor(adslForum, 2, value);
        request.addVendor(erx, 159, value);
      });
      const { read } = reader.read(packet);
      if (read.read === 'line')
        t.match(read.line, { device: Object }, `${String(length)} × ${String(octet)} is a name`);
      else t.match(read.read, /^(?:unknown|none)$/u, `${String(length)} × ${String(octet)}`);
    }
});

t.test('the device of a session, in the words of its NAS', async (t) => {
  const mac = '00:e1:0c:38:c8:f8';
  const table: [calling: string | undefined, userName: string | undefined, expected: string | undefined][] = [
    [mac, undefined, mac],
    ['00-E1-0C-38-C8-F8', 'ivanov', mac],
    ['1:0:e1:c:38:c8:f8', '00:E1:0C:38:C8:F8', mac],
    ['1:0:e1:c:38:c8:f8', undefined, mac],
    // What a client made up counts less than what the NAS saw.
    ['1:2:3:4:5:6:7', '00:E1:0C:38:C8:F8', mac],
    ['ff:c1:4d:1:2:3', '00:E1:0C:38:C8:F8', 'ff:c1:4d:01:02:03'],
    ['ff:12:34:56:78:0:1:0:1:2c', '00:E1:0C:38:C8:F8', mac],
    [undefined, '00:E1:0C:38:C8:F8', mac],
    [undefined, '00e1.0c38.c8f8', mac],
    ['10.0.0.1', '380501234567', undefined],
    ['10.0.0.1', 'ivanov', undefined],
    [undefined, '00:00:00:00:00:00', undefined],
    ['00:00:00:00:00:00', 'ivanov', undefined],
    ['', '', undefined],
  ];
  for (const [calling, userName, expected] of table)
    t.equal(clientMacOf(calling, userName), expected, `${String(calling)} ${String(userName)}`);
});

const captures = join(checkout, '../shared/captures');

/** Requests of a capture: who, from which device, and from where. */
function requestsOf(file: string): string[] {
  const octets = readFileSync(join(captures, file));
  const payloads = file.endsWith('.packet')
    ? [octets]
    : readCapture(octets)
        .datagrams.filter(({ destinationPort }) => destinationPort === 1812 || destinationPort === 1813)
        .map(({ payload }) => payload);
  const told = new Set<string>();
  for (const payload of payloads) {
    const parsed = parsePacket(payload);
    if (!parsed.ok || (parsed.packet.code !== Code.accessRequest && parsed.packet.code !== Code.accountingRequest))
      continue;
    const { packet } = parsed;
    const [calling, userName] = [packet.text(Attribute.callingStationId), packet.text(Attribute.userName)];
    if (userName === undefined) continue;
    const kind = packet.code === Code.accessRequest ? 'access' : 'accounting';
    told.add(`${kind} ${userName}, ${String(clientMacOf(calling, userName))}: ${said(packet)}`);
  }
  return [...told].sort();
}

if (!existsSync(captures)) t.pass('no captures beside this checkout: nothing was read');
else
  t.test('packets of real NASes', async (t) => {
    const line = 'device 02:00:00:00:99:aa, port olt1/0/2/3:7';
    t.same(requestsOf('own/accel-radius.pcap'), [
      'access 02:00:00:00:00:01, 02:00:00:00:00:01: none',
      `access olt1/0/2/3:7, 02:00:00:00:00:02: ${line}`,
      'access rlc3, 02:00:00:00:00:03: unknown',
      'accounting 02:00:00:00:00:01, 02:00:00:00:00:01: none',
      `accounting olt1/0/2/3:7, 02:00:00:00:00:02: ${line}`,
      'accounting rlc3, 02:00:00:00:00:03: unknown',
    ]);
    t.same(requestsOf('own/accel-relaymode-radius+dhcp.pcap'), [
      'access 02:00:00:00:00:04, 02:00:00:00:00:04: none',
      'accounting 02:00:00:00:00:04, 02:00:00:00:00:04: none',
    ]);
    for (const file of ['packets/cisco_mac_auth.packet', 'packets/aruba_mac_auth.packet'])
      t.same(requestsOf(file), ['access 7c:c5:37:ff:f8:af, 7c:c5:37:ff:f8:af: none'], file);
  });
