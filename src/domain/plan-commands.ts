/**
 * Which commands make a place what it should be. Enters: what is known of it and what is desired. Leaves: commands in order, what they aim at, and what
 * is known once they were tried. Invariants: nothing is done about a dimension in which everything that may hold is as desired; nothing
 * new is put there before everything under other keys is gone; an entry is made closed and limited before it is opened.
 */
import {
  afterCommand,
  isCertainlyAbsent,
  isWithoutEffect,
  mayHold,
  sameKey,
  sameRate,
  union,
  withAttempt,
  type CommandEnd,
} from './known-service.js';
import {
  absent,
  type CommandName,
  type Evidence,
  type KnownService,
  type PlaceKind,
  type PlannedCommand,
  type PresentService,
  type ServiceRate,
  type ServiceState,
} from './service-state.js';

/**
 * Other keys under which an entry may be, above which nothing but their removal is planned. It keeps the list of attempted states bounded on a NAS that
 * has answered nothing while address after address was tried.
 */
export const MAX_OTHER_KEYS = 8;

/** Of which dimensions the profile has commands at a place. */
export interface Saying extends Readonly<
  Record<'blocked' | 'ownDisabled' | 'redirect' | 'rate' | 'services', boolean>
> {
  /** Whether an entry is told that nobody is let in any more; absent: it is. */
  readonly ends?: boolean;
}

const saysAll: Saying = { blocked: true, ownDisabled: true, redirect: true, rate: true, services: true };

/** What a plan may need beside known and desired. */
export interface PlanOptions {
  /** The subscriber as it would be there: who is meant by commands where nothing is known. Absent: there is nobody to name. */
  readonly data?: PresentService | null | undefined;
  /** Whether a session that ends is a deleted subscriber's: `user_del` in place of `user_disconnect`. */
  readonly isDeleted?: boolean | undefined;
  /** Absent: of all. */
  readonly says?: Saying | undefined;
}

/** A run of commands at one place. */
export interface CommandPlan {
  readonly kind: PlaceKind;
  /** In the order in which they are to be carried out, none before the one before it was applied. Empty: nothing is to be done. */
  readonly commands: readonly PlannedCommand[];
  /** What holds when all of them are applied. It is what is desired, or, when there is too much to clear away, nothing yet. */
  readonly aim: ServiceState;
  /** What was known before. */
  readonly before: KnownService;
  /** What is to be committed as known before the first of them is sent. */
  readonly tried: KnownService;
  /** Rates that may hold as well as that of the aim when all of them are applied: none was to be asked for. Absent: none. */
  readonly otherRates?: readonly ServiceRate[] | undefined;
}

/**
 * Plans the commands of one place (DESIGN §8).
 *
 * Order: services off, blocks and redirects on, disconnect, removal; then addition, `user_accept`, blocks and redirects off, rate, `user_auth`, services on. Where
 * an entry is added, its blocks and redirects stand right after the addition, since they need it; so an addition makes an entry that serves nobody
 * until `user_accept`.
 *
 * @param known of it; when all that may hold is as desired, nothing is planned
 * @param desired of it now
 */
export function planRun(
  kind: PlaceKind,
  known: KnownService,
  desired: ServiceState,
  options: PlanOptions = {},
): CommandPlan {
  const planned = kind === 'session' ? planSession(known, desired, options) : planEntry(known, desired, options);
  const hasServices = (options.says ?? saysAll).services;
  const commands = hasServices ? planned.commands : planned.commands.filter((command) => command.service === null);
  const { aim } = planned;
  return { kind, commands, aim, before: known, tried: commands.length === 0 ? known : withAttempt(known, aim) };
}

/** The commands of {@link planRun} alone. */
export function planCommands(
  kind: PlaceKind,
  known: KnownService,
  desired: ServiceState,
  options: PlanOptions = {},
): readonly PlannedCommand[] {
  return planRun(kind, known, desired, options).commands;
}

/**
 * What is known after a run, of which perhaps only the first commands were begun.
 *
 * @param ends of the commands that were begun, in their order
 */
