/**
 * Whether requests wait in the kernel. Enters: a note for each datagram that was read. Leaves: a moment when no socket had more than one turn of the
 * event loop takes. Invariant: whoever has time waits for a bounded while only.
 */

/** libuv reads so many datagrams of a socket in one turn and leaves the rest for the next one. */
const DATAGRAMS_PER_TURN = 32;

export class ReceiveTurns {
  #datagrams = 0;

  /** A datagram was read. */
  note(): void {
    this.#datagrams += 1;
  }

  /**
   * Resolves when a whole turn of the event loop has read less than there was room for, or after a while. Work that holds the loop, one piece after the
   * other, would otherwise leave requests only 32 places between two pieces, until the kernel drops them.
   * @param maxMs the while, ms
   */
  async quiet(maxMs: number): Promise<void> {
    const endMs = performance.now() + maxMs;
    // The turn that this is called in has read some already.
    await turn();
    do {
      this.#datagrams = 0;
      await turn();
    } while (this.#datagrams >= DATAGRAMS_PER_TURN && performance.now() < endMs);
  }
}

function turn(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve));
}
