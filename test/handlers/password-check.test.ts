/**
 * The memory of stored passwords that were opened before. Enters: logins of more subscribers than it holds. Leaves: how long a login takes.
 * Invariant: after a power cut everybody logs in once, and nobody's login may cost more for that.
 */
import t from 'tap';
import { Subscriber } from '../../src/domain/subscriber.js';
import { PasswordCheck } from '../../src/handlers/password-check.js';
import type { AdmittedRequest } from '../../src/radius/admitted-request.js';
import { parsePacket } from '../../src/radius/packet.js';
import { PapVerifier } from '../../src/radius/pap.js';
import { SharedSecret } from '../../src/radius/shared-secret.js';
import { accessRequest } from '../support/radius-client.js';

const secret = new SharedSecret('a-secret-for-the-tests-only');

function papRequest(password: string): AdmittedRequest {
  const parsed = parsePacket(accessRequest({ secret, userName: 'anybody', password }).bytes);
  if (!parsed.ok) throw new Error(parsed.reason);
  return {
    packet: parsed.packet,
    secret,
    secretIsProven: true,
    group: { name: 'test', secrets: [secret] },
  } as unknown as AdmittedRequest;
}

function subscriber(id: number, password: string): Subscriber {
  return new Subscriber({
    id,
    accountId: id,
    login: `user${String(id)}`,
    password,
    mac: undefined,
    staticAddress: undefined,
    poolId: undefined,
    nasName: undefined,
    associatePppoeMac: false,
    associateVpnIp: false,
    deleted: false,
    redirect: false,
    ownDisabled: false,
    adminBlocked: false,
  });
}

/** Seconds of processor time for one login of each of so many: others may be busy on the machine. */
function secondsOf(check: PasswordCheck, people: readonly Subscriber[], request: AdmittedRequest): number {
  const began = process.cpuUsage();
  for (const one of people) check.check(request, one, undefined, undefined);
  return process.cpuUsage(began).user / 1e6;
}

t.test('a login costs the same when more people log in than are remembered', (t) => {
  const request = papRequest('wonderland');
  const people = Array.from({ length: 200_000 }, (_, id) => subscriber(id + 1, '{CLEAR}wonderland'));
  const options = { pap: new PapVerifier(), sealKeys: new Map(), maxParsed: 100_000 };
  const few = people.map((_, i) => people[i % 500]!);
  // Once for the compiler.
  secondsOf(new PasswordCheck(options), few, request);
  const known = secondsOf(new PasswordCheck(options), few, request);
  const fresh = secondsOf(new PasswordCheck(options), people, request);
  t.ok(fresh < known * 5, `${fresh.toFixed(2)} s for 200,000 new ones, ${known.toFixed(2)} s for as many known ones`);
  t.end();
});

t.test('a changed password counts at once, remembered or not', (t) => {
  const check = new PasswordCheck({ pap: new PapVerifier(), sealKeys: new Map(), maxParsed: 4 });
  const ask = (one: Subscriber) => check.check(papRequest('wonderland'), one, undefined, undefined);
  for (let round = 0; round < 3; round++) {
    for (let id = 1; id <= 7; id++) {
      t.match(ask(subscriber(id, '{CLEAR}wonderland')), { outcome: 'verified' });
      t.match(ask(subscriber(id, '{CLEAR}looking-glass')), { outcome: 'wrong-password' });
    }
  }
  t.end();
});
