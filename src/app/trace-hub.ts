/**
 * What tracers see of the traffic.
 *
 * Enters: requests, decisions and replies as they pass. Leaves: events for those who asked for just this subscriber.
 * Invariant: with no tracer `watch.current` is undefined, so a packet costs a look at it and nothing more; a tracer never makes
 * a request wait, and what is too much for it is counted and left out; secrets are hidden.
 */
import { describeReason, DISCARD_REASONS, REJECT_REASONS } from '../domain/access-reason.js';
import type { DiscardReason, RejectReason } from '../domain/access-reason.js';
import { formatIpv4Address } from '../domain/ipv4-address.js';
import { parseMacAddress } from '../domain/mac-address.js';
import type { SourceGroup } from '../radius/admission.js';
import type { AdmittedRequest } from '../radius/admitted-request.js';
import { Attribute } from '../radius/attribute-number.js';
import { Code, codeName } from '../radius/code.js';
import { decodeAttributes } from '../radius/decode-attribute.js';
import type { Dictionary } from '../radius/dictionary.js';
import { parsePacket } from '../radius/packet.js';
import type { Packet } from '../radius/packet.js';
import type { RadiusObserver } from '../radius/radius-observer.js';
import type { TraceEvent, TracedAttribute, TraceQuestion } from '../status/trace-protocol.js';
import type { AccessAttempt } from '../store/access-attempts.js';

/** Somebody who watches. */
export interface Tracer {
  readonly question: TraceQuestion;
  /** Takes an event, or counts it as lost; never throws and never waits. */
  tell(event: TraceEvent): void;
}

/** Who a request is found to be of. */
export interface TracedSubscriber {
  readonly login: string;
  readonly mac: string | undefined;
}

export interface TraceHubDeps {
  readonly dictionary: Dictionary;
  /** Whom the server itself finds behind a request; undefined for nobody, or several. */
  readonly subscriberOf: (request: AdmittedRequest) => TracedSubscriber | undefined;
  readonly nasNameOf: (request: AdmittedRequest) => string | undefined;
  /** Our clock, ms since 1970. */
  readonly nowMs: () => number;
}

/** A request that somebody watches. */
interface Followed {
  readonly sequence: number;
  readonly tracers: readonly Tracer[];
  readonly subscriber: string | null;
}

/** More are turned away: each costs work for every packet. */
export const maxTracers = 4;

const reasons = new Set<string>([...REJECT_REASONS, ...DISCARD_REASONS]);

export class TraceHub implements RadiusObserver {
  readonly #deps: TraceHubDeps;
  readonly #tracers = new Set<Tracer>();
  readonly #followed = new WeakMap<AdmittedRequest, Followed>();
  /** Whoever handles packets looks here: this hub while somebody watches. */
  readonly watch: { current: TraceHub | undefined } = { current: undefined };
  #sequence = 0;

  constructor(deps: TraceHubDeps) {
    this.#deps = deps;
  }

  /** How many watch. */
  get size(): number {
    return this.#tracers.size;
  }

