/**
 * `device show|list`.
 *
 * Enters: a device, filters. Leaves: what is known of it: who is plugged in, what monitoring said last. Invariant: the same columns in JSON as in SQL.
 */
import { readDeviceReference } from '../domain/device-reference.js';
import { parseStatusWord, type DeviceStatus } from '../domain/device-status.js';
import { listDeviceEvents, type DeviceEventRow } from '../store/device-events.js';
import {
  findDevices,
  listDevices,
  listPlugged,
  type DeviceFilter,
  type DeviceRow,
  type PluggedRow,
} from '../store/devices.js';
import { parseText } from './assignments.js';
import type { CommandContext } from './command-context.js';
import { CommandError, UsageError } from './command-error.js';
import { labelOfRow, pickDevice } from './device-pick.js';
import { showTime } from './display.js';
import { parseLimit, printPages } from './pages.js';

/** An OLT has some thousand ONUs behind it. */
const mostPlugged = 10_000;
const lastEvents = 10;

/** Shows one device. */
export async function showDevice(context: CommandContext, text: string): Promise<void> {
  await present(context, await pickDevice(await context.pool(), text));
}

/** Shows a device by id. */
export async function showDeviceById(context: CommandContext, id: number): Promise<void> {
  const [device] = await findDevices(await context.pool(), readDeviceReference(`id:${String(id)}`));
  if (device === undefined) throw new CommandError(`there is no device with the id ${String(id)}`);
  await present(context, device);
}

async function present(context: CommandContext, device: DeviceRow): Promise<void> {
  const pool = await context.pool();
  const plugged = await listPlugged(pool, device.id, mostPlugged);
  const events = await listDeviceEvents(pool, device.id, lastEvents);
  if (context.json) {
    await context.printJson({ ...device, plugged, events });
    return;
  }
  const { drawFields } = await import('./table.js');
  const zone = await context.timeZone();
  await context.print(
    drawFields(
      [
        ['device', labelOfRow(device)],
        ['id', device.id],
        ['name', device.name],
        ['mac', device.mac],
        ['serial', device.serial],
        ['address', device.address],
        ['kind', `${device.kind}: ${kindSentence(device)}`],
        ['group', device.group],
        ['place', device.place],
        ['description', device.description],
        ['status', statusSentence(device, zone)],
        ['people', device.noticeable ? 'are told when its status changes' : 'are not told'],
        ['removed', device.deleted ? removedSentence(device, zone) : null],
        ['created', showTime(device.created_at, zone)],
        ['subscribers', device.subscribers],
        ...plugged.map((one): [string, string] => [
          one.port === null ? 'plugged in' : `port ${one.port}`,
          pluggedSentence(one),
        ]),
        ...events.map((event): [string, string] => [showTime(event.at, zone), eventSentence(event)]),
      ],
      context.columns,
    ),
  );
}

/** How subscribers of a kind are found. */
export function kindSentence(kind: { readonly by_port: boolean; readonly shared_ports: boolean }): string {
  const by = kind.by_port ? 'subscribers are found by device and port' : 'subscribers are found by the device alone';
  return kind.shared_ports ? `${by}, several may share one` : by;
}

function statusSentence(device: DeviceRow, zone: string): string {
  return device.status_since === null
    ? 'unknown: monitoring never spoke of it'
    : `${device.status.toUpperCase()} since ${showTime(device.status_since, zone)}`;
}

function removedSentence(device: DeviceRow, zone: string): string {
  const by = device.replaced_by === null ? '' : `, replaced by id:${String(device.replaced_by)}`;
  return `${showTime(device.deleted_at, zone)}${by}`;
}

function pluggedSentence({ login, logged, mac, option82_auth: auth }: PluggedRow): string {
  return [login, logged ? 'online' : 'offline', mac, auth === null ? null : `known by ${auth}`]
    .filter((part) => part !== null)
    .join(', ');
}

function eventSentence({ status, old_status: before, effect, told, source, note }: DeviceEventRow): string {
  const what = {
    changed: `${before.toUpperCase()} → ${status.toUpperCase()}`,
    unchanged: status.toUpperCase(),
    late: `${status.toUpperCase()}, too late to count`,
  }[effect];
  const whom = told === 0 ? '' : `, told ${String(told)}`;
  return `${what}${whom} (${source})${note === null ? '' : `: ${note}`}`;
}

/** The options of `device list`, as typed. */
export interface DeviceListOptions {
  readonly search?: string;
  readonly kind?: string;
  readonly group?: string;
  readonly status?: string;
  readonly deleted?: boolean;
  readonly limit?: string;
}

/** Lists devices by id. */
export async function listAllDevices(context: CommandContext, options: DeviceListOptions): Promise<void> {
  const filter: DeviceFilter = {
    ...(options.deleted === true && { deleted: 'only' as const }),
    ...(options.kind !== undefined && { kind: parseText('--kind', options.kind) }),
    ...(options.group !== undefined && { group: parseText('--group', options.group) }),
    ...(options.status !== undefined && { status: parseStatus(options.status) }),
    ...(options.search !== undefined && { text: parseText('--search', options.search) }),
  };
  const pool = await context.pool();
  const zone = await context.timeZone();
  await printPages(context, {
    limit: parseLimit(context, options.limit),
    noun: 'device',
    page: (after: DeviceRow | undefined, rows) => listDevices(pool, filter, after?.id ?? 0, rows),
    columns: [
      { title: 'NAME', value: (row) => row.name },
      { title: 'MAC', value: (row) => row.mac },
      { title: 'SERIAL', value: (row) => row.serial },
      { title: 'ADDRESS', value: (row) => row.address },
      { title: 'KIND', value: (row) => row.kind },
      { title: 'GROUP', value: (row) => row.group },
      { title: 'STATUS', value: (row) => row.status },
      { title: 'SINCE', value: (row) => showTime(row.status_since, zone) },
      { title: 'SUBSCRIBERS', align: 'right', value: (row) => row.subscribers },
    ],
  });
}

function parseStatus(text: string): DeviceStatus {
  if (text.toLowerCase() === 'unknown') return 'unknown';
  const status = parseStatusWord(text);
  if (status === undefined) throw new UsageError(`--status is '${text}'`, 'write up, down, unreachable or unknown');
  return status;
}
