/**
 * Statements that are under way on one connection. Enters: statements, in the order in which the server is to run them. Leaves: answers. Invariants:
 * on a connection that pipelines they are sent at once, on any other one after the other; after a failure nothing that was sent later has an effect, because
 * all of them are of one transaction; the first failure is the one that is told.
 */
import type { PoolClient, QueryConfig, QueryResult, QueryResultRow } from 'pg';

/** For one transaction: outside of one, statements behind a failed one would take effect. */
export class Flight {
  readonly #client: PoolClient;
  readonly #isPipelined: boolean;
  #sent: Promise<unknown>[] = [];
  #last: Promise<unknown> = Promise.resolve();

  constructor(client: PoolClient) {
    this.#client = client;
    this.#isPipelined = (client as { readonly pipeline?: boolean }).pipeline === true;
  }

  /** Sends a statement. Its answer is to be looked at after `landed`, which tells of failures in their order. */
  send<Row extends QueryResultRow = QueryResultRow>(statement: QueryConfig): Promise<QueryResult<Row>> {
    const answer: Promise<QueryResult<Row>> = this.#isPipelined
      ? this.#client.query<Row>(statement)
      : this.#last.then(() => this.#client.query<Row>(statement));
    this.join(answer);
    return answer;
  }

  /** Lets something else that uses this connection land with the rest: a BEGIN, a statement of another part. */
  join(answer: Promise<unknown>): void {
    this.#last = answer;
    this.#sent.push(answer);
    // Told by `landed`, whoever else has looked at it.
    answer.catch(() => undefined);
  }

  /** Resolves when all that was sent is answered. @throws what the first statement that failed failed with */
  async landed(): Promise<void> {
    const sent = this.#sent;
    this.#sent = [];
    await Promise.all(sent);
  }
}
