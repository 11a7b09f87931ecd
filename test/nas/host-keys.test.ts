// Host keys: fingerprints as OpenSSH prints them, kept only because somebody said so.
import { mkdtemp, readFile, readdir, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import t from 'tap';
import { HostKeyFileError, HostKeyStore, fingerprintOf } from '../../src/nas/host-keys.js';

t.test('a fingerprint is that of ssh-keygen -l', async (t) => {
  // ssh-keygen -l says SHA256:+DiY3wvvV6TuJJhbpZisF/zLDA0zPMSvHdkr4UvCOqU of GitHub's published Ed25519 key.
  const key = 'AAAAC3NzaC1lZDI1NTE5AAAAIOMqqnkVzrm0SdG6UOoqKLsabgH5C9okWi0dh2l9GKJl';
  t.equal(fingerprintOf(Buffer.from(key, 'base64')), 'SHA256:+DiY3wvvV6TuJJhbpZisF/zLDA0zPMSvHdkr4UvCOqU');
});

t.test('what is trusted is stored, replaced, and nothing else is', async (t) => {
  const folder = await mkdtemp(join(tmpdir(), 'sluice-keys-'));
  t.teardown(() => rm(folder, { recursive: true, force: true }));
  const store = new HostKeyStore(folder);
  const [one, two] = [fingerprintOf(Buffer.from('one')), fingerprintOf(Buffer.from('two'))];
  t.equal(await store.stored('bras1'), undefined);
  await store.trust('bras1', one);
  t.equal(await new HostKeyStore(folder).stored('bras1'), one);
  await store.trust('bras1', two);
  t.equal(await store.stored('bras1'), two);
  t.equal(await readFile(join(folder, 'host-keys/bras1'), 'utf8'), `${two}\n`);
  t.same(await readdir(join(folder, 'host-keys')), ['bras1']);
  await t.rejects(store.trust('bras1', 'SHA256:short'), HostKeyFileError);
  await writeFile(join(folder, 'host-keys/bras2'), 'half a fing');
  await t.rejects(store.stored('bras2'), HostKeyFileError);
});
