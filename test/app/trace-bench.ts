// Measures what tracing costs a request in the access handler and around it. Not a test.
// Usage: node --import=tsx test/app/trace-bench.ts

import { TraceHub } from '../../src/app/trace-hub.js';
import { standardDictionary } from '../../src/app/policy.js';
import { AdmittedRequest } from '../../src/radius/admitted-request.js';
import { parsePacket } from '../../src/radius/packet.js';
import { SharedSecret } from '../../src/radius/shared-secret.js';
import { accessRequest } from '../support/radius-client.js';

const PACKETS = 200_000;
const secret = new SharedSecret('a secret');
const { bytes } = accessRequest({
  secret,
  userName: 'alice',
  password: 'x',
  callingStationId: '02:00:00:00:00:01',
  nasIpAddress: '192.0.2.1',
});
const parsed = parsePacket(bytes);
if (!parsed.ok) throw new Error(parsed.reason);
const nothing = undefined as never;
const owner = { replied: () => undefined, discarded: () => undefined };
const group = { name: 'n', secrets: [secret], requireMessageAuthenticator: true, limitProxyState: true };
const request = (): AdmittedRequest =>
  new AdmittedRequest(owner, parsed.packet, 'auth', '192.0.2.1', 1, group, secret, true, 0, nothing, nothing);

function measure(name: string, hub: TraceHub): void {
  const { watch } = hub;
  for (let round = 0; round < 4; round++) {
    const requests = Array.from({ length: PACKETS }, request);
    const beganAt = performance.now();
    for (const one of requests) {
      watch.current?.arrived(one);
      watch.current?.sent(one, bytes);
    }
    if (round === 3)
      console.log(`${name}: ${(((performance.now() - beganAt) * 1000) / PACKETS).toFixed(3)} µs a request`);
  }
}

function hub(login?: string): TraceHub {
  const made = new TraceHub({
    dictionary: standardDictionary(),
    identityOf: () => ({ found: 'one', by: 'login', login: 'alice', mac: undefined }),
    nasNameOf: () => 'bras1',
    nowMs: Date.now,
    onError: (error) => {
      throw error;
    },
  });
  if (login !== undefined) made.add({ question: { login }, tell: (make) => JSON.stringify(make()) });
  return made;
}

measure('nobody traces', hub());
measure('somebody else is traced', hub('bob'));
measure('this one is traced, and every event is written', hub('alice'));
