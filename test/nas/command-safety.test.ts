/**
 * Commands of profiles at check-config: what is refused because somebody would stay as he was, and what is refused because it cannot be done. Each problem names file,
 * line, key and remedy.
 */
import t from 'tap';
import type { Profile } from '../../src/config/config.js';
import { ConfigError } from '../../src/config/problem.js';
import { checkCommandRequirements } from '../../src/nas/command-requirements.js';
import { compileProfile } from '../../src/nas/profile.js';
import { confFolder } from '../config/conf-folder.js';
import { smallEncoder } from './small-dictionary.js';

type Expected = readonly [key: string, problem: RegExp, remedy: RegExp];

const folder = await confFolder(t, {
  'conf/nas.d/a.toml': 'name = "a"\naddress = "10.0.0.1"\nprofile = "own"\nsecret = "pk3Lx9Qv7Tz1Wd5Rb8Ym"\n',
});

async function read(text: string): Promise<Profile> {
  await folder.write('conf/profiles/own.toml', text);
  return (await folder.load()).profiles['own']!;
}

async function problemsOf(text: string): Promise<(readonly [number, string, string, string])[]> {
  const profile = await read(text);
  try {
    compileProfile(profile, smallEncoder);
    return [];
  } catch (error) {
    if (!(error instanceof ConfigError)) throw error;
    t.ok(
      error.problems.every((problem) => problem.file.endsWith('own.toml')),
      'every problem names the file',
    );
    return error.problems.map(({ line, key, problem, remedy }) => [line, key, problem, remedy]);
  }
}

/** Parts of a profile that can be left out or replaced. */
type Parts = Readonly<Record<string, string>>;

const head = 'description = "own"\nchannel = "vpn"\n';
const active = '[state.active]\nanswer = "accept"\nattributes = [{ name = "Filter-Id", value = "open" }]\n';
const garden = (state: string, wall = 'wall'): string =>
  `[state.${state}]\nanswer = "accept"\nattributes = [{ name = "Filter-Id", value = "${wall}" }]\n`;
const command = (name: string, body: string): string => `[command.${name}]\n${body}\n`;
const byCoa = 'steps = [{ send = "coa", state = true }]\nfallback = [{ send = "disconnect" }]';
const byDisconnect = 'steps = [{ send = "disconnect" }]';
const bySsh = 'steps = [{ send = "ssh", lines = ["nas-tool $login"] }]';

const session: Parts = {
  head,
  active,
  redirect: garden('redirect'),
  own: garden('own_disabled'),
  admin: garden('admin_blocked'),
  enforcement: '[enforcement]\nplace = "session"\n',
  ...Object.fromEntries(
    ['user_drop', 'user_accept', 'own_disabled', 'own_disabled_cancel', 'user_redirect', 'user_redirect_cancel'].map(
      (name) => [name, command(name, byCoa)],
    ),
  ),
  user_disconnect: command('user_disconnect', byDisconnect),
  user_del: command('user_del', byDisconnect),
};

const provisioned: Parts = {
  head,
  active,
  enforcement: '[enforcement]\nplace = "provisioned"\n',
  ...Object.fromEntries(
    [
      ...['user_add', 'user_del', 'user_drop', 'user_accept', 'own_disabled', 'own_disabled_cancel'],
      ...['user_redirect', 'user_redirect_cancel', 'user_auth', 'user_disconnect'],
      ...['user_rate_set', 'user_rate_set_cancel'],
    ].map((name) => [name, command(name, bySsh)]),
  ),
};

const text = (parts: Parts, changed: Parts = {}): string => Object.values({ ...parts, ...changed }).join('');

async function check(of: Parts, changed: Parts, expected: readonly Expected[], what: string): Promise<void> {
  const whole = text(of, changed);
  const found = await problemsOf(whole);
  t.match(
    found.map(([, ...rest]) => rest),
    expected,
    what,
  );
  t.equal(found.length, expected.length, `${what}: as many`);
  for (const [line, key] of found) {
    const name = /^command\.([a-z_]+)/u.exec(key)?.[1];
    const at = name === undefined ? 0 : whole.split('\n').indexOf(`[command.${name}]`) + 1;
    t.ok(line === at || line === 0 || whole.split('\n')[line - 1]?.includes('send ='), `${what}: line ${String(line)}`);
  }
}

