/**
 * A lease event as a spool record, and back. Enters: an event. Leaves: bytes for the spool; later, from the same bytes, the event. Invariant: option 82 is kept as it
 * came, so that a replay after a repair of the rules reads it anew; what cannot be read is told, never dropped.
 */
import { isIPv4 } from 'node:net';
import { z } from 'zod';
import type { LeaseEvent } from '../domain/lease-event.js';

const VERSION = 1;
/** Option 82 has 255 octets at most unless it is split (RFC 3396), and hexadecimal has two digits for each; sub-options have 255. */
const LONGEST_HEX = 2 * 4_096;

const hex = z
  .string()
  .max(LONGEST_HEX)
  .regex(/^(?:[0-9a-f]{2})*$/u)
  .nullable();
const mac = z
  .string()
  .regex(/^[0-9a-f]{2}(?::[0-9a-f]{2}){5}$/u)
  .nullable();
const instant = z.number().int().min(0).max(8.64e15);

const leaseEvent = z.strictObject({
  kind: z.enum(['commit', 'request', 'expiry', 'release', 'decline']),
  eventAtMs: instant,
  timeDeclared: z.boolean(),
  receivedAtMs: instant,
  via: z.enum(['hook', 'lever', 'json', 'packet', 'leasequery', 'import']),
  source: z
    .string()
    .max(255)
    .regex(/^\P{Cc}*$/u),
  address: z.string().refine(isIPv4),
  mac,
  leaseEndsAtMs: instant.nullable(),
  line: z
    .strictObject({
      circuitId: hex,
      remoteId: hex,
      subscriberId: hex,
      switchMac: mac,
      switchPort: z
        .string()
        .max(255)
        .regex(/^\P{Cc}*$/u)
        .nullable(),
      lying: z
        .string()
        .max(LONGEST_HEX)
        .regex(/^(?:[0-9a-f]{2})+$/u)
        .exactOptional(),
    })
    .nullable(),
}) satisfies z.ZodType<LeaseEvent>;

export function encodeLeaseRecord(event: LeaseEvent): Buffer {
  const text = Buffer.from(JSON.stringify(event));
  const record = Buffer.allocUnsafe(1 + text.length);
  record[0] = VERSION;
  text.copy(record, 1);
  return record;
}

/** @returns the event, or why it cannot be read: then it is set aside, never dropped */
export function decodeLeaseRecord(payload: Buffer): LeaseEvent | { readonly fault: string } {
  if (payload[0] !== VERSION) return { fault: 'record-version' };
  let value: unknown;
  try {
    value = JSON.parse(payload.toString('utf8', 1));
  } catch {
    return { fault: 'lease-unreadable' };
  }
  const parsed = leaseEvent.safeParse(value);
  return parsed.success ? parsed.data : { fault: 'lease-unreadable' };
}
