/**
 * Lease files as one state.
 *
 * Enters: names of files. Leaves: the newest entry of each address, and errors by line. Invariants: of a file the last entry of an address counts, of several
 * files the newest; what cannot be read speaks for nobody, so that an address is not given by an older entry either.
 */
import { open } from 'node:fs/promises';
import { basename } from 'node:path';
import type { Readable } from 'node:stream';
import { IscLeaseFile } from '../dhcp/isc-lease-file.js';
import { KeaLeaseFile } from '../dhcp/kea-lease-file.js';
import type { FiledLease, LeaseFileItem, LeaseFileReader } from '../dhcp/lease-file.js';
import { fileLines, LONGEST_LINE } from '../dhcp/lease-file-lines.js';
import { CommandError } from './command-error.js';

/** Addresses of one import: some 300 octets each are kept. */
const mostAddresses = 4_000_000;

interface Held {
  readonly lease: FiledLease;
  readonly file: string;
}

/** Told for each line that cannot be read. */
export type TellLine = (file: string, line: number, address: string | null, problem: string) => void;

/** What the files say. */
export class FiledLeases {
  entries = 0;
  private readonly held = new Map<string, Held>();

  constructor(
    private readonly nowMs: number,
    private readonly tell: TellLine,
  ) {}

  /** Distinct addresses. */
  get addresses(): number {
    return this.held.size;
  }

  /** The newest entry of each address. */
  *leases(): Generator<FiledLease> {
    for (const { lease } of this.held.values()) yield lease;
  }

  /** @throws what opening and reading the file throws; CommandError when it is beyond all bounds */
  async read(file: string, format: 'isc' | 'kea' | undefined, stdin: Readable): Promise<void> {
    const input: Readable = file === '-' ? stdin : (await open(file)).createReadStream();
    let reader: LeaseFileReader | undefined;
    try {
      for await (const lines of fileLines(input as AsyncIterable<Buffer | string>))
        for (const { line, text } of lines) {
          if (reader === undefined && text?.trim() === '') continue;
          reader ??= this.readerOf(format ?? (text?.startsWith('address,') === true ? 'kea' : 'isc'));
          const items =
            text === null ? reader.skip(line, `is longer than ${String(LONGEST_LINE)} octets`) : reader.add(text, line);
          for (const item of items) this.keep(file, item);
        }
      for (const item of reader?.end() ?? []) this.keep(file, item);
    } finally {
      input.destroy();
    }
  }

  private readerOf(format: 'isc' | 'kea'): LeaseFileReader {
    return format === 'kea' ? new KeaLeaseFile(this.nowMs) : new IscLeaseFile(this.nowMs);
  }

  private keep(file: string, item: LeaseFileItem): void {
    if ('problem' in item) {
      this.tell(file, item.line, item.address, item.problem);
      if (item.address !== null) this.held.delete(item.address);
      return;
    }
    this.entries += 1;
    const { lease } = item;
    const before = this.held.get(lease.address);
    if (before === undefined && this.held.size >= mostAddresses)
      throw new CommandError(`there are more than ${String(mostAddresses)} addresses`, 'import in parts');
    const isOlder =
      before !== undefined &&
      before.file !== file &&
      before.lease.atMs !== null &&
      (lease.atMs === null || lease.atMs < before.lease.atMs);
    if (!isOlder) this.held.set(lease.address, { lease, file });
  }
}

/** Files that Kea's cleanup and dhcpd leave beside the newest one are older than it, in whatever order a shell lists them. */
export function oldestFirst(files: readonly string[]): string[] {
  const rank = (file: string): number =>
    /\.(?:2|output|completed)$|~$/u.test(basename(file)) ? 0 : /\.1$/u.test(file) ? 1 : 2;
  return [...files].sort((one, other) => rank(one) - rank(other));
}
