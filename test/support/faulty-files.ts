/**
 * A disk in memory that behaves as badly as POSIX allows. Enters: the file calls of the spool, and a plan of faults. Leaves:
 * what a process sees (the page cache), and after `powerLoss` what a disk may really have kept. Invariant: bytes and names
 * that a sync which returned well made durable are always kept; everything else is kept, lost, torn or garbled at random.
 *
 * A sync that fails leaves its blocks readable and clean: a later sync that succeeds says nothing about them, as on Linux.
 */

import { basename, dirname } from 'node:path';
import type { FileLayer, OpenFile, OpenMode } from '../../src/spool/file-layer.js';
import { SpoolLockedError } from '../../src/spool/folder-lock.js';

export type FileCall =
  | 'open'
  | 'write'
  | 'read'
  | 'size'
  | 'syncData'
  | 'truncate'
  | 'close'
  | 'rename'
  | 'unlink'
  | 'syncDirectory'
  | 'readDirectory'
  | 'makeDirectory'
  | 'lockDirectory';

/** What a call does instead of its work; `short` writes a part and reports it. `undefined` lets it through. */
export type Fault = 'EIO' | 'ENOSPC' | 'short' | undefined;

/** A small seeded generator (xorshift32), so that a run is repeated by its seed alone. */
export function seededRandom(seed: number): () => number {
  let state = (Math.imul(seed, 0x9e3779b1) ^ 0x6a09e667) >>> 0 || 1;
  return () => {
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    state >>>= 0;
    return state / 2 ** 32;
  };
}

const sectorBytes = 512;

/** One inode: the cached bytes, the durable bytes, and which sectors of the cache the disk does not have. */
class Inode {
  cached = Buffer.alloc(0);
  durable = Buffer.alloc(0);
  readonly dirty = new Set<number>();
  /** Sectors whose write-back failed: readable, clean, and not on the disk. */
  readonly lost = new Set<number>();

  write(bytes: Buffer, offset: number): void {
    const end = offset + bytes.length;
    if (end > this.cached.length) {
      const grown = Buffer.alloc(end);
      this.cached.copy(grown);
      this.cached = grown;
    }
    bytes.copy(this.cached, offset);
    for (let sector = Math.floor(offset / sectorBytes); sector * sectorBytes < end; sector += 1) {
      this.dirty.add(sector);
      this.lost.delete(sector);
    }
  }

  read(target: Buffer, offset: number): number {
    return offset >= this.cached.length ? 0 : this.cached.copy(target, 0, offset);
  }

  truncate(length: number): void {
    this.cached = Buffer.from(this.cached.subarray(0, length));
    for (const sectors of [this.dirty, this.lost]) {
      for (const sector of sectors) if (sector * sectorBytes >= length) sectors.delete(sector);
    }
  }

  sync(): void {
    const next = Buffer.alloc(this.cached.length);
    this.cached.copy(next);
    for (const sector of this.lost) this.#keepOld(next, sector);
    this.durable = next;
    this.dirty.clear();
  }

  /** A sync that failed: some sectors arrived, the others are gone for good unless they are written again. */
  failSync(random: () => number): void {
    for (const sector of this.dirty) {
      if (random() < 0.5) this.lost.add(sector);
      else this.#arrive(sector);
    }
    this.dirty.clear();
  }

  /** Only what reached the disk is left, and of what was on its way, anything. */
  losePower(random: () => number): void {
    for (const sector of this.dirty) {
      const fate = random();
      if (fate < 0.35) this.#arrive(sector);
      else if (fate < 0.5) this.#garble(sector, random);
    }
    if (this.cached.length < this.durable.length && random() < 0.5) {
      this.durable = this.durable.subarray(0, this.cached.length);
    }
    this.durable = Buffer.from(this.durable);
    this.cached = Buffer.from(this.durable);
    this.dirty.clear();
    this.lost.clear();
  }

