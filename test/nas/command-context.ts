// A place as commands see it. Enters: what a test changes. Leaves: a context, a run, a task. Invariant: everything that is not changed has a value.
import type { PresentService } from '../../src/domain/service-state.js';
import type { CommandContext, CommandNas } from '../../src/nas/command-variable.js';
import type { EnforcementRun, RunSession, RunSubject } from '../../src/nas/driver.js';

export const nas: CommandNas = {
  name: 'bras1',
  address: '10.0.0.2',
  identifier: 'bras-1.example',
  profile: 'linux-nft-ssh',
  channel: 'dhcp',
  sshUser: 'sluice',
  sshPort: 22,
};

export const subject: RunSubject = { subscriberId: 17, accountId: 5, contract: 'C-17', plan: 'home' };

export const session: RunSession = {
  sessionId: 99,
  acctSessionId: '80000001',
  nasBox: 'bras-1.example',
  nasAddress: '10.0.0.2',
  nasPortId: 'ether1:100',
  callingStation: '02-00-00-00-00-01',
};

export const present: PresentService = {
  present: true,
  key: {
    login: 'ivanov',
    mac: '02:00:00:00:00:01',
    address: '100.64.3.7',
    framedPrefix: '2001:db8:1::/64',
    delegatedPrefix: '2001:db8:100::/56',
  },
  blocked: false,
  redirect: false,
  ownDisabled: false,
  authorised: true,
  rate: { downBps: 50_000_000, upBps: 10_000_000 },
  services: ['iptv', 'voice'],
};

/** A context in which every variable has a value. */
export function contextWith(
  data: Partial<PresentService> & { login?: string } = {},
  more: Partial<CommandContext> = {},
): CommandContext {
  const { login = present.key.login, ...rest } = data;
  return {
    nas,
    command: 'user_add',
    subject,
    session,
    data: { ...present, key: { ...present.key, login }, ...rest },
    service: 'iptv',
    ...more,
  };
}

/** A run of commands at a provisioned place. */
export function runOf(
  names: readonly EnforcementRun['commands'][number]['name'][],
  more: Partial<EnforcementRun> & { data?: PresentService } = {},
): EnforcementRun {
  const { data = present, ...rest } = more;
  return {
    enforcementId: 1,
    subject,
    session: null,
    commands: names.map((name) => ({ name, data, service: null })),
    desired: data,
    ...rest,
  };
}
