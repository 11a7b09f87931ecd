// What a real Kea handed to a script, where the folder of captures is beside the checkout: run through the hook and read, call by call.
import { spawnSync } from 'node:child_process';
import { existsSync, readFileSync, readdirSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import t from 'tap';
import { readHookFile } from '../../src/dhcp/hook-file.js';
import type { LeaseEvent } from '../../src/domain/lease-event.js';
import { checkout } from '../config/conf-folder.js';

const dump = join(checkout, '../shared/captures/hooks/kea-run-script.env');

interface Call {
  readonly atMs: number;
  readonly point: string;
  readonly environment: Readonly<Record<string, string>>;
}

function callsOf(text: string): Call[] {
  return text
    .split(/^### /mu)
    .filter((block) => block.trim() !== '')
    .map((block) => {
      const [head = '', ...lines] = block.split('\n');
      const [at = '', point = ''] = head.split(' ');
      const pairs = lines
        .filter((one) => one.includes('='))
        .map((one) => [one.slice(0, one.indexOf('=')), one.slice(one.indexOf('=') + 1)]);
      return {
        atMs: Math.floor(Number(at) * 1_000),
        point,
        environment: Object.fromEntries(pairs) as Record<string, string>,
      };
    });
}

t.test('every call of the dump', { skip: existsSync(dump) ? false : 'there are no captures here' }, async (t) => {
  const calls = callsOf(readFileSync(dump, 'utf8'));
  t.ok(calls.length > 10, `${String(calls.length)} calls`);
  const events: LeaseEvent[] = [];
  for (const { atMs, point, environment } of calls) {
    const inbox = await mkdtemp(join(tmpdir(), 'sluice-dump-'));
    t.teardown(() => rm(inbox, { recursive: true, force: true }));
    const env = { ...environment, SLUICE_INBOX: inbox, SLUICE_LEVER_STRICT: '1' };
    t.equal(spawnSync(join(checkout, 'bin/sluice-lever'), [point], { env }).status, 0, point);
    const [file] = readdirSync(inbox);
    const isEmpty = environment['LEASES4_SIZE'] === '0' && environment['DELETED_LEASES4_SIZE'] === '0';
    t.equal(file === undefined, isEmpty, 'a call about no lease writes nothing');
    if (file === undefined) continue;
    const heard = { receivedAtMs: atMs + 5, via: 'hook', source: 'kea', happenedAtMs: atMs } as const;
    const reading = readHookFile(readFileSync(join(inbox, file)), heard);
    if (!reading.ok) return t.fail(`${point}: ${reading.fault}`);
    events.push(...reading.events);
  }
  const of = (address: string) => events.filter((event) => event.address === address);
  t.match(of('100.66.2.10'), [
    {
      kind: 'commit',
      mac: '02:00:00:00:c2:01',
      line: { circuitId: '6f6c74372f302f342f323a3131', remoteId: '0200000077bb', subscriberId: '5355422d37373131' },
    },
    { kind: 'release', mac: '02:00:00:00:c2:01' },
    { kind: 'release', mac: '02:00:00:00:c2:01' },
  ]);
  t.match(of('100.66.3.77'), [
    { kind: 'commit', line: { remoteId: '0200000077cc' } },
    { kind: 'expiry', mac: '02:00:00:00:c3:01', line: null },
  ]);
  const renewals = of('100.66.1.10');
  t.ok(renewals.every(({ kind }) => kind === 'commit'));
  t.ok(renewals.some(({ line }) => line === null) && renewals.some(({ line }) => line?.circuitId === '61636331'));
  t.ok(renewals.every(({ leaseEndsAtMs }) => leaseEndsAtMs !== null && leaseEndsAtMs % 1_000 === 0));
});
