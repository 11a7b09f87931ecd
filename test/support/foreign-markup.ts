/**
 * What a text made of the markup of a page. Enters: a body. Leaves: tags and attributes that no page of ours has. Invariant: a page of ours, whatever it
 * shows, leaves none.
 */

/** Tags and attributes that no page of ours has: what a text made of the markup. */
export function foreignMarkup(body: string): string[] {
  const known = new Set(
    'html head meta title link body header a img nav form input button main h1 h2 p section div table thead tbody tr th td span time dl dt dd footer label i b code svg rect polygon polyline'.split(
      ' ',
    ),
  );
  // What stands in quotes is a value: a quote of somebody else's is escaped, so none ends early.
  const bare = body.replaceAll(/"[^"]*"/g, '""');
  const tags = [...bare.matchAll(/<\/?([a-z!?][^\s/>]*)/gi)].map((match) => match[1]!.toLowerCase());
  const attributes = [...bare.matchAll(/<[a-z][^>]*?\s(on[a-z]+|style|srcdoc)\s*=/gi)].map((match) => match[1]!);
  return [...tags.filter((tag) => !known.has(tag) && tag !== '!doctype'), ...attributes];
}
