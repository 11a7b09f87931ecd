/**
 * Secrets that stand in files of their own: read, judged, and made when they are missing.
 *
 * Enters: references from configuration files.
 * Leaves: `SecretValue`s, and the list of files that have to be made.
 * Invariant: reading creates nothing; creating never replaces a file, and no half-written secret is ever seen.
 */
import { randomBytes } from 'node:crypto';
import { link, mkdir, open, unlink } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { isBelow, resolvePath } from './load-context.js';
import type { LoadContext, MissingSecret, Place } from './load-context.js';
import { SecretValue, judgeSharedSecret, maxSecretOctets } from './secret-value.js';

/** Length of the keys that sign Class and seal passwords, octets: AES-256 and HMAC-SHA-256. */
export const keyOctets = 32;
// 24 random octets are 32 characters of base64url, which RouterOS, IOS and accel-ppp all take without quoting.
const generatedSecretOctets = 24;
const worldReadable = 0o004;
// An RSA key of 16384 bits in PEM has some 13,000 octets.
const maxKeyFileOctets = 32_768;

/**
 * Reads a shared secret: the first line of its file.
 *
 * @returns the secret; `SecretValue.missing` when it may still be made; `undefined` after a problem was added
 */
export async function readSharedSecret(
  context: LoadContext,
  reference: string,
  place: Place,
  owner: string,
): Promise<SecretValue | undefined> {
  const line = await readFirstLine(context, reference, place, { kind: 'shared-secret', owner });
  if (line === undefined || line === 'missing') return line === 'missing' ? SecretValue.missing : undefined;
  if (isBlank(line.at(0)) || isBlank(line.at(-1))) {
    const problem = 'names a file whose first line begins or ends with a blank, which belongs to the secret';
    context.warnings.push({ ...place, problem, remedy: 'remove the blank, unless the NAS has it too' });
  }
  const secret = SecretValue.of(line);
  return judge(context, secret, place) ? secret : undefined;
}

function isBlank(octet: number | undefined): boolean {
  return octet === 0x20 || octet === 0x09;
}

/**
 * Judges a shared secret and adds what there is to say.
 *
 * @returns whether it may be used
 */
export function judge(context: LoadContext, secret: SecretValue, place: Place): boolean {
  const judgement = judgeSharedSecret(secret);
  if (judgement.verdict === 'good') return true;
  const list = judgement.verdict === 'weak' ? context.warnings : context.problems;
  list.push({ ...place, problem: judgement.problem, remedy: judgement.remedy });
  return judgement.verdict === 'weak';
}

/**
 * Reads a key of 32 octets, written in hex or base64 on the first line of its file.
 *
 * @returns as `readSharedSecret` does
 */
export async function readKey(context: LoadContext, reference: string, place: Place): Promise<SecretValue | undefined> {
  const line = await readFirstLine(context, reference, place, { kind: 'key', owner: place.key });
  if (line === undefined || line === 'missing') return line === 'missing' ? SecretValue.missing : undefined;
  const text = line.toString('latin1').trim();
  const hex = /^[0-9a-f]{64}$/iu.test(text);
  const base64 = /^[A-Za-z0-9+/_-]{43}=?$/u.test(text);
  if (hex || base64) return SecretValue.of(Buffer.from(text, hex ? 'hex' : 'base64'));
  context.problems.push({
    ...place,
    problem: `names a file that does not hold ${keyOctets} octets in hex or base64`,
    remedy: 'restore the file from a backup; when there is none, make one with: openssl rand -base64 32',
  });
  return undefined;
}

/**
 * Reads a secret that is not ours to make: a password, or a private key.
 *
 * @param extent the first line, or the whole file
 * @returns the secret, not empty; `undefined` after a problem was added
 */
export async function readSecretText(
  context: LoadContext,
  reference: string,
  place: Place,
  extent: 'first-line' | 'whole',
): Promise<SecretValue | undefined> {
  const path = resolvePath(context, reference, place);
  if (path === undefined) return undefined;
  const octets = await readSecretFile(context, path, place, extent === 'whole' ? maxKeyFileOctets : maxSecretOctets);
  if (octets === undefined || octets === 'absent') {
    if (octets === 'absent') complainOfAbsence(context, path, place);
    return undefined;
  }
  const secret = extent === 'whole' ? octets : firstLine(octets);
  if (secret.length > 0) return SecretValue.of(secret);
  context.problems.push({ ...place, problem: `names ${path}, which is empty`, remedy: 'put the secret there' });
  return undefined;
}

