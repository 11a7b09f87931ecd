/** `device …` and the device of a subscriber: what people type, what becomes of it, and what is refused in words. */
import t from 'tap';
import { commandHouse, type CommandHouse, type CommandResult } from './command-line.js';

const json = <Value = Record<string, unknown>>(result: CommandResult) => result.json<Value>();

/** A switch, an ONU, three people. */
async function stocked(t: Parameters<typeof commandHouse>[0]): Promise<CommandHouse> {
  const house = await commandHouse(t);
  await house.done(['plan', 'add', 'home']);
  for (const login of ['anna', 'boris', 'clara'])
    await house.done(['subscriber', 'add', login, '--plan', 'home', '--mac', '02:00:00:00:00:01', '--no-password']);
  await house.done(['device', 'group', 'add', 'north']);
  await house.done(
    'device add sw1 --kind dlink --mac 001e.58aa.bbcc --address 10.0.0.5 --group north --noticeable'.split(' '),
  );
  await house.done('device add --kind onu --serial hwtc1234abcd'.split(' '));
  return house;
}

const words = (line: string): string[] => line.split(' ');

t.test('a device is made, shown, changed, listed', async (t) => {
  const house = await stocked(t);
  const shown = json(await house.done(words('device show sw1 --json')));
  t.match(shown, {
    name: 'sw1',
    mac: '00:1e:58:aa:bb:cc',
    address: '10.0.0.5',
    kind: 'dlink',
    by_port: true,
    group: 'north',
    noticeable: true,
    status: 'unknown',
    subscribers: 0,
    plugged: [],
    events: [],
  });
  await house.done([
    'device',
    'set',
    'sw1',
    'place=Ленина 12, attic',
    'description=x',
    'noticeable=false',
    'address=2001:DB8::5',
  ]);
  const changed = json(await house.done(words('device show 0:1e:58:aa:bb:cc --json')));
  t.match(changed, { place: 'Ленина 12, attic', noticeable: false, address: '2001:db8::5' });
  await house.done(words('device set 2001:db8:0::5 description= group='));
  t.match(json(await house.done(words('device show sw1 --json'))), { description: null, group: null });

  const list = async (options: string): Promise<(string | null)[]> =>
    json<{ name: string | null }[]>(await house.done(words(`device list --json${options}`))).map(({ name }) => name);
  t.same(await list(''), ['sw1', null]);
  t.same(await list(' --kind onu'), [null]);
  t.same(await list(' --search attic'), ['sw1']);
  t.same(await list(' --search HWTC'), [null]);
  t.same(await list(' --status unknown --limit 1'), ['sw1']);
  t.same(await list(' --status down'), []);
  t.same(await list(' --deleted'), []);

  const table = (await house.done(words('device list'))).stdout;
  t.match(table, /NAME +MAC +SERIAL/u);
  t.match(
    (await house.done(words('device show sw1'))).stdout,
    /kind +dlink: subscribers are found by device and port/u,
  );
});

t.test('who is plugged in', async (t) => {
  const house = await stocked(t);
  await house.done(words('subscriber set anna device=00-1E-58-AA-BB-CC port=010 option82_auth=port-mac'));
  await house.done(words('subscriber set boris device=sw1 port=9'));
  t.match(json(await house.done(words('subscriber show anna --json'))), {
    device: 'sw1',
    port: '10',
    option82_auth: 'port-mac',
  });
  t.match(
    (await house.done(words('subscriber show anna'))).stdout,
    /device +sw1\nport +10\nknown by option 82 +port-mac/u,
  );
  t.match(json(await house.done(words('device show sw1 --json'))), {
    subscribers: 2,
    plugged: [
      { login: 'boris', port: '9', option82_auth: null, logged: false },
      { login: 'anna', port: '10', option82_auth: 'port-mac' },
    ],
  });
  t.match((await house.done(words('device show sw1'))).stdout, /port 9 +boris, offline/u);
  await house.done(words('subscriber set anna device='));
  t.match(json(await house.done(words('subscriber show anna --json'))), { device: null, port: null });
  await house.done(
    words(
      'subscriber add dora --plan home --mac 02:00:00:00:00:09 --no-password --device HWTC1234ABCD --option82-auth mac',
    ),
  );
  t.match(json(await house.done(words('subscriber show dora --json'))), {
    device: 'HWTC1234ABCD',
    option82_auth: 'mac',
  });
});

