/**
 * `check-config`: everything that is wrong with the configuration, at once.
 *
 * Enters: the conf folder. Leaves: each problem with file, line, key and remedy; exit code 1 when there is one.
 * Invariant: it changes nothing and needs no database.
 */
import type { Command } from 'commander';
import type { CommandContext } from './command-context.js';
import { CommandError } from './command-error.js';
import type { ConfigProblem } from '../config/problem.js';
import { printable } from './printable.js';
import { count } from './display.js';

/** Adds `check-config`. */
export function registerConfigCommands(program: Command, context: CommandContext): void {
  program
    .command('check-config')
    .description('read the whole configuration and say everything that is wrong with it')
    .action(() => checkConfig(context));
}

async function checkConfig(context: CommandContext): Promise<void> {
  const { checkConfiguration } = await import('./configuration-check.js');
  const { problems, warnings, nas, profiles, missingSecrets } = await checkConfiguration(context);
  if (context.json) {
    await context.printJson({
      ok: problems.length === 0,
      problems,
      warnings,
      nas,
      profiles,
      missing_secrets: missingSecrets,
    });
    if (problems.length > 0) throw new CommandError(summary(context, problems));
    return;
  }
  const { formatProblem } = await import('../config/problem.js');
  for (const warning of warnings) await context.print(printable(`warning: ${formatProblem(warning)}`));
  for (const problem of problems) await context.print(printable(formatProblem(problem)));
  if (problems.length > 0) throw new CommandError(summary(context, problems));
  for (const path of missingSecrets) await context.print(printable(`the server will make ${path} at its start`));
  await context.print(
    printable(
      `${context.confDir} is right: ${count(nas.length, 'NAS entry', 'NAS entries')}, ${count(profiles.length, 'profile')}`,
    ),
  );
}

function summary(context: CommandContext, problems: readonly ConfigProblem[]): string {
  return `${context.confDir} has ${count(problems.length, 'problem')}`;
}
