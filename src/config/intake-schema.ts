/**
 * The section `[intake]` of `conf/sluice.toml`: what other programs tell, and who of them is believed.
 *
 * Enters: nothing; this is the table that the reader validates against and that the documentation is made from.
 * Leaves: one strict zod schema.
 * Invariant: a way in has both a secret and sources, or neither and is off; no two sources have one name; nobody is believed from everywhere.
 */
import { z } from 'zod';
import { isLoopback } from './endpoint.js';
import { formatIpNetwork } from './ip-network.js';
import { endpoint, name, network, path, wholeNumber } from './setting.js';

// Hosts of one kind: what is more has a network, or a server of its own.
const maxSources = 256;
// DHCP servers whose events come to one server.
const maxTellers = 64;

/** A secret, or two while it is being changed. */
function secretFile(why: string) {
  return z
    .union([path(), z.array(path()).min(1).max(2)])
    .optional()
    .describe(why);
}

function sources(why: string) {
  return z.array(network()).max(maxSources).prefault([]).describe(why);
}

const inbox = z.strictObject({
  name: name().describe('Names the DHCP server whose hook writes there, in events, logs and metrics. Unique.'),
  folder: path().describe('Where its sluice-lever writes. It may be absent and come later.'),
});

const jsonSource = z.strictObject({
  name: name().describe('What the sender calls itself: --source of `sluice deliver`. Unique.'),
  secret_file: z
    .union([path(), z.array(path()).min(1).max(2)])
    .describe(
      'A file whose first line is the secret that its requests are signed with, or two files while it is being changed. Relative to the conf ' +
        'folder; ${data}/… is made at the first start; ${CREDENTIALS_DIRECTORY}/… is a systemd credential.',
    ),
  sources: z.array(network()).min(1).max(maxSources).describe('Addresses and networks that it sends from.'),
});

/** The section `[intake]`. */
export const intake = z
  .strictObject({
    listen: endpoint()
      .prefault('127.0.0.1:8067')
      .describe(
        'Where lease events and monitoring events arrive over HTTP, once a secret and sources are set below. There is no TLS here: for ' +
          'networks that others hear put a proxy before it.',
      ),
    inboxes: z
      .array(inbox)
      .max(maxTellers)
      .prefault([{ name: 'local', folder: '${data}/inbox' }])
      .describe(
        'Folders into which the hooks of DHCP servers on this host write, one [[intake.inboxes]] table each. Whoever may write into one is believed, ' +
          'so none may be open to everybody.',
      ),
    json_sources: z
      .array(jsonSource)
      .max(maxTellers)
      .prefault([])
      .describe(
        'Hosts whose signed JSON is believed on /events/lease and /events/device, one [[intake.json_sources]] table each: deliverers beside other ' +
          'DHCP servers, and monitoring.',
      ),
    lever_secret_file: secretFile(
      'Turns on /dhcp_lever, /abons/api/dhcp_lever and /dev/on_device_event: the secret of their signature, or two while it is being changed. That ' +
        'signature has no time in it, so whoever hears a request can repeat it; prefer json_sources.',
    ),
    lever_sources: sources('Addresses and networks that may ask there. Needed with lever_secret_file.'),
    alertmanager_token_file: secretFile(
      'Turns on /events/alertmanager: the bearer token that Prometheus Alertmanager shows, or two while it is being changed.',
    ),
    alertmanager_sources: sources('Addresses and networks of Alertmanager. Needed with alertmanager_token_file.'),
    max_connections: wholeNumber(
      { min: 8, max: 10_000, default: 256 },
      'Connections at once; one address has 64 of them at most. Beyond it new ones are closed, and whoever wanted one tries again.',
    ),
    max_requests_in_hand: wholeNumber(
      { min: 4, max: 1_000, default: 64 },
      'Requests at once. Each may hold a mebioctet until it is on disk; beyond it 503 asks to come again.',
    ),
  })
  .superRefine((file, context) => {
    const wrong = (path: (string | number)[], message: string, remedy: string): void =>
      context.addIssue({ code: 'custom', path, message, params: { remedy } });
    for (const way of ['lever', 'alertmanager'] as const) {
      const secretKey = way === 'lever' ? 'lever_secret_file' : 'alertmanager_token_file';
      const sourcesKey = `${way}_sources` as const;
      if (file[secretKey] !== undefined && file[sourcesKey].length === 0)
        wrong([secretKey], 'is set, and nobody may use it', `list the addresses of whoever asks in ${sourcesKey}`);
      if (file[secretKey] === undefined && file[sourcesKey].length > 0)
        wrong([sourcesKey], 'is set without a secret', `name its file in ${secretKey}, or remove the list`);
      refuseEverybody(file[sourcesKey], [sourcesKey], wrong);
    }
    for (const [index, one] of file.json_sources.entries())
      refuseEverybody(one.sources, ['json_sources', index, 'sources'], wrong);
    if (
      !isLoopback(file.listen) &&
      !file.json_sources.length &&
      !file.lever_secret_file &&
      !file.alertmanager_token_file
    )
      wrong(
        ['listen'],
        'is on the network, and nobody would be believed there',
        'keep it on loopback until json_sources, lever_secret_file or alertmanager_token_file says who is',
      );
    refuseSameNames(file, wrong);
  })
  .prefault({})
  .describe(
    'Events of other programs: leases, by hooks of DHCP servers, and devices, by monitoring. docs/dhcp.md shows how to connect them.',
  );

type IntakeFile = z.output<typeof intake>;
type Wrong = (path: (string | number)[], message: string, remedy: string) => void;

function refuseEverybody(networks: IntakeFile['lever_sources'], path: (string | number)[], wrong: Wrong): void {
  const everybody = networks.find(({ prefixLength }) => prefixLength === 0);
  if (everybody === undefined) return;
  wrong(
    path,
    `has ${formatIpNetwork(everybody)}, which is everybody`,
    'name the addresses or networks of those who send',
  );
}

/** A name says which DHCP server an event is of, so two ways must not have the same. */
function refuseSameNames({ inboxes, json_sources: jsonSources }: IntakeFile, wrong: Wrong): void {
  const names = new Set<string>();
  const folders = new Set<string>();
  for (const [list, entries] of [
    ['inboxes', inboxes],
    ['json_sources', jsonSources],
  ] as const) {
    for (const [index, entry] of entries.entries()) {
      if (names.has(entry.name))
        wrong([list, index, 'name'], 'is the name of another source too', 'give each a name of its own');
      names.add(entry.name);
      if (!('folder' in entry)) continue;
      if (folders.has(entry.folder))
        wrong([list, index, 'folder'], 'is the folder of another inbox too', 'give each a folder of its own');
      folders.add(entry.folder);
    }
  }
}
