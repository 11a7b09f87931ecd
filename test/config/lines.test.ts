/**
 * `conf/lines.toml`: what is missing has a default, what is written counts, and what is wrong is told with file, line, key and remedy.
 */
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import t from 'tap';
import { formatProblem } from '../../src/config/problem.js';
import { defaultLineRules, linePresets } from '../../src/domain/line-presets.js';
import { compileLineRules } from '../../src/domain/line-rules.js';
import { checkout, confFolder } from './conf-folder.js';

const lines = (text: string) => ({ 'conf/lines.toml': text });
const rule = (text: string) => lines(`[[rule]]\nname = "r"\n${text}\n`);
const names = (rules: readonly { readonly name: string }[]): string[] => rules.map(({ name }) => name);
const presetNames = (preset: string): string[] => names(linePresets.find(({ name }) => name === preset)!.rules);

t.test('without the file, and without a rule in it, the presets count in their order', async (t) => {
  for (const files of [{}, lines(''), lines('# nothing yet\n')]) {
    const config = await (await confFolder(t, { 'conf/sluice.toml': '', ...files })).load();
    t.same(config.lines, defaultLineRules);
    t.same(config.warnings, []);
  }
});

t.test('rules are what is written, in order, with presets written out', async (t) => {
  const folder = await confFolder(
    t,
    lines(`
[[rule]]
name = "chassis"
circuit_id = { hex = '01 (?<slot>..) (?<port>..)' }
remote_id = [{ hex = '0006 (?<mac>.{12})' }, { text = '(?<device>.+)' }]
absent = ["subscriber_id"]
optional = ["remote_id"]
convert = { port = ["hex2number", "increment_port"], slot = "hex2number" }
set = { port = "$slot/$port" }

[[rule]]
preset = "h3c"

[[rule]]
preset = "mikrotik-bridge"

[[rule]]
preset = "default"
`),
  );
  const { lines: rules } = await folder.load();
  t.same(rules[0], {
    name: 'chassis',
    match: {
      circuit_id: [{ form: 'hex', pattern: '01 (?<slot>..) (?<port>..)' }],
      remote_id: [
        { form: 'hex', pattern: '0006 (?<mac>.{12})' },
        { form: 'text', pattern: '(?<device>.+)' },
      ],
    },
    absent: ['subscriber_id'],
    optional: ['remote_id'],
    convert: { port: ['hex2number', 'increment_port'], slot: ['hex2number'] },
    set: { port: '$slot/$port' },
  });
  const rest = names(defaultLineRules).filter((name) => !presetNames('mikrotik-bridge').includes(name));
  t.same(
    names(rules),
    ['chassis', 'h3c', 'mikrotik-bridge', ...rest],
    '"default" leaves out what the file names by itself',
  );
  const found = compileLineRules(rules).find({
    circuitId: '010207',
    remoteId: '00063c3332664350',
    subscriberId: null,
    switchMac: null,
    switchPort: null,
  });
  t.same(found, { rule: 'chassis', line: { device: { by: 'mac', value: '3c:33:32:66:43:50' }, port: '2/8' } });
});

t.test('every preset can be named', async (t) => {
  for (const { name, rules } of linePresets) {
    const config = await (await confFolder(t, lines(`[[rule]]\npreset = "${name}"\n`))).load();
    t.same(config.lines, rules, name);
  }
});

