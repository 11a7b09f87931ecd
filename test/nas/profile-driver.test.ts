// What a profile says is what is done: steps in their order, the fallback once, and nothing that was not said.
import t from 'tap';
import { ManualClock } from '../support/manual-clock.js';
import { compileCommandTemplate } from '../../src/nas/command-template.js';
import type { CommandOutcome } from '../../src/nas/driver.js';
import { ProfileDriver } from '../../src/nas/profile-driver.js';
import type { CompiledCommands, CompiledStep, ReadAnswer, StepTask, StepTransport } from '../../src/nas/step.js';
import { runOf } from './command-context.js';

const applied: CommandOutcome = { outcome: 'applied', evidence: 'ack', text: '' };
const refused: CommandOutcome = { outcome: 'refused', errorCause: 404, text: 'no' };
const never: CommandOutcome = { outcome: 'unreachable', reached: 'never', text: 'silence' };

/** Notes what it is given and answers as told; like real ones it begins nothing after what was not applied. */
class NotingTransport implements StepTransport {
  readonly calls: string[][] = [];
  stops = 0;

  constructor(
    readonly driver: 'coa' | 'ssh' | 'exec',
    readonly answer: (task: StepTask) => CommandOutcome = () => applied,
    readonly maxBatchRuns = 100,
    readonly printed: ReadAnswer = { ok: true, output: '' },
  ) {}

  async exchange(tasks: readonly StepTask[]) {
    this.calls.push(tasks.map(({ run, command, step }) => `${run.enforcementId} ${command.name} ${step.send}`));
    const over = new Set<number>();
    return tasks.flatMap((task) => {
      if (over.has(task.run.enforcementId)) return [];
      const outcome = this.answer(task);
      if (outcome.outcome !== 'applied') over.add(task.run.enforcementId);
      return [
        { task, driver: this.driver, sent: `${task.step.send}!`, sentAtMs: 1, answeredAtMs: 2, attempts: 1, outcome },
      ];
    });
  }

  async read(): Promise<ReadAnswer> {
    return this.printed;
  }

  async stop(): Promise<void> {
    this.stops += 1;
  }
}

const coa: CompiledStep = { send: 'coa', state: true, attributes: [] };
const disconnect: CompiledStep = { send: 'disconnect' };
const ssh: CompiledStep = { send: 'ssh', lines: [] };
const compiled = compileCommandTemplate('list', 'posix');
const listing: CompiledStep = { send: 'ssh', lines: compiled.ok ? [compiled.template] : [] };

function commands(
  table: Partial<Record<string, { steps?: CompiledStep[]; fallback?: CompiledStep[]; notApplicable?: string }>>,
): CompiledCommands {
  return new Map(
    Object.entries(table).map(([name, one]) => [
      name,
      { steps: one?.steps ?? [], fallback: one?.fallback ?? [], notApplicable: one?.notApplicable },
    ]),
  ) as CompiledCommands;
}

const owner = (): boolean => true;
const clock = new ManualClock();

t.test('steps that go one way go together, across the commands of a run', async (t) => {
  const transport = new NotingTransport('coa');
  const driver = new ProfileDriver(
    commands({
      user_redirect: { steps: [coa] },
      user_auth: { notApplicable: 'nothing to do' },
      user_rate_set: { steps: [coa, disconnect] },
    }),
    { coa: transport },
    clock,
  );
  const [result] = await driver.run([runOf(['user_redirect', 'user_auth', 'user_rate_set'])], owner);
  t.same(transport.calls, [['1 user_redirect coa', '1 user_rate_set coa', '1 user_rate_set disconnect']]);
  t.match(result?.results, [
    { command: { name: 'user_redirect' }, sent: 'coa!', outcome: applied },
    {
      command: { name: 'user_auth' },
      sent: '',
      attempts: 0,
      outcome: { outcome: 'applied', evidence: 'not-applicable', text: 'nothing to do' },
    },
    { command: { name: 'user_rate_set' }, sent: 'coa!\ndisconnect!', attempts: 2, outcome: applied },
  ]);
});

