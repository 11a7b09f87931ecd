/**
 * What the readers of one load share: where to look, what was found wrong, and how a file becomes a document.
 *
 * Enters: folders, a source of files, the environment.
 * Leaves: documents, paths, and problems gathered from all files.
 * Invariant: a problem never stops the load; all files are read, so that all problems are told at once.
 */
import { isAbsolute, join, relative } from 'node:path';
import type { ConfigFiles } from './config-files.js';
import type { ConfigProblem } from './problem.js';
import { parseTomlDocument } from './toml-document.js';
import type { TomlDocument } from './toml-document.js';

/** A file that holds a secret and does not exist yet, below the data folder, where it may be made. */
export interface MissingSecret {
  readonly path: string;
  readonly kind: 'shared-secret' | 'key';
  /** The NAS, or the key of `sluice.toml`, that names the file. */
  readonly owner: string;
}

export interface LoadContext {
  readonly confDir: string;
  readonly dataDir: string;
  readonly bundledProfilesDir: string;
  readonly files: ConfigFiles;
  readonly environment: Readonly<Record<string, string | undefined>>;
  readonly problems: ConfigProblem[];
  readonly warnings: ConfigProblem[];
  readonly missingSecrets: MissingSecret[];
}

/** A place in a file that a problem can be told of. */
export interface Place {
  readonly file: string;
  readonly line: number;
  readonly key: string;
}

// A configuration file is written by hand or by a small script; a mebioctet of it is a mistake.
const maxFileOctets = 1_048_576;

export type OpenedDocument =
  | { readonly outcome: 'read'; readonly document: TomlDocument; readonly mode: number }
  | { readonly outcome: 'absent' }
  | { readonly outcome: 'wrong' };

/**
 * Reads and parses one TOML file.
 *
 * @returns the document; or `absent`; or `wrong`, after the problem was added to the context
 */
export async function openDocument(context: LoadContext, file: string): Promise<OpenedDocument> {
  const result = await context.files.read(file, maxFileOctets);
  if (!result.ok) {
    if (result.reason === 'absent') return { outcome: 'absent' };
    const [problem, remedy] = {
      unreadable: ['cannot be read', 'let the user of the server read it'],
      'not-a-file': ['is not a file', 'remove or rename it'],
      'too-long': [`is longer than ${maxFileOctets} octets`, 'split it'],
    }[result.reason] as [string, string];
    context.problems.push({ file, line: 0, key: '', problem, remedy });
    return { outcome: 'wrong' };
  }
  const text = result.octets.toString('utf8');
  if (!Buffer.from(text, 'utf8').equals(result.octets)) {
    const line = text.slice(0, text.indexOf('\uFFFD')).split('\n').length;
    context.problems.push({ file, line, key: '', problem: 'is not UTF-8', remedy: 'save it as UTF-8' });
    return { outcome: 'wrong' };
  }
  const parsed = parseTomlDocument(text);
  if (parsed.ok) return { outcome: 'read', document: parsed.document, mode: result.mode };
  context.problems.push({ file, line: parsed.line, key: '', problem: parsed.problem, remedy: parsed.remedy });
  return { outcome: 'wrong' };
}

/**
 * Names of the TOML files in a folder.
 *
 * @returns file names, sorted, hidden ones left out; none for an absent folder, and none after a problem was added
 */
export async function listTomlFiles(context: LoadContext, folder: string): Promise<readonly string[]> {
  const result = await context.files.list(folder);
  if (result.ok) return result.names.filter((name) => name.endsWith('.toml') && !name.startsWith('.'));
  if (result.reason === 'unreadable') {
    const remedy = 'make it a folder that the user of the server can read';
    context.problems.push({ file: folder, line: 0, key: '', problem: 'is not a readable folder', remedy });
  }
  return [];
}

/**
 * Makes a path of a reference in a file: relative to the conf folder, absolute, below `${data}` or below
 * `${CREDENTIALS_DIRECTORY}` (systemd.exec(5), LoadCredential).
 *
 * @returns the path, or `undefined` after the problem was added
 */
export function resolvePath(context: LoadContext, reference: string, place: Place): string | undefined {
  const variable = /^\$\{(?<name>[^}]*)\}(?:\/(?<rest>.*))?$/su.exec(reference)?.groups;
  if (variable === undefined) {
    if (!reference.includes('${')) return isAbsolute(reference) ? reference : join(context.confDir, reference);
    return refuse(context, place, 'has a variable that is not at the beginning', 'begin the path with ${data}/');
  }
  const rest = variable['rest'] ?? '';
  let base: string | undefined;
  if (variable['name'] === 'data') base = context.dataDir;
  else if (variable['name'] === 'CREDENTIALS_DIRECTORY') {
    base = context.environment['CREDENTIALS_DIRECTORY'];
    if (base === undefined || base === '') {
      const remedy = 'start the server by systemd with LoadCredential=, or name a file';
      return refuse(context, place, 'names a credential, but no credentials were handed over', remedy);
    }
  } else {
    return refuse(context, place, 'has a variable that is not known', 'use ${data} or ${CREDENTIALS_DIRECTORY}');
  }
  const path = join(base, rest);
  if (rest === '' || !isBelow(base, path)) {
    return refuse(context, place, 'does not stay below its folder', 'name a file below it, without ".."');
  }
  return path;
}

/** Whether a path lies below a folder. */
export function isBelow(folder: string, path: string): boolean {
  const way = relative(folder, path);
  return way !== '' && way !== '..' && !way.startsWith('../') && !isAbsolute(way);
}

function refuse(context: LoadContext, place: Place, problem: string, remedy: string): undefined {
  context.problems.push({ ...place, problem, remedy });
  return undefined;
}
