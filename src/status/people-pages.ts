/**
 * Search, and one subscriber. Enters: rows and a standing. Leaves: markup. Invariants: the sentence comes first; every flag has its author; what a
 * subscriber or a NAS wrote is shown as text.
 */
import { html } from 'hono/html';
import type { Exception, Standing } from '../domain/standing.js';
import { terminateCauseName } from '../domain/terminate-cause.js';
import type { CommandRow } from '../store/command-history.js';
import type { PlaceRow } from '../store/page-enforcement.js';
import type { FoundDevice } from '../store/device-search.js';
import type { HeldAddress, ListedSession } from '../store/page-queries.js';
import type { FoundPerson, PersonRow } from '../store/people-search.js';
import type { SessionRow } from '../store/session-queries.js';
import type { ExplainedFlag } from '../store/subscriber-flags.js';
import type { LineKnowledge } from '../store/subscriber-line.js';
import {
  ownBlockNext,
  type AccessAttemptRow,
  type PeriodRow,
  type SubscriberEventRow,
} from '../store/subscriber-queries.js';
import { commandTable, lastRun, placeBlocks, runSentence } from './enforcement-parts.js';
import {
  badge,
  documentOf,
  factList,
  sectionOf,
  subscriberLink,
  tableOf,
  timeOf,
  type Column,
  type Markup,
  type View,
} from './layout.js';
import { foundDeviceTable, leaseTable, lineFacts, refusalTable } from './line-parts.js';
import { addressesOf, sessionColumns } from './network-pages.js';

export interface SearchShown {
  readonly search: string;
  readonly people: readonly FoundPerson[];
  readonly more: boolean;
  readonly devices: readonly FoundDevice[];
  readonly attempts: readonly AccessAttemptRow[];
}

export function searchPage(view: View, shown: SearchShown): Markup {
  const { text } = view.language;
  if (shown.search === '') {
    return documentOf(view, {
      title: text.subscribers,
      section: 'subscribers',
      content: html`<p class="empty">${text.searchHelp}</p>`,
    });
  }
  return documentOf(view, {
    title: text.subscribers,
    section: 'subscribers',
    search: shown.search,
    content: [
      sectionOf(text.results, [
        tableOf<FoundPerson>(
          [
            { title: text.login, cell: (row) => subscriberLink(row.id, row.login) },
            { title: text.contract, cell: (row) => row.contract },
            { title: text.name, cell: (row) => row.name },
            { title: text.phone, cell: (row) => row.phone },
            { title: text.street, cell: (row) => row.address },
            { title: text.plan, cell: (row) => row.plan },
            { title: text.state, cell: (row) => stateBadges(view, row) },
          ],
          shown.people,
          text.nothingFound,
        ),
        shown.people.length === 0 ? html`<p class="note">${text.searchHelp}</p>` : html``,
        shown.more ? html`<p class="note">${text.more}</p>` : html``,
      ]),
      shown.devices.length === 0
        ? html``
        : sectionOf(view.language.lines.text.foundDevices, foundDeviceTable(view, shown.devices)),
      sectionOf(text.attemptsOfNobody, attemptTable(view, shown.attempts)),
    ],
  });
}

function stateBadges(view: View, row: PersonRow): Markup {
  const { text, flagNames } = view.language;
  const set = (flag: string): Markup => badge('bad', flagNames[flag] ?? flag);
  return html`${row.logged ? badge('good', text.online) : badge('quiet', text.offline)} ${row.deleted && set('deleted')}
  ${row.admin_blocked && set('admin_blocked')} ${row.account_admin_blocked && set('account.admin_blocked')}
  ${row.own_disabled && set('own_disabled')} ${row.redirect && set('redirect')}`;
}

