/**
 * Every key of `conf/sluice.toml`: its default, its bounds, and why.
 *
 * Enters: nothing; this is the table that the reader validates against and that the documentation is made from.
 * Leaves: one strict zod schema.
 * Invariant: an empty file is valid, and each limit of the server has its key, default, bounds and reason here.
 */
import { z } from 'zod';
import { dhcp } from './dhcp-schema.js';
import { monitoringSchema } from './monitoring-schema.js';
import { intake } from './intake-schema.js';
import { endpoint, name, onOff, path, wholeNumber } from './setting.js';
import { statusUser } from './status-user.js';

function isTimeZone(text: string): boolean {
  // An offset would do for Intl, but PostgreSQL reads the sign of one the other way round (POSIX).
  if (!/^[A-Za-z]/u.test(text)) return false;
  try {
    new Intl.DateTimeFormat('en', { timeZone: text });
    return true;
  } catch (error) {
    if (error instanceof RangeError) return false;
    throw error;
  }
}

const server = z
  .strictObject({
    instance: name()
      .default('sluice-1')
      .describe(
        'Names this server among several on one database. Two servers with one name are refused, because spool positions ' +
          'and reserved addresses belong to an instance.',
      ),
    time_zone: z
      .string()
      .refine(isTimeZone, {
        message: 'is not a time zone that this system knows',
        params: { remedy: 'use a name of the IANA database, such as "Europe/Moscow" or "UTC"' },
      })
      .default('UTC')
      .describe('Where months begin: periods roll over at its midnight, and times are shown in it.'),
  })
  .prefault({})
  .describe('The process itself.');

const database = z
  .strictObject({
    url: z
      .string()
      .refine((text) => /^postgres(?:ql)?:\/\/\S+$/u.test(text) && URL.canParse(text), {
        message: 'is not a PostgreSQL address',
        params: { remedy: 'write "postgres://USER:PASSWORD@HOST:PORT/DATABASE"' },
      })
      .optional()
      .describe('A PostgreSQL of your own, version 13 or later. Absent: one is run under the data folder.'),
    port: wholeNumber(
      { min: 1, max: 65_535, default: 54_329 },
      'Port of the embedded PostgreSQL, on loopback only. Away from 5432, where another one may live.',
    ),
    pool_size: wholeNumber(
      { min: 4, max: 90, default: 10 },
      'Connections at most, beside two of the applier. Two are held for locks all the time, the periodic work needs one; 100 ' +
        'is what PostgreSQL allows in all by default.',
    ),
    statement_timeout_ms: wholeNumber(
      { min: 1_000, max: 600_000, default: 30_000 },
      'A statement that takes longer is cancelled and tried again. Long enough for a batch behind a checkpoint, short ' +
        'enough that a lock held by somebody else does not stop the applier unnoticed.',
    ),
    connect_timeout_ms: wholeNumber(
      { min: 500, max: 60_000, default: 5_000 },
      'How long one attempt to connect may take. The spool bridges the time, so waiting longer gains nothing.',
    ),
  })
  .prefault({})
  .describe('PostgreSQL, where the truth about subscribers lives.');

