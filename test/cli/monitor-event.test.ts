/** `monitor-event`: what Nagios and others call. */
import t from 'tap';
import { commandHouse, type CommandHouse } from './command-line.js';

const nowMs = Date.parse('2026-11-22T12:00:00Z');
const surroundings = { nowMs: () => nowMs };
const later = (seconds: number) => ({ nowMs: () => nowMs + seconds * 1000 });
const words = (line: string): string[] => line.split(' ');

async function stocked(t: Parameters<typeof commandHouse>[0]): Promise<CommandHouse> {
  const house = await commandHouse(t);
  await house.file(
    'sluice.toml',
    `[server]\ntime_zone = "Europe/Moscow"\n[database]\nurl = "${house.database.url}"\n[monitoring]\nsmtp_host = "localhost"\nmail_from = "a@b"\n`,
  );
  await house.done(words('device group add north'));
  await house.done(
    words('device add sw1 --kind dlink --mac 00:1e:58:aa:bb:cc --address 10.0.0.5 --group north --noticeable'),
  );
  await house.done(words('device contact add north --mail noc@provider.example'));
  return house;
}

t.test('news, no news, late news', async (t) => {
  const house = await stocked(t);
  const table: [args: string[], sentence: RegExp][] = [
    [words('10.0.0.5 UP --at @1795348000'), /^sw1 \(10\.0\.0\.5\) is UP, it was UNKNOWN; telling 1 contact$/mu],
    [words('001e.58aa.bbcc down'), /is DOWN, it was UP; telling 1 contact/u],
    [words('sw1 Down'), /is DOWN as before/u],
    [['sw1', 'UP', '--at', '2026-11-22 14:59'], /stays DOWN: something newer is known/u],
    [['sw1', 'UNREACHABLE', '--note', 'Ленина, "no light"'], /is UNREACHABLE, it was DOWN/u],
  ];
  for (const [index, [args, sentence]] of table.entries())
    t.match((await house.done(['monitor-event', ...args], later(index))).stdout, sentence, args.join(' '));
  t.match(
    (await house.done(words('device show sw1'), surroundings)).stdout,
    /status +UNREACHABLE since 2026-11-22 15:00:04/u,
  );
  t.match(
    (await house.done(words('device show sw1'), surroundings)).stdout,
    /DOWN → UNREACHABLE, told 1 \(cli\/tester\):\s+Ленина, "no light"/u,
  );
  const json = (await house.done(words('monitor-event sw1 up --json'), later(9))).json();
  t.match(json, {
    outcome: 'changed',
    device: { name: 'sw1' },
    status: 'up',
    old_status: 'unreachable',
    told: 1,
    untold: null,
  });
  t.match((await house.done(words('device show sw1 --json'))).json(), {
    status: 'up',
    events: [{ status: 'up', source: 'cli/tester' }, { note: 'Ленина, "no light"' }, { effect: 'late' }, {}, {}, {}],
  });
});

t.test('why nobody is told', async (t) => {
  const house = await stocked(t);
  await house.done(words('device add sw2 --kind dlink --noticeable'));
  await house.done(words('device add sw3 --kind dlink'));
  t.match((await house.done(words('monitor-event sw2 DOWN'))).stdout, /nobody is told: its group has nobody to tell/u);
  t.match((await house.done(words('monitor-event sw3 DOWN'))).stdout, /nobody is told: it is not noticeable/u);
});

t.test('what is refused, and changes nothing', async (t) => {
  const house = await stocked(t);
  await house.done(words('device add twin --kind dlink --address 10.0.0.5'));
  const table: [args: string[], code: number, message: RegExp][] = [
    [words('sw1 PENDING'), 2, /'PENDING' is no status; write one of UP, DOWN, UNREACHABLE/u],
    [['sw1', ''], 2, /'' is no status/u],
    [words('sw2 UP'), 1, /there is no device 'sw2'; did you mean sw1\?/u],
    [words('10.0.0.6 UP'), 1, /there is no device '10.0.0.6'/u],
    [words('10.0.0.5 UP'), 1, /several devices are called '10.0.0.5'; say which: id:1, id:2/u],
    [words('sw1 UP --at yesterday'), 2, /not a time/u],
    [words('sw1 UP --at @1795359000'), 2, /in the future/u],
    [['sw1', 'UP', '--at', '2026-11-22 15:06'], 2, /in the future/u],
    [['sw1', 'UP', '--note', 'x'.repeat(501)], 2, /longer than 500/u],
  ];
  for (const [args, code, message] of table) {
    const result = await house.run(['monitor-event', ...args], surroundings);
    t.equal(result.code, code, args.join(' '));
    t.match(result.stderr, message);
    t.equal(result.stdout, '');
  }
  t.match((await house.done(words('device show sw1 --json'))).json(), { status: 'unknown', events: [] });
});
