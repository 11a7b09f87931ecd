/**
 * What a NAS has beside what it should have. Enters: entries that it lists, and places where entries are wanted. Leaves: findings, each with what mends it.
 * Invariants: what commands are under way about is left to them; only an entry with our mark, one that we may have put there or an adopted
 * one is ever taken away; the same lists give the same findings in the same order. Pure.
 */
import { mayHold } from './known-service.js';
import type { KnownService, PresentService, ServiceState } from './service-state.js';

/** What a listing says of the policy of an entry; what it does not say is not compared. */
export interface ListedPolicy {
  /** Whether the entry itself is there, where a NAS lists other things of a subscriber too. */
  readonly added?: boolean;
  readonly blocked?: boolean;
  readonly redirect?: boolean;
  readonly ownDisabled?: boolean;
  /** bit/s; null: unlimited. */
  readonly downBps?: number | null;
  readonly upBps?: number | null;
}

/** One entry that a NAS lists. */
export interface ListedPlace {
  /** The number in our mark; null: it has none. */
  readonly subscriberId: number | null;
  /** IPv4, dotted. */
  readonly address: string | null;
  /** How the NAS shows it. */
  readonly text: string;
  readonly policy?: ListedPolicy | undefined;
}

/** A place of ours on this NAS, as it stood before the NAS was asked. A subscriber with several leases has several, the first made first. */
export interface WantedPlace {
  readonly enforcementId: number;
  readonly generation: number;
  readonly subscriberId: number;
  readonly login: string;
  readonly desired: ServiceState | null;
  readonly known: KnownService;
  /** Commands are under way or waiting, so that a difference is no news. */
  readonly isInHand: boolean;
}

/** A subscriber of whom there is no place on this NAS. */
export interface MarkedSubscriber {
  readonly subscriberId: number;
  readonly login: string;
  readonly deleted: boolean;
  /** The NAS that it is bound to. */
  readonly nasName: string | null;
}

/** Everything that a listing is compared with. */
export interface ReconcileInput {
  readonly listed: readonly ListedPlace[];
  readonly wanted: readonly WantedPlace[];
  /** By subscriber: those whose marks are listed without a place of theirs. */
  readonly marked: ReadonlyMap<number, MarkedSubscriber>;
  /** Addresses of entries without our mark that somebody has adopted. */
  readonly adopted: ReadonlySet<string>;
  /** Whether whoever may not use the service is not listed at all. */
  readonly onlyServed: boolean;
}

/** In the order in which they are mended: what gives first. */
export const findingKinds = ['missing', 'wrong-policy', 'moved', 'duplicate-address', 'left-over', 'unknown'] as const;

/**
 * missing: it is not listed. wrong-policy: it is, with other flags or another rate. moved: it is listed under another address, or where the subscriber
 * was before. duplicate-address: it stands at the address of somebody else. left-over: it has our mark and nobody wants it. unknown: it is somebody
 * else's, and stays unless it was adopted.
 */
export type FindingKind = (typeof findingKinds)[number];

/** What mends it. */
export type Mend =
  /** Everything is said about the place again. */
  | { readonly by: 'saying-again'; readonly enforcementId: number; readonly generation: number }
  /** Something of the subscriber may be under this address: its NAS is told to remove it. */
  | {
      readonly by: 'clearing';
      readonly subscriberId: number;
      /** Of the place on this NAS; null: there is none yet. */
      readonly place: { readonly enforcementId: number; readonly generation: number } | null;
      readonly login: string;
      readonly address: string;
    }
  /** It belongs to no subscriber of this database. */
  | {
      readonly by: 'removing';
      readonly mark: number | null;
      readonly address: string | null;
      readonly text: string;
    }
  | { readonly by: 'nobody' };

export interface Finding {
  readonly kind: FindingKind;
  readonly subscriberId: number | null;
  readonly login: string | null;
  /** Where it is listed, or wanted when it is missing. */
  readonly address: string | null;
  /** In a few words, for people. */
  readonly text: string;
  readonly mend: Mend;
}

/** Entries or places after which whoever compares may do something else: less than a millisecond. */
const SLICE = 500;

/** Compares what a NAS lists with what is wanted there. */
export function classify(input: ReconcileInput): Finding[] {
  const work = classifying(input);
  for (;;) {
    const step = work.next();
    if (step.done === true) return step.value;
  }
}

