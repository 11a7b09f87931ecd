/**
 * The pages of leases and devices, and their JSON twins. Enters: requests. Leaves: pages. Invariants: every list is bounded and goes on by the position of its last
 * row; whoever looked somebody up is named in the log.
 */
import type { FastifyRequest } from 'fastify';
import { readSearchText, type SearchText } from '../domain/search-text.js';
import { listLeases, listRefusals, refusalsAround, searchLeases, type LeaseCounts } from '../store/lease-queries.js';
import {
  findDevice,
  findDevicesBySearch,
  lastMonitoring,
  listDevicesByLabel,
  listDevicesDown,
  listPlugged,
} from '../store/page-devices.js';
import { devicePage, devicesPage, leasesPage, refusedPage } from './line-pages.js';
import { totalsOf } from './overview-page.js';
import {
  DatabaseAwayError,
  idOf,
  messagePage,
  PAGE_ROWS,
  queryText,
  SECTION_ROWS,
  visitorOf,
  withDatabase,
  type Page,
  type PageDeps,
} from './page-context.js';
import type { Remembered } from './remembered.js';

/** Refused events below the leases; all of them have a page of their own. */
const REFUSAL_ROWS = 25;
/** Devices on one page: each of them counts its people. */
const DEVICE_ROWS = 50;
/** Devices that do not work, above all others. */
const DOWN_ROWS = 20;
/** People of one device on one page. */
const PLUGGED_ROWS = 200;

/** Adds the pages. @param page adds one with its twin */
export function addLineRoutes(
  page: (path: string, make: (request: FastifyRequest) => Promise<Page>) => void,
  deps: PageDeps,
  counts: Remembered<LeaseCounts>,
): void {
  page('/leases', (request) => leases(deps, request, counts));
  page('/leases/refused', (request) => refused(deps, request));
  page('/devices', (request) => devices(deps, request));
  page('/devices/:id', (request) => oneDevice(deps, request));
}

/** What somebody looks for, which the log tells; undefined: everything. */
function searchOf(deps: PageDeps, request: FastifyRequest): SearchText | undefined {
  const search = readSearchText(queryText(request, 'q') ?? '');
  if (search.text === '') return undefined;
  deps.onLookUp({ ...visitorOf(request), search: search.text });
  return search;
}

/** The rows of a page, and what goes on after them. */
function cut<Row extends { readonly position: string }>(
  rows: readonly Row[],
  limit: number,
): { readonly rows: readonly Row[]; readonly next: string | null } {
  return { rows: rows.slice(0, limit), next: rows.length > limit ? (rows[limit - 1]?.position ?? null) : null };
}

async function leases(deps: PageDeps, request: FastifyRequest, counts: Remembered<LeaseCounts>): Promise<Page> {
  const search = searchOf(deps, request);
  const before = queryText(request, 'before');
  const [found, refusals, counted] = await Promise.all([
    withDatabase(deps, (pool) =>
      search === undefined
        ? listLeases(pool, {}, before, PAGE_ROWS + 1)
        : searchLeases(pool, search, before, PAGE_ROWS + 1),
    ),
    before === undefined
      ? withDatabase(deps, (pool) =>
          listRefusals(pool, search === undefined ? {} : { search }, undefined, REFUSAL_ROWS + 1),
        )
      : [],
    // The list is worth more than the counts above it.
    counts.get().catch((error: unknown) => {
      if (!(error instanceof DatabaseAwayError)) deps.onError(error);
      return undefined;
    }),
  ]);
  const { rows, next } = cut(found, PAGE_ROWS);
  const shown = {
    search: search?.text ?? '',
    counts: counted,
    leases: rows,
    next,
    refused: refusals.slice(0, REFUSAL_ROWS),
    more_refused: refusals.length > REFUSAL_ROWS,
    not_taken: totalsOf(deps.measures).notTaken.slice(0, REFUSAL_ROWS),
  };
  return { json: shown, markup: (view) => leasesPage(view, { ...shown, isFirst: before === undefined }) };
}

async function refused(deps: PageDeps, request: FastifyRequest): Promise<Page> {
  const search = searchOf(deps, request);
  const reason = queryText(request, 'reason')?.replaceAll('\0', '');
  const filter = { ...(search !== undefined && { search }), ...(reason !== undefined && { reason }) };
  const found = await withDatabase(deps, (pool) =>
    listRefusals(pool, filter, queryText(request, 'before'), PAGE_ROWS + 1),
  );
  const { rows, next } = cut(found, PAGE_ROWS);
  const shown = { search: search?.text ?? '', reason, refused: rows, next };
  return { json: shown, markup: (view) => refusedPage(view, shown) };
}

async function devices(deps: PageDeps, request: FastifyRequest): Promise<Page> {
  const search = readSearchText(queryText(request, 'q') ?? '');
  const isSearch = search.text !== '';
  const onlyDown = queryText(request, 'status') === 'down' && !isSearch;
  const after = queryText(request, 'after');
  const isFirst = after === undefined && !onlyDown && !isSearch;
  const [found, down] = await withDatabase(deps, (pool) =>
    Promise.all([
      isSearch
        ? findDevicesBySearch(pool, search, DEVICE_ROWS)
        : onlyDown
          ? listDevicesDown(pool, after, DEVICE_ROWS + 1)
          : listDevicesByLabel(pool, after, DEVICE_ROWS + 1),
      isFirst ? listDevicesDown(pool, undefined, DOWN_ROWS + 1) : [],
    ]),
  );
  const { rows, next } = cut(found, DEVICE_ROWS);
  const shown = {
    search: search.text,
    only_down: onlyDown,
    down: down.slice(0, DOWN_ROWS),
    more_down: down.length > DOWN_ROWS,
    devices: rows,
    next,
  };
  return { json: shown, markup: (view) => devicesPage(view, { ...shown, isFirst }) };
}

async function oneDevice(deps: PageDeps, request: FastifyRequest): Promise<Page> {
  const id = idOf((request.params as { readonly id: string }).id);
  const device = id === undefined ? undefined : await withDatabase(deps, (pool) => findDevice(pool, id));
  if (device === undefined) return messagePage(404, 'notFound');
  const isOffline = queryText(request, 'offline') === '1';
  const from = idOf(queryText(request, 'from')) ?? 0;
  const names = [device.mac, device.name, device.serial].filter((name) => name !== null);
  const [plugged, events, refusals] = await withDatabase(deps, (pool) =>
    Promise.all([
      listPlugged(pool, device, { skip: from, limit: PLUGGED_ROWS + 1, isOffline }),
      lastMonitoring(pool, device.id, SECTION_ROWS),
      refusalsAround(pool, { subscriberId: null, macs: [], devices: names, port: null }, REFUSAL_ROWS),
    ]),
  );
  const shown = {
    device,
    only_offline: isOffline,
    plugged: plugged.slice(0, PLUGGED_ROWS),
    from,
    next: plugged.length > PLUGGED_ROWS ? from + PLUGGED_ROWS : null,
    events,
    refused: refusals,
  };
  return { json: shown, markup: (view) => devicePage(view, shown) };
}
