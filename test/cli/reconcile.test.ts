/**
 * `reconcile` and `nas adopt`: a router that lists over SSH, and a script that lists.
 *
 * Enters: what a router prints, enforcements written into the table. Leaves: reports, marks for the dispatcher. Invariant: the router hears nothing but the question.
 */
import { chmod, mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import t from 'tap';
import type { Test } from 'tap';
import { answerOfShell, startSshNas } from '../support/ssh-nas.js';
import { commandHouse } from './command-line.js';
import type { CommandHouse } from './command-line.js';

interface Report {
  readonly nas: string;
  readonly dry_run: boolean;
  readonly error: string | null;
  readonly counts: Record<string, number>;
  readonly mended: number;
  readonly findings: readonly { kind: string; login: string | null; address: string; mend: string }[];
}

/** A Linux router that lists what it is told to, and a device behind a script that prints flags. */
async function houseWithRouters(t: Test): Promise<{ house: CommandHouse; says: { list: string }; heard: string[] }> {
  const says = { list: '' };
  const heard: string[] = [];
  const ssh = await startSshNas(t, {
    onExec: (_command, channel) => {
      let script = '';
      channel.on('data', (chunk: Buffer) => (script += chunk.toString()));
      channel.on('end', () => {
        heard.push(script);
        channel.write(answerOfShell(script, says.list));
        channel.exit(0);
        channel.end();
      });
    },
  });
  const house = await commandHouse(t);
  await mkdir(join(house.confDir, 'nas.d'));
  const files: Record<string, string> = {
    password: 'correct horse\n',
    'nas.d/linux.toml': `name = "linux"\naddress = "127.0.0.1"\nsecret = "pk3Lx9Qv7Tz1Wd5Rb8Ym"\nprofile = "linux-nft-ssh"\n[ssh]\nport = ${String(ssh.port)}\npassword_file = "password"\nhost_key = "${ssh.fingerprint}"\n`,
    'nas.d/scripted.toml':
      'name = "scripted"\naddress = "192.0.2.7"\nsecret = "pk3Lx9Qv7Tz1Wd5Rb8Ym"\nprofile = "listing-script"\nmode = "observe"\n[exec]\nscript = "session"\n',
    session:
      '#!/bin/sh\n[ "$1" = users_from_nas ] && echo "sluice-$(cat "$(dirname "$0")/number") 100.64.0.9 flags=blocked down=unlimited up=1"\nexit 0\n',
    number: '1',
  };
  for (const [name, text] of Object.entries(files)) {
    await writeFile(join(house.confDir, name), text);
    await chmod(join(house.confDir, name), name === 'session' ? 0o755 : 0o600);
  }
  await mkdir(join(house.confDir, 'profiles'));
  const steps = ['user_add', 'user_del', 'user_drop', 'user_accept', 'own_disabled', 'own_disabled_cancel']
    .concat(['user_redirect', 'user_redirect_cancel', 'user_rate_set', 'user_rate_set_cancel', 'user_disconnect'])
    .concat(['user_auth', 'usluga_activated', 'usluga_deactivated', 'users_from_nas'])
    .map((name) => `[command.${name}]\nsteps = [{ send = "exec" }]\n`);
  await writeFile(
    join(house.confDir, 'profiles', 'listing-script.toml'),
    `description = "a script"\nchannel = "dhcp"\n[state.active]\nanswer = "accept"\n[enforcement]\nplace = "provisioned"\n${steps.join('')}`,
  );
  await house.done(['plan', 'add', 'home', '--down', '50M', '--up', '10M']);
  return { house, says, heard };
}

/** A place as the dispatcher leaves it. */
async function settle(house: CommandHouse, login: string, nas: string, address: string): Promise<number> {
  await house.done(['subscriber', 'add', login, '--plan', 'home', '--ip', address, '--nas', nas, '--no-password']);
  const { rows } = await house.database.pool.query<{ subscriber_id: number }>(
    `INSERT INTO enforcement (kind, nas_name, subscriber_id, state, due_at, evidence, desired, applied, applied_at, may_be_present)
     SELECT 'provisioned', $2, s.id, 'converged', NULL, 'output', d, d, now(), true FROM subscriber s, LATERAL (SELECT jsonb_build_object(
       'present', true, 'blocked', false, 'redirect', false, 'ownDisabled', false, 'authorised', false, 'services', '[]'::jsonb,
       'rate', '{"downBps":50000000,"upBps":10000000}'::jsonb,
       'key', jsonb_build_object('login', s.login, 'mac', NULL, 'address', $3::text, 'framedPrefix', NULL, 'delegatedPrefix', NULL)) AS d) AS x
     WHERE s.login = $1 RETURNING subscriber_id`,
    [login, nas, address],
  );
  return rows[0]!.subscriber_id;
}

t.test('reconcile tells what differs, marks it, and asks only for the list', async (t) => {
  const { house, says, heard } = await houseWithRouters(t);
  const alice = await settle(house, 'alice', 'linux', '100.64.0.1');
  await settle(house, 'bob', 'linux', '100.64.0.2');
  says.list = `table inet sluice {\n elements = { 100.64.0.1 comment "sluice-${String(alice)}", 100.64.0.77 comment "sluice-${String(alice)}",\n 192.0.2.9 }\n}`;
  const due = async () =>
    (
      await house.database.pool.query(`SELECT s.login FROM enforcement e JOIN subscriber s ON s.id = e.subscriber_id
       WHERE e.due_at IS NOT NULL ORDER BY 1`)
    ).rows.map((row: { login: string }) => row.login);

  const [dry] = (await house.done(['reconcile', '--nas', 'linux', '--dry-run', '--json'])).json<Report[]>();
  t.match(dry, { nas: 'linux', dry_run: true, error: null, mended: 0 });
  t.match(dry?.findings, [
    { kind: 'missing', login: 'bob', address: '100.64.0.2', mend: 'saying-again' },
    { kind: 'moved', login: 'alice', address: '100.64.0.77', mend: 'clearing' },
    { kind: 'unknown', login: null, address: '192.0.2.9', mend: 'nobody' },
  ]);
  t.same(await due(), []);

  const text = (await house.done(['reconcile', '--nas', 'linux'])).stdout;
  t.match(text, /^linux: lists 3 entries, should have 2: 1 missing, 1 moved, 1 unknown; 2 are being mended\n/u);
  t.match(text, /missing +bob +100\.64\.0\.2/u);
  t.same(await due(), ['alice', 'bob']);
  for (const script of heard) t.notMatch(script, /add element|delete element|user_/u);

  const shown = (await house.done(['nas', 'show', 'linux'])).stdout;
  t.match(shown, /compared: .* by cli\/tester: 3 listed, 2 wanted; .*1 missing/u);
});

t.test(
  'a NAS that is only observed is compared and never marked; a script may list, with flags and rates',
  async (t) => {
    const { house } = await houseWithRouters(t);
    const carol = await settle(house, 'carol', 'scripted', '100.64.0.9');
    await writeFile(join(house.confDir, 'number'), String(carol));
    const [report] = (await house.done(['reconcile', '--nas', 'scripted', '--json'])).json<Report[]>();
    t.match(report, { dry_run: true, mended: 0, counts: { 'wrong-policy': 1 } });
    t.match(report?.findings[0], {
      login: 'carol',
      text: 'blocked, down unlimited instead of 50000000 bit/s, up 1 bit/s instead of 10000000 bit/s',
    });
  },
);

t.test('what cannot be compared is told, and the others are', async (t) => {
  const { house, says } = await houseWithRouters(t);
  says.list = '';
  await writeFile(join(house.confDir, 'session'), '#!/bin/sh\necho broken\nexit 1\n');
  const all = await house.run(['reconcile']);
  t.equal(all.code, 1);
  t.match(all.stdout, /linux: lists 0 entries, should have 0: nothing differs/u);
  t.match(all.stdout, /scripted: exit code 1 broken/u);
  t.match(all.stderr, /scripted could not be asked; see: sluice nas test NAME/u);
  const table: [args: string[], problem: RegExp][] = [
    [['--nas', 'linus'], /there is no NAS 'linus'; did you mean linux\?/u],
    [['--limit', '-1'], /--limit/u],
  ];
  for (const [args, problem] of table) {
    const result = await house.run(['reconcile', ...args]);
    t.not(result.code, 0, args.join(' '));
    t.match(result.stderr, problem, args.join(' '));
  }
});

t.test('nas adopt shows entries of others, and takes over those that are named', async (t) => {
  const { house, says } = await houseWithRouters(t);
  const alice = await settle(house, 'alice', 'linux', '100.64.0.1');
  says.list = `elements = { 100.64.0.1 comment "sluice-${String(alice)}", 192.0.2.9, 192.0.2.10 }`;
  t.equal(
    (await house.done(['nas', 'adopt', 'linux'])).stdout,
    'linux: 2 entries of others\n  192.0.2.9\n  192.0.2.10\nadopt them with: sluice nas adopt linux --all, or with their addresses\n',
  );
  const wrong = await house.run(['nas', 'adopt', 'linux', '100.64.0.1']);
  t.match([wrong.code, wrong.stderr], [1, /lists no entry of others at 100\.64\.0\.1/u]);
  await house.done(['nas', 'adopt', 'linux', '192.0.2.9']);
  const [report] = (await house.done(['reconcile', '--nas', 'linux', '--json'])).json<Report[]>();
  t.match(report?.findings, [
    { kind: 'unknown', address: '192.0.2.9', mend: 'removing' },
    { kind: 'unknown', address: '192.0.2.10', mend: 'nobody' },
  ]);
  t.match(
    (
      await house.database.pool.query(
        'SELECT host(address) AS address, adopted_by FROM nas_entry WHERE remove_asked_at IS NOT NULL',
      )
    ).rows,
    [{ address: '192.0.2.9', adopted_by: 'cli/tester' }],
  );
  t.same((await house.done(['nas', 'adopt', 'linux', '--all', '--json'])).json(), { nas: 'linux', adopted: 1 });
});
