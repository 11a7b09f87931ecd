/**
 * `sluice line test`: how a sample is read, what each rule makes of it, and that octets of others do nothing to a terminal.
 */
import { mkdtemp, mkdir, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import t, { type Test } from 'tap';
import { runIn } from './command-line.js';

interface Answer {
  readonly sample: Readonly<Record<string, string | null>>;
  readonly rule: string | null;
  readonly line: Readonly<Record<string, unknown>> | null;
  readonly rules: readonly { rule: string; matched: boolean; line: object | null; reason: string | null }[];
}

/** A conf folder with a `lines.toml`, or without one. */
async function confOf(t: Pick<Test, 'teardown'>, lines?: string): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'sluice-line-'));
  t.teardown(() => rm(folder, { recursive: true, force: true }));
  if (lines !== undefined) await writeFile(join(folder, 'lines.toml'), lines);
  return folder;
}

const whole = '0106000408770017020800063c3332664350';
const dlink = {
  device_by: 'mac',
  device: '3c:33:32:66:43:50',
  port: '23',
  vlan: 2167,
  svlan: null,
  onu_serial: null,
  login: null,
};

t.test('how a sample is read', async (t) => {
  const conf = await confOf(t);
  const [circuit_id, remote_id] = ['000408770017', '00063c3332664350'];
  const none = { circuit_id: null, remote_id: null, subscriber_id: null, nas_port_id: null };
  const hex = (text: string) => Buffer.from(text).toString('hex');
  const rows: [what: string, argv: string[], sample: Answer['sample'], remark: RegExp][] = [
    ['a whole option 82', [whole], { ...none, circuit_id, remote_id }, /whole option 82/],
    ['with its number and length', [`5212${whole}`], { ...none, circuit_id, remote_id }, /whole option 82/],
    [
      'as people copy it',
      ['0x01:06:00:04:08:77:00:17 02 08 00 06 3C 33 32 66 43 50'],
      { ...none, circuit_id, remote_id },
      /whole option 82/,
    ],
    [
      'sub-options in pieces, and others between',
      ['0103000408' + '0504c0a80001' + '0103770017' + '0603616263'],
      { ...none, circuit_id, subscriber_id: '616263' },
      /whole option 82/,
    ],
    ['octets that cannot be a whole one', [circuit_id], { ...none, circuit_id }, /read as a circuit-id/],
    ['a length that lies', ['0107000408770017'], { ...none, circuit_id: '0107000408770017' }, /read as a circuit-id/],
    ['one that says nothing of the line', ['0504c0a80001'], { ...none, circuit_id: '0504c0a80001' }, /as a circuit-id/],
    ['parts', [circuit_id, '--remote', remote_id], { ...none, circuit_id, remote_id }, /^$/],
    [
      'parts by name',
      ['--circuit-id', '010568656c6c6f', '--subscriber-id', '61'],
      { ...none, circuit_id: '010568656c6c6f', subscriber_id: '61' },
      /^$/,
    ],
    [
      'text',
      ['--text', 'Узел eth 0/2', '--remote', '00 06'],
      { ...none, circuit_id: hex('Узел eth 0/2'), remote_id: hex('00 06') },
      /^$/,
    ],
    ['NAS-Port-Id', ['--nas-port-id', '3/0/1:7'], { ...none, nas_port_id: hex('3/0/1:7') }, /^$/],
  ];
  for (const [what, argv, sample, remark] of rows) {
    const json = await runIn(['--conf', conf, 'line', 'test', ...argv, '--json']);
    t.same((JSON.parse(json.stdout) as Answer).sample, sample, what);
    const { stderr } = await runIn(['--conf', conf, 'line', 'test', ...argv]);
    t.match(stderr.replace(/^sluice: no rule matches.*\n/mu, '').trim(), remark, `${what}: told`);
  }
});

t.test('every rule is told, and the first that matches', async (t) => {
  const conf = await confOf(t);
  const json = await runIn(['--conf', conf, 'line', 'test', whole, '--json']);
  t.equal(json.code, 0);
  const answer = JSON.parse(json.stdout) as Answer;
  t.match(answer, { rule: 'dlink/standalone', line: dlink });
  t.same(answer.rules[0], { rule: 'dlink/standalone', matched: true, line: dlink, reason: null });
  t.match(answer.rules[1], { rule: 'dlink/stack', matched: true, line: { port: '0/23' } });
  t.same(answer.rules[2], {
    rule: 'dlink-vendor1',
    matched: false,
    line: null,
    reason: 'circuit_id fits 1 of 6 octets',
  });

  const { code, stdout } = await runIn(['--conf', conf, 'line', 'test', whole], { columns: 120 });
  t.equal(code, 0);
  t.match(stdout, /^circuit_id {2}000408770017\nremote_id {3}00063c3332664350\n/u);
  t.match(stdout, /^dlink\/standalone +first +device 3c:33:32:66:43:50, port 23, VLAN 2167$/mu);
  t.match(stdout, /^dlink\/stack +too late +device 3c:33:32:66:43:50, port 0\/23, VLAN 2167$/mu);
  t.match(stdout, /^dlink-vendor1 +no +circuit_id fits 1 of 6 octets$/mu);
  t.match(stdout, /\nrule +dlink\/standalone\ndevice \(mac\) +3c:33:32:66:43:50\nport +23\nvlan +2167\n$/u);
  t.notOk(stdout.split('\n').some((row) => row.length > 120));
});

