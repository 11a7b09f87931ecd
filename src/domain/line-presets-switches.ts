/**
 * What switches write into option 82. Enters: nothing. Leaves: presets, in the order in which they are tried. Invariant: a format that is told by
 * fixed octets comes before one that is told by its shape.
 */
import { hex, text, rule, name, mac, vlan, remoteDevice } from './line-preset-parts.js';
import type { LinePreset } from './line-preset-parts.js';
import type { LineRule } from './line-rule.js';

/** Type 0, length 4, VLAN, module, port. Module 0 is a switch by itself; of a stack, the unit is part of the port. */
const binary = (preset: string): readonly LineRule[] => [
  rule(`${preset}/standalone`, { circuit_id: hex('0004 (?<vlan>.{4}) 00 (?<port>.{2})'), remote_id: remoteDevice }),
  rule(
    `${preset}/stack`,
    { circuit_id: hex('0004 (?<vlan>.{4}) (?<module>.{2}) (?<port>.{2})'), remote_id: remoteDevice },
    { set: { port: '$module/$port' } },
  ),
];

/** Presets of switches. */
export const switchPresets: readonly LinePreset[] = [
  {
    name: 'dlink',
    about: 'D-Link (default), Cisco (vlan-mod-port), TP-Link (normal), and many who do the same',
    byDefault: true,
    rules: binary('dlink'),
  },
  {
    name: 'dlink-vendor1',
    about: 'D-Link DGS-1520, DGS-3120 and others, format vendor1',
    byDefault: true,
    rules: [
      rule(
        'dlink-vendor1',
        { circuit_id: hex('0006 (?<vlan>.{4}) (?<slot>.{4}) (?<port>.{4}) 0106 (?<mac>.{12})') },
        { set: { port: '$slot/$port' } },
      ),
    ],
  },
  {
    name: 'dlink-vendor2',
    about: 'D-Link, format vendor2: p02',
    byDefault: true,
    rules: [
      rule(
        'dlink-vendor2',
        { circuit_id: text('p(?<port>\\d{1,3})'), remote_id: remoteDevice },
        { convert: { port: ['number'] } },
      ),
    ],
  },
  {
    name: 'dlink-vendor6',
    about: 'D-Link, format vendor6: Ethernet1/0/5:100.0 NAME/0/0/1/0/5',
    byDefault: true,
    rules: [
      rule(
        'dlink-vendor6',
        {
          circuit_id: text(
            `Ethernet(?<unit>\\d{1,2})/0/(?<port>\\d{1,2}):${vlan}\\.0 (?<device>${name})/0/0/\\d{1,2}/0/\\d{1,2}`,
          ),
        },
        { set: { port: '$unit/$port' } },
      ),
    ],
  },
  {
    name: 'dlink-custom',
    about: 'D-Link (user_define) and TP-Link (customised): a string of the operator for each port',
    byDefault: true,
    rules: [
      rule('dlink-custom', {
        circuit_id: text(`\\x01(?<length>.)(?<port>${name})`),
        remote_id: remoteDevice,
      }),
    ],
  },
  {
    name: 'dlink-vendor4',
    about: 'D-Link, format vendor4: NAME-0/5-100',
    byDefault: true,
    rules: [
      rule('dlink-vendor4/standalone', {
        circuit_id: text(`(?<device>${name})-0/(?<port>\\d{1,2})-${vlan}`),
      }),
      rule(
        'dlink-vendor4/stack',
        { circuit_id: text(`(?<device>${name})-(?<module>\\d)/(?<port>\\d{1,2})-${vlan}`) },
        { set: { port: '$module/$port' } },
      ),
    ],
  },
  {
    name: 'mikrotik-bridge',
    about: 'MikroTik bridge with DHCP snooping: IDENTITY eth 0/2',
    byDefault: true,
    rules: [rule('mikrotik-bridge', { circuit_id: text(`(?<device>${name}) eth 0/(?<port>\\d{1,3})(?::${vlan})?`) })],
  },
  {
    name: 'juniper',
    about: 'Juniper EX, QFX, MX as relays: ge-0/0/5.0:100, xe-0/0/14:2, ae52.0',
    byDefault: true,
    rules: [
      rule(
        'juniper',
        {
          circuit_id: text(
            '(?<port>(?:ge|xe|et|fe)-\\d{1,3}/\\d{1,3}/\\d{1,3}(?::\\d{1,2})?|ae\\d{1,4})(?:\\.\\d{1,10})?' +
              `(?::(?:${vlan}|[!-~]+))?`,
          ),
          remote_id: [text(`(?<mac>${mac}):[0-9.]+`), ...remoteDevice],
        },
        { optional: ['remote_id'] },
      ),
    ],
  },
  {
    name: 'interface-names',
    about: 'Arista, Cisco, Nexus: Ethernet3/17/1, Ethernet14:Vlan2001, Port-Channel10, Gi1/10:2020',
    byDefault: true,
    rules: [
      rule(
        'interface-names',
        {
          circuit_id: text(
            '(?:\\x00(?<length>.))?(?<port>(?:Eth|Et|Fa|Fast|Gi|Gigabit|Te|TenGigabit|Tw|Twe|Fo|Hu|HundredGigE|TwentyFiveGigE|Po|Port-[Cc]hannel)' +
              `(?:[Ee]thernet|ernet)?\\d{1,4}(?:/\\d{1,4}){0,3})(?::(?:[Vv][Ll][Aa][Nn])?${vlan})?`,
          ),
          remote_id: remoteDevice,
        },
        { optional: ['remote_id'] },
      ),
    ],
  },
  {
    name: 'tp-link-private',
    about: 'TP-Link (private) and H3C-like switches: values without type and length',
    byDefault: true,
    rules: [
      rule('tp-link-private', {
        circuit_id: hex('(?<vlan>0.{3}) (?<port>.{4})'),
        remote_id: hex('(?<mac>.{12})'),
      }),
    ],
  },
  {
    name: 'cisco',
    about: 'the same as dlink, under the name of Cisco',
    byDefault: false,
    rules: binary('cisco'),
  },
  {
    name: 'tp-link',
    about: 'the same as dlink, under the name of TP-Link',
    byDefault: false,
    rules: binary('tp-link'),
  },
  {
    name: 'h3c',
    about: 'H3C, HP, 3Com: the octets of dlink, but ports are counted from 0; to be named before dlink or in its place',
    byDefault: false,
    rules: [
      rule(
        'h3c',
        {
          circuit_id: [hex('0004 (?<vlan>.{4}) (?<port>.{4})'), hex('(?<vlan>0.{3}) (?<port>.{4})')],
          remote_id: remoteDevice,
        },
        { convert: { port: ['hex2number', 'increment_port'] } },
      ),
    ],
  },
  {
    name: 'dlink-32xx',
    about:
      'port: the last octet of the circuit-id; device: the remote-id without its first two octets, by MAC address or as hexadecimal',
    byDefault: false,
    rules: [
      rule('dlink-32xx', {
        circuit_id: hex('(?:..)*(?<port>..)'),
        remote_id: [hex('.{4} (?<mac>.{12})'), hex('.{4} (?<serial>(?:..)+)')],
      }),
    ],
  },
  {
    name: 'last-octet',
    about: 'port: the last octet of the circuit-id; device: the last six octets of the remote-id',
    byDefault: false,
    rules: [
      rule('last-octet', {
        circuit_id: hex('(?:..)*(?<port>..)'),
        remote_id: hex('(?:..)*(?<mac>.{12})'),
      }),
    ],
  },
];
