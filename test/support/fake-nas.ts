/**
 * A NAS in memory that carries out commands. Enters: runs, and faults to be had. Leaves: what is there, and what came over the wire in which order.
 * Invariant: it does what it is told and nothing else; a command that was lost on the way in changed nothing, one whose answer was lost did.
 */
import { setImmediate as nextTurn } from 'node:timers/promises';
import type { Evidence, PlannedCommand, PresentService, ServiceRate } from '../../src/domain/service-state.js';
import type { CommandOutcome, CommandResult, EnforcementRun, NasDriver, RunResult } from '../../src/nas/driver.js';

/** What the NAS has of one subscriber under one key, or of one session. */
export interface FakeEntry {
  login: string;
  address: string | null;
  blocked: boolean;
  redirect: boolean;
  ownDisabled: boolean;
  authorised: boolean;
  rate: ServiceRate;
  services: string[];
}

/** What befalls a command: nothing, or where it is lost, or that it is refused, or acknowledged and not done. */
export type Fault = 'none' | 'lost' | 'answer-lost' | 'refused' | 'gone' | 'later' | 'half-way' | 'ignored';

export interface WireCommand {
  readonly enforcementId: number;
  readonly command: PlannedCommand;
  readonly atMs: number;
}

export interface FakeNasOptions {
  readonly kind: 'session' | 'provisioned';
  readonly maxBatchRuns?: number;
  /** What befalls the next command. */
  readonly faultOf?: (command: PlannedCommand) => Fault;
  /** Waits before each answer. */
  readonly pause?: () => Promise<void>;
}

/** The entry of a session that was accepted as this. */
export function acceptedEntry(rate: ServiceRate, over: Partial<FakeEntry> = {}): FakeEntry {
  return {
    login: '',
    address: null,
    blocked: false,
    redirect: false,
    ownDisabled: false,
    authorised: true,
    rate,
    services: [],
    ...over,
  };
}

/** Spoken to by drivers, several at once if there are two servers. */
export class FakeNas {
  /** By subscriber and address at a provisioned NAS, by session otherwise. */
  readonly entries = new Map<string, FakeEntry>();
  /** Everything that arrived, in the order of arrival. */
  readonly wire: WireCommand[] = [];
  /** Runs that are being carried out, by enforcement. */
  readonly underWay = new Map<number, number>();
  /** Runs that began while another one of their enforcement was being carried out. */
  overlaps = 0;
  mostAtOnce = 0;
  dead = false;
  #atOnce = 0;

  constructor(readonly options: FakeNasOptions) {}

  /** A reboot. */
  wipe(): void {
    this.entries.clear();
  }

  driver(): NasDriver {
    let stopped = false;
    return {
      maxBatchRuns: this.options.maxBatchRuns ?? 1,
      run: async (runs, isOwner) => {
        const results: RunResult[] = [];
        this.#atOnce += 1;
        this.mostAtOnce = Math.max(this.mostAtOnce, this.#atOnce);
        for (const run of runs) results.push(await this.#run(run, () => !stopped && isOwner()));
        this.#atOnce -= 1;
        return results;
      },
      stop: () => {
        stopped = true;
        return Promise.resolve();
      },
    };
  }

  async #run(run: EnforcementRun, maySpeak: () => boolean): Promise<RunResult> {
    const { enforcementId } = run;
    this.underWay.set(enforcementId, (this.underWay.get(enforcementId) ?? 0) + 1);
    if (this.underWay.get(enforcementId)! > 1) this.overlaps += 1;
    const results: CommandResult[] = [];
    for (const command of run.commands) {
      const sentAtMs = Date.now();
      const outcome = await this.#command(run, command, maySpeak);
      results.push({
        command,
        driver: 'coa',
        sent: command.name,
        sentAtMs,
        answeredAtMs: Date.now(),
        attempts: 1,
        outcome,
      });
      if (outcome.outcome !== 'applied') break;
    }
    this.underWay.set(enforcementId, this.underWay.get(enforcementId)! - 1);
    return { enforcementId, results };
  }

  async #command(run: EnforcementRun, command: PlannedCommand, maySpeak: () => boolean): Promise<CommandOutcome> {
    if (!maySpeak()) return { outcome: 'unreachable', reached: 'never', text: 'not ours' };
    await (this.options.pause ?? nextTurn)();
    if (!maySpeak()) return { outcome: 'unreachable', reached: 'never', text: 'not ours' };
    const fault = this.options.faultOf?.(command) ?? 'none';
    if (this.dead) return { outcome: 'unreachable', reached: 'maybe', text: 'no answer' };
    if (fault === 'lost') return { outcome: 'unreachable', reached: 'maybe', text: 'no answer' };
    this.wire.push({ enforcementId: run.enforcementId, command, atMs: performance.now() });
    if (fault === 'refused') return { outcome: 'refused', errorCause: 506, text: 'CoA-NAK' };
    if (fault === 'gone') return { outcome: 'session-gone', text: 'CoA-NAK 503' };
    if (fault === 'later') return { outcome: 'later', afterMs: 5, text: 'later' };
    if (fault !== 'ignored') this.#carryOut(run, command);
    if (fault === 'answer-lost') return { outcome: 'unreachable', reached: 'maybe', text: 'no answer' };
    const evidence: Evidence = 'ack';
    return { outcome: 'applied', evidence, text: 'CoA-ACK' };
  }

  #keyOf(run: EnforcementRun, data: PresentService): string {
    if (this.options.kind === 'session') return String(run.session?.sessionId);
    return `${String(run.subject.subscriberId)} ${String(data.key.address)}`;
  }

  #carryOut(run: EnforcementRun, { name, data, service }: PlannedCommand): void {
    const key = this.#keyOf(run, data);
    const isSession = this.options.kind === 'session';
    if (name === 'user_del' || (name === 'user_disconnect' && isSession)) {
      this.entries.delete(key);
      return;
    }
    if (name === 'user_add') {
      if (this.entries.has(key)) return;
      const { login, address } = data.key;
      const rate = { downBps: null, upBps: null };
      // A new entry serves nobody until it is told.
      this.entries.set(key, acceptedEntry(rate, { login, address, blocked: true, authorised: false }));
      return;
    }
    const entry = this.entries.get(key);
    if (entry === undefined) return;
    if (name === 'user_drop') entry.blocked = true;
    else if (name === 'user_accept') entry.blocked = false;
    else if (name === 'own_disabled') entry.ownDisabled = true;
    else if (name === 'own_disabled_cancel') entry.ownDisabled = false;
    else if (name === 'user_redirect') entry.redirect = true;
    else if (name === 'user_redirect_cancel') entry.redirect = false;
    else if (name === 'user_disconnect') entry.authorised = false;
    else if (name === 'user_auth') entry.authorised = true;
    else if (name === 'user_rate_set') entry.rate = data.rate;
    else if (name === 'user_rate_set_cancel') entry.rate = { downBps: null, upBps: null };
    else if (name === 'usluga_activated' && service !== null)
      entry.services = [...new Set([...entry.services, service])].sort();
    else if (name === 'usluga_deactivated') entry.services = entry.services.filter((one) => one !== service);
  }
}