const radius = z
  .strictObject({
    auth: z
      .array(endpoint())
      .min(1)
      .max(16)
      .prefault(['127.0.0.1:1812'])
      .describe('Where Access-Requests are answered. Loopback until you say otherwise.'),
    accounting: z
      .array(endpoint())
      .min(1)
      .max(16)
      .prefault(['127.0.0.1:1813'])
      .describe('Where Accounting-Requests are answered. Loopback until you say otherwise.'),
    duplicate_seconds: wholeNumber(
      { min: 5, max: 30, default: 15 },
      'How long a reply is kept to be sent again to a retransmitted request (RFC 5080 §2.2.2 asks for 5 to 30 s). Longer ' +
        'than the retry time of usual NASes, three times 3 s.',
    ),
    max_duplicates: wholeNumber(
      { min: 1_024, max: 4_194_304, default: 262_144 },
      'Replies kept at most; the oldest go first. 15 s at 17,000 requests a second, 80 MB when full.',
    ),
    max_pending_requests: wholeNumber(
      { min: 64, max: 1_000_000, default: 20_000 },
      'Requests in hand at most, both ports together. Beyond it new ones are dropped and counted: a NAS repeats them, and ' +
        'an answer that comes after its patience is no answer.',
    ),
    reject_delay_ms: wholeNumber(
      { min: 1_000, max: 5_000, default: 1_000 },
      'How long an Access-Reject is held back, against guessing of passwords. Above 5 s a NAS takes us for dead.',
    ),
    reject_jitter_ms: wholeNumber(
      { min: 0, max: 5_000, default: 500 },
      'Up to this is added at random, so that a storm of rejects does not come back as one wave.',
    ),
    max_delayed_rejects: wholeNumber(
      { min: 64, max: 1_000_000, default: 20_000 },
      'Rejects held back at most. Beyond it the newest is dropped and counted; none is ever sent early.',
    ),
    max_password_checks: wholeNumber(
      { min: 1, max: 8, default: 2 },
      'Slow password hashes (scrypt, bcrypt) computed at once. Each takes a thread for some 100 ms.',
    ),
    max_queued_password_checks: wholeNumber(
      { min: 0, max: 100_000, default: 1_000 },
      'Requests that may wait for a slow password hash. Beyond it a request is dropped, and its NAS repeats it.',
    ),
    interim_seconds: wholeNumber(
      { min: 60, max: 86_400, default: 300 },
      'Acct-Interim-Interval in every Accept, unless the NAS has its own; never below the floor of the profile. RFC 2869 ' +
        '§5.16 forbids less than 60.',
    ),
    receive_buffer_bytes: wholeNumber(
      { min: 65_536, max: 268_435_456, default: 8_388_608 },
      'Receive buffer asked of the kernel for each socket: what arrives while the loop is busy waits there. The kernel ' +
        'grants no more than net.core.rmem_max.',
    ),
    class_key_file: path()
      .default('${data}/secrets/class.key')
      .describe(
        'Key that signs the Class attribute: 32 octets in hex or base64. Made at the first start when it is below the data ' +
          'folder. All servers on one database need the same.',
      ),
    password_key_file: path()
      .default('${data}/secrets/password.key')
      .describe(
        'Key that seals stored passwords: 32 octets in hex or base64. Made at the first start when it is below the data ' +
          'folder. Lost, it takes all sealed passwords with it; all servers on one database need the same.',
      ),
  })
  .prefault({})
  .describe('RADIUS in.');

const sessions = z
  .strictObject({
    suspect_intervals: wholeNumber(
      { min: 1, max: 20, default: 2 },
      'A session is suspect after this many interim intervals of silence. Two: one update may be lost.',
    ),
    silence_intervals: wholeNumber(
      { min: 2, max: 40, default: 3 },
      'After this many it is closed with a synthetic Stop, which a later update undoes. Above suspect_intervals.',
    ),
    nas_silence_intervals: wholeNumber(
      { min: 1, max: 20, default: 2 },
      'A NAS of which nothing at all was heard for this many intervals is taken for an outage: none of its sessions is ' +
        'closed. At most silence_intervals.',
    ),
    session_key_days: wholeNumber(
      { min: 2, max: 400, default: 30 },
      'How long the key of a closed session stays known, so that a replay or a Stop that comes a day late finds it. Above ' +
        'spool.retention_days.',
    ),
  })
  .prefault({})
  .describe('When a session counts as alive.');

const addresses = z
  .strictObject({
    offer_grace_seconds: wholeNumber(
      { min: 30, max: 86_400, default: 300 },
      'How long an address stays promised to a session that has not begun. Long enough for an Accounting-Start that is ' +
        'repeated for minutes, short enough that failed logins do not drain a pool.',
    ),
    quarantine_seconds: wholeNumber(
      { min: 0, max: 604_800, default: 60 },
      'How long a freed address rests before somebody else gets it: packets and connections of the last holder die out.',
    ),
    reserve_size: wholeNumber(
      { min: 0, max: 65_536, default: 256 },
      'Addresses of each pool that this instance holds in advance at most. Offers come from them without a query.',
    ),
    outage_horizon_hours: wholeNumber(
      { min: 1, max: 168, default: 4 },
      'For how long an instance that is cut off from PostgreSQL goes on to offer a subscriber the address that he had last. ' +
        'Until then no other instance gives such an address to somebody else.',
    ),
  })
  .prefault({})
  .describe('Pools, offers and assignments.');

