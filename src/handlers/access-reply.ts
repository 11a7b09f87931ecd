// Enters: a decision and what it is about. Leaves: the octets of the reply. Invariants: an Accept says the state, the rate and the
// address that were decided and nothing else; a Reject tells the subscriber no internals.

import type { NasEntry } from '../config/config.js';
import type { AccessAccept, AddressSource, AnswerState } from '../domain/access.js';
import type { RejectReason } from '../domain/access-reason.js';
import type { EffectiveRate } from '../domain/effective-rate.js';
import { formatIpv4Address } from '../domain/ipv4-address.js';
import { policyHash } from '../domain/policy-hash.js';
import type { Account, Plan, Subscriber } from '../domain/subscriber.js';
import type { AttributeContext } from '../nas/attribute-variables.js';
import type { CompiledProfile } from '../nas/profile.js';
import type { AdmittedRequest } from '../radius/admitted-request.js';
import { Attribute } from '../radius/attribute-number.js';
import { PacketBuildError } from '../radius/attribute-writer.js';
import { Code } from '../radius/code.js';
import { ReplyBuilder } from '../radius/reply.js';
import type { SharedSecret } from '../radius/shared-secret.js';
import type { Offer } from '../store/offer-book.js';
import type { ClassCookie } from './class-cookie.js';
import { addMsChapError } from './password-check.js';

/** Somebody known, with what the rates and texts of a reply come from. */
export interface ReplySubject {
  readonly subscriber: Subscriber;
  readonly account: Account | undefined;
  readonly plan: Plan | undefined;
  /** At this hour, turbo included. */
  readonly rate: EffectiveRate;
}

/** Everything that a reply may be made of. */
export interface ReplyContext {
  readonly request: AdmittedRequest;
  readonly secret: SharedSecret;
  readonly nas: NasEntry;
  readonly profile: CompiledProfile;
  readonly userName: string | undefined;
  readonly mac: string | undefined;
  /** Undefined: a guest whom nobody knows. */
  readonly subject: ReplySubject | undefined;
}

/** A session that one host uses: the whole address is its network. */
const HOST_NETMASK = 0xffff_ffff;

/** The longest Session-Timeout: some NASes read it as a signed number, s. */
const LONGEST_TIMEOUT_SECONDS = 0x7fff_ffff;

export type AcceptReply =
  | { readonly ok: true; readonly reply: ReplyBuilder }
  | { readonly ok: false; readonly reason: 'unsafe-attribute' | 'reply-too-long' };

/**
 * Builds an Access-Accept (RFC 2865 §4.2).
 *
 * @param offer what Class names; undefined for a guest
 * @param complete adds what the password method wants
 * @param nowMs ms since 1970
 */
export function acceptReply(
  context: ReplyContext,
  decision: Pick<AccessAccept, 'state' | 'address'>,
  offer: Offer | undefined,
  classCookie: Pick<ClassCookie, 'encode'>,
  complete: ((accept: ReplyBuilder, secret: SharedSecret) => void) | undefined,
  nowMs: number,
): AcceptReply {
  const { request, secret, nas, profile, subject } = context;
  const { state } = decision;
  const rule = profile.states[state];
  const encoded = rule.encode(attributeContext(context, decision.address, offer));
  if (!encoded.ok) return { ok: false, reason: 'unsafe-attribute' };
  try {
    const reply = new ReplyBuilder(request.packet, Code.accessAccept, secret);
    if (offer?.address !== undefined) {
      reply.addUint32(Attribute.framedIpAddress, offer.address);
      if (profile.profile.sendNetmask) reply.addUint32(Attribute.framedIpNetmask, HOST_NETMASK);
    }
    reply.addEncoded(encoded.octets);
    reply.addUint32(Attribute.acctInterimInterval, nas.interimSeconds);
    const timeoutSeconds = sessionTimeoutSeconds(rule.sessionTimeoutSeconds, state, subject?.plan, nowMs);
    if (timeoutSeconds !== undefined) reply.addUint32(Attribute.sessionTimeout, timeoutSeconds);
    if (subject && offer) {
      const { subscriber, rate } = subject;
      const hash = policyHash(state, rate.rateDownBps, rate.rateUpBps);
      reply.addOctets(
        Attribute.class,
        classCookie.encode({ subscriberId: subscriber.id, policyHash: hash, offerId: offer.offerId }),
      );
    }
    complete?.(reply, secret);
    return { ok: true, reply };
  } catch (error) {
    if (error instanceof PacketBuildError) return { ok: false, reason: 'reply-too-long' };
    throw error;
  }
}

