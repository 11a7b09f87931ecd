/**
 * NASes: how they are heard, and how far each is with what is desired of it. Enters: rows. Leaves: markup. Invariant: what a device said is shown as
 * text and never anything else.
 */
import { html } from 'hono/html';
import type { CommandRow } from '../store/command-history.js';
import type { NasStanding, PlaceRow } from '../store/page-enforcement.js';
import type { NasRow } from '../store/page-queries.js';
import { commandTable, countBadges, placeTable } from './enforcement-parts.js';
import { badge, documentOf, factList, sectionOf, tableOf, timeOf, type Markup, type View } from './layout.js';

/** A NAS with what only this process knows of it. */
export interface NasShown extends NasRow {
  readonly sessions: number;
  readonly drops: readonly { readonly reason: string; readonly count: number }[];
  /** Undefined: nothing is known of commanding it. */
  readonly standing: NasStanding | undefined;
}

/** A NAS that said nothing for this long is shown as silent, ms: three usual interim intervals. */
const SILENT_AFTER_MS = 900_000;
/** In reports: a server did it by itself, at night. */
const BY_ITSELF = 'nightly';
/** Owners write what people see twice a minute; one that missed four of those is told of, ms. */
const OWNER_SILENT_AFTER_MS = 120_000;

export function nasPage(view: View, rows: readonly NasShown[]): Markup {
  const { text } = view.language;
  const { text: words } = view.language.enforcement;
  return documentOf(view, {
    title: text.nases,
    section: 'nases',
    refreshes: true,
    content: tableOf<NasShown>(
      [
        { title: text.nas, cell: (row) => html`<a href="${nasPath(row.name)}">${row.name}</a>` },
        { title: text.profile, cell: (row) => row.profile },
        { title: text.sessions, number: true, cell: (row) => sessionsLink(view, row) },
        { title: text.lastPacket, cell: (row) => heard(view, row.last_packet_at) },
        { title: words.places, cell: (row) => placesOf(view, row) },
        { title: words.breaker, cell: (row) => breakerOf(view, row.standing) },
        { title: words.converging, cell: (row) => convergingOf(view, row.standing) },
        { title: words.lastError, cell: (row) => lastErrorOf(view, row.standing) },
        // Most kinds of NAS cannot list what they have.
        ...(rows.some((row) => row.standing?.compared != null)
          ? [{ title: words.compared, cell: (row: NasShown) => comparedOf(view, row.standing) }]
          : []),
        { title: words.owner, cell: (row) => ownerOf(view, row.standing) },
        // Most never drop anything, and the table is wide as it is.
        ...(rows.some((row) => row.drops.length > 0)
          ? [{ title: text.drops, cell: (row: NasShown) => dropsOf(view, row) }]
          : []),
      ],
      rows,
      text.noNas,
    ),
  });
}

export interface OneNasShown {
  readonly nas: NasShown;
  /** Those that are not as desired, the first of them. */
  readonly unsettled: readonly PlaceRow[];
  readonly commands: readonly CommandRow[];
}

/** One NAS with its last commands and what is not as desired. */
export function oneNasPage(view: View, { nas, unsettled, commands }: OneNasShown): Markup {
  const { text } = view.language;
  const { text: words } = view.language.enforcement;
  const { format } = view;
  const { standing } = nas;
  return documentOf(view, {
    title: nas.name,
    section: 'nases',
    refreshes: true,
    content: [
      factList([
        [text.profile, nas.profile],
        [text.sessions, sessionsLink(view, nas)],
        [text.lastPacket, heard(view, nas.last_packet_at)],
        [text.lastAccounting, timeOf(view, nas.last_accounting_at)],
        [text.interim, nas.interim_seconds === null ? null : format.duration(nas.interim_seconds)],
        [words.places, placesOf(view, nas)],
        [words.breaker, breakerOf(view, standing)],
        [words.converging, convergingOf(view, standing)],
        [words.waiting, standing === undefined || standing.place === null ? null : format.number(standing.waiting)],
        [words.inFlight, standing === undefined || standing.place === null ? null : format.number(standing.in_flight)],
        [words.owner, ownerOf(view, standing)],
        [words.lastError, lastErrorOf(view, standing)],
        [words.compared, standing?.compared == null ? null : comparedOf(view, standing)],
        [text.drops, nas.drops.length === 0 ? null : dropsOf(view, nas)],
      ]),
      sectionOf(words.unsettled, placeTable(view, unsettled)),
      sectionOf(words.commands, commandTable(view, 'everybody', commands)),
    ],
  });
}

