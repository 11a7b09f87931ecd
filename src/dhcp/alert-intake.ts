/**
 * The webhook of Prometheus Alertmanager. Enters: POST requests with a bearer token. Leaves: their JSON to the handler of device events; an answer
 * once it is durable. Invariants: address and token are judged before the body is taken; 503 makes Alertmanager say it again, other refusals do not.
 */
import { createHash, timingSafeEqual } from 'node:crypto';
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';
import { denied, done, later, notStored } from './intake-answer.js';
import type { IntakeParts } from './intake-parts.js';
import { parseJson } from './signed-events.js';

const way = 'alertmanager';

/** Adds the route, where there is somebody who knows devices. */
export function addAlertIntake(app: FastifyInstance, parts: IntakeParts): void {
  const { devices, ledger } = parts;
  if (devices === undefined) return;
  app.post('/events/alertmanager', {
    onRequest: async (request, reply) => admit(parts, request, reply),
    handler: async (request, reply) => {
      const source = request.socket.remoteAddress ?? '';
      const parsed = parseJson(Buffer.isBuffer(request.body) ? request.body : Buffer.alloc(0));
      if (parsed === undefined) {
        ledger.fault(way, 'not-json', source);
        return reply.code(422).send({ reason: 'not-json', text: 'the body is not JSON' });
      }
      const heard = { receivedAtMs: parts.clock.nowMs(), toldAtMs: undefined, source };
      const answer = await parts.inTime(devices.takeAlerts(parsed.value, heard));
      switch (answer?.outcome) {
        case 'taken':
          ledger.taken(way);
          return done(reply, answer.text === undefined ? {} : { text: answer.text });
        case 'refused':
          ledger.fault(way, 'refused', source);
          return reply.code(422).send({ reason: 'refused', text: answer.text });
        default:
          ledger.fault(way, 'not-stored', source);
          return later(reply, notStored);
      }
    },
  });
}

function admit({ rules, ledger }: IntakeParts, request: FastifyRequest, reply: FastifyReply): FastifyReply | undefined {
  const source = request.socket.remoteAddress ?? '';
  const { alertmanager } = rules();
  if (alertmanager === undefined || alertmanager.secrets.length === 0) {
    ledger.fault(way, 'off', source);
    return denied(reply);
  }
  if (!alertmanager.admits(source)) {
    ledger.fault(way, 'foreign-source', source);
    return denied(reply);
  }
  const token = /^bearer (\S{1,1024})$/iu.exec(request.headers.authorization ?? '')?.[1];
  if (token !== undefined && alertmanager.secrets.filter((secret) => isSame(Buffer.from(token), secret)).length > 0)
    return undefined;
  ledger.fault(way, token === undefined ? 'unsigned' : 'bad-signature', source);
  return denied(reply.header('www-authenticate', 'Bearer'));
}

/** In a time that does not depend on where they differ, nor on the length of the secret. */
function isSame(given: Uint8Array, secret: Uint8Array): boolean {
  const hash = (octets: Uint8Array): Buffer => createHash('sha256').update(octets).digest();
  return timingSafeEqual(hash(given), hash(secret));
}
