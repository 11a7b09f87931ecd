// Enters: an Access-Request and the stored password of the subscriber it names. Leaves: how the check ended, and what an Accept or
// Reject must carry because of the method. Invariants: at once for everything but slow hashes; comparisons are those of
// `radius`, in constant time; no password leaves this file.

import type { PasswordOutcome } from '../domain/access.js';
import type { Subscriber } from '../domain/subscriber.js';
import { isWithoutPassword } from '../nas/identity.js';
import type { Profile } from '../config/config.js';
import type { AdmittedRequest } from '../radius/admitted-request.js';
import { Attribute, MicrosoftAttribute, Vendor } from '../radius/attribute-number.js';
import { checkChap } from '../radius/chap.js';
import { addMppeAttributes, EncryptionPolicy, EncryptionTypes } from '../radius/mppe.js';
import { checkMsChap, msChapError, readMsChap, type MsChapRequest } from '../radius/mschap.js';
import type { PapVerifier } from '../radius/pap.js';
import type { PasswordFailureReason, PasswordResult } from '../radius/password-result.js';
import type { ReplyBuilder } from '../radius/reply.js';
import type { SharedSecret } from '../radius/shared-secret.js';
import { parseStoredPassword, type SealKeys, type StoredPassword } from '../radius/stored-password.js';

/** How a check ended. */
export interface PasswordVerdict {
  /** `overloaded`: too many slow hashes wait; the server as a whole cannot decide. */
  readonly outcome: PasswordOutcome | 'overloaded';
  /** The secret to sign the reply with: of two while rotating, the one that revealed the right password. */
  readonly secret?: SharedSecret;
  /** What the method wants in an Accept. */
  readonly complete?: (accept: ReplyBuilder, secret: SharedSecret) => void;
}

export interface PasswordCheckOptions {
  readonly pap: PapVerifier;
  readonly sealKeys: SealKeys;
  readonly maxParsed?: number;
}

/** Stored passwords kept parsed: opening a seal costs more than the rest of a request. Some 300 octets each. */
const MAX_PARSED = 100_000;

const VERIFIED: PasswordVerdict = { outcome: 'verified' };
const NOT_REQUIRED: PasswordVerdict = { outcome: 'not-required' };
const NO_PASSWORD: PasswordVerdict = { outcome: 'no-password' };
const NO_STORED_PASSWORD: PasswordVerdict = { outcome: 'no-stored-password' };
const MALFORMED: PasswordVerdict = { outcome: 'malformed-password' };

const OUTCOME_OF: Readonly<Record<PasswordFailureReason, PasswordVerdict>> = {
  'wrong-password': { outcome: 'wrong-password' },
  'method-needs-cleartext': { outcome: 'method-needs-cleartext' },
  'method-unsupported': { outcome: 'method-unsupported' },
  malformed: MALFORMED,
  overloaded: { outcome: 'overloaded' },
};

interface Parsed {
  readonly text: string;
  readonly stored: StoredPassword | undefined;
}

/** Checks the password of a request in whatever method it comes. */
export class PasswordCheck {
  readonly #pap: PapVerifier;
  readonly #sealKeys: SealKeys;
  /**
   * Two generations: when the young one is full it becomes the old one, and the old one goes. Removing the oldest entry of one Map for
   * every new one would cost more than the seal: a Map finds its first entry by walking over all that were removed.
   */
  #young = new Map<number, Parsed>();
  #old = new Map<number, Parsed>();
  readonly #maxParsed: number;

  constructor(options: PasswordCheckOptions) {
    this.#pap = options.pap;
    this.#sealKeys = options.sealKeys;
    this.#maxParsed = options.maxParsed ?? MAX_PARSED;
  }

  /**
   * @param rules `macAuthorisation` of the profile where the subscriber was found by MAC or access line, otherwise undefined:
   *   only then may the NAS vouch for the line
   * @param mac the MAC of the request, canonical; undefined: it tells none
   * @returns a promise only for slow hashes; it never rejects
   */
  check(
    request: AdmittedRequest,
    subscriber: Subscriber,
    rules: Profile['macAuthorisation'] | undefined,
    mac: string | undefined,
  ): PasswordVerdict | Promise<PasswordVerdict> {
    const { packet } = request;
    if (packet.has(Attribute.chapPassword)) {
      const stored = this.#storedOf(subscriber);
      return 'outcome' in stored ? stored : verdictOf(checkChap(stored, packet));
    }
    const msChap = readMsChap(packet);
    if (msChap !== undefined)
      return msChap === 'malformed' ? MALFORMED : this.#checkMsChap(request, subscriber, msChap);
    return this.#checkPap(request, subscriber, rules, mac);
  }

