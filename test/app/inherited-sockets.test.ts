/**
 * Sockets from a supervisor, sd_listen_fds(3): what is taken, what is refused with which remedy, what is told. The descriptors are tables of text.
 */
import t from 'tap';
import {
  InheritedSocketError,
  InheritedSockets,
  takeInheritedSockets,
  type DescriptorFacts,
} from '../../src/app/inherited-sockets.js';
import { parseEndpoint, type Endpoint } from '../../src/config/endpoint.js';

const PID = 4711;

/** As the kernel prints them (proc_net_udp): addresses in words of the byte order of the machine, here of x86 and arm64. */
const header =
  '  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode ref pointer drops\n';
const row = (local: string, state: string, inode: number) =>
  `  77: ${local} 00000000:0000 ${state} 00000000:00000000 00:00000000 00000000     0        0 ${String(inode)} 2 0000000000000000 0\n`;

const facts = (links: Record<number, string>, tables: Partial<Record<string, string>>): DescriptorFacts => ({
  link: (descriptor) => links[descriptor],
  table: (name) => (tables[name] === undefined ? undefined : header + tables[name]),
});

const environment = (count: number | string, names?: string) => ({
  LISTEN_PID: String(PID),
  LISTEN_FDS: String(count),
  ...(names === undefined ? {} : { LISTEN_FDNAMES: names }),
});

const endpoint = (text: string): Endpoint => {
  const result = parseEndpoint(text);
  if (!result.ok) throw new Error(text);
  return result.endpoint;
};

const usual = facts(
  { 3: 'socket:[101]', 4: 'socket:[102]', 5: 'socket:[103]', 6: 'socket:[104]', 7: '/dev/null' },
  {
    udp: row('0100007F:0714', '07', 101) + row('00000000:0715', '07', 102),
    udp6: row('B80D0120000000000000000001000000:0714', '07', 103),
    tcp: row('0100007F:1F90', '0A', 104),
  },
);

t.test('addresses of all families are read, without touching the sockets', async (t) => {
  const found = takeInheritedSockets(environment(5, 'a.socket:b:c:d'), PID, usual);
  t.same(
    found.map(({ descriptor, name, bound }) => [
      descriptor,
      name,
      bound && `${bound.protocol} ${bound.endpoint.address} ${String(bound.endpoint.port)}`,
    ]),
    [
      [3, 'a.socket', 'udp 127.0.0.1 1812'],
      [4, 'b', 'udp 0.0.0.0 1813'],
      [5, 'c', 'udp 2001:db8::1 1812'],
      [6, 'd', 'tcp 127.0.0.1 8080'],
      [7, '', undefined],
    ],
  );
});

t.test('real descriptors of this process are found in /proc', async (t) => {
  const { createServer } = await import('node:net');
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  t.teardown(() => server.close());
  const { port } = server.address() as { port: number };
  const places = takeInheritedSockets(environment(60), PID).flatMap(({ bound }) => (bound ? [bound] : []));
  t.match(places, [{ protocol: 'tcp', endpoint: { address: '127.0.0.1', port, family: 'ipv4' } }]);
});

const ignored: [string, Record<string, string>][] = [
  ['without variables', {}],
  ['for another process', { LISTEN_PID: '1', LISTEN_FDS: '2' }],
  ['without a process', { LISTEN_FDS: '2' }],
  ['none', environment(0)],
];
for (const [name, variables] of ignored) {
  t.test(`nothing is taken: ${name}`, async (t) => {
    t.same(takeInheritedSockets(variables, PID, usual), []);
    t.same(
      Object.keys(variables).filter((key) => key.startsWith('LISTEN_')),
      [],
      'and the variables are gone',
    );
  });
}

for (const count of ['-1', '65', '1e1', 'two', '']) {
  t.test(`LISTEN_FDS=${JSON.stringify(count)} is refused`, async (t) => {
    t.throws(() => takeInheritedSockets(environment(count), PID, usual), { name: 'InheritedSocketError' });
  });
}

const passed = () => new InheritedSockets(takeInheritedSockets(environment(5, 'sluice.socket'), PID, usual));

t.test('each address gets its descriptor, once, in any spelling', async (t) => {
  const sockets = passed();
  t.equal(sockets.take('udp', endpoint('127.0.0.1:1812')), 3);
  t.equal(sockets.take('udp', endpoint('127.0.0.1:1812')), undefined);
  t.equal(sockets.take('udp', endpoint('[2001:DB8:0::1]:1812')), 5);
  t.equal(sockets.take('tcp', endpoint('127.0.0.1:8080')), 6);
  t.equal(sockets.take('udp', endpoint('127.0.0.2:1645')), undefined, 'another address is bound by ourselves');
});

t.test('a protocol is not mistaken for the other', async (t) => {
  t.equal(passed().take('tcp', endpoint('127.0.0.1:1812')), undefined);
});

t.test('a held socket that is in the way is named, with the remedy', async (t) => {
  for (const text of ['10.0.0.1:1813', '127.0.0.1:1813']) {
    t.throws(() => passed().take('udp', endpoint(text)), {
      message: new RegExp(`holds 0\\.0\\.0\\.0:1813/udp, and sluice\\.toml says ${text}: make the two equal`),
    });
  }
  t.throws(() => passed().take('udp', endpoint('[::]:1812')), InheritedSocketError);
  t.doesNotThrow(() => passed().take('udp', endpoint('10.0.0.1:1812')), 'another address on that port is not');
});

t.test('one address twice is refused: the kernel would share its packets', async (t) => {
  const twice = facts(
    { 3: 'socket:[1]', 4: 'socket:[2]' },
    { udp: row('0100007F:0714', '07', 1) + row('0100007F:0714', '07', 2) },
  );
  const sockets = takeInheritedSockets(environment(2), PID, twice);
  t.throws(() => new InheritedSockets(sockets), { message: /127\.0\.0\.1:1812\/udp twice: remove one/ });
});

t.test('what nobody took is told, each with a remedy', async (t) => {
  const sockets = passed();
  sockets.take('udp', endpoint('127.0.0.1:1812'));
  const told = [...sockets.leftOver()];
  t.equal(told.length, 4);
  t.match(told[0], /^descriptor 7 .* write ListenDatagram=/);
  t.match(told.join('\n'), /0\.0\.0\.0:1813\/udp, which nothing here serves: .* add it to radius\.auth/);
  t.match(told.join('\n'), /127\.0\.0\.1:8080\/tcp, which nothing here serves: .* add it to status\.listen/);
});

t.test('a TCP socket that does not listen is none of ours', async (t) => {
  const connected = facts({ 3: 'socket:[1]' }, { tcp: row('0100007F:1F90', '01', 1) });
  t.same(takeInheritedSockets(environment(1), PID, connected)[0]?.bound, undefined);
});
