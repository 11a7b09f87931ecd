/**
 * Tasks of several runs, one of each run at a time. Enters: tasks as a transport gets them. Leaves: results in the order of the tasks. Invariant: no task is
 * begun after one before it in its run was not applied; tasks of different runs never wait for a run that stopped.
 */
import type { StepResult, StepTask } from './step.js';

/**
 * Carries out tasks in rounds: the first of each run, then the second of each run whose first was applied, and so on.
 *
 * @param carryOut carries out tasks of different runs together and returns a result for each, in their order
 */
export async function inRounds(
  tasks: readonly StepTask[],
  carryOut: (round: readonly StepTask[]) => Promise<readonly StepResult[]>,
): Promise<readonly StepResult[]> {
  const queues = new Map<StepTask['run'], number[]>();
  tasks.forEach((task, index) => {
    const queue = queues.get(task.run);
    if (queue === undefined) queues.set(task.run, [index]);
    else queue.push(index);
  });
  const results: (StepResult | undefined)[] = tasks.map(() => undefined);
  while (queues.size > 0) {
    const round: number[] = [];
    for (const [run, queue] of queues) {
      const next = queue.shift();
      if (next === undefined) queues.delete(run);
      else round.push(next);
    }
    if (round.length === 0) break;
    const carried = await carryOut(round.flatMap((index) => tasks[index] ?? []));
    carried.forEach((result, position) => {
      results[round[position] ?? -1] = result;
      if (result.outcome.outcome !== 'applied') queues.delete(result.task.run);
    });
  }
  return results.filter((result) => result !== undefined);
}
