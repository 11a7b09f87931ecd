/**
 * `nas test`: whether a NAS can be commanded.
 *
 * Enters: a NAS. Leaves: what was found, way by way. Invariant: nothing is changed on the NAS; what is wrong is one line with its remedy.
 */
import { randomUUID } from 'node:crypto';
import { access, constants } from 'node:fs/promises';
import { join } from 'node:path';
import { foundState } from '../domain/reconcile.js';
import { CoaTransport } from '../nas/coa-transport.js';
import { outcomeText } from '../nas/console-text.js';
import type { EnforcementRun } from '../nas/driver.js';
import { HostKeyStore } from '../nas/host-keys.js';
import { systemNasClock } from '../nas/nas-clock.js';
import { knownHostKey, sshTargetOf } from '../nas/nas-transports.js';
import { driverOf } from '../nas/profile-driver.js';
import { SshConnection } from '../nas/ssh-connection.js';
import { CoaClient } from '../radius/coa-client.js';
import { loadDictionary } from '../radius/dictionary-file.js';
import { EnforcementReader } from '../store/enforcement-rows.js';
import { checkoutDirectory, type CommandContext } from './command-context.js';
import { CommandError } from './command-error.js';
import type { NamedNas } from './named-nas.js';
import { openReading } from './nas-listing.js';
import { pickSubscriber } from './subscriber-pick.js';

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
export async function testNas(
  context: CommandContext,
  { entry, profile }: NamedNas,
  options: { readonly login?: string } = {},
): Promise<void> {
  const ways = new Set(
    [...profile.commands.values()].flatMap(({ steps, fallback }) => [...steps, ...fallback].map(driverOf)),
  );
  const findings: Finding[] = [];
  if (ways.has('ssh')) findings.push(...(await testSsh(context, { entry, profile })));
  if (ways.has('exec')) findings.push(await testScript(entry.exec.script ?? profile.profile.exec.script));
  if (ways.has('coa')) findings.push(await testCoa({ entry, profile }));
  if (options.login !== undefined) findings.push(await testSubscriber(context, { entry, profile }, options.login));
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
  const { driver, stop } = openReading(context, entry, profile);
  try {
    const listed = await driver.list();
    if (!listed.ok) findings.push({ what: 'users_from_nas', ok: false, text: listed.outcome.text });
    else {
      const ours = listed.entries.filter(({ subscriberId }) => subscriberId !== null).length;
      const text = `${String(ours)} entries of ours, ${String(listed.entries.length - ours)} without our mark`;
      findings.push({ what: 'users_from_nas', ok: true, text });
    }
  } finally {
    await stop();
  }
  return findings;
}

/**
 * A Disconnect-Request about a session that there is not: whoever answers 503 has understood it (RFC 5176 §3.5). A CoA-Request would have to say
 * something, and a NAS that takes it for another session would do that.
 */
async function testCoa({ entry, profile }: NamedNas): Promise<Finding> {
  const { dictionary } = loadDictionary(join(checkoutDirectory, 'dictionaries', 'dictionary'));
  const client = new CoaClient({ clock: systemNasClock });
  const transport = new CoaTransport({ nas: entry, profile, dictionary, client, nowMs: Date.now });
  const nobody = `sluice-test-${randomUUID()}`;
  // An address that no network has (RFC 5737 §3).
  const state = foundState(nobody, '192.0.2.1');
  const run: EnforcementRun = {
    enforcementId: 0,
    subject: { subscriberId: 0, accountId: 0, contract: '', plan: null },
    session: {
      sessionId: 0,
      acctSessionId: nobody,
      nasBox: entry.nasIdentifier ?? entry.name,
      nasAddress: null,
      nasPortId: null,
      callingStation: null,
    },
    commands: [],
    desired: state,
  };
  const command = { name: 'user_disconnect', data: state, service: null } as const;
  const step = { send: 'disconnect' } as const;
  try {
    const [result] = await transport.exchange([{ run, command, step }], () => true);
    if (result === undefined) return { what: 'coa', ok: false, text: 'nothing was sent' };
    const { outcome, text } = result.outcome;
    const took = `${text} after ${String(Math.round(result.answeredAtMs - result.sentAtMs))} ms`;
    if (outcome === 'unreachable' || outcome === 'unsayable') return { what: 'coa', ok: false, text };
    // Any signed answer shows that the way, the port and the secret are right.
    return { what: 'coa', ok: true, text: `it answers for a session that there is not: ${took}` };
  } finally {
    await transport.stop();
    await client.stop();
  }
}

async function testSubscriber(context: CommandContext, { entry, profile }: NamedNas, login: string): Promise<Finding> {
  const pool = await context.pool();
  const row = await pickSubscriber(pool, login, { among: 'any' });
  const { rows } = await new EnforcementReader(pool).read({ by: 'subscriber', ids: [row.id] }, [entry.name]);
  const place = rows[0];
  const state = place?.desired?.present === true ? place.desired : foundState(row.login, row.static_address ?? '');
  const { driver, stop } = openReading(context, entry, profile);
  try {
    const answer = await driver.read('user_test', {
      enforcementId: place?.id ?? 0,
      subject: { subscriberId: row.id, accountId: row.account_id, contract: row.contract, plan: row.plan },
      session: place?.session ?? null,
      commands: [],
      desired: state,
    });
    const text = answer.ok ? outcomeText(answer.output) : answer.outcome.text;
    return { what: 'user_test', ok: answer.ok, text: text === '' ? 'it said nothing' : text };
  } finally {
    await stop();
  }
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
