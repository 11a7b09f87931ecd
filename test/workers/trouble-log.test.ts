/**
 * What a NAS refuses is in the log: the first at once, the rest as a number, whatever it refuses.
 */
import { Writable } from 'node:stream';
import { pino } from 'pino';
import t from 'tap';
import type { CommandName } from '../../src/domain/service-state.js';
import type { CommandOutcome } from '../../src/nas/driver.js';
import { TroubleLog } from '../../src/workers/trouble-log.js';
import { present } from '../nas/command-context.js';

const MINUTE_MS = 60_000;
const refused: CommandOutcome = { outcome: 'refused', errorCause: 401, text: 'CoA-NAK 401' };
const unsayable: CommandOutcome = { outcome: 'unsayable', text: '$ip has no value' };
const silent: CommandOutcome = { outcome: 'unreachable', reached: 'maybe', text: 'no answer' };

t.test('one line for each NAS and kind in five minutes, and how many were like it', (t) => {
  const lines: Record<string, unknown>[] = [];
  const stream = new Writable({
    write(chunk, _encoding, done) {
      lines.push(JSON.parse(String(chunk)) as Record<string, unknown>);
      done();
    },
  });
  let nowMs = 0;
  const log = new TroubleLog(pino({ base: null }, stream), 'bras1', () => nowMs);
  const note = (login: string, name: CommandName, outcome: CommandOutcome): void =>
    log.note(login, { command: { name, data: present, service: null }, outcome });
  note('anna', 'user_redirect', refused);
  for (let i = 0; i < 1_000; i++) note(`user${String(i)}`, 'user_redirect', refused);
  note('boris', 'user_add', unsayable);
  note('clara', 'user_add', silent);
  nowMs = 5 * MINUTE_MS - 1;
  note('dora', 'user_drop', refused);
  nowMs += 1;
  note('emil', 'user_drop', refused);
  t.match(lines, [
    {
      level: 40,
      nas: 'bras1',
      login: 'anna',
      command: 'user_redirect',
      reason: 'CoA-NAK 401',
      msg: /refused a command/u,
    },
    { nas: 'bras1', login: 'boris', reason: '$ip has no value', msg: /cannot be said/u },
    { login: 'emil', command: 'user_drop', othersSince: 1_001 },
  ]);
  t.equal(lines.length, 3);
  t.notHas(lines[0], { othersSince: 0 });
  t.end();
});
