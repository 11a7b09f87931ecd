// Enters: devices, and who is plugged into them. Leaves: who is at an access line, and the line of a subscriber. Invariants: memory only; only
// subscribers who have a device cost any; a line means the same device here as to leases (`lease-holder.ts`).

import type { AccessLine } from '../domain/access-line.js';
import type { LeaseDevice } from '../domain/lease.js';
import { DenseMap, ShardedMap, ShardedMultiMap } from './sharded-index.js';

/** Where a subscriber is plugged in. */
export interface Plug {
  readonly deviceId: number;
  readonly port: string | undefined;
}

/** Under which key a subscriber stands: the whole device, or one port of it. */
interface Plugged {
  readonly subscriberId: number;
  readonly key: number | string;
}

/** All devices, and the subscribers at their ports. */
export class PluggedSubscribers {
  private readonly devices = new DenseMap<LeaseDevice>();
  private readonly byMac = new ShardedMap<string, LeaseDevice>();
  private readonly byName = new ShardedMap<string, LeaseDevice>();
  private readonly bySerial = new ShardedMap<string, LeaseDevice>();
  private readonly plugged = new DenseMap<Plugged>();
  private readonly atDevice = new ShardedMultiMap<number, Plugged>(new DenseMap());
  private readonly atPort = new ShardedMultiMap<string, Plugged>();

  /** Number of subscribers who have a device. */
  get size(): number {
    return this.plugged.size;
  }

  get deviceCount(): number {
    return this.devices.size;
  }

  /** Those who are plugged into it are put anew by whoever changes whether they are found by port. */
  putDevice(device: LeaseDevice): void {
    const old = this.devices.get(device.id);
    if (old && saysTheSame(old, device)) return;
    this.devices.set(device.id, device);
    move(this.byMac, old, old?.mac, device, device.mac);
    move(this.byName, old, old?.name, device, device.name);
    move(this.bySerial, old, old?.serial, device, device.serial);
  }

  removeDevice(id: number): void {
    const old = this.devices.get(id);
    if (!old) return;
    this.devices.delete(id);
    move(this.byMac, old, old.mac, undefined, undefined);
    move(this.byName, old, old.name, undefined, undefined);
    move(this.bySerial, old, old.serial, undefined, undefined);
  }

  /** @param plug undefined, or at a device that is not known: the subscriber is found by no line */
  plugIn(subscriberId: number, plug: Plug | undefined): void {
    const old = this.plugged.get(subscriberId);
    const key = plug && this.keyOf(plug);
    if (old?.key === key) return;
    if (old) this.index(old, 'remove');
    if (key === undefined) {
      this.plugged.delete(subscriberId);
      return;
    }
    const next: Plugged = { subscriberId, key };
    this.plugged.set(subscriberId, next);
    this.index(next, 'add');
  }

  /** Ids of those at a line, where several may share a place; none where the line names no device that is known, or a device with ports and none of them. */
  at(line: AccessLine): readonly number[] {
    const device = this.deviceOf(line);
    if (device === undefined) return [];
    if (!device.byPort) return this.atDevice.get(device.id).map(({ subscriberId }) => subscriberId);
    if (line.port === undefined) return [];
    return this.atPort.get(portKey(device.id, line.port)).map(({ subscriberId }) => subscriberId);
  }

  /** The line at which a subscriber is found; undefined: at none. */
  lineOf(subscriberId: number): AccessLine | undefined {
    const key = this.plugged.get(subscriberId)?.key;
    if (key === undefined) return undefined;
    const space = typeof key === 'number' ? -1 : key.indexOf(' ');
    const device = this.devices.get(Number(typeof key === 'number' ? key : key.slice(0, space)));
    const named = device && nameOf(device);
    if (named === undefined) return undefined;
    return typeof key === 'number' ? { device: named } : { device: named, port: key.slice(space + 1) };
  }

  deviceIdSlices(): Generator<readonly number[]> {
    return this.devices.keySlices();
  }

  subscriberIdSlices(): Generator<readonly number[]> {
    return this.plugged.keySlices();
  }

  /** The ONU that the line names where it is registered, else the device. */
  private deviceOf({ device, onuSerial }: AccessLine): LeaseDevice | undefined {
    const onu = onuSerial === undefined ? undefined : this.bySerial.get(onuSerial);
    if (onu !== undefined || device === undefined) return onu;
    switch (device.by) {
      case 'mac':
        return this.byMac.get(device.value);
      case 'name':
        return this.byName.get(device.value);
      case 'serial':
        return this.bySerial.get(device.value);
    }
  }

  private keyOf({ deviceId, port }: Plug): Plugged['key'] | undefined {
    const device = this.devices.get(deviceId);
    if (device === undefined) return undefined;
    if (!device.byPort) return deviceId;
    return port === undefined ? undefined : portKey(deviceId, port);
  }

  private index(one: Plugged, change: 'add' | 'remove'): void {
    if (typeof one.key === 'number') this.atDevice[change](one.key, one);
    else this.atPort[change](one.key, one);
  }
}

function portKey(deviceId: number, port: string): string {
  return `${String(deviceId)} ${port}`;
}

function nameOf({ mac, name, serial }: LeaseDevice): AccessLine['device'] {
  if (mac !== null) return { by: 'mac', value: mac };
  if (name !== null) return { by: 'name', value: name };
  return serial === null ? undefined : { by: 'serial', value: serial };
}

function saysTheSame(a: LeaseDevice, b: LeaseDevice): boolean {
  return a.mac === b.mac && a.name === b.name && a.serial === b.serial && a.byPort === b.byPort;
}

/** A name may have gone to another device in the same change: only what still stands for this one is taken away. */
function move(
  index: ShardedMap<string, LeaseDevice>,
  old: LeaseDevice | undefined,
  oldName: string | null | undefined,
  next: LeaseDevice | undefined,
  nextName: string | null | undefined,
): void {
  if (old && oldName != null && index.get(oldName) === old) index.delete(oldName);
  if (next && nextName != null) index.set(nextName, next);
}
