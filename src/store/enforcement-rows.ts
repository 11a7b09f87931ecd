/**
 * Enforcements with everything that they are decided by. Enters: which ones. Leaves: places, subjects and what is known, as of one statement.
 * Invariants: every read is bounded; nothing is locked, so that a transaction of billing is never waited for; a plan that has not changed
 * is the same object, so that what is reckoned from it is kept.
 */
import type { Pool } from 'pg';
import type { EnforcementSubject, PlaceSession, SubjectService } from '../domain/desired-service.js';
import type { RateWindow } from '../domain/effective-rate.js';
import type { Evidence, KnownService, PlaceKind, ServiceRate, ServiceState } from '../domain/service-state.js';
import type { Plan } from '../domain/subscriber.js';

/** What people see of an enforcement. */
export type EnforcementState = 'new' | 'converged' | 'pending' | 'parked' | 'held' | 'observed';

/** What was refused and is not asked for again: a rate, or the whole state; null: nothing. */
export type Parked =
  | { readonly what: 'rate'; readonly rate: ServiceRate }
  | { readonly what: 'state'; readonly state: ServiceState }
  | null;

/** Whom commands are about, as variables of templates name him. */
export interface EnforcedSubject {
  readonly subscriberId: number;
  readonly accountId: number;
  readonly contract: string;
  readonly plan: string | null;
}

/** What a command and a decision know of the RADIUS session at a place. */
export interface EnforcedSession extends PlaceSession {
  readonly sessionId: number;
  readonly acctSessionId: string;
  readonly nasBox: string;
  readonly nasAddress: string | null;
  readonly nasPortId: string | null;
  readonly callingStation: string | null;
  readonly lastEventAtMs: number;
  readonly lastReceivedAtMs: number;
  /** s between two updates, as the NAS really sends them; null: not known. */
  readonly interimSeconds: number | null;
  /** Accounting said that it is over, and its NAS wants to be told. */
  readonly isOver: boolean;
}

/** One place, as stored. */
export interface Enforcement {
  readonly id: number;
  readonly kind: PlaceKind;
  /** An entry beside the one that the subscriber has on the NAS: of one lease more of the same line. */
  readonly isFurther: boolean;
  readonly nasName: string;
  readonly generation: number;
  readonly known: KnownService;
  readonly desired: ServiceState | null;
  readonly mayBePresent: boolean;
  readonly state: EnforcementState;
  readonly attempts: number;
  readonly fusePassed: boolean;
  /** ms since 1970 */
  readonly dueAtMs: number | null;
  readonly parked: Parked;
  /** When the NAS said that it did not know the session, ms since 1970. */
  readonly goneAtMs: number | null;
  readonly lastOutcome: string | null;
  readonly lastError: string | null;
  /** Since when what is applied has evidence, ms since 1970; null: it has none. */
  readonly appliedAtMs: number | null;
  /** How often in a row the NAS had confirmed what was not so. */
  readonly disproved: number;
  readonly subject: EnforcementSubject;
  readonly run: EnforcedSubject;
  /** A session of the subscriber on this NAS; that of a session place, whatever has become of it. */
  readonly session: EnforcedSession | null;
  /** Whether that session is this subscriber's. */
  readonly isOwnSession: boolean;
}

/** Which enforcements are read. Each way is bounded by `limit` or by the number of its ids. */
export type Selection =
  | { readonly by: 'id'; readonly ids: readonly number[] }
  | { readonly by: 'subscriber'; readonly ids: readonly number[] };

/** Whole ms, as `session-columns.ts` has them: whoever closes a session names it by its times. */
const ms = (column: string): string => `(extract(epoch FROM ${column}) * 1000)::bigint`;

const SERVICES = `(SELECT jsonb_agg(jsonb_build_object('name', v.name, 'startsAtMs', ${ms('l.starts_at')}, 'endsAtMs', ${ms('l.ends_at')}))
  FROM subscriber_service l JOIN service v ON v.id = l.service_id WHERE l.subscriber_id = s.id)`;

