/**
 * `decode`: packets as text, with what a secret says about their signatures.
 *
 * Enters: octets of packets. Leaves: one block of lines, or one JSON object, for each.
 * Invariant: passwords and keys are never shown, with or without a secret; nothing that a packet carries is obeyed by a terminal.
 */
import { codeName } from '../radius/code.js';
import { decodeAttributes } from '../radius/decode-attribute.js';
import { describePacket } from '../radius/describe.js';
import type { Dictionary } from '../radius/dictionary.js';
import { parsePacket } from '../radius/packet.js';
import { SharedSecret } from '../radius/shared-secret.js';
import type { CommandContext } from './command-context.js';
import { CommandError } from './command-error.js';
import { readDecodeInput } from './decode-input.js';
import type { DecodeInput } from './decode-input.js';
import { SignatureJudge } from './decode-verdict.js';
import type { PacketVerdict } from './decode-verdict.js';
import { count } from './display.js';
import { printable } from './printable.js';
import { readSecretFile } from './secret-file.js';
import { toolDictionary } from './tool-dictionary.js';

/** The options of `decode`, as typed. */
export interface DecodeOptions {
  readonly secretFile?: string;
}

/**
 * Decodes what the argument names.
 *
 * @throws CommandError when a secret was given and a signature is wrong, after everything has been shown
 */
export async function decodePackets(
  context: CommandContext,
  named: string | undefined,
  options: DecodeOptions,
): Promise<void> {
  const secret =
    options.secretFile === undefined ? undefined : new SharedSecret(await readSecretFile(options.secretFile));
  const inputs = await readDecodeInput(context.io, named);
  if (inputs.length === 0) throw new CommandError('there is no RADIUS packet in it');
  const dictionary = toolDictionary();
  const judge = secret === undefined ? undefined : new SignatureJudge(secret);
  const judged = inputs.map((input) => ({
    input,
    verdict: judge?.judge(input.octets, input.source ?? '', input.destination ?? ''),
  }));
  if (context.json)
    await context.printJson(judged.map(({ input, verdict }) => plainPacket(dictionary, input, verdict)));
  else await printPackets(context, dictionary, judged);
  const wrong = judged.filter(({ verdict }) => hasWrong(verdict)).length;
  if (wrong > 0)
    throw new CommandError(
      `${count(wrong, 'packet')} of ${String(judged.length)} ${wrong === 1 ? 'has' : 'have'} a wrong signature`,
      'compare the secret with that of the NAS',
    );
}

async function printPackets(
  context: CommandContext,
  dictionary: Dictionary,
  judged: readonly { readonly input: DecodeInput; readonly verdict: PacketVerdict | undefined }[],
): Promise<void> {
  for (const [index, { input, verdict }] of judged.entries()) {
    if (index > 0) await context.print('');
    if (input.atMs !== undefined)
      await context.print(`${new Date(input.atMs).toISOString()} ${input.source ?? ''} -> ${input.destination ?? ''}`);
    for (const line of describePacket(dictionary, input.octets).split('\n')) await context.print(printable(line));
    for (const line of verdict === undefined ? [] : verdictLines(verdict)) await context.print(`  (${line})`);
  }
}

function verdictLines({ authenticator, messageAuthenticator }: PacketVerdict): string[] {
  const meaning = {
    right: 'the authenticator is right',
    wrong: 'the authenticator is WRONG',
    unknown: 'the authenticator cannot be judged without the request',
    random: 'the authenticator is a random number, no signature',
  }[authenticator];
  if (messageAuthenticator === null) return [meaning, 'there is no Message-Authenticator'];
  return [
    meaning,
    {
      right: 'the Message-Authenticator is right',
      wrong: 'the Message-Authenticator is WRONG',
      unknown: 'the Message-Authenticator cannot be judged without the request',
    }[messageAuthenticator],
  ];
}

function hasWrong(verdict: PacketVerdict | undefined): boolean {
  return verdict?.authenticator === 'wrong' || verdict?.messageAuthenticator === 'wrong';
}

function plainPacket(dictionary: Dictionary, input: DecodeInput, verdict: PacketVerdict | undefined): object {
  const way = {
    at: input.atMs === undefined ? null : new Date(input.atMs),
    source: input.source ?? null,
    destination: input.destination ?? null,
  };
  const parsed = parsePacket(input.octets);
  if (!parsed.ok) return { ...way, problem: parsed.reason, octets: input.octets.length };
  const { packet } = parsed;
  return {
    ...way,
    code: codeName(packet.code),
    identifier: packet.identifier,
    length: packet.length,
    attributes: decodeAttributes(dictionary, packet).map(({ name, tag, text }) => ({
      name,
      tag: tag ?? null,
      value: text,
    })),
    authenticator: verdict?.authenticator ?? null,
    message_authenticator: verdict?.messageAuthenticator ?? null,
  };
}
