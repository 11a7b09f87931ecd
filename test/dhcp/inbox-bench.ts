/**
 * How fast an inbox is emptied into a real spool: files of one event each, as a DHCP server leaves them while the server is away.
 * Run: node --import tsx test/dhcp/inbox-bench.ts [FILES]
 */
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Inbox, inboxSinkOf } from '../../src/dhcp/inbox.js';
import { systemIntakeClock } from '../../src/dhcp/intake-clock.js';
import { IntakeLedger } from '../../src/dhcp/intake-ledger.js';
import { Spool } from '../../src/spool/spool.js';
import { hookFile } from '../support/lease-inbox.js';
import { until } from '../support/until.js';

const files = Number(process.argv[2] ?? 50_000);
const root = await mkdtemp(join(tmpdir(), 'sluice-inbox-bench-'));
const folder = join(root, 'spool');
const spool = await Spool.open({ directory: folder, onCorrupt: () => undefined, onAlarm: () => undefined });
const ledger = new IntakeLedger({ nowMs: Date.now, onFault: (_way, fault) => console.log(fault) });
let longestTurnMs = 0;

try {
  for (let index = 0; index < files; index++) {
    const address = `10.${String((index >> 16) & 255)}.${String((index >> 8) & 255)}.${String(index & 255)}`;
    const words = [
      'commit',
      address,
      '2:0:0:0:c1:1',
      '2:0:0:0:77:bb',
      '11',
      'circuit_id=61:63:63:31',
      'lease_seconds=600',
    ];
    await writeFile(join(root, `${String(index)}-${'0'.repeat(36)}`), hookFile(...words));
  }
  const inbox = new Inbox({
    folder: root,
    source: 'bench',
    ledger,
    clock: systemIntakeClock,
    onError: (error) => console.log(error),
    sink: inboxSinkOf({
      take: (event, taken) => {
        const isAccepted = spool.append(9, event.receivedAtMs, Buffer.from(JSON.stringify(event)), ({ ok }) =>
          taken(ok),
        );
        if (!isAccepted) setImmediate(taken, false);
      },
    }),
  });
  const taken = () => [...ledger.counts()].find(({ outcome }) => outcome === 'taken')?.count ?? 0;
  const cpuBefore = process.cpuUsage();
  const beganAtMs = performance.now();
  let lastMs = beganAtMs;
  const turns = setInterval(() => {
    longestTurnMs = Math.max(longestTurnMs, performance.now() - lastMs);
    lastMs = performance.now();
  }, 1);
  inbox.start();
  while (taken() < files)
    await until(() => taken() === files || performance.now() - lastMs > 5_000).catch(() => undefined);
  const tookMs = performance.now() - beganAtMs;
  clearInterval(turns);
  const { user, system } = process.cpuUsage(cpuBefore);
  await inbox.stop();
  console.log(
    `${String(files)} files in ${tookMs.toFixed(0)} ms: ${((files / tookMs) * 1_000).toFixed(0)} events/s, ` +
      `${((user + system) / files).toFixed(0)} µs of a processor each, longest turn ${longestTurnMs.toFixed(0)} ms`,
  );
} finally {
  await spool.close();
  await rm(root, { recursive: true, force: true });
}
