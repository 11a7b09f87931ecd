/**
 * The shape of the source: who imports whom, and what a file may look like. The table is read from src/README.md, so the
 * document that newcomers read is the rule that is enforced.
 */
import { readFile, readdir } from 'node:fs/promises';
import { basename, dirname, join, relative, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import t from 'tap';
import ts from 'typescript';

const root = fileURLToPath(new URL('..', import.meta.url));
const src = join(root, 'src');

/** A file beyond this is two files, lines. */
const MAX_LINES = 500;

/** Names that say nothing about what a file is for. */
const NAMELESS = new Set(['utils', 'util', 'common', 'helpers', 'misc', 'types', 'index', 'shared', 'constants']);

interface SourceFile {
  /** Relative to src, as `radius/packet.ts`. */
  path: string;
  text: string;
  /** Relative imports, resolved: `radius/packet.ts`. */
  local: string[];
  /** Everything else: `node:net`, `pg`. */
  external: string[];
  /** True when it does nothing but export from elsewhere. */
  onlyReExports: boolean;
  /** Text of string and template literals, import specifiers left out. */
  literals: string[];
}

function parse(path: string, text: string): SourceFile {
  const tree = ts.createSourceFile(path, text, ts.ScriptTarget.ES2023, true);
  const specifiers: string[] = [];
  const literals: string[] = [];
  const visit = (node: ts.Node): void => {
    const specifier =
      ts.isImportDeclaration(node) || ts.isExportDeclaration(node)
        ? node.moduleSpecifier
        : ts.isCallExpression(node) && node.expression.kind === ts.SyntaxKind.ImportKeyword
          ? node.arguments[0]
          : ts.isImportTypeNode(node) && ts.isLiteralTypeNode(node.argument)
            ? node.argument.literal
            : undefined;
    if (specifier !== undefined && ts.isStringLiteralLike(specifier)) specifiers.push(specifier.text);
    else if (ts.isStringLiteralLike(node) || ts.isTemplateHead(node) || ts.isTemplateMiddleOrTemplateTail(node)) {
      literals.push(node.text);
    }
    ts.forEachChild(node, visit);
  };
  visit(tree);
  const isLocal = (specifier: string) => specifier.startsWith('.');
  return {
    path,
    text,
    local: specifiers
      .filter(isLocal)
      .map((specifier) => relative(src, resolve(src, dirname(path), specifier)).replace(/\.js$/, '.ts')),
    external: specifiers.filter((specifier) => !isLocal(specifier)),
    onlyReExports:
      tree.statements.length > 0 &&
      tree.statements.every(
        (statement) => ts.isExportDeclaration(statement) && statement.moduleSpecifier !== undefined,
      ),
    literals: literals.filter((literal) => !specifiers.includes(literal)),
  };
}

async function sources(): Promise<SourceFile[]> {
  const entries = await readdir(src, { withFileTypes: true, recursive: true });
  const paths = entries
    .filter((entry) => entry.isFile() && entry.name.endsWith('.ts'))
    .map((entry) => relative(src, join(entry.parentPath, entry.name)));
  return await Promise.all(paths.sort().map(async (path) => parse(path, await readFile(join(src, path), 'utf8'))));
}

/** `radius/packet.ts` → `radius`; `app.ts` → `app`. */
const folderOf = (path: string) => (path.includes('/') ? path.slice(0, path.indexOf('/')) : basename(path, '.ts'));

/** Folder → folders it may import, from the table in src/README.md. `everybody` stands for all. */
function readTable(markdown: string): Map<string, Set<string>> {
  const table = new Map<string, Set<string>>();
  const everybody = () => new Set(['*']);
  for (const line of markdown.split('\n')) {
    const cells = line.split('|').map((cell) => cell.trim());
    const name = /^`([\w.]+)`$/.exec(cells[1] ?? '')?.[1]?.replace(/\.ts$/, '');
    const rule = cells[2];
    if (name === undefined || rule === undefined || cells.length < 5) continue;
    const named = [...rule.matchAll(/`(\w+)`/g)].map((match) => match[1]!);
    if (rule.startsWith('everybody')) table.set(name, everybody());
    else if (rule.startsWith('everything but')) {
      table.set(name, new Set(['*', ...named.map((excluded) => `-${excluded}`)]));
    } else if (rule.startsWith('the same as')) {
      const [same, ...more] = named;
      table.set(name, new Set([...(table.get(same!) ?? []), same!, ...more]));
    } else table.set(name, new Set(named));
  }
  return table;
}

function mayImport(table: Map<string, Set<string>>, from: string, to: string): boolean {
  if (from === to) return true;
  const allowed = table.get(from);
  if (allowed === undefined) return false;
  if (allowed.has(`-${to}`)) return false;
  return allowed.has('*') || allowed.has(to);
}

/** One cycle of imports, as a path that ends where it begins, or undefined. */
function findCycle(files: readonly SourceFile[]): string[] | undefined {
  const imports = new Map(files.map((file) => [file.path, file.local]));
  const done = new Set<string>();
  const visit = (path: string, above: readonly string[]): string[] | undefined => {
    const at = above.indexOf(path);
    if (at !== -1) return [...above.slice(at), path];
    if (done.has(path)) return undefined;
    for (const next of imports.get(path) ?? []) {
      const cycle = visit(next, [...above, path]);
      if (cycle !== undefined) return cycle;
    }
    done.add(path);
    return undefined;
  };
  for (const file of files) {
    const cycle = visit(file.path, []);
    if (cycle !== undefined) return cycle;
  }
  return undefined;
}

/** A literal that is a statement, and not a sentence that begins with "Select". */
const SQL =
  /\bSELECT\b[\s\S]+\bFROM\b|\bINSERT\s+INTO\s+\w|\bUPDATE\s+(ONLY\s+)?\w+[\s\S]*\bSET\b|\bDELETE\s+FROM\s+\w|\b(CREATE|ALTER|DROP)\s+(TABLE|INDEX|DATABASE|ROLE|FUNCTION|TRIGGER)\b|^\s*(BEGIN|COMMIT|ROLLBACK|LISTEN \w+|NOTIFY \w+)\s*;?\s*$/;

/** Octets that prove something, compared with an operator that stops at the first difference. */
const LEAKY_COMPARISON =
  /\b\w*(?:digest|authenticator|hmac|signature|passwordHash|ntResponse|messageAuthenticator)\w*(?:\.toString\([^)]*\))?\s*[!=]==(?!\s*(?:undefined|null|true|false|'|"|-?\d))|[!=]==\s*\w*(?:digest|hmac|signature)\w*\b(?!\.(?:length|byteLength))|\.(?:equals|compare)\(\w*(?:digest|authenticator|hmac|signature|response)\w*/i;

const files = await sources();
const table = readTable(await readFile(join(src, 'README.md'), 'utf8'));

t.test('the table in src/README.md names every folder', async (t) => {
  const folders = new Set(files.map((file) => folderOf(file.path)).filter((folder) => folder !== 'main'));
  t.same(
    [...folders].filter((folder) => !table.has(folder)),
    [],
  );
  t.ok(table.get('workers')?.has('store'), '"the same as" is understood');
  t.notOk(mayImport(table, 'radius', 'store'));
  t.ok(mayImport(table, 'app', 'workers'));
  t.notOk(mayImport(table, 'cli', 'app'));
});

t.test('imports go in the directions of the table', async (t) => {
  const table2 = new Map(table).set('main', new Set(['app', 'cli']));
  const wrong = files.flatMap((file) =>
    file.local
      .filter((target) => !mayImport(table2, folderOf(file.path), folderOf(target)))
      .map((target) => `${file.path} → ${target}`),
  );
  t.same(wrong, []);
});

t.test('every relative import names a file that exists', async (t) => {
  const known = new Set(files.map((file) => file.path));
  t.same(
    files.flatMap((file) =>
      file.local.filter((target) => !known.has(target)).map((target) => `${file.path} → ${target}`),
    ),
    [],
  );
});

t.test('no file imports itself through others', async (t) => {
  t.same(findCycle(files)?.join(' → '), undefined);
  const one = (path: string, local: string[]) => ({ ...parse(path, ''), local });
  t.same(findCycle([one('a.ts', ['b.ts']), one('b.ts', ['c.ts']), one('c.ts', ['b.ts'])]), ['b.ts', 'c.ts', 'b.ts']);
});

t.test('domain is pure: no module of Node, no package, no clock, no chance', async (t) => {
  const impure =
    /\bDate\.now\(|\bTemporal\.Now\b|\bnew Date\(\)|\bMath\.random\(|\bperformance\.now\(|\bprocess\.|\bset(?:Timeout|Interval)\(/;
  const inDomain = files.filter((file) => folderOf(file.path) === 'domain');
  const allowed = new Set(['node:crypto', 'node:net', 'node:assert', 'ipaddr.js', 'temporal-polyfill']);
  t.same(
    inDomain.flatMap((file) =>
      file.external.filter((name) => !allowed.has(name)).map((name) => `${file.path} → ${name}`),
    ),
    [],
  );
  t.same(
    inDomain.filter((file) => impure.test(withoutComments(file.text))).map((file) => file.path),
    [],
  );
});

t.test('names of files say what is in them; none is a barrel', async (t) => {
  t.same(
    files.map((file) => file.path).filter((path) => NAMELESS.has(basename(path, '.ts'))),
    [],
  );
  t.same(
    files.filter((file) => file.onlyReExports).map((file) => file.path),
    [],
  );
});

t.test(`no file is longer than ${String(MAX_LINES)} lines`, async (t) => {
  t.same(
    files.filter((file) => file.text.split('\n').length > MAX_LINES).map((file) => file.path),
    [],
  );
});

t.test('every file opens with a comment that says what it is for', async (t) => {
  t.same(
    files.filter((file) => !/^(#!.*\n)?(\/\*\*|\/\/)/.test(file.text)).map((file) => file.path),
    [],
  );
});

t.test('SQL lives in store and nowhere else', async (t) => {
  t.same(
    files
      .filter((file) => folderOf(file.path) !== 'store')
      .flatMap((file) =>
        file.literals.filter((literal) => SQL.test(literal)).map((literal) => `${file.path}: ${literal}`),
      ),
    [],
  );
  t.match('SELECT id FROM subscriber', SQL);
  t.match('update subscriber set x'.toUpperCase(), SQL);
  t.notMatch('Select a plan from the list', SQL);
  t.notMatch('a Disconnect-Request is sent to delete the session', SQL);
});

t.test('the database driver is imported by store alone', async (t) => {
  const driver = new Set(['pg', 'knex']);
  t.same(
    files
      .filter((file) => folderOf(file.path) !== 'store')
      .filter((file) => file.external.some((name) => driver.has(name)))
      .filter((file) => !onlyTypesFrom(file.text, driver))
      .map((file) => file.path),
    [],
  );
});

t.test('what proves something is compared in constant time', async (t) => {
  const guarded = files.filter((file) =>
    ['radius', 'config', 'dhcp', 'handlers', 'status'].includes(folderOf(file.path)),
  );
  const found = guarded.flatMap((file) =>
    withoutComments(file.text)
      .split('\n')
      .filter((line) => LEAKY_COMPARISON.test(line))
      .map((line) => `${file.path}: ${line.trim()}`),
  );
  t.same(found, []);
  for (const leaky of ['if (digest === expected)', 'a.equals(authenticator)', "hmac.toString('hex') !== given"]) {
    t.match(leaky, LEAKY_COMPARISON);
  }
  for (const fine of [
    'digest === undefined',
    'timingSafeEqual(digest, expected)',
    'digest.length === 16',
    'type === 80',
  ]) {
    t.notMatch(fine, LEAKY_COMPARISON);
  }
});

function withoutComments(text: string): string {
  return text.replace(/\/\*[\s\S]*?\*\//g, '').replace(/^\s*\/\/.*$/gm, '');
}

function onlyTypesFrom(text: string, packages: Set<string>): boolean {
  const tree = ts.createSourceFile('x.ts', text, ts.ScriptTarget.ES2023, true);
  return tree.statements.every(
    (statement) =>
      !ts.isImportDeclaration(statement) ||
      !ts.isStringLiteral(statement.moduleSpecifier) ||
      !packages.has(statement.moduleSpecifier.text) ||
      statement.importClause?.isTypeOnly === true,
  );
}
