// The section [dhcp]: what a right one becomes, and what is told of a wrong one.

import t from 'tap';
import { RelayTable } from '../../src/dhcp/relay-table.js';
import { confFolder } from './conf-folder.js';

const relay = (lines: string): string => `[[dhcp.relays]]\n${lines}\n`;
const right = 'name = "olt-1"\nsource = "10.0.0.2"\ngiaddr = "100.64.0.0/10"';

t.test('without a word about it nobody is listened to', async (t) => {
  const { dhcp } = await (await confFolder(t)).load();
  t.same(dhcp, {
    listen: [],
    relays: [],
    routingDomain: 'default',
    networks: [],
    ignoreNetworks: [],
    receiveBufferBytes: 4_194_304,
    maxHeldRequests: 10_000,
    maxLeasequeries: 256,
  });
});

t.test('what is written is what the listener gets', async (t) => {
  const folder = await confFolder(t, {
    'conf/sluice.toml':
      '[dhcp]\nlisten = ["10.0.0.5:67"]\nrouting_domain = "city"\nignore_networks = ["10.0.0.0/8"]\nmax_held_requests = 500\nmax_leasequeries = 16\n' +
      '[[dhcp.networks]]\nnetwork = "100.65.0.0/16"\nnas = "bras1"\n' +
      relay(`${right}\nleasequery_servers = ["10.0.0.1", "10.0.0.9:1067"]`) +
      relay(
        'name = "site"\nsource = ["10.1.0.0/16", "10.2.0.7"]\ngiaddr = ["100.65.2.1", "0.0.0.0"]\ntrusted = true\nacks = true',
      ),
  });
  const { dhcp } = await folder.load();
  t.same(dhcp, {
    listen: [{ address: '10.0.0.5', port: 67, family: 'ipv4' }],
    relays: [
      {
        name: 'olt-1',
        source: [{ address: 0x0a000002, prefixLength: 32 }],
        giaddr: [{ address: 0x64400000, prefixLength: 10 }],
        trusted: false,
        acks: false,
        leasequeryServers: [
          { address: '10.0.0.1', port: 67 },
          { address: '10.0.0.9', port: 1067 },
        ],
      },
      {
        name: 'site',
        source: [
          { address: 0x0a010000, prefixLength: 16 },
          { address: 0x0a020007, prefixLength: 32 },
        ],
        giaddr: [
          { address: 0x64410201, prefixLength: 32 },
          { address: 0, prefixLength: 32 },
        ],
        trusted: true,
        acks: true,
        leasequeryServers: [],
      },
    ],
    routingDomain: 'city',
    networks: [{ network: [{ address: 0x64410000, prefixLength: 16 }], nas: 'bras1' }],
    ignoreNetworks: [{ address: 0x0a000000, prefixLength: 8 }],
    receiveBufferBytes: 4_194_304,
    maxHeldRequests: 500,
    maxLeasequeries: 16,
  });
  const table = new RelayTable(dhcp.relays);
  t.equal(table.find('10.0.0.2', 0x64410201)?.name, 'olt-1');
  t.equal(table.find('10.1.255.255', 0)?.name, 'site');
});

type Wrong = readonly [what: string, text: string, line: number, key: string, problem: RegExp, remedy: RegExp];
const on = '[dhcp]\nlisten = ["10.0.0.5:67"]\n';
const changed = (from: string | RegExp, to: string): string => relay(right.replace(from, to));

