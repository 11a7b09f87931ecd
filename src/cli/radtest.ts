/**
 * `radtest`: asks a RADIUS server as a NAS would.
 *
 * Enters: a login, options, a password. Leaves: the verified reply as text; exit code 0 for yes, 1 for no, 3 for silence.
 * Invariant: password and secret are never shown, and taken from an argument only with a warning; no reply is believed whose
 * signatures do not hold.
 */
import { lookup } from 'node:dns/promises';
import { isIP } from 'node:net';
import { join } from 'node:path';
import { buildSourceTable } from '../config/source-table.js';
import { Code, codeName } from '../radius/code.js';
import { decodeAttributes } from '../radius/decode-attribute.js';
import { describePacket } from '../radius/describe.js';
import { headerOctets } from '../radius/packet.js';
import type { Packet } from '../radius/packet.js';
import { maxSecretOctets, SharedSecret } from '../radius/shared-secret.js';
import { parseAddress, parseWholeNumber } from './assignments.js';
import type { CommandContext } from './command-context.js';
import { CommandError, UsageError } from './command-error.js';
import { lineOctetsOf } from './line-options.js';
import { askHidden, longestPasswordOctets, readInputLines } from './password-input.js';
import { printable } from './printable.js';
import { peerDisagreement } from './radius-peer.js';
import { exchange } from './radius-exchange.js';
import type { ExchangeResult } from './radius-exchange.js';
import { accessTestRequest, accountingKinds, accountingTestRequest, passwordMethods } from './radtest-request.js';
import type { AccountingKind, RequestNames, TestRequest } from './radtest-request.js';
import { readSecretFile } from './secret-file.js';
import { toolDictionary } from './tool-dictionary.js';

/** The options of `radtest`, as typed. */
export interface RadtestOptions {
  readonly server?: string;
  readonly method?: string;
  readonly secretFile?: string;
  readonly secretStdin?: boolean;
  readonly secret?: string;
  readonly password?: string | false;
  readonly passwordStdin?: boolean;
  readonly nasIdentifier?: string;
  readonly nasIpAddress?: string;
  readonly nasPortId?: string;
  readonly callingStation?: string;
  readonly calledStation?: string;
  readonly framedAddress?: string;
  readonly circuitId?: string;
  readonly remoteId?: string;
  readonly accounting?: string;
  readonly sessionId?: string;
  readonly sessionTime?: string;
  readonly inputOctets?: string;
  readonly outputOctets?: string;
  readonly timeout?: string;
  readonly attempts?: string;
}

/** The exit code for silence; a Reject is 1, as everything that failed. */
const noAnswerExitCode = 3;

/** Nobody answered. */
class NoAnswerError extends CommandError {
  override readonly name = 'NoAnswerError';
  override readonly exitCode = noAnswerExitCode;
}

/** A held Reject takes two seconds at most with the usual settings, s. */
const defaultTimeoutSeconds = 3;
const defaultAttempts = 3;
const mostSeconds = 60;
const mostAttempts = 10;
/** The longest value of one attribute (RFC 2865 §5), octets. */
const longestValueOctets = 253;
/** 2⁵³ − 1 is what a number holds exactly; the digits of an octet count are fewer, octets. */
const mostOctets = 999_999_999_999_999;

interface Target {
  readonly address: string;
  readonly port: number;
  readonly family: 4 | 6;
}

/** Sends one request and shows the reply. */
export async function radtest(context: CommandContext, login: string, options: RadtestOptions): Promise<void> {
  const accounting = oneOf('--accounting', options.accounting, accountingKinds);
  const method = oneOf('--method', options.method, passwordMethods) ?? 'pap';
  const names = namesOf(login, options);
  const timeoutMs = wholeNumber('--timeout', options.timeout, defaultTimeoutSeconds, 1, mostSeconds) * 1000;
  const attempts = wholeNumber('--attempts', options.attempts, defaultAttempts, 1, mostAttempts);
  const target = await targetOf(context, options.server, accounting === undefined ? 'auth' : 'accounting');
  const typed = await typedOf(context, options, accounting === undefined);
  const secret = await secretOf(context, options, typed.secret, target.address);
  const request =
    accounting === undefined
      ? accessTestRequest(secret, names, method, await passwordOf(context, options, typed.password))
      : accountingTestRequest(secret, names, accounting, sessionOf(login, options));
  const result = await exchange({
    ...target,
    secret: new SharedSecret(secret),
    bytes: request.bytes,
    timeoutMs,
    attempts,
  });
  if (!result.ok) throw silence(target, result);
  await show(context, request, result);
  judge(login, request, result.reply, accounting);
}

function oneOf<Value extends string>(
  option: string,
  text: string | undefined,
  values: readonly Value[],
): Value | undefined {
  if (text === undefined) return undefined;
  const value = values.find((one) => one === text);
  if (value === undefined) throw new UsageError(`${option} is '${text}'`, `write one of ${values.join(', ')}`);
  return value;
}

