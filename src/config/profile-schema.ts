/**
 * The keys of a file in `conf/profiles`: how one kind of NAS wants things said.
 *
 * Enters: nothing; this is the table that the reader validates against.
 * Leaves: one strict zod schema. Templates and attribute names are checked by the compiler in `src/nas`, which knows them.
 * Invariant: a state that is left out rejects, except `active`, which must be there and must accept.
 */
import { z } from 'zod';
import { name, onOff } from './setting.js';

// RFC 2865 §5: the value of an attribute has at most 253 octets; a template may be longer than what it becomes.
const maxTemplateLength = 1_024;
// An Access-Accept has 4096 octets in all; more attributes than this never fit.
const maxAttributes = 64;

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
  session_timeout_seconds: z
    .int()
    .min(60)
    .max(31_536_000)
    .optional()
    .describe('Session-Timeout in this state: when the NAS should end the session and ask again.'),
  attributes: z.array(attribute).max(maxAttributes).default([]).describe('Sent in this state, in this order.'),
});

const rejecting = () => state.prefault({ answer: 'reject' });

/** The states that a subscriber can be in at an Access-Request, as a profile names them. */
export const profileStates = ['active', 'redirect', 'own_disabled', 'admin_blocked', 'unknown'] as const;

export type ProfileState = (typeof profileStates)[number];

/** One profile. */
export const profileSchema = z.strictObject({
  description: z.string().max(1_024).describe('What kind of NAS this is for, in a sentence.'),
  channel: z.enum(['vpn', 'dhcp']).describe('vpn: sessions are PPP. dhcp: sessions are IPoE, one per lease.'),
  identity: z
    .array(z.enum(['login', 'mac', 'address']))
    .min(1)
    .max(3)
    .default(['login'])
    .describe('What a subscriber is looked up by, in this order.'),
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
        .array(z.enum(['absent', 'empty', 'mac']))
        .max(3)
        .default([])
        .describe(
          'Which User-Password means that the NAS vouches for the line and asks for no password: none at all, an empty one, ' +
            'or the MAC itself. Empty list: every request needs the password of the subscriber.',
        ),
    })
    .prefault({})
    .describe('Requests without a password, for IPoE.'),
  state: z
    .strictObject({
      active: state.describe('May use the service: the rate of the plan.'),
      redirect: rejecting().describe('In the walled garden: no money, or a limit reached.'),
      own_disabled: rejecting().describe('Voluntarily blocked.'),
      admin_blocked: rejecting().describe('Blocked by the administration.'),
      unknown: rejecting().describe('A login or MAC that nobody has.'),
    })
    .describe('What is answered in each state. A deleted subscriber is always rejected.'),
});

/** A validated profile, keys as written in the file. */
export type ProfileFile = z.output<typeof profileSchema>;
