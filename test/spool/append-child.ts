/**
 * A process to be killed. Enters: `append-child.ts FOLDER ROUND`. Leaves: a line `ready`, then a line per acknowledged record,
 * `ROUND-N`. Invariant: a line is written only after the record's answer, and straight to the descriptor, so what the parent
 * has read was acknowledged before the kill.
 */

import { writeSync } from 'node:fs';
import { Spool } from '../../src/spool/spool.js';

const [directory = '', round = ''] = process.argv.slice(2);
const spool = await Spool.open({
  directory,
  segmentBytes: 200_000,
  onAlarm: (alarm) => writeSync(2, `${JSON.stringify(alarm)}\n`),
  onCorrupt: (region) => writeSync(2, `corrupt at ${region.offset}\n`),
});
writeSync(1, 'ready\n');
let next = 0;
const append = (): void => {
  const text = `${round}-${next}`;
  next += 1;
  spool.append(2, Date.now(), Buffer.from(text.padEnd(300, '.')), (result) => {
    if (result.ok) writeSync(1, `${text}\n`);
    append();
  });
};
// As many in flight as a busy NAS has.
for (let count = 0; count < 64; count += 1) append();
