/**
 * The IPv6 part of an explanation.
 *
 * Enters: a decision and the directory that it was made from. Leaves: where each prefix comes from, and how it would be said.
 * Invariant: what is not known before somebody asks (the next prefix of a pool) is named by its pool, never guessed.
 */
import type { AccessAccept } from '../domain/access.js';
import { formatPoolAddress } from '../domain/pool-address.js';
import type { AttributeContext } from '../nas/attribute-variables.js';
import type { Directory } from '../store/directory.js';
import { countFreeAddresses } from '../store/explain-rows.js';
import type { CommandContext } from './command-context.js';
import type { PrefixExplanation } from './explanation.js';

/** Where the prefixes of an Accept would come from. */
export async function prefixesOf(
  context: CommandContext,
  directory: Directory,
  decision: AccessAccept,
  subscriberId: number,
): Promise<PrefixExplanation[]> {
  const explained: PrefixExplanation[] = [];
  for (const source of decision.prefixes ?? []) {
    const { kind } = source;
    if (source.from === 'static') {
      explained.push({ kind, source: 'static', prefix: source.prefix, pool: null, free: null });
      continue;
    }
    const pool = directory.pool(source.poolId)?.name ?? null;
    const sticky = directory.stickyAddress(subscriberId, decision.slot, source.poolId);
    explained.push(
      sticky === undefined
        ? {
            kind,
            source: 'pool',
            prefix: null,
            pool,
            free: await countFreeAddresses(await context.pool(), source.poolId),
          }
        : { kind, source: 'sticky', prefix: formatPoolAddress(sticky), pool, free: null },
    );
  }
  return explained;
}

/** What templates know of them. */
export function prefixContextOf(prefixes: readonly PrefixExplanation[]): Partial<AttributeContext> {
  const framed = prefixes.find((one) => one.kind === 'framed-prefix');
  const delegated = prefixes.find((one) => one.kind === 'delegated-prefix');
  return {
    framedPrefix: framed?.prefix ?? undefined,
    delegatedPrefix: delegated?.prefix ?? undefined,
    framedPrefixPool: framed?.pool ?? undefined,
    delegatedPrefixPool: delegated?.pool ?? undefined,
  };
}

/** Attributes for those that nobody knows yet. */
export function prefixAttributes(prefixes: readonly PrefixExplanation[]): (readonly [name: string, value: string])[] {
  return prefixes
    .filter((one) => one.prefix === null)
    .map(({ kind, pool }) => [
      kind === 'framed-prefix' ? 'Framed-IPv6-Prefix' : 'Delegated-IPv6-Prefix',
      `one of the pool ${pool ?? ''}`,
    ]);
}

/** The end of the sentence: nothing where there are none. */
export function prefixText(prefixes: readonly PrefixExplanation[]): string {
  return prefixes
    .map(({ kind, source, prefix, pool, free }) => {
      const what = kind === 'framed-prefix' ? 'framed prefix' : 'delegated prefix';
      if (source === 'static') return ` and its static ${what} ${prefix ?? ''}`;
      if (source === 'sticky') return ` and the ${what} ${prefix ?? ''} of the pool ${pool ?? ''}, which it had before`;
      return ` and a ${what} of the pool ${pool ?? ''}, which has ${String(free ?? 0)} left`;
    })
    .join('');
}
