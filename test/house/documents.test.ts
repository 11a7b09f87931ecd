/**
 * What README, changelog and operations name really exists: files, commands, options of scripts.
 */
import { access, readFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import t from 'tap';

const root = fileURLToPath(new URL('../..', import.meta.url));
const read = (name: string) => readFile(join(root, name), 'utf8');
const isThere = (path: string) =>
  access(path).then(
    () => true,
    () => false,
  );

for (const document of ['README.md', 'CHANGELOG.md', 'docs/operations.md', 'src/README.md']) {
  t.test(`${document}: every file of the checkout that it names is there`, async (t) => {
    const text = await read(document);
    const links = [...text.matchAll(/\]\((?!https?:)([^)#]+)[^)]*\)/g)].map((match) =>
      join(dirname(document), match[1]!),
    );
    const named = [...text.matchAll(/`((?:bin|conf|docs|src|systemd|test|\.ci)\/[\w./-]*)`/g)].map(
      (match) => match[1]!,
    );
    const missing = [];
    for (const path of new Set([...links, ...named])) if (!(await isThere(join(root, path)))) missing.push(path);
    t.same(missing, []);
  });
}

t.test('the scripts that README names are those of package.json', async (t) => {
  const { scripts } = JSON.parse(await read('package.json')) as { scripts: Record<string, string> };
  const named = [...(await read('README.md')).matchAll(/`npm (?:run )?(start|test|[\w:]+)`/g)].map(
    (match) => match[1]!,
  );
  t.ok(named.length > 0);
  t.same(
    named.filter((name) => scripts[name] === undefined),
    [],
  );
});

t.test('the oldest Node is the same everywhere', async (t) => {
  const { engines } = JSON.parse(await read('package.json')) as { engines: { node: string } };
  const oldest = /\d+\.\d+/.exec(engines.node)![0];
  t.match(await read('README.md'), `Node.js ${oldest}`);
  t.match(await read('docs/operations.md'), `Node.js ${oldest}`);
  t.match(await read('bin/sluice'), `Node.js ${oldest}`);
  t.match(await read('bin/launch.mjs'), `[${oldest.replace('.', ', ')}, 0]`);
});
