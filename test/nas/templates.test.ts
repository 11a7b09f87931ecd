// Templates of attribute values: what they may say, and what a hostile login cannot make of them.
import fc from 'fast-check';
import t from 'tap';
import { parseTemplate, renderTemplate } from '../../src/nas/attribute-template.js';
import type { Rendered } from '../../src/nas/attribute-template.js';
import { attributeVariables, rateKey, sampleContext } from '../../src/nas/attribute-variables.js';
import type { AttributeContext } from '../../src/nas/attribute-variables.js';

const base: AttributeContext = {
  rate: { rateDownBps: 50_000_000, rateUpBps: 10_000_000 },
  login: 'ivanov',
  contract: 'C-17',
  plan: 'home',
  subscriberId: 42,
  mac: '02:00:00:00:00:01',
  address: '100.64.3.7',
  nas: 'bras1',
  nasPool: undefined,
};

// A test's name is a line of its report, so it must hold none of the characters that are tried.
const escape = (text: string): string => Buffer.from(text, 'utf16le').toString('hex');

function render(source: string, context: AttributeContext = base): Rendered {
  const parsed = parseTemplate(source);
  if (!parsed.ok) throw new Error(parsed.problem);
  return renderTemplate(parsed.template, context);
}

t.test('variables are replaced in both spellings, once', async (t) => {
  const table: readonly [source: string, value: string][] = [
    ['', ''],
    ['plain text', 'plain text'],
    ['$login', 'ivanov'],
    ['${login}', 'ivanov'],
    ['${login}s', 'ivanovs'],
    ['$login-$nas', 'ivanov-bras1'],
    ['$$login', '$login'],
    ['$$$login', '$ivanov'],
    ['5$$', '5$'],
    ['${rate_up_kbps}k/${rate_down_kbps}k', '10000k/50000k'],
    ['$rate_down_bps', '50000000'],
    ['$subscriber_id/$plan/$contract', '42/home/C-17'],
    ['$mac at $address', '02:00:00:00:00:01 at 100.64.3.7'],
  ];
  for (const [source, value] of table) t.same(render(source), { outcome: 'value', value }, source);
  t.same(render('$login', { ...base, login: '${nas}' }), { outcome: 'value', value: '${nas}' }, 'not twice');
});

