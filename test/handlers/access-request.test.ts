// Access-Requests as a NAS sends them, and the packets that come back.

import { createHash, createHmac } from 'node:crypto';
import t from 'tap';
import { Attribute, MicrosoftAttribute, Vendor } from '../../src/radius/attribute-number.js';
import { Code } from '../../src/radius/code.js';
import { ntPasswordHash } from '../../src/radius/nt-hash.js';
import { parsePacket, type Packet } from '../../src/radius/packet.js';
import { SharedSecret } from '../../src/radius/shared-secret.js';
import { sealPassword } from '../../src/radius/stored-password.js';
import { policyHash } from '../../src/domain/policy-hash.js';
import { formatPoolAddress } from '../../src/domain/pool-address.js';
import { Desk, SEAL_KEY, SECRET } from '../support/access-desk.js';
import { accessRequest, statusServer, type AccessRequestOptions } from '../support/radius-client.js';
import { until } from '../support/until.js';

const MAC = '00:11:22:33:44:55';

function request(options: Partial<AccessRequestOptions> = {}) {
  return accessRequest({
    secret: SECRET,
    userName: 'alice',
    password: 'wonderland',
    nasIpAddress: '192.0.2.1',
    callingStationId: MAC,
    ...options,
  });
}

async function home(
  test: Parameters<typeof Desk.open>[0],
  options: Parameters<typeof Desk.open>[1] = {},
): Promise<Desk> {
  const desk = await Desk.open(test, options);
  desk.addPlan();
  desk.addAccount();
  desk.addSubscriber();
  return desk;
}

function said(packet: Packet | undefined): string {
  if (!packet) return 'nothing';
  return packet.code === Code.accessAccept
    ? 'accept'
    : packet.code === Code.accessReject
      ? 'reject'
      : String(packet.code);
}

t.test('PAP with a static address', async (test) => {
  const desk = await home(test);
  const { reply } = await desk.ask(request());
  test.equal(said(reply), 'accept');
  test.equal(reply!.address(Attribute.framedIpAddress), '100.64.0.1');
  test.equal(reply!.uint32(Attribute.acctInterimInterval), 600);
  test.equal(reply!.vendorText(Vendor.mikrotik, 8), '10000k/50000k');
  test.equal(reply!.uint32(Attribute.serviceType), 2);
  test.notOk(reply!.has(Attribute.sessionTimeout), 'nothing needs one');
  test.match(desk.cookie.read(reply!), { subscriberId: 1, policyHash: policyHash('active', 50_000_000, 10_000_000) });
  test.match(desk.attempts, [
    {
      login: 'alice',
      mac: MAC,
      nasName: 'bras1',
      subscriberId: 1,
      outcome: 'accept',
      reason: 'active',
      address: 0x6440_0001,
    },
  ]);
  test.equal(desk.handler.counters.accept.get('active'), 1);
  test.same(desk.grants, [], 'what is his own is no spool record');
});

t.test('every method against every stored form', async (test) => {
  const salt = Buffer.from('salt');
  const sha1 = createHash('sha1').update('wonderland').update(salt).digest();
  const forms: readonly [string, string, readonly string[]][] = [
    ['cleartext', 'wonderland', ['pap', 'chap', 'mschap1', 'mschap2']],
    ['sealed', sealPassword('wonderland', 1, SEAL_KEY), ['pap', 'chap', 'mschap1', 'mschap2']],
    ['NT hash', `{NT}${ntPasswordHash('wonderland').toString('hex')}`, ['pap', 'mschap1', 'mschap2']],
    ['SSHA', `{SSHA}${Buffer.concat([sha1, salt]).toString('base64')}`, ['pap']],
    ['none', '', []],
    ['sealed under another key', sealPassword('wonderland', 2, SEAL_KEY), []],
  ];
  const desk = await home(test);
  for (const [name, password, accepted] of forms) {
    desk.addSubscriber({ password });
    for (const method of ['pap', 'chap', 'mschap1', 'mschap2'] as const) {
      const { reply } = await desk.ask(request({ method }));
      test.equal(said(reply), accepted.includes(method) ? 'accept' : 'reject', `${method}, ${name}`);
      const wrong = await desk.ask(request({ method, password: 'queen' }));
      test.equal(said(wrong.reply), 'reject', `${method}, ${name}, wrong password`);
    }
  }
  const reasons = new Set(desk.attempts.map((one) => one.reason));
  for (const reason of ['wrong-password', 'method-needs-cleartext', 'stored-password-unreadable', 'no-stored-password'])
    test.ok(reasons.has(reason), reason);
});

