/**
 * Tracing as a part of the server: the hub that sees the traffic and the socket where people ask.
 *
 * Enters: the policy of the moment, the directory. Leaves: what the RADIUS service and the access handler tell what passes.
 * Invariants: whom a packet belongs to is decided by the handlers' own functions; a socket that cannot be opened is a warning,
 * for serving goes on without it.
 */
import type { Logger } from 'pino';
import type { NasEntry } from '../config/config.js';
import { findIdentity } from '../handlers/identity.js';
import type { AdmittedRequest } from '../radius/admitted-request.js';
import { Attribute } from '../radius/attribute-number.js';
import type { Dictionary } from '../radius/dictionary.js';
import { traceSocketPath } from '../status/trace-protocol.js';
import type { Directory } from '../store/directory.js';
import { nasOf, type Policy } from './policy.js';
import { TraceHub, type TracedSubscriber } from './trace-hub.js';
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

  constructor(deps: TraceSideDeps) {
    this.#deps = deps;
    this.#hub = new TraceHub({
      dictionary: deps.dictionary,
      subscriberOf: (request) => this.#subscriberOf(request),
      nasNameOf: (request) => this.#nasOf(request)?.name,
      nowMs: Date.now,
    });
  }

  /** Where whoever handles packets looks for somebody to tell. */
  get watch(): TraceHub['watch'] {
    return this.#hub.watch;
  }

  /** Opens the socket in the data folder; the caller holds the folder's lock. */
  async open(dataDir: string): Promise<void> {
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

  #subscriberOf(request: AdmittedRequest): TracedSubscriber | undefined {
    const nas = this.#nasOf(request);
    const profile = nas && this.#deps.policy().profiles.get(nas.profile);
    if (profile === undefined) return undefined;
    const { packet } = request;
    const identity = findIdentity(this.#deps.directory, profile.profile, {
      userName: packet.text(Attribute.userName),
      callingStation: packet.text(Attribute.callingStationId),
      framedAddress: packet.uint32(Attribute.framedIpAddress),
    });
    return identity.found === 'one' ? identity.subscriber : undefined;
  }
}
