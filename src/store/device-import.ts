/**
 * Many devices at once.
 *
 * Enters: batches of validated rows. Leaves: added and changed devices, and what is wrong with each row that could not be written. Invariants: a
 * batch costs three statements, however many rows it has; a row that the database refuses does not take the others with it; what already is
 * as the file says is not written, so nobody is read again for a change that is none.
 */
import pg, { type Pool, type PoolClient } from 'pg';
import { withActor } from './actor.js';
import { classifyDatabaseError } from './database.js';
import type { DeviceValues } from './devices.js';

/** One line of a file: exactly the columns that the file has. */
export interface DeviceImportRow {
  readonly line: number;
  readonly values: DeviceValues;
}

/** Why a row was not written. */
export type DeviceImportFault =
  | { readonly line: number; readonly fault: 'no-kind' | 'several' | 'nameless' }
  /** An earlier line of the same batch is about the same device. */
  | { readonly line: number; readonly fault: 'twice'; readonly earlier: number }
  | { readonly line: number; readonly refused: { code: string | undefined; constraint: string | undefined } };

/** What became of some rows. */
export interface DeviceImportOutcome {
  readonly added: number;
  readonly changed: number;
  readonly unchanged: number;
  readonly faults: readonly DeviceImportFault[];
}

type Write = (rows: readonly DeviceImportRow[]) => Promise<DeviceImportOutcome>;

/** A device with a value in every column. */
type WholeDevice = Required<DeviceValues>;
type HeldDevice = WholeDevice & { readonly id: number };

/** Deadlocks and lock timeouts pass; a batch that meets more than so many has met something else. */
const mostAttempts = 4;

/** Writes batches, each in a transaction of its own: what is written stays, whatever comes later. */
export function deviceImporter(pool: Pool, actor: string): Write {
  return async (rows) => {
    for (let attempt = 1; ; attempt += 1) {
      try {
        return await withActor(pool, actor, (client) => writeWithoutTheBad(client, rows));
      } catch (error) {
        if (classifyDatabaseError(error) !== 'transient' || attempt === mostAttempts) throw error;
      }
    }
  };
}

/** Thrown by `importDevicesAsOne` to take everything back: what was asked for, not a failure. */
class TakeBack extends Error {
  override readonly name = 'TakeBack';
}

/**
 * Writes all batches in one transaction, which is taken back at the end unless `keep` says otherwise.
 *
 * @param work calls the function it is given with one batch after the other
 */
export async function importDevicesAsOne(
  pool: Pool,
  actor: string,
  work: (write: Write) => Promise<void>,
  keep: () => boolean,
): Promise<void> {
  try {
    await withActor(pool, actor, async (client) => {
      await work((rows) => writeWithoutTheBad(client, rows));
      if (!keep()) throw new TakeBack();
    });
  } catch (error) {
    if (!(error instanceof TakeBack)) throw error;
  }
}

/** Writes rows in the caller's transaction; when the database refuses, halves them until the refused ones stand alone. */
async function writeWithoutTheBad(client: PoolClient, rows: readonly DeviceImportRow[]): Promise<DeviceImportOutcome> {
  const [first] = rows;
  if (first === undefined) return { added: 0, changed: 0, unchanged: 0, faults: [] };
  await client.query('SAVEPOINT import_rows');
  try {
    const outcome = await writeBatch(client, rows);
    await client.query('RELEASE SAVEPOINT import_rows');
    return outcome;
  } catch (error) {
    if (!(error instanceof pg.DatabaseError) || classifyDatabaseError(error) !== 'permanent') throw error;
    await client.query('ROLLBACK TO SAVEPOINT import_rows');
    if (rows.length === 1) {
      const refused = { code: error.code, constraint: error.constraint };
      return { added: 0, changed: 0, unchanged: 0, faults: [{ line: first.line, refused }] };
    }
    const half = Math.ceil(rows.length / 2);
    const one = await writeWithoutTheBad(client, rows.slice(0, half));
    const two = await writeWithoutTheBad(client, rows.slice(half));
    return {
      added: one.added + two.added,
      changed: one.changed + two.changed,
      unchanged: one.unchanged + two.unchanged,
      faults: [...one.faults, ...two.faults],
    };
  }
}