function nasPath(name: string): string {
  return `/nas/${encodeURIComponent(name)}`;
}

function dropsOf(view: View, { drops }: NasShown): Markup {
  return html`${drops.map(({ reason, count }) => badge('warn', `${reason}: ${view.format.number(count)}`))}`;
}

function sessionsLink(view: View, row: NasShown): Markup {
  return html`<a href="/sessions?nas=${encodeURIComponent(row.name)}">${view.format.number(row.sessions)}</a>`;
}

function heard(view: View, at: Date | null): Markup {
  if (at === null) return badge('quiet', view.language.text.never);
  const isSilent = view.nowMs - at.getTime() > SILENT_AFTER_MS;
  return html`${timeOf(view, at)} ${badge(isSilent ? 'warn' : 'good', view.format.ago(at))}`;
}

function placesOf(view: View, { standing }: NasShown): Markup | string {
  const { text: words } = view.language.enforcement;
  if (standing === undefined) return '';
  const counts = countBadges(view, standing.counts);
  if (standing.place === null) return html`<span class="note">${words.notCommanded}</span> ${counts}`;
  return standing.mode === 'observe' ? html`${badge('warn', words.observed)} ${counts}` : counts;
}

function breakerOf(view: View, standing: NasStanding | undefined): Markup | string {
  if (standing === undefined || standing.breaker === null || standing.place === null || standing.mode === 'observe')
    return '';
  const { breakerNames } = view.language.enforcement;
  const { breaker, breaker_reason: reason } = standing;
  const kind = breaker === 'closed' ? (reason === null ? 'good' : 'warn') : breaker === 'open' ? 'bad' : 'warn';
  return html`<span class="whole">${badge(kind, breakerNames[breaker] ?? breaker)}</span> ${reason ?? ''}`;
}

function convergingOf(view: View, standing: NasStanding | undefined): Markup | string {
  if (standing === undefined || standing.owner === null || standing.place === null || standing.mode === 'observe')
    return '';
  const { converge_seconds: seconds, breaker } = standing;
  if (seconds !== null) return view.format.duration(seconds);
  return breaker === 'closed' ? '' : view.language.enforcement.text.convergeUnknown;
}

function ownerOf(view: View, standing: NasStanding | undefined): Markup | string {
  const { text: words } = view.language.enforcement;
  if (standing === undefined || standing.place === null) return '';
  if (standing.owner === null || standing.owner_released_at !== null) return badge('warn', words.nobodyCommands);
  const isSilent = view.nowMs - (standing.owner_seen_at?.getTime() ?? 0) > OWNER_SILENT_AFTER_MS;
  return html`${standing.owner} ${isSilent ? badge('warn', words.ownerSilent) : ''}`;
}

function lastErrorOf(view: View, standing: NasStanding | undefined): Markup | string {
  if (standing === undefined || standing.last_error_at === null) return '';
  const { outcomeNames } = view.language.enforcement;
  const outcome = standing.last_error_outcome ?? '';
  return html`${timeOf(view, standing.last_error_at)} ${standing.last_error_command ?? ''}:
  ${standing.last_error === null || standing.last_error === '' ? (outcomeNames[outcome] ?? outcome) : standing.last_error}`;
}

/** The last comparison with what the NAS lists: when, by whom, what differed, and whether that is being mended. */
function comparedOf(view: View, standing: NasStanding | undefined): Markup | string {
  const compared = standing?.compared;
  if (compared == null) return '';
  const { format } = view;
  const { text: words, findingNames } = view.language.enforcement;
  const at = format.instant(new Date(compared.at));
  const when = compared.by === BY_ITSELF ? words.comparedAtNight(at) : words.comparedBy(at, compared.by);
  const dry = compared.dry_run ? badge('quiet', words.comparedDry) : '';
  if (compared.error !== null) return html`${when} ${dry} ${badge('bad', compared.error)}`;
  const found = Object.entries(compared.counts).flatMap(([kind, count]) =>
    count === 0 ? [] : [badge('warn', `${findingNames[kind] ?? kind}: ${format.number(count)}`)],
  );
  const done = [
    words.listedOf(format.number(compared.listed), format.number(compared.wanted)),
    ...(compared.mended === 0 ? [] : [words.mended(format.number(compared.mended))]),
    ...(compared.beyond_limit === 0 ? [] : [words.beyondLimit(format.number(compared.beyond_limit))]),
  ];
  return html`${when} ${dry} ${found.length === 0 ? badge('good', words.nothingDiffers) : found}
    <span class="note">${done.join(', ')}</span>`;
}
