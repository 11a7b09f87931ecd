/**
 * What a tracer and the server say to each other over the socket in the data folder.
 *
 * Enters: nothing. Leaves: names and shapes: one line of JSON for each event, one for the question.
 * Invariant: keys are those of `trace --json`, so a renamed one is a changed interface; no value of a password or key is ever in it.
 */
import { join } from 'node:path';

/** The socket, mode 0600: whoever may read the data folder's secrets may trace. */
export function traceSocketPath(dataDir: string): string {
  return join(dataDir, 'trace.sock');
}

/** What the kernel holds of a socket's name, octets, on every system that we run on (`sun_path`). */
export const longestSocketPathOctets = 103;

/** The longest question, octets. */
export const longestQuestionOctets = 1024;

/** Whom to trace: packets that name this login or this MAC, or that are found to be of such a subscriber. */
export interface TraceQuestion {
  readonly login?: string;
  /** Canonical. */
  readonly mac?: string;
}

/** An attribute as shown; `<hidden>` for what is secret. */
export interface TracedAttribute {
  readonly name: string;
  readonly tag: number | null;
  readonly value: string;
}

/** What happened. `tracing` comes first, `turned-away` instead of it, `lost` where events were too many. */
export type TraceEventKind =
  'tracing' | 'turned-away' | 'lost' | 'arrived' | 'repeated' | 'refused' | 'decided' | 'answered' | 'discarded';

/** One line. */
export interface TraceEvent {
  /** ISO 8601, UTC. */
  readonly at: string;
  readonly event: TraceEventKind;
  /** The same for all events of one request. */
  readonly request?: number;
  /** `auth` or `accounting`. */
  readonly port?: string;
  /** The entry of nas.d, or the group behind the address. */
  readonly nas?: string | null;
  /** `address:port` of the sender. */
  readonly source?: string;
  readonly code?: string;
  readonly identifier?: number;
  /** The login of the subscriber who was found, if one was. */
  readonly subscriber?: string | null;
  /** `one`, `several`, or `none` of the subscribers is meant. */
  readonly found?: string;
  /** What the server knew him by: `login`, `mac`, `address`, `class`, `session`; `nothing` when it names nobody. */
  readonly found_by?: string;
  /** `accept`, `reject` or `discard`. */
  readonly outcome?: string;
  /** A code; the state for an accept. */
  readonly reason?: string;
  /** The reason as a sentence. */
  readonly explanation?: string;
  readonly address?: string | null;
  /** From the arrival to the answer, ms. */
  readonly after_ms?: number;
  readonly attributes?: readonly TracedAttribute[];
  /** Of `lost`: how many events. */
  readonly events?: number;
}

/** The question in a line; undefined for anything else. */
export function readQuestion(line: string): TraceQuestion | undefined {
  let value: unknown;
  try {
    value = JSON.parse(line);
  } catch {
    return undefined;
  }
  if (typeof value !== 'object' || value === null) return undefined;
  const login = 'login' in value && typeof value.login === 'string' ? value.login : undefined;
  const mac = 'mac' in value && typeof value.mac === 'string' ? value.mac : undefined;
  if (login === undefined && mac === undefined) return undefined;
  return { ...(login === undefined ? {} : { login }), ...(mac === undefined ? {} : { mac }) };
}
