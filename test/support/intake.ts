/**
 * The intake listener for tests, on a free port of loopback. Enters: rules and sinks. Leaves: answers to requests, what was stored, what was counted.
 * Invariant: it is closed with its test.
 */
import type { Test } from 'tap';
import { signatureHeaders, signBody } from '../../src/dhcp/body-signature.js';
import type { DeviceEventSink } from '../../src/dhcp/device-intake.js';
import { systemIntakeClock } from '../../src/dhcp/intake-clock.js';
import { IntakeLedger } from '../../src/dhcp/intake-ledger.js';
import type { IntakeFault, IntakeWay } from '../../src/dhcp/intake-ledger.js';
import type { IntakeRules, Teller } from '../../src/dhcp/intake-rules.js';
import { IntakeServer } from '../../src/dhcp/intake-server.js';
import type { IntakeServerOptions } from '../../src/dhcp/intake-server.js';
import { signQuery } from '../../src/dhcp/query-signature.js';
import type { LeaseEvent, LeaseSink } from '../../src/domain/lease-event.js';

export const leverSecret = Buffer.from('a secret of the lever');
export const jsonSecret = Buffer.from('a secret of dhcp2');
export const alertToken = 'a-token-of-alertmanager';

const onLoopback = (address: string): boolean => address.replace('::ffff:', '').startsWith('127.');

/** Everybody on loopback may tell everything. */
export function openRules(change: Partial<IntakeRules> = {}): IntakeRules {
  const teller = (secret: Uint8Array): Teller => ({ secrets: [secret], admits: onLoopback });
  return {
    lever: teller(leverSecret),
    jsonSources: [{ name: 'dhcp2', ...teller(jsonSecret) }],
    alertmanager: teller(Buffer.from(alertToken)),
    ...change,
  };
}

/** Keeps events; answers at once, as it is told to, or when the test says so. */
export class KeptLeases implements LeaseSink {
  readonly events: LeaseEvent[] = [];
  answer: boolean | undefined = true;
  #waiting: ((durable: boolean) => void)[] = [];

  take(event: LeaseEvent, taken: (durable: boolean) => void): void {
    this.events.push(event);
    if (this.answer === undefined) this.#waiting.push(taken);
    else taken(this.answer);
  }

  get waiting(): number {
    return this.#waiting.length;
  }

  answerAll(durable: boolean): void {
    const waiting = this.#waiting;
    this.#waiting = [];
    for (const taken of waiting) taken(durable);
  }
}

export interface Answer {
  readonly status: number;
  readonly body: unknown;
  readonly headers: Headers;
}

export interface TestIntake {
  readonly port: number;
  readonly server: IntakeServer;
  readonly leases: KeptLeases;
  readonly ledger: IntakeLedger;
  readonly told: string[];
  readonly errors: unknown[];
  /** Replaces the rules, as a reload does. */
  use(rules: IntakeRules): void;
  request(path: string, init?: RequestInit): Promise<Answer>;
  /** GET with a signature over these parameters. */
  query(path: string, parameters: Readonly<Record<string, string>>, secret?: Uint8Array): Promise<Answer>;
  /** POST with a signature. */
  post(path: string, body: unknown, change?: PostChange): Promise<Answer>;
  /** Counts of one way that are not zero. */
  counts(way: IntakeWay): Readonly<Partial<Record<'taken' | IntakeFault, number>>>;
}

export interface PostChange {
  readonly source?: string;
  readonly secret?: Uint8Array;
  readonly atMs?: number;
  readonly headers?: Readonly<Record<string, string>>;
}

export async function startIntake(
  t: Test,
  change: Partial<IntakeServerOptions> & { readonly devices?: DeviceEventSink } = {},
): Promise<TestIntake> {
  let rules = openRules();
  const leases = new KeptLeases();
  const told: string[] = [];
  const errors: unknown[] = [];
  const ledger = new IntakeLedger({
    nowMs: Date.now,
    onFault: (way, fault, source) => told.push(`${way} ${fault} ${source}`),
  });
  const server = new IntakeServer({
    listen: { address: '127.0.0.1', port: 0 },
    rules: () => rules,
    leases,
    ledger,
    clock: systemIntakeClock,
    maxConnections: 100,
    maxRequestsInHand: 20,
    onError: (error) => errors.push(error),
    ...change,
  });
  const port = await server.start();
  t.teardown(async () => {
    leases.answerAll(false);
    await server.stop();
  });
  const nowMs = (): number => (change.clock ?? systemIntakeClock).nowMs();
  const request = async (path: string, init: RequestInit = {}): Promise<Answer> => {
    const response = await fetch(`http://127.0.0.1:${String(port)}${path}`, init);
    const text = await response.text();
    return { status: response.status, body: text === '' ? '' : JSON.parse(text), headers: response.headers };
  };
  return {
    port,
    server,
    leases,
    ledger,
    told,
    errors,
    use: (next) => {
      rules = next;
    },
    request,
    query: (path, parameters, secret = leverSecret) => {
      const sign = signQuery(Object.values(parameters), secret).toString('hex');
      return request(`${path}?${new URLSearchParams({ ...parameters, sign }).toString()}`);
    },
    post: (path, body, { source = 'dhcp2', secret = jsonSecret, atMs = nowMs(), headers = {} } = {}) => {
      const octets = Buffer.from(typeof body === 'string' ? body : JSON.stringify(body));
      const timestamp = String(Math.floor(atMs / 1_000));
      return request(path, {
        method: 'POST',
        body: octets,
        headers: {
          'content-type': 'application/json',
          [signatureHeaders.source]: source,
          [signatureHeaders.timestamp]: timestamp,
          [signatureHeaders.signature]: signBody(timestamp, octets, secret).toString('hex'),
          ...headers,
        },
      });
    },
    counts: (way) =>
      Object.fromEntries(
        [...ledger.counts()].filter((one) => one.way === way).map(({ outcome, count }) => [outcome, count]),
      ),
  };
}
