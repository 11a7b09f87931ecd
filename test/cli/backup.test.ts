/**
 * `backup` and `completion`.
 *
 * Enters: a database with a stand-in for pg_dump, the tree of commands. Leaves: a folder, a script. Invariant: no password in an
 * argument, modes kept, nothing half-made under the right name; every command completes.
 */
import { spawnSync } from 'node:child_process';
import { chmod, mkdir, mkdtemp, readFile, readdir, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import t from 'tap';
import { commandHouse, runIn } from './command-line.js';

/** A program that says it is pg_dump of a release, and writes down how it was called. */
async function standIn(folder: string, major: number, exit = 0): Promise<string> {
  await mkdir(folder, { recursive: true });
  const script = `#!/bin/sh
if [ "$1" = --version ]; then echo 'pg_dump (PostgreSQL) ${String(major)}.1 (Debian ${String(major)}.1-1)'; exit 0; fi
for argument; do case $argument in --file=*) file=\${argument#--file=} ;; esac; done
printf '%s\\n' "$@" "PGPASSWORD=$PGPASSWORD" > "$file"
[ ${String(exit)} = 0 ] || echo 'pg_dump: error: no such thing' >&2
exit ${String(exit)}
`;
  await writeFile(join(folder, 'pg_dump'), script);
  await chmod(join(folder, 'pg_dump'), 0o755);
  return folder;
}

t.test('a backup has the dump, conf and secrets, and says how to restore', async (t) => {
  const house = await commandHouse(t);
  const password = decodeURIComponent(new URL(house.database.url).password);
  t.ok(password.length > 3, 'there is a password to hide');
  await mkdir(join(house.dataDir, 'secrets'), { recursive: true });
  await writeFile(join(house.dataDir, 'secrets', 'class.key'), 'key', { mode: 0o600 });
  const outside = await mkdtemp(join(tmpdir(), 'sluice-backup-'));
  t.teardown(() => rm(outside, { recursive: true, force: true }));
  const bin = await standIn(join(outside, 'bin'), 99);
  const environment = { PATH: `${bin}:/usr/bin:/bin` };
  const target = join(outside, 'backup of today');

  const done = await house.run(['backup', target], { environment });
  t.equal(done.code, 0, done.stderr);
  t.same((await readdir(target)).sort(), ['RESTORE.txt', 'conf', 'secrets', 'sluice.dump']);
  t.equal((await stat(target)).mode & 0o777, 0o700);
  t.equal((await stat(join(target, 'secrets', 'class.key'))).mode & 0o777, 0o600, 'a secret stays one');
  const called = await readFile(join(target, 'sluice.dump'), 'utf8');
  t.match(called, `PGPASSWORD=${password}\n`);
  t.equal(called.split(password).length - 1, 1, 'the password is in no argument');
  t.match(called, `--dbname=postgres`);
  t.equal(`${await readFile(join(target, 'RESTORE.txt'), 'utf8')}`, done.stdout, 'it is said and kept');
  t.match(done.stdout, `Keep beside it: ${join(house.dataDir, 'spool')}.`);
  t.notOk((done.stdout + done.stderr).includes(password));

  t.match(await house.run(['backup', target], { environment }), { code: 1, stderr: /is there already/u });
  const within = await house.run(['backup', join(house.confDir, 'backup')], { environment });
  t.match(within, { code: 1, stderr: /is below .*, which it would copy; name a folder elsewhere/u });
  const failing = await standIn(bin, 99, 1).then(() => house.run(['backup', `${target} 2`], { environment }));
  t.match(failing, { code: 1, stdout: '', stderr: /pg_dump failed: pg_dump: error: no such thing; what was written/u });
  t.notOk((await readdir(outside)).includes('backup of today 2'), 'half a backup has not the name of one');
});

t.test('a pg_dump that is older than the server is refused before anything is written', async (t) => {
  const house = await commandHouse(t);
  const bin = await standIn(join(house.confDir, 'bin'), 9);
  const refused = await house.run(['backup', join(house.confDir, 'backup')], { environment: { PATH: bin } });
  // A newer one may be installed where Debian keeps them; that of PostgreSQL 18 is not on any machine of ours.
  t.match(refused, {
    code: 1,
    stdout: '',
    stderr: /and the server is PostgreSQL \d+, so nothing was written; install/u,
  });
  t.notOk((await readdir(house.confDir)).some((name) => name.startsWith('backup')));
});

t.test('bash completes every command and option', async (t) => {
  const { code, stdout: script } = await runIn(['completion', 'bash']);
  t.equal(code, 0);
  const complete = (...words: string[]): string[] => {
    const line = words.map((word) => `'${word}'`).join(' ');
    const asked = `${script}\nCOMP_WORDS=(sluice ${line}); COMP_CWORD=${String(words.length)}; _sluice; printf '%s\\n' "\${COMPREPLY[@]}"`;
    const ended = spawnSync('bash', ['--norc', '-c', asked], { encoding: 'utf8' });
    if (ended.stderr !== '') t.fail(ended.stderr);
    return ended.stdout.split('\n').filter((word) => word !== '');
  };
  t.same(complete('subs'), ['subscriber']);
  t.same(complete('subscriber', 're'), ['restore']);
  t.same(complete('--conf', 'x', 'subscriber', 'se'), ['set'], 'options before the command');
  t.same(complete('radtest', 'alice', '--me'), ['--method']);
  t.same(complete('subscriber', 'list', '--da'), ['--data'], 'options of every command');
  t.same(complete('decode', '--secret-file', ''), [], 'file names are left to the shell');
  t.ok(complete('').includes('completion') && complete('').includes('serve'));
  t.match(await runIn(['completion', 'fish']), { code: 2, stdout: '', stderr: /write bash or zsh/u });
});

t.test('zsh reads its script', async (t) => {
  const { stdout: script } = await runIn(['completion', 'zsh']);
  t.match(script, /^#compdef sluice\n/u);
  t.match(script, "'subscriber:");
  const ended = spawnSync('zsh', ['-f', '-n', '-c', script], { encoding: 'utf8' });
  if (ended.error === undefined) t.equal(ended.stderr, '', 'and finds nothing wrong with it');
  // Quotes of the script are balanced where there is no zsh to ask.
  else t.equal((script.match(/'/gu)?.length ?? 1) % 2, 0);
});
