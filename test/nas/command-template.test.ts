// Command lines: what a template may say, what its variables are worth, and which templates are refused before anybody is hurt.
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import t from 'tap';
import { compileCommandTemplate, renderCommandLine } from '../../src/nas/command-template.js';
import type { CommandLine, Dialect } from '../../src/nas/command-template.js';
import type { CommandContext } from '../../src/nas/command-variable.js';
import { commandEnvironment, commandVariables } from '../../src/nas/command-variables.js';
import { checkout } from '../config/conf-folder.js';
import { contextWith, present } from './command-context.js';

function render(source: string, context: CommandContext = contextWith(), dialect: Dialect = 'posix'): CommandLine {
  const compiled = compileCommandTemplate(source, dialect);
  if (!compiled.ok) throw new Error(`${source}: ${compiled.problem}`);
  return renderCommandLine(compiled.template, context);
}

t.test('variables are replaced in both spellings, the longest name counting', async (t) => {
  const table: readonly [source: string, line: string][] = [
    ['add $login', "add 'ivanov'"],
    ['add ${login}', "add 'ivanov'"],
    ['add ${login}s', "add 'ivanov's"],
    ['add sluice-$subscriber_id', "add sluice-'17'"],
    ['add $ipn_ip_address', "add '100.64.3.7'"],
    ['add $subacc_ipn_ip_address', "add '100.64.3.7'"],
    ['add $acc_account_id-$subacc_id', "add '5'-'17'"],
    ['add $account_id $id', "add '5' '17'"],
    ['add $login $nas_login $telnet_login', "add 'ivanov' 'sluice' 'sluice'"],
    ['add $nas_port_id', "add 'ether1:100'"],
    ['rate $ceil_outk/$ceil_ink', "rate '10000'k/'50000'k"],
    ['rate ${ceil_out}k', "rate '10000'k"],
    ['rate $max_limit_tx/$max_limit_rx', "rate '10000000'/'50000000'"],
    ['echo $$login', 'echo $login'],
    ['echo $${HOME}', 'echo ${HOME}'],
    ['echo ${plan-none}', "echo 'home'"],
  ];
  for (const [source, line] of table) t.same(render(source), { outcome: 'line', line }, source);
});

t.test('a line whose variable has no value is not made, unless the template says what then', async (t) => {
  const bare = contextWith({ rate: { downBps: null, upBps: 1_500 }, key: { ...present.key, address: null } });
  t.same(render('add $ip', bare), { outcome: 'unsayable', text: '$ip has no value' });
  t.same(render('add ${ip-none}', bare), { outcome: 'line', line: 'add none' });
  t.same(render('${?ip} add $ip', bare), { outcome: 'left-out' });
  t.same(render('${!ip} flush', bare), { outcome: 'line', line: 'flush' });
  t.same(render('${!ip} flush'), { outcome: 'left-out' });
  t.same(render('${?rate_up_bps} set $rate_up_bps ${rate_down_bps-0}', bare), {
    outcome: 'line',
    line: "set '1500' 0",
  });
  t.same(
    render('set $max_limit_rx', bare),
    { outcome: 'line', line: "set '0'" },
    'the rate set of RouterOS has 0 for unlimited',
  );
});

t.test('a typed value that is not of its type is never sent', async (t) => {
  const wrong = contextWith({ key: { ...present.key, address: '10.0.0.1; reboot', mac: 'zz' } });
  t.same(render('add $ip', wrong), { outcome: 'unsayable', text: 'the value of $ip is no address' });
  t.same(render('add $mac', wrong), { outcome: 'unsayable', text: 'the value of $mac is no mac' });
});

