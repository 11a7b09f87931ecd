/**
 * Rates in the words of vendors.
 *
 * Enters: reply items. Leaves: bit/s down and up, and the parts that a plan cannot hold. Invariants: units are those of the
 * vendor that the attribute belongs to; zero is no limit; what is not understood is told, never guessed. Pure.
 * Sources: MikroTik RADIUS client (Mikrotik-Rate-Limit), WISPr VSA, Cisco ISG (QU/D), accel-ppp shaper (Filter-Id).
 */
import { attributeKey } from './freeradius-item.js';
import type { Item } from './freeradius-item.js';
import { LARGEST_RATE_BPS } from './rate.js';

/** What the items say; undefined: they do not say, null: no limit. */
export interface MappedRates {
  downBps: number | null | undefined;
  upBps: number | null | undefined;
}

/** How one item was taken. */
export type RateReading = 'no-rate' | 'read' | 'read-in-part' | 'not-understood';

/** Adds what one reply item says of the rate. The first attribute that gives a direction counts. */
export function readRate(rates: MappedRates, item: Item): RateReading {
  const { value } = item;
  switch (attributeKey(item.attribute)) {
    case 'mikrotik-rate-limit':
      return mikrotik(rates, value);
    case 'wispr-bandwidth-max-down':
    case 'ascend-xmit-rate':
      return single(rates, 'downBps', value);
    case 'wispr-bandwidth-max-up':
    case 'ascend-data-rate':
      return single(rates, 'upBps', value);
    case 'filter-id':
      return accelPpp(rates, value);
    case 'cisco-avpair':
    case 'cisco-service-info':
    case 'cisco-account-info':
      return ciscoPolicing(rates, value);
    default:
      return 'no-rate';
  }
}

function set(rates: MappedRates, direction: keyof MappedRates, bps: number): boolean {
  if (!Number.isInteger(bps) || bps < 0 || bps > LARGEST_RATE_BPS) return false;
  if (rates[direction] === undefined) rates[direction] = bps === 0 ? null : bps;
  return true;
}

function single(rates: MappedRates, direction: keyof MappedRates, value: string): RateReading {
  return /^\d+$/u.test(value) && set(rates, direction, Number(value)) ? 'read' : 'not-understood';
}

const suffixes: Readonly<Record<string, number>> = { '': 1, k: 1e3, m: 1e6, g: 1e9 };

/** `rx[/tx] [burst [threshold [time [priority [minimum]]]]]`; rx comes from the client and is the upload. */
function mikrotik(rates: MappedRates, value: string): RateReading {
  const match = /^(\d+)([kmg]?)(?:\/(\d+)([kmg]?))?(\s+\S.*)?$/iu.exec(value.trim());
  if (match === null) return 'not-understood';
  const rx = Number(match[1]) * suffixes[match[2]!.toLowerCase()]!;
  const tx = match[3] === undefined ? rx : Number(match[3]) * suffixes[(match[4] ?? '').toLowerCase()]!;
  if (!set(rates, 'upBps', rx) || !set(rates, 'downBps', tx)) return 'not-understood';
  return match[5] === undefined ? 'read' : 'read-in-part';
}

/** `down/up` or one number for both, kbit/s. Anything else in Filter-Id is the name of a filter. */
function accelPpp(rates: MappedRates, value: string): RateReading {
  const match = /^(\d+)(?:\/(\d+))?$/u.exec(value.trim());
  if (match === null) return 'no-rate';
  const down = Number(match[1]) * 1000;
  const up = match[2] === undefined ? down : Number(match[2]) * 1000;
  return set(rates, 'downBps', down) && set(rates, 'upBps', up) ? 'read' : 'not-understood';
}

/** `QU;bps[;burst;burst];D;bps[;burst;burst]`; U comes from the subscriber. The profile works the bursts out again. */
function ciscoPolicing(rates: MappedRates, value: string): RateReading {
  const text = value.trim().replace(/^(?:subscriber|ip):(?:service-info|account-info)=/iu, '');
  if (!/^Q[UD];/u.test(text)) return 'no-rate';
  let direction: keyof MappedRates | undefined;
  let wantsRate = false;
  let found = false;
  for (const part of text.slice(1).split(';')) {
    if (part === 'U' || part === 'D') {
      direction = part === 'U' ? 'upBps' : 'downBps';
      wantsRate = true;
    } else if (wantsRate && part !== '' && direction !== undefined) {
      if (!/^\d+$/u.test(part) || !set(rates, direction, Number(part))) return 'not-understood';
      wantsRate = false;
      found = true;
    }
  }
  return found ? 'read' : 'not-understood';
}
