/**
 * The pages and their JSON twins. Enters: GET requests that the guard let through. Leaves: HTML or JSON of the same facts. Invariants: every list is
 * bounded; whoever looked at somebody is named in the log; without the database there is a page that says so.
 */
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';
import { html } from 'hono/html';
import type { Pool } from 'pg';
import type { AccessDecision } from '../domain/access.js';
import { readSearchText } from '../domain/search-text.js';
import { standingOf } from '../domain/standing.js';
import { commandsOfNas, commandsOfSubscriber } from '../store/command-history.js';
import { classifyDatabaseError } from '../store/database.js';
import {
  heldChanges,
  nasStandings,
  placesOfSubscriber,
  unsettledPlaces,
  type HeldChanges,
  type NasStanding,
} from '../store/page-enforcement.js';
import type { NasCounts } from '../store/nas-progress.js';
import {
  addressesBetween,
  countSessionsByNas,
  dayBounds,
  lastEndOf,
  findNas,
  listNas,
  newestSessions,
  poolStandings,
  sessionsOfNas,
  type NasRow,
} from '../store/page-queries.js';
import { findPerson, searchAttempts, searchPeople, type PersonRow } from '../store/people-search.js';
import { listEndedSessions, listLiveSessions, type SessionRow } from '../store/session-queries.js';
import { listSetAside } from '../store/set-aside.js';
import { flagsOf } from '../store/subscriber-flags.js';
import { listAttempts, listEvents, listPeriods } from '../store/subscriber-queries.js';
import { commandSentence } from './enforcement-parts.js';
import { Format } from './format.js';
import type { Health } from './health.js';
import { languageFor } from './language.js';
import { documentOf, type Markup, type View } from './layout.js';
import type { Measure } from './metrics.js';
import { nasPage, oneNasPage, type NasShown } from './nas-pages.js';
import { poolsPage, sessionsPage, setAsidePage } from './network-pages.js';
import { overviewPage, totalsOf } from './overview-page.js';
import { searchPage, standingSentence, subscriberPage } from './people-pages.js';
import { Remembered } from './remembered.js';
import type { SampleRing } from './sample-ring.js';

/** Somebody looked somebody up. */
export interface LookUp {
  /** Who looked; undefined where nobody has to say who he is. */
  readonly user: string | undefined;
  readonly remoteAddress: string;
  /** What was searched for, or whose page it was. */
  readonly search?: string;
  readonly subscriberId?: number;
  readonly login?: string;
}

/** Whose next request is judged, and where it is most likely to come from. */
export interface Judged {
  readonly person: PersonRow;
  /** The newest live one. */
  readonly session: SessionRow | undefined;
  /** The likeliest first. */
  readonly likelyNas: readonly (string | null | undefined)[];
}

export interface PageDeps {
  readonly instance: string;
  readonly timeZone: string;
  readonly billingUrl: () => string | undefined;
  /** The page's own pool; undefined until the database was reached. */
  readonly database: () => Pool | undefined;
  readonly health: () => Health;
  readonly measures: readonly Measure[];
  readonly lastHour: SampleRing;
  /** What a request of this subscriber would be answered now; undefined while nobody can tell. */
  readonly judge: (judged: Judged) => AccessDecision | undefined;
  readonly onLookUp: (lookUp: LookUp) => void;
  /** A fault of the program; the visitor was told that there is one. */
  readonly onError: (error: unknown) => void;
  readonly nowMs: () => number;
}

/** Rows of a list on one page. */
const PAGE_ROWS = 100;
/** People found by one search. */
const FOUND_ROWS = 50;
/** Rows of one section of a subscriber's page. */
const SECTION_ROWS = 50;
const ATTEMPT_ROWS = 20;
const PERIOD_ROWS = 24;
/** Places of one subscriber: one for each session, or each NAS that has an entry. */
const PLACE_ROWS = 20;
const COMMAND_ROWS = 30;
/** NASes; more of them are a question for SQL. */
const NAS_ROWS = 1_000;
const DAY_MS = 86_400_000;
/** How far back addresses are shown when no day is named. */
const ADDRESS_DAYS = 30;
/** How far back the end of the last session is looked for: whole monthly partitions are skipped beyond. */
const LAST_END_DAYS = 92;
/** Counting all sessions and addresses takes a fraction of a second at a million: often enough, ms. */
const COUNTS_MAX_AGE_MS = 5_000;

/** What a page is made of, and what it is in HTML. */
interface Page {
  readonly status?: number;
  readonly json: unknown;
  readonly markup: (view: View) => Markup;
}

declare module 'fastify' {
  interface FastifyRequest {
    /** Who asks, where that is known. */
    visitorName: string | undefined;
  }
}

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
  page('/', () => overview(deps, pools, standings));
  page('/subscribers', (request) => search(deps, request));
  page('/subscribers/:id', (request) => subscriber(deps, request));
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
  app.setNotFoundHandler((request, reply) =>
    send(deps, request, reply, request.url.startsWith('/api/') ? 'json' : 'html', messagePage(404, 'notFound')),
  );
}

/** The database has not been reached yet. */
class DatabaseAwayError extends Error {
  override readonly name = 'DatabaseAwayError';
}

