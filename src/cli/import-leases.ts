/**
 * `import leases`.
 *
 * Enters: options and names of files. Leaves: what `import-leases-run.ts` does. Invariant: what makes no sense is refused before anything is opened.
 */
import { type Command, Option } from 'commander';
import type { CommandContext } from './command-context.js';
import { UsageError } from './command-error.js';

/** How pages and logs call where the leases came from, characters. */
const longestSource = 64;

interface TypedOptions {
  readonly format?: 'isc' | 'kea';
  readonly source: string;
  readonly dryRun?: boolean;
}

/** Adds `leases` to the command `import`. */
export function registerLeaseImport(parent: Command, context: CommandContext): void {
  parent
    .command('leases')
    .description('leases that a DHCP server gave already, from its lease files; see docs/dhcp.md')
    .argument('<files...>', 'dhcpd.leases of ISC dhcpd, or kea-leases4.csv of Kea; - reads standard input')
    .addOption(
      new Option('--format <name>', 'what the files are; default: by their first line').choices(['isc', 'kea']),
    )
    .option('--source <name>', 'how events call this DHCP server, as the name of its inbox', 'import')
    .option('--dry-run', 'do everything, tell what it comes to, and take it back')
    .action(async (files: readonly string[], typed: TypedOptions) => {
      const { source } = typed;
      if (source === '' || source.length > longestSource || /[\p{C}\u2028\u2029]/u.test(source))
        throw new UsageError('the source is no name', `write 1 to ${String(longestSource)} characters`);
      const { LeaseImport } = await import('./import-leases-run.js');
      await new LeaseImport(context, { files, format: typed.format, source, dryRun: typed.dryRun === true }).go();
    });
}
