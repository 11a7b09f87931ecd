/**
 * `nas`: what is configured, how far it has come, whether it can be reached, and whom to trust.
 *
 * Enters: a NAS with an SSH server, enforcements written into the table. Leaves: answers. Invariant: no credential is sent before a host key is trusted.
 */
import { chmod, mkdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import t from 'tap';
import type { Test } from 'tap';
import { answerOfShell, startSshNas } from '../support/ssh-nas.js';
import type { SshNas } from '../support/ssh-nas.js';
import { commandHouse, TypingInput } from './command-line.js';
import type { CommandHouse } from './command-line.js';

async function houseWith(t: Test, ssh: SshNas, more = ''): Promise<CommandHouse> {
  const house = await commandHouse(t);
  await mkdir(join(house.confDir, 'nas.d'));
  const files: Record<string, string> = {
    password: 'correct horse\n',
    'nas.d/linux.toml': `name = "linux"\naddress = "127.0.0.1"\nsecret = "pk3Lx9Qv7Tz1Wd5Rb8Ym"\nprofile = "linux-nft-ssh"\n[ssh]\nport = ${ssh.port}\npassword_file = "password"\n${more}`,
    'nas.d/scripted.toml':
      'name = "scripted"\naddress = "192.0.2.7"\nsecret = "pk3Lx9Qv7Tz1Wd5Rb8Ym"\nprofile = "session-script"\n[exec]\nscript = "session"\n',
    session: '#!/bin/sh\n',
  };
  for (const [name, text] of Object.entries(files)) {
    await writeFile(join(house.confDir, name), text);
    await chmod(join(house.confDir, name), name === 'session' ? 0o755 : 0o600);
  }
  return house;
}

/** A router whose nft lists two entries of ours and one of somebody else. */
const listing = 'elements = { 100.64.3.7 comment "sluice-17", 100.64.3.8 comment "sluice-18", 192.0.2.1 }';
const router = async (t: Test): Promise<SshNas> =>
  startSshNas(t, {
    onExec: (_command, channel) => {
      let script = '';
      channel.on('data', (chunk: Buffer) => (script += chunk.toString()));
      channel.on('end', () => {
        channel.write(answerOfShell(script, script.includes('nft list table inet sluice') ? listing : ''));
        channel.exit(0);
        channel.end();
      });
    },
  });

t.test('nas trust', async (t) => {
  const ssh = await router(t);
  const house = await houseWith(t, ssh);
  const stored = (): Promise<string> => readFile(join(house.dataDir, 'host-keys/linux'), 'utf8').catch(() => '');

  const silent = await house.run(['nas', 'trust', 'linux']);
  t.equal(silent.code, 1);
  t.match(silent.stderr, ssh.fingerprint);
  t.match(silent.stderr, /no terminal to ask on.*--fingerprint/u);
  const no = new TypingInput();
  no.end('n\n');
  t.equal((await house.run(['nas', 'trust', 'linux'], { stdin: no })).code, 1);
  t.equal(await stored(), '', 'without a yes nothing is stored');

  const other = await house.run(['nas', 'trust', 'linux', '--fingerprint', `SHA256:${'A'.repeat(43)}`]);
  t.equal(other.code, 1);
  t.match(other.stderr, /offers SHA256:.*, not SHA256:AAAA/u);
  const yes = new TypingInput();
  yes.end('yes\n');
  t.match(await house.run(['nas', 'trust', 'linux'], { stdin: yes }), { code: 0, stdout: /is trusted from now on/u });
  t.equal(await stored(), `${ssh.fingerprint}\n`);
  t.match((await house.done(['nas', 'trust', 'linux'])).stdout, /trusted already/u);

  const before = ssh.fingerprint;
  ssh.changeHostKey();
  const changed = await house.run(['nas', 'trust', 'linux', '--yes', '--json']);
  t.match(changed.json(), { nas: 'linux', fingerprint: ssh.fingerprint });
  t.match(changed.stderr, `until now it was ${before}`);
  t.equal(await stored(), `${ssh.fingerprint}\n`);
  t.same(ssh.attempts, [], 'nobody logged in for that');

  t.match(await house.run(['nas', 'trust', 'linx']), { code: 1, stderr: /did you mean linux/u });
  t.match(await house.run(['nas', 'trust', 'scripted']), { code: 1, stderr: /not reached over SSH/u });
});

t.test('nas trust where the configuration says which key it must be', async (t) => {
  const ssh = await router(t);
  const house = await houseWith(t, ssh, `host_key = "${ssh.fingerprint}"\n`);
  t.match(await house.run(['nas', 'trust', 'linux', '--yes']), { code: 1, stderr: /ssh\.host_key says which key/u });
  t.match((await house.done(['nas', 'test', 'linux'])).stdout, /ok {2}ssh/u);
});

t.test('nas test', async (t) => {
  const ssh = await router(t);
  const house = await houseWith(t, ssh);
  const untrusted = await house.run(['nas', 'test', 'linux']);
  t.equal(untrusted.code, 1);
  t.match(untrusted.stdout, /NO {2}ssh: its host key .* is not trusted yet.*sluice nas trust/u);
  t.same(ssh.attempts, []);
  await house.done(['nas', 'trust', 'linux', '--yes']);
  const good = await house.done(['nas', 'test', 'linux', '--json']);
  t.match(good.json(), {
    nas: 'linux',
    findings: [
      { what: 'ssh', ok: true },
      { what: 'users_from_nas', ok: true, text: '2 entries of ours, 1 without our mark' },
    ],
  });
  await writeFile(join(house.confDir, 'password'), 'wrong horse\n');
  const refused = await house.run(['nas', 'test', 'linux']);
  t.match(refused, { code: 1, stdout: /NO {2}ssh: sluice: the NAS refused the password or key/u });
  t.notMatch(refused.stdout + refused.stderr, 'wrong horse');
  t.match((await house.done(['nas', 'test', 'scripted'])).stdout, /ok {2}exec: .*session can be run/u);
  await chmod(join(house.confDir, 'session'), 0o644);
  t.match(await house.run(['nas', 'test', 'scripted']), { code: 1, stdout: /NO {2}exec: .*chmod 755/u });
});

t.test('nas list, show and resync', async (t) => {
  const ssh = await router(t);
  const house = await houseWith(t, ssh);
  const { pool } = house.database;
  await house.done(['subscriber', 'add', 'alice', '--contract', 'C-1', '--no-password']);
  await house.done(['subscriber', 'add', 'bob', '--contract', 'C-2', '--no-password']);
  for (const [nas, login, state, error] of [
    ['linux', 'alice', 'converged', null],
    ['linux', 'bob', 'parked', 'exit status 1\u001b[2J'],
    ['gone', 'alice', 'pending', null],
  ] as const) {
    await pool.query(
      `INSERT INTO enforcement (kind, nas_name, subscriber_id, state, last_error, applied, evidence, due_at)
       SELECT 'provisioned', $1, id, $3, $4, '{"present": false}', 'output', NULL FROM subscriber WHERE login = $2`,
      [nas, login, state, error],
    );
  }
  t.match((await house.done(['nas', 'list', '--json'])).json(), [
    { name: 'linux', mode: 'enforce', enforcements: { converged: 1, parked: 1 } },
    { name: 'scripted', enforcements: {} },
    { name: 'gone', mode: 'not in the configuration', enforcements: { pending: 1 } },
  ]);
  t.match((await house.done(['nas', 'list'], { columns: 120 })).stdout, /^linux .* 1 +0 +1 +0/mu);

  const shown = (await house.done(['nas', 'show', 'linux'])).stdout;
  t.match(shown, /host key: +none is trusted: "sluice nas trust"/u);
  t.match(shown, /enforcements: +(1 converged, 1 parked|1 parked, 1 converged)/u);
  t.match(shown, /trouble: +1 × exit status 1/u);
  t.match(shown, /user_del +ssh, then ssh; when refused: ssh/u);
  t.match(shown, /user_auth +nothing: an address passes/u);
  // eslint-disable-next-line no-control-regex -- it is what must not be there
  t.notMatch(shown, /\u001b|correct horse|pk3Lx9Qv7Tz1Wd5Rb8Ym/u);

  const removed = (await house.done(['nas', 'show', 'gone'])).stdout;
  t.match(removed, /mode: +not in the configuration: nothing is sent to it/u);
  t.match(removed, /enforcements: +1 pending/u);
  t.match((await house.done(['nas', 'show', 'gone', '--json'])).json(), { name: 'gone', enforcements: { pending: 1 } });
  t.match(await house.run(['nas', 'show', 'gon']), { code: 1, stderr: /there is no NAS 'gon'/u });

  t.match((await house.done(['nas', 'resync', 'linux'])).stdout, 'linux: 2 enforcements will be said again');
  const { rows } = await pool.query<{ nas_name: string; applied: unknown; due: boolean; told: boolean }>(
    `SELECT nas_name, applied, due_at IS NOT NULL AS due, EXISTS (SELECT FROM change_feed c WHERE c.kind = 'enforcement' AND c.ref = e.id) AS told
     FROM enforcement e ORDER BY nas_name, id`,
  );
  t.same(
    rows.map(({ nas_name: nas, applied, due, told }) => [nas, applied === null, due, told]),
    [
      ['gone', false, false, false],
      ['linux', true, true, true],
      ['linux', true, true, true],
    ],
  );
});