t.test('what is refused, in words', async (t) => {
  const house = await stocked(t);
  await house.done(words('subscriber set anna device=sw1 port=5'));
  await house.done(words('device add twin1 --kind cisco --address 10.0.0.9'));
  await house.done(words('device add twin2 --kind cisco --address 10.0.0.9'));
  const table: [command: string[], code: number, message: RegExp][] = [
    [words('subscriber set boris device=sw1 port=5'), 1, /another subscriber has this port; see who with/u],
    [words('subscriber set boris port=5'), 1, /a port is one of a device/u],
    [['subscriber', 'set', 'boris', 'device=sw1', 'port= 5'], 2, /no port/u],
    [words('subscriber set boris option82_auth=name'), 2, /write one of port, port-mac, mac/u],
    [words('subscriber set boris device=sw2'), 1, /there is no device 'sw2'; did you mean sw1\?/u],
    [
      words('subscriber set boris device=10.0.0.9'),
      1,
      /several devices are called '10.0.0.9'; say which: id:3 \(twin1\), id:4 \(twin2\)/u,
    ],
    [words('device add'), 2, /--kind/u],
    [words('device add --kind dlink'), 2, /nothing to know the device by/u],
    [words('device add x --kind dlnk'), 2, /does not exist \(did you mean dlink\?\)/u],
    [words('device add x --kind dlink --group south'), 2, /make it with: sluice device group add south/u],
    [words('device add x --kind dlink --mac 1:2'), 2, /no MAC address/u],
    [words('device add x --kind dlink --mac 0:0:0:0:0:0'), 2, /no MAC address/u],
    [words('device add x --kind dlink --address 10.0.0.0/24'), 2, /no address/u],
    [['device', 'add', 'x', '--kind', 'dlink', '--serial', 'a b'], 2, /no serial/u],
    [['device', 'add', 'a\nb', '--kind', 'dlink'], 2, /control character/u],
    [['device', 'add', 'x'.repeat(101), '--kind', 'dlink'], 2, /longer than 100/u],
    [words('device add sw1 --kind dlink'), 1, /another device has this name/u],
    [words('device add x --kind dlink --mac 00:1e:58:aa:bb:cc'), 1, /another device has this MAC/u],
    [words('device set sw1 colour=red'), 2, /there is no key 'colour'/u],
    [words('device set sw1 kind='), 2, /kind is empty/u],
    [words('device set id:2 serial='), 1, /needs something to be known by/u],
    [words('device remove sw1'), 1, /1 subscriber is plugged into 'sw1'/u],
    [words('device kind set dlink by_port=maybe'), 2, /true or false/u],
    [words('device kind set dlnk by_port=true'), 1, /there is no kind 'dlnk'; did you mean dlink\?/u],
    [words('device kind add D-Link'), 1, /lower-case/u],
    [words('device group add north'), 1, /there is a group of this name/u],
    [words('device contact add south --mail a@b'), 1, /there is no group 'south'/u],
    [words('device contact add north'), 2, /one of --mail and --webhook/u],
    [words('device contact add north --mail nobody'), 1, /no address that anything can be sent to/u],
    [words('device contact add north --mail a@b --secret noc'), 2, /mail is not signed/u],
    [words('device contact add north --webhook ftp://x/'), 2, /no web address/u],
    [words('device contact add north --webhook http://user:password@x/'), 2, /would be stored in the database/u],
    [words('device contact remove north a@b'), 1, /there is no contact 'a@b'/u],
  ];
  for (const [command, code, message] of table) {
    const result = await house.run(command);
    t.equal(result.code, code, `${command.join(' ')}: ${result.stderr}`);
    t.match(result.stderr, message, command.join(' '));
  }
  const { rows } = await house.database.pool.query('SELECT count(*)::int AS devices FROM device');
  t.same(rows, [{ devices: 4 }], 'nothing was written');
});

