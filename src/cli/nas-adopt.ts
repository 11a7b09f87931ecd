/**
 * `nas adopt`: entries of others that are ours from now on.
 *
 * Enters: a NAS, addresses. Leaves: a record of who took which entries over. Invariant: nothing is taken away here; from now on the reconciler may do so with
 * those that no subscriber has.
 */
import { canList } from '../nas/profile-words.js';
import { type ForeignEntry, adoptEntries, readAdopted, readPlaces } from '../store/reconcile-rows.js';
import { withActor } from '../store/actor.js';
import { parseAddress } from './assignments.js';
import type { CommandContext } from './command-context.js';
import { CommandError, UsageError } from './command-error.js';
import { count } from './display.js';
import type { NamedNas } from './named-nas.js';
import { openListing } from './nas-listing.js';
import { printable } from './printable.js';

/** The options of `nas adopt`, as typed. */
export interface AdoptOptions {
  readonly all?: boolean;
}

/**
 * Adopts entries without our mark; without any named it shows them.
 *
 * @throws CommandError when the NAS cannot be asked, or lists no such entry
 */
export async function adoptNasEntries(
  context: CommandContext,
  { entry, profile }: NamedNas,
  addresses: readonly string[],
  options: AdoptOptions,
): Promise<void> {
  if (options.all === true && addresses.length > 0)
    throw new UsageError('addresses and --all are both given', 'choose one');
  const asked = addresses.map((address) => parseAddress('address', address));
  if (!canList(profile))
    throw new CommandError(
      `${entry.name} cannot list what it has`,
      'a profile whose place is provisioned says how, in command.users_from_nas',
    );
  const pool = await context.pool();
  const foreign = await foreignEntries(context, { entry, profile });
  if (options.all !== true && asked.length === 0) {
    await show(context, entry.name, foreign);
    return;
  }
  const chosen = options.all === true ? foreign : foreign.filter(({ address }) => asked.includes(address));
  const missing = asked.filter((address) => !foreign.some((one) => one.address === address));
  if (missing.length > 0)
    throw new CommandError(
      `${entry.name} lists no entry of others at ${missing.join(', ')}`,
      `see those that there are with: sluice nas adopt ${entry.name}`,
    );
  const adopted = await withActor(pool, context.actor, (client) =>
    adoptEntries(client, entry.name, chosen, context.actor),
  );
  if (context.json) await context.printJson({ nas: entry.name, adopted });
  else
    await context.print(
      `${entry.name}: ${count(adopted, 'entry', 'entries')} adopted; what no subscriber has, the next "sluice reconcile" takes away`,
    );
}

/** Entries without our mark that are at no address of ours and are not adopted yet. */
async function foreignEntries(context: CommandContext, { entry, profile }: NamedNas): Promise<ForeignEntry[]> {
  const pool = await context.pool();
  const [places, adopted] = [await readPlaces(pool, entry.name), await readAdopted(pool, entry.name)];
  const listing = openListing(context, entry, profile);
  const answer = await listing.list().finally(() => listing.stop());
  if (!answer.ok) throw new CommandError(`${entry.name}: ${answer.outcome.text}`, `see: sluice nas test ${entry.name}`);
  const ours = new Set([
    ...adopted,
    ...places.flatMap(({ desired }) =>
      desired?.present === true && desired.key.address !== null ? [desired.key.address] : [],
    ),
  ]);
  const foreign = new Map<string, ForeignEntry>();
  for (const { subscriberId, address, text } of answer.entries)
    if (subscriberId === null && address !== null && !ours.has(address)) foreign.set(address, { address, text });
  return [...foreign.values()];
}

async function show(context: CommandContext, name: string, foreign: readonly ForeignEntry[]): Promise<void> {
  if (context.json) {
    await context.printJson({ nas: name, foreign });
    return;
  }
  await context.print(`${name}: ${count(foreign.length, 'entry', 'entries')} of others`);
  for (const { text } of foreign) await context.print(`  ${printable(text)}`);
  if (foreign.length > 0)
    await context.print(`adopt them with: sluice nas adopt ${name} --all, or with their addresses`);
}
