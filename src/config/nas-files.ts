/**
 * Reads `conf/nas.d` and checks the NASes against each other.
 *
 * Enters: `*.toml` files, each one NAS or a list of `[[nas]]` tables.
 * Leaves: validated entries, secrets read.
 * Invariant: behind one address or network all entries have the same secrets and the same rules for signatures, because
 * those are applied before anybody knows which NAS has spoken; and no two entries claim the same requests.
 */
import { join } from 'node:path';
import type { NasEntry } from './config.js';
import { formatIpAddress, formatIpNetwork } from './ip-network.js';
import { listTomlFiles, openDocument } from './load-context.js';
import type { LoadContext, Place } from './load-context.js';
import { nasSchema } from './nas-schema.js';
import type { NasFile } from './nas-schema.js';
import { validate } from './schema-problems.js';
import { readCommandSettings } from './nas-command-settings.js';
import { judge, readSharedSecret } from './secret-files.js';
import type { SecretValue } from './secret-value.js';
import type { TomlDocument, TomlPath } from './toml-document.js';

/** A NAS as read; the interim interval is settled when its profile is known. */
export interface NasDraft {
  readonly name: string;
  readonly addresses: readonly string[];
  readonly nasIdentifier: string | undefined;
  readonly nasIpAddress: string | undefined;
  readonly secrets: readonly SecretValue[];
  readonly profile: string;
  readonly requireMessageAuthenticator: boolean;
  readonly limitProxyState: boolean;
  readonly routingDomain: string;
  readonly interimSeconds: number | undefined;
  readonly mode: NasEntry['mode'];
  readonly disconnectOnStop: boolean | undefined;
  readonly parallel: number;
  readonly commandsPerSecond: number;
  readonly coa: NasEntry['coa'];
  readonly ssh: NasEntry['ssh'];
  readonly exec: NasEntry['exec'];
  readonly file: string;
  readonly line: number;
  /** Where a key of this entry stands, for problems found later. */
  readonly placeOf: (key: string) => Place;
}

// More files or entries than this are a mistake of a generator; the largest known providers have a few thousand.
const maxNasFiles = 10_000;
const maxNasEntries = 50_000;
const worldReadable = 0o004;

const builtIn = {
  name: 'localhost',
  addresses: ['127.0.0.1', '::1'],
  secretFile: '${data}/secrets/localhost',
  profile: 'mikrotik-ppp',
};

/**
 * Reads all NASes.
 *
 * @returns the entries that could be read; without any file in `nas.d` the built-in loopback NAS
 */
export async function readNasFiles(context: LoadContext): Promise<NasDraft[]> {
  const folder = join(context.confDir, 'nas.d');
  const names = await listTomlFiles(context, folder);
  if (names.length === 0) return [await builtInNas(context, folder)];
  if (names.length > maxNasFiles) {
    const problem = `holds ${names.length} files`;
    context.problems.push({ file: folder, line: 0, key: '', problem, remedy: `keep at most ${maxNasFiles}` });
    return [];
  }
  const drafts: NasDraft[] = [];
  for (const file of names) drafts.push(...(await readNasFile(context, join(folder, file))));
  if (drafts.length > maxNasEntries) {
    const problem = `holds ${drafts.length} NASes`;
    context.problems.push({ file: folder, line: 0, key: '', problem, remedy: 'use networks as addresses' });
    return [];
  }
  checkNames(context, drafts);
  checkGroups(context, drafts);
  return drafts;
}

async function builtInNas(context: LoadContext, folder: string): Promise<NasDraft> {
  const placeOf = (key: string): Place => ({ file: folder, line: 0, key });
  const secret = await readSharedSecret(context, builtIn.secretFile, placeOf('secret_file'), builtIn.name);
  return {
    name: builtIn.name,
    addresses: builtIn.addresses,
    nasIdentifier: undefined,
    nasIpAddress: undefined,
    secrets: secret === undefined ? [] : [secret],
    profile: builtIn.profile,
    requireMessageAuthenticator: true,
    limitProxyState: true,
    routingDomain: 'default',
    interimSeconds: undefined,
    ...(await readCommandSettings(
      context,
      nasSchema.parse({ name: builtIn.name, address: [...builtIn.addresses], profile: builtIn.profile }),
      placeOf,
    )),
    file: folder,
    line: 0,
    placeOf,
  };
}

async function readNasFile(context: LoadContext, file: string): Promise<NasDraft[]> {
  const opened = await openDocument(context, file);
  if (opened.outcome !== 'read') return [];
  const { document } = opened;
  const list = document.value['nas'];
  if (!Array.isArray(list)) {
    const draft = await readNas(context, file, document, [], opened.mode);
    return draft === undefined ? [] : [draft];
  }
  for (const key of Object.keys(document.value).filter((one) => one !== 'nas')) {
    const problem = 'stands beside [[nas]] tables';
    context.problems.push({ file, line: document.lineOf([key]), key, problem, remedy: 'move it into one of them' });
  }
  const drafts: NasDraft[] = [];
  for (const index of list.keys()) {
    const draft = await readNas(context, file, document, ['nas', index], opened.mode);
    if (draft !== undefined) drafts.push(draft);
  }
  return drafts;
}