async function withDatabase<Answer>(deps: PageDeps, ask: (pool: Pool) => Promise<Answer>): Promise<Answer> {
  const pool = deps.database();
  if (pool === undefined) throw new DatabaseAwayError('the database has not been reached yet');
  return await ask(pool);
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

type Message = 'notFound' | 'noSubscriber' | 'databaseAway' | 'failed';

function messagePage(status: number, message: Message): Page {
  return {
    status,
    json: { error: message },
    markup: (view) =>
      documentOf(view, {
        title: String(status),
        section: undefined,
        content: html`<p class="sentence warn">${view.language.text[message]}</p>`,
      }),
  };
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

/** A parameter of the query that was given once. */
function queryText(request: FastifyRequest, name: string): string | undefined {
  const value = (request.query as Readonly<Record<string, unknown>>)[name];
  return typeof value === 'string' && value !== '' ? value : undefined;
}

/** A whole number that an id can be, or undefined. */
function idOf(text: string | undefined): number | undefined {
  return text !== undefined && /^[1-9]\d{0,14}$/.test(text) ? Number(text) : undefined;
}

async function overview(
  deps: PageDeps,
  pools: Remembered<Awaited<ReturnType<typeof poolStandings>>>,
  standings: Remembered<readonly NasStanding[]>,
): Promise<Page> {
  const absent = (error: unknown): undefined => {
    if (!(error instanceof DatabaseAwayError)) deps.onError(error);
    return undefined;
  };
  const shown = {
    health: deps.health(),
    totals: totalsOf(deps.measures),
    lastHour: deps.lastHour.series(),
    pools: await pools.get().catch(absent),
    setAside: await withDatabase(deps, (pool) => listSetAside(pool, { resolved: false, limit: PAGE_ROWS })).then(
      (rows) => rows.length,
      absent,
    ),
    places: await standings.get().then(sumOfPlaces, absent),
    held: await heldOf(deps),
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
  const [people, attempts] = await withDatabase(deps, (pool) =>
    Promise.all([searchPeople(pool, text, FOUND_ROWS + 1), searchAttempts(pool, text, ATTEMPT_ROWS)]),
  );
  const shown = {
    search: text.text,
    people: people.slice(0, FOUND_ROWS),
    more: people.length > FOUND_ROWS,
    attempts,
  };
  return { json: shown, markup: (view) => searchPage(view, shown) };
}

async function subscriber(deps: PageDeps, request: FastifyRequest): Promise<Page> {
  const id = idOf((request.params as { readonly id: string }).id);
  const person = id === undefined ? undefined : await withDatabase(deps, (pool) => findPerson(pool, id));
  if (person === undefined) return messagePage(404, 'noSubscriber');
  deps.onLookUp({ ...visitorOf(request), subscriberId: person.id, login: person.login });
  const day = dayOf(queryText(request, 'date'));
  const now = new Date(deps.nowMs());
  const since = (days: number): Date => new Date(now.getTime() - days * DAY_MS);
  const facts = await withDatabase(deps, async (pool) => {
    const [sessions, ended, attempts, events, periods, lastEnd, bounds, places, commands] = await Promise.all([
      listLiveSessions(pool, { subscriberId: person.id }, 0, SECTION_ROWS),
      listEndedSessions(pool, { subscriberId: person.id }, since(1), SECTION_ROWS),
      listAttempts(pool, { login: person.login, mac: person.mac }, ATTEMPT_ROWS),
      listEvents(pool, person.id, person.account_id, SECTION_ROWS),
      listPeriods(pool, person.id, PERIOD_ROWS),
      lastEndOf(pool, person.id, since(LAST_END_DAYS)),
      day === undefined ? { from: since(ADDRESS_DAYS), until: now } : dayBounds(pool, day, deps.timeZone),
      placesOfSubscriber(pool, person.id, PLACE_ROWS),
      commandsOfSubscriber(pool, person.id, COMMAND_ROWS),
    ]);
    const addresses = await addressesBetween(pool, person.id, bounds.from, bounds.until, SECTION_ROWS);
    return { sessions, ended, attempts, events, periods, lastEnd, addresses, places, commands };
  });
  const { attempts, lastEnd } = facts;
  const lastAttempt = attempts[0];
  const sessions = [...facts.sessions].sort((one, other) => other.started_at.getTime() - one.started_at.getTime());
  const likelyNas = [sessions[0]?.nas_name, person.nas_name, lastAttempt?.nas_name, lastEnd?.nas_name];
  const standing = standingOf({
    deleted: person.deleted,
    sessions: sessions.map((row) => ({
      nasName: row.nas_name,
      address: row.address,
      startedAt: row.started_at,
      suspect: row.suspect,
    })),
    decision: deps.judge({ person, session: sessions[0], likelyNas }),
    lastAttempt: lastAttempt && {
      at: lastAttempt.at,
      nasName: lastAttempt.nas_name,
      outcome: lastAttempt.outcome,
      reason: lastAttempt.reason,
    },
    lastEnd: lastEnd && { endedAt: lastEnd.ended_at, nasName: lastEnd.nas_name, cause: lastEnd.end_cause },
  });
  const flags = flagsOf(person, facts.events);
  const shown = { ...facts, person, standing, flags, day };
  const language = languageFor(request.headers['accept-language']);
  const sentence = (view: Pick<View, 'format' | 'language'>): string => standingSentence(view as View, standing, flags);
  const format = new Format(language.units, deps.timeZone, now.getTime());
  const commands = shown.commands.map((row) => ({ ...row, sentence: commandSentence({ language, format }, row) }));
  return {
    json: { ...shown, commands, sentence: sentence({ language, format }) },
    markup: (view) => subscriberPage(view, shown),
  };
}

/** `2026-11-02`, when it is a day of the calendar. */
function dayOf(text: string | undefined): string | undefined {
  if (text === undefined || !/^\d{4}-\d{2}-\d{2}$/.test(text)) return undefined;
  const at = new Date(`${text}T00:00:00Z`);
  return Number.isNaN(at.getTime()) || at.toISOString().slice(0, 10) !== text ? undefined : text;
}

function visitorOf(request: FastifyRequest): { user: string | undefined; remoteAddress: string } {
  return { user: request.visitorName, remoteAddress: request.socket.remoteAddress ?? '' };
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
