/**
 * `backup` and `restore`.
 *
 * Enters: a database with subscribers, conf, secrets. Leaves: a folder, and another database that says the same. Invariants: modes
 * are kept, nothing half-made stands under the right name; what is damaged is refused before anything is written.
 */
import { spawnSync } from 'node:child_process';
import { chmod, cp, mkdir, mkdtemp, readFile, readdir, rm, stat, symlink, truncate, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import t from 'tap';
import type { Test } from 'tap';
import { commandHouse } from './command-line.js';
import type { CommandHouse } from './command-line.js';

async function outside(t: Test): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'sluice-backup-'));
  t.teardown(() => rm(folder, { recursive: true, force: true }));
  return folder;
}

/** A house with a plan, somebody in it, and keys. */
async function livedIn(t: Test): Promise<CommandHouse> {
  const house = await commandHouse(t);
  await mkdir(join(house.dataDir, 'secrets'), { recursive: true });
  for (const name of ['class.key', 'password.key'])
    await writeFile(join(house.dataDir, 'secrets', name), `${'ab'.repeat(32)}\n`, { mode: 0o600 });
  await house.done(['plan', 'add', 'home', '--down', '50M']);
  await house.done(['subscriber', 'add', 'alice', '--plan', 'home', '--ip', '100.64.9.9', '--password-stdin'], {
    stdin: 'wonderland\n',
  });
  return house;
}

t.test('a backup has rows, conf, secrets and checksums, and says how to restore', async (t) => {
  const house = await livedIn(t);
  const away = await outside(t);
  await writeFile(join(away, 'linked.toml'), '# one NAS\n');
  await mkdir(join(house.confDir, 'nas.d'));
  await symlink(join(away, 'linked.toml'), join(house.confDir, 'nas.d', 'linked.toml'));
  const target = join(away, 'backup of today');
  const done = await house.run(['backup', target]);
  t.equal(done.code, 0, done.stderr);
  t.match(done.stderr, /^\d+ rows of \d+ tables, .* compressed\n$/u);
  const names = ['RESTORE.txt', 'SHA256SUMS', 'conf', 'database', 'manifest.json', 'secrets'];
  t.same((await readdir(target)).sort(), names);
  for (const [path, mode] of [
    [target, 0o700],
    [join(target, 'database', 'subscriber.copy.gz'), 0o600],
    [join(target, 'manifest.json'), 0o600],
    [join(target, 'secrets', 'class.key'), 0o600],
  ] as const)
    t.equal((await stat(path)).mode & 0o777, mode, path);
  t.equal(
    await readFile(join(target, 'conf', 'nas.d', 'linked.toml'), 'utf8'),
    '# one NAS\n',
    'not the link, the file',
  );
  t.equal(await readFile(join(target, 'RESTORE.txt'), 'utf8'), done.stdout, 'it is said and kept');
  t.match(done.stdout, `Keep beside it the spool: ${join(house.dataDir, 'spool')}.`);
  t.match(done.stdout, `sluice restore ${target}\n`);
  t.notMatch(done.stdout + done.stderr, new URL(house.database.url).password, 'no password is shown');
  const checked = spawnSync('sha256sum', ['--check', '--strict', '--quiet', 'SHA256SUMS'], {
    cwd: target,
    encoding: 'utf8',
  });
  t.match(checked, { status: 0, stdout: '', stderr: '' }, 'the usual program finds every file as it was written');

  t.match(await house.run(['backup', target]), { code: 1, stderr: /is there already/u });
  const within = await house.run(['backup', join(house.confDir, 'backup')]);
  t.match(within, { code: 1, stderr: /is below .*, which it would copy; name a folder elsewhere/u });
  const plain = await house.run(['backup', `${target} 2`, '--json']);
  t.match(plain.json(), {
    folder: `${target} 2`,
    copied: [house.confDir, join(house.dataDir, 'secrets')],
    not_copied: [],
  });
});

t.test('keys that are elsewhere are told of, and a folder that cannot be finished has another name', async (t) => {
  const house = await livedIn(t);
  const away = await outside(t);
  const key = join(away, 'class.key');
  await writeFile(key, `${'cd'.repeat(32)}\n`);
  const toml = await readFile(join(house.confDir, 'sluice.toml'), 'utf8');
  await house.file(
    'sluice.toml',
    `${toml}[radius]\nclass_key_file = "${key}"\npassword_key_file = "\${CREDENTIALS_DIRECTORY}/password.key"\n`,
  );
  const { stdout } = await house.done(['backup', join(away, 'one')]);
  t.match(stdout, `NOT IN THIS BACKUP, and needed: ${key}\n`);
  t.match(stdout, 'NOT IN THIS BACKUP, and needed: ${CREDENTIALS_DIRECTORY}/password.key\n');
  // A table that nobody may read ends the backup half-way.
  await house.database.pool.query('ALTER TABLE access_attempt RENAME TO elsewhere');
  const failed = await house.run(['backup', join(away, 'two')]);
  t.equal(failed.code, 1);
  t.same(
    (await readdir(away)).filter((name) => name.startsWith('two')),
    ['two.partial'],
  );
});