t.test('many runs over SSH are one call', async (t) => {
  const transport = new NotingTransport('ssh');
  const driver = new ProfileDriver(
    commands({ user_add: { steps: [ssh] }, user_rate_set: { steps: [ssh] } }),
    { ssh: transport },
    clock,
  );
  const runs = [1, 2, 3].map((enforcementId) => runOf(['user_add', 'user_rate_set'], { enforcementId }));
  const results = await driver.run(runs, owner);
  t.equal(transport.calls.length, 1);
  t.equal(transport.calls[0]?.length, 6);
  t.same(
    results.map(({ enforcementId, results: all }) => [enforcementId, all.length]),
    [
      [1, 2],
      [2, 2],
      [3, 2],
    ],
  );
});

t.test('a refusal goes to the fallback, once; whoever is not refused does not', async (t) => {
  const radius = new NotingTransport('coa', ({ step }) => (step.send === 'coa' ? refused : applied));
  const shell = new NotingTransport('ssh');
  const driver = new ProfileDriver(
    commands({ user_drop: { steps: [coa], fallback: [disconnect, ssh] }, user_add: { steps: [ssh] } }),
    { coa: radius, ssh: shell },
    clock,
  );
  const [result] = await driver.run([runOf(['user_drop', 'user_add'])], owner);
  t.same(radius.calls, [['1 user_drop coa'], ['1 user_drop disconnect']]);
  t.same(shell.calls, [['1 user_drop ssh', '1 user_add ssh']]);
  t.match(result?.results, [
    { sent: 'coa!\ndisconnect!\nssh!', outcome: { outcome: 'applied', text: 'no' } },
    { outcome: applied },
  ]);

  const stubborn = new NotingTransport('coa', () => refused);
  const again = new ProfileDriver(
    commands({ user_drop: { steps: [coa], fallback: [disconnect] } }),
    { coa: stubborn },
    clock,
  );
  t.match(await again.run([runOf(['user_drop', 'user_add'])], owner), [{ results: [{ outcome: refused }] }]);
  t.equal(stubborn.calls.length, 2);

  const silent = new NotingTransport('coa', () => never);
  const patient = new ProfileDriver(
    commands({ user_drop: { steps: [coa], fallback: [disconnect] } }),
    { coa: silent },
    clock,
  );
  t.match(await patient.run([runOf(['user_drop'])], owner), [{ results: [{ outcome: never }] }]);
  t.equal(silent.calls.length, 1, 'silence is no refusal');
});

t.test('where a Disconnect took the place of a command, nothing more is said about the session', async (t) => {
  const transport = new NotingTransport('coa', ({ step }) => (step.send === 'coa' ? refused : applied));
  const router = new NotingTransport('ssh');
  const driver = new ProfileDriver(
    commands({
      user_redirect: { steps: [coa], fallback: [disconnect] },
      user_rate_set: { steps: [coa] },
      user_add: { steps: [ssh] },
    }),
    { coa: transport, ssh: router },
    clock,
  );
  const [result] = await driver.run([runOf(['user_redirect', 'user_rate_set', 'user_add'])], owner);
  t.same(transport.calls, [['1 user_redirect coa', '1 user_rate_set coa'], ['1 user_redirect disconnect']]);
  t.match(result?.results, [
    { command: { name: 'user_redirect' }, sent: 'coa!\ndisconnect!', outcome: { outcome: 'applied', evidence: 'ack' } },
    { command: { name: 'user_rate_set' }, sent: '', outcome: { outcome: 'applied', evidence: 'not-applicable' } },
    { command: { name: 'user_add' }, driver: 'ssh', outcome: applied },
  ]);
  t.same(router.calls, [['1 user_add ssh']], 'what is no matter of the session is said all the same');
});