async function readFirstLine(
  context: LoadContext,
  reference: string,
  place: Place,
  wanted: Pick<MissingSecret, 'kind' | 'owner'>,
): Promise<Buffer | 'missing' | undefined> {
  const path = resolvePath(context, reference, place);
  if (path === undefined) return undefined;
  const octets = await readSecretFile(context, path, place, maxSecretOctets);
  if (octets === undefined) return undefined;
  if (octets !== 'absent') return firstLine(octets);
  if (!isBelow(context.dataDir, path)) {
    complainOfAbsence(context, path, place);
    return undefined;
  }
  if (!context.missingSecrets.some((missing) => missing.path === path)) {
    context.missingSecrets.push({ path, ...wanted });
  }
  return 'missing';
}

function complainOfAbsence(context: LoadContext, path: string, place: Place): void {
  const problem = `names ${path}, which does not exist`;
  context.problems.push({ ...place, problem, remedy: 'create it, or correct the name' });
}

function firstLine(octets: Buffer): Buffer {
  const end = octets.indexOf(0x0a);
  const line = end < 0 ? octets : octets.subarray(0, end);
  return line.at(-1) === 0x0d ? line.subarray(0, -1) : line;
}

/** @returns the octets; `absent`; or `undefined` after a problem was added */
async function readSecretFile(
  context: LoadContext,
  path: string,
  place: Place,
  maxOctets: number,
): Promise<Buffer | 'absent' | undefined> {
  const result = await context.files.read(path, maxOctets);
  if (!result.ok) {
    if (result.reason === 'absent') return 'absent';
    const [problem, remedy] = {
      unreadable: [`names ${path}, which cannot be read`, 'let the user of the server read it'],
      'not-a-file': [`names ${path}, which is not a file`, 'name a file'],
      'too-long': [
        `names ${path}, which is longer than ${maxOctets} octets`,
        'put the secret on its first line, alone',
      ],
    }[result.reason] as [string, string];
    context.problems.push({ ...place, problem, remedy });
    return undefined;
  }
  if ((result.mode & worldReadable) !== 0) {
    context.warnings.push({
      ...place,
      problem: `names ${path}, which everybody may read`,
      remedy: `chmod 600 ${path}`,
    });
  }
  return result.octets;
}

/**
 * Makes the files that `loadConfig` reported as missing: for a NAS 32 random characters of base64url, for a key 32 random
 * octets in base64. Folders get mode 0700, files 0600. A file that somebody else made meanwhile is left as it is.
 *
 * @param config the outcome of `loadConfig`; load again afterwards
 * @returns the paths that were made
 * @throws the file system's error when a folder or file cannot be written
 */
export async function createMissingSecrets(config: {
  readonly missingSecrets: readonly MissingSecret[];
}): Promise<string[]> {
  const made: string[] = [];
  for (const missing of config.missingSecrets) {
    const text =
      missing.kind === 'key'
        ? randomBytes(keyOctets).toString('base64')
        : randomBytes(generatedSecretOctets).toString('base64url');
    if (await createSecretFile(missing.path, `${text}\n`)) made.push(missing.path);
  }
  return made;
}

async function createSecretFile(path: string, content: string): Promise<boolean> {
  const folder = dirname(path);
  await mkdir(folder, { recursive: true, mode: 0o700 });
  const draft = join(folder, `.${basename(path)}.${randomBytes(6).toString('hex')}`);
  const handle = await open(draft, 'wx', 0o600);
  try {
    await handle.writeFile(content);
    await handle.sync();
  } finally {
    await handle.close();
  }
  try {
    // A link, unlike a rename, fails when the name is taken: whoever came first wins.
    await link(draft, path);
    await syncFolder(folder);
    return true;
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'EEXIST') return false;
    throw error;
  } finally {
    await unlink(draft);
  }
}

/** Makes the names in a folder durable. */
export async function syncFolder(folder: string): Promise<void> {
  const handle = await open(folder, 'r');
  try {
    await handle.sync();
  } finally {
    await handle.close();
  }
}
