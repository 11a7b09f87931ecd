/**
 * One subscriber's page and its JSON twin. Enters: a request. Leaves: everything that is known of the subscriber, and one sentence why it is online or not.
 * Invariants: whoever looked is named in the log; every section is bounded.
 */
import type { FastifyRequest } from 'fastify';
import { LEASE_BOX } from '../domain/lease.js';
import { leaseEndOf, standingOf, type StandingDevice } from '../domain/standing.js';
import { commandsOfSubscriber } from '../store/command-history.js';
import type { SubscriberLine } from '../store/page-devices.js';
import { placesOfSubscriber } from '../store/page-enforcement.js';
import { addressesBetween, dayBounds, lastEndOf } from '../store/page-queries.js';
import { findPerson } from '../store/people-search.js';
import { listEndedSessions, listLiveSessions } from '../store/session-queries.js';
import { flagsOf } from '../store/subscriber-flags.js';
import { readLineKnowledge } from '../store/subscriber-line.js';
import { listAttempts, listEvents, listPeriods } from '../store/subscriber-queries.js';
import { commandSentence } from './enforcement-parts.js';
import { Format } from './format.js';
import { languageFor } from './language.js';
import type { View } from './layout.js';
import {
  idOf,
  messagePage,
  queryText,
  SECTION_ROWS,
  visitorOf,
  withDatabase,
  type Page,
  type PageDeps,
} from './page-context.js';
import { standingSentence, subscriberPage } from './people-pages.js';

const ATTEMPT_ROWS = 20;
const PERIOD_ROWS = 24;
/** Places of one subscriber: one for each session, or each NAS that has an entry. */
const PLACE_ROWS = 20;
const COMMAND_ROWS = 30;
const DAY_MS = 86_400_000;
/** How far back addresses are shown when no day is named. */
const ADDRESS_DAYS = 30;
/** How far back the end of the last session is looked for: whole monthly partitions are skipped beyond. */
const LAST_END_DAYS = 92;

export async function subscriberRoute(deps: PageDeps, request: FastifyRequest): Promise<Page> {
  const id = idOf((request.params as { readonly id: string }).id);
  const person = id === undefined ? undefined : await withDatabase(deps, (pool) => findPerson(pool, id));
  if (person === undefined) return messagePage(404, 'noSubscriber');
  deps.onLookUp({ ...visitorOf(request), subscriberId: person.id, login: person.login });
  const day = dayOf(queryText(request, 'date'));
  const now = new Date(deps.nowMs());
  const since = (days: number): Date => new Date(now.getTime() - days * DAY_MS);
  const facts = await withDatabase(deps, async (pool) => {
    const [found, ended, attempts, events, periods, lastEnd, bounds, places, commands] = await Promise.all([
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
    const sessions = [...found].sort((one, other) => other.started_at.getTime() - one.started_at.getTime());
    const addresses = await addressesBetween(pool, person.id, bounds.from, bounds.until, SECTION_ROWS);
    const known = await readLineKnowledge(
      pool,
      person,
      sessions.map(({ mac }) => mac),
    );
    return { sessions, ended, attempts, events, periods, lastEnd, addresses, places, commands, ...known };
  });
  const { attempts, lastEnd, sessions, line } = facts;
  const [lastAttempt] = attempts;
  const [lastRefusal] = facts.refusals;
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
    lastEnd: lastEnd && {
      endedAt: lastEnd.ended_at,
      nasName: lastEnd.nas_name,
      cause: lastEnd.end_cause,
      lease: lastEnd.nas_box === LEASE_BOX ? leaseEndOf(lastEnd.terminate_cause) : undefined,
    },
    device: line && deviceDown(line),
    lastRefusal: lastRefusal && { at: lastRefusal.at, address: lastRefusal.address, reason: lastRefusal.reason },
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

function deviceDown({ device, status, status_since: since }: SubscriberLine): StandingDevice | undefined {
  if (since === null || (status !== 'down' && status !== 'unreachable')) return undefined;
  return { name: device, status, since };
}
