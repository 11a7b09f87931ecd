// DHCP clients that a NAS asks about: found by their access line, answered with address, rate and time, and everything that is refused.

import t from 'tap';
import { accountingFact, type FactReading } from '../../src/handlers/accounting-record.js';
import { resolveSubscriber } from '../../src/handlers/identity.js';
import { LiveSessionNotes } from '../../src/app/live-session-notes.js';
import type { Option82Auth } from '../../src/domain/subscriber.js';
import { Attribute, Vendor } from '../../src/radius/attribute-number.js';
import { Code } from '../../src/radius/code.js';
import { parsePacket, type Packet } from '../../src/radius/packet.js';
import type { RequestBuilder } from '../../src/radius/request.js';
import { Desk, SECRET } from '../support/access-desk.js';
import { accessRequest, accountingRequest } from '../support/radius-client.js';

const [HIS, NEW, STRANGE] = ['02:00:00:00:00:01', '02:00:00:00:00:02', '02:00:00:00:00:99'];
const SWITCH = '3c:33:32:66:43:50';

/** RouterOS with a guest network; each test may say more. */
const profile = (more = '') => `description = "DHCP"
channel = "dhcp"
identity = ["line", "mac"]
${more}
[mac_authorisation]
no_password = ["empty"]
[state.active]
answer = "accept"
session_timeout_seconds = 3600
attributes = [{ name = "Mikrotik-Rate-Limit", value = "\${rate_up_kbps}k/\${rate_down_kbps}k" }]
[state.unknown]
answer = "accept"
pool = "guest"
session_timeout_seconds = 120
attributes = [{ name = "Mikrotik-Rate-Limit", value = "1000k/1000k" }]
`;

/** Option 82 of a D-Link: the switch, and a port. */
function line(port: number, mac = SWITCH): (request: RequestBuilder) => void {
  const circuit = Buffer.from([0, 4, 0, 100, 0, port]);
  const remote = Buffer.from(`0006${mac.replaceAll(':', '')}`, 'hex');
  return (request) => {
    request.addVendor(Vendor.adslForum, 1, circuit);
    request.addVendor(Vendor.adslForum, 2, remote);
  };
}

/** What RouterOS asks for a client; an empty password is an attribute without octets. */
function client(mac: string, fill?: (request: RequestBuilder) => void, framedAddress?: string) {
  const digits = mac.split(':').map((group) => Number.parseInt(group, 16).toString(16));
  return accessRequest({
    secret: SECRET,
    userName: mac.toUpperCase(),
    nasIpAddress: '192.0.2.1',
    callingStationId: `1:${digits.join(':')}`,
    password: '',
    fill: (request) => {
      // Another number for every session.
      request.addUint32(Attribute.nasPort, sequence++);
      if (framedAddress !== undefined) request.addAddress(Attribute.framedIpAddress, framedAddress);
      fill?.(request);
    },
  });
}
let sequence = 1;

async function home(
  test: Parameters<typeof Desk.open>[0],
  own: { readonly option82Auth?: Option82Auth; readonly mac?: string | undefined } = {},
  more = '',
): Promise<Desk> {
  const desk = await Desk.open(test, { profile: 'ours', files: { 'profiles/ours.toml': profile(more) } });
  desk.addPlan();
  desk.addAccount();
  desk.directory.plugged.putDevice({ id: 1, mac: SWITCH, name: null, serial: null, byPort: true });
  desk.addSubscriber({ password: undefined, mac: HIS, hasDevice: true, ...own });
  desk.directory.plugged.plugIn(1, { deviceId: 1, port: '5' });
  return desk;
}

function said(reply: Packet | undefined): string {
  if (reply === undefined) return 'silence';
  if (reply.code === Code.accessReject) return `reject: ${reply.text(Attribute.replyMessage) ?? ''}`;
  return [
    reply.address(Attribute.framedIpAddress) ?? reply.text(88),
    `${String(reply.uint32(Attribute.sessionTimeout))} s`,
    reply.vendorText(Vendor.mikrotik, 8),
    reply.has(Attribute.class) ? 'Class' : 'no Class',
  ].join(', ');
}

const served = '100.64.0.1, 3600 s, 10000k/50000k, Class';
const guest = 'guest, 120 s, 1000k/1000k, no Class';

