// The inbox: files become events in the order of their time, and are deleted when their events are durable; nothing is lost, nothing foreign is followed.
import { spawn, spawnSync } from 'node:child_process';
import {
  chmod,
  chown,
  mkdir,
  mkdtemp,
  readFile,
  rename,
  rm,
  symlink,
  truncate,
  utimes,
  writeFile,
} from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import t from 'tap';
import { hookFile, testInbox } from '../support/lease-inbox.js';
import { ManualClock } from '../support/manual-clock.js';
import { until } from '../support/until.js';

const isRoot = process.getuid?.() === 0;
const lever = fileURLToPath(new URL('../../bin/sluice-lever', import.meta.url));
const commit = (address: string): string => hookFile('commit', address, '2:0:0:0:c1:1', '', '', 'circuit_id=61:63');

t.test('a file of the hook becomes an event and is gone', async (t) => {
  const { folder, inbox, sink, names, count } = await testInbox(t);
  inbox.start();
  await until(() => inbox.status.folder === 'there');
  const beforeMs = Date.now();
  const { status } = spawnSync(lever, ['commit', '100.65.1.10', '2:0:0:0:c1:1', '2:0:0:0:77:bb', '11'], {
    env: { SLUICE_INBOX: folder },
  });
  t.equal(status, 0);
  await until(async () => (await names()).length === 0);
  t.match(sink.events, [
    {
      kind: 'commit',
      via: 'hook',
      source: 'dhcp1',
      address: '100.65.1.10',
      mac: '02:00:00:00:c1:01',
      timeDeclared: true,
      line: { switchMac: '02:00:00:00:77:bb', switchPort: '11' },
    },
  ]);
  const [event] = sink.events;
  // The kernel's clock for files ticks every few milliseconds.
  t.ok(event!.eventAtMs >= beforeMs - 50 && event!.eventAtMs <= event!.receivedAtMs, 'its time is that of the file');
  t.equal(count('taken'), 1);
  t.equal(inbox.status.waitingFiles, 0);
});

t.test('what came while nobody looked is taken in the order of time', async (t) => {
  const { inbox, sink, put, names } = await testInbox(t);
  for (const index of [3, 1, 4, 0, 2])
    await put(`9-${String(index)}`, commit(`10.0.0.${String(index + 1)}`), 60_000 - index * 1_000);
  inbox.start();
  await until(async () => (await names()).length === 0);
  t.same(sink.addresses, ['10.0.0.1', '10.0.0.2', '10.0.0.3', '10.0.0.4', '10.0.0.5']);
  t.ok(sink.events.every(({ eventAtMs, receivedAtMs }) => receivedAtMs - eventAtMs > 50_000));
});

t.test('of files of one moment that of the earlier process comes first', async (t) => {
  const { folder, inbox, sink, put, names } = await testInbox(t);
  const at = new Date(Date.now() - 5_000);
  for (const name of ['100-b', '20-a', '3-z']) {
    await put(name, commit(`10.0.0.${String(Number.parseInt(name, 10))}`));
    await utimes(join(folder, name), at, at);
  }
  inbox.start();
  await until(async () => (await names()).length === 0);
  t.same(sink.addresses, ['10.0.0.3', '10.0.0.20', '10.0.0.100']);
});

t.test('a file stays until its events are durable, and is taken again when they are not', async (t) => {
  const { inbox, sink, put, names, count } = await testInbox(t);
  sink.answer = undefined;
  await put('1-a', commit('10.0.0.1'));
  inbox.start();
  await until(() => sink.waiting === 1);
  t.same(await names(), ['1-a'], 'not yet');
  sink.answerAll('later');
  await until(() => sink.waiting === 1);
  t.same(await names(), ['1-a'], 'said again');
  t.equal(count('not-stored'), 1);
  sink.answerAll('durable');
  await until(async () => (await names()).length === 0);
  t.same(sink.addresses, ['10.0.0.1', '10.0.0.1']);
  t.equal(count('taken'), 1);
});

