/**
 * Where a socket listens: an address and a port.
 *
 * Enters: `127.0.0.1:1812` or `[::1]:1812`.
 * Leaves: a parsed `Endpoint`, or what is wrong with the text.
 * Invariant: the address is a literal, never a name, so that binding never waits for a name server.
 */
import { isIPv4, isIPv6 } from 'node:net';

/** A local address and port. Port 0 means any free one, which is for tests. */
export interface Endpoint {
  readonly address: string;
  readonly port: number;
  readonly family: 'ipv4' | 'ipv6';
}

export type EndpointResult =
  { readonly ok: true; readonly endpoint: Endpoint } | { readonly ok: false; readonly problem: string };

const maxPort = 65_535;

/**
 * Reads `ADDRESS:PORT`, an IPv6 address in brackets.
 *
 * @param text as written in the file
 * @returns the endpoint, or the problem in words that follow a key
 */
export function parseEndpoint(text: string): EndpointResult {
  const match = /^(?:\[(?<v6>[^\]]*)\]|(?<v4>[^:[\]]*)):(?<port>\d{1,5})$/u.exec(text);
  const groups = match?.groups;
  if (groups === undefined) return { ok: false, problem: 'is not ADDRESS:PORT' };
  const port = Number(groups['port']);
  if (port > maxPort) return { ok: false, problem: `has the port ${port}, above ${maxPort}` };
  const v6 = groups['v6'];
  const v4 = groups['v4'] ?? '';
  if (v6 !== undefined) {
    return isIPv6(v6) && !v6.includes('%')
      ? { ok: true, endpoint: { address: v6, port, family: 'ipv6' } }
      : { ok: false, problem: 'has no IPv6 address between its brackets' };
  }
  return isIPv4(v4)
    ? { ok: true, endpoint: { address: v4, port, family: 'ipv4' } }
    : { ok: false, problem: 'does not begin with an IPv4 address' };
}

/** The text form that `parseEndpoint` reads. */
export function formatEndpoint(endpoint: Endpoint): string {
  return endpoint.family === 'ipv6' ? `[${endpoint.address}]:${endpoint.port}` : `${endpoint.address}:${endpoint.port}`;
}

/** Whether the endpoint can be reached from this host alone. */
export function isLoopback(endpoint: Endpoint): boolean {
  return endpoint.family === 'ipv4' ? endpoint.address.startsWith('127.') : /^(?:0*:)*:?0*1$/u.test(endpoint.address);
}
