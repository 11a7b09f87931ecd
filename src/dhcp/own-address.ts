/**
 * Which address of this host reaches another one. Enters: the other address. Leaves: ours, as routing picks it now. Invariant: nothing is sent
 * (a UDP socket that connects only asks the routing table).
 */
import { createSocket } from 'node:dgram';

/**
 * @param address IPv4, dotted
 * @returns our address, dotted; undefined when there is no way there
 */
export async function ownAddressToward(address: string, port: number): Promise<string | undefined> {
  const socket = createSocket('udp4');
  try {
    return await new Promise<string | undefined>((resolve) => {
      // A callback of connect would be told of failures too, in place of this event.
      socket.once('error', () => resolve(undefined));
      socket.once('connect', () => resolve(socket.address().address));
      socket.connect(port, address);
    });
  } finally {
    socket.close();
  }
}
