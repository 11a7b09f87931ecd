// The section [intake]: what it becomes, and what the operator reads when it is wrong.
import { join } from 'node:path';
import t from 'tap';
import { confFolder } from './conf-folder.js';

const secret = 'pk3Lx9Qv7Tz1Wd5Rb8Ym';
const S = 'conf/sluice.toml';

t.test('defaults: an inbox below the data folder, and nobody over HTTP', async (t) => {
  const folder = await confFolder(t, { [S]: '' });
  t.match((await folder.load()).intake, {
    listen: { address: '127.0.0.1', port: 8067 },
    inboxes: [{ name: 'local', folder: join(folder.root, 'data/inbox') }],
    jsonSources: [],
    lever: undefined,
    alertmanager: undefined,
    maxConnections: 256,
    maxRequestsInHand: 64,
  });
});

t.test('what is written is what counts', async (t) => {
  const folder = await confFolder(t, {
    [S]: `[intake]
listen = "10.0.0.1:8067"
lever_secret_file = "secrets/lever"
lever_sources = ["10.0.0.5"]
[[intake.inboxes]]
name = "dhcp1"
folder = "/var/lib/sluice-inbox"
[[intake.inboxes]]
name = "kea"
folder = "inbox/kea"
[[intake.json_sources]]
name = "dhcp2"
secret_file = ["secrets/dhcp2", "secrets/dhcp2.new"]
sources = ["10.0.0.6", "10.6.0.0/16"]
`,
    'conf/secrets/lever': secret,
    'conf/secrets/dhcp2': `${secret}2`,
    'conf/secrets/dhcp2.new': `${secret}3`,
  });
  const { intake, warnings } = await folder.load();
  t.match(intake, {
    listen: { address: '10.0.0.1' },
    inboxes: [
      { name: 'dhcp1', folder: '/var/lib/sluice-inbox' },
      { name: 'kea', folder: join(folder.root, 'conf/inbox/kea') },
    ],
    jsonSources: [{ name: 'dhcp2', sources: [{ prefixLength: 32 }, { prefixLength: 16 }] }],
  });
  t.same(
    intake.lever?.secrets.map((one) => one.text()),
    [secret],
  );
  t.same(
    intake.jsonSources[0]?.secrets.map((one) => one.text()),
    [`${secret}2`, `${secret}3`],
  );
  t.same(warnings, []);
  t.notMatch(
    JSON.stringify(intake, (_key, value: unknown) => (typeof value === 'bigint' ? String(value) : value)),
    secret,
  );
});

const json = (lines: string): string => `[[intake.json_sources]]\n${lines}\n`;
const inbox = (lines: string): string => `[[intake.inboxes]]\n${lines}\n`;
const whole = 'name = "dhcp2"\nsecret_file = "s"\nsources = ["10.0.0.6"]';

t.test('what is wrong: place, problem and remedy', async (t) => {
  const cases: readonly [what: string, text: string, line: number, key: string, problem: RegExp, remedy: RegExp][] = [
    ['an unknown key', '[intake]\nlever_secret = "x"\n', 2, 'intake.lever_secret', /not a key/, /lever_secret_file/],
    [
      'a secret in place of its file',
      `[intake]\nlever_secret_file = "${secret}"\nlever_sources = ["10.0.0.5"]\n`,
      2,
      'intake.lever_secret_file',
      /does not exist/,
      /create it/,
    ],
    [
      'a secret without sources',
      '[intake]\nlever_secret_file = "s"\n',
      2,
      'intake.lever_secret_file',
      /nobody may use it/,
      /lever_sources/,
    ],
    [
      'sources without a secret',
      '[intake]\nalertmanager_sources = ["10.0.0.5"]\n',
      2,
      'intake.alertmanager_sources',
      /without a secret/,
      /alertmanager_token_file/,
    ],
    [
      'everybody',
      '[intake]\nlever_secret_file = "s"\nlever_sources = ["10.0.0.5", "0.0.0.0/0"]\n',
      3,
      'intake.lever_sources',
      /everybody/,
      /addresses or networks/,
    ],
    [
      'everybody, signed',
      json('name = "dhcp2"\nsecret_file = "s"\nsources = ["::/0"]'),
      4,
      'intake.json_sources[0].sources',
      /everybody/,
      /addresses or networks/,
    ],
    [
      'an address that is none',
      json('name = "dhcp2"\nsecret_file = "s"\nsources = ["dhcp2.example"]'),
      4,
      'intake.json_sources[0].sources[0]',
      /not an IP address/,
      /10\.0\.0\.2/,
    ],
    [
      'a network with bits after its prefix',
      json('name = "dhcp2"\nsecret_file = "s"\nsources = ["10.0.0.6/24"]'),
      4,
      'intake.json_sources[0].sources[0]',
      /after its prefix/,
      /10\.0\.0\.0\/24/,
    ],
    [
      'nobody',
      json('name = "dhcp2"\nsecret_file = "s"\nsources = []'),
      4,
      'intake.json_sources[0].sources',
      /fewer than 1/,
      /list of 1 to 256/,
    ],
    ['no sources', json('name = "dhcp2"\nsecret_file = "s"'), 1, 'intake.json_sources[0].sources', /missing/, /list/],
    [
      'a name for people',
      json('name = "DHCP 2"\nsecret_file = "s"\nsources = ["10.0.0.6"]'),
      2,
      'intake.json_sources[0].name',
      /lower-case/,
      /bras-1/,
    ],
    ['one name for two', json(whole) + json(whole), 6, 'intake.json_sources[1].name', /another source/, /of its own/],
    [
      'one name for an inbox and a host',
      inbox('name = "dhcp2"\nfolder = "/a"') + json(whole),
      5,
      'intake.json_sources[0].name',
      /another source/,
      /of its own/,
    ],
    [
      'one folder for two',
      inbox('name = "a"\nfolder = "/x"') + inbox('name = "b"\nfolder = "/x"'),
      6,
      'intake.inboxes[1].folder',
      /another inbox/,
      /of its own/,
    ],
    [
      'a folder with a variable inside',
      inbox('name = "a"\nfolder = "/x/${data}"'),
      3,
      'intake.inboxes[0].folder',
      /variable/,
      /\$\{data\}/,
    ],
    [
      'the network, and nobody to listen to',
      '[intake]\nlisten = "0.0.0.0:8067"\n',
      2,
      'intake.listen',
      /nobody would be believed/,
      /loopback/,
    ],
    [
      'a short secret',
      json('name = "dhcp2"\nsecret_file = "short"\nsources = ["10.0.0.6"]'),
      3,
      'intake.json_sources[0].secret_file',
      /7 octets/,
      /24 random/,
    ],
    [
      'three secrets',
      json('name = "dhcp2"\nsecret_file = ["a", "b", "c"]\nsources = ["10.0.0.6"]'),
      3,
      'intake.json_sources[0].secret_file',
      /more than 2/,
      /./,
    ],
    ['no connections', '[intake]\nmax_connections = 0\n', 2, 'intake.max_connections', /below 8/, /from 8/],
  ];
  for (const [what, text, line, key, problem, remedy] of cases) {
    const folder = await confFolder(t, { [S]: text, 'conf/s': secret, 'conf/short': 'pk3Lx9Q' });
    const problems = await folder.problems();
    t.match(problems, [{ file: S, line, key, problem, remedy }], what);
    t.equal(problems.length, 1, what);
    t.notMatch(
      JSON.stringify(problems.map((one) => one.problem + one.remedy)),
      /pk3Lx9Q(?!v)/,
      `${what}: no secret is shown`,
    );
  }
});
