/**
 * The pages and their JSON twins. Enters: GET requests that the guard let through. Leaves: HTML or JSON of the same facts. Invariants: every list is
 * bounded; whoever looked at somebody is named in the log; without the database there is a page that says so.
 */
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';
import { readSearchText } from '../domain/search-text.js';
import { commandsOfNas } from '../store/command-history.js';
import { classifyDatabaseError } from '../store/database.js';
import { searchDevices } from '../store/device-search.js';
import { countLeases, type LeaseCounts } from '../store/lease-queries.js';
import { countDevices } from '../store/page-devices.js';
import {
  heldChanges,
  nasStandings,
  unsettledPlaces,
  type HeldChanges,
  type NasStanding,
} from '../store/page-enforcement.js';
import type { NasCounts } from '../store/nas-progress.js';
import {
  countSessionsByNas,
  findNas,
  listNas,
  newestSessions,
  poolStandings,
  sessionsOfNas,
  type NasRow,
} from '../store/page-queries.js';
import { searchAttempts, searchPeople } from '../store/people-search.js';
import { listSetAside } from '../store/set-aside.js';
import { Format } from './format.js';
import { languageFor } from './language.js';
import { addLineRoutes } from './line-routes.js';
import { nasPage, oneNasPage, type NasShown } from './nas-pages.js';
import { poolsPage, sessionsPage, setAsidePage } from './network-pages.js';
import { overviewPage, totalsOf } from './overview-page.js';
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
import { searchPage } from './people-pages.js';
import { Remembered } from './remembered.js';
import { subscriberRoute } from './subscriber-route.js';

/** People found by one search. */
const FOUND_ROWS = 50;
const ATTEMPT_ROWS = 20;
/** Devices found by one search. */
const DEVICE_ROWS = 10;
/** NASes; more of them are a question for SQL. */
const NAS_ROWS = 1_000;
/** Counting all sessions and addresses takes a fraction of a second at a million: often enough, ms. */
const COUNTS_MAX_AGE_MS = 5_000;
/** A million leases are counted in some tenths of a second, ms. */
const LEASES_MAX_AGE_MS = 15_000;

/** Adds all pages. The guard is the caller's. */
export function addPages(app: FastifyInstance, deps: PageDeps): void {
  const pools = new Remembered(() => withDatabase(deps, poolStandings), COUNTS_MAX_AGE_MS, deps.nowMs);
  const sessionCounts = new Remembered(() => withDatabase(deps, countSessionsByNas), COUNTS_MAX_AGE_MS, deps.nowMs);
  const standings = new Remembered(
    () => withDatabase(deps, (pool) => nasStandings(pool, undefined, NAS_ROWS)),
    COUNTS_MAX_AGE_MS,
    deps.nowMs,
  );
  const page = (path: string, make: (request: FastifyRequest) => Promise<Page>): void => {
    const handler =
      (form: 'html' | 'json') =>
      async (request: FastifyRequest, reply: FastifyReply): Promise<FastifyReply> =>
        send(deps, request, reply, form, await outcomeOf(deps, request, make));
    app.get(path, handler('html'));
    app.get(`/api${path === '/' ? '/overview' : path}`, handler('json'));
  };
  const leases = new Remembered(() => withDatabase(deps, (pool) => countLeases(pool)), LEASES_MAX_AGE_MS, deps.nowMs);
  deps.onPrepare?.(async () => {
    for (const one of [pools, sessionCounts, standings, leases]) await one.prepare();
  });
  page('/', () => overview(deps, pools, standings, leases));
  page('/subscribers', (request) => search(deps, request));
  page('/subscribers/:id', (request) => subscriberRoute(deps, request));
  page('/sessions', (request) => sessions(deps, request));
  page('/nas', () => nases(deps, sessionCounts, standings));
  page('/nas/:name', (request) => oneNas(deps, request, sessionCounts));
  page('/pools', async () => {
    const rows = await pools.get();
    return { json: rows, markup: (view) => poolsPage(view, rows) };
  });
  page('/set-aside', async () => {
    const rows = await withDatabase(deps, (pool) => listSetAside(pool, { resolved: false, limit: PAGE_ROWS }));
    return { json: rows, markup: (view) => setAsidePage(view, rows) };
  });
  addLineRoutes(page, deps, leases);
  app.setNotFoundHandler((request, reply) =>
    send(deps, request, reply, request.url.startsWith('/api/') ? 'json' : 'html', messagePage(404, 'notFound')),
  );
}

async function outcomeOf(
  deps: PageDeps,
  request: FastifyRequest,
  make: (request: FastifyRequest) => Promise<Page>,
): Promise<Page> {
  try {
    return await make(request);
  } catch (error) {
    if (error instanceof DatabaseAwayError || classifyDatabaseError(error) === 'unreachable')
      return messagePage(503, 'databaseAway');
    deps.onError(error);
    return messagePage(500, 'failed');
  }
}

async function send(
  deps: PageDeps,
  request: FastifyRequest,
  reply: FastifyReply,
  form: 'html' | 'json',
  page: Page,
): Promise<FastifyReply> {
  reply.code(page.status ?? 200);
  if (form === 'json') return reply.type('application/json; charset=utf-8').send(jsonText(page.json));
  const language = languageFor(request.headers['accept-language']);
  const nowMs = deps.nowMs();
  const markup = await page.markup({
    language,
    format: new Format(language.units, deps.timeZone, nowMs),
    timeZone: deps.timeZone,
    instance: deps.instance,
    nowMs,
    billingUrl: deps.billingUrl(),
    held: await heldOf(deps),
  });
  return reply
    .header('vary', 'accept-language')
    .header('content-language', language.code)
    .type('text/html; charset=utf-8')
    .send(String(markup));
}

