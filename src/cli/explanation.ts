/**
 * The shape of an explanation.
 *
 * Enters: nothing. Leaves: types that `explain` fills and the sentence and the view read.
 * Invariant: its keys are those of `explain --json`, so a renamed one is a changed interface.
 */
import type { RejectReason } from '../domain/access-reason.js';
import type { AnswerState } from '../domain/access.js';
import type { PrefixKind } from '../domain/pool-address.js';
import type { PolicyState } from '../domain/subscriber.js';
import type { IdentityKey } from '../handlers/identity.js';
import type { ExplainedAttribute } from '../nas/profile.js';
import type { SessionRow } from '../store/session-queries.js';
import type { AccessAttemptRow, PeriodRow, SubscriberEventRow, SubscriberRow } from '../store/subscriber-queries.js';
import type { ExplainedFlag } from '../store/subscriber-flags.js';
import type { Assumptions } from './explain-assumptions.js';
import type { LineExplanation } from './explain-line.js';
import type { NetworkExplanation } from './explain-places.js';

/** An attribute of the answer. */
export type AnswerAttribute = Omit<ExplainedAttribute, 'tag' | 'because' | 'value'> & {
  readonly tag: number | null;
  readonly value: string | number | null;
  readonly because: string | null;
};

/** What a profile answers in one state. */
export interface StateExplanation {
  readonly answer: 'accept' | 'reject';
  readonly pool: string | null;
  readonly attributes: readonly AnswerAttribute[];
}

/** Where the address of an Accept would come from. */
export interface AddressExplanation {
  readonly source: 'static' | 'sticky' | 'pool' | 'nas-pool' | 'none';
  /** Known beforehand only for a static or sticky one. */
  readonly address: string | null;
  readonly pool: string | null;
  /** Addresses that the pool could still give; only for `pool`. */
  readonly free: number | null;
}

/** Where an IPv6 prefix of an Accept would come from. */
export interface PrefixExplanation {
  readonly kind: PrefixKind;
  readonly source: 'static' | 'sticky' | 'pool';
  /** Known beforehand only for a static or sticky one. */
  readonly prefix: string | null;
  readonly pool: string | null;
  /** Prefixes that the pool could still give; only for `pool`. */
  readonly free: number | null;
}

/** Everything that `explain` tells. */
export interface Explanation extends NetworkExplanation, LineExplanation {
  /** As assumed by `--if`. */
  readonly subscriber: SubscriberRow;
  /** What `--if` said, or null. */
  readonly assumed: Assumptions | null;
  readonly state: PolicyState;
  readonly nas: string;
  readonly profile: string;
  /** By which key of the profile's `identity` the request is known to be his; null: it is not. */
  readonly found_by: IdentityKey | null;
  /** Where the request comes from: as told by the options, else the subscriber's own line; null: none is known. */
  readonly access_line: string | null;
  /** Both for people. */
  readonly known_by: string | null;
  readonly answer: 'accept' | 'reject';
  /** A code of the reason for a Reject, else null. */
  readonly reason: RejectReason | null;
  /** The state whose attributes are sent, for an Accept. */
  readonly answer_state: AnswerState | null;
  readonly sentence: string;
  readonly address: AddressExplanation | null;
  readonly prefixes: readonly PrefixExplanation[];
  /** The attributes of this answer. */
  readonly attributes: readonly AnswerAttribute[];
  /** What this NAS is told in each state. */
  readonly states: Readonly<Record<string, StateExplanation>>;
  readonly flags: readonly ExplainedFlag[];
  readonly sessions: readonly SessionRow[];
  readonly period: PeriodRow | null;
  readonly attempts: readonly AccessAttemptRow[];
  readonly events: readonly SubscriberEventRow[];
}
