// Enters: nothing. Leaves: a dictionary of the attributes that profile tests name, numbers as the RFCs and vendors assign
// them, independent of the files in dictionaries/. Invariant: small enough to be checked by eye.
import { Dictionary } from '../../src/radius/dictionary.js';
import type { DataType } from '../../src/radius/dictionary.js';
import { dictionaryEncoder } from '../../src/nas/dictionary-encoder.js';
import { standardVendorFormat } from '../../src/radius/vendor-format.js';

const vendors: readonly [name: string, number: number][] = [
  ['Cisco', 9],
  ['Huawei', 2011],
  ['Redback', 2352],
  ['ERX', 4874],
  ['Alcatel-Lucent-Service-Router', 6527],
  ['WISPr', 14122],
  ['Mikrotik', 14988],
];

const attributes: readonly [
  name: string,
  vendor: number,
  number: number,
  type: DataType,
  flags?: 'tagged' | 'hidden',
][] = [
  ['User-Name', 0, 1, 'string'],
  ['Service-Type', 0, 6, 'integer'],
  ['Framed-Protocol', 0, 7, 'integer'],
  ['Filter-Id', 0, 11, 'string'],
  ['Reply-Message', 0, 18, 'string'],
  ['Framed-Route', 0, 22, 'string'],
  ['Class', 0, 25, 'octets'],
  ['Idle-Timeout', 0, 28, 'integer'],
  ['Tunnel-Private-Group-Id', 0, 81, 'string', 'tagged'],
  ['Tunnel-Password', 0, 69, 'string', 'hidden'],
  ['Framed-Pool', 0, 88, 'string'],
  ['Chargeable-User-Identity', 0, 89, 'octets'],
  ['Framed-Interface-Id', 0, 96, 'ifid'],
  ['Framed-IPv6-Prefix', 0, 97, 'ipv6prefix'],
  ['Framed-IPv6-Pool', 0, 100, 'string'],
  ['Delegated-IPv6-Prefix', 0, 123, 'ipv6prefix'],
  ['Framed-IPv6-Address', 0, 168, 'ipv6addr'],
  ['Cisco-AVPair', 9, 1, 'string'],
  ['Cisco-Account-Info', 9, 250, 'string'],
  ['Huawei-Input-Average-Rate', 2011, 2, 'integer'],
  ['Huawei-Output-Average-Rate', 2011, 5, 'integer'],
  ['Forward-Policy', 2352, 92, 'string'],
  ['HTTP-Redirect-Profile-Name', 2352, 107, 'string'],
  ['Qos-Rate-Inbound', 2352, 156, 'string'],
  ['Qos-Rate-Outbound', 2352, 157, 'string'],
  ['Service-Name', 2352, 190, 'string', 'tagged'],
  ['Service-Action', 2352, 191, 'integer', 'tagged'],
  ['Deactivate-Service-Name', 2352, 194, 'string', 'tagged'],
  ['ERX-Service-Activate', 4874, 65, 'string', 'tagged'],
  ['ERX-Service-Deactivate', 4874, 66, 'string'],
  ['ERX-CoS-Shaping-Pmt-Type', 4874, 108, 'string'],
  ['Alc-SLA-Prof-Str', 6527, 13, 'string'],
  ['Alc-Subscriber-QoS-Override', 6527, 126, 'string'],
  ['WISPr-Bandwidth-Max-Up', 14122, 7, 'integer'],
  ['WISPr-Bandwidth-Max-Down', 14122, 8, 'integer'],
  ['Mikrotik-Rate-Limit', 14988, 8, 'string'],
  ['Mikrotik-Address-List', 14988, 19, 'string'],
];

/** RFC 2865 §5, RFC 2868, RFC 2869, RFC 3162, RFC 4372, RFC 4818, RFC 6911; Cisco 9, Huawei 2011, Redback 2352, ERX 4874, Nokia 6527, WISPr 14122, MikroTik 14988. */
export function smallDictionary(): Dictionary {
  const dictionary = new Dictionary();
  for (const [name, number] of vendors) dictionary.defineVendor({ name, number, format: standardVendorFormat });
  for (const [name, vendor, number, type, flag] of attributes) {
    dictionary.defineAttribute({
      name,
      vendor,
      path: [number],
      type,
      fixedOctets: undefined,
      hasTag: flag !== undefined,
      encryption: flag === 'hidden' ? 2 : 0,
      isArray: false,
      isConcatenated: false,
      isExtended: false,
      isSecret: flag === 'hidden',
    });
  }
  dictionary.defineValue('Service-Type', 'Framed-User', 2);
  dictionary.defineValue('Framed-Protocol', 'PPP', 1);
  dictionary.defineValue('Service-Action', 'Activate', 1);
  return dictionary;
}

export const smallEncoder = dictionaryEncoder(smallDictionary());
