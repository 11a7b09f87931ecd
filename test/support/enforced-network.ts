/**
 * Servers that command fake NASes from one database. Enters: NASes, subscribers. Leaves: dispatchers that follow the change feed as the real server's do,
 * and ways to see what came of it. Invariant: nothing but the database connects two servers.
 */
import type { Pool } from 'pg';
import { pino } from 'pino';
import type { Test } from 'tap';
import type { ProfileAnswers } from '../../src/domain/access.js';
import { RateClock } from '../../src/domain/effective-rate.js';
import { defaultFuseThresholds, type FuseThresholds } from '../../src/domain/fuse.js';
import { ChangeFeed } from '../../src/store/change-feed.js';
import { createPool } from '../../src/store/database.js';
import { SPOIL } from '../../src/store/enforcement-births.js';
import { settleSubscribers } from '../../src/store/settle.js';
import { closeSessions } from '../../src/store/sweeps.js';
import type { CommandedNas } from '../../src/workers/commanded-nas.js';
import { Dispatcher, type DispatcherDeps } from '../../src/workers/dispatcher.js';
import type { FreshDatabase } from './database.js';
import type { FakeNas } from './fake-nas.js';

/** A profile with a garden for everybody but the blocked. */
export const answers: ProfileAnswers = {
  active: { answer: 'accept' },
  redirect: { answer: 'accept' },
  own_disabled: { answer: 'accept' },
  admin_blocked: { answer: 'accept' },
  unknown: { answer: 'reject' },
};

export function commandedNas(name: string, nas: FakeNas, over: Partial<CommandedNas> = {}): CommandedNas {
  return {
    name,
    place: nas.options.kind,
    answers,
    words: { rate: true, services: true },
    needsAddress: nas.options.kind === 'provisioned',
    goneIsCertain: false,
    interimSeconds: 300,
    parallelCalls: 16,
    commandsPerSecond: 10_000,
    driver: nas.driver(),
    fingerprint: name,
    ...over,
  };
}

export interface Server {
  readonly dispatcher: Dispatcher;
  readonly pool: Pool;
  /** In order. */
  stop(): Promise<void>;
  /** As if its host had lost power: nothing is let go of in order, nothing that it holds in memory is written. */
  kill(): Promise<void>;
}

export interface ServerOptions extends Partial<
  Pick<DispatcherDeps, 'abandonedGraceMs' | 'random' | 'totalSubscribers' | 'isOwnPool'>
> {
  readonly instance?: string;
  readonly fuse?: Partial<FuseThresholds>;
  readonly logged?: object[];
}

/** Never trips. */
export const noFuse: Partial<FuseThresholds> = {
  maxSubscribers: 1_000_000,
  maxPercent: 100,
  leastSubscribers: 1_000_000,
};

/** A server: a dispatcher and the feed that it follows. */
export async function startServer(
  t: Pick<Test, 'teardown'>,
  database: FreshDatabase,
  nases: readonly CommandedNas[],
  options: ServerOptions = {},
): Promise<Server> {
  const { instance = 'one', fuse = noFuse, logged, ...rest } = options;
  const pool = createPool(database.url, { instance, maxConnections: 5 });
  const log =
    logged === undefined
      ? pino({ level: process.env['SLUICE_TEST_LOG'] ?? 'silent' })
      : pino({ level: 'info' }, { write: (line: string) => logged.push(JSON.parse(line) as object) });
  const settle = async (ids: readonly number[]): Promise<void> => {
    await settleSubscribers(pool, ids);
  };
  const dispatcher = new Dispatcher({
    pool,
    databaseUrl: database.url,
    instance,
    log,
    rates: () => new RateClock('UTC'),
    isOwnPool: () => false,
    fuse: () => ({ ...defaultFuseThresholds, ...fuse }),
    totalSubscribers: () => 1_000,
    closeGone: async (sessions) => {
      const { subscriberIds } = await closeSessions(pool, sessions, 'gone', 'last-event');
      await settle(subscriberIds);
    },
    onLeft: (ids) => void settle(ids).catch(() => undefined),
    spoil: async (names) => {
      await pool.query(`UPDATE enforcement SET ${SPOIL} WHERE nas_name = ANY ($1) AND kind = 'provisioned'`, [names]);
    },
    ...rest,
  });
  dispatcher.configure(nases);
  const feed = new ChangeFeed({
    databaseUrl: database.url,
    instance,
    nowMs: Date.now,
    onError: () => undefined,
    pollIntervalMs: 100,
    sink: {
      reload: () => {
        dispatcher.noteEverything();
        return Promise.resolve();
      },
      apply: (changes) => {
        dispatcher.note(changes);
        // As the settler of the server: by itself, and nobody waits for it.
        void settle(changes.subscribers).catch(() => undefined);
        return Promise.resolve();
      },
      caughtUp: () => undefined,
    },
  });
  await feed.start();
  dispatcher.start();
  let ended = false;
  const end = async (how: () => Promise<void>): Promise<void> => {
    if (ended) return;
    ended = true;
    await feed.stop();
    await how();
    await pool.end();
  };
  const server: Server = {
    dispatcher,
    pool,
    stop: () => end(() => dispatcher.stop()),
    kill: () => end(() => dispatcher.abandon()),
  };
  t.teardown(() => server.stop());
  return server;
}

