/**
 * Steps that travel by RADIUS: CoA-Request and Disconnect-Request (RFC 5176).
 *
 * Enters: steps of runs, each about a session of one NAS.
 * Leaves: what its answers prove.
 * Invariants: coa steps that follow one another in a run go out as one request (unless the profile says otherwise); a second request
 * about a session waits for the first; a session counts as gone only when the NAS does not find it by Acct-Session-Id alone.
 */
import { isIPv6 } from 'node:net';
import type { NasEntry } from '../config/config.js';
import type { CoaAnswer, CoaClient } from '../radius/coa-client.js';
import { Code } from '../radius/code.js';
import type { Dictionary } from '../radius/dictionary.js';
import { SharedSecret } from '../radius/shared-secret.js';
import { coaBody, describeBody } from './coa-body.js';
import type { CoaBody, CoaCode } from './coa-body.js';
import type { CommandOutcome, RunSession } from './driver.js';
import { errorCauseText, outcomeOfNak } from './error-cause.js';
import type { CompiledProfile } from './profile.js';
import type { IdentifyingAttribute } from './session-identity.js';
import type { StepResult, StepTask, StepTransport } from './step.js';

/** Error-Cause Session-Context-Not-Found (RFC 5176 §3.5). */
const sessionContextNotFound = 503;

const sessionIdAlone: readonly IdentifyingAttribute[] = ['Acct-Session-Id'];

export interface CoaTransportOptions {
  readonly nas: NasEntry;
  readonly profile: CompiledProfile;
  /** For the text of what was sent. */
  readonly dictionary: Dictionary;
  /** Shared by all NASes; whoever made it stops it. */
  readonly client: CoaClient;
  /** ms since 1970 */
  readonly nowMs: () => number;
}

interface Target {
  readonly address: string;
  readonly port: number;
  /** `10.0.0.2:3799` */
  readonly shown: string;
}

/** A request with its answer. */
interface Asked {
  readonly outcome: CommandOutcome;
  readonly errorCause: number | undefined;
  readonly sent: string;
  readonly sentAtMs: number;
  readonly answeredAtMs: number;
  readonly attempts: number;
}

/** CoA and Disconnect to one NAS entry. */
export class CoaTransport implements StepTransport {
  readonly maxBatchRuns = 1;
  readonly #options: CoaTransportOptions;
  /** One, or two while the secret of the NAS is being changed. */
  readonly #secrets: readonly SharedSecret[];
  /** The one that was not met with silence last. */
  #secretInUse = 0;
  readonly #stopping = new AbortController();
  /** The last request about each session that one is under way about. */
  readonly #busy = new Map<string, Promise<unknown>>();

  /** @throws SecretMissingError when the file of the secret does not exist yet */
  constructor(options: CoaTransportOptions) {
    this.#options = options;
    const { coa, secrets } = options.nas;
    const given = coa.secret === undefined ? secrets : [coa.secret];
    this.#secrets = given.map((secret) => new SharedSecret(secret.octets()));
  }