t.test('MS-CHAP replies carry what the client waits for', async (test) => {
  const desk = await home(test);
  const { microsoft } = Vendor;
  const second = (await desk.ask(request({ method: 'mschap2' }))).reply!;
  test.match(second.vendorFirst(microsoft, MicrosoftAttribute.chap2Success)!.toString('latin1'), /S=[0-9A-F]{40}$/);
  for (const key of [MicrosoftAttribute.mppeSendKey, MicrosoftAttribute.mppeRecvKey])
    test.equal(second.vendorFirst(microsoft, key)?.length, 34);
  const first = (await desk.ask(request({ method: 'mschap1' }))).reply!;
  test.equal(first.vendorFirst(microsoft, MicrosoftAttribute.chapMppeKeys)?.length, 32);
  const wrong = (await desk.ask(request({ method: 'mschap2', password: 'queen' }))).reply!;
  test.equal(said(wrong), 'reject');
  test.match(wrong.vendorFirst(microsoft, MicrosoftAttribute.chapError)!.toString('latin1'), /E=691 R=0/);
  test.notOk(
    (await desk.ask(request())).reply!.vendorFirst(microsoft, MicrosoftAttribute.mppeSendKey),
    'and only those',
  );
});

t.test('a slow hash is answered later, with the state of then', async (test) => {
  const desk = await home(test);
  // bcrypt at its lowest cost, of "wonderland".
  const bcrypt = (await import('bcrypt')).default;
  desk.addSubscriber({ password: await bcrypt.hash('wonderland', 4) });
  test.equal(said((await desk.ask(request())).reply), 'accept');
  const pending = desk.ask(request({ password: 'other' }));
  desk.addSubscriber({ deleted: true });
  test.equal(said((await pending).reply), 'reject');
  test.equal(desk.attempts.at(-1)?.reason, 'deleted');
});

t.test('rejects say little, and the same to whoever proved nothing', async (test) => {
  const desk = await home(test);
  const messages: Record<string, string | undefined> = {};
  const ask = async (name: string, options: Partial<AccessRequestOptions> = {}) => {
    const { reply } = await desk.ask(request(options));
    test.equal(said(reply), 'reject', name);
    test.notOk(reply!.has(Attribute.class) || reply!.has(Attribute.framedIpAddress), `${name}: nothing but a text`);
    messages[name] = reply!.text(Attribute.replyMessage);
  };
  await ask('wrong-password', { password: 'queen' });
  await ask('unknown-login', { userName: 'nobody' });
  desk.addSubscriber({ adminBlocked: true });
  await ask('blocked, wrong password', { password: 'queen' });
  await ask('admin-blocked');
  desk.addSubscriber({ deleted: true });
  await ask('deleted');
  test.equal(messages['wrong-password'], messages['unknown-login']);
  test.equal(messages['wrong-password'], messages['blocked, wrong password']);
  test.equal(messages['wrong-password'], messages['deleted']);
  test.equal(messages['admin-blocked'], 'Service suspended');
});

t.test('a walled garden has its own attributes', async (test) => {
  const desk = await home(test);
  desk.addSubscriber({ redirect: true });
  const { reply } = await desk.ask(request());
  test.equal(said(reply), 'accept');
  test.equal(reply!.vendorText(Vendor.mikrotik, 19), 'sluice-redirect');
  test.equal(reply!.vendorText(Vendor.mikrotik, 8), '1000k/1000k', 'not the rate of the plan');
  test.equal(desk.cookie.read(reply!)?.policyHash, policyHash('redirect', 50_000_000, 10_000_000));
});