t.test('text is shown as text', async (t) => {
  const { stdout } = await runIn(['--conf', await confOf(t), 'line', 'test', '--text', 'Узел 7 eth 0/2']);
  t.match(stdout, /^circuit_id {2}[0-9a-f]+ "Узел 7 eth 0\/2"$/mu);
  t.match(stdout, /^device \(name\) {2}Узел 7$/mu);
});

t.test('rules are those of conf/lines.toml, which other files do not disturb', async (t) => {
  const conf = await confOf(t, `[[rule]]\nname = "own"\ncircuit_id = { text = 'flat (?<port>\\d+)' }\n`);
  await writeFile(join(conf, 'sluice.toml'), 'this is no TOML');
  await mkdir(join(conf, 'nas.d'));
  await writeFile(join(conf, 'nas.d', 'x.toml'), 'nor this');
  const { code, stdout } = await runIn(['--conf', conf, 'line', 'test', '--text', 'flat 12', '--json']);
  t.equal(code, 0);
  t.match(JSON.parse(stdout), { rule: 'own', line: { port: '12' }, rules: [{ rule: 'own' }] });
  t.equal((JSON.parse(stdout) as Answer).rules.length, 1);
});

t.test('what cannot be done is told, with its exit code', async (t) => {
  const conf = await confOf(t);
  const wrong = await confOf(t, `[[rule]]\nname = "own"\ncircuit_id = { text = '(' }\n`);
  const rows: [what: string, argv: string[], code: number, stderr: RegExp][] = [
    ['no rule matches', ['--conf', conf, 'line', 'test', '00'], 1, /no rule matches; write one .*lines\.toml/],
    ['nothing is given', ['--conf', conf, 'line', 'test'], 2, /no line to test; give option 82/],
    ['no hexadecimal', ['--conf', conf, 'line', 'test', 'hello'], 2, /OCTETS is not hexadecimal; .*--text/],
    ['a part is none', ['--conf', conf, 'line', 'test', '00', '--remote', 'x'], 2, /--remote is not hexadecimal/],
    ['half an octet', ['--conf', conf, 'line', 'test', '000'], 2, /not hexadecimal/],
    ['twice', ['--conf', conf, 'line', 'test', '00', '--circuit-id', '00'], 2, /circuit-id is given twice/],
    [
      'wrong rules',
      ['--conf', wrong, 'line', 'test', '00'],
      1,
      /lines\.toml:3: rule\[0\]\.circuit_id\.text: .*not closed; /,
    ],
    ['no such folder', ['--conf', join(conf, 'nix'), 'line', 'test', '00'], 1, /there is no conf folder/],
  ];
  for (const [what, argv, code, stderr] of rows) {
    const result = await runIn(argv);
    t.equal(result.code, code, what);
    t.match(result.stderr, stderr, what);
    t.notMatch(result.stderr, /mistake in the program/, what);
  }
});

t.test('octets of a customer are never obeyed by a terminal', async (t) => {
  const conf = await confOf(t, `[[rule]]\nname = "own"\ncircuit_id = { text = '(?<device>.+)/(?<port>.+)' }\n`);
  const hostile = ['\x1b[2J', '\x07', '\n', '\u202e', '\u009b31m', '\u2066', '\u200b'];
  for (const one of hostile) {
    const octets = Buffer.from(`sw${one}1/2`).toString('hex');
    for (const more of [[], ['--json']]) {
      const { stdout, stderr } = await runIn(['--conf', conf, 'line', 'test', '--circuit-id', octets, ...more]);
      const obeyed = [...(stdout + stderr)].filter(
        (character) => character !== '\n' && /[\p{Cc}\p{Cf}]/u.test(character),
      );
      t.same(obeyed, [], JSON.stringify(one));
      t.match(stdout, octets);
    }
  }
});

t.test('check-config reads the rules too', async (t) => {
  const wrong = await confOf(t, `[[rule]]\npreset = "dlinc"\n`);
  const { code, stdout } = await runIn(['--conf', wrong, '--data', wrong, 'check-config']);
  t.equal(code, 1);
  t.match(stdout, /lines\.toml:2: rule\[0\]\.preset: is not one of the values/);
});