t.test('profiles that leave nobody as he was are taken', async () => {
  await check(session, {}, [], 'a session with all gardens');
  await check(provisioned, {}, [], 'provisioned entries');
  await check(
    session,
    {
      redirect: '',
      own: '',
      admin: '',
      user_drop: '',
      user_accept: '',
      own_disabled: '',
      own_disabled_cancel: '',
      user_redirect: '',
      user_redirect_cancel: '',
    },
    [],
    'states that reject need no commands: their sessions are ended',
  );
  await check(
    session,
    {
      user_redirect: command('user_redirect', byDisconnect),
      user_redirect_cancel: command('user_redirect_cancel', byDisconnect),
    },
    [],
    'ending the session is an effect',
  );
  await check({ head, active }, {}, [], 'a profile that is never commanded');
});

t.test('whoever is deleted, blocked, voluntarily blocked or redirected never stays as he was', async () => {
  const who: readonly [name: string, who: RegExp][] = [
    ['user_drop', /a blocked subscriber would stay as he was/],
    ['own_disabled', /a voluntarily blocked subscriber would stay as he was/],
    ['user_redirect', /a redirected subscriber would stay as he was/],
    ['user_del', /a deleted subscriber would stay as he was/],
    ['user_disconnect', /whoever is to be disconnected would stay as he was/],
  ];
  for (const [name, problem] of who) {
    const key = `command.${name}`;
    await check(session, { [name]: '' }, [[key, problem, /steps = /]], `session: ${name} is missing`);
    for (const [body, what] of [
      ['not_applicable = "no way"', 'is not applicable'],
      ['steps = [{ send = "coa", attributes = [{ name = "Reply-Message", value = "pay" }] }]', 'only shows a text'],
      ['steps = [{ send = "coa", attributes = [{ name = "Idle-Timeout", value = 60 }] }]', 'ends it some day'],
      ['steps = [{ send = "coa" }]', 'says nothing'],
    ] as const)
      await check(session, { [name]: command(name, body) }, [[key, problem, /steps = /]], `session: ${name} ${what}`);
    if (name === 'user_disconnect') continue;
    await check(provisioned, { [name]: '' }, [[key, problem, /its steps/]], `provisioned: ${name} is missing`);
    const absent = { [name]: command(name, 'not_applicable = "no way"') };
    await check(provisioned, absent, [[key, problem, /its steps/]], `provisioned: ${name} is not applicable`);
  }
});

t.test('there is a way back out', async () => {
  for (const [name, who] of [
    ['user_accept', /a blocked subscriber would never come out/],
    ['own_disabled_cancel', /a voluntarily blocked subscriber would never come out/],
    ['user_redirect_cancel', /a redirected subscriber would never come out/],
  ] as const)
    for (const of of [session, provisioned])
      for (const body of ['', command(name, 'not_applicable = "no"')])
        await check(
          of,
          { [name]: body },
          [[`command.${name}`, who, /steps/]],
          `${name} ${body === '' ? 'missing' : 'not applicable'}`,
        );
});

t.test('a NAS may refuse a CoA: then there is another way', async () => {
  for (const name of ['user_drop', 'own_disabled', 'user_redirect', 'user_redirect_cancel'])
    for (const fallback of ['', 'fallback = [{ send = "coa", state = true }]'])
      await check(
        session,
        { [name]: command(name, `steps = [{ send = "coa", state = true }]\n${fallback}`) },
        [[`command.${name}`, /no other way when the NAS refuses the CoA/, /disconnect/]],
        name,
      );
});

t.test('a CoA says what the state adds, and takes back what it added', async () => {
  const pool = '[state.redirect]\nanswer = "accept"\npool = "guest"\n';
  await check(
    session,
    { redirect: pool },
    [['command.user_redirect', /says by CoA nothing/, /cannot change an address/]],
    'only a pool',
  );
  const list =
    '[state.redirect]\nanswer = "accept"\nattributes = [{ name = "Filter-Id", value = "wall" }, { name = "Mikrotik-Address-List", value = "wall" }]\n';
  await check(
    session,
    { redirect: list },
    [
      [
        'command.user_redirect_cancel',
        /leaves Mikrotik-Address-List of the session as it was/,
        /state\.active\.coa_attributes/,
      ],
    ],
    'a list that nothing takes back',
  );
  const other = `${active}coa_attributes = [{ name = "Mikrotik-Address-List", value = "other" }]\n`;
  await check(session, { active: other, redirect: list }, [], 'another list takes it back');
  const extra =
    'steps = [{ send = "coa", state = true, attributes = [{ name = "Mikrotik-Address-List", value = "other" }] }]\nfallback = [{ send = "disconnect" }]';
  await check(
    session,
    { redirect: list, user_redirect_cancel: command('user_redirect_cancel', extra) },
    [],
    'or the command itself does',
  );
  await check(
    session,
    { redirect: list, user_redirect_cancel: command('user_redirect_cancel', byDisconnect) },
    [],
    'or the session ends',
  );
  const sameByCoa = `${garden('redirect')}coa_attributes = [{ name = "Filter-Id", value = "open" }]\n`;
  await check(
    session,
    { redirect: sameByCoa },
    [['command.user_redirect', /says by CoA nothing/, /limits him/]],
    'what limits in an Accept is not said by CoA',
  );
});

