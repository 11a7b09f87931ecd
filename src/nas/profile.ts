/**
 * Profiles fit for use: what an answer to this kind of NAS says in each state.
 *
 * Enters: profiles as read, an encoder over the dictionary; then one context per answer.
 * Leaves: the octets of all attributes that the profile adds, ready to be put into the answer.
 * Invariant: what does not depend on the request is encoded once, what depends on the rate alone once per rate; memory is
 * bounded; an attribute whose variables have no value is left out, one that cannot be said truly fails the answer.
 */
import type { Profile, ProfileStateRule } from '../config/config.js';
import { ConfigError } from '../config/problem.js';
import type { ConfigProblem } from '../config/problem.js';
import { profileStates } from '../config/profile-schema.js';
import type { ProfileState } from '../config/profile-schema.js';
import type { AttributeEncoder } from './attribute-encoder.js';
import { rateKey } from './attribute-variables.js';
import type { AttributeContext } from './attribute-variables.js';
import { compileAttribute, plainName } from './compile-attribute.js';
import type { AttributeFailure, CompiledAttribute } from './compile-attribute.js';
import { checkCommands } from './command-safety.js';
import { compileCommands } from './compile-command.js';
import { checkStatesDiffer } from './profile-safety.js';
import { RecentValues } from './recent-values.js';
import type { CompiledCommands } from './step.js';

export type EncodedAttributes =
  { readonly ok: true; readonly octets: Buffer } | { readonly ok: false; readonly failure: AttributeFailure };

/** One attribute for a person to read. */
export interface ExplainedAttribute {
  readonly name: string;
  readonly tag: number | undefined;
  /** What is sent; `undefined` when it is left out or cannot be said. */
  readonly value: string | number | undefined;
  /** Why nothing is sent. */
  readonly because: string | undefined;
}

/** What an answer says in one state. `answer` and `pool` are what the access decision asks for. */
export interface CompiledState {
  readonly answer: 'accept' | 'reject';
  readonly pool: string | undefined;
  /** Whether IPv6 prefixes go with the answer. */
  readonly prefixes: boolean;
  readonly sessionTimeoutSeconds: number | undefined;
  /**
   * All attributes of this state in a row: Service-Type and Framed-Protocol, those of the state, and with `nasPool` or prefixes in the
   * context how the NAS is told of them. The buffer is shared and must not be written to.
   */
  encode(context: AttributeContext): EncodedAttributes;
  /** The same for a person, what is left out included. */
  explain(context: AttributeContext): readonly ExplainedAttribute[];
  /**
   * What brings a running session into this state by CoA: the attributes of the state with `coa_attributes` in place of those with
   * the same names, without Service-Type and Framed-Protocol, which mean something else there (RFC 5176 §3.2).
   */
  encodeChange(context: AttributeContext): EncodedAttributes;
}

/** A profile fit for use. */
export interface CompiledProfile {
  readonly profile: Profile;
  readonly states: Readonly<Record<ProfileState, CompiledState>>;
  readonly commands: CompiledCommands;
}

// Rates that are in use on one kind of NAS, turbo and hours of day included; some 100 octets each.
const rememberedRates = 1_024;
const nothing = Buffer.alloc(0);
const noAttributes: readonly CompiledAttribute[] = [];

/**
 * Compiles one profile.
 *
 * @param profile as read by `loadConfig`
 * @param encoder over the dictionary in use
 * @throws ConfigError for unknown attributes and variables, values that do not suit, and states in which a subscriber who
 *   should be limited would not be
 */
