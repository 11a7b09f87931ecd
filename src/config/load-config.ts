/**
 * From a conf folder to one frozen `Config`.
 *
 * Enters: the conf folder, the data folder, and the profiles that come with the program.
 * Leaves: a `Config`, or a `ConfigError` with every problem of every file.
 * Invariant: it reads and creates nothing. What is absent has a default; what is wrong is never guessed at.
 */
import { join } from 'node:path';
import { camelKeys, deepFreeze } from './config.js';
import type { Config, NasEntry, Profile } from './config.js';
import { RecordingFiles, diskFiles } from './config-files.js';
import type { ConfigFiles } from './config-files.js';
import { formatEndpoint, isLoopback } from './endpoint.js';
import { readIntake } from './intake-secrets.js';
import { readLinesFile } from './lines-file.js';
import { openDocument, resolvePath } from './load-context.js';
import type { LoadContext, Place } from './load-context.js';
import { readMonitoring } from './monitoring-files.js';
import { readNasFiles } from './nas-files.js';
import type { NasDraft } from './nas-files.js';
import { ConfigError, sortProblems } from './problem.js';
import { readProfiles } from './profile-files.js';
import { keyText, validate } from './schema-problems.js';
import { createMissingSecrets, readKey } from './secret-files.js';
import { SecretValue } from './secret-value.js';
import type { StatusUser } from './status-user.js';
import { readStatusUsers } from './status-users-file.js';
import { serverSchema } from './server-schema.js';
import type { ServerFile } from './server-schema.js';

/** Where a configuration comes from. */
export interface LoadOptions {
  /** The conf folder; it may lack anything, or be absent. */
  readonly confDir: string;
  /** The data folder, which `${data}` means. */
  readonly dataDir: string;
  /** Profiles that come with the program; those of the conf folder come before them. */
  readonly bundledProfilesDir: string;
  /** Where files are read; the disk by default. */
  readonly files?: ConfigFiles;
  /** The environment, for systemd credentials; that of the process by default. */
  readonly environment?: Readonly<Record<string, string | undefined>>;
}

/**
 * Reads and validates everything.
 *
 * @returns the configuration; secrets whose files have to be made first are `missing` and listed in `missingSecrets`
 * @throws ConfigError when anything is wrong, with all problems of all files
 */
export async function loadConfig(options: LoadOptions): Promise<Config> {
  const files = new RecordingFiles(options.files ?? diskFiles);
  const context: LoadContext = {
    confDir: options.confDir,
    dataDir: options.dataDir,
    bundledProfilesDir: options.bundledProfilesDir,
    files,
    environment: options.environment ?? process.env,
    problems: [],
    warnings: [],
    missingSecrets: [],
  };
  await noteAbsentFolder(context);
  const server = await readServerFile(context);
  const drafts = await readNasFiles(context);
  const profiles = await readProfiles(
    context,
    drafts.map(({ profile, placeOf }) => ({ ...placeOf('profile'), profile })),
  );
  const lines = await readLinesFile(context);
  if (server === undefined || lines === undefined || context.problems.length > 0)
    throw new ConfigError(context.problems);
  return deepFreeze({
    ...server,
    confDir: options.confDir,
    dataDir: options.dataDir,
    nas: drafts.map((draft) => settle(context, draft, server.radius.interimSeconds, profiles)),
    profiles,
    lines,
    missingSecrets: context.missingSecrets,
    warnings: sortProblems(context.warnings),
    snapshot: files.snapshot(),
  });
}

/**
 * Loads, makes the secrets that are missing, and loads again: what a server does at its start.
 *
 * @returns the configuration, complete, and the paths of the secrets that were made
 * @throws ConfigError as `loadConfig` does; the file system's error when a secret cannot be written
 */
export async function loadConfigCreatingSecrets(
  options: LoadOptions,
): Promise<{ readonly config: Config; readonly created: readonly string[] }> {
  const config = await loadConfig(options);
  if (config.missingSecrets.length === 0) return { config, created: [] };
  const created = await createMissingSecrets(config);
  return { config: await loadConfig(options), created };
}

/** Everything has a default, so a misspelt folder would start a server that knows nobody: it is said. */
async function noteAbsentFolder(context: LoadContext): Promise<void> {
  const folder = await context.files.list(context.confDir);
  if (folder.ok || folder.reason !== 'absent') return;
  const remedy = 'create it, or correct --conf or SLUICE_CONF; until then every key has its default';
  context.warnings.push({ file: context.confDir, line: 0, key: '', problem: 'does not exist', remedy });
}

type ServerPart = Omit<
  Config,
  'confDir' | 'dataDir' | 'nas' | 'profiles' | 'lines' | 'missingSecrets' | 'warnings' | 'snapshot'
>;

