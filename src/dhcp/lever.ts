/**
 * Requests that say everything in their query: the lease lever and the monitoring form. Enters: GET requests. Leaves: lease events and device
 * reports to their sinks; an answer once they are durable. Invariants: off until a secret and sources are set; nothing is read before the signature;
 * who is let in hears 200 with `{"status":"ok"}` or `{"text":"why not"}`, or 503 when it has to be said again; what is wrong changes nothing.
 */
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';
import type { DeviceEventSink } from './device-intake.js';
import { denied, done, later, notStored } from './intake-answer.js';
import type { IntakeWay } from './intake-ledger.js';
import type { IntakeParts } from './intake-parts.js';
import { isSignedQuery, readQuery } from './query-signature.js';
import { leaseFaults, readToldLease } from './told-lease.js';

/** Where hooks of other systems ask; with a slash at the end and without. */
const leverPaths = ['/dhcp_lever', '/abons/api/dhcp_lever'];
const devicePath = '/dev/on_device_event';

const leverWords: ReadonlySet<string> = new Set(['cmd', 'client_ip', 'client_mac', 'switch_mac', 'switch_port']);
const deviceWords: ReadonlySet<string> = new Set(['dev_ip', 'status']);

/** Adds the routes. */
export function addLever(app: FastifyInstance, parts: IntakeParts): void {
  for (const path of leverPaths) app.get(path, (request, reply) => takeLease(parts, request, reply));
  const { devices } = parts;
  if (devices !== undefined) app.get(devicePath, (request, reply) => takeReport(parts, devices, request, reply));
}

async function takeLease(parts: IntakeParts, request: FastifyRequest, reply: FastifyReply): Promise<FastifyReply> {
  const words = admit(parts, 'lever', request, leverWords);
  if (typeof words === 'string') return words === 'denied' ? denied(reply) : reply.code(200).send({ text: words });
  const { source, parameters } = words;
  const reading = readToldLease(
    {
      command: parameters.get('cmd'),
      clientIp: parameters.get('client_ip'),
      clientMac: parameters.get('client_mac'),
      switchMac: parameters.get('switch_mac'),
      switchPort: parameters.get('switch_port'),
    },
    { receivedAtMs: parts.clock.nowMs(), via: 'lever', source, happenedAtMs: undefined },
  );
  if (!reading.ok) {
    parts.ledger.fault('lever', reading.fault, source);
    return reply.code(200).send({ text: leaseFaults[reading.fault] });
  }
  if ((await parts.inTime(parts.store([reading.event]))) !== true) {
    parts.ledger.fault('lever', 'not-stored', source);
    return later(reply, notStored);
  }
  parts.ledger.taken('lever');
  return done(reply);
}

async function takeReport(
  parts: IntakeParts,
  devices: DeviceEventSink,
  request: FastifyRequest,
  reply: FastifyReply,
): Promise<FastifyReply> {
  const words = admit(parts, 'device-query', request, deviceWords);
  if (typeof words === 'string') return words === 'denied' ? denied(reply) : reply.code(200).send({ text: words });
  const { source, parameters } = words;
  const query = { devIp: parameters.get('dev_ip') ?? '', status: parameters.get('status') ?? '' };
  const heard = { receivedAtMs: parts.clock.nowMs(), toldAtMs: undefined, source };
  const answer = await parts.inTime(devices.takeQuery(query, heard));
  switch (answer?.outcome) {
    case 'taken':
      parts.ledger.taken('device-query');
      return done(reply, answer.text === undefined ? {} : { text: answer.text });
    case 'refused':
      parts.ledger.fault('device-query', 'refused', source);
      return reply.code(200).send({ text: answer.text });
    default:
      parts.ledger.fault('device-query', 'not-stored', source);
      return later(reply, notStored);
  }
}

/** @returns what the query says; `denied`; or what is wrong with it, in words for whoever has the secret */
function admit(
  { rules, ledger }: IntakeParts,
  way: IntakeWay,
  request: FastifyRequest,
  known: ReadonlySet<string>,
): { readonly source: string; readonly parameters: ReadonlyMap<string, string> } | string {
  const source = request.socket.remoteAddress ?? '';
  const { lever } = rules();
  if (lever === undefined || lever.secrets.length === 0) {
    ledger.fault(way, 'off', source);
    return 'denied';
  }
  if (!lever.admits(source)) {
    ledger.fault(way, 'foreign-source', source);
    return 'denied';
  }
  const url = request.raw.url ?? '';
  const mark = url.indexOf('?');
  const query = readQuery(mark < 0 ? '' : url.slice(mark + 1));
  if (!query.ok) {
    ledger.fault(way, query.fault, source);
    return 'a parameter is there twice';
  }
  const { parameters, sign } = query;
  if (!isSignedQuery(parameters.values(), sign, lever.secrets)) {
    ledger.fault(way, sign === '' ? 'unsigned' : 'bad-signature', source);
    return 'denied';
  }
  // Names are not under the signature: a value must not be hidden under one that nobody reads.
  if ([...parameters.keys()].some((name) => !known.has(name))) {
    ledger.fault(way, 'unknown-parameter', source);
    return `a parameter is not known; known here: ${[...known].join(', ')}, sign`;
  }
  return { source, parameters };
}
