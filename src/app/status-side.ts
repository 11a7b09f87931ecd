/**
 * The status listener with everything that its pages ask for. Enters: the running parts and the policy of the moment. Leaves: an open listener, and
 * readings for the charts of the last hour. Invariants: pages read through their own few connections; what they say of a
 * subscriber's next request is judged by the access handler's own functions, over its own memory.
 */
import type { FastifyInstance } from 'fastify';
import type { Logger } from 'pino';
import { isLoopback } from '../config/endpoint.js';
import type { AccessDecision } from '../domain/access.js';
import { expectedAccess, ownRequester } from '../handlers/expected-access.js';
import { HashGate } from '../radius/hash-gate.js';
import { PapVerifier } from '../radius/pap.js';
import { parseStoredPassword } from '../radius/stored-password.js';
import { type Measure, metricsRegistry } from '../status/metrics.js';
import type { Health } from '../status/health.js';
import { readingOf, totalsOf } from '../status/overview-page.js';
import type { Judged } from '../status/page-context.js';
import type { CheckPassword } from '../status/request-guard.js';
import { SAMPLE_INTERVAL_MS, SampleRing } from '../status/sample-ring.js';
import { openStatusServer, statusServer } from '../status/server.js';
import type { Directory } from '../store/directory.js';
import type { PageDatabase } from '../store/page-pool.js';
import type { Policy } from './policy.js';

/** Passwords of visitors hashed at once, and waiting: people, not packets. */
const VISITOR_HASHES = 1;
const VISITOR_HASHES_WAITING = 16;

export interface StatusSideDeps {
  readonly policy: () => Policy;
  readonly directory: Directory;
  readonly measures: readonly Measure[];
  readonly health: () => Health;
  /** The page's database; undefined until it was reached. */
  readonly database: () => PageDatabase | undefined;
  /** A listening socket that a supervisor holds for us. */
  readonly descriptor: number | undefined;
  readonly log: Logger;
}

/** A million addresses are counted in a second; the first page shows them when it is loaded again, ms. */
const PATIENCE_MS = 100;
/** How soon after the database was reached everything is asked for that takes long, ms: people look when the server has just started. */
const PREPARE_INTERVAL_MS = 100;

export class StatusSide {
  readonly #app: FastifyInstance;
  readonly #timers: readonly NodeJS.Timeout[];

  /** Opens the listener. @throws StatusListenError when the address cannot be had */
  static async start(deps: StatusSideDeps): Promise<StatusSide> {
    const lastHour = new SampleRing();
    const preparing: (() => Promise<void>)[] = [];
    const app = statusServer({
      health: deps.health,
      registry: metricsRegistry(deps.measures),
      rules: () => {
        const { status } = deps.policy().config;
        const { hostNames, users, metricsOpen } = status;
        return { onLoopback: isLoopback(status.listen), hostNames, users, metricsOpen };
      },
      checkPassword: passwordCheck(),
      pages: {
        instance: deps.policy().config.server.instance,
        timeZone: deps.policy().config.server.timeZone,
        billingUrl: () => deps.policy().config.status.billingUrl,
        database: () => {
          const pool = deps.database()?.pool;
          return pool === undefined || pool.ending ? undefined : pool;
        },
        health: deps.health,
        measures: deps.measures,
        lastHour,
        patienceMs: PATIENCE_MS,
        onPrepare: (prepare) => void preparing.push(prepare),
        judge: (judged) => judge(deps, judged),
        onLookUp: (lookUp) => deps.log.info(lookUp, 'somebody was looked up on the page'),
        onError: (error) => deps.log.error({ err: error }, 'a page could not be made'),
        nowMs: Date.now,
      },
    });
    await openStatusServer(app, deps.policy().config.status.listen, deps.descriptor);
    const take = (): void => lastHour.take(Date.now(), readingOf(totalsOf(deps.measures)));
    take();
    const preparer = setInterval(() => {
      if (deps.database() === undefined) return;
      clearInterval(preparer);
      for (const prepare of preparing) void prepare();
    }, PREPARE_INTERVAL_MS).unref();
    return new StatusSide(app, [setInterval(take, SAMPLE_INTERVAL_MS).unref(), preparer]);
  }

  private constructor(app: FastifyInstance, timers: readonly NodeJS.Timeout[]) {
    this.#app = app;
    this.#timers = timers;
  }

  async stop(): Promise<void> {
    for (const timer of this.#timers) clearInterval(timer);
    await this.#app.close();
  }
}

/** Hashes apart from those of subscribers: a guesser at the page must not slow a login. */
function passwordCheck(): CheckPassword {
  const verifier = new PapVerifier(new HashGate(VISITOR_HASHES, VISITOR_HASHES_WAITING));
  return async (name, storedHash, password) => {
    const parsed = parseStoredPassword(storedHash);
    if (!parsed.ok) return 'wrong';
    const result = await verifier.check(`page/${name}`, parsed.stored, password);
    if (result.ok) return 'right';
    return result.reason === 'overloaded' ? 'overloaded' : 'wrong';
  };
}

/** What a request of the subscriber's own device would be answered now, on the NAS where it is most likely to ask. */
function judge(deps: StatusSideDeps, { person, session, likelyNas }: Judged): AccessDecision | undefined {
  const { directory } = deps;
  const { config, profiles } = deps.policy();
  if (!directory.loaded) return undefined;
  const named = (name: string | null | undefined) => config.nas.find((entry) => entry.name === name);
  const nas = likelyNas.map(named).find((entry) => entry !== undefined) ?? config.nas[0];
  const profile = nas && profiles.get(nas.profile);
  if (nas === undefined || profile === undefined) return undefined;
  const here = session?.nas_name === nas.name ? session : undefined;
  return expectedAccess({
    directory,
    profile,
    login: person.login,
    requester: ownRequester(nas, {
      mac: here?.mac ?? person.mac ?? undefined,
      callingAddress: person.associate_vpn_ip ? (person.static_address ?? undefined) : undefined,
      nasBox: here?.nas_box,
      nasPortId: here?.nas_port_id ?? undefined,
    }),
    offers: (subscriberId) => directory.offers.ofSubscriber(subscriberId),
    sealKey: config.radius.passwordKey.octets(),
    nowMs: Date.now(),
  }).decision;
}
