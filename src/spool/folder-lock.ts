/**
 * One process per spool folder. Enters: the folder's path. Leaves: a held lock, or SpoolLockedError.
 * Invariant: the lock dies with the process that holds it, however it dies, and taking it is one atomic call of the kernel.
 */

import { stat } from 'node:fs/promises';
import { createServer } from 'node:net';

export interface FolderLock {
  release(): Promise<void>;
}

/** The folder is in use by another process, or by another spool of this one. */
export class SpoolLockedError extends Error {
  override readonly name = 'SpoolLockedError';
  constructor(readonly directory: string) {
    super(
      `the spool folder ${directory} is in use by another running server; stop that one ` +
        '(systemctl status sluice, or ss -xlp | grep sluice-spool shows its process), or give this server a data folder of its own',
    );
  }
}

/**
 * Takes the lock by binding a name in Linux' abstract socket namespace (unix(7)), made of the folder's device and inode,
 * so that two paths to one folder meet. The namespace belongs to the network namespace: servers in containers that share a
 * folder but not a network do not see each other here, and the database's lock on the instance name refuses the twin.
 * Elsewhere than on Linux there is no such namespace, and nothing is locked.
 * @throws SpoolLockedError when somebody holds it.
 */
export async function lockFolder(directory: string): Promise<FolderLock> {
  if (process.platform !== 'linux') return { release: () => Promise.resolve() };
  const { dev, ino } = await stat(directory, { bigint: true });
  const server = createServer((connection) => connection.destroy());
  await new Promise<void>((resolve, reject) => {
    server.once('error', (error: NodeJS.ErrnoException) =>
      reject(error.code === 'EADDRINUSE' ? new SpoolLockedError(directory) : error),
    );
    server.listen({ path: `\0sluice-spool-${dev}-${ino}`, exclusive: true }, resolve);
  });
  // A connection that cannot be accepted (no descriptors left) is nothing to the lock.
  server.on('error', () => undefined);
  server.unref();
  return { release: () => new Promise((resolve) => server.close(() => resolve())) };
}
