// A NAS for tests: builds requests, sends them over a real socket, checks what comes back as a strict client would.
// In: options in a test's words. Out: packets, or undefined for silence.
// Invariant: a reply is only returned when its Identifier, Response Authenticator and (for Access-Request) its
// Message-Authenticator are right and first; anything else throws, so no test passes on a forged answer.

import { createHash, randomBytes } from 'node:crypto';
import { createSocket, type Socket } from 'node:dgram';
import { once } from 'node:events';
import { isIPv6 } from 'node:net';
import { AcctStatusType, Attribute, MicrosoftAttribute, Vendor } from '../../src/radius/attribute-number.js';
import { chapResponse } from '../../src/radius/chap.js';
import { Code } from '../../src/radius/code.js';
import { challengeHash } from '../../src/radius/mschap.js';
import { challengeResponse, ntPasswordHash } from '../../src/radius/nt-hash.js';
import { headerOctets, parsePacket, type Packet } from '../../src/radius/packet.js';
import { RequestBuilder } from '../../src/radius/request.js';
import { SharedSecret } from '../../src/radius/shared-secret.js';

/** A signed request and what is needed to judge its reply. */
export interface BuiltRequest {
  readonly bytes: Buffer;
  readonly identifier: number;
  /** As it stands in the packet. */
  readonly authenticator: Buffer;
  readonly secret: SharedSecret;
}

/** Options that every request has. */
export interface RequestOptions {
  readonly secret: string | SharedSecret;
  /** Default 1, as accel-ppp does on fresh sockets. */
  readonly identifier?: number;
  readonly userName?: string;
  readonly nasIpAddress?: string;
  readonly nasIdentifier?: string;
  readonly callingStationId?: string;
  readonly acctSessionId?: string;
  /** Adds whatever else the test needs, after everything above. */
  readonly fill?: (request: RequestBuilder) => void;
}

/** Options of `accessRequest`. */
export interface AccessRequestOptions extends RequestOptions {
  /** Not given: no password attribute at all (MAC authorisation). */
  readonly password?: string;
  /** Default `pap`. */
  readonly method?: 'pap' | 'chap' | 'mschap1' | 'mschap2';
  /** Default true: Message-Authenticator as first attribute. */
  readonly withMessageAuthenticator?: boolean;
  readonly authenticator?: Buffer;
}

/** Options of `accountingRequest`. */
export interface AccountingRequestOptions extends RequestOptions {
  readonly status: keyof typeof AcctStatusType | number;
  readonly framedIpAddress?: string;
  /** 64-bit counts; the upper half goes to Gigawords when not zero. */
  readonly inputOctets?: bigint | number;
  readonly outputOctets?: bigint | number;
  readonly inputPackets?: number;
  readonly outputPackets?: number;
  readonly sessionSeconds?: number;
  readonly delaySeconds?: number;
  readonly terminateCause?: number;
  readonly class?: Buffer;
}

/** Builds an Access-Request with the password in the form of the method. */
export function accessRequest(options: AccessRequestOptions): BuiltRequest {
  const secret = toSecret(options.secret);
  const request = new RequestBuilder(
    Code.accessRequest,
    options.identifier ?? 1,
    options.authenticator,
    options.withMessageAuthenticator ?? true,
  );
  addShared(request, options);
  if (options.password !== undefined) addPassword(request, secret, options.method ?? 'pap', options.password, options);
  options.fill?.(request);
  return built(request, secret);
}

