/**
 * From an error of any layer to the line that the person reads.
 *
 * Enters: whatever was thrown. Leaves: a `CommandError`, or nothing for a mistake of ours.
 * Invariant: recognised by class, SQLSTATE and constraint name alone; no password and no connection string is ever shown.
 */
import { CommandError, ProblemList } from './command-error.js';
import { deviceConstraintMeanings } from './device-constraints.js';

const prefixTaken = [
  'a static prefix overlaps one that is in use already',
  'find its owner with: sluice ip who PREFIX',
] as const;

/** What a violated constraint means, and what to do; written for commands and imports alike. */
const constraintMeanings: Readonly<Record<string, readonly [problem: string, remedy: string]>> = {
  ...deviceConstraintMeanings,
  subscriber_login_unique: [
    'there is a subscriber with this login',
    'change it with: sluice subscriber set, or choose another login',
  ],
  subscriber_login_length: ['a login has 1 to 253 octets', 'choose another login'],
  subscriber_static_address_unique: [
    'another subscriber has this static address',
    'find out who with: sluice ip who ADDRESS; a deleted one lets go of it when its last session ends',
  ],
  subscriber_static_address_is_one_ipv4: ['a static address is one IPv4 address', 'write it like 100.64.0.7'],
  subscriber_static_framed_prefix_range: ['a static prefix is IPv6 and /33 to /128', 'write it like 2001:db8:0:1::/64'],
  subscriber_static_delegated_prefix_range: [
    'a static prefix is IPv6 and /33 to /128',
    'write it like 2001:db8:100::/56',
  ],
  subscriber_static_framed_prefix_unique: prefixTaken,
  subscriber_static_delegated_prefix_unique: prefixTaken,
  subscriber_static_prefixes_apart: prefixTaken,
  account_contract_unique: ['there is an account with this contract', 'run the command again to use that one'],
  plan_name_unique: ['there is a plan of this name', 'change it with: sluice plan set'],
  plan_name_length: ['the name of a plan has 1 to 100 characters', 'choose another name'],
  plan_dates_ordered: ['a plan ends after it begins', 'set valid_until later than valid_from'],
  plan_session_limit_range: ['a session limit is 1 to 64', 'choose a number between'],
  plan_session_limit_action_known: ['what a session too many does is reject or replace', 'write one of these'],
  plan_rate_down_positive: ['a rate is above 0 bit/s', 'write it like 50M, or leave it out for no limit'],
  plan_rate_up_positive: ['a rate is above 0 bit/s', 'write it like 50M, or leave it out for no limit'],
  pool_name_unique: [
    'there is a pool of this name',
    'add a network to it with: sluice pool set NAME add_network=NETWORK',
  ],
  pool_quarantine_range: ['a quarantine is 0 to 604800 seconds', 'choose a number between'],
  pool_network_range: [
    'an IPv4 network of a pool is /12 to /32, an IPv6 network /16 or longer',
    'split a larger one into several pools',
  ],
  pool_network_family: ['the pool gives the other family', 'make another pool for this network'],
  pool_network_prefix_length: [
    'the network cannot be cut into prefixes of this pool',
    'give a network that is shorter than they are',
  ],
  pool_prefix_length_range: ['prefixes of a pool are /33 to /128', 'choose a length between'],
  plan_pool_kind: [
    'the pool gives something else',
    'pool is for IPv4 addresses, framed_pool and delegated_pool for prefixes of their kind: see sluice pool list',
  ],
  pool_address_pkey: ['an address is in two networks', 'name each network once'],
};

/** SQLSTATEs (PostgreSQL appendix A) that have a meaning for whoever runs a command. */
const sqlstateMeanings: Readonly<Record<string, readonly [problem: string, remedy: string]>> = {
  '28P01': ['the database refuses the password', 'correct database.url in sluice.toml'],
  '28000': ['the database refuses the user', 'correct database.url in sluice.toml, or pg_hba.conf of the server'],
  '3D000': ['the database does not exist', 'create it, or correct database.url in sluice.toml'],
  '42P01': ['the database lacks tables of this release', 'bring it up to date with: sluice migrate'],
  '42703': ['the database lacks columns of this release', 'bring it up to date with: sluice migrate'],
  '42501': ['the database user may not do this', 'grant it, or use the user that ran: sluice migrate'],
  '57014': ['the database took too long and was told to stop', 'look for a lock that somebody holds, and try again'],
};

