/** `dhcpd.leases`: what counts of an entry, how octets are written, and what damage does. */
import t from 'tap';
import { IscLeaseFile } from '../../src/dhcp/isc-lease-file.js';
import { ENDLESS_SECONDS, type FiledLease, type LeaseFileItem } from '../../src/dhcp/lease-file.js';
import { readThrough } from './lease-file-text.js';

const nowMs = Date.UTC(2026, 10, 22, 12, 0, 0);
const read = (text: string): LeaseFileItem[] => readThrough(new IscLeaseFile(nowMs), text);

function lease(...statements: string[]): string {
  const times = ['starts 0 2026/11/22 11:55:00', 'ends 0 2026/11/22 12:05:00', 'binding state active'];
  return `lease 100.65.1.10 {\n${[...times, ...statements].map((one) => `  ${one};\n`).join('')}}\n`;
}

function only(text: string): FiledLease {
  const items = read(text);
  if (items.length !== 1 || !('lease' in items[0]!)) throw new Error(JSON.stringify(items));
  return items[0].lease;
}

function problems(text: string): unknown[] {
  return read(text).flatMap((item) => ('problem' in item ? [[item.line, item.address, item.problem]] : []));
}

// As isc-dhcp-server 4.4.3-P1 writes it with the configuration of docs/dhcp.md.
const file = `# The format of this file is documented in the dhcpd.leases(5) manual page.
# This lease file was written by isc-dhcp-4.4.3-P1

# authoring-byte-order entry is generated, DO NOT DELETE
authoring-byte-order little-endian;

server-duid "\\000\\001\\000\\001+\\"\\\\{;\\002\\000\\000\\000\\000\\001";

lease 100.65.1.10 {
  starts 0 2026/11/22 11:55:00;
  ends 0 2026/11/22 12:05:00;
  cltt 0 2026/11/22 11:55:01;
  binding state active;
  next binding state free;
  rewind binding state free;
  hardware ethernet 02:00:00:00:c1:01;
  uid "\\001\\002\\000\\000\\000\\301\\001";
  set sluice-mac = "2:0:0:0:c1:1";
  option agent.circuit-id "acc1";
  option agent.remote-id 0:6:3c:33:32:66:43:50;
  client-hostname "a } b; # c";
  on expiry {
    execute ("/opt/sluice/bin/sluice-lever", "expiry",
             binary-to-ascii (10, 8, ".", leased-address),
             pick-first-value (sluice-mac, ""));
  }
  on release {
    if exists agent.circuit-id { set x = "y"; }
  }
}
lease 100.65.1.11 {
  starts epoch 1795348500; # Sun Nov 22 11:55:00 2026
  ends never;
  binding state active;
  hardware ethernet 02:00:00:00:c1:02;
}
host fixed { hardware ethernet 02:00:00:00:c1:09; fixed-address 100.65.1.99; }
failover peer "dhcp" state {
  my state normal at 0 2026/11/22 11:00:00;
}
lease 100.65.1.10 {
  starts 0 2026/11/22 11:55:00;
  ends 0 2026/11/22 11:58:00;
  tstp 0 2026/11/22 11:58:00;
  cltt 0 2026/11/22 11:55:01;
  binding state free;
  hardware ethernet 02:00:00:00:c1:01;
}
`;

t.test('a file of dhcpd', async (t) => {
  const items = read(file);
  t.same(problems(file), []);
  t.same(
    items.map((item) => item.line),
    [9, 31, 41],
  );
  t.same(items[0], {
    line: 9,
    lease: {
      address: '100.65.1.10',
      mac: '02:00:00:00:c1:01',
      line: {
        circuitId: '61636331',
        remoteId: '00063c3332664350',
        subscriberId: null,
        switchMac: null,
        switchPort: null,
      },
      atMs: Date.UTC(2026, 10, 22, 11, 55, 1),
      endsAtMs: Date.UTC(2026, 10, 22, 12, 5, 0),
      isGiven: true,
    },
  });
  const atMs = 1_795_348_500_000;
  t.match(items[1], { lease: { atMs, endsAtMs: atMs + ENDLESS_SECONDS * 1000, line: null, isGiven: true } });
  t.match(items[2], { lease: { address: '100.65.1.10', isGiven: false } });
  t.same(read(file.replaceAll('\n', '\r\n')), items, 'lines may end in CR LF');
});

