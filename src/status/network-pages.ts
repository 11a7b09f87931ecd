/**
 * Sessions, pools and what was set aside. Enters: rows. Leaves: markup. Invariant: what a device said is shown as text and never anything else.
 */
import { html } from 'hono/html';
import type { ListedSession, PoolStanding } from '../store/page-queries.js';
import type { SetAsideRow } from '../store/set-aside.js';
import { shareBar } from './chart.js';
import {
  badge,
  documentOf,
  sectionOf,
  subscriberLink,
  tableOf,
  timeOf,
  type Column,
  type Markup,
  type View,
} from './layout.js';

/** Columns of live sessions. @param whose whether the login and its NAS stand in front */
export function sessionColumns(view: View, whose: 'everybody' | 'one'): Column<ListedSession>[] {
  const { text } = view.language;
  const { format } = view;
  return [
    ...(whose === 'everybody'
      ? [{ title: text.login, cell: (row: ListedSession) => subscriberLink(row.subscriber_id, row.login) }]
      : []),
    { title: text.nas, cell: (row) => nasLink(row.nas_name, row.nas_box) },
    { title: text.ip, cell: (row) => addressesOf(row) },
    { title: text.mac, cell: (row) => row.mac },
    {
      title: text.since,
      cell: (row) => html`${row.started_exactly ? '' : '≈ '}${timeOf(view, row.started_at)}`,
    },
    { title: text.duration, number: true, cell: (row) => format.duration(row.session_seconds) },
    { title: text.input, number: true, cell: (row) => format.octets(row.input_octets) },
    { title: text.output, number: true, cell: (row) => format.octets(row.output_octets) },
    {
      title: text.remark,
      cell: (row) => {
        const remarks = [
          row.suspect ? badge('warn', text.suspect) : undefined,
          row.conflict === null ? undefined : badge('bad', row.conflict),
        ].filter((one) => one !== undefined);
        return remarks.length === 0 ? '' : html`${remarks}`;
      },
    },
  ];
}

/** IPv4 and prefixes, one below the other. */
export function addressesOf(
  row: Pick<ListedSession, 'address' | 'framed_prefix' | 'delegated_prefix'>,
): Markup | string {
  const all = [row.address, row.framed_prefix, row.delegated_prefix].filter((one) => one !== null);
  return all.length > 1 ? html`${all.map((one, at) => html`${at === 0 ? '' : html`<br />`}${one}`)}` : (all[0] ?? '');
}

function nasLink(name: string, box: string): Markup {
  return html`<a href="/sessions?nas=${encodeURIComponent(name)}">${name}</a>${box === name ? '' : ` (${box})`}`;
}

export interface SessionsShown {
  readonly nas: string | undefined;
  readonly rows: readonly ListedSession[];
  /** Whether there are more than are shown. */
  readonly more: boolean;
}

export function sessionsPage(view: View, shown: SessionsShown): Markup {
  const { text } = view.language;
  const last = shown.rows.at(-1);
  return documentOf(view, {
    title: shown.nas === undefined ? text.sessions : `${text.sessions}: ${shown.nas}`,
    section: 'sessions',
    content: [
      tableOf(sessionColumns(view, 'everybody'), shown.rows, text.noSessions),
      shown.more && last !== undefined
        ? shown.nas === undefined
          ? html`<p><a class="next" href="/sessions?before=${last.id}">${text.older}</a></p>`
          : html`<p class="note">${text.moreRows}</p>`
        : html``,
    ],
  });
}

/** Pools with the state of their addresses. */
export function poolTable(view: View, rows: readonly PoolStanding[]): Markup {
  const { text } = view.language;
  const { format } = view;
  const states = [
    ['assigned', text.poolAssigned],
    ['offered', text.poolOffered],
    ['quarantined', text.poolQuarantined],
    ['reserved', text.poolReserved],
    ['free', text.poolFree],
  ] as const;
  return tableOf<PoolStanding>(
    [
      { title: text.pool, cell: (row) => row.name },
      {
        title: text.networks,
        cell: (row) =>
          row.kind === 'ipv4' ? row.networks.join(' ') : `${row.networks.join(' ')} → /${String(row.prefix_length)}`,
      },
      ...states.map(([state, title]) => ({
        title,
        number: true,
        cell: (row: PoolStanding) => html`<i class="key ${state}"></i>${format.number(row[state])}`,
      })),
      {
        title: '',
        cell: (row) =>
          shareBar(
            states.map(([state]) => ({ kind: state, value: row[state] })),
            states.map(([state, title]) => `${title}: ${String(row[state])}`).join(', '),
          ),
      },
    ],
    rows,
    text.noPools,
  );
}

export function poolsPage(view: View, rows: readonly PoolStanding[]): Markup {
  const { text } = view.language;
  return documentOf(view, { title: text.pools, section: 'pools', refreshes: true, content: poolTable(view, rows) });
}

export function setAsidePage(view: View, rows: readonly SetAsideRow[]): Markup {
  const { text } = view.language;
  return documentOf(view, {
    title: text.setAside,
    section: 'setAside',
    content: [
      sectionOf(
        text.setAside,
        tableOf<SetAsideRow>(
          [
            { title: 'id', number: true, cell: (row) => row.id },
            { title: text.when, cell: (row) => timeOf(view, row.at) },
            { title: text.nas, cell: (row) => row.nas_name },
            { title: text.reason, cell: (row) => row.reason },
            { title: text.detail, cell: (row) => row.detail },
            { title: text.octets, number: true, cell: (row) => row.octets },
            { title: text.instance, cell: (row) => row.instance },
          ],
          rows,
          text.nothingSetAside,
        ),
      ),
    ],
  });
}
