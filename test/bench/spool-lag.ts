/**
 * How far the database is behind what was acknowledged. Enters: the server and its database. Leaves: records. Invariant: asking costs the server one page of
 * metrics for a round, not one for each look: it is the database that is looked at, and what it is waited for was told by the server.
 */
import { scrape } from '../support/scrape.js';
import { asClient } from '../support/postgres-server.js';

export class SpoolLag {
  /** The sequence that everything acknowledged so far goes up to. */
  #target = 0;

  constructor(
    private readonly statusUrl: string,
    private readonly databaseUrl: string,
  ) {}

  /** Records that are acknowledged and not applied. */
  async records(): Promise<number> {
    const applied = await this.applied();
    if (applied < this.#target) return this.#target - applied;
    const lag = (await scrape(this.statusUrl)).sum('spool_lag_records');
    // At least as far as it is: more may have been applied since it was looked at.
    this.#target = applied + lag;
    return lag;
  }

  private async applied(): Promise<number> {
    return await asClient(this.databaseUrl, async (client) => {
      const { rows } = await client.query<{ sequence: string | null }>(
        'SELECT max(sequence)::text AS sequence FROM spool_position',
      );
      return Number(rows[0]?.sequence ?? 0);
    });
  }
}
