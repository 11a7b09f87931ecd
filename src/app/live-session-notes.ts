/**
 * What the directory learns from accounting at acknowledgement, before anything is in the database: session limits and takeovers see it at
 * once. Enters: durable facts. Leaves: live sessions in memory. Invariant: the same fact twice is the same as once.
 */
import { type AccountingFact, isRestart, type SessionFact } from '../domain/accounting-fact.js';
import { parseIpv4Address } from '../domain/ipv4-address.js';
import { type IdentityRules, resolveSubscriber } from '../handlers/identity.js';
import type { Directory } from '../store/directory.js';
import { heldPrefixes } from '../store/live-sessions.js';

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

  #lives(fact: SessionFact): void {
    const { nasName, nasBox, acctSessionId } = fact;
    const known = this.#directory.sessions.ofLine(nasName, nasBox, acctSessionId);
    // Whoever was nobody's when he was first heard of (nothing was loaded yet) is looked up again.
    const told = heldPrefixes(fact.framedPrefix, fact.delegatedPrefix) ?? [];
    // They come one by one, and not with every update: what was told once is taken to be used until the session ends.
    const news = told.filter((prefix) => known?.prefixes?.includes(prefix) !== true);
    const isKnown =
      known?.subscriberId !== undefined && (fact.address === null || known.address !== undefined) && news.length === 0;
    if (fact.status === 'interim' && isKnown) return;
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
