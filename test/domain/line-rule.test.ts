/**
 * Rules of access lines: what is wrong with them when they are written, and what they make of a sample when they are right.
 */
import t from 'tap';
import type { AccessLine } from '../../src/domain/access-line.js';
import { accessLineText } from '../../src/domain/access-line.js';
import { compileLineRule } from '../../src/domain/line-rule.js';
import type { LineRule } from '../../src/domain/line-rule.js';
import { compileLineRules } from '../../src/domain/line-rules.js';
import type { LineSource } from '../../src/domain/line-rules.js';

const hex = (pattern: string) => ({ form: 'hex', pattern }) as const;
const text = (pattern: string) => ({ form: 'text', pattern }) as const;

function ruleOf(match: LineRule['match'], more: Partial<LineRule> = {}): LineRule {
  return { name: 'r', match, optional: [], absent: [], convert: {}, set: {}, ...more };
}

const inHex = (value: string | undefined): string | null =>
  value === undefined ? null : Buffer.from(value, 'utf8').toString('hex');

/** A sample of texts; octets are given as `0x…`. */
function sampleOf(parts: { circuit?: string; remote?: string; subscriber?: string; port?: string }): LineSource {
  const octets = (value: string | undefined) => (value?.startsWith('0x') === true ? value.slice(2) : inHex(value));
  return {
    circuitId: octets(parts.circuit),
    remoteId: octets(parts.remote),
    subscriberId: octets(parts.subscriber),
    switchMac: null,
    switchPort: null,
    nasPortId: octets(parts.port),
  };
}

