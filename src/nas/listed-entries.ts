/**
 * What a NAS lists. Enters: the output of `users_from_nas`. Leaves: entries, ours with their subscriber. Invariant: an entry is ours only when it has our
 * mark, `sluice-NUMBER`, which our templates give as its name or comment.
 */
import type { ListedEntry } from './driver.js';

// A text of an entry that is kept, characters.
const maxEntryText = 200;
const mark = /(?<![A-Za-z0-9_-])sluice-([0-9]{1,15})(?![0-9A-Za-z_-])/u;
const address =
  /(?<![0-9.])((?:25[0-5]|2[0-4][0-9]|1[0-9]{2}|[1-9]?[0-9])(?:\.(?:25[0-5]|2[0-4][0-9]|1[0-9]{2}|[1-9]?[0-9])){3})(?![0-9.])/u;

/**
 * Reads entries, one in each line or between commas.
 *
 * @param output without terminal escapes
 * @returns those that have our mark or an IPv4 address
 */
export function listedEntries(output: string): ListedEntry[] {
  return output.split(/[\n,]/u).flatMap((piece): ListedEntry[] => {
    const subscriber = mark.exec(piece)?.[1];
    const found = address.exec(piece)?.[1];
    if (subscriber === undefined && found === undefined) return [];
    const text = piece
      .replace(/^\s*elements = \{/u, '')
      .replace(/\}\s*$/u, '')
      .trim();
    return [
      {
        subscriberId: subscriber === undefined ? null : Number(subscriber),
        address: found ?? null,
        text: text.slice(0, maxEntryText),
      },
    ];
  });
}
