// docs/profiles.md says what the code does: every variable, every bundled profile, every value it quotes.
import { readFile, readdir } from 'node:fs/promises';
import { join } from 'node:path';
import t from 'tap';
import { attributeVariables, sampleContext } from '../../src/nas/attribute-variables.js';
import { compileProfile } from '../../src/nas/profile.js';
import { bundledProfilesDir, checkout, confFolder } from '../config/conf-folder.js';
import { dictionaryEncoder } from '../../src/nas/dictionary-encoder.js';
import { dictionary } from './command-bench.js';
import { sampleExchange } from './sample-exchange.js';

const encoder = dictionaryEncoder(dictionary);

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

const pages = join(checkout, 'docs/profiles');

t.test('every bundled profile has a dated page that quotes what it sends', async (t) => {
  const names = (await readdir(bundledProfilesDir))
    .filter((file) => file.endsWith('.toml'))
    .map((file) => file.slice(0, -5));
  t.ok(names.length >= 8);
  const folder = await confFolder(t, {});
  for (const name of names) {
    t.match(document, `[${name}](profiles/${name}.md)`, `${name}: in the table of pages`);
    await folder.write(
      'conf/nas.d/a.toml',
      `name = "a"\naddress = "10.0.0.2"\nprofile = "${name}"\nsecret = "pk3Lx9Qv7Tz1Wd5Rb8Ym"`,
    );
    const { states, commands } = compileProfile((await folder.load()).profiles[name]!, encoder);
    const page = await readFile(join(pages, `${name}.md`), 'utf8').catch(() => '');
    t.match(page, /^20\d\d-\d\d-\d\d/mu, `${name}: dated, with what it was tried against`);
    const speaksRadius = [...commands.values()].some(({ steps }) =>
      steps.some(({ send }) => /^(coa|disconnect)$/u.test(send)),
    );
    if (!speaksRadius) continue;
    for (const command of commands.keys()) t.match(page, `\`${command}\``, `${name}: ${command}`);
    for (const [state, compiled] of Object.entries(states)) {
      t.match(page, `\`${state}\``, `${name}: ${state}`);
      for (const { name: attribute, value } of compiled.explain(sampleContext({ rate: true, burst: false }))) {
        t.match(page, attribute, `${name}: ${state}: ${attribute}`);
        t.match(page, String(value), `${name}: ${state}: ${String(value)}`);
      }
    }
  }
});

t.test('sample exchanges are what crosses a socket', async (t) => {
  let found = 0;
  for (const file of await readdir(pages)) {
    const page = await readFile(join(pages, file), 'utf8');
    const block = /^## Sample exchange\n[\s\S]*?^```radius\n([\s\S]*?)^```$/mu.exec(page)?.[1];
    if (block === undefined) continue;
    found += 1;
    const expected = await sampleExchange(t, file.slice(0, -3));
    t.equal(block, expected, `${file}; write it anew: npx tsx test/nas/write-sample-exchanges.ts`);
  }
  t.ok(found >= 8, 'each profile that speaks RADIUS has one');
});
