/**
 * A NAS without wires: it logs subscribers in, reports their sessions, and obeys CoA and Disconnect. Enters: what its subscribers do, and commands on its own
 * port. Leaves: RADIUS packets as a real one sends them. Invariants: a session that it reported is one that it has; a command is
 * obeyed only when it is rightly signed; a session that it does not have is NAKed, never invented.
 */
import { createSocket, type Socket } from 'node:dgram';
import { once } from 'node:events';
import { AcctStatusType, Attribute } from '../radius/attribute-number.js';
import { Code } from '../radius/code.js';
import { type Packet, parsePacket } from '../radius/packet.js';
import { ReplyBuilder } from '../radius/reply.js';
import { RequestBuilder } from '../radius/request.js';
import { SharedSecret } from '../radius/shared-secret.js';
import { RadiusExchange } from './radius-exchange.js';
import { toldService, type ToldService, untold } from './told-service.js';

export interface SimulatedNasOptions {
  /** NAS-Identifier. */
  readonly name: string;
  readonly secret: string | Uint8Array;
  /** Where server and NAS are: an IPv4 address, loopback. */
  readonly host: string;
  readonly authPort: number;
  readonly accountingPort: number;
  /** UDP port for CoA and Disconnect (RFC 5176 §2.1 says 3799); 0 for any free one. */
  readonly commandPort: number;
  /** Our clock, ms since 1970. */
  readonly nowMs: () => number;
  /** Hears of every command that was rightly signed. */
  readonly onCommand?: (command: NasCommand) => void;
}

/** A command as it was understood. */
export interface NasCommand {
  readonly kind: 'coa' | 'disconnect';
  readonly request: Packet;
  /** The session it was for; undefined: the NAS has none such, and said so. */
  readonly session: NasSession | undefined;
}

/** Who asks to be let in. */
export interface Device {
  readonly login: string;
  readonly password: string;
  /** Calling-Station-Id. */
  readonly mac: string;
}

/** A session as its NAS has it. */
export interface NasSession {
  readonly acctSessionId: string;
  readonly device: Device;
  readonly address: string;
  readonly class: Buffer | undefined;
  readonly startedAtMs: number;
  /** As the Accept said, and every CoA since. */
  service: ToldService;
  inputOctets: number;
  outputOctets: number;
  /** Told when the NAS ends it: a Disconnect, not the subscriber. */
  onDisconnect: () => void;
}

export type LogInResult =
  | { readonly result: 'accepted'; readonly session: NasSession }
  | { readonly result: 'rejected'; readonly message: string }
  | { readonly result: 'silence' };

/** Acct-Terminate-Cause (RFC 2866 §5.10). */
export const TerminateCause = { userRequest: 1, lostCarrier: 2, idleTimeout: 4, adminReset: 6, nasReboot: 11 } as const;

/** Error-Cause 503, Session Context Not Found (RFC 5176 §3.5). */
const SESSION_CONTEXT_NOT_FOUND = 503;

/** Upper half of a 64-bit counter (RFC 2869 §5.1). */
const GIGAWORD = 2 ** 32;

/** Where addresses come from when the server gave none: a pool of the NAS's own (RFC 6598 space). */
const OWN_POOL = '100.127.';

export class SimulatedNas {
  readonly #options: SimulatedNasOptions;
  readonly #secret: SharedSecret;
  readonly #exchange: RadiusExchange;
  readonly #commands: Socket;
  readonly #sessions = new Map<string, NasSession>();
  #lastSession = 0;
  #lastOwnAddress = 0;

  private constructor(options: SimulatedNasOptions, secret: SharedSecret, exchange: RadiusExchange, commands: Socket) {
    this.#options = options;
    this.#secret = secret;
    this.#exchange = exchange;
    this.#commands = commands;
    commands.on('message', (octets, from) => this.#command(Buffer.from(octets), from.port, from.address));
    commands.on('error', () => undefined);
  }

  /** Opens its sockets. @throws the system's error when the command port is taken */
  static async open(options: SimulatedNasOptions): Promise<SimulatedNas> {
    const secret = new SharedSecret(options.secret);
    const commands = createSocket('udp4');
    commands.bind(options.commandPort, options.host);
    await once(commands, 'listening');
    return new SimulatedNas(options, secret, await RadiusExchange.open(secret, options.host), commands);
  }

  get name(): string {
    return this.#options.name;
  }

  /** Where CoA and Disconnect are heard. */
  get commandPort(): number {
    return this.#commands.address().port;
  }

  /** Live sessions. */
  get sessions(): readonly NasSession[] {
    return [...this.#sessions.values()];
  }

  /** An Access-Request; after an Accept, the Accounting-Start of a new session. */
  async logIn(device: Device): Promise<LogInResult> {
    const reply = await this.#exchange.ask(this.#options.authPort, (identifier) => {
      const request = new RequestBuilder(Code.accessRequest, identifier);
      this.#identify(request, device);
      const hidden = this.#secret.hidePassword(Buffer.from(device.password), request.authenticator);
      return request.addOctets(Attribute.userPassword, hidden);
    });
    if (reply === undefined) return { result: 'silence' };
    if (reply.code !== Code.accessAccept)
      return { result: 'rejected', message: reply.text(Attribute.replyMessage) ?? '' };
    this.#lastSession += 1;
    const given = reply.first(Attribute.class);
    const session: NasSession = {
      acctSessionId: `${this.name}-${this.#options.nowMs().toString(36)}-${this.#lastSession.toString(36)}`,
      device,
      address: reply.address(Attribute.framedIpAddress) ?? this.#ownAddress(),
      class: given && Buffer.from(given),
      startedAtMs: this.#options.nowMs(),
      service: toldService(reply, untold),
      inputOctets: 0,
      outputOctets: 0,
      onDisconnect: () => undefined,
    };
    this.#sessions.set(session.acctSessionId, session);
    await this.#account(session, AcctStatusType.start);
    return { result: 'accepted', session };
  }

