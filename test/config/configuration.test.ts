// What a right configuration becomes: defaults, overrides, paths, the built-in NAS, and the files that are shipped.
import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import t from 'tap';
import type { Config } from '../../src/config/config.js';
import { describeConfiguration } from '../../src/config/describe.js';
import { loadConfig } from '../../src/config/load-config.js';
import { bundledProfilesDir, checkout, confFolder } from './conf-folder.js';

const secret = 'secret = "pk3Lx9Qv7Tz1Wd5Rb8Ym"';

t.test('an absent conf folder is all defaults, one loopback NAS, and a warning', async (t) => {
  const folder = await confFolder(t);
  const config = await folder.load();
  t.match(config, {
    server: { instance: 'sluice-1', timeZone: 'UTC' },
    database: { url: undefined, port: 54_329, poolSize: 10, statementTimeoutMs: 30_000, connectTimeoutMs: 5_000 },
    radius: {
      auth: [{ address: '127.0.0.1', port: 1812, family: 'ipv4' }],
      accounting: [{ address: '127.0.0.1', port: 1813, family: 'ipv4' }],
      duplicateSeconds: 15,
      rejectDelayMs: 1_000,
      interimSeconds: 300,
    },
    sessions: { suspectIntervals: 2, silenceIntervals: 3 },
    addresses: { offerGraceSeconds: 300, quarantineSeconds: 60 },
    spool: { directory: join(folder.root, 'data/spool'), retentionDays: 7 },
    status: { listen: { address: '127.0.0.1', port: 8080 } },
    intake: { listen: { address: '127.0.0.1', port: 8067 } },
    log: { level: 'info' },
  });
  t.match(config.nas, [
    {
      name: 'localhost',
      addresses: ['127.0.0.1', '::1'],
      profile: 'mikrotik-ppp',
      requireMessageAuthenticator: true,
      limitProxyState: true,
      routingDomain: 'default',
      interimSeconds: 300,
    },
  ]);
  t.same(Object.keys(config.profiles), ['mikrotik-ppp']);
  t.match(config.warnings, [{ problem: 'does not exist', remedy: /--conf/ }]);
});

t.test('an empty sluice.toml and an empty nas.d are the same without the warning', async (t) => {
  const folder = await confFolder(t, {
    'conf/sluice.toml': '',
    'conf/nas.d/bras1.toml.example': 'not read',
    'conf/nas.d/.x.toml': 'nor this',
  });
  const config = await folder.load();
  t.equal(config.nas[0]?.name, 'localhost');
  t.same(config.warnings, []);
});

t.test('what is written is what counts', async (t) => {
  const folder = await confFolder(t, {
    'conf/sluice.toml': `
      [server]
      instance = "sluice-2"
      time_zone = "Asia/Vladivostok"
      [database]
      url = "postgres://sluice:pw@db.example/sluice"
      [radius]
      auth = ["0.0.0.0:1812", "[::]:1812"]
      accounting = ["192.0.2.1:0"]
      interim_seconds = 600
      [spool]
      directory = "/var/spool/sluice"
    `,
    'conf/nas.d/a.toml': `name = "a"\naddress = ["10.0.0.2", "10.1.0.0/16", "::ffff:10.0.0.3", "2001:DB8::1"]\nprofile = "linux"\n${secret}\nnas_identifier = "a"\nnas_ip_address = "192.168.88.1"\nrouting_domain = "vrf1"\nrequire_message_authenticator = false`,
    'conf/nas.d/b.toml': `[[nas]]\nname = "b1"\naddress = "10.2.0.0/16"\nprofile = "linux"\n${secret}\ninterim_seconds = 60\n[[nas]]\nname = "b2"\naddress = "10.3.0.0/16"\nprofile = "accel-ppp"\nsecret = ["${'x1y2z3'.repeat(4)}", "${'a4b5c6'.repeat(4)}"]`,
  });
  const config = await folder.load();
  t.match(config, {
    server: { instance: 'sluice-2', timeZone: 'Asia/Vladivostok' },
    radius: {
      auth: [
        { address: '0.0.0.0', port: 1812, family: 'ipv4' },
        { address: '::', port: 1812, family: 'ipv6' },
      ],
      accounting: [{ port: 0 }],
    },
    spool: { directory: '/var/spool/sluice' },
  });
  t.equal(config.database.url?.text(), 'postgres://sluice:pw@db.example/sluice');
  t.match(config.nas, [
    {
      name: 'a',
      addresses: ['10.0.0.2', '10.1.0.0/16', '10.0.0.3', '2001:db8::1'],
      nasIdentifier: 'a',
      nasIpAddress: '192.168.88.1',
      routingDomain: 'vrf1',
      requireMessageAuthenticator: false,
      interimSeconds: 600,
    },
    { name: 'b1', interimSeconds: 60 },
    { name: 'b2', profile: 'accel-ppp' },
  ]);
  t.same(
    config.nas.map((entry) => entry.secrets.length),
    [1, 1, 2],
  );
  t.same(Object.keys(config.profiles).sort(), ['accel-ppp', 'linux']);
});

