/**
 * Requests with a signed body: lease events and device events as JSON. Enters: POST requests. Leaves: events to their sinks; an answer once all of
 * a body is durable. Invariants: address and headers are judged before the body is taken, the signature before anything in it is read; a body is
 * taken whole or not at all; one that was taken is refused when it comes again.
 */
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';
import { isSignedBody, readClaim, UsedSignatures } from './body-signature.js';
import type { SignatureClaim } from './body-signature.js';
import { denied, done, later, notStored, tooMuchAtOnce } from './intake-answer.js';
import type { IntakeFault, IntakeWay } from './intake-ledger.js';
import type { NamedTeller } from './intake-rules.js';
import type { IntakeParts } from './intake-parts.js';
import { readJsonLeases } from './json-lease.js';

interface Signed {
  readonly teller: NamedTeller;
  readonly claim: SignatureClaim;
}

/** Whether it is durable, and what to say of it. */
type Outcome =
  | { readonly outcome: 'taken'; readonly events: number }
  | {
      readonly outcome: 'refused';
      readonly fault: IntakeFault;
      readonly more: Readonly<Record<string, string | number>>;
    }
  | { readonly outcome: 'not-stored' };

/** Adds the routes. */
export function addSignedEvents(app: FastifyInstance, parts: IntakeParts): void {
  const used = new UsedSignatures(() => parts.clock.nowMs());
  route(app, parts, used, '/events/lease', 'json-lease', (body, signed) => takeLeases(parts, body, signed));
  if (parts.devices !== undefined) {
    route(app, parts, used, '/events/device', 'device-json', (body, signed) => takeDeviceEvent(parts, body, signed));
  }
}

function route(
  app: FastifyInstance,
  parts: IntakeParts,
  used: UsedSignatures,
  path: string,
  way: IntakeWay,
  take: (body: Buffer, signed: Signed) => Promise<Outcome>,
): void {
  const { ledger } = parts;
  const admitted = new WeakMap<FastifyRequest, Signed>();
  app.post(path, {
    onRequest: async (request, reply) => {
      const signed = admit(parts, way, request);
      if ('teller' in signed) return void admitted.set(request, signed);
      return signed.text === undefined ? denied(reply) : reply.code(401).send(signed);
    },
    handler: async (request, reply) => {
      const signed = admitted.get(request)!;
      const { teller, claim } = signed;
      const body = Buffer.isBuffer(request.body) ? request.body : Buffer.alloc(0);
      if (!isSignedBody(claim, body, teller.secrets)) {
        ledger.fault(way, 'bad-signature', teller.name);
        return denied(reply);
      }
      const use = used.claim(claim);
      if (use === 'used') {
        ledger.fault(way, 'replayed', teller.name);
        return reply.code(409).send({ text: 'this request was taken already' });
      }
      if (use !== 'first') {
        ledger.fault(way, use === 'full' ? 'overloaded' : 'in-hand', teller.name);
        return later(reply, tooMuchAtOnce);
      }
      // What is stored after the sender has lost patience counts as taken all the same.
      const work = take(body, signed).then(
        (outcome) => {
          if (outcome.outcome === 'taken') used.taken(claim);
          else used.failed(claim);
          return outcome;
        },
        (error: unknown) => {
          used.failed(claim);
          throw error;
        },
      );
      return answer(parts, way, teller.name, reply, await parts.inTime(work));
    },
  });
}

/** Judges what stands before the body. @returns who it is; or a text when he may know why not; or no text */
function admit(
  { rules, ledger, clock }: IntakeParts,
  way: IntakeWay,
  request: FastifyRequest,
): Signed | { readonly text: string | undefined } {
  const address = request.socket.remoteAddress ?? '';
  const reading = readClaim(request.headers, clock.nowMs());
  const sources = rules().jsonSources;
  const name = reading.ok ? reading.claim.source : undefined;
  const teller = sources.find((one) => one.name === name);
  const isAdmitted = reading.ok ? teller?.admits(address) === true : sources.some((one) => one.admits(address));
  if (sources.length === 0 || !isAdmitted) {
    ledger.fault(way, sources.length === 0 ? 'off' : 'foreign-source', address);
    return { text: undefined };
  }
  if (!reading.ok) {
    ledger.fault(way, reading.fault, address);
    const text =
      reading.fault === 'unsigned'
        ? 'X-Sluice-Source, X-Sluice-Timestamp and X-Sluice-Signature are needed'
        : 'the time of the request is more than five minutes from ours: set the clocks';
    return { text };
  }
  return { teller: teller!, claim: reading.claim };
}

async function takeLeases({ store, clock }: IntakeParts, body: Buffer, { teller, claim }: Signed): Promise<Outcome> {
  const reading = readJsonLeases(body, {
    receivedAtMs: clock.nowMs(),
    via: 'json',
    source: teller.name,
    happenedAtMs: claim.signedAtMs,
  });
  if (!reading.ok) {
    const { fault, text, index } = reading;
    return { outcome: 'refused', fault, more: { reason: fault, text, ...(index === undefined ? {} : { index }) } };
  }
  return (await store(reading.events))
    ? { outcome: 'taken', events: reading.events.length }
    : { outcome: 'not-stored' };
}

async function takeDeviceEvent({ devices, clock }: IntakeParts, body: Buffer, signed: Signed): Promise<Outcome> {
  const parsed = parseJson(body);
  if (parsed === undefined) {
    const more = { reason: 'not-json', text: 'the body is not JSON' };
    return { outcome: 'refused', fault: 'not-json', more };
  }
  const heard = { receivedAtMs: clock.nowMs(), toldAtMs: signed.claim.signedAtMs, source: signed.teller.name };
  const answer = await devices!.takeEvent(parsed.value, heard);
  if (answer.outcome === 'taken') return { outcome: 'taken', events: 1 };
  if (answer.outcome === 'not-stored') return answer;
  return { outcome: 'refused', fault: 'refused', more: { reason: 'refused', text: answer.text } };
}

function answer(
  { ledger }: IntakeParts,
  way: IntakeWay,
  source: string,
  reply: FastifyReply,
  outcome: Outcome | undefined,
): FastifyReply {
  switch (outcome?.outcome) {
    case 'taken':
      ledger.taken(way, outcome.events);
      return done(reply, { events: outcome.events });
    case 'refused':
      ledger.fault(way, outcome.fault, source);
      return reply.code(422).send(outcome.more);
    default:
      ledger.fault(way, 'not-stored', source);
      return later(reply, notStored);
  }
}

/** @returns undefined: no JSON */
export function parseJson(body: Buffer): { readonly value: unknown } | undefined {
  try {
    return { value: JSON.parse(body.toString('utf8')) };
  } catch {
    return undefined;
  }
}
