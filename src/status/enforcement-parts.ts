/**
 * Places and commands, as parts of pages. Enters: rows. Leaves: markup. Invariants: what is desired stands beside what is known, with its evidence; what
 * was only tried is never shown as done; what a NAS printed is shown as text.
 */
import { html } from 'hono/html';
import type { PresentService, ServiceRate, ServiceState } from '../domain/service-state.js';
import type { CommandRow } from '../store/command-history.js';
import type { NasCounts } from '../store/nas-progress.js';
import type { PlaceRow } from '../store/page-enforcement.js';
import { badge, subscriberLink, tableOf, timeOf, type Column, type Markup, type View } from './layout.js';

type BadgeKind = Parameters<typeof badge>[0];

const stateKinds: Readonly<Record<string, BadgeKind>> = {
  new: 'quiet',
  converged: 'good',
  pending: 'warn',
  parked: 'bad',
  held: 'bad',
  observed: 'quiet',
};
const outcomeKinds: Readonly<Record<string, BadgeKind>> = { applied: 'good', 'session-gone': 'warn', later: 'warn' };

/** What was sent is for whoever compares it with the NAS; JSON has all of it. Characters. */
const SHOWN_SENT = 240;

/** How many places are in which state. */
export function countBadges(view: View, counts: NasCounts): Markup {
  const { stateNames } = view.language.enforcement;
  const shown = Object.keys(stateNames).flatMap((state) => {
    const count = counts[state as keyof NasCounts] ?? 0;
    return count === 0
      ? []
      : [badge(stateKinds[state] ?? 'quiet', `${view.format.number(count)} ${stateNames[state] ?? state}`)];
  });
  return html`<span class="whole">${shown}</span>`;
}

/** The state of one place. */
export function placeBadge(view: View, state: string): Markup {
  const name = view.language.enforcement.stateNames[state];
  return name === undefined
    ? badge('quiet', state)
    : html`<span class="whole">${badge(stateKinds[state] ?? 'quiet', name)}</span>`;
}

/** How long a NAS took to answer, as people read it. */
function answeredAfter(view: Pick<View, 'format'>, row: CommandRow): string {
  if (row.sent_at === null || row.answered_at === null) return '–';
  return view.format.elapsed(row.answered_at.getTime() - row.sent_at.getTime());
}

/** `walled garden lifted 14:02:07, bras1 confirmed after 12 ms` */
export function commandSentence(view: Pick<View, 'format' | 'language'>, row: CommandRow): string {
  return runSentence(view, [row]);
}

/** The same of all commands that were sent as one. @param rows the newest first; the last is what the others had to wait for */
export function runSentence(view: Pick<View, 'format' | 'language'>, rows: readonly CommandRow[]): string {
  const { command, answer } = view.language.enforcement;
  const [row] = rows;
  if (row === undefined) return '';
  const what = rows.map((one) => command(one)).reverse();
  const at = view.format.clock(row.sent_at ?? row.at);
  return `${[...new Set(what)].join(', ')} ${at}, ${answer(row, answeredAfter(view, row))}`;
}

/** The commands of the last run that had the same answer. @param rows the newest first */
export function lastRun(rows: readonly CommandRow[]): readonly CommandRow[] {
  const last = rows[0];
  return rows.filter(
    (row) =>
      row.nas_name === last?.nas_name &&
      row.outcome === last.outcome &&
      row.planned_at.getTime() === last.planned_at.getTime() &&
      row.answered_at?.getTime() === last.answered_at?.getTime(),
  );
}

