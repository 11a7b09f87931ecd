/**
 * The variables of ExpertBilling's templates, plain and with the prefixes `acc_`, `subacc_` and `nas_`.
 *
 * Enters: the context of one command. Leaves: a table of names. Invariant: every name that its documents list is here, with a value or with the reason
 * why it has none; the spelling of the names (`treshold`, `ballance`) is theirs.
 */
import type { PresentService } from '../domain/service-state.js';
import { general, given, withheld } from './command-variable.js';
import type { CommandContext, CommandVariable } from './command-variable.js';

type Named = readonly [string, CommandVariable];

const secret = withheld(
  'a secret',
  'passwords and keys would end up in command lines, histories and the process list: let the NAS have its own',
);
const money = withheld('money', 'money changes without a command to the NAS, so it would be stale there: leave it out');
const foreign = withheld('an id of ExpertBilling', 'nothing here has it: leave it out, or use $plan or $subscriber_id');
const tariff = withheld('a switch of a tariff', 'what follows from it is in $blocked, $redirect and $own_disabled');
const action = withheld('a template', 'templates stand in the profile: write the line itself');

const number = (meaning: string, valueOf: CommandVariable['valueOf']): CommandVariable =>
  given('number', '', meaning, valueOf);
const flag = (meaning: string, holds: (data: PresentService) => boolean): CommandVariable =>
  given('flag', '', meaning, ({ data }) => (data === undefined ? undefined : holds(data) ? 1 : 0));

const subscriberId = number('our number of the subscriber', ({ subject }) => subject?.subscriberId);
const accountId = number('our number of the account', ({ subject }) => subject?.accountId);
const login = given('text', '', 'login of the subscriber', ({ data }) => data?.key.login);
const address = given('address', '', 'IPv4 address', ({ data }) => data?.key.address);
const nasName = general('word', '', 'name of the NAS in nas.d', ({ name }) => name);
const speed = given('text', 'bit/s', 'rate from / to the subscriber; 0 is unlimited', ({ data }) =>
  data === undefined ? undefined : `${limit(data.rate.upBps)}/${limit(data.rate.downBps)}`,
);

function limit(bps: number | null): number {
  return bps === null ? 0 : Math.max(1, Math.round(bps));
}

const mayPass = flag(
  '1 while the subscriber may use the service',
  ({ blocked, redirect, ownDisabled }) => !blocked && !redirect && !ownDisabled,
);
const always = flag('1', () => true);
const never = flag('0', () => false);
// 1 active, 2 blocked by the administration, 4 blocked by himself.
const status = number('1 active, 2 blocked by the administration, 4 voluntarily blocked', ({ data }) =>
  data === undefined ? undefined : data.blocked ? 2 : data.ownDisabled ? 4 : 1,
);

const account: readonly Named[] = [
  ['account_id', accountId],
  ['id', accountId],
  ['contract', given('text', '', 'contract of the account', ({ subject }) => subject?.contract)],
  ['ballance', money],
  ['credit', money],
  ['cost', money],
  ['datetime', withheld('a date', 'the NAS has a clock: leave it out')],
  ['account_created', withheld('a date', 'leave it out')],
  ['tarif_id', given('text', '', 'name of the plan', ({ subject }) => subject?.plan)],
  ['access_parameters_id', foreign],
  ['time_access_service_id', foreign],
  ['traffic_transmit_service_id', foreign],
  ['settlement_period_id', foreign],
  ['acctf_id', foreign],
  ['current_acctf', foreign],
  ['reset_tarif_cost', tariff],
  ['allow_express_pay', tariff],
  ['userblock_max_days', tariff],
  ['tarif_active', always],
  ['disabled_by_limit', flag('1 while in the walled garden, for whatever reason', ({ redirect }) => redirect)],
  ['balance_blocked', flag('1 while in the walled garden, for whatever reason', ({ redirect }) => redirect)],
  ['nas_id', nasName],
  ['ipn_status', mayPass],
  ['ipn_speed', speed],
  ['vpn_speed', speed],
  ['ipn_added', always],
  ['account_status', status],
  ['username', login],
  ['password', secret],
  ['allow_ipn_with_null', tariff],
  ['allow_ipn_with_minus', tariff],
  ['allow_ipn_with_block', tariff],
];

