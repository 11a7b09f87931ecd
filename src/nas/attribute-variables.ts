/**
 * The variables that a profile's templates may use, and what they are worth for one request.
 *
 * Enters: the rate of a plan and who the subscriber is.
 * Leaves: values in the units that vendors want.
 * Invariant: rates come in as bit/s and are converted here and nowhere else; k is 1000, an octet is 8 bits.
 */

import { firstAddressOf, interfaceIdOfMac } from '../domain/ipv6-prefix.js';

/** Rates of a plan, bit/s; `undefined` is unlimited or not set. A plan of the directory has this shape. */
export interface PlanRate {
  readonly rateDownBps?: number | undefined;
  readonly rateUpBps?: number | undefined;
  readonly burstDownBps?: number | undefined;
  readonly burstUpBps?: number | undefined;
  readonly burstThresholdDownBps?: number | undefined;
  readonly burstThresholdUpBps?: number | undefined;
  readonly burstSeconds?: number | undefined;
}

/** Everything that an attribute can say of a request. */
export interface AttributeContext {
  readonly rate: PlanRate | undefined;
  readonly login: string | undefined;
  readonly contract: string | undefined;
  readonly plan: string | undefined;
  readonly subscriberId: number | undefined;
  /** `aa:bb:cc:dd:ee:ff` */
  readonly mac: string | undefined;
  /** The IPv4 address of the answer, dotted. */
  readonly address: string | undefined;
  /** Name of the NAS entry. */
  readonly nas: string | undefined;
  /** A pool of the NAS, where the NAS is to choose the address; otherwise `undefined`. */
  readonly nasPool: string | undefined;
  /** IPv6 prefixes of the answer, canonical; absent: none. */
  readonly framedPrefix?: string | undefined;
  readonly delegatedPrefix?: string | undefined;
  /** Names of our pools that they are from. */
  readonly framedPrefixPool?: string | undefined;
  readonly delegatedPrefixPool?: string | undefined;
  /** The service that begins or ends; only of a command about one. */
  readonly service?: string | undefined;
}

/** One variable. `rate`: depends on the plan's rate alone and is a whole number, as is `number`. */
export interface AttributeVariable {
  readonly kind: 'rate' | 'number' | 'text';
  readonly meaning: string;
  /** A value for checks at compile time. */
  readonly sample: string | number;
  valueOf(context: AttributeContext): string | number | undefined;
}

// Half up, and never 0, which many devices take for "no limit".
function kbps(bps: number | undefined): number | undefined {
  return bps === undefined ? undefined : Math.max(1, Math.round(bps / 1_000));
}

function bps(value: number | undefined): number | undefined {
  return value === undefined ? undefined : Math.max(1, Math.round(value));
}

// Cisco's rule for policing TCP: a normal burst of 1.5 s of the rate and an excess burst of twice that, in octets.
const normalBurstSeconds = 1.5;
const excessBurstSeconds = 3;

function burstOctets(rateBps: number | undefined, seconds: number): number | undefined {
  return rateBps === undefined ? undefined : Math.max(1, Math.round((rateBps / 8) * seconds));
}

function rate(meaning: string, sample: number, valueOf: (rate: PlanRate) => number | undefined): AttributeVariable {
  return {
    kind: 'rate',
    meaning,
    sample,
    valueOf: (context) => (context.rate === undefined ? undefined : valueOf(context.rate)),
  };
}

function text(
  meaning: string,
  sample: string,
  valueOf: (context: AttributeContext) => string | undefined,
): AttributeVariable {
  // An empty text is no value: an attribute that needs it is left out rather than sent half.
  return { kind: 'text', meaning, sample, valueOf: (context) => valueOf(context) || undefined };
}