/** The same in slices, for lists of a hundred thousand: each step is short, and the last one has the findings. */
export function* classifying(input: ReconcileInput): Generator<undefined, Finding[]> {
  const { wanted, onlyServed } = input;
  const places = new Map<number, [WantedPlace, ...WantedPlace[]]>();
  const byAddress = new Map<string, WantedPlace>();
  const possible = new Set<string>();
  const findings = new Map<FindingKind, Finding[]>(findingKinds.map((kind) => [kind, []]));
  const note = (finding: Finding): void => void findings.get(finding.kind)?.push(finding);
  for (const [index, place] of wanted.entries()) {
    if (index % SLICE === 0) yield;
    const own = places.get(place.subscriberId);
    if (own === undefined) places.set(place.subscriberId, [place]);
    else own.push(place);
    for (const state of mayHold(place.known))
      if (state.present && state.key.address !== null) possible.add(state.key.address);
    const address = place.desired?.present === true ? place.desired.key.address : null;
    if (address === null) continue;
    const other = byAddress.get(address);
    if (other === undefined) byAddress.set(address, place);
    else note(sharedAddress(place, other, address));
  }
  // What a NAS has several lists for is one entry.
  const compared = new Set<string>();
  const seen = new Set<number>();
  let hasUnmarked = false;
  for (const [index, entry] of input.listed.entries()) {
    if (index % SLICE === 0) yield;
    if (entry.subscriberId === null) hasUnmarked = true;
    const identity = `${String(entry.subscriberId)} ${String(entry.address)}`;
    if (compared.has(identity)) continue;
    compared.add(identity);
    const place = placeOf(entry, places, byAddress);
    if (place !== undefined) seen.add(place.enforcementId);
    const finding =
      place === undefined ? strayFinding(entry, input, byAddress, possible) : placeFinding(entry, place, byAddress);
    if (finding !== undefined) note(finding);
    else if (place !== undefined) policyFindings(entry, place, onlyServed).forEach(note);
  }
  for (const [index, place] of wanted.entries()) {
    if (index % SLICE === 0) yield;
    const finding = seen.has(place.enforcementId) ? undefined : missingFinding(place, onlyServed, hasUnmarked);
    if (finding !== undefined) note(finding);
  }
  return [...findings.values()].flat();
}

/** How many of each kind. */
export function countFindings(findings: readonly Finding[]): Readonly<Record<FindingKind, number>> {
  const counts = Object.fromEntries(findingKinds.map((kind) => [kind, 0])) as Record<FindingKind, number>;
  for (const { kind } of findings) counts[kind] += 1;
  return counts;
}

/** The findings that are mended in one run, the first of those that can be. */
export function withinLimit(
  findings: readonly Finding[],
  limit: number,
): { readonly mends: readonly Finding[]; readonly beyond: number } {
  const mendable = findings.filter(({ mend }) => mend.by !== 'nobody');
  return { mends: mendable.slice(0, limit), beyond: Math.max(0, mendable.length - limit) };
}

/** A state that a NAS may have under an address, of which nothing else is known. */
export function foundState(login: string, address: string): PresentService {
  return {
    present: true,
    key: { login, mac: null, address, framedPrefix: null, delegatedPrefix: null },
    blocked: false,
    redirect: false,
    ownDisabled: false,
    authorised: true,
    rate: { downBps: null, upBps: null },
    services: [],
  };
}

/** Whose an entry is: its mark says so, else its address. Of several places that one which is wanted there, else one that it may be left of. */
function placeOf(
  { subscriberId, address }: ListedPlace,
  places: ReadonlyMap<number, readonly [WantedPlace, ...WantedPlace[]]>,
  byAddress: ReadonlyMap<string, WantedPlace>,
): WantedPlace | undefined {
  if (subscriberId !== null) {
    const own = places.get(subscriberId);
    if (own === undefined || own.length === 1 || address === null) return own?.[0];
    return (
      own.find(({ desired }) => isAt(desired, address)) ??
      own.find(({ known }) => mayHold(known).some((state) => isAt(state, address))) ??
      own[0]
    );
  }
  return address === null ? undefined : byAddress.get(address);
}

function isAt(state: ServiceState | null, address: string): boolean {
  return state?.present === true && state.key.address === address;
}

/** An entry of a subscriber who has a place on this NAS; undefined: it is where it should be, or commands are under way. */
function placeFinding(
  { address, text }: ListedPlace,
  place: WantedPlace,
  byAddress: ReadonlyMap<string, WantedPlace>,
): Finding | undefined {
  const { desired, subscriberId, login } = place;
  if (place.isInHand || desired === null || address === null) return undefined;
  const wantedAddress = desired.present ? desired.key.address : null;
  if (desired.present && wantedAddress === address) return undefined;
  const holder = byAddress.get(address);
  const mend: Mend = { by: 'clearing', subscriberId, place: identityOf(place), login, address };
  const finding = { subscriberId, login, address, mend };
  if (holder !== undefined && holder.subscriberId !== subscriberId)
    return { ...finding, kind: 'duplicate-address', text: `it is the address of ${holder.login}` };
  if (desired.present) return { ...finding, kind: 'moved', text: `it should be at ${wantedAddress ?? 'no address'}` };
  return { ...finding, kind: 'left-over', text };
}