t.test('what a statement says', async (t) => {
  const hex = (text: string) => only(lease(text)).line;
  t.match(hex('option agent.circuit-id "\\000\\004\\001\\"\\\\\\x41"'), { circuitId: '000401225c41' });
  t.match(hex('option agent.circuit-id 0:4:a:ff'), { circuitId: '00040aff' });
  t.match(hex('option agent.circuit-id "#{};"'), { circuitId: '237b7d3b' });
  t.match(hex('option agent.subscriber-id "C-1"'), { subscriberId: '432d31', circuitId: null });
  t.match(hex('option agent.unknown-6 43:2d:31'), { subscriberId: '432d31' });
  t.equal(hex('option agent.circuit-id ""'), null, 'nothing configured is no line');
  t.equal(hex('option host-name "acc1"'), null);
  t.equal(only(lease('set sluice-mac = "2:0:0:0:c1:1"')).mac, '02:00:00:00:c1:01');
  t.equal(
    only(lease('set sluice-mac = "2:0:0:0:c1:1"', 'hardware ethernet 02:00:00:00:00:01')).mac,
    '02:00:00:00:00:01',
  );
  t.equal(only(lease('hardware infiniband 80:00')).mac, null);
  t.equal(only(lease('set other = %42', 'reserved', 'abandoned')).isGiven, false);
  for (const state of ['free', 'expired', 'released', 'abandoned', 'backup', 'reset'])
    t.equal(only(lease(`binding state ${state}`)).isGiven, false, state);
});

t.test('what counts and makes no sense is told with its line, and the rest goes on', async (t) => {
  const next = lease().replace('.10 ', '.11 ');
  for (const [statement, problem] of [
    ['binding state enchanted', 'has a binding state that is not known'],
    ['hardware ethernet 02:00', 'has no MAC address behind "hardware ethernet"'],
    ['option agent.circuit-id xyz', "has no octets behind 'agent.circuit-id'"],
    ['option agent.circuit-id "a" "b"', "has no octets behind 'agent.circuit-id'"],
    [`option agent.circuit-id "${'a'.repeat(256)}"`, "has no octets behind 'agent.circuit-id'"],
    ['starts 0 2026/02/30 11:00:00', "has no time behind 'starts'"],
    ['ends 0 2026/11/22 25:00:00', "has no time behind 'ends'"],
    ['cltt never', "has 'cltt never'"],
    ['uid "\\', 'opens a quote that is never closed'],
    ['uid "\0"', 'has octets that no lease file has: is it damaged?'],
  ] as const) {
    const text = lease(statement) + next;
    t.same(problems(text), [[5, '100.65.1.10', problem]], statement.slice(0, 40));
    t.match(read(text).at(-1), { lease: { address: '100.65.1.11' } });
  }
  for (const [statement, problem] of [
    ['cltt epoch 1', 'is of a time before DHCP servers had clocks'],
    ['cltt 0 2026/11/22 12:05:01', 'is of a time that is still to come: compare the clocks'],
    ['ends 0 2026/11/22 11:54:00', 'ends before it begins'],
  ] as const)
    t.same(problems(lease(statement) + next), [[1, '100.65.1.10', problem]], statement);
  t.same(problems('lease 100.65.1.12 {\n  binding state active;\n}\n'), [
    [1, '100.65.1.12', 'does not say since when the lease is given'],
  ]);
  for (const name of ['127.0.0.1', '2001:db8::1', '1.2.3', '"100.65.1.10"x', ''])
    t.match(problems(`lease ${name} {\n}\n${next}`), [[1, null, 'names no IPv4 address that a client can have']], name);
  t.match(problems(`}\n${next}`), [[1, null, 'closes what was never opened']]);
});

t.test('a file that ends anywhere gives what was whole, and says what was not', async (t) => {
  const whole = lease();
  const next = lease().replace('.10 ', '.11 ');
  for (let length = 'lease 100.65.1.10 {'.length; length < whole.length - 2; length++) {
    const cut = whole.slice(0, length);
    t.match(problems(cut), [[1, '100.65.1.10']]);
    t.equal(read(cut).length, 1);
    // dhcpd goes on behind what it could not finish before a crash.
    t.match(read(`${cut}\n${next}`).at(-1), { lease: { address: '100.65.1.11' } }, JSON.stringify(cut.slice(-20)));
  }
});

t.test('hostile files take no memory and no time', async (t) => {
  const words = `${'word '.repeat(10_000)}\n`.repeat(3);
  t.equal(problems(`lease 100.65.1.10 {\n${words};\n}\n`).length, 1);
  t.match(read(`${'{'.repeat(50_000)}\n${lease()}`).at(-1), { lease: { address: '100.65.1.10' } });
  t.equal(problems('"\\"'.repeat(10_000)).length, 1);
});
