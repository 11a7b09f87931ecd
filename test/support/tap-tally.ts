/**
 * Reads what tap prints and counts tests.
 *
 * Enters: lines of TAP 14 (https://testanything.org/tap-version-14-specification.html), one file per top-level point.
 * Leaves: a summary per file and each failure with its path and diagnostics. Invariant: what is counted are the tests and
 * assertions at the top level of files, and every file that failed counts as at least one failure.
 */

export interface FileSummary {
  name: string;
  passed: number;
  failed: number;
  skipped: number;
  durationMs: number;
}

export interface Failure {
  /** File, then test names from the outside in. */
  path: string[];
  /** The YAML block of the point, without its indentation. */
  diagnostics: string[];
}

interface Level {
  subtest: string | undefined;
  /** Failed points one level deeper since the subtest began: with any, the failure has been told already. */
  failedBelow: number;
}

const POINT = /^(not )?ok\b(?: \d+)?(?: - )?(.*)$/;
const DIRECTIVE = / # (SKIP|TODO)\b/i;
const TIME = / # time=([\d.]+)ms/;

/** Indentation of one level of subtests, columns. */
const LEVEL_COLUMNS = 4;

export class TapTally {
  passed = 0;
  failed = 0;
  skipped = 0;

  /** Files that told how they ended. */
  readonly reported = new Set<string>();

  private readonly levels: Level[] = [];
  private file = { passed: 0, failed: 0, skipped: 0 };
  private diagnostics: { end: string; failure: Failure | undefined } | undefined;
  private pending: Failure | undefined;

  constructor(
    private readonly onFile: (summary: FileSummary) => void,
    private readonly onFailure: (failure: Failure) => void,
  ) {}

  /** Takes one line, without its line end. */
  line(text: string): void {
    if (this.diagnostics !== undefined) {
      this.diagnosticLine(text, this.diagnostics);
      return;
    }
    const indent = text.length - text.trimStart().length;
    const content = text.slice(indent);
    if (content === '---' && indent % LEVEL_COLUMNS === 2) {
      this.diagnostics = { end: `${' '.repeat(indent)}...`, failure: this.pending };
      this.pending = undefined;
      return;
    }
    if (indent % LEVEL_COLUMNS !== 0) return;
    const depth = indent / LEVEL_COLUMNS;
    if (content.startsWith('# Subtest: ')) {
      this.flush();
      this.levels[depth] = { subtest: content.slice('# Subtest: '.length), failedBelow: 0 };
      return;
    }
    const point = POINT.exec(content);
    if (point !== null) this.point(depth, point[1] === undefined, point[2] ?? '');
  }

  /**
   * Says that there is nothing more to read.
   * @param expected the files that were asked for; each that told nothing counts as failed
   */
  end(expected: readonly string[] = []): void {
    if (this.diagnostics !== undefined) this.pending = this.diagnostics.failure;
    this.diagnostics = undefined;
    this.flush();
    for (const name of expected) {
      if (this.reported.has(name)) continue;
      this.failed += 1;
      this.onFailure({ path: [name], diagnostics: ['it was asked for and never told how it ended'] });
    }
  }

  private diagnosticLine(text: string, block: { end: string; failure: Failure | undefined }): void {
    // A block that was cut off ends where something less indented begins; otherwise it would swallow the rest of the run.
    const indent = text.length - text.trimStart().length;
    if (text.trim() !== '' && indent < block.end.length - '...'.length) {
      this.pending = block.failure;
      this.diagnostics = undefined;
      this.line(text);
      return;
    }
    if (text !== block.end) {
      block.failure?.diagnostics.push(text.slice(block.end.length - '...'.length));
      return;
    }
    this.pending = block.failure;
    this.diagnostics = undefined;
    this.flush();
  }

  /** A failure is told once its diagnostics, which follow it, have been read. */
  private flush(): void {
    if (this.pending !== undefined) this.onFailure(this.pending);
    this.pending = undefined;
  }

  private point(depth: number, ok: boolean, text: string): void {
    this.flush();
    const directive = DIRECTIVE.exec(text);
    const failed = !ok && directive === null;
    const name = text.replace(/ # (SKIP|TODO|time=).*$/i, '').trim();
    const level = this.levels[depth];
    const told = (level?.failedBelow ?? 0) > 0;
    if (depth === 1) this.file[failed ? 'failed' : directive === null ? 'passed' : 'skipped'] += 1;
    if (failed) {
      if (!told) {
        const outer = this.levels.slice(0, depth).map((above) => above.subtest ?? '');
        this.pending = { path: [...outer, name], diagnostics: [] };
      }
      if (depth > 0) this.levels[depth - 1]!.failedBelow += 1;
    }
    this.levels.length = Math.min(this.levels.length, depth);
    if (depth === 0) this.fileEnds(name, failed, directive !== null, Number(TIME.exec(text)?.[1] ?? 0));
  }

  private fileEnds(name: string, failed: boolean, skipped: boolean, durationMs: number): void {
    const file = this.file;
    this.file = { passed: 0, failed: 0, skipped: 0 };
    if (failed && file.failed === 0) file.failed = 1;
    if (skipped && file.passed + file.failed + file.skipped === 0) file.skipped = 1;
    this.passed += file.passed;
    this.failed += file.failed;
    this.skipped += file.skipped;
    this.reported.add(name);
    this.onFile({ name, ...file, durationMs });
  }
}
