// Measures the handler alone: packets verified by nobody, decided and answered in memory. Not a test.
// Usage: node --import=tsx test/handlers/access-bench.ts

import { Desk, SECRET } from '../support/access-desk.js';
import { accessRequest } from '../support/radius-client.js';

const desk = await Desk.open({ teardown: () => undefined });
desk.addPlan();
desk.addAccount();
const SUBSCRIBERS = 10_000;
for (let id = 1; id <= SUBSCRIBERS; id++)
  desk.addSubscriber({ id, login: `user${String(id)}`, staticAddress: 0x6440_0000 + id });
const requests = Array.from({ length: SUBSCRIBERS }, (_, i) =>
  accessRequest({
    secret: SECRET,
    userName: `user${String(i + 1)}`,
    password: 'wonderland',
    nasIpAddress: '192.0.2.1',
    callingStationId: `02:00:00:00:${(i >> 8).toString(16).padStart(2, '0')}:${(i & 255).toString(16).padStart(2, '0')}`,
  }),
);
for (let round = 0; round < 6; round++) {
  const cpu = process.cpuUsage();
  for (const one of requests) desk.askWithoutOpening(one);
  const { user, system } = process.cpuUsage(cpu);
  console.log(`${((user + system) / SUBSCRIBERS).toFixed(1)} µs of CPU per PAP Accept`);
}
console.log(desk.handler.counters);