t.test('a restored database answers as the one before', async (t) => {
  const house = await livedIn(t);
  const target = join(await outside(t), 'backup');
  await house.done(['backup', target]);
  const other = await commandHouse(t);
  const restored = await other.run(['restore', target]);
  t.match(restored, { code: 0, stdout: /^\d+ rows of \d+ tables as of .* are restored; start the servers/u });
  t.match(restored.stderr, /warning: .*class\.key is missing: cp -a/u, 'a key that would be missed is told of');
  const show = async (of: CommandHouse): Promise<unknown> =>
    (await of.done(['subscriber', 'show', 'alice', '--json'])).json();
  t.same(await show(other), await show(house));
  const again = await other.run(['restore', join(target, 'manifest.json')]);
  t.match(again, {
    code: 1,
    stdout: '',
    stderr: /^sluice: the database is not empty \(there are rows in plan, account/u,
  });

  const third = await commandHouse(t);
  await cp(join(target, 'secrets'), join(third.dataDir, 'secrets'), { recursive: true });
  await writeFile(join(third.dataDir, 'secrets', 'password.key'), 'another');
  const json = await third.run(['restore', target, '--json']);
  t.match(json.json(), {
    folder: target,
    skipped_ids: 1_000_000,
    warnings: [/password\.key is not that of the backup/u],
  });
  t.equal(json.json<{ warnings: string[] }>().warnings.length, 1);
});

t.test('what is damaged is refused before anything is written', async (t) => {
  const house = await livedIn(t);
  const away = await outside(t);
  const whole = join(away, 'whole');
  await house.done(['backup', whole]);
  const other = await commandHouse(t);
  const rows = join('database', 'subscriber.copy.gz');
  const size = (await stat(join(whole, rows))).size;
  const table: [what: string, damage: (folder: string) => Promise<unknown>, message: RegExp][] = [
    [
      'a file cut short',
      (folder) => truncate(join(folder, rows), size - 1),
      /subscriber\.copy\.gz is not as it was written: it is cut short or changed/u,
    ],
    [
      'an octet changed',
      async (folder) => {
        const octets = await readFile(join(folder, rows));
        octets[size >> 1]! ^= 1;
        await writeFile(join(folder, rows), octets);
      },
      /subscriber\.copy\.gz is not as it was written/u,
    ],
    ['a file lost', (folder) => rm(join(folder, rows)), /subscriber\.copy\.gz is missing: name the folder/u],
    [
      'a manifest cut short',
      (folder) => truncate(join(folder, 'manifest.json'), 100),
      /manifest\.json is not as it was written/u,
    ],
    ['checksums cut short', (folder) => truncate(join(folder, 'SHA256SUMS'), 100), /SHA256SUMS does not name/u],
    ['no checksums', (folder) => rm(join(folder, 'SHA256SUMS')), /SHA256SUMS is missing/u],
    [
      'no backup at all',
      (folder) => rm(folder, { recursive: true }),
      /SHA256SUMS is missing: name the folder that sluice backup wrote/u,
    ],
  ];
  for (const [what, damage, message] of table) {
    const folder = join(away, what);
    await cp(whole, folder, { recursive: true });
    await damage(folder);
    t.match(await other.run(['restore', folder]), { code: 1, stdout: '', stderr: message }, what);
  }
  const { rows: left } = await other.database.pool.query('SELECT FROM plan');
  t.equal(left.length, 0, 'the database is as empty as it was');
  t.equal((await other.run(['restore', whole])).code, 0, 'and takes the whole one');
});

t.test('a server that works in the tables is not pulled from under', async (t) => {
  const house = await livedIn(t);
  const target = join(await outside(t), 'backup');
  await house.done(['backup', target]);
  await chmod(join(target, 'database'), 0o500);
  const other = await commandHouse(t);
  await other.database.pool.query(
    `INSERT INTO instance (name, started_at, heartbeat_at, caught_up_at) VALUES ('sluice-1', now(), now(), now())`,
  );
  t.match(await other.run(['restore', target]), { code: 1, stderr: /not empty \(there are rows in instance\)/u });
});
