/**
 * Several random histories as people, pools and NASes of one database. Enters: seeds. Leaves: facts for the database, and every
 * disagreement of what it then holds with the truth and with itself. Invariant: histories share tables, never names or addresses.
 */
import type { Pool } from 'pg';
import type { AccountingFact } from '../../src/domain/accounting-fact.js';
import { isRestart } from '../../src/domain/accounting-fact.js';
import type { Resolve } from '../../src/domain/session-batch.js';
import type { SessionRecord } from '../../src/domain/session.js';
import {
  HISTORY_SELECT,
  type HistoryRow,
  readHistory,
  readSession,
  sessionSelect,
  type SessionRow,
} from '../../src/store/session-columns.js';
import { closeSessions, findRestarted, findRestarts, finishRestart } from '../../src/store/sweeps.js';
import { type History, makeHistory, smallShape } from './session-lives.js';
import { lifeProblems } from './session-oracle.js';

/** Invariants between tables: each query finds nothing. */
const INVARIANTS: Readonly<Record<string, string>> = {
  'a session is live and in history': 'SELECT id FROM session JOIN session_history USING (id)',
  'a session is in history twice': 'SELECT id FROM session_history GROUP BY id HAVING count(*) > 1',
  'a key has no session': `SELECT session_id FROM session_key k
    WHERE NOT EXISTS (SELECT FROM session WHERE id = k.session_id) AND NOT EXISTS (SELECT FROM session_history WHERE id = k.session_id)`,
  'a key does not say when its session ended': `SELECT k.session_id FROM session_key k
    LEFT JOIN session_history h ON h.id = k.session_id WHERE k.closed_at IS DISTINCT FROM h.ended_at`,
  'usage of the periods is not that of the sessions': `SELECT s.id FROM subscriber s
    LEFT JOIN (SELECT subscriber_id AS id, sum(input_octets) AS i, sum(output_octets) AS o, sum(session_seconds) AS t FROM
      (SELECT subscriber_id, input_octets, output_octets, session_seconds FROM session
       UNION ALL SELECT subscriber_id, input_octets, output_octets, session_seconds FROM session_history) AS every_session GROUP BY 1) AS used USING (id)
    LEFT JOIN (SELECT subscriber_id AS id, sum(input_octets) AS i, sum(output_octets) AS o, sum(session_seconds) AS t FROM period GROUP BY 1) AS billed
      USING (id)
    WHERE (coalesce(used.i, 0), coalesce(used.o, 0), coalesce(used.t, 0)) <> (billed.i, billed.o, billed.t)`,
  'an open assignment has no holder': `SELECT a.id FROM assignment a
    WHERE ended_at IS NULL AND NOT EXISTS (SELECT FROM assignment_holder WHERE assignment_id = a.id)`,
  'a holder is not live, or elsewhere': `SELECT h.session_id FROM assignment_holder h JOIN assignment a ON a.id = h.assignment_id
    LEFT JOIN session s ON s.id = h.session_id
    WHERE s.id IS NULL OR NOT coalesce(a.address IN (s.address, s.framed_prefix::inet, s.delegated_prefix::inet), false) OR s.subscriber_id IS DISTINCT FROM a.subscriber_id OR s.slot <> a.slot`,
  'a session holds two addresses': `SELECT h.session_id FROM assignment_holder h
    JOIN assignment a ON a.id = h.assignment_id GROUP BY h.session_id, a.kind HAVING count(*) > 1`,
  'a live session holds nothing and says nothing': `SELECT id FROM session s
    WHERE address IS NOT NULL AND conflict IS NULL AND NOT EXISTS (SELECT FROM assignment_holder WHERE session_id = s.id)`,
  'a live session waits for a free address': `SELECT id FROM session s WHERE conflict = 'address-held' AND NOT EXISTS (SELECT FROM assignment a
    WHERE a.address = s.address AND a.routing_domain = s.routing_domain AND a.ended_at IS NULL)`,
  'the pool and the assignments disagree': `SELECT p.address FROM pool_address p
    LEFT JOIN assignment a ON a.address = p.address AND a.routing_domain = p.routing_domain AND a.ended_at IS NULL
    WHERE (p.state = 'assigned') <> (a.id IS NOT NULL) OR (a.id IS NOT NULL AND p.subscriber_id IS DISTINCT FROM a.subscriber_id)`,
  'an assignment ended before it began': 'SELECT id FROM assignment WHERE ended_at < started_at',
};