function wholeNumber(option: string, text: string | undefined, otherwise: number, least: number, most: number): number {
  return text === undefined ? otherwise : parseWholeNumber(option, text, least, most);
}

function namesOf(login: string, options: RadtestOptions): RequestNames {
  const address = (option: string, text: string | undefined): string | undefined =>
    text === undefined ? undefined : parseAddress(option, text);
  return {
    login: valueText('the login', login) ?? '',
    nasIdentifier: valueText('--nas-identifier', options.nasIdentifier) ?? 'radtest',
    nasIpAddress: address('--nas-ip-address', options.nasIpAddress),
    nasPortId: valueText('--nas-port-id', options.nasPortId),
    callingStation: valueText('--calling-station', options.callingStation),
    calledStation: valueText('--called-station', options.calledStation),
    framedAddress: address('--framed-address', options.framedAddress),
    ...lineOctetsOf(options),
  };
}

function valueText(option: string, text: string | undefined): string | undefined {
  if (text === undefined) return undefined;
  const octets = Buffer.byteLength(text, 'utf8');
  if (octets < 1 || octets > longestValueOctets)
    throw new UsageError(
      `${option} has ${String(octets)} octets`,
      `an attribute has 1 to ${String(longestValueOctets)} of them`,
    );
  return text;
}

function sessionOf(login: string, options: RadtestOptions): Parameters<typeof accountingTestRequest>[3] {
  const octets = (option: string, text: string | undefined): number => wholeNumber(option, text, 0, 0, mostOctets);
  return {
    // The same for Start, Interim-Update and Stop of one login, so that three commands are one session.
    acctSessionId: valueText('--session-id', options.sessionId) ?? `radtest-${login}`.slice(0, 64),
    sessionSeconds: wholeNumber('--session-time', options.sessionTime, 0, 0, 0xffff_ffff),
    inputOctets: octets('--input-octets', options.inputOctets),
    outputOctets: octets('--output-octets', options.outputOctets),
  };
}

/** Where to: what the option says, else what the configuration listens on. */
async function targetOf(
  context: CommandContext,
  server: string | undefined,
  port: 'auth' | 'accounting',
): Promise<Target> {
  if (server === undefined) {
    const endpoint = (await context.settings()).radius[port][0];
    if (endpoint === undefined)
      throw new CommandError('the configuration listens nowhere', 'say where the server is with --server');
    const unspecified = { '0.0.0.0': '127.0.0.1', '::': '::1' }[endpoint.address];
    const family = endpoint.family === 'ipv6' ? 6 : 4;
    return { address: unspecified ?? endpoint.address, port: endpoint.port, family };
  }
  const match = /^(?:\[(?<v6>[^\]]+)\]|(?<name>[^:[\]]+))(?::(?<port>\d{1,5}))?$/u.exec(server);
  const host = match?.groups?.['v6'] ?? match?.groups?.['name'] ?? (isIP(server) === 6 ? server : undefined);
  const number = Number(match?.groups?.['port'] ?? (port === 'auth' ? 1812 : 1813));
  if (host === undefined || number < 1 || number > 65_535)
    throw new UsageError(
      `--server is '${server}'`,
      'write it like 10.0.0.1:1812, [2001:db8::1]:1812 or radius.example',
    );
  try {
    const { address, family } = await lookup(host);
    return { address, port: number, family: family === 6 ? 6 : 4 };
  } catch {
    throw new CommandError(`the name ${host} has no address`, 'correct --server');
  }
}

/** What standard input has for us: the secret first, then the password. */
async function typedOf(
  context: CommandContext,
  options: RadtestOptions,
  isAccess: boolean,
): Promise<{ readonly secret: string | undefined; readonly password: string | undefined }> {
  const secrets = [options.secretFile, options.secretStdin, options.secret].filter((one) => one !== undefined);
  if (secrets.length > 1) throw new UsageError('the secret is given in several ways', 'choose one');
  if (typeof options.password === 'string' && options.passwordStdin === true)
    throw new UsageError('--password and --password-stdin are both given', 'choose one');
  for (const [option, value] of [
    ['--secret', options.secret],
    ['--password', options.password],
  ] as const)
    if (typeof value === 'string')
      context.remark(`warning: everybody on this machine can see ${option} in the process list; use ${option}-stdin`);
  const wantsPassword = isAccess && options.passwordStdin === true && options.password !== false;
  const wanted = Number(options.secretStdin === true) + Number(wantsPassword);
  const lines = wanted === 0 ? [] : await readInputLines(context.io, wanted);
  const secret = options.secretStdin === true ? (lines.shift() ?? '') : undefined;
  return { secret, password: wantsPassword ? (lines.shift() ?? '') : undefined };
}

