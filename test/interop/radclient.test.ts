/**
 * Debian's radclient against the real server: what a newcomer tries first, with each kind of NAS, and a whole session told by the command line and by
 * SQL.
 */
import { execFile } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import t from 'tap';
import { waitFor } from '../support/deadline.js';
import { freshDatabase } from '../support/database.js';
import { Radclient, withoutRadclient } from '../support/radclient.js';
import { applied, knowsSubscribers, scrape } from '../support/scrape.js';
import { TestServer } from '../support/server.js';

const skip = await withoutRadclient();
const SECRET = 'secret-of-four-routers';
const bin = fileURLToPath(new URL('../../bin/sluice', import.meta.url));
/** One source address for each kind of NAS. */
const NASES = [
  { profile: 'mikrotik-ppp', address: '127.0.0.2', rate: ['Mikrotik-Rate-Limit', '10000k/50000k'] },
  { profile: 'accel-ppp', address: '127.0.0.3', rate: ['Filter-Id', '50000/10000'] },
  {
    profile: 'cisco-isg',
    address: '127.0.0.4',
    rate: ['Cisco-Account-Info', /^QU;10000000;\d+;\d+;D;50000000;\d+;\d+$/],
  },
  { profile: 'linux', address: '127.0.0.5', rate: ['WISPr-Bandwidth-Max-Down', '50000000'] },
] as const;

