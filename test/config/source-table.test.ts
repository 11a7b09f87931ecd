// Which NAS a packet comes from: addresses and networks against ipaddr.js, then the entries behind one address.
import fc from 'fast-check';
import ipaddr from 'ipaddr.js';
import t from 'tap';
import type { NasEntry } from '../../src/config/config.js';
import { formatIpAddress, formatIpNetwork, parseIpAddress, parseIpNetwork } from '../../src/config/ip-network.js';
import { SecretValue } from '../../src/config/secret-value.js';
import type { SourceTable as AdmissionTable } from '../../src/radius/admission.js';
import { SharedSecret } from '../../src/radius/shared-secret.js';
import { buildSourceTable, selectNas } from '../../src/config/source-table.js';

const entry = (name: string, addresses: readonly string[], more: Partial<NasEntry> = {}): NasEntry => ({
  name,
  addresses,
  nasIdentifier: undefined,
  nasIpAddress: undefined,
  secrets: [SecretValue.of(`secret of ${name}`)],
  profile: 'linux',
  requireMessageAuthenticator: true,
  limitProxyState: true,
  routingDomain: 'default',
  interimSeconds: 300,
  mode: 'enforce',
  disconnectOnStop: undefined,
  parallel: 16,
  commandsPerSecond: 500,
  coa: {
    address: undefined,
    port: undefined,
    sourceAddress: undefined,
    secret: undefined,
    timeoutMs: 1000,
    attempts: 4,
  },
  ssh: {
    address: undefined,
    port: 22,
    user: 'sluice',
    password: undefined,
    key: undefined,
    hostKey: undefined,
    connections: 1,
    connectTimeoutMs: 10_000,
    commandTimeoutMs: 30_000,
  },
  exec: { script: undefined },
  file: 'conf/nas.d/test.toml',
  line: 1,
  ...more,
});

// Few distinct octets, so that networks really hold the addresses and overlap.
const octet = fc.constantFrom(0, 1, 10, 127, 128, 255);
const ipv4 = fc.tuple(octet, octet, octet, octet).map((octets) => octets.join('.'));
const group = fc.constantFrom('0', '1', 'a', 'ff', '2001', 'db8', 'ffff');
const ipv6 = fc.array(group, { minLength: 8, maxLength: 8 }).map((groups) => groups.join(':'));
const mapped = ipv4.map((address) => `::ffff:${address}`);
const address = fc.oneof(ipv4, ipv6, mapped);

const network = fc
  .oneof(fc.tuple(ipv4, fc.integer({ min: 0, max: 32 })), fc.tuple(ipv6, fc.integer({ min: 0, max: 128 })))
  .map(([one, prefixLength]) => {
    const parsed = parseIpAddress(one)!;
    // An IPv6 text may happen to be a mapped address, whose prefix is then at most that of IPv4.
    const bits = Math.min(prefixLength, parsed.family === 4 ? 32 : 128);
    const hostBits = BigInt((parsed.family === 4 ? 32 : 128) - bits);
    return formatIpNetwork({ ...parsed, value: (parsed.value >> hostBits) << hostBits, prefixLength: bits });
  });

const runs = { numRuns: 500 };

t.test('addresses are read and written as ipaddr.js reads and writes them', async (t) => {
  t.doesNotThrow(() =>
    fc.assert(
      fc.property(address, (text) => {
        const ours = formatIpAddress(parseIpAddress(text)!);
        const theirs = ipaddr.process(text);
        return ours === (theirs.kind() === 'ipv6' ? (theirs as ipaddr.IPv6).toRFC5952String() : theirs.toString());
      }),
      runs,
    ),
  );
  const canonical: readonly [text: string, written: string][] = [
    ['2001:DB8::1', '2001:db8::1'],
    ['::', '::'],
    ['::1', '::1'],
    ['1:0:0:2:0:0:0:3', '1:0:0:2::3'],
    ['1:0:0:2:3:0:0:4', '1::2:3:0:0:4'],
    ['1:0:2:3:4:5:6:7', '1:0:2:3:4:5:6:7'],
    ['64:ff9b::10.0.0.1', '64:ff9b::a00:1'],
    ['::ffff:10.0.0.1', '10.0.0.1'],
    ['0:0:0:0:0:ffff:a00:1', '10.0.0.1'],
    ['fe80::1%eth0', 'fe80::1'],
  ];
  for (const [text, written] of canonical) t.equal(formatIpAddress(parseIpAddress(text)!), written, text);
  for (const text of ['', '10.0.0', '10.0.0.256', '10.0.0.1.', '1::2::3', 'g::1', ' 10.0.0.1', '10.0.0.01'])
    t.equal(parseIpAddress(text), undefined, JSON.stringify(text));
});

t.test('networks are read with their prefix, and nothing beyond it', async (t) => {
  const table: readonly [text: string, network: string | undefined][] = [
    ['10.0.0.0/24', '10.0.0.0/24'],
    ['10.0.0.1/32', '10.0.0.1'],
    ['0.0.0.0/0', '0.0.0.0/0'],
    ['::ffff:10.0.0.0/120', '10.0.0.0/24'],
    ['2001:db8::/32', '2001:db8::/32'],
    ['10.0.0.1/24', undefined],
    ['10.0.0.0/33', undefined],
    ['::ffff:10.0.0.0/24', undefined],
    ['10.0.0.0/', undefined],
    ['10.0.0.0/-1', undefined],
    ['10.0.0.0/24/24', undefined],
    ['fe80::1%eth0', undefined],
  ];
  for (const [text, expected] of table) {
    const result = parseIpNetwork(text);
    t.equal(result.ok ? formatIpNetwork(result.network) : undefined, expected, text);
  }
});

