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
}

/** @param listing of a profile */
export function listingManner(listing: { readonly entry?: string | undefined }): ListingManner {
  return { entry: listing.entry === undefined ? undefined : new RegExp(listing.entry, 'u') };
}

// A text of an entry that is kept, characters.
const maxEntryText = 200;
// What a pattern of a profile runs over, characters: longer lines are no entry of a list.
const maxLine = 2_000;
const mark = /(?<![A-Za-z0-9_-])sluice-([0-9]{1,15})(?![0-9A-Za-z_-])/u;
const address =
  /(?<![0-9.])((?:25[0-5]|2[0-4][0-9]|1[0-9]{2}|[1-9]?[0-9])(?:\.(?:25[0-5]|2[0-4][0-9]|1[0-9]{2}|[1-9]?[0-9])){3})(?![0-9.])/u;
const flags = /(?<=^|\s)flags=([a-z_+]*)(?=\s|$)/u;
const rates = {
  down: /(?<=^|\s)down=([0-9]{1,15}|unlimited)(?=\s|$)/u,
  up: /(?<=^|\s)up=([0-9]{1,15}|unlimited)(?=\s|$)/u,
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
    return output.split('\n').flatMap((line) => matchedEntry(line.replace(/\r$/u, ''), pattern));
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
  return { [key]: /^[1-9][0-9]*$/u.test(text) ? Number(text) : null };
}

function matchedEntry(line: string, pattern: RegExp): ListedEntry[] {
  const match = line.length > maxLine ? null : pattern.exec(line);
  if (match === null) return [];
  const groups = match.groups ?? {};
  const subscriber = /^[0-9]{1,15}$/u.exec(groups['subscriber'] ?? '')?.[0];
  const said = groups['address'] ?? '';
  const found = parseIpv4Address(said) === undefined ? undefined : said;
  if (subscriber === undefined && found === undefined) return [];
  // A group that the pattern does not have leaves its flag open.
  const flag = (key: keyof ListedPolicy, name: string): ListedPolicy =>
    pattern.source.includes(`(?<${name}>`) ? { [key]: (groups[name] ?? '') !== '' } : {};
  return [
    entryOf(subscriber, found, line.trim(), {
      ...flag('blocked', 'blocked'),
      ...flag('redirect', 'redirect'),
      ...flag('ownDisabled', 'own_disabled'),
      ...saidRate('downBps', groups['down']),
      ...saidRate('upBps', groups['up']),
    }),
  ];
}
