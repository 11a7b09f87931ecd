/**
 * The process of `npm run demo`. Enters: `--port`, `--subscribers`, `--seed`, and Ctrl-C. Leaves: lines for people and an exit code. Invariant: whatever ends it, the
 * sessions, the server, the database and the folder are gone afterwards.
 */
import { parseArgs } from 'node:util';
import { startDemo, temporaryDirectory } from './demo.js';

/** Enough for life on every page, little enough for a laptop. */
const DEFAULT_SUBSCRIBERS = 200;
/** More than these would outgrow the demo's pool. */
const MOST_SUBSCRIBERS = 400;

const say = (line: string): void => void process.stdout.write(`${line}\n`);

function wholeNumber(text: string | undefined, byDefault: number, most: number): number {
  const number = Number(text ?? byDefault);
  if (Number.isInteger(number) && number >= 0 && number <= most) return number;
  throw new RangeError(`not a whole number from 0 to ${String(most)}: ${String(text)}`);
}

async function run(): Promise<void> {
  const { values } = parseArgs({
    options: { port: { type: 'string' }, subscribers: { type: 'string' }, seed: { type: 'string' } },
  });
  const stopAsked = new Promise<void>((settle) => {
    for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => settle());
  });
  const directory = await temporaryDirectory();
  try {
    const demo = await startDemo({
      directory: directory.path,
      subscribers: wholeNumber(values.subscribers, DEFAULT_SUBSCRIBERS, MOST_SUBSCRIBERS),
      seed: wholeNumber(values.seed, 1, 2 ** 32 - 1),
      statusPort: wholeNumber(values.port, 0, 65_535),
      say,
    });
    say('');
    say(`  The page:  ${demo.pageUrl}`);
    say(`  The log:   ${directory.path}/server.log`);
    say(`  Commands:  bin/sluice --conf ${directory.path}/conf --data ${directory.path}/data session list`);
    say(
      `  CoA and Disconnect: ${demo.nases.map((nas) => `${nas.name} on 127.0.0.1:${String(nas.commandPort)}`).join(', ')}`,
    );
    say('');
    say('  Too much at once, for the fuse to hold:  … plan set home-200 down=20M');
    say('  and to let it go on:                     … hold release');
    say('');
    say('  People log in, move octets, are blocked and leave, and the NASes are told. Ctrl-C ends it.');
    await Promise.race([stopAsked, demo.failed]).finally(async () => {
      say('ending …');
      await demo.stop();
    });
  } finally {
    await directory.remove();
  }
}

run().then(
  () => process.exit(0),
  (error: unknown) => {
    process.stderr.write(`${error instanceof Error ? (error.stack ?? error.message) : String(error)}\n`);
    process.exit(1);
  },
);
