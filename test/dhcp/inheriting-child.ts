/**
 * A process that inherits its socket. Enters: a bound UDP socket as descriptor 3. Leaves: a line `listening`, a line per lease event
 * (`KIND ADDRESS`), and `stopped` after SIGTERM. Invariant: it relays for 127.0.0.2 alone.
 */
import { writeSync } from 'node:fs';
import { DhcpPacketListener } from '../../src/dhcp/packet-listener.js';
import { RelayTable } from '../../src/dhcp/relay-table.js';
import { UdpListener } from '../../src/radius/listener.js';
import { systemClock } from '../../src/spool/clock.js';
import { relayAt } from './listening.js';

const descriptor = 3;
const listener = new DhcpPacketListener({
  sockets: [
    (onDatagram) =>
      UdpListener.open({ socketAddress: { family: 4, address: '127.0.0.1', port: 0 }, descriptor }, onDatagram),
  ],
  relays: new RelayTable([relayAt('olt-1', '127.0.0.2')]),
  sink: {
    take({ kind, address }, taken) {
      writeSync(1, `${kind} ${address}\n`);
      taken(true);
    },
  },
  clock: systemClock,
  onDrop: (reason) => writeSync(1, `dropped: ${reason}\n`),
  onError: (error) => writeSync(1, `error: ${String(error)}\n`),
  maxHeldRequests: 16,
  maxLeasequeries: 1,
});
process.once('SIGTERM', () => {
  void listener.stop().then(() => writeSync(1, 'stopped\n'));
});
await listener.start();
writeSync(1, 'listening\n');
