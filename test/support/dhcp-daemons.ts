/**
 * Daemons that speak DHCP, as docs/dhcp.md sets them up. Enters: the network of a test. Leaves: a relay, ISC dhcpd or Kea, ready. Invariant: what is started is what
 * the document says, but for the length of leases.
 */
import { daemonOf, documented, untilSaid } from './dhcp-network.js';
import type { Daemon, DhcpNetwork } from './dhcp-network.js';

/** Leases of the tests, seconds: long enough to be renewed, short enough to be waited for. */
export const leaseSeconds = 12;

/**
 * The relay of the document.
 * @param uplink its link towards servers
 * @param more servers beside the one of the document, addresses
 */
export async function startRelay(
  { relay }: DhcpNetwork,
  uplink = 'eth0',
  more: readonly string[] = [],
): Promise<Daemon> {
  const command = (await documented('dhcrelay')).trim().replace('-iu eth0', `-iu ${uplink}`);
  const daemon = daemonOf(relay.start('sh', '-c', `exec ${[command, ...more].join(' ')} 2>&1`));
  await untilSaid(daemon, 'Sending on   Socket/fallback');
  return daemon;
}

/** @param more of its configuration, at the end */
export async function startIscDhcpd({ server }: DhcpNetwork, more = ''): Promise<Daemon> {
  const configuration = await documented('dhcpd.conf');
  await server.sh(await documented('inbox-isc'));
  await server.write('/etc/dhcp/dhcpd.conf', configuration);
  await server.sh('dhcpd -t -cf /etc/dhcp/dhcpd.conf');
  await server.write(
    '/etc/dhcp/dhcpd.conf',
    `${configuration.replaceAll('-lease-time 600;', `-lease-time ${String(leaseSeconds)};`)}\n${more}`,
  );
  await server.write('/var/lib/dhcp/dhcpd.leases', '');
  const daemon = server.start('sh', '-c', 'exec dhcpd -4 -f -d -cf /etc/dhcp/dhcpd.conf eth0 2>&1');
  await untilSaid(daemon, 'Server starting service.');
  return daemon;
}

/** As the user that Debian has for it, with the capabilities of its unit. */
const asKea =
  'setpriv --reuid=_kea --regid=_kea --init-groups --inh-caps=+net_bind_service,+net_raw --ambient-caps=+net_bind_service,+net_raw';

export async function startKea({ server }: DhcpNetwork): Promise<Daemon> {
  const configuration = await documented('kea-dhcp4.conf');
  await server.sh(await documented('inbox-kea'));
  await server.sh(await documented('kea-script'));
  await server.write('/etc/kea/kea-dhcp4.conf', configuration);
  await server.sh('kea-dhcp4 -t /etc/kea/kea-dhcp4.conf');
  const file = JSON.parse(configuration) as { Dhcp4: Record<string, unknown> };
  Object.assign(file.Dhcp4, {
    'valid-lifetime': leaseSeconds,
    'expired-leases-processing': { 'reclaim-timer-wait-time': 1 },
    loggers: [{ name: 'kea-dhcp4', severity: 'INFO', output_options: [{ output: 'stdout' }] }],
  });
  await server.write('/etc/kea/kea-dhcp4.conf', JSON.stringify(file));
  const environment = 'KEA_PIDFILE_DIR=/run/kea KEA_LOCKFILE_DIR=/run/lock/kea';
  const daemon = server.start('sh', '-c', `exec env ${environment} ${asKea} kea-dhcp4 -c /etc/kea/kea-dhcp4.conf 2>&1`);
  await untilSaid(daemon, 'DHCP4_STARTED');
  return daemon;
}
