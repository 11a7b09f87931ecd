/**
 * Whether the commands of a profile leave anybody as he was.
 *
 * Enters: compiled commands, and the attributes of each state as a CoA-Request says them.
 * Leaves: a problem for each change of state that would not reach the NAS, and for each step that its place cannot take.
 * Invariants: of a profile that passes, whoever is deleted, blocked, voluntarily blocked or redirected is limited or has his session
 * ended, whatever plan he has, also when the NAS refuses the first way; and there is a way back out.
 */
import type { Profile, ProfileCommandName } from '../config/config.js';
import type { ConfigProblem } from '../config/problem.js';
import type { ProfileState } from '../config/profile-schema.js';
import type { CommandName } from '../domain/service-state.js';
import { sampleContext } from './attribute-variables.js';
import { plainName } from './compile-attribute.js';
import type { CompiledAttribute } from './compile-attribute.js';
import { harmlessAttributes, limits } from './profile-safety.js';
import type { CompiledCommand, CompiledCommands, CompiledStep } from './step.js';

interface Limit {
  readonly on: CommandName;
  readonly off: CommandName;
  readonly state: ProfileState;
  readonly who: string;
}

const limitCommands: readonly Limit[] = [
  { on: 'user_drop', off: 'user_accept', state: 'admin_blocked', who: 'a blocked subscriber' },
  {
    on: 'own_disabled',
    off: 'own_disabled_cancel',
    state: 'own_disabled',
    who: 'a voluntarily blocked subscriber',
  },
  { on: 'user_redirect', off: 'user_redirect_cancel', state: 'redirect', who: 'a redirected subscriber' },
];

// Commands that are about nobody's session.
const sessionless: readonly ProfileCommandName[] = [
  'account_add',
  'account_enable',
  'account_disable',
  'account_del',
  'users_from_nas',
];

/**
 * Checks all commands of a profile.
 *
 * @param changeOf the attributes that a CoA-Request says for a state
 */
export function checkCommands(
  profile: Profile,
  commands: CompiledCommands,
  changeOf: (state: ProfileState) => readonly CompiledAttribute[],
): ConfigProblem[] {
  const check = new CommandCheck(profile, commands, changeOf);
  if (profile.enforcement === undefined) check.nothingIsCommanded();
  else if (profile.enforcement.place === 'session') check.session();
  else check.provisioned();
  return check.problems;
}

class CommandCheck {
  readonly problems: ConfigProblem[] = [];

  constructor(
    private readonly profile: Profile,
    private readonly commands: CompiledCommands,
    private readonly changeOf: (state: ProfileState) => readonly CompiledAttribute[],
  ) {}

  nothingIsCommanded(): void {
    const [first] = this.commands.keys();
    if (first === undefined) return;
    this.wrong(first, 'is never done: the profile has no [enforcement]', 'write [enforcement] with its place');
  }

  session(): void {
    const { profile } = this;
    if (profile.coa.identify.includes('User-Name') && profile.realm.handling === 'strip') {
      const problem = 'has User-Name, which is not known as the NAS has it: its realm is taken off';
      const remedy = 'identify by Acct-Session-Id, or write realm.handling = "keep"';
      this.problems.push({ file: profile.file, line: 0, key: 'coa.identify', problem, remedy });
    }
    for (const name of ['user_disconnect', 'user_del'] as const) {
      const who = name === 'user_del' ? 'a deleted subscriber' : 'whoever is to be disconnected';
      this.needs(name, `${who} would stay as he was`, 'steps = [{ send = "disconnect" }]');
    }
    for (const limit of limitCommands) this.sessionLimit(limit);
    if (this.changeOf('active').some((attribute) => attribute.dependsOn !== 'nothing'))
      for (const name of ['user_rate_set', 'user_rate_set_cancel'] as const) this.needsWord(name);
    this.noRateIsSaid();
    this.services();
    this.stepsOfNobody();
  }

  provisioned(): void {
    this.needs('user_add', 'nobody would be let in', 'its steps');
    this.needs('user_del', 'a deleted subscriber would stay as he was', 'its steps');
    for (const { on, off, who } of limitCommands) {
      this.needs(on, `${who} would stay as he was`, 'its steps');
      this.needs(off, `${who} would never come out`, 'its steps');
    }
    for (const name of ['user_auth', 'user_disconnect', 'user_rate_set', 'user_rate_set_cancel'] as const)
      this.needsWord(name);
    this.services();
    for (const [name, command] of this.commands) {
      const step = allSteps(command).find(({ send }) => send === 'coa' || send === 'disconnect');
      if (step === undefined) continue;
      const remedy = 'send ssh or exec, or write enforcement.place = "session"';
      this.wrong(name, `sends ${step.send} where there is an entry and no RADIUS session`, remedy);
    }
  }