t.test('the file that comes with the program is the presets; its examples are rules', async (t) => {
  const shipped = await readFile(join(checkout, 'conf/lines.toml'), 'utf8');
  t.same((await (await confFolder(t, lines(shipped))).load()).lines, defaultLineRules);
  const shown = shipped.replaceAll(/^# (\[\[rule\]\]|[a-z_]+ = )/gmu, '$1');
  t.not(shown, shipped);
  const { lines: rules } = await (await confFolder(t, lines(shown))).load();
  t.same(names(rules), ['h3c-block-7', 'string', 'relay-north', 'chassis', ...names(defaultLineRules)]);
  const compiled = compileLineRules(rules);
  const inHex = (text: string) => Buffer.from(text).toString('hex');
  const find = (circuitId: string, remoteId: string | null) =>
    compiled.find({ circuitId, remoteId, subscriberId: null, switchMac: null, switchPort: null });
  const rows: [rule: string, found: unknown, line: object][] = [
    [
      'h3c-block-7',
      find('000400640004', '0006000fe2010203'),
      { vlan: 100, port: '5', device: { by: 'mac', value: '00:0f:e2:01:02:03' } },
    ],
    [
      'dlink/standalone',
      find('000400640004', '0006001cf0010203'),
      { vlan: 100, port: '4', device: { by: 'mac', value: '00:1c:f0:01:02:03' } },
    ],
    [
      'string',
      find(inHex('sw-12 port 3'), inHex('vlan7')),
      { device: { by: 'name', value: 'sw-12' }, port: '3', vlan: 7 },
    ],
    [
      'relay-north',
      find(inHex('north.100'), null),
      { vlan: 100, port: '100', device: { by: 'name', value: 'relay-north' } },
    ],
    [
      'chassis',
      find('010205 0064'.replace(' ', ''), `0105${inHex('sw-12')}`),
      { port: '2/5', vlan: 100, device: { by: 'name', value: 'sw-12' } },
    ],
  ];
  for (const [name, found, line] of rows) t.same(found, { rule: name, line }, name);
});

t.test('rules cannot be changed', async (t) => {
  const config = await (await confFolder(t, rule(`circuit_id = { text = '(?<port>.+)' }`))).load();
  t.throws(() => {
    (config.lines[0] as { name: string }).name = 'x';
  }, TypeError);
  t.ok(Object.isFrozen(config.lines[0]?.match));
});

type Expected = readonly [line: number, key: string, problem: RegExp, remedy: RegExp];

const port = `circuit_id = { text = '(?<port>.+)' }`;

const cases: readonly [what: string, files: Readonly<Record<string, string>>, ...expected: Expected[]][] = [
  ['no TOML', lines('[[rule]]\nname =\n'), [2, '', /is not TOML/, /syntax/]],
  ['a misspelt table', lines('[[rules]]\nname = "a"\n'), [1, 'rules', /not a key/, /write rule$/]],
  ['a table for a list', lines('[rule]\nname = "a"\n'), [1, 'rule', /no list of tables/, /\[\[rule\]\]/]],
  ['a misspelt key', rule(`circuit = { text = 'a' }`), [3, 'rule[0].circuit', /not a key/, /write circuit_id$/]],
  ['a rule without a name', lines(`[[rule]]\n${port}\n`), [1, 'rule[0].name', /missing/, /preset = "…"/]],
  [
    'a name that is none',
    lines(`[[rule]]\nname = "Ü"\n${port}\n`),
    [2, 'rule[0].name', /not a name/, /letter or digit/],
  ],
  ['no such preset', lines('[[rule]]\npreset = "dlnk"\n'), [2, 'rule[0].preset', /one of the values/, /"dlink"/]],
  [
    'something beside a preset',
    lines(`[[rule]]\npreset = "dlink"\n${port}\n`),
    [3, 'rule[0].circuit_id', /beside a preset/, /rule of its own/],
  ],
  [
    'one preset twice',
    lines('[[rule]]\npreset = "dlink"\n[[rule]]\npreset = "dlink"\n'),
    [4, 'rule[1].preset', /second rule dlink\/standalone, beside that of line 1/, /remove one/],
  ],
  [
    'two rules of one name',
    lines(`[[rule]]\nname = "r"\n${port}\n[[rule]]\nname = "r"\n${port}\n`),
    [5, 'rule[1].name', /second rule r, beside that of line 1/, /another name/],
  ],
  [
    'a rule with the name of one that is behind a preset',
    lines(`[[rule]]\npreset = "default"\n[[rule]]\nname = "zte"\n${port}\n`),
    [4, 'rule[1].name', /second rule zte/, /another name/],
  ],
  [
    'a text for a pattern',
    rule(`circuit_id = "abc"`),
    [3, 'rule[0].circuit_id', /is a text/, /table of keys, or a list/],
  ],
  ['a pattern without a form', rule('circuit_id = {}'), [3, 'rule[0].circuit_id', /no pattern/, /hex or text/]],
  [
    'a pattern of two forms',
    rule(`circuit_id = { hex = 'a', text = 'a' }`),
    [3, 'rule[0].circuit_id', /two patterns/, /hex or text/],
  ],
  ['no patterns', rule('circuit_id = []'), [3, 'rule[0].circuit_id', /fewer than 1/, /list/]],
  [
    'a number for a pattern',
    rule('circuit_id = { hex = 12 }'),
    [3, 'rule[0].circuit_id.hex', /is a number/, /text in quotes/],
  ],
  [
    'a pattern that is none',
    rule(`circuit_id = { text = '(?<port>' }`),
    [3, 'rule[0].circuit_id.text', /"\(" that is not closed/, /\\\(/],
  ],
  [
    'the second of two patterns',
    rule(`circuit_id = [\n  { text = '(?<port>.+)' },\n  { hex = 'xyz' },\n]`),
    [5, 'rule[0].circuit_id[1].hex', /no hexadecimal digit/, /text in place of hex/],
  ],
  [
    'a pattern beyond all',
    rule(`circuit_id = { text = '(?<port>${'a'.repeat(600)})' }`),
    [3, 'rule[0].circuit_id.text', /longer than 512/, /two rules/],
  ],
  [
    'a misspelt field',
    rule(`circuit_id = { text = '(?<prot>.+)' }`),
    [3, 'rule[0].circuit_id.text', /prot, which there is not/, /port/],
  ],
  ['nothing to look at', rule(`set = { port = "x" }`), [1, 'rule[0]', /looks at nothing/, /circuit_id/]],
  [
    'no such attribute',
    rule(`${port}\nabsent = ["remote"]`),
    [4, 'rule[0].absent[0]', /one of the values/, /"remote_id"/],
  ],
  [
    'absent and matched',
    rule(`${port}\nabsent = ["circuit_id"]`),
    [4, 'rule[0].absent[0]', /which the rule matches/, /one of the two/],
  ],
  [
    'no such function',
    rule(`${port}\nconvert = { port = "hex2num" }`),
    [4, 'rule[0].convert.port', /one of the values|is a text/, /"hex2number"/],
  ],
  [
    'no such function in a list',
    rule(`${port}\nconvert = { port = ["number", "plus"] }`),
    [4, 'rule[0].convert.port[1]', /one of the values/, /"increment_port"/],
  ],
  [
    'functions for a misspelt field',
    rule(`${port}\nconvert = { prot = "number" }`),
    [4, 'rule[0].convert.prot', /not a key/, /port/],
  ],
  [
    'functions for what is not found',
    rule(`${port}\nconvert = { vlan = "number" }`),
    [4, 'rule[0].convert.vlan', /does not find/, /remove/],
  ],
  ['a misspelt part of a line', rule(`${port}\nset = { prot = "x" }`), [4, 'rule[0].set.prot', /not a key/, /port/]],
  [
    'a part of what is not found',
    rule(`${port}\n[rule.set]\nport = "$slot/$port"`),
    [5, 'rule[0].set.port', /uses slot/, /\(\?<slot>…\)/],
  ],
  [
    'several problems',
    lines(`[[rule]]\nname = "a"\ncircuit_id = { text = '(' }\nremote_id = { text = '[' }\n[[rule]]\nname = "b"\n`),
    [3, 'rule[0].circuit_id.text', /not closed/, /\\\(/],
    [4, 'rule[0].remote_id.text', /not closed/, /\\\[/],
    [5, 'rule[1]', /looks at nothing/, /circuit_id/],
  ],
];

t.test('what is wrong is told with line, key, problem and remedy', async (t) => {
  for (const [what, files, ...expected] of cases) {
    const problems = await (await confFolder(t, { 'conf/sluice.toml': '', ...files })).problems();
    t.same(
      problems.map(({ file, line, key }) => [file, line, key]),
      expected.map(([line, key]) => ['conf/lines.toml', line, key]),
      `${what}: the place`,
    );
    for (const [index, [, , problem, remedy]] of expected.entries()) {
      t.match(problems[index], { problem, remedy }, what);
      t.notMatch(formatProblem(problems[index]!), /[\r\n]/u, `${what}: on one line`);
    }
  }
});

t.test('rules that could take too long together are refused where it becomes too much', async (t) => {
  const heavy = (name: string) => `[[rule]]\nname = "${name}"\ncircuit_id = { hex = '(?<port>.{1,200}[a-f])' }\n`;
  const many = Array.from({ length: 16 }, (_, index) => heavy(`r${String(index)}`)).join('');
  const problems = await (await confFolder(t, lines(many))).problems();
  t.match(problems, [{ key: 'rule[12]', line: 37, problem: /too much together/, remedy: /fewer and shorter/ }]);
  t.equal(problems.length, 1);
  await (await confFolder(t, lines(heavy('r')))).load();
});
