/**
 * What known devices write, and the line that comes out: through all rules of the default order, so that no preset takes another's format; and that
 * no octets whatever do any harm. The page for operators shows the same samples.
 */
import { readFile } from 'node:fs/promises';
import { fileURLToPath } from 'node:url';
import fc from 'fast-check';
import t from 'tap';
import { accessLineText } from '../../src/domain/access-line.js';
import type { AccessLine } from '../../src/domain/access-line.js';
import { parseMacAddress } from '../../src/domain/mac-address.js';
import { defaultLineRules, linePresets } from '../../src/domain/line-presets.js';
import { compileLineRule } from '../../src/domain/line-rule.js';
import { compileLineRules, maxLineSteps } from '../../src/domain/line-rules.js';
import type { LineSource } from '../../src/domain/line-rules.js';
import { byDefault, byName, inHex, port, source } from './line-vectors.js';

const defaults = compileLineRules(defaultLineRules);

/** The preset that has a rule, alone. */
function presetOf(rule: string) {
  const preset = linePresets.find(({ rules }) => rules.some((one) => one.name === rule));
  if (preset === undefined) throw new Error(`there is no rule ${rule}`);
  return preset;
}

t.test('known devices, through all rules of the default order', async (t) => {
  for (const [what, rule, sample, line] of byDefault) t.same(defaults.find(sample), { line, rule }, what);
});

t.test('presets that have to be named, alone', async (t) => {
  for (const [what, rule, sample, line] of byName) {
    t.same(compileLineRules(presetOf(rule).rules).find(sample), { line, rule }, what);
    t.notOk(presetOf(rule).byDefault, rule);
  }
});

t.test('every rule of every preset has a vector', async (t) => {
  const shown = new Set([...byDefault, ...byName].map(([, rule]) => rule));
  const missing = linePresets.flatMap(({ rules }) => rules.map(({ name }) => name)).filter((name) => !shown.has(name));
  t.same(missing, []);
});

t.test('presets have names of their own, compile, and leave room for as much again', async (t) => {
  const names = linePresets.map((preset) => preset.name);
  t.equal(new Set(names).size, names.length);
  const rules = linePresets.flatMap((preset) => preset.rules);
  t.equal(new Set(rules.map(({ name }) => name)).size, rules.length);
  let steps = 0;
  for (const { name, about, byDefault: counts, rules } of linePresets) {
    t.ok(about.length > 10, `${name}: says whose it is`);
    for (const rule of rules) {
      t.ok(rule.name === name || rule.name.startsWith(`${name}/`), rule.name);
      const compiled = compileLineRule(rule);
      t.ok(compiled.ok, rule.name);
      if (compiled.ok && counts) steps += compiled.rule.maxSteps;
    }
  }
  t.ok(steps < maxLineSteps * 0.6, `${String(steps)} steps`);
});

t.test('what nobody understands is no line', async (t) => {
  const rows: [what: string, sample: LineSource][] = [
    ['nothing', source(null)],
    ['lengths that lie', source('000500640001', '0007001cf09d7167')],
    ['a circuit-id alone', source('000400640001')],
    ['a switch without an address', source('000400640001', '0006000000000000')],
    ['a VLAN that is none', source('00040fff0001', '0006001cf09d7167')],
    ['one octet', source('07', '13')],
    ['NAS-Port-Id of a tunnel', port('<pppoe-ivanov>')],
    ['NAS-Port-Id of a port without VLANs', port('ether5')],
    ['a NAS-Port-Id that is a number', port('2148')],
  ];
  for (const [what, sample] of rows) t.equal(defaults.find(sample), undefined, what);
});

/** What a line may be whoever wrote the octets. */
function isSound(line: AccessLine): boolean {
  const texts = [line.device?.value, line.port, line.onuSerial, line.login].filter((one) => one !== undefined);
  const vlans = [line.vlan, line.svlan].filter((one) => one !== undefined);
  return (
    texts.length + vlans.length > 0 &&
    texts.every((one) => one === one.trim() && one !== '' && one.length <= 255 && !/\p{Cc}/u.test(one)) &&
    vlans.every((one) => Number.isInteger(one) && one >= 1 && one <= 4094) &&
    (line.device?.by !== 'mac' || parseMacAddress(line.device.value) === line.device.value) &&
    accessLineText(line) !== ''
  );
}

const everything = compileLineRules(linePresets.flatMap(({ rules }) => rules));
const samples = [...byDefault, ...byName].map(([, , sample]) => sample);

/** A few octets changed, cut or added. */
const mutation = fc.record({
  at: fc.nat(600),
  octets: fc.uint8Array({ maxLength: 3 }).map((octets) => Buffer.from(octets).toString('hex')),
  how: fc.constantFrom('replace', 'insert', 'cut', 'truncate'),
});

