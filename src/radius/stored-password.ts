// The stored forms of a password.
// In: the text of the database column. Out: its parsed form, or why it has none; sealed text for storing.
// Invariant: nothing here prints, logs or throws a password; limits on hash costs are checked here, so no stored text can
// make a check run for minutes.

import { createCipheriv, createDecipheriv, randomBytes } from 'node:crypto';

/** Octets of a sealing key (AES-256). */
export const sealKeyOctets = 32;
/** The longest stored text, characters. */
export const maxStoredCharacters = 1024;
/** Most memory for one scrypt, octets: 128 × N × r. OpenSSL's own default is 32 MiB; 2^17 with r = 8 takes 128 MiB. */
export const maxScryptOctets = 256 * 1024 * 1024;
/** Highest bcrypt cost: 2^14 rounds take about a second. */
export const maxBcryptCost = 14;

const nonceOctets = 12;
const tagOctets = 16;
// Bound into every seal, so that a value sealed for another purpose under the same key is refused.
const sealContext = Buffer.from('sluice stored password 1', 'latin1');

/** A stored password ready for checking. */
export type StoredPassword =
  | { readonly form: 'cleartext'; readonly password: Buffer }
  | { readonly form: 'nt'; readonly hash: Buffer }
  | { readonly form: 'digest'; readonly algorithm: 'sha1' | 'md5'; readonly hash: Buffer; readonly salt: Buffer }
  | {
      readonly form: 'scrypt';
      readonly cost: number;
      readonly blockSize: number;
      readonly parallelization: number;
      readonly salt: Buffer;
      readonly hash: Buffer;
    }
  | { readonly form: 'bcrypt'; readonly text: string };

/** Why a stored text cannot be used. */
export type StoredPasswordFault =
  'empty' | 'too-long' | 'unknown-form' | 'bad-encoding' | 'cost-out-of-range' | 'seal-key-unknown' | 'seal-broken';

/** Result of `parseStoredPassword`. */
export type StoredPasswordResult =
  { readonly ok: true; readonly stored: StoredPassword } | { readonly ok: false; readonly reason: StoredPasswordFault };

/** Sealing keys of 32 octets by their id of one octet. */
export type SealKeys = ReadonlyMap<number, Buffer>;

const noKeys: SealKeys = new Map();

/** A sealing key that cannot be used. */
export class SealKeyError extends Error {
  override readonly name = 'SealKeyError';
  constructor(readonly reason: 'key-length' | 'key-id') {
    super(reason === 'key-length' ? `a sealing key has ${sealKeyOctets} octets` : 'a sealing key id is 0 to 255');
  }
}

/**
 * Parses a stored text:
 * no prefix or `{CLEAR}x` cleartext; `{SEALED}base64` AES-256-GCM; `{NT}32 hex digits`;
 * `{SCRYPT}N$r$p$salt$hash` (base64); `{BCRYPT}$2b$…` or bare `$2a$`, `$2b$`, `$2y$`;
 * `{SSHA}`, `{SHA}`, `{SMD5}`, `{MD5}` base64 of digest and salt.
 * A cleartext that begins with `{` or `$2` needs `{CLEAR}` before it.
 */
export function parseStoredPassword(text: string, keys: SealKeys = noKeys): StoredPasswordResult {
  if (text.length === 0) return fault('empty');
  if (text.length > maxStoredCharacters) return fault('too-long');
  if (/^\$2[aby]\$/.test(text)) return parseBcrypt(text);
  const tagged = /^\{([A-Za-z0-9]+)\}(.*)$/s.exec(text);
  if (tagged === null) return { ok: true, stored: { form: 'cleartext', password: Buffer.from(text, 'utf8') } };
  const value = tagged[2]!;
  switch (tagged[1]!.toUpperCase()) {
    case 'CLEAR':
    case 'CLEARTEXT':
      return { ok: true, stored: { form: 'cleartext', password: Buffer.from(value, 'utf8') } };
    case 'SEALED':
      return unsealText(value, keys);
    case 'NT':
      if (!/^[0-9a-fA-F]{32}$/.test(value)) return fault('bad-encoding');
      return { ok: true, stored: { form: 'nt', hash: Buffer.from(value, 'hex') } };
    case 'SCRYPT':
      return parseScrypt(value);
    case 'BCRYPT':
    case 'CRYPT':
      return parseBcrypt(value);
    case 'SSHA':
      return parseDigest(value, 'sha1', true);
    case 'SHA':
      return parseDigest(value, 'sha1', false);
    case 'SMD5':
      return parseDigest(value, 'md5', true);
    case 'MD5':
      return parseDigest(value, 'md5', false);
    default:
      return fault('unknown-form');
  }
}