/** An entry without a place on this NAS. */
function strayFinding(
  { subscriberId, address, text }: ListedPlace,
  { marked, adopted }: ReconcileInput,
  byAddress: ReadonlyMap<string, WantedPlace>,
  possible: ReadonlySet<string>,
): Finding | undefined {
  const bare = { subscriberId, address };
  if (subscriberId === null) {
    // One that we may have put there is known to its place, which is about to take it away.
    if (address === null || possible.has(address)) return undefined;
    const isOurs = adopted.has(address);
    const mend: Mend = isOurs ? { by: 'removing', mark: null, address, text } : { by: 'nobody' };
    return { ...bare, kind: 'unknown', login: null, text: isOurs ? `adopted: ${text}` : text, mend };
  }
  const subscriber = marked.get(subscriberId);
  if (subscriber === undefined) {
    const removing: Mend = { by: 'removing', mark: subscriberId, address, text };
    // A removal by address would take the other one's entry with it.
    const isSafe = address === null || !byAddress.has(address);
    return {
      ...bare,
      kind: isSafe ? 'left-over' : 'duplicate-address',
      login: null,
      text: `no subscriber has the number ${String(subscriberId)}`,
      mend: isSafe ? removing : { by: 'nobody' },
    };
  }
  const { login, deleted, nasName } = subscriber;
  const mend: Mend =
    address === null ? { by: 'nobody' } : { by: 'clearing', subscriberId, place: null, login, address };
  const holder = address === null ? undefined : byAddress.get(address);
  const finding = { ...bare, login, mend };
  if (holder !== undefined)
    return { ...finding, kind: 'duplicate-address', text: `it is the address of ${holder.login}` };
  if (!deleted && nasName !== null) return { ...finding, kind: 'moved', text: `it belongs to ${nasName}` };
  return {
    ...finding,
    kind: 'left-over',
    text: deleted ? 'the subscriber is deleted' : 'nothing of it is wanted here',
  };
}

function policyFindings({ policy, address }: ListedPlace, place: WantedPlace, onlyServed: boolean): Finding[] {
  const { desired, subscriberId, login, isInHand } = place;
  if (isInHand || desired?.present !== true) return [];
  const differs = onlyServed && !isServed(desired) ? ['it may pass'] : policyDifferences(policy ?? {}, desired);
  if (differs.length === 0) return [];
  const mend: Mend = { by: 'saying-again', ...identityOf(place) };
  return [{ kind: 'wrong-policy', subscriberId, login, address, text: differs.join(', '), mend }];
}

function isServed({ blocked, redirect, ownDisabled }: PresentService): boolean {
  return !blocked && !redirect && !ownDisabled;
}

/** What an entry has otherwise than desired, each in a few words. */
export function policyDifferences(policy: ListedPolicy, desired: PresentService): string[] {
  const flag = (name: string, has: boolean | undefined, wants: boolean): string[] =>
    has === undefined || has === wants ? [] : [`${wants ? 'not ' : ''}${name}`];
  const rate = (name: string, has: number | null | undefined, wants: number | null): string[] =>
    has === undefined || isSameRate(has, wants) ? [] : [`${name} ${bps(has)} instead of ${bps(wants)}`];
  return [
    ...flag('added', policy.added, true),
    ...flag('blocked', policy.blocked, desired.blocked),
    ...flag('voluntarily blocked', policy.ownDisabled, desired.ownDisabled),
    ...flag('redirected', policy.redirect, desired.redirect),
    ...rate('down', policy.downBps, desired.rate.downBps),
    ...rate('up', policy.upBps, desired.rate.upBps),
  ];
}

/** What NASes round away: tc shows the first four digits of a rate. Nobody sells rates that are closer. */
const ROUNDED_SHARE = 0.002;

function isSameRate(has: number | null, wants: number | null): boolean {
  if (has === null || wants === null) return has === wants;
  return Math.abs(has - wants) <= Math.max(has, wants) * ROUNDED_SHARE;
}

function bps(rate: number | null): string {
  return rate === null ? 'unlimited' : `${String(rate)} bit/s`;
}

function missingFinding(place: WantedPlace, onlyServed: boolean, hasUnmarked: boolean): Finding | undefined {
  const { desired, isInHand, subscriberId, login } = place;
  if (isInHand || desired?.present !== true) return undefined;
  if (onlyServed && !isServed(desired)) return undefined;
  const { address } = desired.key;
  // Whoever is listed without a mark and has no address cannot be told from somebody who is missing.
  if (address === null && hasUnmarked) return undefined;
  const mend: Mend = { by: 'saying-again', ...identityOf(place) };
  return { kind: 'missing', subscriberId, login, address, text: 'it is not listed', mend };
}

/** Two subscribers are wanted at one address: only the database can say whose it is. */
function sharedAddress({ subscriberId, login }: WantedPlace, other: WantedPlace, address: string): Finding {
  const text = `the database wants ${other.login} there too`;
  return { kind: 'duplicate-address', subscriberId, login, address, text, mend: { by: 'nobody' } };
}

function identityOf({ enforcementId, generation }: WantedPlace): { enforcementId: number; generation: number } {
  return { enforcementId, generation };
}