t.test('the rate is that of the hour, and turbo goes before it', async (test) => {
  const desk = await home(test);
  // 12:00 UTC is 15:00 in Moscow.
  const evening = {
    id: 1,
    weekdays: [6],
    fromMinute: 15 * 60 + 1,
    untilMinute: 16 * 60,
    rateDownBps: 20e6,
    rateUpBps: undefined,
  };
  desk.addPlan({ rateWindows: [evening] });
  const rate = async () => {
    const { reply } = await desk.ask(request());
    return [reply!.vendorText(Vendor.mikrotik, 8), desk.cookie.read(reply!)?.policyHash];
  };
  test.same(await rate(), ['10000k/50000k', policyHash('active', 50e6, 10e6)]);
  desk.nowMs += 60_000;
  const inTheEvening = await rate();
  test.equal(inTheEvening[1], policyHash('active', 20e6, undefined), 'Class proves it');
  test.not(inTheEvening[0], '10000k/50000k');
  desk.directory.setTurbo(1, { rateDownBps: 100e6, rateUpBps: 30e6, untilMs: desk.nowMs + 60_000 });
  test.same(await rate(), ['30000k/100000k', policyHash('active', 100e6, 30e6)]);
  desk.nowMs += 60_000;
  test.same(await rate(), inTheEvening, 'turbo is over, the evening is not');
});

t.test('a plan that ends soon ends the session with it', async (test) => {
  const desk = await home(test);
  desk.addPlan({ validUntilMs: desk.nowMs + 90_500 });
  test.equal((await desk.ask(request())).reply!.uint32(Attribute.sessionTimeout), 91);
  desk.nowMs += 90_500;
  test.equal(said((await desk.ask(request())).reply), 'reject');
  test.equal(desk.attempts.at(-1)?.reason, 'plan-inactive');
});

const dynamic = async (test: Parameters<typeof Desk.open>[0], addresses = 4): Promise<Desk> => {
  const desk = await home(test);
  desk.directory.replacePools([{ id: 7, name: 'main', routingDomain: 'default' }]);
  desk.addPlan({ poolId: 7 });
  desk.addSubscriber({ staticAddress: undefined });
  for (let i = 0; i < addresses; i++) desk.free.push({ poolId: 7, address: 0x6440_0100 + i });
  return desk;
};

t.test('a first address is on disk before the Accept leaves', async (test) => {
  const desk = await dynamic(test);
  await desk.reserve.start();
  desk.spool = 'holds';
  let answered = false;
  const asked = desk.ask(request()).then((answer) => {
    answered = true;
    return answer;
  });
  await until(() => desk.heldGrantCount === 1);
  await new Promise((resolve) => setImmediate(resolve));
  test.equal(answered, false, 'no answer before the sync');
  desk.writeGrants(true);
  const { reply } = await asked;
  const address = reply!.address(Attribute.framedIpAddress);
  test.match(desk.grants, [
    {
      subscriberId: 1,
      slot: 0,
      granted: [{ poolId: 7 }],
      routingDomain: 'default',
      offerId: desk.cookie.read(reply!)!.offerId,
    },
  ]);
  test.equal(address, formatPoolAddress(desk.grants[0]!.granted[0]!.address));

  const again = await desk.ask(request({ identifier: 2 }));
  test.equal(again.reply!.address(Attribute.framedIpAddress), address, 'asked again: the same offer again');
  test.equal(desk.cookie.read(again.reply!)!.offerId, desk.grants[0]!.offerId);
  await until(() => desk.heldGrantCount === 1);
  desk.writeGrants(true);
  test.match(
    desk.grants[1],
    { ...desk.grants[0]!, expiresAtMs: Number },
    'that it is promised for longer is told as well',
  );
  const other = await desk.ask(request({ identifier: 3, callingStationId: '66:77:88:99:aa:bb' }));
  test.equal(said(other.reply), 'reject', 'another device: the slot is promised');
  test.equal(desk.attempts.at(-1)?.reason, 'session-limit');
});

t.test('what cannot be recorded is not answered, and not lost', async (test) => {
  const desk = await dynamic(test, 1);
  desk.spool = 'refuses';
  test.equal((await desk.ask(request())).discarded, 'spool-unavailable');
  desk.spool = 'writes';
  const { reply } = await desk.ask(request({ identifier: 2 }));
  test.equal(said(reply), 'accept', 'the address came back');
  test.equal(desk.attempts[0]?.outcome, 'discard');
});

t.test('a grant whose sync failed may be on disk: its address is not used again', async (test) => {
  const desk = await dynamic(test, 2);
  desk.spool = 'fails';
  test.equal((await desk.ask(request())).discarded, 'spool-unavailable');
  desk.spool = 'writes';
  const { reply } = await desk.ask(request({ identifier: 2 }));
  test.equal(reply!.address(Attribute.framedIpAddress), '100.64.1.1', 'the other one');
});