t.test('his address for the time of a lease, whatever device he has; a guest comes again soon', async (test) => {
  const desk = await home(test);
  const ask = async (mac: string, fill?: (request: RequestBuilder) => void) =>
    said((await desk.ask(client(mac, fill))).reply);
  test.equal(await ask(HIS, line(5)), served);
  test.match(desk.attempts.at(-1), { outcome: 'accept', reason: 'active', mac: HIS, subscriberId: 1 });
  test.equal(await ask(HIS, line(6)), guest, 'nobody is at port 6');
  test.match(desk.attempts.at(-1), { outcome: 'accept', reason: 'unknown', mac: HIS, subscriberId: undefined });
  test.equal(await ask(STRANGE, line(5, '3c:33:32:66:43:51')), guest, 'nobody knows the switch');
  test.equal(await ask(HIS), guest, 'known by a line that is not told');
  desk.directory.plugged.plugIn(1, { deviceId: 1, port: '6' });
  test.equal(await ask(HIS, line(6)), served, 'he moved');
});

t.test('where strangers are rejected, the reason is noted', async (test) => {
  const desk = await Desk.open(test, { profile: 'mikrotik-dhcp' });
  desk.addPlan();
  desk.addAccount();
  desk.directory.plugged.putDevice({ id: 1, mac: SWITCH, name: null, serial: null, byPort: true });
  desk.addSubscriber({ password: undefined, mac: HIS, hasDevice: true });
  desk.directory.plugged.plugIn(1, { deviceId: 1, port: '5' });
  const table: [what: string, mac: string, fill: ((request: RequestBuilder) => void) | undefined, expected: string][] =
    [
      ['his port', STRANGE, line(5), 'active'],
      ['a port of nobody', STRANGE, line(6), 'unknown-line'],
      [
        'octets of nobody',
        STRANGE,
        (request) => request.addVendor(Vendor.adslForum, 1, Buffer.from([255])),
        'unknown-line',
      ],
      ['his MAC, and no line', HIS, undefined, 'untold-line'],
      ['nobody’s MAC, and no line', STRANGE, undefined, 'unknown-mac'],
    ];
  for (const [what, mac, fill, expected] of table) {
    await desk.ask(client(mac, fill));
    test.equal(desk.attempts.at(-1)?.reason, expected, what);
  }
});

t.test('option82_auth decides between line and MAC', async (test) => {
  const table: [auth: Option82Auth, mac: string, port: number | undefined, expected: string, reason: string][] = [
    ['port', HIS, 5, served, 'active'],
    ['port', STRANGE, 5, served, 'active'],
    ['port', HIS, 6, guest, 'unknown'],
    ['port', HIS, undefined, guest, 'unknown'],
    ['port-mac', HIS, 5, served, 'active'],
    ['port-mac', STRANGE, 5, 'reject: Not allowed from this device', 'mac-binding'],
    ['port-mac', HIS, 6, 'reject: Not allowed here', 'line-binding'],
    ['port-mac', HIS, undefined, 'reject: Not allowed here', 'line-binding'],
    ['port-mac', STRANGE, 6, guest, 'unknown'],
    ['mac', HIS, 5, served, 'active'],
    ['mac', HIS, 6, served, 'active'],
    ['mac', HIS, undefined, served, 'active'],
    ['mac', STRANGE, 5, guest, 'unknown'],
  ];
  for (const [auth, mac, port, expected, reason] of table)
    for (const bySubscriber of [true, false]) {
      const desk = await home(
        test,
        bySubscriber ? { option82Auth: auth } : {},
        bySubscriber ? '' : `option82_auth = "${auth}"`,
      );
      const { reply } = await desk.ask(client(mac, port === undefined ? undefined : line(port)));
      const what = `${auth} by the ${bySubscriber ? 'subscriber' : 'profile'}, ${mac} at ${String(port)}`;
      test.equal(said(reply), expected, what);
      test.equal(desk.attempts.at(-1)?.reason, reason, what);
    }
});

