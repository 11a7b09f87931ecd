/**
 * What a user of FreeRADIUS is in our words.
 *
 * Enters: the stanzas of one user, and those of his groups. Leaves: login, stored password, address, bindings, block, plan,
 * and everything that has no counterpart. Invariants: a total function; whoever FreeRADIUS would refuse is blocked with a
 * reason; what is not carried over is told, item by item; passwords occur in `password` alone. Pure.
 */
import { formatIpv4Address, parseIpv4Address } from './ipv4-address.js';
import { attributeKey, resolveItems } from './freeradius-item.js';
import type { AppliedItem, FallThroughDefault, ResolvedItems, Stanza } from './freeradius-item.js';
import { isPasswordAttribute, mapPassword, passwordAttributes } from './freeradius-password.js';
import { readRate } from './freeradius-rate.js';
import type { MappedRates } from './freeradius-rate.js';
import { parseMacAddress } from './mac-address.js';
import { formatRate } from './rate.js';

/** A plan as the items describe it. */
export interface MappedPlan {
  readonly name: string;
  /** bit/s; null: no limit. */
  readonly rateDownBps: number | null;
  readonly rateUpBps: number | null;
  readonly poolName: string | null;
  readonly sessionLimit: number;
}

/** A user as a subscriber. */
export interface MappedUser {
  readonly login: string;
  /** A stored form; null: none that we could use. */
  readonly password: string | null;
  /** Dotted. */
  readonly staticAddress: string | null;
  /** His own pool, in place of the plan's. */
  readonly poolName: string | null;
  /** Canonical; the subscriber is bound to it. */
  readonly mac: string | null;
  /** Name of the NAS that he is bound to. */
  readonly nasName: string | null;
  /** Why FreeRADIUS refuses him; null: it does not. */
  readonly blockedReason: string | null;
  readonly plan: MappedPlan;
  readonly leftovers: readonly Leftover[];
}

/** An item without counterpart, or with only a part of one. */
export interface Leftover {
  readonly attribute: string;
  readonly place: 'check' | 'reply';
  readonly why: string;
  /** Attribute, operator and value as an example; of passwords without the value. */
  readonly example: string;
  readonly origin: string;
}

/** What mapping depends on besides the items. */
export interface MappingSettings {
  readonly fallThrough: FallThroughDefault;
  /** Sessions at once where Simultaneous-Use says nothing. */
  readonly defaultSessionLimit: number;
  readonly nowMs: number;
  /** Milliseconds since 1970 of a local date and time, `2027-01-31 23:59:59`; undefined when there is no such instant. */
  readonly instantOf: (local: string) => number | undefined;
  /** The entry in conf for a NAS-IP-Address or NAS-Identifier. */
  readonly nasNameOf: (addressOrIdentifier: string) => string | undefined;
}

/** Bounds of `plan.session_limit`. */
export const largestSessionLimit = 64;

/** `plan.name` holds this many characters. */
const longestPlanName = 100;

/** How our own blocks begin, so that a later import can lift them again and touches no other. */
export const blockReasonPrefix = 'FreeRADIUS: ';

/** The plan of users whose items say nothing of rates, pools and groups. */
const planWithoutGroup = 'freeradius';

/** The NAS chooses the address (RFC 2865 §5.8). */
const addressesThatAreNone: ReadonlySet<string> = new Set(['255.255.255.254', '255.255.255.255', '0.0.0.0']);

/** What a profile or a NAS entry sends by itself. */
const sentByProfile: ReadonlySet<string> = new Set(['service-type', 'framed-protocol', 'acct-interim-interval']);

/** Of one person, and with a column of its own: no profile can say it. */
const prefixColumns: Readonly<Record<string, string>> = {
  'framed-ipv6-prefix': 'static_framed_prefix',
  'delegated-ipv6-prefix': 'static_delegated_prefix',
};

/** Maps one user. @param stanzas in the order in which FreeRADIUS reads them */
export function mapUser(login: string, stanzas: readonly Stanza[], settings: MappingSettings): MappedUser {
  const resolved = resolveItems(stanzas, settings.fallThrough);
  const leftovers: Leftover[] = [];
  const leave = (item: AppliedItem, place: Leftover['place'], why: string) =>
    leftovers.push(leftover(item, place, why));
  for (const item of resolved.leftOut)
    leave(item, 'check', `a condition that is not carried over: ${item.stanza.origin} is not applied`);

  const offer = readOffer(resolved, leave);
  const checks = readChecks(resolved, settings, leave);
  const base = planBase(stanzas, resolved, settings);
  const group = { ...offer.rates, poolName: offer.groupPool, sessionLimit: checks.sessionLimit };
  return {
    login,
    password: checks.password,
    staticAddress: offer.staticAddress,
    poolName: offer.ownPool,
    mac: checks.mac,
    nasName: checks.nasName,
    blockedReason: checks.blockedReason,
    plan: { ...group, name: planName(base, group) },
    leftovers,
  };
}

