/**
 * One process at a time: a lock on a folder that cannot outlive its holder.
 *
 * Enters: a folder and a purpose. Leaves: a release function. Invariant: the kernel drops the lock with the process, so a
 * killed holder leaves nothing to clean up. It is an abstract Unix socket named after device and inode (Linux unix(7)).
 */
import { stat } from 'node:fs/promises';
import { createServer } from 'node:net';
import { systemErrorCode } from './postgres-error.js';

/**
 * Takes the lock if it is free.
 *
 * @returns a release function, or undefined while another process holds it
 */
export async function tryFolderLock(directory: string, purpose: string): Promise<(() => Promise<void>) | undefined> {
  const { dev, ino } = await stat(directory, { bigint: true });
  const server = createServer((socket) => socket.destroy());
  const taken = await new Promise<boolean>((settle, fail) => {
    server.once('error', (error) => {
      if (systemErrorCode(error) === 'EADDRINUSE') settle(false);
      else fail(error);
    });
    server.listen({ path: `\0sluice-${purpose}-${String(dev)}-${String(ino)}` }, () => {
      settle(true);
    });
  });
  if (!taken) return undefined;
  server.unref();
  return () =>
    new Promise((settle) => {
      server.close(() => {
        settle();
      });
    });
}
