// Leases for real: dhclient, a relay that adds option 82, ISC dhcpd or Kea with the configuration of docs/dhcp.md, the hook, the inbox, lease events.
import { readdir } from 'node:fs/promises';
import t from 'tap';
import type { Test } from 'tap';
import { Inbox, inboxSinkOf } from '../../src/dhcp/inbox.js';
import { systemIntakeClock } from '../../src/dhcp/intake-clock.js';
import { IntakeLedger } from '../../src/dhcp/intake-ledger.js';
import type { LeaseEvent, LeaseEventKind } from '../../src/domain/lease-event.js';
import { leaseSeconds, startIscDhcpd, startKea, startRelay } from '../support/dhcp-daemons.js';
import {
  clientMac,
  documented,
  relayCircuitId,
  startDhcpNetwork,
  untilSaid,
  withoutDhcpNetwork,
} from '../support/dhcp-network.js';
import { KeptLeases } from '../support/intake.js';
import { until } from '../support/until.js';

const skip = await withoutDhcpNetwork();

/** The inbox of the host, as Sluice watches it, and every event that came of it. */
class WatchedInbox {
  readonly leases = new KeptLeases();
  readonly faults: string[] = [];
  readonly #folder: string;
  #inbox: Inbox | undefined;

  constructor(folder: string) {
    this.#folder = folder;
  }

  start(): void {
    this.#inbox = new Inbox({
      folder: this.#folder,
      source: 'dhcp1',
      sink: inboxSinkOf(this.leases),
      ledger: new IntakeLedger({ nowMs: Date.now, onFault: (_way, fault) => this.faults.push(fault) }),
      clock: systemIntakeClock,
      onError: (error) => this.faults.push(String(error)),
    });
    this.#inbox.start();
  }

  async stop(): Promise<void> {
    await this.#inbox?.stop();
  }

  of(kind: LeaseEventKind): LeaseEvent[] {
    return this.leases.events.filter((event) => event.kind === kind);
  }
}

async function watch(t: Test, folder: string): Promise<WatchedInbox> {
  const inbox = new WatchedInbox(folder);
  inbox.start();
  t.teardown(() => inbox.stop());
  return inbox;
}

const line = { circuitId: relayCircuitId, remoteId: null, subscriberId: null, switchMac: null, switchPort: null };

