/**
 * `serve` and `migrate`: the server itself, and the schema it needs.
 *
 * Enters: signals. Leaves: a drained server, or an up-to-date schema.
 * Invariant: SIGTERM and SIGINT end in exit code 0 after everything acknowledged is safe; a second one does not hurry it.
 */
import type { Command } from 'commander';
import type { CommandContext, RunningServer } from './command-context.js';
import { CommandError } from './command-error.js';

/** Adds `serve` and `migrate`. */
export function registerServeCommands(program: Command, context: CommandContext): void {
  program
    .command('serve')
    .description('run the server until SIGTERM or SIGINT; SIGHUP reads the configuration again')
    .action(() => serve(context));
  program
    .command('migrate')
    .description('bring the database to the schema of this release')
    .action(() => migrateDatabase(context));
}

async function serve(context: CommandContext): Promise<void> {
  if (context.startServer === undefined) throw new CommandError('this program cannot serve');
  let stop: (() => void) | undefined;
  let asked = false;
  const stopAsked = new Promise<undefined>((resolve) => {
    stop = () => {
      resolve(undefined);
    };
  });
  const onStop = () => {
    asked = true;
    stop?.();
  };
  let server: RunningServer | undefined;
  let reloads: Promise<unknown> = Promise.resolve();
  // A reload that fails has been logged by the server; it goes on with what it has.
  const onReload = () => {
    reloads = reloads.then(() => server?.reload()).catch(() => undefined);
  };
  // Heard from the beginning: a signal during the start must neither kill the process half-way nor be lost.
  process.on('SIGTERM', onStop);
  process.on('SIGINT', onStop);
  process.on('SIGHUP', onReload);
  try {
    server = await context.startServer({ confDir: context.confDir, dataDir: context.dataDir });
    const failure = asked ? undefined : await Promise.race([stopAsked, server.failed]);
    await reloads;
    await server.stop();
    if (failure !== undefined) throw failure;
  } finally {
    process.off('SIGTERM', onStop);
    process.off('SIGINT', onStop);
    process.off('SIGHUP', onReload);
  }
}

async function migrateDatabase(context: CommandContext): Promise<void> {
  const settings = await context.settings();
  const { migrate } = await import('../store/migrate.js');
  const onProgress = (line: string) => {
    context.remark(line);
  };
  const tell = async ({ applied }: { applied: string[] }) => {
    if (context.json) await context.printJson({ applied });
    else await context.print(applied.length === 0 ? 'the database is up to date' : `applied: ${applied.join(', ')}`);
  };
  const given = settings.database.url;
  if (given !== undefined) {
    await tell(await migrate(given, { onProgress }));
    return;
  }
  const { startEmbeddedPostgres } = await import('../store/embedded-postgres.js');
  const server = await startEmbeddedPostgres({ dataDir: context.dataDir, port: settings.database.port, onProgress });
  try {
    await tell(await migrate(server.url, { onProgress }));
  } finally {
    await server.stop();
  }
}
