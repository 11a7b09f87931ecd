/**
 * CoA and Disconnect against programs of Debian: hostapd, which wants signatures and time stamps, and FreeRADIUS as docs/profiles/linux.md sets it up; and every dictionary
 * that Debian ships, through our loader.
 */
import { access, readFile, readdir } from 'node:fs/promises';
import { join } from 'node:path';
import t from 'tap';
import { systemClock } from '../../src/spool/clock.js';
import { CoaTransport } from '../../src/nas/coa-transport.js';
import { dictionaryEncoder } from '../../src/nas/dictionary-encoder.js';
import { ProfileDriver } from '../../src/nas/profile-driver.js';
import { compileProfile } from '../../src/nas/profile.js';
import type { CommandName, PresentService } from '../../src/domain/service-state.js';
import { Attribute } from '../../src/radius/attribute-number.js';
import { CoaClient, type CoaAnswer, type CoaRequest } from '../../src/radius/coa-client.js';
import { Code } from '../../src/radius/code.js';
import { loadDictionary } from '../../src/radius/dictionary-file.js';
import { encodeAttribute } from '../../src/radius/encode-attribute.js';
import { SharedSecret } from '../../src/radius/shared-secret.js';
import { checkout, confFolder } from '../config/conf-folder.js';
import { dictionary, nasSecret, present, session } from '../nas/command-bench.js';
import { ack, CommandNas, nak } from '../support/command-nas.js';
import { Radclient, withoutRadclient } from '../support/radclient.js';
import { startFreeradiusPeer, startHostapd, withoutFreeradiusServer, withoutHostapd } from '../support/coa-peers.js';

const attributes = (...pairs: readonly [string, string | number][]): Buffer =>
  Buffer.concat(pairs.map(([name, value]) => encodeAttribute(dictionary, name, value)));

t.test('hostapd', { skip: await withoutHostapd(), timeout: 60_000 }, async (t) => {
  const port = await startHostapd(t, nasSecret);
  const client = new CoaClient({ clock: systemClock });
  t.teardown(() => client.stop());
  const secret = new SharedSecret(nasSecret);
  const ask = (octets: Buffer, more: Partial<CoaRequest> = {}, by = client): Promise<CoaAnswer> =>
    by.ask({
      code: Code.disconnectRequest,
      address: '127.0.0.1',
      port,
      secret,
      sourceAddress: undefined,
      attributes: octets,
      withMessageAuthenticator: true,
      withEventTimestamp: true,
      timeoutMs: 300,
      attempts: 2,
      ...more,
    });

  const table: readonly [string, Buffer, number][] = [
    ['a session that it does not have', attributes(['Acct-Session-Id', '81A00001']), 503],
    ['its own name, and nobody', attributes(['NAS-Identifier', 'ap1'], ['User-Name', 'ivanov']), 503],
    ['another NAS', attributes(['NAS-Identifier', 'ap2'], ['User-Name', 'ivanov']), 403],
    ['an attribute that names nobody', attributes(['User-Name', 'ivanov'], ['Session-Timeout', 60]), 401],
  ];
  for (const [what, octets, errorCause] of table)
    t.match(await ask(octets), { answer: 'nak', errorCause, attempts: 1 }, what);
  t.match(await ask(attributes(['User-Name', 'ivanov']), { code: Code.coaRequest }), { answer: 'nak' }, 'a CoA-NAK');
  t.same([...client.drops()], [], 'its replies, which carry Message-Authenticator, are believed');

  const silent: readonly [string, Partial<CoaRequest>][] = [
    ['without Message-Authenticator', { withMessageAuthenticator: false }],
    ['without Event-Timestamp', { withEventTimestamp: false }],
    ['with another secret', { secret: new SharedSecret('of somebody else') }],
  ];
  for (const [what, more] of silent) {
    const expected = { answer: 'silence', reason: 'timeout', reached: 'maybe', isPortClosed: false };
    t.match(await ask(attributes(['User-Name', 'ivanov']), more), expected, `it hears nothing ${what}`);
  }
  const late = new CoaClient({ clock: { ...systemClock, nowMs: () => Date.now() - 3_600_000 } });
  t.teardown(() => late.stop());
  t.match(await ask(attributes(['User-Name', 'ivanov']), {}, late), { answer: 'silence' }, 'nor what is an hour old');
});

