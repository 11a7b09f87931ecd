/**
 * The status listener as a monitoring system sees it. Enters: its URL. Leaves: numbers by metric and label, health.
 * Invariant: a metric that is not there is an error, so no test passes on a name that nobody writes any more.
 */
import { waitFor } from './deadline.js';

/** One reading of /metrics. */
export class Scrape {
  readonly #lines: readonly string[];

  constructor(readonly text: string) {
    this.#lines = text.split('\n').filter((line) => line !== '' && !line.startsWith('#'));
  }

  /**
   * The sum over the series of a metric that have all the labels.
   *
   * @param name without `sluice_`
   * @param labels with none given, all series count; a series that nothing has happened to yet counts 0
   * @throws Error when the server does not know the metric
   */
  sum(name: string, labels: Readonly<Record<string, string>> = {}): number {
    const full = `sluice_${name}`;
    if (!this.text.includes(`# TYPE ${full} `)) throw new Error(`there is no metric ${full}`);
    let sum = 0;
    for (const line of this.#lines) {
      if (!line.startsWith(`${full}{`) && !line.startsWith(`${full} `)) continue;
      if (!Object.entries(labels).every(([key, value]) => line.includes(`${key}="${value}"`))) continue;
      sum += Number(line.slice(line.lastIndexOf(' ') + 1));
    }
    return sum;
  }
}

/** Reads /metrics. @param statusUrl as `TestServer.statusUrl` */
export async function scrape(statusUrl: string): Promise<Scrape> {
  const response = await fetch(`${statusUrl}/metrics`);
  if (!response.ok) throw new Error(`/metrics answered ${String(response.status)}`);
  return new Scrape(await response.text());
}

export interface Health {
  readonly status: number;
  readonly problems: readonly string[];
}

/** Reads /healthz or /readyz. */
export async function health(statusUrl: string, path: '/healthz' | '/readyz' = '/healthz'): Promise<Health> {
  const response = await fetch(`${statusUrl}${path}`);
  const { problems } = (await response.json()) as { problems: string[] };
  return { status: response.status, problems };
}

/** Waits until every acknowledged fact is applied and every subscriber that it concerns is in line. @returns ms that it took */
export async function applied(statusUrl: string, timeoutMs = 120_000): Promise<number> {
  const beganAt = performance.now();
  await waitFor('all acknowledged facts in the database', timeoutMs, async () => {
    const now = await scrape(statusUrl).catch(() => undefined);
    return (
      now?.sum('database_available') === 1 && now.sum('spool_lag_records') === 0 && now.sum('settler_backlog') === 0
    );
  });
  return performance.now() - beganAt;
}

/** Waits until the server has heard of that many subscribers. */
export async function knowsSubscribers(statusUrl: string, count: number): Promise<void> {
  await waitFor(`${String(count)} subscribers in memory`, 20_000, async () => {
    const now = await scrape(statusUrl);
    return now.sum('directory_subscribers') === count;
  });
}
