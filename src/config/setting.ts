/**
 * The building blocks of the schemas: a setting is a validator with a default, bounds, and the reason for both.
 *
 * Enters: bounds, defaults and reasons.
 * Leaves: zod schemas whose descriptions become `docs/configuration.md`.
 * Invariant: each problem raised here says in `params.remedy` what to do; no message repeats a value that may be secret.
 */
import { z } from 'zod';
import { parseEndpoint } from './endpoint.js';
import { parseIpNetwork } from './ip-network.js';
import type { IpNetwork } from './ip-network.js';

/** Bounds and default of a whole number; the unit stands at the end of the key. */
export interface WholeNumberBounds {
  readonly min: number;
  readonly max: number;
  readonly default: number;
}

/** A whole number with bounds, a default and the reason for them. */
export function wholeNumber(bounds: WholeNumberBounds, why: string) {
  return z.int().min(bounds.min).max(bounds.max).default(bounds.default).describe(why);
}

/** A switch with a default and the reason for it. */
export function onOff(byDefault: boolean, why: string) {
  return z.boolean().default(byDefault).describe(why);
}

/** A name that is safe in files, SQL application names, metrics labels and log fields. */
export const namePattern = /^[a-z0-9][a-z0-9._-]{0,62}$/u;
const nameRule = 'is not a name of lower-case letters, digits, dots, hyphens and underscores, at most 63 of them';

/** A short name, without a default. */
export function name() {
  return z.string().refine((text) => namePattern.test(text), {
    message: nameRule,
    params: { remedy: 'begin with a letter or digit, for example "bras-1"' },
  });
}

// A path longer than this is refused by Linux itself (PATH_MAX, octets).
const maxPathLength = 4096;

/** The path of a file or folder; `${data}/` and `${CREDENTIALS_DIRECTORY}/` may begin it. */
export function path() {
  return z.string().superRefine((text, context) => {
    if (text !== '' && text.length <= maxPathLength && !text.includes('\0')) return;
    context.addIssue({
      code: 'custom',
      message: 'is not a path',
      params: { remedy: 'give a path relative to the conf folder, an absolute one, or one below ${data}/' },
    });
  });
}

/** One `ADDRESS:PORT`; comes out parsed. */
export function endpoint() {
  return z.string().transform((text, context) => {
    const result = parseEndpoint(text);
    if (result.ok) return result.endpoint;
    context.addIssue({
      code: 'custom',
      message: result.problem,
      params: { remedy: 'write an address and a port, such as "127.0.0.1:1812" or "[::1]:1812"' },
    });
    return z.NEVER;
  });
}

/** An address, or a network in CIDR form; comes out parsed. */
export function network() {
  return z.string().transform((text, context): IpNetwork => {
    const result = parseIpNetwork(text);
    if (result.ok) return result.network;
    context.addIssue({ code: 'custom', message: result.problem, params: { remedy: result.remedy } });
    return z.NEVER;
  });
}