t.test('never reached is said only when nothing of the command was', async (t) => {
  const radius = new NotingTransport('coa');
  const shell = new NotingTransport('ssh', () => never);
  const driver = new ProfileDriver(
    commands({ user_drop: { steps: [coa, ssh] }, user_add: { steps: [ssh] } }),
    { coa: radius, ssh: shell },
    clock,
  );
  t.match(await driver.run([runOf(['user_drop'])], owner), [
    { results: [{ outcome: { outcome: 'unreachable', reached: 'maybe' } }] },
  ]);
  t.match(await driver.run([runOf(['user_add'])], owner), [
    { results: [{ outcome: { outcome: 'unreachable', reached: 'never' } }] },
  ]);
});

t.test('what the profile or the configuration does not have is unsayable, and ends the run', async (t) => {
  const shell = new NotingTransport('ssh');
  const driver = new ProfileDriver(
    commands({ user_add: { steps: [ssh] }, user_drop: { steps: [coa] } }),
    { ssh: shell },
    clock,
  );
  t.match(await driver.run([runOf(['user_add', 'user_auth', 'user_add'])], owner), [
    { results: [{ outcome: applied }, { outcome: { outcome: 'unsayable', text: /does not say how user_auth/u } }] },
  ]);
  t.match(await driver.run([runOf(['user_drop'])], owner), [
    { results: [{ outcome: { outcome: 'unsayable', text: /coa is not configured/u } }] },
  ]);
});

t.test('a call takes as many runs as the narrowest way allows', async (t) => {
  const ways = { coa: new NotingTransport('coa', undefined, 1), ssh: new NotingTransport('ssh', undefined, 500) };
  t.equal(new ProfileDriver(commands({ user_add: { steps: [ssh] } }), ways, clock).maxBatchRuns, 500);
  t.equal(
    new ProfileDriver(commands({ user_add: { steps: [ssh], fallback: [disconnect] } }), ways, clock).maxBatchRuns,
    1,
  );
  t.equal(new ProfileDriver(commands({ user_add: { notApplicable: 'x' } }), ways, clock).maxBatchRuns, 1);
  const driver = new ProfileDriver(commands({}), ways, clock);
  await driver.stop();
  t.same([ways.coa.stops, ways.ssh.stops], [1, 1]);
});

t.test('the entries of a NAS: ours by our mark, the address where there is one', async (t) => {
  const table: readonly [
    what: string,
    output: string,
    entries: readonly (readonly [number | null, string | null])[],
  ][] = [
    [
      'nftables',
      'table inet sluice {\n\tset users {\n\t\telements = { 100.64.3.7 comment "sluice-17", 100.64.3.8 comment "sluice-18",\n\t\t\t     100.64.3.9 }\n\t}\n}',
      [
        [17, '100.64.3.7'],
        [18, '100.64.3.8'],
        [null, '100.64.3.9'],
      ],
    ],
    [
      'RouterOS',
      ' 0   comment=sluice-17 list=sluice-users address=100.64.3.7 creation-time=nov/22/2026 10:00:00 dynamic=no\n 1 D list=others address=192.0.2.1',
      [
        [17, '100.64.3.7'],
        [null, '192.0.2.1'],
      ],
    ],
    [
      'IOS',
      'Extended IP access list 180\n    10 Dynamic SLUICE permit ip any any\n       permit ip host 100.64.3.7 any (5 matches)',
      [[null, '100.64.3.7']],
    ],
    ['marks of others', 'my-sluice-17\nsluice-17b\nsluice-\nsluice-1234567890123456', []],
    ['what is no address', '1.2.3\n1.2.3.4.5\n300.1.1.1', []],
  ];
  for (const [what, output, entries] of table) {
    const shell = new NotingTransport('ssh', undefined, 1, { ok: true, output });
    const driver = new ProfileDriver(commands({ users_from_nas: { steps: [listing] } }), { ssh: shell }, clock);
    const listed = await driver.list();
    t.same(listed.ok && listed.entries.map(({ subscriberId, address }) => [subscriberId, address]), entries, what);
  }
  t.match(await new ProfileDriver(commands({}), {}, clock).list(), { ok: false, outcome: { outcome: 'unsayable' } });
});
