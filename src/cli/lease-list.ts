/**
 * `lease list` and `lease refused`.
 *
 * Enters: filters. Leaves: bound leases, or events that were not followed. Invariant: a filter that names nobody is an error, not an empty list.
 */
import { nearestKey } from '../config/nearest-key.js';
import { readDeviceReference, type DeviceReference } from '../domain/device-reference.js';
import { octetsText } from '../domain/octets-text.js';
import { linesEnglish } from '../status/english-lines.js';
import { countMeant } from '../store/device-search.js';
import { listLeases, listRefusals, type LeaseFilter, type LeaseRow, type RefusalRow } from '../store/lease-queries.js';
import { parseAddress, parseMac, parseText } from './assignments.js';
import type { CommandContext } from './command-context.js';
import { CommandError, UsageError } from './command-error.js';
import { showTime } from './display.js';
import { parseLimit, printPages } from './pages.js';
import { pickSubscriber } from './subscriber-pick.js';

/** The options of `lease list`, as typed. */
export interface LeaseListOptions {
  readonly subscriber?: string;
  readonly address?: string;
  readonly mac?: string;
  readonly device?: string;
  readonly overdue?: boolean;
  readonly limit?: string;
}

/** The options of `lease refused`, as typed. */
export interface RefusedOptions {
  readonly reason?: string;
  readonly limit?: string;
}

/** Lists bound leases. */
export async function listBoundLeases(context: CommandContext, options: LeaseListOptions): Promise<void> {
  const { subscriber, address, mac, device, overdue } = options;
  const filter: LeaseFilter = {
    ...(address !== undefined && { address: parseAddress('--address', address) }),
    ...(mac !== undefined && { mac: parseMac('--mac', mac) }),
    ...(overdue === true && { overdue }),
    ...(device !== undefined && { device: await referenceOf(context, parseText('--device', device)) }),
    ...(subscriber !== undefined && {
      subscriberId: (await pickSubscriber(await context.pool(), subscriber, { among: 'any' })).id,
    }),
  };
  const pool = await context.pool();
  const zone = await context.timeZone();
  await printPages<LeaseRow>(context, {
    limit: parseLimit(context, options.limit),
    noun: 'lease',
    page: (after, rows) => listLeases(pool, filter, after?.position, rows),
    json: withoutPosition,
    columns: [
      { title: 'ADDRESS', value: (row) => row.address },
      { title: 'MAC', value: (row) => row.mac },
      { title: 'LOGIN', value: (row) => row.login },
      { title: 'NAS', value: (row) => row.nas_name },
      { title: 'DEVICE', value: (row) => row.device ?? row.switch_mac },
      { title: 'PORT', value: (row) => row.port },
      { title: 'SINCE', value: (row) => showTime(row.began_at, zone) },
      { title: 'UNTIL', value: (row) => showTime(row.ends_at, zone) },
      { title: 'REMARK', value: (row) => (row.overdue ? 'overdue' : '') },
    ],
  });
}

/** Nobody wants to hear of no leases because of a slip of the finger. */
async function referenceOf(context: CommandContext, text: string): Promise<DeviceReference> {
  const reference = readDeviceReference(text);
  if ((await countMeant(await context.pool(), reference)) === 0)
    throw new CommandError(`there is no device '${text}'`, 'give its name, MAC, serial or address, or id:NUMBER');
  return reference;
}

/** Lists events that were not followed. */
export async function listRefusedLeases(context: CommandContext, options: RefusedOptions): Promise<void> {
  const reason = options.reason === undefined ? undefined : parseReason(options.reason);
  const pool = await context.pool();
  const zone = await context.timeZone();
  await printPages<RefusalRow>(context, {
    limit: parseLimit(context, options.limit),
    noun: 'event',
    page: (after, rows) => listRefusals(pool, reason === undefined ? {} : { reason }, after?.position, rows),
    json: refusalJson,
    columns: [
      { title: 'LAST', value: (row) => showTime(row.at, zone) },
      { title: 'TIMES', align: 'right', value: (row) => row.repeats },
      { title: 'EVENT', value: (row) => row.kind },
      { title: 'ADDRESS', value: (row) => row.address },
      { title: 'MAC', value: (row) => row.mac },
      { title: 'LOGIN', value: (row) => row.login },
      { title: 'DEVICE', value: (row) => row.device ?? octetsText(row.remote_id ?? '') },
      { title: 'PORT', value: (row) => row.port ?? octetsText(row.circuit_id ?? '') },
      { title: 'REASON', value: (row) => row.reason },
      { title: 'DETAIL', value: (row) => row.detail },
    ],
  });
}

function parseReason(text: string): string {
  const known = Object.keys(linesEnglish.refusals);
  if (known.includes(text)) return text;
  const near = nearestKey(text, known);
  throw new UsageError(
    `there is no reason '${text}'`,
    `${near === undefined ? '' : `did you mean ${near}? `}the reasons are ${known.join(', ')}`,
  );
}

/** A row as JSON tells it: where a list goes on is nobody's business. */
export function withoutPosition<Row extends { position?: string }>(row: Row): Omit<Row, 'position'> {
  const told = { ...row };
  delete told.position;
  return told;
}

/** A refused event as JSON tells it: with the reason in words. */
export function refusalJson(row: RefusalRow): Omit<RefusalRow, 'position'> & { readonly explanation: string } {
  return { ...withoutPosition(row), explanation: linesEnglish.refusal(row.reason) };
}
