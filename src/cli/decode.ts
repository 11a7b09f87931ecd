/**
 * `decode`: packets as text, with what a secret says about their signatures.
 *
 * Enters: octets of packets. Leaves: one block of lines, or one JSON object, for each.
 * Invariant: keys and responses are never shown, a User-Password only when that was asked for in so many words and the secret
 * is right; nothing that a packet carries is obeyed by a terminal.
 */
import { codeName } from '../radius/code.js';
import { Attribute } from '../radius/attribute-number.js';
import { decodeAttributes, type DecodedAttribute } from '../radius/decode-attribute.js';
import { describeAttribute, describePacket } from '../radius/describe.js';
import type { Dictionary } from '../radius/dictionary.js';
import { parsePacket } from '../radius/packet.js';
import type { Packet } from '../radius/packet.js';
import { SharedSecret } from '../radius/shared-secret.js';
import { quotedText } from '../radius/value-text.js';
import type { CommandContext } from './command-context.js';
import { CommandError, UsageError } from './command-error.js';
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
  readonly showPasswords?: boolean;
}

/** A packet with what is known of it. */
interface Judged {
  readonly input: DecodeInput;
  readonly verdict: PacketVerdict | undefined;
}

/** Names and types, and the secret when User-Password is to be shown. */
interface Showing {
  readonly dictionary: Dictionary;
  readonly revealing: SharedSecret | undefined;
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
  if (options.showPasswords === true && options.secretFile === undefined)
    throw new UsageError('--show-passwords needs the secret that hides them', 'name its file with --secret-file');
  const secret =
    options.secretFile === undefined ? undefined : new SharedSecret(await readSecretFile(options.secretFile));
  const { packets, leftOut } = await readDecodeInput(context.io, named);
  if (leftOut.length > 0) context.remark(`not shown: ${leftOut.join(', ')}`);
  if (packets.length === 0) throw new CommandError('there is no RADIUS packet in it');
  const judge = secret === undefined ? undefined : new SignatureJudge(secret);
  const judged = packets.map((input) => ({
    input,
    verdict: judge?.judge(input.octets, input.source ?? '', input.destination ?? ''),
  }));
  if (options.showPasswords === true) context.remark('warning: passwords are shown');
  const showing = {
    dictionary: toolDictionary(),
    revealing: options.showPasswords === true ? secret : undefined,
  };
  if (context.json) await context.printJson(judged.map((one) => plainPacket(showing, one)));
  else await printPackets(context, showing, judged);
  const wrong = judged.filter(({ verdict }) => hasWrong(verdict)).length;
  if (wrong > 0)
    throw new CommandError(
      `${count(wrong, 'packet')} of ${String(judged.length)} ${wrong === 1 ? 'has' : 'have'} a wrong signature`,
      'compare the secret with that of the NAS',
    );
}

async function printPackets(context: CommandContext, showing: Showing, judged: readonly Judged[]): Promise<void> {
  for (const [index, { input, verdict }] of judged.entries()) {
    if (index > 0) await context.print('');
    if (input.source !== undefined) {
      const at = input.atMs === undefined ? '' : `${new Date(input.atMs).toISOString()} `;
      await context.print(`${at}${input.source} -> ${input.destination ?? ''}`);
    }
    const parsed = parsePacket(input.octets);
    const [head = ''] = describePacket(showing.dictionary, input.octets).split('\n', 1);
    await context.print(printable(head));
    if (!parsed.ok) continue;
    for (const attribute of shownAttributes(showing, parsed.packet, verdict))
      await context.print(printable(`  ${describeAttribute(attribute)}`));
    for (const line of verdict === undefined ? [] : verdictLines(verdict)) await context.print(`  (${line})`);
  }
}

/** As decoded, with the User-Password in place of `<hidden>` where it is asked for and can be had. */
function shownAttributes(
  { dictionary, revealing }: Showing,
  packet: Packet,
  verdict: PacketVerdict | undefined,
): DecodedAttribute[] {
  const attributes = decodeAttributes(dictionary, packet);
  const hiddenWith = verdict?.hiddenWith;
  if (revealing === undefined || hiddenWith === undefined) return attributes;
  return attributes.map((attribute) => {
    const isPassword = attribute.vendor === 0 && attribute.path[0] === Attribute.userPassword;
    const password = isPassword ? revealing.revealPassword(attribute.octets, hiddenWith) : undefined;
    return password === undefined ? attribute : { ...attribute, text: quotedText(password) };
  });
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

function plainPacket(showing: Showing, { input, verdict }: Judged): object {
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
    attributes: shownAttributes(showing, packet, verdict).map(({ name, tag, text }) => ({
      name,
      tag: tag ?? null,
      value: text,
    })),
    authenticator: verdict?.authenticator ?? null,
    message_authenticator: verdict?.messageAuthenticator ?? null,
  };
}
