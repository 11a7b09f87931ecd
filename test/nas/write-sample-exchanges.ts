// Writes the sample exchanges of docs/profiles/*.md anew: npx tsx test/nas/write-sample-exchanges.ts
import { readdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { checkout } from '../config/conf-folder.js';
import { sampleExchange } from './sample-exchange.js';

const ends: (() => unknown)[] = [];
const folder = join(checkout, 'docs/profiles');
const write = async (): Promise<void> => {
  for (const file of await readdir(folder)) {
    const page = await readFile(join(folder, file), 'utf8');
    const block = /(?<=^## Sample exchange\n[\s\S]*?^```radius\n)[\s\S]*?(?=^```$)/mu;
    if (!block.test(page)) continue;
    const text = await sampleExchange(
      { teardown: (end: () => unknown) => void ends.push(end) } as never,
      file.slice(0, -3),
    );
    await writeFile(
      join(folder, file),
      page.replace(block, () => text),
    );
  }
  for (const end of ends.reverse()) await end();
};

void write();
