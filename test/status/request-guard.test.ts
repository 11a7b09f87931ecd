/** Who may ask at all: Host names, names and passwords. */
import t from 'tap';
import { SecretValue } from '../../src/config/secret-value.js';
import { hostIsOurs, readBasicCredentials, VisitorCheck } from '../../src/status/request-guard.js';

t.test('a listener on loopback is asked for by a name of this host', async (t) => {
  const ours = [
    'localhost',
    'localhost:8080',
    'LOCALHOST:1',
    '127.0.0.1:8080',
    '127.9.9.9',
    '[::1]:8080',
    'sluice.example',
  ];
  const others = [
    undefined,
    '',
    'evil.example',
    'localhost.evil.example',
    '127.0.0.1.evil.example',
    '10.0.0.1',
    '[::2]:80',
    'localhost:8080/',
    'a@localhost',
    'localhost\t',
    '0x7f000001',
    '2130706433',
  ];
  for (const host of ours) t.ok(hostIsOurs(host, ['sluice.example']), host);
  for (const host of others) t.notOk(hostIsOurs(host, ['sluice.example']), String(host));
});

t.test('HTTP Basic (RFC 7617)', async (t) => {
  const basic = (text: string): string => `Basic ${Buffer.from(text).toString('base64')}`;
  t.same(readBasicCredentials(basic('anna:pass:word')), { name: 'anna', password: Buffer.from('pass:word') });
  for (const header of [
    undefined,
    '',
    'Basic',
    'Basic !!',
    'Bearer abc',
    basic('nocolon'),
    basic(':empty name'),
    `Basic ${'A'.repeat(5_000)}`,
  ])
    t.equal(readBasicCredentials(header), undefined, String(header?.slice(0, 30)));
});

const anna = { name: 'anna', passwordHash: SecretValue.of('{SCRYPT}of anna') };
const header = (name: string, password: string): string =>
  `Basic ${Buffer.from(`${name}:${password}`).toString('base64')}`;

function check(nowMs: () => number = () => 0) {
  const asked: string[] = [];
  const visitors = new VisitorCheck(async (name, hash, password) => {
    asked.push(`${name} ${hash}`);
    if (password.toString() === 'busy') return 'overloaded';
    return hash === '{SCRYPT}of anna' && password.toString() === 'right' ? 'right' : 'wrong';
  }, nowMs);
  return { visitors, asked };
}

t.test('without users everybody is let in, and nobody has a name', async (t) => {
  const { visitors, asked } = check();
  t.same(await visitors.visitor([], header('anna', 'wrong'), '::1'), { verdict: 'admitted', name: undefined });
  t.same(asked, []);
});

t.test('with users, a name and its password', async (t) => {
  const { visitors, asked } = check();
  t.same(await visitors.visitor([anna], undefined, '::1'), { verdict: 'unauthorized' });
  t.same(await visitors.visitor([anna], header('anna', 'right'), '::1'), { verdict: 'admitted', name: 'anna' });
  t.same(await visitors.visitor([anna], header('anna', 'wrong'), '::1'), { verdict: 'unauthorized' });
  t.same(await visitors.visitor([anna], header('anna', 'busy'), '::1'), { verdict: 'overloaded' });
  t.same(await visitors.visitor([anna], header('eve', 'right'), '::1'), { verdict: 'unauthorized' });
  t.match(asked.at(-1), /^eve \{SCRYPT\}/, 'a name that nobody has costs a hash too, so that time tells nothing');
});

t.test('ten wrong passwords are enough for a minute, for that name from that address', async (t) => {
  let nowMs = 0;
  const { visitors, asked } = check(() => nowMs);
  for (let i = 0; i < 10; i++) await visitors.visitor([anna], header('anna', 'wrong'), '10.0.0.1');
  t.same(await visitors.visitor([anna], header('anna', 'right'), '10.0.0.1'), { verdict: 'too-many' });
  t.equal(asked.length, 10, 'and no hash is computed meanwhile');
  t.equal((await visitors.visitor([anna], header('anna', 'right'), '10.0.0.2')).verdict, 'admitted', 'from elsewhere');
  nowMs = 60_001;
  t.equal((await visitors.visitor([anna], header('anna', 'right'), '10.0.0.1')).verdict, 'admitted', 'a minute later');
});
