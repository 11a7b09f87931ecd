/**
 * Tracing as a part of the server: the hub that sees the traffic and the socket where people ask.
 *
 * Enters: the policy of the moment, the directory. Leaves: what the RADIUS service and the access handler tell what passes.
 * Invariants: whom a packet belongs to is decided by the handlers' own functions; a socket that cannot be opened is a warning,
 * for serving goes on without it.
 */
import type { Logger } from 'pino';
import type { NasEntry } from '../config/config.js';
import type { Subscriber } from '../domain/subscriber.js';
import type { ClassCookie } from '../handlers/class-cookie.js';
import { clientMacOf } from '../handlers/client-mac.js';
import { findIdentity } from '../handlers/identity.js';
import { nasBoxOf } from '../handlers/nas-box.js';
import type { AdmittedRequest } from '../radius/admitted-request.js';
import { Attribute } from '../radius/attribute-number.js';
import type { Dictionary } from '../radius/dictionary.js';
import { traceSocketPath } from '../status/trace-protocol.js';
import type { Directory } from '../store/directory.js';
import { nasOf, type Policy } from './policy.js';
import { TraceHub, type TracedIdentity } from './trace-hub.js';
import { TraceSocket } from './trace-socket.js';

export interface TraceSideDeps {
  readonly dictionary: Dictionary;
  readonly directory: Directory;
  readonly policy: () => Policy;
  readonly log: Logger;
}

export class TraceSide {
  readonly #deps: TraceSideDeps;
  readonly #hub: TraceHub;
  #socket: TraceSocket | undefined;
  #classCookie: Pick<ClassCookie, 'read'> | undefined;

  constructor(deps: TraceSideDeps) {
    this.#deps = deps;
    this.#hub = new TraceHub({
      dictionary: deps.dictionary,
      identityOf: (request) => this.#identityOf(request),
      nasNameOf: (request) => this.#nasOf(request)?.name,
      nowMs: Date.now,
      onError: (error) => deps.log.error({ err: error }, 'tracing failed and has ended'),
    });
  }

  /** Where whoever handles packets looks for somebody to tell. */
  get watch(): TraceHub['watch'] {
    return this.#hub.watch;
  }

  /** Opens the socket in the data folder; the caller holds the folder's lock. */
  async open(dataDir: string, classCookie: Pick<ClassCookie, 'read'>): Promise<void> {
    this.#classCookie = classCookie;
    const path = traceSocketPath(dataDir);
    try {
      this.#socket = await TraceSocket.open(path, this.#hub);
    } catch (error) {
      this.#deps.log.warn({ err: error, path }, 'the socket for sluice trace cannot be opened');
    }
  }

  /** Lets all tracers go. */
  async close(): Promise<void> {
    await this.#socket?.close();
  }

  #nasOf(request: AdmittedRequest): NasEntry | undefined {
    return nasOf(this.#deps.policy(), request);
  }

  // As accounting is resolved: what a genuine Class says, then the names; a live session knows its own when neither tells.
  #identityOf(request: AdmittedRequest): TracedIdentity | undefined {
    const { directory, policy } = this.#deps;
    const nas = this.#nasOf(request);
    const profile = nas && policy().profiles.get(nas.profile);
    if (nas === undefined || profile === undefined) return undefined;
    const { packet } = request;
    const isAccounting = request.port === 'accounting';
    const evidence = isAccounting ? this.#classCookie?.read(packet) : undefined;
    if (evidence) return identityOfId(directory, evidence.subscriberId, 'class');
    const [userName, callingStation] = [packet.text(Attribute.userName), packet.text(Attribute.callingStationId)];
    const seen = policy().seenLines.of(nas.name, packet);
    const identity = findIdentity(directory, profile.profile, {
      userName,
      callingStation,
      framedAddress: packet.uint32(Attribute.framedIpAddress),
      mac: clientMacOf(callingStation, userName) ?? seen?.mac,
      line: seen?.read,
      at: isAccounting ? undefined : { nasName: nas.name, routingDomain: nas.routingDomain },
    });
    if (identity.found === 'several') return { found: 'several', by: identity.by };
    if (identity.found === 'one') return identityOf(identity.subscriber, identity.by);
    const acctSessionId = isAccounting ? packet.text(Attribute.acctSessionId) : undefined;
    const session =
      acctSessionId === undefined
        ? undefined
        : directory.sessions.ofLine(nas.name, nasBoxOf(packet, request.sourceAddress), acctSessionId);
    if (session?.subscriberId !== undefined) return identityOfId(directory, session.subscriberId, 'session');
    return { found: 'none', by: identity.soughtBy };
  }
}

function identityOfId(directory: Directory, subscriberId: number, by: string): TracedIdentity {
  const subscriber = directory.subscriber(subscriberId);
  return subscriber === undefined ? { found: 'none', by } : identityOf(subscriber, by);
}

function identityOf({ login, mac }: Subscriber, by: string): TracedIdentity {
  return { found: 'one', by, login, mac };
}
