// The last configuration that worked: complete, closed to others, and the same again.
import { chmod, mkdir, readFile, readdir, rename, rm, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import t from 'tap';
import { loadLastGood, saveLastGood } from '../../src/config/last-good.js';
import { loadConfig, loadConfigCreatingSecrets } from '../../src/config/load-config.js';
import { confFolder } from './conf-folder.js';
import type { ConfFolder } from './conf-folder.js';

const savedAt = new Date('2026-11-21T10:00:00Z');
const marker = 'pk3Lx9Qv7Tz1Wd5Rb8Ym';
const files = {
  'conf/sluice.toml': '[server]\ninstance = "kept"\n',
  'conf/nas.d/a.toml': 'name = "a"\naddress = "10.0.0.2"\nprofile = "ours"\nsecret_file = "secrets/a"',
  'conf/nas.d/b.toml':
    'name = "b"\naddress = "10.0.0.3"\nprofile = "linux"\nsecret_file = "${CREDENTIALS_DIRECTORY}/b"',
  'conf/secrets/a': marker,
  'credentials/b': `${marker}b`,
  'conf/profiles/ours.toml': 'description = "ours"\nchannel = "vpn"\n[state.active]\nanswer = "accept"\n',
};

async function saved(
  t: Parameters<typeof confFolder>[0],
): Promise<{ folder: ConfFolder; environment: { CREDENTIALS_DIRECTORY: string } }> {
  const folder = await confFolder(t, files);
  const environment = { CREDENTIALS_DIRECTORY: join(folder.root, 'credentials') };
  const options = { ...folder.options, environment };
  const { config } = await loadConfigCreatingSecrets(options);
  await saveLastGood(config, options, savedAt);
  return { folder, environment };
}

t.test('it is the same configuration when everything it was read from is gone or wrong', async (t) => {
  const { folder, environment } = await saved(t);
  const before = await loadConfig({ ...folder.options, environment });
  await rm(join(folder.root, 'conf'), { recursive: true });
  await rm(join(folder.root, 'credentials'), { recursive: true });
  await folder.write('conf/sluice.toml', 'broken = ');
  const result = await loadLastGood(folder.options.dataDir);
  t.ok(result.ok);
  if (!result.ok) return;
  t.same(result.savedAt, savedAt);
  t.equal(result.config.server.instance, 'kept');
  t.same(result.config.missingSecrets, []);
  t.equal(result.config.nas[0]?.secrets[0]?.text(), marker);
  t.equal(result.config.nas[1]?.secrets[0]?.text(), `${marker}b`);
  t.ok(result.config.radius.classKey.equals(before.radius.classKey));
  t.equal(result.config.profiles['ours']?.description, 'ours');
  t.same(JSON.parse(JSON.stringify(result.config)), JSON.parse(JSON.stringify(before)), 'in every key');
});

t.test('files have mode 0600, folders 0700, and those of the conf folder keep their names', async (t) => {
  const { folder } = await saved(t);
  const root = join(folder.options.dataDir, 'last-good');
  const names = await readdir(root, { recursive: true });
  for (const name of names) {
    const { mode } = await stat(join(root, name));
    t.equal(mode & 0o777, (mode & 0o170000) === 0o040000 ? 0o700 : 0o600, name);
  }
  t.equal((await stat(root)).mode & 0o777, 0o700);
  for (const name of [
    'conf/sluice.toml',
    'conf/nas.d/a.toml',
    'conf/secrets/a',
    'conf/profiles/ours.toml',
    'manifest.json',
  ])
    t.ok(names.includes(name), name);
  t.notMatch(await readFile(join(root, 'manifest.json'), 'utf8'), marker, 'the manifest holds no secret');
});

t.test('a later one takes its place as a whole', async (t) => {
  const { folder, environment } = await saved(t);
  await rm(join(folder.root, 'conf/nas.d/b.toml'));
  await folder.write('conf/sluice.toml', '[server]\ninstance = "later"\n');
  const options = { ...folder.options, environment };
  await saveLastGood(await loadConfig(options), options, savedAt);
  const result = await loadLastGood(folder.options.dataDir);
  t.match(result, { ok: true, config: { server: { instance: 'later' }, nas: [{ name: 'a' }] } });
  t.same(
    (await readdir(folder.options.dataDir)).filter((name) => name.startsWith('last-good')),
    ['last-good'],
  );
});

t.test('a save that died leaves the former one', async (t) => {
  const { folder } = await saved(t);
  const root = join(folder.options.dataDir, 'last-good');
  await mkdir(`${root}.new/conf`, { recursive: true });
  await writeFile(`${root}.new/conf/sluice.toml`, 'half');
  t.match(await loadLastGood(folder.options.dataDir), { ok: true, config: { server: { instance: 'kept' } } });
  await rename(root, `${root}.old`);
  t.match(
    await loadLastGood(folder.options.dataDir),
    { ok: true, config: { server: { instance: 'kept' } } },
    'between the renames',
  );
});

t.test('what is not whole is not used', async (t) => {
  const empty = await confFolder(t);
  t.same(await loadLastGood(empty.options.dataDir), { ok: false, reason: 'absent' });

  const damage: readonly [what: string, (root: string) => Promise<void>][] = [
    ['no JSON', (root) => writeFile(join(root, 'manifest.json'), '{')],
    [
      'another version',
      async (root) => {
        const path = join(root, 'manifest.json');
        await writeFile(path, (await readFile(path, 'utf8')).replace('"version": 1', '"version": 2'));
      },
    ],
    [
      'a path that leaves the folder',
      async (root) => {
        const path = join(root, 'manifest.json');
        await writeFile(path, (await readFile(path, 'utf8')).replace('"conf/sluice.toml"', '"../secrets/class.key"'));
      },
    ],
    ['a file that is gone', (root) => rm(join(root, 'conf/secrets/a'))],
  ];
  for (const [what, harm] of damage) {
    const { folder } = await saved(t);
    await harm(join(folder.options.dataDir, 'last-good'));
    t.same(await loadLastGood(folder.options.dataDir), { ok: false, reason: 'damaged' }, what);
  }
  const { folder } = await saved(t);
  const file = join(folder.options.dataDir, 'last-good/conf/sluice.toml');
  await chmod(file, 0o600);
  await writeFile(file, '[server]\nno_longer_known = 1\n');
  t.match(await loadLastGood(folder.options.dataDir), {
    ok: false,
    reason: 'refused',
    error: { code: 'config-invalid' },
  });
});
