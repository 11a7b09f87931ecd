/**
 * Check and reply items of FreeRADIUS, and what becomes of several lists of them.
 *
 * Enters: stanzas (a row set of one user or group, or one entry of a `users` file) in the order in which FreeRADIUS reads them.
 * Leaves: the items that hold for one user, and the conditions that cannot be judged without a request. Invariants: a stanza
 * that is shared (a group, DEFAULT) and has a condition of which nothing is known is not applied; pure.
 * Sources: FreeRADIUS `man 5 users`, raddb/mods-config/sql/main/postgresql/queries.conf.
 */

/** Operators of `man 5 users`. */
export const itemOperators = ['=', ':=', '+=', '-=', '==', '!=', '>', '>=', '<', '<=', '=~', '!~', '=*', '!*'] as const;
export type ItemOperator = (typeof itemOperators)[number];

/** One `Attribute op Value`. */
export interface Item {
  readonly attribute: string;
  readonly operator: ItemOperator;
  readonly value: string;
  /** FreeRADIUS works the value out for each request (`%{…}`, back quotes). */
  readonly computed: boolean;
}

/** Items that stand or fall together. */
export interface Stanza {
  /** Where it is from, for messages: `radcheck`, `group home`, `users:12`. */
  readonly origin: string;
  /** The group, or DEFAULT, that shares it; undefined: the user's own. */
  readonly shared: string | undefined;
  readonly checks: readonly Item[];
  readonly replies: readonly Item[];
}

/** An item with the stanza that it came from. */
export interface AppliedItem extends Item {
  readonly stanza: Stanza;
}

/** What holds for one user. */
export interface ResolvedItems {
  /** What FreeRADIUS calls the control list. */
  readonly control: readonly AppliedItem[];
  readonly replies: readonly AppliedItem[];
  /** Comparisons with the request that the user's own stanzas make. */
  readonly conditions: readonly AppliedItem[];
  /** Comparisons for which a shared stanza was left out. */
  readonly leftOut: readonly AppliedItem[];
  /** Names of the shared stanzas that were applied, in order, each once. */
  readonly shared: readonly string[];
}

/** How a list of stanzas goes on after one that applies and has no Fall-Through of its own. */
export type FallThroughDefault = 'own-goes-on' | 'stops';

const comparisons: ReadonlySet<ItemOperator> = new Set(['==', '!=', '>', '>=', '<', '<=', '=~', '!~', '=*', '!*']);

/** Attributes that describe the check itself: `==` is an old way of writing `:=` for them. */
const neverCompared: ReadonlySet<string> = new Set([
  'auth-type',
  'autz-type',
  'crypt-password',
  'cleartext-password',
  'user-password',
  'nt-password',
  'lm-password',
  'password-with-header',
  'md5-password',
  'smd5-password',
  'sha-password',
  'ssha-password',
  'simultaneous-use',
  'expiration',
  'fall-through',
]);

/** What a broadband NAS says in every request; a condition on it holds. */
const alwaysTrue: ReadonlyMap<string, ReadonlySet<string>> = new Map([
  ['service-type', new Set(['framed-user', 'framed', '2'])],
  ['framed-protocol', new Set(['ppp', '1'])],
]);

/** The name under which attributes are compared: their case does not count. */
export function attributeKey(attribute: string): string {
  return attribute.toLowerCase();
}

/** Reads an operator as it stands in a table or a file; undefined for what is none. */
export function readOperator(text: string): ItemOperator | undefined {
  return itemOperators.find((operator) => operator === text);
}

/** Whether the item compares with the request. */
export function isCondition(item: Item): boolean {
  return comparisons.has(item.operator) && !neverCompared.has(attributeKey(item.attribute));
}

function alwaysHolds(item: Item): boolean {
  return (
    item.operator === '==' &&
    alwaysTrue.get(attributeKey(item.attribute))?.has(item.value.trim().toLowerCase()) === true
  );
}

/** Puts stanzas together as FreeRADIUS does for one user. */
export function resolveItems(stanzas: readonly Stanza[], fallThrough: FallThroughDefault): ResolvedItems {
  let control: AppliedItem[] = [];
  let replies: AppliedItem[] = [];
  const conditions: AppliedItem[] = [];
  const leftOut: AppliedItem[] = [];
  const shared = new Set<string>();
  for (const stanza of stanzas) {
    const applied = stanza.checks.map((item) => ({ ...item, stanza }));
    const open = applied.filter((item) => isCondition(item) && !alwaysHolds(item));
    if (open.length > 0 && stanza.shared !== undefined) {
      leftOut.push(...open);
      continue;
    }
    conditions.push(...open);
    if (stanza.shared !== undefined) shared.add(stanza.shared);
    control = merge(
      control,
      applied.filter((item) => !isCondition(item)),
    );
    replies = merge(
      replies,
      stanza.replies
        .filter((item) => attributeKey(item.attribute) !== 'fall-through')
        .map((item) => ({ ...item, stanza })),
    );
    if (!goesOn(stanza, fallThrough)) break;
  }
  return { control, replies, conditions, leftOut, shared: [...shared] };
}

function goesOn(stanza: Stanza, otherwise: FallThroughDefault): boolean {
  const said = stanza.replies.findLast((item) => attributeKey(item.attribute) === 'fall-through');
  if (said === undefined) return otherwise === 'own-goes-on' && stanza.shared === undefined;
  return /^(yes|1)$/iu.test(said.value.trim());
}

/** `:=` replaces, `+=` adds, `-=` takes away, everything else counts only where nothing is yet. */
function merge(list: readonly AppliedItem[], more: readonly AppliedItem[]): AppliedItem[] {
  let merged = [...list];
  const before = new Set(list.map((item) => attributeKey(item.attribute)));
  for (const item of more) {
    const key = attributeKey(item.attribute);
    if (item.operator === ':=') merged = merged.filter((other) => attributeKey(other.attribute) !== key);
    if (item.operator === '-=') {
      merged = merged.filter((other) => attributeKey(other.attribute) !== key || other.value !== item.value);
      continue;
    }
    if (item.operator !== '+=' && item.operator !== ':=' && before.has(key)) continue;
    merged.push(item);
    before.add(key);
  }
  return merged;
}