async function readNas(
  context: LoadContext,
  file: string,
  document: TomlDocument,
  at: TomlPath,
  mode: number,
): Promise<NasDraft | undefined> {
  const result = validate(nasSchema, document, file, at);
  if (!result.ok) {
    context.problems.push(...result.problems);
    return undefined;
  }
  const read = result.value;
  const placeOf = (key: string): Place => ({ file, line: document.lineOf([...at, key]), key });
  const networks = Array.isArray(read.address) ? read.address : [read.address];
  if (networks.some((network) => network.prefixLength === 0) && !read.allow_any_source) {
    const remedy = 'name the networks of your NASes, or set allow_any_source = true';
    context.problems.push({ ...placeOf('address'), problem: 'is every address there is', remedy });
  }
  if (!read.require_message_authenticator && !read.limit_proxy_state) {
    const remedy = 'set limit_proxy_state = true unless a proxy sends the requests';
    const problem = 'is off together with require_message_authenticator, which leaves BlastRADIUS open';
    context.warnings.push({ ...placeOf('limit_proxy_state'), problem, remedy });
  }
  const secrets = await secretsOf(context, read, placeOf, mode);
  return {
    name: read.name,
    addresses: [...new Set(networks.map(formatIpNetwork))],
    nasIdentifier: read.nas_identifier,
    nasIpAddress: read.nas_ip_address === undefined ? undefined : formatIpAddress(read.nas_ip_address),
    secrets,
    profile: read.profile,
    requireMessageAuthenticator: read.require_message_authenticator,
    limitProxyState: read.limit_proxy_state,
    routingDomain: read.routing_domain,
    interimSeconds: read.interim_seconds,
    ...(await readCommandSettings(context, read, placeOf)),
    file,
    line: document.lineOf([...at, 'name']),
    placeOf,
  };
}

async function secretsOf(
  context: LoadContext,
  read: NasFile,
  placeOf: (key: string) => Place,
  mode: number,
): Promise<SecretValue[]> {
  if (read.secret !== undefined && read.secret_file !== undefined) {
    const remedy = 'keep one of the two; while rotating give two in one list';
    context.problems.push({ ...placeOf('secret_file'), problem: 'stands beside secret', remedy });
    return [];
  }
  if (read.secret !== undefined) {
    const secrets = Array.isArray(read.secret) ? read.secret : [read.secret];
    if ((mode & worldReadable) !== 0) {
      const remedy = 'chmod 640 the file, or use secret_file';
      context.warnings.push({ ...placeOf('secret'), problem: 'stands in a file that everybody may read', remedy });
    }
    return secrets.filter((secret) => judge(context, secret, placeOf('secret')));
  }
  if (read.secret_file === undefined) {
    const remedy = `write secret_file = "secrets/${read.name}" and put 24 random characters there`;
    context.problems.push({ ...placeOf('name'), key: 'secret', problem: 'is missing', remedy });
    return [];
  }
  const references = Array.isArray(read.secret_file) ? read.secret_file : [read.secret_file];
  const secrets: SecretValue[] = [];
  for (const reference of references) {
    const secret = await readSharedSecret(context, reference, placeOf('secret_file'), read.name);
    if (secret !== undefined) secrets.push(secret);
  }
  return secrets;
}

function checkNames(context: LoadContext, drafts: readonly NasDraft[]): void {
  const byName = new Map<string, NasDraft>();
  for (const draft of drafts) {
    const first = byName.get(draft.name);
    if (first === undefined) byName.set(draft.name, draft);
    else {
      const problem = `is the name of the NAS in ${first.file}:${first.line} too`;
      context.problems.push({ ...draft.placeOf('name'), problem, remedy: 'give each NAS a name of its own' });
    }
  }
}

function checkGroups(context: LoadContext, drafts: readonly NasDraft[]): void {
  const groups = new Map<string, NasDraft[]>();
  // One complaint for a pair is enough, however many addresses they share.
  const told = new Set<string>();
  for (const draft of drafts) {
    for (const address of draft.addresses) {
      const others = groups.get(address);
      if (others === undefined) {
        groups.set(address, [draft]);
        continue;
      }
      for (const other of others) checkPair(context, other, draft, address, told);
      others.push(draft);
    }
  }
}

function checkPair(context: LoadContext, first: NasDraft, second: NasDraft, address: string, told: Set<string>): void {
  const complain = (key: string, problem: string, remedy: string): void => {
    const complaint = JSON.stringify([first.file, first.line, second.file, second.line, key]);
    if (told.has(complaint)) return;
    told.add(complaint);
    context.problems.push({ ...second.placeOf(key), problem, remedy });
  };
  const where = `${first.file}:${first.line}`;
  if (first.nasIdentifier === second.nasIdentifier && first.nasIpAddress === second.nasIpAddress) {
    complain(
      'address',
      `${address} belongs to the NAS in ${where} too`,
      'remove one, or tell them apart by nas_identifier or nas_ip_address',
    );
  }
  if (!sameSecrets(first.secrets, second.secrets)) {
    const key = second.placeOf('secret').line === second.line ? 'secret_file' : 'secret';
    complain(
      key,
      `differs from that of the NAS in ${where}, which has the address ${address} too`,
      `give ${first.file} and ${second.file} the same: the secret is chosen by the address alone`,
    );
  }
  for (const [key, property] of [
    ['require_message_authenticator', 'requireMessageAuthenticator'],
    ['limit_proxy_state', 'limitProxyState'],
  ] as const) {
    if (first[property] === second[property]) continue;
    complain(
      key,
      `differs from that of the NAS in ${where}, which has the address ${address} too`,
      'set both alike: it is applied before the NAS is known',
    );
  }
}

function sameSecrets(first: readonly SecretValue[], second: readonly SecretValue[]): boolean {
  // What could not be read has been complained about already, and what is yet to be made is checked when it is there.
  if ([...first, ...second].some((secret) => secret.isMissing) || first.length === 0 || second.length === 0)
    return true;
  const within = (some: readonly SecretValue[], all: readonly SecretValue[]): boolean =>
    some.every((one) => all.some((other) => one.equals(other)));
  return within(first, second) && within(second, first);
}
