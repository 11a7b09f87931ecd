/**
 * `device add|set|remove|replace`.
 *
 * Enters: names and fields. Leaves: changed rows; whoever is plugged in is read again by every server. Invariant: all of a command is one
 * transaction; nothing is removed or replaced while that would leave somebody behind.
 */
import type { PoolClient } from 'pg';
import { readSerial } from '../domain/device-reference.js';
import { parseMacAddress } from '../domain/mac-address.js';
import { withActor } from '../store/actor.js';
import { loadDeviceCatalogueIds } from '../store/device-catalogue.js';
import {
  insertDevice,
  removeDevice,
  replaceDevice,
  updateDevice,
  type DeviceRow,
  type DeviceValues,
} from '../store/devices.js';
import { parseAssignments } from './assignments.js';
import type { CommandContext } from './command-context.js';
import { CommandError, UsageError } from './command-error.js';
import { labelOfRow, pickDevice, pickDeviceIfAny } from './device-pick.js';
import { showDeviceById } from './device-show.js';
import { deviceKeys, readDeviceField, type DeviceKey } from './device-values.js';
import { count } from './display.js';
import { printable } from './printable.js';

/** The options of `device add`, as typed. */
export interface DeviceAddOptions {
  readonly kind: string;
  readonly mac?: string;
  readonly serial?: string;
  readonly address?: string;
  readonly group?: string;
  readonly place?: string;
  readonly description?: string;
  readonly noticeable?: boolean;
}

/** Makes a device and shows it. */
export async function addDevice(
  context: CommandContext,
  name: string | undefined,
  options: DeviceAddOptions,
): Promise<void> {
  const { noticeable, ...texts } = options;
  const given = new Map<DeviceKey, string>();
  for (const key of deviceKeys) {
    const text = key === 'name' ? name : key === 'noticeable' ? undefined : texts[key];
    if (text !== undefined) given.set(key, text);
  }
  if (!['name', 'mac', 'serial', 'address'].some((key) => given.has(key as DeviceKey)))
    throw new UsageError('there is nothing to know the device by', 'give a name, --mac, --serial or --address');
  const values = { ...(await valuesOf(context, given)), ...(noticeable === true && { noticeable: true }) };
  const { kind_id: kindId } = values;
  if (kindId === undefined) throw new UsageError('there is no kind', 'give --kind');
  const pool = await context.pool();
  const id = await withActor(pool, context.actor, (client) => insertDevice(client, { ...values, kind_id: kindId }));
  await showDeviceById(context, id);
}

/** Changes a device and shows it. */
export async function setDevice(context: CommandContext, text: string, args: readonly string[]): Promise<void> {
  const values = await valuesOf(context, parseAssignments(args, deviceKeys));
  const pool = await context.pool();
  const id = await withActor(pool, context.actor, async (client) => {
    const device = await pickLive(client, text);
    await updateDevice(client, device.id, values);
    return device.id;
  });
  await showDeviceById(context, id);
}

/** Marks a device deleted. */
export async function removeOneDevice(context: CommandContext, text: string): Promise<void> {
  const pool = await context.pool();
  const device = await withActor(pool, context.actor, async (client) => {
    const found = await pickLive(client, text);
    if (found.subscribers > 0)
      throw new CommandError(
        `${count(found.subscribers, 'subscriber is', 'subscribers are')} plugged into '${text}'`,
        'put another device in its place with: sluice device replace, or set device= of each',
      );
    await removeDevice(client, found.id);
    return found;
  });
  if (context.json) await context.printJson({ id: device.id, deleted: true });
  else await context.print(printable(`${labelOfRow(device) ?? text} is removed`));
}

/** The options of `device replace`, as typed. */
export interface ReplaceOptions {
  readonly serial?: boolean;
  readonly dryRun?: boolean;
}

/** Thrown to take a dry run back. */
class TakeBack extends Error {
  override readonly name = 'TakeBack';
}

/** Puts one device in the place of another. */
export async function replaceOneDevice(
  context: CommandContext,
  oldText: string,
  newText: string,
  options: ReplaceOptions,
): Promise<void> {
  const pool = await context.pool();
  const done = { moved: 0, oldId: 0, newId: 0, isNew: false };
  try {
    await withActor(pool, context.actor, async (client) => {
      const old = await pickLive(client, oldText);
      const known = await pickDeviceIfAny(client, newText);
      if (known?.id === old.id)
        throw new UsageError(`'${oldText}' and '${newText}' are the same device`, 'name another one');
      if (known?.deleted === true) throw gone(known, newText);
      done.oldId = old.id;
      done.isNew = known === undefined;
      done.newId = known?.id ?? (await insertDevice(client, newDevice(old, newText, options)));
      done.moved = await replaceDevice(client, old.id, done.newId);
      if (options.dryRun === true) throw new TakeBack();
    });
  } catch (error) {
    if (!(error instanceof TakeBack)) throw error;
  }
  const { moved, oldId, newId, isNew } = done;
  const dryRun = options.dryRun === true;
  if (context.json)
    await context.printJson({
      old_id: oldId,
      new_id: dryRun && isNew ? null : newId,
      new_device: isNew,
      moved,
      dry_run: dryRun,
    });
  else {
    const what = `${count(moved, 'subscriber')} from '${oldText}' to ${isNew ? 'the new device ' : ''}'${newText}'`;
    await context.print(printable(dryRun ? `would move ${what}` : `moved ${what}`));
  }
}

/** Of a new device only what stands on its back is known; all else it takes over. */
function newDevice(old: DeviceRow, text: string, options: ReplaceOptions): DeviceValues & { kind_id: number } {
  if (options.serial === true) {
    const serial = readSerial(text);
    if (serial === undefined)
      throw new UsageError(`'${text}' is no serial`, 'write 1 to 64 printable characters of ASCII without spaces');
    return { kind_id: old.kind_id, serial };
  }
  const mac = parseMacAddress(text);
  if (mac === undefined)
    throw new CommandError(
      `there is no device '${text}'`,
      'give the MAC of a new one, its serial with --serial, or make it first with: sluice device add',
    );
  return { kind_id: old.kind_id, mac };
}

/** The device of a name, unless it is gone: `id:` finds those too. */
async function pickLive(client: PoolClient, text: string): Promise<DeviceRow> {
  const device = await pickDevice(client, text);
  if (device.deleted) throw gone(device, text);
  return device;
}

function gone(device: DeviceRow, text: string): CommandError {
  const by = device.replaced_by === null ? '' : `id:${String(device.replaced_by)} is in its place`;
  return new CommandError(`the device '${text}' is removed`, by);
}

async function valuesOf(context: CommandContext, given: ReadonlyMap<DeviceKey, string>): Promise<DeviceValues> {
  const needsNames = given.has('kind') || given.has('group');
  const names = needsNames
    ? await loadDeviceCatalogueIds(await context.pool())
    : { kinds: new Map<string, number>(), groups: new Map<string, number>() };
  let values: DeviceValues = {};
  for (const [key, text] of given) {
    const field = readDeviceField(key, text, names);
    if (!field.ok) throw new UsageError(`${key} ${field.problem}`, field.remedy);
    values = { ...values, ...field.values };
  }
  return values;
}
