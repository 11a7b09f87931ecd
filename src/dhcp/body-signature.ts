/**
 * The signature of requests with a body. Enters: headers and the octets of the body. Leaves: who sent it and when it was signed, or why it is not
 * believed. Invariants: nothing of the body is read before its signature; compared in constant time; a request is believed within five minutes
 * of the time that it was signed for.
 *
 * `X-Sluice-Source` names the sender, `X-Sluice-Timestamp` is the time in seconds since 1970, `X-Sluice-Signature` the HMAC-SHA-256 (RFC 2104),
 * in hexadecimal, of the timestamp as written and the body behind it, with the secret of that sender.
 */
import { createHmac, timingSafeEqual } from 'node:crypto';

/** Header names, lower case as Node has them. */
export const signatureHeaders = {
  source: 'x-sluice-source',
  timestamp: 'x-sluice-timestamp',
  signature: 'x-sluice-signature',
} as const;

/** How far the clocks of two hosts may be apart, ms, and how long a request may be under way. */
export const signatureWindowMs = 5 * 60_000;

/** What the headers say, before anything of it is proven. */
export interface SignatureClaim {
  readonly source: string;
  /** As written: it is under the signature. */
  readonly timestamp: string;
  readonly signedAtMs: number;
  /** 32 octets. */
  readonly signature: Buffer;
}

export type ClaimReading =
  | { readonly ok: true; readonly claim: SignatureClaim }
  | { readonly ok: false; readonly fault: 'unsigned' | 'stale-timestamp' };

type Headers = Readonly<Record<string, string | string[] | undefined>>;

/** Reads the headers of a request. */
export function readClaim(headers: Headers, nowMs: number): ClaimReading {
  const source = headers[signatureHeaders.source];
  const timestamp = headers[signatureHeaders.timestamp];
  const signature = headers[signatureHeaders.signature];
  if (typeof source !== 'string' || typeof timestamp !== 'string' || typeof signature !== 'string')
    return { ok: false, fault: 'unsigned' };
  if (!/^[0-9]{1,12}$/u.test(timestamp) || !/^[0-9a-f]{64}$/iu.test(signature)) return { ok: false, fault: 'unsigned' };
  const signedAtMs = Number(timestamp) * 1_000;
  if (Math.abs(nowMs - signedAtMs) > signatureWindowMs) return { ok: false, fault: 'stale-timestamp' };
  return { ok: true, claim: { source, timestamp, signedAtMs, signature: Buffer.from(signature, 'hex') } };
}

/** The signature of a body. @param timestamp seconds since 1970, as it is written into the header */
export function signBody(timestamp: string, body: Uint8Array, secret: Uint8Array): Buffer {
  return createHmac('sha256', secret).update(timestamp).update(body).digest();
}

/** Whether the signature is right under one of the secrets; two while one is being changed. */
export function isSignedBody(claim: SignatureClaim, body: Uint8Array, secrets: readonly Uint8Array[]): boolean {
  return (
    secrets.filter((secret) => timingSafeEqual(claim.signature, signBody(claim.timestamp, body, secret))).length > 0
  );
}

/** Signatures remembered at once: fifty requests a second for as long as one can come again. */
const maxRemembered = 32_768;
/** A request can come again until its time is outside the window, and that may lie ahead of ours by as much. */
const rememberedForMs = 2 * signatureWindowMs;

export type Use = 'first' | 'in-hand' | 'used' | 'full';

/**
 * Requests that were taken, so that one that is repeated by somebody else does nothing. What is in hand is not taken yet: its sender may try
 * again when it fails. A restart forgets them all; what is repeated then changes nothing either, because every event in a body has a time that
 * is under the signature, its own or that of the request, and an event that is no newer than what is known has no effect.
 */
export class UsedSignatures {
  readonly #nowMs: () => number;
  readonly #inHand = new Set<string>();
  #recent = new Set<string>();
  #older = new Set<string>();
  #recentSinceMs: number;

  constructor(nowMs: () => number) {
    this.#nowMs = nowMs;
    this.#recentSinceMs = nowMs();
  }

  /** Claims a signature. After `first` one of `taken` and `failed` has to follow. */
  claim({ signature }: SignatureClaim): Use {
    this.#forget();
    const key = signature.toString('latin1');
    if (this.#recent.has(key) || this.#older.has(key)) return 'used';
    if (this.#inHand.has(key)) return 'in-hand';
    if (this.#recent.size + this.#older.size + this.#inHand.size >= maxRemembered) return 'full';
    this.#inHand.add(key);
    return 'first';
  }

  taken({ signature }: SignatureClaim): void {
    const key = signature.toString('latin1');
    if (this.#inHand.delete(key)) this.#recent.add(key);
  }

  failed({ signature }: SignatureClaim): void {
    this.#inHand.delete(signature.toString('latin1'));
  }

  /** By generations: each is kept for at least as long as one of it can come again. */
  #forget(): void {
    const nowMs = this.#nowMs();
    const ageMs = nowMs - this.#recentSinceMs;
    if (ageMs >= 0 && ageMs < rememberedForMs) return;
    // A clock that was set back makes old requests believable again: nothing is forgotten for it.
    if (ageMs < 0) {
      this.#recentSinceMs = nowMs;
      return;
    }
    this.#older = ageMs < 2 * rememberedForMs ? this.#recent : new Set();
    this.#recent = new Set();
    this.#recentSinceMs = nowMs;
  }
}
