/**
 * Leases and devices. Enters: rows. Leaves: markup. Invariants: every list says whether it goes on; what a client, a switch or monitoring said is shown as text.
 */
import { html } from 'hono/html';
import type { LeaseCounts, LeaseRow, RefusalRow } from '../store/lease-queries.js';
import type { DeviceRow, MonitoringRow, PluggedRow } from '../store/page-devices.js';
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
import type { Totals } from './overview-page.js';
import { boundText, countText, deviceLink, leaseTable, refusalTable, statusBadge } from './line-parts.js';

/** A search field of one page, beside the one that finds people. */
function filterForm(view: View, path: string, search: string, hint: string): Markup {
  return html`<form class="filter" action="${path}" method="get">
    <input type="search" name="q" value="${search}" maxlength="253" placeholder="${hint}" aria-label="${hint}" />
    <button>${view.language.lines.text.filter}</button>
  </form>`;
}

/** A link to the page after; nothing where there is none. */
function onwards(path: string, parameters: Readonly<Record<string, string | undefined>>, label: string): Markup {
  const query = Object.entries(parameters).flatMap(([name, value]) =>
    value === undefined || value === '' ? [] : [`${name}=${encodeURIComponent(value)}`],
  );
  return html`<p><a class="next" href="${path}?${query.join('&')}">${label}</a></p>`;
}

export interface LeasesShown {
  readonly search: string;
  /** Undefined while nobody can tell. */
  readonly counts: LeaseCounts | undefined;
  readonly leases: readonly LeaseRow[];
  /** What goes on after the last lease; null: nothing does. */
  readonly next: string | null;
  /** Only on the first page. */
  readonly refused: readonly RefusalRow[];
  readonly more_refused: boolean;
  readonly not_taken: Totals['notTaken'];
  readonly isFirst: boolean;
}

export function leasesPage(view: View, shown: LeasesShown): Markup {
  const { language, format } = view;
  const { text: words } = language.lines;
  const { counts } = shown;
  const nothing =
    shown.search === '' ? (counts?.bound === 0 ? words.neverLeased : words.noLeases) : words.noLeasesFound;
  return documentOf(view, {
    title: words.leases,
    section: 'leases',
    content: [
      filterForm(view, '/leases', shown.search, words.leaseHint),
      counts === undefined || (counts.bound === 0 && counts.refused_last_hour === 0)
        ? html``
        : html`<p class="counts">
            ${badge('quiet', `${words.leasesBound}: ${boundText(view, counts)}`)}
            ${(counts.overdue ?? 0) > 0 && badge('warn', `${words.leasesOverdue}: ${format.number(counts.overdue ?? 0)}`)}
            ${
              counts.refused_last_hour > 0 &&
              html`<a href="#refused"
                >${badge('warn', `${words.refusedLastHour}: ${format.number(counts.refused_last_hour)}`)}</a
              >`
            }
          </p>`,
      sectionOf(words.leasesOf, [
        leaseTable(view, 'everybody', shown.leases, nothing),
        shown.leases.some(({ overdue }) => overdue) ? html`<p class="note">${words.overdueNote}</p>` : html``,
        shown.next === null ? html`` : onwards('/leases', { q: shown.search, before: shown.next }, language.text.older),
      ]),
      shown.isFirst
        ? html`<section id="refused">
            <h2>${words.refused}</h2>
            ${refusalTable(view, shown.refused, true)}
            ${shown.more_refused ? onwards('/leases/refused', { q: shown.search }, words.allRefused) : ''}
          </section>`
        : html``,
      shown.isFirst && shown.not_taken.length > 0 ? notTakenSection(view, shown.not_taken) : html``,
    ],
  });
}