/**
 * Seals a password for storing: `{SEALED}` and base64 of key id, nonce, ciphertext, tag.
 * @param keyId which of the keys this is, 0 to 255
 * @param key 32 octets
 * @throws SealKeyError when key or id do not fit
 */
export function sealPassword(password: string, keyId: number, key: Buffer): string {
  if (key.length !== sealKeyOctets) throw new SealKeyError('key-length');
  if (!Number.isInteger(keyId) || keyId < 0 || keyId > 255) throw new SealKeyError('key-id');
  const nonce = randomBytes(nonceOctets);
  const cipher = createCipheriv('aes-256-gcm', key, nonce);
  cipher.setAAD(sealContext);
  const sealed = Buffer.concat([
    Buffer.of(keyId),
    nonce,
    cipher.update(password, 'utf8'),
    cipher.final(),
    cipher.getAuthTag(),
  ]);
  return `{SEALED}${sealed.toString('base64')}`;
}

function unsealText(text: string, keys: SealKeys): StoredPasswordResult {
  const sealed = decodeBase64(text);
  if (sealed === undefined || sealed.length < 1 + nonceOctets + tagOctets) return fault('bad-encoding');
  const key = keys.get(sealed[0]!);
  if (key?.length !== sealKeyOctets) return fault('seal-key-unknown');
  const decipher = createDecipheriv('aes-256-gcm', key, sealed.subarray(1, 1 + nonceOctets), {
    authTagLength: tagOctets,
  });
  decipher.setAAD(sealContext);
  decipher.setAuthTag(sealed.subarray(sealed.length - tagOctets));
  try {
    const password = Buffer.concat([
      decipher.update(sealed.subarray(1 + nonceOctets, sealed.length - tagOctets)),
      decipher.final(),
    ]);
    return { ok: true, stored: { form: 'cleartext', password } };
  } catch {
    return fault('seal-broken');
  }
}

function parseScrypt(text: string): StoredPasswordResult {
  const match = /^(\d{1,8})\$(\d{1,3})\$(\d{1,3})\$([A-Za-z0-9+/=]+)\$([A-Za-z0-9+/=]+)$/.exec(text);
  const salt = decodeBase64(match?.[4] ?? '');
  const hash = decodeBase64(match?.[5] ?? '');
  if (match === null || salt === undefined || hash === undefined) return fault('bad-encoding');
  const [cost, blockSize, parallelization] = [Number(match[1]), Number(match[2]), Number(match[3])];
  // RFC 7914 §6: N is a power of two above 1 and below 2^(16 r).
  const power = cost > 1 && (cost & (cost - 1)) === 0 && Math.log2(cost) < 16 * blockSize;
  const sane = power && blockSize > 0 && parallelization > 0 && parallelization <= 16;
  if (!sane || 128 * cost * blockSize > maxScryptOctets || hash.length < 16 || hash.length > 64)
    return fault('cost-out-of-range');
  return { ok: true, stored: { form: 'scrypt', cost, blockSize, parallelization, salt, hash } };
}

function parseBcrypt(text: string): StoredPasswordResult {
  const match = /^\$2[aby]\$(\d\d)\$[./A-Za-z0-9]{53}$/.exec(text);
  if (match === null) return fault('bad-encoding');
  const cost = Number(match[1]);
  if (cost < 4 || cost > maxBcryptCost) return fault('cost-out-of-range');
  // $2y$ is PHP's name for what everybody else calls $2b$.
  return { ok: true, stored: { form: 'bcrypt', text: text.replace(/^\$2y/, '$2b') } };
}

function parseDigest(text: string, algorithm: 'sha1' | 'md5', salted: boolean): StoredPasswordResult {
  const octets = algorithm === 'sha1' ? 20 : 16;
  // Some exporters write the unsalted digest in hexadecimal.
  const value =
    !salted && text.length === octets * 2 && /^[0-9a-fA-F]+$/.test(text)
      ? Buffer.from(text, 'hex')
      : decodeBase64(text);
  if (value === undefined || (salted ? value.length <= octets : value.length !== octets)) return fault('bad-encoding');
  return {
    ok: true,
    stored: { form: 'digest', algorithm, hash: value.subarray(0, octets), salt: value.subarray(octets) },
  };
}

// Buffer.from ignores what is not base64; a truncated or mistyped value must not become another password.
function decodeBase64(text: string): Buffer | undefined {
  if (!/^(?:[A-Za-z0-9+/]{4})*(?:[A-Za-z0-9+/]{2}(?:==)?|[A-Za-z0-9+/]{3}=?)?$/.test(text) || text === '')
    return undefined;
  return Buffer.from(text, 'base64');
}

function fault(reason: StoredPasswordFault): StoredPasswordResult {
  return { ok: false, reason };
}