/** Builds an Accounting-Request. */
export function accountingRequest(options: AccountingRequestOptions): BuiltRequest {
  const secret = toSecret(options.secret);
  const request = new RequestBuilder(Code.accountingRequest, options.identifier ?? 1);
  addShared(request, options);
  request.addUint32(
    Attribute.acctStatusType,
    typeof options.status === 'number' ? options.status : AcctStatusType[options.status],
  );
  if (options.framedIpAddress !== undefined) request.addAddress(Attribute.framedIpAddress, options.framedIpAddress);
  addCount(request, Attribute.acctInputOctets, Attribute.acctInputGigawords, options.inputOctets);
  addCount(request, Attribute.acctOutputOctets, Attribute.acctOutputGigawords, options.outputOctets);
  for (const [type, value] of [
    [Attribute.acctInputPackets, options.inputPackets],
    [Attribute.acctOutputPackets, options.outputPackets],
    [Attribute.acctSessionTime, options.sessionSeconds],
    [Attribute.acctDelayTime, options.delaySeconds],
    [Attribute.acctTerminateCause, options.terminateCause],
  ] as const)
    if (value !== undefined) request.addUint32(type, value);
  if (options.class !== undefined) request.addOctets(Attribute.class, options.class);
  options.fill?.(request);
  return built(request, secret);
}

/** Builds a Status-Server (RFC 5997). */
export function statusServer(options: RequestOptions): BuiltRequest {
  const secret = toSecret(options.secret);
  const request = new RequestBuilder(Code.statusServer, options.identifier ?? 1);
  addShared(request, options);
  options.fill?.(request);
  return built(request, secret);
}

/**
 * Judges a reply as a strict client: Identifier, Response Authenticator, and Message-Authenticator present, first and right
 * when the request was an Access-Request or Status-Server.
 * @throws Error that says what is wrong
 */
export function openReply(bytes: Buffer, request: BuiltRequest): Packet {
  const parsed = parsePacket(bytes);
  if (!parsed.ok) throw new Error(`the reply is no packet: ${parsed.reason}`);
  const reply = parsed.packet;
  if (reply.identifier !== request.identifier) throw new Error('the reply has another Identifier');
  if (!request.secret.responseAuthenticatorMatches(reply, request.authenticator))
    throw new Error('the Response Authenticator is wrong');
  if (request.bytes[0] === Code.accessRequest || request.bytes[0] === Code.statusServer) {
    if (reply.messageAuthenticatorOffset !== headerOctets) throw new Error('Message-Authenticator is not first');
    if (!request.secret.messageAuthenticatorMatches(reply, request.authenticator))
      throw new Error('the Message-Authenticator is wrong');
  }
  return reply;
}

/** One socket that asks a server. Several requests may be under way as long as their Identifiers differ. */
export class RadiusClient {
  readonly #socket: Socket;
  readonly #waiting = new Map<number, (reply: Buffer | undefined) => void>();

  private constructor(
    socket: Socket,
    private readonly port: number,
    private readonly host: string,
  ) {
    this.#socket = socket;
    socket.on('message', (bytes) => this.#waiting.get(bytes[1] ?? -1)?.(Buffer.from(bytes)));
    // A closed server port comes back as ECONNREFUSED on some systems; for a NAS that is silence.
    socket.on('error', () => undefined);
  }

  /** Opens a socket towards a server. Close it at the end of the test. */
  static async open(port: number, host = '127.0.0.1'): Promise<RadiusClient> {
    const socket = createSocket(isIPv6(host) ? 'udp6' : 'udp4');
    socket.bind(0, isIPv6(host) ? '::1' : '127.0.0.1');
    await once(socket, 'listening');
    return new RadiusClient(socket, port, host);
  }

  /** The port that requests come from. */
  get localPort(): number {
    return this.#socket.address().port;
  }

  /**
   * Sends octets as they are and waits for whatever has the same Identifier.
   * @param options timeoutMs for each attempt (default 1000), attempts in all (default 1): the same octets again
   * @returns the octets of the reply, unchecked, or undefined when nothing came
   */
  async request(bytes: Buffer, options: { timeoutMs?: number; attempts?: number } = {}): Promise<Buffer | undefined> {
    const identifier = bytes[1] ?? -1;
    for (let attempt = 0; attempt < (options.attempts ?? 1); attempt++) {
      const reply = await new Promise<Buffer | undefined>((resolve) => {
        const timer = setTimeout(() => resolve(undefined), options.timeoutMs ?? 1000);
        this.#waiting.set(identifier, (answer) => {
          clearTimeout(timer);
          resolve(answer);
        });
        this.#socket.send(bytes, this.port, this.host);
      });
      this.#waiting.delete(identifier);
      if (reply !== undefined) return reply;
    }
    return undefined;
  }

  /** Sends a built request and returns its reply after `openReply`, or undefined when nothing came. */
  async ask(
    request: BuiltRequest,
    options: { timeoutMs?: number; attempts?: number } = {},
  ): Promise<Packet | undefined> {
    const reply = await this.request(request.bytes, options);
    return reply === undefined ? undefined : openReply(reply, request);
  }

  /** Sends without waiting. */
  send(bytes: Buffer): void {
    this.#socket.send(bytes, this.port, this.host);
  }

  /** Closes the socket; whoever still waits gets undefined. */
  close(): void {
    for (const resolve of this.#waiting.values()) resolve(undefined);
    this.#socket.close();
  }
}

