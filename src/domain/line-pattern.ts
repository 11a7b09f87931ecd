/**
 * A pattern of an access-line rule, ready to run. Enters: a pattern, later a value. Leaves: where its fields stand in the value, or how far the
 * value fits. Invariants: the whole value is matched or none of it; of several ways to match, the one is taken that a regular expression of
 * JavaScript would take; an answer takes at most `size` × (length + 1) steps, whatever the pattern and the value are.
 *
 * Why not the regular expressions of the engine: administrators write the patterns, but customers may write the values, since a switch that does
 * not replace option 82 passes on what a client has put there. The engine tries ways one after another and forgets where it has been, so
 * `(?:a+)+b` on 40 octets takes minutes, and the event loop stands. A time limit on it needs a thread or a context of its own for each value.
 * Without backward references, whether the rest of a value matches depends on the place in the pattern and the place in the value alone. So
 * this one remembers the pairs that it has tried, tries none twice, and needs no other limit.
 */
import { PatternFault, parsePattern } from './line-pattern-syntax.js';
import type { PatternForm, PatternNode } from './line-pattern-syntax.js';

/** The largest compiled pattern, instructions: with 510 digits of hexadecimal, half a million steps at the worst, which is 5 ms. */
export const maxPatternSize = 1_000;

/** Where a field stands: from the first character to the one after the last. */
export interface FieldSpan {
  readonly start: number;
  readonly end: number;
}

/** What a pattern makes of a value. */
export type PatternResult =
  | {
      readonly matched: true;
      /** By name; a field that stands in a part which was passed over is not there. */
      readonly fields: ReadonlyMap<string, FieldSpan>;
      readonly steps: number;
    }
  | {
      readonly matched: false;
      /** Characters of the value that fit, in the way that went furthest. */
      readonly reach: number;
      readonly steps: number;
    };

const Operation = { character: 0, split: 1, jump: 2, save: 3, end: 4 } as const;

/** Compiled; made by `compilePattern`. */
export class LinePattern {
  readonly #operations: Uint8Array;
  /** split: where to go first; jump: where to go; save: which position. */
  readonly #first: Int32Array;
  /** split: where to go when the first way fails. */
  readonly #second: Int32Array;
  readonly #accepts: readonly (Uint8Array | undefined)[];
  readonly form: PatternForm;
  /** Names of fields, in the order in which they begin. */
  readonly fieldNames: readonly string[];

  constructor(form: PatternForm, program: Program) {
    this.form = form;
    this.fieldNames = Object.freeze([...program.fieldNames]);
    this.#operations = Uint8Array.from(program.instructions, ({ operation }) => operation);
    this.#first = Int32Array.from(program.instructions, ({ first }) => first);
    this.#second = Int32Array.from(program.instructions, ({ second }) => second);
    this.#accepts = program.instructions.map(({ accepts }) => accepts);
    Object.freeze(this);
  }

  /** Instructions: with the length of a value, the bound of its steps. */
  get size(): number {
    return this.#operations.length;
  }