t.test('a rule that makes no sense is refused with the place, the problem and a remedy', async (t) => {
  const port = text('(?<port>.+)');
  const rows: [what: string, rule: LineRule, path: string, problem: RegExp, remedy: RegExp][] = [
    ['nothing to look at', ruleOf({}), '', /looks at nothing/, /circuit_id, remote_id/],
    ['nothing found', ruleOf({ circuit_id: [text('.+')] }), '', /finds nothing/, /\(\?<port>…\)/],
    ['a wrong pattern', ruleOf({ circuit_id: [port, hex('(')] }), 'circuit_id.1.hex', /not closed/, /\\\(/],
    ['an unknown field', ruleOf({ circuit_id: [text('(?<prot>.+)')] }), 'circuit_id.0.text', /prot, which/, /port/],
    [
      'one field in two attributes',
      ruleOf({ circuit_id: [port], remote_id: [port] }),
      'circuit_id.0.text',
      /port, which another attribute finds/,
      /once/,
    ],
    [
      'two names of the device in one pattern',
      ruleOf({ remote_id: [text('(?<mac>.+)/(?<device>.+)')] }),
      'remote_id.0.text',
      /twice, by mac and device/,
      /once/,
    ],
    [
      'two names of the device in two attributes',
      ruleOf({ circuit_id: [text('(?<device>.+)')], remote_id: [text('(?<mac>.+)')] }),
      'remote_id',
      /circuit_id names too/,
      /one of the two/,
    ],
    [
      'a device that is found and set',
      ruleOf({ remote_id: [text('(?<mac>.+)')] }, { set: { device: 'x' } }),
      'set.device',
      /mac names too/,
      /once/,
    ],
    [
      'two devices that are set',
      ruleOf({ circuit_id: [port] }, { set: { device: 'x', serial: 'y' } }),
      'set',
      /twice/,
      /keep one/,
    ],
    [
      'an ingredient of nothing',
      ruleOf({ circuit_id: [text('(?<slot>\\d)(?<port>\\d)')] }),
      'circuit_id',
      /slot, and nothing is made of it/,
      /\$slot\/\$port/,
    ],
    [
      'an ingredient whose name begins another one',
      ruleOf({ circuit_id: [text('(?<pon>\\d)(?<port>\\d)')] }, { set: { device: '${port}x', login: '$port' } }),
      'circuit_id',
      /pon, and nothing/,
      /\$pon/,
    ],
    [
      'a template without its field',
      ruleOf({ circuit_id: [port] }, { set: { login: 'a$slot' } }),
      'set.login',
      /slot, which the rule does not find/,
      /\(\?<slot>…\)/,
    ],
    ['a lonely dollar', ruleOf({ circuit_id: [port] }, { set: { login: 'a$-b' } }), 'set.login', /"\$"/, /\$\$/],
    ['an empty template', ruleOf({ circuit_id: [port] }, { set: { login: '' } }), 'set.login', /empty/, /short text/],
    [
      'a template too long',
      ruleOf({ circuit_id: [port] }, { set: { login: 'a'.repeat(129) } }),
      'set.login',
      /longer than 128/,
      /short text/,
    ],
    [
      'functions for what is not found',
      ruleOf({ circuit_id: [port] }, { convert: { vlan: ['number'] } }),
      'convert.vlan',
      /does not find/,
      /remove/,
    ],
    [
      'absent and matched',
      ruleOf({ circuit_id: [port] }, { absent: ['remote_id', 'circuit_id'] }),
      'absent.1',
      /the rule matches/,
      /one of the two/,
    ],
    [
      'optional and not looked at',
      ruleOf({ circuit_id: [port] }, { optional: ['remote_id'] }),
      'optional.0',
      /does not look at/,
      /remove/,
    ],
    [
      'everything optional',
      ruleOf({ circuit_id: [port] }, { optional: ['circuit_id'] }),
      'optional',
      /nothing that must be there/,
      /remove/,
    ],
  ];
  for (const [what, rule, path, problem, remedy] of rows) {
    const result = compileLineRule(rule);
    const [fault] = result.ok ? [] : result.faults;
    t.equal(fault?.path.join('.'), path, `${what}: the place`);
    t.match(fault, { problem, remedy }, what);
    if (!result.ok) t.equal(result.faults.length, 1, `${what}: told once`);
  }
});

t.test('several faults of one rule are told at once', async (t) => {
  const result = compileLineRule(
    ruleOf({ circuit_id: [text('(')], remote_id: [hex('x'), text('(?<port>.)')] }, { absent: ['remote_id'] }),
  );
  t.match(result, { ok: false, faults: [{ path: ['circuit_id', 0, 'text'] }, { path: ['remote_id', 0, 'hex'] }, {}] });
});

t.test('what a rule makes of a sample, or why not', async (t) => {
  const binary = ruleOf({
    circuit_id: [hex('0004 (?<vlan>....) .. (?<port>..)')],
    remote_id: [hex('0006 (?<mac>.{12})'), text('\\x01(?<length>.)(?<device>.+)')],
  });
  const named = ruleOf(
    { circuit_id: [text('(?<device>.*) (?<slot>\\d+)/(?<port>\\d+)(?::(?<vlan>\\d+))?')] },
    {
      set: { port: '$slot/${port}' },
    },
  );
  const converted = (convert: LineRule['convert']) => ruleOf({ circuit_id: [text('(?<port>.+)')] }, { convert });
  const rows: [what: string, rule: LineRule, sample: LineSource, expected: AccessLine | RegExp][] = [
    [
      'octets are numbers, a MAC address is canonical',
      binary,
      sampleOf({ circuit: '0x000408770017', remote: '0x00063c3332664350' }),
      { vlan: 2167, port: '23', device: { by: 'mac', value: '3c:33:32:66:43:50' } },
    ],
    [
      'the second pattern counts where the first does not match',
      binary,
      sampleOf({ circuit: '0x000408770017', remote: '0x010573772d3132' }),
      { vlan: 2167, port: '23', device: { by: 'name', value: 'sw-12' } },
    ],
    ['one attribute is missing', binary, sampleOf({ circuit: '0x000408770017' }), /^there is no remote_id$/],
    [
      'one attribute is empty, which is no different',
      binary,
      { ...sampleOf({ circuit: '0x000408770017' }), remoteId: '' },
      /^there is no remote_id$/,
    ],
    [
      'one attribute does not match',
      binary,
      sampleOf({ circuit: '0x000508770017', remote: '0x00063c3332664350' }),
      /^circuit_id fits 1 of 6 octets$/,
    ],
    [
      'one attribute ends too early',
      binary,
      sampleOf({ circuit: '0x0004087700', remote: '0x00063c3332664350' }),
      /^circuit_id fits, but ends too early$/,
    ],
    [
      'the length in it is another',
      binary,
      sampleOf({ circuit: '0x000408770017', remote: '0x010673772d3132' }),
      /^remote_id matches, but its length says 6 octets, and 5 follow$/,
    ],
    [
      'zeros at the end may be counted in the length, or not',
      binary,
      sampleOf({ circuit: '0x000408770017', remote: '0x010773772d31320000' }),
      { vlan: 2167, port: '23', device: { by: 'name', value: 'sw-12' } },
    ],
    [
      'not counted',
      binary,
      sampleOf({ circuit: '0x000408770017', remote: '0x010573772d31320000' }),
      { vlan: 2167, port: '23', device: { by: 'name', value: 'sw-12' } },
    ],
    [
      'more than there are',
      binary,
      sampleOf({ circuit: '0x000408770017', remote: '0x010873772d31320000' }),
      /^remote_id matches, but its length says 8 octets, and 5 follow$/,
    ],
    [
      'a MAC address that nobody has',
      binary,
      sampleOf({ circuit: '0x000408770017', remote: '0x0006000000000000' }),
      /^remote_id matches, but mac is "000000000000", which is not a MAC address$/,
    ],
    [
      'a number that is no VLAN',
      binary,
      sampleOf({ circuit: '0x0004ffff0017', remote: '0x00063c3332664350' }),
      /^vlan is "65535", which is no VLAN$/,
    ],
    [
      'VLAN 0 and 4096 are none',
      binary,
      sampleOf({ circuit: '0x000410000017', remote: '0x00063c3332664350' }),
      { port: '23', device: { by: 'mac', value: '3c:33:32:66:43:50' } },
    ],
    [
      'longer than any sub-option',
      binary,
      sampleOf({ circuit: `0x${'00'.repeat(256)}`, remote: '0x00' }),
      /^circuit_id is longer than 255 octets$/,
    ],
    ['not hexadecimal', binary, sampleOf({ circuit: '0x0G', remote: '0x00' }), /^circuit_id is not hexadecimal$/],
    ['half an octet', binary, sampleOf({ circuit: '0x000', remote: '0x00' }), /^circuit_id is not hexadecimal$/],
    [
      'fields made of others; one that was passed over is not there',
      named,
      sampleOf({ circuit: 'Узел 7 1/5' }),
      { device: { by: 'name', value: 'Узел 7' }, port: '1/5' },
    ],
    [
      'zeros at the end are no text',
      named,
      sampleOf({ circuit: 'sw 1/5:100\0\0' }),
      { device: { by: 'name', value: 'sw' }, port: '1/5', vlan: 100 },
    ],
    ['an empty name is none', named, sampleOf({ circuit: ' 1/5' }), /^device is empty$/],
    ['a name of blanks is none', named, sampleOf({ circuit: '   1/5' }), /^device is empty$/],
    ['control characters are in no name', named, sampleOf({ circuit: 'a\x1b[2Jb 1/5' }), /device is .* control/],
    ['nor is NUL', named, sampleOf({ circuit: 'a\0b 1/5' }), /device is .* control/],
    ['nor are C1 characters', named, sampleOf({ circuit: '0x61c29b20312f35' }), /device is .* control/],
    ['blanks around a name are cut', converted({}), sampleOf({ circuit: ' 5 ' }), { port: '5' }],
    [
      'functions in order',
      converted({ port: ['number', 'increment_port'] }),
      sampleOf({ circuit: '007' }),
      { port: '8' },
    ],
    [
      'a function that does not understand',
      converted({ port: ['hex2number', 'mac'] }),
      sampleOf({ circuit: '1f' }),
      /^circuit_id matches, but port is "31", which is not a MAC address$/,
    ],
    [
      'a MAC address must be one whatever functions there are',
      ruleOf({ circuit_id: [text('(?<mac>.+)')] }, { convert: { mac: ['upper'] } }),
      sampleOf({ circuit: '3c:33:32:66:43:50' }),
      /^mac is "3C:33:32:66:43:50", which is not a MAC address$/,
    ],
    [
      'something fixed',
      ruleOf({ circuit_id: [text('(?<port>.+)')] }, { absent: ['remote_id'], set: { device: 'relay $$1' } }),
      sampleOf({ circuit: 'acc1' }),
      { port: 'acc1', device: { by: 'name', value: 'relay $1' } },
    ],
    [
      'what must not be there',
      ruleOf({ circuit_id: [text('(?<port>.+)')] }, { absent: ['remote_id'] }),
      sampleOf({ circuit: 'acc1', remote: 'x' }),
      /^there is a remote_id$/,
    ],
    [
      'what may be missing is missing',
      ruleOf(
        { circuit_id: [text('(?<port>.+)')], remote_id: [text('(?<device>[a-z]+)')] },
        { optional: ['remote_id'] },
      ),
      sampleOf({ circuit: '5' }),
      { port: '5' },
    ],
    [
      'what may be missing is wrong',
      ruleOf(
        { circuit_id: [text('(?<port>.+)')], remote_id: [text('(?<device>[a-z]+)')] },
        { optional: ['remote_id'] },
      ),
      sampleOf({ circuit: '5', remote: '12' }),
      /^remote_id fits 0 of 2 octets$/,
    ],
    [
      'a field of `set` that was passed over',
      ruleOf({ circuit_id: [text('(?:(?<slot>\\d)/)?(?<port>\\d)')] }, { set: { login: '$slot' } }),
      sampleOf({ circuit: '5' }),
      /^set\.login needs slot, which was not found$/,
    ],
    [
      'a pattern that finds nothing this time',
      ruleOf({ circuit_id: [text('x(?<port>\\d)?')] }),
      sampleOf({ circuit: 'x' }),
      /^it matches, but finds nothing$/,
    ],
    [
      'everything that a line may have',
      ruleOf(
        {
          subscriber_id: [text('(?<login>.+)')],
          nas_port_id: [text('(?<port>.+):(?<svlan>\\d+)\\.(?<vlan>\\d+)')],
          remote_id: [hex('(?<serial>.{4})')],
          circuit_id: [hex('(?<onu>.{16})')],
        },
        {},
      ),
      sampleOf({ circuit: '0x485754431a2b3c4d', remote: '0xabcd', subscriber: 'ivanov', port: 'ge-0/0/1:100.00200' }),
      {
        device: { by: 'serial', value: 'abcd' },
        port: 'ge-0/0/1',
        svlan: 100,
        vlan: 200,
        onuSerial: 'HWTC1A2B3C4D',
        login: 'ivanov',
      },
    ],
  ];
  for (const [what, rule, sample, expected] of rows) {
    const [verdict] = compileLineRules([rule]).judge(sample);
    if (expected instanceof RegExp) t.match(verdict, { matched: false, reason: expected }, what);
    else t.same(verdict, { rule: 'r', matched: true, line: expected }, what);
    const found = compileLineRules([rule]).find(sample);
    t.same(found?.line, expected instanceof RegExp ? undefined : expected, `${what}: found alike`);
  }
});

t.test('the first rule that matches counts', async (t) => {
  const rules = compileLineRules([
    { ...ruleOf({ circuit_id: [text('(?<port>\\d+)')] }), name: 'numbers' },
    { ...ruleOf({ circuit_id: [text('(?<port>.+)')] }), name: 'all' },
    { ...ruleOf({ circuit_id: [text('(?<device>.+)')] }), name: 'late' },
  ]);
  t.match(rules.find(sampleOf({ circuit: '5' })), { rule: 'numbers', line: { port: '5' } });
  t.match(rules.find(sampleOf({ circuit: 'x' })), { rule: 'all', line: { port: 'x' } });
  t.equal(rules.find(sampleOf({})), undefined);
  t.same(
    rules.judge(sampleOf({ circuit: 'x' })).map(({ rule, matched }) => [rule, matched]),
    [
      ['numbers', false],
      ['all', true],
      ['late', true],
    ],
  );
  t.ok(rules.looksAt('circuit_id'));
  t.notOk(rules.looksAt('nas_port_id'));
});

t.test('what a hook took out of option 82 counts where no rule finds the device', async (t) => {
  const rules = compileLineRules([
    ruleOf({ circuit_id: [text('(?<device>sw\\d+)/(?<port>\\d+)')] }),
    { ...ruleOf({ circuit_id: [text('(?<port>\\d+)')] }), name: 'port' },
  ]);
  const hook = (switchMac: string | null, switchPort: string | null, circuit?: string): LineSource => ({
    ...sampleOf(circuit === undefined ? {} : { circuit }),
    switchMac,
    switchPort,
  });
  const device = { by: 'mac', value: '3c:33:32:66:43:50' } as const;
  const rows: [what: string, source: LineSource, found: object | undefined][] = [
    ['switch and port', hook('3c:33:32:66:43:50', '23'), { line: { device, port: '23' }, rule: 'hook' }],
    ['the switch alone', hook('3c:33:32:66:43:50', null), { line: { device }, rule: 'hook' }],
    [
      'a rule that finds the device comes before',
      hook('3c:33:32:66:43:50', '23', 'sw1/7'),
      { line: { device: { by: 'name', value: 'sw1' }, port: '7' }, rule: 'r' },
    ],
    [
      'one that finds a port alone does not',
      hook('3c:33:32:66:43:50', '23', '7'),
      { line: { device, port: '23' }, rule: 'hook' },
    ],
    ['unless the hook knows no switch', hook(null, '23', '7'), { line: { port: '7' }, rule: 'port' }],
    ['a port without a switch is no line', hook(null, '23'), undefined],
    ['a switch that is none', hook('00:00:00:00:00:00', '23'), undefined],
    ['a port that is none', hook('3c:33:32:66:43:50', '2\n3'), undefined],
  ];
  for (const [what, source, found] of rows) t.same(rules.find(source), found, what);
});

t.test('a rule that was not checked is a mistake of the program', async (t) => {
  t.throws(() => compileLineRules([ruleOf({})]), /rule r does not compile/);
});

t.test('a line in words', async (t) => {
  const rows: [AccessLine, string][] = [
    [
      { device: { by: 'mac', value: '3c:33:32:66:43:50' }, port: '23', vlan: 5 },
      'device 3c:33:32:66:43:50, port 23, VLAN 5',
    ],
    [{ device: { by: 'name', value: 'sw' }, svlan: 7 }, 'device named sw, S-VLAN 7'],
    [
      { device: { by: 'serial', value: 'ab' }, onuSerial: 'HWTC1A2B3C4D', login: 'ivanov' },
      'device with serial number ab, ONU HWTC1A2B3C4D, login ivanov',
    ],
  ];
  for (const [line, words] of rows) t.equal(accessLineText(line), words);
});