  /**
   * Carries out `coa` and `disconnect` steps.
   *
   * Steps that went out as one request have the same outcome.
   */
  async exchange(tasks: readonly StepTask[], isOwner: () => boolean): Promise<readonly StepResult[]> {
    const runs = new Map<number, StepTask[]>();
    for (const task of tasks) {
      const own = runs.get(task.run.enforcementId);
      if (own === undefined) runs.set(task.run.enforcementId, [task]);
      else own.push(task);
    }
    const results = await Promise.all([...runs.values()].map((own) => this.#run(own, isOwner)));
    return results.flat();
  }

  /** Ends the wait of everything that is under way. */
  async stop(): Promise<void> {
    this.#stopping.abort();
    await Promise.allSettled([...this.#busy.values()]);
  }

  async #run(tasks: readonly StepTask[], isOwner: () => boolean): Promise<StepResult[]> {
    const results: StepResult[] = [];
    for (const group of this.#requestsOf(tasks)) {
      const asked = await this.#inTurn(group, isOwner);
      const { outcome, sent, sentAtMs, answeredAtMs, attempts } = asked;
      for (const task of group) results.push({ task, driver: 'coa', sent, sentAtMs, answeredAtMs, attempts, outcome });
      if (outcome.outcome !== 'applied') break;
    }
    return results;
  }

  /** Which steps share a request. */
  #requestsOf(tasks: readonly StepTask[]): StepTask[][] {
    const { merge } = this.#options.profile.profile.coa;
    const groups: StepTask[][] = [];
    for (const task of tasks) {
      const group = groups.at(-1);
      const joins =
        group !== undefined &&
        group.every((other) => other.step.send === 'coa') &&
        task.step.send === 'coa' &&
        (merge || [...group, task].every(saysStateOnly));
      if (joins) group.push(task);
      else groups.push([task]);
    }
    return groups;
  }

  /** One request about a session at a time: a NAS drops a second one while the first is pending. */
  async #inTurn(tasks: readonly StepTask[], isOwner: () => boolean): Promise<Asked> {
    const session = tasks[0]?.run.session ?? null;
    if (session === null) return this.#unsaid({ outcome: 'unsayable', text: 'there is no RADIUS session to command' });
    const name = `${session.nasBox}\n${session.acctSessionId}`;
    const before = this.#busy.get(name);
    const mine = (async () => {
      await before?.catch(() => undefined);
      return await this.#ask(tasks, session, isOwner);
    })();
    this.#busy.set(name, mine);
    try {
      return await mine;
    } finally {
      if (this.#busy.get(name) === mine) this.#busy.delete(name);
    }
  }

  async #ask(tasks: readonly StepTask[], session: RunSession, isOwner: () => boolean): Promise<Asked> {
    const target = this.#targetOf(session);
    if (target === undefined) {
      const text = 'nobody knows where its commands go: set coa.address, or wait for accounting from it';
      return this.#unsaid({ outcome: 'unsayable', text });
    }
    const code = tasks[0]?.step.send === 'disconnect' ? Code.disconnectRequest : Code.coaRequest;
    const { identify } = this.#options.profile.profile.coa;
    const first = await this.#send(target, code, this.#body(code, session, identify, tasks), isOwner);
    const isBySessionIdAlone = first.identified?.length === 1 && first.identified[0] === 'Acct-Session-Id';
    if (first.errorCause !== sessionContextNotFound || isBySessionIdAlone) return first;
    // Some NASes say so, too, when the attributes that name the session disagree in their spelling alone.
    const again = await this.#send(target, code, this.#body(code, session, sessionIdAlone, tasks), isOwner);
    return {
      ...again,
      sent: `${first.sent}; again by Acct-Session-Id alone`,
      sentAtMs: first.sentAtMs,
      attempts: first.attempts + again.attempts,
    };
  }

  #body(
    code: CoaCode,
    session: RunSession,
    identify: readonly IdentifyingAttribute[],
    tasks: readonly StepTask[],
  ): CoaBody {
    const { nas, profile } = this.#options;
    return coaBody({ nas, profile, session, identify }, code, tasks);
  }

