// Who is believed: the signature over a query, the signature over a body, its time, and that one request is taken once.
import { createHash, createHmac } from 'node:crypto';
import t from 'tap';
import { isSignedBody, readClaim, signBody, signatureWindowMs, UsedSignatures } from '../../src/dhcp/body-signature.js';
import type { SignatureClaim } from '../../src/dhcp/body-signature.js';
import { isSignedQuery, readQuery, signQuery } from '../../src/dhcp/query-signature.js';

const secret = Buffer.from('a secret of the lever');
const sha256 = (text: string): string => createHash('sha256').update(text).digest('hex');

t.test('a query is signed over its values in their order, empty ones left out, the secret last', async (t) => {
  for (const [values, signed] of [
    [
      ['commit', '10.0.0.1', '2:0:0:0:c1:1', '2:0:0:0:77:bb', '11'],
      '10.0.0.1_11_2:0:0:0:77:bb_2:0:0:0:c1:1_commit_a secret of the lever',
    ],
    [['release', '10.0.0.1', '', ''], '10.0.0.1_release_a secret of the lever'],
    [['b', 'a', 'B', 'é', 'z', '\u{1f980}', '\uff5a'], 'B_a_b_z_é_ｚ_\u{1f980}_a secret of the lever'],
    [[], 'a secret of the lever'],
  ] as const) {
    t.equal(signQuery(values, secret).toString('hex'), sha256(signed));
    t.ok(isSignedQuery(values, sha256(signed), [secret]));
    t.ok(isSignedQuery(values, sha256(signed).toUpperCase(), [Buffer.from('the next one'), secret]));
    t.notOk(isSignedQuery(values, sha256(signed), [Buffer.from('another secret')]));
    t.notOk(isSignedQuery([...values, 'x'], sha256(signed), [secret]));
    t.notOk(isSignedQuery(values, sha256(signed), []), 'without a secret nothing is signed');
  }
  for (const sign of ['', 'x'.repeat(64), sha256('').slice(1), `${sha256('')}0`]) {
    t.notOk(isSignedQuery([], sign, [secret]), sign);
  }
});

t.test('a query says each thing once', async (t) => {
  t.match(readQuery('cmd=commit&client_ip=10.0.0.1&sign=ab&switch_port=a%2Fb+c'), {
    ok: true,
    sign: 'ab',
    parameters: new Map([
      ['cmd', 'commit'],
      ['client_ip', '10.0.0.1'],
      ['switch_port', 'a/b c'],
    ]),
  });
  for (const query of ['cmd=commit&cmd=commit', 'a=&a=1', 'sign=ab&sign=cd', 'cmd=a&c%6dd=b']) {
    t.same(readQuery(query), { ok: false, fault: 'repeated-parameter' }, query);
  }
  t.match(readQuery('cmd[]=a&cmd[0]=b&cmd=c'), { ok: true }, 'brackets are a part of a name, and no list');
  t.match(readQuery('%zz=%&=x&sign'), { ok: true, sign: '' });
});

const nowMs = 1_795_288_900_000;
const body = Buffer.from('[{"cmd":"commit"}]');
const headersFor = (timestamp: string, change: Record<string, string | undefined> = {}) => ({
  'x-sluice-source': 'dhcp1',
  'x-sluice-timestamp': timestamp,
  'x-sluice-signature': signBody(timestamp, body, secret).toString('hex'),
  ...change,
});

function claimOf(timestamp: string, change: Record<string, string | undefined> = {}): SignatureClaim {
  const reading = readClaim(headersFor(timestamp, change), nowMs);
  if (!reading.ok) throw new Error(reading.fault);
  return reading.claim;
}

