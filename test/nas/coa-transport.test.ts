/**
 * Steps by CoA and Disconnect: what one request says, how it names the session, what each answer proves. A real client against a NAS on loopback.
 */
import t from 'tap';
import { errorCauses, outcomeOfNak } from '../../src/nas/error-cause.js';
import { Attribute } from '../../src/radius/attribute-number.js';
import { decodeAttributes } from '../../src/radius/decode-attribute.js';
import { describeAttribute } from '../../src/radius/describe.js';
import { headerOctets, type Packet } from '../../src/radius/packet.js';
import { ack, nak } from '../support/command-nas.js';
import { until } from '../support/until.js';
import { commandBench, dictionary, nasSecret, present, session } from './command-bench.js';

const lines = (packet: Packet): string[] => decodeAttributes(dictionary, packet).map(describeAttribute);
const redirected = { ...present, redirect: true };

const profileText = (more: string): string =>
  `description = "own"\nchannel = "vpn"\n[state.active]\nanswer = "accept"\nattributes = [{ name = "Filter-Id", value = "open" }]\n` +
  `[state.redirect]\nanswer = "accept"\nattributes = [{ name = "Filter-Id", value = "wall" }]\n[enforcement]\nplace = "session"\n` +
  `[command.user_redirect]\nsteps = [{ send = "coa", state = true }]\nfallback = [{ send = "disconnect" }]\n` +
  `[command.user_redirect_cancel]\nsteps = [{ send = "coa", state = true }]\nfallback = [{ send = "disconnect" }]\n` +
  `[command.user_disconnect]\nsteps = [{ send = "disconnect" }]\n[command.user_del]\nsteps = [{ send = "disconnect" }]\n${more}`;

t.test('one request for all changes of a session, the state said once', async (t) => {
  const { nas, run } = await commandBench(t);
  const results = await run(['user_redirect_cancel', 'user_rate_set']);
  t.equal(nas.heard.length, 1);
  t.same(lines(nas.heard[0]!.packet), [
    'User-Name = "ivanov"',
    'Acct-Session-Id = "81a00001"',
    'Framed-IP-Address = 100.64.3.7',
    'Mikrotik-Address-List = "sluice-active"',
    'Mikrotik-Rate-Limit = "10000k/50000k"',
  ]);
  t.same(
    results.map((result) => [result.task.command.name, result.driver, result.attempts, result.outcome]),
    [
      ['user_redirect_cancel', 'coa', 1, { outcome: 'applied', evidence: 'ack', text: 'CoA-ACK' }],
      ['user_rate_set', 'coa', 1, { outcome: 'applied', evidence: 'ack', text: 'CoA-ACK' }],
    ],
  );
  const expected = `CoA-Request to 127.0.0.1:${String(nas.port)}: User-Name = "ivanov", Acct-Session-Id = "81a00001", Framed-IP-Address = 100.64.3.7, Mikrotik-Address-List = "sluice-active", Mikrotik-Rate-Limit = "10000k/50000k"`;
  t.equal(results[0]?.sent, expected);
});

t.test('the state is the one that a NAS with one page shows: administrative, voluntary, money', async (t) => {
  const own = profileText('').replace(
    '[state.redirect]',
    '[state.own_disabled]\nanswer = "accept"\nattributes = [{ name = "Filter-Id", value = "paused" }]\n[state.redirect]',
  );
  const more = `[command.own_disabled]\nsteps = [{ send = "coa", state = true }]\nfallback = [{ send = "disconnect" }]\n[command.own_disabled_cancel]\nsteps = [{ send = "coa", state = true }]\nfallback = [{ send = "disconnect" }]\n`;
  const { nas, run } = await commandBench(t, { profile: own + more });
  for (const [desired, expected] of [
    [redirected, 'wall'],
    [{ ...redirected, ownDisabled: true }, 'paused'],
    [{ ...present, ownDisabled: true }, 'paused'],
    [present, 'open'],
  ] as const) {
    await run(['user_redirect'], { desired });
    t.equal(nas.heard.at(-1)!.packet.text(Attribute.filterId), expected);
  }
  const [blocked] = await run(['user_redirect'], { desired: { ...redirected, blocked: true } });
  t.match(blocked?.outcome, { outcome: 'unsayable', text: /rejects the state admin_blocked/ });
});