/** A plan that ends soon ends the session with it; otherwise nothing needs a timeout (RFC 2865 §5.27). */
export function sessionTimeoutSeconds(
  ofState: number | undefined,
  state: AnswerState,
  plan: Plan | undefined,
  nowMs: number,
): number | undefined {
  const untilMs = state === 'active' ? plan?.validUntilMs : undefined;
  if (untilMs === undefined) return ofState;
  const ofPlan = Math.min(Math.max(1, Math.ceil((untilMs - nowMs) / 1000)), LONGEST_TIMEOUT_SECONDS);
  return ofState === undefined ? ofPlan : Math.min(ofState, ofPlan);
}

/** The states whose Reply-Message the profile may word itself. */
const STATE_OF_REASON: Readonly<Partial<Record<RejectReason, AnswerState>>> = {
  redirect: 'redirect',
  'own-disabled': 'own_disabled',
  'admin-blocked': 'admin_blocked',
  'unknown-login': 'unknown',
  'unknown-mac': 'unknown',
  'unknown-line': 'unknown',
  'untold-line': 'unknown',
  'unknown-address': 'unknown',
};

/** One text for whoever has not proven who he is, so that guessing logins teaches nothing. */
const UNPROVEN = 'Authentication failed';

const MESSAGE_OF_REASON: Readonly<Partial<Record<RejectReason, string>>> = {
  redirect: 'Service suspended',
  'own-disabled': 'Service suspended',
  'admin-blocked': 'Service suspended',
  'no-plan': 'No service',
  'plan-inactive': 'No service',
  'nas-binding': 'Not allowed here',
  'mac-binding': 'Not allowed from this device',
  'line-binding': 'Not allowed here',
  'address-binding': 'Not allowed from this address',
  'session-limit': 'Too many sessions',
  'address-in-use': 'Address in use',
  'pool-empty': 'No address available',
  'no-pool': 'No address available',
};

/** Builds an Access-Reject (RFC 2865 §4.3). */
export function rejectReply(context: ReplyContext, reason: RejectReason): ReplyBuilder {
  const { request, secret, profile } = context;
  const reply = new ReplyBuilder(request.packet, Code.accessReject, secret);
  try {
    addMsChapError(request, reply);
    const state = STATE_OF_REASON[reason];
    const own = state && profile.states[state].encode(attributeContext(context, { from: 'none' }, undefined));
    if (own?.ok && own.octets.length > 0 && profile.states[state!].answer === 'reject') reply.addEncoded(own.octets);
    else reply.addText(Attribute.replyMessage, MESSAGE_OF_REASON[reason] ?? UNPROVEN);
  } catch (error) {
    // The request's own Proxy-State may leave no room; the answer itself counts more than its text.
    if (!(error instanceof PacketBuildError)) throw error;
  }
  return reply;
}

function attributeContext(context: ReplyContext, source: AddressSource, offer: Offer | undefined): AttributeContext {
  const { nas, subject, userName, mac } = context;
  const address = offer?.address;
  const said = {
    rate: subject?.rate,
    login: subject?.subscriber.login ?? userName,
    contract: subject?.account?.contract,
    plan: subject?.plan?.name,
    subscriberId: subject?.subscriber.id,
    mac,
    address: address === undefined ? undefined : formatIpv4Address(address),
    nas: nas.name,
    nasPool: source.from === 'nas-pool' ? source.name : undefined,
  };
  return offer && offer.prefixes.length > 0 ? { ...said, ...prefixContext(offer) } : said;
}

function prefixContext({ prefixes }: Offer): Partial<AttributeContext> {
  const framed = prefixes.find((one) => one.kind === 'framed-prefix');
  const delegated = prefixes.find((one) => one.kind === 'delegated-prefix');
  return {
    framedPrefix: framed?.prefix,
    delegatedPrefix: delegated?.prefix,
    framedPrefixPool: framed?.poolName,
    delegatedPrefixPool: delegated?.poolName,
  };
}
