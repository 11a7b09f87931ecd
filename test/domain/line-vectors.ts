/**
 * What devices write about a line, and what it means: octets of captures and of public logs, and samples made after the documents of vendors.
 */
import type { AccessLine } from '../../src/domain/access-line.js';
import type { LineSource } from '../../src/domain/line-rules.js';

/** Text as hexadecimal. */
export const inHex = (text: string): string => Buffer.from(text, 'utf8').toString('hex');
const tlv = (text: string): string => `01${text.length.toString(16).padStart(2, '0')}${inHex(text)}`;

/** What a relay says. */
export function source(
  circuitId: string | null,
  remoteId: string | null = null,
  more: Partial<LineSource> = {},
): LineSource {
  return { circuitId, remoteId, subscriberId: null, switchMac: null, switchPort: null, ...more };
}

/** What a NAS says in NAS-Port-Id. */
export const port = (text: string): LineSource => source(null, null, { nasPortId: inHex(text) });

const mac = (value: string) => ({ by: 'mac', value }) as const;
const name = (value: string) => ({ by: 'name', value }) as const;

/** What it is, the rule that finds it, the octets, the line. */
export type Vector = readonly [what: string, rule: string, sample: LineSource, line: AccessLine];

/** Through all rules of the default order. */
export const byDefault: readonly Vector[] = [
  // Type, length, VLAN, module, port.
  [
    'accel-ppp behind a D-Link: 0106000408770017020800063c3332664350',
    'dlink/standalone',
    source('000408770017', '00063c3332664350'),
    { vlan: 2167, port: '23', device: mac('3c:33:32:66:43:50') },
  ],
  [
    'with a Subscriber-ID beside it',
    'dlink/standalone',
    source('000402130010', '0006c0c520846e91', { subscriberId: inHex('sub-1') }),
    { vlan: 531, port: '16', device: mac('c0:c5:20:84:6e:91') },
  ],
  [
    'Cisco, VLAN 100, module 0, port 1',
    'dlink/standalone',
    source('000400640001', '0006001cf09d7167'),
    { vlan: 100, port: '1', device: mac('00:1c:f0:9d:71:67') },
  ],
  [
    'Cisco with a name for its remote-id',
    'dlink/standalone',
    source('000400640001', tlv('ASW1')),
    { vlan: 100, port: '1', device: name('ASW1') },
  ],
  [
    'an older D-Link: remote-id of type 1, and a MAC address in it',
    'dlink/standalone',
    source('000400320001', '0106001cf09d7167'),
    { vlan: 50, port: '1', device: mac('00:1c:f0:9d:71:67') },
  ],
  [
    'a name without type and length',
    'dlink/standalone',
    source('000400980005', inHex('Коммутатор 7')),
    { vlan: 152, port: '5', device: name('Коммутатор 7') },
  ],
  [
    'a stack: the unit is a part of the port',
    'dlink/stack',
    source('000400640205', '0006001cf09d7167'),
    { vlan: 100, port: '2/5', device: mac('00:1c:f0:9d:71:67') },
  ],
  [
    'D-Link vendor1',
    'dlink-vendor1',
    source('000600640001000501061cf09d716700', null),
    { vlan: 100, port: '1/5', device: mac('1c:f0:9d:71:67:00') },
  ],
  [
    'D-Link vendor2',
    'dlink-vendor2',
    source(inHex('p02'), '0006001cf09d7167'),
    { port: '2', device: mac('00:1c:f0:9d:71:67') },
  ],
  [
    'D-Link vendor4',
    'dlink-vendor4/standalone',
    source(inHex('North-12-0/5-100')),
    { port: '5', vlan: 100, device: name('North-12') },
  ],
  [
    'D-Link vendor4 in a stack',
    'dlink-vendor4/stack',
    source(inHex('North-12-2/5-100')),
    { port: '2/5', vlan: 100, device: name('North-12') },
  ],
  [
    'D-Link vendor5',
    'tr-101',
    source(inHex('North 12 eth 0/0/5:100')),
    { port: '0/0/5', vlan: 100, device: name('North 12') },
  ],
  [
    'D-Link vendor6',
    'dlink-vendor6',
    source(inHex('Ethernet1/0/5:100.0 North 12/0/0/1/0/5')),
    { port: '1/5', vlan: 100, device: name('North 12') },
  ],
  [
    'a string of the operator, both ways',
    'dlink-custom',
    source(tlv('house 7, flat 12'), tlv('North-12')),
    { port: 'house 7, flat 12', device: name('North-12') },
  ],
  [
    'a string of the operator, and the MAC address',
    'dlink-custom',
    source(tlv('flat 12'), '0006001cf09d7167'),
    { port: 'flat 12', device: mac('00:1c:f0:9d:71:67') },
  ],
  [
    'TP-Link private',
    'tp-link-private',
    source('00020001', '001cf09d7167'),
    { vlan: 2, port: '1', device: mac('00:1c:f0:9d:71:67') },
  ],
  [
    'TP-Link private with strings',
    'accel-ppp',
    source(inHex('flat 12'), inHex('North-12')),
    { port: 'flat 12', device: name('North-12') },
  ],
  // MikroTik.
  [
    'MikroTik bridge: 4d79204d696b726f74696b2065746820302f32',
    'mikrotik-bridge',
    source('4d79204d696b726f74696b2065746820302f32'),
    { port: '2', device: name('My Mikrotik') },
  ],
  [
    'MikroTik bridge with a VLAN, and a MAC address beside it',
    'mikrotik-bridge',
    source(inHex('tower eth 0/12:100'), inHex('4c:5e:0c:01:02:03')),
    { port: '12', vlan: 100, device: name('tower') },
  ],
  [
    'MikroTik relay',
    'mikrotik-relay',
    source('500300010001', inHex('relay-north')),
    { port: '50:03:00:01:00:01', device: name('relay-north') },
  ],
  // Optical terminals and access nodes.
  [
    'HWTC: the device is known by the MAC address that is in its serial number',
    'hwtc',
    source(inHex('HWTC1a2b3c4d')),
    { onuSerial: 'HWTC1A2B3C4D', device: mac('54:43:1a:2b:3c:4d') },
  ],
  [
    'HWTC in octets',
    'hwtc',
    source('485754431a2b3c4d', inHex('anything')),
    { onuSerial: 'HWTC1A2B3C4D', device: mac('54:43:1a:2b:3c:4d') },
  ],
  [
    'ZTE: 5a5445474330323838453730',
    'zte',
    source('5a5445474330323838453730', '34353a34373a63303a32383a38653a3730'),
    { onuSerial: 'ZTEGC0288E70', device: mac('45:47:c0:28:8e:70') },
  ],
  [
    'ZTE with a MAC address that lost its zeros',
    'zte',
    source('5a5445474334303235334233', '34353a34373a63343a323a35333a6233'),
    { onuSerial: 'ZTEGC40253B3', device: mac('45:47:c4:02:53:b3') },
  ],
  [
    'Huawei MA5800, raio-format cid xpon "sn.vlanid"',
    'huawei/serial',
    source(inHex('485754431A2B3C4D.100')),
    { onuSerial: 'HWTC1A2B3C4D', vlan: 100 },
  ],
  [
    'Huawei with the name of the node, ONT, GEM port and VLAN',
    'huawei/named',
    source(inHex('olt-3 xpon 0/1/0/5:2.1.100')),
    { device: name('olt-3'), port: '0/1/0/5:2', vlan: 100 },
  ],
  [
    'Huawei without a name: the remote-id has it',
    'huawei/xpon',
    source(inHex('0/1/0/5:2.1.100'), inHex('olt-3')),
    { device: name('olt-3'), port: '0/1/0/5:2', vlan: 100 },
  ],
  [
    'Huawei without any name: ONT and VLAN',
    'huawei/xpon',
    source(inHex('xpon 0/1/0/5:2.100')),
    { port: '0/1/0/5:2', vlan: 100 },
  ],
  [
    'Huawei, a port and a VLAN',
    'huawei/port',
    source(inHex('0/1/0/5:100'), '0006001cf09d7167'),
    { port: '0/1/0/5', vlan: 100, device: mac('00:1c:f0:9d:71:67') },
  ],
  [
    'a BRAS that names the access node',
    'bras/node',
    source(inHex('eth 2/1/4:101.2000 guangzhou001/1/0/31/63/31:4096.2345')),
    { svlan: 101, vlan: 2000, device: name('guangzhou001'), port: '1/0/31/63/31' },
  ],
  [
    'a BRAS that does not know it',
    'bras/port',
    source(inHex('eth 2/1/4:101.2000 0/0/0/0/0/0')),
    { svlan: 101, vlan: 2000, port: '2/1/4' },
  ],
  ['a BRAS, one VLAN', 'bras/port', source(inHex('eth 2/1/4:4096.2000 0/0/0/0/0/0')), { vlan: 2000, port: '2/1/4' }],
  [
    'gige 6/27/0:1100.1, and BNG',
    'bras/port',
    source('6769676520362f32372f303a313130302e31', '424e47'),
    { svlan: 1100, vlan: 1, port: '6/27/0', device: name('BNG') },
  ],
  ['words between', 'bras/port', source(inHex('eth 0/1/2 100.200')), { svlan: 100, vlan: 200, port: '0/1/2' }],
  [
    'TR-101 with two VLANs',
    'tr-101',
    source(inHex('dslam-3 eth 1/2:100.200')),
    { device: name('dslam-3'), port: '1/2', svlan: 100, vlan: 200 },
  ],
  [
    'TR-101 over ATM: VPI and VCI are no VLANs',
    'tr-101/atm',
    source(inHex('dslam-3 atm 1/5:8.35')),
    { device: name('dslam-3'), port: '1/5:8.35' },
  ],
  [
    'Eltex LTP',
    'eltex-ltp/port',
    source(inHex('ltp-7 3/12:100.200'), inHex('ELTX5c000001')),
    { device: name('ltp-7'), port: '3/12', svlan: 100, vlan: 200, onuSerial: 'ELTX5C000001' },
  ],
  [
    'Eltex LTP, no inner VLAN',
    'eltex-ltp/port',
    source(inHex('ltp-7 3/12:100.'), inHex('454C54585C000001')),
    { device: name('ltp-7'), port: '3/12', svlan: 100, onuSerial: 'ELTX5C000001' },
  ],
  [
    'the serial number of a terminal alone',
    'eltex-ltp/serial',
    source(null, inHex('ELTX5C000001')),
    { onuSerial: 'ELTX5C000001' },
  ],
  // Names of interfaces.
  ['Juniper QFX', 'juniper', source(inHex('et-0/0/0:0.0')), { port: 'et-0/0/0:0' }],
  ['Juniper, a channel', 'juniper', source(inHex('xe-0/0/14:2')), { port: 'xe-0/0/14:2' }],
  ['Juniper, a unit', 'juniper', source(inHex('et-0/0/0.0')), { port: 'et-0/0/0' }],
  ['Juniper, a bundle', 'juniper', source(inHex('ae52.0')), { port: 'ae52' }],
  ['Juniper, a VLAN by name', 'juniper', source(inHex('ge-0/0/0.0:RANDOMCHAR')), { port: 'ge-0/0/0' }],
  [
    'Juniper EX: VLAN, and MAC address with an address in the remote-id',
    'juniper',
    source(inHex('ge-1/0/1.0:43'), inHex('cc:e1:7f:87:b2:00:172.17.21.13')),
    { port: 'ge-1/0/1', vlan: 43, device: mac('cc:e1:7f:87:b2:00') },
  ],
  ['Arista', 'interface-names', source(inHex('Ethernet3/17/1')), { port: 'Ethernet3/17/1' }],
  ['Arista, VLAN by word', 'interface-names', source(inHex('Ethernet14:Vlan2001')), { port: 'Ethernet14', vlan: 2001 }],
  [
    'Arista, VLAN and MAC address',
    'interface-names',
    source(inHex('Ethernet10:2020'), inHex('001c.7303.1319')),
    { port: 'Ethernet10', vlan: 2020, device: mac('00:1c:73:03:13:19') },
  ],
  ['Arista, a bundle', 'interface-names', source(inHex('Port-Channel10')), { port: 'Port-Channel10' }],
  [
    'Arista with type and length',
    'interface-names',
    source(`000f${inHex('Ethernet14:2001')}`),
    { port: 'Ethernet14', vlan: 2001 },
  ],
  ['Cisco', 'interface-names', source(inHex('Gi1/10:2020')), { port: 'Gi1/10', vlan: 2020 }],
  ['Nexus', 'interface-names', source(inHex('Ethernet1/3')), { port: 'Ethernet1/3' }],
  // Relays of routers.
  [
    'accel-ppp as a relay',
    'accel-ppp',
    source(inHex('rel0'), inHex('accel-nas1')),
    { port: 'rel0', device: name('accel-nas1') },
  ],
  [
    'accel-ppp passing on what an access node said: text and a bare MAC address',
    'accel-ppp',
    source(inHex('olt1/0/2/3:7'), '0200000099aa'),
    { port: 'olt1/0/2/3:7', device: mac('02:00:00:00:99:aa') },
  ],
  [
    'an interface whose name has six characters is no MAC address',
    'accel-ppp',
    source(inHex('eth0.5'), inHex('nas-1')),
    { port: 'eth0.5', device: name('nas-1') },
  ],
  ['ISC dhcrelay -a', 'isc-dhcrelay', source(inHex('acc1')), { port: 'acc1' }],
  // NAS-Port-Id.
  [
    'Huawei, two VLANs: the outer one first',
    'nas-port-huawei',
    port('slot=6;subslot=2;port=14;vlanid=3887;vlanid2=770;'),
    { port: '6/2/14', svlan: 3887, vlan: 770 },
  ],
  ['Huawei, one VLAN', 'nas-port-huawei', port('slot=2;subslot=2;port=22;vlanid=503;'), { port: '2/2/22', vlan: 503 }],
  [
    'Huawei, a second VLAN that is none',
    'nas-port-huawei',
    port('slot=2; subslot=2; port=22; vlanid=503; vlanid2=0'),
    { port: '2/2/22', vlan: 503 },
  ],
  ['Redback', 'nas-port-redback', port('2/1 vlan-id 2222:15 clips 131190'), { port: '2/1', svlan: 2222, vlan: 15 }],
  ['Redback, one VLAN', 'nas-port-redback', port('2/5 vlan-id 4 pppoe 8'), { port: '2/5', vlan: 4 }],
  ['Juniper MX', 'nas-port-juniper', port('xe-0/0/0.1073741824:100-200'), { port: 'xe-0/0/0', svlan: 100, vlan: 200 }],
  ['Juniper MX, one VLAN', 'nas-port-juniper', port('ge-1/2/0.100:100'), { port: 'ge-1/2/0', vlan: 100 }],
  ['Juniper MX, a bundle', 'nas-port-juniper', port('ae1.demux0.101:100-101'), { port: 'ae1', svlan: 100, vlan: 101 }],
  ['Cisco: the inner VLAN first', 'nas-port-cisco', port('0/0/2/50.1957'), { port: '0/0/2', vlan: 50, svlan: 1957 }],
  ['Cisco, one VLAN', 'nas-port-cisco', port('0/0/1/613'), { port: '0/0/1', vlan: 613 }],
  ['slot/sub/port:svlan.cvlan', 'nas-port-vlans', port('3/0/1:2814.727'), { port: '3/0/1', svlan: 2814, vlan: 727 }],
  ['one VLAN', 'nas-port-vlans', port('3/0/1:2814'), { port: '3/0/1', vlan: 2814 }],
  [
    'words around it',
    'nas-port-vlans',
    port('eth 0/1/2:100.200 0/0/0/0/0/0'),
    { port: '0/1/2', svlan: 100, vlan: 200 },
  ],
  ['a blank for the colon', 'nas-port-vlans', port('eth 0/1/2 100.200'), { port: '0/1/2', svlan: 100, vlan: 200 }],
  ['Nokia, a bundle', 'nas-port-vlans', port('lag-1:100.200'), { port: 'lag-1', svlan: 100, vlan: 200 }],
  ['MikroTik', 'nas-port-mikrotik', port('vlan100'), { port: 'vlan100', vlan: 100 }],
  ['MikroTik, with more in the name', 'nas-port-mikrotik', port('sfp1-vlan-100'), { port: 'sfp1-vlan-100', vlan: 100 }],
  [
    'option 82 comes before NAS-Port-Id',
    'dlink/standalone',
    source('000400640001', '0006001cf09d7167', { nasPortId: inHex('3/0/1:2814.727') }),
    { vlan: 100, port: '1', device: mac('00:1c:f0:9d:71:67') },
  ],
];

