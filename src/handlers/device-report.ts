/**
 * Monitoring events of programs, from the intake to the database. Enters: a query or a parsed body that somebody signed. Leaves: what became of it. Invariants: a body is
 * taken whole or not at all as far as its form goes; while the database is away nothing is taken, and its sender has to say it again.
 */
import { z } from 'zod';
import { alertmanagerEvents } from '../domain/alertmanager-events.js';
import { type DeviceEvent, eventTimeMs, parseStatusWord } from '../domain/device-status.js';
import type { DeviceEventOutcome } from '../store/device-events.js';
import { deviceEventOf, type DeviceEventHandler, deviceReply } from './device-event.js';

/** Events of one body: what monitoring finds out in one round. */
const MOST_EVENTS = 1_000;

const event = z.strictObject({
  device: z.string().min(1).max(200),
  status: z.string().transform((text, context) => {
    const status = parseStatusWord(text);
    if (status === undefined) context.addIssue({ code: 'custom', message: 'status is none of UP, DOWN, UNREACHABLE' });
    return status ?? z.NEVER;
  }),
  /** When monitoring saw it. */
  at: z.iso.datetime({ offset: true }).optional(),
  note: z.string().max(10_000).optional(),
});
const body = z.union([event.transform((one) => [one]), z.array(event).min(1).max(MOST_EVENTS)]);

/** Who said it, and when it came. */
export interface Reported {
  readonly receivedAtMs: number;
  /** When its sender signed it; undefined: it does not say. */
  readonly toldAtMs: number | undefined;
  readonly source: string;
}

/** What became of it; `text` is for whoever sent it. */
export type ReportAnswer =
  | { readonly outcome: 'taken'; readonly text?: string }
  | { readonly outcome: 'refused'; readonly text: string }
  | { readonly outcome: 'not-stored' };

export interface DeviceReportDeps {
  /** undefined: the database has not been reached. */
  readonly handler: () => Pick<DeviceEventHandler, 'handle'> | undefined;
  readonly onError: (error: unknown) => void;
}

/** Takes reports of the intake. */
export class DeviceReports {
  readonly #deps: DeviceReportDeps;

  constructor(deps: DeviceReportDeps) {
    this.#deps = deps;
  }

  /** The form of monitoring agents: `dev_ip` and `status`. Answered in the words that they know. */
  async takeQuery(
    query: { readonly devIp: string; readonly status: string },
    reported: Reported,
  ): Promise<ReportAnswer> {
    const parameters = new URLSearchParams({ dev_ip: query.devIp, status: query.status });
    const reading = deviceEventOf(parameters, reported.receivedAtMs, reported.source);
    if (!reading.ok) return { outcome: 'refused', text: reading.reply.text };
    const outcomes = await this.#store([reading.event]);
    if (outcomes === undefined) return { outcome: 'not-stored' };
    return { outcome: 'taken', text: deviceReply(reading.event, outcomes[0]!).text };
  }

  /** `{ "device", "status", "at"?, "note"? }`, or a list of such. */
  async takeEvent(value: unknown, reported: Reported): Promise<ReportAnswer> {
    const parsed = body.safeParse(value);
    if (!parsed.success)
      return {
        outcome: 'refused',
        text: 'an event is { device, status, at?, note? }, with UP, DOWN or UNREACHABLE as status',
      };
    const { receivedAtMs, toldAtMs, source } = reported;
    const events = parsed.data.map(({ device, status, at, note }): DeviceEvent => ({
      device,
      status,
      eventAtMs: eventTimeMs(at === undefined ? toldAtMs : Date.parse(at), receivedAtMs),
      receivedAtMs,
      source,
      note: note ?? null,
    }));
    return answerOf(await this.#store(events), 0);
  }

  /** The webhook of Prometheus Alertmanager. */
  async takeAlerts(value: unknown, { receivedAtMs }: Reported): Promise<ReportAnswer> {
    const reading = alertmanagerEvents(value, receivedAtMs);
    if (!reading.ok) return { outcome: 'refused', text: reading.problem };
    return answerOf(await this.#store(reading.events), reading.skipped);
  }

  async #store(events: readonly DeviceEvent[]): Promise<DeviceEventOutcome[] | undefined> {
    const handler = this.#deps.handler();
    if (handler === undefined) return undefined;
    try {
      const outcomes: DeviceEventOutcome[] = [];
      for (const one of events) outcomes.push(await handler.handle(one));
      return outcomes;
    } catch (error) {
      this.#deps.onError(error);
      return undefined;
    }
  }
}

/** How many are known, so that a typing mistake in a label is found out. */
function answerOf(outcomes: readonly DeviceEventOutcome[] | undefined, skipped: number): ReportAnswer {
  if (outcomes === undefined) return { outcome: 'not-stored' };
  const changed = outcomes.filter(({ outcome }) => outcome === 'changed').length;
  const strange = outcomes.filter(
    ({ outcome }) => outcome === 'unknown-device' || outcome === 'several-devices',
  ).length;
  return {
    outcome: 'taken',
    text: `${String(outcomes.length)} events: ${String(changed)} changed, ${String(strange)} of unknown devices, ${String(skipped)} without a device`,
  };
}