t.test('a profile that wants one command in each request gets it', async (t) => {
  const { nas, run } = await commandBench(t, { bundled: 'cisco-isg' });
  await run(['user_redirect', ['usluga_activated', 'IPTV']], { desired: redirected });
  t.same(
    nas.heard.map(({ packet }) => lines(packet)),
    [
      [
        'Acct-Session-Id = "81a00001"',
        'Cisco-AVPair = "subscriber:command=activate-service"',
        'Cisco-AVPair = "subscriber:service-name=SLUICE_REDIRECT"',
      ],
      [
        'Acct-Session-Id = "81a00001"',
        'Cisco-AVPair = "subscriber:command=activate-service"',
        'Cisco-AVPair = "subscriber:service-name=IPTV"',
      ],
    ],
  );
});

t.test('a service whose name would say more than a name is not said', async (t) => {
  const { nas, run } = await commandBench(t, { bundled: 'cisco-isg' });
  for (const name of ['x;y', 'a b', 'q"', 'x\nsubscriber:command=account-logoff', '${login}']) {
    const [result] = await run([['usluga_activated', name]]);
    t.match(
      result?.outcome,
      { outcome: 'unsayable', text: /\$service is not safe in Cisco-AVPair/ },
      JSON.stringify(name),
    );
  }
  t.equal(nas.heard.length, 0);
});

t.test('each attribute that a profile names a session by, and none that is not known', async (t) => {
  const all =
    'identify = ["Acct-Session-Id", "User-Name", "Framed-IP-Address", "NAS-Port-Id", "Calling-Station-Id", "NAS-Identifier", "NAS-IP-Address"]';
  const { nas, run } = await commandBench(t, {
    profile: profileText(`[coa]\n${all}\nmessage_authenticator = false\nevent_timestamp = false\n`),
    nas: 'nas_ip_address = "10.0.0.2"',
  });
  await run(['user_disconnect']);
  t.same(lines(nas.heard[0]!.packet), [
    'Acct-Session-Id = "81a00001"',
    'User-Name = "ivanov"',
    'Framed-IP-Address = 100.64.3.7',
    'NAS-Port-Id = "ether2"',
    'Calling-Station-Id = "02:00:00:00:00:07"',
    'NAS-Identifier = "bras1"',
    'NAS-IP-Address = 10.0.0.2',
  ]);
  const key = { ...present.key, address: null };
  await run(['user_disconnect'], {
    desired: { ...present, key },
    session: { ...session, nasBox: '10.0.0.9', nasPortId: null, callingStation: null },
  });
  t.same(lines(nas.heard[1]!.packet), [
    'Acct-Session-Id = "81a00001"',
    'User-Name = "ivanov"',
    'NAS-IP-Address = 10.0.0.2',
  ]);
});

t.test('a Disconnect says who, and nothing of what he is to have', async (t) => {
  const { nas, run } = await commandBench(t);
  t.match(await run(['user_del']), [{ outcome: { outcome: 'applied', evidence: 'ack', text: 'Disconnect-ACK' } }]);
  t.equal(nas.heard[0]!.packet.code, 40);
  t.same(lines(nas.heard[0]!.packet), [
    'User-Name = "ivanov"',
    'Acct-Session-Id = "81a00001"',
    'Framed-IP-Address = 100.64.3.7',
  ]);
});

t.test('Message-Authenticator and Event-Timestamp as the profile asks', async (t) => {
  for (const [key, type] of [
    ['message_authenticator', Attribute.messageAuthenticator],
    ['event_timestamp', Attribute.eventTimestamp],
  ] as const)
    for (const wanted of [true, false]) {
      const { nas, run } = await commandBench(t, { profile: profileText(`[coa]\n${key} = ${String(wanted)}\n`) });
      await run(['user_disconnect']);
      t.equal(nas.heard[0]!.packet.has(type), wanted, `${key} ${String(wanted)}`);
      if (wanted && type === Attribute.messageAuthenticator)
        t.equal(nas.heard[0]!.packet.indexOf(type), headerOctets, 'and first');
    }
});