t.test('rates: said in so many words, and no limit is a word too', async () => {
  const rated = `[state.active]\nanswer = "accept"\nattributes = [{ name = "Filter-Id", value = "open" }, { name = "Mikrotik-Rate-Limit", value = "\${rate_up_kbps}k/\${rate_down_kbps}k" }]\n`;
  const set = command('user_rate_set', 'steps = [{ send = "coa", state = true }]');
  await check(
    session,
    { active: rated },
    [
      ['command.user_rate_set', /is missing/, /not_applicable/],
      ['command.user_rate_set_cancel', /is missing/, /not_applicable/],
    ],
    'missing',
  );
  await check(
    session,
    { active: rated, set, cancel: command('user_rate_set_cancel', 'steps = [{ send = "coa", state = true }]') },
    [['command.user_rate_set_cancel', /says nothing of Mikrotik-Rate-Limit/, /coa_attributes/]],
    'an unlimited plan says nothing',
  );
  await check(
    session,
    { active: rated, set, cancel: command('user_rate_set_cancel', 'not_applicable = "next session"') },
    [],
    'in so many words',
  );
  const unlimited = `${rated}coa_attributes = [{ name = "Mikrotik-Rate-Limit", value = ["\${rate_up_kbps}k/\${rate_down_kbps}k", "0/0"] }]\n`;
  await check(
    session,
    { active: unlimited, set, cancel: command('user_rate_set_cancel', 'steps = [{ send = "coa", state = true }]') },
    [],
    'a word for no limit',
  );
});

t.test('steps that the place cannot do', async () => {
  for (const send of ['{ send = "coa", state = true }', byDisconnect.slice(9, -1)])
    await check(
      provisioned,
      { user_drop: command('user_drop', `steps = [${send}]`) },
      [['command.user_drop', /no RADIUS session/, /enforcement\.place = "session"/]],
      send,
    );
  for (const name of ['users_from_nas', 'account_disable'])
    await check(
      session,
      { more: command(name, byDisconnect) },
      [[`command.${name}`, /without a session/, /ssh or exec/]],
      name,
    );
  await check(
    session,
    { enforcement: '' },
    [['command.user_drop', /never done/, /\[enforcement\]/]],
    'nobody is commanded',
  );
  await check(
    session,
    { coa: '[coa]\nidentify = ["User-Name"]\n', realm: '[realm]\nhandling = "strip"\n' },
    [['coa.identify', /its realm is taken off/, /Acct-Session-Id/]],
    'a login that the NAS does not know',
  );
});

t.test('services go both ways', async () => {
  const on = command('usluga_activated', bySsh);
  await check(session, { on }, [['command.usluga_deactivated', /one way/, /steps/]], 'on only');
  await check(session, { on, off: command('usluga_deactivated', bySsh) }, [], 'both');
  const none = command('usluga_activated', 'not_applicable = "no services"');
  await check(session, { none }, [], 'none');
});

