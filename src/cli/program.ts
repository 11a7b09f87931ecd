/**
 * The command line as a whole: which commands there are, and how one of them is run.
 *
 * Enters: arguments (without the program's own name), streams, environment. Leaves: an exit code, after everything that was
 * opened is closed. Invariant: 0 done, 1 refused or failed with a reason on standard error, 2 a command line that makes no
 * sense, 3 no answer (`radtest`); an expected failure shows no stack trace.
 */
import { Command, CommanderError, Option } from 'commander';
import { CommandContext } from './command-context.js';
import type { GlobalOptions, StartServer } from './command-context.js';
import { exitCode } from './command-error.js';
import type { CommandIo } from './command-io.js';
import { registerConfigCommands } from './config-commands.js';
import { registerDeviceCommands } from './device-commands.js';
import { registerExplainCommand } from './explain-command.js';
import { registerHoldCommands } from './hold-commands.js';
import { registerImportCommands } from './import-freeradius.js';
import { registerInstanceCommands } from './instance-commands.js';
import { registerIntakeCommands } from './intake-commands.js';
import { registerIpCommands } from './ip-commands.js';
import { registerLeaseCommands } from './lease-commands.js';
import { registerLineCommands } from './line-commands.js';
import { registerNasCommands } from './nas-commands.js';
import { registerPasswdCommand } from './passwd-command.js';
import { registerPlanCommands } from './plan-commands.js';
import { registerPoolCommands } from './pool-commands.js';
import { printable } from './printable.js';
import { registerReconcileCommand } from './reconcile-commands.js';
import { registerServeCommands } from './serve-commands.js';
import { registerSessionCommands } from './session-commands.js';
import { registerSetAsideCommands } from './set-aside-commands.js';
import { registerSubscriberCommands } from './subscriber-commands.js';
import { registerToolCommands } from './tool-commands.js';

/** What the process gives to a command besides its arguments. */
export interface ProgramParts {
  /** Starts the server, for `serve`; without it `serve` is refused. */
  readonly startServer?: StartServer;
}

/**
 * Runs one command.
 *
 * @param argv arguments without `node` and the script
 * @param io streams, environment, clock
 * @returns the exit code; it never throws
 */
export async function runCommand(argv: readonly string[], io: CommandIo, parts: ProgramParts = {}): Promise<number> {
  const context = new CommandContext(io, parts.startServer);
  let code: number = exitCode.done;
  try {
    await buildProgram(context).parseAsync([...argv], { from: 'user' });
  } catch (error) {
    code = await report(error, io);
  }
  try {
    await context.close();
  } catch (error) {
    // The work is done; a connection that cannot be closed politely is closed by the end of the process.
    if (code === exitCode.done) code = await report(error, io);
  }
  return code;
}

/** All commands, for help and documentation. */
export function buildProgram(context: CommandContext): Command {
  const program = new Command('sluice');
  program
    .description('A RADIUS-aware network policy server for Internet providers.')
    .addOption(new Option('--conf <dir>', 'folder of the configuration (or SLUICE_CONF; default: conf/)'))
    .addOption(new Option('--data <dir>', 'folder of the data (or SLUICE_DATA; default: data/)'))
    .option('--json', 'results as JSON, exact values, SQL column names')
    .exitOverride()
    .configureHelp({ showGlobalOptions: true })
    .configureOutput({
      writeOut: (text) => context.io.stdout.write(text),
      writeErr: (text) => context.io.stderr.write(text),
      outputError: (text, write) => {
        write(`${printable(text.trimEnd())}\n`);
      },
      getOutHelpWidth: () => context.columns,
      getErrHelpWidth: () => context.columns,
    })
    .hook('preAction', () => {
      context.useOptions(program.opts<GlobalOptions>());
    });
  registerServeCommands(program, context);
  registerConfigCommands(program, context);
  registerPlanCommands(program, context);
  registerPoolCommands(program, context);
  registerSubscriberCommands(program, context);
  registerSessionCommands(program, context);
  registerIpCommands(program, context);
  registerExplainCommand(program, context);
  registerSetAsideCommands(program, context);
  registerHoldCommands(program, context);
  registerNasCommands(program, context);
  registerReconcileCommand(program, context);
  registerLineCommands(program, context);
  registerDeviceCommands(program, context);
  registerLeaseCommands(program, context);
  registerInstanceCommands(program, context);
  registerPasswdCommand(program, context);
  registerImportCommands(program, context);
  registerIntakeCommands(program, context);
  registerToolCommands(program, context);
  return program;
}

async function report(error: unknown, streams: CommandIo): Promise<number> {
  if (error instanceof CommanderError) return error.exitCode === 0 ? exitCode.done : exitCode.usage;
  const { foreseen } = await import('./error-report.js');
  const known = await foreseen(error);
  if (known !== undefined) {
    const text = known.message.split('\n').map(printable).join('\n');
    streams.stderr.write(`sluice: ${text}\n`);
    return known.exitCode;
  }
  const detail = error instanceof Error ? (error.stack ?? error.message) : String(error);
  streams.stderr.write(
    `sluice: a mistake in the program, please report it:\n${detail.split('\n').map(printable).join('\n')}\n`,
  );
  return exitCode.failed;
}
