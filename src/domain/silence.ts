/**
 * Which boxes' sessions may be judged by their silence. Enters: when each box was last heard, look by look. Leaves: the boxes that have been
 * speaking long enough. Invariant: a box that was silent as a whole is judged from the end of its silence on, because then its
 * sessions could not be heard, and what nobody looked at counts as silence. Pure.
 */
import { boxKey } from './accounting-fact.js';

/** What is heard of a box. */
export interface BoxSound {
  readonly nasName: string;
  readonly nasBox: string;
  /** When anything of it last arrived, ms since 1970. */
  readonly heardAtMs: number;
  /** Between two updates of one session, as it really is, ms. */
  readonly intervalMs: number;
}

/** A box that speaks. */
export interface SpeakingBox extends BoxSound {
  /** Without a break from here on, as far as we looked, ms since 1970. */
  readonly speakingSinceMs: number;
}

export class BoxWatch {
  #speakingSinceMs = new Map<string, number>();

  /**
   * One look at all boxes.
   * @param outageIntervals a box that was not heard for so many intervals is out
   * @returns those that speak
   */
  look(sounds: readonly BoxSound[], nowMs: number, outageIntervals: number): SpeakingBox[] {
    const before = this.#speakingSinceMs;
    this.#speakingSinceMs = new Map();
    const speaking: SpeakingBox[] = [];
    for (const sound of sounds) {
      if (sound.heardAtMs <= nowMs - outageIntervals * sound.intervalMs) continue;
      const key = boxKey(sound);
      const speakingSinceMs = before.get(key) ?? nowMs;
      this.#speakingSinceMs.set(key, speakingSinceMs);
      speaking.push({ ...sound, speakingSinceMs });
    }
    return speaking;
  }
}

/** A box and the instant at which its sessions must have been heard to count as alive. */
export interface SilenceLimit {
  readonly nasName: string;
  readonly nasBox: string;
  readonly heardBeforeMs: number;
}

/**
 * @param intervals after so many of them without a sign a session is silent
 * @param nowMs until when everything that was acknowledged is known
 */
export function silenceLimits(boxes: readonly SpeakingBox[], intervals: number, nowMs: number): SilenceLimit[] {
  return boxes.flatMap(({ nasName, nasBox, intervalMs, speakingSinceMs }) => {
    const heardBeforeMs = nowMs - intervals * intervalMs;
    return speakingSinceMs <= heardBeforeMs ? [{ nasName, nasBox, heardBeforeMs }] : [];
  });
}
