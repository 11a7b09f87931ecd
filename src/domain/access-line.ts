/**
 * Where a subscriber is plugged in. Enters: nothing. Leaves: the type that option 82, RADIUS attributes and hooks are decoded into, and its text
 * form. Invariant: a field that is not known is not there; MAC addresses and serial numbers are canonical, so that two notations of one line
 * are equal.
 */

/** What a device, a switch or an optical terminal, is known by. */
export interface LineDevice {
  readonly by: 'mac' | 'name' | 'serial';
  /** A MAC address is canonical (`mac-address.ts`). */
  readonly value: string;
}

/** An access line, as far as somebody has told. */
export interface AccessLine {
  readonly device?: LineDevice;
  /** As the rule writes it: `5`, `1/5` of a stack, `0/1/0/5:2` of a PON, or the name of an interface. */
  readonly port?: string;
  /** C-VLAN: the inner one, or the only one. */
  readonly vlan?: number;
  /** S-VLAN: the outer one. */
  readonly svlan?: number;
  /** Of the optical terminal behind the port; of a GPON terminal four letters and eight upper-case digits. */
  readonly onuSerial?: string;
  /** Where the operator has the access node say who it is. */
  readonly login?: string;
}

/** The line in one row for people: `device 3c:33:32:66:43:50, port 23, VLAN 2167`. Not made printable: values come from outside. */
export function accessLineText(line: AccessLine): string {
  const { device, port, vlan, svlan, onuSerial, login } = line;
  const parts = [
    device === undefined ? undefined : `${deviceWords[device.by]} ${device.value}`,
    port === undefined ? undefined : `port ${port}`,
    vlan === undefined ? undefined : `VLAN ${String(vlan)}`,
    svlan === undefined ? undefined : `S-VLAN ${String(svlan)}`,
    onuSerial === undefined ? undefined : `ONU ${onuSerial}`,
    login === undefined ? undefined : `login ${login}`,
  ];
  return parts.filter((part) => part !== undefined).join(', ');
}

const deviceWords: Readonly<Record<LineDevice['by'], string>> = {
  mac: 'device',
  name: 'device named',
  serial: 'device with serial number',
};