function attemptTable(view: View, rows: readonly AccessAttemptRow[]): Markup {
  const { text, outcomes, reason, state } = view.language;
  const { format } = view;
  return tableOf<AccessAttemptRow>(
    [
      { title: text.when, cell: (row) => timeOf(view, row.at) },
      { title: text.login, cell: (row) => row.login },
      { title: text.mac, cell: (row) => row.mac },
      { title: text.nas, cell: (row) => row.nas_name },
      { title: text.port, cell: (row) => row.nas_port_id },
      {
        title: text.answer,
        cell: (row) => badge(row.outcome === 'accept' ? 'good' : 'bad', outcomes[row.outcome] ?? row.outcome),
      },
      {
        title: text.why,
        cell: (row) => {
          // The reason of an Accept is the state that it was made in.
          const why = row.outcome === 'accept' ? state(row.reason) : reason(row.reason);
          return row.repeats > 1 ? `${why} (${text.times(format.number(row.repeats))})` : why;
        },
      },
      { title: text.ip, cell: (row) => row.address },
    ],
    rows,
    text.noAttempts,
  );
}

export interface SubscriberShown extends LineKnowledge {
  readonly person: PersonRow;
  readonly standing: Standing;
  readonly flags: readonly ExplainedFlag[];
  readonly events: readonly SubscriberEventRow[];
  readonly sessions: readonly ListedSession[];
  readonly ended: readonly SessionRow[];
  readonly attempts: readonly AccessAttemptRow[];
  /** `2026-11-02`, when one day was asked for. */
  readonly day: string | undefined;
  readonly addresses: readonly HeldAddress[];
  readonly periods: readonly PeriodRow[];
  readonly places: readonly PlaceRow[];
  readonly commands: readonly CommandRow[];
}

/** The flag whose own reason explains a refusal. */
const flagsBehind: Readonly<Record<string, readonly string[]>> = {
  deleted: ['deleted'],
  'admin-blocked': ['admin_blocked', 'account.admin_blocked'],
  admin_blocked: ['admin_blocked', 'account.admin_blocked'],
  'own-disabled': ['own_disabled'],
  own_disabled: ['own_disabled'],
  redirect: ['redirect'],
};

function exceptionCode(next: Exception | undefined): string {
  if (next === undefined) return '';
  return 'refused' in next ? next.refused : next.restricted;
}

/** One sentence: why somebody is online or not. */
export function standingSentence(view: View, standing: Standing, flags: readonly ExplainedFlag[]): string {
  const code =
    standing.kind === 'refused'
      ? standing.reason
      : standing.kind === 'restricted'
        ? standing.state
        : standing.kind === 'online'
          ? exceptionCode(standing.next)
          : standing.kind;
  const behind = flagsBehind[code] ?? [];
  const flag = flags.find((one) => one.value && behind.includes(one.flag));
  const parts = [
    flag?.reason ?? '',
    flag?.changed_by ?? '',
    flag?.changed_at ? view.format.instant(flag.changed_at) : '',
  ].filter((part) => part !== '');
  return view.language.sentence(standing, view.format, parts.length === 0 ? undefined : parts.join(', '));
}

export function subscriberPage(view: View, shown: SubscriberShown): Markup {
  const { text } = view.language;
  const { text: words } = view.language.enforcement;
  const { person } = shown;
  const told = runSentence(view, lastRun(shown.commands));
  const kind = shown.standing.kind === 'online' ? (shown.standing.next === undefined ? 'good' : 'warn') : 'bad';
  return documentOf(view, {
    title: person.name ?? person.login,
    section: 'subscribers',
    content: [
      html`<p class="sentence ${kind}">${standingSentence(view, shown.standing, shown.flags)}</p>`,
      told === '' ? html`` : html`<p class="told">${told}</p>`,
      personFacts(view, person, shown.mac_seen),
      lineSection(view, shown),
      sectionOf(text.liveSessions, tableOf(sessionColumns(view, 'one'), shown.sessions, text.noSessions)),
      sectionOf(words.onTheNetwork, placeBlocks(view, shown.places)),
      sectionOf(words.commands, commandTable(view, 'one', shown.commands)),
      sectionOf(text.attempts, attemptTable(view, shown.attempts)),
      sectionOf(text.flags, flagTable(view, shown.flags)),
      sectionOf(text.changes, eventTable(view, shown.events)),
      endedSection(view, shown.ended),
      addressSection(view, shown),
      sectionOf(text.periods, periodTable(view, shown.periods)),
    ],
  });
}

