/**
 * Reads the profiles: those of the conf folder, and the bundled ones that a NAS uses.
 *
 * Enters: the names that NASes use.
 * Leaves: validated `Profile`s with the line of each attribute.
 * Invariant: a file in the conf folder takes the place of the bundled one with its name, as a whole.
 */
import { join } from 'node:path';
import { camelKeys } from './config.js';
import type { Profile, ProfileAttribute, ProfileCommandRule, ProfileStateRule, ProfileStep } from './config.js';
import { listTomlFiles, openDocument, resolvePath } from './load-context.js';
import type { LoadContext } from './load-context.js';
import { nearestKey } from './nearest-key.js';
import { profileSchema, profileStates } from './profile-schema.js';
import type { ProfileFile, ProfileState } from './profile-schema.js';
import { validate } from './schema-problems.js';
import { namePattern } from './setting.js';
import type { TomlDocument, TomlPath } from './toml-document.js';

/** A profile name and who asked for it. */
export interface ProfileUse {
  readonly profile: string;
  readonly file: string;
  readonly line: number;
}

/**
 * Reads every profile of the conf folder and each bundled one that is used.
 *
 * @returns profiles by name; those that are wrong or absent are left out after a problem was added
 */
export async function readProfiles(
  context: LoadContext,
  uses: readonly ProfileUse[],
): Promise<Record<string, Profile>> {
  const profiles: Record<string, Profile> = {};
  const tried = new Set<string>();
  const own = (await listTomlFiles(context, join(context.confDir, 'profiles'))).flatMap(profileName);
  const bundled = (await listTomlFiles(context, context.bundledProfilesDir)).flatMap(profileName);
  for (const name of [...own, ...uses.map((use) => use.profile)]) {
    if (tried.has(name)) continue;
    tried.add(name);
    const folder = own.includes(name) ? join(context.confDir, 'profiles') : context.bundledProfilesDir;
    if (!own.includes(name) && !bundled.includes(name)) continue;
    const profile = await readProfile(context, name, join(folder, `${name}.toml`));
    if (profile !== undefined) profiles[name] = profile;
  }
  const known = [...new Set([...own, ...bundled])].sort();
  for (const use of uses) {
    if (known.includes(use.profile)) continue;
    const near = nearestKey(use.profile, known);
    const remedy =
      near === undefined ? `use one of ${known.join(', ')}, or write profiles/${use.profile}.toml` : `write "${near}"`;
    context.problems.push({ file: use.file, line: use.line, key: 'profile', problem: 'names no profile', remedy });
  }
  return profiles;
}

function profileName(file: string): string[] {
  const name = file.slice(0, -'.toml'.length);
  return namePattern.test(name) ? [name] : [];
}

async function readProfile(context: LoadContext, name: string, file: string): Promise<Profile | undefined> {
  const opened = await openDocument(context, file);
  if (opened.outcome !== 'read') return undefined;
  const result = validate(profileSchema, opened.document, file);
  if (!result.ok) {
    context.problems.push(...result.problems);
    return undefined;
  }
  checkReadBack(context, file, result.value, opened.document);
  return profileOf(context, name, file, result.value, opened.document);
}

/** Nobody is to believe that a NAS is tried which cannot be read. */
function checkReadBack(context: LoadContext, file: string, read: ProfileFile, document: TomlDocument): void {
  if (read.coa.read_back_percent === 0) return;
  const wrong = (problem: string, remedy: string): number =>
    context.problems.push({
      file,
      line: document.lineOf(['coa', 'read_back_percent']),
      key: 'coa.read_back_percent',
      problem,
      remedy,
    });
  const steps = read.command.user_info?.steps ?? [];
  const isReadable = steps.some((step) => step.send === 'exec' || (step.send === 'ssh' && step.into === undefined));
  if (!isReadable)
    wrong(
      'cannot be done: the profile does not say how one subscriber is read from the NAS',
      'write [command.user_info] with steps of ssh or exec, or remove this key',
    );
  else if (read.read_back === undefined)
    wrong(
      'cannot be done: the profile does not say what user_info prints',
      'write [read_back] with there and gone, or remove this key',
    );
  else if (!Object.values(read.command).some((one) => [...(one?.steps ?? []), ...(one?.fallback ?? [])].some(isCoa)))
    wrong('is for commands by CoA, and the profile sends none', 'remove this key');
}