t.test('what is no template is told with a remedy', async (t) => {
  const table: readonly [source: string, problem: RegExp, remedy: RegExp][] = [
    ['$', /begins no variable/, /\$\$/],
    ['a $ b', /begins no variable/, /\$\$/],
    ['${login', /begins no variable/, /\$\$/],
    ['$1', /begins no variable/, /\$\$/],
    ['${}', /not known/, /use one of/],
    ['$logn', /\$logn, which is not known/, /\$\{login\}/],
    ['${rate_dwn_bps}', /not known/, /\$\{rate_down_bps\}/],
    ['${rate_down}', /not known/, /\$\{rate_down_/],
    ['$password', /not known/, /use one of/],
    ['${__proto__}', /not known/, /use one of/],
    ['${lo\ngin}', /not known/, /./],
    ['$LOGIN', /not known/, /\$\{login\}/],
  ];
  for (const [source, problem, remedy] of table) {
    const parsed = parseTemplate(source);
    t.equal(parsed.ok, false, source);
    if (parsed.ok) continue;
    t.match(parsed.problem, problem, source);
    t.match(parsed.remedy, remedy, source);
    t.notMatch(parsed.problem, /\n/u, source);
  }
});

t.test('rates come out in the unit of their name: k is 1000, never 1024, and never 0', async (t) => {
  const table: readonly [bps: number, bpsText: string, kbpsText: string, normal: string, excess: string][] = [
    [1, '1', '1', '1', '1'],
    [499, '499', '1', '94', '187'],
    [1_000, '1000', '1', '188', '375'],
    [1_499, '1499', '1', '281', '562'],
    [1_500, '1500', '2', '281', '563'],
    [512_000, '512000', '512', '96000', '192000'],
    [1_024_000, '1024000', '1024', '192000', '384000'],
    [50_000_000, '50000000', '50000', '9375000', '18750000'],
    [100_000_000_000, '100000000000', '100000000', '18750000000', '37500000000'],
  ];
  for (const [bps, bpsText, kbpsText, normal, excess] of table) {
    for (const direction of ['down', 'up'] as const) {
      const rate = direction === 'down' ? { rateDownBps: bps } : { rateUpBps: bps };
      const source = `$rate_${direction}_bps $rate_${direction}_kbps $normal_burst_${direction}_octets $excess_burst_${direction}_octets`;
      const value = `${bpsText} ${kbpsText} ${normal} ${excess}`;
      t.same(render(source, { ...base, rate }), { outcome: 'value', value }, `${bps} bit/s ${direction}`);
    }
  }
});

t.test('a variable without value takes its attribute away, and names itself', async (t) => {
  t.same(render('$nas_pool'), { outcome: 'nothing', variable: 'nas_pool' });
  t.same(render('a $rate_up_bps', { ...base, rate: undefined }), { outcome: 'nothing', variable: 'rate_up_bps' });
  t.same(render('$burst_up_kbps'), { outcome: 'nothing', variable: 'burst_up_kbps' });
  t.same(render('$plan', { ...base, plan: '' }), { outcome: 'nothing', variable: 'plan' }, 'an empty text is no value');
});

t.test('a hostile login never changes the value around it', async (t) => {
  const hostile = [
    '"; /system reboot',
    'x;D;1000000000',
    'a,b',
    'a b',
    'a=b',
    "a'b",
    'a"b',
    'a\\b',
    'a$b',
    'a`b`',
    'a(b)',
    'a#b',
    'a?b',
    'a\nb',
    'a\r\nb',
    'a\u0000b',
    'a\u001bb',
    'a\u007fb',
    'a\u0085b',
    'a\u2028b',
    'a\ud800b',
    'иван',
    'a\u202eb',
  ];
  for (const login of hostile) {
    t.same(render('ip:x=$login;y', { ...base, login }), { outcome: 'unsafe', variable: 'login' }, escape(login));
  }
  for (const login of ['ivanov', 'ivanov@isp.example', 'a.b_c-d+e', '02:00:00:00:00:01', '10.0.0.1/32']) {
    t.same(render('ip:x=$login;y', { ...base, login }), { outcome: 'value', value: `ip:x=${login};y` }, escape(login));
  }
});

t.test('alone in its attribute a login may be anything but control characters', async (t) => {
  for (const login of ['"; /system reboot', 'иван', 'a b=c;d', '0x41']) {
    t.same(render('$login', { ...base, login }), { outcome: 'value', value: login }, escape(login));
  }
  for (const login of ['a\nb', 'a\u0000', '\u001b[2J', 'a\ud800'])
    t.same(render('$login', { ...base, login }), { outcome: 'unsafe', variable: 'login' }, escape(login));
});

t.test('whatever the texts are, the literal parts stay where they were', async (t) => {
  t.doesNotThrow(() =>
    fc.assert(
      fc.property(fc.string({ unit: 'binary' }), fc.string(), (login, plan) => {
        const rendered = render('<$login;$plan>', { ...base, login, plan });
        if (rendered.outcome !== 'value') return true;
        return rendered.value === `<${login};${plan}>` && !/[;<>\s]/u.test(login + plan);
      }),
      { numRuns: 2_000 },
    ),
  );
});

t.test('every variable has a meaning, a sample of its kind, and a value in some context', async (t) => {
  const full: AttributeContext = {
    ...base,
    rate: sampleContext({ rate: true, burst: true }).rate,
    nasPool: 'main',
    service: 'iptv',
    framedPrefix: '2001:db8:0:1::/64',
    framedPrefixPool: 'link6',
    delegatedPrefix: '2001:db8:100::/56',
    delegatedPrefixPool: 'home6',
  };
  for (const [name, variable] of attributeVariables) {
    t.not(variable.meaning, '', name);
    t.equal(typeof variable.sample, variable.kind === 'text' ? 'string' : 'number', name);
    t.equal(typeof variable.valueOf(full), variable.kind === 'text' ? 'string' : 'number', name);
  }
});

t.test('rates have one key when they are equal, and two when they differ in anything', async (t) => {
  const number = fc.option(fc.integer({ min: 0, max: 3 }), { nil: undefined });
  const rate = fc.record({
    rateDownBps: number,
    rateUpBps: number,
    burstDownBps: number,
    burstUpBps: number,
    burstThresholdDownBps: number,
    burstThresholdUpBps: number,
    burstSeconds: number,
  });
  const values = (one: Record<string, number | undefined>): string => Object.values(one).map(String).join();
  t.doesNotThrow(() =>
    fc.assert(
      fc.property(rate, rate, (a, b) => (rateKey(a) === rateKey(b)) === (values(a) === values(b))),
      { numRuns: 1_000 },
    ),
  );
  t.not(rateKey(undefined), rateKey({ rateDownBps: undefined }));
});
