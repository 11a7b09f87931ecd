/**
 * The few file calls that the spool makes. Enters: paths, buffers, offsets. Leaves: bytes on a disk, or an error with the
 * errno's name in `code`. Invariant: nothing in the spool reaches the disk by another way, so a test that replaces this
 * layer sees every call, can fail any of them, and can drop whatever was not synced.
 */

import * as fs from 'node:fs';
import { dirname, resolve } from 'node:path';
import { lockFolder, type FolderLock } from './folder-lock.js';

/** `create` refuses a name that exists; `update` reads and writes a file that exists. */
export type OpenMode = 'create' | 'update' | 'read';

export interface OpenFile {
  /** Writes at `offset`; resolves to the bytes written, which may be fewer than given. */
  write(bytes: Buffer, offset: number): Promise<number>;
  /** Fills `bytes` from `offset`; resolves to the bytes read, 0 at the end of the file. */
  read(bytes: Buffer, offset: number): Promise<number>;
  /** Bytes in the file. */
  size(): Promise<number>;
  /** fdatasync(2): data, and whatever of the metadata is needed to read it back. */
  syncData(): Promise<void>;
  truncate(length: number): Promise<void>;
  close(): Promise<void>;
}

export interface FileLayer {
  open(path: string, mode: OpenMode): Promise<OpenFile>;
  rename(from: string, to: string): Promise<void>;
  unlink(path: string): Promise<void>;
  /** fsync(2) of a folder: makes the names in it last. */
  syncDirectory(path: string): Promise<void>;
  readDirectory(path: string): Promise<string[]>;
  /** Makes the folder and its missing parents, and makes their names last. */
  makeDirectory(path: string): Promise<void>;
  /** @throws SpoolLockedError when another process holds it. */
  lockDirectory(path: string): Promise<FolderLock>;
}

/** The errno's name of a failed call (`ENOSPC`), or `UNKNOWN`. */
export function errorCode(error: unknown): string {
  return error instanceof Error && 'code' in error && typeof error.code === 'string' ? error.code : 'UNKNOWN';
}

/**
 * Writes all of `bytes` at `offset`, going on after short writes.
 * @throws the layer's error, or ShortWriteError when a write accepts nothing.
 */
export async function writeFully(file: OpenFile, bytes: Buffer, offset: number): Promise<void> {
  let done = 0;
  while (done < bytes.length) {
    const written = await file.write(done === 0 ? bytes : bytes.subarray(done), offset + done);
    if (written <= 0) throw new ShortWriteError(bytes.length - done);
    done += written;
  }
}

/** A write took nothing and named no error. */
export class ShortWriteError extends Error {
  override readonly name = 'ShortWriteError';
  readonly code = 'SHORT_WRITE';
  constructor(readonly remainingBytes: number) {
    super(`the disk accepted none of the remaining ${remainingBytes} bytes`);
  }
}

type Done<T> = (error: NodeJS.ErrnoException | null, value: T) => void;

// The callback calls on a bare descriptor cost less per call than fs.promises' handles, and never close behind our back.
function promised<T>(call: (done: Done<T>) => void): Promise<T> {
  return new Promise<T>((resolve, reject) => call((error, value) => (error === null ? resolve(value) : reject(error))));
}

const openFlags: Record<OpenMode, number> = {
  create: fs.constants.O_RDWR | fs.constants.O_CREAT | fs.constants.O_EXCL | fs.constants.O_NOFOLLOW,
  update: fs.constants.O_RDWR | fs.constants.O_NOFOLLOW,
  read: fs.constants.O_RDONLY | fs.constants.O_NOFOLLOW,
};

// Records hold what NASes sent, User-Password included: nobody but the server's user reads them.
const fileMode = 0o600;
const directoryMode = 0o700;

function nodeFile(fd: number): OpenFile {
  return {
    write: (bytes, offset) => promised((done) => fs.write(fd, bytes, 0, bytes.length, offset, done)),
    read: (bytes, offset) => promised((done) => fs.read(fd, bytes, 0, bytes.length, offset, done)),
    size: async () => (await promised<fs.Stats>((done) => fs.fstat(fd, done))).size,
    syncData: () => promised<undefined>((done) => fs.fdatasync(fd, (error) => done(error, undefined))),
    truncate: (length) => promised<undefined>((done) => fs.ftruncate(fd, length, (error) => done(error, undefined))),
    close: () => promised<undefined>((done) => fs.close(fd, (error) => done(error ?? null, undefined))),
  };
}

async function syncNodeDirectory(path: string): Promise<void> {
  const fd = await promised<number>((done) => fs.open(path, fs.constants.O_RDONLY | fs.constants.O_DIRECTORY, done));
  try {
    await promised<undefined>((done) => fs.fsync(fd, (error) => done(error, undefined)));
  } finally {
    await promised<undefined>((done) => fs.close(fd, (error) => done(error ?? null, undefined)));
  }
}

/** The file layer of Node.js on a local file system. */
export const nodeFiles: FileLayer = {
  open: async (path, mode) =>
    nodeFile(await promised<number>((done) => fs.open(path, openFlags[mode], fileMode, done))),
  rename: (from, to) => fs.promises.rename(from, to),
  unlink: (path) => fs.promises.unlink(path),
  syncDirectory: syncNodeDirectory,
  readDirectory: (path) => fs.promises.readdir(path),
  async makeDirectory(path) {
    let made = resolve(path);
    const first = await fs.promises.mkdir(made, { recursive: true, mode: directoryMode });
    if (first === undefined) return;
    // Each new folder is a name in its parent, up to the parent of the first one made.
    const top = dirname(first);
    while (made !== top) {
      made = dirname(made);
      await syncNodeDirectory(made);
    }
  },
  lockDirectory: lockFolder,
};