/** What a database error means for people; undefined when it has no meaning that we know. */
export function meaningOfDatabaseError(error: {
  readonly code?: string | undefined;
  readonly constraint?: string | undefined;
}): readonly [problem: string, remedy: string] | undefined {
  const byConstraint = error.constraint === undefined ? undefined : constraintMeanings[error.constraint];
  return byConstraint ?? (error.code === undefined ? undefined : sqlstateMeanings[error.code]);
}

/**
 * Makes an error fit to be read.
 *
 * @param error anything that a command threw
 * @returns the error to report, or undefined when it was not foreseen and is a mistake in the program
 */
export async function foreseen(error: unknown): Promise<CommandError | undefined> {
  if (error instanceof CommandError) return error;
  const { ConfigError, formatProblem } = await import('../config/problem.js');
  if (error instanceof ConfigError) return new ProblemList(error.problems.map(formatProblem));
  const { SecretMissingError } = await import('../config/secret-value.js');
  if (error instanceof SecretMissingError) {
    return new CommandError('a secret file does not exist yet', 'start the server once, which makes it');
  }
  const { EmbeddedPostgresError } = await import('../store/postgres-error.js');
  if (error instanceof EmbeddedPostgresError) return new CommandError(error.message);
  if (await isTypedRefusal(error)) return new CommandError((error as Error).message);
  // An error about a file names it; one about a connection names an address.
  if (error instanceof Error && 'path' in error) return foreseenSystemError(error);
  const database = await foreseenDatabaseError(error);
  if (database !== undefined) return database;
  return foreseenSystemError(error);
}

/** Classes whose message already is one line with problem and remedy. Their modules are heavy, and loaded only here. */
async function isTypedRefusal(error: unknown): Promise<boolean> {
  const [migrate, instances, listener, folderLock, recovery, dictionaryFile, status, backup] = await Promise.all([
    import('../store/migrate.js'),
    import('../store/instances.js'),
    import('../radius/listener.js'),
    import('../spool/folder-lock.js'),
    import('../spool/recovery.js'),
    import('../radius/dictionary-file.js'),
    import('../status/server.js'),
    import('../store/backup-manifest.js'),
  ]);
  return [
    migrate.SchemaError,
    instances.TwinInstanceError,
    listener.ListenError,
    folderLock.SpoolLockedError,
    recovery.SpoolForeignSegmentError,
    recovery.SpoolVersionError,
    dictionaryFile.DictionaryError,
    status.StatusListenError,
    backup.BackupError,
  ].some((known) => error instanceof known);
}

async function foreseenDatabaseError(error: unknown): Promise<CommandError | undefined> {
  const { classifyDatabaseError, AmbiguousCommitError } = await import('../store/database.js');
  if (error instanceof AmbiguousCommitError) {
    return new CommandError(
      'the connection to the database broke at the last moment, so the change may or may not be there',
      'look before you repeat it',
    );
  }
  const { default: pg } = await import('pg');
  const unreachable = classifyDatabaseError(error) === 'unreachable';
  if (error instanceof pg.DatabaseError && !unreachable) {
    const meaning = meaningOfDatabaseError(error);
    if (meaning !== undefined) return new CommandError(...meaning);
    return new CommandError(
      `the database refuses: ${error.message} (SQLSTATE ${error.code ?? 'unknown'})`,
      error.hint ?? '',
    );
  }
  if (!unreachable) return undefined;
  return new CommandError(
    `the database does not answer${systemCode(error)}`,
    'start PostgreSQL, or correct database.url in sluice.toml',
  );
}

function systemCode(error: unknown): string {
  const first: unknown = error instanceof AggregateError ? error.errors[0] : error;
  return first instanceof Error && 'code' in first && typeof first.code === 'string' ? ` (${first.code})` : '';
}

const systemMeanings: Readonly<Record<string, string>> = {
  ENOENT: 'does not exist',
  EACCES: 'may not be read or written by this user',
  EPERM: 'may not be changed by this user',
  EISDIR: 'is a folder',
  ENOTDIR: 'is below something that is no folder',
  ENOSPC: 'cannot be written: the disk is full',
  EROFS: 'cannot be written: the disk is read-only',
  EADDRINUSE: 'is in use by another program',
};

function foreseenSystemError(error: unknown): CommandError | undefined {
  if (!(error instanceof Error) || !('code' in error) || typeof error.code !== 'string') return undefined;
  const meaning = systemMeanings[error.code];
  if (meaning === undefined) return undefined;
  const subject =
    'path' in error && typeof error.path === 'string'
      ? error.path
      : 'address' in error
        ? String(error.address)
        : 'a file';
  return new CommandError(`${subject} ${meaning}`, `correct the name, or its permissions`);
}
