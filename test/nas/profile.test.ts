// Compiling a profile: what is refused and where, and what a compiled one does with each request.
import t from 'tap';
import type { ProfileAnswers } from '../../src/domain/access.js';
import type { Profile } from '../../src/config/config.js';
import { ConfigError } from '../../src/config/problem.js';
import { sampleContext } from '../../src/nas/attribute-variables.js';
import type { AttributeContext } from '../../src/nas/attribute-variables.js';
import type { AttributeEncoder } from '../../src/nas/attribute-encoder.js';
import { compileProfile, compileProfiles } from '../../src/nas/profile.js';
import { RecentValues } from '../../src/nas/recent-values.js';
import { confFolder } from '../config/conf-folder.js';
import { smallEncoder } from './small-dictionary.js';

const head = 'description = "x"\nchannel = "vpn"\n';
const active = '[state.active]\nanswer = "accept"\n';

async function read(text: string): Promise<Profile> {
  const folder = await confFolder(t, { 'conf/profiles/p.toml': text });
  return (await folder.load()).profiles['p']!;
}

async function problemsOf(text: string): Promise<[line: number, key: string, problem: string, remedy: string][]> {
  const profile = await read(text);
  try {
    compileProfile(profile, smallEncoder);
    return [];
  } catch (error) {
    if (!(error instanceof ConfigError)) throw error;
    return error.problems.map(({ line, key, problem, remedy }) => [line, key, problem, remedy]);
  }
}

const attributes = (...lines: string[]): string => `attributes = [\n${lines.join(',\n')}\n]\n`;