const PLAN = `(SELECT jsonb_build_object('id', p.id, 'name', p.name, 'active', p.active, 'validFromMs', ${ms('p.valid_from')},
    'validUntilMs', ${ms('p.valid_until')}, 'rateDownBps', p.rate_down_bps, 'rateUpBps', p.rate_up_bps, 'poolId', p.pool_id,
    'framedPoolId', p.framed_pool_id, 'delegatedPoolId', p.delegated_pool_id,
    'sessionLimit', p.session_limit, 'sessionLimitAction', p.session_limit_action,
    'rateWindows', (SELECT jsonb_agg(jsonb_build_object('id', w.id, 'weekdays', w.weekdays, 'fromMinute', w.from_minute,
      'untilMinute', w.until_minute, 'rateDownBps', w.rate_down_bps, 'rateUpBps', w.rate_up_bps) ORDER BY w.id)
      FROM plan_rate w WHERE w.plan_id = p.id))::text
  FROM plan p WHERE p.id = a.plan_id)`;

const SESSION_COLUMNS = `id, subscriber_id, login, nas_box, routing_domain, acct_session_id, mac, calling_station, nas_port_id, nas_address,
  address, framed_prefix, delegated_prefix, policy_hash, started_at, last_event_at, last_received_at, interim_seconds`;

/** The session of a session place or of a further entry; else the latest of the subscriber on the NAS that has no further entry. */
const SESSION = `LEFT JOIN LATERAL (
    (SELECT ${SESSION_COLUMNS} FROM session WHERE id = e.session_id)
    UNION ALL
    (SELECT ${SESSION_COLUMNS} FROM session
     WHERE e.kind = 'provisioned' AND subscriber_id = e.subscriber_id AND nas_name = e.nas_name
       AND NOT EXISTS (SELECT FROM enforcement f WHERE f.session_id = session.id AND f.kind = 'further')
     ORDER BY started_at DESC LIMIT 1)
  ) x ON true`;

const SESSION_SELECT = `x.id AS session_id, x.subscriber_id AS session_subscriber_id, x.login AS session_login, x.nas_box, x.acct_session_id,
  x.mac::text AS session_mac, x.calling_station, x.nas_port_id, host(x.nas_address) AS nas_address, host(x.address) AS session_address,
  x.framed_prefix::text AS framed_prefix, x.delegated_prefix::text AS delegated_prefix, x.policy_hash,
  ${ms('x.started_at')} AS started_at, ${ms('x.last_event_at')} AS last_event_at, ${ms('x.last_received_at')} AS last_received_at,
  x.interim_seconds,
  (SELECT o.name FROM pool_address c JOIN pool o ON o.id = c.pool_id
   WHERE c.routing_domain = x.routing_domain AND c.address = x.address) AS session_pool`;

/**
 * Sessions that are over, of NASes that want to be told. Asked by itself, and seldom: to plan a statement over every month of history takes longer than
 * to carry it out.
 */
const OVER = `SELECT e.id, ${SESSION_SELECT} FROM enforcement e JOIN nas n ON n.name = e.nas_name AND n.disconnect_on_stop
  JOIN session_key k ON k.session_id = e.session_id JOIN session_history x ON x.id = k.session_id AND x.ended_at = k.closed_at
  WHERE e.id = ANY ($1::bigint[])`;

const COLUMNS = `${ms('clock_timestamp()')} AS now_ms, e.id, e.kind, e.nas_name, e.generation, e.desired, e.applied, e.evidence, e.attempted, e.may_be_present, e.state, e.attempts,
  e.fuse_passed, ${ms('e.due_at')} AS due_at, e.parked, ${ms('e.gone_at')} AS gone_at, e.last_outcome, e.last_error,
  ${ms('e.applied_at')} AS applied_at, e.disproved,
  s.id AS subscriber_id, s.account_id, s.login, s.mac::text AS mac, s.static_address - inet '0.0.0.0' AS static_address,
  s.static_framed_prefix::text AS static_framed_prefix, s.static_delegated_prefix::text AS static_delegated_prefix, s.pool_id,
  s.nas_name AS bound_to, s.associate_pppoe_mac, s.associate_vpn_ip, s.deleted, s.redirect, s.own_disabled, s.admin_blocked,
  s.turbo_rate_down_bps, s.turbo_rate_up_bps, ${ms('s.turbo_until')} AS turbo_until, ${ms('s.disconnect_before')} AS disconnect_before,
  ${ms('s.key_changed_at')} AS key_changed_at, ${ms('s.web_logged_at')} AS web_logged_at,
  a.contract, a.admin_blocked AS account_blocked, ${PLAN} AS plan, ${SERVICES} AS services,
  (SELECT o.name FROM pool o WHERE o.id = coalesce(s.pool_id, (SELECT p.pool_id FROM plan p WHERE p.id = a.plan_id))) AS pool_name,
  ${SESSION_SELECT}`;