const cases: readonly Wrong[] = [
  ['an address without a port', '[dhcp]\nlisten = ["10.0.0.5"]\n', 2, 'dhcp.listen[0]', /ADDRESS:PORT/, /port/],
  ['an IPv6 address', '[dhcp]\nlisten = ["[::]:67"]\n', 2, 'dhcp.listen[0]', /IPv6/, /10\.0\.0\.1:67/],
  ['a text for a list', '[dhcp]\nlisten = "10.0.0.5:67"\n', 2, 'dhcp.listen', /is a text/, /list of texts/],
  ['nobody to listen to', on, 2, 'dhcp.listen', /every packet would be dropped/, /\[\[dhcp\.relays\]\]/],
  ['a misspelt key', '[dhcp]\nlistens = []\n', 2, 'dhcp.listens', /not a key/, /write listen$/],
  ['one table for a list of them', '[dhcp.relays]\nname = "a"\n', 1, 'dhcp.relays', /is a table/, /list of entries/],
  ['a bound below sense', '[dhcp]\nmax_leasequeries = 0\n', 2, 'dhcp.max_leasequeries', /below 1/, /from 1 to 10000/],
  ['a bound beyond it', '[dhcp]\nmax_held_requests = 1000001\n', 2, 'dhcp.max_held_requests', /above/, /from 16/],
  ['no name', relay('source = "10.0.0.2"\ngiaddr = "10.0.0.2"'), 1, 'dhcp.relays[0].name', /missing/, /text in quotes/],
  ['a bad name', changed('olt-1', 'OLT 1'), 2, 'dhcp.relays[0].name', /not a name/, /letter/],
  [
    'no source',
    relay('name = "a"\ngiaddr = "10.0.0.2"'),
    1,
    'dhcp.relays[0].source',
    /missing/,
    /text in quotes, or a list of 1 to 64/,
  ],
  ['no giaddr', relay('name = "a"\nsource = "10.0.0.2"'), 1, 'dhcp.relays[0].giaddr', /missing/, /text in quotes/],
  ['a host name', changed('10.0.0.2', 'olt.example'), 3, 'dhcp.relays[0].source', /not an IP address/, /10\.0\.0\.2/],
  ['host bits', changed('/10', '/9'), 4, 'dhcp.relays[0].giaddr', /after its prefix/, /"100\.0\.0\.0\/9"/],
  ['a prefix too long', changed('/10', '/33'), 4, 'dhcp.relays[0].giaddr', /between 0 and 32/, /10\.0\.0\.0\/24/],
  ['everybody', changed('10.0.0.2', '0.0.0.0/0'), 3, 'dhcp.relays[0].source', /every address/, /IPv4 address/],
  ['any giaddr', changed('100.64.0.0/10', '0.0.0.0/0'), 4, 'dhcp.relays[0].giaddr', /every address/, /network/],
  ['IPv6', changed('10.0.0.2', '2001:db8::1'), 3, 'dhcp.relays[0].source', /IPv6/, /10\.0\.0\.0\/24/],
  [
    'the second of a list',
    relay('name = "a"\nsource = [\n"10.0.0.2",\n7,\n]\ngiaddr = "10.0.0.2"'),
    5,
    'dhcp.relays[0].source[1]',
    /is a number/,
    /text in quotes/,
  ],
  ['an empty list', changed('"10.0.0.2"', '[]'), 3, 'dhcp.relays[0].source', /fewer than 1/, /list of 1 to 64/],
  [
    'a switch that is a text',
    relay(`${right}\ntrusted = "yes"`),
    5,
    'dhcp.relays[0].trusted',
    /is a text/,
    /true or false/,
  ],
  [
    'a server by name',
    relay(`${right}\nleasequery_servers = [\n"dhcp.example",\n]`),
    6,
    'dhcp.relays[0].leasequery_servers[0]',
    /DHCP server/,
    /10\.0\.0\.1:67/,
  ],
  [
    'a server of IPv6',
    relay(`${right}\nleasequery_servers = ["[::1]:67"]`),
    5,
    'dhcp.relays[0].leasequery_servers[0]',
    /IPv4/,
    /10\.0\.0\.1/,
  ],
  [
    'a server at port 0',
    relay(`${right}\nleasequery_servers = ["10.0.0.1:0"]`),
    5,
    'dhcp.relays[0].leasequery_servers[0]',
    /DHCP server/,
    /port/,
  ],
  [
    'trust, and somebody to ask',
    relay(`${right}\nleasequery_servers = ["10.0.0.1"]\ntrusted = true`),
    6,
    'dhcp.relays[0].trusted',
    /would not be asked/,
    /one of the two/,
  ],
  [
    'two relays of one name',
    relay(right) + changed('10.0.0.2', '10.0.0.3'),
    6,
    'dhcp.relays[1].name',
    /another relay/,
    /name of its own/,
  ],
  [
    'two relays with the same packets',
    relay(right) + changed('olt-1', 'olt-2'),
    8,
    'dhcp.relays[1].giaddr',
    /olt-1/,
    /differ/,
  ],
  [
    'the port of RADIUS',
    `[dhcp]\nlisten = ["127.0.0.1:1812"]\n${relay(right)}`,
    2,
    'dhcp.listen',
    /radius\.auth/,
    /another port/,
  ],
];

t.test('each wrong configuration is told with file, line, key, problem and remedy', async (t) => {
  for (const [what, text, line, key, problem, remedy] of cases) {
    const problems = await (await confFolder(t, { 'conf/sluice.toml': text })).problems();
    t.same(
      problems.map((one) => [one.file, one.line, one.key]),
      [['conf/sluice.toml', line, key]],
      `${what}: the place`,
    );
    t.match(problems[0]?.problem, problem, `${what}: the problem`);
    t.match(problems[0]?.remedy, remedy, `${what}: the remedy`);
  }
});

t.test('overlapping relays that differ are right: the longer prefix counts', async (t) => {
  const text = on + relay(right) + changed('olt-1', 'olt-2').replace('/10', '/11');
  const { dhcp } = await (await confFolder(t, { 'conf/sluice.toml': text })).load();
  const table = new RelayTable(dhcp.relays);
  t.equal(table.find('10.0.0.2', 0x64410201)?.name, 'olt-2');
  t.equal(table.find('10.0.0.2', 0x647f0001)?.name, 'olt-1');
});