  #checkMsChap(request: AdmittedRequest, subscriber: Subscriber, msChap: MsChapRequest): PasswordVerdict {
    const stored = this.#storedOf(subscriber);
    if ('outcome' in stored) return stored;
    const userName = request.packet.first(Attribute.userName) ?? Buffer.alloc(0);
    const result = checkMsChap(stored, msChap, userName);
    if (!result.ok) return OUTCOME_OF[result.reason];
    return {
      outcome: 'verified',
      complete: (accept, secret) => {
        if (result.success) accept.addVendor(Vendor.microsoft, MicrosoftAttribute.chap2Success, result.success);
        addMppeAttributes(accept, msChap, stored, result.ntHash, secret, MPPE_CHOICE);
      },
    };
  }

  #checkPap(
    request: AdmittedRequest,
    subscriber: Subscriber,
    rules: Profile['macAuthorisation'] | undefined,
    mac: string | undefined,
  ): PasswordVerdict | Promise<PasswordVerdict> {
    const { packet, secret } = request;
    const hidden = packet.first(Attribute.userPassword);
    // Some clients send an empty password as no octets at all.
    const reveal = (key: SharedSecret) =>
      hidden?.length === 0 ? hidden : hidden && key.revealPassword(hidden, packet.authenticator);
    const password = reveal(secret);
    if (hidden !== undefined && password === undefined) return MALFORMED;
    if (rules && isWithoutPassword(rules, password, mac, packet.first(Attribute.userName))) return NOT_REQUIRED;
    if (password === undefined) return NO_PASSWORD;
    const stored = this.#storedOf(subscriber);
    if ('outcome' in stored) return stored;
    const key = String(subscriber.id);
    const first = this.#pap.check(key, stored, password);
    if (first instanceof Promise) return first.then(verdictOf);
    if (first.ok || request.secretIsProven) return verdictOf(first);
    // Without Message-Authenticator nothing has told yet which of two secrets the NAS has.
    for (const other of request.group.secrets) {
      if (other === secret) continue;
      const second = this.#pap.check(key, stored, reveal(other));
      if (!(second instanceof Promise) && second.ok) return { outcome: 'verified', secret: other };
    }
    return verdictOf(first);
  }

  #storedOf(subscriber: Subscriber): StoredPassword | PasswordVerdict {
    const text = subscriber.password;
    if (text === undefined || text === '') return NO_STORED_PASSWORD;
    const young = this.#young.get(subscriber.id);
    const known = young ?? this.#old.get(subscriber.id);
    if (known?.text === text) {
      if (young === undefined) this.#keep(subscriber.id, known);
      return known.stored ?? STORED_UNREADABLE;
    }
    const parsed = parseStoredPassword(text, this.#sealKeys);
    const stored = parsed.ok ? parsed.stored : undefined;
    this.#keep(subscriber.id, { text, stored });
    return stored ?? STORED_UNREADABLE;
  }

  #keep(subscriberId: number, parsed: Parsed): void {
    if (this.#young.size * 2 >= this.#maxParsed && !this.#young.has(subscriberId)) {
      this.#old = this.#young;
      this.#young = new Map();
    }
    this.#young.set(subscriberId, parsed);
  }
}

const STORED_UNREADABLE: PasswordVerdict = { outcome: 'stored-password-unreadable' };

/** Allowed, not required: a NAS that wants encryption says so itself, and one that cannot ignores the keys. */
const MPPE_CHOICE = { policy: EncryptionPolicy.allowed, types: EncryptionTypes.both } as const;

function verdictOf(result: PasswordResult): PasswordVerdict {
  return result.ok ? VERIFIED : OUTCOME_OF[result.reason];
}

/** Adds MS-CHAP-Error to a Reject of an MS-CHAP request, which a client waits for (RFC 2548 §2.1.5). */
export function addMsChapError(request: AdmittedRequest, reject: ReplyBuilder): void {
  const msChap = readMsChap(request.packet);
  if (msChap === undefined || msChap === 'malformed') return;
  reject.addVendor(Vendor.microsoft, MicrosoftAttribute.chapError, msChapError(msChap));
}
