/**
 * A process that starts the embedded PostgreSQL, for tests that kill it or run it as somebody else.
 *
 * Enters: data folder and port as arguments, and the end of standard input as the order to stop. Leaves: one line of JSON when
 * the server answers, one when it is stopped. Invariant: a failure is a line with `kind`, never a bare exit.
 */
import { stat } from 'node:fs/promises';
import { startEmbeddedPostgres } from '../../src/store/embedded-postgres.js';
import { EmbeddedPostgresError } from '../../src/store/postgres-error.js';

const [dataDir, port] = process.argv.slice(2);
const say = (value: object) => process.stdout.write(`${JSON.stringify(value)}\n`);
try {
  const postgres = await startEmbeddedPostgres({ dataDir: dataDir!, port: Number(port) });
  const owner = (await stat(`/proc/${String(postgres.pid())}`)).uid;
  say({ adopted: postgres.adopted, pid: postgres.pid(), owner, url: postgres.url });
  process.stdin.resume();
  process.stdin.once('end', () => {
    void postgres.stop().then((how) => {
      say({ stopped: how });
    });
  });
} catch (error) {
  if (!(error instanceof EmbeddedPostgresError)) throw error;
  say({ kind: error.kind, message: error.message });
}