/** Commands with their answers. @param whose whether the login stands in front */
export function commandTable(view: View, whose: 'everybody' | 'one', rows: readonly CommandRow[]): Markup {
  const { language, format } = view;
  const { text: words, commandNames, command, answer } = language.enforcement;
  const isOurs = (name: string): boolean => Object.hasOwn(commandNames, name);
  const drivers: Readonly<Record<string, string>> = { coa: 'CoA', ssh: 'SSH', exec: 'exec' };
  const how = (row: CommandRow): string =>
    [drivers[row.driver ?? ''] ?? row.driver ?? '', row.attempts > 1 ? words.tries(format.number(row.attempts)) : '']
      .filter((part) => part !== '')
      .join(', ');
  return tableOf<CommandRow>(
    [
      { title: language.text.when, cell: (row) => timeOf(view, row.sent_at ?? row.at) },
      ...(whose === 'everybody'
        ? [{ title: language.text.login, cell: (row: CommandRow) => subscriberLink(row.subscriber_id, row.login) }]
        : []),
      {
        title: words.what,
        cell: (row) =>
          html`${command(row)} <span class="code${isOurs(row.command) ? ' whole' : ''}">${row.command}</span>`,
      },
      {
        title: language.text.answer,
        cell: (row) => badge(outcomeKinds[row.outcome] ?? 'bad', answer(row, answeredAfter(view, row))),
      },
      { title: words.how, cell: how },
      { title: words.sent, cell: (row) => html`<span class="code sent">${shortened(row.sent)}</span>` },
    ],
    rows,
    words.noCommands,
  );
}

function shortened(sent: string): string {
  const text = Array.from(sent.slice(0, 2 * SHOWN_SENT));
  return text.length > SHOWN_SENT || sent.length > 2 * SHOWN_SENT ? `${text.slice(0, SHOWN_SENT).join('')}…` : sent;
}

/** What is desired beside what is known, one block for each place. */
export function placeBlocks(view: View, rows: readonly PlaceRow[]): Markup {
  const { text: words } = view.language.enforcement;
  if (rows.length === 0) return html`<p class="empty">${words.noPlaces}</p>`;
  return html`${rows.map(
    (row) =>
      html`<div class="place">
        <p>
          <b><a href="/nas/${encodeURIComponent(row.nas_name)}">${row.nas_name}</a></b>
          ${placeName(view, row)} ${placeBadge(view, row.state)}
          <span class="note">${view.language.enforcement.stateNotes[row.state] ?? ''}</span>
        </p>
        ${comparison(view, row)} ${placeNotes(view, row)}
      </div>`,
  )}`;
}

function placeName(view: View, row: PlaceRow): string {
  const { text: words } = view.language.enforcement;
  if (row.kind !== 'session') return words.entryPlace;
  return row.acct_session_id === null ? words.pastSession : words.sessionPlace(row.acct_session_id);
}

interface Dimension {
  readonly title: string;
  readonly show: (state: PresentService) => string;
}

interface Line {
  readonly title: string;
  readonly desired: string;
  readonly applied: string;
  readonly tried: readonly string[];
}

function comparison(view: View, row: PlaceRow): Markup {
  const { language } = view;
  const { text: words } = language.enforcement;
  const unknown = words.unknown;
  const lines = dimensionsOf(view).map(({ title, show }, index): Line => {
    const shown = (state: ServiceState | null, otherwise: string): string => {
      if (state === null) return otherwise;
      if (state.present) return show(state);
      return index === 0 ? words.absent : '';
    };
    return {
      title,
      desired: shown(row.desired, words.notLookedAt),
      applied: shown(row.applied, unknown),
      tried: [...new Set(row.attempted.map((state) => shown(state, unknown)))].filter((one) => one !== ''),
    };
  });
  const columns: Column<Line>[] = [
    { title: words.what, cell: (line) => line.title },
    { title: words.desired, cell: (line) => line.desired },
    {
      title: words.applied,
      cell: (line) => (line.applied === line.desired ? line.applied : badge('warn', line.applied || '–')),
    },
    ...(row.attempted.length === 0
      ? []
      : [{ title: words.tried, cell: (line: Line) => html`${line.tried.map((one) => badge('quiet', one))}` }]),
  ];
  const told = lines.filter((line) => line.desired !== '' || line.applied !== '' || line.tried.length > 0);
  return tableOf(columns, told, words.unknown);
}

