// What a profile means for the places that it enforces, read off the profiles that come with the program and off one that says little.

import t from 'tap';
import { loadPolicy, standardDictionary } from '../../src/app/policy.js';
import { wordsOf, type ProfileWords } from '../../src/nas/profile-words.js';
import { confFolder } from '../config/conf-folder.js';

async function read(name: string, text?: string): Promise<ProfileWords> {
  const folder = await confFolder(t, {
    'conf/nas.d/one.toml': `name = "one"\naddress = "192.0.2.1"\nsecret = "a-secret-for-the-tests-only"\nprofile = "${name}"\nmode = "observe"\n`,
    ...(text === undefined ? {} : { [`conf/profiles/${name}.toml`]: text }),
  });
  const { policy } = await loadPolicy(folder.options, standardDictionary());
  return wordsOf(policy.profiles.get(name)!);
}

t.test('MikroTik: a session has a rate and the garden has none', async (test) => {
  const words = await read('mikrotik-ppp');
  test.equal(words.place, 'session');
  test.match(words.answers, {
    active: { answer: 'accept', rated: true },
    redirect: { answer: 'accept', rated: false },
    own_disabled: { answer: 'reject' },
  });
  test.match(words, { words: { rate: true, services: false }, needsAddress: false });
});

t.test('Juniper has services', async (test) => {
  test.same((await read('juniper-mx')).words, { rate: true, services: true, prefixes: false });
});

t.test('a profile without enforcement and rate', async (test) => {
  const words = await read('plain', 'description = "x"\nchannel = "vpn"\n[state.active]\nanswer = "accept"\n');
  test.equal(words.place, undefined);
  test.equal(words.answers.active.rated, false);
  test.same(words.words, { rate: false, services: false, prefixes: false });
});

t.test('entries that are found by address need one', async (test) => {
  const command = (name: string, line: string) =>
    `[command.${name}]\nsteps = [{ send = "ssh", lines = ['${line}'] }]\n`;
  const profile = (line: string) =>
    [
      'description = "x"\nchannel = "dhcp"\n[state.active]\nanswer = "accept"\n[enforcement]\nplace = "provisioned"\n',
      ...['user_add', 'user_del', 'user_drop', 'user_accept', 'own_disabled', 'own_disabled_cancel'].map((name) =>
        command(name, line),
      ),
      ...[
        'user_redirect',
        'user_redirect_cancel',
        'user_auth',
        'user_disconnect',
        'user_rate_set',
        'user_rate_set_cancel',
      ].map((name) => command(name, line)),
    ].join('');
  for (const [line, expected] of [
    ['put $address', true],
    ['put ${address}', true],
    ['put ${address-none}', false],
    ['${?address}put $address', false],
    ['put $subscriber_id', false],
    ['put $login on $nas', false],
  ] as const)
    test.equal((await read('own', profile(line))).needsAddress, expected, line);
});