type Leave = (item: AppliedItem, place: Leftover['place'], why: string) => void;
type PlanTuple = Omit<MappedPlan, 'name'>;

function leftover(item: AppliedItem, place: Leftover['place'], why: string): Leftover {
  const shown = isPasswordAttribute(attributeKey(item.attribute)) ? '…' : JSON.stringify(item.value.slice(0, 120));
  const example = `${item.attribute} ${item.operator} ${shown}`;
  return { attribute: item.attribute, place, why, example, origin: item.stanza.origin };
}

function readOffer(resolved: ResolvedItems, leave: Leave) {
  const rates: MappedRates = { downBps: undefined, upBps: undefined };
  let staticAddress: string | null = null;
  let ownPool: string | null = null;
  let groupPool: string | null = null;
  const later: AppliedItem[] = [];
  for (const item of resolved.replies) {
    const key = attributeKey(item.attribute);
    if (item.computed) leave(item, 'reply', 'worked out for each request');
    else if (key === 'framed-ip-address') staticAddress = addressOf(item, staticAddress, leave);
    else if (key === 'framed-pool' || isAddressPool(item)) {
      const name = poolNameOf(item);
      if (item.stanza.shared === undefined) ownPool ??= name;
      else groupPool ??= name;
    } else later.push(item);
  }
  for (const item of later) noteReply(item, rates, leave);
  return {
    staticAddress,
    ownPool,
    groupPool,
    rates: { rateDownBps: rates.downBps ?? null, rateUpBps: rates.upBps ?? null },
  };
}

function noteReply(item: AppliedItem, rates: MappedRates, leave: Leave): void {
  switch (readRate(rates, item)) {
    case 'read':
      return;
    case 'read-in-part':
      return leave(item, 'reply', 'bursts and priorities: only the rate is carried over');
    case 'not-understood':
      return leave(item, 'reply', 'no rate that could be read');
    case 'no-rate': {
      const key = attributeKey(item.attribute);
      if (key === 'framed-ip-netmask' && item.value === '255.255.255.255') return;
      const column = prefixColumns[key];
      if (column !== undefined) leave(item, 'reply', `not carried over: set ${column} of the subscriber afterwards`);
      else if (!sentByProfile.has(key)) leave(item, 'reply', 'no counterpart; a profile can send it to everybody');
    }
  }
}

function addressOf(item: AppliedItem, present: string | null, leave: Leave): string | null {
  if (addressesThatAreNone.has(item.value)) {
    leave(item, 'reply', 'the NAS chooses the address: so it does where nothing is set');
    return present;
  }
  const address = parseIpv4Address(item.value.replace(/\/32$/u, ''));
  if (address === undefined || present !== null) {
    leave(item, 'reply', address === undefined ? 'no IPv4 address' : 'a second address');
    return present;
  }
  return formatIpv4Address(address);
}

/** Cisco's way of naming a pool. */
function isAddressPool(item: AppliedItem): boolean {
  return attributeKey(item.attribute) === 'cisco-avpair' && /^ip:addr-pool=./u.test(item.value);
}

function poolNameOf(item: AppliedItem): string {
  return isAddressPool(item) ? item.value.slice('ip:addr-pool='.length) : item.value;
}

function readChecks(resolved: ResolvedItems, settings: MappingSettings, leave: Leave) {
  let mac: string | null = null;
  let nasName: string | null = null;
  for (const item of resolved.conditions) {
    const key = attributeKey(item.attribute);
    const plain = item.operator === '==' && !item.computed;
    const bound = plain && key === 'calling-station-id' ? parseMacAddress(item.value) : undefined;
    const nas =
      plain && (key === 'nas-ip-address' || key === 'nas-identifier') ? settings.nasNameOf(item.value) : undefined;
    if (bound !== undefined && mac === null) mac = bound;
    else if (nas !== undefined && nasName === null) nasName = nas;
    else leave(item, 'check', 'a condition that is not carried over: he is served without it');
  }
  let sessionLimit: number | undefined;
  let blockedReason: string | null = null;
  for (const item of resolved.control) {
    const key = attributeKey(item.attribute);
    if (isPasswordAttribute(key) && !item.computed) continue;
    if (key === 'simultaneous-use' && /^\d{1,4}$/u.test(item.value)) {
      const wanted = Number(item.value);
      if (wanted < 1) blockedReason ??= 'Simultaneous-Use := 0';
      else if (wanted > largestSessionLimit) leave(item, 'check', `more than ${String(largestSessionLimit)} sessions`);
      sessionLimit = Math.min(Math.max(wanted, 1), largestSessionLimit);
    } else if (key === 'auth-type' && item.value.toLowerCase() === 'reject') {
      blockedReason ??=
        item.stanza.shared === undefined ? 'Auth-Type := Reject' : `Auth-Type := Reject (${item.stanza.shared})`;
    } else if (key === 'auth-type' && isOrdinaryAuthType(item.value)) {
      continue;
    } else if (key === 'expiration') {
      blockedReason ??= expiry(item, settings, leave);
    } else leave(item, 'check', whyNoCheck(key));
  }
  const password = readPassword(resolved, leave);
  return {
    mac,
    nasName,
    password,
    sessionLimit: sessionLimit ?? settings.defaultSessionLimit,
    blockedReason: blockedReason === null ? null : `${blockReasonPrefix}${blockedReason}`,
  };
}