/** Where it is plugged in and what DHCP said; nothing for whom that has no meaning. */
function lineSection(view: View, { line, leases, refusals }: SubscriberShown): Markup {
  const { text: words } = view.language.lines;
  return html`${line === undefined ? '' : sectionOf(words.accessLine, lineFacts(view, line))}
  ${leases.length === 0 ? '' : sectionOf(words.leasesOf, leaseTable(view, 'one', leases, words.noLeases))}
  ${refusals.length === 0 ? '' : sectionOf(words.refusedAround, refusalTable(view, refusals, false))}`;
}

/** The MAC beside the one that it is bound to, marked where that is another. */
function seenMac(view: View, person: PersonRow, seen: string | null): Markup | string | null {
  if (seen === null || person.mac === null || seen === person.mac) return seen;
  return html`${seen} <span class="whole">${badge('warn', view.language.lines.text.macDiffers)}</span>`;
}

function personFacts(view: View, person: PersonRow, macSeen: string | null): Markup {
  const { text } = view.language;
  return factList([
    [text.login, html`${person.login}${billingLink(view, person)}`],
    [text.contract, person.contract],
    [text.phone, person.phone],
    [text.street, person.address],
    [text.plan, person.plan ?? text.none],
    [text.staticAddress, person.static_address],
    [
      text.staticPrefixes,
      [person.static_framed_prefix, person.static_delegated_prefix].filter((prefix) => prefix !== null).join(' ') ||
        null,
    ],
    [text.pool, person.pool],
    [text.mac, person.mac],
    [view.language.lines.text.macSeen, seenMac(view, person, macSeen)],
    [text.boundTo, boundTo(person)],
    [text.ownBlock, ownBlockText(view, person)],
    [text.created, timeOf(view, person.created_at)],
  ]);
}

function ownBlockText({ language, format }: View, person: PersonRow): string | null {
  const next = ownBlockNext(person);
  if (next.kind === 'none') return null;
  const at = format.instant(next.at);
  return next.kind === 'ends' ? language.text.ownBlockEnds(at) : language.text.ownBlockFrom(at);
}

function boundTo(person: PersonRow): string {
  return [
    person.nas_name ?? '',
    person.associate_pppoe_mac ? (person.mac ?? 'MAC') : '',
    person.associate_vpn_ip ? (person.static_address ?? 'IP') : '',
  ]
    .filter((one) => one !== '')
    .join(', ');
}

function billingLink(view: View, person: PersonRow): Markup {
  if (view.billingUrl === undefined) return html``;
  const url = view.billingUrl
    .replaceAll('{login}', () => encodeURIComponent(person.login))
    .replaceAll('{contract}', () => encodeURIComponent(person.contract))
    .replaceAll('{id}', () => String(person.id));
  return html` (<a href="${url}" rel="noreferrer">${view.language.text.inBilling}</a>)`;
}

function flagTable(view: View, flags: readonly ExplainedFlag[]): Markup {
  const { text, flagNames } = view.language;
  return tableOf<ExplainedFlag>(
    [
      { title: text.flag, cell: (row) => flagNames[row.flag] ?? row.flag },
      { title: text.value, cell: (row) => (row.value ? badge('bad', text.yes) : badge('quiet', text.no)) },
      { title: text.reason, cell: (row) => row.reason },
      { title: text.changedBy, cell: (row) => row.changed_by },
      { title: text.when, cell: (row) => timeOf(view, row.changed_at) },
    ],
    // Whether somebody ever was under a flag is news; that nobody touched it is none.
    flags.filter((flag) => flag.value || flag.changed_at !== null),
    text.noFlags,
  );
}

