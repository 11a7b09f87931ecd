/** A batch: what one packet means for other sessions, and that the cut between batches means nothing. */
import t from 'tap';
import type { AccountingFact } from '../../src/domain/accounting-fact.js';
import { fact, restart, T0 } from '../support/facts.js';
import { MemoryWorld } from '../support/memory-world.js';
import { makeHistory } from '../support/session-lives.js';

const MAC = '02:00:00:00:00:01';

t.test('the cut between batches means nothing', (t) => {
  for (let seed = 1; seed <= 50; seed++) {
    const facts = makeHistory(seed).arrivals.map((arrival) => arrival.fact);
    const play = (size: number): MemoryWorld => {
      const world = new MemoryWorld((f) => Number(f.login.slice(4)));
      for (let at = 0; at < facts.length; at += size) world.apply(...facts.slice(at, at + size));
      return world;
    };
    const [one, whole] = [play(1), play(facts.length)];
    // Written out, since holders refer to sessions.
    const picture = (w: MemoryWorld): unknown => w.sessions.map((s) => ({ ...s }));
    if (!t.same(picture(whole), picture(one), `seed ${seed}`)) break;
  }
  t.end();
});

t.test('the same port without any MAC is the same equipment, on the same box only', (t) => {
  const w = new MemoryWorld(() => 1);
  const port = { nasPortId: 'eth1:100.7' };
  w.apply(
    fact('start', { at: 0, acctSessionId: 'a', ...port }),
    fact('start', { at: 9, acctSessionId: 'b', nasBox: 'bras2', ...port }),
  );
  t.equal(w.live.length, 2);
  w.apply(fact('start', { at: 20, acctSessionId: 'c', ...port }));
  t.same(
    w.live.map((s) => s.acctSessionId),
    ['b', 'c'],
  );
  t.end();
});

t.test('a Start that is late is over when its successor is known', (t) => {
  const w = new MemoryWorld(() => 1);
  w.apply(
    fact('start', { at: 500, acctSessionId: 'b', mac: MAC }),
    fact('start', { at: 0, late: 600, acctSessionId: 'a', mac: MAC }),
  );
  t.match(w.sessions[1], { acctSessionId: 'a', end: { cause: 'taken-over', endedAtMs: T0 + 500_000 } });
  t.equal(w.sessions[0]!.end, null);
  t.end();
});

t.test('an Interim from before the takeover does not bring the zombie back, one from after it does', (t) => {
  const w = new MemoryWorld(() => 1);
  const a = { acctSessionId: 'a', mac: MAC };
  w.apply(fact('start', { at: 0, ...a }), fact('start', { at: 500, acctSessionId: 'b', mac: MAC, nasBox: 'bras2' }));
  w.apply(fact('interim', { at: 490, late: 400, sessionSeconds: 490, octets: 3, ...a }));
  w.apply(fact('interim', { at: 495, late: 400, octets: 3, ...a }));
  t.match(w.sessions[0], { inputOctets: 3, end: { cause: 'taken-over' } });
  w.apply(fact('interim', { at: 600, sessionSeconds: 600, octets: 6, ...a }));
  t.equal(w.sessions[0]!.end, null, 'two live sessions are the truth, and are shown as such');
  t.end();
});

t.test('a restart', (t) => {
  const box = (nasBox: string, at: number): AccountingFact =>
    fact('start', { at, nasBox, acctSessionId: `${nasBox}-${at}`, login: `${nasBox}${at}` });
  t.test('closes what its own box had before, whatever order it comes in', (t) => {
    const facts = [box('one', 0), box('one', 100), box('two', 0), restart('on', 50, 'one')];
    for (const order of [facts, facts.toReversed()]) {
      const w = new MemoryWorld(() => null);
      w.apply(...order);
      t.same(w.live.map((s) => s.acctSessionId).sort(), ['one-100', 'two-0']);
    }
    t.end();
  });
  t.test('lets go of the addresses', (t) => {
    const w = new MemoryWorld(() => 1);
    w.apply(fact('start', { at: 0, address: '100.64.0.1' }), restart('on', 50));
    t.match(w.assignments, [{ end: { endedAtMs: T0 + 50_000, cause: 'nas-restart' } }]);
    t.end();
  });
  t.test('does not end a session that was heard of after it', (t) => {
    const w = new MemoryWorld(() => 1);
    w.apply(fact('start', { at: 0 }), fact('interim', { at: 60, sessionSeconds: 60 }), restart('on', 50));
    t.equal(w.live.length, 1);
    t.end();
  });
  t.end();
});
