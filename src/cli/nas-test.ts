/**
 * `nas test`: whether a NAS can be commanded.
 *
 * Enters: a NAS. Leaves: what was found, way by way. Invariant: nothing is changed on the NAS; what is wrong is one line with its remedy.
 */
import { access, constants } from 'node:fs/promises';
import { HostKeyStore } from '../nas/host-keys.js';
import { systemNasClock } from '../nas/nas-clock.js';
import { knownHostKey, sshTargetOf, sshTransportOf } from '../nas/nas-transports.js';
import { ProfileDriver, driverOf } from '../nas/profile-driver.js';
import { SshConnection } from '../nas/ssh-connection.js';
import type { CommandContext } from './command-context.js';
import { CommandError } from './command-error.js';
import type { NamedNas } from './nas-commands.js';

interface Finding {
  readonly what: string;
  readonly ok: boolean;
  readonly text: string;
}

/**
 * Tries every way that the profile uses.
 *
 * @throws CommandError when one of them does not work, after all were told
 */
export async function testNas(context: CommandContext, { entry, profile }: NamedNas): Promise<void> {
  const ways = new Set(
    [...profile.commands.values()].flatMap(({ steps, fallback }) => [...steps, ...fallback].map(driverOf)),
  );
  const findings: Finding[] = [];
  if (ways.has('ssh')) findings.push(...(await testSsh(context, { entry, profile })));
  if (ways.has('exec')) findings.push(await testScript(entry.exec.script ?? profile.profile.exec.script));
  if (ways.has('coa')) {
    const text = 'is only sent about a session: see the last commands in "sluice nas show"';
    findings.push({ what: 'coa', ok: true, text });
  }
  if (findings.length === 0)
    findings.push({ what: 'nothing', ok: true, text: `the profile ${entry.profile} commands nothing` });
  if (context.json) await context.printJson({ nas: entry.name, findings });
  else {
    const { printable } = await import('./printable.js');
    await context.print(
      findings.map(({ what, ok, text }) => `${ok ? 'ok' : 'NO'}  ${what}: ${printable(text)}`).join('\n'),
    );
  }
  if (findings.some(({ ok }) => !ok))
    throw new CommandError(`${entry.name} cannot be commanded as its profile says`, 'see above');
}

async function testSsh(context: CommandContext, { entry, profile }: NamedNas): Promise<Finding[]> {
  const target = sshTargetOf(entry);
  if (target === undefined) {
    return [
      { what: 'ssh', ok: false, text: 'has neither a key nor a password, or no single address: see ssh in nas.d' },
    ];
  }
  const hostKeys = new HostKeyStore(context.dataDir);
  const opened = await SshConnection.open(target, await knownHostKey(entry, hostKeys));
  if (!opened.ok) return [{ what: 'ssh', ok: false, text: opened.failure.text }];
  opened.connection.end();
  const findings: Finding[] = [
    {
      what: 'ssh',
      ok: true,
      text: `${target.user}@${target.host} port ${String(target.port)}, host key ${opened.fingerprint}`,
    },
  ];
  if ((profile.commands.get('users_from_nas')?.steps.length ?? 0) === 0) return findings;
  const ssh = sshTransportOf(entry, profile, { hostKeys, onHostKeyRefused: () => undefined, clock: systemNasClock });
  const driver = new ProfileDriver(profile.commands, ssh === undefined ? {} : { ssh }, systemNasClock);
  try {
    const listed = await driver.list();
    if (!listed.ok) findings.push({ what: 'users_from_nas', ok: false, text: listed.outcome.text });
    else {
      const ours = listed.entries.filter(({ subscriberId }) => subscriberId !== null).length;
      const text = `${String(ours)} entries of ours, ${String(listed.entries.length - ours)} without our mark`;
      findings.push({ what: 'users_from_nas', ok: true, text });
    }
  } finally {
    await driver.stop();
  }
  return findings;
}

async function testScript(script: string | undefined): Promise<Finding> {
  if (script === undefined) return { what: 'exec', ok: false, text: 'no script is named: see exec.script' };
  try {
    await access(script, constants.X_OK);
    return { what: 'exec', ok: true, text: `${script} can be run` };
  } catch {
    return { what: 'exec', ok: false, text: `${script} cannot be run: put it there and chmod 755 it` };
  }
}