/** A live session as the applier leaves it, with its enforcement. @returns its id */
export async function openSession(
  pool: Pool,
  row: {
    nasName: string;
    subscriberId: number;
    login?: string;
    address?: string;
    policyHash?: number;
    startedAt?: Date;
  },
): Promise<number> {
  const { rows } = await pool.query<{ id: number }>(
    `WITH k AS (INSERT INTO session_key (nas_name, nas_box, acct_session_id, epoch) VALUES ($1, $1, gen_random_uuid()::text, 0) RETURNING *),
     s AS (INSERT INTO session (id, subscriber_id, login, nas_name, nas_box, routing_domain, acct_session_id, epoch, address, policy_hash, nas_address,
         started_at, started_exactly, last_event_at, last_received_at)
       SELECT session_id, $2, $3, nas_name, nas_box, 'default', acct_session_id, 0, $4, $5, '127.0.0.1', $6, true, now(), now() FROM k RETURNING *),
     e AS (INSERT INTO enforcement (kind, nas_name, subscriber_id, session_id) SELECT 'session', nas_name, subscriber_id, id FROM s)
     SELECT id FROM s`,
    [
      row.nasName,
      row.subscriberId,
      row.login ?? 'x',
      row.address ?? null,
      row.policyHash ?? null,
      row.startedAt ?? new Date(Date.now() - 60_000),
    ],
  );
  return rows[0]!.id;
}

/** Marks what is there as known: sessions that were accepted with this rate, and told nothing since. */
export async function markAccepted(pool: Pool, rate: { downBps: number; upBps: number }): Promise<void> {
  await pool.query(
    `UPDATE enforcement e SET state = 'converged', due_at = NULL, evidence = 'ack', applied = jsonb_build_object('present', true,
       'key', jsonb_build_object('login', x.login, 'mac', NULL, 'address', host(x.address), 'framedPrefix', NULL, 'delegatedPrefix', NULL),
       'blocked', false, 'redirect', false, 'ownDisabled', false, 'authorised', true,
       'rate', jsonb_build_object('downBps', $1::bigint, 'upBps', $2::bigint), 'services', '[]'::jsonb)
     FROM session x WHERE x.id = e.session_id`,
    [rate.downBps, rate.upBps],
  );
}

/** Many subscribers in a few statements, one session each, over some NASes in turn. @returns ids in order */
export async function population(
  pool: Pool,
  options: { count: number; planId: number; sessionsOn?: readonly string[]; boundTo?: readonly string[] },
): Promise<{ subscriberIds: number[]; sessionIds: number[] }> {
  const { count, planId, sessionsOn, boundTo } = options;
  await pool.query(`INSERT INTO account (contract, plan_id) SELECT 'p' || i, $2 FROM generate_series(1, $1::int) i`, [
    count,
    planId,
  ]);
  const { rows } = await pool.query<{ id: number }>(
    `INSERT INTO subscriber (account_id, login, static_address, nas_name)
     SELECT a.id, 'user' || substr(a.contract, 2), inet '100.64.0.0' + a.id, ($1::text[])[1 + a.id % greatest(1, cardinality($1::text[]))]
     FROM account a WHERE a.contract LIKE 'p%' ORDER BY a.id RETURNING id`,
    [boundTo ?? []],
  );
  const subscriberIds = rows.map((row) => row.id);
  if (sessionsOn === undefined) return { subscriberIds, sessionIds: [] };
  const sessions = await pool.query<{ id: number }>(
    `WITH s AS (SELECT id, login, static_address, ($1::text[])[1 + id % cardinality($1::text[])] AS nas FROM subscriber WHERE id = ANY ($2::bigint[])),
     k AS (INSERT INTO session_key (nas_name, nas_box, acct_session_id, epoch) SELECT nas, nas, 'a' || id, 0 FROM s ORDER BY id
       RETURNING *),
     o AS (INSERT INTO session (id, subscriber_id, login, nas_name, nas_box, routing_domain, acct_session_id, epoch, address, nas_address, started_at,
         started_exactly, last_event_at, last_received_at)
       SELECT k.session_id, s.id, s.login, s.nas, s.nas, 'default', k.acct_session_id, 0, s.static_address, '127.0.0.1', now(), true, now(), now()
       FROM k JOIN s ON k.acct_session_id = 'a' || s.id RETURNING *),
     e AS (INSERT INTO enforcement (kind, nas_name, subscriber_id, session_id) SELECT 'session', nas_name, subscriber_id, id FROM o)
     SELECT id FROM o ORDER BY subscriber_id`,
    [sessionsOn, subscriberIds],
  );
  return { subscriberIds, sessionIds: sessions.rows.map((row) => row.id) };
}
