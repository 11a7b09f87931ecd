/**
 * What README, changelog and operations name really exists: files, commands, options of scripts.
 */
import { access, readdir, readFile } from 'node:fs/promises';
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

/** Made by `npm run bench` and `npm run bench:million`; a checkout in which nobody has measured yet has none. */
const measured = new Set(['docs/benchmarks.md', 'docs/million.md']);

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
    for (const path of new Set([...links, ...named]))
      if (!measured.has(path) && !(await isThere(join(root, path)))) missing.push(path);
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

t.test('operations.md: metrics, drop reasons and messages that it explains are those of the program', async (t) => {
  const text = await read('docs/operations.md');
  const entries = await readdir(join(root, 'src'), { recursive: true });
  const files = entries.filter((name) => name.endsWith('.ts')).map((name) => read(join('src', name)));
  const source = [...(await Promise.all(files)), await read('bin/launch.mjs')].join('\n');

  const metrics = new Set([...text.matchAll(/\bsluice_([a-z_]+)/g)].map((match) => match[1]!));
  const known = new Set([...source.matchAll(/(?:gauge|counter)\(\s*'([a-z_]+)'/g)].map((match) => match[1]!));
  // Names of roles, tables and functions of SQL begin the same way.
  const sql = ['page', 'migration'];
  t.ok(metrics.size > 8);
  t.same(
    [...metrics].filter((name) => !known.has(name) && !sql.includes(name)),
    [],
  );

  const table = (header: string) =>
    text
      .slice(text.indexOf(header))
      .split('\n\n')[0]!
      .split('\n')
      .slice(2)
      .filter((row) => row.startsWith('|'));
  const named = (rows: readonly string[]) =>
    rows.flatMap((row) => [...row.split('|')[1]!.matchAll(/`([^`]+)`/g)].map((match) => match[1]!));
  const reasons = named(table('| reason | means | do |'));
  t.ok(reasons.length > 6);
  t.same(
    reasons.filter((reason) => !source.includes(`'${reason}'`)),
    [],
  );

  // What stands between the values in a message: `…`, addresses, single capitals.
  const pieces = (message: string) =>
    message
      .split(/…|\d[\d.:]*\/?\w*|\b[A-Z]\b|\(\w+\)/g)
      .map((piece) => piece.replaceAll(/^[\s/:,]+|[\s/:,]+$/g, ''))
      .filter((piece) => piece.length > 3);
  const messages = named(table('| message | cause | do |'));
  t.ok(messages.length > 10);
  for (const message of messages)
    t.same(
      pieces(message).filter((piece) => !source.includes(piece)),
      [],
      message,
    );
});
