/**
 * Whoever started us: systemd, or nobody. Enters: the environment. Leaves: sockets that it holds for us, and somebody to report to. Invariant: without
 * a supervisor everything here does nothing.
 */
import type { Logger } from 'pino';
import type { Endpoint } from '../config/endpoint.js';
import type { ListenOptions } from '../radius/listener.js';
import { InheritedSockets, takeInheritedSockets, type Protocol } from './inherited-sockets.js';
import { ServiceManager } from './service-manager.js';
import { Watchdog, type TurningPart } from './watchdog.js';

/** How often the status line is renewed where no watchdog asks for heartbeats, ms. */
const STATUS_INTERVAL_MS = 60_000;

export class Supervision {
  readonly #sockets: InheritedSockets;
  readonly #manager: ServiceManager;
  #watchdog: Watchdog | undefined;

  /**
   * Takes what is meant for this process. Called before anything else is started: the variables must not reach a child.
   *
   * @throws InheritedSocketError when the socket units pass something that cannot be used
   */
  static take(environment: NodeJS.ProcessEnv, pid: number): Supervision {
    const sockets = new InheritedSockets(takeInheritedSockets(environment, pid));
    return new Supervision(sockets, ServiceManager.take(environment, pid));
  }

  /** Of a server that nobody supervises. */
  static none(): Supervision {
    return Supervision.take({}, 0);
  }

  private constructor(sockets: InheritedSockets, manager: ServiceManager) {
    this.#sockets = sockets;
    this.#manager = manager;
  }

  /**
   * How to listen for RADIUS at an address of the configuration.
   *
   * @throws InheritedSocketError when a socket unit holds its port under another address
   */
  listen(endpoint: Endpoint, receiveBufferOctets: number): ListenOptions {
    const { address, port, family } = endpoint;
    const descriptor = this.descriptorOf('udp', endpoint);
    return {
      socketAddress: { address, port, family: family === 'ipv6' ? 6 : 4 },
      receiveBufferOctets,
      ...(descriptor === undefined ? {} : { descriptor }),
    };
  }

  /** The held socket of this address, if there is one. @throws InheritedSocketError as `listen` */
  descriptorOf(protocol: Protocol, endpoint: Endpoint): number | undefined {
    return this.#sockets.take(protocol, endpoint);
  }

  /** Says what was passed and is served by nobody. Called when everything listens. */
  tellLeftOver(log: Logger): void {
    for (const socket of this.#sockets.leftOver()) log.warn({ socket }, 'a socket was passed to us in vain');
  }

  /**
   * Everything listens and is recorded: reports it, and goes on to report for as long as the work turns.
   *
   * @param status one line for people
   * @param parts the loops that must turn, of this moment
   */
  listening(log: Logger, status: () => string, parts: () => readonly TurningPart[]): void {
    if (!this.#manager.isThere) return;
    this.#manager.useLog(log);
    this.#manager.ready(status());
    this.#watchdog = new Watchdog({
      parts,
      watchdogMs: this.#manager.watchdogMs ?? STATUS_INTERVAL_MS,
      alive: () =>
        this.#manager.watchdogMs === undefined ? this.#manager.status(status()) : this.#manager.alive(status()),
      onStalled: (stuck) =>
        log.fatal({ stuck }, 'parts of the server no longer turn: the watchdog is not told that we live'),
    });
  }

  /** A line for people, between heartbeats. */
  status(status: string): void {
    this.#manager.status(status);
  }

  /** Around a reload: the manager waits with others until it is done. */
  async reloading<Result>(reload: () => Promise<Result>, status: () => string): Promise<Result> {
    this.#manager.reloading();
    try {
      return await reload();
    } finally {
      this.#manager.ready(status());
    }
  }

  stopping(): void {
    this.#manager.stopping('answering what is in hand');
  }

  /** The end: after everything else. */
  async close(): Promise<void> {
    this.#watchdog?.stop();
    await this.#manager.close();
  }
}
