// The bundled profiles that speak over SSH or by a script: each compiles, each page shows what is really sent.
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import t from 'tap';
import type { Test } from 'tap';
import { commandNames, readingCommandNames } from '../../src/domain/service-state.js';
import { renderCommandLine } from '../../src/nas/command-template.js';
import { compileProfile } from '../../src/nas/profile.js';
import type { CompiledProfile } from '../../src/nas/profile.js';
import { checkout, confFolder } from '../config/conf-folder.js';
import { contextWith, present } from './command-context.js';
import { readRouteros } from './routeros-reader.js';
import { smallEncoder } from './small-dictionary.js';

const names = ['linux-nft-ssh', 'mikrotik-ipoe-ssh', 'cisco-acl-ssh', 'session-script'] as const;

async function profileNamed(t: Test, name: string): Promise<CompiledProfile> {
  const folder = await confFolder(t, {});
  await folder.write('conf/session', '#!/bin/sh\n', 0o755);
  await folder.write('conf/key', 'a key\n');
  await folder.write(
    'conf/nas.d/a.toml',
    `name = "a"\naddress = "10.0.0.2"\nprofile = "${name}"\nsecret = "pk3Lx9Qv7Tz1Wd5Rb8Ym"\n[ssh]\nkey_file = "key"\n`,
  );
  return compileProfile((await folder.load()).profiles[name]!, smallEncoder);
}

const limited = { redirect: true };
const shown = contextWith({ key: { ...present.key, framedPrefix: null, delegatedPrefix: null } });
const shownLimited = { ...shown, data: { ...shown.data!, ...limited } };

/** The lines of a command, for one who may pass and one who may not. */
function samples(
  { commands }: CompiledProfile,
  name: (typeof commandNames)[number] | (typeof readingCommandNames)[number],
): string[] {
  const lines = (commands.get(name)?.steps ?? []).flatMap((step) => (step.send === 'ssh' ? step.lines : []));
  const context = name === 'user_redirect' ? shownLimited : shown;
  return lines.flatMap((line) => {
    const rendered = renderCommandLine(line, context);
    if (rendered.outcome === 'unsayable') throw new Error(`${name}: ${rendered.text}`);
    return rendered.outcome === 'line' ? [rendered.line] : [];
  });
}

for (const name of names) {
  t.test(name, async (t) => {
    const profile = await profileNamed(t, name);
    for (const command of commandNames) t.ok(profile.commands.has(command), `says what ${command} is`);
    const page = await readFile(join(checkout, `docs/profiles/${name}.md`), 'utf8');
    t.match(page, /^20\d\d-\d\d-\d\d, /mu, 'the page says when and against what it was tried');
    for (const command of [...commandNames, ...readingCommandNames]) {
      for (const line of samples(profile, command)) t.ok(page.includes(`\n${line}\n`), `${command}: ${line}`);
      const why = profile.commands.get(command)?.notApplicable;
      if (why !== undefined) t.ok(page.includes(why), `${command}: ${why}`);
    }
  });
}

t.test('no text that people chose stands in a line of a bundled profile', async (t) => {
  for (const name of names) {
    const { commands } = await profileNamed(t, name);
    for (const [command, { steps }] of commands) {
      for (const step of steps) {
        if (step.send !== 'ssh') continue;
        for (const { source, parts } of step.lines) {
          const texts = parts.flatMap((part) =>
            typeof part !== 'string' && part.variable.kind === 'text' ? [part.name] : [],
          );
          t.same(texts, [], `${name} ${command}: ${source}`);
        }
      }
    }
  }
});

t.test(
  'RouterOS can read what mikrotik-ipoe-ssh says, and finds its entries by our mark and the address',
  async (t) => {
    const profile = await profileNamed(t, 'mikrotik-ipoe-ssh');
    for (const command of commandNames) {
      for (const line of samples(profile, command)) {
        for (const part of line.split('; ')) {
          if (!part.includes(' remove ') || part.includes('connection')) continue;
          const read = JSON.stringify(readRouteros(Buffer.from(part)));
          t.match(read, /"comment"[^}]*\},\{"text":"=","isString":false\},\{"text":"sluice-17"/u, part);
          t.match(read, /"text":"(?:100\.64\.3\.7|\^100\.64\.3\.7\/)"/u, part);
        }
      }
    }
  },
);

t.test('one access list stands for every limit: it opens only when none is left', async (t) => {
  const profile = await profileNamed(t, 'cisco-acl-ssh');
  const lineOf = (command: 'user_redirect_cancel', data: object): string[] =>
    (profile.commands.get(command)?.steps ?? []).flatMap((step) =>
      step.send !== 'ssh'
        ? []
        : step.lines.flatMap((line) => {
            const rendered = renderCommandLine(line, { ...shown, data: { ...shown.data!, ...data } });
            return rendered.outcome === 'line' ? [rendered.line] : [];
          }),
    );
  t.same(lineOf('user_redirect_cancel', {}), ['access-template 180 SLUICE host 100.64.3.7 any']);
  t.same(lineOf('user_redirect_cancel', { ownDisabled: true }), [
    'clear access-template 180 SLUICE host 100.64.3.7 any',
  ]);
});