  /** @returns false when there are as many as there may be */
  add(tracer: Tracer): boolean {
    if (this.#tracers.size >= maxTracers) return false;
    this.#tracers.add(tracer);
    this.watch.current = this;
    return true;
  }

  remove(tracer: Tracer): void {
    this.#tracers.delete(tracer);
    if (this.#tracers.size === 0) this.watch.current = undefined;
  }

  /** A request that passed admission, before it is handled. */
  arrived(request: AdmittedRequest): void {
    const subscriber = this.#deps.subscriberOf(request);
    const tracers = this.#watching(request.packet, subscriber);
    if (tracers.length === 0) return;
    const followed = { sequence: (this.#sequence += 1), tracers, subscriber: subscriber?.login ?? null };
    this.#followed.set(request, followed);
    tell(tracers, {
      at: this.#at(request.receivedAtMs),
      event: 'arrived',
      request: followed.sequence,
      port: request.port,
      nas: this.#deps.nasNameOf(request) ?? null,
      source: endpointText(request.sourceAddress, request.sourcePort),
      code: codeName(request.packet.code),
      identifier: request.packet.identifier,
      subscriber: followed.subscriber,
      attributes: this.#attributes(request.packet),
    });
  }

  /** What was decided about an Access-Request, and why. */
  decided(request: AdmittedRequest, attempt: AccessAttempt): void {
    const followed = this.#followed.get(request);
    if (followed === undefined) return;
    tell(followed.tracers, {
      at: this.#at(),
      event: 'decided',
      request: followed.sequence,
      subscriber: followed.subscriber,
      outcome: attempt.outcome,
      reason: attempt.reason,
      explanation:
        attempt.outcome === 'accept' ? `answered as the state ${attempt.reason}` : sentenceOf(attempt.reason),
      address: attempt.address === undefined ? null : formatIpv4Address(attempt.address),
    });
  }

  sent(request: AdmittedRequest, bytes: Buffer): void {
    const followed = this.#followed.get(request);
    if (followed === undefined) return;
    const parsed = parsePacket(bytes);
    if (!parsed.ok) return;
    const { packet } = parsed;
    const recorded = packet.code === Code.accountingResponse && request.packet.code === Code.accountingRequest;
    const nowMs = this.#deps.nowMs();
    tell(followed.tracers, {
      at: this.#at(nowMs),
      event: 'answered',
      request: followed.sequence,
      code: codeName(packet.code),
      identifier: packet.identifier,
      subscriber: followed.subscriber,
      ...(recorded ? { explanation: 'on disk; the database follows' } : {}),
      after_ms: Math.max(0, nowMs - request.receivedAtMs),
      attributes: this.#attributes(packet),
    });
  }

  discarded(request: AdmittedRequest, reason: string): void {
    const followed = this.#followed.get(request);
    if (followed === undefined) return;
    tell(followed.tracers, {
      at: this.#at(),
      event: 'discarded',
      request: followed.sequence,
      subscriber: followed.subscriber,
      reason,
      explanation: sentenceOf(reason),
    });
  }

  repeated(packet: Packet, group: SourceGroup, address: string, port: number, reply: Buffer | undefined): void {
    tell(this.#watching(packet, undefined), {
      at: this.#at(),
      event: 'repeated',
      nas: group.name,
      source: endpointText(address, port),
      code: codeName(packet.code),
      identifier: packet.identifier,
      explanation: reply === undefined ? 'its first try is still in hand' : 'answered with the same octets again',
    });
  }

  refused(datagram: Buffer, reason: string, group: SourceGroup | undefined, address: string, port: number): void {
    const parsed = parsePacket(datagram);
    if (!parsed.ok) return;
    const { packet } = parsed;
    tell(this.#watching(packet, undefined), {
      at: this.#at(),
      event: 'refused',
      nas: group?.name ?? null,
      source: endpointText(address, port),
      code: codeName(packet.code),
      identifier: packet.identifier,
      reason,
      explanation: 'dropped unanswered; nothing that it says is proven',
      attributes: this.#attributes(packet),
    });
  }

  #watching(packet: Packet, subscriber: TracedSubscriber | undefined): Tracer[] {
    const userName = packet.text(Attribute.userName);
    const calling = packet.text(Attribute.callingStationId);
    const macs = [calling, userName].map((text) => (text === undefined ? undefined : parseMacAddress(text)));
    return [...this.#tracers].filter(
      ({ question: { login, mac } }) =>
        (login !== undefined && (login === userName || login === subscriber?.login)) ||
        (mac !== undefined && (macs.includes(mac) || mac === subscriber?.mac)),
    );
  }

  #attributes(packet: Packet): TracedAttribute[] {
    return decodeAttributes(this.#deps.dictionary, packet).map(({ name, tag, text }) => ({
      name,
      tag: tag ?? null,
      value: text,
    }));
  }

  #at(atMs = this.#deps.nowMs()): string {
    return new Date(atMs).toISOString();
  }
}

function tell(tracers: readonly Tracer[], event: TraceEvent): void {
  for (const tracer of tracers) tracer.tell(event);
}

function sentenceOf(reason: string): string {
  return reasons.has(reason) ? describeReason(reason as RejectReason | DiscardReason) : reason;
}

function endpointText(address: string, port: number): string {
  return address.includes(':') ? `[${address}]:${String(port)}` : `${address}:${String(port)}`;
}