export function afterRun(plan: CommandPlan, ends: readonly CommandEnd[]): KnownService {
  const { kind, commands, aim, before } = plan;
  let known = before;
  let evidence: Evidence | undefined;
  for (const [index, command] of commands.entries()) {
    const end = ends[index];
    if (end === undefined || isWithoutEffect(end)) return known;
    if (end.outcome !== 'applied') return withAttempt(known, aim);
    known = afterCommand(kind, known, command, end);
    ({ evidence } = end);
  }
  if (evidence === undefined) return known;
  const others = (plan.otherRates ?? []).flatMap((rate) => (aim.present ? [{ ...aim, rate }] : []));
  return others.reduce<KnownService>(withAttempt, { applied: { state: aim, evidence }, attempted: [] });
}

interface Planned {
  readonly commands: readonly PlannedCommand[];
  readonly aim: ServiceState;
}

function planSession(known: KnownService, desired: ServiceState, options: PlanOptions): Planned {
  const { data, isDeleted, says = saysAll } = options;
  // What is over can only come back as another session.
  if (isCertainlyAbsent(known)) return { commands: [], aim: desired };
  const present = mayHold(known).filter((state) => state.present);
  if (!desired.present) {
    const who = data ?? present.at(-1);
    if (who === undefined) return { commands: [], aim: absent };
    const services = isDeleted === true ? servicesOff(who, servicesOf(present)) : [];
    return { commands: [...services, plain(isDeleted === true ? 'user_del' : 'user_disconnect', who)], aim: absent };
  }
  const changes = known.applied === null ? everything(desired, present, says) : differences(desired, present, says);
  return { commands: inOrder('session', desired, changes), aim: desired };
}

function planEntry(known: KnownService, desired: ServiceState, options: PlanOptions): Planned {
  const { says = saysAll } = options;
  const states = mayHold(known);
  const entries = entriesOf(states.filter((state) => state.present));
  if (!desired.present) return { commands: removals(withWhatMayBe(entries, known, options.data)), aim: absent };
  const own = entries.filter((entry) => sameKey(entry.key, desired.key));
  const others = entries.filter((entry) => !sameKey(entry.key, desired.key));
  if (others.length >= MAX_OTHER_KEYS) return { commands: removals(others), aim: absent };
  if (others.length > 0) {
    const away = removals([...others, ...(own.length > 0 ? own : [{ ...desired, services: [] }])]);
    return { commands: [...away, ...addition(desired, newEntry(desired, says))], aim: desired };
  }
  if (isCertainlyAbsent(known)) return { commands: addition(desired, newEntry(desired, says)), aim: desired };
  const present = states.filter((state) => state.present);
  const mayBeMissing = known.applied === null || present.length < states.length;
  if (!mayBeMissing)
    return { commands: inOrder('provisioned', desired, differences(desired, present, says)), aim: desired };
  const changes = everything(desired, present, says);
  return {
    commands: [...servicesOff(desired, changes.servicesOff), ...addition(desired, changes)],
    aim: desired,
  };
}

/** The possible entries, one per key, the oldest key first, with every service that may be on under it. */
function entriesOf(states: readonly PresentService[]): readonly PresentService[] {
  const entries: PresentService[] = [];
  for (const state of states) {
    const at = entries.findIndex((one) => sameKey(one.key, state.key));
    if (at < 0) entries.push(state);
    else entries[at] = { ...state, services: union(entries[at]!.services, state.services) };
  }
  return entries;
}

/** Where nothing is known, something may be under the key that the subscriber has now. */
function withWhatMayBe(
  entries: readonly PresentService[],
  known: KnownService,
  data: PresentService | null | undefined,
): readonly PresentService[] {
  if (known.applied !== null || data === null || data === undefined) return entries;
  return entriesOf([...entries, data]);
}

/** Services off, then the entries: those of all keys, so that nothing stays switched on for an address that is somebody else's soon. */
function removals(entries: readonly PresentService[]): readonly PlannedCommand[] {
  return [
    ...entries.flatMap((entry) => servicesOff(entry, entry.services)),
    ...entries.map((entry) => plain('user_del', entry)),
  ];
}

/** What has to be said of an entry, dimension by dimension. */
interface Changes {
  readonly blocked: boolean | undefined;
  readonly ownDisabled: boolean | undefined;
  readonly redirect: boolean | undefined;
  readonly authorised: boolean | undefined;
  readonly rate: ServiceRate | undefined;
  readonly servicesOn: readonly string[];
  readonly servicesOff: readonly string[];
}

