/** `device import`, and the device columns of `subscriber import`: what a file becomes, what is said of wrong lines. */
import t from 'tap';
import { commandHouse, type CommandHouse } from './command-line.js';

interface Summary {
  readonly added: number;
  readonly changed: number;
  readonly unchanged: number;
  readonly errors: number;
  readonly written: boolean;
  readonly error_lines: readonly { line: number; error: string }[];
}

let files = 0;

async function importText(house: CommandHouse, what: string, text: string | Buffer, ...options: string[]) {
  files += 1;
  const file = await house.file(`devices-${String(files)}.csv`, text);
  const result = await house.run([what, 'import', file, ...options, '--json']);
  return {
    code: result.code,
    stderr: result.stderr,
    summary: result.stdout === '' ? undefined : result.json<Summary>(),
  };
}

function counts(summary: Summary | undefined): number[] {
  return summary === undefined ? [] : [summary.added, summary.changed, summary.unchanged, summary.errors];
}

async function devices(house: CommandHouse): Promise<unknown[]> {
  const { rows } = await house.database.pool.query<object>(
    `SELECT d.name, d.mac::text AS mac, d.serial, host(d.address) AS address, k.name AS kind, g.name AS group, d.place, d.noticeable
       FROM device d JOIN device_kind k ON k.id = d.kind_id LEFT JOIN device_group g ON g.id = d.group_id WHERE NOT d.deleted ORDER BY d.id`,
  );
  return rows;
}

const file = `kind,name,mac,serial,address,group,place,noticeable
dlink,sw1,001E.58AA.BBCC,,10.0.0.5,north,"Ленина 12,
attic",true
onu,,,hwtc1234abcd,,,,
cisco,sw2,0:1:a:2:3:4,,2001:DB8::5,,,f
`;

t.test('a file adds devices, and the same file again changes nothing', async (t) => {
  const house = await commandHouse(t);
  await house.done(['device', 'group', 'add', 'north']);
  t.same(counts((await importText(house, 'device', file, '--dry-run')).summary), [3, 0, 0, 0]);
  t.same(await devices(house), [], 'a dry run leaves nothing');
  const first = await importText(house, 'device', file);
  t.equal(first.code, 0);
  t.same(counts(first.summary), [3, 0, 0, 0]);
  t.same(await devices(house), [
    {
      name: 'sw1',
      mac: '00:1e:58:aa:bb:cc',
      serial: null,
      address: '10.0.0.5',
      kind: 'dlink',
      group: 'north',
      place: 'Ленина 12,\nattic',
      noticeable: true,
    },
    {
      name: null,
      mac: null,
      serial: 'HWTC1234ABCD',
      address: null,
      kind: 'onu',
      group: null,
      place: null,
      noticeable: false,
    },
    {
      name: 'sw2',
      mac: '00:01:0a:02:03:04',
      serial: null,
      address: '2001:db8::5',
      kind: 'cisco',
      group: null,
      place: null,
      noticeable: false,
    },
  ]);
  t.same(counts((await importText(house, 'device', file)).summary), [0, 0, 3, 0]);
  t.same(
    counts(
      (
        await importText(
          house,
          'device',
          file.replaceAll('\n', '\r\n').replaceAll(',', ';').replace('12;', '12,'),
          '--delimiter',
          ';',
        )
      ).summary,
    ),
    [0, 1, 2, 0],
  );
});

t.test('found by MAC, else by serial, name, address; an empty cell clears', async (t) => {
  const house = await commandHouse(t);
  await house.done(['device', 'group', 'add', 'north']);
  await importText(house, 'device', file);
  const cases: [text: string, changed: object][] = [
    ['mac,name\n00:1e:58:aa:bb:cc,sw-new\n', { name: 'sw-new' }],
    ['name,group,place\nsw-new,,\n', { name: 'sw-new', group: null, place: null }],
    ['address,noticeable,kind\n10.0.0.5,0,\n', { noticeable: false, kind: 'dlink' }],
    ['name,mac\nsw-new,02:00:00:00:00:77\n', { mac: '00:1e:58:aa:bb:cc' }],
  ];
  for (const [text, expected] of cases.slice(0, 3)) {
    t.same(counts((await importText(house, 'device', text)).summary), [0, 1, 0, 0], text);
    t.match((await devices(house))[0], expected, text);
  }
  const other = await importText(house, 'device', cases[3]![0]);
  t.match(
    other.summary?.error_lines,
    [{ line: 2, error: /new device without a kind/u }],
    'another MAC is another device',
  );
});

