/**
 * The listener for events of other programs. Enters: HTTP requests on the intake listener. Leaves: lease events and device reports to their sinks,
 * each answered once it is durable. Invariants: nothing is believed without a secret from a listed address; requests, connections, headers, bodies
 * and times are bounded; what is not stored is answered so that its sender says it again.
 */
import { once } from 'node:events';
import type { AddressInfo, Socket } from 'node:net';
import fastify, { type FastifyInstance } from 'fastify';
import type { LeaseSink } from '../domain/lease-event.js';
import { addAlertIntake } from './alert-intake.js';
import type { DeviceEventSink } from './device-intake.js';
import { later, tooMuchAtOnce } from './intake-answer.js';
import type { IntakeClock } from './intake-clock.js';
import type { IntakeLedger } from './intake-ledger.js';
import type { IntakeParts } from './intake-parts.js';
import type { IntakeRules } from './intake-rules.js';
import { addLever } from './lever.js';
import { addSignedEvents } from './signed-events.js';
import { storeLeases } from './store-leases.js';

export interface IntakeServerOptions {
  readonly listen: { readonly address: string; readonly port: number };
  /** A listening socket of that address, inherited from a supervisor. */
  readonly descriptor?: number;
  /** Asked for each request, so that a reload counts at once. */
  readonly rules: () => IntakeRules;
  readonly leases: LeaseSink;
  /** Absent: its paths are not there. */
  readonly devices?: DeviceEventSink;
  readonly ledger: IntakeLedger;
  readonly clock: IntakeClock;
  /** Connections at once. */
  readonly maxConnections: number;
  /** Requests at once; each may hold a body. */
  readonly maxRequestsInHand: number;
  /** A fault of ours while a request was handled. */
  readonly onError: (error: unknown) => void;
}

/** A thousand events of some 300 octets, and room for names, octets. */
const bodyLimit = 1_048_576;
/** Query and headers of one request, octets: five values, and what a proxy adds. */
const maxHeaderOctets = 8_192;
/** A whole request has to arrive within this, ms; and a connection on which nothing happens for so long is let go. */
const requestTimeoutMs = 10_000;
/** A connection waits for its next request, ms. */
const keepAliveTimeoutMs = 5_000;
/** Then a connection is closed, so that none stays for ever. */
const maxRequestsOfConnection = 1_000;
/** Connections of one address: a deliverer has one, hooks of a busy server some. */
const maxConnectionsOfAddress = 64;
/** What is not durable by then is answered with 503, ms: before the patience of a client, and that of the connection, ends. */
const storeTimeoutMs = 8_000;

/** The intake listener cannot have its address. */
export class IntakeListenError extends Error {
  override readonly name = 'IntakeListenError';

  constructor(host: string, port: number, code: string, cause: unknown) {
    const place = host.includes(':') ? `[${host}]:${String(port)}` : `${host}:${String(port)}`;
    super(
      `the intake listener cannot listen on ${place} (${code}): set intake.listen in sluice.toml to a free address, or stop the program that has it`,
      { cause },
    );
  }
}

export class IntakeServer {
  readonly #options: IntakeServerOptions;
  readonly #app: FastifyInstance;
  #inHand = 0;

  constructor(options: IntakeServerOptions) {
    this.#options = options;
    this.#app = this.#build();
  }

  /** Requests that are being answered. */
  get inHand(): number {
    return this.#inHand;
  }

