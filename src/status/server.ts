/**
 * Health and metrics over HTTP. Enters: GET requests on the status listener. Leaves: `/healthz`, `/readyz`, `/metrics`. Invariants: nothing
 * here changes anything; no secret and no subscriber is shown.
 */
import fastify, { type FastifyInstance } from 'fastify';
import type { Registry } from 'prom-client';

export interface Health {
  /** Whether the process does its work; false makes /healthz answer 503. */
  readonly healthy: boolean;
  readonly ready: boolean;
  /** What is wrong, in words for the person on call. */
  readonly problems: readonly string[];
}

export interface StatusDeps {
  readonly health: () => Health;
  readonly registry: Registry;
}

/** The largest request that makes sense here, octets. */
const BODY_LIMIT = 1024;
/** A client that says nothing for this long is let go, ms. */
const REQUEST_TIMEOUT_MS = 10_000;

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
 * @throws StatusListenError when the address cannot be had
 */
export async function openStatusServer(app: FastifyInstance, host: string, port: number): Promise<void> {
  try {
    await app.listen({ host, port });
  } catch (error) {
    const code = error instanceof Error && 'code' in error ? String(error.code) : 'unknown';
    throw new StatusListenError(host, port, code, error);
  }
}

/** The listener is not open yet: `openStatusServer` opens it, `close` ends it. */
export function statusServer(deps: StatusDeps): FastifyInstance {
  const app = fastify({
    logger: false,
    bodyLimit: BODY_LIMIT,
    requestTimeout: REQUEST_TIMEOUT_MS,
    forceCloseConnections: true,
  });
  app.addHook('onSend', async (_request, reply) => {
    reply.header('cache-control', 'no-store');
    reply.header('x-content-type-options', 'nosniff');
  });
  app.get('/healthz', (_request, reply) => {
    const health = deps.health();
    return reply.code(health.healthy ? 200 : 503).send({ healthy: health.healthy, problems: health.problems });
  });
  app.get('/readyz', (_request, reply) => {
    const health = deps.health();
    return reply.code(health.ready ? 200 : 503).send({ ready: health.ready, problems: health.problems });
  });
  app.get('/metrics', async (_request, reply) => {
    const text = await deps.registry.metrics();
    return reply.header('content-type', deps.registry.contentType).send(text);
  });
  return app;
}