t.test('a file with several leases goes when all of them are durable', async (t) => {
  const { inbox, sink, put, names } = await testInbox(t);
  sink.answer = undefined;
  const lease = (prefix: string, address: string): string =>
    [
      ['ADDRESS', address],
      ['CLTT', '1795288897'],
      ['STATE', 'default'],
    ]
      .map(([name = '', value = '']) => `${prefix}_${name}=${String(value.length)}:${value}\n`)
      .join('');
  const leases = lease('LEASES4_AT0', '10.0.0.2') + lease('DELETED_LEASES4_AT0', '10.0.0.1');
  await put('1-a', `sluice-lever 1\n1=17:leases4_committed\n${leases}end\n`);
  inbox.start();
  await until(() => sink.waiting === 2);
  t.same(await names(), ['1-a']);
  sink.answerAll('durable');
  await until(async () => (await names()).length === 0);
  t.match(sink.events, [{ kind: 'release' }, { kind: 'commit' }]);
});

t.test('while nothing can be stored it is tried with longer and longer pauses', async (t) => {
  const clock = new ManualClock(Date.now());
  const { inbox, sink, put } = await testInbox(t, { clock });
  sink.answer = 'later';
  await put('1-a', commit('10.0.0.1'));
  inbox.start();
  const pausesMs: number[] = [];
  for (let tries = 1; tries <= 9; tries++) {
    await until(() => sink.events.length === tries && clock.pending === 1);
    let waitedMs = 0;
    while (clock.pending === 1) {
      clock.advance(50);
      waitedMs += 50;
    }
    pausesMs.push(waitedMs);
  }
  t.same(pausesMs, [250, 500, 1_000, 2_000, 4_000, 8_000, 16_000, 30_000, 30_000]);
});

t.test('the folder may be absent, come later, be replaced', async (t) => {
  const parent = await mkdtemp(join(tmpdir(), 'sluice-inbox-'));
  t.teardown(() => rm(parent, { recursive: true, force: true }));
  const { folder, inbox, sink, put, names, errors } = await testInbox(t, { folder: join(parent, 'inbox') });
  inbox.start();
  await until(() => inbox.status.folder === 'absent');
  await mkdir(folder);
  await put('1-a', commit('10.0.0.1'));
  await until(() => sink.events.length === 1);
  await rename(folder, `${folder}.old`);
  await mkdir(folder);
  await put('1-b', commit('10.0.0.2'));
  await until(async () => (await names()).length === 0);
  t.same(sink.addresses, ['10.0.0.1', '10.0.0.2']);
  await rm(folder, { recursive: true });
  await until(() => inbox.status.folder === 'absent');
  await writeFile(folder, 'not a folder');
  await until(() => errors.length > 0 || inbox.status.folder === 'absent');
  t.same(errors, []);
});

t.test('what cannot be understood is put aside with the reason', async (t) => {
  const { folder, inbox, sink, told, put, names, count } = await testInbox(t);
  const hostile = `1-${'ü'.repeat(60)} $(reboot)\n`;
  await put('1-torn', commit('10.0.0.1').slice(0, -5));
  await put('2-foreign', '{"cmd":"commit"}');
  await put('3-address', commit('10.0.0.256'));
  await put('4-command', hookFile('comit', '10.0.0.1'));
  await put('5-long', Buffer.alloc(65_537, 'x'));
  await put('6-empty', '');
  await put(hostile, 'x');
  await put('9-good', commit('10.0.0.9'));
  inbox.start();
  await until(async () => (await names()).join() === 'rejected');
  t.same(
    await names('rejected'),
    [
      '1-torn.torn',
      '2-foreign.not-of-the-hook',
      '3-address.bad-address',
      '4-command.unknown-command',
      '5-long.too-long',
      '6-empty.torn',
      `1-${'_'.repeat(60)}___reboot__.not-of-the-hook`,
    ].sort(),
  );
  t.equal(await readFile(join(folder, 'rejected', '2-foreign.not-of-the-hook'), 'utf8'), '{"cmd":"commit"}');
  t.same(sink.addresses, ['10.0.0.9'], 'and the others are not held up');
  for (const fault of ['bad-address', 'unknown-command', 'too-long']) t.equal(count(fault), 1, fault);
  t.equal(count('torn'), 2);
  t.ok(told.includes('dhcp1: bad-address'));
  t.equal(told.filter((one) => one === 'dhcp1: torn').length, 1, 'one reason is told once');
});

