// Enters: files as text. Leaves: a temporary conf folder and data folder that are removed with the test, and a load of them.
// Invariant: nothing outside the temporary folder is written.
import { mkdir, mkdtemp, rm, writeFile, chmod } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join, relative } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { Config } from '../../src/config/config.js';
import { loadConfig } from '../../src/config/load-config.js';
import type { LoadOptions } from '../../src/config/load-config.js';
import { ConfigError } from '../../src/config/problem.js';
import type { ConfigProblem } from '../../src/config/problem.js';

export const checkout = fileURLToPath(new URL('../..', import.meta.url));
export const bundledProfilesDir = join(checkout, 'conf/profiles');

export interface ConfFolder {
  readonly root: string;
  readonly options: LoadOptions;
  write(path: string, text: string | Buffer, mode?: number): Promise<void>;
  load(): Promise<Config>;
  /** The problems of a load that has to fail; files relative to the temporary folder. */
  problems(): Promise<readonly ConfigProblem[]>;
}

interface Teardown {
  teardown(undo: () => Promise<void>): void;
}

/** Makes `conf/` and `data/` in a new folder; paths are relative to that, so `conf/sluice.toml`. */
export async function confFolder(t: Teardown, files: Readonly<Record<string, string>> = {}): Promise<ConfFolder> {
  const root = await mkdtemp(join(tmpdir(), 'sluice-config-'));
  t.teardown(() => rm(root, { recursive: true, force: true }));
  const options = { confDir: join(root, 'conf'), dataDir: join(root, 'data'), bundledProfilesDir, environment: {} };
  const folder: ConfFolder = {
    root,
    options,
    async write(path, text, mode = 0o600) {
      const file = join(root, path);
      await mkdir(dirname(file), { recursive: true });
      await writeFile(file, text);
      await chmod(file, mode);
    },
    load: () => loadConfig(options),
    async problems() {
      try {
        await loadConfig(options);
      } catch (error) {
        if (!(error instanceof ConfigError)) throw error;
        return error.problems.map((problem) => ({ ...problem, file: relative(root, problem.file) }));
      }
      throw new Error('the configuration was accepted');
    },
  };
  for (const [path, text] of Object.entries(files)) await folder.write(path, text);
  return folder;
}
