// From the section [intake] to who is let in.
import t from 'tap';
import { intakeRules, isIntakeOn } from '../../src/app/intake-policy.js';
import { confFolder } from '../config/conf-folder.js';

const secret = 'pk3Lx9Qv7Tz1Wd5Rb8Ym';

t.test('without anything set nobody is let in', async (t) => {
  const { intake } = await (await confFolder(t)).load();
  t.same(intakeRules(intake), { lever: undefined, jsonSources: [], alertmanager: undefined });
  t.notOk(isIntakeOn(intake));
});

t.test('secrets and sources are those of the configuration', async (t) => {
  const folder = await confFolder(t, {
    'conf/sluice.toml': `[intake]
lever_secret_file = ["lever", "lever.new"]
lever_sources = ["10.0.0.5", "10.1.0.0/24", "2001:db8::/48"]
alertmanager_token_file = "token"
alertmanager_sources = ["::1"]
[[intake.json_sources]]
name = "dhcp2"
secret_file = "\${data}/secrets/dhcp2"
sources = ["10.0.0.6"]
`,
    'conf/lever': secret,
    'conf/lever.new': `${secret}.new`,
    'conf/token': `${secret}.token\n`,
  });
  const { intake, missingSecrets } = await folder.load();
  t.ok(isIntakeOn(intake));
  const { lever, jsonSources, alertmanager } = intakeRules(intake);
  t.same(lever?.secrets.map(String), [secret, `${secret}.new`]);
  t.same(alertmanager?.secrets.map(String), [`${secret}.token`]);
  for (const [address, isLetIn] of [
    ['10.0.0.5', true],
    ['::ffff:10.0.0.5', true],
    ['10.1.0.255', true],
    ['2001:db8::7', true],
    ['10.0.0.6', false],
    ['10.1.1.0', false],
    ['::1', false],
    ['', false],
  ] as const) {
    t.equal(lever?.admits(address), isLetIn, address);
  }
  t.ok(alertmanager?.admits('::1'));
  t.match(jsonSources, [{ name: 'dhcp2', secrets: [] }], 'a secret that is yet to be made lets nobody in');
  t.ok(jsonSources[0]?.admits('10.0.0.6'));
  t.ok(missingSecrets.some(({ owner, kind }) => owner === 'dhcp2' && kind === 'shared-secret'));
});