t.test('what an event is refused for is not tried for ever', async (t) => {
  const { inbox, sink, put, names } = await testInbox(t);
  sink.answer = 'refused';
  await put('1-a', commit('10.0.0.1'));
  inbox.start();
  await until(async () => (await names('rejected')).length === 1);
  t.same(await names('rejected'), ['1-a.refused']);
  t.equal(sink.events.length, 1);
});

t.test('as many refused files are kept as may be, the newest ones', async (t) => {
  const { folder, inbox, put, names, count } = await testInbox(t);
  await mkdir(join(folder, 'rejected'));
  for (let index = 0; index < 999; index++) {
    const name = join(folder, 'rejected', `old-${String(index)}`);
    await writeFile(name, '');
    await utimes(name, 1_700_000_000 + index, 1_700_000_000 + index);
  }
  for (const index of [1, 2, 3]) await put(`${String(index)}-new`, 'x', 10_000 - index * 1_000);
  inbox.start();
  // A file is put aside first, and the oldest one goes after that.
  await until(() => count('not-kept') === 2);
  const kept = await names('rejected');
  t.equal(kept.length, 1_000);
  t.notOk(kept.includes('old-0') || kept.includes('old-1'), 'the oldest two went');
  t.ok(kept.includes('old-2') && kept.includes('3-new.not-of-the-hook'));
  t.equal(count('not-kept'), 2);
});

t.test('nothing but files of those who may write there is opened', async (t) => {
  const { folder, inbox, sink, put, names, count } = await testInbox(t);
  const elsewhere = join(await mkdtemp(join(tmpdir(), 'sluice-elsewhere-')), 'secret');
  t.teardown(() => rm(join(elsewhere, '..'), { recursive: true, force: true }));
  await writeFile(elsewhere, commit('10.0.0.66'));
  await symlink(elsewhere, join(folder, '1-link'));
  await symlink(join(folder, 'nowhere'), join(folder, '2-dangling'));
  spawnSync('mkfifo', [join(folder, '3-pipe')]);
  await mkdir(join(folder, '4-folder'));
  if (isRoot) {
    await chmod(folder, 0o770);
    await put('5-stranger', commit('10.0.0.67'));
    await chown(join(folder, '5-stranger'), 12_345, 12_345);
    await put('6-group', commit('10.0.0.6'));
    await chown(join(folder, '6-group'), 12_345, process.getgid?.() ?? 0);
  }
  await put('9-good', commit('10.0.0.9'));
  inbox.start();
  await until(() => sink.addresses.includes('10.0.0.9'));
  await until(async () => (await names()).join() === '4-folder,rejected');
  t.same(sink.addresses, isRoot ? ['10.0.0.6', '10.0.0.9'] : ['10.0.0.9']);
  t.equal(count('foreign-file'), isRoot ? 4 : 3);
  t.equal(await readFile(elsewhere, 'utf8'), commit('10.0.0.66'), 'what the link leads to is as it was');
});

t.test('a folder in which everybody may write is not believed', async (t) => {
  const { folder, inbox, sink, told, put, names } = await testInbox(t);
  await put('1-a', commit('10.0.0.1'));
  await chmod(folder, 0o777);
  inbox.start();
  await until(() => inbox.status.folder === 'open');
  t.same(told, ['dhcp1: open-folder']);
  t.same(await names(), ['1-a'], 'and nothing in it is touched');
  await chmod(folder, 0o770);
  await until(async () => (await names()).length === 0);
  t.same(sink.addresses, ['10.0.0.1']);
});

t.test('what is being written is left alone, what was never finished is taken away', async (t) => {
  const { folder, inbox, sink, put, names, count } = await testInbox(t);
  await writeFile(join(folder, '.1-young'), 'sluice-lever 1\n');
  await writeFile(join(folder, '.1-old'), 'sluice-lever 1\n');
  const old = new Date(Date.now() - 11 * 60_000);
  await utimes(join(folder, '.1-old'), old, old);
  await put('2-a', commit('10.0.0.1'));
  inbox.start();
  await until(() => sink.events.length === 1);
  await until(async () => (await names()).length === 1);
  t.same(await names(), ['.1-young']);
  t.equal(count('abandoned'), 1);
});

