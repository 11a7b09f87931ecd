/**
 * `explain`: what a request of a subscriber would be answered now, what its NASes are told, and why.
 *
 * Enters: a login, a NAS. Leaves: the decision with everything it rests on.
 * Invariant: the rows are read by the server's loader and judged by the server's own functions; nothing is decided here.
 */
import type { NasEntry } from '../config/config.js';
import type { AccessAccept, AnswerState, Requester } from '../domain/access.js';
import { accessLineText } from '../domain/access-line.js';
import { RateClock, type EffectiveRate } from '../domain/effective-rate.js';
import { formatIpv4Address } from '../domain/ipv4-address.js';
import type { ReadLine } from '../domain/lease-holder.js';
import type { LineRule } from '../domain/line-rule.js';
import { compileLineRules } from '../domain/line-rules.js';
import { formatPoolAddress } from '../domain/pool-address.js';
import { sessionTimeoutSeconds } from '../handlers/access-reply.js';
import { expectedAccess, ownRequester } from '../handlers/expected-access.js';
import type { FoundIdentity } from '../handlers/identity.js';
import { readLine } from '../nas/line-reader.js';
import type { CompiledProfile, ExplainedAttribute } from '../nas/profile.js';
import type { Directory } from '../store/directory.js';
import { listPlans } from '../store/catalogue.js';
import { countFreeAddresses, loadDirectoryAround } from '../store/explain-rows.js';
import { listLiveSessions } from '../store/session-queries.js';
import { listAttempts, listEvents, listPeriods } from '../store/subscriber-queries.js';
import type { SubscriberRow } from '../store/subscriber-queries.js';
import { parseMac } from './assignments.js';
import type { CommandContext } from './command-context.js';
import { CommandError } from './command-error.js';
import { compileAllProfiles } from './configuration-check.js';
import { flagsOf } from '../store/subscriber-flags.js';
import { lineOctetsOf } from './line-options.js';
import { readLineKnowledge } from '../store/subscriber-line.js';
import { explainLine } from './explain-line.js';
import { explainPlaces } from './explain-places.js';
import { prefixAttributes, prefixContextOf, prefixesOf } from './explain-prefixes.js';
import { sentenceOf } from './explain-sentence.js';
import { presentExplanation } from './explain-view.js';
import type {
  AddressExplanation,
  AnswerAttribute,
  Explanation,
  PrefixExplanation,
  StateExplanation,
} from './explanation.js';
import { assumeInDirectory, assumeRow, describeAssumptions, parseAssumptions } from './explain-assumptions.js';
import { pickSubscriber } from './subscriber-pick.js';
import { stateOf } from './subscriber-show.js';
import { unknownName } from './unknown-name.js';

/** The options of `explain`, as typed. */
export interface ExplainOptions {
  readonly nas?: string;
  readonly mac?: string;
  /** Of the access line, in hexadecimal. */
  readonly circuitId?: string;
  readonly remoteId?: string;
  /** Assumptions, `key=value[,key=value…]` each. */
  readonly if?: readonly string[];
}

/** Rows of the past that are told. */
const shownAttempts = 5;
const shownEvents = 50;
const mostSessions = 128;

/** Explains a subscriber. */
export async function explainSubscriber(
  context: CommandContext,
  login: string,
  options: ExplainOptions,
): Promise<void> {
  const explanation = await explain(context, login, options);
  if (context.json) {
    const { subscriber, ...rest } = explanation;
    await context.printJson({ login: subscriber.login, subscriber_id: subscriber.id, ...rest, subscriber });
    return;
  }
  await presentExplanation(context, explanation);
}

