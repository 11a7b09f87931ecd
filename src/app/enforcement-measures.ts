/**
 * What is measured of commanding NASes. Enters: the part that commands. Leaves: measures for the status listener. Invariant: labels are names of the
 * configuration and words of fixed sets, so that their number is bounded; reading them asks nobody.
 */
import type { Labelled, Measure } from '../status/metrics.js';
import type { EnforcementSide } from './enforcement-side.js';

/** Of the last thousand delays. */
const QUANTILES = [0.5, 0.9, 0.99];

/** @param enforcement undefined until the database was reached */
export function enforcementMeasures(enforcement: () => EnforcementSide | undefined): Measure[] {
  const counter = (name: string, help: string, read: Measure['read'], labels: readonly string[] = []): Measure => ({
    name,
    help,
    kind: 'counter',
    labels,
    read,
  });
  const gauge = (name: string, help: string, read: Measure['read'], labels: readonly string[] = []): Measure => ({
    ...counter(name, help, read, labels),
    kind: 'gauge',
  });
  const dispatcher = (): EnforcementSide['dispatcher'] | undefined => enforcement()?.dispatcher;
  return [
    gauge('enforcements', 'Places on NASes that this server commands, by state', () => states(enforcement()), [
      'nas',
      'state',
    ]),
    gauge('nas_answering', '1 while a NAS that this server commands answers', () => answering(enforcement()), ['nas']),
    gauge('nas_waiting', 'Enforcements that wait for room on their NAS', () => waiting(enforcement()), ['nas']),
    gauge('enforcement_in_flight', 'Enforcements that are being commanded', () => dispatcher()?.inFlight ?? 0),
    gauge(
      'enforcement_backlog',
      'Enforcements that are named, wait or are being commanded',
      () => dispatcher()?.backlog ?? 0,
    ),
    gauge('fuse_held', '1 while tightening waits for a release', () => Number(enforcement()?.isFuseHeld ?? false)),
    counter('nas_commands_total', 'Commands to NASes by what came of them', () => commands(enforcement()), [
      'driver',
      'outcome',
    ]),
    counter(
      'enforcement_disproved_total',
      'Places that were not what their NAS had confirmed: still-there, a session lived on; read-back, it was read otherwise',
      () => disproofs(enforcement()),
      ['nas', 'how'],
    ),
    counter(
      'change_to_command_total',
      'Changes that became commands at once',
      () => dispatcher()?.measures.delays.count ?? 0,
    ),
    counter(
      'change_to_command_seconds_total',
      'Time from seeing a change to sending its command, in sum',
      () => (dispatcher()?.measures.delays.sumMs ?? 0) / 1000,
    ),
    gauge('change_to_command_seconds', 'The same, of the last changes', () => delays(enforcement()), ['quantile']),
    counter('coa_dropped_total', 'Datagrams that were no answer to a command', () => drops(enforcement()), ['reason']),
  ];
}

function* states(enforcement: EnforcementSide | undefined): Generator<Labelled> {
  for (const [nas, counts] of enforcement?.counts ?? [])
    for (const [state, value] of Object.entries(counts)) yield { labels: { nas, state }, value };
}

function* answering(enforcement: EnforcementSide | undefined): Generator<Labelled> {
  for (const [nas, { view }] of enforcement?.dispatcher.lanes ?? [])
    yield { labels: { nas }, value: Number(view.breaker === 'closed' || view.breaker === 'refusing') };
}

function* waiting(enforcement: EnforcementSide | undefined): Generator<Labelled> {
  for (const [nas, { view }] of enforcement?.dispatcher.lanes ?? []) yield { labels: { nas }, value: view.waiting };
}

function* commands(enforcement: EnforcementSide | undefined): Generator<Labelled> {
  for (const { driver, outcome, count } of enforcement?.dispatcher.measures.outcomes ?? [])
    yield { labels: { driver, outcome }, value: count };
}

function* disproofs(enforcement: EnforcementSide | undefined): Generator<Labelled> {
  for (const { nas, how, count } of enforcement?.dispatcher.measures.disproofs ?? [])
    yield { labels: { nas, how }, value: count };
}

function* delays(enforcement: EnforcementSide | undefined): Generator<Labelled> {
  if (enforcement === undefined) return;
  for (const quantile of QUANTILES)
    yield { labels: { quantile: String(quantile) }, value: enforcement.dispatcher.measures.delayMs(quantile) / 1000 };
}

function* drops(enforcement: EnforcementSide | undefined): Generator<Labelled> {
  for (const [reason, value] of enforcement?.coaDrops() ?? []) yield { labels: { reason }, value };
}