t.test('refused at check-config, with the remedy', async (t) => {
  const table: readonly [dialect: Dialect, source: string, problem: RegExp, remedy: RegExp][] = [
    ['posix', 'add $logn', /uses \$logn, which is not known/u, /write \$login/u],
    ['posix', 'add $login_name', /not known/u, /./u],
    ['posix', 'add $password', /not given out/u, /passwords and keys/u],
    ['posix', 'add $nas_secret', /not given out/u, /passwords and keys/u],
    ['posix', 'add $coa_psw', /not given out/u, /passwords and keys/u],
    ['posix', 'add $ballance', /not given out/u, /money/u],
    ['posix', 'add 5$', /begins no variable/u, /\$\$/u],
    ['posix', 'add ${1}', /no variable/u, /write \$\{name\}/u],
    ['posix', 'add ${login-a b}', /may not stand there/u, /letters/u],
    ['posix', '', /is empty/u, /./u],
    ['posix', '${?ip}', /condition alone/u, /./u],
    ['posix', 'add ${?ip} $ip', /not at its beginning/u, /./u],
    ['posix', 'a\nb', /control character/u, /./u],
    ['posix', 'add "$login"', /inside quotes/u, /take the quotes away/u],
    ['posix', "add '$login'", /inside quotes/u, /take the quotes away/u],
    ['posix', 'awk \'{print "$login"}\'', /inside quotes/u, /./u],
    ['posix', 'add `f $login`', /backquotes/u, /./u],
    ['posix', 'add $$(f "$login")', /inside quotes/u, /./u],
    ['posix', 'add $${x:-$login}', /inside an expansion/u, /./u],
    ['posix', "add $${x:-'}'}", /not simple/u, /./u],
    ['posix', 'add $$(( $subscriber_id + 1 ))', /arithmetic/u, /./u],
    ['posix', 'add $$[ $subscriber_id + 1 ]', /not POSIX/u, /./u],
    ['posix', 'add \\$login', /backslash before a variable/u, /./u],
    ['posix', 'add $$$login', /\$ of the shell right before/u, /./u],
    ['posix', "add $$'a' $login", /not POSIX/u, /./u],
    ['posix', 'cat <<E $login', /here-document/u, /./u],
    ['posix', 'add a # $login', /comment/u, /./u],
    ['posix', '$login add', /where a command is named/u, /./u],
    ['posix', 'true; $login', /where a command is named/u, /./u],
    ['posix', 'if true; then $login; fi', /where a command is named/u, /./u],
    ['posix', 'add > $login', /redirects to a variable/u, /./u],
    ['posix', 'eval $login', /reads it as a program/u, /./u],
    ['posix', 'sh -c $login', /reads it as a program/u, /./u],
    ['posix', '[[ $login -eq 1 ]]', /\[\[/u, /./u],
    ['posix', 'add "a', /ends inside quotes/u, /./u],
    ['posix', 'add $login \\', /ends with a backslash/u, /./u],
    ['routeros', 'add name=$login"x"', /string right beside/u, /./u],
    ['routeros', 'add name="x"$login', /string right beside/u, /./u],
    ['routeros', 'add name="\\$login"', /backslash before/u, /./u],
    ['routeros', 'add name="$$x $login"', /\$ of the console/u, /./u],
    ['routeros', 'add name=$$x$login', /character beside a variable/u, /./u],
    ['routeros', 'add name=a\\ $login', /backslash outside/u, /./u],
    ['routeros', '$login add', /where a command is named/u, /./u],
    ['routeros', 'remove [$login]', /where a command is named/u, /./u],
    ['routeros', '# $login', /comment/u, /./u],
    ['routeros', 'remove [find name=$login', /inside a string or brackets/u, /./u],
    ['routeros', 'remove [find name=$login}', /do not match/u, /./u],
    ['ios', '$login', /where a command is named/u, /./u],
    ['ios', '! $login', /comment/u, /./u],
    ['ios', 'show $login ?', /asks for help/u, /./u],
  ];
  for (const [dialect, source, problem, remedy] of table) {
    const compiled = compileCommandTemplate(source, dialect);
    t.notOk(compiled.ok, `${dialect}: ${JSON.stringify(source)}`);
    if (compiled.ok) continue;
    t.match(compiled.problem, problem, source);
    t.match(compiled.remedy, remedy, source);
  }
});

t.test('what a shell and RouterOS can say is left as it is', async (t) => {
  const table: readonly [dialect: Dialect, source: string, line: string][] = [
    ['posix', 'printf "%s\\n" $login | tc -batch -', `printf "%s\\n" 'ivanov' | tc -batch -`],
    [
      'posix',
      "nft add element inet sluice users '{' $ip comment \\\"sluice-$subscriber_id\\\" '}'",
      `nft add element inet sluice users '{' '100.64.3.7' comment \\"sluice-'17'\\" '}'`,
    ],
    ['posix', 'f $$(g $login) "$$(h)"', `f $(g 'ivanov') "$(h)"`],
    ['posix', 'x=$login f', "x='ivanov' f"],
    ['posix', 'if test -n $login; then f; fi', "if test -n 'ivanov'; then f; fi"],
    [
      'routeros',
      '/queue simple remove [find comment=sluice-$subscriber_id]',
      '/queue simple remove [find comment=sluice-17]',
    ],
    [
      'routeros',
      'add name=$login max-limit=$max_limit_tx/$max_limit_rx',
      'add name="ivanov" max-limit=10000000/50000000',
    ],
    ['routeros', 'set [find interface=<$access_type-$login>]', 'set [find interface="<ipoe-ivanov>"]'],
    ['routeros', 'add comment="of $login"', 'add comment="of ivanov"'],
    ['routeros', ':put ("a\\"b" . $login)', ':put ("a\\"b" . "ivanov")'],
    ['ios', 'access-template 180 NETAMS host $ip any', 'access-template 180 NETAMS host 100.64.3.7 any'],
  ];
  for (const [dialect, source, line] of table)
    t.same(render(source, contextWith(), dialect), { outcome: 'line', line }, source);
});

t.test('every variable of the seed systems is known in both spellings, and no secret under any name', async (t) => {
  const account =
    'account_id ballance credit datetime tarif_id access_parameters_id time_access_service_id traffic_transmit_service_id cost reset_tarif_cost settlement_period_id tarif_active acctf_id account_created disabled_by_limit balance_blocked nas_id ipn_status ipn_speed vpn_speed ipn_added allow_express_pay account_status username password current_acctf allow_ipn_with_null allow_ipn_with_minus allow_ipn_with_block userblock_max_days';
  const subaccount =
    'id account_id username password vpn_ip_address ipn_ip_address ipn_mac_address nas_id ipn_added ipn_enabled need_resync speed switch_id switch_port allow_dhcp allow_dhcp_with_null allow_dhcp_with_minus allow_dhcp_with_block allow_vpn_with_null allow_vpn_with_minus allow_vpn_with_block associate_pptp_ipn_ip associate_pppoe_ipn_mac ipn_speed vpn_speed allow_addonservice allow_ipn_with_null allow_ipn_with_minus allow_ipn_with_block vlan vpn_ipv6_ip_address ipv4_ipn_pool_id ipv4_vpn_pool_id';
  const device =
    'id type name ipaddress secret login password allow_pptp allow_pppoe allow_ipn user_add_action user_enable_action user_disable_action user_delete_action vpn_speed_action ipn_speed_action reset_action speed_vendor_1 speed_vendor_2 speed_attr_id1 speed_attr_id2 speed_value1 speed_value2 identify subacc_add_action subacc_enable_action subacc_disable_action subacc_del_action subacc_ipn_speed_action acct_interim_interval';
  const alone =
    'access_type session max_limit_tx max_limit_rx burst_limit_tx burst_limit_rx burst_treshold_tx burst_treshold_rx burst_time_tx burst_time_rx priority min_limit_tx min_limit_rx nas_port_id framed_ip_address ip login user_id auth_type nas_ip coa_psw snat_ip acct_session_id rate_in rate_out ceil_in ceil_out burst_in burst_out cburst_in cburst_out telnet_login telnet_password telnet_port';
  for (const [prefix, names] of [
    ['acc_', account],
    ['subacc_', subaccount],
    ['nas_', device],
    ['', alone],
  ] as const) {
    for (const name of names.split(' ')) {
      for (const spelling of new Set([name, `${prefix}${name}`])) {
        const variable = commandVariables.get(spelling);
        t.ok(variable, spelling);
        const isSecret = /password|secret|psw/u.test(spelling);
        const value = variable?.valueOf(contextWith());
        if (isSecret) t.match(variable?.withheld, /passwords and keys/u, spelling);
        else
          t.ok(
            variable?.withheld !== undefined || (value !== undefined && value !== ''),
            `${spelling} has a value or a reason`,
          );
      }
    }
  }
});

t.test('the environment of a script has every variable that has a value, under its own name', async (t) => {
  const environment = commandEnvironment(contextWith());
  t.match(environment, {
    login: 'ivanov',
    subacc_username: 'ivanov',
    ip: '100.64.3.7',
    user_id: '17',
    rate_in: '50000',
    command: 'user_add',
    blocked: '0',
  });
  t.notOk(Object.keys(environment).some((name) => /password|secret|psw/u.test(name)));
  t.notHas(commandEnvironment(contextWith({ rate: { downBps: null, upBps: null } })), { rate_in: '0' });
  t.notOk(
    'rate_in' in commandEnvironment(contextWith({ rate: { downBps: null, upBps: null } })),
    'unlimited is no value',
  );
});

t.test('the document lists every variable with its unit and meaning, and no other', async (t) => {
  const document = await readFile(join(checkout, 'docs/nas-commands.md'), 'utf8');
  const rows = [
    ...(document.split('\n## Variables\n')[1] ?? '').matchAll(/^\| `([a-z0-9_]+)` \| ([^|]*) \| (.+) \|$/gmu),
  ].map(([, name, unit, meaning]) => [name, unit?.trim(), meaning]);
  const expected = [...commandVariables].map(([name, { unit, meaning, withheld }]) => [
    name,
    unit,
    withheld === undefined ? meaning : `${meaning}; refused: ${withheld}`,
  ]);
  t.same(rows, expected);
});
