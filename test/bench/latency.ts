/**
 * What became of requests at a fixed rate. Enters: times sent and latencies. Leaves: percentiles, of everything and of the worst second. Invariant: a lost request
 * counts as the slowest.
 */
import type { OpenLoopResult } from './open-loop.js';

export interface LatencySummary {
  readonly requests: number;
  readonly lost: number;
  readonly refused: number;
  readonly p50Ms: number;
  readonly p99Ms: number;
  readonly maxMs: number;
  /** The greatest of the 99th percentiles of windows of one second, each beginning a tenth after the one before. */
  readonly worstSecondP99Ms: number;
}

const WINDOW_MS = 1_000;
const STEP_MS = 100;
/** A window with fewer requests says nothing about a percentile. */
const LEAST_REQUESTS = 100;

export function percentile(values: Float64Array | readonly number[], share: number): number {
  const sorted = Float64Array.from(values).sort();
  return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))] ?? NaN;
}

/** Those sent from one instant to another, ms since 1970. */
export function summarize(result: OpenLoopResult, fromMs = -Infinity, untilMs = Infinity): LatencySummary {
  const chosen: number[] = [];
  let [firstMs, lastMs] = [Infinity, -Infinity];
  for (const [i, sentAtMs] of result.sentAtMs.entries()) {
    if (sentAtMs < fromMs || sentAtMs >= untilMs) continue;
    chosen.push(result.latencyMs[i]!);
    firstMs = Math.min(firstMs, sentAtMs);
    lastMs = Math.max(lastMs, sentAtMs);
  }
  let worstSecondP99Ms = 0;
  for (let startMs = firstMs; startMs + WINDOW_MS <= lastMs; startMs += STEP_MS) {
    const window = windowOf(result, startMs, startMs + WINDOW_MS);
    if (window.length >= LEAST_REQUESTS) worstSecondP99Ms = Math.max(worstSecondP99Ms, percentile(window, 0.99));
  }
  return {
    requests: chosen.length,
    lost: chosen.filter((latency) => latency === Infinity).length,
    refused: result.refused,
    p50Ms: percentile(chosen, 0.5),
    p99Ms: percentile(chosen, 0.99),
    maxMs: percentile(chosen, 1),
    worstSecondP99Ms,
  };
}

/** Requests are sent in order, so a window is one stretch of the list. */
function windowOf(result: OpenLoopResult, fromMs: number, untilMs: number): Float64Array {
  const at = (ms: number): number => {
    let [low, high] = [0, result.sentAtMs.length];
    while (low < high) {
      const middle = (low + high) >> 1;
      if (result.sentAtMs[middle]! < ms) low = middle + 1;
      else high = middle;
    }
    return low;
  };
  return result.latencyMs.subarray(at(fromMs), at(untilMs));
}