t.test(
  'a file that cannot be read stays, and is taken when that was put right',
  { skip: isRoot ? false : 'needs root' },
  async (t) => {
    const clock = new ManualClock(Date.now());
    const { folder, inbox, sink, told, put, names } = await testInbox(t, { clock });
    await put('1-a', commit('10.0.0.1'));
    // Root reads everything: a directory entry whose file is gone bad is made of an unreadable mount instead.
    await truncate(join(folder, '1-a'), 0);
    const bound = spawnSync('mount', ['--bind', '/proc/self/mem', join(folder, '1-a')]);
    if (bound.status !== 0) return void t.pass('nothing can be mounted here', { skip: true });
    t.teardown(() => void spawnSync('umount', [join(folder, '1-a')]));
    inbox.start();
    await until(() => told.includes('dhcp1: unreadable'));
    t.same(await names(), ['1-a']);
    spawnSync('umount', [join(folder, '1-a')]);
    await writeFile(join(folder, '1-a'), commit('10.0.0.1'));
    await until(() => {
      clock.advance(1_000);
      return sink.events.length === 1;
    });
    await until(async () => (await names()).length === 0);
  },
);

t.test('a file that cannot be deleted is not taken twice', { skip: isRoot ? false : 'needs root' }, async (t) => {
  const clock = new ManualClock(Date.now());
  const { folder, inbox, sink, told, put, names } = await testInbox(t, { clock });
  await put('1-a', commit('10.0.0.1'));
  // What is mounted over cannot be deleted.
  const source = join(folder, '.source');
  await writeFile(source, commit('10.0.0.1'));
  const bound = spawnSync('mount', ['--bind', source, join(folder, '1-a')]);
  if (bound.status !== 0) return void t.pass('nothing can be mounted here', { skip: true });
  t.teardown(() => void spawnSync('umount', [join(folder, '1-a')]));
  inbox.start();
  await until(() => told.includes('dhcp1: undeletable'));
  await put('2-b', commit('10.0.0.2'));
  await until(() => {
    clock.advance(1_000);
    return sink.events.length === 2;
  });
  t.same(sink.addresses, ['10.0.0.1', '10.0.0.2']);
  spawnSync('umount', [join(folder, '1-a')]);
  await until(async () => {
    clock.advance(10_000);
    return (await names()).join() === '.source';
  });
  t.same(sink.addresses, ['10.0.0.1', '10.0.0.2'], 'it was only deleted');
});

t.test('what is read and not durable yet is bounded', async (t) => {
  const { inbox, sink, put, names } = await testInbox(t);
  sink.answer = undefined;
  const files = 1_500;
  for (let index = 0; index < files; index++)
    await put(`${String(index)}-a`, commit(`10.0.${String(index >> 8)}.${String(index & 255)}`));
  inbox.start();
  await until(async () => {
    sink.answerAll('durable');
    return (await names()).length === 0;
  });
  t.equal(sink.events.length, files);
  t.ok(sink.mostWaiting <= 256, `${String(sink.mostWaiting)} at once`);
});

t.test('a stop waits for what is in hand and takes nothing more', async (t) => {
  const { inbox, sink, put, names } = await testInbox(t);
  sink.answer = undefined;
  for (let index = 0; index < 600; index++) await put(`${String(index)}-a`, commit('10.0.0.1'));
  inbox.start();
  await until(() => sink.waiting === 256);
  let stopped = false;
  const stop = inbox.stop().then(() => {
    stopped = true;
  });
  await put('999-late', commit('10.0.0.2'));
  t.notOk(stopped);
  sink.answerAll('durable');
  await stop;
  t.equal(sink.events.length, 256);
  t.equal((await names()).length, 600 - 256 + 1, 'the others are for the next start');
});

t.test('hooks that write while files are taken lose nothing, and nothing is taken twice', async (t) => {
  const { folder, inbox, sink, names } = await testInbox(t);
  inbox.start();
  const writers = 4;
  const each = 100;
  const script = `n=0; while [ $n -lt ${String(each)} ]; do ${lever} commit 10.0.$1.$n; n=$((n + 1)); done`;
  const ends = Array.from(
    { length: writers },
    (_, writer) =>
      new Promise((resolve) => {
        const env = { SLUICE_INBOX: folder };
        spawn('dash', ['-c', script, 'writer', String(writer + 1)], { env, stdio: 'ignore' }).once('exit', resolve);
      }),
  );
  await Promise.all(ends);
  await until(async () => (await names()).length === 0);
  t.equal(sink.events.length, writers * each);
  t.equal(new Set(sink.addresses).size, writers * each);
});
