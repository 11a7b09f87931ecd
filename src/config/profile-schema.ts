/**
 * The keys of a file in `conf/profiles`: how one kind of NAS wants things said.
 *
 * Enters: nothing; this is the table that the reader validates against.
 * Leaves: one strict zod schema. Templates and attribute names are checked by the compiler in `src/nas`, which knows them.
 * Invariant: a state that is left out rejects, except `active`, which must be there and must accept.
 */
import { z } from 'zod';
import {
  type AccountCommandName,
  accountCommandNames,
  type CommandName,
  commandNames,
  type ReadingCommandName,
  readingCommandNames,
} from '../domain/service-state.js';
import { name, onOff, path, wholeNumber } from './setting.js';

// RFC 2865 §5: the value of an attribute has at most 253 octets; a template may be longer than what it becomes.
const maxTemplateLength = 1_024;
// An Access-Accept has 4096 octets in all; more attributes than this never fit.
const maxAttributes = 64;

function isRegularExpression(text: string): boolean {
  try {
    new RegExp(text, 'u');
    return true;
  } catch (error) {
    if (error instanceof SyntaxError) return false;
    throw error;
  }
}

const template = () => z.string().max(maxTemplateLength);

const attribute = z.strictObject({
  name: z.string().min(1).max(128).describe('Name in the dictionary.'),
  value: z
    .union([z.int().min(0).max(4_294_967_295), template(), z.array(template()).min(1).max(8)])
    .describe(
      'A number, a template, or a list of templates of which the first counts whose variables all have a value. When none ' +
        'does, the attribute is left out.',
    ),
  tag: z.int().min(1).max(31).optional().describe('Tag of a tagged attribute (RFC 2868 §3.1).'),
});

const state = z.strictObject({
  answer: z.enum(['accept', 'reject']).describe('What an Access-Request in this state is answered with.'),
  pool: name().optional().describe('Pool that the address is taken from in this state, in place of that of the plan.'),
  prefixes: z
    .boolean()
    .optional()
    .describe(
      'Whether IPv6 prefixes go with the answer. Absent: with that of active alone, since a garden that was made for IPv4 is none for IPv6.',
    ),
  session_timeout_seconds: z
    .int()
    .min(60)
    .max(31_536_000)
    .optional()
    .describe('Session-Timeout in this state: when the NAS should end the session and ask again.'),
  attributes: z.array(attribute).max(maxAttributes).default([]).describe('Sent in this state, in this order.'),
  coa_attributes: z
    .array(attribute)
    .max(maxAttributes)
    .default([])
    .describe(
      'In a CoA-Request these take the place of attributes with the same names: what a new session has by itself and a running ' +
        'one must be told, such as that it leaves a list or has no limit any more.',
    ),
});

const rejecting = () => state.prefault({ answer: 'reject' });

/** The states that a subscriber can be in at an Access-Request, as a profile names them. */
export const profileStates = ['active', 'redirect', 'own_disabled', 'admin_blocked', 'unknown'] as const;

export type ProfileState = (typeof profileStates)[number];

// A command that takes more steps than this is a script: the exec driver runs those.
const maxSteps = 8;
// Lines of one SSH step; a batch of many subscribers is put together by the driver.
const maxLines = 64;

const step = z
  .discriminatedUnion('send', [
    z.strictObject({
      send: z.literal('coa'),
      state: onOff(false, 'coa: send the attributes of the state that is desired now, as an Accept would.'),
      attributes: z.array(attribute).max(maxAttributes).default([]).describe('coa: attributes beside them.'),
    }),
    z.strictObject({ send: z.literal('disconnect') }),
    z.strictObject({
      send: z.literal('ssh'),
      lines: z
        .array(template())
        .min(1)
        .max(maxLines)
        .describe('ssh: command lines; variables are quoted for the dialect.'),
      into: z
        .string()
        .min(1)
        .max(256)
        .regex(/^[\x20-\x7e]+$/u)
        .optional()
        .describe(
          'ssh: a program of the NAS that the lines are the standard input of, such as "nft -f -". Lines of many subscribers go into one run ' +
            'of it; when that fails, into runs of fewer, so each line must be one that can be said twice.',
        ),
    }),
    z.strictObject({ send: z.literal('exec') }),
  ])
  .describe(
    'coa: a CoA-Request. disconnect: a Disconnect-Request. ssh: lines over SSH. exec: the script of the profile or NAS, with the ' +
      'name of the command as its argument and the variables in its environment.',
  );

