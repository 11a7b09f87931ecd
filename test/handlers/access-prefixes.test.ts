// IPv6 prefixes in Accepts, decided in memory: which state gets them, that they are one record with the address, and what becomes of them when the
// answer cannot be given.

import t from 'tap';
import { Attribute } from '../../src/radius/attribute-number.js';
import { Code } from '../../src/radius/code.js';
import type { Packet } from '../../src/radius/packet.js';
import { Desk, SECRET, type DeskOptions } from '../support/access-desk.js';
import { accessRequest, type BuiltRequest } from '../support/radius-client.js';

const MAC = '00:11:22:33:44:55';
const MAIN = { id: 7, name: 'main', routingDomain: 'default' } as const;
const LINK = { id: 8, name: 'link6', routingDomain: 'default', kind: 'framed-prefix' } as const;
const HOME = { id: 9, name: 'home6', routingDomain: 'default', kind: 'delegated-prefix' } as const;

let identifier = 0;
function request(fields: { userName?: string; mac?: string } = {}): BuiltRequest {
  identifier = (identifier + 1) % 256;
  return accessRequest({
    secret: SECRET,
    identifier,
    userName: fields.userName ?? 'alice',
    password: 'wonderland',
    callingStationId: fields.mac ?? MAC,
  });
}

/** Two of everything, unless said otherwise. */
async function town(
  test: Parameters<typeof Desk.open>[0],
  options: DeskOptions = {},
  free: { readonly links?: number; readonly homes?: number } = {},
): Promise<Desk> {
  const desk = await Desk.open(test, options);
  desk.directory.replacePools([MAIN, LINK, HOME]);
  desk.addPlan({ poolId: MAIN.id, framedPoolId: LINK.id, delegatedPoolId: HOME.id });
  desk.directory.putAccount({ id: 1, contract: 'C-1', planId: 1, adminBlocked: false });
  desk.addSubscriber({ staticAddress: undefined });
  for (let i = 0; i < 4; i++) desk.free.push({ poolId: MAIN.id, address: 0x6440_0100 + i });
  for (let i = 0; i < (free.links ?? 2); i++)
    desk.free.push({ poolId: LINK.id, address: `2001:db8:0:${String(i + 1)}::/64` });
  for (let i = 0; i < (free.homes ?? 2); i++)
    desk.free.push({ poolId: HOME.id, address: `2001:db8:${String(i + 1)}00::/56` });
  return desk;
}

function said(reply: Packet | undefined): unknown {
  if (reply?.code !== Code.accessAccept) return reply === undefined ? 'silence' : 'reject';
  return {
    address: reply.address(Attribute.framedIpAddress),
    framed: reply.ipv6Prefix(Attribute.framedIpv6Prefix),
    delegated: reply.ipv6Prefix(Attribute.delegatedIpv6Prefix),
  };
}

const all = { address: '100.64.1.0', framed: '2001:db8:0:1::/64', delegated: '2001:db8:100::/56' };

t.test('address and both prefixes are one record, and the same again for the same device', async (test) => {
  const desk = await town(test);
  test.same(said((await desk.ask(request())).reply), all);
  test.match(desk.grants, [
    {
      subscriberId: 1,
      slot: 0,
      granted: [
        { poolId: 7, address: 0x6440_0100 },
        { poolId: 8, address: '2001:db8:0:1::/64' },
        { poolId: 9, address: '2001:db8:100::/56' },
      ],
    },
  ]);
  test.equal(desk.grants.length, 1);
  test.same(said((await desk.ask(request())).reply), all, 'asked again');
  test.equal(desk.directory.offers.size, 1);
  desk.directory.offers.expire(desk.nowMs + 3_600_000);
  test.same(
    said((await desk.ask(request())).reply),
    all,
    'and when the offer is long forgotten: they are kept for him',
  );
});

t.test('what cannot be recorded is given back, all of it', async (test) => {
  const desk = await town(test, {}, { links: 1, homes: 1 });
  desk.spool = 'refuses';
  test.equal((await desk.ask(request())).discarded, 'spool-unavailable');
  desk.spool = 'writes';
  test.match(said((await desk.ask(request())).reply), { framed: all.framed, delegated: all.delegated });
});

t.test('one empty pool is a Reject, and what the others had goes to somebody else', async (test) => {
  const desk = await town(test, {}, { links: 1, homes: 0 });
  test.equal(said((await desk.ask(request())).reply), 'reject');
  test.equal(desk.attempts.at(-1)?.reason, 'pool-empty');
  test.same(desk.grants, []);
  desk.nowMs += 60_000;
  desk.free.push({ poolId: HOME.id, address: '2001:db8:900::/56' });
  test.match(said((await desk.ask(request())).reply), { framed: all.framed, delegated: '2001:db8:900::/56' });
});