  /** An Interim-Update, of a session that is still there. */
  async report(session: NasSession): Promise<void> {
    if (this.#sessions.has(session.acctSessionId)) await this.#account(session, AcctStatusType.interimUpdate);
  }

  /** Ends a session: its Stop. A second end of the same one does nothing. */
  async end(session: NasSession, terminateCause: number): Promise<void> {
    if (this.#sessions.delete(session.acctSessionId)) await this.#account(session, AcctStatusType.stop, terminateCause);
  }

  /** Ends everything in order: a Stop for each session, then Accounting-Off. */
  async shutDown(): Promise<void> {
    await Promise.all(this.sessions.map((session) => this.end(session, TerminateCause.nasReboot)));
    await this.restarted('off');
  }

  /** Accounting-On or -Off (RFC 2866 §5.1): whatever sessions this NAS had before are over. */
  async restarted(kind: 'on' | 'off'): Promise<void> {
    await this.#exchange.ask(this.#options.accountingPort, (identifier) =>
      new RequestBuilder(Code.accountingRequest, identifier)
        .addText(Attribute.nasIdentifier, this.name)
        .addText(Attribute.acctSessionId, `${this.name}-${kind}`)
        .addUint32(
          Attribute.acctStatusType,
          kind === 'on' ? AcctStatusType.accountingOn : AcctStatusType.accountingOff,
        ),
    );
  }

  /** Closes its sockets; sessions that are left are lost without a word, as in a power cut. */
  close(): void {
    this.#exchange.close();
    this.#commands.close();
  }

  #identify(request: RequestBuilder, device: Device): void {
    request
      .addText(Attribute.userName, device.login)
      .addText(Attribute.nasIdentifier, this.name)
      .addText(Attribute.callingStationId, device.mac)
      .addText(Attribute.nasPortId, `vlan-${String(Number.parseInt(device.mac.slice(-2), 16))}`)
      .addUint32(Attribute.serviceType, 2)
      .addUint32(Attribute.framedProtocol, 1);
  }

  async #account(session: NasSession, status: number, terminateCause?: number): Promise<void> {
    // Counted when the event happens, not when a retry is sent.
    const seconds = Math.floor((this.#options.nowMs() - session.startedAtMs) / 1000);
    const [input, output] = [session.inputOctets, session.outputOctets];
    await this.#exchange.ask(this.#options.accountingPort, (identifier) => {
      const request = new RequestBuilder(Code.accountingRequest, identifier);
      this.#identify(request, session.device);
      request
        .addUint32(Attribute.acctStatusType, status)
        .addText(Attribute.acctSessionId, session.acctSessionId)
        .addAddress(Attribute.framedIpAddress, session.address);
      if (session.class !== undefined) request.addOctets(Attribute.class, session.class);
      if (status !== AcctStatusType.start) {
        request
          .addUint32(Attribute.acctSessionTime, seconds)
          .addUint32(Attribute.acctInputOctets, input % GIGAWORD)
          .addUint32(Attribute.acctInputGigawords, Math.floor(input / GIGAWORD))
          .addUint32(Attribute.acctOutputOctets, output % GIGAWORD)
          .addUint32(Attribute.acctOutputGigawords, Math.floor(output / GIGAWORD));
      }
      if (terminateCause !== undefined) request.addUint32(Attribute.acctTerminateCause, terminateCause);
      return request;
    });
  }

  #ownAddress(): string {
    this.#lastOwnAddress = (this.#lastOwnAddress + 1) % 65_536;
    return `${OWN_POOL}${String(this.#lastOwnAddress >> 8)}.${String(this.#lastOwnAddress & 255)}`;
  }

  /** CoA and Disconnect (RFC 5176 §2, §3): unsigned ones are dropped without a word. */
  #command(octets: Buffer, port: number, address: string): void {
    const parsed = parsePacket(octets);
    if (!parsed.ok || !this.#secret.requestAuthenticatorMatches(parsed.packet)) return;
    const { packet } = parsed;
    const isDisconnect = packet.code === Code.disconnectRequest;
    if (!isDisconnect && packet.code !== Code.coaRequest) return;
    const session = this.#named(packet);
    const code = isDisconnect
      ? session === undefined
        ? Code.disconnectNak
        : Code.disconnectAck
      : session === undefined
        ? Code.coaNak
        : Code.coaAck;
    const reply = new ReplyBuilder(packet, code, this.#secret);
    if (session === undefined) reply.addUint32(Attribute.errorCause, SESSION_CONTEXT_NOT_FOUND);
    else if (!isDisconnect) session.service = toldService(packet, session.service);
    this.#commands.send(reply.finish(), port, address);
    this.#options.onCommand?.({ kind: isDisconnect ? 'disconnect' : 'coa', request: packet, session });
    if (!isDisconnect || session === undefined) return;
    session.onDisconnect();
    void this.end(session, TerminateCause.adminReset);
  }

  /** The session that a command names: all that it names has to fit (RFC 5176 §3). */
  #named(packet: Packet): NasSession | undefined {
    const acctSessionId = packet.text(Attribute.acctSessionId);
    const login = packet.text(Attribute.userName);
    const address = packet.address(Attribute.framedIpAddress);
    if (acctSessionId === undefined && login === undefined && address === undefined) return undefined;
    return this.sessions.find(
      (session) =>
        (acctSessionId === undefined || session.acctSessionId === acctSessionId) &&
        (login === undefined || session.device.login === login) &&
        (address === undefined || session.address === address),
    );
  }
}
