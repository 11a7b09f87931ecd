// A Linux router for real: OpenSSH, nftables and tc in a namespace, a subscriber behind it, the world before it. What the profile linux-nft-ssh says over
// SSH is what the subscriber sees.
import t from 'tap';
import type { Test } from 'tap';
import type { CommandName, PresentService } from '../../src/domain/service-state.js';
import type { EnforcementRun, RunResult } from '../../src/nas/driver.js';
import { HostKeyStore } from '../../src/nas/host-keys.js';
import { systemNasClock } from '../../src/nas/nas-clock.js';
import { sshTransportOf } from '../../src/nas/nas-transports.js';
import { compileProfile } from '../../src/nas/profile.js';
import { ProfileDriver } from '../../src/nas/profile-driver.js';
import { confFolder } from '../config/conf-folder.js';
import { present } from '../nas/command-context.js';
import { smallEncoder } from '../nas/small-dictionary.js';
import {
  management,
  startLinuxRouter,
  subscriber,
  viewFrom,
  withoutLinuxRouter,
  world,
} from '../support/linux-router.js';
import type { LinuxRouter } from '../support/linux-router.js';

const skip = await withoutLinuxRouter();

interface LinuxNas extends LinuxRouter {
  readonly driver: ProfileDriver;
}

async function linuxNas(t: Test, connections: number): Promise<LinuxNas> {
  const router = await startLinuxRouter(t);
  const conf = await confFolder(t, {});
  await conf.write('conf/key', router.clientKey);
  await conf.write(
    'conf/nas.d/linux.toml',
    `name = "linux"\naddress = "${management.nas}"\nprofile = "linux-nft-ssh"\nsecret = "pk3Lx9Qv7Tz1Wd5Rb8Ym"\n` +
      `[ssh]\nuser = "root"\nkey_file = "key"\nhost_key = "${router.fingerprint}"\nconnections = ${connections}\n`,
  );
  const config = await conf.load();
  const entry = config.nas.find(({ name }) => name === 'linux')!;
  const profile = compileProfile(config.profiles['linux-nft-ssh']!, smallEncoder);
  const ssh = sshTransportOf(entry, profile, {
    hostKeys: new HostKeyStore(conf.root),
    onHostKeyRefused: () => undefined,
    clock: systemNasClock,
  });
  const driver = new ProfileDriver(profile.commands, { ssh: ssh! }, systemNasClock);
  t.teardown(() => driver.stop());
  return { ...router, driver };
}

const ipv4Alone = { framedPrefix: null, delegatedPrefix: null };
const dual = { framedPrefix: '2001:db8:1::/64', delegatedPrefix: '2001:db8:100::/56' };

function runAt(
  address: string,
  id: number,
  names: readonly CommandName[],
  change: Partial<PresentService> = {},
  prefixes: { readonly framedPrefix: string | null; readonly delegatedPrefix: string | null } = ipv4Alone,
): EnforcementRun {
  const data: PresentService = { ...present, ...change, key: { ...present.key, address, ...prefixes } };
  return {
    enforcementId: id,
    subject: { subscriberId: id, accountId: 1, contract: 'C-1', plan: 'home' },
    session: null,
    commands: names.map((name) => ({ name, data, service: null })),
    desired: data,
  };
}

const failures = (results: readonly RunResult[]): string[] =>
  results.flatMap(({ results: commands }) =>
    commands.flatMap(({ command, outcome }) =>
      outcome.outcome === 'applied' ? [] : [`${command.name}: ${outcome.outcome} ${outcome.text}`],
    ),
  );