t.test('a body is signed over its time and its octets', async (t) => {
  const expected = createHmac('sha256', secret).update('1795288900[{"cmd":"commit"}]').digest('hex');
  t.equal(signBody('1795288900', body, secret).toString('hex'), expected);
  const claim = claimOf('1795288900');
  t.match(claim, { source: 'dhcp1', timestamp: '1795288900', signedAtMs: nowMs });
  t.ok(isSignedBody(claim, body, [Buffer.from('the next one'), secret]));
  t.notOk(isSignedBody(claim, body, [Buffer.from('another secret')]));
  t.notOk(isSignedBody(claim, body, []));
  t.notOk(isSignedBody(claim, Buffer.from('[{"cmd":"commit"}] '), [secret]));
  t.notOk(isSignedBody({ ...claim, timestamp: '1795288901' }, body, [secret]), 'the time is under the signature');
  t.notOk(isSignedBody({ ...claim, timestamp: '01795288900' }, body, [secret]), 'as it is written');
});

t.test('headers that are missing, or of another form', async (t) => {
  for (const change of [
    { 'x-sluice-source': undefined },
    { 'x-sluice-timestamp': undefined },
    { 'x-sluice-signature': undefined },
    { 'x-sluice-timestamp': 'now' },
    { 'x-sluice-timestamp': '1795288900.5' },
    { 'x-sluice-timestamp': '-1' },
    { 'x-sluice-signature': 'abc' },
    { 'x-sluice-signature': `${'ab'.repeat(32)}, ${'ab'.repeat(32)}` },
  ]) {
    t.same(
      readClaim(headersFor('1795288900', change), nowMs),
      { ok: false, fault: 'unsigned' },
      JSON.stringify(change),
    );
  }
});

t.test('a request is believed for five minutes, before and after', async (t) => {
  t.equal(signatureWindowMs, 300_000);
  for (const [timestamp, isFresh] of [
    ['1795288600', true],
    ['1795289200', true],
    ['1795288599', false],
    ['1795289201', false],
    ['0', false],
    ['999999999999', false],
  ] as const) {
    const reading = readClaim(headersFor(timestamp), nowMs);
    t.match(reading, isFresh ? { ok: true } : { ok: false, fault: 'stale-timestamp' }, timestamp);
  }
});

t.test('one request is taken once, and again only when it failed', async (t) => {
  const used = new UsedSignatures(() => nowMs);
  const [one, other] = [claimOf('1795288900'), claimOf('1795288901')];
  t.equal(used.claim(one), 'first');
  t.equal(used.claim(one), 'in-hand', 'it may fail yet');
  t.equal(used.claim(other), 'first');
  used.failed(one);
  t.equal(used.claim(one), 'first');
  used.taken(one);
  t.equal(used.claim(one), 'used');
  used.failed(one);
  t.equal(used.claim(one), 'used', 'nothing undoes that');
});

t.test('a signature is remembered for as long as it can come again, and not for ever', async (t) => {
  let clockMs = nowMs;
  const used = new UsedSignatures(() => clockMs);
  const claim = claimOf('1795288900');
  used.claim(claim);
  used.taken(claim);
  for (let waitedMs = 0; waitedMs <= 2 * signatureWindowMs; waitedMs += 10_000) {
    clockMs = nowMs + waitedMs;
    t.equal(used.claim(claim), 'used', `${String(waitedMs)} ms later`);
  }
  clockMs = nowMs - 3_600_000;
  t.equal(used.claim(claim), 'used', 'a clock that was set back');
  clockMs = nowMs + 10 * signatureWindowMs;
  t.equal(used.claim(claim), 'first', 'its time is long over: readClaim refuses it');
});

t.test('what is remembered is bounded, and beyond it nothing is taken', async (t) => {
  const used = new UsedSignatures(() => nowMs);
  const claim = (index: number): SignatureClaim => {
    const signature = Buffer.alloc(32);
    signature.writeUInt32BE(index);
    return { source: 'dhcp1', timestamp: '1795288900', signedAtMs: nowMs, signature };
  };
  let index = 0;
  while (used.claim(claim(index)) === 'first') used.taken(claim(index++));
  t.equal(used.claim(claim(index)), 'full');
  t.equal(used.claim(claim(0)), 'used', 'and what was taken is known');
  t.ok(index >= 30_000 && index <= 40_000, `${String(index)} signatures`);
});
