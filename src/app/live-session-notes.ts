/**
 * What the directory learns from accounting at acknowledgement, before anything is in the database: session limits and takeovers see it at
 * once. Enters: durable facts. Leaves: live sessions in memory. Invariant: the same fact twice is the same as once.
 */
import { type AccountingFact, isRestart, type SessionFact } from '../domain/accounting-fact.js';
import { parseIpv4Address } from '../domain/ipv4-address.js';
import type { RecordOrigin } from '../handlers/accounting-record.js';
import { type IdentityRules, resolveSubscriber } from '../handlers/identity.js';
import { nasBoxOf } from '../handlers/nas-box.js';
import { Attribute } from '../radius/attribute-number.js';
import type { Packet } from '../radius/packet.js';
import type { Directory } from '../store/directory.js';
import { heldPrefixes, type HeldSession } from '../store/live-sessions.js';

export class LiveSessionNotes {
  readonly #directory: Directory;
  readonly #rulesOf: (nasName: string) => IdentityRules;

  constructor(directory: Directory, rulesOf: (nasName: string) => IdentityRules) {
    this.#directory = directory;
    this.#rulesOf = rulesOf;
  }

  readonly note = (fact: AccountingFact): void => {
    const { nasName, nasBox } = fact;
    // Before the load nothing is decided from memory, and the load brings what was applied.
    if (isRestart(fact)) this.#directory.nasRestarted(nasName, nasBox, fact.eventAtMs);
    else if (fact.status === 'stop') {
      this.#directory.sessionEnded(nasName, nasBox, fact.acctSessionId, fact.eventAtMs, fact.receivedAtMs);
    } else this.#lives(fact);
  };

  /** Whether `note` would learn nothing from an Interim-Update. Addresses that are none count as one here, and are looked at closely there. */
  readonly isKnown = (origin: RecordOrigin, packet: Packet): boolean =>
    !PREFIXES.some((attribute) => packet.has(attribute)) &&
    isKnown(
      this.#directory.sessions.ofLine(
        origin.nasName,
        nasBoxOf(packet, origin.sourceAddress),
        packet.text(Attribute.acctSessionId) ?? '',
      ),
      packet.has(Attribute.framedIpAddress),
    );

  #lives(fact: SessionFact): void {
    const { nasName, nasBox, acctSessionId } = fact;
    const known = this.#directory.sessions.ofLine(nasName, nasBox, acctSessionId);
    const told = heldPrefixes(fact.framedPrefix, fact.delegatedPrefix) ?? [];
    // They come one by one, and not with every update: what was told once is taken to be used until the session ends.
    const news = told.filter((prefix) => known?.prefixes?.includes(prefix) !== true);
    if (fact.status === 'interim' && news.length === 0 && isKnown(known, fact.address !== null)) return;
    const whose = resolveSubscriber(this.#directory, this.#rulesOf(nasName), fact);
    this.#directory.sessionStarted({
      nasName,
      nasBox,
      acctSessionId,
      subscriberId: whose === 'ambiguous' ? undefined : whose,
      mac: fact.mac ?? undefined,
      nasPortId: fact.nasPortId ?? undefined,
      address: fact.address === null ? undefined : parseIpv4Address(fact.address),
      prefixes: news.length === 0 ? known?.prefixes : [...(known?.prefixes ?? []), ...news],
      routingDomain: fact.routingDomain,
      startedAtMs: fact.eventAtMs - (fact.sessionSeconds ?? 0) * 1000,
      offerId: fact.class?.offerId,
    });
  }
}

/** Attributes that name a prefix that a session uses. */
const PREFIXES = [Attribute.framedIpv6Prefix, Attribute.delegatedIpv6Prefix, Attribute.framedIpv6Address];

/** Whoever was nobody's when he was first heard of (nothing was loaded yet) is looked up again. */
function isKnown(known: HeldSession | undefined, tellsAddress: boolean): boolean {
  return known?.subscriberId !== undefined && (!tellsAddress || known.address !== undefined);
}
