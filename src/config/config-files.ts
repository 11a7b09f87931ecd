/**
 * The files that a configuration is made of, read once and remembered.
 *
 * Enters: paths.
 * Leaves: octets with their permission bits, and a `ConfigSnapshot` of all that was read.
 * Invariant: what is remembered is what was validated, octet by octet, and never shows when a snapshot is printed.
 */
import { open, readdir } from 'node:fs/promises';
import { inspect } from 'node:util';

export type FileResult =
  | { readonly ok: true; readonly octets: Buffer; readonly mode: number }
  | { readonly ok: false; readonly reason: 'absent' | 'unreadable' | 'not-a-file' | 'too-long' };

export type FolderResult =
  | { readonly ok: true; readonly names: readonly string[] }
  | { readonly ok: false; readonly reason: 'absent' | 'unreadable' };

/** Where the reader gets files from: the disk, or a snapshot. */
export interface ConfigFiles {
  /** Reads a whole file of at most `maxOctets` octets. Never throws for what the file system says. */
  read(path: string, maxOctets: number): Promise<FileResult>;
  /** Names in a folder, sorted. Never throws for what the file system says. */
  list(folder: string): Promise<FolderResult>;
}

const errorCode = (error: unknown): string | undefined =>
  error instanceof Error && 'code' in error && typeof error.code === 'string' ? error.code : undefined;

/** The disk. */
export const diskFiles: ConfigFiles = {
  async read(path, maxOctets) {
    try {
      const handle = await open(path, 'r');
      try {
        const stat = await handle.stat();
        if (!stat.isFile()) return { ok: false, reason: 'not-a-file' };
        if (stat.size > maxOctets) return { ok: false, reason: 'too-long' };
        // One octet more than allowed shows a file that grew since its size was asked.
        const buffer = Buffer.alloc(maxOctets + 1 < stat.size + 1024 ? maxOctets + 1 : stat.size + 1024);
        let length = 0;
        for (;;) {
          const { bytesRead } = await handle.read(buffer, length, buffer.length - length, length);
          if (bytesRead === 0) break;
          length += bytesRead;
          if (length === buffer.length) return { ok: false, reason: 'too-long' };
        }
        return { ok: true, octets: buffer.subarray(0, length), mode: stat.mode & 0o7777 };
      } finally {
        await handle.close();
      }
    } catch (error) {
      const code = errorCode(error);
      if (code === 'ENOENT' || code === 'ENOTDIR') return { ok: false, reason: 'absent' };
      if (code === undefined) throw error;
      return { ok: false, reason: 'unreadable' };
    }
  },
  async list(folder) {
    try {
      return { ok: true, names: (await readdir(folder)).sort() };
    } catch (error) {
      const code = errorCode(error);
      if (code === undefined) throw error;
      // An unreadable folder must not look like an absent one: the built-in NAS would come up in its place.
      return { ok: false, reason: code === 'ENOENT' ? 'absent' : 'unreadable' };
    }
  },
};

/** One file as it was read. */
export interface SnapshotFile {
  readonly path: string;
  readonly octets: Buffer;
  readonly mode: number;
}

/** Everything that was read for one configuration, secrets included; printing shows only how many files there are. */
export class ConfigSnapshot {
  readonly #files: ReadonlyMap<string, SnapshotFile>;
  readonly #folders: ReadonlyMap<string, readonly string[]>;

  constructor(files: ReadonlyMap<string, SnapshotFile>, folders: ReadonlyMap<string, readonly string[]>) {
    this.#files = files;
    this.#folders = folders;
    Object.freeze(this);
  }

  files(): readonly SnapshotFile[] {
    return [...this.#files.values()];
  }

  folders(): ReadonlyMap<string, readonly string[]> {
    return this.#folders;
  }

  /** The snapshot as a source of files: what was not read then is absent now. */
  asFiles(): ConfigFiles {
    return {
      read: async (path, maxOctets) => {
        const file = this.#files.get(path);
        if (file === undefined) return { ok: false, reason: 'absent' };
        if (file.octets.length > maxOctets) return { ok: false, reason: 'too-long' };
        return { ok: true, octets: file.octets, mode: file.mode };
      },
      list: async (folder) => {
        const names = this.#folders.get(folder);
        return names === undefined ? { ok: false, reason: 'absent' } : { ok: true, names };
      },
    };
  }

  toJSON(): string {
    return `<${this.#files.size} files>`;
  }

  [inspect.custom](): string {
    return this.toJSON();
  }
}

/** Passes reads on and remembers them. */
export class RecordingFiles implements ConfigFiles {
  readonly #source: ConfigFiles;
  readonly #files = new Map<string, SnapshotFile>();
  readonly #folders = new Map<string, readonly string[]>();

  constructor(source: ConfigFiles) {
    this.#source = source;
  }

  async read(path: string, maxOctets: number): Promise<FileResult> {
    const known = this.#files.get(path);
    if (known !== undefined && known.octets.length <= maxOctets)
      return { ok: true, octets: known.octets, mode: known.mode };
    const result = await this.#source.read(path, maxOctets);
    if (result.ok) this.#files.set(path, { path, octets: result.octets, mode: result.mode });
    return result;
  }

  async list(folder: string): Promise<FolderResult> {
    const result = await this.#source.list(folder);
    if (result.ok) this.#folders.set(folder, result.names);
    return result;
  }

  snapshot(): ConfigSnapshot {
    return new ConfigSnapshot(this.#files, this.#folders);
  }
}
