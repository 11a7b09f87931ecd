/**
 * The configuration as the rest of the server sees it.
 *
 * Enters: validated files, keys as written there.
 * Leaves: the type `Config`, keys in camel case, frozen all the way down.
 * Invariant: a `Config` never changes; a reload makes another one. Printed in any way it shows no secret.
 */
import type { ConfigSnapshot } from './config-files.js';
import type { IntakeSettings } from './intake-secrets.js';
import type { MissingSecret } from './load-context.js';
import type { LineRule } from '../domain/line-rule.js';
import type { AccountCommandName, CommandName, ReadingCommandName } from '../domain/service-state.js';
import type { NasFile } from './nas-schema.js';
import type { ConfigProblem } from './problem.js';
import type { ProfileFile, ProfileState } from './profile-schema.js';
import type { SecretValue } from './secret-value.js';
import type { ServerFile } from './server-schema.js';

type CamelCase<Key extends string> = Key extends `${infer Head}_${infer Tail}`
  ? `${Head}${Capitalize<CamelCase<Tail>>}`
  : Key;

/** The same value with every key in camel case, all the way down. */
export type CamelKeys<Value> = Value extends SecretValue
  ? Value
  : Value extends readonly (infer Item)[]
    ? readonly CamelKeys<Item>[]
    : Value extends object
      ? { readonly [Key in keyof Value as CamelCase<Key & string>]: CamelKeys<Value[Key]> }
      : Value;

type ServerSettings = CamelKeys<ServerFile>;

/** One entry of `conf/nas.d`. */
export interface NasEntry {
  readonly name: string;
  /** Canonical text of addresses and networks, at least one. */
  readonly addresses: readonly string[];
  readonly nasIdentifier: string | undefined;
  /** Dotted. */
  readonly nasIpAddress: string | undefined;
  /** One, or two while rotating. */
  readonly secrets: readonly SecretValue[];
  readonly profile: string;
  readonly requireMessageAuthenticator: boolean;
  readonly limitProxyState: boolean;
  readonly routingDomain: string;
  /** Acct-Interim-Interval to ask for: that of the NAS or the general one, and never below the floor of the profile. */
  readonly interimSeconds: number;
  /** observe: nothing is ever sent to it. */
  readonly mode: 'enforce' | 'observe';
  /** undefined: as its profile says. */
  readonly disconnectOnStop: boolean | undefined;
  /** Commands at once. */
  readonly parallel: number;
  readonly commandsPerSecond: number;
  readonly coa: Omit<CamelKeys<NasFile['coa']>, 'secretFile'> & {
    /** undefined: that of RADIUS; while that is being changed, the other one is tried after silence under the one. */
    readonly secret: SecretValue | undefined;
  };
  readonly ssh: Omit<CamelKeys<NasFile['ssh']>, 'passwordFile' | 'keyFile'> & {
    readonly password: SecretValue | undefined;
    readonly key: SecretValue | undefined;
  };
  readonly exec: {
    /** Absolute; undefined: that of the profile. */
    readonly script: string | undefined;
  };
  /** Where it is written, for messages. */
  readonly file: string;
  readonly line: number;
}

/** One attribute of a profile's state, not yet compiled. */
export interface ProfileAttribute {
  readonly name: string;
  /** A number, or templates in order of preference. */
  readonly value: number | readonly string[];
  readonly tag: number | undefined;
  readonly line: number;
}

/** What a profile says of one state. */
export interface ProfileStateRule {
  readonly answer: 'accept' | 'reject';
  readonly pool: string | undefined;
  /** Whether IPv6 prefixes go with the answer. */
  readonly prefixes: boolean;
  readonly sessionTimeoutSeconds: number | undefined;
  readonly attributes: readonly ProfileAttribute[];
  /** In a CoA-Request in place of those with the same names. */
  readonly coaAttributes: readonly ProfileAttribute[];
  readonly line: number;
}

/** One step of a command, not yet compiled. */
export type ProfileStep =
  | {
      readonly send: 'coa';
      readonly state: boolean;
      readonly attributes: readonly ProfileAttribute[];
      readonly line: number;
    }
  | { readonly send: 'disconnect'; readonly line: number }
  | {
      readonly send: 'ssh';
      readonly lines: readonly string[];
      /** The program that they are the standard input of. */
      readonly into?: string | undefined;
      readonly line: number;
    }
  | { readonly send: 'exec'; readonly line: number };

