/**
 * Patterns of access-line rules: what they accept, that they mean what the same regular expression means, and that nobody can make them slow.
 */
import fc from 'fast-check';
import t from 'tap';
import { compilePattern, maxPatternSize } from '../../src/domain/line-pattern.js';
import type { LinePattern, PatternResult } from '../../src/domain/line-pattern.js';
import type { PatternForm } from '../../src/domain/line-pattern-syntax.js';

function compiled(pattern: string, form: PatternForm = 'text'): LinePattern {
  const result = compilePattern(pattern, form);
  if (!result.ok) throw new Error(`${pattern} ${result.problem}; ${result.remedy}`);
  return result.pattern;
}

/** What the fields of a match are, or undefined. */
function fieldsOf(value: string, result: PatternResult): Record<string, string> | undefined {
  if (!result.matched) return undefined;
  return Object.fromEntries([...result.fields].map(([name, { start, end }]) => [name, value.slice(start, end)]));
}

const octets = (text: string): string => Buffer.from(text, 'utf8').toString('latin1');

t.test('what is matched, and what the fields are', async (t) => {
  const rows: [form: PatternForm, pattern: string, value: string, fields: Record<string, string> | undefined][] = [
    ['text', 'abc', 'abc', {}],
    ['text', 'abc', 'abcd', undefined],
    ['text', 'abc', 'xabc', undefined],
    ['text', '^abc$', 'abc', {}],
    ['text', 'a\\$', 'a$', {}],
    ['text', '(?<port>\\d+)', '12', { port: '12' }],
    ['text', '(?<device>.+) eth 0/(?<port>\\d+)', 'My Mikrotik eth 0/2', { device: 'My Mikrotik', port: '2' }],
    ['text', '(?<device>.+) eth 0/(?<port>\\d+)', 'a eth 0/1 eth 0/2', { device: 'a eth 0/1', port: '2' }],
    ['text', '(?<device>.+?) eth 0/(?<port>.+)', 'a eth 0/1 eth 0/2', { device: 'a', port: '1 eth 0/2' }],
    ['text', 'a(?:,(?<vlan>\\d+))?', 'a', {}],
    ['text', 'a(?:,(?<vlan>\\d+))?', 'a,7', { vlan: '7' }],
    ['text', '(?:a|ab)(?<port>.*)', 'abc', { port: 'bc' }],
    ['text', '(?<port>(?:.*-)?vlan(?<vlan>\\d+))', 'ether1-vlan100', { port: 'ether1-vlan100', vlan: '100' }],
    ['text', '[^/]+/[\\d\\-x]{2,3}', 'a/1-x', {}],
    ['text', '[^/]+/[\\d\\-x]{2,3}', 'a/1-xx', undefined],
    ['text', 'a{0,2}b{2,}', 'abbb', {}],
    ['text', 'a{0,2}b{2,}', 'ab', undefined],
    ['text', '.', '\n', {}],
    ['text', '\\x01(?<length>.)(?<port>.+)', '\x01\x05hello', { length: '\x05', port: 'hello' }],
    ['text', 'Коммутатор (?<port>\\d)', octets('Коммутатор 5'), { port: '5' }],
    ['text', 'й+', octets('ййй'), {}],
    ['text', 'й+', octets('йй').slice(0, 3), undefined],
    ['hex', '0004 (?<vlan>.{4}) 00 (?<port>..)', '000408770017', { vlan: '0877', port: '17' }],
    ['hex', '0004(?<vlan>....)(?<module>..)(?<port>..)', '00040877001', undefined],
    ['hex', '00AB[C-F]', '00abd', {}],
    ['hex', '[^A]b', 'ab', undefined],
    ['hex', '(?:..)*(?<port>..)', '0102030a', { port: '0a' }],
  ];
  for (const [form, pattern, value, fields] of rows)
    t.same(fieldsOf(value, compiled(pattern, form).match(value)), fields, `${pattern} on ${JSON.stringify(value)}`);
});

t.test('how far a value fits is told', async (t) => {
  const rows: [pattern: string, value: string, reach: number][] = [
    ['abc', 'xbc', 0],
    ['abc', 'abx', 2],
    ['abc', 'ab', 2],
    ['abc', 'abcd', 3],
    ['(?:ab|xyz)', 'xyq', 2],
  ];
  for (const [pattern, value, reach] of rows)
    t.match(compiled(pattern).match(value), { matched: false, reach }, `${pattern} on ${value}`);
});

