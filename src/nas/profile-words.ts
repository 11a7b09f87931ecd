/**
 * What a profile means for the places that it enforces. Enters: a compiled profile. Leaves: its answers with what they say of the rate, what it has commands
 * for, and whether those need an address. Invariant: read off the profile itself, so that nothing is desired of a NAS which nobody could tell it.
 */
import type { ProfileAnswers } from '../domain/access.js';
import type { PlaceWords } from '../domain/desired-service.js';
import type { PlaceKind } from '../domain/service-state.js';
import { sampleContext } from './attribute-variables.js';
import type { CommandTemplate } from './command-template.js';
import type { CompiledProfile, CompiledState } from './profile.js';
import type { CompiledStep } from './step.js';

/** A profile as those who decide need it. */
export interface ProfileWords {
  /** undefined: this kind of NAS is never commanded. */
  readonly place: PlaceKind | undefined;
  readonly answers: ProfileAnswers;
  readonly words: PlaceWords;
  /** Whether its entries cannot be made or removed without an IPv4 address. */
  readonly needsAddress: boolean;
}

/** Reads off a profile what may be desired where it is used. */
export function wordsOf({ profile, states, commands }: CompiledProfile): ProfileWords {
  const answer = (state: CompiledState) => ({
    answer: state.answer,
    pool: state.pool,
    rated: isRated(state),
    prefixes: state.prefixes,
  });
  const { active, redirect, own_disabled, admin_blocked, unknown } = states;
  const lines = (['user_add', 'user_del'] as const).flatMap((name) =>
    (commands.get(name)?.steps ?? []).flatMap((step) => (step.send === 'ssh' ? step.lines : [])),
  );
  return {
    place: profile.enforcement?.place,
    answers: {
      active: answer(active),
      redirect: answer(redirect),
      own_disabled: answer(own_disabled),
      admin_blocked: answer(admin_blocked),
      unknown: answer(unknown),
    },
    words: {
      rate: commands.has('user_rate_set'),
      services: commands.has('usluga_activated'),
      prefixes: [...commands.values()].some(({ steps, fallback }) => [...steps, ...fallback].some(namesPrefixes)),
    },
    needsAddress: lines.some(needsAddress),
  };
}

/** Whether what is on a NAS of this kind can be listed and compared with the database: entries of ours, by a console or a script. */
export function canList({ profile, commands }: CompiledProfile): boolean {
  const steps = commands.get('users_from_nas')?.steps ?? [];
  return profile.enforcement?.place === 'provisioned' && steps.some(({ send }) => send === 'ssh' || send === 'exec');
}

/** Whether an answer differs with the rate. */
function isRated(state: CompiledState): boolean {
  const fast = state.encode(sampleContext({ rate: true, burst: false }));
  const unlimited = state.encode(sampleContext({ rate: false, burst: false }));
  return !(fast.ok && unlimited.ok && fast.octets.equals(unlimited.octets));
}

/** Whether a step says anything of IPv6 prefixes. A script is given all there is. */
function namesPrefixes(step: CompiledStep): boolean {
  if (step.send === 'exec') return true;
  return (
    step.send === 'ssh' &&
    step.lines.some(({ parts }) => parts.some((part) => typeof part !== 'string' && part.variable.kind === 'prefix'))
  );
}

/** A line that cannot be made for somebody who has no address. */
function needsAddress({ parts, condition }: CommandTemplate): boolean {
  if (condition !== undefined) return false;
  return parts.some(
    (part) =>
      typeof part !== 'string' &&
      part.otherwise === undefined &&
      part.variable.kind === 'address' &&
      !part.variable.isGeneral,
  );
}
