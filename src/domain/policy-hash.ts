// Enters: what an Accept said about policy: the state and the rates. Leaves: 32 bits that stand for it in Class, so that a
// Start shows whether its session was told what holds now. Invariant: stable over releases, for a Class outlives them.

const FNV_OFFSET = 0x811c9dc5;
const FNV_PRIME = 0x01000193;

/**
 * FNV-1a over the state and both rates.
 *
 * @param rateDownBps bit/s; undefined is unlimited
 * @param rateUpBps bit/s; undefined is unlimited
 * @returns unsigned 32-bit number
 */
export function policyHash(state: string, rateDownBps: number | undefined, rateUpBps: number | undefined): number {
  const text = `${state}|${rateDownBps === undefined ? '' : String(rateDownBps)}|${rateUpBps === undefined ? '' : String(rateUpBps)}`;
  let hash = FNV_OFFSET;
  for (let i = 0; i < text.length; i++) hash = Math.imul(hash ^ text.charCodeAt(i), FNV_PRIME);
  return hash >>> 0;
}