function isCoa({ send }: { readonly send: string }): boolean {
  return send === 'coa' || send === 'disconnect';
}

function profileOf(
  context: LoadContext,
  name: string,
  file: string,
  read: ProfileFile,
  document: TomlDocument,
): Profile {
  const {
    state,
    service_type: serviceType,
    framed_protocol: framedProtocol,
    nas_pool: nasPool,
    prefix_attributes: prefixAttributes,
    command,
    exec,
    ...rest
  } = read;
  const states = Object.fromEntries(profileStates.map((one) => [one, stateRule(one, state[one], document)]));
  return {
    ...camelKeys(rest),
    name,
    file,
    serviceType:
      serviceType === undefined ? undefined : { value: serviceType, line: document.lineOf(['service_type']) },
    framedProtocol:
      framedProtocol === undefined ? undefined : { value: framedProtocol, line: document.lineOf(['framed_protocol']) },
    nasPool: attributeOf(nasPool, document.lineOf(['nas_pool'])),
    prefixAttributes: prefixAttributes.map((attribute, index) =>
      attributeOf(attribute, document.lineOf(['prefix_attributes', index])),
    ),
    states: states as Record<ProfileState, ProfileStateRule>,
    exec: {
      script:
        exec.script === undefined
          ? undefined
          : resolvePath(context, exec.script, { file, line: document.lineOf(['exec', 'script']), key: 'exec.script' }),
      timeoutSeconds: exec.timeout_seconds,
    },
    commands: Object.fromEntries(
      Object.entries(command).flatMap(([one, rule]) =>
        rule === undefined ? [] : [[one, commandRule(rule, ['command', one], document)]],
      ),
    ),
  };
}

function stateRule(
  state: ProfileState,
  rule: ProfileFile['state'][ProfileState],
  document: TomlDocument,
): ProfileStateRule {
  return {
    answer: rule.answer,
    pool: rule.pool,
    prefixes: rule.answer === 'accept' && (rule.prefixes ?? state === 'active'),
    sessionTimeoutSeconds: rule.session_timeout_seconds,
    line: document.lineOf(['state', state]),
    attributes: rule.attributes.map((attribute, index) =>
      attributeOf(attribute, document.lineOf(['state', state, 'attributes', index])),
    ),
    coaAttributes: rule.coa_attributes.map((attribute, index) =>
      attributeOf(attribute, document.lineOf(['state', state, 'coa_attributes', index])),
    ),
  };
}

function commandRule(
  rule: NonNullable<ProfileFile['command']['user_add']>,
  at: TomlPath,
  document: TomlDocument,
): ProfileCommandRule {
  const steps = (list: 'steps' | 'fallback'): ProfileStep[] =>
    rule[list].map((step, index) => {
      const place = [...at, list, index];
      const line = document.lineOf(place);
      if (step.send !== 'coa') return { ...step, line };
      const attributes = step.attributes.map((attribute, position) =>
        attributeOf(attribute, document.lineOf([...place, 'attributes', position])),
      );
      return { ...step, attributes, line };
    });
  return {
    steps: steps('steps'),
    fallback: steps('fallback'),
    notApplicable: rule.not_applicable,
    line: document.lineOf(at),
  };
}

function attributeOf(read: ProfileFile['nas_pool'], line: number): ProfileAttribute {
  const value = typeof read.value === 'string' ? [read.value] : read.value;
  return { name: read.name, value, tag: read.tag, line };
}
