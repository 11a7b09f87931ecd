/**
 * What is known of a place. Enters: commands and what came of them. Leaves: the states that may hold there. Invariants: whatever a NAS may have is
 * among them, dimension by dimension, and every key under which it may have an entry; only evidence takes a state away; the list is bounded.
 */
import {
  absent,
  type CommandName,
  type Evidence,
  type KnownService,
  type PlaceKind,
  type PlannedCommand,
  type PresentService,
  type ServiceKey,
  type ServiceRate,
  type ServiceState,
} from './service-state.js';

/** States that may be attempted and unproven at once. One more, and only the keys and services of all are remembered. */
export const MAX_ATTEMPTED = 16;

/** Nothing is known, not even that nothing is there. */
export const nothingKnown: KnownService = { applied: null, attempted: [] };

/** Whether both keys find the same entry. */
export function sameKey(one: ServiceKey, other: ServiceKey): boolean {
  return (
    one.login === other.login &&
    one.mac === other.mac &&
    one.address === other.address &&
    one.framedPrefix === other.framedPrefix &&
    one.delegatedPrefix === other.delegatedPrefix
  );
}

/** Whether both are the same speed. */
export function sameRate(one: ServiceRate, other: ServiceRate): boolean {
  return one.downBps === other.downBps && one.upBps === other.upBps;
}

/** Whether two states are equal in every dimension. */
export function sameState(one: ServiceState, other: ServiceState): boolean {
  if (!one.present || !other.present) return one.present === other.present;
  return (
    sameKey(one.key, other.key) &&
    one.blocked === other.blocked &&
    one.redirect === other.redirect &&
    one.ownDisabled === other.ownDisabled &&
    one.authorised === other.authorised &&
    sameRate(one.rate, other.rate) &&
    one.services.length === other.services.length &&
    one.services.every((service, index) => service === other.services[index])
  );
}

/** Every state that may hold, the one with evidence first, then the oldest attempt. With `applied` null any other may hold too. */
export function mayHold(known: KnownService): readonly ServiceState[] {
  return known.applied === null ? known.attempted : [known.applied.state, ...known.attempted];
}

/** Whether it is proven that nothing is there. */
export function isCertainlyAbsent(known: KnownService): boolean {
  return known.applied !== null && mayHold(known).every((state) => !state.present);
}

/** Whether something of the subscriber may be there because of us. */
export function mayBePresent(known: KnownService): boolean {
  return mayHold(known).some((state) => state.present);
}

/** After a NAS may have lost or changed everything: nothing has evidence any more, and every key is kept. */
export function forgotten(known: KnownService): KnownService {
  return { applied: null, attempted: distinct(mayHold(known).filter((state) => state.present)) };
}

/** After evidence turned out to be false: what it said may hold or not, like everything that was tried. */
export function disproved({ applied, attempted }: KnownService): KnownService {
  return applied === null
    ? { applied, attempted }
    : { applied: null, attempted: distinct([...attempted, applied.state]) };
}

/**
 * What is to be committed before commands are sent that aim at a state: it may hold from now on.
 *
 * @returns with at most {@link MAX_ATTEMPTED} attempted states
 */
export function withAttempt(known: KnownService, aim: ServiceState): KnownService {
  if (mayHold(known).some((state) => sameState(state, aim))) return known;
  const attempted = [...known.attempted, aim];
  if (attempted.length <= MAX_ATTEMPTED) return { ...known, attempted };
  return { applied: null, attempted: onePerKey(mayHold({ ...known, attempted })) };
}

/** The last state under each key, with every service that may be on under it. Nothing of it is believed but that it may be there. */
function onePerKey(states: readonly ServiceState[]): readonly PresentService[] {
  const merged: PresentService[] = [];
  for (const state of states) {
    if (!state.present) continue;
    const at = merged.findIndex((one) => sameKey(one.key, state.key));
    if (at < 0) merged.push(state);
    else merged[at] = { ...state, services: union(merged[at]!.services, state.services) };
  }
  return merged;
}

/** Both lists in one, sorted, each once. */
export function union(one: readonly string[], other: readonly string[]): readonly string[] {
  return [...new Set([...one, ...other])].sort();
}