function dimensionsOf(view: View): Dimension[] {
  const { text: words } = view.language.enforcement;
  const { text } = view.language;
  return [
    { title: words.access, show: (state) => accessWords(view, state) },
    { title: words.rate, show: (state) => rateWords(view, state.rate) },
    { title: words.services, show: (state) => (state.services.length === 0 ? text.none : state.services.join(', ')) },
    { title: words.authorised, show: (state) => (state.authorised ? text.yes : text.no) },
    {
      title: words.key,
      show: ({ key }) =>
        [key.login, key.mac, key.address, key.framedPrefix, key.delegatedPrefix]
          .filter((one) => one !== null)
          .join(' · '),
    },
  ];
}

function accessWords(view: View, state: PresentService): string {
  const { text: words } = view.language.enforcement;
  const set = [
    ...(state.blocked ? [words.blocked] : []),
    ...(state.ownDisabled ? [words.ownDisabled] : []),
    ...(state.redirect ? [words.redirect] : []),
  ];
  return set.length === 0 ? words.served : set.join(', ');
}

function rateWords(view: View, { downBps, upBps }: ServiceRate): string {
  const { text: words } = view.language.enforcement;
  if (downBps === null && upBps === null) return words.unlimited;
  const one = (bps: number | null): string => (bps === null ? words.unlimited : view.format.bitRate(bps));
  return `${words.rateDown(one(downBps))}, ${words.rateUp(one(upBps))}`;
}

/** Whence what is applied is known, and what stands in the way. */
function placeNotes(view: View, row: PlaceRow): Markup {
  const { language, format } = view;
  const { text: words, evidenceNames } = language.enforcement;
  const evidence = row.evidence === null ? words.unknown : (evidenceNames[row.evidence] ?? row.evidence);
  const notes: (readonly [string, Markup | string | null])[] = [
    [words.evidence, html`${evidence} ${timeOf(view, row.applied_at)}`],
    [words.tried, row.attempted.length === 0 ? null : timeOf(view, row.attempted_at)],
    [
      words.lastError,
      row.last_error === null
        ? null
        : html`${row.last_error}${row.attempts > 1 ? ` (${words.tries(format.number(row.attempts))})` : ''}`,
    ],
    [
      language.enforcement.stateNames['parked'] ?? '',
      row.parked?.what === 'rate' ? words.parkedRate(rateWords(view, row.parked.rate)) : null,
    ],
    [words.nextLook, row.due_at === null ? null : timeOf(view, row.due_at)],
  ];
  return html`<p class="note">
    ${notes.filter(([, value]) => value !== null).map(([title, value]) => html`<span class="pair">${title}: ${value}</span> `)}
    ${row.disproved === 0 || row.disproved_at === null ? '' : html`<span class="pair">${words.disproved(format.number(row.disproved), format.instant(row.disproved_at))}</span> `}
    ${row.gone_at === null ? '' : html`<span class="pair">${words.gone} ${timeOf(view, row.gone_at)}</span>`}
  </p>`;
}

/** Places in one line each, for lists of many subscribers. */
export function placeTable(view: View, rows: readonly PlaceRow[]): Markup {
  const { language } = view;
  const { text: words } = language.enforcement;
  const access = (state: ServiceState | null): string =>
    state === null
      ? words.unknown
      : state.present
        ? `${accessWords(view, state)}; ${rateWords(view, state.rate)}`
        : words.absent;
  return tableOf<PlaceRow>(
    [
      { title: language.text.login, cell: (row) => subscriberLink(row.subscriber_id, row.login) },
      { title: language.text.state, cell: (row) => placeBadge(view, row.state) },
      { title: words.desired, cell: (row) => (row.desired === null ? words.notLookedAt : access(row.desired)) },
      { title: words.applied, cell: (row) => access(row.applied) },
      { title: words.lastError, cell: (row) => row.last_error },
      { title: words.nextLook, cell: (row) => timeOf(view, row.due_at) },
    ],
    rows,
    words.allSettled,
  );
}