/** How a password is checked is told from the request. */
function isOrdinaryAuthType(value: string): boolean {
  return ['pap', 'chap', 'mschap', 'ms-chap', 'local'].includes(value.toLowerCase());
}

function whyNoCheck(key: string): string {
  if (key === 'auth-type') return 'another way of authentication';
  return 'no counterpart';
}

function readPassword(resolved: ResolvedItems, leave: Leave): string | null {
  const items = resolved.control
    .filter((item) => isPasswordAttribute(attributeKey(item.attribute)) && !item.computed)
    .sort((one, other) => rank(one) - rank(other));
  let stored: string | null = null;
  for (const item of items) {
    const mapped = mapPassword(attributeKey(item.attribute), item.value);
    if (!mapped.ok) leave(item, 'check', mapped.problem);
    else if (stored === null) stored = mapped.stored;
    else if (rank(item) !== rank(items[0]!)) leave(item, 'check', 'a second form of the password');
  }
  return stored;
}

function rank(item: AppliedItem): number {
  const at = passwordAttributes.findIndex((key) => key === attributeKey(item.attribute));
  return at < 0 ? passwordAttributes.length : at;
}

const months = ['jan', 'feb', 'mar', 'apr', 'may', 'jun', 'jul', 'aug', 'sep', 'oct', 'nov', 'dec'];

/** `24 Dec 2026 23:59:59` or `Dec 24 2026`, as FreeRADIUS reads dates, as `2026-12-24 23:59:59`. */
export function readExpiration(text: string): string | undefined {
  const match =
    /^(?:(\d{1,2})\s+([a-z]{3})[a-z]*|([a-z]{3})[a-z]*\s+(\d{1,2})),?\s+(\d{4})(?:[\sT]+(\d{1,2}:\d\d(?::\d\d)?))?$/iu.exec(
      text.trim(),
    );
  if (match === null)
    return /^\d{4}-\d\d-\d\d(?:[ T]\d\d:\d\d(?::\d\d)?)?$/u.test(text) ? text.replace('T', ' ') : undefined;
  const month = months.indexOf((match[2] ?? match[3])!.toLowerCase()) + 1;
  if (month === 0) return undefined;
  const [hour = '0', minute = '0', second = '0'] = (match[6] ?? '').split(':').filter((part) => part !== '');
  const two = (part: string) => part.padStart(2, '0');
  return `${match[5]!}-${two(String(month))}-${two((match[1] ?? match[4])!)} ${two(hour)}:${two(minute)}:${two(second)}`;
}

function expiry(item: AppliedItem, settings: MappingSettings, leave: Leave): string | null {
  const local = readExpiration(item.value);
  const atMs = local === undefined ? undefined : settings.instantOf(local);
  if (atMs === undefined) leave(item, 'check', 'no date that could be read');
  else if (atMs > settings.nowMs) leave(item, 'check', 'ends in the future: set a flag then, or the dates of the plan');
  else return `expired on ${local!}`;
  return null;
}

/** The group whose name the plan has, and what that group alone would be. */
function planBase(
  stanzas: readonly Stanza[],
  resolved: ResolvedItems,
  settings: MappingSettings,
): { name: string; tuple: PlanTuple } {
  const name = resolved.shared[0];
  const group = stanzas.filter((stanza) => name !== undefined && stanza.shared === name);
  const alone = resolveItems(group.slice(0, 1), settings.fallThrough);
  const ignore = () => undefined;
  const { rates, groupPool } = readOffer(alone, ignore);
  const { sessionLimit } = readChecks(alone, settings, ignore);
  return { name: name ?? planWithoutGroup, tuple: { ...rates, poolName: groupPool, sessionLimit } };
}

/** The group's name where the user has what the group has; else that name and what is different, so that it is always the same. */
function planName(base: { name: string; tuple: PlanTuple }, wanted: PlanTuple): string {
  const parts = [base.name];
  const { tuple } = base;
  if (wanted.rateDownBps !== tuple.rateDownBps || wanted.rateUpBps !== tuple.rateUpBps)
    parts.push(`${rateText(wanted.rateDownBps)}/${rateText(wanted.rateUpBps)}`);
  if (wanted.poolName !== tuple.poolName) parts.push(`pool ${wanted.poolName ?? 'none'}`);
  if (wanted.sessionLimit !== tuple.sessionLimit) parts.push(`x${String(wanted.sessionLimit)}`);
  return [...parts.join(' ')].slice(0, longestPlanName).join('');
}

function rateText(bps: number | null): string {
  return bps === null ? 'unlimited' : formatRate(bps);
}
