/**
 * What a backup says of itself.
 *
 * Enters: the text of `manifest.json`. Leaves: a checked manifest, or a `BackupError`. Invariant: nothing in it names a file or
 * is run: names of tables and columns are looked up in the database that is filled.
 */
import { z } from 'zod';

/** The form of the folder and of this manifest; another one is refused. */
export const backupFormat = 'sluice-backup-1';

export type BackupErrorKind =
  /** What is there is no backup, or not all of one. */
  | 'damaged'
  /** The backup and the database are of different releases. */
  | 'migration-level'
  /** There are rows where the backup would go. */
  | 'not-empty'
  /** Somebody works in the tables. */
  | 'in-use'
  /** The tables of the database are others than those of the backup. */
  | 'other-schema';

/** A backup that cannot be made or restored; the message is one line with the remedy. */
export class BackupError extends Error {
  override readonly name = 'BackupError';

  constructor(
    readonly kind: BackupErrorKind,
    message: string,
    options?: { cause?: unknown },
  ) {
    super(message, options);
  }
}

/** More columns or tables than any release has; a manifest beyond is none. */
const mostNames = 1000;
const name = z.string().regex(/^[a-z_][a-z0-9_]{0,62}$/u);
const count = z.number().int().nonnegative();

const manifestSchema = z.object({
  format: z.literal(backupFormat),
  /** Database time of the snapshot, ISO 8601. */
  taken_at: z.string(),
  server_version: z.string(),
  migrations: z.array(z.string()).max(mostNames),
  tables: z
    .array(z.object({ name, columns: z.array(z.string().min(1).max(63)).min(1).max(mostNames), rows: count }))
    .max(mostNames),
  /** Names of monthly partitions. */
  partitions: z.array(name).max(100_000),
  /** Identity columns and the last number that each has given; null for none yet. */
  sequences: z.array(z.object({ table: name, column: name, last: count.nullable() })).max(mostNames),
  /** Where the appliers were: the spools to keep beside the backup. */
  spools: z.array(z.object({ instance: z.string(), spool_uuid: z.string(), segment: count, byte_offset: count })),
});

/** A manifest; its keys are those of the file. */
export type BackupManifest = z.infer<typeof manifestSchema>;

/**
 * Reads a manifest.
 *
 * @throws BackupError `damaged` for anything else
 */
export function parseManifest(text: string): BackupManifest {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (error) {
    throw new BackupError('damaged', 'the manifest of the backup cannot be read: it is cut short or changed', {
      cause: error,
    });
  }
  const parsed = manifestSchema.safeParse(value);
  if (parsed.success) return parsed.data;
  const format = typeof value === 'object' && value !== null && 'format' in value ? value.format : undefined;
  throw new BackupError(
    'damaged',
    typeof format === 'string' && format !== backupFormat
      ? `the backup has the form ${format.slice(0, 40)} and this release reads ${backupFormat}: restore it with the release that made it`
      : `the manifest of the backup is not as it was written (${parsed.error.issues[0]?.path.join('.') ?? ''})`,
  );
}