function toSecret(secret: string | SharedSecret): SharedSecret {
  return typeof secret === 'string' ? new SharedSecret(secret) : secret;
}

function built(request: RequestBuilder, secret: SharedSecret): BuiltRequest {
  const bytes = request.finish(secret);
  return { bytes, identifier: bytes[1]!, authenticator: Buffer.from(bytes.subarray(4, headerOctets)), secret };
}

function addShared(request: RequestBuilder, options: RequestOptions): void {
  if (options.userName !== undefined) request.addText(Attribute.userName, options.userName);
  if (options.nasIpAddress !== undefined) request.addAddress(Attribute.nasIpAddress, options.nasIpAddress);
  if (options.nasIdentifier !== undefined) request.addText(Attribute.nasIdentifier, options.nasIdentifier);
  if (options.callingStationId !== undefined) request.addText(Attribute.callingStationId, options.callingStationId);
  if (options.acctSessionId !== undefined) request.addText(Attribute.acctSessionId, options.acctSessionId);
}

function addCount(request: RequestBuilder, low: number, high: number, count: bigint | number | undefined): void {
  if (count === undefined) return;
  const value = BigInt(count);
  request.addUint32(low, Number(value & 0xffff_ffffn));
  if (value >> 32n > 0n) request.addUint32(high, Number(value >> 32n));
}

function addPassword(
  request: RequestBuilder,
  secret: SharedSecret,
  method: 'pap' | 'chap' | 'mschap1' | 'mschap2',
  password: string,
  options: RequestOptions,
): void {
  const { microsoft } = Vendor;
  const ident = 7;
  if (method === 'pap') {
    request.addOctets(Attribute.userPassword, secret.hidePassword(Buffer.from(password), request.authenticator));
  } else if (method === 'chap') {
    const challenge = randomBytes(16);
    const response = chapResponse(ident, Buffer.from(password), challenge);
    request.addOctets(Attribute.chapPassword, Buffer.concat([Buffer.of(ident), response]));
    request.addOctets(Attribute.chapChallenge, challenge);
  } else if (method === 'mschap1') {
    const challenge = randomBytes(8);
    const response = Buffer.alloc(50);
    response[0] = ident;
    response[1] = 1;
    challengeResponse(challenge, ntPasswordHash(password)).copy(response, 26);
    request.addVendor(microsoft, MicrosoftAttribute.chapChallenge, challenge);
    request.addVendor(microsoft, MicrosoftAttribute.chapResponse, response);
  } else {
    const challenge = randomBytes(16);
    // Derived, so that a test can find the peer challenge again.
    const peerChallenge = createHash('md5').update(challenge).digest();
    const response = Buffer.alloc(50);
    response[0] = ident;
    peerChallenge.copy(response, 2);
    const hash = challengeHash(peerChallenge, challenge, options.userName ?? '');
    challengeResponse(hash, ntPasswordHash(password)).copy(response, 26);
    request.addVendor(microsoft, MicrosoftAttribute.chapChallenge, challenge);
    request.addVendor(microsoft, MicrosoftAttribute.chap2Response, response);
  }
}