async function explain(context: CommandContext, login: string, options: ExplainOptions): Promise<Explanation> {
  const assumptions = parseAssumptions(options.if ?? []);
  const isAssuming = Object.keys(assumptions).length > 0;
  const config = await context.config();
  const pool = await context.pool();
  const actual = await pickSubscriber(pool, login, { among: 'any' });
  const row = isAssuming ? assumeRow(actual, assumptions, await listPlans(pool)) : actual;
  const asked = options.mac === undefined ? undefined : parseMac('--mac', options.mac);
  const sessions = await listLiveSessions(pool, { subscriberId: row.id }, 0, mostSessions);
  const attempts = await listAttempts(pool, { login: row.login, mac: row.mac }, shownAttempts);
  const nas = chooseNas(config.nas, options.nas, [sessions[0]?.nas_name, row.nas_name, attempts[0]?.nas_name]);
  const profiles = compileAllProfiles(config);
  const profile = profiles.get(nas.profile);
  if (profile === undefined) throw new CommandError(`the NAS ${nas.name} has no profile`, 'run: sluice check-config');
  const told = lineOf(config.lines, options);
  const directory = await loadDirectoryAround(pool, row.id, {
    mac: asked,
    line: told?.read === 'line' ? told.line : undefined,
  });
  if (isAssuming) assumeInDirectory(directory, row);
  const session = sessions.find((one) => one.nas_name === nas.name);
  const requester = ownRequester(nas, {
    mac: asked ?? session?.mac ?? row.mac ?? undefined,
    callingAddress: row.associate_vpn_ip ? (row.static_address ?? undefined) : undefined,
    nasBox: session?.nas_box,
    nasPortId: asked === undefined ? (session?.nas_port_id ?? undefined) : undefined,
  });
  const nowMs = context.io.nowMs();
  const own = directory.plugged.lineOf(row.id);
  const line: ReadLine = told ?? (own === undefined ? { read: 'none' } : { read: 'line', line: own });
  const { decision, identity } = expectedAccess({
    directory,
    profile,
    login: row.login,
    requester,
    line,
    // Promises of an instance are in its memory; one that is outstanding is repeated to the same device anyway.
    offers: () => [],
    sealKey: config.radius.passwordKey.octets(),
    nowMs,
  });
  const knownBy = knownByOf(row.login, identity, line);
  const events = await listEvents(pool, row.id, row.account_id, shownEvents);
  const address = decision.answer === 'accept' ? await addressOf(context, directory, decision, row.id) : null;
  const prefixes = decision.answer === 'accept' ? await prefixesOf(context, directory, decision, row.id) : [];
  const plan = directory.plan(row.plan_id ?? undefined);
  const rate = new RateClock(config.server.timeZone).rateAt(plan, directory.turbo(row.id), nowMs);
  const states = statesOf(directory, row, nas, profile, requester, address, prefixes, rate);
  const flags = flagsOf(row, events, actual);
  const [period] = await listPeriods(pool, row.id, 1);
  const known = await readLineKnowledge(pool, row, sessions.map(({ mac }) => mac).reverse());
  return {
    subscriber: row,
    assumed: isAssuming ? assumptions : null,
    state: stateOf(row, nowMs),
    nas: nas.name,
    profile: nas.profile,
    found_by: identity.found === 'one' ? identity.by : null,
    access_line: line.read === 'line' ? accessLineText(line.line) : null,
    known_by: knownBy,
    answer: decision.answer,
    reason: decision.answer === 'reject' ? decision.reason : null,
    answer_state: decision.answer === 'accept' ? decision.state : null,
    sentence: `${isAssuming ? `if ${describeAssumptions(assumptions)}: ` : ''}${sentenceOf({ row, nas, decision, address, prefixes, flags })}`,
    address,
    prefixes,
    attributes:
      decision.answer === 'accept'
        ? answerAttributes(directory, row, nas, profile, decision.state, states, address, prefixes, nowMs)
        : [],
    states,
    flags,
    sessions,
    period: period?.closed_at === null ? period : null,
    attempts,
    events,
    ...explainLine(known),
    ...(await explainPlaces(context, config, profiles, directory, row.id)),
  };
}

/** @returns undefined when the options say none: then it is the subscriber's own */
function lineOf(rules: readonly LineRule[], options: ExplainOptions): ReadLine | undefined {
  const { circuitId, remoteId } = lineOctetsOf(options);
  if (circuitId === undefined && remoteId === undefined) return undefined;
  return readLine(compileLineRules(rules), {
    circuitId: circuitId?.toString('hex') ?? null,
    remoteId: remoteId?.toString('hex') ?? null,
    subscriberId: null,
    switchMac: null,
    switchPort: null,
  });
}

/** @throws CommandError when whoever asks from that line is somebody else: what he is answered is told of him */
function knownByOf(login: string, identity: FoundIdentity, line: ReadLine): string | null {
  const where = line.read === 'line' ? ` (${accessLineText(line.line)})` : '';
  if (identity.found === 'several') return `${identity.by}${identity.by === 'line' ? where : ''}: several, so nobody`;
  if (identity.found === 'none') return null;
  const { by, subscriber } = identity;
  if (by === 'line' && subscriber.login !== login)
    throw new CommandError(
      `whoever asks from there${where} is '${subscriber.login}', not '${login}'`,
      `ask what he is answered with: sluice explain ${subscriber.login}`,
    );
  return by === 'line' ? `line${where}` : by;
}