/** The secret as given; for a server of this configuration that is asked over loopback, the one in nas.d. */
async function secretOf(
  context: CommandContext,
  options: RadtestOptions,
  typed: string | undefined,
  address: string,
): Promise<Buffer> {
  if (options.secretFile !== undefined) return await readSecretFile(options.secretFile);
  const given = typed ?? options.secret;
  if (given !== undefined) return givenSecret(given);
  if (!address.startsWith('127.') && address !== '::1')
    throw new UsageError('the secret is not known', 'name the file that holds it with --secret-file');
  const group = buildSourceTable((await context.config()).nas, (secret) => secret).lookup(address);
  const secret = group?.secrets[0];
  if (secret === undefined)
    throw new CommandError(
      `${join(context.confDir, 'nas.d')} has no NAS at ${address}`,
      'name the file of the secret with --secret-file',
    );
  return secret.octets();
}

function givenSecret(text: string): Buffer {
  const secret = Buffer.from(text, 'utf8');
  if (secret.length >= 1 && secret.length <= maxSecretOctets) return secret;
  throw new CommandError(
    secret.length === 0 ? 'the secret is empty' : `the secret has ${String(secret.length)} octets`,
    `a secret has 1 to ${String(maxSecretOctets)} of them`,
  );
}

async function passwordOf(
  context: CommandContext,
  options: RadtestOptions,
  typed: string | undefined,
): Promise<string | undefined> {
  if (options.password === false) return undefined;
  const { io } = context;
  const given = typed ?? options.password;
  if (given === undefined && io.stdin.isTTY !== true)
    throw new CommandError(
      'there is no terminal to ask for the password on',
      'use --password-stdin, or --no-password for a subscriber who is known by MAC',
    );
  const password = given ?? (await askHidden(io, 'Password: '));
  const octets = Buffer.byteLength(password, 'utf8');
  if (octets < 1 || octets > longestPasswordOctets)
    throw new CommandError(
      octets === 0 ? 'the password is empty' : `the password has ${String(octets)} octets`,
      `User-Password carries 1 to ${String(longestPasswordOctets)}; --no-password sends none`,
    );
  return password;
}

async function show(
  context: CommandContext,
  request: TestRequest,
  result: Extract<ExchangeResult, { ok: true }>,
): Promise<void> {
  const dictionary = toolDictionary();
  const { reply } = result;
  const elapsedMs = Math.round(result.elapsedMs * 10) / 10;
  const disagreement = peerDisagreement(reply.bytes.subarray(0, reply.length), codeName(reply.code));
  if (disagreement !== undefined)
    context.remark(`warning: the package radius reads this reply in another way: ${disagreement}`);
  if (request.bytes[0] === Code.accessRequest && reply.messageAuthenticatorOffset !== headerOctets)
    context.remark('warning: the reply does not begin with a Message-Authenticator (BlastRADIUS)');
  if (context.json) {
    await context.printJson({
      code: codeName(reply.code),
      elapsed_ms: elapsedMs,
      attempts: result.attempts,
      attributes: decodeAttributes(dictionary, reply).map(({ name, tag, text }) => ({
        name,
        tag: tag ?? null,
        value: text,
      })),
    });
    return;
  }
  for (const line of describePacket(dictionary, reply.bytes).split('\n')) await context.print(printable(line));
  await context.print(
    `  (the signatures are right; ${String(elapsedMs)} ms${result.attempts === 1 ? '' : `, at attempt ${String(result.attempts)}`})`,
  );
}

function judge(login: string, request: TestRequest, reply: Packet, accounting: AccountingKind | undefined): void {
  const expected = accounting === undefined ? Code.accessAccept : Code.accountingResponse;
  if (reply.code !== expected)
    throw new CommandError(
      accounting === undefined ? `'${login}' is not accepted` : `the answer is ${codeName(reply.code)}`,
      accounting === undefined ? 'ask why with: sluice explain LOGIN' : '',
    );
  if (request.serverProof?.(reply) === false)
    throw new CommandError(
      'the server did not prove that it knows the password: its MS-CHAP2-Success is missing or wrong',
      'a client would refuse this Accept',
    );
}

function silence(target: Target, { ignored, refused }: Extract<ExchangeResult, { ok: false }>): NoAnswerError {
  const where = `${target.address} port ${String(target.port)}`;
  if (ignored > 0)
    return new NoAnswerError(
      `${where} answered ${String(ignored)} times with a signature that is wrong`,
      'compare the secret with that of the server',
    );
  if (refused) return new NoAnswerError(`nobody listens at ${where}`, 'start the server, or correct --server');
  return new NoAnswerError(
    `${where} does not answer`,
    'a server is silent when it does not know the NAS or the secret is wrong: look at its log',
  );
}
