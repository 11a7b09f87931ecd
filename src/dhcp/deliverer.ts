/**
 * Lease events of one host to the Sluice of another. Enters: events of an inbox. Leaves: signed requests, one at a time. Invariants: an event counts as
 * taken when Sluice says that it is durable, never before; what Sluice will not have is told apart from what it cannot take now; the secret is in no
 * request and in no message.
 */
import type { LeaseEvent } from '../domain/lease-event.js';
import { signatureHeaders, signBody } from './body-signature.js';
import type { InboxOutcome, InboxSink } from './inbox.js';
import { jsonOfLease } from './json-lease.js';

export interface DelivererOptions {
  /** Of `/events/lease`. */
  readonly to: URL;
  /** How Sluice knows this host. */
  readonly source: string;
  readonly secret: Uint8Array;
  readonly nowMs: () => number;
  /** Called with each new reason why nothing is taken, and with undefined once something is taken again. */
  readonly onTrouble: (why: string | undefined) => void;
}

interface Waiting {
  readonly event: LeaseEvent;
  readonly answered: (outcome: InboxOutcome) => void;
}

/** Events of one request: some 150 KB. */
const eventsOfRequest = 500;
/** Sluice answers within eight seconds, ms. */
const requestTimeoutMs = 20_000;
/** An answer is some 100 octets; more of one is not read, octets. */
const maxAnswerOctets = 16_384;

type Answer =
  | { readonly outcome: 'taken' }
  /** The event at `index` is one that Sluice will never have. */
  | { readonly outcome: 'refused'; readonly index: number }
  | { readonly outcome: 'later'; readonly why: string };

export class LeaseDeliverer implements InboxSink {
  readonly #options: DelivererOptions;
  readonly #ended = new AbortController();
  #waiting: Waiting[] = [];
  #delivering: Promise<void> | undefined;
  #trouble: string | undefined;

  constructor(options: DelivererOptions) {
    this.#options = options;
  }

  take(event: LeaseEvent, answered: (outcome: InboxOutcome) => void): void {
    this.#waiting.push({ event, answered });
    // What is handed over in one go is sent in one go.
    this.#delivering ??= Promise.resolve().then(() => this.#deliver());
  }

  /** Ends the request under way; its events stay in the inbox. */
  async stop(): Promise<void> {
    this.#ended.abort();
    await this.#delivering;
  }

  async #deliver(): Promise<void> {
    while (this.#waiting.length > 0) {
      const group = this.#waiting.slice(0, eventsOfRequest);
      const answer = await this.#post(group.map(({ event }) => event));
      if (answer.outcome === 'later') {
        const left = this.#waiting;
        this.#waiting = [];
        this.#tell(answer.why);
        for (const { answered } of left) answered('later');
        break;
      }
      if (answer.outcome === 'refused') {
        const [refused] = this.#waiting.splice(answer.index, 1);
        refused?.answered('refused');
        continue;
      }
      this.#waiting.splice(0, group.length);
      this.#tell(undefined);
      for (const { answered } of group) answered('durable');
    }
    this.#delivering = undefined;
  }

  async #post(events: readonly LeaseEvent[]): Promise<Answer> {
    const { to, source, secret, nowMs } = this.#options;
    const body = Buffer.from(JSON.stringify(events.map(jsonOfLease)));
    const timestamp = String(Math.floor(nowMs() / 1_000));
    try {
      const response = await fetch(to, {
        method: 'POST',
        headers: {
          'content-type': 'application/json',
          [signatureHeaders.source]: source,
          [signatureHeaders.timestamp]: timestamp,
          [signatureHeaders.signature]: signBody(timestamp, body, secret).toString('hex'),
        },
        body,
        // Whoever answers elsewhere has no secret of ours.
        redirect: 'error',
        signal: AbortSignal.any([this.#ended.signal, AbortSignal.timeout(requestTimeoutMs)]),
      });
      return answerOf(response.status, await readStart(response), events.length);
    } catch (error) {
      return { outcome: 'later', why: this.#ended.signal.aborted ? 'stopped' : `no answer (${reasonOf(error)})` };
    }
  }

  #tell(why: string | undefined): void {
    if (why === this.#trouble || this.#ended.signal.aborted) return;
    this.#trouble = why;
    this.#options.onTrouble(why);
  }
}

function answerOf(status: number, text: string, sent: number): Answer {
  // 409: this very request was taken, and its answer was lost.
  if ((status >= 200 && status < 300) || status === 409) return { outcome: 'taken' };
  const told = parseObject(text);
  const index = told['index'];
  if (status === 422 && typeof index === 'number' && Number.isInteger(index) && index >= 0 && index < sent)
    return { outcome: 'refused', index };
  const why = typeof told['text'] === 'string' ? `: ${told['text']}` : '';
  return { outcome: 'later', why: `answer ${String(status)}${why}` };
}

function parseObject(text: string): Readonly<Record<string, unknown>> {
  try {
    const value: unknown = JSON.parse(text);
    return typeof value === 'object' && value !== null ? (value as Record<string, unknown>) : {};
  } catch {
    return {};
  }
}

async function readStart(response: Response): Promise<string> {
  const chunks: Uint8Array[] = [];
  let length = 0;
  for await (const chunk of (response.body ?? []) as AsyncIterable<Uint8Array>) {
    chunks.push(chunk);
    length += chunk.length;
    if (length >= maxAnswerOctets) break;
  }
  return Buffer.concat(chunks).toString('utf8', 0, maxAnswerOctets);
}

/** `ECONNREFUSED` and its like; fetch wraps them. */
function reasonOf(error: unknown): string {
  const cause = error instanceof Error && error.cause instanceof Error ? error.cause : error;
  if (cause instanceof Error && 'code' in cause && typeof cause.code === 'string') return cause.code;
  return cause instanceof Error ? cause.name : 'unknown';
}
