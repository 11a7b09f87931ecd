/**
 * Ports for tests. Enters: nothing. Leaves: a port on loopback that was free a moment ago.
 * Invariant: two calls in one process never give the same port.
 */
import { createSocket } from 'node:dgram';
import { createServer, type AddressInfo } from 'node:net';

const given = new Set<number>();

/** Ports are asked of the kernel until one is new; a machine with 1,000 busy ones in a row is broken. */
const MAX_ATTEMPTS = 1_000;

async function freeTcpPortOnce(): Promise<number> {
  const server = createServer();
  return await new Promise((settle, fail) => {
    server.once('error', fail);
    server.listen(0, '127.0.0.1', () => {
      const { port } = server.address() as AddressInfo;
      server.close(() => {
        settle(port);
      });
    });
  });
}

async function freeUdpPortOnce(): Promise<number> {
  const socket = createSocket('udp4');
  return await new Promise((settle, fail) => {
    socket.once('error', fail);
    socket.bind(0, '127.0.0.1', () => {
      const { port } = socket.address();
      socket.close(() => {
        settle(port);
      });
    });
  });
}

async function fresh(once: () => Promise<number>): Promise<number> {
  for (let attempt = 0; attempt < MAX_ATTEMPTS; attempt++) {
    const port = await once();
    if (given.has(port)) continue;
    given.add(port);
    return port;
  }
  throw new Error('no free port on loopback');
}

/** A free TCP port on 127.0.0.1. */
export async function freeTcpPort(): Promise<number> {
  return await fresh(freeTcpPortOnce);
}

/** A free UDP port on 127.0.0.1. */
export async function freeUdpPort(): Promise<number> {
  return await fresh(freeUdpPortOnce);
}
