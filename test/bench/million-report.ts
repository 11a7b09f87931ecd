/**
 * The table of a measurement. Enters: lines with what was promised and what was measured. Leaves: text for a terminal and a section of the documents.
 * Invariant: a line with a promise says pass or FAIL; nothing is rounded in its favour.
 */
import { cpus, totalmem } from 'node:os';
import type { PageTime } from './page-times.js';

interface Line {
  readonly what: string;
  readonly target: string | undefined;
  readonly result: string;
  readonly passed: boolean | undefined;
}

/** What pages and searches may take, ms. */
const PAGE_MS = 200;
const SEARCH_MS = 100;

export class MillionReport {
  readonly #lines: Line[] = [];
  readonly #beganMs = performance.now();
  readonly #others: number[] = [];
  readonly #pages: PageTime[] = [];

  constructor(private readonly people: number) {}

  get failed(): boolean {
    return this.#lines.some(({ passed }) => passed === false);
  }

  /** How busy the processors were with other work, 0 to 1, while nothing of ours ran. */
  others(share: number): void {
    this.#others.push(share);
  }

  /** A remark while it goes on. */
  say(text: string): void {
    console.error(`${((performance.now() - this.#beganMs) / 1000).toFixed(0).padStart(5)} s  ${text}`);
  }

  line(what: string, target: string | undefined, result: string, passed?: boolean): void {
    this.#lines.push({ what, target, result, passed });
    this.say(`${verdictOf(passed).padEnd(5)} ${what}: ${result}${target === undefined ? '' : ` (${target})`}`);
  }

  /** @param when what the pages were of */
  pages(times: readonly PageTime[], when = ''): void {
    this.#pages.push(...times);
    const slowest = (some: readonly PageTime[]): string =>
      `slowest warm ${Math.max(...some.map((one) => one.worstMs)).toFixed(0)} ms, slowest first ${Math.max(...some.map((one) => one.firstMs)).toFixed(0)} ms`;
    const searches = times.filter((one) => one.isSearch);
    const within = (some: readonly PageTime[], limitMs: number): boolean =>
      some.every((one) => one.worstMs <= limitMs && one.firstMs <= limitMs);
    this.line(`any page${when}`, `≤ ${PAGE_MS} ms`, slowest(times), within(times, PAGE_MS));
    this.line(`any search${when}`, `≤ ${SEARCH_MS} ms`, slowest(searches), within(searches, SEARCH_MS));
  }

  /** Prints the table and hands the document over. */
  async finish(write: (markdown: string) => Promise<void>): Promise<void> {
    const table = [
      '| what | promised | measured | |',
      '|---|---|---|---|',
      ...this.#lines.map(
        ({ what, target, result, passed }) => `| ${what} | ${target ?? ''} | ${result} | ${verdictOf(passed)} |`,
      ),
    ];
    const pages = [
      '| page | first, ms | median, ms | slowest of 20, ms |',
      '|---|---|---|---|',
      ...this.#pages.map(
        ({ path, firstMs, medianMs, worstMs }) =>
          `| \`${path}\` | ${firstMs.toFixed(0)} | ${medianMs.toFixed(0)} | ${worstMs.toFixed(0)} |`,
      ),
    ];
    const machine = `${String(cpus().length)} × ${cpus()[0]?.model.trim() ?? 'unknown'}, ${(totalmem() / 2 ** 30).toFixed(0)} GB, Node.js ${process.versions.node}, embedded PostgreSQL`;
    const text = [
      `# ${this.people.toLocaleString('en')} subscribers`,
      '',
      `Written by \`npm run bench:million\` on ${new Date().toISOString().slice(0, 10)} (${machine}). Server, PostgreSQL, importer and the`,
      'clients that measure them share the machine. Answers are Access-Accepts to PAP requests with Message-Authenticator, sent at',
      '2,000/s whatever becomes of the answers; *worst second* is the 99th percentile within the worst second of the time; *sender late* is the',
      '99th percentile of what the machine alone adds. Other programs kept the processors',
      `${this.#others.map((share) => `${(share * 100).toFixed(0)} %`).join(' and ')} busy before and after.`,
      '',
      ...table,
      '',
      '## Pages',
      '',
      ...pages,
      '',
    ].join('\n');
    console.log(text);
    await write(text);
  }
}

function verdictOf(passed: boolean | undefined): string {
  return passed === undefined ? '' : passed ? 'pass' : 'FAIL';
}