t.test('wrong lines are told, and do not stop the others', async (t) => {
  const house = await commandHouse(t);
  await importText(house, 'device', 'kind,name,address\ncisco,twin1,10.0.0.9\ncisco,twin2,10.0.0.9\ndlink,old,\n');
  const lines = [
    'kind,name,mac,serial,address,group,noticeable',
    'dlink,good1,02:00:00:00:00:01,,,,',
    'dlnk,a,,,,,',
    'dlink,b,1:2:3,,,,',
    'dlink,c,00:00:00:00:00:00,,,,',
    'dlink,d,,a b,,,',
    'dlink,e,,,10.0.0.0/8,,',
    'dlink,f,,,,south,',
    'dlink,g,,,,,maybe',
    'dlink,h,,,,,,,,',
    'dlink,,,,,,',
    'dlink,good1,,,,,',
    'dlink,i,02:00:00:00:00:01,,,,',
    'dlink,old,02:00:00:00:00:02,,,,',
    ',j,,,,,',
    'dlink,,,,10.0.0.9,,',
    'dlink,"a\u0007b",,,,,',
    `dlink,${'x'.repeat(101)},,,,,`,
    'dlink,"unclosed,,,,,',
  ];
  const { code, summary } = await importText(house, 'device', `${lines.join('\n')}\n`);
  t.equal(code, 1);
  t.equal(summary?.added, 1);
  const expected: [line: number, error: RegExp][] = [
    [3, /kind is 'dlnk', which does not exist \(did you mean dlink\?\)/u],
    [4, /mac is '1:2:3', which is no MAC address/u],
    [5, /mac is '00:00:00:00:00:00'/u],
    [6, /serial is 'a b'/u],
    [7, /address is '10.0.0.0\/8'/u],
    [8, /group is 'south', which does not exist; make it with/u],
    [9, /noticeable is 'maybe'/u],
    [10, /has 10 cells, and the header has 7/u],
    [11, /nothing to know the device by/u],
    [12, /has the name 'good1', which line 2 has too/u],
    [13, /has the mac '02:00:00:00:00:01', which line 2 has too/u],
    [14, /another device has this name; put a new one in its place with: sluice device replace/u],
    [15, /new device without a kind/u],
    [16, /an address that several devices have/u],
    [17, /control character/u],
    [18, /longer than 100/u],
    [19, /quote/u],
  ];
  t.equal(summary?.errors, expected.length);
  for (const [index, [line, error]] of expected.entries()) t.match(summary?.error_lines[index], { line, error });
});

t.test('headers and files that are none', async (t) => {
  const house = await commandHouse(t);
  const table: [text: string | Buffer, message: RegExp][] = [
    ['', /is empty/u],
    ['kind,name,colour\n', /no column 'colour'/u],
    ['knd,name\n', /did you mean kind\?/u],
    ['kind;name\n', /--delimiter/u],
    ['kind,name,name\n', /occurs twice/u],
    ['kind,place\n', /no column to know devices by/u],
  ];
  for (const [text, message] of table) {
    const { code, stderr } = await importText(house, 'device', text);
    t.equal(code, 1);
    t.match(stderr, message);
  }
  const latin = await importText(house, 'device', Buffer.from('kind,name\ndlink,\xea\xee\n', 'latin1'));
  t.match(latin.summary?.error_lines, [{ line: 2, error: /not UTF-8/u }]);
  t.equal((await house.run(['device', 'import', '/nowhere.csv'])).code, 1);
});

