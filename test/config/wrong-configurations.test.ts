// What the operator reads when a configuration is wrong: file, line, key, problem and remedy, for everything at once.
import t from 'tap';
import { formatProblem } from '../../src/config/problem.js';
import { ConfigError } from '../../src/config/problem.js';
import { confFolder } from './conf-folder.js';

const good = 'secret = "pk3Lx9Qv7Tz1Wd5Rb8Ym"';
const nas = (lines: string): string => `name = "bras1"\naddress = "10.0.0.2"\nprofile = "mikrotik-ppp"\n${lines}\n`;
const profile = (lines: string): string =>
  `description = "x"\nchannel = "vpn"\n[state.active]\nanswer = "accept"\n${lines}\n`;

type Expected = readonly [file: string, line: number, key: string, problem: RegExp, remedy: RegExp];
type Files = Readonly<Record<string, string>>;

const server = (text: string): Files => ({ 'conf/sluice.toml': text });
const one = (text: string): Files => ({ 'conf/nas.d/bras1.toml': text });
const own = (text: string): Files => ({ 'conf/profiles/p.toml': text });
const S = 'conf/sluice.toml';
const P = 'conf/profiles/p.toml';
const N = 'conf/nas.d/bras1.toml';

const cases: readonly [what: string, files: Files, ...expected: Expected[]][] = [
  // Syntax.
  ['a value is missing', server('[radius]\nauth =\n'), [S, 2, '', /is not TOML/, /syntax/]],
  ['a quote is missing', server('[server]\ninstance = "a\n'), [S, 2, '', /is not TOML/, /syntax/]],
  ['a key stands twice', server('[server]\ninstance = "a"\ninstance = "b"\n'), [S, 3, '', /multiple times/, /syntax/]],
  ['a section stands twice', server('[server]\n[log]\n[server]\n'), [S, 3, '', /multiple times/, /syntax/]],
  ['a hostile key', server('[server]\n__proto__ = 1\n'), [S, 2, '', /__proto__/, /remove/]],
  ['hostile nesting', server(`a = ${'['.repeat(500)}`), [S, 1, '', /too deeply/, /nest at most/]],
  ['an empty file with one wrong section', server('\n\n[servr]\n'), [S, 3, 'servr', /not a key/, /write server$/]],
  // Unknown keys.
  [
    'a misspelt key',
    server('[radius]\nduplicate_second = 9\n'),
    [S, 2, 'radius.duplicate_second', /not a key/, /duplicate_seconds/],
  ],
  [
    'the unit is forgotten',
    server('[spool]\nretention = 9\n'),
    [S, 2, 'spool.retention', /not a key/, /retention_days/],
  ],
  ['a hyphen in a key', server('[database]\npool-size = 9\n'), [S, 2, 'database.pool-size', /not a key/, /pool_size/]],
  [
    'a key of another section',
    server('[server]\npoll_ms = 50\n'),
    [S, 2, 'server.poll_ms', /not a key/, /move it to \[change_feed\]/],
  ],
  ['a dotted key', server('radius.colour = 1\n'), [S, 1, 'radius.colour', /not a key/, /known here: auth, /]],
  // The pages.
  [
    'pages for everybody on the network',
    server('[status]\nlisten = "0.0.0.0:8080"\n'),
    [S, 2, 'status.listen', /everybody/, /sluice passwd/],
  ],
  [
    'a password where its hash belongs',
    server('[status]\nusers = ["anna:secret"]\n'),
    [S, 2, 'status.users[0]', /NAME:\{SCRYPT\}/, /sluice passwd/],
  ],
  [
    'a billing address that is none',
    server('[status]\nbilling_url = "javascript:alert(1)"\n'),
    [S, 2, 'status.billing_url', /web address/, /https/],
  ],
  [
    'a host name with a port',
    server('[status]\nhost_names = ["a.example:80"]\n'),
    [S, 2, 'status.host_names[0]', /host name/, /without a port/],
  ],
  // Types and bounds.
  [
    'a text for a number',
    server('[database]\nport = "54329"\n'),
    [S, 2, 'database.port', /is a text/, /whole number from 1 to 65535 \(default 54329\)/],
  ],
  [
    'a fraction',
    server('[database]\npool_size = 1.5\n'),
    [S, 2, 'database.pool_size', /whole number/, /whole number from 4 to 90/],
  ],
  [
    'a number beyond 2^53',
    server('[spool]\nsegment_bytes = 9007199254740993\n'),
    [S, 2, 'spool.segment_bytes', /above|whole number/, /whole number from/],
  ],
  [
    'infinity',
    server('[spool]\nsegment_bytes = inf\n'),
    [S, 2, 'spool.segment_bytes', /whole number/, /whole number from/],
  ],
  ['a date', server('[server]\ninstance = 2026-01-01\n'), [S, 2, 'server.instance', /is a date/, /text in quotes/]],
  [
    'a table for a text',
    server('[server.instance]\na = 1\n'),
    [S, 1, 'server.instance', /is a table/, /text in quotes/],
  ],
  ['a value for a section', server('server = 1\n'), [S, 1, 'server', /is a number/, /table/]],
  [
    'too small',
    server('[radius]\nduplicate_seconds = 4\n'),
    [S, 2, 'radius.duplicate_seconds', /below 5/, /from 5 to 30/],
  ],
  [
    'too large',
    server('[radius]\nduplicate_seconds = 31\n'),
    [S, 2, 'radius.duplicate_seconds', /above 30/, /from 5 to 30/],
  ],
  [
    'an early reject',
    server('[radius]\nreject_delay_ms = 999\n'),
    [S, 2, 'radius.reject_delay_ms', /below 1000/, /from 1000/],
  ],
  ['no listener', server('[radius]\nauth = []\n'), [S, 2, 'radius.auth', /fewer than 1/, /list of 1 to 16/]],
  [
    'a text for a list',
    server('[radius]\nauth = "127.0.0.1:1812"\n'),
    [S, 2, 'radius.auth', /is a text/, /list of 1 to 16/],
  ],
  [
    'the second listener is wrong',
    server('[radius]\nauth = [\n"127.0.0.1:1812",\n"localhost:1812",\n]\n'),
    [S, 4, 'radius.auth[1]', /IPv4/, /127\.0\.0\.1:1812/],
  ],
  ['a port beyond all', server('[status]\nlisten = "127.0.0.1:80800"\n'), [S, 2, 'status.listen', /80800/, /port/]],
  [
    'IPv6 without brackets',
    server('[intake]\nlisten = "::1:8067"\n'),
    [S, 2, 'intake.listen', /ADDRESS:PORT/, /\[::1\]/],
  ],
  [
    'no such time zone',
    server('[server]\ntime_zone = "Europe/Moskva"\n'),
    [S, 2, 'server.time_zone', /time zone/, /IANA/],
  ],
  [
    'an offset for a time zone',
    server('[server]\ntime_zone = "+03:00"\n'),
    [S, 2, 'server.time_zone', /time zone/, /IANA/],
  ],
  ['no such level', server('[log]\nlevel = "loud"\n'), [S, 2, 'log.level', /one of the values/, /"info"/]],
  [
    'a bad instance name',
    server('[server]\ninstance = "Sluice 1"\n'),
    [S, 2, 'server.instance', /not a name/, /letter/],
  ],
  [
    'not a PostgreSQL address',
    server('[database]\nurl = "mysql://a/b"\n'),
    [S, 2, 'database.url', /PostgreSQL/, /postgres:\/\//],
  ],
  // What fits only together.
  [
    'closed before suspect',
    server('[sessions]\nsuspect_intervals = 3\nsilence_intervals = 3\n'),
    [S, 3, 'sessions.silence_intervals', /before/, /suspect_intervals/],
  ],
  [
    'an outage noticed late',
    server('[sessions]\nnas_silence_intervals = 4\n'),
    [S, 2, 'sessions.nas_silence_intervals', /outage/, /at most/],
  ],
  [
    'keys forgotten too soon',
    server('[sessions]\nsession_key_days = 7\n'),
    [S, 2, 'sessions.session_key_days', /replay/, /retention_days, which is 7/],
  ],
  [
    'one port for both services',
    server('[radius]\nauth = ["127.0.0.1:1812"]\naccounting = ["127.0.0.1:1812"]\n'),
    [S, 3, 'radius.accounting', /radius\.auth/, /another port/],
  ],
  [
    'one port for two pages',
    server('[status]\nlisten = "127.0.0.1:8067"\n'),
    [S, 1, 'intake.listen', /status\.listen/, /another port/],
  ],
  [
    'the port of the embedded database',
    server('[status]\nlisten = "127.0.0.1:54329"\n'),
    [S, 2, 'status.listen', /database\.port/, /another port/],
  ],
  [
    'a path with an unknown variable',
    server('[spool]\ndirectory = "${home}/spool"\n'),
    [S, 2, 'spool.directory', /variable/, /\$\{data\}/],
  ],
  [
    'a path out of the data folder',
    server('[radius]\nclass_key_file = "${data}/../x"\n'),
    [S, 2, 'radius.class_key_file', /below/, /without/],
  ],
  [
    'a key file elsewhere that is not there',
    server('[radius]\nclass_key_file = "class.key"\n'),
    [S, 2, 'radius.class_key_file', /does not exist/, /create/],
  ],
  [
    'a key that is none',
    { ...server('[radius]\npassword_key_file = "k"\n'), 'conf/k': 'hello\n' },
    [S, 2, 'radius.password_key_file', /32 octets/, /openssl rand/],
  ],
  // NASes.
  [
    'a NAS without name',
    one('address = "10.0.0.2"\nprofile = "linux"\n' + good),
    [N, 1, 'name', /missing/, /text in quotes/],
  ],
  [
    'a NAS without address',
    one('name = "a"\nprofile = "linux"\n' + good),
    [N, 1, 'address', /missing/, /text in quotes, or a list/],
  ],
  ['a NAS without secret', one(nas('')), [N, 1, 'secret', /missing/, /secret_file = "secrets\/bras1"/]],
  ['a short secret', one(nas('secret = "hello"')), [N, 4, 'secret', /is 5 octets long/, /at least 8, better 24/]],
  ['an empty secret', one(nas('secret = ""')), [N, 4, 'secret', /is 0 octets long/, /at least 8/]],
  ['a well-known secret', one(nas('secret = "testing123"')), [N, 4, 'secret', /attacker/, /random/]],
  [
    'one octet again and again',
    one(nas('secret = "aaaaaaaaaaaaaaaaaaaaaaaa"')),
    [N, 4, 'secret', /attacker/, /random/],
  ],
  [
    'the second of two is short',
    one(nas('secret = ["pk3Lx9Qv7Tz1Wd5Rb8Ym", "x"]')),
    [N, 4, 'secret', /is 1 octets/, /at least 8/],
  ],
  ['three secrets', one(nas('secret = ["a", "b", "c"]')), [N, 4, 'secret', /more than 2/, /list of 1 to 2/]],
  ['a number for a secret', one(nas('secret = 12345678901234')), [N, 4, 'secret', /is a number/, /text in quotes/]],
  [
    'a secret beyond all',
    one(nas(`secret = "${'aB3'.repeat(22_000)}"`)),
    [N, 4, 'secret', /longer than 65536/, /24 to 64/],
  ],
  ['secret and file', one(nas(`${good}\nsecret_file = "s"`)), [N, 5, 'secret_file', /beside/, /one of the two/]],
  [
    'a secret file that is not there',
    one(nas('secret_file = "secrets/bras1"')),
    [N, 4, 'secret_file', /conf\/secrets\/bras1, which does not exist/, /create/],
  ],
  [
    'an empty secret file',
    { ...one(nas('secret_file = "s"')), 'conf/s': '\n' },
    [N, 4, 'secret_file', /is 0 octets/, /at least 8/],
  ],
  [
    'a secret file that is a folder',
    { ...one(nas('secret_file = "s"')), 'conf/s/x': '' },
    [N, 4, 'secret_file', /not a file/, /name a file/],
  ],
  [
    'a credential without systemd',
    one(nas('secret_file = "${CREDENTIALS_DIRECTORY}/bras1"')),
    [N, 4, 'secret_file', /credential/, /LoadCredential/],
  ],
  [
    'not an address',
    one(nas(good).replace('10.0.0.2', '10.0.0.300')),
    [N, 2, 'address', /not an IP address/, /10\.0\.0\.2/],
  ],
  [
    'a name for an address',
    one(nas(good).replace('10.0.0.2', 'bras1.example')),
    [N, 2, 'address', /not an IP address/, /10\.0\.0\.2/],
  ],
  [
    'host bits',
    one(nas(good).replace('10.0.0.2', '10.0.0.2/24')),
    [N, 2, 'address', /after its prefix/, /"10\.0\.0\.0\/24"/],
  ],
  [
    'a prefix too long',
    one(nas(good).replace('10.0.0.2', '10.0.0.2/33')),
    [N, 2, 'address', /between 0 and 32/, /10\.0\.0\.0\/24/],
  ],
  [
    'the second address is wrong',
    one(nas(good).replace('"10.0.0.2"', '["10.0.0.2",\n "x"]')),
    [N, 3, 'address[1]', /not an IP address/, /10\.0\.0\.2/],
  ],
  [
    'everybody',
    one(nas(good).replace('10.0.0.2', '0.0.0.0/0')),
    [N, 2, 'address', /every address/, /allow_any_source/],
  ],
  [
    'everybody in IPv6',
    one(nas(good).replace('10.0.0.2', '::/0')),
    [N, 2, 'address', /every address/, /allow_any_source/],
  ],
  [
    'no such profile',
    one(nas(good).replace('mikrotik-ppp', 'mikrotik-pp')),
    [N, 3, 'profile', /names no profile/, /"mikrotik-ppp"/],
  ],
  [
    'nothing like a profile',
    one(nas(good).replace('mikrotik-ppp', 'zyxel')),
    [N, 3, 'profile', /names no profile/, /profiles\/zyxel\.toml/],
  ],
  [
    'a misspelt switch',
    one(nas(`${good}\nrequire_message_authentication = false`)),
    [N, 5, 'require_message_authentication', /not a key/, /require_message_authenticator/],
  ],
  [
    'a switch that is a text',
    one(nas(`${good}\nlimit_proxy_state = "auto"`)),
    [N, 5, 'limit_proxy_state', /is a text/, /true or false/],
  ],
  ['a hasty interval', one(nas(`${good}\ninterim_seconds = 5`)), [N, 5, 'interim_seconds', /below 60/, /from 60/]],
  [
    'a key beside the tables',
    one(`profile = "linux"\n[[nas]]\nname = "a"\naddress = "10.0.0.9"\nprofile = "linux"\n${good}\n`),
    [N, 1, 'profile', /beside/, /move/],
  ],
  [
    'the second table is wrong',
    one(
      `[[nas]]\nname = "a"\naddress = "10.0.0.9"\nprofile = "linux"\n${good}\n[[nas]]\nname = "b"\naddress = 1\nprofile = "linux"\n${good}\n`,
    ),
    [N, 8, 'nas[1].address', /is a number/, /text in quotes/],
  ],
  [
    'two NASes of one name',
    { ...one(nas(good)), 'conf/nas.d/other.toml': nas(good).replace('10.0.0.2', '10.0.0.3') },
    ['conf/nas.d/other.toml', 1, 'name', /conf\/nas\.d\/bras1\.toml:1/, /name of its own/],
  ],
  [
    'two NASes that claim the same requests',
    { ...one(nas(good)), 'conf/nas.d/other.toml': nas(good).replace('bras1', 'bras2') },
    ['conf/nas.d/other.toml', 2, 'address', /10\.0\.0\.2 .*bras1\.toml:1/, /nas_identifier/],
  ],
  [
    'two NASes behind one address with two secrets',
    {
      ...one(nas(`${good}\nnas_identifier = "a"`)),
      'conf/nas.d/other.toml': nas('secret = "another0123456789xyz"\nnas_identifier = "b"').replace('bras1', 'bras2'),
    },
    ['conf/nas.d/other.toml', 4, 'secret', /bras1\.toml:1/, /bras1\.toml and .*other\.toml/],
  ],
  [
    'two NASes behind one address with two rules',
    {
      ...one(nas(`${good}\nnas_identifier = "a"`)),
      'conf/nas.d/other.toml': nas(`${good}\nnas_identifier = "b"\nrequire_message_authenticator = false`).replace(
        'bras1',
        'bras2',
      ),
    },
    ['conf/nas.d/other.toml', 6, 'require_message_authenticator', /bras1\.toml:1/, /both alike/],
  ],
  // Profiles.
  [
    'a profile without the active state',
    { 'conf/profiles/p.toml': 'description = "x"\nchannel = "vpn"\n[state.redirect]\nanswer = "reject"\n' },
    ['conf/profiles/p.toml', 3, 'state.active', /missing/, /table/],
  ],
  [
    'no such channel',
    { 'conf/profiles/p.toml': profile('').replace('vpn', 'wifi') },
    ['conf/profiles/p.toml', 2, 'channel', /one of the values/, /"vpn", "dhcp"/],
  ],
  [
    'no such state',
    { 'conf/profiles/p.toml': profile('[state.redirected]\nanswer = "reject"') },
    ['conf/profiles/p.toml', 5, 'state.redirected', /not a key/, /write redirect$/],
  ],
  [
    'an attribute without value',
    { 'conf/profiles/p.toml': profile('attributes = [\n{ name = "Filter-Id" },\n]') },
    ['conf/profiles/p.toml', 6, 'state.active.attributes[0].value', /missing/, /whole number/],
  ],
  [
    'a negative value',
    { 'conf/profiles/p.toml': profile('attributes = [\n{ name = "Filter-Id", value = -1 },\n]') },
    ['conf/profiles/p.toml', 6, 'state.active.attributes[0].value', /below 0/, /whole number/],
  ],
  // Everything at once.
  [
    'several files and lines',
    {
      ...server('[log]\nlevel = 1\n[server]\ninstance = "?"\n'),
      ...one(nas('secret = "x"').replace('mikrotik-ppp', 'nix')),
    },
    [N, 3, 'profile', /names no profile/, /nix/],
    [N, 4, 'secret', /1 octets/, /at least/],
    [S, 2, 'log.level', /one of the values|is a number/, /"info"/],
    [S, 4, 'server.instance', /not a name/, /letter/],
  ],
  [
    'lines that are to be put together, and nobody says how one is read',
    own(profile('[listing]\nmerge = true\n')),
    [P, 6, 'listing.merge', /there is none/, /write listing\.entry/],
  ],
  // Reading back.
  [
    'reading back where nobody says how one subscriber is read',
    own(profile('[coa]\nport = 3799\nread_back_percent = 5\n')),
    [P, 7, 'coa.read_back_percent', /does not say how one subscriber is read/, /\[command\.user_info\]/],
  ],
  [
    'lines that go into a program print nothing of a subscriber',
    own(
      profile(
        '[coa]\nread_back_percent = 5\n[command.user_info]\nsteps = [{ send = "ssh", into = "nft -f -", lines = ["list"] }]\n',
      ),
    ),
    [P, 6, 'coa.read_back_percent', /does not say how one subscriber is read/, /\[command\.user_info\]/],
  ],
  [
    'reading back where nobody says what is read',
    own(profile('[coa]\nread_back_percent = 5\n[command.user_info]\nsteps = [{ send = "exec" }]\n')),
    [P, 6, 'coa.read_back_percent', /does not say what user_info prints/, /\[read_back\] with there and gone/],
  ],
  [
    'reading back what is never said by CoA',
    own(
      profile(
        '[coa]\nread_back_percent = 5\n[read_back]\nthere = "a"\ngone = "b"\n[command.user_info]\nsteps = [{ send = "exec" }]\n',
      ),
    ),
    [P, 6, 'coa.read_back_percent', /sends none/, /remove/],
  ],
  [
    'a pattern of what is read that is none',
    own(profile('[read_back]\nthere = "("\ngone = "b"\n')),
    [P, 6, 'read_back.there', /not a regular expression/, /escape/],
  ],
];

t.test('each wrong configuration is told with file, line, key, problem and remedy', async (t) => {
  for (const [what, files, ...expected] of cases) {
    const folder = await confFolder(t, files);
    const problems = await folder.problems();
    t.same(
      problems.map(({ file, line, key }) => [file, line, key]),
      expected.map(([file, line, key]) => [file, line, key]),
      `${what}: the place`,
    );
    expected.forEach(([, , , problem, remedy], index) => {
      t.match(problems[index]?.problem, problem, `${what}: the problem`);
      t.match(problems[index]?.remedy, remedy, `${what}: the remedy`);
      t.notMatch(formatProblem(problems[index]!), /[\r\n]/u, `${what}: on one line`);
    });
  }
});

t.test('the text form is file:line: key: problem; remedy', async (t) => {
  const folder = await confFolder(
    t,
    one('name = "bras1"\naddress = "10.0.0.2"\nsecret = "hello"\nprofile = "linux"\n'),
  );
  const [problem] = await folder.problems();
  t.equal(
    formatProblem(problem!),
    'conf/nas.d/bras1.toml:3: secret: is 5 octets long; use at least 8, better 24 random ones',
  );
});

t.test('the error carries all problems, in the order of files and lines, and their text', async (t) => {
  const folder = await confFolder(t, { ...server('[log]\nlevel = 1\n[x]\n'), ...one(nas('secret = "x"')) });
  const error = await folder.load().then(
    () => undefined,
    (reason: unknown) => reason,
  );
  t.ok(error instanceof ConfigError);
  if (!(error instanceof ConfigError)) return;
  t.equal(error.code, 'config-invalid');
  t.equal(error.problems.length, 3);
  t.equal(error.message, error.problems.map(formatProblem).join('\n'));
});

t.test('no problem repeats a secret', async (t) => {
  const secret = 'hunter2';
  for (const text of [
    `secret = "${secret}"`,
    `secret = ["${secret}", "${secret}", "${secret}"]`,
    `secret = "${secret}`,
  ]) {
    const problems = await (await confFolder(t, one(nas(text)))).problems();
    t.notMatch(JSON.stringify(problems), secret, text.slice(0, 10));
  }
  const url = await (await confFolder(t, server(`[database]\nurl = "mysql://u:${secret}@h/d"\n`))).problems();
  t.notMatch(JSON.stringify(url), secret, 'a database address');
});

t.test('files that cannot be read are problems, not defaults', async (t) => {
  const folder = await confFolder(t, { 'conf/sluice.toml/x': '', 'conf/nas.d': 'a file' });
  t.match(await folder.problems(), [
    { file: 'conf/nas.d', line: 0, problem: 'is not a readable folder' },
    { file: 'conf/sluice.toml', line: 0, problem: 'is not a file' },
  ]);
  const binary = await confFolder(t);
  await binary.write('conf/sluice.toml', Buffer.from([0x0a, 0x23, 0xff, 0xfe]));
  t.match(await binary.problems(), [{ file: 'conf/sluice.toml', line: 2, problem: 'is not UTF-8' }]);
  const long = await confFolder(t, { 'conf/sluice.toml': `#${'x'.repeat(1_048_576)}` });
  t.match(await long.problems(), [{ file: 'conf/sluice.toml', line: 0, problem: /longer than 1048576/ }]);
});
