/**
 * An open row of radacct as accounting facts.
 *
 * Enters: a row as FreeRADIUS wrote it, and the NAS that it belongs to. Leaves: the Start and the last update that the NAS
 * must have sent for it, or why the row says too little. Invariant: the facts are the ones that the packets themselves would
 * have made, so that later packets of the session find it; folding them twice changes nothing. Pure.
 */
import type { SessionFact } from './accounting-fact.js';
import { formatIpv4Address, parseIpv4Address } from './ipv4-address.js';
import { parseMacAddress, ZERO_MAC_ADDRESS } from './mac-address.js';

/** A row of radacct; columns that a schema lacks are null. Times are ms since 1970. */
export interface OpenAccounting {
  readonly id: string;
  readonly acctSessionId: string;
  readonly login: string;
  readonly nasAddress: string;
  readonly nasPortId: string | null;
  readonly startedAtMs: number | null;
  readonly updatedAtMs: number | null;
  readonly sessionSeconds: number | null;
  readonly inputOctets: number | null;
  readonly outputOctets: number | null;
  readonly calledStation: string | null;
  readonly callingStation: string | null;
  readonly address: string | null;
}

/** The NAS as its own packets name it. */
export interface AccountingNas {
  readonly nasName: string;
  readonly nasBox: string;
  readonly routingDomain: string;
}

export type OpenAccountingFacts =
  { readonly ok: true; readonly facts: readonly SessionFact[] } | { readonly ok: false; readonly problem: string };

/** A clock of a database that runs ahead by more than this tells times that cannot be used, ms. */
const longestAheadMs = 3_600_000;

/**
 * The facts of one row.
 *
 * @param nowMs ms since 1970; nothing is taken to have happened later
 */
export function openAccountingFacts(row: OpenAccounting, nas: AccountingNas, nowMs: number): OpenAccountingFacts {
  if (row.acctSessionId === '') return { ok: false, problem: 'has no acctsessionid' };
  const seconds = row.sessionSeconds ?? 0;
  const startMs = row.startedAtMs ?? (row.updatedAtMs === null ? null : row.updatedAtMs - seconds * 1000);
  if (startMs === null) return { ok: false, problem: 'has no acctstarttime' };
  if (startMs > nowMs + longestAheadMs) return { ok: false, problem: 'begins in the future' };
  const startedAtMs = Math.min(startMs, nowMs);
  // Old schemas keep no time of the last update; the session time tells it.
  const seenAtMs = Math.min(Math.max(row.updatedAtMs ?? startedAtMs + seconds * 1000, startedAtMs), nowMs);
  const address = row.address === null ? undefined : parseIpv4Address(row.address);
  const mac = row.callingStation === null ? undefined : parseMacAddress(row.callingStation);
  const shared = {
    ...nas,
    acctSessionId: row.acctSessionId,
    login: row.login,
    mac: mac === undefined || mac === ZERO_MAC_ADDRESS ? null : mac,
    callingStation: row.callingStation,
    calledStation: row.calledStation,
    nasPortId: row.nasPortId,
    // Where its packets come from is learnt from the first one.
    nasAddress: null,
    address: address === undefined || address === 0 || address >= 0xffff_fffe ? null : formatIpv4Address(address),
    framedPrefix: null,
    delegatedPrefix: null,
    interfaceId: null,
    class: null,
    terminateCause: null,
    delayDeclared: false,
  };
  const start: SessionFact = {
    ...shared,
    status: 'start',
    receivedAtMs: startedAtMs,
    eventAtMs: startedAtMs,
    sessionSeconds: null,
    input: null,
    output: null,
  };
  if (seenAtMs === startedAtMs && seconds === 0) return { ok: true, facts: [start] };
  const update: SessionFact = {
    ...shared,
    status: 'interim',
    receivedAtMs: seenAtMs,
    eventAtMs: seenAtMs,
    sessionSeconds: row.sessionSeconds ?? Math.floor((seenAtMs - startedAtMs) / 1000),
    // FreeRADIUS has put the Gigawords in already.
    input: row.inputOctets === null ? null : { octets: row.inputOctets, gigawords: true },
    output: row.outputOctets === null ? null : { octets: row.outputOctets, gigawords: true },
  };
  return { ok: true, facts: [start, update] };
}