t.test('what is written wrong in a step', async () => {
  const step = (body: string): Parts => ({
    user_redirect: command('user_redirect', `steps = [\n${body},\n]\nfallback = [{ send = "disconnect" }]`),
  });
  const attribute = (one: string): Parts => step(`{ send = "coa", attributes = [${one}] }`);
  const table: readonly [string, Parts, Expected][] = [
    [
      'an unknown attribute',
      attribute('{ name = "Filter-Idd", value = "x" }'),
      ['command.user_redirect.steps[0].attributes[0].name', /not in the dictionary/, /Filter-Id/],
    ],
    [
      'an unknown variable',
      attribute('{ name = "Filter-Id", value = "$logn" }'),
      ['command.user_redirect.steps[0].attributes[0].value', /\$logn/, /login/],
    ],
    [
      'a number that is none',
      attribute('{ name = "WISPr-Bandwidth-Max-Up", value = "fast" }'),
      ['command.user_redirect.steps[0].attributes[0].value', /does not suit/, /type/],
    ],
    [
      'the own of the request',
      attribute('{ name = "User-Name", value = "x" }'),
      ['command.user_redirect.steps[0].attributes[0].name', /server's own/, /coa\.identify/],
    ],
    [
      'Event-Timestamp',
      attribute('{ name = "Event-Timestamp", value = 1 }'),
      ['command.user_redirect.steps[0].attributes[0].name', /server's own/, /coa\.event_timestamp/],
    ],
    [
      'a password',
      attribute('{ name = "User-Password", value = "x" }'),
      ['command.user_redirect.steps[0].attributes[0].name', /server's own/, /remove/],
    ],
    [
      'an unknown variable in a line',
      step('{ send = "ssh", lines = ["nas-tool $logn"] }'),
      ['command.user_redirect.steps[0].lines[0]', /\$logn/, /login/],
    ],
    [
      'a variable in quotes of its own',
      step(`{ send = "ssh", lines = ["nas-tool '$login'"] }`),
      ['command.user_redirect.steps[0].lines[0]', /quot/, /quot/],
    ],
  ];
  for (const [what, changed, expected] of table) await check(session, changed, [expected], what);
  await check(
    session,
    { user_redirect: command('user_redirect', `${byCoa}\nnot_applicable = "both"`) },
    [['command.user_redirect', /has steps and is not_applicable/, /one of the two/]],
    'both',
  );
  await check(
    session,
    { more: command('user_info', '') },
    [['command.user_info', /does nothing/, /not_applicable/]],
    'neither',
  );
  await check(
    session,
    { ssh: '[ssh]\nmode = "prompt"\nprologue = ["enter $login"]\n' },
    [
      ['ssh.prompt', /missing/, /prompt = /],
      ['ssh.prologue[0]', /names a subscriber/, /steps/],
    ],
    'ssh',
  );
});

t.test('each NAS has what its profile needs', async (t) => {
  const bySshOnly = await read(text(provisioned));
  const byScript = await read(text(provisioned).replaceAll(bySsh, 'steps = [{ send = "exec" }]'));
  const compiled = (profile: Profile) => new Map([['own', compileProfile(profile, smallEncoder)]]);
  const problems = async (more: string, profile: Profile, address = '"10.0.0.1"'): Promise<unknown[]> => {
    await folder.write('conf/secrets/key', 'a private key\n');
    await folder.write(
      'conf/nas.d/a.toml',
      `\nname = "a"\naddress = ${address}\nprofile = "own"\nsecret = "pk3Lx9Qv7Tz1Wd5Rb8Ym"\n${more}`,
    );
    const { nas } = await folder.load();
    return checkCommandRequirements(nas, compiled(profile), (path) => path === '/bin/there').map(
      ({ file, line, key, problem, remedy }) => [file.slice(-'nas.d/a.toml'.length), line, key, problem, remedy],
    );
  };
  const key = '[ssh]\nkey_file = "secrets/key"\n';
  t.match(await problems('', bySshOnly), [
    ['nas.d/a.toml', 2, 'ssh.key_file', /missing.*"own" sends commands over SSH/, /observe/],
  ]);
  t.same(await problems(key, bySshOnly), []);
  t.same(await problems('mode = "observe"\n', bySshOnly), []);
  t.match(await problems(key, bySshOnly, '"10.0.0.0/24"'), [
    ['nas.d/a.toml', 2, 'ssh.address', /one host/, /ssh\.address/],
  ]);
  t.same(await problems(`${key}address = "bras.example"\n`, bySshOnly, '"10.0.0.0/24"'), []);
  t.match(await problems('', byScript), [['nas.d/a.toml', 2, 'exec.script', /missing.*runs a script/, /\[exec\]/]]);
  t.match(await problems('[exec]\nscript = "/bin/gone"\n', byScript), [
    ['nas.d/a.toml', 2, 'exec.script', /\/bin\/gone, which is no program/, /chmod/],
  ]);
  t.same(await problems('[exec]\nscript = "/bin/there"\n', byScript), []);
});