const subaccount: readonly Named[] = [
  ['id', subscriberId],
  ['account_id', accountId],
  ['username', login],
  ['password', secret],
  ['vpn_ip_address', address],
  ['ipn_ip_address', address],
  ['ipn_mac_address', given('mac', '', 'MAC, aa:bb:cc:dd:ee:ff', ({ data }) => data?.key.mac)],
  ['vpn_ipv6_ip_address', given('prefix', '', 'IPv6 prefix of the link', ({ data }) => data?.key.framedPrefix)],
  ['nas_id', nasName],
  ['ipn_added', always],
  ['ipn_enabled', mayPass],
  ['need_resync', never],
  ['speed', speed],
  ['ipn_speed', speed],
  ['vpn_speed', speed],
  ['switch_id', withheld('a switch', 'no command depends on it yet: leave it out')],
  ['switch_port', withheld('a port', 'no command depends on it yet: leave it out')],
  ['vlan', withheld('a VLAN', 'no command depends on it yet: use $nas_port_id of the session')],
  ['ipv4_ipn_pool_id', foreign],
  ['ipv4_vpn_pool_id', foreign],
  ...[
    ...['dhcp', 'vpn', 'ipn'].flatMap((channel) =>
      ['null', 'minus', 'block'].map((rule) => `allow_${channel}_with_${rule}`),
    ),
    'allow_dhcp',
    'associate_pptp_ipn_ip',
    'associate_pppoe_ipn_mac',
    'allow_addonservice',
  ].map((name): Named => [name, tariff]),
];

const channelFlag = (meaning: string, channel: 'vpn' | 'dhcp'): CommandVariable =>
  general('flag', '', meaning, (nas) => (nas.channel === channel ? 1 : 0));

const nas: readonly Named[] = [
  ['id', nasName],
  ['type', general('word', '', 'profile of the NAS', ({ profile }) => profile)],
  ['name', nasName],
  ['ipaddress', general('text', '', 'address of the NAS', (one) => one.address)],
  ['login', general('text', '', 'login on the NAS', ({ sshUser }) => sshUser)],
  ['identify', general('text', '', 'NAS-Identifier of its entry', ({ identifier }) => identifier)],
  ['secret', secret],
  ['password', secret],
  ['allow_pptp', channelFlag('1 for PPP', 'vpn')],
  ['allow_pppoe', channelFlag('1 for PPP', 'vpn')],
  ['allow_ipn', channelFlag('1 for IPoE', 'dhcp')],
  ['acct_interim_interval', withheld('a setting of RADIUS', 'it is sent in the Accept: leave it out')],
  ...[
    'user_add_action',
    'user_enable_action',
    'user_disable_action',
    'user_delete_action',
    'vpn_speed_action',
    'ipn_speed_action',
    'reset_action',
    'subacc_add_action',
    'subacc_enable_action',
    'subacc_disable_action',
    'subacc_del_action',
    'subacc_ipn_speed_action',
    'speed_vendor_1',
    'speed_vendor_2',
    'speed_attr_id1',
    'speed_attr_id2',
    'speed_value1',
    'speed_value2',
  ].map((name): Named => [name, action]),
];

const bits = (meaning: string, valueOf: (data: PresentService) => number): CommandVariable =>
  given('number', 'bit/s', meaning, ({ data }) => (data === undefined ? undefined : valueOf(data)));
const noBurst = given('number', 'bit/s', '0: no burst', ({ data }) => (data === undefined ? undefined : 0));
const noBurstTime = given('number', 'seconds', '0: no burst', ({ data }) => (data === undefined ? undefined : 0));

const rateSet: readonly Named[] = [
  [
    'access_type',
    given('word', '', 'pppoe for PPP, ipoe for IPoE', ({ nas: { channel } }: CommandContext) =>
      channel === 'vpn' ? 'pppoe' : 'ipoe',
    ),
  ],
  ['session', given('text', '', 'Acct-Session-Id', (context) => context.session?.acctSessionId)],
  ['framed_ip_address', address],
  ['max_limit_tx', bits('what the subscriber sends; 0 is unlimited', ({ rate }) => limit(rate.upBps))],
  ['max_limit_rx', bits('what the subscriber receives; 0 is unlimited', ({ rate }) => limit(rate.downBps))],
  ['min_limit_tx', bits('0: nothing is guaranteed', () => 0)],
  ['min_limit_rx', bits('0: nothing is guaranteed', () => 0)],
  ...['tx', 'rx'].flatMap((direction): Named[] => [
    [`burst_limit_${direction}`, noBurst],
    [`burst_treshold_${direction}`, noBurst],
    [`burst_threshold_${direction}`, noBurst],
    [`burst_time_${direction}`, noBurstTime],
  ]),
  ['priority', general('number', '', '8, the lowest of RouterOS', () => 8)],
];

function prefixed(prefix: string, variables: readonly Named[]): Named[] {
  return variables.map(([name, variable]) => [`${prefix}${name}`, variable]);
}

/** Plain and prefixed. Of a plain name that stands in several groups the last one counts: the subscriber's, then the account's. */
export const expertBillingVariables: readonly Named[] = [
  ...nas,
  ...account,
  ...subaccount,
  ...rateSet,
  ...prefixed('nas_', nas),
  ...prefixed('acc_', account),
  ...prefixed('subacc_', subaccount),
];