t.test('a device in the place of another', async (t) => {
  const house = await stocked(t);
  await house.done(['device', 'set', 'sw1', 'place=attic']);
  await house.done(words('subscriber set anna device=sw1 port=5'));
  await house.done(words('subscriber set boris device=sw1 port=6'));
  await house.done(words('subscriber set clara device=sw1 port=7'));
  await house.done(words('subscriber delete clara'));

  await t.test('tried without doing it', async (t) => {
    const tried = await house.done(words('device replace sw1 02:00:00:00:00:aa --dry-run --json'));
    t.same(json(tried), { old_id: 1, new_id: null, new_device: true, moved: 2, dry_run: true });
    t.match(json(await house.done(words('device show sw1 --json'))), { id: 1, subscribers: 2, deleted: false });
  });

  await t.test('a new one, of which only the MAC is known, takes everything over', async (t) => {
    t.match(
      (await house.done(words('device replace sw1 02:00:00:00:00:aa'))).stdout,
      /moved 2 subscribers from 'sw1' to the new device/u,
    );
    t.match(json(await house.done(words('device show sw1 --json'))), {
      mac: '02:00:00:00:00:aa',
      kind: 'dlink',
      address: '10.0.0.5',
      group: 'north',
      place: 'attic',
      noticeable: true,
      plugged: [
        { login: 'anna', port: '5' },
        { login: 'boris', port: '6' },
      ],
    });
    t.match(json(await house.done(words('device show id:1 --json'))), {
      deleted: true,
      replaced_by: 4,
      subscribers: 0,
    });
    t.match((await house.run(words('device set id:1 name=x'))).stderr, /removed; id:4 is in its place/u);
    await house.done(words('subscriber restore clara'));
    t.match(
      json(await house.done(words('subscriber show clara --json'))),
      { device: 'sw1', port: '7' },
      'whoever comes back finds it',
    );
  });

  await t.test('one that is there already keeps what it has', async (t) => {
    await house.done(words('device add sw9 --kind cisco --mac 02:00:00:00:00:99'));
    await house.done(words('device replace sw1 sw9'));
    t.match(json(await house.done(words('device show sw9 --json'))), {
      kind: 'cisco',
      address: '10.0.0.5',
      subscribers: 3,
    });
  });

  await t.test('a port that is taken there stops all of it', async (t) => {
    await house.done(words('device add sw10 --kind cisco --mac 02:00:00:00:00:9a'));
    await house.done(
      words('subscriber add emil --plan home --mac 02:00:00:00:00:0e --no-password --device sw10 --port 5'),
    );
    const refused = await house.run(words('device replace sw9 sw10'));
    t.equal(refused.code, 1);
    t.match(refused.stderr, /another subscriber has this port/u);
    t.match(json(await house.done(words('device show sw9 --json'))), { deleted: false, subscribers: 3 });
  });

  await t.test('by serial', async (t) => {
    t.equal(
      (await house.run(words('device replace hwtc1234abcd hwtc99'))).code,
      1,
      'not without saying that it is one',
    );
    await house.done(words('device replace hwtc1234abcd hwtc99 --serial'));
    t.match(json(await house.done(words('device show HWTC99 --json'))), { kind: 'onu', serial: 'HWTC99' });
  });

  t.match((await house.run(words('device replace sw9 02:00:00:00:00:99'))).stderr, /the same device/u);
  t.match((await house.run(words('device replace nobody sw9'))).stderr, /there is no device 'nobody'/u);
});

t.test('kinds, groups and contacts', async (t) => {
  const house = await stocked(t);
  const kinds = json<{ name: string; devices: number }[]>(await house.done(words('device kind list --json')));
  t.equal(kinds.length, 11);
  t.match(
    kinds.find(({ name }) => name === 'dlink'),
    { by_port: true, shared_ports: false, devices: 1 },
  );
  t.match((await house.done(words('device kind list'))).stdout, /onu +subscribers are found by the device alone/u);
  await house.done(words('device kind add attic --alone --shared-ports'));
  t.match(json(await house.done(words('device kind set attic by_port=true --json'))), {
    by_port: true,
    shared_ports: true,
  });

  const mailed = await house.done(words('device contact add north --mail noc@provider.example'));
  t.match(mailed.stderr, /no mail is sent yet: monitoring.smtp_host is not set/u);
  const posted = await house.done(words('device contact add north --webhook https://NOC.example/hook --secret noc'));
  t.match(posted.stderr, /monitoring.webhooks is not true/u);
  t.match(posted.stderr, /webhook_secrets has no 'noc'/u);
  t.match(json(await house.done(words('device contact list north --json'))), [
    { group: 'north', kind: 'mail', address: 'noc@provider.example', secret: null, active: true, waiting: 0 },
    { kind: 'webhook', address: 'https://noc.example/hook', secret: 'noc' },
  ]);
  await house.done(words('device contact add north --mail noc@provider.example'));
  t.equal(json<unknown[]>(await house.done(words('device contact list --json'))).length, 2, 'twice is once');
  await house.done(words('device contact remove north https://NOC.example/hook'));
  t.match(json(await house.done(words('device group list --json'))), [{ name: 'north', devices: 1, contacts: 1 }]);
  t.match((await house.done(words('device contact list'))).stdout, /noc@provider\.example/u);
});
