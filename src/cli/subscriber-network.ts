/**
 * `subscriber resync|disconnect`: what the network is asked to do about a subscriber.
 *
 * Enters: a login. Leaves: a wish in the database, which the server that commands the NAS acts on.
 * Invariant: nothing is sent from here, so that limits, order and history are those of every other change.
 */
import { withActor } from '../store/actor.js';
import { requestDisconnect, requestResync } from '../store/enforcement-requests.js';
import type { CommandContext } from './command-context.js';
import { count } from './display.js';
import { printable } from './printable.js';
import { pickSubscriber } from './subscriber-pick.js';

/** Says everything about a subscriber to its NASes again. */
export async function resyncSubscriber(
  context: CommandContext,
  login: string,
  options: { id?: string },
): Promise<void> {
  const pool = await context.pool();
  const row = await pickSubscriber(pool, login, { id: options.id, among: 'any' });
  const places = await withActor(pool, context.actor, (client) => requestResync(client, row.id));
  if (context.json) await context.printJson({ id: row.id, login: row.login, places });
  else
    await context.print(
      printable(
        places === 0
          ? `${row.login} is on no NAS that is commanded`
          : `everything about ${row.login} will be said again, on ${count(places, 'place', 'places')}`,
      ),
    );
}

/** Ends the sessions that a subscriber has now. */
export async function disconnectSubscriber(context: CommandContext, login: string): Promise<void> {
  const pool = await context.pool();
  const row = await pickSubscriber(pool, login, { among: 'live' });
  await withActor(pool, context.actor, (client) => requestDisconnect(client, row.id));
  if (context.json) await context.printJson({ id: row.id, login: row.login });
  else await context.print(printable(`the sessions that ${row.login} has now will be ended`));
}
