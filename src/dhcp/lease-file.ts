/**
 * What a lease file of a DHCP server says of one address. Enters: the lines of a file, one by one. Leaves: entries in their order, and lines that cannot be
 * read. Invariants: nothing throws for any content; of a file no more than one entry is held; a file is read to its end, whatever stands in it.
 */
import type { LineEvidence } from '../domain/lease-event.js';
import { earliestMs, isPlausible } from './told-lease.js';

/** One entry. Of an address the last one counts. */
export interface FiledLease {
  /** IPv4, dotted. */
  readonly address: string;
  /** Canonical; null: it has none, or none of Ethernet. */
  readonly mac: string | null;
  readonly line: LineEvidence | null;
  /** When the client and the server last spoke of it; null: the entry does not tell. */
  readonly atMs: number | null;
  /** `never` is 136 years: what 4294967295 seconds are (RFC 2131 §3.3). null: the entry does not tell. */
  readonly endsAtMs: number | null;
  /** Whether it is somebody's, as far as the file goes: its end may be past. */
  readonly isGiven: boolean;
}

/** An entry; or why a line cannot be read, and the address that it is about, as far as that is known. Lines count from 1. */
export type LeaseFileItem =
  | { readonly line: number; readonly lease: FiledLease }
  | { readonly line: number; readonly problem: string; readonly address: string | null };

/** Reads one file. */
export interface LeaseFileReader {
  /** @param text a line without its end, one character for each octet */
  add(text: string, line: number): readonly LeaseFileItem[];
  /** A line that is too long to be one. */
  skip(line: number, problem: string): readonly LeaseFileItem[];
  /** Nothing follows. */
  end(): readonly LeaseFileItem[];
}

/** RFC 2131 §3.3: a lease without end, seconds. */
export const ENDLESS_SECONDS = 0xffff_ffff;

/** What makes a given lease unusable; undefined: nothing does. */
export function timeProblem(atMs: number | null, endsAtMs: number | null, nowMs: number): string | undefined {
  if (atMs === null) return 'does not say since when the lease is given';
  if (endsAtMs === null) return 'does not say until when the lease is given';
  if (atMs < earliestMs) return 'is of a time before DHCP servers had clocks';
  if (!isPlausible(atMs, nowMs)) return 'is of a time that is still to come: compare the clocks';
  return endsAtMs < atMs ? 'ends before it begins' : undefined;
}