const command = z.strictObject({
  steps: z.array(step).max(maxSteps).default([]).describe('What is done, in this order.'),
  fallback: z
    .array(step)
    .max(maxSteps)
    .default([])
    .describe('What is done instead when the NAS refuses a step, so that nobody stays as he was.'),
  not_applicable: z
    .string()
    .min(1)
    .max(1_024)
    .optional()
    .describe('In place of steps: why this kind of NAS has nothing to do there.'),
});

const commands = Object.fromEntries(
  [...commandNames, ...accountCommandNames, ...readingCommandNames].map((one) => [one, command.optional()]),
) as Record<CommandName | AccountCommandName | ReadingCommandName, ReturnType<typeof command.optional>>;

const enforcement = z
  .strictObject({
    place: z
      .enum(['session', 'provisioned'])
      .describe('session: a RADIUS session is commanded. provisioned: entries that we put there and take away.'),
    disconnect_on_stop: z
      .boolean()
      .optional()
      .describe(
        'Whether user_disconnect follows the end of a session: at a session place an Accounting-Stop, to be sure that it is gone; at an entry whatever ended the last ' +
          'session, so that nobody is let in by it any more. Absent: at entries it does, at sessions it does not.',
      ),
  })
  .optional()
  .describe('How the network follows the database. Absent: this kind of NAS is never commanded.');

const coa = z
  .strictObject({
    port: wholeNumber(
      { min: 1, max: 65_535, default: 3_799 },
      'UDP port for CoA and Disconnect (RFC 5176 §2.1; older Cisco: 1700).',
    ),
    identify: z
      .array(
        z.enum([
          'Acct-Session-Id',
          'User-Name',
          'Framed-IP-Address',
          'NAS-Port-Id',
          'Calling-Station-Id',
          'NAS-Identifier',
          'NAS-IP-Address',
        ]),
      )
      .min(1)
      .max(7)
      .default(['Acct-Session-Id'])
      .describe('Attributes that name the session. NASes refuse both missing and superfluous ones.'),
    merge: onOff(true, 'Put coa steps that follow one another into one CoA-Request.'),
    message_authenticator: onOff(true, 'Sign commands with Message-Authenticator too (RFC 5176 §3.4).'),
    event_timestamp: onOff(true, 'Say in Event-Timestamp when a command was made, against replays (RFC 5176 §3.3).'),
    read_back_percent: wholeNumber(
      { min: 0, max: 100, default: 0 },
      'Of how many acknowledged commands the NAS is asked by user_info whether it did them: for boxes that acknowledge what they did not do. Needs [read_back].',
    ),
    gone_is_certain: onOff(
      false,
      'Session Context Not Found (503) is believed at once, without waiting for a missed interim.',
    ),
  })
  .prefault({})
  .describe('CoA and Disconnect of this kind of NAS.');

// Patterns run over whatever a router prints: short ones cannot be made to take long by accident.
const pattern = () =>
  z
    .string()
    .min(1)
    .max(512)
    .refine(isRegularExpression, {
      message: 'is not a regular expression',
      params: { remedy: 'escape ( ) [ ] { } . * + ? with \\\\' },
    });

