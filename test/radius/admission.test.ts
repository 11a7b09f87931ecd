// Admission: source, secret, structure, code, signature; the two BlastRADIUS switches in every combination.

import t from 'tap';
import { admit, type RadiusPort, type SourceGroup, type SourceTable } from '../../src/radius/admission.js';
import { Attribute } from '../../src/radius/attribute-number.js';
import { Code } from '../../src/radius/code.js';
import { RequestBuilder } from '../../src/radius/request.js';
import { SharedSecret } from '../../src/radius/shared-secret.js';
import { accessRequest, accountingRequest, statusServer } from '../support/radius-client.js';

const secret = new SharedSecret('testing123');
const next = new SharedSecret('the secret that comes next');
const strict: SourceGroup = {
  name: 'bras1',
  secrets: [secret],
  requireMessageAuthenticator: true,
  limitProxyState: true,
};
const lax: SourceGroup = { ...strict, requireMessageAuthenticator: false, limitProxyState: false };
const tableOf = (group: SourceGroup): SourceTable => ({
  lookup: (address) => (address === '10.0.0.2' ? group : undefined),
});

function outcome(group: SourceGroup, port: RadiusPort, bytes: Buffer, address = '10.0.0.2'): string {
  const result = admit(tableOf(group), port, bytes, address);
  return result.ok ? 'ok' : result.reason;
}

/** An Access-Request with Message-Authenticator absent, right or wrong, at the front, in the middle or at the end. */
function blastRequest(
  kind: 'none' | 'good' | 'bad',
  position: 'first' | 'middle' | 'last',
  proxyState: boolean,
): Buffer {
  const request = new RequestBuilder(Code.accessRequest, 1, undefined, false);
  const here = (at: string): void => {
    if (kind !== 'none' && at === position) request.addMessageAuthenticator();
  };
  here('first');
  request.addText(Attribute.userName, 'alice');
  here('middle');
  if (proxyState) request.addText(Attribute.proxyState, 'proxy');
  request.addText(Attribute.nasIdentifier, 'bras1');
  here('last');
  return request.finish(kind === 'bad' ? next : secret);
}

t.test('BlastRADIUS: both switches × Message-Authenticator × position × Proxy-State', (t) => {
  for (const requireMessageAuthenticator of [true, false])
    for (const limitProxyState of [true, false])
      for (const kind of ['none', 'good', 'bad'] as const)
        for (const position of ['first', 'middle', 'last'] as const)
          for (const proxyState of [true, false]) {
            const group = { ...strict, requireMessageAuthenticator, limitProxyState };
            const expected =
              kind === 'good'
                ? 'ok'
                : kind === 'bad'
                  ? 'bad-message-authenticator'
                  : requireMessageAuthenticator
                    ? 'message-authenticator-missing'
                    : limitProxyState && proxyState
                      ? 'proxy-state-unprotected'
                      : 'ok';
            const name = JSON.stringify({ requireMessageAuthenticator, limitProxyState, kind, position, proxyState });
            t.equal(outcome(group, 'auth', blastRequest(kind, position, proxyState)), expected, name);
          }
  t.end();
});

t.test('the order: an unknown source is not even parsed, a malformed packet not verified', (t) => {
  t.equal(outcome(strict, 'auth', Buffer.alloc(3), '10.0.0.3'), 'unknown-source');
  t.equal(outcome({ ...strict, secrets: [] }, 'auth', Buffer.alloc(3)), 'unknown-source', 'no secret, no source');
  t.equal(outcome(strict, 'auth', Buffer.alloc(3)), 'too-short');
  const request = accessRequest({ secret: next, userName: 'alice', password: 'x' }).bytes;
  t.equal(outcome(strict, 'accounting', request), 'access-on-accounting-port', 'the code before the signature');
  t.equal(outcome(strict, 'auth', request), 'bad-message-authenticator');
  t.end();
});

t.test('codes and ports', (t) => {
  const signed = (code: number): Buffer => new RequestBuilder(code, 1, undefined, true).finish(secret);
  for (const [code, auth, accounting] of [
    [Code.accessRequest, 'ok', 'access-on-accounting-port'],
    [Code.accountingRequest, 'accounting-on-auth-port', 'ok'],
    [Code.statusServer, 'ok', 'ok'],
    [Code.accessAccept, 'unexpected-code', 'unexpected-code'],
    [Code.accountingResponse, 'unexpected-code', 'unexpected-code'],
    [Code.coaRequest, 'unexpected-code', 'unexpected-code'],
    [Code.disconnectRequest, 'unexpected-code', 'unexpected-code'],
    [0, 'unexpected-code', 'unexpected-code'],
    [255, 'unexpected-code', 'unexpected-code'],
  ] as const) {
    t.equal(outcome(strict, 'auth', signed(code)), auth, `code ${code}`);
    t.equal(outcome(strict, 'accounting', signed(code)), accounting, `code ${code}`);
  }
  t.end();
});

