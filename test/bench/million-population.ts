/**
 * A city of subscribers for measurements. Enters: a number. Leaves: a CSV file as a billing would export it, and what the same person's router sends.
 * Invariant: everything follows from the number of the person, so that nothing has to be kept in memory; logins, contracts, MACs and static addresses are
 * unique.
 */
import { once } from 'node:events';
import { createWriteStream } from 'node:fs';

/** What a NAS has to know to log somebody in. */
export interface Inhabitant {
  readonly login: string;
  readonly password: string;
  readonly mac: string;
  /** Undefined: an address of the pool. */
  readonly staticAddress: string | undefined;
}

const FAMILIES =
  'Иванов Петров Сидоров Смирнов Кузнецов Попов Васильев Соколов Михайлов Новиков Фёдоров Морозов Волков Алексеев Лебедев Семёнов Егоров Павлов Козлов Степанов Miller Novák Jansen Kowalski Schmidt García Rossi Silva Nowak Horvat'.split(
    ' ',
  );
const GIVEN =
  'Анна Олег Мария Иван Пётр Елена Ольга Сергей Наталья Дмитрий Татьяна Андрей Eva Jan Ana Marek Luca Nina Tomas Ida'.split(
    ' ',
  );
const FATHERS = 'Иванович Петрович Сергеевна Олегович Андреевна Дмитриевич Павловна Михайлович Егоровна Львович'.split(
  ' ',
);
/** Names of streets differ by a number: as many as a large city has. */
const STREETS = 3_000;
/** Everybody whose number divides so has an address of his own. */
const STATIC_EVERY = 3;
/** Octets of text that go to the file in one piece. */
const CHUNK_OCTETS = 1 << 20;

/** Spreads numbers so that neighbours in the file are no neighbours in the index: Knuth's multiplicative hash. */
function scattered(n: number): number {
  return Math.imul(n, 2_654_435_761) >>> 0;
}

function octets(value: number): string {
  return [24, 16, 8, 0].map((shift) => String((value >>> shift) & 255)).join('.');
}

/** Person `n`, from 1 on. */
export function inhabitant(n: number): Inhabitant {
  const hex = (shift: number): string => ((n >>> shift) & 255).toString(16).padStart(2, '0');
  return {
    login: `user${String(n)}@city.example`,
    password: `secret-${scattered(n).toString(36)}`,
    mac: `02:10:${hex(24)}:${hex(16)}:${hex(8)}:${hex(0)}`,
    staticAddress: n % STATIC_EVERY === 0 ? octets(0x0a_00_00_00 + n) : undefined,
  };
}

/** What of a person a second export may say anew. */
export interface CityOptions {
  /** Of the plan that everybody has. */
  readonly plan: string;
  /** In the column `nas`. */
  readonly nas?: string;
  /** The number of the first person; 1 when not given. */
  readonly first?: number;
}

/** One line of the file, and what people are searched by. */
export function cityLine(n: number, options: CityOptions): string {
  const { login, password, mac, staticAddress } = inhabitant(n);
  const spread = scattered(n);
  const pick = (list: readonly string[], salt: number): string => list[(spread >>> salt) % list.length]!;
  const name = `${pick(FAMILIES, 3)} ${pick(GIVEN, 9)} ${pick(FATHERS, 14)}`;
  const phone = `+7 9${String(spread % 1_000_000_000).padStart(9, '0')}`;
  const address = `ул. Улица${String(spread % STREETS)}, д. ${String((spread >>> 7) % 120)}, кв. ${String((spread >>> 15) % 200)}`;
  return `${login},${password},${options.plan},${staticAddress ?? ''},${mac},${options.nas ?? ''},C-${String(1_000_000 + n)},${name},${phone},"${address}"\n`;
}

export const CITY_HEADER = 'login,password,plan,ip,mac,nas,contract,name,phone,address\n';

/** Writes people `first` to `first + count - 1` into a file. @returns its size, octets */
export async function writeCity(path: string, count: number, options: CityOptions): Promise<number> {
  const file = createWriteStream(path, { mode: 0o600 });
  const first = options.first ?? 1;
  let text = CITY_HEADER;
  for (let n = first; n < first + count; n++) {
    text += cityLine(n, options);
    if (text.length < CHUNK_OCTETS) continue;
    if (!file.write(text)) await once(file, 'drain');
    text = '';
  }
  file.end(text);
  await once(file, 'close');
  return file.bytesWritten;
}
