// Which datagrams become requests: source, secret, length, signature, in that order.
// In: a datagram, the port it came to, its source address. Out: a verified packet with its group and secret, or a reason.
// Invariant: nothing is decoded or remembered before its signature held; Message-Authenticator is verified whenever it is
// there, at whatever position; the two BlastRADIUS switches only ever add refusals.

import { Code } from './code.js';
import { parsePacket, type Packet, type PacketFault } from './packet.js';
import { replyFits } from './reply.js';
import type { SharedSecret } from './shared-secret.js';

/** Which service a socket offers. */
export type RadiusPort = 'auth' | 'accounting';

/** What is known about the NASes behind one source address. */
export interface SourceGroup {
  /** Label of metrics and logs. */
  readonly name: string;
  /** One, or two while the secret is being changed; the first is the preferred one. */
  readonly secrets: readonly SharedSecret[];
  /** Refuse Access-Requests without Message-Authenticator. */
  readonly requireMessageAuthenticator: boolean;
  /** Refuse Access-Requests that have Proxy-State but no Message-Authenticator. */
  readonly limitProxyState: boolean;
}

/** Finds the group of a source address; the caller of admission owns it and may replace its content at any time. */
export interface SourceTable {
  lookup(address: string): SourceGroup | undefined;
}

/** Why a datagram was refused. */
export type AdmissionFault =
  | PacketFault
  | 'unknown-source'
  | 'accounting-on-auth-port'
  | 'access-on-accounting-port'
  | 'unexpected-code'
  | 'message-authenticator-missing'
  | 'proxy-state-unprotected'
  | 'proxy-state-too-long'
  | 'bad-message-authenticator'
  | 'bad-authenticator';

/** Result of `admit`. */
export type AdmissionResult =
  | {
      readonly ok: true;
      readonly packet: Packet;
      readonly group: SourceGroup;
      readonly secret: SharedSecret;
      /** False for an Access-Request without Message-Authenticator: its secret is the group's first, by assumption. */
      readonly secretIsProven: boolean;
    }
  | { readonly ok: false; readonly reason: AdmissionFault; readonly group: SourceGroup | undefined };

/**
 * Judges one datagram.
 * @param sourceAddress as the socket gave it; an IPv6 zone is not part of the lookup
 */
export function admit(
  sources: SourceTable,
  port: RadiusPort,
  datagram: Buffer,
  sourceAddress: string,
): AdmissionResult {
  const zone = sourceAddress.indexOf('%');
  const group = sources.lookup(zone < 0 ? sourceAddress : sourceAddress.slice(0, zone));
  if (group === undefined || group.secrets.length === 0)
    return { ok: false, reason: 'unknown-source', group: undefined };
  const parsed = parsePacket(datagram);
  if (!parsed.ok) return { ok: false, reason: parsed.reason, group };
  const { packet } = parsed;
  const fault = codeFault(packet.code, port) ?? protectionFault(packet, group);
  if (fault !== undefined) return { ok: false, reason: fault, group };
  for (const secret of group.secrets)
    if (signatureFault(packet, secret) === undefined)
      return { ok: true, packet, group, secret, secretIsProven: isProof(packet) };
  return { ok: false, reason: signatureFault(packet, group.secrets[0]!) ?? 'bad-authenticator', group };
}

function codeFault(code: number, port: RadiusPort): AdmissionFault | undefined {
  switch (code) {
    case Code.accessRequest:
      return port === 'auth' ? undefined : 'access-on-accounting-port';
    case Code.accountingRequest:
      return port === 'accounting' ? undefined : 'accounting-on-auth-port';
    case Code.statusServer:
      return undefined;
    default:
      return 'unexpected-code';
  }
}

// What must be protected and is not; judged before any digest is computed.
function protectionFault(packet: Packet, group: SourceGroup): AdmissionFault | undefined {
  if (!replyFits(packet)) return 'proxy-state-too-long';
  if (packet.messageAuthenticatorOffset >= 0) return undefined;
  switch (packet.code) {
    case Code.statusServer:
      // RFC 5997 §3: such a packet MUST carry it, whatever the group says.
      return 'message-authenticator-missing';
    case Code.accessRequest:
      if (group.requireMessageAuthenticator || packet.carriesEap) return 'message-authenticator-missing';
      return group.limitProxyState && packet.proxyStateOctets > 0 ? 'proxy-state-unprotected' : undefined;
    default:
      return undefined;
  }
}

function signatureFault(packet: Packet, secret: SharedSecret): AdmissionFault | undefined {
  if (packet.code === Code.accountingRequest && !secret.requestAuthenticatorMatches(packet)) return 'bad-authenticator';
  if (packet.messageAuthenticatorOffset >= 0 && !secret.messageAuthenticatorMatches(packet))
    return 'bad-message-authenticator';
  return undefined;
}

function isProof(packet: Packet): boolean {
  return packet.code === Code.accountingRequest || packet.messageAuthenticatorOffset >= 0;
}
