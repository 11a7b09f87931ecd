/**
 * What a document shows, block by block. Enters: Markdown. Leaves: fenced blocks in their order, shell blocks taken apart into commands.
 * Invariant: nothing between two fences is passed over; a block that is never closed is an error.
 */

/** One fenced block. */
export interface DocumentedBlock {
  /** `sh`, `sql`, `toml`, `text`, …; empty when the fence says nothing. */
  readonly language: string;
  /** What stands behind the language: a block with a name is tried by the test that asks for it. */
  readonly name: string | undefined;
  readonly text: string;
  /** Line of the opening fence, from 1. */
  readonly line: number;
}

/** All fenced blocks. @throws Error for one that is not closed */
export function blocksOf(markdown: string): DocumentedBlock[] {
  const blocks: DocumentedBlock[] = [];
  let open: { language: string; name: string | undefined; line: number; lines: string[] } | undefined;
  for (const [index, line] of markdown.split('\n').entries()) {
    const fence = /^```(\w*)(?: +(\S+))?\s*$/u.exec(line);
    if (open === undefined) {
      if (fence !== null) open = { language: fence[1]!, name: fence[2], line: index + 1, lines: [] };
    } else if (fence === null) open.lines.push(line);
    else {
      blocks.push({ language: open.language, name: open.name, text: open.lines.join('\n'), line: open.line });
      open = undefined;
    }
  }
  if (open !== undefined) throw new Error(`the block of line ${String(open.line)} is not closed`);
  return blocks;
}

/** Commands of a shell block: lines, and what continues them (a backslash, a pipe, a here-document, an open quote). */
export function commandsOf(script: string): string[] {
  const commands: string[] = [];
  let open: string[] = [];
  let heredoc: string | undefined;
  for (const line of script.split('\n')) {
    if (open.length === 0 && (line.trim() === '' || line.trim().startsWith('#'))) continue;
    open.push(line);
    if (heredoc !== undefined) {
      if (line !== heredoc) continue;
      heredoc = undefined;
    } else heredoc = /<<-?\s*'?(\w+)'?/u.exec(line)?.[1];
    if (heredoc !== undefined || /(?:\\|\|)$/u.test(line) || hasOpenQuote(open.join('\n'))) continue;
    commands.push(open.join('\n'));
    open = [];
  }
  if (open.length > 0) throw new Error(`a command has no end: ${open[0]!}`);
  return commands;
}

/** Whether a quote is open at the end; comments are no quotes. */
function hasOpenQuote(text: string): boolean {
  const [first = ''] = text.split(/<<-?\s*'?\w+'?/u);
  const bare = first.replaceAll(/(^|\s)#[^\n'"]*$/gmu, '').replaceAll(/\\./gsu, '');
  let quote: string | undefined;
  for (const character of bare) {
    if (quote === character) quote = undefined;
    else if (quote === undefined && (character === "'" || character === '"')) quote = character;
  }
  return quote !== undefined;
}

/**
 * Whether an output has the documented shape: the same words in the same order; numbers, times and addresses may differ, `…` stands
 * for anything, and blanks for blanks.
 */
export function hasShape(output: string, documented: string): boolean {
  const pattern = documented
    .trim()
    .split(/(…|\d+(?:[.:]\d+)*|\s+)/u)
    .map((part) => {
      if (part === '…') return '[\\s\\S]*?';
      if (/^\s+$/u.test(part)) return '\\s+';
      if (/^\d/u.test(part)) return '[\\d.:]+';
      return part.replaceAll(/[\\^$.*+?()[\]{}|/]/gu, '\\$&');
    })
    .join('');
  return new RegExp(pattern, 'u').test(output);
}
