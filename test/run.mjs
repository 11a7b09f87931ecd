// Runs the tests. Enters: `--interop` and paths on the command line (default: everything under test/). Leaves: the failures
// with their places, one last line `N passed, N failed`, and the exit code. Invariant: nothing that it started survives it.
// The work is in TypeScript; this file only makes Node able to read that.
import { register } from 'tsx/esm/api';

register();
const { runTests } = await import('./support/test-run.ts');
process.exitCode = await runTests(process.argv.slice(2));