t.test('the NAS vouches for whom it found by line, and for nobody by login', async (test) => {
  const desk = await home(test, { mac: undefined });
  const ask = async (password: string | undefined, userName = STRANGE) =>
    said(
      (
        await desk.ask(
          accessRequest({
            secret: SECRET,
            userName,
            nasIpAddress: '192.0.2.1',
            callingStationId: STRANGE,
            fill: line(5),
            ...(password !== undefined && { password }),
          }),
        )
      ).reply,
    );
  test.equal(await ask(''), served);
  test.equal(
    await ask('olt 7', 'olt 7'),
    'reject: Authentication failed',
    'the profile does not say that it may be so',
  );
  test.equal(desk.attempts.at(-1)?.reason, 'no-stored-password');
  test.equal(await ask(undefined), 'reject: Authentication failed');
  test.equal(desk.attempts.at(-1)?.reason, 'no-password');
  desk.addSubscriber({ password: 'wonderland', hasDevice: true });
  test.equal(await ask('wonderland'), served, 'a password that is right is right');
  test.equal(await ask('queen'), 'reject: Authentication failed');

  const both = await home(test, { mac: HIS }, '');
  const byLogin = await Desk.open(test, {
    profile: 'ours',
    files: { 'profiles/ours.toml': profile().replace('["line", "mac"]', '["login", "line"]') },
  });
  byLogin.addPlan();
  byLogin.addAccount();
  byLogin.addSubscriber({ password: undefined, hasDevice: true });
  byLogin.directory.plugged.putDevice({ id: 1, mac: SWITCH, name: null, serial: null, byPort: true });
  byLogin.directory.plugged.plugIn(1, { deviceId: 1, port: '5' });
  const typed = accessRequest({
    secret: SECRET,
    userName: 'alice',
    password: '',
    nasIpAddress: '192.0.2.1',
    fill: line(5),
  });
  test.match(said((await byLogin.ask(typed)).reply), /^reject/u, 'who types a login needs its password');
  test.equal(said((await both.ask(client(HIS, line(5)))).reply), served);
});

t.test(
  'another device at his port takes the place of the old one, and accounting is his by Class and by line',
  async (test) => {
    const desk = await home(test);
    const rules = {
      identity: ['line', 'mac'],
      option82Auth: 'port',
      realm: { handling: 'keep', suffixSeparators: '', prefixSeparators: '', only: [] },
      mac: { formats: ['colon'], sources: ['User-Name'] },
    } as const;
    const notes = new LiveSessionNotes(desk.directory, () => rules);
    const reading: FactReading = { readClass: (packet) => desk.cookie.read(packet), lineOf: desk.lineOf };
    const start = (mac: string, acctSessionId: string, accept: Packet | undefined) => {
      const request = accountingRequest({
        secret: SECRET,
        status: 'start',
        userName: mac.toUpperCase(),
        acctSessionId,
        framedIpAddress: '100.64.0.1',
        fill: line(5),
        ...(accept && { class: Buffer.from(accept.first(Attribute.class)!) }),
      });
      const parsed = parsePacket(request.bytes);
      if (!parsed.ok) throw new Error(parsed.reason);
      const record = { nasName: 'bras1', routingDomain: 'default', sourceAddress: '192.0.2.1', packet: parsed.packet };
      const fact = accountingFact(record, desk.nowMs, reading)!;
      if (fact.status !== 'start') throw new Error(fact.status);
      notes.note(fact);
      return { mac: fact.mac, whose: resolveSubscriber(desk.directory, rules, fact), line: fact.line?.read };
    };
    const first = (await desk.ask(client(HIS, line(5)))).reply;
    test.same(
      start(HIS, 's1', first),
      { mac: HIS, whose: 1, line: undefined },
      'with a Class nobody looks at the line',
    );
    test.equal(desk.directory.sessions.ofSubscriber(1).length, 1);

    const { reply } = await desk.ask(client(NEW, line(5)));
    test.equal(said(reply), served, 'his new router, while the old one counts as online');
    test.same(start(NEW, 's2', undefined), { mac: NEW, whose: 1, line: 'line' }, 'a NAS that does not send Class back');
    test.same(
      desk.directory.sessions.ofSubscriber(1).map(({ slot, mac }) => [mac, slot]),
      [
        [HIS, 0],
        [NEW, 0],
      ],
    );
    const third = (await desk.ask(client(STRANGE, line(5)))).reply;
    test.equal(said(third), served, 'however many he had');

    test.equal(said((await desk.ask(client(NEW, undefined, '100.64.0.1'))).reply), served, 'a renewal past the relay');
    test.equal(
      said((await desk.ask(client(NEW, undefined, '100.64.0.2'))).reply),
      guest,
      'with an address that is not his',
    );
  },
);

t.test('several at a port are refused, counted and shown', async (test) => {
  const desk = await home(test);
  desk.addSubscriber({
    id: 2,
    login: 'bob',
    password: undefined,
    mac: NEW,
    hasDevice: true,
    staticAddress: 0x6440_0002,
  });
  desk.directory.plugged.plugIn(2, { deviceId: 1, port: '5' });
  test.equal(said((await desk.ask(client(STRANGE, line(5)))).reply), 'reject: Authentication failed');
  test.equal(desk.attempts.at(-1)?.reason, 'ambiguous');
  test.equal(desk.handler.counters.reject.get('ambiguous'), 1);
  test.equal(said((await desk.ask(client(HIS, line(5)))).reply), served, 'the MAC tells them apart');
  test.match(said((await desk.ask(client(NEW, line(5)))).reply), /^100\.64\.0\.2,/u);
});
