/** What came in of leases and monitoring and was not taken, on the page of leases and beside it. */
import t from 'tap';
import type { Measure } from '../../src/status/metrics.js';
import { pageHouse } from '../support/page.js';

const plain = (body: string): string => body.replaceAll(/<[^>]*>/g, ' ').replaceAll(/\s+/g, ' ');

t.test('what was not taken is told by way and reason, and ordinary life is not', async (t) => {
  const counted = (name: string, way: string, counts: Readonly<Record<string, number>>): Measure => ({
    name,
    help: 'x',
    kind: 'counter',
    labels: [way, 'outcome'],
    read: () =>
      Object.entries(counts).map(([told, value]) => {
        const [by, outcome] = told.split(' ') as [string, string];
        return { labels: { [way]: by, outcome }, value };
      }),
  });
  const measures = [
    counted('intake_total', 'way', { 'lever taken': 900, 'lever bad-signature': 7, 'json-lease replayed': 2 }),
    counted('dhcp_packets_total', 'relay', { 'olt-1 commit': 80, 'olt-1 discover': 60, 'unknown unknown-source': 30 }),
  ];
  const house = await pageHouse(t, { measures });
  const rows = [
    { way: 'unknown', reason: 'unknown-source', count: 30 },
    { way: 'lever', reason: 'bad-signature', count: 7 },
    { way: 'json-lease', reason: 'replayed', count: 2 },
  ];
  t.same((await house.get('/api/leases')).json<{ not_taken: unknown }>().not_taken, rows);
  const page = plain((await house.get('/leases')).body);
  t.match(page, /Events that were not taken.*unknown unknown-source 30 lever bad-signature 7 json-lease replayed 2/u);
  const quiet = await pageHouse(t, { measures: [counted('intake_total', 'way', { 'lever taken': 900 })] });
  t.notMatch((await quiet.get('/leases')).body, /not taken/u);
});
