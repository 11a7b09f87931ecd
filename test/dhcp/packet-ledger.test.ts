// Packets without effect: all counted, few told.

import t from 'tap';
import { PacketLedger, quietMs, unknownRelay } from '../../src/dhcp/packet-ledger.js';

function setUp() {
  const clock = { ms: 1_700_000_000_000 };
  const told: string[] = [];
  const ledger = new PacketLedger({
    nowMs: () => clock.ms,
    onDrop: (reason, relay, address, hint) => told.push(`${reason} ${relay} ${address ?? '-'} ${hint ?? '-'}`),
  });
  return { clock, told, ledger };
}

t.test('one line per relay and reason in five minutes, whatever its source', async (t) => {
  const { clock, told, ledger } = setUp();
  t.equal(quietMs, 300_000);
  for (let index = 0; index < 300; index++) {
    ledger.drop('unknown-giaddr', 'olt-1', `10.0.0.${String(index % 250)}`);
    clock.ms += 999;
  }
  t.same(told, ['unknown-giaddr olt-1 10.0.0.0 dhcp.relays: giaddr']);
  ledger.drop('unknown-giaddr', 'olt-2', '10.0.0.9');
  ledger.drop('no-address', 'olt-1', '10.0.0.1');
  t.same(told.slice(1), ['unknown-giaddr olt-2 10.0.0.9 dhcp.relays: giaddr', 'no-address olt-1 10.0.0.1 -']);
  clock.ms += 300;
  ledger.drop('unknown-giaddr', 'olt-1', '10.0.0.7');
  t.equal(told.at(-1), 'unknown-giaddr olt-1 10.0.0.7 dhcp.relays: giaddr', 'five minutes after the first');
  t.same(
    [...ledger.counts()],
    [
      { relay: 'olt-1', reason: 'unknown-giaddr', count: 301 },
      { relay: 'olt-1', reason: 'no-address', count: 1 },
      { relay: 'olt-2', reason: 'unknown-giaddr', count: 1 },
    ],
  );
});

t.test('normal life is counted and not told', async (t) => {
  const { told, ledger } = setUp();
  const quiet = [
    'discover',
    'offer',
    'nak',
    'inform',
    'other-message',
    'repeated',
    'not-confirmed',
    'answer-unexpected',
  ] as const;
  for (const reason of quiet) ledger.drop(reason, 'olt-1', '10.0.0.1');
  t.same(told, []);
  t.equal([...ledger.counts()].length, quiet.length);
});

t.test('what was no packet is told without a source', async (t) => {
  const { told, ledger } = setUp();
  ledger.drop('not-stored', 'olt-1');
  t.same(told, ['not-stored olt-1 - -']);
});

t.test('forged sources neither flood the log nor keep relays out of it', async (t) => {
  const { clock, told, ledger } = setUp();
  for (let index = 0; index < 50_000; index++)
    ledger.drop('unknown-source', undefined, `203.0.${String(index >> 8)}.${String(index & 255)}`);
  t.equal(told.length, 64);
  t.same([...ledger.counts()], [{ relay: unknownRelay, reason: 'unknown-source', count: 50_000 }]);
  ledger.drop('bootp', 'olt-1', '10.0.0.2');
  t.equal(told.length, 65, 'a relay is told all the same');
  clock.ms += quietMs;
  ledger.drop('unknown-source', undefined, '198.51.100.1');
  t.equal(told.length, 66, 'there is room again after five minutes');
});

t.test('a clock that is set back does not silence anything', async (t) => {
  const { clock, told, ledger } = setUp();
  ledger.drop('bootp', 'olt-1', '10.0.0.2');
  clock.ms -= 3_600_000;
  ledger.drop('bootp', 'olt-1', '10.0.0.2');
  ledger.drop('bootp', 'olt-1', '10.0.0.2');
  t.equal(told.length, 2);
});