const FROM = `FROM enforcement e JOIN subscriber s ON s.id = e.subscriber_id JOIN account a ON a.id = s.account_id
  ${SESSION}`;

interface SessionColumns {
  readonly session_id: number | null;
  readonly session_subscriber_id: number | null;
  readonly session_login: string;
  readonly nas_box: string;
  readonly acct_session_id: string;
  readonly session_mac: string | null;
  readonly calling_station: string | null;
  readonly nas_port_id: string | null;
  readonly nas_address: string | null;
  readonly session_address: string | null;
  readonly framed_prefix: string | null;
  readonly delegated_prefix: string | null;
  readonly policy_hash: number | null;
  readonly started_at: number;
  readonly last_event_at: number;
  readonly last_received_at: number;
  readonly interim_seconds: number | null;
  readonly session_pool: string | null;
}

interface Row extends SessionColumns {
  readonly now_ms: number;
  readonly id: number;
  readonly kind: PlaceKind | 'further';
  readonly nas_name: string;
  readonly generation: number;
  readonly desired: ServiceState | null;
  readonly applied: ServiceState | null;
  readonly evidence: Evidence | null;
  readonly attempted: readonly ServiceState[];
  readonly may_be_present: boolean;
  readonly state: EnforcementState;
  readonly attempts: number;
  readonly fuse_passed: boolean;
  readonly due_at: number | null;
  readonly parked: Parked;
  readonly gone_at: number | null;
  readonly last_outcome: string | null;
  readonly last_error: string | null;
  readonly applied_at: number | null;
  readonly disproved: number;
  readonly subscriber_id: number;
  readonly account_id: number;
  readonly login: string;
  readonly mac: string | null;
  readonly static_address: number | null;
  readonly static_framed_prefix: string | null;
  readonly static_delegated_prefix: string | null;
  readonly pool_id: number | null;
  readonly bound_to: string | null;
  readonly associate_pppoe_mac: boolean;
  readonly associate_vpn_ip: boolean;
  readonly deleted: boolean;
  readonly redirect: boolean;
  readonly own_disabled: boolean;
  readonly admin_blocked: boolean;
  readonly turbo_rate_down_bps: number | null;
  readonly turbo_rate_up_bps: number | null;
  readonly turbo_until: number | null;
  readonly disconnect_before: number | null;
  readonly key_changed_at: number | null;
  readonly web_logged_at: number | null;
  readonly contract: string;
  readonly account_blocked: boolean;
  readonly plan: string | null;
  readonly services: readonly SubjectService[] | null;
  readonly pool_name: string | null;
}

/** What was read, and when by the clock of the database. */
export interface ReadEnforcements {
  readonly rows: readonly Enforcement[];
  /** ms since 1970; undefined: nothing was found. */
  readonly databaseTimeMs: number | undefined;
}

/** Plans that are remembered; an operator has hundreds. */
const MAX_PLANS = 10_000;

/** Reads enforcements of some NASes. One per process: it remembers plans. */
export class EnforcementReader {
  readonly #pool: Pool;
  readonly #plans = new Map<string, Plan>();

  constructor(pool: Pool) {
    this.#pool = pool;
  }

