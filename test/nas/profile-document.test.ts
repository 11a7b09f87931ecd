// docs/profiles.md says what the code does: every variable, every bundled profile, every value it quotes.
import { readFile, readdir } from 'node:fs/promises';
import { join } from 'node:path';
import t from 'tap';
import { attributeVariables, sampleContext } from '../../src/nas/attribute-variables.js';
import { compileProfile } from '../../src/nas/profile.js';
import { bundledProfilesDir, checkout, confFolder } from '../config/conf-folder.js';
import { smallEncoder } from './small-dictionary.js';

const document = await readFile(join(checkout, 'docs/profiles.md'), 'utf8');

t.test('every variable is in the table with its meaning, and no other', async (t) => {
  const table = [...document.matchAll(/^\| `([a-z_]+)` \| (.+) \|$/gmu)].filter(
    ([, name]) => !/^(active|redirect|own_disabled|admin_blocked|unknown)$/u.test(name!),
  );
  t.same(
    table.map(([, name, meaning]) => [name, meaning]),
    [...attributeVariables].map(([name, { meaning }]) => [name, meaning]),
  );
});

t.test('every bundled profile has a dated section that quotes what it sends', async (t) => {
  const names = (await readdir(bundledProfilesDir))
    .filter((file) => file.endsWith('.toml'))
    .map((file) => file.slice(0, -5));
  t.ok(names.length >= 4);
  const folder = await confFolder(t, {});
  for (const name of names) {
    await folder.write(
      'conf/nas.d/a.toml',
      `name = "a"\naddress = "10.0.0.2"\nprofile = "${name}"\nsecret = "pk3Lx9Qv7Tz1Wd5Rb8Ym"`,
    );
    const { states } = compileProfile((await folder.load()).profiles[name]!, smallEncoder);
    const section = document.split(/^## /mu).find((one) => one.startsWith(`${name}\n`)) ?? '';
    t.match(section, /^20\d\d-\d\d-\d\d, from documents/mu, `${name}: dated, with its sources`);
    for (const [state, compiled] of Object.entries(states)) {
      t.match(section, `\`${state}\``, `${name}: ${state}`);
      for (const { name: attribute, value } of compiled.explain(sampleContext({ rate: true, burst: false }))) {
        t.match(section, attribute, `${name}: ${state}: ${attribute}`);
        t.match(section, String(value), `${name}: ${state}: ${String(value)}`);
      }
    }
  }
});