t.test('Accounting-Request needs its authenticator, whatever the switches say', (t) => {
  const good = accountingRequest({ secret, status: 'start', acctSessionId: '1' }).bytes;
  const wrong = accountingRequest({ secret: next, status: 'start', acctSessionId: '1' }).bytes;
  for (const group of [strict, lax]) {
    t.equal(outcome(group, 'accounting', good), 'ok');
    t.equal(outcome(group, 'accounting', wrong), 'bad-authenticator');
  }
  const proxied = accountingRequest({
    secret,
    status: 'start',
    fill: (r) => r.addText(Attribute.proxyState, 'p'),
  }).bytes;
  t.equal(outcome(strict, 'accounting', proxied), 'ok', 'Proxy-State is limited in Access-Request only');
  // A right authenticator over a wrong Message-Authenticator: somebody signed what somebody else wrote.
  const inner = new RequestBuilder(Code.accountingRequest, 1, undefined, true).finish(next);
  const outer = new RequestBuilder(Code.accountingRequest, 1).addEncoded(inner.subarray(20)).finish(secret);
  t.equal(outcome(lax, 'accounting', outer), 'bad-message-authenticator');
  t.end();
});

t.test('Status-Server and EAP must have a Message-Authenticator (RFC 5997 §3, RFC 3579 §3.1)', (t) => {
  t.equal(outcome(lax, 'auth', statusServer({ secret }).bytes), 'ok');
  t.equal(outcome(lax, 'accounting', statusServer({ secret }).bytes), 'ok');
  t.equal(outcome(lax, 'auth', statusServer({ secret: next }).bytes), 'bad-message-authenticator');
  const bare = new RequestBuilder(Code.statusServer, 1, undefined, false).finish(secret);
  t.equal(outcome(lax, 'auth', bare), 'message-authenticator-missing');
  const eap = new RequestBuilder(Code.accessRequest, 1, undefined, false).addOctets(
    Attribute.eapMessage,
    Buffer.alloc(5),
  );
  t.equal(outcome(lax, 'auth', eap.finish(secret)), 'message-authenticator-missing');
  t.end();
});

t.test('two secrets while one is being changed', (t) => {
  const rotating = { ...strict, secrets: [next, secret] };
  for (const used of [secret, next]) {
    const access = admit(tableOf(rotating), 'auth', accessRequest({ secret: used, userName: 'a' }).bytes, '10.0.0.2');
    t.ok(access.ok && access.secret === used && access.secretIsProven, 'Access-Request');
    const accounting = accountingRequest({ secret: used, status: 'start' }).bytes;
    const admitted = admit(tableOf(rotating), 'accounting', accounting, '10.0.0.2');
    t.ok(admitted.ok && admitted.secret === used && admitted.secretIsProven, 'Accounting-Request');
  }
  const unproven = accessRequest({ secret, userName: 'a', withMessageAuthenticator: false }).bytes;
  const admitted = admit(tableOf({ ...rotating, requireMessageAuthenticator: false }), 'auth', unproven, '10.0.0.2');
  t.ok(admitted.ok && admitted.secret === next && !admitted.secretIsProven, 'without a signature nothing is proven');
  const third = accessRequest({ secret: 'neither', userName: 'a' }).bytes;
  t.equal(outcome(rotating, 'auth', third), 'bad-message-authenticator');
  t.end();
});

t.test('padding is outside the signature, and the zone of an address outside the lookup', (t) => {
  const { bytes } = accessRequest({ secret, userName: 'alice', password: 'x' });
  t.equal(outcome(strict, 'auth', Buffer.concat([bytes, Buffer.from('0102ffff', 'hex')])), 'ok');
  const sources: SourceTable = { lookup: (address) => (address === 'fe80::1' ? strict : undefined) };
  t.ok(admit(sources, 'auth', bytes, 'fe80::1%eth0').ok);
  t.end();
});

t.test('a request whose Proxy-State leaves no room for a reply', (t) => {
  const request = new RequestBuilder(Code.accessRequest, 1, undefined, false);
  for (let count = 0; count < 15; count++) request.addOctets(Attribute.proxyState, Buffer.alloc(253));
  t.equal(outcome(lax, 'auth', request.finish(secret)), 'ok');
  const fuller = new RequestBuilder(Code.accessRequest, 1, undefined, false);
  for (let count = 0; count < 15; count++) fuller.addOctets(Attribute.proxyState, Buffer.alloc(253));
  fuller.addOctets(Attribute.proxyState, Buffer.alloc(240));
  t.equal(outcome(lax, 'auth', fuller.finish(secret)), 'proxy-state-too-long');
  t.end();
});