t.test('a profile of the conf folder takes the place of the bundled one, and unused ones are read too', async (t) => {
  const own = 'description = "ours"\nchannel = "dhcp"\n[state.active]\nanswer = "accept"\n';
  const folder = await confFolder(t, { 'conf/profiles/mikrotik-ppp.toml': own, 'conf/profiles/spare.toml': own });
  const config = await folder.load();
  t.equal(config.profiles['mikrotik-ppp']?.description, 'ours');
  t.match(config.profiles['spare'], {
    channel: 'dhcp',
    identity: ['login'],
    states: { redirect: { answer: 'reject' } },
  });
});

t.test('a NAS is never asked for interims below the floor of its profile', async (t) => {
  const folder = await confFolder(t, {
    'conf/nas.d/a.toml': `name = "a"\naddress = "10.0.0.2"\nprofile = "cisco-isg"\n${secret}\ninterim_seconds = 60`,
    'conf/sluice.toml': '[radius]\ninterim_seconds = 120',
  });
  const config = await folder.load();
  t.equal(config.nas[0]?.interimSeconds, 300);
  t.match(config.warnings, [{ line: 5, key: 'interim_seconds', problem: /floor/, remedy: /300/ }]);
});

t.test('what is unwise is a warning with its place', async (t) => {
  const folder = await confFolder(t);
  await folder.write(
    'conf/nas.d/a.toml',
    'name = "a"\naddress = "10.0.0.2"\nprofile = "linux"\nsecret = "k3Lx9Qv7Tz1W"',
    0o644,
  );
  await folder.write('conf/nas.d/b.toml', 'name = "b"\naddress = "10.0.0.3"\nprofile = "linux"\nsecret_file = "s"');
  await folder.write('conf/s', 'pk3Lx9Qv7Tz1Wd5Rb8Ym\r\nrest is no secret\n', 0o644);
  await folder.write('conf/sluice.toml', '[database]\nurl = "postgres://u:p@h/d"', 0o644);
  const config = await folder.load();
  t.same(
    config.warnings.map(({ file, line, key }) => [file.slice(folder.root.length + 1), line, key]),
    [
      ['conf/nas.d/a.toml', 4, 'secret'],
      ['conf/nas.d/a.toml', 4, 'secret'],
      ['conf/nas.d/b.toml', 4, 'secret_file'],
      ['conf/sluice.toml', 2, 'database.url'],
    ],
  );
  for (const warning of config.warnings) t.not(warning.remedy, '');
  t.equal(config.nas[1]?.secrets[0]?.text(), 'pk3Lx9Qv7Tz1Wd5Rb8Ym', 'the first line, without its end');
});

t.test('what opens the door to an attack, or looks like a slip, is a warning', async (t) => {
  const folder = await confFolder(t, {
    'conf/nas.d/a.toml': `name = "a"\naddress = "10.0.0.2"\nprofile = "linux"\n${secret}\nrequire_message_authenticator = false\nlimit_proxy_state = false`,
    'conf/nas.d/b.toml': 'name = "b"\naddress = "10.0.0.3"\nprofile = "linux"\nsecret_file = "s"',
    'conf/s': 'pk3Lx9Qv7Tz1Wd5Rb8Ym \n',
  });
  const config = await folder.load();
  t.match(config.warnings, [
    { line: 6, key: 'limit_proxy_state', problem: /BlastRADIUS/ },
    { line: 4, key: 'secret_file', problem: /blank/ },
  ]);
  t.equal(config.warnings.length, 2);
  t.equal(config.nas[1]?.secrets[0]?.text(), 'pk3Lx9Qv7Tz1Wd5Rb8Ym ', 'the blank is kept, as it was written');
});

