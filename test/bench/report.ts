/**
 * What a bench came to, for people. Enters: outcomes of the kinds of work. Leaves: a table for the terminal, the measured part of
 * docs/benchmarks.md, JSON. Invariant: every ratio is of medians of one run; a target that is not met says so. Pure.
 */
import type { Row } from './measure.js';
import { LAG_SECONDS } from './accounting-work.js';
import type { Outcome } from './works.js';

export type SectionId = 'echo' | 'pap' | 'accounting' | 'burst' | 'pool';

/** One kind of work in one mode. */
export interface Section {
  readonly id: SectionId;
  readonly isPinned: boolean;
  readonly outcome: Outcome;
}

/** Where and with what it was measured. */
export interface Circumstances {
  readonly date: string;
  readonly command: string;
  readonly machine: string;
  readonly kernel: string;
  readonly versions: readonly string[];
  readonly settings: string;
  readonly seconds: number;
}

const TITLES: Readonly<Record<SectionId, string>> = {
  echo: 'UDP echo, for scale: what generator and sockets allow',
  pap: 'PAP, subscribers in PostgreSQL, static addresses',
  accounting: 'Accounting: Start, Interim-Updates, Stop; durable, and applied at the end',
  burst: 'Accounting, a burst of ten seconds: durable before the answer, applied when there is time',
  pool: 'Dynamic pool: first logins, unique and durable',
};

export function titleOf({ id, isPinned }: Pick<Section, 'id' | 'isPinned'>): string {
  return isPinned ? `${TITLES[id]} (server side on one processor, generator on the other)` : TITLES[id];
}

/** A promise of the design, and what became of it. */
export interface Verdict {
  readonly text: string;
  readonly value: number;
  readonly target: number;
  readonly met: boolean;
}

const RATIOS: readonly { id: SectionId; other: string; target: number }[] = [
  { id: 'pap', other: 'FreeRADIUS + files', target: 1 },
  { id: 'pap', other: 'FreeRADIUS + rlm_sql', target: 10 },
  { id: 'accounting', other: 'FreeRADIUS + rlm_sql', target: 5 },
  { id: 'burst', other: 'FreeRADIUS + rlm_sql', target: 6 },
  { id: 'pool', other: 'FreeRADIUS + sqlippool', target: 10 },
];

/** Compares Sluice with each other side, where both were measured. */
export function verdicts(sections: readonly Section[]): Verdict[] {
  const found: Verdict[] = [];
  for (const section of sections.filter((one) => !one.isPinned)) {
    const { rows } = section.outcome;
    const ours = rows.find((row) => row.side === 'Sluice');
    if (ours === undefined) continue;
    for (const { other, target } of RATIOS.filter(({ id }) => id === section.id)) {
      const theirs = rows.find((row) => row.side === other);
      if (theirs === undefined) continue;
      const value = ours.perSecond / theirs.perSecond;
      found.push({ text: `${section.id}: Sluice ÷ ${other}`, value, target, met: value >= target });
    }
    if (section.id === 'accounting') {
      const value = ours.lagSeconds;
      const text = 'accounting: applied after the last answer, s, at most';
      found.push({ text, value, target: LAG_SECONDS, met: value <= LAG_SECONDS });
    }
    found.push({ text: `${section.id}: lost by Sluice, at most`, value: ours.lost, target: 0, met: ours.lost === 0 });
  }
  return found;
}

const HEADS = [
  '',
  'answers/s',
  'of Sluice',
  'p50 ms',
  'p99 ms',
  'lost',
  'CPU µs',
  'of PostgreSQL',
  'memory MB',
  'lag s',
];

function cells(row: Row, sluice: Row | undefined): string[] {
  return [
    row.side,
    whole(row.perSecond),
    sluice === undefined || row === sluice ? '' : ratio(row.perSecond / sluice.perSecond),
    row.p50Ms.toFixed(1),
    row.p99Ms.toFixed(1),
    whole(row.lost),
    row.sideCpuUs.toFixed(0),
    row.postgresCpuUs.toFixed(0),
    (row.residentOctets / 1e6).toFixed(0),
    row.lagSeconds === 0 ? '' : row.lagSeconds.toFixed(2),
  ];
}

function ratio(value: number): string {
  return value < 0.1 ? value.toFixed(3) : value.toFixed(2);
}

function whole(value: number): string {
  return String(Math.round(value)).replace(/\B(?=(\d{3})+$)/g, ',');
}

function rowsOf({ outcome }: Section): string[][] {
  const sluice = outcome.rows.find((row) => row.side === 'Sluice');
  return outcome.rows.map((row) => cells(row, sluice));
}

/** For the terminal. */
export function terminalTable(sections: readonly Section[]): string {
  const lines: string[] = [];
  for (const section of sections) {
    const table = [HEADS, ...rowsOf(section)];
    const widths = HEADS.map((_, column) => Math.max(...table.map((row) => row[column]!.length)));
    lines.push('', titleOf(section));
    for (const row of table)
      lines.push(
        row.map((cell, column) => (column === 0 ? cell.padEnd(widths[0]!) : cell.padStart(widths[column]!))).join('  '),
      );
    for (const check of section.outcome.checks) lines.push(`  ✓ ${check}`);
  }
  lines.push('');
  for (const { text, value, target, met } of verdicts(sections))
    lines.push(`${met ? '✓' : '✗'} ${text}: ${figure(value)} (target ${String(target)})`);
  return lines.join('\n');
}

function figure(value: number): string {
  return Number.isInteger(value) ? String(value) : value.toFixed(2);
}

/** The measured part of the document. */
export function markdown(sections: readonly Section[], at: Circumstances): string {
  const lines = [
    `Measured ${at.date} with \`${at.command}\` (${String(Math.round(at.seconds / 60))} minutes) on ${at.machine}, ${at.kernel}.`,
    `${at.versions.join('; ')}. PostgreSQL: ${at.settings}.`,
    '',
    '| promise | measured | target | |',
    '|---|---:|---:|---|',
    ...verdicts(sections).map(
      ({ text, value, target, met }) =>
        `| ${text} | ${figure(value)} | ${String(target)} | ${met ? 'kept' : '**missed**'} |`,
    ),
  ];
  for (const section of sections) {
    lines.push('', `### ${titleOf(section)}`, '');
    lines.push(`| ${HEADS.join(' | ')} |`, `|---|${'---:|'.repeat(HEADS.length - 1)}`);
    for (const row of rowsOf(section)) lines.push(`| ${row.join(' | ')} |`);
    const load = Math.max(...section.outcome.rows.map((row) => row.generatorLoad));
    lines.push('', `The generator used ${(100 * load).toFixed(0)} % of a processor at most.`);
    for (const check of section.outcome.checks) lines.push(`- ${check}.`);
  }
  return `${lines.join('\n')}\n`;
}

const BEGIN = '<!-- measured: written by npm run bench -->';
const END = '<!-- end of what was measured -->';

/** Puts the measured part into the document. @throws Error when its marks are missing */
export function withMeasured(document: string, measured: string): string {
  const from = document.indexOf(BEGIN);
  const to = document.indexOf(END);
  if (from < 0 || to < from) throw new Error('docs/benchmarks.md has lost the marks of its measured part');
  return `${document.slice(0, from + BEGIN.length)}\n\n${measured}\n${document.slice(to)}`;
}