/** Presets that are not tried by default, alone. */
export const byName: readonly Vector[] = [
  [
    'Cisco',
    'cisco/standalone',
    source('000400640001', '0006001cf09d7167'),
    { vlan: 100, port: '1', device: mac('00:1c:f0:9d:71:67') },
  ],
  [
    'a stack of Cisco',
    'cisco/stack',
    source('000400640105', '0006001cf09d7167'),
    { vlan: 100, port: '1/5', device: mac('00:1c:f0:9d:71:67') },
  ],
  [
    'TP-Link',
    'tp-link/standalone',
    source('000400020001', '0006001cf09d7167'),
    { vlan: 2, port: '1', device: mac('00:1c:f0:9d:71:67') },
  ],
  [
    'a stack of TP-Link',
    'tp-link/stack',
    source('000400020101', '0006001cf09d7167'),
    { vlan: 2, port: '1/1', device: mac('00:1c:f0:9d:71:67') },
  ],
  [
    'H3C, extended',
    'h3c',
    source('000400640004', '0006000fe2010203'),
    { vlan: 100, port: '5', device: mac('00:0f:e2:01:02:03') },
  ],
  [
    'H3C, standard',
    'h3c',
    source('00640004', '000fe2010203'),
    { vlan: 100, port: '5', device: mac('00:0f:e2:01:02:03') },
  ],
  [
    'dlink-32xx',
    'dlink-32xx',
    source('000400640017', '0006001cf09d7167'),
    { port: '23', device: mac('00:1c:f0:9d:71:67') },
  ],
  [
    'dlink-32xx: what is no MAC address stays hexadecimal',
    'dlink-32xx',
    source('0017', '0104abcdef'),
    { port: '23', device: { by: 'serial', value: 'abcdef' } },
  ],
  ['last-octet', 'last-octet', source('007400071d', '1c877912e61a'), { port: '29', device: mac('1c:87:79:12:e6:1a') }],
  [
    'last-octet: of longer ones the end counts',
    'last-octet',
    source('007400ff1dff01', 'ff121c877912e61a'),
    { port: '1', device: mac('1c:87:79:12:e6:1a') },
  ],
  ['a cable modem', 'docsis', source('20000002', '20e52ab81514'), { device: mac('20:e5:2a:b8:15:14') }],
  ['another one', 'docsis', source('800503f8', '7896845ef7af'), { device: mac('78:96:84:5e:f7:af') }],
  [
    'a login in the Subscriber-ID',
    'subscriber-login',
    source('000400640001', null, { subscriberId: inHex('ivanov') }),
    { login: 'ivanov' },
  ],
  ['an interface of a NAS', 'nas-port-name', port('ether5'), { port: 'ether5' }],
];