export function compileProfile(profile: Profile, encoder: AttributeEncoder): CompiledProfile {
  const problems: ConfigProblem[] = [];
  const heads = compileHead(profile, encoder, problems);
  const nasPool = compileAttribute(profile, 'nas_pool', profile.nasPool, encoder);
  if (!nasPool.ok) problems.push(...nasPool.problems);
  const prefixes = profile.prefixAttributes.flatMap((attribute, index) => {
    const result = compileAttribute(profile, `prefix_attributes[${index}]`, attribute, encoder);
    if (!result.ok) problems.push(...result.problems);
    return result.ok ? [result.attribute] : [];
  });
  const own = new Map<ProfileState, readonly CompiledAttribute[]>();
  const changes = new Map<ProfileState, readonly CompiledAttribute[]>();
  for (const state of profileStates) {
    const attributes = compileState(profile, state, encoder, problems);
    own.set(state, attributes);
    changes.set(state, compileChange(profile, state, attributes, encoder, problems));
  }
  const commands = compileCommands(profile, encoder, problems);
  if (problems.length === 0) {
    problems.push(...checkStatesDiffer(profile, (state) => own.get(state) ?? []));
    problems.push(...checkCommands(profile, commands, (state) => changes.get(state) ?? []));
  }
  if (problems.length > 0 || !nasPool.ok) throw new ConfigError(problems);
  const states = profileStates.map((state) => {
    const rule = profile.states[state];
    const attributes = own.get(state) ?? [];
    const all = rule.answer === 'accept' ? [...heads, ...attributes] : attributes;
    return [state, stateOf(rule, all, changes.get(state) ?? [], nasPool.attribute, prefixes)];
  });
  return { profile, states: Object.fromEntries(states) as Record<ProfileState, CompiledState>, commands };
}

/**
 * Compiles all profiles of a configuration.
 *
 * @throws ConfigError with the problems of all of them
 */
export function compileProfiles(
  profiles: Readonly<Record<string, Profile>>,
  encoder: AttributeEncoder,
): ReadonlyMap<string, CompiledProfile> {
  const compiled = new Map<string, CompiledProfile>();
  const problems: ConfigProblem[] = [];
  for (const [name, profile] of Object.entries(profiles)) {
    try {
      compiled.set(name, compileProfile(profile, encoder));
    } catch (error) {
      if (!(error instanceof ConfigError)) throw error;
      problems.push(...error.problems);
    }
  }
  if (problems.length > 0) throw new ConfigError(problems);
  return compiled;
}

function compileHead(profile: Profile, encoder: AttributeEncoder, problems: ConfigProblem[]): CompiledAttribute[] {
  const heads: CompiledAttribute[] = [];
  for (const [key, name, setting] of [
    ['service_type', 'Service-Type', profile.serviceType],
    ['framed_protocol', 'Framed-Protocol', profile.framedProtocol],
  ] as const) {
    if (setting === undefined) continue;
    const encoded = encoder.encode(name, setting.value, undefined, false);
    if (encoded.ok) {
      const outcome = { outcome: 'sent', octets: encoded.octets, value: setting.value } as const;
      heads.push({ name, tag: undefined, dependsOn: 'nothing', encode: () => outcome });
      continue;
    }
    const problem = `is no value of ${name}`;
    problems.push({
      file: profile.file,
      line: setting.line,
      key,
      problem,
      remedy: 'use a name of its VALUEs in the dictionary',
    });
  }
  return heads;
}

function compileState(
  profile: Profile,
  state: ProfileState,
  encoder: AttributeEncoder,
  problems: ConfigProblem[],
): CompiledAttribute[] {
  const rule = profile.states[state];
  const compiled: CompiledAttribute[] = [];
  rule.attributes.forEach((attribute, index) => {
    const key = `state.${state}.attributes[${index}]`;
    // RFC 2865 §5.44: of what a profile may send, only Reply-Message is allowed in an Access-Reject.
    if (rule.answer === 'reject' && plainName(attribute.name) !== 'reply-message') {
      const problem = 'is not allowed in an Access-Reject';
      const remedy = 'remove it, or write answer = "accept"; only Reply-Message may go with a reject';
      problems.push({ file: profile.file, line: attribute.line, key: `${key}.name`, problem, remedy });
      return;
    }
    const result = compileAttribute(profile, key, attribute, encoder);
    if (result.ok) compiled.push(result.attribute);
    else problems.push(...result.problems);
  });
  return compiled;
}

