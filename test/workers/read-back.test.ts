/**
 * A NAS that acknowledges what it does not do, and shows it when asked: it is found out, told of, and told again until it is so.
 */
import t from 'tap';
import { compileCommandTemplate } from '../../src/nas/command-template.js';
import { ProfileDriver } from '../../src/nas/profile-driver.js';
import type { CompiledCommands, CompiledStep, StepTask, StepTransport } from '../../src/nas/step.js';
import { systemNasClock } from '../../src/nas/nas-clock.js';
import { policyHash } from '../../src/domain/policy-hash.js';
import { freshDatabase } from '../support/database.js';
import { commandedNas, openSession, startServer } from '../support/enforced-network.js';
import { FakeNas } from '../support/fake-nas.js';
import { addAccount, addPlan, addSubscriber } from '../support/subscriber-rows.js';
import { until } from '../support/until.js';

const home = { downBps: 50_000_000, upBps: 10_000_000 };
const info = compileCommandTemplate('show', 'posix');
const coa: CompiledStep = { send: 'coa', state: true, attributes: [] };
const commands = new Map(
  Object.entries({
    user_rate_set: [coa],
    user_accept: [coa],
    own_disabled_cancel: [coa],
    user_redirect_cancel: [coa],
    user_info: [{ send: 'ssh', lines: info.ok ? [info.template] : [] }],
  }).map(([name, steps]) => [name, { steps, fallback: [], notApplicable: undefined }]),
) as CompiledCommands;

/** Acknowledges everything, and does it unless it is to be ignored. */
class LyingNas {
  ignored = 0;
  told = 0;
  asked = 0;
  rate = home;

  readonly coa: StepTransport = {
    maxBatchRuns: 1,
    exchange: (tasks: readonly StepTask[]) => {
      // Commands that follow one another are one packet.
      this.told += 1;
      const isIgnored = this.ignored > 0;
      if (isIgnored) this.ignored -= 1;
      const nowMs = Date.now();
      const outcome = { outcome: 'applied', evidence: 'ack', text: 'CoA-ACK' } as const;
      const { rate } = tasks[0]!.command.data;
      if (!isIgnored) this.rate = { downBps: rate.downBps ?? 0, upBps: rate.upBps ?? 0 };
      return Promise.resolve(
        tasks.map((task) => ({
          task,
          driver: 'coa' as const,
          sent: 'CoA',
          sentAtMs: nowMs,
          answeredAtMs: nowMs,
          attempts: 1,
          outcome,
        })),
      );
    },
    stop: () => Promise.resolve(),
  };

  readonly ssh: StepTransport = {
    maxBatchRuns: 1,
    exchange: () => Promise.resolve([]),
    read: () => {
      this.asked += 1;
      const { downBps, upBps } = this.rate;
      return Promise.resolve({ ok: true, output: `session up, rate ${String(downBps)} ${String(upBps)}` });
    },
    stop: () => Promise.resolve(),
  };

  driver(percent: number): ProfileDriver {
    return new ProfileDriver(commands, { coa: this.coa, ssh: this.ssh }, systemNasClock, undefined, {
      percent,
      afterMs: 0,
      there: /^session up, rate (?<down>\d+) (?<up>\d+)$/mu,
      gone: /^no session$/mu,
      unitBps: 1,
    });
  }
}

async function scene(t: Parameters<typeof freshDatabase>[0], percent: number) {
  const database = await freshDatabase(t);
  const { pool } = database;
  const alice = await addSubscriber(pool, {
    accountId: await addAccount(pool, { planId: await addPlan(pool) }),
    login: 'alice',
  });
  const policy = policyHash('active', home.downBps, home.upBps);
  await openSession(pool, { nasName: 'nas1', subscriberId: alice, policyHash: policy });
  const nas = new LyingNas();
  const logged: object[] = [];
  const fake = new FakeNas({ kind: 'session' });
  const { dispatcher } = await startServer(t, database, [commandedNas('nas1', fake, { driver: nas.driver(percent) })], {
    logged,
  });
  const row = async () => (await pool.query<Record<string, unknown>>('SELECT * FROM enforcement')).rows[0] ?? {};
  const isConverged = async () => (await row())['state'] === 'converged';
  await until(isConverged);
  return { pool, nas, row, isConverged, dispatcher, logged };
}

t.test('an acknowledgement that was not kept is found out, and the NAS is told until it is so', async (t) => {
  const { pool, nas, row, isConverged, dispatcher, logged } = await scene(t, 100);
  nas.ignored = 1;
  await pool.query('UPDATE plan SET rate_down_bps = 5000000');
  await until(() => nas.rate.downBps === 5_000_000);
  await until(async () => (await row())['evidence'] === 'read-back' && (await isConverged()));
  t.equal(nas.told, 2);
  t.match(await row(), { disproved: 0, last_error: null, applied: { rate: { downBps: 5_000_000 } } });
  t.ok((await row())['disproved_at'], 'when it was is remembered');
  const history = await pool.query('SELECT command, driver, outcome, evidence, detail FROM nas_command ORDER BY id');
  const told = history.rows as Record<string, string | null>[];
  t.same(told.slice(0, 2), [
    { command: 'user_rate_set', driver: 'coa', outcome: 'applied', evidence: 'ack', detail: 'CoA-ACK' },
    {
      command: 'user_rate_set',
      driver: 'ssh',
      outcome: 'disproved',
      evidence: null,
      detail: 'acknowledged, yet down 50000000 bit/s instead of 5000000 bit/s',
    },
  ]);
  t.same(
    told.slice(2).map(({ command, driver, evidence }) => [command, driver, evidence]),
    [
      ['user_accept', 'coa', 'ack'],
      ['own_disabled_cancel', 'coa', 'ack'],
      ['user_redirect_cancel', 'coa', 'ack'],
      ['user_rate_set', 'coa', 'ack'],
      ['user_rate_set', 'ssh', 'read-back'],
    ],
    'then everything is said, since nothing is known',
  );
  t.same([...dispatcher.measures.disproofs], [{ nas: 'nas1', how: 'read-back', count: 1 }]);
  t.match(
    logged.find((line) => JSON.stringify(line).includes('had acknowledged')),
    { level: 50, nas: 'nas1', command: 'user_rate_set' },
  );
});

t.test('a NAS of which nothing is sampled is believed', async (t) => {
  const { pool, nas, row, isConverged } = await scene(t, 0);
  nas.ignored = 1;
  await pool.query('UPDATE plan SET rate_down_bps = 5000000');
  await until(() => nas.told === 1);
  await until(async () => (await isConverged()) && (await row())['evidence'] === 'ack');
  t.equal(nas.asked, 0);
  t.equal(nas.rate.downBps, home.downBps, 'and that is what comes of it');
});
