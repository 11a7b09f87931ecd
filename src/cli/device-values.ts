/**
 * The fields of a device as they are written on a command line and in a CSV file. Enters: text by key. Leaves: values for the database, or why not.
 * Invariant: `add`, `set` and `import` understand a field in the same way.
 */
import { readDeviceAddress, readSerial } from '../domain/device-reference.js';
import { parseMacAddress, ZERO_MAC_ADDRESS } from '../domain/mac-address.js';
import type { DeviceValues } from '../store/devices.js';
import { nearestKey } from '../config/nearest-key.js';

/** Keys of `device set`, and columns of a CSV file for `device import`. */
export const deviceKeys = [
  'name',
  'mac',
  'serial',
  'address',
  'kind',
  'group',
  'place',
  'description',
  'noticeable',
] as const;
export type DeviceKey = (typeof deviceKeys)[number];

/** Lengths of texts, characters. The schema bounds the name; the others are far above what anybody needs. */
const longestText: Readonly<Partial<Record<DeviceKey, number>>> = { name: 100, place: 500, description: 1000 };

/** Names that fields refer to. */
export interface DeviceNames {
  readonly kinds: ReadonlyMap<string, number>;
  readonly groups: ReadonlyMap<string, number>;
}

/** Column and value, or what is wrong in words that follow the key. */
export type DeviceField =
  | { readonly ok: true; readonly values: DeviceValues }
  | { readonly ok: false; readonly problem: string; readonly remedy: string };

/**
 * Reads one field.
 *
 * @param text as written; empty clears, where a field may be empty
 */
export function readDeviceField(key: DeviceKey, text: string, names: DeviceNames): DeviceField {
  const wrong = (problem: string, remedy: string): DeviceField => ({ ok: false, problem, remedy });
  if (text.includes('\0')) return wrong('holds a NUL character', 'leave it out');
  if (text.includes('\ufffd')) return wrong('is not UTF-8', 'convert it, for example with: iconv -f cp1251 -t utf-8');
  const right = (values: DeviceValues): DeviceField => ({ ok: true, values });
  if (text === '') {
    if (key === 'kind' || key === 'noticeable') return wrong('is empty', 'give a value');
    return right({ [key === 'group' ? 'group_id' : key]: null });
  }
  switch (key) {
    case 'mac': {
      const mac = parseMacAddress(text);
      return mac === undefined || mac === ZERO_MAC_ADDRESS
        ? wrong(`is '${text}', which is no MAC address`, 'write it like aa:bb:cc:dd:ee:ff')
        : right({ mac });
    }
    case 'serial': {
      const serial = readSerial(text);
      return serial === undefined
        ? wrong(`is '${text}', which is no serial`, 'write 1 to 64 printable characters of ASCII without spaces')
        : right({ serial });
    }
    case 'address': {
      const address = readDeviceAddress(text);
      return address === undefined
        ? wrong(`is '${text}', which is no address`, 'write it like 10.0.0.5 or 2001:db8::5')
        : right({ address });
    }
    case 'kind':
      return reference('kind', text, names.kinds, (id) => ({ kind_id: id }));
    case 'group':
      return reference('group', text, names.groups, (id) => ({ group_id: id }));
    case 'noticeable':
      return text === 'true' || text === 'false'
        ? right({ noticeable: text === 'true' })
        : wrong(`is '${text}'`, 'write true or false');
    case 'name':
    case 'place':
    case 'description': {
      const longest = longestText[key] ?? Infinity;
      if (text.length > longest) return wrong(`is longer than ${String(longest)} characters`, 'shorten it');
      // Programs write what they like into the database; what a person writes here by mistake is told.
      if (key === 'name' && /[\p{Cc}\p{Zl}\p{Zp}]/u.test(text))
        return wrong('holds a control character', 'write it on one line');
      return right({ [key]: text });
    }
  }
}

function reference(
  what: 'kind' | 'group',
  name: string,
  known: ReadonlyMap<string, number>,
  values: (id: number) => DeviceValues,
): DeviceField {
  const id = known.get(name);
  if (id !== undefined) return { ok: true, values: values(id) };
  const near = nearestKey(name, [...known.keys()]);
  return {
    ok: false,
    problem: `is '${name}', which does not exist${near === undefined ? '' : ` (did you mean ${near}?)`}`,
    remedy: what === 'kind' ? 'see: sluice device kind list' : `make it with: sluice device group add ${name}`,
  };
}
