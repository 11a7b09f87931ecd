// One UDP socket.
// In: an address or an inherited descriptor. Out: datagrams with their source; replies leave from the same socket.
// What a listener that was told to stop reading does not read waits in an inherited socket for the next process.
// Replies leave together at the end of a turn of the event loop: whoever waits for them is then woken once, which is what sending one
// datagram mostly costs.
// Invariant: IPv4 and IPv6 sockets are separate, so a source address has one spelling; a socket that cannot be had is a
// typed error that says what to do; errors of single datagrams never end the socket.

import { createSocket, type Socket } from 'node:dgram';
import { formatSocketAddress, type SocketAddress } from './socket-address.js';

/** What the kernel may hold for us while the event loop is busy: some 15,000 small packets, half a second of heavy load. */
export const defaultReceiveBufferOctets = 4 * 1024 * 1024;

/** Why a socket could not be opened. */
export type ListenFault = 'busy' | 'not-permitted' | 'no-such-address' | 'bad-descriptor' | 'failed';

/** A socket that could not be opened; `remedy` is for the operator. */
export class ListenError extends Error {
  override readonly name = 'ListenError';
  constructor(
    readonly reason: ListenFault,
    readonly socketAddress: SocketAddress,
    readonly remedy: string,
    cause: unknown,
  ) {
    super(`cannot listen on ${formatSocketAddress(socketAddress)}/udp: ${reason}; ${remedy}`, { cause });
  }
}

/** Called for each datagram. The buffer belongs to the callee: Node gives every datagram its own. */
export type DatagramHandler = (
  datagram: Buffer,
  sourceAddress: string,
  sourcePort: number,
  listener: UdpListener,
) => void;

/** How to open a listener. */
export interface ListenOptions {
  readonly socketAddress: SocketAddress;
  /** A bound UDP socket inherited from a supervisor, of the family of `socketAddress`. */
  readonly descriptor?: number;
  /** Octets; the kernel grants at most net.core.rmem_max. An inherited socket keeps what its supervisor asked for. */
  readonly receiveBufferOctets?: number;
}

/** Node's way to stop reading without closing: deprecated as private (DEP0112), and without a public successor. */
interface StoppableSocket extends Socket {
  readonly _stopReceiving?: () => void;
}

interface Reply {
  readonly bytes: Buffer;
  readonly address: string;
  readonly port: number;
}

/** An open socket. */
export class UdpListener {
  readonly #socket: Socket;
  readonly #replies: Reply[] = [];
  #sendErrors = 0;
  #closed = false;

  private constructor(
    socket: Socket,
    /** Where it listens; the port is the real one when 0 was asked for. */
    readonly socketAddress: SocketAddress,
    /** Whether somebody else holds the socket too, so that it outlives us. */
    readonly isInherited: boolean,
  ) {
    this.#socket = socket;
  }

