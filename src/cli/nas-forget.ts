/**
 * `nas forget`: a NAS that was taken away and has enforcements.
 *
 * Enters: its name, an agreement. Leaves: what would be lost, or that it is forgotten. Invariants: a NAS of this configuration, or one that a server commands, is
 * never forgotten; without `--yes` nothing changes.
 */
import { withActor } from '../store/actor.js';
import { forgetNas, type NasRemains, nasRemains } from '../store/nas-forget.js';
import { countsByNas } from '../store/nas-progress.js';
import type { CommandContext } from './command-context.js';
import { CommandError } from './command-error.js';
import { count } from './display.js';
import { printable } from './printable.js';
import { unknownName } from './unknown-name.js';

/** Logins that fit on a line. */
const shownLogins = 10;

/** @throws CommandError while the NAS is in use, when there is nothing of it, and without `--yes` */
export async function forgetNamedNas(
  context: CommandContext,
  name: string,
  options: { readonly yes?: boolean },
): Promise<void> {
  const config = await context.config();
  const entry = config.nas.find((one) => one.name === name);
  if (entry !== undefined)
    throw new CommandError(
      `${name} is in the configuration (${entry.file})`,
      'remove it there and reload the servers; to say everything to it again: sluice nas resync',
    );
  const pool = await context.pool();
  const remains = await nasRemains(pool, name, shownLogins, context.io.nowMs());
  const total = Object.values(remains.enforcements).reduce((sum, one) => sum + one, 0);
  if (total + remains.adopted === 0) {
    const known = [...(await countsByNas(pool)).keys()].filter((one) => !config.nas.some((nas) => nas.name === one));
    throw unknownName('NAS outside the configuration with enforcements', name, known);
  }
  if (remains.commandedBy !== null)
    throw new CommandError(
      `the server ${remains.commandedBy} still commands ${name}`,
      'remove it from the configuration of that server too, and reload it',
    );
  if (options.yes !== true) {
    for (const line of lossLines(name, total, remains)) await context.print(line);
    throw new CommandError('nothing was forgotten', `to forget it: sluice nas forget ${name} --yes`);
  }
  const forgotten = await withActor(pool, context.actor, (client) => forgetNas(client, name, context.actor));
  if (context.json) await context.printJson({ nas: name, forgotten, ...jsonOf(remains) });
  else await context.print(`${name}: ${count(forgotten, 'enforcement')} forgotten; the history keeps a line of each`);
}

function jsonOf(remains: NasRemains): object {
  const { enforcements, mayBePresent, waiting, adopted } = remains;
  return { enforcements, may_be_present: mayBePresent, deleted_waiting: waiting, adopted };
}

function lossLines(name: string, total: number, remains: NasRemains): string[] {
  const { enforcements, mayBePresent, waiting, adopted, logins } = remains;
  const states = Object.entries(enforcements).map(([state, number]) => `${String(number)} ${state}`);
  const more = mayBePresent > logins.length ? ', …' : '';
  return [
    `${name} has ${count(total, 'enforcement')} (${states.join(', ') || 'none'}). What would be lost:`,
    mayBePresent === 0
      ? '- nothing of them is on it as far as is known'
      : `- what is known of ${count(mayBePresent, 'place')} that may still be on it, and that nobody would take away any more: ${logins.map(printable).join(', ')}${more}`,
    ...(waiting === 0
      ? []
      : [
          `- the wait of ${count(waiting, 'deleted subscriber')}: their addresses become free although they may still be open there`,
        ]),
    ...(adopted === 0 ? [] : [`- ${count(adopted, 'adopted entry', 'adopted entries')}`]),
  ];
}
