// The asking side of RFC 5176: CoA-Request and Disconnect-Request over UDP.
// In: attributes and where they go. Out: ACK, NAK with its Error-Cause, or silence with what is known of its reason.
// Invariants: a request is repeated with the same octets from the same port (RFC 5176 §2.3: Identifier, Event-Timestamp and source
// port stay); nothing that is not signed over this request's authenticator, from the address and port that were asked, is an
// answer; `reached: 'never'` is said only when no octet has left this host; every wait, table and socket is bounded.

import { isIPv6 } from 'node:net';
import { Attribute } from './attribute-number.js';
import { PacketBuildError } from './attribute-writer.js';
import { ClosedPortProbe, type CommandClock } from './closed-port.js';
import { CoaPorts, type Slot, type Waiting } from './coa-ports.js';
import { Code } from './code.js';
import { parsePacket, type Packet } from './packet.js';
import { RequestBuilder } from './request.js';
import type { SharedSecret } from './shared-secret.js';

/** Requests under way in all; each holds a packet of some 300 octets. */
const defaultMaxInFlight = 16_384;
/** The longest single wait, ms, however often it doubled. */
const longestWaitMs = 60_000;
/** Waits differ by up to this part, so that repetitions of many requests do not come as one wave (RFC 5080 §2.2.1). */
const jitter = 0.1;
/** Source addresses in use; a host has few. */
const maxSourceAddresses = 64;
/** Requests that a reply from a strange address is held against: it may be forged, and each comparison costs an MD5. */
const maxStrayComparisons = 4;

/** One command. */
export interface CoaRequest {
  readonly code: typeof Code.coaRequest | typeof Code.disconnectRequest;
  /** IPv4 or IPv6 address, canonical text. */
  readonly address: string;
  readonly port: number;
  readonly secret: SharedSecret;
  /** Address of this host that it is sent from; undefined: whichever routing picks. */
  readonly sourceAddress: string | undefined;
  /** Whole attributes, one after another. */
  readonly attributes: Uint8Array;
  /** RFC 5176 §3.4 */
  readonly withMessageAuthenticator: boolean;
  /** RFC 5176 §3.3 */
  readonly withEventTimestamp: boolean;
  /** First wait for an answer, ms; each further one is twice as long. */
  readonly timeoutMs: number;
  /** Times that it is sent, at least 1. */
  readonly attempts: number;
  /** Asked before each repetition; false ends in silence. */
  readonly mayRepeat?: () => boolean;
  /** Ends the wait when aborted. */
  readonly signal?: AbortSignal;
}

/** Times are ms since 1970. */
interface Timing {
  readonly sentAtMs: number;
  readonly answeredAtMs: number;
  readonly attempts: number;
}

/** Why there is no answer. */
export type SilenceReason =
  | 'timeout'
  | 'stopped'
  /** `mayRepeat` said no. */
  | 'given-up'
  /** More requests under way than this client or the Identifiers of one destination allow. */
  | 'busy'
  /** The source address is not one of this host, or there are no sockets left. */
  | 'no-socket';

export type CoaAnswer = Timing &
  (
    | { readonly answer: 'ack'; readonly errorCause: number | undefined }
    | { readonly answer: 'nak'; readonly errorCause: number | undefined }
    | {
        readonly answer: 'silence';
        readonly reason: SilenceReason;
        readonly reached: 'never' | 'maybe';
        /** That host says that nobody listens on the port. */
        readonly isPortClosed: boolean;
        /** A rightly signed reply came from here instead; it is no answer. */
        readonly answeredFrom: string | undefined;
        /** The system's word for why it refused to send. */
        readonly sendError: string | undefined;
      }
    /** The attributes are more than a packet holds. */
    | { readonly answer: 'unsendable' }
  );

/** Why a datagram was no answer. */
export type CoaDropReason =
  | 'malformed'
  /** From a peer to whom nothing was sent, or that nothing is asked of. */
  | 'unexpected'
  | 'wrong-source'
  | 'wrong-code'
  | 'bad-authenticator'
  | 'bad-message-authenticator'
  | 'duplicate'
  | 'late';

export interface CoaClientOptions {
  readonly clock: CommandClock;
  /** 0 up to 1; chance for jitter and first Identifiers. */
  readonly random?: () => number;
  readonly maxInFlight?: number;
}

/** Sends commands to any number of NASes. */
export class CoaClient {
  readonly #clock: CommandClock;
  readonly #random: () => number;
  readonly #maxInFlight: number;
  readonly #probe: ClosedPortProbe;
  readonly #ports = new Map<string, CoaPorts>();
  readonly #drops = new Map<CoaDropReason, number>();
  readonly #commands = new Set<Command>();
  #stopped = false;