  #arrive(sector: number): void {
    const start = sector * sectorBytes;
    const bytes = this.cached.subarray(start, start + sectorBytes);
    this.#growDurable(start + bytes.length);
    bytes.copy(this.durable, start);
  }

  /** An interrupted write: a prefix of the new bytes, then noise. Sectors that held durable bytes are written whole. */
  #garble(sector: number, random: () => number): void {
    const start = sector * sectorBytes;
    if (start < this.durable.length) return;
    const bytes = Buffer.from(this.cached.subarray(start, start + sectorBytes));
    const kept = Math.floor(random() * bytes.length);
    for (let index = kept; index < bytes.length; index += 1) bytes[index] = Math.floor(random() * 256);
    this.#growDurable(start + bytes.length);
    bytes.copy(this.durable, start);
  }

  #keepOld(next: Buffer, sector: number): void {
    const start = sector * sectorBytes;
    next.fill(0, start, start + sectorBytes);
    if (start < this.durable.length) this.durable.copy(next, start, start, start + sectorBytes);
  }

  #growDurable(length: number): void {
    if (length <= this.durable.length) return;
    const grown = Buffer.alloc(length);
    this.durable.copy(grown);
    this.durable = grown;
  }
}

interface Directory {
  readonly cached: Map<string, Inode>;
  durable: Map<string, Inode>;
}

class FaultError extends Error {
  constructor(
    readonly code: string,
    call: string,
    path: string,
  ) {
    super(`${code}: ${call} ${path}`);
  }
}

/** The disk, which outlives the processes that mount it. */
export class FaultyDisk {
  /** Asked before every call; any call can be made to fail. */
  fault: (call: FileCall, path: string) => Fault = () => undefined;
  /** Bytes that the files may take together. */
  capacityBytes = Infinity;
  /** The same for reads, by the bytes that they touch: a bad sector. */
  readFault: (path: string, offset: number, length: number) => Fault = () => undefined;
  /** What each call waits for before it does its work: a disk that hangs. */
  hold: ((call: FileCall, path: string) => Promise<void>) | undefined;
  /** Called after each call that went well. */
  onCall: (call: FileCall, path: string) => void = () => undefined;

  readonly #random: () => number;
  readonly #directories = new Map<string, Directory>();
  readonly #locks = new Set<string>();
  #life = 0;

  constructor(random: () => number = seededRandom(1)) {
    this.#random = random;
  }

