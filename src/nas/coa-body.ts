/**
 * The attributes of one CoA-Request or Disconnect-Request.
 *
 * Enters: the steps that it is to carry out, and what names the session.
 * Leaves: octets, and the same as text for people; or why it cannot be said.
 * Invariants: the state that policy order gives is said once; nothing is said that is not known or not safe; the text has no secrets.
 */
import type { NasEntry } from '../config/config.js';
import { shownState } from '../domain/accepted-service.js';
import type { PlannedCommand } from '../domain/service-state.js';
import { PacketBuildError } from '../radius/attribute-writer.js';
import { Code, codeName } from '../radius/code.js';
import { decodeAttributes } from '../radius/decode-attribute.js';
import { describeAttribute } from '../radius/describe.js';
import type { Dictionary } from '../radius/dictionary.js';
import { authenticatorOctets, headerOctets, parsePacket } from '../radius/packet.js';
import { RequestBuilder } from '../radius/request.js';
import type { AttributeContext } from './attribute-variables.js';
import type { AttributeFailure } from './compile-attribute.js';
import type { EnforcementRun, RunSession } from './driver.js';
import type { CompiledProfile } from './profile.js';
import { addSessionIdentity } from './session-identity.js';
import type { IdentifyingAttribute } from './session-identity.js';
import type { StepTask } from './step.js';

/** What history keeps of one request, characters. */
const maxShownLength = 1_500;

const noAuthenticator = Buffer.alloc(authenticatorOctets);

export type CoaCode = typeof Code.coaRequest | typeof Code.disconnectRequest;

export type CoaBody =
  | {
      readonly ok: true;
      readonly octets: Buffer;
      /** Attributes that name the session. */
      readonly identified: readonly IdentifyingAttribute[];
    }
  | { readonly ok: false; readonly problem: string };

/** What a body is made for. */
export interface CoaSubject {
  readonly nas: NasEntry;
  readonly profile: CompiledProfile;
  readonly session: RunSession;
  readonly identify: readonly IdentifyingAttribute[];
}

/**
 * Puts the attributes of a request together.
 *
 * @param tasks steps of one run, all `coa` or one `disconnect`
 */
export function coaBody(subject: CoaSubject, code: CoaCode, tasks: readonly StepTask[]): CoaBody {
  const [first] = tasks;
  if (first === undefined) return { ok: false, problem: 'there is nothing to say' };
  try {
    const writer = new RequestBuilder(code, 0, noAuthenticator, false);
    const { nas, session, identify } = subject;
    const identified = addSessionIdentity(writer, identify, nas, session, first.command.data.key);
    if (identified.length === 0)
      return { ok: false, problem: 'nothing that coa.identify names is known of the session' };
    const said = code === Code.coaRequest ? changeOf(subject, tasks) : { ok: true as const, pieces: [] };
    if (!said.ok) return said;
    for (const piece of said.pieces) writer.addEncoded(piece);
    return { ok: true, octets: writer.finishUnsigned().subarray(headerOctets), identified };
  } catch (error) {
    if (!(error instanceof PacketBuildError)) throw error;
    const problem =
      error.reason === 'packet-too-long'
        ? 'it is longer than a packet'
        : 'something that names the session does not fit';
    return { ok: false, problem };
  }
}

/** `CoA-Request to 10.0.0.2:3799: Acct-Session-Id = "81a0", …`, without secrets. */
export function describeBody(dictionary: Dictionary, code: CoaCode, target: string, octets: Buffer): string {
  const header = Buffer.alloc(headerOctets);
  header[0] = code;
  header.writeUInt16BE(headerOctets + octets.length, 2);
  const parsed = parsePacket(Buffer.concat([header, octets]));
  const attributes = parsed.ok ? decodeAttributes(dictionary, parsed.packet).map(describeAttribute) : [];
  const text = `${codeName(code)} to ${target}: ${attributes.join(', ')}`;
  return text.length <= maxShownLength ? text : `${text.slice(0, maxShownLength)}…`;
}

type Change =
  { readonly ok: true; readonly pieces: readonly Buffer[] } | { readonly ok: false; readonly problem: string };

function changeOf({ nas, profile }: CoaSubject, tasks: readonly StepTask[]): Change {
  const pieces: Buffer[] = [];
  const add = (octets: Buffer): void => {
    if (!pieces.some((piece) => piece.equals(octets))) pieces.push(octets);
  };
  let isStateSaid = false;
  for (const { run, command, step } of tasks) {
    if (step.send !== 'coa') continue;
    if (step.state && !isStateSaid) {
      isStateSaid = true;
      const desired = run.desired.present ? run.desired : command.data;
      const name = shownState(desired);
      const state = profile.states[name];
      if (state.answer === 'reject')
        return { ok: false, problem: `the profile rejects the state ${name}, so no CoA can bring a session into it` };
      const encoded = state.encodeChange(contextOf(nas, run, { ...command, data: desired }));
      if (!encoded.ok) return { ok: false, problem: failureText(encoded.failure) };
      add(encoded.octets);
    }
    const context = contextOf(nas, run, command);
    for (const attribute of step.attributes) {
      const outcome = attribute.encode(context);
      if (outcome.outcome === 'failed') return { ok: false, problem: failureText(outcome.failure) };
      if (outcome.outcome === 'sent') add(outcome.octets);
    }
  }
  if (pieces.every((piece) => piece.length === 0))
    return { ok: false, problem: 'none of the attributes of its steps has a value' };
  return { ok: true, pieces };
}

function contextOf(nas: NasEntry, run: EnforcementRun, { data, service }: PlannedCommand): AttributeContext {
  return {
    rate: { rateDownBps: data.rate.downBps ?? undefined, rateUpBps: data.rate.upBps ?? undefined },
    login: data.key.login,
    contract: run.subject.contract,
    plan: run.subject.plan ?? undefined,
    subscriberId: run.subject.subscriberId,
    mac: data.key.mac ?? undefined,
    address: data.key.address ?? undefined,
    nas: nas.name,
    nasPool: undefined,
    framedPrefix: data.key.framedPrefix ?? undefined,
    delegatedPrefix: data.key.delegatedPrefix ?? undefined,
    service: service ?? undefined,
  };
}

function failureText({ attribute, reason, variable }: AttributeFailure): string {
  return reason === 'unsafe-value'
    ? `the value of $${variable ?? ''} is not safe in ${attribute}`
    : `the value of ${attribute} does not fit`;
}
