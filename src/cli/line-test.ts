/**
 * `line test`: what every rule makes of a sample, and which one counts.
 *
 * Enters: a sample. Leaves: a table, or JSON. Invariants: the rules are those that the server would use; octets of others are shown printable; no
 * database is asked.
 */
import { accessLineText } from '../domain/access-line.js';
import type { AccessLine } from '../domain/access-line.js';
import { compileLineRules } from '../domain/line-rules.js';
import type { RuleVerdict } from '../domain/line-rules.js';
import { textOfOctets } from '../domain/line-functions.js';
import type { CommandContext } from './command-context.js';
import { CommandError } from './command-error.js';
import { lineSampleOf } from './line-sample.js';
import type { LineTestOptions } from './line-sample.js';
import { drawFields, drawTable } from './table.js';

/**
 * Tests a sample against `conf/lines.toml`, or the presets where there is none.
 *
 * @throws CommandError when no rule matches, after all were shown
 */
export async function testLine(
  context: CommandContext,
  octets: string | undefined,
  options: LineTestOptions,
): Promise<void> {
  const { source, remark } = lineSampleOf(octets, options);
  const verdicts = compileLineRules(await context.lineRules()).judge(source);
  const first = verdicts.find((verdict) => verdict.matched);
  const sample = {
    circuit_id: source.circuitId,
    remote_id: source.remoteId,
    subscriber_id: source.subscriberId,
    nas_port_id: source.nasPortId,
  };
  if (context.json) await context.printJson({ sample, ...plainFirst(first), rules: verdicts.map(plainVerdict) });
  else {
    if (remark !== undefined) context.remark(remark);
    await context.print(drawFields(Object.entries(sample).map(shownOctets), context.columns));
    await context.print('');
    await context.print(
      drawTable<RuleVerdict>(
        [
          { title: 'RULE', value: ({ rule }) => rule },
          {
            title: 'MATCHES',
            value: (verdict) => (!verdict.matched ? 'no' : verdict === first ? 'first' : 'too late'),
          },
          {
            title: 'LINE, OR WHY NOT',
            value: (verdict) => (verdict.matched ? accessLineText(verdict.line) : verdict.reason),
          },
        ],
        verdicts,
        context.columns,
      ),
    );
    if (first?.matched === true) await context.print(`\n${drawFields(lineFields(first), context.columns)}`);
  }
  if (first === undefined)
    throw new CommandError('no rule matches', 'write one for it in conf/lines.toml; docs/access-lines.md tells how');
}

/** Octets, and the text that they are when they are one. */
function shownOctets([name, hex]: [string, string | null]): [string, string | null] {
  if (hex === null || hex === '') return [name, hex];
  const octets = Buffer.from(hex, 'hex').toString('latin1');
  const text = textOfOctets(octets);
  return [name, /^\P{Cc}+$/u.test(text) ? `${hex} "${text}"` : hex];
}

function lineFields({ rule, line }: Extract<RuleVerdict, { matched: true }>): [string, string | number | undefined][] {
  return [
    ['rule', rule],
    [`device (${line.device?.by ?? ''})`, line.device?.value],
    ['port', line.port],
    ['vlan', line.vlan],
    ['svlan', line.svlan],
    ['onu_serial', line.onuSerial],
    ['login', line.login],
  ];
}

function plainFirst(first: RuleVerdict | undefined): { rule: string | null; line: object | null } {
  return first?.matched === true ? { rule: first.rule, line: plainLine(first.line) } : { rule: null, line: null };
}

function plainVerdict(verdict: RuleVerdict): object {
  const { rule, matched } = verdict;
  return { rule, matched, line: matched ? plainLine(verdict.line) : null, reason: matched ? null : verdict.reason };
}

function plainLine({ device, port, vlan, svlan, onuSerial, login }: AccessLine): object {
  return {
    device_by: device?.by ?? null,
    device: device?.value ?? null,
    port: port ?? null,
    vlan: vlan ?? null,
    svlan: svlan ?? null,
    onu_serial: onuSerial ?? null,
    login: login ?? null,
  };
}