t.test('503 is believed of an Acct-Session-Id alone only (RFC 5176 §3.5)', async (t) => {
  const gone = await commandBench(t, { behave: () => [nak(503)] });
  const [result] = await gone.run(['user_del']);
  t.match(result?.outcome, { outcome: 'session-gone', text: /^Disconnect-NAK 503 Session-Context-Not-Found/ });
  t.equal(result?.attempts, 2);
  t.match(result?.sent, /; again by Acct-Session-Id alone$/);
  t.same(
    gone.nas.heard.map(({ packet }) => [packet.has(Attribute.userName), packet.text(Attribute.acctSessionId)]),
    [
      [true, '81a00001'],
      [false, '81a00001'],
    ],
  );

  const spelling = await commandBench(t, { behave: (request) => [request.has(Attribute.userName) ? nak(503) : ack] });
  t.match(await spelling.run(['user_redirect'], { desired: redirected }), [{ outcome: { outcome: 'applied' } }]);
  t.match(lines(spelling.nas.heard[1]!.packet), [
    'Acct-Session-Id = "81a00001"',
    'Mikrotik-Address-List = "sluice-redirect"',
  ]);

  const alone = await commandBench(t, { bundled: 'accel-ppp', behave: () => [nak(503)] });
  t.match(await alone.run(['user_del']), [{ attempts: 1, outcome: { outcome: 'session-gone' } }]);
});

t.test('what is left of a session is gone: 201 with a Disconnect-ACK (RFC 5176 §3.5)', async (t) => {
  const { run } = await commandBench(t, { behave: () => [{ send: 'ack', errorCause: 201 }] });
  t.match(await run(['user_disconnect']), [
    { outcome: { outcome: 'applied', evidence: 'ack', text: 'Disconnect-ACK 201 Residual-Context-Removed' } },
  ]);
});

t.test('every Error-Cause of RFC 5176 §3.5 means one thing, and says whose business it is', async (t) => {
  const table: readonly [number | undefined, string, RegExp][] = [
    [201, 'session-gone', /removed/],
    [202, 'refused', /EAP/],
    [401, 'refused', /profile/],
    [402, 'refused', /coa\.identify/],
    [403, 'refused', /NAS-Identifier/],
    [404, 'refused', /profile/],
    [405, 'refused', /profile/],
    [406, 'refused', /CoA may be off/],
    [407, 'refused', /profile/],
    [501, 'refused', /configured/],
    [502, 'later', /proxy/],
    [503, 'session-gone', /no such session/],
    [504, 'refused', /cannot end/],
    [505, 'later', /proxy/],
    [506, 'later', /resources/],
    [507, 'refused', /Authorize-Only/],
    [508, 'refused', /several/],
    [undefined, 'refused', /without Error-Cause/],
    [999, 'refused', /nobody knows/],
  ];
  for (const [number, outcome, text] of table)
    t.match(outcomeOfNak('CoA-NAK', number), { outcome, text }, String(number));
  t.same(
    [...errorCauses.keys()],
    table.flatMap(([number]) => (number === undefined || number === 999 ? [] : [number])),
  );
  const { run, nas } = await commandBench(t, { bundled: 'accel-ppp' });
  for (const [number, outcome] of table) {
    nas.behave = () => [nak(number)];
    const [result] = await run(['user_rate_set']);
    t.equal(result?.outcome.outcome, outcome, `over the wire: ${String(number)}`);
    if (result?.outcome.outcome === 'refused') t.equal(result.outcome.errorCause, number ?? null);
  }
});

t.test('what was not applied stops the run', async (t) => {
  const { nas, run } = await commandBench(t, { behave: () => [nak(401)] });
  const results = await run(['user_rate_set', 'user_disconnect']);
  t.match(
    results.map(({ task, outcome }) => [task.command.name, outcome.outcome]),
    [['user_rate_set', 'refused']],
  );
  t.equal(nas.heard.length, 1);
});

