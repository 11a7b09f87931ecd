/**
 * What a DHCP server, a relay or a hook says about one lease, after decoding and before any decision. Enters: nothing. Leaves: the types
 * that every source of lease events produces and `lease-fold.ts` folds. Invariants: times are epoch milliseconds; `eventAtMs` is never
 * later than `receivedAtMs`; MAC addresses and octets are canonical, so that two notations of one thing are equal.
 */

/**
 * - `commit`: a DHCP server gave the address, or gave it again.
 * - `request`: a client asked for it and nobody knows yet what the server answered: a relay copies only what clients send.
 * - `expiry`, `release`, `decline`: the lease is over; the client says that somebody else uses the address (RFC 2131 §3.1.5).
 */
export type LeaseEventKind = 'commit' | 'request' | 'expiry' | 'release' | 'decline';

/** How an event came to us. `import` is the initial state, read from a lease file. */
export type LeaseVia = 'hook' | 'lever' | 'json' | 'packet' | 'leasequery' | 'import';

/** Where a client is plugged in, as far as an event tells. Octets are lower-case hexadecimal without separators. */
export interface LineEvidence {
  /** Sub-option 1 of option 82 (RFC 3046 §3.1). */
  readonly circuitId: string | null;
  /** Sub-option 2 (RFC 3046 §3.2). */
  readonly remoteId: string | null;
  /** Sub-option 6, Subscriber-ID (RFC 3993). */
  readonly subscriberId: string | null;
  /** What a hook took out of option 82 by itself: canonical MAC of the switch, and its port as the hook wrote it. */
  readonly switchMac: string | null;
  readonly switchPort: string | null;
  /** The whole of an option 82 in which a length lies: nothing of it is believed, and nothing else is told beside it. Absent: none does. */
  readonly lying?: string;
}

export interface LeaseEvent {
  readonly kind: LeaseEventKind;
  /** When it happened at the DHCP server. */
  readonly eventAtMs: number;
  /** Whether the event carried its time; otherwise `eventAtMs` is when we received it, and it may have happened any time before. */
  readonly timeDeclared: boolean;
  readonly receivedAtMs: number;
  readonly via: LeaseVia;
  /** Which server, relay or hook said so: a name from the configuration, or the address that it came from. */
  readonly source: string;
  /** IPv4, dotted. */
  readonly address: string;
  /** Of the client, canonical. null: the event does not tell. */
  readonly mac: string | null;
  /** Until when the lease was given; null: the event does not tell. */
  readonly leaseEndsAtMs: number | null;
  /** null: the event came without option 82, as after a renewal by unicast. It never means that there is no line. */
  readonly line: LineEvidence | null;
}

/** Who takes events in. Called back once the event is on disk: only then may a source be told that it was taken. */
export interface LeaseSink {
  /** @param taken true: durable. false: it could not be stored, and the source has to say it again */
  take(event: LeaseEvent, taken: (durable: boolean) => void): void;
}