/** What the fuse holds. A page is shown without it when that cannot be had: whatever is wrong was told already. */
async function heldOf(deps: PageDeps): Promise<HeldChanges | undefined> {
  return await withDatabase(deps, heldChanges).catch(() => undefined);
}

/** Octets beyond 2⁵³ are text, so that no reader rounds them. */
function jsonText(value: unknown): string {
  return JSON.stringify(value, (_key, one: unknown) => (typeof one === 'bigint' ? String(one) : one));
}

async function overview(
  deps: PageDeps,
  pools: Remembered<Awaited<ReturnType<typeof poolStandings>>>,
  standings: Remembered<readonly NasStanding[]>,
  leases: Remembered<LeaseCounts>,
): Promise<Page> {
  const absent = (error: unknown): undefined => {
    if (!(error instanceof DatabaseAwayError)) deps.onError(error);
    return undefined;
  };
  const [poolRows, setAside, places, held, leaseCounts, devices] = await Promise.all([
    pools.soon(deps.patienceMs).catch(absent),
    withDatabase(deps, (pool) => listSetAside(pool, { resolved: false, limit: PAGE_ROWS })).then(
      (rows) => rows.length,
      absent,
    ),
    standings.soon(deps.patienceMs).then((rows) => rows && sumOfPlaces(rows), absent),
    heldOf(deps),
    leases.soon(deps.patienceMs).catch(absent),
    withDatabase(deps, countDevices).catch(absent),
  ]);
  const shown = {
    health: deps.health(),
    totals: totalsOf(deps.measures),
    lastHour: deps.lastHour.series(),
    pools: poolRows,
    setAside,
    places,
    held,
    leases: leaseCounts,
    devices,
  };
  return { json: shown, markup: (view) => overviewPage(view, shown) };
}

/** Places of all NASes by state. */
function sumOfPlaces(standings: readonly NasStanding[]): NasCounts {
  const sum: Partial<Record<keyof NasCounts, number>> = {};
  for (const { counts } of standings)
    for (const [state, count] of Object.entries(counts) as [keyof NasCounts, number][])
      sum[state] = (sum[state] ?? 0) + count;
  return sum;
}

async function search(deps: PageDeps, request: FastifyRequest): Promise<Page> {
  const text = readSearchText(queryText(request, 'q') ?? '');
  if (text.text !== '') deps.onLookUp({ ...visitorOf(request), search: text.text });
  const [people, attempts, devices] = await withDatabase(deps, (pool) =>
    Promise.all([
      searchPeople(pool, text, FOUND_ROWS + 1),
      searchAttempts(pool, text, ATTEMPT_ROWS),
      searchDevices(pool, text, DEVICE_ROWS),
    ]),
  );
  const shown = {
    search: text.text,
    people: people.slice(0, FOUND_ROWS),
    more: people.length > FOUND_ROWS,
    devices,
    attempts,
  };
  return { json: shown, markup: (view) => searchPage(view, shown) };
}

async function sessions(deps: PageDeps, request: FastifyRequest): Promise<Page> {
  const nas = queryText(request, 'nas');
  const rows = await withDatabase(deps, (pool) =>
    nas === undefined
      ? newestSessions(pool, idOf(queryText(request, 'before')), PAGE_ROWS + 1)
      : sessionsOfNas(pool, nas.replaceAll('\0', ''), PAGE_ROWS + 1),
  );
  const shown = { nas, rows: rows.slice(0, PAGE_ROWS), more: rows.length > PAGE_ROWS };
  return { json: shown, markup: (view) => sessionsPage(view, shown) };
}

async function nases(
  deps: PageDeps,
  counts: Remembered<ReadonlyMap<string, number>>,
  standings: Remembered<readonly NasStanding[]>,
): Promise<Page> {
  const [rows, sessions, known] = await Promise.all([
    withDatabase(deps, (pool) => listNas(pool, NAS_ROWS)),
    counts.get(),
    standings.get(),
  ]);
  const shown = rows.map((row) =>
    nasShown(
      deps,
      row,
      sessions,
      known.find((one) => one.nas_name === row.name),
    ),
  );
  return { json: shown, markup: (view) => nasPage(view, shown) };
}

function nasShown(
  deps: PageDeps,
  row: NasRow,
  sessions: ReadonlyMap<string, number>,
  standing: NasStanding | undefined,
): NasShown {
  const { drops } = totalsOf(deps.measures);
  return {
    ...row,
    sessions: sessions.get(row.name) ?? 0,
    drops: drops.filter((drop) => drop.nas === row.name).map(({ reason, count }) => ({ reason, count })),
    standing,
  };
}

async function oneNas(
  deps: PageDeps,
  request: FastifyRequest,
  counts: Remembered<ReadonlyMap<string, number>>,
): Promise<Page> {
  const name = (request.params as { readonly name: string }).name.replaceAll('\0', '');
  const [row, sessions, [standing], unsettled, commands] = await Promise.all([
    withDatabase(deps, (pool) => findNas(pool, name)),
    counts.get(),
    withDatabase(deps, (pool) => nasStandings(pool, name, 1)),
    withDatabase(deps, (pool) => unsettledPlaces(pool, name, SECTION_ROWS)),
    withDatabase(deps, (pool) => commandsOfNas(pool, name, SECTION_ROWS)),
  ]);
  if (row === undefined) return messagePage(404, 'notFound');
  const shown = { nas: nasShown(deps, row, sessions, standing), unsettled, commands };
  return { json: shown, markup: (view) => oneNasPage(view, shown) };
}
