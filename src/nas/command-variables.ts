/**
 * Every variable by its name: our own, and those of the systems that templates and scripts come from.
 *
 * Enters: the context of one command. Leaves: one table, which the documentation is tested against. Invariants: where two systems give one name two
 * meanings, the subscriber's wins (`$login`, `$id`, `$username`) and the other has its prefix (`$nas_login`); what a name is worth is never a matter of
 * its neighbours.
 */
import type { ServiceRate } from '../domain/service-state.js';
import { general, given, valueText, withheld } from './command-variable.js';
import type { CommandContext, CommandVariable } from './command-variable.js';
import { expertBillingVariables } from './expertbilling-variables.js';

const bitsInKilobit = 1_000;
// Cisco's rule for policing TCP: 1.5 s of the rate pass at once, and 3 s as the excess.
const normalBurstSeconds = 1.5;
const excessBurstSeconds = 3;

function bps(direction: keyof ServiceRate): CommandVariable['valueOf'] {
  // Never 0, which many devices take for "no limit".
  return ({ data }) => {
    const rate = data?.rate[direction];
    return rate === undefined || rate === null ? undefined : Math.max(1, Math.round(rate));
  };
}

function kbps(direction: keyof ServiceRate, factor = 1): CommandVariable['valueOf'] {
  return ({ data }) => {
    const rate = data?.rate[direction];
    return rate === undefined || rate === null ? undefined : Math.max(1, Math.round((rate * factor) / bitsInKilobit));
  };
}

const unlimited = 'no value: unlimited';

const own: readonly (readonly [string, CommandVariable])[] = [
  ['subscriber_id', given('number', '', 'our number of the subscriber', ({ subject }) => subject?.subscriberId)],
  ['account_id', given('number', '', 'our number of the account', ({ subject }) => subject?.accountId)],
  ['contract', given('text', '', 'contract of the account', ({ subject }) => subject?.contract)],
  ['plan', given('text', '', 'name of the plan', ({ subject }) => subject?.plan)],
  ['login', given('text', '', 'login of the subscriber', ({ data }) => data?.key.login)],
  ['mac', given('mac', '', 'MAC, aa:bb:cc:dd:ee:ff', ({ data }) => data?.key.mac)],
  ['address', given('address', '', 'IPv4 address', ({ data }) => data?.key.address)],
  ['address_class', given('word', 'hexadecimal', 'lower 16 bits of the IPv4 address', addressClass)],
  ['framed_prefix', given('prefix', '', 'IPv6 prefix of the link', ({ data }) => data?.key.framedPrefix)],
  ['delegated_prefix', given('prefix', '', 'delegated IPv6 prefix', ({ data }) => data?.key.delegatedPrefix)],
  ['rate_down_bps', given('number', 'bit/s', `to the subscriber; ${unlimited}`, bps('downBps'))],
  ['rate_up_bps', given('number', 'bit/s', `from the subscriber; ${unlimited}`, bps('upBps'))],
  ['rate_down_kbps', given('number', '1000 bit/s', `to the subscriber; ${unlimited}`, kbps('downBps'))],
  ['rate_up_kbps', given('number', '1000 bit/s', `from the subscriber; ${unlimited}`, kbps('upBps'))],
  ['blocked', given('flag', '', '1 while blocked by the administration', ({ data }) => flag(data?.blocked))],
  ['redirect', given('flag', '', '1 while in the walled garden', ({ data }) => flag(data?.redirect))],
  ['own_disabled', given('flag', '', '1 while voluntarily blocked', ({ data }) => flag(data?.ownDisabled))],
  ['authorised', given('flag', '', '1 when authorised by RADIUS or a portal', ({ data }) => flag(data?.authorised))],
  [
    'may_pass',
    given(
      'flag',
      '',
      '1 while the subscriber may use the service; no value otherwise, for ${?may_pass} and ${!may_pass}',
      ({ data }) => data !== undefined && !data.blocked && !data.redirect && !data.ownDisabled && 1,
    ),
  ],
  ['service', given('text', '', 'service that begins or ends', ({ service }) => service)],
  ['services', given('text', '', 'services that are on, with commas', ({ data }) => data?.services.join(','))],
  ['session_id', given('number', '', 'our number of the session', ({ session }) => session?.sessionId)],
  ['acct_session_id', given('text', '', 'Acct-Session-Id', ({ session }) => session?.acctSessionId)],
  ['nas_port_id', given('text', '', 'NAS-Port-Id of the session', ({ session }) => session?.nasPortId)],
  ['calling_station', given('text', '', 'Calling-Station-Id of the session', ({ session }) => session?.callingStation)],
  [
    'nas_box',
    given('text', '', 'NAS-Identifier, NAS-IP-Address or source of the session', ({ session }) => session?.nasBox),
  ],
  ['command', { ...given('word', '', 'name of the command', ({ command }) => command), isGeneral: true }],
  ['nas', general('word', '', 'name of the NAS in nas.d', ({ name }) => name)],
];