async function readServerFile(context: LoadContext): Promise<ServerPart | undefined> {
  const file = join(context.confDir, 'sluice.toml');
  const opened = await openDocument(context, file);
  if (opened.outcome === 'wrong') return undefined;
  const document = opened.outcome === 'read' ? opened.document : { value: {}, lineOf: () => 0 };
  const result = validate(serverSchema, document, file);
  if (!result.ok) {
    context.problems.push(...result.problems);
    return undefined;
  }
  const placeOf = (section: string, key: string): Place => ({
    file,
    line: document.lineOf([section, key]),
    key: `${section}.${key}`,
  });
  const settings = camelKeys(result.value);
  const { usersFile, ...status } = settings.status;
  const moreUsers = await readStatusUsers(context, usersFile, placeOf('status', 'users_file'));
  const users = [...status.users, ...(moreUsers ?? [])];
  checkServer(context, result.value, users, placeOf, opened.outcome === 'read' ? opened.mode : 0);
  const { classKeyFile, passwordKeyFile, ...radius } = settings.radius;
  const classKey = await readKey(context, classKeyFile, placeOf('radius', 'class_key_file'));
  const passwordKey = await readKey(context, passwordKeyFile, placeOf('radius', 'password_key_file'));
  const monitoring = await readMonitoring(context, result.value.monitoring, (key) => placeOf('monitoring', key));
  const spoolDirectory = resolvePath(context, settings.spool.directory, placeOf('spool', 'directory'));
  const intake = await readIntake(context, result.value.intake, (path) => ({
    file,
    line: document.lineOf(['intake', ...path]),
    key: keyText(['intake', ...path]),
  }));
  if (classKey === undefined || passwordKey === undefined || spoolDirectory === undefined) return undefined;
  if (moreUsers === undefined || monitoring === undefined || intake === undefined) return undefined;
  const url = settings.database.url;
  return {
    ...settings,
    database: { ...settings.database, url: url === undefined ? undefined : SecretValue.of(url) },
    radius: { ...radius, classKey, passwordKey },
    spool: { ...settings.spool, directory: spoolDirectory },
    status: { ...status, users },
    monitoring,
    intake,
  };
}

function checkServer(
  context: LoadContext,
  file: ServerFile,
  users: readonly StatusUser[],
  placeOf: (section: string, key: string) => Place,
  mode: number,
): void {
  const wrong = (place: Place, problem: string, remedy: string): number =>
    context.problems.push({ ...place, problem, remedy });
  const { sessions } = file;
  if (sessions.silence_intervals <= sessions.suspect_intervals) {
    const remedy = `write more than sessions.suspect_intervals, which is ${sessions.suspect_intervals}`;
    wrong(placeOf('sessions', 'silence_intervals'), 'closes a session before it is suspect', remedy);
  }
  if (sessions.nas_silence_intervals > sessions.silence_intervals) {
    const remedy = `write at most sessions.silence_intervals, which is ${sessions.silence_intervals}`;
    wrong(placeOf('sessions', 'nas_silence_intervals'), 'would close sessions before the outage is seen', remedy);
  }
  if (sessions.session_key_days <= file.spool.retention_days) {
    const remedy = `write more than spool.retention_days, which is ${file.spool.retention_days}`;
    wrong(placeOf('sessions', 'session_key_days'), 'is no longer than a replay may come late', remedy);
  }
  checkListeners(file, placeOf, wrong);
  checkStatus(file, users, placeOf, wrong);
  if (file.database.url !== undefined && new URL(file.database.url).password !== '' && (mode & 0o004) !== 0) {
    const remedy = 'chmod 640 the file';
    context.warnings.push({
      ...placeOf('database', 'url'),
      problem: 'holds a password that everybody may read',
      remedy,
    });
  }
}

/** The pages show who is who: nobody sees them without a password but those who are on this host already. */
function checkStatus(
  file: ServerFile,
  users: readonly StatusUser[],
  placeOf: (section: string, key: string) => Place,
  wrong: (place: Place, problem: string, remedy: string) => void,
): void {
  const { listen } = file.status;
  if (!isLoopback(listen) && users.length === 0) {
    const remedy =
      'keep it on loopback, or name users: `sluice passwd NAME` prints what to write in status.users or status.users_file';
    wrong(placeOf('status', 'listen'), 'would show subscribers to everybody on the network', remedy);
  }
  const names = users.map((user) => user.name);
  if (new Set(names).size !== names.length) {
    wrong(placeOf('status', 'users'), 'has one name twice', 'take one of the two lines out');
  }
}

function checkListeners(
  file: ServerFile,
  placeOf: (section: string, key: string) => Place,
  wrong: (place: Place, problem: string, remedy: string) => void,
): void {
  const taken = new Map<string, string>();
  const claim = (transport: 'udp' | 'tcp', text: string, place: Place): void => {
    const owner = taken.get(`${transport} ${text}`);
    if (owner === undefined) taken.set(`${transport} ${text}`, place.key);
    else wrong(place, `has ${text}, which ${owner} has too`, 'choose another port');
  };
  for (const key of ['auth', 'accounting'] as const) {
    for (const one of file.radius[key]) {
      if (one.port !== 0) claim('udp', formatEndpoint(one), placeOf('radius', key));
    }
  }
  for (const one of file.dhcp.listen) if (one.port !== 0) claim('udp', formatEndpoint(one), placeOf('dhcp', 'listen'));
  if (file.database.url === undefined) claim('tcp', `127.0.0.1:${file.database.port}`, placeOf('database', 'port'));
  for (const section of ['status', 'intake'] as const) {
    const { listen } = file[section];
    if (listen.port !== 0) claim('tcp', formatEndpoint(listen), placeOf(section, 'listen'));
  }
}

function settle(
  context: LoadContext,
  draft: NasDraft,
  generalSeconds: number,
  profiles: Readonly<Record<string, Profile>>,
): NasEntry {
  const { placeOf, ...entry } = draft;
  const wantedSeconds = draft.interimSeconds ?? generalSeconds;
  const floorSeconds = profiles[draft.profile]?.interimFloorSeconds ?? 0;
  if (draft.interimSeconds !== undefined && wantedSeconds < floorSeconds) {
    const remedy = `write ${floorSeconds} or more; ${floorSeconds} is used`;
    const problem = `is below the floor of the profile ${draft.profile}`;
    context.warnings.push({ ...placeOf('interim_seconds'), problem, remedy });
  }
  return { ...entry, interimSeconds: Math.max(wantedSeconds, floorSeconds) };
}
