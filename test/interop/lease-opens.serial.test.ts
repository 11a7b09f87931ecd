/**
 * A lease is access, for real: dhclient behind a relay that adds option 82, ISC dhcpd or Kea with the configuration of docs/dhcp.md, the hook or the relay's copies with
 * leasequery, the whole server, and a Linux router over SSH. Holds: the client's requests pass while it has a lease, and only then.
 */
import { chmod } from 'node:fs/promises';
import t from 'tap';
import type { Test } from 'tap';
import { runIn } from '../cli/command-line.js';
import { freshDatabase } from '../support/database.js';
import { waitFor } from '../support/deadline.js';
import { startIscDhcpd, startKea, startRelay } from '../support/dhcp-daemons.js';
import { joinDhcpNetwork, withoutDhcpNetwork, type Daemon, type DhcpNetwork } from '../support/dhcp-network.js';
import { management, startLinuxRouter, viewFrom, withoutLinuxRouter, world } from '../support/linux-router.js';
import { run } from '../support/namespaces.js';
import { TestServer } from '../support/server.js';
import { addAccount, addPlan, addPool, addSubscriber } from '../support/subscriber-rows.js';

const skip = (await withoutLinuxRouter()) || (await withoutDhcpNetwork());
/** A lease travels in some tenths of a second; this machine may be busy with others, ms. */
const FOLLOW_TIMEOUT_MS = 60_000;

/** The relay names its link and no device: a rule says which device that is. */
const lines = `[[rule]]
name = "our-router"
circuit_id = { text = 'eth[0-9]+' }
absent = ["remote_id"]
set = { device = "router1", port = "eth1" }

[[rule]]
preset = "default"
`;

interface Way {
  readonly name: string;
  /** Starts the server and the relay. */
  readonly start: (network: DhcpNetwork) => Promise<Daemon[]>;
  readonly isByPackets?: true;
  /** Where the server keeps its leases. */
  readonly leaseFile: string;
}

const ways: readonly Way[] = [
  {
    name: 'ISC dhcpd and its hook',
    leaseFile: '/var/lib/dhcp/dhcpd.leases',
    start: async (network) => [await startIscDhcpd(network), await startRelay(network, 'eth2')],
  },
  {
    name: 'Kea and its hook',
    leaseFile: '/var/lib/kea/kea-leases4.csv',
    start: async (network) => [await startKea(network), await startRelay(network, 'eth2')],
  },
  {
    name: "copies of the relay's packets, and leasequery",
    isByPackets: true,
    leaseFile: '/var/lib/dhcp/dhcpd.leases',
    start: async (network) => [
      await startIscDhcpd(network, 'allow leasequery;'),
      await startRelay(network, 'eth2', ['-iu eth9', management.host]),
    ],
  },
];

async function house(t: Test, way: Way) {
  const nas = await startLinuxRouter(t);
  const network = await joinDhcpNetwork(t, nas.router, nas.home);
  await nas.home.run('ip', 'address', 'flush', 'dev', 'eth0');
  const database = await freshDatabase(t);
  const { pool } = database;
  await addPool(pool, '100.65.1.0/24', []);
  await pool.query(`INSERT INTO device (kind_id, name) SELECT id, 'router1' FROM device_kind WHERE name = 'mikrotik'`);
  const accountId = await addAccount(pool, { planId: await addPlan(pool) });
  await addSubscriber(pool, { accountId, login: 'alice', device_id: 1, port: 'eth1' });
  if (way.isByPackets === true) {
    // Our own address towards the DHCP server, and the way back.
    await run('ip', 'route', 'add', '10.0.0.1', 'via', management.nas);
    t.teardown(() => run('ip', 'route', 'delete', '10.0.0.1').catch(() => undefined));
  }
  const daemons = await way.start(network);
  const server = await TestServer.start(t, {
    databaseUrl: database.url,
    files: {
      'nas.d/localhost.toml':
        `name = "linux"\naddress = "${management.nas}"\nprofile = "linux-nft-ssh"\nsecret = "pk3Lx9Qv7Tz1Wd5Rb8Ym"\n` +
        `[ssh]\nuser = "root"\nkey_file = "key"\nconnections = 2\nhost_key = "${nas.fingerprint}"\n`,
      key: nas.clientKey,
      'lines.toml': lines,
    },
    more: [
      '[[dhcp.networks]]\nnetwork = "100.65.1.0/24"\nnas = "linux"\n',
      ...(way.isByPackets === true
        ? [
            `[[dhcp.relays]]\nname = "router1"\nsource = "${management.nas}"\ngiaddr = "100.65.1.1"\nleasequery_servers = ["10.0.0.1"]\n`,
          ]
        : [`[[intake.inboxes]]\nname = "dhcp1"\nfolder = "${network.server.inbox}"\n`]),
    ],
    ...(way.isByPackets === true && { settings: { dhcp: { listen: [`${management.host}:67`] } } }),
  });
  return { nas, network, pool, server, daemons };
}

