/**
 * What a NAS lists. Enters: the output of `users_from_nas`. Leaves: entries, ours with their subscriber. Invariants: an entry is ours only when it has our
 * mark, `sluice-NUMBER`, which our templates give as its name or comment; what a line does not say of the policy is left open.
 */
import { parseIpv4Address } from '../domain/ipv4-address.js';
import type { ListedPolicy } from '../domain/reconcile.js';
import type { ListedEntry } from './driver.js';

/** How the lines of a list look. */
export interface ListingManner {
  /** With the named groups of `listing.entry` in a profile; undefined: our mark, and the first address of a line. */
  readonly entry: RegExp | undefined;
  /** Whether several lines may tell of one entry, each a part: what none of them says is not so. */
  readonly merge: boolean;
}

/** @param listing of a profile */
export function listingManner(listing: {
  readonly entry?: string | undefined;
  readonly merge?: boolean | undefined;
}): ListingManner {
  return {
    entry: listing.entry === undefined ? undefined : new RegExp(listing.entry, 'u'),
    merge: listing.merge ?? false,
  };
}

// A text of an entry that is kept, characters.
const maxEntryText = 200;
// What a pattern of a profile runs over, characters: longer lines are no entry of a list.
const maxLine = 2_000;
const mark = /(?<![A-Za-z0-9_-])sluice-([0-9]{1,15})(?![0-9A-Za-z_-])/u;
const address =
  /(?<![0-9.])((?:25[0-5]|2[0-4][0-9]|1[0-9]{2}|[1-9]?[0-9])(?:\.(?:25[0-5]|2[0-4][0-9]|1[0-9]{2}|[1-9]?[0-9])){3})(?![0-9.])/u;
const flags = /(?<=^|\s)flags=([a-z_+]*)(?=\s|$)/u;
// As routers write rates: thousands, of bits.
const units: Readonly<Record<string, number>> = { K: 1e3, M: 1e6, G: 1e9 };
const rates = {
  down: /(?<=^|\s)down=([0-9]{1,15}[kKMG]?|unlimited)(?=\s|$)/u,
  up: /(?<=^|\s)up=([0-9]{1,15}[kKMG]?|unlimited)(?=\s|$)/u,
};

/**
 * Reads entries.
 *
 * @param output without terminal escapes
 * @param manner undefined: one in each line or between commas
 * @returns those that have our mark or an IPv4 address
 */
export function listedEntries(output: string, manner?: ListingManner): ListedEntry[] {
  const pattern = manner?.entry;
  if (pattern !== undefined)
    return output
      .split('\n')
      .flatMap((line) => matchedEntry(line.replace(/\r$/u, ''), pattern, manner?.merge === true));
  return output.split(/[\n,]/u).flatMap((piece): ListedEntry[] => {
    const subscriber = mark.exec(piece)?.[1];
    const found = address.exec(piece)?.[1];
    if (subscriber === undefined && found === undefined) return [];
    const text = piece
      .replace(/^\s*elements = \{/u, '')
      .replace(/\}\s*$/u, '')
      .trim();
    return [entryOf(subscriber, found, text, saidPolicy(piece))];
  });
}

function entryOf(
  subscriber: string | undefined,
  found: string | undefined,
  text: string,
  policy: ListedPolicy,
): ListedEntry {
  return {
    subscriberId: subscriber === undefined ? null : Number(subscriber),
    address: found ?? null,
    text: text.slice(0, maxEntryText),
    ...(Object.keys(policy).length > 0 && { policy }),
  };
}

function saidPolicy(piece: string): ListedPolicy {
  const has = flags.exec(piece)?.[1]?.split('+');
  return {
    ...(has !== undefined && {
      blocked: has.includes('blocked'),
      redirect: has.includes('redirect'),
      ownDisabled: has.includes('own_disabled'),
    }),
    ...saidRate('downBps', rates.down.exec(piece)?.[1]),
    ...saidRate('upBps', rates.up.exec(piece)?.[1]),
  };
}

function saidRate(key: 'downBps' | 'upBps', text: string | undefined): ListedPolicy {
  if (text === undefined) return {};
  const match = /^([0-9]{1,15})([kKMG]?)$/u.exec(text);
  const bps = Number(match?.[1] ?? 0) * (units[match?.[2]?.toUpperCase() ?? ''] ?? 1);
  return { [key]: bps === 0 ? null : bps };
}

/** The groups of a pattern that say what an entry has, and what that is called here. */
const flagGroups = [
  ['added', 'added'],
  ['blocked', 'blocked'],
  ['redirect', 'redirect'],
  ['own_disabled', 'ownDisabled'],
] as const;
const rateGroups = [
  ['down', 'downBps'],
  ['up', 'upBps'],
] as const;

function hasGroup(pattern: RegExp, name: string): boolean {
  return pattern.source.includes(`(?<${name}>`);
}

/** @param isPart another line may say more of the entry, so that what this one does not say is left open */
function matchedEntry(line: string, pattern: RegExp, isPart: boolean): ListedEntry[] {
  const match = line.length > maxLine ? null : pattern.exec(line);
  if (match === null) return [];
  const groups = match.groups ?? {};
  const subscriber = /^[0-9]{1,15}$/u.exec(groups['subscriber'] ?? '')?.[0];
  const said = groups['address'] ?? '';
  const found = parseIpv4Address(said) === undefined ? undefined : said;
  if (subscriber === undefined && found === undefined) return [];
  const policy: { -readonly [Key in keyof ListedPolicy]: ListedPolicy[Key] } = {};
  for (const [name, key] of flagGroups) {
    const isSet = (groups[name] ?? '') !== '';
    // A group that the pattern does not have leaves its flag open.
    if (hasGroup(pattern, name) && (isSet || !isPart)) policy[key] = isSet;
  }
  for (const [name, key] of rateGroups) Object.assign(policy, saidRate(key, groups[name]));
  return [entryOf(subscriber, found, line.trim(), policy)];
}

/**
 * Puts together what several lines said of one entry: the same mark at the same address.
 *
 * @returns in the order of their first lines; what no line said of an entry, and some line could have said, is not so
 */
export function mergedEntries(
  entries: readonly ListedEntry[],
  { entry: pattern, merge }: ListingManner,
): ListedEntry[] {
  if (!merge || pattern === undefined) return [...entries];
  const merged = new Map<string, ListedEntry>();
  const unsaid: ListedPolicy = Object.fromEntries([
    ...flagGroups.flatMap(([name, key]) => (hasGroup(pattern, name) ? [[key, false] as const] : [])),
    ...rateGroups.flatMap(([name, key]) => (hasGroup(pattern, name) ? [[key, null] as const] : [])),
  ]);
  for (const one of entries) {
    const identity = `${String(one.subscriberId)} ${String(one.address)}`;
    const known = merged.get(identity);
    merged.set(
      identity,
      known === undefined
        ? { ...one, policy: { ...unsaid, ...one.policy } }
        : { ...known, policy: { ...known.policy, ...one.policy } },
    );
  }
  return [...merged.values()];
}
