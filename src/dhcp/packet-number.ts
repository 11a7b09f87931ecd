/**
 * The numbers of DHCPv4 that this program reads or writes. Enters: nothing. Leaves: names for them. Invariant: a number that nobody here looks
 * at has no name.
 */

/** Who speaks (RFC 2131 §2). */
export const Op = { request: 1, reply: 2 } as const;

/** DHCP Message Type, option 53 (RFC 2132 §9.6; RFC 4388 §6 for those of leasequery). */
export const MessageType = {
  discover: 1,
  offer: 2,
  request: 3,
  decline: 4,
  ack: 5,
  nak: 6,
  release: 7,
  inform: 8,
  leaseQuery: 10,
  leaseUnassigned: 11,
  leaseUnknown: 12,
  leaseActive: 13,
} as const;

export const Option = {
  pad: 0,
  /** RFC 2132 §3.3 */
  subnetMask: 1,
  /** RFC 2132 §5.3 */
  broadcastAddress: 28,
  /** RFC 2132 §9.1 */
  requestedAddress: 50,
  /** RFC 2132 §9.2; in an answer to a leasequery the seconds that are left (RFC 4388 §6.4) */
  leaseTime: 51,
  /** RFC 2132 §9.3 */
  overload: 52,
  messageType: 53,
  /** RFC 2132 §9.7 */
  serverIdentifier: 54,
  /** RFC 2132 §9.8 */
  parameterRequestList: 55,
  /** RFC 2132 §9.14 */
  clientIdentifier: 61,
  /** RFC 3046 §2.0 */
  relayAgentInformation: 82,
  /** RFC 4388 §6 */
  clientLastTransactionTime: 91,
  /** RFC 4388 §6 */
  associatedAddress: 92,
  end: 255,
} as const;

/** Sub-options of option 82. */
export const SubOption = {
  /** RFC 3046 §3.1 */
  circuitId: 1,
  /** RFC 3046 §3.2 */
  remoteId: 2,
  /** RFC 3527 */
  linkSelection: 5,
  /** RFC 3993 */
  subscriberId: 6,
  /** RFC 4014 */
  radiusAttributes: 7,
  /** RFC 4243 */
  vendorSpecific: 9,
  /** RFC 5010 */
  flags: 10,
  /** RFC 5107 */
  serverIdentifierOverride: 11,
  /** RFC 6607 */
  virtualSubnet: 151,
  /** RFC 6607 */
  virtualSubnetControl: 152,
} as const;

/** Hardware type of Ethernet (RFC 1700, Number Hardware Type). */
export const ethernet = 1;
/** Octets of an Ethernet address. */
export const ethernetOctets = 6;

/** Where a server and a relay listen (RFC 2131 §4.1). */
export const serverPort = 67;
