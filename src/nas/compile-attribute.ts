/**
 * One attribute of a profile, made fit for use.
 *
 * Enters: an attribute as read, and an encoder.
 * Leaves: its octets if they never change, otherwise a function of the request.
 * Invariant: a name, a tag, a constant or a type that the dictionary does not have is found at compile time, with its line.
 */
import type { Profile, ProfileAttribute } from '../config/config.js';
import { nearestKey } from '../config/nearest-key.js';
import type { ConfigProblem } from '../config/problem.js';
import type { AttributeEncoder } from './attribute-encoder.js';
import { parseTemplate, renderSample, renderTemplate } from './attribute-template.js';
import type { AttributeTemplate } from './attribute-template.js';
import type { AttributeContext } from './attribute-variables.js';

export type AttributeOutcome =
  | { readonly outcome: 'sent'; readonly octets: Buffer; readonly value: string | number }
  | { readonly outcome: 'left-out'; readonly variable: string }
  | { readonly outcome: 'failed'; readonly failure: AttributeFailure };

/** Why a request cannot be answered with an attribute that it should have. */
export interface AttributeFailure {
  readonly attribute: string;
  /** `unsafe-value`: text that would change the meaning of the attribute; `does-not-fit`: no room for it in this type. */
  readonly reason: 'unsafe-value' | 'does-not-fit';
  readonly variable: string | undefined;
}

/** An attribute fit for use. */
export interface CompiledAttribute {
  readonly name: string;
  readonly tag: number | undefined;
  readonly dependsOn: AttributeTemplate['dependsOn'];
  encode(context: AttributeContext): AttributeOutcome;
}

// What the server itself puts into an answer. A second one from a profile would contradict it.
const reserved: ReadonlyMap<string, string> = new Map([
  ['user-password', 'remove it'],
  ['chap-password', 'remove it'],
  ['class', 'remove it: the server signs its own'],
  ['state', 'remove it'],
  ['proxy-state', 'remove it'],
  ['eap-message', 'remove it'],
  ['message-authenticator', 'remove it: every answer has one'],
  ['framed-ip-address', 'give the subscriber or the plan an address or a pool'],
  ['framed-ip-netmask', 'set send_netmask = true'],
  ['acct-interim-interval', 'set interim_seconds in sluice.toml or nas.d, and interim_floor_seconds here'],
  ['session-timeout', 'set session_timeout_seconds in the state'],
  ['service-type', 'set service_type'],
  ['framed-protocol', 'set framed_protocol'],
]);

// What a command says by itself, or must not say at all (RFC 5176 §3.6).
const reservedInCommand: ReadonlyMap<string, string> = new Map([
  ...['user-password', 'chap-password', 'class', 'state', 'proxy-state', 'eap-message'].map(
    (name) => [name, 'remove it'] as const,
  ),
  ['message-authenticator', 'set coa.message_authenticator'],
  ['event-timestamp', 'set coa.event_timestamp'],
  ...[
    'user-name',
    'acct-session-id',
    'framed-ip-address',
    'nas-port-id',
    'calling-station-id',
    'nas-identifier',
    'nas-ip-address',
  ].map((name) => [name, 'name it in coa.identify: a command cannot change it'] as const),
]);

/** Where an attribute is to stand: in an answer, or in a CoA-Request. */
export type AttributeUse = 'answer' | 'command';

/** A compiled attribute, or the problems that its line has. */
export type CompileResult =
  | { readonly ok: true; readonly attribute: CompiledAttribute }
  | { readonly ok: false; readonly problems: readonly ConfigProblem[] };

/**
 * Compiles one attribute.
 *
 * @param profile whose file the problems name
 * @param key the path of the attribute in that file
 * @param attribute as read
 * @param encoder of the dictionary in use
 * @param use what it is for: the server's own attributes are others in an answer than in a command
 */
export function compileAttribute(
  profile: Pick<Profile, 'file'>,
  key: string,
  attribute: ProfileAttribute,
  encoder: AttributeEncoder,
  use: AttributeUse = 'answer',
): CompileResult {
  const wrong = (part: string, problem: string, remedy: string): ConfigProblem => ({
    file: profile.file,
    line: attribute.line,
    key: `${key}.${part}`,
    problem,
    remedy,
  });
  const remedy = (use === 'answer' ? reserved : reservedInCommand).get(plainName(attribute.name));
  if (remedy !== undefined) {
    return { ok: false, problems: [wrong('name', `${attribute.name} is the server's own`, remedy)] };
  }
  if (typeof attribute.value === 'number') {
    const encoded = encoder.encode(attribute.name, attribute.value, attribute.tag, false);
    return encoded.ok
      ? { ok: true, attribute: constant(attribute, encoded.octets, attribute.value) }
      : { ok: false, problems: [encodeProblem(wrong, attribute.name, encoded, encoder)] };
  }
  const alternatives: Alternative[] = [];
  for (const source of attribute.value) {
    const parsed = parseTemplate(source);
    if (!parsed.ok) return { ok: false, problems: [wrong('value', parsed.problem, parsed.remedy)] };
    const alternative = compileAlternative(attribute, parsed.template, encoder);
    if ('ok' in alternative)
      return { ok: false, problems: [encodeProblem(wrong, attribute.name, alternative, encoder)] };
    alternatives.push(alternative);
  }
  return { ok: true, attribute: variable(attribute, alternatives, encoder) };
}

