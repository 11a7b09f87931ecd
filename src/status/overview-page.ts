/**
 * The first page: how the server fares. Enters: measures, the last hour, the pools. Leaves: numbers, small charts, markup. Invariant: it is made
 * without the database too, for it is looked at most when that is away.
 */
import { html } from 'hono/html';
import type { LeaseCounts } from '../store/lease-queries.js';
import type { NasCounts } from '../store/nas-progress.js';
import type { HeldChanges } from '../store/page-enforcement.js';
import type { PoolStanding } from '../store/page-queries.js';
import { areaChart } from './chart.js';
import { badge, documentOf, sectionOf, tableOf, type Markup, type View } from './layout.js';
import { boundText } from './line-parts.js';
import type { Measure } from './metrics.js';
import { poolTable } from './network-pages.js';
import type { Reading, Series } from './sample-ring.js';
import type { Health } from './health.js';

/** Counters of everything since the start. */
export interface Totals {
  readonly accepts: readonly { readonly state: string; readonly count: number }[];
  readonly rejects: readonly { readonly reason: string; readonly count: number }[];
  readonly discards: readonly { readonly reason: string; readonly count: number }[];
  readonly accounting: readonly { readonly status: string; readonly count: number }[];
  readonly drops: readonly { readonly nas: string; readonly reason: string; readonly count: number }[];
  /** Lease and monitoring events that were not taken, by the way or relay that they came by. */
  readonly notTaken: readonly { readonly way: string; readonly reason: string; readonly count: number }[];
  readonly sessions: number;
  readonly subscribers: number;
  readonly spoolLagRecords: number;
}

export interface Overview {
  readonly health: Health;
  readonly totals: Totals;
  readonly lastHour: Series;
  /** Undefined while the database is away. */
  readonly pools: readonly PoolStanding[] | undefined;
  readonly setAside: number | undefined;
  /** Places on NASes by state; undefined while the database is away. */
  readonly places: NasCounts | undefined;
  /** What the fuse holds; JSON tells what the banner of the page does. */
  readonly held: HeldChanges | undefined;
  /** Undefined while the database is away. */
  readonly leases: LeaseCounts | undefined;
  readonly devices: { readonly down: number; readonly any: boolean } | undefined;
}

/** Reads what the measures of the metrics say, so that page and metrics never differ. */
export function totalsOf(measures: readonly Measure[]): Totals {
  const byName = new Map(measures.map((measure) => [measure.name, measure]));
  const single = (name: string): number => {
    const value = byName.get(name)?.read();
    return typeof value === 'number' ? value : 0;
  };
  const labelled = (name: string): { labels: Readonly<Record<string, string>>; value: number }[] => {
    const value = byName.get(name)?.read() ?? [];
    return typeof value === 'number' ? [] : [...value];
  };
  const descending = (one: { count: number }, other: { count: number }): number => other.count - one.count;
  const access = labelled('access_total').map(({ labels, value }) => ({ ...labels, count: value }) as Access);
  return {
    accepts: access
      .filter((one) => one.outcome === 'accept')
      .map(({ reason, count }) => ({ state: reason, count }))
      .sort(descending),
    rejects: access
      .filter((one) => one.outcome === 'reject')
      .map(({ reason, count }) => ({ reason, count }))
      .sort(descending),
    discards: access
      .filter((one) => one.outcome === 'discard')
      .map(({ reason, count }) => ({ reason, count }))
      .sort(descending),
    accounting: labelled('accounting_total').map(({ labels, value }) => ({
      status: labels['status'] ?? '',
      count: value,
    })),
    drops: labelled('radius_dropped_total')
      .map(({ labels, value }) => ({ nas: labels['nas'] ?? '', reason: labels['reason'] ?? '', count: value }))
      .sort(descending),
    notTaken: notTakenOf(labelled('intake_total'), labelled('dhcp_packets_total')).sort(descending),
    sessions: single('directory_sessions'),
    subscribers: single('directory_subscribers'),
    spoolLagRecords: single('spool_lag_records'),
  };
}

type Counted = readonly { readonly labels: Readonly<Record<string, string>>; readonly value: number }[];

/** What comes of events and packets in ordinary life. */
const ordinary: ReadonlySet<string> = new Set([
  ...['taken', 'in-hand', 'abandoned'],
  ...['commit', 'request', 'expiry', 'release', 'decline'],
  ...['discover', 'offer', 'nak', 'inform', 'other-message', 'repeated', 'not-confirmed'],
]);

function notTakenOf(arrivals: Counted, packets: Counted): { way: string; reason: string; count: number }[] {
  return [...arrivals, ...packets]
    .map(({ labels, value }) => ({
      way: labels['way'] ?? labels['relay'] ?? '',
      reason: labels['outcome'] ?? '',
      count: value,
    }))
    .filter(({ reason, count }) => count > 0 && !ordinary.has(reason));
}

interface Access {
  readonly outcome: string;
  readonly reason: string;
  readonly count: number;
}

/** What the charts are made from. */
export function readingOf(totals: Totals): Reading {
  const sum = (counts: readonly { readonly count: number }[]): number =>
    counts.reduce((total, one) => total + one.count, 0);
  return {
    accepts: sum(totals.accepts),
    rejects: sum(totals.rejects),
    accounting: sum(totals.accounting.filter((one) => one.status !== 'refused')),
    sessions: totals.sessions,
    spoolLagRecords: totals.spoolLagRecords,
  };
}

/** Acct-Status-Type as RFC 2866 §5.1 spells it. */
const accountingNames: Readonly<Record<string, string>> = {
  start: 'Start',
  interim: 'Interim-Update',
  stop: 'Stop',
  on: 'Accounting-On',
  off: 'Accounting-Off',
};

