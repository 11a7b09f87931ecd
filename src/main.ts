/**
 * The process: arguments, streams and exit code.
 *
 * Enters: the command line. Leaves: an exit code, when standard output is written out.
 * Invariant: a reader that goes away (`sluice … | head`) is no error, and nothing is cut off at the end of a pipe.
 */
import { userInfo } from 'node:os';
import type { StartServer } from './cli/command-context.js';
import { CommandError } from './cli/command-error.js';
import { runCommand } from './cli/program.js';

// Loaded only by `serve`: every other command starts without the server's weight.
const startServer: StartServer = async (options) => {
  const [{ Supervision }, { InheritedSocketError }] = await Promise.all([
    import('./app/supervision.js'),
    import('./app/inherited-sockets.js'),
  ]);
  try {
    // Before the weight, because the process is small here: what it starts now costs least.
    const supervision = Supervision.take(process.env, process.pid);
    const { startServer: start } = await import('./app.js');
    return await start({ ...options, supervision });
  } catch (error) {
    throw error instanceof InheritedSocketError ? new CommandError(error.message) : error;
  }
};

function brokenPipeIsTheEnd(error: Error): void {
  if ('code' in error && error.code === 'EPIPE') return;
  throw error;
}

function currentUserName(): string {
  const asked = process.env['SUDO_USER'];
  if (asked !== undefined && asked !== '') return asked;
  try {
    return userInfo().username;
  } catch {
    // A user id without a name, as containers have.
    return String(process.getuid?.() ?? 'unknown');
  }
}

process.stdout.on('error', brokenPipeIsTheEnd);
process.stderr.on('error', brokenPipeIsTheEnd);

process.exitCode = await runCommand(
  process.argv.slice(2),
  {
    stdin: process.stdin,
    stdout: process.stdout,
    stderr: process.stderr,
    environment: process.env,
    nowMs: () => Date.now(),
    userName: currentUserName(),
  },
  { startServer },
);
