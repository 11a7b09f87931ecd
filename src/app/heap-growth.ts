/**
 * How the heap grows and is marked. Enters: nothing. Leaves: settings of V8. Invariant: set before subscribers are loaded; more collections, none of them
 * in the way of answers.
 */
import { setFlagsFromString } from 'node:v8';

/**
 * Garbage that may gather beside what is in use, percent. By itself V8 lets a large heap double: at a million subscribers and 180,000
 * sessions some 570 MB are in use, and much more is taken while it is marked. A collection marks beside the work, so that more of them cost some
 * percent of a processor and no waiting; a third took 14 MB more than the 1.5 GB that are promised.
 */
const GROWTH_PERCENT = 20;

/**
 * Sets V8 to it. An engine that does not know a setting goes on as it would.
 *
 * Marking is left to V8's own threads and to small steps while objects are made. By itself it also comes as a task after nearly every turn of the event
 * loop, and libuv reads no more than 32 datagrams of a socket in a turn: of 500 MB that took some 500 ms in the better part of a second, in which
 * requests gathered faster than they were read. Without the task answers wait some 100 ms at most where they waited 700.
 */
export function settleHeap(): void {
  setFlagsFromString(`--heap-growing-percent=${String(GROWTH_PERCENT)}`);
  setFlagsFromString('--no-incremental-marking-task');
}
