/**
 * A session, its profile and its NAS, for tests of CoA. Enters: a profile as text or by name, a behaviour of the NAS. Leaves: the results of commands, and
 * what the NAS heard. Invariant: requests travel over real sockets on loopback; time passes only when the test lets it.
 */
import { join } from 'node:path';
import type { Test } from 'tap';
import type { Config, NasEntry } from '../../src/config/config.js';
import type { CommandName, PresentService, ServiceState } from '../../src/domain/service-state.js';
import { CoaTransport } from '../../src/nas/coa-transport.js';
import { dictionaryEncoder } from '../../src/nas/dictionary-encoder.js';
import type { EnforcementRun, RunSession } from '../../src/nas/driver.js';
import { compileProfile } from '../../src/nas/profile.js';
import type { CompiledProfile } from '../../src/nas/profile.js';
import type { StepResult, StepTask } from '../../src/nas/step.js';
import { CoaClient } from '../../src/radius/coa-client.js';
import { loadDictionary } from '../../src/radius/dictionary-file.js';
import { checkout, confFolder } from '../config/conf-folder.js';
import { CommandNas, type CommandBehaviour } from '../support/command-nas.js';
import { ManualClock } from '../support/manual-clock.js';

export const nasSecret = 'pk3Lx9Qv7Tz1Wd5Rb8Ym';
export const { dictionary } = loadDictionary(join(checkout, 'dictionaries/dictionary'));

/** Ivanov with 50 Mbit/s down and 10 up, in no trouble. */
export const present: PresentService = {
  present: true,
  key: { login: 'ivanov', mac: '02:00:00:00:00:07', address: '100.64.3.7', framedPrefix: null, delegatedPrefix: null },
  blocked: false,
  redirect: false,
  ownDisabled: false,
  authorised: true,
  rate: { downBps: 50_000_000, upBps: 10_000_000 },
  services: [],
};

export const session: RunSession = {
  sessionId: 41,
  acctSessionId: '81a00001',
  nasBox: 'bras1',
  nasAddress: '127.0.0.1',
  nasPortId: 'ether2',
  callingStation: '02:00:00:00:00:07',
};

export interface CommandBench {
  readonly nas: CommandNas;
  readonly clock: ManualClock;
  readonly client: CoaClient;
  readonly entry: NasEntry;
  readonly profile: CompiledProfile;
  readonly transport: CoaTransport;
  /** Tasks of one run: all coa and disconnect steps of the commands. */
  readonly tasks: (commands: readonly BenchCommand[], run?: Partial<EnforcementRun>) => StepTask[];
  /** Carries them out. */
  readonly run: (commands: readonly BenchCommand[], run?: Partial<EnforcementRun>) => Promise<readonly StepResult[]>;
}

/** A command, and the service that it is about. */
export type BenchCommand = CommandName | readonly ['usluga_activated' | 'usluga_deactivated', string];

export interface BenchOptions {
  /** Lines of the NAS entry beside name, address, secret and profile. */
  readonly nas?: string;
  /** Text of a profile named "own"; default the bundled `mikrotik-ppp`. */
  readonly profile?: string;
  readonly bundled?: string;
  readonly behave?: CommandBehaviour;
  /** Of the entry; the NAS has the last of them. */
  readonly secrets?: readonly string[];
  /** Of each request; default as in the schema. */
  readonly attempts?: number;
}

/** Opens all of it; the test's end closes it. */
export async function commandBench(t: Pick<Test, 'teardown'>, options: BenchOptions = {}): Promise<CommandBench> {
  const nas = await CommandNas.open(t, nasSecret, options.behave);
  const name = options.profile === undefined ? (options.bundled ?? 'mikrotik-ppp') : 'own';
  const config = await loadOne(t, name, nas.port, options);
  const profile = compileProfile(config.profiles[name]!, dictionaryEncoder(dictionary));
  const clock = new ManualClock();
  const client = new CoaClient({ clock, random: () => 0.5 });
  t.teardown(() => client.stop());
  const entry = config.nas[0]!;
  const transport = new CoaTransport({ nas: entry, profile, dictionary, client, nowMs: () => clock.nowMs() });
  const tasks: CommandBench['tasks'] = (commands, more = {}) => {
    const desired: ServiceState = more.desired ?? present;
    const data = desired.present ? desired : present;
    const planned = commands.map((one) =>
      typeof one === 'string' ? { name: one, data, service: null } : { name: one[0], data, service: one[1] },
    );
    const run: EnforcementRun = {
      enforcementId: 1,
      subject: { subscriberId: 7, accountId: 3, contract: 'C-3', plan: 'home' },
      session,
      commands: planned,
      desired,
      ...more,
    };
    return planned.flatMap((command) =>
      (profile.commands.get(command.name)?.steps ?? []).map((step) => ({ run, command, step })),
    );
  };
  return {
    nas,
    clock,
    client,
    entry,
    profile,
    transport,
    tasks,
    run: (commands, more) => transport.exchange(tasks(commands, more), () => true),
  };
}

async function loadOne(t: Pick<Test, 'teardown'>, name: string, port: number, options: BenchOptions): Promise<Config> {
  const folder = await confFolder(t as Parameters<typeof confFolder>[0], {
    'conf/nas.d/bras1.toml':
      `name = "bras1"\naddress = "127.0.0.1"\nsecret = ${JSON.stringify(options.secrets ?? [nasSecret])}\nprofile = "${name}"\n` +
      `${options.nas ?? ''}\n[coa]\nport = ${String(port)}\nattempts = ${String(options.attempts ?? 4)}\n`,
  });
  if (options.profile !== undefined) await folder.write('conf/profiles/own.toml', options.profile);
  return await folder.load();
}