  /** The file calls of one process. After `kill` or `powerLoss` they neither work nor return any more. */
  mount(): FileLayer {
    const life = this.#life;
    /** Lets other work in first, as a thread pool does; then the fault or the work. */
    const call = async <T>(name: FileCall, path: string, work: (fault: Fault) => T, failWork?: () => void) => {
      await this.hold?.(name, path);
      await Promise.resolve();
      if (life !== this.#life) return new Promise<T>(() => undefined);
      const fault = this.fault(name, path);
      // The hook may have pulled the plug.
      if (life !== this.#life) return new Promise<T>(() => undefined);
      if (fault !== undefined && fault !== 'short') {
        failWork?.();
        throw new FaultError(fault, name, path);
      }
      const result = work(fault);
      this.onCall(name, path);
      return result;
    };
    const file = (path: string, inode: Inode): OpenFile => ({
      write: (bytes, offset) =>
        call(
          'write',
          path,
          (fault) => {
            const room = this.capacityBytes - this.#usedBytes() + Math.max(0, inode.cached.length - offset);
            if (room <= 0) throw new FaultError('ENOSPC', 'write', path);
            const wanted = fault === 'short' ? Math.ceil(bytes.length * this.#random()) : bytes.length;
            const written = Math.min(wanted, room);
            inode.write(bytes.subarray(0, written), offset);
            return written;
          },
          // A write that fails may have taken some of its bytes all the same.
          () => inode.write(bytes.subarray(0, Math.floor(bytes.length * this.#random())), offset),
        ),
      read: (bytes, offset) =>
        call('read', path, () => {
          const fault = this.readFault(path, offset, bytes.length);
          if (fault !== undefined) throw new FaultError(fault, 'read', path);
          return inode.read(bytes, offset);
        }),
      size: () => call('size', path, () => inode.cached.length),
      syncData: () =>
        call(
          'syncData',
          path,
          () => inode.sync(),
          () => inode.failSync(this.#random),
        ),
      truncate: (length) => call('truncate', path, () => inode.truncate(length)),
      close: () => call('close', path, () => undefined),
    });
    return {
      open: (path, mode) => call('open', path, () => file(path, this.#openInode(path, mode))),
      rename: (from, to) =>
        call('rename', to, () => {
          const { cached } = this.#directory(dirname(from));
          const inode = cached.get(basename(from));
          if (inode === undefined) throw new FaultError('ENOENT', 'rename', from);
          cached.delete(basename(from));
          cached.set(basename(to), inode);
        }),
      unlink: (path) =>
        call('unlink', path, () => {
          if (!this.#directory(dirname(path)).cached.delete(basename(path))) {
            throw new FaultError('ENOENT', 'unlink', path);
          }
        }),
      syncDirectory: (path) =>
        call('syncDirectory', path, () => {
          const directory = this.#directory(path);
          directory.durable = new Map(directory.cached);
        }),
      readDirectory: (path) => call('readDirectory', path, () => [...this.#directory(path).cached.keys()]),
      makeDirectory: (path) =>
        call('makeDirectory', path, () => {
          if (!this.#directories.has(path)) this.#directories.set(path, { cached: new Map(), durable: new Map() });
        }),
      lockDirectory: (path) =>
        call('lockDirectory', path, () => {
          if (this.#locks.has(path)) throw new SpoolLockedError(path);
          this.#locks.add(path);
          return {
            release: async () => {
              if (life === this.#life) this.#locks.delete(path);
            },
          };
        }),
    };
  }

  /** The process dies. What it wrote stays in the page cache. */
  kill(): void {
    this.#life += 1;
    this.#locks.clear();
  }

  /** The process dies and so does the machine: what was not synced is kept, lost, torn or garbled. */
  powerLoss(): void {
    this.kill();
    for (const directory of this.#directories.values()) {
      const names = new Set([...directory.cached.keys(), ...directory.durable.keys()]);
      for (const name of names) {
        const before = directory.durable.get(name);
        const after = directory.cached.get(name);
        const kept = before === after || this.#random() < 0.5 ? after : before;
        if (kept === undefined) directory.durable.delete(name);
        else directory.durable.set(name, kept);
      }
      for (const inode of new Set(directory.durable.values())) inode.losePower(this.#random);
      directory.cached.clear();
      for (const [name, inode] of directory.durable) directory.cached.set(name, inode);
    }
  }

  /** The names in a folder and their bytes as a process sees them. Changing the bytes damages the cache, not the disk. */
  contents(path: string): Map<string, Buffer> {
    return new Map([...this.#directory(path).cached].map(([name, inode]) => [name, inode.cached]));
  }

  /** The bytes that a power loss cannot take from the file; undefined when it can take the file. */
  durableBytes(path: string): Buffer | undefined {
    return this.#directory(dirname(path)).durable.get(basename(path))?.durable;
  }

  /** Puts a file on the disk, durable at once, in the place of one that has its name. */
  place(path: string, bytes: Buffer): void {
    const inode = new Inode();
    inode.write(bytes, 0);
    inode.sync();
    const directory = this.#directory(dirname(path));
    directory.cached.set(basename(path), inode);
    directory.durable.set(basename(path), inode);
  }

  /** Takes a file off the disk, durably. */
  remove(path: string): void {
    const directory = this.#directory(dirname(path));
    directory.cached.delete(basename(path));
    directory.durable.delete(basename(path));
  }

  #openInode(path: string, mode: OpenMode): Inode {
    const { cached } = this.#directory(dirname(path));
    const existing = cached.get(basename(path));
    if (mode !== 'create') {
      if (existing === undefined) throw new FaultError('ENOENT', 'open', path);
      return existing;
    }
    if (existing !== undefined) throw new FaultError('EEXIST', 'open', path);
    const inode = new Inode();
    cached.set(basename(path), inode);
    return inode;
  }

  #usedBytes(): number {
    let used = 0;
    for (const { cached } of this.#directories.values())
      for (const inode of cached.values()) used += inode.cached.length;
    return used;
  }

  #directory(path: string): Directory {
    const directory = this.#directories.get(path);
    if (directory === undefined) throw new FaultError('ENOENT', 'open', path);
    return directory;
  }
}