t.test('a configuration cannot be changed', async (t) => {
  const config = await (await confFolder(t)).load();
  const frozen = (value: unknown, path: string): void => {
    if (typeof value !== 'object' || value === null) return;
    t.ok(Object.isFrozen(value), path);
    for (const [key, inner] of Object.entries(value)) frozen(inner, `${path}.${key}`);
  };
  frozen(config, 'config');
  t.throws(() => {
    (config.server as { instance: string }).instance = 'x';
  }, TypeError);
});

t.test('several NASes behind one address share a secret and differ in their names', async (t) => {
  const entry = (name: string, more: string): string =>
    `[[nas]]\nname = "${name}"\naddress = "10.0.0.2"\nprofile = "linux"\n${secret}\n${more}\n`;
  const folder = await confFolder(t, {
    'conf/nas.d/all.toml':
      entry('a', 'nas_identifier = "a"') + entry('b', 'nas_ip_address = "10.0.0.2"') + entry('c', ''),
  });
  t.equal((await folder.load()).nas.length, 3);
});

t.test('the shipped conf folder and its example load without a warning', async (t) => {
  const data = await confFolder(t);
  const options = {
    confDir: join(checkout, 'conf'),
    dataDir: data.options.dataDir,
    bundledProfilesDir,
    environment: {},
  };
  const config = await loadConfig(options);
  t.equal(config.nas[0]?.name, 'localhost');
  t.same(config.warnings, []);
  const files = (await readdir(bundledProfilesDir)).map((file) => file.replace('.toml', ''));
  t.same(Object.keys(config.profiles).sort(), files.sort());
  const example = await confFolder(t, {
    'conf/sluice.toml': await readFile(join(checkout, 'conf/sluice.toml'), 'utf8'),
  });
  await example.write('conf/nas.d/bras1.toml', await readFile(join(checkout, 'conf/nas.d/bras1.toml.example'), 'utf8'));
  t.match(await example.load(), { nas: [{ name: 'bras1', addresses: ['10.0.0.2'] }], warnings: [] });
});

t.test('every key that the examples show in a comment is known and has the value of its default', async (t) => {
  for (const path of ['conf/sluice.toml', 'conf/nas.d/bras1.toml.example']) {
    const text = await readFile(join(checkout, path), 'utf8');
    const shown = text.replaceAll(/^# ([a-z_.]+ = )/gmu, '$1');
    t.not(shown, text, `${path} shows keys in comments`);
    const folder = await confFolder(t);
    if (path.endsWith('.example')) {
      const once = shown
        .split('\n')
        .filter(
          (line, index, lines) =>
            !/^secret_file = "/u.test(line) || !lines.slice(index + 1).some((later) => /^secret_file/u.test(later)),
        );
      await folder.write('conf/nas.d/bras1.toml', once.join('\n'));
      await folder.write('conf/secrets/bras1', 'pk3Lx9Qv7Tz1Wd5Rb8Ym');
      await folder.write('conf/secrets/bras1.new', 'Wd5Rb8Ympk3Lx9Qv7Tz1');
      t.equal((await folder.load()).nas[0]?.secrets.length, 2, path);
      continue;
    }
    await folder.write('conf/sluice.toml', shown.replace(/^url = .*$/mu, ''));
    const withComments = await folder.load();
    await folder.write('conf/sluice.toml', '');
    const defaults = await folder.load();
    // The example names a time zone of its own.
    const comparable = (config: Config): unknown => ({ ...config, snapshot: undefined, server: undefined });
    t.same(comparable(withComments), comparable(defaults), path);
  }
});

t.test('docs/configuration.md is what the schemas say', async (t) => {
  const committed = await readFile(join(checkout, 'docs/configuration.md'), 'utf8');
  t.equal(committed, describeConfiguration(), 'write it anew: npx tsx test/config/write-configuration-doc.ts');
  const documented = describeConfiguration().match(/^\| `[a-z_]+` \|/gmu) ?? [];
  t.ok(documented.length > 60, 'every key has its row');
});
