/**
 * Health, metrics and pages over HTTP. Enters: GET requests on the status listener. Leaves: `/healthz`, `/readyz`, `/metrics`, the pages and their JSON
 * twins. Invariants: nothing here changes anything, and anything but GET and HEAD is refused; no secret is shown; a subscriber is
 * shown only to who may see the pages.
 */
import { once } from 'node:events';
import fastify, { type FastifyInstance, type FastifyReply, type FastifyRequest } from 'fastify';
import type { Registry } from 'prom-client';
import type { Endpoint } from '../config/endpoint.js';
import type { StatusUser } from '../config/status-user.js';
import type { Health } from './health.js';
import type { PageDeps } from './page-context.js';
import { addPages } from './page-routes.js';
import { hostIsOurs, securityHeaders, type CheckPassword, VisitorCheck } from './request-guard.js';
import { icon, stylesheet } from './stylesheet.js';

/** Who may ask, as the configuration of the moment says it. */
export interface AccessRules {
  /** Whether the listener is on loopback: then the Host header must name this host. */
  readonly onLoopback: boolean;
  readonly hostNames: readonly string[];
  readonly users: readonly StatusUser[];
  /** Whether /metrics asks nobody for a name, users or not. */
  readonly metricsOpen: boolean;
}

export interface StatusDeps {
  readonly health: () => Health;
  readonly registry: Registry;
  readonly rules: () => AccessRules;
  readonly checkPassword: CheckPassword;
  readonly pages: PageDeps;
}

/** The largest request that makes sense here, octets. */
const BODY_LIMIT = 1024;
/** A client that says nothing for this long is let go, ms. */
const REQUEST_TIMEOUT_MS = 10_000;
/** The longest parameter in a path: an id. */
const MAX_PARAMETER_CHARACTERS = 64;
/** Pages in the making at once; the next one is told to come again. */
const MAX_PAGES_IN_HAND = 32;

/** The status listener cannot have its address. */
export class StatusListenError extends Error {
  override readonly name = 'StatusListenError';

  constructor(host: string, port: number, code: string, cause: unknown) {
    const place = host.includes(':') ? `[${host}]:${String(port)}` : `${host}:${String(port)}`;
    super(
      `the status listener cannot listen on ${place} (${code}): set status.listen in sluice.toml to a free address, or stop the program that has it`,
      { cause },
    );
  }
}

/**
 * Opens the listener.
 *
 * @param descriptor a listening socket of that address, inherited from a supervisor
 * @throws StatusListenError when the address cannot be had
 */
export async function openStatusServer(
  app: FastifyInstance,
  { address, port }: Endpoint,
  descriptor: number | undefined,
): Promise<void> {
  try {
    if (descriptor === undefined) await app.listen({ host: address, port });
    else await listenOn(app, descriptor);
  } catch (error) {
    const code = error instanceof Error && 'code' in error ? String(error.code) : 'unknown';
    throw new StatusListenError(address, port, code, error);
  }
}

async function listenOn(app: FastifyInstance, descriptor: number): Promise<void> {
  await app.ready();
  app.server.listen({ fd: descriptor });
  await once(app.server, 'listening');
}

/** The listener is not open yet: `openStatusServer` opens it, `close` ends it. */
export function statusServer(deps: StatusDeps): FastifyInstance {
  const app = fastify({
    logger: false,
    bodyLimit: BODY_LIMIT,
    requestTimeout: REQUEST_TIMEOUT_MS,
    forceCloseConnections: true,
    routerOptions: { maxParamLength: MAX_PARAMETER_CHARACTERS },
  });
  app.addHook('onRequest', async (request, reply) => {
    reply.headers(securityHeaders);
    if (request.method !== 'GET' && request.method !== 'HEAD') {
      return reply.code(405).header('allow', 'GET, HEAD').type('text/plain').send('nothing here can be changed\n');
    }
    const { onLoopback, hostNames } = deps.rules();
    if (onLoopback && !hostIsOurs(request.headers.host, hostNames)) {
      const remedy = 'add the name to host_names under [status] in sluice.toml';
      return reply.code(421).type('text/plain').send(`this host is not asked for by that name; ${remedy}\n`);
    }
    return undefined;
  });
  app.get('/healthz', (_request, reply) => {
    const health = deps.health();
    return reply.code(health.healthy ? 200 : 503).send({ healthy: health.healthy, problems: health.problems });
  });
  app.get('/readyz', (_request, reply) => {
    const health = deps.health();
    return reply.code(health.ready ? 200 : 503).send({ ready: health.ready, problems: health.problems });
  });
  app.get('/style.css', (_request, reply) => asset(reply, 'text/css; charset=utf-8', stylesheet));
  app.get('/icon.svg', (_request, reply) => asset(reply, 'image/svg+xml', icon));
  const check = new VisitorCheck(deps.checkPassword, deps.pages.nowMs);
  void app.register(async (metrics) => {
    guardVisits(metrics, check, () => {
      const { users, metricsOpen } = deps.rules();
      return metricsOpen ? [] : users;
    });
    metrics.get('/metrics', async (_request, reply) => {
      const text = await deps.registry.metrics();
      return reply.header('content-type', deps.registry.contentType).send(text);
    });
  });
  void app.register(async (pages) => {
    guardVisits(pages, check, () => deps.rules().users);
    addPages(pages, deps.pages);
  });
  return app;
}

function asset(reply: FastifyReply, type: string, content: string): FastifyReply {
  return reply.header('cache-control', 'private, max-age=300').type(type).send(content);
}

/** Asks for name and password where there are users, and bounds what is in hand. */
function guardVisits(pages: FastifyInstance, check: VisitorCheck, usersOf: () => readonly StatusUser[]): void {
  let inHand = 0;
  const counted = new WeakSet<FastifyRequest>();
  pages.decorateRequest('visitorName', undefined);
  pages.addHook('onRequest', async (request, reply) => {
    if (inHand >= MAX_PAGES_IN_HAND) return later(reply, 503, 1);
    inHand += 1;
    counted.add(request);
    const visitor = await check.visitor(usersOf(), request.headers.authorization, request.socket.remoteAddress ?? '');
    if (visitor.verdict === 'admitted') {
      request.visitorName = visitor.name;
      return undefined;
    }
    if (visitor.verdict === 'too-many') return later(reply, 429, 60);
    if (visitor.verdict === 'overloaded') return later(reply, 503, 1);
    return reply
      .code(401)
      .header('www-authenticate', 'Basic realm="Sluice", charset="UTF-8"')
      .type('text/plain')
      .send('name and password, please\n');
  });
  const release = (request: FastifyRequest): void => {
    if (counted.delete(request)) inHand -= 1;
  };
  pages.addHook('onResponse', async (request) => release(request));
  pages.addHook('onRequestAbort', async (request) => release(request));
}

function later(reply: FastifyReply, code: number, seconds: number): FastifyReply {
  return reply.code(code).header('retry-after', String(seconds)).type('text/plain').send('too much at once\n');
}
