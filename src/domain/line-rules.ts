/**
 * All rules of access lines, in their order. Enters: rules, later what a relay, a hook or a NAS said of a line. Leaves: the line that the first
 * matching rule makes of it; for people, what every rule makes of it. Invariants: the same evidence is always the same line; finding one takes
 * at most `maxLineSteps` steps, whatever the evidence is.
 */
import type { AccessLine } from './access-line.js';
import type { LineEvidence } from './lease-event.js';
import { LineSample } from './line-match.js';
import type { MatchableRule, RuleNote } from './line-match.js';
import { compileLineRule } from './line-rule.js';
import type { LineAttribute, LineRule } from './line-rule.js';
import { lineFunctions } from './line-functions.js';

/**
 * The most steps that all rules together may take for one line: some 20 ms, as long as anything may hold the event loop. Half of it is the
 * presets', which take a thirtieth of that for the worst value that is known.
 */
export const maxLineSteps = 2_500_000;

/** Of a port that a hook names, characters. */
const maxPortLength = 255;

/** What is known of a line. A relay and a hook say `LineEvidence`; a NAS may add its NAS-Port-Id, lower-case hexadecimal too. */
export interface LineSource extends LineEvidence {
  readonly nasPortId?: string | null;
}

/** A line, and the rule that found it. */
export interface FoundLine {
  readonly line: AccessLine;
  /** `hook`: no rule found who it is, and the hook had taken switch and port out of option 82 by itself. */
  readonly rule: string;
}

/** What one rule makes of a line. */
export type RuleVerdict =
  | { readonly rule: string; readonly matched: true; readonly line: AccessLine }
  | { readonly rule: string; readonly matched: false; readonly reason: string };

/** The rules, ready for use. */
export class LineRules {
  readonly #rules: readonly MatchableRule[];
  readonly #attributes: ReadonlySet<string>;

  constructor(rules: readonly MatchableRule[]) {
    this.#rules = rules;
    this.#attributes = new Set(rules.flatMap(({ attributes }) => attributes));
    Object.freeze(this);
  }

  /** Whether any rule looks at an attribute: what nobody looks at need not be taken out of a packet. */
  looksAt(attribute: LineAttribute): boolean {
    return this.#attributes.has(attribute);
  }

  /** The line, by the first rule that matches; undefined when none does. */
  find(source: LineSource): FoundLine | undefined {
    const sample = sampleOf(source);
    for (const rule of this.#rules) {
      const line = rule.match(sample);
      if (line === undefined) continue;
      // A port, and nobody knows of what: whoever told the switch as well told more.
      const isNobodys = line.device === undefined && line.onuSerial === undefined && line.login === undefined;
      return (isNobodys ? toldByHook(source) : undefined) ?? { line, rule: rule.name };
    }
    return toldByHook(source);
  }

  /** What every rule makes of it, in their order; the first that matches is the one that counts. */
  judge(source: LineSource): RuleVerdict[] {
    const sample = sampleOf(source);
    return this.#rules.map((rule) => {
      const note: RuleNote = { reason: '' };
      const line = rule.match(sample, note);
      if (line === undefined) return { rule: rule.name, matched: false, reason: note.reason };
      return { rule: rule.name, matched: true, line };
    });
  }
}

function sampleOf({ circuitId, remoteId, subscriberId, nasPortId }: LineSource): LineSample {
  return new LineSample({
    circuit_id: circuitId,
    remote_id: remoteId,
    subscriber_id: subscriberId,
    nas_port_id: nasPortId ?? null,
  });
}

function toldByHook({ switchMac, switchPort }: LineSource): FoundLine | undefined {
  const mac = switchMac === null ? undefined : lineFunctions.mac.apply(switchMac);
  if (mac === undefined) return undefined;
  const device = { by: 'mac', value: mac } as const;
  const port = switchPort === null ? '' : switchPort.trim();
  // A line is found by the whole of it: with a port that cannot be right, the device alone would be another line.
  if (port.length > maxPortLength || /\p{Cc}/u.test(port)) return undefined;
  return { line: port === '' ? { device } : { device, port }, rule: 'hook' };
}

/**
 * Compiles rules that the configuration has checked.
 *
 * @throws Error for a rule that does not compile: whoever calls this with such a one has not checked it
 */
export function compileLineRules(rules: readonly LineRule[]): LineRules {
  return new LineRules(
    rules.map((rule) => {
      const result = compileLineRule(rule);
      if (result.ok) return result.rule;
      const [fault] = result.faults;
      throw new Error(
        `the line rule ${rule.name} does not compile: ${fault?.path.join('.') ?? ''} ${fault?.problem ?? ''}`,
      );
    }),
  );
}
