// Writes docs/configuration.md from the schemas: npx tsx test/config/write-configuration-doc.ts
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describeConfiguration } from '../../src/config/describe.js';
import { checkout } from './conf-folder.js';

writeFileSync(join(checkout, 'docs/configuration.md'), describeConfiguration());