const spool = z
  .strictObject({
    directory: path()
      .default('${data}/spool')
      .describe('Where acknowledged facts are kept until and after they are applied. A disk of its own does no harm.'),
    segment_bytes: wholeNumber(
      { min: 1_048_576, max: 1_073_741_824, default: 67_108_864 },
      'Size at which a new file is begun: large enough that files are few, small enough that retention frees space soon.',
    ),
    retention_days: wholeNumber(
      { min: 1, max: 90, default: 7 },
      "How long applied files are kept. Last night's dump and the spool together are nothing lost.",
    ),
    max_queued_bytes: wholeNumber(
      { min: 1_048_576, max: 1_073_741_824, default: 33_554_432 },
      'Facts that may wait for the disk. Beyond it requests are not acknowledged, and their NAS repeats them.',
    ),
    max_queued_records: wholeNumber(
      { min: 256, max: 1_000_000, default: 50_000 },
      'The same in records: two seconds of a very busy server.',
    ),
  })
  .prefault({})
  .describe('The append-only files of acknowledged facts.');

const applier = z
  .strictObject({
    batch_records: wholeNumber(
      { min: 1, max: 5_000, default: 500 },
      'Spool records folded into one transaction. Larger batches gain little and hold row locks longer.',
    ),
    retry_max_seconds: wholeNumber(
      { min: 1, max: 300, default: 10 },
      'Longest pause between attempts while PostgreSQL is away. It bounds the lag after its return.',
    ),
  })
  .prefault({})
  .describe('From the spool to PostgreSQL.');

const changeFeed = z
  .strictObject({
    poll_ms: wholeNumber(
      { min: 20, max: 60_000, default: 1_000 },
      'How often changes are looked for when no notification comes. Notifications make it faster; this makes it certain.',
    ),
    retention_hours: wholeNumber(
      { min: 1, max: 720, default: 24 },
      'How long changes are kept for an instance that is away. One that was away longer loads everything again.',
    ),
  })
  .prefault({})
  .describe('How the directory in memory follows the tables.');

const history = z
  .strictObject({
    retention_months: wholeNumber(
      { min: 1, max: 240, default: 36 },
      'How long ended sessions, assignments and events are kept, in whole monthly partitions. Many countries ask for three ' +
        'years of who had which address.',
    ),
    command_retention_months: wholeNumber(
      { min: 1, max: 240, default: 12 },
      'The same for what was said to NASes and what they answered (nas_command): rows are larger, and are asked for less long.',
    ),
    partitions_ahead_months: wholeNumber(
      { min: 1, max: 24, default: 3 },
      'Monthly partitions made in advance, so that a server left alone over a holiday still has somewhere to write.',
    ),
  })
  .prefault({})
  .describe('What is kept of the past.');

// 00:00 to 23:59.
const timeOfDayPattern = /^(?:[01][0-9]|2[0-3]):[0-5][0-9]$/u;

const enforcement = z
  .strictObject({
    fuse_window_minutes: wholeNumber(
      { min: 1, max: 1_440, default: 10 },
      'The fuse counts the subscribers that are blocked, redirected, deleted, slowed or disconnected within this time.',
    ),
    fuse_subscribers: wholeNumber(
      { min: 1, max: 10_000_000, default: 500 },
      'More of them are held until `sluice hold release`: an UPDATE without WHERE must not put a city off. Nothing that gives ' +
        'back is ever held.',
    ),
    fuse_percent: wholeNumber(
      { min: 1, max: 100, default: 5 },
      'The same as a part of all subscribers; the smaller counts.',
    ),
    fuse_least_subscribers: wholeNumber(
      { min: 1, max: 10_000_000, default: 20 },
      'So many are never held, however small the part: a provider of 40 blocks more than two people for the month’s bill.',
    ),
    reconcile_at: z
      .string()
      .refine((text) => text === 'off' || timeOfDayPattern.test(text), {
        message: 'is not a time of day',
        params: { remedy: 'write one such as "04:10", in server.time_zone, or "off"' },
      })
      .default('04:10')
      .describe(
        'When the NASes that can list what they have are compared with the database each night, and what differs is mended; or "off".',
      ),
    reconcile_limit: wholeNumber(
      { min: 0, max: 1_000_000, default: 500 },
      'So many differences of one NAS are mended in one comparison; the others are shown. A listing that was misread must not undo a city.',
    ),
  })
  .prefault({})
  .describe('How the network follows the database. Which NASes are commanded, and how, their profiles say.');