  /**
   * Opens a socket and starts delivering datagrams.
   * @throws ListenError
   */
  static async open(options: ListenOptions, onDatagram: DatagramHandler): Promise<UdpListener> {
    const { socketAddress } = options;
    const { family } = socketAddress;
    const socket = createSocket({
      type: family === 4 ? 'udp4' : 'udp6',
      ipv6Only: family === 6,
      // Sources are addresses already; the resolver would cost a turn of the event loop for each reply.
      lookup: (address, _options, callback) => callback(null, address, family),
    });
    await new Promise<void>((resolve, reject) => {
      const onError = (cause: NodeJS.ErrnoException): void => {
        socket.close();
        reject(listenError(socketAddress, cause));
      };
      socket.once('error', onError);
      socket.once('listening', () => {
        socket.off('error', onError);
        resolve();
      });
      try {
        if (options.descriptor !== undefined) socket.bind({ fd: options.descriptor });
        else socket.bind({ address: socketAddress.address, port: socketAddress.port, exclusive: true });
      } catch (cause) {
        reject(listenError(socketAddress, cause as NodeJS.ErrnoException));
      }
    });
    const isInherited = options.descriptor !== undefined;
    // The supervisor may ask for more than net.core.rmem_max, and asking again as who we are would lose it.
    if (!isInherited) wishForBuffer(socket, options.receiveBufferOctets ?? defaultReceiveBufferOctets);
    const bound = socket.address();
    const listener = new UdpListener(socket, { family, address: bound.address, port: bound.port }, isInherited);
    socket.on('error', () => listener.#sendErrors++);
    socket.on('message', (datagram, source) => onDatagram(datagram, source.address, source.port, listener));
    return listener;
  }

  /** What the kernel granted, octets (Linux reports twice what can be used). */
  receiveBufferOctets(): number {
    return this.#socket.getRecvBufferSize();
  }

  /** Datagrams that the system refused to send: an unreachable source, a full buffer. */
  get sendErrors(): number {
    return this.#sendErrors;
  }

  /**
   * Sends from this socket at the end of this turn of the event loop. The octets must not change afterwards. Does nothing once closed.
   * @param onError told when the system refused to send: nothing of the datagram left this host. With it the datagram is sent at once
   */
  send(bytes: Buffer, address: string, port: number, onError?: (code: string) => void): void {
    if (this.#closed) return;
    // Port 0 can be forged into a datagram but never answered; the socket would throw.
    if (port === 0) this.#sendErrors++;
    else if (onError === undefined) {
      // No more gather than a turn reads, or a batch of the spool answers.
      if (this.#replies.push({ bytes, address, port }) === 1) setImmediate(this.#sendReplies);
    } else
      this.#socket.send(bytes, port, address, (error: NodeJS.ErrnoException | null) => {
        if (error === null) return;
        this.#sendErrors++;
        onError(error.code ?? 'unknown');
      });
  }

  readonly #sendReplies = (): void => {
    for (const { bytes, address, port } of this.#replies) this.#socket.send(bytes, port, address);
    this.#replies.length = 0;
  };

  /**
   * Reads nothing any more and still sends: what arrives stays in the socket for whoever reads it next. Without the method in this
   * Node, reading goes on until `close`.
   */
  stopReading(): void {
    const socket: StoppableSocket = this.#socket;
    if (this.#closed || socket._stopReceiving === undefined) return;
    // The warning would be for us, and we know.
    const before = process.noDeprecation;
    process.noDeprecation = true;
    socket._stopReceiving();
    process.noDeprecation = before ?? false;
  }

  /** Closes the socket; resolves when the descriptor is free. A second call does nothing. */
  async close(): Promise<void> {
    if (this.#closed) return;
    this.#closed = true;
    this.#sendReplies();
    await new Promise<void>((resolve) => {
      this.#socket.close(() => resolve());
    });
  }
}

function wishForBuffer(socket: Socket, octets: number): void {
  try {
    socket.setRecvBufferSize(octets);
  } catch {
    // The size is a wish: receiveBufferOctets() tells what was granted.
  }
}

function listenError(socketAddress: SocketAddress, cause: NodeJS.ErrnoException): ListenError {
  switch (cause.code) {
    case 'EADDRINUSE':
      return new ListenError(
        'busy',
        socketAddress,
        `another program holds this port: find it with \`ss -ulpn 'sport = :${socketAddress.port}'\` and stop it, or set another address in [radius]`,
        cause,
      );
    case 'EACCES':
      return new ListenError(
        'not-permitted',
        socketAddress,
        'ports below 1024 need CAP_NET_BIND_SERVICE or a socket unit; use a port of 1024 or above',
        cause,
      );
    case 'EADDRNOTAVAIL':
      return new ListenError(
        'no-such-address',
        socketAddress,
        'this host does not have that address: see `ip address`, and correct [radius]',
        cause,
      );
    case 'EBADF':
    case 'EINVAL':
    case 'ENOTSOCK':
    case 'ERR_INVALID_FD_TYPE':
      return new ListenError(
        'bad-descriptor',
        socketAddress,
        'the inherited descriptor is not a bound UDP socket: compare the socket unit with [radius]',
        cause,
      );
    default:
      return new ListenError('failed', socketAddress, `the system says ${cause.code ?? 'nothing more'}`, cause);
  }
}