t.test('an empty pool is a Reject for one, never silence', async (test) => {
  const desk = await dynamic(test, 1);
  test.equal(said((await desk.ask(request())).reply), 'accept');
  desk.addSubscriber({ id: 2, login: 'bob', staticAddress: undefined });
  test.equal(
    said((await desk.ask(request({ userName: 'bob', callingStationId: '66:77:88:99:aa:bb' }))).reply),
    'reject',
  );
  test.equal(desk.attempts.at(-1)?.reason, 'pool-empty');
  test.same(desk.directory.offers.ofSubscriber(2), [], 'a rejected request takes nothing');
});

t.test('the zombie of the same device does not keep its owner out; another device is kept out', async (test) => {
  const desk = await dynamic(test);
  const first = (await desk.ask(request())).reply!;
  const address = first.address(Attribute.framedIpAddress)!;
  desk.directory.sessionStarted({
    nasName: 'bras1',
    nasBox: '192.0.2.1',
    acctSessionId: 's1',
    subscriberId: 1,
    mac: MAC,
    nasPortId: undefined,
    address: Number(desk.grants[0]!.granted[0]!.address),
    routingDomain: 'default',
    startedAtMs: desk.nowMs,
    offerId: desk.cookie.read(first)!.offerId,
  });
  test.same(desk.directory.offers.ofSubscriber(1), [], 'the Start used the offer up');
  const back = await desk.ask(request({ identifier: 2 }));
  test.equal(back.reply!.address(Attribute.framedIpAddress), address, 'takes over slot and address');
  const other = await desk.ask(request({ identifier: 3, callingStationId: '66:77:88:99:aa:bb' }));
  test.equal(said(other.reply), 'reject');
  desk.directory.sessionEnded('bras1', '192.0.2.1', 's1', desk.nowMs + 1, desk.nowMs + 1);
  for (const offer of desk.directory.offers.ofSubscriber(1)) desk.directory.offers.remove(offer);
  test.equal(said((await desk.ask(request({ identifier: 4, callingStationId: '66:77:88:99:aa:bb' }))).reply), 'accept');
});

const ipoe = `description = "IPoE by MAC"
channel = "dhcp"
identity = ["mac"]
send_netmask = true
[mac_authorisation]
no_password = ["empty", "mac"]
[state.active]
answer = "accept"
[state.unknown]
answer = "accept"
pool = "guests"
session_timeout_seconds = 300
attributes = [{ name = "Filter-Id", value = "guest" }]
`;

t.test('MAC authorisation, and guests', async (test) => {
  const desk = await Desk.open(test, { files: { 'profiles/ipoe.toml': ipoe }, profile: 'ipoe' });
  desk.addPlan();
  desk.addAccount();
  desk.addSubscriber({ mac: MAC });
  const ask = (options: Partial<AccessRequestOptions>) => desk.ask(request({ userName: '0011.2233.4455', ...options }));
  const known = (await ask({ password: '' })).reply!;
  test.equal(said(known), 'accept', 'the NAS vouches for the line');
  test.equal(known.address(Attribute.framedIpNetmask), '255.255.255.255');
  test.equal(said((await ask({ password: '00-11-22-33-44-55' })).reply), 'accept');
  test.equal(said((await ask({ password: '66-77-88-99-aa-bb' })).reply), 'reject', 'another MAC is a wrong password');
  test.equal(said((await ask({ password: 'wonderland' })).reply), 'accept', 'or the right one');
  const guest = (await ask({ userName: '66:77:88:99:aa:bb', callingStationId: '66:77:88:99:aa:bb', password: '' }))
    .reply!;
  test.equal(said(guest), 'accept');
  test.equal(guest.text(Attribute.framedPool), 'guests');
  test.equal(guest.text(Attribute.filterId), 'guest');
  test.equal(guest.uint32(Attribute.sessionTimeout), 300);
  test.notOk(guest.has(Attribute.class) || guest.has(Attribute.framedIpAddress), 'nobody we could promise anything to');
  desk.addSubscriber({ id: 2, login: 'bob', mac: MAC, staticAddress: undefined });
  test.equal(said((await ask({ password: '' })).reply), 'reject', 'two with one MAC');
  test.equal(desk.attempts.at(-1)?.reason, 'ambiguous');
});

t.test('of two secrets, the one that the password was hidden with signs the reply', async (test) => {
  const desk = await home(test);
  const old = new SharedSecret('the-old-secret-of-this-nas');
  const unproven = { proven: false, secrets: [desk.secret, old] };
  const { reply } = await desk.ask(request({ secret: old, withMessageAuthenticator: false }), unproven);
  test.equal(said(reply), 'accept', 'openReply has verified it under the old secret');
});

