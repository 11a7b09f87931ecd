// Enters: admitted packets of the authentication port. Leaves: one answer each. Invariants: decided from memory, without SQL; an
// address from the reserve is answered only when its grant is on disk; a subscriber's trouble is a Reject, and silence means
// that the server as a whole cannot decide.

import {
  decideAccess,
  type AccessAccept,
  type AccessDecision,
  type PasswordOutcome,
  type Requester,
} from '../domain/access.js';
import type { DiscardReason, RejectReason } from '../domain/access-reason.js';
import type { Subscriber } from '../domain/subscriber.js';
import type { RateClock } from '../domain/effective-rate.js';
import { parseIpv4Address } from '../domain/ipv4-address.js';
import type { NasEntry } from '../config/config.js';
import type { SeenLine } from '../nas/line-reader.js';
import type { CompiledProfile } from '../nas/profile.js';
import type { AdmittedRequest } from '../radius/admitted-request.js';
import { Attribute } from '../radius/attribute-number.js';
import { Code } from '../radius/code.js';
import type { Packet } from '../radius/packet.js';
import { ReplyBuilder, replyFits } from '../radius/reply.js';
import type { Spool } from '../spool/spool.js';
import type { AccessAttempt, AccessAttempts } from '../store/access-attempts.js';
import type { AddressReserve } from '../store/address-reserve.js';
import type { Directory } from '../store/directory.js';
import type { Offer } from '../store/offer-book.js';
import { findOffer, grantPayload } from './accept-offer.js';
import { acceptReply, rejectReply, type ReplyContext, type ReplySubject } from './access-reply.js';
import { RecordKind } from './accounting-record.js';
import type { ClassCookie } from './class-cookie.js';
import { prefixHolders } from './expected-access.js';
import { clientMacOf } from './client-mac.js';
import { nasBoxOf } from './nas-box.js';
import { findIdentity, type FoundIdentity } from './identity.js';
import type { PasswordCheck, PasswordVerdict } from './password-check.js';

/** What a reload of the configuration replaces. */
export interface AccessSettings {
  /** Which entry of nas.d speaks; undefined: none of those behind this address. */
  readonly nasOf: (request: AdmittedRequest) => NasEntry | undefined;
  /** By name. */
  readonly profiles: ReadonlyMap<string, CompiledProfile>;
  /** The access line that a packet tells of; undefined where the profile of this NAS does not look at lines. */
  readonly lineOf: (nasName: string, packet: Packet) => SeenLine | undefined;
  /** How long an offer is good for, ms. */
  readonly offerGraceMs: number;
  /** Rates by hour of day, in the configured time zone. */
  readonly rates: RateClock;
}

/** Sees decisions, before they are answered. */
export interface DecisionObserver {
  decided(request: AdmittedRequest, attempt: AccessAttempt): void;
}

export interface AccessDeps {
  readonly directory: Directory;
  readonly reserve: Pick<
    AddressReserve,
    | 'repeat'
    | 'takeSticky'
    | 'grant'
    | 'takePrefixes'
    | 'returnPrefixes'
    | 'granted'
    | 'waitForAddress'
    | 'giveBack'
    | 'abandon'
  >;
  readonly spool: Pick<Spool, 'append'>;
  readonly passwords: Pick<PasswordCheck, 'check'>;
  readonly classCookie: Pick<ClassCookie, 'encode'>;
  readonly attempts: Pick<AccessAttempts, 'note'>;
  /** Our clock, ms since 1970. */
  readonly nowMs: () => number;
  /** A fault of the program; the request in hand got no answer. */
  readonly onError: (error: unknown) => void;
  /** Where somebody who traces is told of each decision; quick, and never throws. Absent: nobody ever. */
  readonly watch?: { readonly current: DecisionObserver | undefined };
}

/** Answers by what became of a request; the labels of a metric. */
export interface AccessCounters {
  /** By state. */
  readonly accept: ReadonlyMap<string, number>;
  readonly reject: ReadonlyMap<RejectReason, number>;
  readonly discard: ReadonlyMap<DiscardReason, number>;
}