/** Rows of a table of counters; there are no more reasons than this. */
const MAX_COUNTERS = 60;

export function overviewPage(view: View, overview: Overview): Markup {
  const { language, format } = view;
  const { text } = language;
  const { totals, health, lastHour } = overview;
  const reading = readingOf(totals);
  const number = (value: number): string => format.number(value);
  const counters = (
    title: string,
    what: string,
    empty: string,
    rows: readonly { readonly label: string; readonly count: number }[],
  ): Markup =>
    sectionOf(
      title,
      tableOf(
        [
          { title: what, cell: (row) => row.label },
          { title: text.count, number: true, cell: (row) => number(row.count) },
        ],
        rows.slice(0, MAX_COUNTERS),
        empty,
        'small',
      ),
    );
  return documentOf(view, {
    title: text.overview,
    section: 'overview',
    refreshes: true,
    content: [
      html`<p class="health">
        ${health.ready ? badge('good', text.ready) : badge('bad', text.notReady)}
        ${health.problems.map((problem) => badge('bad', problem))}
        ${
          overview.setAside !== undefined &&
          overview.setAside > 0 &&
          html`<a href="/set-aside">${badge('warn', text.unresolved(number(overview.setAside)))}</a>`
        }
        ${
          overview.devices !== undefined &&
          overview.devices.down > 0 &&
          html`<a href="/devices?status=down"
            >${badge('bad', `${language.lines.text.devicesDown}: ${number(overview.devices.down)}`)}</a
          >`
        }
      </p>`,
      html`<div class="figures">
        ${card(view, text.sessionsChart, number(totals.sessions), lastHour.sessions, 'number')}
        ${card(view, text.acceptsChart, number(reading.accepts), lastHour.acceptsPerSecond, 'rate')}
        ${card(view, text.rejectsChart, number(reading.rejects), lastHour.rejectsPerSecond, 'rate')}
        ${card(view, text.accountingChart, number(reading.accounting), lastHour.accountingPerSecond, 'rate')}
        ${card(view, text.lagChart, number(totals.spoolLagRecords), lastHour.spoolLagRecords, 'number')}
        <div class="card">
          <h2>${text.subscribersInMemory}</h2>
          <p class="figure">${number(totals.subscribers)}</p>
        </div>
      </div>`,
      html`<div class="columns">
        ${counters(
          text.rejectsByReason,
          text.reason,
          text.noRejects,
          totals.rejects.map(({ reason, count }) => ({ label: language.reason(reason), count })),
        )}
        ${counters(
          text.drops,
          text.reason,
          text.noDrops,
          totals.drops
            .map(({ nas, reason, count }) => ({ label: `${nas}: ${reason}`, count }))
            .concat(totals.discards.map(({ reason, count }) => ({ label: language.reason(reason), count }))),
        )}
        ${counters(
          text.accounting,
          text.accountingStatus,
          text.none,
          totals.accounting
            .filter(({ count }) => count > 0)
            .map(({ status, count }) => ({ label: accountingNames[status] ?? status, count })),
        )}
        ${counters(
          language.enforcement.text.enforcementByState,
          text.state,
          language.enforcement.text.noPlacesYet,
          Object.entries(overview.places ?? {})
            .map(([state, count]) => ({ label: language.enforcement.stateNames[state] ?? state, count }))
            .sort((one, other) => other.count - one.count),
        )}
        ${lineSummary(view, overview)}
      </div>`,
      overview.pools === undefined
        ? html`<p class="empty">${text.databaseAway}</p>`
        : sectionOf(text.pools, poolTable(view, overview.pools)),
    ],
  });
}

/** Leases and devices, where there are any. */
function lineSummary(view: View, { leases, devices }: Overview): Markup {
  const { format } = view;
  const { text: words } = view.language.lines;
  const rows = [
    ...(leases === undefined || (leases.bound === 0 && leases.refused_last_hour === 0)
      ? []
      : [
          { path: '/leases', label: words.leasesBound, count: boundText(view, leases) },
          ...(leases.overdue === null || leases.overdue === 0
            ? []
            : [{ path: '/leases', label: words.leasesOverdue, count: format.number(leases.overdue) }]),
          { path: '/leases/refused', label: words.refusedLastHour, count: format.number(leases.refused_last_hour) },
        ]),
    ...(devices?.any === true
      ? [{ path: '/devices?status=down', label: words.devicesDown, count: format.number(devices.down) }]
      : []),
  ];
  if (rows.length === 0) return html``;
  return sectionOf(
    words.summary,
    tableOf(
      [
        { title: '', cell: ({ path, label }) => html`<a href="${path}">${label}</a>` },
        { title: view.language.text.count, number: true, cell: ({ count }) => count },
      ],
      rows,
      '',
      'small',
    ),
  );
}

function card(view: View, title: string, total: string, values: readonly number[], kind: 'rate' | 'number'): Markup {
  const { text } = view.language;
  const { format } = view;
  const show = (value: number): string => (kind === 'rate' ? format.rate(value) : format.number(value));
  const last = values.at(-1);
  const isRate = kind === 'rate';
  const figure = isRate && last !== undefined ? text.perSecond(show(last)) : isRate ? '' : total;
  const range =
    values.length < 2 ? text.chartEmpty : text.chartRange(show(Math.min(...values)), show(Math.max(...values)));
  return html`<div class="card">
    <h2>${title}</h2>
    <p class="figure">${figure}</p>
    ${areaChart(values, `${title}: ${range}`)}
    <p class="note">${values.length < 2 ? text.chartEmpty : `${text.lastHour}, ${range}`}</p>
    ${isRate && html`<p class="note">${text.fromStart}: ${total}</p>`}
  </div>`;
}