t.test('silence may have been obeyed; what was never sent has not', async (t) => {
  const { run, clock, transport, tasks, nas } = await commandBench(t, { behave: () => [] });
  const asked = run(['user_disconnect']);
  for (let attempt = 1; attempt <= 4; attempt++) {
    await until(() => nas.heard.length === attempt);
    clock.advance(10_000);
  }
  t.match(await asked, [
    {
      attempts: 4,
      outcome: { outcome: 'unreachable', reached: 'maybe', text: /^no answer from 127\.0\.0\.1:\d+ in 4 attempts$/ },
    },
  ]);
  t.match(await transport.exchange(tasks(['user_disconnect']), () => false), [
    { attempts: 0, outcome: { outcome: 'unreachable', reached: 'never' } },
  ]);
  t.equal(nas.heard.length, 4, 'nothing is sent by whom the NAS is not');
  t.match(await run(['user_disconnect'], { session: null }), [
    { outcome: { outcome: 'unsayable', text: /no RADIUS session/ } },
  ]);
});

t.test('while the secret is being changed, silence under one makes the next command try the other', async (t) => {
  const { nas, run, clock } = await commandBench(t, {
    secrets: ['an older one: Wd5Rb8Ym', nasSecret],
    nas: '',
    attempts: 1,
  });
  const asked = run(['user_disconnect']);
  await until(() => nas.unsigned === 1);
  clock.advance(10_000);
  t.match(await asked, [{ outcome: { outcome: 'unreachable', reached: 'maybe' } }]);
  for (let again = 0; again < 3; again++)
    t.match(await run(['user_disconnect']), [{ outcome: { outcome: 'applied' } }]);
  t.equal(nas.unsigned, 1, 'and stays with the one that was answered');
});

t.test('a NAS that is lost between two attempts hears no more of it', async (t) => {
  const { clock, transport, tasks, nas } = await commandBench(t, { behave: () => [] });
  let isOwner = true;
  const asked = transport.exchange(tasks(['user_disconnect']), () => isOwner);
  await until(() => nas.heard.length === 1);
  isOwner = false;
  clock.advance(1_000);
  t.match(await asked, [{ outcome: { outcome: 'unreachable', reached: 'maybe', text: /another instance/ } }]);
  t.equal(nas.heard.length, 1);
});

t.test('a second request about a session waits for the first, one about another session does not', async (t) => {
  const { nas, run } = await commandBench(t, { behave: () => [] });
  const first = run(['user_rate_set']);
  const second = run(['user_disconnect']);
  const other = run(['user_disconnect'], { enforcementId: 2, session: { ...session, acctSessionId: '81a00002' } });
  await until(() => nas.heard.length === 2);
  t.same(nas.heard.map(({ packet }) => [packet.code, packet.text(Attribute.acctSessionId)]).sort(), [
    [40, '81a00002'],
    [43, '81a00001'],
  ]);
  nas.behave = () => [ack];
  for (const heard of [...nas.heard]) nas.react(heard, ack);
  t.match(await Promise.all([first, second, other]), [[{ outcome: {} }], [{ outcome: {} }], [{ outcome: {} }]]);
  t.equal(nas.heard.length, 3);
});

t.test('stop ends what is under way', async (t) => {
  const { nas, run, transport } = await commandBench(t, { behave: () => [] });
  const asked = run(['user_disconnect']);
  await until(() => nas.heard.length === 1);
  await transport.stop();
  t.match(await asked, [{ outcome: { outcome: 'unreachable', reached: 'maybe', text: /stopped/ } }]);
  t.match(await run(['user_disconnect']), [{ outcome: { outcome: 'unreachable', reached: 'never' } }]);
});

t.test('commands go where accounting comes from, unless the entry says where', async (t) => {
  const { nas, run } = await commandBench(t, { nas: '' });
  await run(['user_disconnect'], { session: { ...session, nasAddress: '127.0.0.1' } });
  await run(['user_disconnect'], { session: { ...session, nasAddress: null } });
  t.equal(nas.heard.length, 2, 'the only address of the entry is where it must be');
});

t.test('values that no attribute holds are unsayable, and secrets are in no text', async (t) => {
  const { run, nas } = await commandBench(t);
  const key = { ...present.key, login: 'x'.repeat(300) };
  t.match(await run(['user_disconnect'], { desired: { ...present, key } }), [
    { outcome: { outcome: 'unsayable', text: /does not fit/ } },
  ]);
  const results = await run(['user_rate_set']);
  t.notMatch(JSON.stringify(results), nasSecret);
  t.equal(nas.heard.length, 1);
});
