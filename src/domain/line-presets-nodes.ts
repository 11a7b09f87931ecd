/**
 * What optical terminals, access nodes, BRASes and relays of routers write into option 82. Enters: nothing. Leaves: presets, in the order in which
 * they are tried. Invariant: names of interfaces, which fit nearly every text, come last.
 */
import { hex, text, rule, name, mac, serial, vlan, vlans, remoteDevice } from './line-preset-parts.js';
import type { LinePreset } from './line-preset-parts.js';

const ponPath = '(?<pon>\\d{1,3}(?:/\\d{1,3}){3})';
/** A MAC address that does not begin as the octets of switches do, with type 0 and length 4. */
const interfaceMac = '(?<port>(?:[1-9a-f].|0[1-9a-f]) .{10} | 00 (?:[1-9a-f].|0[0-35-9a-f]) .{8})';
const ontAndVlan = `:(?<ont>\\d{1,4})(?:\\.\\d{1,4})?\\.${vlan}`;

/** Presets of access nodes and relays. */
export const nodePresets: readonly LinePreset[] = [
  {
    name: 'hwtc',
    about: 'optical terminals that put their serial number, HWTC…, into the circuit-id',
    byDefault: true,
    rules: [
      rule(
        'hwtc',
        { circuit_id: [text('(?<onu>HWTC[0-9A-Fa-f]{8})'), hex('(?<onu>48575443 .{8})')] },
        { set: { mac: '$onu' }, convert: { mac: ['serial2mac'] } },
      ),
    ],
  },
  {
    name: 'zte',
    about: 'ZTE terminals: serial number, ZTE…, in the circuit-id, MAC address as text in the remote-id',
    byDefault: true,
    rules: [rule('zte', { circuit_id: text('(?<onu>ZTE[!-~]+)'), remote_id: text(`(?<mac>${mac})`) })],
  },
  {
    name: 'huawei',
    about:
      'Huawei MA5600 and MA5800: NAME xpon 0/1/0/5:2.1.100, 0/1/0/5:2.100, 0/1/0/5:100, SERIAL.100 (raio-format "sn.vlanid")',
    byDefault: true,
    rules: [
      rule('huawei/serial', { circuit_id: text(`(?<onu>${serial})\\.${vlan}`) }),
      rule(
        'huawei/named',
        { circuit_id: text(`(?<device>[!-~]+) (?:xpon|gpon|epon) (?<pon>\\d{1,3}(?:/\\d{1,3}){2,3})${ontAndVlan}`) },
        { set: { port: '$pon:$ont' } },
      ),
      rule(
        'huawei/xpon',
        { circuit_id: text(`(?:(?:xpon|gpon|epon) )?${ponPath}${ontAndVlan}`), remote_id: remoteDevice },
        { optional: ['remote_id'], set: { port: '$pon:$ont' } },
      ),
      rule(
        'huawei/port',
        {
          circuit_id: text(`(?:(?:eth|xpon|gpon|epon) )?(?<port>\\d{1,3}(?:/\\d{1,3}){3}):${vlan}`),
          remote_id: remoteDevice,
        },
        { optional: ['remote_id'] },
      ),
    ],
  },
  {
    name: 'bras',
    about: 'BRASes and their access nodes: eth 2/1/4:101.2000 NODE/1/0/31/63/31:…, gige 6/27/0:1100.1',
    byDefault: true,
    rules: [
      rule(
        'bras/node',
        {
          circuit_id: text(
            `(?:eth|trunk) ?\\d{1,3}(?:/\\d{1,3}){2}:(?<svlan>\\d{1,4})\\.${vlan} (?<device>[!-~]*[A-Za-z][!-~]*)` +
              '/(?<rack>\\d{1,3})/(?<frame>\\d{1,3})/(?<slot>\\d{1,3})/(?<subslot>\\d{1,3})/(?<port>\\d{1,4})(?::.*)?',
          ),
        },
        { set: { port: '$rack/$frame/$slot/$subslot/$port' } },
      ),
      rule(
        'bras/port',
        {
          circuit_id: text(
            `(?:eth|trunk|gige|ge|xe) ?(?<port>\\d{1,3}(?:/\\d{1,3}){2})[: ](?<svlan>\\d{1,4})\\.${vlan}(?: .*)?`,
          ),
          remote_id: remoteDevice,
        },
        { optional: ['remote_id'] },
      ),
    ],
  },
  {
    name: 'tr-101',
    about: 'access nodes after TR-101, D-Link vendor5: NAME eth 0/0/5:100, NAME atm 1/5:8.35',
    byDefault: true,
    rules: [
      rule('tr-101', {
        circuit_id: text(
          `(?<device>${name}) (?:eth|ethernet|trunk|gei|ge|xge|xpon|gpon|epon) (?<port>\\d{1,3}(?:/\\d{1,3}){1,5})(?::${vlans})?`,
        ),
      }),
      rule('tr-101/atm', {
        circuit_id: text(`(?<device>${name}) atm (?<port>\\d{1,3}(?:/\\d{1,3}){1,5}:\\d{1,3}\\.\\d{1,5})`),
      }),
    ],
  },
  {
    name: 'eltex-ltp',
    about: 'Eltex LTP: circuit-id "%HOSTNAME% %GPON-PORT%/%ONTID%:%VLAN0%.%VLAN1%", remote-id "%PONSERIAL%"',
    byDefault: true,
    rules: [
      rule(
        'eltex-ltp/port',
        {
          circuit_id: text(
            `(?<device>[!-~]+) (?<pon>\\d{1,3})/(?<ont>\\d{1,3})(?::(?<svlan>\\d{1,4})(?:\\.${vlan}?)?)?`,
          ),
          remote_id: text(`(?<onu>${serial})`),
        },
        { set: { port: '$pon/$ont' } },
      ),
      rule('eltex-ltp/serial', { remote_id: text(`(?<onu>${serial})`) }),
    ],
  },
  {
    name: 'accel-ppp',
    about: 'accel-ppp and other relays of routers: name of the interface, and a name or MAC address of the relay',
    byDefault: true,
    rules: [rule('accel-ppp', { circuit_id: text(`(?<port>${name})`), remote_id: remoteDevice })],
  },
  {
    name: 'mikrotik-relay',
    about: 'MikroTik DHCP relay: MAC address of the interface, and relay-info-remote-id',
    byDefault: true,
    rules: [
      rule(
        'mikrotik-relay',
        { circuit_id: hex(interfaceMac), remote_id: remoteDevice },
        { convert: { port: ['mac'] } },
      ),
    ],
  },
  {
    name: 'isc-dhcrelay',
    about: 'ISC dhcrelay -a: name of the interface alone, so that no device is known',
    byDefault: true,
    rules: [rule('isc-dhcrelay', { circuit_id: text('(?<port>[A-Za-z][!-~]{0,14})') }, { absent: ['remote_id'] })],
  },
  {
    name: 'docsis',
    about: 'CMTSs: the device is the cable modem, whose MAC address is the remote-id',
    byDefault: false,
    rules: [rule('docsis', { circuit_id: hex('.{8}'), remote_id: hex('(?<mac>.{12})') })],
  },
  {
    name: 'subscriber-login',
    about: 'where the operator has access nodes put the login into the Subscriber-ID',
    byDefault: false,
    rules: [rule('subscriber-login', { subscriber_id: text(`(?<login>${name})`) })],
  },
];
