/**
 * What monitoring says of a device, from any of its forms to the database. Enters: a query as monitoring agents send it, or an event. Leaves: what
 * became of it, and the answer in the words that those agents know. Invariant: what cannot be understood changes nothing and says why.
 */
import type { Pool } from 'pg';
import type { Logger } from 'pino';
import { readDeviceAddress } from '../domain/device-reference.js';
import { type DeviceEvent, parseStatusWord, STATUS_WORDS } from '../domain/device-status.js';
import { parseMacAddress } from '../domain/mac-address.js';
import type { ContactKind } from '../store/device-catalogue.js';
import { type DeviceEventOutcome, storeDeviceEvent } from '../store/device-events.js';

/** Of what was sent, this much is repeated in an answer, characters. */
const LONGEST_ECHO = 64;
/** Of a note, this much is kept, characters. */
const LONGEST_NOTE = 500;

/** Why a query is no event. */
export type QueryProblem = 'no-device' | 'invalid-device' | 'unknown-status';

/** A query as it was understood. */
export type DeviceQueryReading =
  | { readonly ok: true; readonly event: DeviceEvent }
  | { readonly ok: false; readonly problem: QueryProblem; readonly reply: DeviceReply };

/** The body of an answer, as JSON. */
export interface DeviceReply {
  readonly text: string;
}

/**
 * Reads `dev_ip` and `status` of `/dev/on_device_event/`; whether the query is signed is for its listener to find out.
 *
 * @param query `dev_ip` is an address, or a MAC in any notation
 * @param receivedAtMs our clock, ms since 1970: this form carries no time of its own
 * @param source who asked, for the history
 */
export function deviceEventOf(query: URLSearchParams, receivedAtMs: number, source: string): DeviceQueryReading {
  const refuse = (problem: QueryProblem, text: string): DeviceQueryReading => ({ ok: false, problem, reply: { text } });
  const written = query.get('dev_ip') ?? '';
  if (written === '') return refuse('no-device', 'ip does not passed');
  const device = readDeviceAddress(written) ?? parseMacAddress(written);
  if (device === undefined)
    return refuse('invalid-device', `ip address ${written.slice(0, LONGEST_ECHO)} is not valid`);
  const word = query.get('status') ?? '';
  const status = parseStatusWord(word);
  if (status === undefined)
    return refuse('unknown-status', `status ${word.slice(0, LONGEST_ECHO)} is none of ${STATUS_WORDS.join(', ')}`);
  return { ok: true, event: { device, status, eventAtMs: receivedAtMs, receivedAtMs, source, note: null } };
}

/** The answer to an event that came as a query. */
export function deviceReply(event: Pick<DeviceEvent, 'device'>, outcome: DeviceEventOutcome): DeviceReply {
  switch (outcome.outcome) {
    case 'unknown-device':
      return { text: `Devices with ip ${event.device} does not exist` };
    case 'several-devices':
      return { text: `Several devices have ip ${event.device}` };
    case 'changed':
      if (outcome.untold === null) return { text: 'notification successfully sent' };
      break;
    case 'unchanged':
    case 'late':
      break;
  }
  return { text: `Notification for ${event.device} is unnecessary` };
}

export interface DeviceEventDeps {
  readonly pool: Pool;
  readonly log: Logger;
  /** How people can be told with the configuration of this moment. */
  readonly ways: () => readonly ContactKind[];
}

/** Stores events. */
export class DeviceEventHandler {
  readonly #deps: DeviceEventDeps;

  constructor(deps: DeviceEventDeps) {
    this.#deps = deps;
  }

  /** @throws the database's error: nothing has happened then, and the event has to be said again */
  async handle(event: DeviceEvent): Promise<DeviceEventOutcome> {
    const { pool, log, ways } = this.#deps;
    const outcome = await storeDeviceEvent(pool, bounded(event), ways());
    if (outcome.outcome === 'changed') {
      const { device, oldStatus, status, told } = outcome;
      log.info(
        { device: device.id, name: device.name, oldStatus, status, told, source: event.source },
        'a device changed',
      );
    } else
      log.debug(
        { device: event.device, outcome: outcome.outcome, source: event.source },
        'a monitoring event changed nothing',
      );
    return outcome;
  }
}

/** Nothing that is told has happened later than now; PostgreSQL stores no NUL. */
function bounded(event: DeviceEvent): DeviceEvent {
  return {
    ...event,
    eventAtMs: Math.min(event.eventAtMs, event.receivedAtMs),
    note: event.note?.replaceAll('\0', ' ').slice(0, LONGEST_NOTE) ?? null,
  };
}