/** A name as dictionaries compare it: in lower case, without the tag that may follow a colon. */
export function plainName(name: string): string {
  return name.toLowerCase().replace(/:\d{1,2}$/u, '');
}

type Refusal = Extract<ReturnType<AttributeEncoder['encode']>, { ok: false }>;

interface Alternative {
  readonly template: AttributeTemplate;
  /** The attribute wants a number, not its digits. */
  readonly asNumber: boolean;
  /** Octets of a template without variables. */
  readonly octets: Buffer | undefined;
}

function compileAlternative(
  attribute: ProfileAttribute,
  template: AttributeTemplate,
  encoder: AttributeEncoder,
): Alternative | Refusal {
  const sample = renderSample(template);
  const asText = encoder.encode(attribute.name, sample, attribute.tag, template.dependsOn === 'context');
  if (asText.ok) {
    return { template, asNumber: false, octets: template.dependsOn === 'nothing' ? asText.octets : undefined };
  }
  if (template.isNumber && encoder.encode(attribute.name, Number(sample), attribute.tag, false).ok) {
    return { template, asNumber: true, octets: undefined };
  }
  return asText;
}

function encodeProblem(
  wrong: (part: string, problem: string, remedy: string) => ConfigProblem,
  name: string,
  refusal: Refusal,
  encoder: AttributeEncoder,
): ConfigProblem {
  if (refusal.reason === 'unknown-attribute') {
    const near = nearestName(name, encoder.names());
    const remedy =
      near === undefined ? 'use a name of the dictionaries folder, or add a dictionary' : `write "${near}"`;
    return wrong('name', 'is not in the dictionary', remedy);
  }
  return wrong('value', `does not suit ${name}: ${refusal.problem}`, 'write a value of its type');
}

function nearestName(name: string, names: readonly string[]): string | undefined {
  const byFolded = new Map(names.map((one) => [one.toLowerCase().replaceAll('-', '_'), one]));
  const near = nearestKey(name, [...byFolded.keys()]);
  return near === undefined ? undefined : byFolded.get(near);
}

function constant(attribute: ProfileAttribute, octets: Buffer, value: string | number): CompiledAttribute {
  const outcome: AttributeOutcome = { outcome: 'sent', octets, value };
  return { name: attribute.name, tag: attribute.tag, dependsOn: 'nothing', encode: () => outcome };
}

function variable(
  attribute: ProfileAttribute,
  alternatives: readonly Alternative[],
  encoder: AttributeEncoder,
): CompiledAttribute {
  const [first] = alternatives;
  if (first?.octets !== undefined) return constant(attribute, first.octets, renderSample(first.template));
  const dependsOn = alternatives.some((one) => one.template.dependsOn === 'context') ? 'context' : 'rate';
  return {
    name: attribute.name,
    tag: attribute.tag,
    dependsOn,
    encode: (context) => encodeFirst(attribute, alternatives, encoder, context),
  };
}

function encodeFirst(
  attribute: ProfileAttribute,
  alternatives: readonly Alternative[],
  encoder: AttributeEncoder,
  context: AttributeContext,
): AttributeOutcome {
  const failed = (reason: AttributeFailure['reason'], name: string | undefined): AttributeOutcome => ({
    outcome: 'failed',
    failure: { attribute: attribute.name, reason, variable: name },
  });
  let without = '';
  for (const { template, asNumber, octets } of alternatives) {
    const rendered = renderTemplate(template, context);
    if (rendered.outcome === 'nothing') {
      without ||= rendered.variable;
      continue;
    }
    if (rendered.outcome === 'unsafe') return failed('unsafe-value', rendered.variable);
    if (octets !== undefined) return { outcome: 'sent', octets, value: rendered.value };
    const value = asNumber ? Number(rendered.value) : rendered.value;
    const encoded = encoder.encode(attribute.name, value, attribute.tag, template.dependsOn === 'context');
    return encoded.ok ? { outcome: 'sent', octets: encoded.octets, value } : failed('does-not-fit', undefined);
  }
  return { outcome: 'left-out', variable: without };
}
