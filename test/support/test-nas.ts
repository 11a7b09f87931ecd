/**
 * A NAS that does one thing at a time, for tests that tell a story. Enters: a household and what happens to it. Leaves: replies. Invariant: silence is
 * `undefined`, never an exception: whether it is right is the test's to say.
 */
import type { Test } from 'tap';
import { Attribute } from '../../src/radius/attribute-number.js';
import { Code } from '../../src/radius/code.js';
import type { Packet } from '../../src/radius/packet.js';
import type { RadiusPorts } from './busy-nas.js';
import { NasExchange } from './nas-exchange.js';
import {
  accessRequest,
  accountingRequest,
  type AccessRequestOptions,
  type AccountingRequestOptions,
} from './radius-client.js';

/** Longer than any Reject is held back, ms. */
const ACCESS_TIMEOUT_MS = 5000;
const ACCOUNTING_TIMEOUT_MS = 3000;
/** A story has few requests under way. */
const SOCKETS = 2;

/** Who logs in, and how; the rest as `accessRequest` has it. */
export type LogIn = Omit<AccessRequestOptions, 'secret' | 'identifier'>;
export type Accounting = Omit<AccountingRequestOptions, 'secret' | 'identifier'>;

export interface TestNasOptions {
  readonly secret: string;
  /** Source address on loopback; default 127.0.0.1. */
  readonly localAddress?: string;
  readonly accessTimeoutMs?: number;
  readonly accountingTimeoutMs?: number;
}

export class TestNas {
  private constructor(
    private readonly exchange: NasExchange,
    private readonly server: RadiusPorts,
    private readonly options: TestNasOptions,
  ) {}

  /** Its sockets are closed when the test ends. */
  static async open(
    t: Pick<Test, 'teardown'>,
    server: RadiusPorts & { readonly secret: string },
    options: Partial<TestNasOptions> = {},
  ): Promise<TestNas> {
    const { localAddress } = options;
    const exchange = await NasExchange.open({ sockets: SOCKETS, ...(localAddress && { localAddress }) });
    t.teardown(() => exchange.close());
    return new TestNas(exchange, server, { secret: server.secret, ...options });
  }

  /** An Access-Request and its reply, or undefined for silence. */
  async logIn(request: LogIn): Promise<Packet | undefined> {
    return await this.exchange.ask(
      this.server.authPort,
      (identifier) => accessRequest({ ...request, secret: this.options.secret, identifier }),
      { timeoutMs: this.options.accessTimeoutMs ?? ACCESS_TIMEOUT_MS },
    );
  }

  /** The address of the Accept. @throws Error for anything but an Accept with an address */
  async address(request: LogIn): Promise<string> {
    const reply = await this.logIn(request);
    const address = reply?.code === Code.accessAccept ? reply.address(Attribute.framedIpAddress) : undefined;
    if (address === undefined) throw new Error(`${request.userName ?? 'nobody'} got no address: ${describe(reply)}`);
    return address;
  }

  /** @returns whether it was acknowledged */
  async account(request: Accounting): Promise<boolean> {
    const reply = await this.exchange.ask(
      this.server.accountingPort,
      (identifier) => accountingRequest({ ...request, secret: this.options.secret, identifier }),
      { timeoutMs: this.options.accountingTimeoutMs ?? ACCOUNTING_TIMEOUT_MS },
    );
    return reply?.code === Code.accountingResponse;
  }
}

/** A reply in a few words: `Accept 100.64.0.1`, `Reject: session limit`, `silence`. */
export function describe(reply: Packet | undefined): string {
  if (reply === undefined) return 'silence';
  if (reply.code === Code.accessAccept)
    return `Accept ${reply.address(Attribute.framedIpAddress) ?? 'without address'}`;
  if (reply.code === Code.accessReject) return `Reject: ${reply.text(Attribute.replyMessage) ?? ''}`;
  return `code ${String(reply.code)}`;
}
