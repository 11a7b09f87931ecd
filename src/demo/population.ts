/**
 * The people of the demo. Enters: a number and chance. Leaves: as many subscribers with names, streets and devices, and a CSV file that `subscriber import`
 * reads. Invariant: the same seed makes the same town.
 */

/** Chance in [0, 1). */
export type Random = () => number;

/** Mulberry32: thirty-two bits of state are enough for a town. */
export function seededRandom(seed: number): Random {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}

/** One of a list. */
export function oneOf<Item>(random: Random, items: readonly Item[]): Item {
  return items[Math.floor(random() * items.length)]!;
}

/** A number between two bounds. */
export function between(random: Random, low: number, high: number): number {
  return low + random() * (high - low);
}

/** How somebody of the town behaves at the door. */
export type Temper = 'ordinary' | 'mistypes-password' | 'wrong-device' | 'mistypes-login';

export interface Inhabitant {
  readonly login: string;
  readonly password: string;
  readonly contract: string;
  readonly name: string;
  readonly phone: string;
  readonly street: string;
  readonly mac: string;
  readonly plan: string;
  readonly staticAddress: string | undefined;
  readonly temper: Temper;
}

export const plans = [
  { name: 'home-50', down: '50M', up: '20M' },
  { name: 'home-200', down: '200M', up: '100M' },
  { name: 'office', down: '500M', up: '500M' },
] as const;

/** Pool of the dynamic addresses, and where the static ones are (RFC 6598). */
export const poolNetwork = '100.64.0.0/23';
const staticNetwork = '100.66.0.';

const families = [
  ['Иванов', 'ivanov'],
  ['Петрова', 'petrova'],
  ['Сидоров', 'sidorov'],
  ['Смирнова', 'smirnova'],
  ['Кузнецов', 'kuznetsov'],
  ['Соколова', 'sokolova'],
  ['Miller', 'miller'],
  ['Novák', 'novak'],
  ['Kowalska', 'kowalska'],
  ['Yılmaz', 'yilmaz'],
  ['Jansen', 'jansen'],
  ['Ågren', 'agren'],
] as const;
const givenNames = ['Анна', 'Мария', 'Пётр', 'Олег', 'Jan', 'Eva', 'Lars', 'Deniz', 'Ola', 'Mark'] as const;
const streets = ['ул. Ленина', 'Садовая', 'пр. Мира', 'Harbour Street', 'Lange Gasse', 'Rynek'] as const;

/** Makes inhabitants; a few of them have trouble at the door. */
export function makeTown(count: number, random: Random): Inhabitant[] {
  return Array.from({ length: count }, (_, index): Inhabitant => {
    const [family, latin] = oneOf(random, families);
    const temper: Temper =
      index % 40 === 7
        ? 'mistypes-password'
        : index % 67 === 11
          ? 'wrong-device'
          : index % 79 === 13
            ? 'mistypes-login'
            : 'ordinary';
    const hex = (number: number): string => number.toString(16).padStart(2, '0');
    return {
      login: `${latin}${String(index + 1)}`,
      password: `pw-${Math.floor(random() * 36 ** 6).toString(36)}`,
      contract: `C-${String(10_001 + index)}`,
      name: `${family} ${oneOf(random, givenNames)}`,
      phone: `+7 9${String(Math.floor(between(random, 10, 99)))} ${String(Math.floor(between(random, 1_000_000, 9_999_999)))}`,
      street: `${oneOf(random, streets)} ${String(Math.floor(between(random, 1, 90)))}, ${String(index + 1)}`,
      mac: `02:de:00:00:${hex(index >> 8)}:${hex(index & 255)}`,
      plan: oneOf(random, plans).name,
      staticAddress: index % 10 === 3 ? `${staticNetwork}${String(1 + Math.floor(index / 10))}` : undefined,
      temper,
    };
  });
}

/** The town as `subscriber import` reads it. */
export function townCsv(town: readonly Inhabitant[]): string {
  const quoted = (text: string): string => `"${text.replaceAll('"', '""')}"`;
  const columns = [
    'login',
    'password',
    'plan',
    'ip',
    'mac',
    'contract',
    'name',
    'phone',
    'address',
    'associate_pppoe_mac',
  ];
  const rows = town.map((one) =>
    [
      one.login,
      one.password,
      one.plan,
      one.staticAddress ?? '',
      one.mac,
      one.contract,
      one.name,
      one.phone,
      one.street,
      one.temper === 'wrong-device' ? 'true' : 'false',
    ]
      .map(quoted)
      .join(','),
  );
  return `${[columns.join(','), ...rows].join('\n')}\n`;
}