  /**
   * Opens the listener.
   *
   * @returns the port that it has
   * @throws IntakeListenError when the address cannot be had
   */
  async start(): Promise<number> {
    const { listen, descriptor } = this.#options;
    try {
      await this.#app.ready();
      this.#boundConnections();
      if (descriptor === undefined) await this.#app.listen({ host: listen.address, port: listen.port });
      else {
        this.#app.server.listen({ fd: descriptor });
        await once(this.#app.server, 'listening');
      }
    } catch (error) {
      const code = error instanceof Error && 'code' in error ? String(error.code) : 'unknown';
      throw new IntakeListenError(listen.address, listen.port, code, error);
    }
    return (this.#app.server.address() as AddressInfo).port;
  }

  /** Takes no more requests, answers those in hand, and closes. */
  async stop(): Promise<void> {
    await this.#app.close();
  }

  #build(): FastifyInstance {
    const { ledger, onError } = this.#options;
    const app = fastify({
      logger: false,
      bodyLimit,
      requestTimeout: requestTimeoutMs,
      connectionTimeout: requestTimeoutMs,
      keepAliveTimeout: keepAliveTimeoutMs,
      maxRequestsPerSocket: maxRequestsOfConnection,
      forceCloseConnections: 'idle',
      // HEAD must not do what GET does.
      exposeHeadRoutes: false,
      routerOptions: { ignoreTrailingSlash: true },
      http: { maxHeaderSize: maxHeaderOctets, headersTimeout: requestTimeoutMs, connectionsCheckingInterval: 1_000 },
    });
    app.removeAllContentTypeParsers();
    // The signature is over the octets, so they stay as they came.
    app.addContentTypeParser('application/json', { parseAs: 'buffer' }, (_request, body, parsed) => parsed(null, body));
    const counted = new WeakSet<object>();
    app.addHook('onRequest', async (request, reply) => {
      reply.headers({ 'cache-control': 'no-store', 'x-content-type-options': 'nosniff' });
      if (this.#inHand >= this.#options.maxRequestsInHand) {
        ledger.fault('http', 'overloaded', request.socket.remoteAddress ?? '');
        return later(reply, tooMuchAtOnce);
      }
      counted.add(request);
      this.#inHand += 1;
      return undefined;
    });
    const release = (request: object): void => {
      if (counted.delete(request)) this.#inHand -= 1;
    };
    app.addHook('onResponse', async (request) => release(request));
    app.addHook('onRequestAbort', async (request) => release(request));
    app.setNotFoundHandler((_request, reply) => reply.code(404).send({ text: 'there is nothing here' }));
    app.setErrorHandler((error: unknown, request, reply) => {
      const status = error instanceof Error && 'statusCode' in error ? Number(error.statusCode) : 500;
      const isTheirs = status >= 400 && status < 500;
      ledger.fault('http', isTheirs ? 'bad-request' : 'error', request.socket.remoteAddress ?? '');
      if (isTheirs) return reply.code(status).send({ text: 'the request is not as it should be' });
      onError(error);
      return later(reply, 'something went wrong here: say it again');
    });
    const parts = this.#parts();
    addLever(app, parts);
    addSignedEvents(app, parts);
    addAlertIntake(app, parts);
    return app;
  }

  #parts(): IntakeParts {
    const { rules, ledger, clock, devices, leases } = this.#options;
    const inTime = async <Value>(work: Promise<Value>): Promise<Value | undefined> => {
      let callOff = (): void => undefined;
      const patience = new Promise<undefined>((resolve) => {
        callOff = clock.startTimer(storeTimeoutMs, () => resolve(undefined));
      });
      try {
        return await Promise.race([work, patience]);
      } finally {
        callOff();
      }
    };
    return { rules, ledger, clock, devices, inTime, store: (events) => storeLeases(leases, events) };
  }

  #boundConnections(): void {
    const { server } = this.#app;
    const { maxConnections, ledger } = this.#options;
    server.maxConnections = maxConnections;
    server.on('drop', (socket) => ledger.fault('http', 'overloaded', socket?.remoteAddress ?? ''));
    const byAddress = new Map<string, number>();
    server.on('connection', (socket: Socket) => {
      const address = socket.remoteAddress ?? '';
      const count = (byAddress.get(address) ?? 0) + 1;
      byAddress.set(address, count);
      socket.once('close', () => {
        const left = (byAddress.get(address) ?? 1) - 1;
        if (left > 0) byAddress.set(address, left);
        else byAddress.delete(address);
      });
      if (count <= maxConnectionsOfAddress) return;
      ledger.fault('http', 'overloaded', address);
      socket.destroy();
    });
  }
}