t.test('prefixes beside a static address and without any address', async (test) => {
  const desk = await town(test);
  desk.addSubscriber({ staticAddress: 0x0a00_0001 });
  test.same(said((await desk.ask(request())).reply), { ...all, address: '10.0.0.1' });
  test.same(
    desk.grants.map(({ granted }) => granted.length),
    [2],
    'what is his anyway is in no record',
  );
  test.same(said((await desk.ask(request())).reply), { ...all, address: '10.0.0.1' }, 'again');
  const six = await town(test);
  six.addPlan({ delegatedPoolId: HOME.id });
  test.same(said((await six.ask(request())).reply), {
    address: undefined,
    framed: undefined,
    delegated: all.delegated,
  });
});

t.test('static prefixes come before pools, need no record, and serve one session', async (test) => {
  const desk = await town(test);
  desk.addPlan({ poolId: MAIN.id, sessionLimit: 2 });
  desk.directory.setStaticPrefixes(1, { framed: '2001:db8:f::/64', delegated: '2001:db8:f00::/48' });
  const own = { framed: '2001:db8:f::/64', delegated: '2001:db8:f00::/48' };
  test.match(said((await desk.ask(request())).reply), own);
  test.same(desk.grants[0]?.granted, [{ address: 0x6440_0100, poolId: 7 }]);
  test.same(
    said((await desk.ask(request({ mac: '66:77:88:99:aa:bb' }))).reply),
    { address: '100.64.1.1', framed: undefined, delegated: undefined },
    'the second session goes without',
  );
});

t.test('a prefix of somebody else is not given: not his own by contract, nor one that he uses', async (test) => {
  const desk = await town(test, {}, { links: 3, homes: 3 });
  desk.directory.setStaticPrefixes(2, { framed: undefined, delegated: '2001:db8:100:80::/60' });
  desk.directory.sessionStarted({
    nasName: 'bras1',
    nasBox: 'x',
    acctSessionId: 'other',
    subscriberId: 3,
    mac: undefined,
    nasPortId: undefined,
    address: undefined,
    prefixes: ['2001:db8:0:1::/64'],
    routingDomain: 'default',
    startedAtMs: desk.nowMs,
  });
  test.match(said((await desk.ask(request())).reply), { framed: '2001:db8:0:2::/64', delegated: '2001:db8:200::/56' });
  desk.directory.setStaticPrefixes(1, { framed: '2001:db8:0:1::/64', delegated: undefined });
  test.equal(said((await desk.ask(request({ mac: '66:77:88:99:aa:bb' }))).reply), 'reject');
});

t.test('an active subscriber alone gets them, unless the profile says that its garden covers IPv6', async (test) => {
  const desk = await town(test);
  desk.addSubscriber({ staticAddress: undefined, redirect: true });
  test.same(said((await desk.ask(request())).reply), { address: all.address, framed: undefined, delegated: undefined });
  const profile = `description = "garden for both"
channel = "vpn"
[state.active]
answer = "accept"
[state.redirect]
answer = "accept"
prefixes = true
attributes = [{ name = "Filter-Id", value = "garden" }]
`;
  const covered = await town(test, { profile: 'both', files: { 'profiles/both.toml': profile } });
  covered.addSubscriber({ staticAddress: undefined, redirect: true });
  test.same(said((await covered.ask(request())).reply), all);
});

t.test('a profile says them in its own way', async (test) => {
  const profile = `description = "its own way"
channel = "vpn"
prefix_attributes = [
  { name = "Framed-IPv6-Prefix", value = "\${framed_prefix}" },
  { name = "Framed-IPv6-Address", value = "\${framed_prefix_address}" },
  { name = "Framed-Interface-Id", value = "\${interface_id}" },
  { name = "Framed-IPv6-Pool", value = "\${delegated_prefix_pool}" },
]
[state.active]
answer = "accept"
`;
  const desk = await town(test, { profile: 'own', files: { 'profiles/own.toml': profile } });
  const { reply } = await desk.ask(request());
  test.equal(reply!.ipv6Prefix(Attribute.framedIpv6Prefix), '2001:db8:0:1::/64');
  test.equal(reply!.address(Attribute.framedIpv6Address), '2001:db8:0:1::1');
  test.equal(reply!.first(Attribute.framedInterfaceId)?.toString('hex'), '021122fffe334455');
  test.equal(reply!.text(Attribute.framedIpv6Pool), 'home6');
  test.equal(reply!.ipv6Prefix(Attribute.delegatedIpv6Prefix), undefined, 'what it does not say is not sent');
});

t.test('a plan whose pool gives something else, or in another routing domain, is a Reject', async (test) => {
  const desk = await town(test);
  desk.addPlan({ poolId: MAIN.id, delegatedPoolId: LINK.id });
  test.equal(said((await desk.ask(request())).reply), 'reject');
  test.equal(desk.attempts.at(-1)?.reason, 'no-pool');
  desk.directory.replacePools([MAIN, { ...LINK, routingDomain: 'vrf' }, HOME]);
  desk.addPlan({ poolId: MAIN.id, framedPoolId: LINK.id });
  test.equal(said((await desk.ask(request())).reply), 'reject');
});