  constructor(options: CoaClientOptions) {
    this.#clock = options.clock;
    this.#random = options.random ?? Math.random;
    this.#maxInFlight = options.maxInFlight ?? defaultMaxInFlight;
    this.#probe = new ClosedPortProbe(options.clock);
  }

  /** Requests under way. */
  get inFlight(): number {
    return this.#commands.size;
  }

  /** Sockets that are open. */
  get portCount(): number {
    let count = 0;
    for (const ports of this.#ports.values()) count += ports.portCount;
    return count;
  }

  /** Datagrams that were no answer, by reason. */
  drops(): ReadonlyMap<CoaDropReason, number> {
    return this.#drops;
  }

  /** Sends a request and waits for its answer. Never throws for what the network or a NAS does. */
  async ask(request: CoaRequest): Promise<CoaAnswer> {
    const beganAtMs = this.#clock.nowMs();
    const unsent = (reason: SilenceReason): CoaAnswer => ({
      answer: 'silence',
      reason,
      reached: 'never',
      isPortClosed: false,
      answeredFrom: undefined,
      sendError: undefined,
      sentAtMs: beganAtMs,
      answeredAtMs: this.#clock.nowMs(),
      attempts: 0,
    });
    if (this.#stopped || request.signal?.aborted) return unsent('stopped');
    if (this.#commands.size >= this.#maxInFlight) return unsent('busy');
    const ports = this.#portsOf(request);
    if (ports === undefined) return unsent('no-socket');
    const command = new Command(request, this.#clock, this.#random, this.#probe, (reason) => this.#drop(reason));
    this.#commands.add(command);
    try {
      const taken = await ports.take(request.address, request.port, command);
      if (!taken.ok) return unsent(taken.reason);
      const answer = await command.run(taken.slot);
      ports.release(taken.slot, answer.answer === 'ack' || answer.answer === 'nak' ? 'answered' : 'abandoned');
      return answer;
    } finally {
      this.#commands.delete(command);
    }
  }

  /** Ends all requests as silence and closes the sockets. */
  async stop(): Promise<void> {
    this.#stopped = true;
    this.#probe.stop();
    for (const command of [...this.#commands]) command.end('stopped');
    await Promise.all([...this.#ports.values()].map((ports) => ports.stop()));
    this.#ports.clear();
  }

  #portsOf({ address, sourceAddress }: CoaRequest): CoaPorts | undefined {
    const family = isIPv6(address) ? 6 : 4;
    const name = `${String(family)} ${sourceAddress ?? ''}`;
    let ports = this.#ports.get(name);
    if (ports === undefined && this.#ports.size < maxSourceAddresses) {
      const first = (): number => Math.floor(this.#random() * 256);
      ports = new CoaPorts(family, sourceAddress, (...received) => this.#hear(...received), first);
      this.#ports.set(name, ports);
    }
    return ports;
  }

  #hear(ports: CoaPorts, portIndex: number, datagram: Buffer, address: string, port: number): void {
    const parsed = parsePacket(datagram);
    if (!parsed.ok) return this.#drop('malformed');
    const { packet } = parsed;
    const number = portIndex * 256 + packet.identifier;
    const channel = ports.channel(address, port);
    const waiting = channel?.waiting.get(number);
    if (waiting !== undefined) return void waiting.onReply(packet);
    let compared = 0;
    for (const other of ports.waitingUnder(number)) {
      if (other.onStray(packet, address, port)) return this.#drop('wrong-source');
      if (++compared >= maxStrayComparisons) break;
    }
    const past = channel?.past.get(number);
    this.#drop(past === undefined ? 'unexpected' : past === 'answered' ? 'duplicate' : 'late');
  }

  #drop(reason: CoaDropReason): void {
    this.#drops.set(reason, (this.#drops.get(reason) ?? 0) + 1);
  }
}

/** One request from its first octet to its answer. */
class Command implements Waiting {
  #octets: Buffer = Buffer.alloc(0);
  #slot: Slot | undefined;
  #settle: ((answer: CoaAnswer) => void) | undefined;
  #ended: SilenceReason | undefined;
  #cancelTimer: () => void = () => undefined;
  #sentAtMs = 0;
  #attempts = 0;
  #failedSends = 0;
  #sendError: string | undefined;
  #answeredFrom: string | undefined;

  constructor(
    private readonly request: CoaRequest,
    private readonly clock: CommandClock,
    private readonly random: () => number,
    private readonly probe: ClosedPortProbe,
    private readonly onDrop: (reason: CoaDropReason) => void,
  ) {}

  async run(slot: Slot): Promise<CoaAnswer> {
    this.#sentAtMs = this.clock.nowMs();
    const octets = this.#build(slot.identifier);
    if (octets === undefined) return { answer: 'unsendable', ...this.#timing() };
    this.#octets = octets;
    this.#slot = slot;
    const { signal } = this.request;
    const onAbort = (): void => this.end('stopped');
    return await new Promise<CoaAnswer>((settle) => {
      this.#settle = (answer) => {
        this.#settle = undefined;
        this.#cancelTimer();
        signal?.removeEventListener('abort', onAbort);
        settle(answer);
      };
      // Between the call and here the client may have been stopped.
      if (this.#ended !== undefined || signal?.aborted) return this.end(this.#ended ?? 'stopped');
      signal?.addEventListener('abort', onAbort);
      this.#send();
    });
  }

  /** Ends as silence. */
  end(reason: SilenceReason): void {
    this.#ended ??= reason;
    const { address, port } = this.request;
    this.#settle?.({
      answer: 'silence',
      reason,
      reached: this.#attempts === this.#failedSends ? 'never' : 'maybe',
      isPortClosed: this.probe.isClosed(address, port),
      answeredFrom: this.#answeredFrom,
      sendError: this.#sendError,
      ...this.#timing(),
    });
  }

  onReply(reply: Packet): boolean {
    const fault = this.#faultOf(reply);
    if (fault !== undefined || this.#settle === undefined) {
      this.onDrop(fault ?? 'late');
      return false;
    }
    this.probe.forget(this.request.address, this.request.port);
    const isAck = reply.code === Code.coaAck || reply.code === Code.disconnectAck;
    const errorCause = reply.uint32(Attribute.errorCause);
    this.#settle({ answer: isAck ? 'ack' : 'nak', errorCause, ...this.#timing() });
    return true;
  }

  onStray(reply: Packet, address: string, port: number): boolean {
    if (this.#settle === undefined || this.#faultOf(reply) !== undefined) return false;
    this.#answeredFrom = isIPv6(address) ? `[${address}]:${String(port)}` : `${address}:${String(port)}`;
    return true;
  }

  // RFC 5176 §2.3 (Response Authenticator), §3.4 (Message-Authenticator, which an answer need not have).
  #faultOf(reply: Packet): CoaDropReason | undefined {
    const isCoa = this.request.code === Code.coaRequest;
    const [ack, nak] = isCoa ? [Code.coaAck, Code.coaNak] : [Code.disconnectAck, Code.disconnectNak];
    if (reply.code !== ack && reply.code !== nak) return 'wrong-code';
    const authenticator = this.#octets.subarray(4, 20);
    const { secret } = this.request;
    if (authenticator.length < 16 || !secret.responseAuthenticatorMatches(reply, authenticator))
      return 'bad-authenticator';
    if (reply.messageAuthenticatorOffset >= 0 && !secret.messageAuthenticatorMatches(reply, authenticator))
      return 'bad-message-authenticator';
    return undefined;
  }

  #build(identifier: number): Buffer | undefined {
    const { request } = this;
    try {
      const builder = new RequestBuilder(request.code, identifier, undefined, request.withMessageAuthenticator);
      builder.addEncoded(request.attributes);
      if (request.withEventTimestamp)
        builder.addUint32(Attribute.eventTimestamp, Math.floor(this.#sentAtMs / 1000) % 2 ** 32);
      return builder.finish(request.secret);
    } catch (error) {
      if (error instanceof PacketBuildError) return undefined;
      throw error;
    }
  }

  #send(): void {
    const { address, port, timeoutMs } = this.request;
    this.#attempts += 1;
    this.#slot?.listener.send(this.#octets, address, port, (code) => {
      this.#failedSends += 1;
      this.#sendError = code;
    });
    const waitMs = Math.min(longestWaitMs, timeoutMs * 2 ** (this.#attempts - 1));
    const jitteredMs = waitMs * (1 + jitter * (2 * this.random() - 1));
    this.#cancelTimer = this.clock.startTimer(jitteredMs, () => this.#onTimeout());
  }

  #onTimeout(): void {
    const { request } = this;
    if (this.#attempts >= request.attempts) return this.end('timeout');
    if (request.mayRepeat?.() === false) return this.end('given-up');
    this.probe.ask(request.address, request.port, isIPv6(request.address) ? 6 : 4, request.sourceAddress);
    this.#send();
  }

  #timing(): Timing {
    return { sentAtMs: this.#sentAtMs, answeredAtMs: this.clock.nowMs(), attempts: this.#attempts };
  }
}