function distinct(states: readonly ServiceState[]): readonly ServiceState[] {
  const kept: ServiceState[] = [];
  for (const state of states) if (!kept.some((one) => sameState(one, state))) kept.push(state);
  return kept;
}

/** How a command ended, as far as knowledge goes; outcomes of drivers have this shape. */
export type CommandEnd =
  | { readonly outcome: 'applied'; readonly evidence: Evidence }
  | { readonly outcome: 'unreachable'; readonly reached: 'never' | 'maybe' }
  | { readonly outcome: 'session-gone' | 'refused' | 'later' | 'unsayable' | 'disproved' };

/**
 * Whether it is proven that a command changed nothing: it never left us. A refusal proves nothing, since a command may have several steps.
 */
export function isWithoutEffect(end: CommandEnd): boolean {
  return end.outcome === 'unsayable' || (end.outcome === 'unreachable' && end.reached === 'never');
}

/**
 * What is known after one command: with evidence it holds in every state that may hold; without, nothing is learned.
 *
 * @param known before it, with the attempt that it belongs to unless that is folded in afterwards (see `afterRun`)
 */
export function afterCommand(
  kind: PlaceKind,
  known: KnownService,
  command: PlannedCommand,
  end: CommandEnd,
): KnownService {
  if (end.outcome !== 'applied') return known;
  const { evidence } = end;
  const endsAll = kind === 'session' && (command.name === 'user_del' || command.name === 'user_disconnect');
  if (endsAll) return { applied: { state: absent, evidence }, attempted: [] };
  if (command.name === 'user_del') return afterRemoval(known, command.data.key, evidence);
  if (command.name === 'user_add') return afterAddition(known, command.data);
  const set = settingOf(command);
  const settled = (state: ServiceState): ServiceState =>
    state.present && (kind === 'session' || sameKey(state.key, command.data.key)) ? set(state) : state;
  const applied = known.applied === null ? null : { state: settled(known.applied.state), evidence };
  return tidy({ applied, attempted: known.attempted.map(settled) });
}

/** Nothing is under this key now. What else may hold, may hold. */
function afterRemoval(known: KnownService, key: ServiceKey, evidence: Evidence): KnownService {
  const without = (state: ServiceState) => (state.present && sameKey(state.key, key) ? absent : state);
  const applied =
    known.applied === null
      ? null
      : {
          state: without(known.applied.state),
          evidence: known.applied.state.present ? evidence : known.applied.evidence,
        };
  return tidy({ applied, attempted: known.attempted.map(without) });
}

/** Something is under this key now; what it is like, is not known unless it was there before. */
function afterAddition(known: KnownService, data: PresentService): KnownService {
  const states = mayHold(known);
  const wasThere = known.applied !== null && states.every((state) => state.present && sameKey(state.key, data.key));
  if (wasThere) return known;
  return { applied: null, attempted: distinct([...states.filter((state) => state.present), data]) };
}

/** An attempt that equals what is applied says nothing more; with nothing applied, absence goes without saying. */
function tidy({ applied, attempted }: KnownService): KnownService {
  const others = attempted.filter((state) => (applied === null ? state.present : !sameState(state, applied.state)));
  return { applied, attempted: distinct(others) };
}

/** What a command makes of an entry. */
function settingOf({ name, data, service }: PlannedCommand): (state: PresentService) => PresentService {
  const setting: Partial<Record<CommandName, Partial<PresentService>>> = {
    user_drop: { blocked: true },
    user_accept: { blocked: false },
    own_disabled: { ownDisabled: true },
    own_disabled_cancel: { ownDisabled: false },
    user_redirect: { redirect: true },
    user_redirect_cancel: { redirect: false },
    user_auth: { authorised: true },
    user_disconnect: { authorised: false },
    user_rate_set: { rate: data.rate },
    user_rate_set_cancel: { rate: { downBps: null, upBps: null } },
  };
  if (service !== null && name === 'usluga_activated')
    return (state) => ({ ...state, services: union(state.services, [service]) });
  if (service !== null && name === 'usluga_deactivated')
    return (state) => ({ ...state, services: state.services.filter((one) => one !== service) });
  return (state) => ({ ...state, ...setting[name] });
}
