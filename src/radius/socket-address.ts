// `a.b.c.d:port` and `[v6]:port`, as configuration writes them.
// In: text. Out: family, address and port, or undefined.
// Invariant: format(parse(text)) names the same socket.

import { isIPv4, isIPv6 } from 'node:net';

/** An address and port to listen on. Port 0 lets the system choose, which tests want. */
export interface SocketAddress {
  readonly family: 4 | 6;
  readonly address: string;
  readonly port: number;
}

/** Parses `10.0.0.1:1812` or `[2001:db8::1]:1812`; undefined for anything else. */
export function parseSocketAddress(text: string): SocketAddress | undefined {
  const match = /^(?:\[([^\]]+)\]|([^:]+)):(\d{1,5})$/.exec(text);
  const port = Number(match?.[3] ?? NaN);
  if (match === null || port > 65535) return undefined;
  const [, v6, v4] = match;
  if (v6 !== undefined) return isIPv6(v6) ? { family: 6, address: v6, port } : undefined;
  return v4 !== undefined && isIPv4(v4) ? { family: 4, address: v4, port } : undefined;
}

/** The text that `parseSocketAddress` reads. */
export function formatSocketAddress(socket: SocketAddress): string {
  return socket.family === 6 ? `[${socket.address}]:${socket.port}` : `${socket.address}:${socket.port}`;
}

/**
 * Whether this listens on every address of the host. Replies then leave from whichever address routing picks, which a NAS
 * that asked another one discards; configuration warns about it.
 */
export function isWildcard(socket: SocketAddress): boolean {
  return socket.address === '0.0.0.0' || /^[0:]+$/.test(socket.address);
}
