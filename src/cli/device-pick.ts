/**
 * From what a person calls a device to one row. Enters: a MAC in any notation, an address, a serial, a name, or `id:4711`. Leaves: one device, or an
 * error that helps to find the right one. Invariant: of several nobody is guessed at.
 */
import type { Pool, PoolClient } from 'pg';
import { nearestKey } from '../config/nearest-key.js';
import { readDeviceReference } from '../domain/device-reference.js';
import { findDevices, similarDeviceNames, type DeviceRow } from '../store/devices.js';
import { CommandError } from './command-error.js';

/**
 * Finds one device.
 *
 * @throws CommandError when there is none, or several
 */
export async function pickDevice(client: Pool | PoolClient, text: string): Promise<DeviceRow> {
  const [device, other, ...more] = await findDevices(client, readDeviceReference(text));
  if (device === undefined) throw await noDevice(client, text);
  if (other !== undefined)
    throw new CommandError(
      `several devices are called '${text}'`,
      `say which: ${[device, other, ...more].map(nameOf).join(', ')}`,
    );
  return device;
}

/** The one that is called so; undefined for none. @throws CommandError for several */
export async function pickDeviceIfAny(client: Pool | PoolClient, text: string): Promise<DeviceRow | undefined> {
  return (await findDevices(client, readDeviceReference(text))).length === 0
    ? undefined
    : await pickDevice(client, text);
}

/** The error for a device that is not there. */
export async function noDevice(client: Pool | PoolClient, text: string): Promise<CommandError> {
  const { name } = readDeviceReference(text);
  const near = name === null ? undefined : nearestKey(name, await similarDeviceNames(client, name));
  return new CommandError(
    `there is no device '${text}'`,
    near === undefined ? 'look with: sluice device list --search TEXT' : `did you mean ${near}?`,
  );
}

/** What tells one device from all others. */
function nameOf(device: DeviceRow): string {
  const name = labelOfRow(device);
  return name === undefined ? `id:${String(device.id)}` : `id:${String(device.id)} (${name})`;
}

/** The best that a device is called by. */
export function labelOfRow(device: Pick<DeviceRow, 'name' | 'mac' | 'serial' | 'address'>): string | undefined {
  return device.name ?? device.mac ?? device.serial ?? device.address ?? undefined;
}
