/**
 * `deliver`: the inbox of the lease hooks on this host, posted to Sluice on another one.
 *
 * Enters: the folder, the address, the file of the secret; signals. Leaves: requests; files deleted once Sluice has their events on disk.
 * Invariant: it needs neither configuration nor database; nothing is lost while Sluice is away; the secret is in no argument and no message.
 */
import { stat } from 'node:fs/promises';
import { resolve } from 'node:path';
import { LeaseDeliverer } from '../dhcp/deliverer.js';
import { Inbox } from '../dhcp/inbox.js';
import { systemIntakeClock } from '../dhcp/intake-clock.js';
import { IntakeLedger } from '../dhcp/intake-ledger.js';
import type { CommandContext } from './command-context.js';
import { CommandError, UsageError } from './command-error.js';
import { readSecretFile } from './secret-file.js';

export interface DeliverOptions {
  readonly inbox: string;
  readonly to: string;
  readonly secretFile: string;
  readonly source: string;
}

/** Names that the configuration of a server knows a host by. */
const sourcePattern = /^[a-z0-9][a-z0-9._-]{0,62}$/u;

/** Delivers until SIGTERM or SIGINT. @throws CommandError for what cannot be used as it is */
export async function deliver(context: CommandContext, options: DeliverOptions): Promise<void> {
  const to = addressOf(options.to);
  if (!sourcePattern.test(options.source))
    throw new UsageError(
      'the name of --source is not of lower-case letters, digits, dots, hyphens and underscores',
      'write the name under which intake.json of the server has this host',
    );
  const folder = resolve(options.inbox);
  const secret = await readSecretFile(options.secretFile);
  const say = (text: string): void => context.remark(`${new Date(context.io.nowMs()).toISOString()} ${text}`);
  const ledger = new IntakeLedger({
    nowMs: systemIntakeClock.nowMs,
    onFault: (_way, fault) => say(`${folder}: ${fault}`),
  });
  const deliverer = new LeaseDeliverer({
    to,
    source: options.source,
    secret,
    nowMs: systemIntakeClock.nowMs,
    onTrouble: (why) => say(why === undefined ? `${to.href} takes events` : `${to.href} does not take events: ${why}`),
  });
  const inbox = new Inbox({
    folder,
    source: options.source,
    sink: deliverer,
    ledger,
    clock: systemIntakeClock,
    onError: (error) => say(`${folder} cannot be read: ${error instanceof Error ? error.message : String(error)}`),
  });
  if ((await stat(folder).catch(() => undefined)) === undefined) say(`${folder} is not there yet: it is waited for`);
  await untilAskedToStop(() => inbox.start());
  await Promise.all([inbox.stop(), deliverer.stop()]);
  const taken = [...ledger.counts()].find(({ outcome }) => outcome === 'taken')?.count ?? 0;
  say(`stopped; ${String(taken)} events were delivered`);
}

function addressOf(text: string): URL {
  const remedy = 'write one such as http://sluice.example:8067/events/lease';
  if (!URL.canParse(text)) throw new UsageError('--to is not an address', remedy);
  const to = new URL(text);
  if (to.protocol !== 'http:' && to.protocol !== 'https:')
    throw new UsageError('--to is not an address of HTTP', remedy);
  if (to.username !== '' || to.password !== '')
    throw new CommandError('--to has a password in it, which everybody on this host can see', remedy);
  return to;
}

async function untilAskedToStop(begin: () => void): Promise<void> {
  let stop = (): void => undefined;
  const asked = new Promise<void>((resolved) => {
    stop = resolved;
  });
  process.on('SIGTERM', stop);
  process.on('SIGINT', stop);
  try {
    begin();
    await asked;
  } finally {
    process.off('SIGTERM', stop);
    process.off('SIGINT', stop);
  }
}
