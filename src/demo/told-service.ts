/**
 * What a NAS of the demo was told to do for a session. Enters: an Access-Accept or a CoA-Request of a bundled profile. Leaves: how fast it goes, and
 * whether into the walled garden. Invariant: what a CoA does not name stays as it was.
 */
import { Attribute } from '../radius/attribute-number.js';
import type { Packet } from '../radius/packet.js';

export interface ToldService {
  /** Towards the subscriber, bit/s; Infinity is no limit, undefined: nothing was said. */
  readonly downBps: number | undefined;
  readonly isWalledGarden: boolean;
}

/** Before anything was told. */
export const untold: ToldService = { downBps: undefined, isWalledGarden: false };

/** Private Enterprise Number of MikroTik, and two attributes of its dictionary. */
const MIKROTIK = 14_988;
const MIKROTIK_RATE_LIMIT = 8;
const MIKROTIK_ADDRESS_LIST = 19;

/** Reads what the profiles mikrotik-ppp and accel-ppp say. */
export function toldService(packet: Packet, before: ToldService): ToldService {
  const list = packet.vendorText(MIKROTIK, MIKROTIK_ADDRESS_LIST);
  return {
    downBps: rateTold(packet) ?? before.downBps,
    isWalledGarden: list === undefined ? before.isWalledGarden : list === 'sluice-redirect',
  };
}

/** MikroTik has `up/down` with k, accel-ppp `down/up` without: both in kbit/s. 0 is no limit. */
function rateTold(packet: Packet): number | undefined {
  const mikrotik = /^\d+k?\/(\d+)k?/.exec(packet.vendorText(MIKROTIK, MIKROTIK_RATE_LIMIT) ?? '')?.[1];
  const kbps = mikrotik ?? /^(\d+)\/\d+$/.exec(packet.text(Attribute.filterId) ?? '')?.[1];
  if (kbps === undefined) return undefined;
  return kbps === '0' ? Infinity : Number(kbps) * 1000;
}
