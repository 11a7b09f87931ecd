/**
 * What somebody who told us something hears. Enters: an outcome. Leaves: status and JSON of an answer. Invariants: nothing that was sent is
 * repeated; who is not let in does not hear why; what is not durable is never answered with 200.
 */
import type { FastifyReply } from 'fastify';

/** Not let in, whatever the reason: djing's answer, 403. */
export function denied(reply: FastifyReply): FastifyReply {
  return reply.code(403).send({ text: 'access denied' });
}

/** It is on disk. */
export function done(reply: FastifyReply, more: Readonly<Record<string, string | number>> = {}): FastifyReply {
  return reply.code(200).send({ status: 'ok', ...more });
}

/** It has to be said again, later. */
export function later(reply: FastifyReply, text: string): FastifyReply {
  return reply.code(503).header('retry-after', '1').send({ text });
}

export const notStored = 'it cannot be stored now: say it again';
export const tooMuchAtOnce = 'too much at once: say it again';