t.test('an attribute that cannot be sent is refused with its line and key', async (t) => {
  const table: readonly [what: string, attribute: string, key: string, problem: RegExp, remedy: RegExp][] = [
    [
      'misspelt',
      '{ name = "Mikrotik-Rate-Limt", value = "x" }',
      'name',
      /not in the dictionary/,
      /"Mikrotik-Rate-Limit"/,
    ],
    ['unheard of', '{ name = "Zyxel-Colour", value = "x" }', 'name', /not in the dictionary/, /dictionary/],
    [
      'an unknown variable',
      '{ name = "Filter-Id", value = "$rate_dwn_kbps" }',
      'value',
      /\$rate_dwn_kbps/,
      /rate_down_kbps/,
    ],
    ['the second template is wrong', '{ name = "Filter-Id", value = ["$login", "$"] }', 'value', /begins no/, /\$\$/],
    ['a text for a number', '{ name = "WISPr-Bandwidth-Max-Up", value = "fast" }', 'value', /does not suit/, /type/],
    ['a login for a number', '{ name = "WISPr-Bandwidth-Max-Up", value = "$login" }', 'value', /does not suit/, /type/],
    [
      'a rate with its suffix for a number',
      '{ name = "WISPr-Bandwidth-Max-Up", value = "${rate_up_kbps}k" }',
      'value',
      /does not suit/,
      /type/,
    ],
    ['too long', `{ name = "Filter-Id", value = "${'x'.repeat(254)}" }`, 'value', /longer/, /type/],
    ['a tag where none belongs', '{ name = "Filter-Id", value = "x", tag = 1 }', 'value', /tag/, /type/],
    ['hidden', '{ name = "Tunnel-Password", value = "x", tag = 1 }', 'value', /hidden/, /type/],
    ["the server's own", '{ name = "Class", value = "x" }', 'name', /server's own/, /signs its own/],
    ["the server's own in other letters", '{ name = "cLASS", value = "x" }', 'name', /server's own/, /signs its own/],
    [
      "the server's own with a tag",
      '{ name = "Session-Timeout:1", value = 60 }',
      'name',
      /server's own/,
      /session_timeout_seconds/,
    ],
    ['an address', '{ name = "Framed-IP-Address", value = "10.0.0.1" }', 'name', /server's own/, /pool/],
  ];
  for (const [what, attribute, key, problem, remedy] of table) {
    const found = await problemsOf(head + active + attributes('{ name = "Filter-Id", value = "ok" }', attribute));
    t.match(found, [[7, `state.active.attributes[1].${key}`, problem, remedy]], what);
    t.equal(found.length, 1, what);
  }
});

t.test('other keys that the dictionary knows better', async (t) => {
  t.match(await problemsOf(`${head}service_type = "Freamed"\n${active}`), [
    [3, 'service_type', /Service-Type/, /VALUE/],
  ]);
  t.match(await problemsOf(`${head}framed_protocol = "X"\n${active}`), [
    [3, 'framed_protocol', /Framed-Protocol/, /VALUE/],
  ]);
  t.match(await problemsOf(`${head}nas_pool = { name = "Framed-Pol", value = "$nas_pool" }\n${active}`), [
    [3, 'nas_pool.name', /not in the dictionary/, /"Framed-Pool"/],
  ]);
});

t.test('an Access-Reject carries Reply-Message and nothing else', async (t) => {
  const rejected = (attribute: string): string =>
    `${head}${active}[state.redirect]\nanswer = "reject"\n${attributes(attribute)}`;
  t.match(await problemsOf(rejected('{ name = "Filter-Id", value = "x" }')), [
    [8, 'state.redirect.attributes[0].name', /not allowed in an Access-Reject/, /Reply-Message/],
  ]);
  t.same(await problemsOf(rejected('{ name = "Reply-Message", value = "no money" }')), []);
});

t.test('a state in which a limited subscriber would stay as he was is refused', async (t) => {
  const rate = '{ name = "Mikrotik-Rate-Limit", value = "${rate_up_kbps}k/${rate_down_kbps}k" }';
  const sameRate = '{ name = "Mikrotik-Rate-Limit", value = "$rate_up_kbps${nas_pool}k" }';
  const wall = '{ name = "Mikrotik-Address-List", value = "wall" }';
  const message = '{ name = "Reply-Message", value = "no money" }';
  const idle = '{ name = "Idle-Timeout", value = 60 }';
  const table: readonly [what: string, ofActive: string[], ofState: string[], more: string, isRefused: boolean][] = [
    ['nothing at all', [rate], [], '', true],
    ['the same as active', [rate], [rate], '', true],
    ['the same in another order', [rate, wall], [wall, rate], '', true],
    ['less than active, so without its rate', [rate, wall], [wall], '', true],
    ['only a message more', [rate], [rate, message], '', true],
    ['only an idle timeout more', [rate], [rate, idle], '', true],
    ['only a session timeout more', [rate], [rate], 'session_timeout_seconds = 600', true],
    ['an attribute that may be left out', [], [rate], '', true],
    ['an attribute that is nearly always left out', [rate], [sameRate], '', true],
    ['an address list more', [rate], [rate, wall], '', false],
    ['an address list in place of the rate', [rate], [wall], '', false],
    ['another value of the same attribute', [wall], ['{ name = "Mikrotik-Address-List", value = "other" }'], '', false],
    ['a pool', [rate], [rate], 'pool = "guest"', false],
  ];
  for (const state of ['redirect', 'own_disabled', 'admin_blocked', 'unknown']) {
    for (const [what, ofActive, ofState, more, isRefused] of table) {
      const text = `${head}${active}${attributes(...ofActive)}[state.${state}]\nanswer = "accept"\n${more}\n${attributes(...ofState)}`;
      const line = text.split('\n').indexOf(`[state.${state}]`) + 1;
      const expected = isRefused
        ? [[line, `state.${state}`, /nothing that an active one does not have/, /reject/]]
        : [];
      const found = await problemsOf(text);
      t.match(found, expected, `${state}: ${what}`);
      t.equal(found.length, expected.length, `${state}: ${what}: once`);
    }
  }
});

t.test('a profile that rejects everybody is refused', async (t) => {
  t.match(await problemsOf(`${head}[state.active]\nanswer = "reject"\n`), [
    [3, 'state.active', /rejects everybody/, /accept/],
  ]);
});

t.test('a PPP profile never takes a MAC for a password', async (t) => {
  const lax = '[mac_authorisation]\nno_password = ["mac"]\n';
  t.match(await problemsOf(head + active + lax), [
    [0, 'mac_authorisation.no_password', /neighbour/, /channel = "dhcp"/],
  ]);
  t.same(await problemsOf(head.replace('vpn', 'dhcp') + active + lax), []);
});

t.test('all problems of all profiles are told at once', async (t) => {
  const wrong = await read(head + active + attributes('{ name = "A", value = "$b" }', '{ name = "Class", value = 1 }'));
  const error = ((): unknown => {
    try {
      return compileProfiles(
        { one: { ...wrong, file: 'one.toml' }, two: { ...wrong, file: 'two.toml' } },
        smallEncoder,
      );
    } catch (reason) {
      return reason;
    }
  })();
  t.ok(error instanceof ConfigError);
  t.match(error, {
    problems: [
      { file: 'one.toml', line: 6 },
      { file: 'one.toml', line: 7 },
      { file: 'two.toml' },
      { file: 'two.toml' },
    ],
  });
});

const context = (more: Partial<AttributeContext>): AttributeContext => ({
  ...sampleContext({ rate: true, burst: false }),
  ...more,
});

/** Counts what is asked of the dictionary. */
function counting(): { encoder: AttributeEncoder; asked: () => number } {
  let count = 0;
  return {
    encoder: {
      encode: (...parameters) => {
        count += 1;
        return smallEncoder.encode(...parameters);
      },
      names: () => smallEncoder.names(),
    },
    asked: () => count,
  };
}

t.test('constants are encoded once, rates once per rate, the rest for each request', async (t) => {
  const constants = attributes('{ name = "Filter-Id", value = "a" }', '{ name = "Idle-Timeout", value = 60 }');
  const rates = attributes(
    '{ name = "Filter-Id", value = "a" }',
    '{ name = "WISPr-Bandwidth-Max-Up", value = "$rate_up_bps" }',
  );
  const personal = attributes('{ name = "Filter-Id", value = "$login" }', '{ name = "Idle-Timeout", value = 60 }');
  const table: readonly [what: string, lines: string, perRate: number, perRequest: number][] = [
    ['constants', constants, 0, 0],
    ['rates', rates, 1, 0],
    ['who it is', personal, 1, 1],
  ];
  for (const [what, lines, perRate, perRequest] of table) {
    const { encoder, asked } = counting();
    const state = compileProfile(await read(head + active + lines), encoder).states.active;
    const before = asked();
    const first = state.encode(context({ rate: { rateUpBps: 1_000 } }));
    t.equal(asked() - before, perRate, `${what}: a new rate`);
    const second = state.encode(context({ rate: { rateUpBps: 1_000 } }));
    t.equal(asked() - before, perRate + perRequest, `${what}: the same again`);
    t.same(second, first, `${what}: the same octets`);
  }
});

t.test('an unsafe value fails the answer and says which', async (t) => {
  const profile = await read(head + active + attributes('{ name = "Cisco-AVPair", value = "ip:sub=$login" }'));
  const state = compileProfile(profile, smallEncoder).states.active;
  const hostile = context({ login: 'x;y' });
  t.same(state.encode(hostile), {
    ok: false,
    failure: { attribute: 'Cisco-AVPair', reason: 'unsafe-value', variable: 'login' },
  });
  t.match(state.explain(hostile), [{ name: 'Cisco-AVPair', value: undefined, because: /\$login is not safe/ }]);
  t.match(state.encode(context({ login: 'x'.repeat(250) })), { ok: false, failure: { reason: 'does-not-fit' } });
  t.match(state.encode(context({ login: 'ivanov' })), { ok: true });
});

t.test('octets that look like a notation for octets are sent as they are', async (t) => {
  const said = async (value: string): Promise<string | undefined> => {
    const profile = await read(head + active + attributes(`{ name = "Chargeable-User-Identity", value = "${value}" }`));
    const encoded = compileProfile(profile, smallEncoder).states.active.encode(context({ login: '0x41' }));
    return encoded.ok ? encoded.octets.toString('hex') : undefined;
  };
  t.equal(await said('$login'), `5906${Buffer.from('0x41').toString('hex')}`, 'a login');
  t.equal(await said('0x41'), '590341', 'a constant of the file');
});

t.test('a tagged attribute carries its tag', async (t) => {
  const profile = await read(
    head + active + attributes('{ name = "Tunnel-Private-Group-Id", value = "100", tag = 3 }'),
  );
  const encoded = compileProfile(profile, smallEncoder).states.active.encode(context({}));
  t.equal(encoded.ok && encoded.octets.toString('hex'), '510603313030', 'RFC 2868 §3.6: type, length, tag, string');
});

t.test('attributes keep their order, repeated ones included', async (t) => {
  const profile = await read(
    head +
      active +
      attributes(
        '{ name = "Filter-Id", value = "b" }',
        '{ name = "Framed-Pool", value = "$login" }',
        '{ name = "Filter-Id", value = "a" }',
      ),
  );
  const encoded = compileProfile(profile, smallEncoder).states.active.encode(context({ login: 'x' }));
  t.equal(encoded.ok && encoded.octets.toString('hex'), '0b0362' + '580378' + '0b0361');
});

t.test('what is explained is what is sent, and why something is not', async (t) => {
  const profile = await read(
    `${head}service_type = "Framed-User"\n${active}pool = "main"\nsession_timeout_seconds = 3600\n${attributes('{ name = "WISPr-Bandwidth-Max-Up", value = "$rate_up_bps" }', '{ name = "Filter-Id", value = ["$plan", "$contract"] }')}`,
  );
  const state = compileProfile(profile, smallEncoder).states.active;
  t.equal(state.pool, 'main');
  t.equal(state.sessionTimeoutSeconds, 3_600);
  t.same(state.explain(context({ nasPool: 'p' })), [
    { name: 'Service-Type', tag: undefined, value: 'Framed-User', because: undefined },
    { name: 'WISPr-Bandwidth-Max-Up', tag: undefined, value: 10_000_000, because: undefined },
    { name: 'Filter-Id', tag: undefined, value: undefined, because: '$plan has no value' },
    { name: 'Framed-Pool', tag: undefined, value: 'p', because: undefined },
  ]);
  t.match(state.explain(context({ contract: 'C-1' })), [{}, {}, { name: 'Filter-Id', value: 'C-1' }]);
});

t.test('attributes may be tables of their own, and states are what the access decision asks for', async (t) => {
  const text = `${head}${active}[[state.active.attributes]]\nname = "Filter-Id"\nvalue = "a"\n[[state.active.attributes]]\nname = "Filter-Id"\nvalue = "$"\n[state.redirect]\nanswer = "accept"\npool = "guest"\n`;
  t.match(await problemsOf(text), [[8, 'state.active.attributes[1].value', /begins no variable/]]);
  const answers: ProfileAnswers = (await read(text)).states;
  t.match(answers, {
    active: { answer: 'accept' },
    redirect: { answer: 'accept', pool: 'guest' },
    unknown: { answer: 'reject' },
  });
});

t.test('what is remembered is bounded, and the one unused for longest goes first', async (t) => {
  const recent = new RecentValues<number>(3);
  for (const [index, key] of ['a', 'b', 'c'].entries()) recent.set(key, index);
  recent.get('a');
  recent.set('d', 3);
  t.same(
    ['a', 'b', 'c', 'd'].map((key) => recent.get(key)),
    [0, undefined, 2, 3],
  );
  for (let index = 0; index < 10_000; index += 1) recent.set(String(index), index);
  t.equal(recent.size, 3);
  t.throws(() => new RecentValues(0), RangeError);
});