t.test('--stop-on-error writes nothing unless every line is right', async (t) => {
  const house = await commandHouse(t);
  const text = 'kind,name\ndlink,a\ndlink,b\nnone,c\n';
  const stopped = await importText(house, 'device', text, '--stop-on-error');
  t.equal(stopped.code, 1);
  t.match(stopped.summary, { written: false, errors: 1 });
  t.same(await devices(house), []);
  const refused = await importText(house, 'device', 'kind,name,mac\ndlink,a,\n,b,\n', '--stop-on-error');
  t.match(refused.summary, { written: false });
  t.same(await devices(house), [], 'what only the database knows counts too');
});

t.test('many lines, in batches; a row that the database refuses stands alone', async (t) => {
  const house = await commandHouse(t);
  await importText(house, 'device', 'kind,name,mac\ndlink,taken,02:ff:00:00:00:01\n');
  const mac = (n: number) => `02:00:00:00:${(n >> 8).toString(16)}:${(n & 255).toString(16)}`;
  const lines = Array.from({ length: 5000 }, (_, n) => `dlink,${n === 2500 ? 'taken' : `sw${String(n)}`},${mac(n)}`);
  const { summary } = await importText(house, 'device', `kind,name,mac\n${lines.join('\n')}\n`);
  t.same(counts(summary), [4999, 0, 0, 1]);
  t.match(summary?.error_lines, [{ line: 2502, error: /another device has this name/u }]);
});

t.test('people are imported with their devices, named in any way', async (t) => {
  const house = await commandHouse(t);
  await house.done(['plan', 'add', 'home']);
  await importText(house, 'device', file.replace('north', ''));
  const people = [
    'login,plan,device,port,option82_auth',
    'anna,home,sw1,05,port-mac',
    'boris,home,00-1e-58-aa-bb-cc,6,',
    'clara,home,hwtc1234abcd,,mac',
    'dora,home,2001:db8:0::5,gi0/1,',
    'emil,home,sw3,1,',
    'fedor,home,sw1,5,',
    'gleb,home,sw1, 7,',
    'hanna,home,,7,',
    'ivan,home,sw1,8,name',
  ].join('\n');
  const { summary } = await importText(house, 'subscriber', `${people}\n`);
  t.same(counts(summary), [4, 0, 0, 5]);
  t.match(summary?.error_lines, [
    { line: 6, error: /there is no device 'sw3'; make it with/u },
    { line: 7, error: /login 'fedor': another subscriber has this port/u },
    { line: 8, error: /port ' 7' is no port/u },
    { line: 9, error: /a port is one of a device/u },
    { line: 10, error: /option82_auth 'name' is none of/u },
  ]);
  const { rows } = await house.database.pool.query<object>(
    `SELECT s.login, coalesce(d.name, d.serial) AS device, s.port, s.option82_auth AS auth FROM subscriber s JOIN device d ON d.id = s.device_id ORDER BY 1`,
  );
  t.same(rows, [
    { login: 'anna', device: 'sw1', port: '5', auth: 'port-mac' },
    { login: 'boris', device: 'sw1', port: '6', auth: null },
    { login: 'clara', device: 'HWTC1234ABCD', port: null, auth: 'mac' },
    { login: 'dora', device: 'sw2', port: 'gi0/1', auth: null },
  ]);
  const right = people.split('\n').slice(0, 5).join('\n');
  t.same(counts((await importText(house, 'subscriber', `${right}\n`)).summary), [0, 0, 4, 0], 'again, nothing changes');

  await t.test('a port passes from one to another in one file', async (t) => {
    const moved = await importText(house, 'subscriber', 'login,device,port\nboris,sw1,5\nanna,sw1,9\n');
    t.same(counts(moved.summary), [0, 2, 0, 0]);
  });

  await t.test('an empty cell unplugs', async (t) => {
    t.same(counts((await importText(house, 'subscriber', 'login,device,port\nboris,,\n')).summary), [0, 1, 0, 0]);
  });

  await t.test('a dry run finds the same', async (t) => {
    const dry = await importText(house, 'subscriber', 'login,device,port\nboris,sw9,5\nclara,sw1,11\n', '--dry-run');
    t.same(counts(dry.summary), [0, 1, 0, 1]);
  });
});