async function writeBatch(client: PoolClient, rows: readonly DeviceImportRow[]): Promise<DeviceImportOutcome> {
  const plan = planDevices(rows, await readHeld(client, rows));
  if (plan.changed.length > 0)
    await client.query(
      `UPDATE device d SET kind_id = b.kind_id, name = b.name, mac = b.mac, serial = b.serial, address = b.address, group_id = b.group_id,
         place = b.place, description = b.description, noticeable = b.noticeable
       FROM ${BATCH} JOIN unnest($10::bigint[]) WITH ORDINALITY AS i (id, number) USING (number) WHERE d.id = i.id`,
      [...columnsOf(plan.changed), plan.changed.map(({ id }) => id)],
    );
  if (plan.added.length > 0)
    await client.query(
      `INSERT INTO device (kind_id, name, mac, serial, address, group_id, place, description, noticeable)
       SELECT kind_id, name, mac, serial, address, group_id, place, description, noticeable FROM ${BATCH} ORDER BY number`,
      columnsOf(plan.added),
    );
  return {
    added: plan.added.length,
    changed: plan.changed.length,
    unchanged: rows.length - plan.added.length - plan.changed.length - plan.faults.length,
    faults: plan.faults,
  };
}

const BATCH = `unnest($1::bigint[], $2::text[], $3::macaddr[], $4::text[], $5::inet[], $6::bigint[], $7::text[], $8::text[], $9::boolean[])
  WITH ORDINALITY AS b (kind_id, name, mac, serial, address, group_id, place, description, noticeable, number)`;

const columns = [
  'kind_id',
  'name',
  'mac',
  'serial',
  'address',
  'group_id',
  'place',
  'description',
  'noticeable',
] as const satisfies readonly (keyof DeviceValues)[];

function columnsOf(devices: readonly WholeDevice[]): unknown[] {
  return columns.map((column) => devices.map((device) => device[column]));
}

async function readHeld(client: PoolClient, rows: readonly DeviceImportRow[]): Promise<HeldDevice[]> {
  const given = (key: 'mac' | 'serial' | 'name' | 'address') =>
    rows.flatMap(({ values }) => (typeof values[key] === 'string' ? [values[key]] : []));
  const { rows: held } = await client.query<HeldDevice>(
    `SELECT id, kind_id, name, mac::text AS mac, serial, host(address) AS address, group_id, place, description, noticeable
       FROM device WHERE NOT deleted AND (mac = ANY ($1::macaddr[]) OR serial = ANY ($2::text[]) OR name = ANY ($3::text[])
         OR address = ANY ($4::inet[])) ORDER BY id FOR NO KEY UPDATE`,
    [given('mac'), given('serial'), given('name'), given('address')],
  );
  return held;
}

interface DevicePlan {
  readonly added: WholeDevice[];
  readonly changed: HeldDevice[];
  readonly faults: DeviceImportFault[];
}

/** A device is found by the first of these that its line has. */
const identities = ['mac', 'serial', 'name', 'address'] as const;

/** Decides what a batch changes. */
function planDevices(rows: readonly DeviceImportRow[], held: readonly HeldDevice[]): DevicePlan {
  const plan: DevicePlan = { added: [], changed: [], faults: [] };
  const lines = new Map<number, number>();
  const found = new Map<string, HeldDevice[]>();
  for (const device of held)
    for (const key of identities) {
      if (device[key] === null) continue;
      const name = `${key} ${device[key] ?? ''}`;
      found.set(name, [...(found.get(name) ?? []), device]);
    }
  for (const { line, values } of rows) {
    const key = identities.find((one) => typeof values[one] === 'string');
    if (key === undefined) {
      plan.faults.push({ line, fault: 'nameless' });
      continue;
    }
    const [device, other] = found.get(`${key} ${values[key] ?? ''}`) ?? [];
    if (other !== undefined) plan.faults.push({ line, fault: 'several' });
    else if (device === undefined) {
      if (values.kind_id === undefined) plan.faults.push({ line, fault: 'no-kind' });
      else plan.added.push({ ...empty, ...values, kind_id: values.kind_id });
    } else {
      const earlier = lines.get(device.id);
      lines.set(device.id, line);
      if (earlier !== undefined) plan.faults.push({ line, fault: 'twice', earlier });
      else if (columns.some((column) => values[column] !== undefined && values[column] !== device[column]))
        plan.changed.push({ ...device, ...values });
    }
  }
  return plan;
}

const empty: Omit<WholeDevice, 'kind_id'> = {
  name: null,
  mac: null,
  serial: null,
  address: null,
  group_id: null,
  place: null,
  description: null,
  noticeable: false,
};
