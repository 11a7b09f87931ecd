/**
 * The pages over a city. Enters: the address of a status listener, how many people there are. Leaves: how long each page and search took, the first time and warm.
 * Invariant: an answer other than 200 is an error, so that no page is fast because it failed.
 */
import { setTimeout as delay } from 'node:timers/promises';
import { inhabitant } from './million-population.js';

export interface PageTime {
  readonly path: string;
  readonly isSearch: boolean;
  readonly firstMs: number;
  readonly medianMs: number;
  readonly worstMs: number;
}

/** Warm requests of each page. */
const REPEATS = 20;

/** Every page, and searches by everything that people are searched by: common, rare, nobody's. */
export function pagePaths(people: number): string[] {
  const n = Math.floor(people / 6) * 3;
  const person = inhabitant(n);
  const contract = `C-${String(1_000_000 + n)}`;
  return [
    '/',
    `/subscribers?q=${person.login}`,
    '/subscribers?q=user',
    `/subscribers?q=${contract}`,
    '/subscribers?q=C-',
    '/subscribers?q=иванов',
    '/subscribers?q=иванов анна улица77',
    '/subscribers?q=ул',
    '/subscribers?q=nobodyhasthis',
    '/subscribers?q=1234567',
    `/subscribers?q=${person.mac}`,
    `/subscribers?q=${String(person.staticAddress)}`,
    `/subscribers/${String(n)}`,
    `/subscribers/${String(n)}?date=2026-11-02`,
    '/sessions',
    '/sessions?nas=localhost',
    '/nas',
    '/pools',
    '/set-aside',
    '/metrics',
  ];
}

async function timed(url: string): Promise<number> {
  const beganMs = performance.now();
  const answer = await fetch(url);
  await answer.text();
  if (answer.status !== 200) throw new Error(`${url} answered ${String(answer.status)}`);
  return performance.now() - beganMs;
}

/** Asks for every page, one after the other. */
export async function pageTimes(statusUrl: string, paths: readonly string[]): Promise<PageTime[]> {
  const times: PageTime[] = [];
  for (const path of paths.map((one) => encodeURI(one))) {
    const firstMs = await timed(`${statusUrl}${path}`);
    const warm: number[] = [];
    for (let i = 0; i < REPEATS; i++) warm.push(await timed(`${statusUrl}${path}`));
    warm.sort((one, other) => one - other);
    const isSearch = path.includes('?q=');
    times.push({
      path: decodeURI(path),
      isSearch,
      firstMs,
      medianMs: warm[REPEATS >> 1]!,
      worstMs: warm[REPEATS - 1]!,
    });
  }
  return times;
}

/** Several people who look at every page again and again. @returns pages that were shown */
export async function browse(statusUrl: string, people: number, clients: number, signal: AbortSignal): Promise<number> {
  const paths = pagePaths(people).map((path) => encodeURI(path));
  let shown = 0;
  await Promise.all(
    Array.from({ length: clients }, async (_, client) => {
      for (let i = client * 5; !signal.aborted; i++) {
        await timed(`${statusUrl}${paths[i % paths.length]!}`);
        shown++;
        // Somebody who reads what he sees would wait longer.
        await delay(20);
      }
    }),
  );
  return shown;
}
