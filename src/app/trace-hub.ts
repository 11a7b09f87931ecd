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
  /** Takes an event, or counts it as lost without having it made; never throws and never waits. */
  tell(make: () => TraceEvent): void;
}

/** Whom the server finds behind a request. */
export interface TracedIdentity {
  readonly found: 'one' | 'several' | 'none';
  readonly by: string;
  /** Of `one`. */
  readonly login?: string;
  readonly mac?: string | undefined;
}

export interface TraceHubDeps {
  readonly dictionary: Dictionary;
  /** Undefined: of no NAS that we know. */
  readonly identityOf: (request: AdmittedRequest) => TracedIdentity | undefined;
  readonly nasNameOf: (request: AdmittedRequest) => string | undefined;
  /** Our clock, ms since 1970. */
  readonly nowMs: () => number;
  /** A fault of the tracing itself: everybody who traced has been let go. */
  readonly onError: (error: unknown) => void;
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
    this.#safely(() => {
      const identity = this.#deps.identityOf(request);
      const { packet } = request;
      const tracers = this.#watching(packet, identity);
      if (tracers.length === 0) return;
      const followed = { sequence: (this.#sequence += 1), tracers, subscriber: identity?.login ?? null };
      this.#followed.set(request, followed);
      tell(tracers, () => ({
        at: this.#at(request.receivedAtMs),
        event: 'arrived',
        request: followed.sequence,
        port: request.port,
        nas: this.#deps.nasNameOf(request) ?? null,
        source: endpointText(request.sourceAddress, request.sourcePort),
        code: codeName(packet.code),
        identifier: packet.identifier,
        subscriber: followed.subscriber,
        ...(identity === undefined ? {} : { found: identity.found, found_by: identity.by }),
        attributes: this.#attributes(packet),
      }));
    });
  }

  /** What was decided about an Access-Request, and why. */
  decided(request: AdmittedRequest, attempt: AccessAttempt): void {
    this.#follow(request, ({ sequence, subscriber }) => ({
      at: this.#at(),
      event: 'decided',
      request: sequence,
      subscriber,
      outcome: attempt.outcome,
      reason: attempt.reason,
      explanation:
        attempt.outcome === 'accept' ? `answered as the state ${attempt.reason}` : sentenceOf(attempt.reason),
      address: attempt.address === undefined ? null : formatIpv4Address(attempt.address),
    }));
  }

  sent(request: AdmittedRequest, bytes: Buffer): void {
    this.#follow(request, ({ sequence, subscriber }) => {
      const nowMs = this.#deps.nowMs();
      const parsed = parsePacket(bytes);
      const event = {
        at: this.#at(nowMs),
        event: 'answered',
        request: sequence,
        subscriber,
        // The clock may have been set back meanwhile.
        after_ms: Math.max(0, nowMs - request.receivedAtMs),
      } as const;
      if (!parsed.ok) return event;
      const { packet } = parsed;
      const recorded = packet.code === Code.accountingResponse && request.packet.code === Code.accountingRequest;
      return {
        ...event,
        code: codeName(packet.code),
        identifier: packet.identifier,
        ...(recorded ? { explanation: 'on disk; the database follows' } : {}),
        attributes: this.#attributes(packet),
      };
    });
  }

  discarded(request: AdmittedRequest, reason: string): void {
    this.#follow(request, ({ sequence, subscriber }) => ({
      at: this.#at(),
      event: 'discarded',
      request: sequence,
      subscriber,
      reason,
      explanation: sentenceOf(reason),
    }));
  }

  repeated(packet: Packet, group: SourceGroup, address: string, port: number, reply: Buffer | undefined): void {
    this.#safely(() =>
      tell(this.#watching(packet, undefined), () => ({
        at: this.#at(),
        event: 'repeated',
        nas: group.name,
        source: endpointText(address, port),
        code: codeName(packet.code),
        identifier: packet.identifier,
        explanation: reply === undefined ? 'its first try is still in hand' : 'answered with the same octets again',
      })),
    );
  }

  refused(datagram: Buffer, reason: string, group: SourceGroup | undefined, address: string, port: number): void {
    this.#safely(() => {
      const parsed = parsePacket(datagram);
      if (!parsed.ok) return;
      const { packet } = parsed;
      tell(this.#watching(packet, undefined), () => ({
        at: this.#at(),
        event: 'refused',
        nas: group?.name ?? null,
        source: endpointText(address, port),
        code: codeName(packet.code),
        identifier: packet.identifier,
        reason,
        explanation: 'dropped unanswered; nothing that it says is proven',
        attributes: this.#attributes(packet),
      }));
    });
  }

  #follow(request: AdmittedRequest, make: (followed: Followed) => TraceEvent): void {
    this.#safely(() => {
      const followed = this.#followed.get(request);
      if (followed !== undefined) tell(followed.tracers, () => make(followed));
    });
  }

  // A request is in the midst of being answered: what is wrong here must not become wrong there.
  #safely(work: () => void): void {
    try {
      work();
    } catch (error) {
      this.#tracers.clear();
      this.watch.current = undefined;
      this.#deps.onError(error);
    }
  }

  #watching(packet: Packet, identity: TracedIdentity | undefined): Tracer[] {
    const userName = packet.text(Attribute.userName);
    const calling = packet.text(Attribute.callingStationId);
    const macs = [calling, userName].map((text) => (text === undefined ? undefined : parseMacAddress(text)));
    return [...this.#tracers].filter(
      ({ question: { login, mac } }) =>
        (login !== undefined && (login === userName || login === identity?.login)) ||
        (mac !== undefined && (macs.includes(mac) || mac === identity?.mac)),
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

/** The event is made once, and only when one of them has room for it. */
function tell(tracers: readonly Tracer[], make: () => TraceEvent): void {
  let made: TraceEvent | undefined;
  const once = (): TraceEvent => (made ??= make());
  for (const tracer of tracers) tracer.tell(once);
}

function sentenceOf(reason: string): string {
  return reasons.has(reason) ? describeReason(reason as RejectReason | DiscardReason) : reason;
}

function endpointText(address: string, port: number): string {
  return address.includes(':') ? `[${address}]:${String(port)}` : `${address}:${String(port)}`;
}