  /**
   * Matches a whole value.
   *
   * @param value characters up to U+00FF: hexadecimal digits, or one character for each octet
   */
  match(value: string): PatternResult {
    const width = value.length + 1;
    const visited = clearedBits(this.size * width);
    const positions = new Int32Array(this.fieldNames.length * 2).fill(-1);
    // Pairs: where to go on and at which character; or, as -1 - index, which position to put back to what.
    const ways: number[] = [0, 0];
    let reach = 0;
    let steps = 0;
    while (ways.length > 0) {
      let at = ways.pop()!;
      let instruction = ways.pop()!;
      if (instruction < 0) {
        positions[-1 - instruction] = at;
        continue;
      }
      walk: for (;;) {
        const bit = instruction * width + at;
        const mask = 1 << (bit & 31);
        if ((visited[bit >>> 5]! & mask) !== 0) break;
        visited[bit >>> 5]! |= mask;
        steps++;
        switch (this.#operations[instruction]) {
          case Operation.character:
            if (at === value.length || this.#accepts[instruction]![value.charCodeAt(at)] !== 1) {
              if (at > reach) reach = at;
              break walk;
            }
            at++;
            instruction++;
            break;
          case Operation.split:
            ways.push(this.#second[instruction]!, at);
            instruction = this.#first[instruction]!;
            break;
          case Operation.jump:
            instruction = this.#first[instruction]!;
            break;
          case Operation.save: {
            const index = this.#first[instruction]!;
            ways.push(-1 - index, positions[index]!);
            positions[index] = at;
            instruction++;
            break;
          }
          default:
            if (at === value.length) return { matched: true, fields: this.#spans(positions), steps };
            if (at > reach) reach = at;
            break walk;
        }
      }
    }
    return { matched: false, reach, steps };
  }

  #spans(positions: Int32Array): Map<string, FieldSpan> {
    const spans = new Map<string, FieldSpan>();
    for (const [index, name] of this.fieldNames.entries()) {
      const [start, end] = [positions[index * 2]!, positions[index * 2 + 1]!];
      if (start >= 0 && end >= 0) spans.set(name, { start, end });
    }
    return spans;
  }
}

export type CompiledPattern =
  | { readonly ok: true; readonly pattern: LinePattern }
  | { readonly ok: false; readonly problem: string; readonly remedy: string };

/**
 * Compiles a pattern.
 *
 * @param pattern as written; of the syntax of JavaScript without backward references, look-around and word boundaries
 * @param form what it is going to run over
 */
export function compilePattern(pattern: string, form: PatternForm): CompiledPattern {
  try {
    const program = new Program();
    program.add(parsePattern(pattern, form));
    program.emit(Operation.end);
    return { ok: true, pattern: new LinePattern(form, program) };
  } catch (error) {
    if (!(error instanceof PatternFault)) throw error;
    return { ok: false, problem: error.problem, remedy: error.remedy };
  }
}

interface Instruction {
  readonly operation: number;
  first: number;
  second: number;
  readonly accepts: Uint8Array | undefined;
}

class Program {
  readonly instructions: Instruction[] = [];
  readonly fieldNames: string[] = [];

  emit(operation: number, first = 0, second = 0, accepts?: Uint8Array): Instruction {
    if (this.instructions.length >= maxPatternSize)
      throw new PatternFault('is too large once its repetitions are written out', 'use + or * in place of counts');
    const instruction = { operation, first, second, accepts };
    this.instructions.push(instruction);
    return instruction;
  }

  get #next(): number {
    return this.instructions.length;
  }

  add(node: PatternNode): void {
    switch (node.kind) {
      case 'character':
        this.emit(Operation.character, 0, 0, node.accepts);
        return;
      case 'sequence':
        for (const part of node.parts) this.add(part);
        return;
      case 'choice':
        this.#addChoice(node.parts);
        return;
      case 'field': {
        const index = this.fieldNames.push(node.name) - 1;
        this.emit(Operation.save, index * 2);
        this.add(node.part);
        this.emit(Operation.save, index * 2 + 1);
        return;
      }
      case 'repeat':
        this.#addRepeat(node);
    }
  }

  #addChoice(parts: readonly PatternNode[]): void {
    const exits: Instruction[] = [];
    for (const [index, part] of parts.entries()) {
      const isLast = index === parts.length - 1;
      const split = isLast ? undefined : this.emit(Operation.split, this.#next + 1);
      this.add(part);
      if (split === undefined) break;
      exits.push(this.emit(Operation.jump));
      split.second = this.#next;
    }
    for (const exit of exits) exit.first = this.#next;
  }

  #addRepeat({ part, min, max, lazy }: Extract<PatternNode, { kind: 'repeat' }>): void {
    for (let count = 0; count < min; count++) this.add(part);
    if (max === Infinity) {
      const loop = this.#next;
      const split = this.emit(Operation.split);
      this.add(part);
      this.emit(Operation.jump, loop);
      choose(split, loop + 1, this.#next, lazy);
      return;
    }
    const splits: [Instruction, number][] = [];
    for (let count = min; count < max; count++) {
      splits.push([this.emit(Operation.split), this.#next]);
      this.add(part);
    }
    for (const [split, inside] of splits) choose(split, inside, this.#next, lazy);
  }
}

function choose(split: Instruction, inside: number, beyond: number, lazy: boolean): void {
  split.first = lazy ? beyond : inside;
  split.second = lazy ? inside : beyond;
}

// Reused by every match: none is under way when another begins.
let bits = new Uint32Array(1_024);

function clearedBits(count: number): Uint32Array {
  const words = (count + 31) >>> 5;
  if (words > bits.length) bits = new Uint32Array(words * 2);
  else bits.fill(0, 0, words);
  return bits;
}
