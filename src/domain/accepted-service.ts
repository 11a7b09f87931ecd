/**
 * What an Accept said. Enters: the hash in its Class, and what the subscriber and the profile may have it made of. Leaves: the state and the rate that have
 * this hash. Invariant: evidence of the Accept and of nothing after it; what cannot be found again is not known.
 */
import type { AnswerState, ProfileAnswers } from './access.js';
import { possibleRates, type RatedPlan, type Turbo } from './effective-rate.js';
import { nothingKnown } from './known-service.js';
import { policyHash } from './policy-hash.js';
import type { KnownService, PresentService, ServiceKey, ServiceRate } from './service-state.js';

/** The states in which a profile has an answer for somebody known. */
export type ShownState = Exclude<AnswerState, 'unknown'>;

/** Who has a rate. */
export interface RatedSubject {
  readonly plan: RatedPlan | undefined;
  readonly turbo: Turbo | undefined;
}

export const unlimitedRate: ServiceRate = { downBps: null, upBps: null };

const SHOWN_STATES: readonly ShownState[] = ['active', 'redirect', 'own_disabled', 'admin_blocked'];

/** The state of a profile that a NAS shows when it can show only one: administration, own wish, money. */
export function shownState(service: Pick<PresentService, 'blocked' | 'ownDisabled' | 'redirect'>): ShownState {
  if (service.blocked) return 'admin_blocked';
  if (service.ownDisabled) return 'own_disabled';
  return service.redirect ? 'redirect' : 'active';
}

/**
 * Finds what an Accept said by its hash: among every state of the profile with every rate that the subscriber may have at some hour.
 *
 * @returns undefined when none of them has this hash
 */
export function acceptedService(
  hash: number,
  subject: RatedSubject,
  answers: ProfileAnswers,
): { readonly state: ShownState; readonly rate: ServiceRate } | undefined {
  const rates = possibleRates(subject.plan, subject.turbo);
  for (const state of SHOWN_STATES) {
    if (answers[state].answer === 'reject') continue;
    for (const { rateDownBps, rateUpBps } of rates) {
      if (policyHash(state, rateDownBps, rateUpBps) !== hash) continue;
      const said = { downBps: rateDownBps ?? null, upBps: rateUpBps ?? null };
      return { state, rate: answers[state].rated === false ? unlimitedRate : said };
    }
  }
  return undefined;
}

/**
 * What a session is born with: what its Accept said, as the hash in its Class proves. Of several flags an Accept shows one page only, so the others
 * count as not set there, and are set by commands of their own. Services never come with an Accept.
 *
 * @param hash of the Class; null: none came, or it was not ours
 * @param key of the session
 * @returns nothing known, when no state and rate that the subscriber can have has this hash
 */
export function knownFromClass(
  hash: number | null,
  subject: RatedSubject,
  answers: ProfileAnswers,
  key: ServiceKey,
): KnownService {
  const said = hash === null ? undefined : acceptedService(hash, subject, answers);
  if (said === undefined) return nothingKnown;
  const state: PresentService = {
    present: true,
    key,
    blocked: said.state === 'admin_blocked',
    redirect: said.state === 'redirect',
    ownDisabled: said.state === 'own_disabled',
    authorised: true,
    rate: said.rate,
    services: [],
  };
  return { applied: { state, evidence: 'class' }, attempted: [] };
}
