/**
 * The folder that hooks write into, as files. Enters: its name. Leaves: what waits in it, oldest first; contents; files put aside. Invariants: nothing but
 * a regular file of an owner who may write there is opened, and never through a link; a name is never made of what a file holds; what is put aside is
 * bounded.
 */
import {
  close,
  constants,
  lstat as lstatCallback,
  open,
  read,
  rename as renameCallback,
  unlink as unlinkCallback,
} from 'node:fs';
import type { Stats } from 'node:fs';
import { mkdir, opendir, readdir, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { maxHookFileOctets } from './hook-file.js';
import { inLanes } from './lanes.js';

// The forms with callbacks cost half as much as those with promises of their own, and there are several calls for each file.
const lstat = promisify(lstatCallback);
const rename = promisify(renameCallback);
const unlink = promisify(unlinkCallback);

/** Calls of the file system at once. More gain nothing: the threads that make them are eight. */
export const fileLanes = 16;
/** Files of one look, which are sorted by their time: more would hold the loop. Of a larger backlog each part is in order, and event times settle the rest. */
const maxFilesOfLook = 10_000;
/** Files that are put aside at most, so that whoever writes rubbish does not fill the disk. */
const maxRejected = 1_000;
/** A hook takes a millisecond from its first octet to the final name, ms. */
const abandonedAfterMs = 10 * 60_000;
/** Unfinished files looked at in one cleaning. */
const maxUnfinishedOfCleaning = 1_000;
const rejectedFolder = 'rejected';

/** A file that waits. */
export interface WaitingFile {
  readonly name: string;
  /** When the hook wrote it, ms since 1970, with fractions. */
  readonly writtenAtMs: number;
  /** Why it must not be opened. */
  readonly fault: 'foreign-file' | 'too-long' | undefined;
}

export type FolderLook =
  | {
      readonly state: 'there';
      /** Oldest first. */
      readonly files: readonly WaitingFile[];
      /** Names of files that are being written, or never will be finished. */
      readonly unfinished: readonly string[];
      /** There are more files than one look takes. */
      readonly more: boolean;
      /** Tells this folder from another one of the same name. */
      readonly identity: string;
    }
  /** `open`: everybody on this host may write there. */
  | { readonly state: 'absent' | 'open' };

export type FileContent =
  { readonly state: 'read'; readonly content: Buffer } | { readonly state: 'gone' | 'foreign' | 'unreadable' };

export class InboxFolder {
  readonly path: string;
  /** Names of what was put aside, oldest first; undefined until that is known. */
  #rejected: Promise<string[]> | undefined;

  constructor(path: string) {
    this.path = path;
  }

  /** Finds what waits. @param skip names that are not to be looked at. @throws the system's error when the folder cannot be read */
  async look(skip: (name: string) => boolean): Promise<FolderLook> {
    let folder: Stats;
    try {
      folder = await stat(this.path);
    } catch (error) {
      if (isCode(error, 'ENOENT', 'ENOTDIR')) return { state: 'absent' };
      throw error;
    }
    if ((folder.mode & constants.S_IWOTH) !== 0) return { state: 'open' };
    const names: string[] = [];
    const unfinished: string[] = [];
    let more = false;
    try {
      for await (const { name } of await opendir(this.path, { bufferSize: 512 })) {
        if (name === rejectedFolder || skip(name)) continue;
        if (name.startsWith('.')) {
          if (unfinished.length < maxUnfinishedOfCleaning) unfinished.push(name);
        } else if (names.length < maxFilesOfLook) names.push(name);
        else more = true;
      }
    } catch (error) {
      if (isCode(error, 'ENOENT', 'ENOTDIR')) return { state: 'absent' };
      throw error;
    }
    const found = await inLanes(names, fileLanes, (name) => this.#examine(name, folder));
    const files = found.filter((file) => file !== undefined).sort(byTime);
    return { state: 'there', files, unfinished, more, identity: `${String(folder.dev)} ${String(folder.ino)}` };
  }

  /** Reads a file whole. Never rejects. @param buffer of `maxHookFileOctets` + 1; the content is a part of it */
  read(name: string, buffer: Buffer): Promise<FileContent> {
    return new Promise((resolve) => {
      // Neither a link nor a pipe that took the place of the file since it was examined makes us wait or look elsewhere.
      const flags = constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK;
      open(join(this.path, name), flags, (failure, descriptor) => {
        if (failure !== null) {
          resolve({ state: isCode(failure, 'ENOENT') ? 'gone' : isCode(failure, 'ELOOP') ? 'foreign' : 'unreadable' });
          return;
        }
        const end = (content: FileContent): void => close(descriptor, () => resolve(content));
        const readOn = (length: number): void => {
          read(descriptor, buffer, length, buffer.length - length, null, (error, count) => {
            if (error !== null) end({ state: 'unreadable' });
            else if (count === 0 || length + count === buffer.length)
              end({ state: 'read', content: buffer.subarray(0, length + count) });
            else readOn(length + count);
          });
        };
        readOn(0);
      });
    });
  }

  /** Deletes a file. @returns false: it cannot be deleted */
  async remove(name: string): Promise<boolean> {
    try {
      await unlink(join(this.path, name));
      return true;
    } catch (error) {
      return isCode(error, 'ENOENT');
    }
  }

  /**
   * Puts a file aside, with the reason at the end of its name.
   *
   * @returns `kept`; `instead`: it took the place of the oldest one; `stays`: it cannot be moved
   */
  async reject(name: string, reason: string): Promise<'kept' | 'instead' | 'stays'> {
    const folder = join(this.path, rejectedFolder);
    const safeName = `${name.replaceAll(/[^A-Za-z0-9._-]/gu, '_').slice(0, 128)}.${reason}`;
    let rejected: string[];
    try {
      await mkdir(folder, { recursive: true, mode: 0o700 });
      // Several files are put aside at once: they share one list, which is read before the first of them is there.
      rejected = await (this.#rejected ??= oldestFirst(folder));
      await rename(join(this.path, name), join(folder, safeName));
    } catch (error) {
      if (isCode(error, 'ENOENT')) return 'kept';
      this.#rejected = undefined;
      return 'stays';
    }
    rejected.push(safeName);
    if (rejected.length <= maxRejected) return 'kept';
    await unlink(join(folder, rejected.shift()!)).catch(() => undefined);
    return 'instead';
  }

  /** Deletes files that were begun long ago. @returns how many there were */
  async clean(unfinished: readonly string[], nowMs: number): Promise<number> {
    const old = await inLanes(unfinished, fileLanes, async (name) => {
      const stats = await lstat(join(this.path, name)).catch(() => undefined);
      if (stats === undefined || stats.isDirectory() || nowMs - stats.mtimeMs < abandonedAfterMs) return false;
      return await this.remove(name);
    });
    return old.filter(Boolean).length;
  }

  async #examine(name: string, folder: Stats): Promise<WaitingFile | undefined> {
    let stats: Stats;
    try {
      stats = await lstat(join(this.path, name));
    } catch (error) {
      if (isCode(error, 'ENOENT')) return undefined;
      throw error;
    }
    // A folder is nothing that a hook leaves, and nobody's event.
    if (stats.isDirectory()) return undefined;
    const isForeign = !stats.isFile() || !mayWrite(stats, folder);
    const isTooLong = stats.size > maxHookFileOctets;
    return { name, writtenAtMs: stats.mtimeMs, fault: isForeign ? 'foreign-file' : isTooLong ? 'too-long' : undefined };
  }
}

const ourUid = process.getuid?.() ?? 0;

/** Whether the owner is one who may write into the folder: root, this user, its owner, or its group where that may write. */
function mayWrite(file: Stats, folder: Stats): boolean {
  if (file.uid === 0 || file.uid === ourUid || file.uid === folder.uid) return true;
  return (folder.mode & constants.S_IWGRP) !== 0 && file.gid === folder.gid;
}

/** By time; of files of one moment that of the earlier process first, which its number says for most of the time. */
function byTime(one: WaitingFile, other: WaitingFile): number {
  return (
    one.writtenAtMs - other.writtenAtMs ||
    Number.parseInt(one.name, 10) - Number.parseInt(other.name, 10) ||
    (one.name < other.name ? -1 : 1)
  );
}

async function oldestFirst(folder: string): Promise<string[]> {
  const names = await readdir(folder);
  const files = await inLanes(names, fileLanes, async (name) => ({
    name,
    atMs: (await lstat(join(folder, name)).catch(() => undefined))?.mtimeMs ?? 0,
  }));
  return files.sort((one, other) => one.atMs - other.atMs).map(({ name }) => name);
}

function isCode(error: unknown, ...codes: readonly string[]): boolean {
  return error instanceof Error && 'code' in error && codes.includes(String(error.code));
}