const page = await readFile(join(checkout, 'docs/profiles/linux.md'), 'utf8');

/** The configuration that the page shows, on loopback. */
function documented(port: number, script: string): string {
  const block = /^```\n(client sluice[\s\S]*?)^```$/mu.exec(page)?.[1] ?? '';
  return block
    .replace('ipaddr = 10.0.0.1', 'ipaddr = 127.0.0.1')
    .replace('secret = …', `secret = ${nasSecret}`)
    .replace('ipaddr = 10.0.0.2', 'ipaddr = 127.0.0.1')
    .replace('port = 3799', `port = ${String(port)}`)
    .replace('/usr/local/sbin/end-session', script);
}

t.test('FreeRADIUS on a router with pppd', { skip: await withoutFreeradiusServer(), timeout: 60_000 }, async (t) => {
  const { port, folder } = await startFreeradiusPeer(
    t,
    documented,
    (folder) =>
      `#!/bin/sh\n[ "$1" = 81a00001 ] && touch ${folder}/ended && exit 0\necho 'Error-Cause = Session-Context-Not-Found'\nexit 1\n`,
  );
  const conf = await confFolder(t, {
    'conf/nas.d/a.toml': `name = "bras1"\naddress = "127.0.0.1"\nsecret = "${nasSecret}"\nprofile = "linux"\n[coa]\nport = ${String(port)}\ntimeout_ms = 500\nattempts = 2\n`,
  });
  const config = await conf.load();
  const profile = compileProfile(config.profiles['linux']!, dictionaryEncoder(dictionary));
  const client = new CoaClient({ clock: systemClock });
  t.teardown(() => client.stop());
  const nowMs = (): number => Date.now();
  const coa = new CoaTransport({ nas: config.nas[0]!, profile, dictionary, client, nowMs });
  const driver = new ProfileDriver(profile.commands, { coa }, { ...systemClock });
  const run = async (name: CommandName, acctSessionId: string, desired: PresentService) => {
    const [result] = await driver.run(
      [
        {
          enforcementId: 1,
          subject: { subscriberId: 7, accountId: 3, contract: 'C-3', plan: 'home' },
          session: { ...session, acctSessionId },
          commands: [{ name, data: desired, service: null }],
          desired,
        },
      ],
      () => true,
    );
    return result?.results[0];
  };
  const isEnded = (): Promise<boolean> =>
    access(join(folder, 'ended')).then(
      () => true,
      () => false,
    );

  t.match(await run('user_redirect', '81a00002', { ...present, redirect: true }), {
    outcome: { outcome: 'session-gone', text: /503/ },
    attempts: 2,
  });
  t.equal(await isEnded(), false);
  t.match(await run('user_redirect', '81a00001', { ...present, redirect: true }), {
    outcome: { outcome: 'applied', evidence: 'ack', text: 'Disconnect-ACK' },
  });
  t.equal(await isEnded(), true, 'the script has ended the session');
  t.match(await run('user_rate_set', '81a00001', present), {
    outcome: { outcome: 'applied', evidence: 'not-applicable' },
  });
  const answer = await client.ask({
    code: Code.coaRequest,
    address: '127.0.0.1',
    port,
    secret: new SharedSecret(nasSecret),
    sourceAddress: undefined,
    attributes: attributes(['Acct-Session-Id', '81a00001']),
    withMessageAuthenticator: true,
    withEventTimestamp: true,
    timeoutMs: 500,
    attempts: 2,
  });
  t.match(answer, { answer: 'nak', errorCause: 406 }, 'it ends sessions and does no more');
  t.same([...client.drops()], []);
});