function mutated(
  hex: string | null | undefined,
  { at, octets, how }: { at: number; octets: string; how: string },
): string | null {
  if (hex === null || hex === undefined) return octets;
  const start = Math.min(at * 2, hex.length);
  if (how === 'truncate') return hex.slice(0, start);
  return (
    hex.slice(0, start) + (how === 'cut' ? '' : octets) + hex.slice(how === 'insert' ? start : start + octets.length)
  );
}

t.test('mutations of known samples give a sound line or none, the same one each time', async (t) => {
  let lines = 0;
  let nothing = 0;
  fc.assert(
    fc.property(fc.constantFrom(...samples), fc.array(mutation, { minLength: 1, maxLength: 4 }), (sample, changes) => {
      let { circuitId, remoteId, subscriberId, nasPortId } = sample;
      for (const [index, change] of changes.entries()) {
        if (index % 4 === 0) circuitId = mutated(circuitId, change);
        else if (index % 4 === 1) remoteId = mutated(remoteId, change);
        else if (index % 4 === 2) nasPortId = mutated(nasPortId, change);
        else subscriberId = mutated(subscriberId, change);
      }
      const changed: LineSource = { ...sample, circuitId, remoteId, subscriberId, nasPortId: nasPortId ?? null };
      const verdicts = everything.judge(changed);
      const first = verdicts.find(({ matched }) => matched);
      const found = everything.find(changed);
      if (found === undefined) nothing++;
      else lines++;
      return (
        found?.rule === first?.rule &&
        verdicts.every((verdict) => (verdict.matched ? isSound(verdict.line) : verdict.reason !== ''))
      );
    }),
    { numRuns: 20_000, seed: 20_261_122 },
  );
  t.ok(lines > 1_000 && nothing > 1_000, `${String(lines)} lines, ${String(nothing)} times nothing`);
});

t.test('any octets whatever give a sound line or none', async () => {
  const octets = fc.option(
    fc.oneof(
      fc.uint8Array({ maxLength: 255 }).map((one) => Buffer.from(one).toString('hex')),
      fc.string({ maxLength: 120, unit: fc.constantFrom(...'abE0129:/.- \x00\x01eth=;vlid') }).map(inHex),
      fc.string({ maxLength: 300 }),
    ),
    { nil: null },
  );
  fc.assert(
    fc.property(octets, octets, octets, octets, (circuitId, remoteId, subscriberId, nasPortId) => {
      const found = everything.find(source(circuitId, remoteId, { subscriberId, nasPortId }));
      return found === undefined || isSound(found.line);
    }),
    { numRuns: 10_000, seed: 20_261_122 },
  );
});

t.test('the worst values that are known take less than a frame of a film', async (t) => {
  const worst = ['20', '30', '61', '302f', '2030', '303a', '00', 'd0b9', '3030302f', '656874'].map((unit) =>
    unit.repeat(Math.floor(510 / unit.length)),
  );
  for (const circuitId of worst) for (const remoteId of worst) everything.find(source(circuitId, remoteId));
  const before = process.cpuUsage();
  let count = 0;
  for (const circuitId of worst)
    for (const remoteId of worst) {
      everything.find(source(circuitId, remoteId, { subscriberId: remoteId, nasPortId: circuitId }));
      count++;
    }
  const { user, system } = process.cpuUsage(before);
  const eachMs = (user + system) / 1_000 / count;
  t.ok(eachMs < 40, `${eachMs.toFixed(2)} ms each`);
});

t.test('the page for operators shows each preset with a sample, and what really comes out', async (t) => {
  const page = await readFile(fileURLToPath(new URL('../../docs/access-lines.md', import.meta.url)), 'utf8');
  const rows = [...page.matchAll(/^\| `([a-z0-9-]+)`( †)? \| (.*) \| (.*) \| (.*) \|$/gmu)];
  t.same(
    rows.map(([, preset]) => preset),
    linePresets.map(({ name }) => name),
    'every preset, in the order in which they are tried',
  );
  for (const [, preset = '', mark, , sample = '', shown] of rows) {
    const { byDefault: counts, rules } = linePresets.find(({ name }) => name === preset)!;
    t.equal(mark === undefined, counts, `${preset}: a mark for what is not tried by default`);
    const part = (word: string): string | null => {
      const [, hex, text] = new RegExp(`${word} (?:\`([0-9a-f]+)\`|"([^"]+)")`, 'u').exec(sample) ?? [];
      return hex ?? (text === undefined ? null : inHex(text));
    };
    const given = source(part('circuit'), part('remote'), {
      subscriberId: part('subscriber'),
      nasPortId: part('port'),
    });
    const found = (counts ? defaults : compileLineRules(rules)).find(given);
    t.equal(found === undefined ? '' : accessLineText(found.line), shown, `${preset}: ${sample}`);
    t.ok(found?.rule.startsWith(preset), `${preset}: its own rule finds it`);
  }
});
