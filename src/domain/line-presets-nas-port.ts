/**
 * What NASes write into NAS-Port-Id (RFC 2869 §5.17). Enters: nothing. Leaves: presets, in the order in which they are tried. Invariant: none of
 * them names a device: the port is one of the NAS that sends the packet.
 */
import { text, rule, name, vlan, vlans } from './line-preset-parts.js';
import type { LinePreset } from './line-preset-parts.js';

/** Presets of NAS-Port-Id. */
export const nasPortPresets: readonly LinePreset[] = [
  {
    name: 'nas-port-huawei',
    about: 'NAS-Port-Id of Huawei and H3C: slot=2;subslot=2;port=22;vlanid=503;vlanid2=100;',
    byDefault: true,
    rules: [
      rule(
        'nas-port-huawei',
        {
          // The outer VLAN comes first; with one VLAN, it is the only one.
          nas_port_id: [`vlanid=${vlan}(?:; ?vlanid2=0)?`, `vlanid=(?<svlan>\\d{1,4}); ?vlanid2=${vlan}`].map((end) =>
            text(`slot=(?<slot>\\d{1,3}); ?subslot=(?<subslot>\\d{1,3}); ?port=(?<port>\\d{1,5}); ?${end};?`),
          ),
        },
        { set: { port: '$slot/$subslot/$port' } },
      ),
    ],
  },
  {
    name: 'nas-port-redback',
    about: 'NAS-Port-Id of Redback and Ericsson: 2/1 vlan-id 2222:15 clips 131190',
    byDefault: true,
    rules: [
      rule('nas-port-redback', {
        nas_port_id: text(`(?<port>\\d{1,3}/\\d{1,3}) vlan-id (?:(?<svlan>\\d{1,4}):)?${vlan}(?: .*)?`),
      }),
    ],
  },
  {
    name: 'nas-port-juniper',
    about: 'NAS-Port-Id of Juniper: xe-0/0/0.1073741824:100-200, ae1.demux0.101:100-101',
    byDefault: true,
    rules: [
      rule('nas-port-juniper', {
        nas_port_id: text(
          '(?<port>(?:ge|xe|et|fe)-\\d{1,3}/\\d{1,3}/\\d{1,3}|ae\\d{1,4})(?:\\.demux0)?(?:\\.\\d{1,10})?' +
            `:(?:(?<svlan>\\d{1,4})-)?${vlan}`,
        ),
      }),
    ],
  },
  {
    name: 'nas-port-cisco',
    about: 'NAS-Port-Id of Cisco: 0/0/2/50.1957, the inner VLAN first',
    byDefault: true,
    rules: [
      rule('nas-port-cisco', {
        nas_port_id: text(`(?<port>\\d{1,3}(?:/\\d{1,3}){2})/${vlan}(?:\\.(?<svlan>\\d{1,4}))?`),
      }),
    ],
  },
  {
    name: 'nas-port-vlans',
    about:
      'NAS-Port-Id as slot/sub/port:svlan.cvlan, with or without words around it: eth 0/1/2:100.200, lag-1:100.200',
    byDefault: true,
    rules: [
      rule('nas-port-vlans', {
        nas_port_id: text(
          `(?:[A-Za-z][A-Za-z0-9-]* ?)?(?<port>\\d{1,4}(?:/\\d{1,4}){1,3}|lag-\\d{1,3})[: ]${vlans}(?: .*)?`,
        ),
      }),
    ],
  },
  {
    name: 'nas-port-mikrotik',
    about: 'NAS-Port-Id of MikroTik, where interfaces are called vlan100 or ether1-vlan100',
    byDefault: true,
    rules: [
      rule('nas-port-mikrotik', {
        nas_port_id: text(`(?<port>(?:[!-~]*[-_.])?[Vv][Ll][Aa][Nn][-_.]?${vlan})`),
      }),
    ],
  },
  {
    name: 'nas-port-name',
    about: 'NAS-Port-Id as it is: the port is the name of the interface',
    byDefault: false,
    rules: [rule('nas-port-name', { nas_port_id: text(`(?<port>${name})`) })],
  },
];
