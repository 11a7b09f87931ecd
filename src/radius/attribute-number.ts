// Attribute and vendor numbers that code names directly.
// In: nothing. Out: constants.
// Invariant: numbers are those of the RFC or vendor table named beside them; the same names are in dictionaries/, and a
// test compares the two.

/** Standard attributes by number: RFC 2865 §5, 2866 §5, 2868, 2869 §5, 3162, 3576, 4372, 4675, 4818, 5580, 6911. */
export const Attribute = {
  userName: 1,
  userPassword: 2,
  chapPassword: 3,
  nasIpAddress: 4,
  nasPort: 5,
  serviceType: 6,
  framedProtocol: 7,
  framedIpAddress: 8,
  framedIpNetmask: 9,
  filterId: 11,
  framedMtu: 12,
  replyMessage: 18,
  framedRoute: 22,
  state: 24,
  class: 25,
  vendorSpecific: 26,
  sessionTimeout: 27,
  idleTimeout: 28,
  terminationAction: 29,
  calledStationId: 30,
  callingStationId: 31,
  nasIdentifier: 32,
  proxyState: 33,
  acctStatusType: 40,
  acctDelayTime: 41,
  acctInputOctets: 42,
  acctOutputOctets: 43,
  acctSessionId: 44,
  acctAuthentic: 45,
  acctSessionTime: 46,
  acctInputPackets: 47,
  acctOutputPackets: 48,
  acctTerminateCause: 49,
  acctMultiSessionId: 50,
  acctLinkCount: 51,
  acctInputGigawords: 52,
  acctOutputGigawords: 53,
  eventTimestamp: 55,
  chapChallenge: 60,
  nasPortType: 61,
  tunnelType: 64,
  tunnelPassword: 69,
  connectInfo: 77,
  eapMessage: 79,
  messageAuthenticator: 80,
  acctInterimInterval: 85,
  nasPortId: 87,
  framedPool: 88,
  chargeableUserIdentity: 89,
  nasIpv6Address: 95,
  framedInterfaceId: 96,
  framedIpv6Prefix: 97,
  framedIpv6Route: 99,
  framedIpv6Pool: 100,
  errorCause: 101,
  delegatedIpv6Prefix: 123,
  framedIpv6Address: 168,
  dnsServerIpv6Address: 169,
  delegatedIpv6PrefixPool: 171,
  statefulIpv6AddressPool: 172,
} as const;

/** SMI private enterprise numbers. */
export const Vendor = {
  cisco: 9,
  microsoft: 311,
  redback: 2352,
  adslForum: 3561,
  erx: 4874,
  wispr: 14122,
  mikrotik: 14988,
} as const;

/** Microsoft attributes (RFC 2548). */
export const MicrosoftAttribute = {
  chapResponse: 1,
  chapError: 2,
  mppeEncryptionPolicy: 7,
  mppeEncryptionTypes: 8,
  chapDomain: 10,
  chapChallenge: 11,
  chapMppeKeys: 12,
  mppeSendKey: 16,
  mppeRecvKey: 17,
  chap2Response: 25,
  chap2Success: 26,
} as const;

/** ADSL-Forum attributes (RFC 4679 §3). */
export const AdslForumAttribute = {
  agentCircuitId: 1,
  agentRemoteId: 2,
} as const;

/** Cisco attributes. */
export const CiscoAttribute = {
  avPair: 1,
} as const;

/** Redback attributes, with which RouterOS tells of option 82 too. */
export const RedbackAttribute = {
  agentRemoteId: 96,
  agentCircuitId: 97,
} as const;

/** Attributes of Juniper ERX and MX. */
export const ErxAttribute = {
  dhcpMacAddr: 56,
  dhcpOption82: 159,
} as const;

/** Values of Acct-Status-Type (RFC 2866 §5.1). */
export const AcctStatusType = {
  start: 1,
  stop: 2,
  interimUpdate: 3,
  accountingOn: 7,
  accountingOff: 8,
} as const;

/** Values of Service-Type that the server itself looks at (RFC 2865 §5.6). */
export const ServiceType = {
  framed: 2,
  callCheck: 10,
} as const;
