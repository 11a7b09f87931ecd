// The hook itself, run by the shells that a DHCP server may have: what it writes is what it was given, whole or not at all; it starts one program,
// is quick, and never fails a DHCP server.
import { spawnSync } from 'node:child_process';
import { chmod, mkdir, mkdtemp, readdir, readFile, rm, stat, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import t, { type Test } from 'tap';
import { readHookFile } from '../../src/dhcp/hook-file.js';
import type { Heard } from '../../src/dhcp/told-lease.js';

const script = fileURLToPath(new URL('../../bin/sluice-lever', import.meta.url));
const isRoot = process.getuid?.() === 0;

/** Shells that are `/bin/sh` somewhere. */
const shells = [['dash'], ['bash', '--posix'], ['busybox', 'sh'], ['ksh'], ['mksh']].filter(
  ([program = '']) => spawnSync(program, ['-c', 'true'], { input: '' }).status === 0 || program === 'dash',
);

async function inboxOf(t: Test): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'sluice-lever-'));
  t.teardown(() => rm(folder, { recursive: true, force: true }));
  return folder;
}

interface Call {
  readonly shell?: readonly string[];
  readonly environment?: Readonly<Record<string, string>>;
  readonly strict?: boolean;
}

/** Runs the hook as a DHCP server does, with nothing in the environment but what is named. */
function call(
  inbox: string,
  words: readonly (string | Buffer)[],
  { shell = [], environment = {}, strict = true }: Call = {},
) {
  const env = { ...environment, SLUICE_INBOX: inbox, ...(strict ? { SLUICE_LEVER_STRICT: '1' } : {}) };
  const argv = [...shell, script].map(quoted).join(' ');
  // Octets that are no UTF-8 cannot be arguments of Node, so a shell puts them there.
  const line = `exec ${argv} ${words.map(quoted).join(' ')}`;
  const { status, stdout, stderr } = spawnSync('dash', ['-s'], {
    input: Buffer.from(line, 'latin1'),
    env: { PATH: '/usr/bin:/bin', ...env },
    encoding: 'latin1',
  });
  return { status, stdout, stderr };
}

/** A word for the shell, its octets as characters of Latin-1. */
function quoted(word: string | Buffer): string {
  const octets = Buffer.from(word as string).toString('latin1');
  return `'${octets.replaceAll("'", `'\\''`)}'`;
}

const visible = async (inbox: string) => (await readdir(inbox)).filter((name) => !name.startsWith('.'));
const contents = async (inbox: string) =>
  await Promise.all((await readdir(inbox)).map((name) => readFile(join(inbox, name))));

const heard: Heard = { receivedAtMs: Date.now(), via: 'hook', source: 'x', happenedAtMs: undefined };

const octetsOf = (from: number, to: number) =>
  Buffer.from(Array.from({ length: to - from }, (_, index) => from + index));
const hostile = [
  '',
  ' ',
  'a\nend\n',
  '6=1:x\n',
  `"'\`$(touch /tmp/x)\${PATH}\\`,
  '-n',
  '%s%d%n',
  '!',
  '*',
  'ünïcødé \u{1f980}',
  octetsOf(1, 256),
  Buffer.from([0x81, 0x82, 0x88, 0x80, 0xff]),
  'x'.repeat(1024),
];

