/**
 * The chart of docs/benchmarks.md. Enters: sections. Leaves: an SVG with bars, answers per second, one group for each kind of work. Invariant:
 * readable on a light and on a dark page; no script, no outside resource; every number is written beside its bar. Pure.
 */
import { titleOf, type Section } from './report.js';

const WIDTH = 860;
const LEFT = 210;
const BAR = 18;
const GAP = 6;
const GROUP_GAP = 26;
const HEAD = 24;
/** Room for the number to the right of the longest bar. */
const RIGHT = 130;

const STYLE = `
  text { font: 13px system-ui, sans-serif; fill: #24292f; }
  .title { font-weight: 600; }
  .ours { fill: #0a7d5a; } .theirs { fill: #8a94a3; }
  @media (prefers-color-scheme: dark) {
    text { fill: #e6edf3; } .ours { fill: #35c493; } .theirs { fill: #6b7685; }
  }`;

/** Draws the sections; each group has a scale of its own, so that slow work can be seen too. */
export function chart(sections: readonly Section[]): string {
  const parts: string[] = [];
  let y = 10;
  for (const section of sections) {
    const { rows } = section.outcome;
    const fastest = Math.max(1, ...rows.map((row) => row.perSecond));
    parts.push(`<text class="title" x="10" y="${String(y + 14)}">${escape(titleOf(section))}</text>`);
    y += HEAD;
    for (const row of rows) {
      const width = Math.max(1, Math.round((row.perSecond / fastest) * (WIDTH - LEFT - RIGHT)));
      const middle = String(y + BAR - 5);
      parts.push(
        `<text x="${String(LEFT - 8)}" y="${middle}" text-anchor="end">${escape(row.side)}</text>`,
        `<rect class="${row.side === 'Sluice' ? 'ours' : 'theirs'}" x="${String(LEFT)}" y="${String(y)}" width="${String(width)}" height="${String(BAR)}" rx="2"/>`,
        `<text x="${String(LEFT + width + 8)}" y="${middle}">${String(Math.round(row.perSecond))}/s</text>`,
      );
      y += BAR + GAP;
    }
    y += GROUP_GAP - GAP;
  }
  const size = `width="${String(WIDTH)}" height="${String(y)}" viewBox="0 0 ${String(WIDTH)} ${String(y)}"`;
  return (
    `<svg xmlns="http://www.w3.org/2000/svg" ${size} role="img" aria-label="Answers per second of Sluice and FreeRADIUS">\n` +
    `<style>${STYLE}\n</style>\n${parts.join('\n')}\n</svg>\n`
  );
}

function escape(text: string): string {
  return text.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;');
}