for (const { name, start, check, renewsWithLine } of [
  { name: 'ISC dhcpd', start: startIscDhcpd, check: 'check-isc', renewsWithLine: true },
  // A renewal goes to the server directly, and Kea tells what is in the packet.
  { name: 'Kea', start: startKea, check: 'check-kea', renewsWithLine: false },
]) {
  t.test(`${name}: a lease is given, renewed, released, and ends`, { skip, timeout: 180_000 }, async (t) => {
    const network = await startDhcpNetwork(t);
    const { server, client } = network;
    const daemons = [await start(network), await startRelay(network)];
    const inbox = await watch(t, server.inbox);
    t.teardown(() => {
      if (!t.passing()) for (const daemon of daemons) t.comment(daemon.said());
    });
    const nothing = (await readdir(server.inbox)).filter((one) => one !== 'rejected');
    t.same(nothing, []);

    daemons.push(client.start());
    await until(() => inbox.of('commit').length > 0);
    const [commit] = inbox.of('commit');
    t.match(commit, {
      kind: 'commit',
      via: 'hook',
      source: 'dhcp1',
      address: /^100\.65\.1\.\d+$/,
      mac: clientMac,
      timeDeclared: true,
      line,
    });
    await until(async () => (await client.address()) === commit!.address);
    const givenMs = commit!.leaseEndsAtMs! - commit!.eventAtMs;
    t.ok(givenMs > (leaseSeconds - 1) * 1_000 && givenMs <= leaseSeconds * 1_000, `given for ${String(givenMs)} ms`);

    await until(() => inbox.of('commit').some(({ eventAtMs }) => eventAtMs > commit!.eventAtMs + 2_000));
    const renewal = inbox.of('commit').find(({ eventAtMs }) => eventAtMs > commit!.eventAtMs + 2_000)!;
    t.match(renewal, { address: commit!.address, mac: clientMac }, 'a renewal');
    // The relay may have heard it as well, and added the line.
    if (renewsWithLine || renewal.line !== null) t.same(renewal.line, line);
    t.ok(renewal.leaseEndsAtMs! > commit!.leaseEndsAtMs! + 1_000, 'makes the lease longer');

    await client.release();
    await until(() => inbox.of('release').length > 0);
    t.match(inbox.of('release'), [{ address: commit!.address, mac: clientMac, leaseEndsAtMs: null }]);
    t.same(inbox.of('expiry'), []);

    // Sluice is away while a lease is given.
    await inbox.stop();
    const before = inbox.leases.events.length;
    daemons.push(client.start());
    await until(async () => (await client.address()) !== undefined);
    await client.vanish();
    await until(async () => (await readdir(server.inbox)).some((one) => /^\d/u.test(one)));
    const facts = await server.sh("stat -c '%a %U %G' /var/lib/sluice-inbox /var/lib/sluice-inbox/[0-9]*");
    const [folder, ...files] = facts.trim().split('\n');
    const user = name === 'Kea' ? '_kea' : 'root';
    t.equal(folder, `2770 ${user} sluice`);
    t.ok(files.length > 0 && files.every((one) => one === `640 ${user} sluice`), facts);
    await server.sh(
      'setpriv --reuid=sluice --regid=sluice --clear-groups sh -ec "cat /var/lib/sluice-inbox/[0-9]* && touch /var/lib/sluice-inbox/.x && rm /var/lib/sluice-inbox/.x"',
    );
    t.equal(inbox.leases.events.length, before);
    inbox.start();
    await until(() => inbox.of('commit').at(-1)!.eventAtMs > inbox.of('release')[0]!.eventAtMs);
    const last = inbox.of('commit').at(-1)!;
    t.match(last, { mac: clientMac, line }, 'and nothing is lost');

    await until(() => inbox.of('expiry').length > 0);
    const [expiry] = inbox.of('expiry');
    t.match(expiry, { address: last.address, mac: clientMac, line: null });
    t.ok(expiry!.eventAtMs >= last.leaseEndsAtMs! - 1_000, 'an expiry comes when the lease has ended');

    await server.sh(await documented(check));
    await until(() => inbox.of('expiry').some(({ address }) => address === '192.0.2.1'));
    t.same(inbox.faults, []);
    t.same(
      (await readdir(server.inbox)).filter((one) => one !== 'rejected'),
      [],
    );
  });
}

t.test('Kea: a client says that somebody else has its address', { skip, timeout: 120_000 }, async (t) => {
  const network = await startDhcpNetwork(t);
  const { server, client } = network;
  await startKea(network);
  await startRelay(network);
  const inbox = await watch(t, server.inbox);
  client.start();
  await until(async () => (await client.address()) !== undefined);
  const address = (await client.address())!;
  await client.decline(address, '10.0.0.1');
  await until(() => inbox.of('decline').length >= 2);
  // Once of the client; and once as a lease that is committed with this state, which is of nobody any more.
  t.ok(inbox.of('decline').every((event) => event.address === address));
  t.same(new Set(inbox.of('decline').map(({ mac }) => mac)), new Set([clientMac, null]));
  const declinedAtMs = inbox.of('decline')[0]!.eventAtMs;
  t.ok(
    inbox.of('commit').every(({ eventAtMs }) => eventAtMs < declinedAtMs),
    'a declined lease is no lease that was given',
  );
  t.same(inbox.faults, []);
});

t.test(
  'ISC dhcpd tells of a declined address as of a lease that has ended, and not whose',
  { skip, timeout: 120_000 },
  async (t) => {
    const network = await startDhcpNetwork(t);
    const { server, client } = network;
    const daemon = await startIscDhcpd(network);
    await startRelay(network);
    const inbox = await watch(t, server.inbox);
    client.start();
    await until(async () => (await client.address()) !== undefined);
    await until(() => inbox.of('commit').length > 0);
    await client.decline((await client.address())!, '10.0.0.1');
    await untilSaid(daemon, 'DHCPDECLINE of ');
    await until(() => inbox.of('expiry').length > 0);
    t.match(inbox.of('expiry'), [{ address: await client.address(), mac: null }]);
    t.same(inbox.of('decline'), []);
  },
);