/** A request on its way to an answer. */
interface Pending {
  readonly request: AdmittedRequest;
  readonly nas: NasEntry;
  readonly profile: CompiledProfile;
  readonly requester: Requester;
  readonly userName: string | undefined;
  readonly identity: FoundIdentity;
  verdict: PasswordVerdict;
  /** Pools whose refill was waited for, each as often as it was. */
  readonly waits: number[];
}

/** Somebody else may take the address that a refill brought; who lost that of one pool twice is told that there is none. */
const MAX_WAITS = 2;

const NOT_CHECKED: PasswordVerdict = { outcome: 'no-password' };

/** Answers Access-Requests. */
export class AccessRequestHandler {
  readonly #deps: AccessDeps;
  #settings: AccessSettings;
  #draining = false;
  readonly #accepts = new Map<string, number>();
  readonly #rejects = new Map<RejectReason, number>();
  readonly #discards = new Map<DiscardReason, number>();

  constructor(deps: AccessDeps, settings: AccessSettings) {
    this.#deps = deps;
    this.#settings = settings;
  }

  get counters(): AccessCounters {
    return { accept: this.#accepts, reject: this.#rejects, discard: this.#discards };
  }

  /** Takes over a new configuration; requests in hand finish under the old one. */
  reconfigure(settings: AccessSettings): void {
    this.#settings = settings;
  }

  /** From now on nothing new is answered: the NAS is to ask another server. */
  drain(): void {
    this.#draining = true;
  }

  /** Answers or discards, now or later. Never throws for anything that a packet says. */
  handle(request: AdmittedRequest): void {
    const { packet } = request;
    if (this.#draining) return this.#discard(request, 'draining');
    if (!this.#deps.directory.loaded) return this.#discard(request, 'not-loaded');
    if (!replyFits(packet)) return this.#discard(request, 'reply-too-long');
    if (packet.code === Code.statusServer) {
      // RFC 5997 §4.1: on the authentication port the answer is an Access-Accept without anything.
      request.reply(new ReplyBuilder(packet, Code.accessAccept, request.secret));
      return;
    }
    const nas = this.#settings.nasOf(request);
    const profile = nas && this.#settings.profiles.get(nas.profile);
    if (!nas || !profile) return this.#discard(request, 'unknown-nas');
    const userName = packet.text(Attribute.userName);
    const seen = this.#settings.lineOf(nas.name, packet);
    const requester = requesterOf(request, nas, userName, seen);
    const identity = findIdentity(this.#deps.directory, profile.profile, {
      userName,
      callingStation: requester.callingStation,
      framedAddress: packet.uint32(Attribute.framedIpAddress),
      mac: requester.mac,
      line: seen?.read,
      at: requester,
    });
    this.#checkPassword({ request, nas, profile, requester, userName, identity, verdict: NOT_CHECKED, waits: [] });
  }

  #checkPassword(pending: Pending): void {
    const { request, identity, profile, requester } = pending;
    if (identity.found !== 'one' || identity.subscriber.deleted) return this.#decide(pending);
    // Whoever was found by his MAC or line may be vouched for; whoever was found by login needs his password.
    const { by, subscriber } = identity;
    const verdict = this.#deps.passwords.check(
      request,
      subscriber,
      by === 'mac' || by === 'line' ? profile.profile.macAuthorisation : undefined,
      by === 'mac' ? subscriber.mac : requester.mac,
    );
    if (!(verdict instanceof Promise)) {
      pending.verdict = verdict;
      return this.#decide(pending, identity.subscriber);
    }
    this.#later(pending, verdict, (late) => {
      pending.verdict = late;
      this.#decide(pending);
    });
  }

  /** A fault of ours in a later turn costs one answer, never the process. */
  #later<Value>(pending: Pending, promise: Promise<Value>, then: (value: Value) => void): void {
    promise.then(then).catch((error: unknown) => {
      this.#deps.onError(error);
      this.#discard(pending.request, 'internal-error', pending);
    });
  }

  /** @param found the subscriber, when nothing has been waited for since he was found */
  #decide(pending: Pending, found?: Subscriber): void {
    const { requester, profile, verdict, identity, request } = pending;
    const { directory } = this.#deps;
    if (verdict.outcome === 'overloaded') return this.#discard(request, 'overloaded', pending);
    const nowMs = this.#deps.nowMs();
    const subject = this.#present(identity, found, nowMs);
    if (identity.found === 'one' && !subject) return this.#reject(pending, undefined, 'deleted');
    const staticAddress = subject?.subscriber.staticAddress;
    const staticPrefixes = subject && directory.staticPrefixes(subject.subscriber.id);
    const decision: AccessDecision = decideAccess({
      identity: identity.found === 'one' ? { found: 'one', ...subject!, line: identity.line } : identity,
      password: verdict.outcome satisfies PasswordOutcome,
      answers: profile.states,
      requester,
      sessions: subject ? directory.sessions.ofSubscriber(subject.subscriber.id) : [],
      offers: subject ? directory.offers.ofSubscriber(subject.subscriber.id) : [],
      staticHolders:
        staticAddress === undefined ? [] : directory.sessions.holders(requester.routingDomain, staticAddress),
      staticPrefixes,
      prefixHolders: prefixHolders(directory, requester.routingDomain, staticPrefixes),
      poolById: (poolId) => directory.pool(poolId),
      poolByName: (name) => directory.poolByName(name),
      nowMs,
    });
    if (decision.answer === 'reject') return this.#reject(pending, subject, decision.reason);
    if (!subject) return this.#accept(pending, decision, undefined, undefined, nowMs);
    this.#findAddress(pending, decision, subject, nowMs);
  }

  /** As the directory has him now: a password check or a refill may have taken a while. */
  #present(identity: FoundIdentity, found: Subscriber | undefined, nowMs: number): ReplySubject | undefined {
    if (identity.found !== 'one') return undefined;
    const { directory } = this.#deps;
    const subscriber = found ?? directory.subscriber(identity.subscriber.id);
    if (!subscriber) return undefined;
    const account = directory.accountOf(subscriber);
    const plan = directory.plan(account?.planId);
    const rate = this.#settings.rates.rateAt(plan, directory.turbo(subscriber.id), nowMs);
    return { subscriber, account, plan, rate };
  }

  #findAddress(pending: Pending, decision: AccessAccept, subject: ReplySubject, nowMs: number): void {
    const { requester } = pending;
    const { offerGraceMs } = this.#settings;
    const wanted = { decision, subscriberId: subject.subscriber.id, requester, offerGraceMs, nowMs };
    const offer = findOffer(this.#deps, wanted);
    if ('missing' in offer) return this.#waitForAddress(pending, subject, offer.missing);
    if (!offer.durable) return this.#record(pending, decision, subject, offer, nowMs);
    this.#remember(pending, offer);
    this.#accept(pending, decision, subject, offer, nowMs);
  }

  /**
   * Tells the database, by way of the spool, that a kept address is promised again, so that it is not taken from its owner before his session
   * begins. The address is his already, so the Accept need not wait for the disk.
   */
  #remember(pending: Pending, offer: Offer): void {
    const payload = grantPayload(offer);
    if (payload) this.#deps.spool.append(RecordKind.grant, pending.request.receivedAtMs, payload, () => undefined);
  }

  #waitForAddress(pending: Pending, subject: ReplySubject, poolId: number): void {
    if (pending.waits.filter((one) => one === poolId).length >= MAX_WAITS)
      return this.#reject(pending, subject, 'pool-empty');
    pending.waits.push(poolId);
    this.#later(pending, this.#deps.reserve.waitForAddress(poolId), (found) => {
      // Decided anew: while it waited, another request may have got this very slot.
      if (found) this.#decide(pending);
      else this.#reject(pending, subject, 'pool-empty');
    });
  }

  #record(pending: Pending, decision: AccessAccept, subject: ReplySubject, offer: Offer, nowMs: number): void {
    const { spool, reserve } = this.#deps;
    const { request } = pending;
    const payload = grantPayload(offer);
    if (!payload) return this.#accept(pending, decision, subject, offer, nowMs);
    const queued = spool.append(RecordKind.grant, request.receivedAtMs, payload, (result) => {
      if (result.ok) {
        reserve.granted(offer);
        this.#accept(pending, decision, subject, offer, nowMs);
      } else {
        // It may be on the disk after all, so nobody else may get this address from us.
        reserve.abandon(offer);
        this.#discard(request, 'spool-unavailable', pending);
      }
    });
    if (queued) return;
    reserve.giveBack(offer);
    this.#discard(request, 'spool-unavailable', pending);
  }

  #accept(
    pending: Pending,
    decision: AccessAccept,
    subject: ReplySubject | undefined,
    offer: Offer | undefined,
    nowMs: number,
  ): void {
    const { request, verdict } = pending;
    const { directory, classCookie } = this.#deps;
    const context = replyContext(pending, subject);
    const accept = acceptReply(context, decision, offer, classCookie, verdict.complete, nowMs);
    if (!accept.ok) {
      if (offer && offer !== decision.repeats) directory.offers.remove(offer);
      if (accept.reason === 'reply-too-long') this.#discard(request, accept.reason, pending);
      else this.#reject(pending, subject, accept.reason);
      return;
    }
    const superseded = decision.supersedes && directory.offers.get(decision.supersedes.offerId);
    if (superseded) directory.offers.remove(superseded);
    count(this.#accepts, decision.state);
    this.#note(pending, subject, 'accept', decision.state, offer?.address);
    request.reply(accept.reply);
  }

  #reject(pending: Pending, subject: ReplySubject | undefined, reason: RejectReason): void {
    count(this.#rejects, reason);
    this.#note(pending, subject, 'reject', reason, undefined);
    pending.request.reply(rejectReply(replyContext(pending, subject), reason));
  }

  #discard(request: AdmittedRequest, reason: DiscardReason, pending?: Pending): void {
    count(this.#discards, reason);
    if (pending) this.#note(pending, undefined, 'discard', reason, undefined);
    request.discard(reason);
  }

  #note(
    pending: Pending,
    subject: ReplySubject | undefined,
    outcome: 'accept' | 'reject' | 'discard',
    reason: string,
    address: number | undefined,
  ): void {
    const { request, requester, nas, userName, identity } = pending;
    const known = subject?.subscriber ?? (identity.found === 'one' ? identity.subscriber : undefined);
    const attempt: AccessAttempt = {
      atMs: request.receivedAtMs,
      login: userName,
      mac: requester.mac,
      nasName: nas.name,
      nasPortId: requester.nasPortId,
      subscriberId: known?.id,
      outcome,
      reason,
      address,
    };
    this.#deps.attempts.note(attempt);
    this.#deps.watch?.current?.decided(request, attempt);
  }
}

function replyContext(pending: Pending, subject: ReplySubject | undefined): ReplyContext {
  const { request, nas, profile, userName, requester, verdict } = pending;
  return { request, secret: verdict.secret ?? request.secret, nas, profile, userName, mac: requester.mac, subject };
}

/** Who asks, in the same terms in which accounting will speak of the session. */
function requesterOf(
  request: AdmittedRequest,
  nas: NasEntry,
  userName: string | undefined,
  seen: SeenLine | undefined,
): Requester {
  const { packet } = request;
  const callingStation = packet.text(Attribute.callingStationId);
  return {
    nasName: nas.name,
    nasBox: nasBoxOf(packet, request.sourceAddress),
    routingDomain: nas.routingDomain,
    mac: clientMacOf(callingStation, userName) ?? seen?.mac,
    nasPortId: packet.text(Attribute.nasPortId) ?? packet.uint32(Attribute.nasPort)?.toString(),
    callingStation,
    callingAddress: callingStation === undefined ? undefined : parseIpv4Address(callingStation),
  };
}

function count<Label>(counters: Map<Label, number>, label: Label): void {
  counters.set(label, (counters.get(label) ?? 0) + 1);
}