t.test('radclient', { skip, timeout: 200_000 }, async (t) => {
  const database = await freshDatabase(t);
  const { pool } = database;
  const server = await TestServer.start(t, {
    databaseUrl: database.url,
    files: Object.fromEntries(
      NASES.map(({ profile, address }) => [
        `nas.d/${profile}.toml`,
        `name = "${profile}"\naddress = "${address}"\nsecret = "${SECRET}"\nprofile = "${profile}"\n`,
      ]),
    ),
  });
  const radclient = await Radclient.create(t, SECRET);
  const stranger = await Radclient.create(t, 'not-the-secret-at-all');

  /** The real command, as a process. */
  const sluice = async (argv: readonly string[], stdin = ''): Promise<string> => {
    const running = promisify(execFile)(bin, ['--conf', server.confDir, '--data', server.dataDir, ...argv]);
    running.child.stdin?.end(stdin);
    return (await running).stdout;
  };
  const json = async <Value = Record<string, unknown>>(...argv: string[]) =>
    JSON.parse(await sluice([...argv, '--json'])) as Value;

  await sluice(['plan', 'add', 'home', '--down', '50M', '--up', '10M']);
  await sluice(['plan', 'add', 'fast', '--down', '100M', '--up', '100M']);
  await sluice(['pool', 'add', 'main', '100.64.0.0/24', '--quarantine-seconds', '1']);
  await sluice(['subscriber', 'add', 'alice', '--plan', 'home', '--pool', 'main', '--password-stdin'], 'wonderland\n');
  await sluice(['subscriber', 'add', 'bob', '--plan', 'home', '--ip', '10.20.0.9', '--password-stdin'], 'builder\n');
  await knowsSubscribers(server.statusUrl, 2);

  const login = (name: string, password: string, source: string = NASES[0].address) => [
    `User-Name = "${name}"`,
    // One router at home, whatever NAS it dials: its new session takes over the old one.
    `Calling-Station-Id = "02:00:00:00:00:0${String(name.length)}"`,
    password,
    'Message-Authenticator = 0x00',
    `Packet-Src-IP-Address = ${source}`,
  ];

  for (const nas of NASES) {
    await t.test(`${nas.profile}: PAP, CHAP and MS-CHAP`, async (t) => {
      for (const method of ['User-Password', 'CHAP-Password', 'MS-CHAP-Password']) {
        const reply = await radclient.ask(server.authPort, 'auth', login('bob', `${method} = "builder"`, nas.address));
        t.equal(reply.code, 'Access-Accept', `${method}: ${reply.text}`);
        t.equal(reply.attributes.get('Framed-IP-Address'), '10.20.0.9');
        t.equal(reply.attributes.get('Acct-Interim-Interval'), '300');
        t.match(reply.attributes.get('Class'), /^0x01[0-9a-f]{52}$/);
        t.match(reply.attributes.get(nas.rate[0]), nas.rate[1], 'the rate, in the words of this NAS');
        t.equal([...reply.attributes.keys()][0], 'Message-Authenticator', 'first, against BlastRADIUS');
        if (method === 'MS-CHAP-Password')
          t.ok(reply.attributes.has('MS-CHAP-MPPE-Keys'), 'with the keys for MPPE (RFC 2548 §2.4.1)');
      }
    });
  }

  await t.test('a wrong password: Reject after a second', async (t) => {
    for (const method of ['User-Password', 'CHAP-Password', 'MS-CHAP-Password']) {
      const reply = await radclient.ask(server.authPort, 'auth', login('bob', `${method} = "wrong"`));
      t.equal(reply.code, 'Access-Reject', method);
      t.ok(reply.tookMs >= 1000, `${reply.tookMs.toFixed(0)} ms`);
    }
  });

  await t.test(
    'a wrong secret, or no Message-Authenticator: silence, a count, and one line that names the key',
    async (t) => {
      const silent: readonly (readonly [string, () => Promise<{ code: string | undefined }>, string])[] = [
        [
          'bad-message-authenticator',
          () => stranger.ask(server.authPort, 'auth', login('bob', 'User-Password = "builder"'), 400),
          'secret_file',
        ],
        [
          'message-authenticator-missing',
          () =>
            radclient.ask(
              server.authPort,
              'auth',
              login('bob', 'User-Password = "builder"').filter((a) => !a.startsWith('Message')),
              400,
            ),
          'require_message_authenticator',
        ],
      ];
      for (const [reason, ask, key] of silent) {
        for (let i = 0; i < 3; i++) t.equal((await ask()).code, undefined, `${reason}: silence`);
        const counted = (await scrape(server.statusUrl)).sum('radius_dropped_total', { nas: 'mikrotik-ppp', reason });
        t.equal(counted, 3, 'each is counted');
        const lines = server.logs.filter((line) => line['reason'] === reason);
        t.equal(lines.length, 1, 'one line');
        t.match(lines[0], { nas: 'mikrotik-ppp', source: NASES[0].address, key });
      }
    },
  );

  await t.test('Status-Server on both ports', async (t) => {
    const status = ['Message-Authenticator = 0x00', `Packet-Src-IP-Address = ${NASES[0].address}`];
    t.equal((await radclient.ask(server.authPort, 'status', status)).code, 'Access-Accept');
    t.equal((await radclient.ask(server.accountingPort, 'status', status)).code, 'Accounting-Response');
  });

  const account = async (status: string, sessionId: string, address: string, more: readonly string[] = []) => {
    const reply = await radclient.ask(server.accountingPort, 'acct', [
      'User-Name = "alice"',
      `Acct-Status-Type = ${status}`,
      `Acct-Session-Id = "${sessionId}"`,
      `Framed-IP-Address = ${address}`,
      'NAS-IP-Address = 10.0.0.1',
      `Packet-Src-IP-Address = ${NASES[0].address}`,
      ...more,
    ]);
    return reply.code;
  };
  const poolState = async (address: string) => {
    const { rows } = await pool.query<{ state: string }>('SELECT state FROM pool_address WHERE address = $1', [
      address,
    ]);
    return rows[0]?.state;
  };

  await t.test('a whole session', async (t) => {
    const accept = await radclient.ask(server.authPort, 'auth', login('alice', 'User-Password = "wonderland"'));
    const address = accept.attributes.get('Framed-IP-Address')!;
    t.match(address, /^100\.64\.0\./);
    const echoed = [`Class = ${accept.attributes.get('Class')!}`, 'Calling-Station-Id = "02:00:00:00:00:05"'];
    t.equal(await account('Start', 's1', address, echoed), 'Accounting-Response');
    await applied(server.statusUrl);
    t.match(await json('ip', 'who', address), { login: 'alice' }, 'ip who, now');
    t.match(await json('session', 'list'), [{ login: 'alice', acct_session_id: 's1', address }], 'session list');
    t.match(await json('subscriber', 'show', 'alice'), { logged: true, sessions: [{ acct_session_id: 's1' }] });
    const during = new Date().toISOString();
    const counters = (input: number, output: number, seconds: number) => [
      `Acct-Input-Octets = ${String(input)}`,
      `Acct-Output-Octets = ${String(output)}`,
      'Acct-Output-Gigawords = 2',
      `Acct-Session-Time = ${String(seconds)}`,
    ];
    t.equal(
      await account('Interim-Update', 's1', address, [...echoed, ...counters(1000, 2000, 1)]),
      'Accounting-Response',
    );
    t.equal(
      await account('Stop', 's1', address, [
        ...echoed,
        ...counters(5000, 7000, 2),
        'Acct-Terminate-Cause = User-Request',
      ]),
      'Accounting-Response',
    );
    await applied(server.statusUrl);
    const ended = {
      acct_session_id: 's1',
      input_octets: 5000,
      output_octets: 2 * 2 ** 32 + 7000,
      end_cause: 'stop',
      terminate_cause: 1,
    };
    const { rows } = await pool.query(
      `SELECT acct_session_id, input_octets, output_octets, end_cause, terminate_cause FROM session_history`,
    );
    t.same(rows, [ended], 'in SQL');
    t.match(await json('session', 'list', '--history'), [ended], 'and on the command line');
    t.match(await json('subscriber', 'show', 'alice'), {
      logged: false,
      sessions: [],
      period: { input_octets: 5000, output_octets: 2 * 2 ** 32 + 7000, closed_at: null },
    });
    t.match(await json('ip', 'who', address, '--at', during), { login: 'alice' }, 'ip who, then');
    t.match(await json('ip', 'who', address), { login: null, before: { login: 'alice' } }, 'and nobody now');
    await waitFor('the address to be free', 20_000, async () => (await poolState(address)) === 'free');
  });

  await t.test('a late Stop of an older session frees nothing of the newer one', async (t) => {
    const accept = await radclient.ask(server.authPort, 'auth', login('alice', 'User-Password = "wonderland"'));
    const address = accept.attributes.get('Framed-IP-Address')!;
    t.equal(await account('Start', 'old', address), 'Accounting-Response');
    t.equal(await account('Start', 'new', address), 'Accounting-Response');
    t.equal(
      await account('Stop', 'old', address, ['Acct-Input-Octets = 11', 'Acct-Session-Time = 1']),
      'Accounting-Response',
    );
    await applied(server.statusUrl);
    t.match(await json('session', 'list'), [{ acct_session_id: 'new', address }]);
    t.equal(await poolState(address), 'assigned');
    t.match(await json('subscriber', 'show', 'alice'), { logged: true });
  });

  await t.test('deleted in mid-session: with its end the period closes, and says why', async (t) => {
    await sluice(['subscriber', 'set', 'alice', 'deleted=true', 'reason=moved away']);
    const before = await json<{ period: unknown }>('subscriber', 'show', 'alice');
    t.match(before.period, { closed_at: null }, 'not while she is on');
    const { rows: live } = await pool.query<{ address: string }>('SELECT host(address) AS address FROM session');
    t.equal(await account('Stop', 'new', live[0]!.address, ['Acct-Input-Octets = 30']), 'Accounting-Response');
    await waitFor('the period to close', 20_000, async () => {
      const { rows } = await pool.query('SELECT FROM period WHERE closed_at IS NOT NULL');
      return rows.length === 1;
    });
    const { rows } = await pool.query('SELECT close_reason, input_octets FROM period WHERE closed_at IS NOT NULL');
    t.match(rows, [{ close_reason: 'deleted', input_octets: 5041 }]);
    t.match(await json('subscriber', 'show', 'alice'), { logged: false, deleted_reason: 'moved away' });
    await waitFor('the address to be free', 20_000, async () => (await poolState(live[0]!.address)) === 'free');
    const reply = await radclient.ask(server.authPort, 'auth', login('alice', 'User-Password = "wonderland"'));
    t.equal(reply.code, 'Access-Reject');
  });

  await t.test('what changes on the command line shows in the next answer', async (t) => {
    const answer = () => radclient.ask(server.authPort, 'auth', login('bob', 'User-Password = "builder"'));
    await sluice(['subscriber', 'set', 'bob', 'plan=fast']);
    t.equal((await answer()).attributes.get('Mikrotik-Rate-Limit'), '100000k/100000k');
    await sluice(['subscriber', 'set', 'bob', 'redirect=true']);
    const garden = await answer();
    t.equal(garden.attributes.get('Mikrotik-Address-List'), 'sluice-redirect', garden.text);
    await sluice(['subscriber', 'set', 'bob', 'redirect=false', 'admin_blocked=true']);
    t.equal((await answer()).code, 'Access-Reject');
    t.match(await sluice(['explain', 'bob']), /blocked by the administration/);
    await sluice(
      ['subscriber', 'add', 'carol', '--plan', 'fast', '--ip', '10.20.0.10', '--password-stdin'],
      'singer\n',
    );
    const carol = await radclient.ask(server.authPort, 'auth', login('carol', 'User-Password = "singer"'));
    t.equal(carol.attributes.get('Framed-IP-Address'), '10.20.0.10');
  });
});