t.test('the longest prefix that holds the source wins, as ipaddr.js finds it', async (t) => {
  t.doesNotThrow(() =>
    fc.assert(
      fc.property(
        fc.uniqueArray(network, { maxLength: 24 }),
        fc.array(address, { minLength: 1, maxLength: 24 }),
        (networks, sources) => {
          const table = buildSourceTable(
            networks.map((one) => entry(one, [one])),
            (secret) => secret,
            8,
          );
          // Twice, so that both the search and what it remembers are compared.
          return [...sources, ...sources].every((source) => {
            const expected = longestMatch(networks, source);
            return table.lookup(source)?.entries[0]?.name === expected;
          });
        },
      ),
      runs,
    ),
  );
});

function longestMatch(networks: readonly string[], source: string): string | undefined {
  const address = ipaddr.process(source);
  let best: string | undefined;
  let bestLength = -1;
  for (const text of networks) {
    const full = text.includes('/') ? text : `${text}/${text.includes(':') ? 128 : 32}`;
    const [base, length] = ipaddr.parseCIDR(full);
    if (base.kind() === address.kind() && address.match([base, length] as never) && length > bestLength) {
      best = text;
      bestLength = length;
    }
  }
  return best;
}

t.test('a single address comes before every network, and nothing unknown is found', async (t) => {
  const table = buildSourceTable(
    [entry('all', ['0.0.0.0/0']), entry('net', ['10.0.0.0/24']), entry('one', ['10.0.0.2', '2001:db8::1'])],
    (secret) => secret.text(),
  );
  const expected: readonly [source: string, name: string | undefined][] = [
    ['10.0.0.2', 'one'],
    ['::ffff:10.0.0.2', 'one'],
    ['10.0.0.3', 'net'],
    ['10.0.1.3', 'all'],
    ['2001:db8:0::1', 'one'],
    ['2001:db8::2', undefined],
    ['not an address', undefined],
    ['', undefined],
  ];
  for (const [source, name] of [...expected, ...expected]) t.equal(table.lookup(source)?.name, name, source);
  t.same(table.lookup('10.0.0.2')?.secrets, ['secret of one']);
});

t.test('it is what the admission of packets asks for', async (t) => {
  const table: AdmissionTable = buildSourceTable([entry('one', ['10.0.0.2'])], (one) => new SharedSecret(one.octets()));
  t.ok(table.lookup('10.0.0.2')?.secrets[0] instanceof SharedSecret);
});

t.test('forged sources cannot fill memory', async (t) => {
  const table = buildSourceTable([entry('net', ['10.0.0.0/8'])], (secret) => secret, 16);
  for (let index = 0; index < 10_000; index += 1) table.lookup(`11.0.${index >> 8}.${index & 255}`);
  t.equal(table.lookup('10.200.0.1')?.name, 'net');
  t.equal(table.lookup('11.0.0.1'), undefined);
});

t.test('a secret is made once for a group', async (t) => {
  let made = 0;
  const table = buildSourceTable([entry('a', ['10.0.0.0/24', '10.0.1.0/24'])], () => (made += 1));
  for (let index = 0; index < 50; index += 1) table.lookup(`10.0.0.${index}`);
  t.equal(made, 2, 'one for each of its networks, none for a packet');
});

t.test('entries behind one address are told apart by what they send', async (t) => {
  const behind = ['192.0.2.1'];
  const entries = [
    entry('any', behind),
    entry('ip', behind, { nasIpAddress: '10.0.0.1' }),
    entry('id', behind, { nasIdentifier: 'bras-1' }),
    entry('both', behind, { nasIdentifier: 'bras-2', nasIpAddress: '10.0.0.1' }),
  ];
  const table: readonly [identifier: string | undefined, address: string | undefined, name: string | undefined][] = [
    ['bras-1', undefined, 'id'],
    ['bras-1', '10.0.0.1', 'id'],
    ['bras-2', '10.0.0.1', 'both'],
    ['bras-2', '10.0.0.9', 'any'],
    ['BRAS-1', undefined, 'any'],
    ['bras-9', '10.0.0.1', 'ip'],
    [undefined, '10.0.0.1', 'ip'],
    [undefined, undefined, 'any'],
  ];
  for (const order of [entries, entries.toReversed()]) {
    const group = buildSourceTable(order, (secret) => secret).lookup('192.0.2.1')!;
    for (const [identifier, ip, name] of table) {
      t.equal(selectNas(group, identifier, ip)?.name, name, `${identifier} ${ip}`);
    }
  }
  const strict = { entries: entries.slice(1) };
  t.equal(selectNas(strict, 'bras-9', '10.0.0.9'), undefined, 'nobody, when all expect other names');
});

t.test('a group is strict when one of its entries is, and its name stays short', async (t) => {
  const behind = ['192.0.2.1'];
  const many = Array.from({ length: 500 }, (_, index) =>
    entry(`n${index}`, behind, {
      nasIdentifier: `n${index}`,
      requireMessageAuthenticator: index === 7,
      limitProxyState: false,
    }),
  );
  const group = buildSourceTable(many, (secret) => secret).lookup('192.0.2.1')!;
  t.equal(group.requireMessageAuthenticator, true);
  t.equal(group.limitProxyState, false);
  t.equal(group.name, 'n0+n1+n2+497-more');
});
