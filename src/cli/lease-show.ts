/**
 * `lease show`.
 *
 * Enters: an address. Leaves: its newest lease in each routing domain with the access line as it came, and the events about it that were not followed.
 * Invariant: octets of option 82 reach the terminal as hexadecimal, or as text that is printable.
 */
import { octetsText } from '../domain/octets-text.js';
import { linesEnglish } from '../status/english-lines.js';
import { leasesOfAddress, listRefusals, type LeaseRow, type RefusalRow } from '../store/lease-queries.js';
import { parseAddress } from './assignments.js';
import type { CommandContext } from './command-context.js';
import { CommandError } from './command-error.js';
import { showTime } from './display.js';
import { refusalJson, withoutPosition } from './lease-list.js';
import { printable } from './printable.js';

/** Refused events of one address: one for each MAC, kind and reason. */
const mostRefused = 50;

/** Shows the lease of an address. */
export async function showLease(context: CommandContext, text: string): Promise<void> {
  const address = parseAddress('the address', text);
  const pool = await context.pool();
  const leases = await leasesOfAddress(pool, address);
  const refused = await listRefusals(pool, { address }, undefined, mostRefused);
  if (leases.length === 0 && refused.length === 0)
    throw new CommandError(
      `no DHCP server has told of ${address}`,
      `ask who has it without a lease: sluice ip who ${address}`,
    );
  if (context.json) {
    await context.printJson({ address, leases: leases.map(withoutPosition), refused: refused.map(refusalJson) });
    return;
  }
  const { drawFields } = await import('./table.js');
  const zone = await context.timeZone();
  for (const lease of leases) await context.print(drawFields(fieldsOf(lease, zone), context.columns));
  if (leases.length === 0) await context.print(printable(`${address} was never leased to anybody we know`));
  if (refused.length > 0) await context.print('\nnot followed');
  for (const row of refused) await context.print(`  ${printable(refusedLine(row, zone))}`);
}

function fieldsOf(lease: LeaseRow, zone: string): [string, string | null][] {
  const { overdue, state } = lease;
  const over =
    state === 'bound' ? null : `${showTime(lease.ended_at, zone)}, ${linesEnglish.leaseEnd(lease.end_cause ?? '')}`;
  const until = lease.ends_at === null ? 'nobody said' : showTime(lease.ends_at, zone);
  return [
    ['address', lease.address],
    ['routing domain', lease.routing_domain === 'default' ? null : lease.routing_domain],
    ['state', overdue ? 'bound, and overdue: nobody said that it is over' : state],
    ['login', lease.login],
    ['mac', lease.mac],
    ['nas', lease.nas_name],
    ['device', lease.device],
    ['port', lease.port],
    ['circuit-id', octets(lease.circuit_id)],
    ['remote-id', octets(lease.remote_id)],
    ['subscriber-id', octets(lease.option82_subscriber_id)],
    ['switch of the hook', [lease.switch_mac, lease.switch_port].filter((part) => part !== null).join(' port ')],
    ['since', showTime(lease.began_at, zone)],
    ['renewed', showTime(lease.committed_at, zone)],
    ['until', until],
    ['ended', over],
    ['told by', `${lease.source} (${lease.via}), last at ${showTime(lease.event_at, zone)}`],
  ];
}

function octets(hex: string | null): string | null {
  return hex === null ? null : octetsText(hex);
}

/** One refused event in a line. */
export function refusedLine(row: Omit<RefusalRow, 'position'>, zone: string): string {
  const { circuit_id: circuit, remote_id: remote } = row;
  const named = [
    row.mac === null ? '' : `MAC ${row.mac}`,
    row.device === null ? '' : `device ${row.device}`,
    row.port === null ? '' : `port ${row.port}`,
    row.device !== null || remote === null ? '' : `remote ${octetsText(remote)}`,
    row.port !== null || circuit === null ? '' : `circuit ${octetsText(circuit)}`,
  ].filter((part) => part !== '');
  const times = row.repeats > 1 ? ` (${String(row.repeats)} times since ${showTime(row.first_at, zone)})` : '';
  const detail = row.detail === null ? '' : `: ${row.detail}`;
  return `${showTime(row.at, zone)} ${row.kind} ${row.address}${named.length === 0 ? '' : `, ${named.join(', ')}`}: ${linesEnglish.refusal(row.reason)}${detail}${times}`;
}