function notTakenSection(view: View, rows: Totals['notTaken']): Markup {
  const { text: words } = view.language.lines;
  return sectionOf(words.notTaken, [
    tableOf<Totals['notTaken'][number]>(
      [
        { title: words.by, cell: (row) => row.way },
        { title: words.why, cell: (row) => badge('warn', row.reason) },
        { title: words.times, number: true, cell: (row) => view.format.number(row.count) },
      ],
      rows,
      '',
    ),
    html`<p class="note">${words.notTakenNote}</p>`,
  ]);
}

export interface RefusedShown {
  readonly search: string;
  readonly reason: string | undefined;
  readonly refused: readonly RefusalRow[];
  readonly next: string | null;
}

export function refusedPage(view: View, shown: RefusedShown): Markup {
  const { text, lines } = view.language;
  const { reason, search, next } = shown;
  return documentOf(view, {
    title: lines.text.refused,
    section: 'leases',
    content: [
      filterForm(view, '/leases/refused', search, lines.text.leaseHint),
      reason === undefined
        ? html``
        : html`<p>${badge('quiet', lines.refusal(reason))} <a href="/leases/refused">${lines.text.anyReason}</a></p>`,
      refusalTable(view, shown.refused, reason === undefined),
      next === null ? html`` : onwards('/leases/refused', { q: search, reason, before: next }, text.older),
    ],
  });
}

export interface DevicesShown {
  readonly search: string;
  readonly only_down: boolean;
  /** Those that do not work, on the first page. */
  readonly down: readonly DeviceRow[];
  readonly more_down: boolean;
  readonly devices: readonly DeviceRow[];
  readonly next: string | null;
  readonly isFirst: boolean;
}

export function devicesPage(view: View, shown: DevicesShown): Markup {
  const { text: words } = view.language.lines;
  const { search, only_down: isDown, next } = shown;
  const nothing = search !== '' ? words.noDevicesFound : isDown ? words.nothingDown : words.noDevices;
  const list = [
    deviceTable(view, shown.devices, nothing),
    next === null ? html`` : onwards('/devices', { status: isDown ? 'down' : undefined, after: next }, words.next),
  ];
  return documentOf(view, {
    title: isDown ? words.notWorking : words.devices,
    section: 'devices',
    content: [
      filterForm(view, '/devices', search, words.deviceHint),
      shown.isFirst && shown.down.length > 0
        ? sectionOf(words.notWorking, [
            deviceTable(view, shown.down, ''),
            shown.more_down ? onwards('/devices', { status: 'down' }, words.notWorking) : html``,
          ])
        : html``,
      // Two lists on one page have headings.
      shown.isFirst ? sectionOf(words.allDevices, list) : html`${list}`,
    ],
  });
}

function deviceTable(view: View, rows: readonly DeviceRow[], empty: string): Markup {
  const { text } = view.language;
  const { text: words } = view.language.lines;
  // Most devices lack some of these, and the table is wide as it is; what a device is called by says it already.
  const some = (
    column: 'address' | 'mac' | 'serial' | 'group' | 'place',
    title: string,
    room?: 'fixed' | 'word',
  ): Column<DeviceRow>[] => {
    const told = (row: DeviceRow): string | null => (row[column] === row.label ? null : row[column]);
    return rows.some((row) => told(row) !== null) ? [{ title, ...(room !== undefined && { room }), cell: told }] : [];
  };
  return tableOf<DeviceRow>(
    [
      { title: words.device, room: 'name', cell: (row) => deviceLink(row.id, row.label) },
      { title: words.kind, cell: (row) => row.kind },
      { title: words.status, room: 'fixed', cell: (row) => statusBadge(view, row.status, row.status_since) },
      { title: words.plugged, number: true, cell: (row) => countText(view, row.subscribers, row.more) },
      { title: words.offlineThere, number: true, cell: (row) => offlineCell(view, row) },
      ...some('address', text.ip, 'fixed'),
      ...some('mac', text.mac, 'fixed'),
      ...some('serial', words.serial),
      ...some('group', words.group),
      ...some('place', words.place, 'word'),
    ],
    rows,
    empty,
  );
}

