// A bare UDP echo. Enters: a port. Leaves: every datagram, to where it came from. Invariant: nothing is done beyond what the socket of a
// server does, so it shows what receiving and sending alone costs in Node.
import { createSocket } from 'node:dgram';
import process from 'node:process';

const socket = createSocket({
  type: 'udp4',
  lookup: (address, _options, callback) => callback(null, address, 4),
});
socket.on('message', (bytes, source) => socket.send(bytes, source.port, source.address));
socket.bind(Number(process.argv[2]), '127.0.0.1', () => {
  socket.setRecvBufferSize(4 * 1024 * 1024);
  process.stdout.write('ready\n');
});
