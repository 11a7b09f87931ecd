/**
 * A packet listener on port 67 in a namespace. Enters: `dhcp-listening-child.ts OWN SERVER RELAY`, addresses. Leaves: a line `listening`, then a
 * line of JSON per lease event, per drop that is worth a line, and per address on its standard input what the servers say of it.
 * Invariant: it listens to one relay, and asks one server.
 */
import { writeSync } from 'node:fs';
import { createInterface } from 'node:readline';
import { DhcpPacketListener } from '../../src/dhcp/packet-listener.js';
import { RelayTable } from '../../src/dhcp/relay-table.js';
import { systemClock } from '../../src/spool/clock.js';
import { network, opener } from '../dhcp/listening.js';

const [own = '', server = '', relay = ''] = process.argv.slice(2);
const tell = (line: object): void => void writeSync(1, `${JSON.stringify(line)}\n`);
const listener = new DhcpPacketListener({
  sockets: [opener(own, 67)],
  relays: new RelayTable([
    {
      name: 'relay',
      source: [network(relay)],
      giaddr: [network('100.65.0.0/16')],
      trusted: false,
      acks: false,
      leasequeryServers: [{ address: server, port: 67 }],
    },
  ]),
  sink: {
    take(event, taken) {
      tell(event);
      taken(true);
    },
  },
  clock: systemClock,
  onDrop: (drop, from, address, hint) => tell({ drop, from, address, hint }),
  onError: (error) => tell({ error: String(error) }),
  maxHeldRequests: 100,
  maxLeasequeries: 8,
});
await listener.start();
writeSync(1, 'listening\n');
for await (const address of createInterface({ input: process.stdin }))
  tell({ refreshed: await listener.refresh([{ address, source: 'relay' }]) });