t.test('silence only when the server as a whole cannot decide', async (test) => {
  const cold = await Desk.open(test, { loaded: false });
  test.equal((await cold.ask(request())).discarded, 'not-loaded');
  test.equal(
    (await cold.ask(statusServer({ secret: SECRET }))).discarded,
    'not-loaded',
    'nor does Status-Server say that all is well',
  );
  const desk = await Desk.open(test);
  test.equal(
    (await desk.ask(request({ nasIdentifier: 'x' }))).discarded,
    undefined,
    'a NAS-Identifier that no entry names is anybody',
  );
  desk.handler.drain();
  test.equal((await desk.ask(request())).discarded, 'draining');
  test.equal(desk.handler.counters.discard.get('draining'), 1);
  const overloaded = await home(test, { overrides: { passwords: { check: () => ({ outcome: 'overloaded' }) } } });
  test.equal((await overloaded.ask(request())).discarded, 'overloaded');
  const broken = await home(test, {
    overrides: { passwords: { check: () => Promise.reject(new Error('a fault of ours')) } },
  });
  test.equal((await broken.ask(request())).discarded, 'internal-error');
  test.equal(broken.errors.length, 1);
});

t.test('Status-Server is answered with a bare Accept', async (test) => {
  const desk = await Desk.open(test);
  const { reply } = await desk.ask(statusServer({ secret: SECRET }));
  test.equal(said(reply), 'accept');
  test.equal(reply!.length, 20 + 18, 'with Message-Authenticator and nothing else');
});

t.test('Proxy-State comes back; too much of it costs the answer, not the server', async (test) => {
  const desk = await home(test);
  const withStates = (count: number) =>
    request({
      fill: (packet) =>
        void Array.from({ length: count }, (_, i) => packet.addOctets(Attribute.proxyState, Buffer.alloc(250, i))),
    });
  const { reply } = await desk.ask(withStates(3));
  test.same(
    reply!.all(Attribute.proxyState).map((one) => one[0]),
    [0, 1, 2],
  );
  test.equal((await desk.ask(withStates(15))).discarded === undefined, true);
});

t.test('hostile names are names', async (test) => {
  const desk = await home(test);
  for (const userName of [
    "' OR 1=1 --",
    '"; /system reboot',
    'a\u0000b',
    '../../etc/passwd',
    '\u001b[2J',
    'x'.repeat(253),
    ' ',
    'ALICE',
  ])
    test.equal(said((await desk.ask(request({ userName }))).reply), 'reject', JSON.stringify(userName).slice(0, 40));
  test.same(desk.errors, []);
});

t.test('Class is believed only when it is ours', async (test) => {
  const desk = await home(test);
  const evidence = { subscriberId: 2 ** 48 - 1, policyHash: 0xffff_ffff, offerId: 2 ** 48 - 1 };
  const value = desk.cookie.encode(evidence);
  test.equal(value.length, 27);
  test.same(desk.cookie.decode(value), evidence);
  for (let i = 0; i < value.length * 8; i++) {
    const forged = Buffer.from(value);
    forged[i >> 3]! ^= 1 << (i & 7);
    if (desk.cookie.decode(forged)) test.fail(`bit ${String(i)} may be changed`);
  }
  test.equal(desk.cookie.decode(value.subarray(0, 26)), undefined);
  test.equal(desk.cookie.decode(Buffer.alloc(0)), undefined);
  const tag = createHmac('sha256', Buffer.alloc(32, 9)).update('sluice class').update(value.subarray(0, 17)).digest();
  test.same(value.subarray(17), tag.subarray(0, 10), 'HMAC-SHA256 as Node computes it');
  const packet = accessRequest({
    secret: SECRET,
    fill: (some) =>
      void some
        .addOctets(Attribute.class, Buffer.from('of a proxy'))
        .addOctets(Attribute.class, Buffer.alloc(27, 1))
        .addOctets(Attribute.class, value),
  });
  const parsed = parsePacket(packet.bytes);
  test.same(parsed.ok && desk.cookie.read(parsed.packet), evidence, 'the first genuine one of several');
  test.throws(() => desk.cookie.encode({ ...evidence, subscriberId: -1 }), RangeError);
});
