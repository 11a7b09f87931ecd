/**
 * What the network is told of a subscriber: the part of `explain` about NASes.
 *
 * Enters: a subscriber, the configuration. Leaves: each place with what is desired there now and why, what is known and by which evidence, and the last
 * commands. Invariant: what is desired is reckoned by the server's own function; the words are those of the page.
 */
import type { Config } from '../config/config.js';
import { describeBecause } from '../domain/describe-because.js';
import type { Because } from '../domain/desired-service.js';
import { RateClock } from '../domain/effective-rate.js';
import type { PresentService, ServiceRate, ServiceState } from '../domain/service-state.js';
import type { CompiledProfile } from '../nas/profile.js';
import { wordsOf } from '../nas/profile-words.js';
import { enforcementEnglish } from '../status/english-enforcement.js';
import { commandsOfSubscriber, type CommandRow } from '../store/command-history.js';
import type { Directory } from '../store/directory.js';
import { EnforcementReader } from '../store/enforcement-rows.js';
import { placesOfSubscriber, type PlaceRow } from '../store/page-enforcement.js';
import { desiredAt } from '../workers/enforcement-look.js';
import type { CommandContext } from './command-context.js';
import { showTime } from './display.js';

/** Commands of the past that are told. */
const shownCommands = 10;
const mostPlaces = 128;

/** A place with what is desired there at this moment. */
export interface PlaceExplanation extends Omit<PlaceRow, 'desired'> {
  /** null: its NAS is not in this configuration, or is never commanded. */
  readonly desired: ServiceState | null;
  readonly because: Because['kind'] | null;
  readonly why: string | null;
}

/** What the network is told. */
export interface NetworkExplanation {
  readonly places: readonly PlaceExplanation[];
  readonly commands: readonly CommandRow[];
}

/** Reads the places of a subscriber and reckons what is desired there. */
export async function explainPlaces(
  context: CommandContext,
  config: Config,
  profiles: ReadonlyMap<string, CompiledProfile>,
  directory: Directory,
  subscriberId: number,
): Promise<NetworkExplanation> {
  const pool = await context.pool();
  const rows = await placesOfSubscriber(pool, subscriberId, mostPlaces);
  const names = [...new Set(rows.map((row) => row.nas_name))];
  const read = await new EnforcementReader(pool).read({ by: 'subscriber', ids: [subscriberId] }, names);
  const enforcements = new Map(read.rows.map((row) => [row.id, row]));
  const rates = new RateClock(config.server.timeZone);
  const nowMs = context.io.nowMs();
  const places = rows.map((row): PlaceExplanation => {
    const entry = config.nas.find((one) => one.name === row.nas_name);
    const profile = entry === undefined ? undefined : profiles.get(entry.profile);
    const enforcement = enforcements.get(row.id);
    const words = profile === undefined ? undefined : wordsOf(profile);
    if (enforcement === undefined || words?.place === undefined)
      return { ...row, desired: null, because: null, why: null };
    const isOwnPool = (name: string) => directory.poolByName(name) !== undefined;
    const { state, because } = desiredAt(enforcement, { name: row.nas_name, ...words }, { rates, isOwnPool, nowMs });
    return { ...row, desired: state, because: because.kind, why: describeBecause(because) };
  });
  return { places, commands: await commandsOfSubscriber(pool, subscriberId, shownCommands) };
}

/** A place as a heading with lines below. */
export function placeLines(
  place: PlaceExplanation,
  zone: string,
): { readonly title: string; readonly lines: string[] } {
  const { text: words, stateNotes, evidenceNames } = enforcementEnglish;
  const name =
    place.kind !== 'session'
      ? words.entryPlace
      : place.acct_session_id === null
        ? words.pastSession
        : words.sessionPlace(place.acct_session_id);
  const { desired, applied, evidence, parked } = place;
  const proof =
    evidence === null ? '' : ` (${evidenceNames[evidence] ?? evidence}, ${showTime(place.applied_at, zone)})`;
  const lines: (readonly [string, string | null])[] = [
    ['is desired', desired === null ? 'nothing: its NAS is not commanded by this configuration' : stateText(desired)],
    ['because', place.why],
    ['applied', applied === null ? words.unknown : `${stateText(applied)}${proof}`],
    ...place.attempted.map((state) => ['tried, not proven', stateText(state)] as const),
    ['refused', parked === null ? null : parked.what === 'rate' ? rateText(parked.rate) : stateText(parked.state)],
    ['last error', place.last_error],
    ['tries', place.attempts > 1 ? String(place.attempts) : null],
    ['looked at again', place.due_at === null ? null : showTime(place.due_at, zone)],
    [
      'disproved',
      place.disproved === 0 || place.disproved_at === null
        ? null
        : words.disproved(String(place.disproved), showTime(place.disproved_at, zone)),
    ],
    ['gone', place.gone_at === null ? null : `${words.gone} ${showTime(place.gone_at, zone)}`],
  ];
  return {
    title: `on ${place.nas_name}, ${name}: ${place.state}. ${stateNotes[place.state] ?? ''}`.trim(),
    lines: lines.flatMap(([title, value]) => (value === null ? [] : [`${title}: ${value}`])),
  };
}

/** `walled garden lifted 2026-11-22 14:02:07, bras1 confirmed after 12 ms` */
export function commandLine(row: CommandRow, zone: string): string {
  const { command, answer } = enforcementEnglish;
  const tookMs =
    row.sent_at === null || row.answered_at === null ? null : row.answered_at.getTime() - row.sent_at.getTime();
  const after = tookMs === null ? 'no time' : `${String(tookMs)} ms`;
  return `${command(row)} ${showTime(row.sent_at ?? row.at, zone)}, ${answer(row, after)}`;
}

function stateText(state: ServiceState): string {
  return state.present ? presentText(state) : enforcementEnglish.text.absent;
}

function presentText(state: PresentService): string {
  const { text: words } = enforcementEnglish;
  const limits = [
    ...(state.blocked ? [words.blocked] : []),
    ...(state.ownDisabled ? [words.ownDisabled] : []),
    ...(state.redirect ? [words.redirect] : []),
  ];
  const { login, mac, address, framedPrefix, delegatedPrefix } = state.key;
  const key = [login, mac, address, framedPrefix, delegatedPrefix].filter((one) => one !== null && one !== '');
  return [
    limits.length === 0 ? words.served : limits.join(' and '),
    rateText(state.rate),
    ...(state.services.length === 0 ? [] : [`services ${state.services.join(' ')}`]),
    ...(state.authorised ? [] : ['not let in']),
    `as ${key.join(' ')}`,
  ].join(', ');
}

function rateText({ downBps, upBps }: ServiceRate): string {
  const { text: words } = enforcementEnglish;
  if (downBps === null && upBps === null) return words.unlimited;
  const one = (bps: number | null) => (bps === null ? words.unlimited : `${String(bps)} bit/s`);
  return `${words.rateDown(one(downBps))} ${words.rateUp(one(upBps))}`;
}
