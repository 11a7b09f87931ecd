/**
 * The `users` file of FreeRADIUS: a table of texts and what they say (`man 5 users`).
 */
import t from 'tap';
import { parseUsersFile } from '../../src/domain/freeradius-users-file.js';

const texts: readonly [what: string, text: string, entries: readonly unknown[]][] = [
  [
    'check and reply items',
    'bob Cleartext-Password := "x"\n\tReply-Message = "hi"\n',
    [['bob', ['Cleartext-Password := x'], ['Reply-Message = hi']]],
  ],
  ['several on a line', 'bob A := 1, B == 2\n C = 3, D += 4\n', [['bob', ['A := 1', 'B == 2'], ['C = 3', 'D += 4']]]],
  ['no blanks about operators', 'bob A:=1,B==2\n', [['bob', ['A := 1', 'B == 2'], []]]],
  [
    'every operator',
    'bob A != 1, B > 2, C >= 3, D < 4, E <= 5, F =~ "^x", G !~ "y", H =* 1, I !* 1, J -= 1\n',
    [['bob', ['A != 1', 'B > 2', 'C >= 3', 'D < 4', 'E <= 5', 'F =~ ^x', 'G !~ y', 'H =* 1', 'I !* 1', 'J -= 1'], []]],
  ],
  [
    'comments, not in quotes',
    '# first\nbob A := "#1" # second\n # third\n\tB = 2 # fourth\n',
    [['bob', ['A := #1'], ['B = 2']]],
  ],
  ['a name in quotes', '"bob smith" A := 1\n', [['bob smith', ['A := 1'], []]]],
  ['escapes', 'bob A := "a\\"b\\\\c\\n\\101", B := \'a\\"b\'\n', [['bob', ['A := a"b\\c\nA', 'B := a\\"b'], []]]],
  ['a line that goes on', 'bob A := 1, \\\n    B := 2\n\tC = 3\n', [['bob', ['A := 1', 'B := 2'], ['C = 3']]]],
  ['CRLF and a byte order mark', '\ufeffbob A := 1\r\n\tB = 2\r\n', [['bob', ['A := 1'], ['B = 2']]]],
  ['a comma at the end of reply lines', 'bob A := 1\n\tB = 2,\n\tC = 3\n', [['bob', ['A := 1'], ['B = 2', 'C = 3']]]],
  [
    'entries without items',
    'bob\nDEFAULT\n',
    [
      ['bob', [], []],
      ['DEFAULT', [], []],
    ],
  ],
  [
    'tags and vendors',
    'bob Tunnel-Type:1 := VLAN\n\tCisco-AVPair += "ip:addr-pool=main"\n',
    [['bob', ['Tunnel-Type:1 := VLAN'], ['Cisco-AVPair += ip:addr-pool=main']]],
  ],
];

for (const [what, text, entries] of texts) {
  t.test(what, async (t) => {
    const { parts, problems } = parseUsersFile(text);
    t.same(problems, []);
    const written = (items: readonly { attribute: string; operator: string; value: string }[]) =>
      items.map((item) => `${item.attribute} ${item.operator} ${item.value}`);
    t.same(
      parts.map((part) =>
        part.kind === 'entry' ? [part.entry.name, written(part.entry.checks), written(part.entry.replies)] : part,
      ),
      entries,
    );
  });
}

const wrong: readonly [what: string, text: string, line: number, problem: RegExp][] = [
  ['no operator', 'bob Password\n', 1, /Attribute operator value/],
  ['no value', 'bob A :=\n', 1, /no value after A/],
  ['a quote that stays open', 'a\nbob A := "x\n', 2, /never closed/],
  ['no comma', 'bob A := 1 B := 2\n', 1, /no comma/],
  ['reply items above every entry', '\tA = 1\nbob\n', 1, /no entry stands above/],
  ['an entry after a comma', 'bob\n\tA = 1,\neve\n', 3, /ends in a comma/],
  ['a value without end', `bob A := ${'x'.repeat(5000)}\n`, 1, /too long/],
];

for (const [what, text, line, problem] of wrong) {
  t.test(`${what} is told with its line`, async (t) => {
    const { problems } = parseUsersFile(text);
    t.equal(problems.length, 1);
    t.match(problems[0], { line, problem });
  });
}

t.test('an entry that cannot be read spoils no other, and its password is not repeated', async (t) => {
  const { parts, problems } = parseUsersFile('bad Cleartext-Password "secret"\n\tA = 1\ngood A := 1\n');
  t.equal(problems.length, 1);
  t.notMatch(JSON.stringify(problems), /secret/);
  t.match(parts, [{ kind: 'entry', entry: { name: 'good', line: 3 } }]);
});

t.test('$INCLUDE keeps its place, and values that are worked out are known as such', async (t) => {
  const { parts } = parseUsersFile('a A := "%{NAS-Port}"\n$INCLUDE more/users\nb B := `date`\nc C := \'%{x}\'\n');
  t.match(parts, [
    { kind: 'entry', entry: { checks: [{ computed: true }] } },
    { kind: 'include', line: 2, path: 'more/users' },
    { kind: 'entry', entry: { checks: [{ computed: true }] } },
    { kind: 'entry', entry: { checks: [{ computed: false, value: '%{x}' }] } },
  ]);
});
