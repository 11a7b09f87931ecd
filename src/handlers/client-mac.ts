// Enters: the names in a packet. Leaves: the MAC address of the device at the subscriber's end. Invariant: an Access-Request and the accounting of its session
// give the same one, since a device is told from another by it.

import { parseMacAddress, parseStationMac, ZERO_MAC_ADDRESS } from '../domain/mac-address.js';

/**
 * What the packet itself says: Calling-Station-Id; else a User-Name that is written as MAC addresses are, with separators, since twelve digits alone may be
 * the number of a telephone; else a Calling-Station-Id that is a DHCP client identifier, which a client chooses itself.
 *
 * @returns canonical; undefined when neither is a MAC address
 */
export function clientMacOf(callingStation: string | undefined, userName: string | undefined): string | undefined {
  const told = callingStation === undefined ? undefined : parseMacAddress(callingStation);
  const mac =
    told ?? ofUserName(userName) ?? (callingStation === undefined ? undefined : parseStationMac(callingStation));
  return mac === ZERO_MAC_ADDRESS ? undefined : mac;
}

function ofUserName(userName: string | undefined): string | undefined {
  return userName !== undefined && /[:.-]/u.test(userName) ? parseMacAddress(userName) : undefined;
}
