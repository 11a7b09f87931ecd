// Secrets: read from where they are, made where they are missing, and never shown.
import { mkdir, readFile, readdir, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { inspect } from 'node:util';
import t from 'tap';
import { loadConfig, loadConfigCreatingSecrets } from '../../src/config/load-config.js';
import { createMissingSecrets } from '../../src/config/secret-files.js';
import { SecretMissingError, SecretValue, judgeSharedSecret } from '../../src/config/secret-value.js';
import { confFolder } from './conf-folder.js';

const marker = 'Zq7MARKERpk3Lx9Qv7Tz1';

t.test('loading makes nothing; it reports what is missing below the data folder', async (t) => {
  const folder = await confFolder(t, {});
  const config = await folder.load();
  await t.rejects(readdir(folder.options.dataDir), { code: 'ENOENT' });
  t.same(
    config.missingSecrets.map(({ path, kind, owner }) => [path.slice(folder.options.dataDir.length), kind, owner]),
    [
      ['/secrets/class.key', 'key', 'radius.class_key_file'],
      ['/secrets/password.key', 'key', 'radius.password_key_file'],
      ['/secrets/localhost', 'shared-secret', 'localhost'],
    ],
  );
  t.throws(() => config.radius.classKey.octets(), SecretMissingError);
  t.throws(() => config.nas[0]?.secrets[0]?.text(), SecretMissingError);
});

t.test('missing secrets are made with closed modes, and then the configuration is complete', async (t) => {
  const folder = await confFolder(t);
  const { config, created } = await loadConfigCreatingSecrets(folder.options);
  t.equal(created.length, 3);
  t.same(config.missingSecrets, []);
  t.equal(config.radius.classKey.length, 32);
  t.equal(config.radius.passwordKey.length, 32);
  t.notOk(config.radius.classKey.equals(config.radius.passwordKey));
  const secrets = join(folder.options.dataDir, 'secrets');
  t.equal((await stat(secrets)).mode & 0o777, 0o700);
  t.same(await readdir(secrets), ['class.key', 'localhost', 'password.key'], 'no draft is left');
  for (const file of await readdir(secrets)) t.equal((await stat(join(secrets, file))).mode & 0o777, 0o600, file);
  t.match(await readFile(join(secrets, 'localhost'), 'utf8'), /^[A-Za-z0-9_-]{32}\n$/u);
  const again = await loadConfigCreatingSecrets(folder.options);
  t.same(again.created, []);
  t.ok(again.config.nas[0]?.secrets[0]?.equals(config.nas[0]!.secrets[0]!), 'the same after a restart');
});

t.test('a secret that appeared meanwhile is kept', async (t) => {
  const folder = await confFolder(t);
  const config = await folder.load();
  await mkdir(join(folder.options.dataDir, 'secrets'), { recursive: true });
  await writeFile(join(folder.options.dataDir, 'secrets/localhost'), `${marker}\n`);
  t.equal((await createMissingSecrets(config)).length, 2);
  t.equal((await folder.load()).nas[0]?.secrets[0]?.text(), marker);
});

t.test('two starts at once agree on one secret', async (t) => {
  const folder = await confFolder(t);
  const both = await Promise.all([
    loadConfigCreatingSecrets(folder.options),
    loadConfigCreatingSecrets(folder.options),
  ]);
  t.ok(both[0].config.nas[0]!.secrets[0]!.equals(both[1].config.nas[0]!.secrets[0]!));
  t.equal(both[0].created.length + both[1].created.length, 3);
});

t.test('keys are read in hex and in both kinds of base64', async (t) => {
  const key = Buffer.from(Array.from({ length: 32 }, (_, index) => 255 - index));
  for (const encoding of ['hex', 'base64', 'base64url'] as const) {
    const folder = await confFolder(t);
    await folder.write('data/secrets/class.key', `${key.toString(encoding)}\n`);
    t.same((await folder.load()).radius.classKey.octets(), key, encoding);
  }
});

t.test('a systemd credential is read from the folder that the environment names', async (t) => {
  const folder = await confFolder(t, {
    'conf/nas.d/a.toml':
      'name = "a"\naddress = "10.0.0.2"\nprofile = "linux"\nsecret_file = "${CREDENTIALS_DIRECTORY}/bras1"',
    'credentials/bras1': marker,
  });
  const environment = { CREDENTIALS_DIRECTORY: join(folder.root, 'credentials') };
  const config = await loadConfig({ ...folder.options, environment });
  t.equal(config.nas[0]?.secrets[0]?.text(), marker);
});

t.test('a secret may be any octets', async (t) => {
  const folder = await confFolder(t, {
    'conf/nas.d/a.toml': 'name = "a"\naddress = "10.0.0.2"\nprofile = "linux"\nsecret_file = "s"',
  });
  const octets = Buffer.from([0xff, 0xfe, 0, 1, 0x80, 0x20, 0x0d, 0x5c, 0x22, 0xc3, 0x28, 7, 8, 9]);
  await folder.write('conf/s', Buffer.concat([octets, Buffer.from('\n')]));
  t.same((await folder.load()).nas[0]?.secrets[0]?.octets(), octets);
});

t.test('nothing that prints a configuration shows a secret', async (t) => {
  const folder = await confFolder(t, {
    'conf/sluice.toml': `[database]\nurl = "postgres://sluice:${marker}@db.example/sluice"\n`,
    'conf/nas.d/a.toml': `name = "a"\naddress = "10.0.0.2"\nprofile = "linux"\nsecret = ["${marker}", "${marker}2"]`,
    'conf/nas.d/b.toml': 'name = "b"\naddress = "10.0.0.3"\nprofile = "linux"\nsecret_file = "s"',
    'conf/s': marker,
    'data/secrets/class.key': Buffer.from(marker.padEnd(32)).toString('hex'),
  });
  const config = await folder.load();
  t.equal(config.nas[0]?.secrets[0]?.text(), marker, 'it is there');
  const forms = [
    JSON.stringify(config),
    inspect(config, { depth: null, showHidden: true, getters: true, maxArrayLength: null }),
    inspect(config, { depth: null, customInspect: false, showHidden: true }),
    String(config.nas[0]?.secrets[0]),
    `${config.database.url}`,
    JSON.stringify(config.snapshot.asFiles()),
  ];
  const octets = Buffer.from(marker);
  for (const [index, form] of forms.entries()) {
    t.notMatch(form, marker, `form ${index}`);
    t.notMatch(form, octets.toString('hex'), `form ${index} in hex`);
    t.notMatch(form, octets.toString('base64').slice(0, 20), `form ${index} in base64`);
    t.notMatch(form, octets.toJSON().data.join(','), `form ${index} as numbers`);
  }
  t.match(forms[0], '<secret>');
});

t.test('a secret gives its octets only as copies', async (t) => {
  const secret = SecretValue.of(marker);
  secret.octets().fill(0);
  t.equal(secret.text(), marker);
  const source = Buffer.from(marker);
  const copied = SecretValue.of(source);
  source.fill(0);
  t.equal(copied.text(), marker);
});

t.test('secrets are equal by their octets; a missing one equals nothing', async (t) => {
  t.ok(SecretValue.of('abc').equals(SecretValue.of(Buffer.from('abc'))));
  t.notOk(SecretValue.of('abc').equals(SecretValue.of('abd')));
  t.notOk(SecretValue.of('abc').equals(SecretValue.of('abcd')));
  t.notOk(SecretValue.missing.equals(SecretValue.missing));
  t.equal(SecretValue.missing.length, 0);
});

t.test('shared secrets are judged by length and by whether everybody knows them', async (t) => {
  const table: readonly [secret: string, verdict: string][] = [
    ['', 'refused'],
    ['1234567', 'refused'],
    ['testing123', 'refused'],
    ['Testing123', 'refused'],
    ['radius-secret', 'refused'],
    ['changeme2026', 'refused'],
    ['abababababababab', 'refused'],
    ['k3Lx9Qv7', 'weak'],
    ['k3Lx9Qv7Tz1W', 'weak'],
    ['k3Lx9Qv7Tz1Wd', 'good'],
    ['correct horse battery staple', 'good'],
    ['тайна на кириллице', 'good'],
  ];
  for (const [secret, verdict] of table) t.equal(judgeSharedSecret(SecretValue.of(secret)).verdict, verdict, secret);
});
