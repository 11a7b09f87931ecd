/**
 * What pages are made from and of. Enters: a request, the server's parts. Leaves: a page as JSON and markup, and what several routes read of a request. Invariant:
 * without the database there is a page that says so.
 */
import type { FastifyRequest } from 'fastify';
import { html } from 'hono/html';
import type { Pool } from 'pg';
import type { AccessDecision } from '../domain/access.js';
import type { PersonRow } from '../store/people-search.js';
import type { SessionRow } from '../store/session-queries.js';
import type { Health } from './health.js';
import { documentOf, type Markup, type View } from './layout.js';
import type { Measure } from './metrics.js';
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
  /** How long the first page waits for counts that it can do without, ms; absent: as long as they take. */
  readonly patienceMs?: number;
  /** Is handed what asks for everything that takes long and is remembered; to be called once the database is there. */
  readonly onPrepare?: (prepare: () => Promise<void>) => void;
  /** What a request of this subscriber would be answered now; undefined while nobody can tell. */
  readonly judge: (judged: Judged) => AccessDecision | undefined;
  readonly onLookUp: (lookUp: LookUp) => void;
  /** A fault of the program; the visitor was told that there is one. */
  readonly onError: (error: unknown) => void;
  readonly nowMs: () => number;
}

/** Rows of a list on one page. */
export const PAGE_ROWS = 100;
/** Rows of one section of a page. */
export const SECTION_ROWS = 50;

/** What a page is made of, and what it is in HTML. */
export interface Page {
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

/** The database has not been reached yet. */
export class DatabaseAwayError extends Error {
  override readonly name = 'DatabaseAwayError';
}

export async function withDatabase<Answer>(
  deps: Pick<PageDeps, 'database'>,
  ask: (pool: Pool) => Promise<Answer>,
): Promise<Answer> {
  const pool = deps.database();
  if (pool === undefined) throw new DatabaseAwayError('the database has not been reached yet');
  return await ask(pool);
}

export type Message = 'notFound' | 'noSubscriber' | 'databaseAway' | 'failed';

export function messagePage(status: number, message: Message): Page {
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

/** A parameter of the query that was given once. */
export function queryText(request: FastifyRequest, name: string): string | undefined {
  const value = (request.query as Readonly<Record<string, unknown>>)[name];
  return typeof value === 'string' && value !== '' ? value : undefined;
}

/** A whole number that an id can be, or undefined. */
export function idOf(text: string | undefined): number | undefined {
  return text !== undefined && /^[1-9]\d{0,14}$/.test(text) ? Number(text) : undefined;
}

/** Who asks, for the log. */
export function visitorOf(request: FastifyRequest): { user: string | undefined; remoteAddress: string } {
  return { user: request.visitorName, remoteAddress: request.socket.remoteAddress ?? '' };
}
