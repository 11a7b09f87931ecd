/**
 * What names a session to its NAS in a command.
 *
 * Enters: the list of a profile, a session, the data of a command.
 * Leaves: the attributes that name it, as octets.
 * Invariants: nothing is said that is not known; Acct-Session-Id alone can always be said.
 */
import { isIPv4, isIPv6 } from 'node:net';
import type { NasEntry, Profile } from '../config/config.js';
import type { ServiceKey } from '../domain/service-state.js';
import { Attribute } from '../radius/attribute-number.js';
import type { AttributeWriter } from '../radius/attribute-writer.js';
import type { RunSession } from './driver.js';

export type IdentifyingAttribute = Profile['coa']['identify'][number];

/**
 * Adds the attributes that name a session (RFC 5176 §3).
 *
 * What is not known is left out: with fewer of them the rest still names the session.
 *
 * @returns names of the attributes that were added
 * @throws PacketBuildError for a value that no attribute holds
 */
export function addSessionIdentity(
  writer: AttributeWriter,
  identify: readonly IdentifyingAttribute[],
  nas: Pick<NasEntry, 'nasIdentifier' | 'nasIpAddress'>,
  session: RunSession,
  key: ServiceKey,
): IdentifyingAttribute[] {
  const added: IdentifyingAttribute[] = [];
  for (const name of identify) {
    const value = valueOf(name, nas, session, key);
    if (value === undefined || value === '') continue;
    const number = numbers[name];
    if (name === 'Framed-IP-Address' || name === 'NAS-IP-Address') writer.addAddress(number, value);
    else writer.addText(number, value);
    added.push(name);
  }
  return added;
}

const numbers: Readonly<Record<IdentifyingAttribute, number>> = {
  'Acct-Session-Id': Attribute.acctSessionId,
  'User-Name': Attribute.userName,
  'Framed-IP-Address': Attribute.framedIpAddress,
  'NAS-Port-Id': Attribute.nasPortId,
  'Calling-Station-Id': Attribute.callingStationId,
  'NAS-Identifier': Attribute.nasIdentifier,
  'NAS-IP-Address': Attribute.nasIpAddress,
};

function valueOf(
  name: IdentifyingAttribute,
  nas: Pick<NasEntry, 'nasIdentifier' | 'nasIpAddress'>,
  session: RunSession,
  key: ServiceKey,
): string | undefined {
  const { nasBox } = session;
  switch (name) {
    case 'Acct-Session-Id':
      return session.acctSessionId;
    case 'User-Name':
      return key.login;
    case 'Framed-IP-Address':
      return key.address ?? undefined;
    case 'NAS-Port-Id':
      return session.nasPortId ?? undefined;
    case 'Calling-Station-Id':
      return session.callingStation ?? undefined;
    case 'NAS-Identifier':
      // A box is called by its NAS-Identifier, and only for want of that by an address.
      return nas.nasIdentifier ?? (isIPv4(nasBox) || isIPv6(nasBox) ? undefined : nasBox);
    case 'NAS-IP-Address':
      return nas.nasIpAddress ?? (isIPv4(nasBox) ? nasBox : undefined);
  }
}