/** What a profile says of one command. */
export interface ProfileCommandRule {
  readonly steps: readonly ProfileStep[];
  readonly fallback: readonly ProfileStep[];
  readonly notApplicable: string | undefined;
  readonly line: number;
}

/** Every name that a command of a profile may have. */
export type ProfileCommandName = CommandName | AccountCommandName | ReadingCommandName;

/** A profile as read; `compileProfile` in `src/nas` makes it fit for use. */
export interface Profile extends CamelKeys<
  Omit<
    ProfileFile,
    'state' | 'service_type' | 'framed_protocol' | 'nas_pool' | 'prefix_attributes' | 'command' | 'exec'
  >
> {
  readonly name: string;
  readonly file: string;
  readonly serviceType: { readonly value: string; readonly line: number } | undefined;
  readonly framedProtocol: { readonly value: string; readonly line: number } | undefined;
  readonly nasPool: ProfileAttribute;
  readonly prefixAttributes: readonly ProfileAttribute[];
  readonly states: Readonly<Record<ProfileState, ProfileStateRule>>;
  readonly exec: {
    /** Absolute. */
    readonly script: string | undefined;
    readonly timeoutSeconds: number;
  };
  /** Those that the file names. */
  readonly commands: Readonly<Partial<Record<ProfileCommandName, ProfileCommandRule>>>;
}

/** Everything that the files say. */
export interface Config extends Omit<ServerSettings, 'database' | 'radius' | 'monitoring' | 'intake'> {
  readonly confDir: string;
  readonly dataDir: string;
  readonly database: Omit<ServerSettings['database'], 'url'> & {
    /** It may hold a password; `undefined`: run the embedded PostgreSQL. */
    readonly url: SecretValue | undefined;
  };
  readonly radius: Omit<ServerSettings['radius'], 'classKeyFile' | 'passwordKeyFile'> & {
    /** 32 octets; missing until `createMissingSecrets` has run. */
    readonly classKey: SecretValue;
    /** 32 octets; missing until `createMissingSecrets` has run. */
    readonly passwordKey: SecretValue;
  };
  readonly monitoring: Omit<ServerSettings['monitoring'], 'smtpPasswordFile' | 'smtpCaFile' | 'webhookSecrets'> & {
    readonly smtpPassword: SecretValue | undefined;
    /** PEM; undefined: the authorities that Node knows. */
    readonly smtpCa: string | undefined;
    /** By name. Ask with `Object.hasOwn`. */
    readonly webhookSecrets: Readonly<Record<string, SecretValue>>;
  };
  readonly intake: IntakeSettings;
  readonly nas: readonly NasEntry[];
  /** By name: those that a NAS uses and all in the conf folder. Ask with `Object.hasOwn`. */
  readonly profiles: Readonly<Record<string, Profile>>;
  /** How access lines are recognised, in order; `compileLineRules` makes them fit for use. */
  readonly lines: readonly LineRule[];
  /** Files to make with `createMissingSecrets`; while there are any, their secrets are missing. */
  readonly missingSecrets: readonly MissingSecret[];
  /** What is unwise and yet usable. */
  readonly warnings: readonly ConfigProblem[];
  /** What was read, for `saveLastGood`. */
  readonly snapshot: ConfigSnapshot;
}

/** Renames the keys of plain objects to camel case, all the way down; other objects are kept as they are. */
export function camelKeys<Value>(value: Value): CamelKeys<Value> {
  const convert = (one: unknown): unknown => {
    if (Array.isArray(one)) return one.map(convert);
    if (!isPlainObject(one)) return one;
    return Object.fromEntries(Object.entries(one).map(([key, inner]) => [camelCase(key), convert(inner)]));
  };
  return convert(value) as CamelKeys<Value>;
}

/** Freezes plain objects and arrays, all the way down, and returns the same value. */
export function deepFreeze<Value>(value: Value): Value {
  if (Array.isArray(value)) value.forEach(deepFreeze);
  else if (isPlainObject(value)) Object.values(value).forEach(deepFreeze);
  else return value;
  return Object.freeze(value) as Value;
}

function isPlainObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && Object.getPrototypeOf(value) === Object.prototype;
}

function camelCase(key: string): string {
  return key.replace(/_([a-z])/gu, (_, letter: string) => letter.toUpperCase());
}
