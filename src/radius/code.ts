// RADIUS packet codes: the first octet of a packet.
// In: a number. Out: a constant or a name for people.
// Invariant: the codes and names are those of the IANA registry.

/** Packet codes (RFC 2865 §3, RFC 2866 §3, RFC 5176 §2.3, RFC 5997 §3). */
export const Code = {
  accessRequest: 1,
  accessAccept: 2,
  accessReject: 3,
  accountingRequest: 4,
  accountingResponse: 5,
  accessChallenge: 11,
  statusServer: 12,
  disconnectRequest: 40,
  disconnectAck: 41,
  disconnectNak: 42,
  coaRequest: 43,
  coaAck: 44,
  coaNak: 45,
} as const;

const names = new Map<number, string>([
  [Code.accessRequest, 'Access-Request'],
  [Code.accessAccept, 'Access-Accept'],
  [Code.accessReject, 'Access-Reject'],
  [Code.accountingRequest, 'Accounting-Request'],
  [Code.accountingResponse, 'Accounting-Response'],
  [Code.accessChallenge, 'Access-Challenge'],
  [Code.statusServer, 'Status-Server'],
  [Code.disconnectRequest, 'Disconnect-Request'],
  [Code.disconnectAck, 'Disconnect-ACK'],
  [Code.disconnectNak, 'Disconnect-NAK'],
  [Code.coaRequest, 'CoA-Request'],
  [Code.coaAck, 'CoA-ACK'],
  [Code.coaNak, 'CoA-NAK'],
]);

/** The RFC's name of a code, or `Code-N` for one that has none here. */
export function codeName(code: number): string {
  return names.get(code) ?? `Code-${code}`;
}

/**
 * Whether the Request Authenticator of such a packet is a signature rather than a random number
 * (RFC 2866 §3, RFC 5176 §2.3).
 */
export function isSignedRequest(code: number): boolean {
  return code === Code.accountingRequest || code === Code.coaRequest || code === Code.disconnectRequest;
}