  /** @returns those of the selection that are on one of the NASes */
  async read(selection: Selection, nasNames: readonly string[]): Promise<ReadEnforcements> {
    const column = selection.by === 'id' ? 'e.id' : 'e.subscriber_id';
    const { rows } = await this.#pool.query<Row>({
      name: `read-enforcements-by-${selection.by}`,
      text: `SELECT ${COLUMNS} ${FROM} WHERE ${column} = ANY ($1::bigint[]) AND e.nas_name = ANY ($2::text[])`,
      values: [selection.ids, nasNames],
    });
    const over = await this.#readOver(rows);
    return {
      rows: rows.map((row) => this.#enforcementOf({ ...row, ...over.get(row.id) }, over.has(row.id))),
      databaseTimeMs: rows[0]?.now_ms,
    };
  }

  async #readOver(rows: readonly Row[]): Promise<ReadonlyMap<number, SessionColumns>> {
    const ids = rows.filter((row) => row.kind === 'session' && row.session_id === null).map((row) => row.id);
    if (ids.length === 0) return new Map();
    const found = await this.#pool.query<SessionColumns & { readonly id: number }>(OVER, [ids]);
    return new Map(found.rows.map(({ id: enforcementId, ...session }) => [enforcementId, session]));
  }

  #enforcementOf(row: Row, isOver: boolean): Enforcement {
    const plan = row.plan === null ? undefined : this.#planOf(row.plan);
    return {
      id: row.id,
      kind: row.kind === 'session' ? 'session' : 'provisioned',
      isFurther: row.kind === 'further',
      nasName: row.nas_name,
      generation: row.generation,
      known: {
        applied: row.applied === null ? null : { state: row.applied, evidence: row.evidence! },
        attempted: row.attempted,
      },
      desired: row.desired,
      mayBePresent: row.may_be_present,
      state: row.state,
      attempts: row.attempts,
      fusePassed: row.fuse_passed,
      dueAtMs: row.due_at,
      parked: row.parked,
      goneAtMs: row.gone_at,
      lastOutcome: row.last_outcome,
      lastError: row.last_error,
      appliedAtMs: row.applied_at,
      disproved: row.disproved,
      subject: subjectOf(row, plan),
      run: {
        subscriberId: row.subscriber_id,
        accountId: row.account_id,
        contract: row.contract,
        plan: plan?.name ?? null,
      },
      session: row.session_id === null ? null : sessionOf(row, row.session_id, isOver),
      isOwnSession: row.session_subscriber_id === row.subscriber_id,
    };
  }

  #planOf(text: string): Plan {
    const known = this.#plans.get(text);
    if (known !== undefined) return known;
    const plan = planOf(text);
    if (this.#plans.size >= MAX_PLANS) this.#plans.clear();
    this.#plans.set(text, plan);
    return plan;
  }
}

function subjectOf(row: Row, plan: Plan | undefined): EnforcementSubject {
  const { turbo_rate_down_bps: downBps, turbo_rate_up_bps: upBps } = row;
  return {
    subscriber: {
      id: row.subscriber_id,
      accountId: row.account_id,
      login: row.login,
      mac: row.mac ?? undefined,
      staticAddress: row.static_address ?? undefined,
      poolId: row.pool_id ?? undefined,
      nasName: row.bound_to ?? undefined,
      associatePppoeMac: row.associate_pppoe_mac,
      associateVpnIp: row.associate_vpn_ip,
      deleted: row.deleted,
      redirect: row.redirect,
      ownDisabled: row.own_disabled,
      adminBlocked: row.admin_blocked,
    },
    account: { adminBlocked: row.account_blocked },
    plan,
    turbo:
      downBps === null && upBps === null
        ? undefined
        : { rateDownBps: downBps ?? undefined, rateUpBps: upBps ?? undefined, untilMs: row.turbo_until ?? undefined },
    services: row.services ?? [],
    staticPrefixes:
      row.static_framed_prefix === null && row.static_delegated_prefix === null
        ? undefined
        : { framed: row.static_framed_prefix ?? undefined, delegated: row.static_delegated_prefix ?? undefined },
    poolName: row.pool_name,
    disconnectBeforeMs: row.disconnect_before,
    keyChangedAtMs: row.key_changed_at,
    webLoggedAtMs: row.web_logged_at,
  };
}

function sessionOf(row: SessionColumns, sessionId: number, isOver: boolean): EnforcedSession {
  return {
    sessionId,
    login: row.session_login,
    acctSessionId: row.acct_session_id,
    nasBox: row.nas_box,
    nasAddress: row.nas_address,
    nasPortId: row.nas_port_id,
    callingStation: row.calling_station,
    startedAtMs: row.started_at,
    mac: row.session_mac,
    address: row.session_address,
    framedPrefix: row.framed_prefix,
    delegatedPrefix: row.delegated_prefix,
    poolName: row.session_pool,
    policyHash: row.policy_hash,
    lastEventAtMs: row.last_event_at,
    lastReceivedAtMs: row.last_received_at,
    interimSeconds: row.interim_seconds,
    isOver,
  };
}

type Nullable<Value> = { readonly [Key in keyof Value]: Exclude<Value[Key], undefined> | null };

/** JSON has null where our plans have undefined. */
function planOf(text: string): Plan {
  const { rateWindows, ...rest } = JSON.parse(text) as Nullable<Omit<Plan, 'rateWindows'>> & {
    readonly rateWindows: readonly Nullable<RateWindow>[] | null;
  };
  return {
    ...withoutNull<Plan>(rest),
    rateWindows: (rateWindows ?? []).map((window) => withoutNull<RateWindow>(window)),
  };
}

function withoutNull<Value>(value: object): Value {
  return Object.fromEntries(Object.entries(value).map(([key, one]) => [key, (one as unknown) ?? undefined])) as Value;
}
