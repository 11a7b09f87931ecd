// Which relay a packet belongs to: by its source and its giaddr, both.

import t from 'tap';
import fc from 'fast-check';
import { parseIpv4Address } from '../../src/domain/ipv4-address.js';
import { RelayTable, type Ipv4Network, type Relay } from '../../src/dhcp/relay-table.js';

const network = (text: string): Ipv4Network => {
  const [address = '', length = '32'] = text.split('/');
  return { address: parseIpv4Address(address)!, prefixLength: Number(length) };
};
const relay = (name: string, source: string[], giaddr: string[], servers: string[] = []): Relay => ({
  name,
  source: source.map(network),
  giaddr: giaddr.map(network),
  trusted: false,
  acks: false,
  leasequeryServers: servers.map((address) => ({ address, port: 67 })),
});

const table = new RelayTable([
  relay('wide', ['10.0.0.0/8'], ['100.64.0.0/10'], ['10.9.9.1', '10.9.9.2']),
  relay('site', ['10.1.0.0/16'], ['100.65.0.0/16'], ['10.9.9.1']),
  relay('olt', ['10.1.0.2', '10.1.0.3'], ['100.65.2.1', '100.65.3.0/24']),
  relay('direct', ['10.1.0.2'], ['0.0.0.0']),
  relay('top', ['192.0.2.255', '255.0.0.0/8'], ['128.0.0.0/1']),
]);

t.test('a relay is found by source and giaddr, the longer prefix first', async (t) => {
  const rows: readonly [source: string, giaddr: string, name: string | undefined][] = [
    ['10.1.0.2', '100.65.2.1', 'olt'],
    ['10.1.0.3', '100.65.2.1', 'olt'],
    ['10.1.0.3', '100.65.3.255', 'olt'],
    ['10.1.0.2', '0.0.0.0', 'direct'],
    ['10.1.0.3', '0.0.0.0', undefined],
    ['10.1.0.2', '100.65.2.2', 'site'],
    ['10.1.0.4', '100.65.2.1', 'site'],
    ['10.1.0.4', '100.66.0.1', 'wide'],
    ['10.2.0.1', '100.127.255.255', 'wide'],
    ['10.2.0.1', '100.128.0.0', undefined],
    ['11.0.0.1', '100.64.0.1', undefined],
    ['192.0.2.255', '200.0.0.1', 'top'],
    ['255.255.255.255', '255.255.255.255', 'top'],
    ['192.0.2.255', '127.0.0.1', undefined],
    ['::1', '100.64.0.1', undefined],
    ['', '100.64.0.1', undefined],
  ];
  for (const [source, giaddr, name] of rows)
    t.equal(table.find(source, parseIpv4Address(giaddr)!)?.name, name, `${source} ${giaddr}`);
});

t.test('sources are counted by a relay, or as a server; strangers have no name', async (t) => {
  const rows: readonly [source: string, name: string | undefined][] = [
    ['10.1.0.2', 'olt'],
    ['10.1.9.9', 'site'],
    ['10.9.9.2', 'wide'],
    ['11.0.0.1', undefined],
    ['1::2', undefined],
  ];
  for (const [source, name] of rows) t.equal(table.nameOf(source), name, source);
  const apart = new RelayTable([relay('olt', ['10.1.0.2'], ['100.65.2.1'], ['172.16.0.1'])]);
  t.equal(apart.nameOf('172.16.0.1'), 'server-172.16.0.1');
  t.equal(apart.find('172.16.0.1', 0x64410201), undefined, 'and a server is no relay');
});

t.test('servers are listed once, and relays are found by name', async (t) => {
  t.same(
    table.servers.map(({ address }) => address),
    ['10.9.9.1', '10.9.9.2'],
  );
  t.equal(table.byName('site')?.name, 'site');
  t.equal(table.byName('__proto__'), undefined);
  t.same(new RelayTable([]).servers, []);
});

t.test('any table: the relay that is found fits in both, and one is found whenever one fits', async (t) => {
  const one = fc.record({ address: fc.nat(0xffff_ffff), prefixLength: fc.integer({ min: 0, max: 32 }) }).map((net) => ({
    address:
      net.prefixLength === 0
        ? 0
        : Number((BigInt(net.address) >> BigInt(32 - net.prefixLength)) << BigInt(32 - net.prefixLength)),
    prefixLength: net.prefixLength,
  }));
  const networks = fc.array(one, { minLength: 1, maxLength: 3 });
  const holds = (net: Ipv4Network, address: number): boolean =>
    BigInt(address) >> BigInt(32 - net.prefixLength) === BigInt(net.address) >> BigInt(32 - net.prefixLength);
  fc.assert(
    fc.property(
      fc.array(fc.tuple(networks, networks), { maxLength: 6 }),
      fc.nat(0xffff_ffff),
      fc.nat(0xffff_ffff),
      (all, a, b) => {
        const relays = all.map(([source, giaddr], index) => ({
          ...relay(`r${String(index)}`, [], []),
          source,
          giaddr,
        }));
        // Half of the time an address that some network has.
        const source = a % 2 === 0 ? a : (relays[0]?.source[0]?.address ?? a);
        const giaddr = b % 2 === 0 ? b : (relays[0]?.giaddr[0]?.address ?? b);
        const text = [24, 16, 8, 0].map((shift) => String((source >>> shift) & 255)).join('.');
        const fits = (own: Relay): boolean =>
          own.source.some((net) => holds(net, source)) && own.giaddr.some((net) => holds(net, giaddr));
        const found = new RelayTable(relays).find(text, giaddr);
        return found === undefined ? !relays.some(fits) : fits(found);
      },
    ),
    { numRuns: 1_000 },
  );
  t.pass('held');
});