  // A state that rejects needs no command: its sessions are ended, and no new one begins.
  private sessionLimit({ on, off, state, who }: Limit): void {
    if (this.profile.states[state].answer === 'reject') return;
    const steps = 'steps = [{ send = "coa", state = true }] with fallback = [{ send = "disconnect" }]';
    const enters = this.needs(on, `${who} would stay as he was`, steps);
    const leaves = this.needs(off, `${who} would never come out`, steps);
    if (enters !== undefined) {
      this.needsFallback(on, enters, `${who} would stay as he was`);
      if (
        enters.steps.some(isState) &&
        !enters.steps.some(isEnd) &&
        !limits(this.changeOf('active'), this.changeOf(state))
      )
        this.wrong(
          on,
          `says by CoA nothing that an active session does not have too: ${who} would stay as he was`,
          'add an attribute that limits him to the state, or send disconnect: CoA cannot change an address or pool',
        );
    }
    if (leaves === undefined) return;
    this.needsFallback(off, leaves, `${who} would never come out`);
    if (!leaves.steps.some(isState) || leaves.steps.some(isEnd)) return;
    const kept = this.keptFrom(state, leaves);
    if (kept === undefined) return;
    const remedy = `say ${kept} in state.active.coa_attributes, also for a plan without rate, or send disconnect`;
    this.wrong(off, `leaves ${kept} of the session as it was in the state ${state}`, remedy);
  }

  /** An attribute that the state says and the way back does not always say: the NAS would keep it. */
  private keptFrom(state: ProfileState, leaves: CompiledCommand): string | undefined {
    const always = alwaysSaid(said(leaves, this.changeOf('active')));
    return this.changeOf(state).find(
      ({ name }) => !always.has(plainName(name)) && !harmlessAttributes.has(plainName(name)),
    )?.name;
  }

  /** A plan without a rate leaves its attributes out, and a running session would keep the old rate under an acknowledgement. */
  private noRateIsSaid(): void {
    const command = this.commands.get('user_rate_set_cancel');
    if (command === undefined || !command.steps.some(isState) || command.steps.some(isEnd)) return;
    const always = alwaysSaid(said(command, this.changeOf('active')));
    const kept = this.changeOf('active').find(
      ({ name, dependsOn }) => dependsOn === 'rate' && !always.has(plainName(name)),
    )?.name;
    if (kept === undefined) return;
    const remedy = `say ${kept} in state.active.coa_attributes with a last value for no limit, or write not_applicable`;
    this.wrong('user_rate_set_cancel', `says nothing of ${kept}, so that a session keeps the rate that it has`, remedy);
  }

  private services(): void {
    const [on, off] = ['usluga_activated', 'usluga_deactivated'] as const;
    for (const [name, other] of [
      [on, off],
      [off, on],
    ] as const) {
      if (this.commands.get(name)?.notApplicable !== undefined || !this.commands.has(name)) continue;
      this.needs(other, 'a service would only ever go one way', 'its steps');
    }
  }

  private stepsOfNobody(): void {
    for (const name of sessionless) {
      const command = this.commands.get(name);
      const step = command && allSteps(command).find(({ send }) => send === 'coa' || send === 'disconnect');
      if (step !== undefined)
        this.wrong(name, `sends ${step.send} without a session to send it to`, 'send ssh or exec');
    }
  }

  /** The command when it does something; otherwise a problem was added. */
  private needs(name: CommandName, otherwise: string, remedy: string): CompiledCommand | undefined {
    const command = this.commands.get(name);
    if (command === undefined) this.wrong(name, `is missing: ${otherwise}`, `write [command.${name}] with ${remedy}`);
    else if (command.notApplicable !== undefined)
      this.wrong(name, `is not_applicable: ${otherwise}`, `write ${remedy}`);
    else if (!command.steps.some(hasEffect))
      this.wrong(name, `has no step with an effect: ${otherwise}`, `write ${remedy}`);
    else return command;
    return undefined;
  }

  /** It may be not applicable, but in so many words. */
  private needsWord(name: CommandName): void {
    if (this.commands.has(name)) return;
    this.wrong(name, 'is missing', `write [command.${name}] with its steps, or with not_applicable and the reason`);
  }

  private needsFallback(name: CommandName, command: CompiledCommand, otherwise: string): void {
    if (command.steps.some((step) => step.send !== 'coa') || command.fallback.some((step) => step.send !== 'coa'))
      return;
    this.wrong(
      name,
      `has no other way when the NAS refuses the CoA: ${otherwise}`,
      'write fallback = [{ send = "disconnect" }]',
    );
  }

  private wrong(name: ProfileCommandName, problem: string, remedy: string): void {
    const line = this.profile.commands[name]?.line ?? 0;
    this.problems.push({ file: this.profile.file, line, key: `command.${name}`, problem, remedy });
  }
}

function allSteps(command: CompiledCommand): readonly CompiledStep[] {
  return [...command.steps, ...command.fallback];
}

function isState(step: CompiledStep): boolean {
  return step.send === 'coa' && step.state;
}

function isEnd(step: CompiledStep): boolean {
  return step.send === 'disconnect';
}

function hasEffect(step: CompiledStep): boolean {
  if (step.send !== 'coa') return true;
  return step.state || step.attributes.some(({ name }) => !harmlessAttributes.has(plainName(name)));
}

/** What the CoA steps of a command say to a session that is to become active. */
function said(command: CompiledCommand, active: readonly CompiledAttribute[]): readonly CompiledAttribute[] {
  return command.steps.flatMap((step) =>
    step.send === 'coa' ? [...(step.state ? active : []), ...step.attributes] : [],
  );
}

/** Names of attributes that are said whatever plan the subscriber has. */
function alwaysSaid(attributes: readonly CompiledAttribute[]): ReadonlySet<string> {
  const contexts = [sampleContext({ rate: true, burst: false }), sampleContext({ rate: false, burst: false })];
  const always = attributes.filter((attribute) =>
    contexts.every((context) => attribute.encode(context).outcome === 'sent'),
  );
  return new Set(always.map(({ name }) => plainName(name)));
}