function offlineCell(view: View, row: DeviceRow): Markup | string {
  if (row.offline === 0) return '0';
  return html`<a href="/devices/${row.id}?offline=1">${countText(view, row.offline, row.more)}</a>`;
}

export interface DeviceShown {
  readonly device: DeviceRow & { readonly replacement: string | null };
  readonly only_offline: boolean;
  readonly plugged: readonly PluggedRow[];
  /** Rows of the pages before. */
  readonly from: number;
  readonly next: number | null;
  readonly events: readonly MonitoringRow[];
  readonly refused: readonly RefusalRow[];
}

export function devicePage(view: View, shown: DeviceShown): Markup {
  const { text, lines } = view.language;
  const { text: words } = lines;
  const { device, only_offline: isOffline, next } = shown;
  const path = `/devices/${String(device.id)}`;
  const share = lines.offlineOf(
    countText(view, device.offline, device.more),
    countText(view, device.subscribers, device.more),
  );
  return documentOf(view, {
    title: device.label,
    section: 'devices',
    content: [
      factList([
        [words.status, html`${statusBadge(view, device.status, device.status_since)}`],
        [words.plugged, device.subscribers === 0 ? text.nobody : share],
        [words.kind, device.kind],
        [text.ip, device.address],
        [text.mac, device.mac],
        [words.serial, device.serial],
        [words.group, device.group],
        [words.place, device.place],
        [words.description, device.description],
        [
          words.removed,
          device.deleted ? html`${badge('warn', words.removed)} ${timeOf(view, device.deleted_at)}` : null,
        ],
        [
          words.replacedBy,
          device.replaced_by === null
            ? null
            : deviceLink(device.replaced_by, device.replacement ?? String(device.replaced_by)),
        ],
      ]),
      sectionOf(words.pluggedSubscribers, [
        device.offline === 0 && !isOffline
          ? html``
          : html`<p class="note">
              ${isOffline ? html`<a href="${path}">${words.everybody}</a>` : html`<a href="${path}?offline=1">${words.onlyOffline}</a>`}
            </p>`,
        tableOf(pluggedColumns(view), shown.plugged, isOffline ? words.nobodyOffline : words.nobodyPlugged),
        next === null
          ? html``
          : onwards(path, { offline: isOffline ? '1' : undefined, from: String(next) }, words.next),
      ]),
      sectionOf(words.events, eventTable(view, shown.events)),
      shown.refused.length === 0 ? html`` : sectionOf(words.refused, refusalTable(view, shown.refused, false)),
    ],
  });
}

function pluggedColumns(view: View): Column<PluggedRow>[] {
  const { text } = view.language;
  return [
    { title: text.port, cell: (row) => row.port },
    { title: text.login, cell: (row) => subscriberLink(row.id, row.login) },
    { title: text.name, cell: (row) => row.name },
    { title: text.street, cell: (row) => row.address },
    { title: text.mac, room: 'fixed', cell: (row) => row.mac },
    {
      title: text.state,
      cell: (row) => (row.logged ? badge('good', text.online) : badge('quiet', text.offline)),
    },
  ];
}

function eventTable(view: View, rows: readonly MonitoringRow[]): Markup {
  const { text, lines } = view.language;
  const { text: words, statusNames, effects } = lines;
  return tableOf<MonitoringRow>(
    [
      { title: text.when, cell: (row) => timeOf(view, row.at) },
      { title: words.status, cell: (row) => statusBadge(view, row.status, null) },
      {
        title: words.effect,
        cell: (row) =>
          row.effect === 'changed'
            ? `${statusNames[row.old_status] ?? row.old_status} → ${statusNames[row.status] ?? row.status}`
            : (effects[row.effect] ?? row.effect),
      },
      { title: words.told, number: true, cell: (row) => view.format.number(row.told) },
      { title: words.source, room: 'word', cell: (row) => row.source },
      { title: words.note, cell: (row) => row.note },
    ],
    rows,
    words.noEvents,
  );
}