/** Every variable by its name in templates. */
export const attributeVariables: ReadonlyMap<string, AttributeVariable> = new Map([
  ['rate_down_bps', rate('to the subscriber, bit/s', 50_000_000, (one) => bps(one.rateDownBps))],
  ['rate_up_bps', rate('from the subscriber, bit/s', 10_000_000, (one) => bps(one.rateUpBps))],
  ['rate_down_kbps', rate('to the subscriber, 1000 bit/s', 50_000, (one) => kbps(one.rateDownBps))],
  ['rate_up_kbps', rate('from the subscriber, 1000 bit/s', 10_000, (one) => kbps(one.rateUpBps))],
  ['burst_down_bps', rate('burst to the subscriber, bit/s', 80_000_000, (one) => bps(one.burstDownBps))],
  ['burst_up_bps', rate('burst from the subscriber, bit/s', 20_000_000, (one) => bps(one.burstUpBps))],
  ['burst_down_kbps', rate('burst to the subscriber, 1000 bit/s', 80_000, (one) => kbps(one.burstDownBps))],
  ['burst_up_kbps', rate('burst from the subscriber, 1000 bit/s', 20_000, (one) => kbps(one.burstUpBps))],
  [
    'threshold_down_kbps',
    rate('mean below which a burst to the subscriber is allowed, 1000 bit/s', 40_000, (one) =>
      kbps(one.burstThresholdDownBps),
    ),
  ],
  [
    'threshold_up_kbps',
    rate('mean below which a burst from the subscriber is allowed, 1000 bit/s', 8_000, (one) =>
      kbps(one.burstThresholdUpBps),
    ),
  ],
  ['burst_seconds', rate('time over which that mean is taken, seconds', 8, (one) => one.burstSeconds)],
  [
    'normal_burst_down_octets',
    rate('1.5 s of rate_down, octets', 9_375_000, (one) => burstOctets(one.rateDownBps, normalBurstSeconds)),
  ],
  [
    'normal_burst_up_octets',
    rate('1.5 s of rate_up, octets', 1_875_000, (one) => burstOctets(one.rateUpBps, normalBurstSeconds)),
  ],
  [
    'excess_burst_down_octets',
    rate('3 s of rate_down, octets', 18_750_000, (one) => burstOctets(one.rateDownBps, excessBurstSeconds)),
  ],
  [
    'excess_burst_up_octets',
    rate('3 s of rate_up, octets', 3_750_000, (one) => burstOctets(one.rateUpBps, excessBurstSeconds)),
  ],
  ['login', text('login of the subscriber', 'sample', (context) => context.login)],
  ['contract', text('contract of the account', 'C-1', (context) => context.contract)],
  ['plan', text('name of the plan', 'home', (context) => context.plan)],
  [
    'subscriber_id',
    { kind: 'number', meaning: 'our number of the subscriber', sample: 1, valueOf: (context) => context.subscriberId },
  ],
  ['mac', text('MAC, aa:bb:cc:dd:ee:ff', '02:00:00:00:00:01', (context) => context.mac)],
  ['address', text('IPv4 address of the answer', '192.0.2.1', (context) => context.address)],
  ['framed_prefix', text('IPv6 prefix of the link', '2001:db8:0:1::/64', (context) => context.framedPrefix)],
  ['delegated_prefix', text('delegated IPv6 prefix', '2001:db8:100::/56', (context) => context.delegatedPrefix)],
  [
    'framed_prefix_address',
    text('first address of framed_prefix: ::1 in it', '2001:db8:0:1::1', ({ framedPrefix }) =>
      framedPrefix === undefined ? undefined : firstAddressOf(framedPrefix),
    ),
  ],
  [
    'interface_id',
    text('interface identifier that the MAC makes (modified EUI-64), with framed_prefix', '0:ff:fe00:1', (context) =>
      context.mac === undefined || context.framedPrefix === undefined ? undefined : interfaceIdOfMac(context.mac),
    ),
  ],
  ['framed_prefix_pool', text('our pool that framed_prefix is from', 'link6', (context) => context.framedPrefixPool)],
  [
    'delegated_prefix_pool',
    text('our pool that delegated_prefix is from', 'home6', (context) => context.delegatedPrefixPool),
  ],
  ['nas', text('name of the NAS in nas.d', 'bras1', (context) => context.nas)],
  ['nas_pool', text('pool of the NAS; only where the NAS chooses the address', 'main', (context) => context.nasPool)],
  [
    'service',
    text(
      'service that begins or ends; only in usluga_activated and usluga_deactivated',
      'iptv',
      (context) => context.service,
    ),
  ],
]);

/** Text that is equal for equal rates: the key under which rate attributes are kept. */
export function rateKey(one: PlanRate | undefined): string {
  if (one === undefined) return '';
  return `${one.rateDownBps}/${one.rateUpBps}/${one.burstDownBps}/${one.burstUpBps}/${one.burstThresholdDownBps}/${one.burstThresholdUpBps}/${one.burstSeconds}`;
}

/** A context in which every variable has a value, or, without rate, each but those of the rate. */
export function sampleContext(having: { readonly rate: boolean; readonly burst: boolean }): AttributeContext {
  const plain: PlanRate = { rateDownBps: 50_000_000, rateUpBps: 10_000_000 };
  const burst: PlanRate = {
    burstDownBps: 80_000_000,
    burstUpBps: 20_000_000,
    burstThresholdDownBps: 40_000_000,
    burstThresholdUpBps: 8_000_000,
    burstSeconds: 8,
  };
  return {
    rate: having.rate ? { ...plain, ...(having.burst ? burst : {}) } : undefined,
    login: 'sample',
    contract: undefined,
    plan: undefined,
    subscriberId: 1,
    mac: undefined,
    address: undefined,
    nas: 'bras1',
    nasPool: undefined,
  };
}