for (const way of ways) {
  t.test(way.name, { skip, timeout: 240_000 }, async (t) => {
    const { nas, network, pool, server, daemons } = await house(t, way);
    const { client } = network;
    await chmod(network.server.inbox, 0o2770).catch(() => undefined);
    const look = viewFrom(nas.home);
    const sees = async (wanted: string): Promise<void> => {
      await waitFor(`${way.name}: ${wanted}`, FOLLOW_TIMEOUT_MS, async () => {
        return (await look(`http://${world}/`)).text === wanted;
      }).catch(async (error: unknown) => {
        const { rows } = await pool.query(
          `SELECT (SELECT jsonb_agg(l) FROM lease l) AS leases, (SELECT jsonb_agg(r) FROM lease_refusal r) AS refused,
             (SELECT jsonb_agg(e) FROM enforcement e) AS places, (SELECT jsonb_agg(s) FROM session s) AS sessions`,
        );
        t.comment(JSON.stringify(rows[0]), JSON.stringify(server.logs.slice(-12)));
        for (const daemon of daemons) t.comment(daemon.said());
        throw error;
      });
      t.pass(wanted);
    };

    daemons.push(client.start());
    await sees('the world');
    t.match((await pool.query('SELECT nas_name, port, state FROM lease')).rows, [
      { nas_name: 'linux', port: 'eth1', state: 'bound' },
    ]);
    t.ok((await pool.query(`SELECT FROM subscriber WHERE logged`)).rowCount, 'online');

    const imported = await runIn(
      ['--conf', server.confDir, '--data', server.dataDir, 'import', 'leases', '-', '--dry-run', '--json'],
      { stdin: await network.server.sh(`cat ${way.leaseFile}`) },
    );
    t.equal(imported.code, 0, imported.stderr);
    t.match(
      imported.json(),
      { addresses: 1, ended: 0, opened: 0, closed: 0, refused: {}, errors: 0 },
      'the file of the server says what its events said, read beside the running server',
    );

    await client.release();
    await waitFor('the end of the lease', FOLLOW_TIMEOUT_MS, async () => {
      return (await pool.query(`SELECT FROM lease WHERE state = 'ended'`)).rowCount === 1;
    });
    const users = () => nas.router.run('nft', 'list', 'set', 'inet', 'sluice', 'users');
    await waitFor(
      'the router to let go of the address',
      FOLLOW_TIMEOUT_MS,
      async () => !(await users()).includes('100.65.1.'),
    );

    daemons.push(client.start());
    await sees('the world');
    if (way.isByPackets === true) {
      // The release is not heard, because the server is away: it asks when it is back.
      await server.stop();
      await client.release();
      await TestServer.start(t, { again: server });
      await waitFor(
        'the lease to be asked about',
        FOLLOW_TIMEOUT_MS,
        async () => !(await users()).includes('100.65.1.'),
      );
      return;
    }
    // A client that is switched off says nothing: the DHCP server does, when its lease has expired.
    await client.vanish();
    await waitFor('the lease to expire', FOLLOW_TIMEOUT_MS, async () => !(await users()).includes('100.65.1.'));
    t.match((await pool.query('SELECT end_cause FROM lease')).rows, [{ end_cause: 'expiry' }]);
  });
}
