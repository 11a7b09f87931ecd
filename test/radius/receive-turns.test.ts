/** Giving way to requests that wait in the kernel. */
import t from 'tap';
import { ReceiveTurns } from '../../src/radius/receive-turns.js';

/** Reads so many datagrams in each turn of the event loop, until stopped. */
function reading(turns: ReceiveTurns, perTurn: (turn: number) => number): () => void {
  let turn = 0;
  let immediate: NodeJS.Immediate | undefined;
  const read = (): void => {
    for (let i = 0; i < perTurn(turn); i++) turns.note();
    turn += 1;
    immediate = setImmediate(read);
  };
  read();
  return () => clearImmediate(immediate);
}

t.test('a socket that is read empty holds up nobody', async (t) => {
  const turns = new ReceiveTurns();
  const stop = reading(turns, () => 31);
  await turns.quiet(60_000);
  stop();
  t.pass('resolved long before its time');
});

t.test('as long as a turn finds as many as it can read, there are more', async (t) => {
  const turns = new ReceiveTurns();
  let turn = 0;
  const stop = reading(turns, () => (++turn < 20 ? 32 : 3));
  await turns.quiet(60_000);
  stop();
  t.ok(turn >= 20, `quiet after ${turn} turns`);
});

t.test('whoever never stops is not waited for', async (t) => {
  const turns = new ReceiveTurns();
  const stop = reading(turns, () => 32);
  await turns.quiet(5);
  stop();
  t.pass('resolved while requests were still coming');
});