/** Dimensions in which anything that may hold is not as desired. */
function differences(desired: PresentService, possible: readonly PresentService[], says: Saying): Changes {
  const flag = (name: 'blocked' | 'ownDisabled' | 'redirect' | 'authorised') =>
    possible.some((state) => state[name] !== desired[name]) ? desired[name] : undefined;
  return {
    blocked: flag('blocked'),
    ownDisabled: flag('ownDisabled'),
    redirect: flag('redirect'),
    authorised: toldOf(flag('authorised'), says),
    rate: says.rate && possible.some((state) => !sameRate(state.rate, desired.rate)) ? desired.rate : undefined,
    servicesOn: desired.services.filter((one) => possible.some((state) => !state.services.includes(one))),
    servicesOff: servicesOf(possible).filter((one) => !desired.services.includes(one)),
  };
}

/** Everything, where nothing is known: also what is not to be, in so many words, where there are words for it. */
function everything(desired: PresentService, possible: readonly PresentService[], says: Saying): Changes {
  const { services } = desired;
  const flag = (name: 'blocked' | 'ownDisabled' | 'redirect') =>
    says[name] || desired[name] || possible.some((state) => state[name]) ? desired[name] : undefined;
  return {
    blocked: flag('blocked'),
    ownDisabled: flag('ownDisabled'),
    redirect: flag('redirect'),
    authorised: toldOf(desired.authorised, says),
    rate: says.rate ? desired.rate : undefined,
    servicesOn: services,
    servicesOff: servicesOf(possible).filter((one) => !services.includes(one)),
  };
}

/** Letting in is always told; that nobody is let in any more only where it is wished for. */
function toldOf(authorised: boolean | undefined, { ends }: Saying): boolean | undefined {
  return authorised === false && ends === false ? undefined : authorised;
}

/** What a new entry has to be told: it serves nobody, and has no page, no limit and no service until told. */
function newEntry(desired: PresentService, says: Saying): Changes {
  const { blocked, ownDisabled, redirect, authorised, rate, services } = desired;
  const isLimited = rate.downBps !== null || rate.upBps !== null;
  return {
    blocked,
    ownDisabled: ownDisabled || undefined,
    redirect: redirect || undefined,
    authorised: authorised || undefined,
    rate: isLimited && says.rate ? rate : undefined,
    servicesOn: services,
    servicesOff: [],
  };
}

function servicesOf(states: readonly PresentService[]): readonly string[] {
  return states.reduce<readonly string[]>((all, state) => union(all, state.services), []);
}

/** Changes of an entry that is there. */
function inOrder(kind: PlaceKind, desired: PresentService, changes: Changes): readonly PlannedCommand[] {
  // Whoever has a session is let in; what takes him off is the end of the session.
  const own = kind === 'session' ? { ...changes, authorised: undefined } : changes;
  return [...servicesOff(desired, own.servicesOff), ...restrictions(desired, own), ...openings(desired, own)];
}

function addition(desired: PresentService, changes: Changes): readonly PlannedCommand[] {
  return [plain('user_add', desired), ...restrictions(desired, changes), ...openings(desired, changes)];
}

function servicesOff(data: PresentService, names: readonly string[]): readonly PlannedCommand[] {
  return names.map((service) => ({ name: 'usluga_deactivated', data, service }));
}

function restrictions(data: PresentService, changes: Changes): readonly PlannedCommand[] {
  return chosen(data, [
    ['user_drop', changes.blocked === true],
    ['own_disabled', changes.ownDisabled === true],
    ['user_redirect', changes.redirect === true],
    ['user_disconnect', changes.authorised === false],
  ]);
}

function openings(data: PresentService, changes: Changes): readonly PlannedCommand[] {
  const { rate, servicesOn } = changes;
  const isUnlimited = rate?.downBps === null && rate.upBps === null;
  return [
    ...chosen(data, [
      ['user_accept', changes.blocked === false],
      ['own_disabled_cancel', changes.ownDisabled === false],
      ['user_redirect_cancel', changes.redirect === false],
      [isUnlimited ? 'user_rate_set_cancel' : 'user_rate_set', rate !== undefined],
      ['user_auth', changes.authorised === true],
    ]),
    ...servicesOn.map((service): PlannedCommand => ({ name: 'usluga_activated', data, service })),
  ];
}

function chosen(data: PresentService, all: readonly (readonly [CommandName, boolean])[]): readonly PlannedCommand[] {
  return all.filter(([, isWanted]) => isWanted).map(([name]) => plain(name, data));
}

function plain(name: CommandName, data: PresentService): PlannedCommand {
  return { name, data, service: null };
}
