/**
 * What the constraints of devices and ports mean for people. Enters: nothing. Leaves: problem and remedy by name of the constraint. Invariant:
 * commands and imports say the same.
 */

/** By name of the constraint. */
export const deviceConstraintMeanings: Readonly<Record<string, readonly [problem: string, remedy: string]>> = {
  device_mac_unique: ['another device has this MAC', 'find it with: sluice device show MAC'],
  device_name_unique: [
    'another device has this name',
    'put a new one in its place with: sluice device replace OLD NEW, or choose another name',
  ],
  device_serial_unique: ['another device has this serial', 'find it with: sluice device show SERIAL'],
  device_named: ['a device needs something to be known by', 'leave it a name, mac, serial or address'],
  device_name_length: ['the name of a device has 1 to 100 characters', 'choose another name'],
  device_serial_form: [
    'a serial is 1 to 64 printable characters of ASCII in upper case',
    'write it as the device shows it',
  ],
  device_kind_fkey: ['there is no such kind', 'see: sluice device kind list'],
  device_kind_name_unique: ['there is a kind of this name', 'change it with: sluice device kind set'],
  device_kind_name_form: [
    'the name of a kind has lower-case letters, digits, hyphens and underscores, at most 63',
    'choose another name',
  ],
  device_group_name_unique: ['there is a group of this name', 'use it as it is'],
  device_group_name_length: ['the name of a group has 1 to 100 characters', 'choose another name'],
  device_contact_address_form: [
    'this is no address that anything can be sent to',
    'write it like noc@provider.example or https://noc.example/hook',
  ],
  device_contact_secret_name: [
    'the name of a secret has lower-case letters, digits, hyphens and underscores, at most 63',
    'name one of monitoring.webhook_secrets; the secret itself stands in its file',
  ],
  device_in_use: ['somebody is plugged into this device', 'put another in its place with: sluice device replace'],
  subscriber_port_unique: [
    'another subscriber has this port',
    'see who with: sluice device show DEVICE; kinds may allow it: sluice device kind set KIND shared_ports=true',
  ],
  subscriber_port_of_device: ['a port is one of a device', 'give the device too, or clear both'],
  subscriber_port_form: [
    'a port has 1 to 64 printable characters of ASCII, and no zeros before its number',
    'write it as the switch tells it',
  ],
  subscriber_device_fkey: ['there is no such device', 'make it with: sluice device add'],
  subscriber_device_deleted: ['the device is removed', 'name the one that is in its place'],
  subscriber_option82_auth_known: ['option82_auth is port, port-mac or mac', 'write one of these'],
};