function chooseNas(
  entries: readonly NasEntry[],
  asked: string | undefined,
  likely: readonly (string | null | undefined)[],
): NasEntry {
  const named = (name: string | null | undefined) => entries.find((entry) => entry.name === name);
  if (asked !== undefined) {
    const entry = named(asked);
    if (entry === undefined)
      throw unknownName(
        'NAS',
        asked,
        entries.map((one) => one.name),
      );
    return entry;
  }
  const chosen = likely.map(named).find((entry) => entry !== undefined) ?? entries[0];
  if (chosen === undefined) throw new CommandError('the configuration has no NAS', 'add one in nas.d');
  return chosen;
}

async function addressOf(
  context: CommandContext,
  directory: Directory,
  decision: AccessAccept,
  subscriberId: number,
): Promise<AddressExplanation> {
  const { address, slot } = decision;
  const none = { address: null, pool: null, free: null };
  if (address.from === 'static') return { ...none, source: 'static', address: formatIpv4Address(address.address) };
  if (address.from === 'nas-pool') return { ...none, source: 'nas-pool', pool: address.name };
  if (address.from === 'none') return { ...none, source: 'none' };
  const pool = directory.pool(address.poolId)?.name ?? null;
  const sticky = directory.stickyAddress(subscriberId, slot, address.poolId);
  if (sticky !== undefined) return { source: 'sticky', address: formatPoolAddress(sticky), pool, free: null };
  return { source: 'pool', address: null, pool, free: await countFreeAddresses(await context.pool(), address.poolId) };
}

function statesOf(
  directory: Directory,
  row: SubscriberRow,
  nas: NasEntry,
  profile: CompiledProfile,
  requester: Requester,
  address: AddressExplanation | null,
  prefixes: readonly PrefixExplanation[],
  rate: EffectiveRate,
): Record<string, StateExplanation> {
  return Object.fromEntries(
    Object.entries(profile.states).map(([state, compiled]) => {
      const ours = compiled.pool !== undefined && directory.poolByName(compiled.pool) !== undefined;
      const attributes = compiled.explain({
        rate,
        login: row.login,
        contract: row.contract,
        plan: row.plan ?? undefined,
        subscriberId: row.id,
        mac: requester.mac,
        address: address?.address ?? undefined,
        nas: nas.name,
        nasPool: compiled.pool !== undefined && !ours ? compiled.pool : undefined,
        ...(compiled.prefixes && prefixContextOf(prefixes)),
      });
      return [
        state,
        { answer: compiled.answer, pool: compiled.pool ?? null, attributes: attributes.map(plainAttribute) },
      ];
    }),
  );
}

function plainAttribute(attribute: ExplainedAttribute): AnswerAttribute {
  return {
    name: attribute.name,
    tag: attribute.tag ?? null,
    value: attribute.value ?? null,
    because: attribute.because ?? null,
  };
}

function answerAttributes(
  directory: Directory,
  row: SubscriberRow,
  nas: NasEntry,
  profile: CompiledProfile,
  state: AnswerState,
  states: Readonly<Record<string, StateExplanation>>,
  address: AddressExplanation | null,
  prefixes: readonly PrefixExplanation[],
  nowMs: number,
): AnswerAttribute[] {
  const sent = (name: string, value: string | number): AnswerAttribute => ({ name, tag: null, value, because: null });
  const own = address?.source === 'static' || address?.source === 'sticky' || address?.source === 'pool';
  const plan = directory.plan(row.plan_id ?? undefined);
  const timeoutSeconds = sessionTimeoutSeconds(profile.states[state].sessionTimeoutSeconds, state, plan, nowMs);
  return [
    ...(own ? [sent('Framed-IP-Address', address.address ?? `one of the pool ${address.pool ?? ''}`)] : []),
    ...(own && profile.profile.sendNetmask ? [sent('Framed-IP-Netmask', '255.255.255.255')] : []),
    ...(states[state]?.attributes ?? []),
    ...prefixAttributes(prefixes).map(([name, value]) => sent(name, value)),
    sent('Acct-Interim-Interval', nas.interimSeconds),
    ...(timeoutSeconds === undefined ? [] : [sent('Session-Timeout', timeoutSeconds)]),
    sent('Class', 'signed by the server'),
  ];
}