const secret = withheld(
  'a secret',
  'passwords and keys would end up in command lines, histories and the process list: let the NAS or the script have its own',
);

const carbon: readonly (readonly [string, CommandVariable])[] = [
  ['ip', given('address', '', 'IPv4 address', ({ data }) => data?.key.address)],
  ['user_id', given('number', '', 'our number of the subscriber', ({ subject }) => subject?.subscriberId)],
  ['abonent_id', given('number', '', 'our number of the account', ({ subject }) => subject?.accountId)],
  ['usluga_id', given('text', '', 'name of the service that begins or ends', ({ service }) => service)],
  [
    'auth_type',
    given('number', '', '1 for IPoE; no value for PPP', ({ nas, subject }) => subject && nas.channel === 'dhcp' && 1),
  ],
  ['nas_ip', general('text', '', 'address of the NAS', ({ address }) => address)],
  ['rate_in', given('number', '1000 bit/s', `to the subscriber; ${unlimited}`, kbps('downBps'))],
  ['rate_out', given('number', '1000 bit/s', `from the subscriber; ${unlimited}`, kbps('upBps'))],
  ['ceil_in', given('number', '1000 bit/s', 'the same as rate_in', kbps('downBps'))],
  ['ceil_out', given('number', '1000 bit/s', 'the same as rate_out', kbps('upBps'))],
  ['burst_in', given('number', '1000 bit', '1.5 s of rate_in', kbps('downBps', normalBurstSeconds))],
  ['burst_out', given('number', '1000 bit', '1.5 s of rate_out', kbps('upBps', normalBurstSeconds))],
  ['cburst_in', given('number', '1000 bit', '3 s of rate_in', kbps('downBps', excessBurstSeconds))],
  ['cburst_out', given('number', '1000 bit', '3 s of rate_out', kbps('upBps', excessBurstSeconds))],
  ['telnet_login', general('text', '', 'login on the NAS', ({ sshUser }) => sshUser)],
  ['telnet_port', general('number', '', 'port of its console', ({ sshPort }) => sshPort)],
  [
    'snat_ip',
    withheld('address that the subscriber is translated to', 'translation is configured on the NAS: leave it out'),
  ],
  ...['coa_psw', 'telnet_password'].map((name) => [name, secret] as const),
];

function flag(value: boolean | undefined): 0 | 1 | undefined {
  return value === undefined ? undefined : value ? 1 : 0;
}

function addressClass({ data }: CommandContext): string | undefined {
  const octets = data?.key.address?.split('.').map(Number);
  const [third, fourth] = octets?.slice(2) ?? [];
  if (third === undefined || fourth === undefined) return undefined;
  // 0 and ffff are no classes of tc.
  const minor = third * 256 + fourth;
  return minor === 0 || minor === 0xffff ? undefined : minor.toString(16);
}

/**
 * All variables. `${name}` looks here, and the environment of a script has each that is not withheld and has a value.
 */
export const commandVariables: ReadonlyMap<string, CommandVariable> = new Map([
  // The last one of a name counts.
  ...expertBillingVariables,
  ...carbon,
  ...own,
]);

/** Every name with its value: what the environment of a script is made of. */
export function commandEnvironment(context: CommandContext): Record<string, string> {
  const environment: Record<string, string> = {};
  for (const [name, variable] of commandVariables) {
    if (variable.withheld !== undefined) continue;
    const value = valueText(variable, context);
    if (value !== undefined) environment[name] = value;
  }
  return environment;
}