function eventTable(view: View, events: readonly SubscriberEventRow[]): Markup {
  const { text, flagNames } = view.language;
  return tableOf<SubscriberEventRow>(
    [
      { title: text.when, cell: (row) => timeOf(view, row.at) },
      { title: text.flag, cell: (row) => flagNames[row.field] ?? row.field },
      { title: text.change, cell: (row) => `${row.old_value ?? '–'} → ${row.new_value ?? '–'}` },
      { title: text.reason, cell: (row) => row.reason },
      { title: text.changedBy, cell: (row) => row.changed_by },
    ],
    events,
    text.noChanges,
  );
}

/** Why a session ended, as the NAS or we said it. */
export function endCauseText(view: View, row: SessionRow): string {
  const ours = row.end_cause === null ? '' : (view.language.endCauses[row.end_cause] ?? row.end_cause);
  return row.terminate_cause === null ? ours : `${terminateCauseName(row.terminate_cause)} (${ours})`;
}

function endedSection(view: View, ended: readonly SessionRow[]): Markup {
  const { text } = view.language;
  const { format } = view;
  const causes = new Map<string, number>();
  for (const row of ended) causes.set(endCauseText(view, row), (causes.get(endCauseText(view, row)) ?? 0) + 1);
  const summary = [...causes].sort((one, other) => other[1] - one[1]);
  const columns: Column<SessionRow>[] = [
    { title: text.ended, cell: (row) => timeOf(view, row.ended_at) },
    { title: text.cause, cell: (row) => endCauseText(view, row) },
    { title: text.nas, cell: (row) => row.nas_name },
    { title: text.ip, cell: addressesOf },
    { title: text.mac, cell: (row) => row.mac },
    { title: text.duration, number: true, cell: (row) => format.duration(row.session_seconds) },
    { title: text.input, number: true, cell: (row) => format.octets(row.input_octets) },
    { title: text.output, number: true, cell: (row) => format.octets(row.output_octets) },
  ];
  return sectionOf(text.endedLastDay, [
    html`<p>${summary.map(([cause, count]) => badge('quiet', `${String(count)} × ${cause}`))}</p>`,
    tableOf(columns, ended, text.noEnded),
  ]);
}

function addressSection(view: View, shown: SubscriberShown): Markup {
  const { text } = view.language;
  const today = view.format.day(new Date(view.nowMs));
  return html`<section id="addresses">
    <h2>${text.addresses}${shown.day === undefined ? ` ${text.lastDays}` : ` · ${shown.day}`}</h2>
    <form class="day" action="/subscribers/${shown.person.id}#addresses" method="get">
      <label>${text.onDay} <input type="date" name="date" value="${shown.day ?? ''}" max="${today}" /></label>
      <button>${text.show}</button>
    </form>
    ${tableOf<HeldAddress>(
      [
        { title: text.ip, cell: (row) => row.address },
        { title: text.since, cell: (row) => timeOf(view, row.started_at) },
        {
          title: text.until,
          cell: (row) => (row.ended_at === null ? badge('good', text.stillInUse) : timeOf(view, row.ended_at)),
        },
        { title: text.nas, cell: (row) => row.nas_name },
        { title: text.mac, cell: (row) => row.mac },
        {
          title: text.cause,
          cell: (row) => (row.end_cause === null ? '' : (view.language.endCauses[row.end_cause] ?? row.end_cause)),
        },
      ],
      shown.addresses,
      text.noAddresses,
    )}
  </section>`;
}

function periodTable(view: View, periods: readonly PeriodRow[]): Markup {
  const { text } = view.language;
  const { format } = view;
  return tableOf<PeriodRow>(
    [
      { title: text.since, cell: (row) => timeOf(view, row.opened_at) },
      {
        title: text.until,
        cell: (row) => (row.closed_at === null ? badge('good', text.open) : timeOf(view, row.closed_at)),
      },
      { title: text.plan, cell: (row) => row.plan },
      { title: text.input, number: true, cell: (row) => format.octets(row.input_octets) },
      { title: text.output, number: true, cell: (row) => format.octets(row.output_octets) },
      { title: text.duration, number: true, cell: (row) => format.duration(row.session_seconds) },
      { title: text.reason, cell: (row) => row.close_reason },
    ],
    periods,
    text.noPeriods,
  );
}
