/**
 * The keys of a file in `conf/nas.d`: one NAS, or a network of equal ones.
 *
 * Enters: nothing; this is the table that the reader validates against and that the documentation is made from.
 * Leaves: one strict zod schema.
 * Invariant: an address comes out as a network, a secret as a `SecretValue`; neither a missing nor a second one passes.
 */
import { z } from 'zod';
import { formatIpAddress, parseIpAddress } from './ip-network.js';
import { SecretValue, maxSecretOctets } from './secret-value.js';
import { name, network, onOff, path, wholeNumber } from './setting.js';

// One NAS with more source addresses than this is a network.
const maxAddresses = 256;

function address() {
  return z.string().transform((text, context) => {
    const parsed = parseIpAddress(text);
    if (parsed !== undefined) return formatIpAddress(parsed);
    context.addIssue({
      code: 'custom',
      message: 'is not an IP address',
      params: { remedy: 'write one such as "10.0.0.2"' },
    });
    return z.NEVER;
  });
}

function secret() {
  return z.string().transform((text, context): SecretValue => {
    const value = SecretValue.of(text);
    if (value.length <= maxSecretOctets) return value;
    context.addIssue({
      code: 'custom',
      message: `is longer than ${maxSecretOctets} octets`,
      params: { remedy: 'use 24 to 64 random octets' },
    });
    return z.NEVER;
  });
}

/** One entry of `conf/nas.d`. */
export const nasSchema = z.strictObject({
  name: name().describe('Names the NAS in the database, in logs, metrics and on pages. Unique.'),
  address: z
    .union([network(), z.array(network()).min(1).max(maxAddresses)])
    .describe(
      'Where its packets come from: an address, a network, or a list of them. Of two networks that overlap the longer ' +
        'prefix counts.',
    ),
  nas_identifier: z
    .string()
    .min(1)
    .max(253)
    .optional()
    .describe('Tells several behind one address apart: the NAS-Identifier that this one sends, letter by letter.'),
  nas_ip_address: z
    .string()
    .transform((text, context) => {
      const address = parseIpAddress(text);
      if (address?.family === 4) return address;
      context.addIssue({
        code: 'custom',
        message: 'is not an IPv4 address',
        params: { remedy: 'write the NAS-IP-Address that this NAS sends, such as "10.0.0.2"' },
      });
      return z.NEVER;
    })
    .optional()
    .describe('Tells several behind one address apart: the NAS-IP-Address that this one sends.'),
  secret: z
    .union([secret(), z.array(secret()).min(1).max(2)])
    .optional()
    .describe(
      'The shared secret, or two while it is being changed: both are accepted, and each answer is signed with the one that ' +
        'its request used. At least 8 octets, better 24 random ones.',
    ),
  secret_file: z
    .union([path(), z.array(path()).min(1).max(2)])
    .optional()
    .describe(
      'In place of secret: a file, or two, whose first line is the secret. Relative to the conf folder; ${data}/… is below ' +
        'the data folder and is made at the first start; ${CREDENTIALS_DIRECTORY}/… is a systemd credential.',
    ),
  profile: name().describe('How this kind of NAS wants things said: a file in profiles/, without ".toml".'),
  require_message_authenticator: onOff(
    true,
    'Drop an Access-Request without Message-Authenticator. Without this a man in the middle can turn a Reject into an ' +
      'Accept (BlastRADIUS). Off only for a NAS that cannot send it.',
  ),
  limit_proxy_state: onOff(
    true,
    'Drop an Access-Request that has Proxy-State but no Message-Authenticator. Keeps a NAS that cannot send the latter safe ' +
      'from the same attack; off only behind a proxy that cannot either.',
  ),
  routing_domain: name()
    .default('default')
    .describe(
      'Addresses are unique within a routing domain. NASes whose subscribers share addresses need different ones.',
    ),
  interim_seconds: z
    .int()
    .min(60)
    .max(86_400)
    .optional()
    .describe('Acct-Interim-Interval for this NAS, in place of radius.interim_seconds.'),
  mode: z
    .enum(['enforce', 'observe'])
    .default('enforce')
    .describe('observe: everything is decided and shown, nothing is sent to this NAS.'),
  disconnect_on_stop: z.boolean().optional().describe('In place of enforcement.disconnect_on_stop of the profile.'),
  parallel: wholeNumber({ min: 1, max: 256, default: 16 }, 'Commands to this NAS at once.'),
  commands_per_second: wholeNumber(
    { min: 1, max: 10_000, default: 500 },
    'Commands to this NAS at most; what is said of one subscriber at once counts once. What is more waits its turn.',
  ),
  coa: z
    .strictObject({
      address: address().optional().describe('Where commands go; absent: where its accounting comes from.'),
      port: z.int().min(1).max(65_535).optional().describe('In place of coa.port of the profile.'),
      source_address: address().optional().describe('Address that commands come from, for NASes that ask for it.'),
      secret_file: path().optional().describe('Shared secret of CoA and Disconnect, where it is not that of RADIUS.'),
      timeout_ms: wholeNumber(
        { min: 50, max: 30_000, default: 1_000 },
        'First wait for an answer; each further one is twice as long.',
      ),
      attempts: wholeNumber(
        { min: 1, max: 10, default: 4 },
        'Times that one command is sent before the NAS counts as silent.',
      ),
    })
    .prefault({})
    .describe('CoA and Disconnect.'),
  ssh: z
    .strictObject({
      address: z.string().min(1).max(253).optional().describe('Host name or address; absent: the address of the NAS.'),
      port: wholeNumber({ min: 1, max: 65_535, default: 22 }, 'TCP port.'),
      user: z.string().min(1).max(128).default('sluice').describe('Login on the NAS.'),
      password_file: path().optional().describe('File with the password on its first line.'),
      key_file: path().optional().describe('Private key; absent with password_file absent: the command is refused.'),
      host_key: z
        .string()
        .regex(/^SHA256:[A-Za-z0-9+/]{43}$/u)
        .optional()
        .describe('Fingerprint of its host key; absent: the one that `sluice nas trust` stored.'),
      connections: wholeNumber({ min: 1, max: 8, default: 1 }, 'SSH connections at once.'),
      connect_timeout_ms: wholeNumber(
        { min: 100, max: 60_000, default: 10_000 },
        'How long connecting and logging in may take.',
      ),
      command_timeout_ms: wholeNumber({ min: 100, max: 600_000, default: 30_000 }, 'How long one exchange may take.'),
    })
    .prefault({})
    .describe('Commands over SSH.'),
  exec: z
    .strictObject({ script: path().optional().describe('In place of exec.script of the profile.') })
    .prefault({})
    .describe('Commands by a local script.'),
  allow_any_source: onOff(
    false,
    'Must be true for the network 0.0.0.0/0 or ::/0, which is everybody who has the secret.',
  ),
});

/** One validated entry, keys as written in the file. */
export type NasFile = z.output<typeof nasSchema>;