t.test('a subscriber of a Linux router', { skip, timeout: 120_000 }, async (t) => {
  const { router, home, driver, state } = await linuxNas(t, 1);
  const say = async (names: readonly CommandName[], change: Partial<PresentService> = {}): Promise<void> => {
    t.same(failures(await driver.run([runAt(subscriber, 17, names, change, dual)], () => true)), [], names.join(', '));
  };
  const look = viewFrom(home);
  const sees = async (): Promise<readonly string[]> =>
    (await Promise.all([look(`http://${world}/`), look(`http://${world}:8080/`)])).map(({ text }) => text);
  const open = ['the world', 'another port'];
  const closed = ['nothing', 'nothing'];
  const before = await state();

  t.same(await sees(), closed, 'whom nobody added does not pass');
  await say(['user_add']);
  t.same(await sees(), open, 'user_add');
  await say(['user_add']);
  t.match(
    await router.run('nft', 'list', 'set', 'inet', 'sluice', 'users'),
    `${subscriber} comment "sluice-17"`,
    'and it is named as ours',
  );

  t.match(await router.run('nft', 'list', 'set', 'inet', 'sluice', 'users6'), '2001:db8:1::/64');

  await say(['user_redirect']);
  t.same(await sees(), ['the portal', 'nothing'], 'user_redirect: the web goes to the portal, the rest is blocked');
  await say(['user_redirect']);
  await say(['user_redirect_cancel']);
  t.same(await sees(), open, 'user_redirect_cancel');

  await say(['own_disabled', 'user_redirect']);
  t.same(await sees(), closed, 'own_disabled');
  await say(['user_redirect_cancel']);
  t.same(await sees(), closed, 'one limit that ends does not end the other');
  await say(['own_disabled_cancel']);
  t.same(await sees(), open, 'own_disabled_cancel');
  await say(['user_drop']);
  t.same(await sees(), closed, 'user_drop');
  await say(['user_accept', 'user_accept']);
  t.same(await sees(), open, 'user_accept');

  for (const rate of [8_000_000, 16_000_000]) {
    await say(['user_rate_set'], { rate: { downBps: rate, upBps: 2_000_000 } });
    t.match(
      await router.run('tc', 'class', 'show', 'dev', 'sluice-down'),
      `rate ${rate / 1_000_000}Mbit`,
      'tc shows the rate',
    );
    t.match(await router.run('tc', 'class', 'show', 'dev', 'sluice-up'), 'rate 2Mbit');
    const measured = (await look(`http://${world}/block`)).payloadBps;
    t.comment(`${rate} bit/s asked for, ${Math.round(measured)} bit/s of payload measured`);
    t.ok(measured > rate * 0.75 && measured < rate * 1.1, 'and a transfer measures it');
  }
  await say(['user_rate_set'], { rate: { downBps: null, upBps: null } });
  t.match(await router.run('tc', 'class', 'show', 'dev', 'sluice-down'), 'rate 100Gbit', 'unlimited');

  const neighbour = '100.65.3.7';
  t.match(
    failures(await driver.run([runAt(neighbour, 18, ['user_add', 'user_drop'])], () => true)),
    [/user_add: refused .*File exists/u],
    'a second address with the same class is refused',
  );
  t.same(
    failures(await driver.run([runAt(neighbour, 18, ['user_del'])], () => true)),
    [],
    'and its deletion takes nothing from the first',
  );
  t.same(await sees(), open);

  t.match(await driver.read('user_info', runAt(subscriber, 17, ['user_add'])), { ok: true, output: /sluice-17/u });
  const listed = async (): Promise<unknown> => {
    const answer = await driver.list();
    return answer.ok
      ? answer.entries.map(({ subscriberId, address, policy }) => ({ subscriberId, address, policy }))
      : answer.outcome.text;
  };
  const entry = { subscriberId: 17, address: subscriber };
  const free = { blocked: false, redirect: false, ownDisabled: false };
  t.same(await listed(), [{ ...entry, policy: { ...free, downBps: null, upBps: null } }]);
  await say(['user_rate_set'], { rate: { downBps: 8_000_000, upBps: 1_234_567 } });
  await say(['user_redirect']);
  t.same(
    await listed(),
    [{ ...entry, policy: { ...free, redirect: true, downBps: 8_000_000, upBps: 1_234_000 } }],
    'with its limits and its rates, of which tc shows four digits',
  );
  await say(['user_redirect', 'own_disabled', 'user_drop']);
  t.match(await listed(), [{ policy: { blocked: true, redirect: true, ownDisabled: true } }]);
  await say(['user_del', 'user_del']);
  t.same(await sees(), closed, 'user_del');
  t.equal(await state(), before, 'nothing of the subscriber is left');
});

t.test('a router that was wiped is whole again within 30 s', { skip, timeout: 180_000 }, async (t) => {
  const { driver, wipe, state } = await linuxNas(t, 2);
  const before = await state();
  const count = 3_000;
  const address = (index: number): string => `100.64.${1 + (index >> 8)}.${index & 255}`;
  const everything = (names: readonly CommandName[]): EnforcementRun[] =>
    Array.from({ length: count }, (_, index) => runAt(address(index), index, names));
  const sayAll = async (names: readonly CommandName[]): Promise<number> => {
    const beganAt = performance.now();
    const runs = everything(names);
    for (let from = 0; from < count; from += driver.maxBatchRuns) {
      t.same(failures(await driver.run(runs.slice(from, from + driver.maxBatchRuns), () => true)), []);
    }
    return performance.now() - beganAt;
  };
  await sayAll(['user_add', 'user_rate_set']);
  const whole = await state();
  await wipe();
  t.equal(await state(), before, 'it was wiped');
  const tookMs = await sayAll(['user_add', 'user_rate_set']);
  t.comment(`${count} entries with their rates in ${Math.round(tookMs)} ms`);
  t.ok(tookMs <= 30_000, `${count} entries in ${Math.round(tookMs)} ms`);
  const sorted = (text: string): string[] =>
    text
      .split(/[\n,]/u)
      .map((line) => line.trim())
      .sort();
  t.same(sorted(await state()), sorted(whole), 'and is as it was');
  await sayAll(['user_del']);
  t.equal(await state(), before, 'and empty after all were deleted');
});