const accessAttempts = z
  .strictObject({
    keep_days: wholeNumber({ min: 1, max: 400, default: 30 }, 'How long the last answers are kept to be looked at.'),
    per_subject: wholeNumber(
      { min: 1, max: 1_000, default: 20 },
      'Answers kept for one login, MAC or line. A reject storm must not become a table of a million equal rows.',
    ),
  })
  .prefault({})
  .describe('The last answers, the refused ones included.');

// The longest name that DNS knows, and letters that a Host header may carry.
const hostNamePattern = /^[a-z0-9](?:[a-z0-9.-]{0,251}[a-z0-9])?$/u;

function isBillingUrl(text: string): boolean {
  const filled = text.replaceAll(/\{(?:login|contract|id)\}/gu, 'x');
  return /^https?:\/\/[^\s{}]+$/u.test(filled) && URL.canParse(filled);
}

const status = z
  .strictObject({
    listen: endpoint()
      .prefault('127.0.0.1:8080')
      .describe(
        'Health, metrics and the read-only pages. Anywhere but on loopback they are refused without status.users. There is ' +
          'no TLS here: for other networks put a proxy before it.',
      ),
    users: z
      .array(statusUser())
      .max(1_000)
      .prefault([])
      .describe(
        'Who may see the pages and /metrics, one "NAME:{SCRYPT}…" each, as `sluice passwd NAME` prints it. Empty: whoever reaches the ' +
          'listener, hence loopback.',
      ),
    users_file: path()
      .optional()
      .describe(
        'More of them, one a line: a file that only the server reads, or a systemd credential. A reload reads it again, a ' +
          'credential only a restart.',
      ),
    metrics_open: onOff(
      false,
      'Whether /metrics is given to whoever asks once there are users. It names NASes and pools and counts their packets, ' +
        'and shows no subscriber. Without users it is open, like the pages. /healthz and /readyz always are.',
    ),
    host_names: z
      .array(
        z.string().refine((text) => hostNamePattern.test(text), {
          message: 'is not a host name in lower case',
          params: { remedy: 'write the name that stands in the browser, such as "sluice.example", without a port' },
        }),
      )
      .max(16)
      .default([])
      .describe(
        'Names besides localhost under which a listener on loopback is asked for: those that a proxy passes on. Others are ' +
          'refused, so that no web site can read the pages through a browser on this host (DNS rebinding).',
      ),
    billing_url: z
      .string()
      .refine(isBillingUrl, {
        message: 'is not a web address',
        params: { remedy: 'write "https://billing.example/client?login={login}"; {contract} and {id} are known too' },
      })
      .optional()
      .describe('A link from a subscriber to your billing, with {login}, {contract} or {id} in it.'),
  })
  .prefault({})
  .describe('What the server tells about itself, and the pages for people.');

const log = z
  .strictObject({
    level: z
      .enum(['fatal', 'error', 'warn', 'info', 'debug', 'trace'])
      .default('info')
      .describe('Least important line that is written. A line per packet appears from debug on, and costs speed.'),
  })
  .prefault({})
  .describe('Log lines, JSON on standard output.');

/** The schema of `conf/sluice.toml`. */
export const serverSchema = z.strictObject({
  server,
  database,
  radius,
  sessions,
  addresses,
  spool,
  applier,
  change_feed: changeFeed,
  history,
  enforcement,
  access_attempts: accessAttempts,
  status,
  intake,
  dhcp,
  monitoring: monitoringSchema,
  log,
});

/** The validated content of `conf/sluice.toml`, keys as written in the file. */
export type ServerFile = z.output<typeof serverSchema>;
