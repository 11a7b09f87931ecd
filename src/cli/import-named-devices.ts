/**
 * The devices that the rows of an import name.
 *
 * Enters: rows whose device is still what the file calls it. Leaves: rows with its id, and faults for those that name none or several. Invariant: one
 * look-up for a batch, and none for a file without devices.
 */
import type { Pool } from 'pg';
import { readDeviceReference } from '../domain/device-reference.js';
import { resolveDevices, type MeantDevice } from '../store/devices.js';
import type { ImportRow } from '../store/import-columns.js';
import type { ImportFault, ImportOutcome, ImportSettings } from '../store/subscriber-import.js';

type Write = (rows: readonly ImportRow[]) => Promise<ImportOutcome>;

/** Writes rows in the way of `write`, with their devices found. */
export function withDevices(pool: Pool, settings: Pick<ImportSettings, 'columns'>, write: Write): Write {
  if (!settings.columns.some(({ name }) => name === 'device_id')) return write;
  return async (rows) => {
    const names = new Set(rows.map((row) => row.values.get('device_id')).filter((name) => typeof name === 'string'));
    const meant = await resolveDevices(pool, [...names].map(readDeviceReference));
    const byName = new Map([...names].map((name, index): [string, MeantDevice] => [name, meant[index]!]));
    const faults: ImportFault[] = [];
    const known = rows.flatMap((row) => {
      const name = row.values.get('device_id');
      if (typeof name !== 'string') return [row];
      const device = byName.get(name)!;
      if (typeof device === 'object') return [{ ...row, values: new Map(row.values).set('device_id', device.id) }];
      const kind = device === 'none' ? 'no-device' : 'several-devices';
      faults.push({ line: row.line, login: row.login, fault: { kind, device: name } });
      return [];
    });
    const outcome = await write(known);
    return { ...outcome, faults: [...faults, ...outcome.faults] };
  };
}