  async #send(
    target: Target,
    code: CoaCode,
    body: CoaBody,
    isOwner: () => boolean,
  ): Promise<Asked & { readonly identified?: readonly IdentifyingAttribute[] }> {
    if (!body.ok) return this.#unsaid({ outcome: 'unsayable', text: body.problem });
    if (!isOwner())
      return this.#unsaid({ outcome: 'unreachable', reached: 'never', text: 'another instance owns this NAS' });
    const { nas, profile, client, dictionary } = this.#options;
    const { coa } = profile.profile;
    const secretInUse = this.#secretInUse % this.#secrets.length;
    const secret = this.#secrets[secretInUse];
    if (secret === undefined) return this.#unsaid({ outcome: 'unsayable', text: 'the NAS entry has no secret' });
    const answer = await client.ask({
      code,
      address: target.address,
      port: target.port,
      secret,
      sourceAddress: nas.coa.sourceAddress,
      attributes: body.octets,
      withMessageAuthenticator: coa.messageAuthenticator,
      withEventTimestamp: coa.eventTimestamp,
      timeoutMs: nas.coa.timeoutMs,
      attempts: nas.coa.attempts,
      mayRepeat: isOwner,
      signal: this.#stopping.signal,
    });
    // A NAS that has only the other secret hears nothing: the next command tries that one.
    if (answer.answer === 'silence' && answer.reason === 'timeout') this.#secretInUse = secretInUse + 1;
    return {
      outcome: outcomeOf(code, target, answer),
      errorCause: answer.answer === 'nak' ? answer.errorCause : undefined,
      identified: body.identified,
      sent: describeBody(dictionary, code, target.shown, body.octets),
      sentAtMs: answer.sentAtMs,
      answeredAtMs: answer.answeredAtMs,
      attempts: answer.attempts,
    };
  }

  #targetOf(session: RunSession): Target | undefined {
    const { nas, profile } = this.#options;
    const [only] = nas.addresses;
    const single = nas.addresses.length === 1 && only !== undefined && !only.includes('/') ? only : undefined;
    const address = nas.coa.address ?? session.nasAddress ?? single;
    if (address === undefined) return undefined;
    const port = nas.coa.port ?? profile.profile.coa.port;
    return { address, port, shown: `${isIPv6(address) ? `[${address}]` : address}:${String(port)}` };
  }

  #unsaid(outcome: CommandOutcome): Asked {
    const atMs = this.#options.nowMs();
    return { outcome, errorCause: undefined, sent: '', sentAtMs: atMs, answeredAtMs: atMs, attempts: 0 };
  }
}

function saysStateOnly({ step }: StepTask): boolean {
  return step.send === 'coa' && step.state && step.attributes.length === 0;
}

function outcomeOf(code: CoaCode, target: Target, answer: CoaAnswer): CommandOutcome {
  const kind = code === Code.coaRequest ? 'CoA' : 'Disconnect';
  switch (answer.answer) {
    case 'ack': {
      const more = answer.errorCause === undefined ? '' : ` ${errorCauseText(answer.errorCause)}`;
      return { outcome: 'applied', evidence: 'ack', text: `${kind}-ACK${more}` };
    }
    case 'nak':
      return outcomeOfNak(`${kind}-NAK`, answer.errorCause);
    case 'unsendable':
      return { outcome: 'unsayable', text: 'its attributes are more than a packet holds' };
    case 'silence':
      return { outcome: 'unreachable', reached: answer.reached, text: silenceText(target, answer) };
  }
}

function silenceText(target: Target, silence: Extract<CoaAnswer, { answer: 'silence' }>): string {
  switch (silence.reason) {
    case 'no-socket':
      return 'no socket to send from: coa.source_address must be an address of this host';
    case 'busy':
      return 'too many commands are under way';
    case 'stopped':
      return 'stopped while it was under way';
    case 'given-up':
      return 'another instance owns this NAS now';
    case 'timeout':
      break;
  }
  const times = `${String(silence.attempts)} ${silence.attempts === 1 ? 'attempt' : 'attempts'}`;
  const hints = [
    silence.isPortClosed ? 'nobody listens on that port: switch CoA on there, or correct coa.port' : undefined,
    silence.answeredFrom === undefined
      ? undefined
      : `its answers come from ${silence.answeredFrom}: set coa.address, or its source address for RADIUS`,
    silence.sendError === undefined ? undefined : `the system says ${silence.sendError}`,
  ].filter((hint) => hint !== undefined);
  return [`no answer from ${target.shown} in ${times}`, ...hints].join('; ');
}