t.test('what is no pattern is told with a remedy', async (t) => {
  const rows: [form: PatternForm, pattern: string, problem: RegExp, remedy: RegExp][] = [
    ['text', '', /is empty/, /what the value looks like/],
    ['text', '^$', /is empty/, /what the value looks like/],
    ['text', 'a'.repeat(513), /longer than 512/, /two rules/],
    ['text', 'a)', /a "\)" too many/, /\\\)/],
    ['text', '(a', /not closed/, /\\\(/],
    ['text', '[a', /not closed/, /\\\[/],
    ['text', '[]', /nothing in them/, /what may stand there/],
    ['text', '*a', /"\*" with nothing before/, /\\\*/],
    ['text', 'a**', /repeats what is repeated/, /\(\?:…\)/],
    ['text', '(?:a*)*', /repeats what may be nothing/, /match something/],
    ['text', '(?:a|b?){2}', /repeats what may be nothing/, /match something/],
    ['text', '(?:(?<port>a))+', /repeats a field/, /inside the field/],
    ['text', 'a{2', /no count/, /\{4\}/],
    ['text', 'a{x}', /no count/, /\{4\}/],
    ['text', 'a{3,1}', /count \{3,1\}/, /smaller number first/],
    ['text', 'a{0}', /count \{0\}/, /count from/],
    ['text', 'a{256}', /count \{256\}/, /to 255/],
    ['text', '(?:.{200}){200}', /too large/, /\+ or \*/],
    ['text', 'a^b', /"\^" inside/, /whole value/],
    ['text', 'a$b', /"\$" inside/, /whole value/],
    ['text', '(?=a)', /looks around/, /\(\?:…\)/],
    ['text', '(?!a)', /looks around/, /\(\?:…\)/],
    ['text', '(?<=a)b', /looks around/, /\(\?:…\)/],
    ['text', '(?<!a)b', /looks around/, /\(\?:…\)/],
    ['text', '(?i:a)', /looks around/, /\(\?:…\)/],
    ['text', '(a)\\1', /has \\1/, /\\d \\w/],
    ['text', '(?<port>a)\\k<port>', /has \\k/, /\\d \\w/],
    ['text', '\\bx', /has \\b/, /\\d \\w/],
    ['text', 'a\\', /single \\/, /\\\\/],
    ['text', '\\xg1', /without two digits/, /\\x01/],
    ['text', '[z-a]', /range/, /lower to the higher/],
    ['text', '[\\d-x]', /range/, /lower to the higher/],
    ['text', '[я]', /several octets/, /\(\?:a\|b\)/],
    ['text', '(?<Port>a)', /without a name/, /lower-case/],
    ['text', '(?<>a)', /without a name/, /lower-case/],
    ['text', '(?<port>a)|(?<port>b)', /port twice/, /two patterns/],
    ['text', `${'(?:'.repeat(17)}a${')'.repeat(17)}`, /more than 16 deep/, /fewer/],
    ['hex', '0004xy', /no hexadecimal digit/, /text in place of hex/],
    ['hex', '[xyz]', /no hexadecimal digit/, /text in place of hex/],
    ['hex', '\\x01', /\\x in hexadecimal/, /write 01 alone/],
    ['hex', 'я', /no hexadecimal digit/, /text in place of hex/],
  ];
  for (const [form, pattern, problem, remedy] of rows)
    t.match(compilePattern(pattern, form), { ok: false, problem, remedy }, pattern.slice(0, 40));
});

// Patterns of the whole accepted syntax, over few letters, so that values often match.
const letter = fc.constantFrom('a', 'b', 'c', '/', '.', '[ab]', '[^a]', '\\d', '\\/', '[a-c1]');
const pattern: fc.Arbitrary<string> = fc.letrec<{ node: string }>((tie) => ({
  node: fc.oneof(
    { depthSize: 'small', withCrossShrink: true },
    letter,
    fc.array(tie('node'), { minLength: 1, maxLength: 4 }).map((parts) => parts.join('')),
    fc.array(tie('node'), { minLength: 2, maxLength: 3 }).map((parts) => `(?:${parts.join('|')})`),
    fc
      .tuple(tie('node'), fc.constantFrom('*', '+', '?', '*?', '+?', '??', '{2}', '{1,3}', '{0,2}?', '{2,}'))
      .map(([part, count]) => `(?:${part})${count}`),
    tie('node').map((part) => `(?<f>${part})`),
  ),
})).node;

/** The same with names of their own for the fields. */
function named(text: string): string {
  let count = 0;
  return text.replaceAll('(?<f>', () => `(?<f${String(count++)}>`);
}

const value = fc.array(fc.constantFrom('a', 'b', 'c', '/', '1'), { maxLength: 12 }).map((parts) => parts.join(''));

t.test('a pattern means what the same regular expression means for the whole value', async (t) => {
  let compared = 0;
  let matched = 0;
  fc.assert(
    fc.property(pattern.map(named), fc.array(value, { minLength: 1, maxLength: 8 }), (text, values) => {
      const result = compilePattern(text, 'text');
      // Repetitions of fields and of nothing, and counts in counts, are refused; the table above has them.
      if (!result.ok) return;
      const oracle = new RegExp(`^(?:${text})$`, 's');
      for (const one of values) {
        const groups = oracle.exec(one)?.groups;
        const expected = oracle.test(one)
          ? Object.fromEntries(Object.entries(groups ?? {}).filter(([, found]) => found !== undefined))
          : undefined;
        const found = fieldsOf(one, result.pattern.match(one));
        compared++;
        if (expected !== undefined) matched++;
        if (JSON.stringify(sorted(found)) !== JSON.stringify(sorted(expected)))
          throw new Error(`${text} on ${one}: ${JSON.stringify(found)}, expected ${JSON.stringify(expected)}`);
      }
    }),
    { numRuns: 3_000, seed: 20_261_122 },
  );
  t.ok(compared > 2_000, `${String(compared)} values compared`);
  t.ok(matched > 300, `${String(matched)} of them matched`);
});

const sorted = (fields: Record<string, string> | undefined): unknown =>
  fields === undefined ? null : Object.entries(fields).sort();

t.test('no value takes more steps than the size of the pattern times its places', async () => {
  fc.assert(
    fc.property(pattern.map(named), fc.string({ maxLength: 60, unit: fc.constantFrom('a', 'b', '/') }), (text, one) => {
      const result = compilePattern(text, 'text');
      return !result.ok || result.pattern.match(one).steps <= result.pattern.size * (one.length + 1);
    }),
    { numRuns: 2_000, seed: 20_261_122 },
  );
});

t.test('patterns on which a backtracking engine hangs', async (t) => {
  const rows: [form: PatternForm, pattern: string, value: string][] = [
    ['text', '(?:a+)+b', 'a'.repeat(255)],
    ['text', '(?:a|aa)+b', 'a'.repeat(255)],
    ['text', '(?:a|a)*b', 'a'.repeat(255)],
    ['text', '(?:[^ ]+ ?)+:', 'a'.repeat(255)],
    ['text', '(?:.+)+ eth (?:.+)+x', ' eth '.repeat(51)],
    ['text', '.*.*.*.*.*.*.*.*.*.*,', '0'.repeat(255)],
    ['text', '(?:(?:a?b)c?|a+)+d', 'ab'.repeat(127)],
    ['hex', '(?:(?:..)+(?:....)+)+ff', '00'.repeat(255)],
    ['hex', '.+.+.+.+.+.+.+.+ff', '0'.repeat(510)],
  ];
  for (const [form, text, one] of rows) {
    const result = compiled(text, form).match(one);
    t.equal(result.matched, false, text);
    t.ok(result.steps <= compiled(text, form).size * (one.length + 1), `${text}: ${String(result.steps)} steps`);
  }
});

t.test('the largest pattern on the longest value is a matter of milliseconds', async (t) => {
  let text = '.';
  for (;;) {
    const longer = `${text}(?:.+a)?`;
    if (longer.length > 500 || !compilePattern(longer, 'hex').ok) break;
    text = longer;
  }
  const largest = compiled(text, 'hex');
  const longest = '00'.repeat(255);
  t.ok(largest.size > 200 && largest.size <= maxPatternSize);
  const before = process.cpuUsage();
  let steps = 0;
  for (let count = 0; count < 20; count++) steps += largest.match(longest).steps;
  const { user, system } = process.cpuUsage(before);
  const tookMs = (user + system) / 1_000;
  t.ok(steps > 20 * 1_000, 'it has work to do');
  t.ok(steps <= 20 * largest.size * 511);
  // Some 2 million steps; a wide margin for a slow machine, and none for anything that is not linear.
  t.ok(tookMs < 5_000, `${String(Math.round(tookMs))} ms`);
});