for (const shell of shells) {
  const name = shell.join(' ');
  t.test(`${name}: every value arrives as it was, whatever is in it`, async (t) => {
    const inbox = await inboxOf(t);
    const words = ['commit', ...hostile];
    t.same(call(inbox, words, { shell }), { status: 0, stdout: '', stderr: '' });
    const expected = Buffer.concat([
      Buffer.from('sluice-lever 1\n'),
      ...words.flatMap((word, index) => {
        const octets = Buffer.from(word as string);
        return [Buffer.from(`${String(index + 1)}=${String(octets.length)}:`), octets, Buffer.from('\n')];
      }),
      Buffer.from('end\n'),
    ]);
    const [file] = await contents(inbox);
    t.ok(file?.equals(expected), file?.toString('latin1') ?? 'no file');
  });

  t.test(`${name}: a commit is read as it was meant`, async (t) => {
    const inbox = await inboxOf(t);
    call(inbox, ['commit', '100.65.1.10', '2:0:0:0:c1:1', '', '', 'circuit_id=61:63:63:31', 'lease_seconds=20'], {
      shell,
    });
    const [file = Buffer.alloc(0)] = await contents(inbox);
    t.match(readHookFile(file, heard), {
      ok: true,
      events: [{ kind: 'commit', mac: '02:00:00:00:c1:01', line: { circuitId: '61636331' } }],
    });
  });

  t.test(`${name}: leases of Kea, with what a client called itself`, async (t) => {
    const inbox = await inboxOf(t);
    const lease = (prefix: string, address: string) => ({
      [`${prefix}_ADDRESS`]: address,
      [`${prefix}_HWADDR`]: '02:00:00:00:c2:01',
      [`${prefix}_HOSTNAME`]: '"; touch /tmp/x; $(reboot)\nLEASES4_SIZE=9',
      [`${prefix}_CLTT`]: '1795288897',
      [`${prefix}_VALID_LIFETIME`]: '20',
      [`${prefix}_STATE`]: 'default',
    });
    const environment = {
      LEASES4_SIZE: '2',
      DELETED_LEASES4_SIZE: '1',
      QUERY4_OPTION_82: '0x010461636331',
      ...lease('LEASES4_AT0', '100.66.2.10'),
      ...lease('LEASES4_AT1', '100.66.2.11'),
      ...lease('LEASES4_AT2', '100.66.2.12'),
      ...lease('DELETED_LEASES4_AT0', '100.66.2.9'),
      ...lease('LEASE4', '100.66.2.10'),
    };
    t.same(call(inbox, ['leases4_committed'], { shell, environment }), { status: 0, stdout: '', stderr: '' });
    const [file = Buffer.alloc(0)] = await contents(inbox);
    t.match(readHookFile(file, heard), {
      ok: true,
      events: [
        { kind: 'release', address: '100.66.2.9' },
        { kind: 'commit', address: '100.66.2.10', line: { circuitId: '61636331' } },
        { kind: 'commit', address: '100.66.2.11' },
      ],
    });
    t.notMatch(file.toString(), 'reboot', 'what is of no use is not carried');
    for (const [point, kind] of [
      ['lease4_renew', 'commit'],
      ['lease4_release', 'release'],
      ['lease4_decline', 'decline'],
      ['lease4_expire', 'expiry'],
    ] as const) {
      const own = await inboxOf(t);
      call(own, [point], { shell, environment });
      const [one = Buffer.alloc(0)] = await contents(own);
      t.match(readHookFile(one, heard), { ok: true, events: [{ kind, address: '100.66.2.10' }] }, point);
    }
  });

  t.test(`${name}: a value that is too long is told to be so, and a file is never larger than is read`, async (t) => {
    const inbox = await inboxOf(t);
    t.equal(call(inbox, ['commit', '100.65.1.10', '', '', 'x'.repeat(1025)], { shell }).status, 0);
    const [file = Buffer.alloc(0)] = await contents(inbox);
    t.match(file.toString(), '\n5=!\nend\n');
    const many = call(inbox, ['commit', ...Array<string>(100).fill('x'.repeat(1000))], { shell });
    t.match(many, { status: 1, stderr: /more of it than Sluice takes/ });
    t.equal((await contents(inbox)).length, 1);
  });
}

t.test('hook points that tell nothing write nothing', async (t) => {
  const inbox = await inboxOf(t);
  for (const point of ['lease4_recover', 'leases6_committed', 'lease6_expire']) t.equal(call(inbox, [point]).status, 0);
  const environment = { LEASES4_SIZE: '0', DELETED_LEASES4_SIZE: '0', QUERY4_OPTION_82: '0x010461636331' };
  t.equal(call(inbox, ['leases4_committed'], { environment }).status, 0, 'the second copy of a release');
  t.same(await readdir(inbox), []);
  for (const size of ['100', '-1', '1;id', '$(id)']) {
    const answer = call(inbox, ['leases4_committed'], { environment: { LEASES4_SIZE: size } });
    t.match(answer, { status: 1, stderr: /LEASES4_SIZE is not a number/ }, size);
  }
});

t.test('a DHCP server never hears of trouble; who asks for it does', async (t) => {
  const inbox = await inboxOf(t);
  const missing = join(inbox, 'nowhere');
  for (const words of [['commit', '100.65.1.10'], [], ['']]) {
    t.same(call(missing, words, { strict: false }), { status: 0, stdout: '', stderr: '' });
    const answer = call(missing, words);
    t.equal(answer.status, 1);
    t.match(answer.stderr, /^sluice-lever: .*\n$/);
  }
  t.match(call(missing, ['commit', '100.65.1.10']).stderr, `cannot write into ${missing}`);
  t.same(await readdir(inbox), []);
});

t.test(
  'a full disk leaves nothing that could be taken for a file',
  { skip: isRoot ? false : 'needs root' },
  async (t) => {
    const inbox = await inboxOf(t);
    const mounted = spawnSync('mount', ['-t', 'tmpfs', '-o', 'size=4k', 'tmpfs', inbox]);
    if (mounted.status !== 0) return void t.pass('no file system can be mounted here', { skip: true });
    t.teardown(() => void spawnSync('umount', [inbox]));
    await writeFile(join(inbox, '.filler'), 'x'.repeat(4096)).catch(() => undefined);
    t.equal(call(inbox, ['commit', '100.65.1.10'], { strict: false }).status, 0);
    t.match(call(inbox, ['commit', '100.65.1.10']), { status: 1, stderr: /cannot write/ });
    t.same(await visible(inbox), []);
  },
);

t.test('the file is for the group, and appears under its name when it is whole', async (t) => {
  const inbox = await inboxOf(t);
  await chmod(inbox, 0o2770);
  call(inbox, ['commit', '100.65.1.10']);
  const names = await readdir(inbox);
  t.equal(names.length, 1);
  t.match(names[0], /^\d+-[0-9a-f-]{36}$/);
  const { mode, gid } = await stat(join(inbox, names[0]!));
  t.equal(mode & 0o7777, 0o640);
  t.equal(gid, (await stat(inbox)).gid);
});

