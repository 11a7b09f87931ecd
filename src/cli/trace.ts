/**
 * `trace`: what arrives of one subscriber, what is decided and why, what is answered, while it happens.
 *
 * Enters: a login or MAC, the lines of the running server. Leaves: text or JSON lines until Ctrl-C.
 * Invariant: whatever a line holds is made printable; the command only listens, and the server never waits for it.
 */
import { createConnection } from 'node:net';
import type { Socket } from 'node:net';
import { createInterface } from 'node:readline';
import { parseMacAddress } from '../domain/mac-address.js';
import { longestSocketPathOctets, traceSocketPath } from '../status/trace-protocol.js';
import type { TraceEvent, TraceQuestion } from '../status/trace-protocol.js';
import { parseWholeNumber } from './assignments.js';
import type { CommandContext } from './command-context.js';
import { CommandError, UsageError } from './command-error.js';
import { toJson } from './command-io.js';
import { printable } from './printable.js';

/** The options of `trace`, as typed. */
export interface TraceOptions {
  readonly count?: string;
}

/** The longest login that RADIUS carries (RFC 2865 §5), octets. */
const longestLoginOctets = 253;
const mostEvents = 1_000_000;

/** Connects to the server of the data folder and prints until Ctrl-C, or until it has seen `--count` events. */
export async function traceSubscriber(context: CommandContext, whom: string, options: TraceOptions): Promise<void> {
  const most = options.count === undefined ? Infinity : parseWholeNumber('--count', options.count, 1, mostEvents);
  const octets = Buffer.byteLength(whom);
  if (octets < 1 || octets > longestLoginOctets)
    throw new UsageError(`the login has ${String(octets)} octets`, 'give a login or a MAC address');
  const connection = await connect(context.dataDir);
  let interrupted = false;
  const onInterrupt = (): void => {
    interrupted = true;
    connection.destroy();
  };
  process.once('SIGINT', onInterrupt);
  process.once('SIGTERM', onInterrupt);
  try {
    connection.write(`${JSON.stringify(questionOf(whom))}\n`);
    let seen = 0;
    for await (const line of createInterface({ input: connection, crlfDelay: Infinity })) {
      const event = JSON.parse(line) as TraceEvent;
      if (event.event === 'turned-away')
        throw new CommandError(`the server does not trace: ${event.explanation ?? ''}`, 'end another trace first');
      if (event.event === 'tracing') {
        context.remark(`tracing ${whom}; Ctrl-C ends it`);
        continue;
      }
      await context.print(context.json ? toJson(event, 0) : textOf(event));
      seen += 1;
      if (seen >= most) return;
    }
    if (!interrupted) throw new CommandError('the server has ended the trace', 'it has stopped: look at its log');
  } catch (error) {
    if (!interrupted) throw error;
  } finally {
    process.off('SIGINT', onInterrupt);
    process.off('SIGTERM', onInterrupt);
    connection.destroy();
  }
}

function questionOf(whom: string): TraceQuestion {
  const mac = parseMacAddress(whom);
  return mac === undefined ? { login: whom } : { login: whom, mac };
}

async function connect(dataDir: string): Promise<Socket> {
  const path = traceSocketPath(dataDir);
  if (Buffer.byteLength(path) > longestSocketPathOctets)
    throw new CommandError(
      `${path} is longer than the name of a socket can be`,
      `use a data folder with a name of at most ${String(longestSocketPathOctets - 'trace.sock'.length - 1)} octets`,
    );
  const connection = createConnection(path);
  return await new Promise((resolve, reject) => {
    connection.once('error', (error) => {
      const code = 'code' in error ? error.code : undefined;
      if (code === 'ENOENT' || code === 'ECONNREFUSED')
        reject(new CommandError(`no server runs on ${dataDir}`, 'start it, or correct --data (or SLUICE_DATA)'));
      else if (code === 'EACCES')
        reject(new CommandError('this user may not trace', 'run it as the user of the server, or as root'));
      else reject(error);
    });
    connection.once('connect', () => {
      connection.removeAllListeners('error');
      // The end of the connection says all that there is to know.
      connection.on('error', () => connection.destroy());
      resolve(connection);
    });
  });
}

/** One event as lines: what happened first, its attributes below. */
export function textOf(event: TraceEvent): string {
  const head = [
    event.at,
    event.request === undefined ? '' : `#${String(event.request)}`,
    headOf(event),
    event.after_ms === undefined ? '' : `after ${String(event.after_ms)} ms`,
  ].filter((part) => part !== '');
  const attributes = (event.attributes ?? []).map(
    ({ name, tag, value }) => `  ${name}${tag === null ? '' : `:${String(tag)}`} = ${value}`,
  );
  return [head.join(' '), ...attributes].map(printable).join('\n');
}

function whoOf({ subscriber, found, found_by: by }: TraceEvent): string {
  const known = by === undefined || by === 'nothing' ? '' : ` by ${by}`;
  if (subscriber !== null && subscriber !== undefined) return `of ${subscriber}, known${known}`;
  return found === 'several' ? `of several subscribers${known}, so of none` : 'of no subscriber';
}

function headOf(event: TraceEvent): string {
  const packet = `${event.code ?? ''} Identifier ${String(event.identifier ?? '')}`;
  const from = `from ${event.nas ?? 'an unknown NAS'} (${event.source ?? ''})`;
  const why = event.explanation === undefined ? '' : `: ${event.explanation}`;
  switch (event.event) {
    case 'arrived':
      return `arrived: ${packet} ${from}, ${whoOf(event)}`;
    case 'repeated':
      return `repeated: ${packet} ${from}${why}`;
    case 'refused':
      return `refused (${event.reason ?? ''}): ${packet} ${from}${why}`;
    case 'decided':
      return `decided: ${event.outcome ?? ''} (${event.reason ?? ''})${why}${event.address == null ? '' : `, ${event.address}`}`;
    case 'answered':
      return `answered: ${packet}${why}`;
    case 'discarded':
      return `discarded (${event.reason ?? ''})${why}`;
    case 'lost':
      return `${String(event.events ?? 0)} events were too many and are not shown`;
    default:
      return event.event;
  }
}