function compileChange(
  profile: Profile,
  state: ProfileState,
  attributes: readonly CompiledAttribute[],
  encoder: AttributeEncoder,
  problems: ConfigProblem[],
): CompiledAttribute[] {
  const own: CompiledAttribute[] = [];
  profile.states[state].coaAttributes.forEach((attribute, index) => {
    const key = `state.${state}.coa_attributes[${index}]`;
    const result = compileAttribute(profile, key, attribute, encoder, 'command');
    if (result.ok) own.push(result.attribute);
    else problems.push(...result.problems);
  });
  const replaced = new Set(own.map((attribute) => plainName(attribute.name)));
  return [...attributes.filter((attribute) => !replaced.has(plainName(attribute.name))), ...own];
}

function stateOf(
  rule: ProfileStateRule,
  attributes: readonly CompiledAttribute[],
  change: readonly CompiledAttribute[],
  nasPool: CompiledAttribute,
  prefixes: readonly CompiledAttribute[],
): CompiledState {
  const encodeOwn = encoderOf(attributes);
  /** What only some answers have. */
  const additions = (context: AttributeContext): readonly CompiledAttribute[] => {
    const hasPrefix = context.framedPrefix !== undefined || context.delegatedPrefix !== undefined;
    if (rule.answer === 'reject' || (context.nasPool === undefined && !hasPrefix)) return noAttributes;
    return [...(context.nasPool === undefined ? [] : [nasPool]), ...(hasPrefix ? prefixes : [])];
  };
  return {
    answer: rule.answer,
    pool: rule.pool,
    prefixes: rule.prefixes,
    sessionTimeoutSeconds: rule.sessionTimeoutSeconds,
    encode: (context) => {
      const own = encodeOwn(context);
      if (!own.ok) return own;
      const added = additions(context);
      if (added.length === 0) return own;
      const rest = encodeAll(added, context);
      return rest.ok ? { ok: true, octets: Buffer.concat([own.octets, rest.octets]) } : rest;
    },
    explain: (context) => [...attributes, ...additions(context)].map((attribute) => explain(attribute, context)),
    encodeChange: encoderOf(change),
  };
}

function encoderOf(attributes: readonly CompiledAttribute[]): (context: AttributeContext) => EncodedAttributes {
  if (attributes.every((one) => one.dependsOn === 'nothing')) {
    const octets = attributes.map((one) => {
      const outcome = one.encode(emptyContext);
      return outcome.outcome === 'sent' ? outcome.octets : nothing;
    });
    const constant: EncodedAttributes = { ok: true, octets: Buffer.concat(octets) };
    return () => constant;
  }
  if (attributes.some((one) => one.dependsOn === 'context')) return (context) => encodeAll(attributes, context);
  const byRate = new RecentValues<EncodedAttributes>(rememberedRates);
  return (context) => {
    const key = rateKey(context.rate);
    let encoded = byRate.get(key);
    if (encoded === undefined) byRate.set(key, (encoded = encodeAll(attributes, context)));
    return encoded;
  };
}

const emptyContext: AttributeContext = {
  rate: undefined,
  login: undefined,
  contract: undefined,
  plan: undefined,
  subscriberId: undefined,
  mac: undefined,
  address: undefined,
  nas: undefined,
  nasPool: undefined,
};

function encodeAll(attributes: readonly CompiledAttribute[], context: AttributeContext): EncodedAttributes {
  const pieces: Buffer[] = [];
  for (const attribute of attributes) {
    const outcome = attribute.encode(context);
    if (outcome.outcome === 'failed') return { ok: false, failure: outcome.failure };
    if (outcome.outcome === 'sent') pieces.push(outcome.octets);
  }
  return { ok: true, octets: Buffer.concat(pieces) };
}

function explain(attribute: CompiledAttribute, context: AttributeContext): ExplainedAttribute {
  const { name, tag } = attribute;
  const outcome = attribute.encode(context);
  switch (outcome.outcome) {
    case 'sent':
      return { name, tag, value: outcome.value, because: undefined };
    case 'left-out':
      return { name, tag, value: undefined, because: `$${outcome.variable} has no value` };
    case 'failed': {
      const { reason, variable } = outcome.failure;
      const because =
        reason === 'unsafe-value' ? `the value of $${variable} is not safe there` : 'its value does not fit';
      return { name, tag, value: undefined, because };
    }
  }
}
