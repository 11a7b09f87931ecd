/**
 * Which host key a NAS must show. Enters: keys as SSH servers present them, and the decision of an operator to trust one. Leaves: fingerprints. Invariant:
 * a key is trusted only because somebody said so, in nas.d or by `sluice nas trust`; nothing is learnt by connecting.
 */
import { createHash } from 'node:crypto';
import { mkdir, readFile, rename, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';

const fingerprintPattern = /^SHA256:[A-Za-z0-9+/]{43}$/u;

/** A file in data/host-keys that holds no fingerprint. */
export class HostKeyFileError extends Error {
  override readonly name = 'HostKeyFileError';
  readonly code = 'host-key-file';
}

/**
 * The fingerprint of a host key as OpenSSH prints it.
 *
 * @param key public key blob (RFC 4253 §6.6)
 */
export function fingerprintOf(key: Uint8Array): string {
  return `SHA256:${createHash('sha256').update(key).digest('base64').replace(/=+$/u, '')}`;
}

/** The fingerprints that `sluice nas trust` stored, one file for each NAS. */
export class HostKeyStore {
  readonly #folder: string;

  /** @param dataDir the data folder */
  constructor(dataDir: string) {
    this.#folder = join(dataDir, 'host-keys');
  }

  /**
   * The stored fingerprint.
   *
   * @param nas name of its entry, which is safe as a file name
   * @returns `undefined` when none was stored
   * @throws HostKeyFileError when the file holds something else
   */
  async stored(nas: string): Promise<string | undefined> {
    const file = join(this.#folder, nas);
    let text: string;
    try {
      text = (await readFile(file, 'utf8')).trim();
    } catch (error) {
      if (error instanceof Error && 'code' in error && error.code === 'ENOENT') return undefined;
      throw error;
    }
    if (!fingerprintPattern.test(text)) throw new HostKeyFileError(`${file} holds no fingerprint`);
    return text;
  }

  /** Stores a fingerprint in place of what was there. */
  async trust(nas: string, fingerprint: string): Promise<void> {
    if (!fingerprintPattern.test(fingerprint)) throw new HostKeyFileError('not a SHA256 fingerprint');
    await mkdir(this.#folder, { recursive: true, mode: 0o750 });
    const file = join(this.#folder, nas);
    // Two people may trust at once; a reader never sees half a file.
    const temporary = `${file}.${process.pid}.new`;
    try {
      await writeFile(temporary, `${fingerprint}\n`, { mode: 0o644 });
      await rename(temporary, file);
    } catch (error) {
      await rm(temporary, { force: true });
      throw error;
    }
  }
}