t.test('without a name from the kernel: this process and a number, and nothing is ever written over', async (t) => {
  const inbox = await inboxOf(t);
  const copy = join(await inboxOf(t), 'lever');
  await writeFile(copy, (await readFile(script, 'utf8')).replace('/proc/sys/kernel/random/uuid', '/nonexistent'));
  // One process that has been before, with everything that it may have left: a file, an unfinished one, a link elsewhere.
  const target = join(await inboxOf(t), 'precious');
  await writeFile(target, 'precious');
  await symlink(target, join(inbox, '.link'));
  const before =
    'printf before >"$SLUICE_INBOX/$$-0"; printf begun >"$SLUICE_INBOX/.$$-1"; ln -s "$TARGET" "$SLUICE_INBOX/.$$-2";';
  const line = `${before} set -- commit 100.65.1.10; . ${copy}`;
  const { status, stderr } = spawnSync('dash', ['-c', line], {
    env: { PATH: '/usr/bin:/bin', SLUICE_INBOX: inbox, SLUICE_LEVER_STRICT: '1', TARGET: target },
    encoding: 'utf8',
  });
  t.same([status, stderr], [0, '']);
  const names = (await visible(inbox)).sort();
  t.match(names, [/^\d+-0$/, /^\d+-3$/]);
  t.equal(await readFile(join(inbox, names[0]!), 'utf8'), 'before');
  t.match(await readFile(join(inbox, names[1]!), 'utf8'), '2=11:100.65.1.10');
  t.equal(await readFile(target, 'utf8'), 'precious');
});

t.test('its inbox: of the environment, of /etc/default, or the usual one', async (t) => {
  const [inbox, other] = [await inboxOf(t), await inboxOf(t)];
  const settings = join(other, 'default');
  const copy = join(other, 'lever');
  const text = await readFile(script, 'utf8');
  t.match(text, 'inbox=/var/lib/sluice-inbox\n');
  await writeFile(copy, text.replaceAll('/etc/default/sluice-lever', settings));
  await mkdir(join(inbox, 'named'));
  const run = (environment: Record<string, string>) =>
    spawnSync('dash', [copy, 'commit', '100.65.1.10'], {
      env: { PATH: '/usr/bin:/bin', SLUICE_LEVER_STRICT: '1', ...environment },
      encoding: 'utf8',
    });
  await writeFile(settings, `# where\nSLUICE_INBOX=${inbox}/named\nrm -rf /nowhere; $(touch ${inbox}/obeyed)\n`);
  t.match(run({}), { status: 0, stderr: '' });
  t.equal((await readdir(join(inbox, 'named'))).length, 1);
  t.match(run({ SLUICE_INBOX: inbox }), { status: 0 });
  t.same((await readdir(inbox)).length, 2, 'and nothing in the file is obeyed');
});

t.test(
  'it starts one program',
  { skip: spawnSync('strace', ['-V']).status !== 0 && 'strace is not installed' },
  async (t) => {
    const inbox = await inboxOf(t);
    const { stderr } = spawnSync(
      'strace',
      ['-f', '-e', 'trace=execve,clone,fork,vfork', script, 'commit', '100.65.1.10'],
      {
        env: { PATH: '/usr/bin:/bin', SLUICE_INBOX: inbox },
        encoding: 'utf8',
      },
    );
    const started = [...stderr.matchAll(/execve\("([^"]+)"/gu)].map((match) => match[1]);
    t.same(started, [script, '/usr/bin/mv']);
  },
);

t.test('it takes five milliseconds or less', async (t) => {
  const inbox = await inboxOf(t);
  const rounds = 200;
  const words = 'commit 100.65.1.10 2:0:0:0:c1:1 2:0:0:0:77:bb 11 circuit_id=61:63:63:31 lease_seconds=20';
  const loop = `n=0; while [ $n -lt ${String(rounds)} ]; do ${script} ${words}; n=$((n + 1)); done; times`;
  const beganAtMs = performance.now();
  const { stdout } = spawnSync('dash', ['-c', loop], { env: { SLUICE_INBOX: inbox }, encoding: 'utf8' });
  const tookMs = (performance.now() - beganAtMs) / rounds;
  // The last line of `times` is what children took of the processors: how busy the machine is otherwise does not count.
  const [user, system] = [...(stdout.trim().split('\n').at(-1) ?? '').matchAll(/(\d+)m([\d.]+)s/gu)].map(
    ([, minutes, seconds]) => (Number(minutes) * 60 + Number(seconds)) * 1_000,
  );
  const workMs = (user! + system!) / rounds;
  t.comment(`${workMs.toFixed(2)} ms of a processor, ${tookMs.toFixed(2)} ms by the clock`);
  t.ok(workMs <= 5, `${workMs.toFixed(2)} ms`);
  t.equal((await readdir(inbox)).length, rounds);
});
