/**
 * Whether a profile tells its NAS to limit those who are to be limited.
 *
 * Enters: the compiled attributes of each state.
 * Leaves: a problem for each state in which a subscriber would stay as he was.
 * Invariant: a state other than `active` that accepts adds something to what `active` sends, whatever plan the subscriber has:
 * a pool or an attribute that is always there. Leaving attributes out (a rate, say) is no limit.
 */
import type { Profile } from '../config/config.js';
import type { ConfigProblem } from '../config/problem.js';
import type { ProfileState } from '../config/profile-schema.js';
import { sampleContext } from './attribute-variables.js';
import type { AttributeContext } from './attribute-variables.js';
import { plainName } from './compile-attribute.js';
import type { CompiledAttribute } from './compile-attribute.js';

const limitedStates: readonly ProfileState[] = ['redirect', 'own_disabled', 'admin_blocked', 'unknown'];

const who: Readonly<Record<ProfileState, string>> = {
  active: 'an active subscriber',
  redirect: 'a redirected subscriber',
  own_disabled: 'a voluntarily blocked subscriber',
  admin_blocked: 'a blocked subscriber',
  unknown: 'somebody unknown',
};

/** What a NAS shows or keeps, and what ends a session later, limits nobody now. Plain names. */
export const harmlessAttributes: ReadonlySet<string> = new Set([
  'reply-message',
  'idle-timeout',
  'session-timeout',
  'termination-action',
  'acct-interim-interval',
  'chargeable-user-identity',
]);

/**
 * Finds the states in which nothing would change for the subscriber.
 *
 * @param profile as read
 * @param attributesOf the compiled attributes of a state
 */
export function checkStatesDiffer(
  profile: Profile,
  attributesOf: (state: ProfileState) => readonly CompiledAttribute[],
): ConfigProblem[] {
  const problems: ConfigProblem[] = [];
  const wrong = (state: ProfileState, problem: string, remedy: string): number =>
    problems.push({ file: profile.file, line: profile.states[state].line, key: `state.${state}`, problem, remedy });
  if (profile.states.active.answer === 'reject') {
    wrong('active', 'rejects everybody', 'write answer = "accept"');
  }
  if (profile.channel === 'vpn' && profile.macAuthorisation.noPassword.length > 0) {
    const problem = 'lets in whoever types the MAC of a neighbour into a PPP client';
    const remedy = 'write no_password = [], or channel = "dhcp" for a NAS that sees the MAC itself';
    problems.push({ file: profile.file, line: 0, key: 'mac_authorisation.no_password', problem, remedy });
  }
  for (const state of limitedStates) {
    const rule = profile.states[state];
    if (rule.answer === 'reject' || rule.pool !== undefined) continue;
    if (limits(attributesOf('active'), attributesOf(state))) continue;
    wrong(
      state,
      `lets ${who[state]} in with nothing that an active one does not have too`,
      'write answer = "reject", a pool, or an attribute without variables that limits him',
    );
  }
  return problems;
}

/** Whether the attributes of a state say something that those of another do not, whatever plan the subscriber has. */
export function limits(active: readonly CompiledAttribute[], limited: readonly CompiledAttribute[]): boolean {
  const contexts = [
    sampleContext({ rate: true, burst: true }),
    sampleContext({ rate: true, burst: false }),
    sampleContext({ rate: false, burst: false }),
  ];
  return contexts.every((context) => {
    const ofActive = said(active, context);
    return [...said(limited, context)].some((one) => !ofActive.has(one));
  });
}

function said(attributes: readonly CompiledAttribute[], context: AttributeContext): ReadonlySet<string> {
  const all = new Set<string>();
  for (const attribute of attributes) {
    if (harmlessAttributes.has(plainName(attribute.name))) continue;
    const outcome = attribute.encode(context);
    if (outcome.outcome === 'sent') all.add(outcome.octets.toString('latin1'));
  }
  return all;
}