const ssh = z
  .strictObject({
    dialect: z.enum(['posix', 'routeros', 'ios']).default('posix').describe('How values are quoted in command lines.'),
    mode: z
      .enum(['exec', 'prompt'])
      .default('exec')
      .describe('exec: each batch is one command. prompt: lines are typed one by one, and the prompt is waited for.'),
    prompt: pattern()
      .optional()
      .describe('prompt: what the end of the output looks like when the next line may be typed.'),
    prologue: z.array(template()).max(maxLines).default([]).describe('Lines before each batch.'),
    epilogue: z.array(template()).max(maxLines).default([]).describe('Lines after each batch.'),
    error: z.array(pattern()).max(32).default([]).describe('Output that means failure, whatever the exit code.'),
    success: pattern().optional().describe('Output that must be there for success.'),
    ignore: z
      .array(pattern())
      .max(32)
      .default([])
      .describe('Errors that mean that it is so already: removing what is not there, adding what is.'),
    batch_lines: wholeNumber({ min: 1, max: 10_000, default: 500 }, 'Lines at most in one exchange.'),
  })
  .prefault({})
  .describe('Commands over SSH.');

const exec = z
  .strictObject({
    script: path().optional().describe('Program that is run, relative to the conf folder. A NAS may name its own.'),
    timeout_seconds: wholeNumber(
      { min: 1, max: 600, default: 30 },
      'A script that runs longer is killed; the command may have happened.',
    ),
  })
  .prefault({})
  .describe(
    'Commands by a local script: exit 0 is success, 143 or 254 asks to be called again later, anything else has failed.',
  );

const listing = z
  .strictObject({
    entry: pattern()
      .optional()
      .describe(
        'How one line of the list looks, as a regular expression with named groups: address, subscriber (the number in our mark), and where the list ' +
          'has them added, blocked, redirect, own_disabled (set when the group matches anything), down and up (bit/s, or with k, M or G). Lines that do ' +
          'not match are passed over. Absent: the form that docs/nas-commands.md describes.',
      ),
    merge: onOff(
      false,
      'Several lines may tell of one entry, each a part: a flag, the rate, or by added that it is there itself. What none of them says is not so. Needs entry.',
    ),
    only_served: onOff(false, 'Whoever may not use the service is not in the list at all.'),
  })
  .refine(({ merge, entry }) => !merge || entry !== undefined, {
    path: ['merge'],
    message: 'is for lists that entry reads, and there is none',
    params: { remedy: 'write listing.entry, or remove this key' },
  })
  .prefault({})
  .describe('How the output of users_from_nas is read.');

const readBack = z
  .strictObject({
    there: pattern().describe(
      'What user_info prints of a session that is there: a regular expression over all of its output, ^ and $ at each line, with named groups for what ' +
        'it shows: blocked, redirect, own_disabled (set when the group matches anything), down and up (a number; 0 is unlimited).',
    ),
    gone: pattern().describe(
      'What it prints of one that is not there. Output that neither of the two matches proves nothing.',
    ),
    rate_unit_bps: wholeNumber({ min: 1, max: 1_000_000_000, default: 1 }, 'In what down and up are shown, bit/s.'),
    after_ms: wholeNumber(
      { min: 0, max: 10_000, default: 1_000 },
      'How long the NAS may take to do what it acknowledged.',
    ),
  })
  .optional()
  .describe(
    'How the output of user_info is read when it is looked whether a CoA or Disconnect was done (coa.read_back_percent).',
  );

