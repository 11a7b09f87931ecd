/**
 * Passwords of FreeRADIUS as stored forms.
 *
 * Enters: a password attribute and its value. Leaves: the text to store, or why there is none. Invariant: a value in a
 * form that we do not know is never taken for a cleartext. Source: FreeRADIUS `man rlm_pap` (the headers, hex or base64). Pure.
 */

/** A stored text, or why it cannot be one. */
export type MappedPassword =
  { readonly ok: true; readonly stored: string } | { readonly ok: false; readonly problem: string };

/** Octets of a digest, and whether a salt follows. */
const digests: Readonly<Record<string, { octets: number; salted: boolean }>> = {
  SSHA: { octets: 20, salted: true },
  SHA: { octets: 20, salted: false },
  SMD5: { octets: 16, salted: true },
  MD5: { octets: 16, salted: false },
};

/** Attributes that hold a password, the ones that serve most methods first. */
export const passwordAttributes = [
  'cleartext-password',
  'user-password',
  'password-with-header',
  'nt-password',
  'ssha-password',
  'sha-password',
  'smd5-password',
  'md5-password',
  'crypt-password',
  'lm-password',
] as const;

/** Headers of Password-With-Header and of userPassword in LDAP. */
const headers: Readonly<Record<string, string>> = {
  clear: 'cleartext-password',
  cleartext: 'cleartext-password',
  nt: 'nt-password',
  nthash: 'nt-password',
  'x-nthash': 'nt-password',
  ssha: 'ssha-password',
  sha: 'sha-password',
  smd5: 'smd5-password',
  md5: 'md5-password',
  base64_md5: 'md5-password',
  crypt: 'crypt-password',
};

/** Whether the attribute holds a password: its value is never shown. */
export function isPasswordAttribute(key: string): boolean {
  return key.endsWith('-password') || key === 'password-with-header';
}

/**
 * The stored form of a password.
 *
 * @param key attribute in lower case
 */
export function mapPassword(key: string, value: string): MappedPassword {
  switch (key) {
    case 'cleartext-password':
    case 'user-password':
      if (value === '') return { ok: false, problem: 'an empty password' };
      return { ok: true, stored: /^(?:\{|\$2)/u.test(value) ? `{CLEAR}${value}` : value };
    case 'password-with-header': {
      const header = /^\{([^}]+)\}/u.exec(value);
      if (header === null) return mapPassword('cleartext-password', value);
      const under = headers[header[1]!.toLowerCase()];
      if (under === undefined) return { ok: false, problem: `no stored form for the header {${header[1]!}}` };
      return mapPassword(under, value.slice(header[0].length));
    }
    case 'nt-password': {
      const octets = octetsOf(value, 16, false);
      if (octets === undefined) return { ok: false, problem: 'no NT hash of 16 octets' };
      return { ok: true, stored: `{NT}${octets.toString('hex')}` };
    }
    case 'ssha-password':
    case 'sha-password':
    case 'smd5-password':
    case 'md5-password': {
      const form = key.slice(0, -'-password'.length).toUpperCase();
      const { octets, salted } = digests[form]!;
      const digest = octetsOf(value, octets, salted);
      if (digest === undefined) return { ok: false, problem: `no ${form} digest in hexadecimal or base64` };
      return { ok: true, stored: `{${form}}${digest.toString('base64')}` };
    }
    case 'crypt-password':
      if (/^\$2[aby]\$\d\d\$[./A-Za-z0-9]{53}$/u.test(value)) return { ok: true, stored: `{BCRYPT}${value}` };
      return { ok: false, problem: 'a crypt(3) form other than bcrypt has no stored form' };
    default:
      return { ok: false, problem: 'has no stored form' };
  }
}

/** Hexadecimal first, as FreeRADIUS tries it, then base64. */
function octetsOf(value: string, length: number, salted: boolean): Buffer | undefined {
  const fits = (octets: Buffer) => (salted ? octets.length > length : octets.length === length);
  const hex = /^(?:0x)?((?:[0-9a-fA-F]{2})+)$/u.exec(value)?.[1];
  if (hex !== undefined) {
    const octets = Buffer.from(hex, 'hex');
    if (fits(octets)) return octets;
  }
  if (!/^(?:[A-Za-z0-9+/]{4})*(?:[A-Za-z0-9+/]{2}(?:==)?|[A-Za-z0-9+/]{3}=?)?$/u.test(value)) return undefined;
  const octets = Buffer.from(value, 'base64');
  return fits(octets) ? octets : undefined;
}
