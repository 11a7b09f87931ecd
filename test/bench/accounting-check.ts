/**
 * Whether the database says what the packets said. Enters: a side and how far it came in the stream. Leaves: a sentence, or an error.
 * Invariant: an acknowledgement counts only when what it acknowledged is there, octet for octet.
 */
import type pg from 'pg';
import { WrongAnswerError } from './answer-check.js';
import type { Databases } from './databases.js';
import { accountingStep, INPUT_OCTETS_PER_PACKET, OUTPUT_OCTETS_PER_PACKET, type AccountingMix } from './packets.js';
import type { Side } from './sides.js';

interface Totals {
  readonly sessions: number;
  readonly closed: number;
  readonly inputOctets: number;
  readonly outputOctets: number;
}

/** What the first packets of the stream add up to. */
function expected(mix: AccountingMix, packets: number): Totals {
  const steps = new Map<number, number>();
  for (let index = 0; index < packets; index++) {
    const { session, step } = accountingStep(mix, index);
    steps.set(session, step);
  }
  let closed = 0;
  let heard = 0;
  for (const step of steps.values()) {
    heard += step;
    if (step === mix.interims + 1) closed++;
  }
  return {
    sessions: steps.size,
    closed,
    inputOctets: heard * INPUT_OCTETS_PER_PACKET,
    outputOctets: heard * OUTPUT_OCTETS_PER_PACKET,
  };
}

const IN_SLUICE = `SELECT count(*)::float8 AS sessions, count(*) FILTER (WHERE closed)::float8 AS closed,
    sum(input_octets)::float8 AS input_octets, sum(output_octets)::float8 AS output_octets
  FROM (SELECT false AS closed, input_octets, output_octets FROM session
        UNION ALL SELECT true, input_octets, output_octets FROM session_history) AS s`;
const IN_RADIUS = `SELECT count(*)::float8 AS sessions, count(acctstoptime)::float8 AS closed,
    sum(acctinputoctets)::float8 AS input_octets, sum(acctoutputoctets)::float8 AS output_octets FROM radacct`;

interface TotalsRow {
  readonly sessions: number;
  readonly closed: number;
  readonly input_octets: number;
  readonly output_octets: number;
}

/** @throws WrongAnswerError when the database says something else than the packets */
export async function checkAccounting(
  databases: Databases,
  mix: AccountingMix,
  side: Side,
  packets: number,
): Promise<string> {
  const isOurs = side.name === 'Sluice';
  const read = async (client: pg.Client): Promise<Totals> => {
    const row = (await client.query<TotalsRow>(isOurs ? IN_SLUICE : IN_RADIUS)).rows[0]!;
    return {
      sessions: row.sessions,
      closed: row.closed,
      inputOctets: row.input_octets,
      outputOctets: row.output_octets,
    };
  };
  const found = await (isOurs ? databases.inSluice(read) : databases.inRadius(read));
  const wanted = expected(mix, packets);
  if (JSON.stringify(found) !== JSON.stringify(wanted))
    throw new WrongAnswerError(
      `${side.name} acknowledged ${JSON.stringify(wanted)} and its database has ${JSON.stringify(found)}`,
    );
  return `${side.name}: ${String(packets)} packets are in the database: ${String(found.sessions)} sessions, ${String(found.closed)} closed, octets exact`;
}