/** One profile. */
export const profileSchema = z.strictObject({
  description: z.string().max(1_024).describe('What kind of NAS this is for, in a sentence.'),
  channel: z.enum(['vpn', 'dhcp']).describe('vpn: sessions are PPP. dhcp: sessions are IPoE, one per lease.'),
  identity: z
    .array(z.enum(['login', 'mac', 'line', 'address']))
    .min(1)
    .max(4)
    .default(['login'])
    .describe(
      'What a subscriber is looked up by, in this order. line: the switch or ONU and port that option 82 tells, as lines.toml reads it. Without line, access ' +
        'lines are not looked at.',
    ),
  option82_auth: z
    .enum(['port', 'port-mac', 'mac'])
    .default('port')
    .describe(
      'With line: what counts for subscribers who have a device and no option82_auth of their own. port: the line alone. port-mac: line and MAC, which must both fit. ' +
        'mac: the MAC alone.',
    ),
  interim_floor_seconds: z
    .int()
    .min(60)
    .max(86_400)
    .default(60)
    .describe('Never ask this kind of NAS for interim updates more often.'),
  send_netmask: onOff(false, 'Send Framed-IP-Netmask with the address.'),
  service_type: z.string().min(1).max(128).optional().describe('Service-Type of an Accept; absent: none is sent.'),
  framed_protocol: z
    .string()
    .min(1)
    .max(128)
    .optional()
    .describe('Framed-Protocol of an Accept; absent: none is sent.'),
  nas_pool: attribute
    .prefault({ name: 'Framed-Pool', value: '${nas_pool}' })
    .describe('How the NAS is told to take the address from a pool of its own.'),
  prefix_attributes: z
    .array(attribute)
    .max(8)
    .prefault([
      { name: 'Framed-IPv6-Prefix', value: '${framed_prefix}' },
      { name: 'Delegated-IPv6-Prefix', value: '${delegated_prefix}' },
    ])
    .describe('How the NAS is told the IPv6 prefixes of a subscriber who has any.'),
  realm: z
    .strictObject({
      handling: z
        .enum(['keep', 'strip'])
        .default('keep')
        .describe('keep: the whole User-Name is the login. strip: the realm is taken off first.'),
      suffix_separators: z
        .string()
        .max(8)
        .default('@')
        .describe('Characters before a realm at the end; the last one in the name counts.'),
      prefix_separators: z
        .string()
        .max(8)
        .default('\\')
        .describe('Characters after a realm at the beginning; the first one in the name counts.'),
      only: z
        .array(z.string().min(1).max(253))
        .max(256)
        .default([])
        .describe('Realms that are taken off, in any case of letters; empty: every one.'),
    })
    .prefault({})
    .describe('How a realm in User-Name is treated.'),
  mac: z
    .strictObject({
      formats: z
        .array(z.enum(['colon', 'hyphen', 'dot', 'bare']))
        .min(1)
        .max(4)
        .default(['colon', 'hyphen', 'dot', 'bare'])
        .describe('Forms in which a MAC is recognised: 00:11:22:33:44:55, 00-11-…, 0011.2233.4455, 001122334455.'),
      sources: z
        .array(z.enum(['User-Name', 'Calling-Station-Id']))
        .min(1)
        .max(2)
        .default(['User-Name', 'Calling-Station-Id'])
        .describe('Attributes that a MAC is taken from, in this order.'),
    })
    .prefault({})
    .describe('Where the MAC of a subscriber stands and how it is written.'),
  mac_authorisation: z
    .strictObject({
      no_password: z
        .array(z.enum(['absent', 'empty', 'mac', 'user-name']))
        .max(4)
        .default([])
        .describe(
          'Which User-Password means that the NAS vouches for the line and asks for no password: none at all, an empty one, ' +
            'the MAC itself, or the User-Name again. Empty list: every request needs the password of the subscriber.',
        ),
    })
    .prefault({})
    .describe('Requests without a password, for IPoE: of whoever is found by MAC or by access line.'),
  state: z
    .strictObject({
      active: state.describe('May use the service: the rate of the plan.'),
      redirect: rejecting().describe('In the walled garden: no money, or a limit reached.'),
      own_disabled: rejecting().describe('Voluntarily blocked.'),
      admin_blocked: rejecting().describe('Blocked by the administration.'),
      unknown: rejecting().describe('A login or MAC that nobody has.'),
    })
    .describe('What is answered in each state. A deleted subscriber is always rejected.'),
  enforcement,
  coa,
  ssh,
  exec,
  listing,
  read_back: readBack,
  command: z
    .strictObject(commands)
    .prefault({})
    .describe('What is done to the NAS when the state of a subscriber changes.'),
});

/** A validated profile, keys as written in the file. */
export type ProfileFile = z.output<typeof profileSchema>;
