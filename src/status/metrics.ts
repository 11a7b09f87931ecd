/**
 * What the server counts, for Prometheus. Enters: functions that read counters, called when somebody scrapes. Leaves: text. Invariants: the
 * hot paths only add to plain numbers; labels come from configuration or from fixed sets, never from packets.
 */
import { collectDefaultMetrics, Counter, Gauge, Registry } from 'prom-client';

export interface Labelled {
  readonly labels: Readonly<Record<string, string>>;
  readonly value: number;
}

/** A number that only grows, or one that goes both ways, as it is at the moment of reading. */
export interface Measure {
  readonly name: string;
  readonly help: string;
  readonly kind: 'counter' | 'gauge';
  readonly labels?: readonly string[];
  readonly read: () => number | Iterable<Labelled>;
}

/** A registry of its own over the measures, with those of the process. */
export function metricsRegistry(measures: readonly Measure[]): Registry {
  const registry = new Registry();
  collectDefaultMetrics({ register: registry });
  for (const measure of measures) {
    const { name, help, labels = [], read } = measure;
    const options = { name: `sluice_${name}`, help, labelNames: [...labels], registers: [registry] };
    if (measure.kind === 'gauge') {
      const gauge = new Gauge({
        ...options,
        collect() {
          gauge.reset();
          for (const one of entries(read())) gauge.set({ ...one.labels }, one.value);
        },
      });
    } else {
      const counter = new Counter({
        ...options,
        collect() {
          counter.reset();
          for (const one of entries(read())) counter.inc({ ...one.labels }, one.value);
        },
      });
    }
  }
  return registry;
}

function entries(value: number | Iterable<Labelled>): Iterable<Labelled> {
  return typeof value === 'number' ? [{ labels: {}, value }] : value;
}