/** Everything in the database that contradicts itself. */
export async function invariantProblems(pool: Pool): Promise<string[]> {
  const found: string[] = [];
  for (const [name, sql] of Object.entries(INVARIANTS)) {
    const { rows } = await pool.query<Record<string, unknown>>(sql);
    if (rows.length > 0) found.push(`${name}: ${JSON.stringify(rows.slice(0, 3))} (${rows.length})`);
  }
  return found;
}

export class StoredWorld {
  readonly facts: readonly AccountingFact[];
  readonly resolve: Resolve;
  readonly #pool: Pool;
  readonly #histories: readonly { readonly seed: number; readonly history: History }[];

  private constructor(
    pool: Pool,
    histories: readonly { readonly seed: number; readonly history: History }[],
    subscriberOf: ReadonlyMap<string, number>,
  ) {
    this.#pool = pool;
    this.#histories = histories;
    this.resolve = (fact) => subscriberOf.get(fact.login) ?? null;
    const facts = histories.flatMap(({ seed, history }) =>
      history.arrivals.map(({ fact }) => named(fact, seed, subscriberOf)),
    );
    this.facts = facts.sort((a, b) => a.receivedAtMs - b.receivedAtMs);
  }

  static async make(pool: Pool, seeds: readonly number[]): Promise<StoredWorld> {
    const logins = seeds.flatMap((seed) => [1, 2, 3].map((n) => loginOf(seed, n)));
    await pool.query(`INSERT INTO plan (name) VALUES ('home') ON CONFLICT DO NOTHING`);
    await pool.query(`INSERT INTO account (contract, plan_id) SELECT $1::text, id FROM plan`, [String(seeds[0])]);
    const { rows } = await pool.query<{ id: number; login: string }>(
      `INSERT INTO subscriber (account_id, login, created_at)
       SELECT a.id, l.login, '2026-10-01' FROM unnest($1::text[]) AS l (login), account a WHERE a.contract = $2 RETURNING id, login`,
      [logins, String(seeds[0])],
    );
    await pool.query(
      `WITH p AS (INSERT INTO pool (name) SELECT 'h' || s FROM unnest($1::text[]) AS s RETURNING id, name)
       INSERT INTO pool_address (routing_domain, address, pool_id) SELECT p.name, a, p.id FROM p, unnest($2::inet[]) AS a`,
      [seeds.map(String), smallShape.addresses],
    );
    const subscriberOf = new Map(rows.map((row) => [row.login, row.id]));
    return new StoredWorld(
      pool,
      seeds.map((seed) => ({ seed, history: makeHistory(seed) })),
      subscriberOf,
    );
  }

  /** What the sweeper does after restarts. */
  async closeRestarted(): Promise<void> {
    for (const restart of await findRestarts(this.#pool)) {
      const found = await findRestarted(this.#pool, restart, 10_000);
      await closeSessions(this.#pool, found, 'nas-restart', restart.eventAtMs);
      await finishRestart(this.#pool, restart);
    }
  }

  async problems(): Promise<string[]> {
    const live = await this.#pool.query<SessionRow>(`SELECT ${sessionSelect('s')} FROM session s`);
    const closed = await this.#pool.query<HistoryRow>(`SELECT ${HISTORY_SELECT} FROM session_history h`);
    const byDomain = new Map<string, SessionRecord[]>();
    for (const session of [...live.rows.map(readSession), ...closed.rows.map(readHistory)]) {
      const list = byDomain.get(session.routingDomain);
      if (list === undefined) byDomain.set(session.routingDomain, [session]);
      else list.push(session);
    }
    const found = this.#histories.flatMap(({ seed, history }) => {
      const sessions = (byDomain.get(`h${seed}`) ?? []).map((s) => ({ ...s, subscriberId: Number(s.login.at(-1)) }));
      return lifeProblems(history, sessions).map((problem) => `seed ${seed}: ${problem}`);
    });
    return [...found, ...(await invariantProblems(this.#pool))];
  }
}

function loginOf(seed: number, subscriber: number): string {
  return `h${seed}-${smallShape.loginOf(subscriber)}`;
}

function named(fact: AccountingFact, seed: number, subscriberOf: ReadonlyMap<string, number>): AccountingFact {
  const nas = { nasName: `h${seed}-${fact.nasName}`, nasBox: fact.nasBox };
  if (isRestart(fact)) return { ...fact, ...nas };
  const login = `h${seed}-${fact.login}`;
  const offerId = seed * 1_000_000 + (fact.class?.offerId ?? 0);
  return {
    ...fact,
    ...nas,
    login,
    routingDomain: `h${seed}`,
    class: fact.class === null ? null : { ...fact.class, subscriberId: subscriberOf.get(login)!, offerId },
  };
}