t.test('radclient commands the NAS of our tests', { skip: await withoutRadclient(), timeout: 60_000 }, async (t) => {
  const nas = await CommandNas.open(t, nasSecret, (request) =>
    request.text(Attribute.acctSessionId) === '81a00001' ? [ack] : [nak(503)],
  );
  const radclient = await Radclient.create(t, nasSecret);
  const here = ['Acct-Session-Id = "81a00001"', 'Message-Authenticator = 0x00'];
  const gone = ['Acct-Session-Id = "81a00002"'];
  t.match(await radclient.ask(nas.port, 'coa', here), { code: 'CoA-ACK' });
  t.match(await radclient.ask(nas.port, 'disconnect', here), { code: 'Disconnect-ACK' });
  const { code, attributes: said } = await radclient.ask(nas.port, 'disconnect', gone);
  t.same([code, said.get('Error-Cause')], ['Disconnect-NAK', 'Session-Context-Not-Found']);
  const stranger = await Radclient.create(t, 'of somebody else');
  t.equal((await stranger.ask(nas.port, 'coa', here, 500)).code, undefined);
  t.equal(nas.unsigned, 1);
});

const debianFolder = '/usr/share/freeradius';
const debianFiles = await readdir(debianFolder).catch(() => []);

t.test(
  'every dictionary that freeradius-common ships',
  { skip: debianFiles.length === 0 && 'freeradius-common is not installed' },
  async (t) => {
    const whole = loadDictionary(join(debianFolder, 'dictionary'));
    t.same(whole.warnings, [], 'the one with everything in it');
    t.ok(whole.dictionary.size > 7_000, `${String(whole.dictionary.size)} attributes`);
    const files = debianFiles.filter((name) => name.startsWith('dictionary')).map((name) => join(debianFolder, name));
    t.ok(files.length > 200, `${String(files.length)} files`);
    // Some name values of attributes that others define, so each is read beside the one with everything in it.
    const all = loadDictionary([join(debianFolder, 'dictionary'), ...files]);
    t.ok(all.dictionary.size > whole.dictionary.size, 'those that are not in it define more');
    t.same(
      all.warnings.filter((warning) => !/VALUE for an unknown attribute/u.test(warning)),
      [],
      'nothing else is left out',
    );
  },
);

t.test(
  'our dictionaries say what those of others say',
  { skip: debianFiles.length === 0 && 'nothing to compare' },
  async (t) => {
    const theirs = loadDictionary(join(debianFolder, 'dictionary')).dictionary;
    // Text where they have octets, or the other way round: the same octets travel.
    const spelling = new Set([
      'ADSL-Agent-Circuit-Id',
      'ADSL-Agent-Remote-Id',
      'Extended-Location-Policy-Rules',
      'Cisco-Command-Code',
    ]);
    // 3.2.1 names two numbers of H3C twice, and two names otherwise.
    const names = new Set([
      'H3C-Connect-Id',
      'H3C-Acct-IPv6-Input-Packets',
      'H3C-Acct-IPv6-Output-Packets',
      'Mikrotik-DHCP-Option-Param-STR2',
    ]);
    let compared = 0;
    for (const own of dictionary.attributes()) {
      const other = theirs.attributeByNumber(own.vendor, ...own.path);
      if (other === undefined) continue;
      compared += 1;
      if (!names.has(own.name)) t.equal(own.name.toLowerCase(), other.name.toLowerCase(), own.name);
      if (!spelling.has(own.name)) t.equal(own.type, other.type, own.name);
      t.equal(own.hasTag, other.hasTag, `${own.name}: tag`);
      t.equal(own.encryption, other.encryption, `${own.name}: hidden`);
    }
    t.ok(compared > 700, `${String(compared)} attributes`);
  },
);
