/**
 * `device kind`, `device group`, `device contact`.
 *
 * Enters: names, addresses. Leaves: rows, or what they say. Invariant: a secret is named here and never given.
 */
import { withActor } from '../store/actor.js';
import {
  deleteDeviceContact,
  insertDeviceGroup,
  insertDeviceKind,
  listDeviceContacts,
  listDeviceGroups,
  listDeviceKinds,
  loadDeviceCatalogueIds,
  putDeviceContact,
  updateDeviceKind,
  type ContactKind,
  type DeviceContactRow,
  type DeviceGroupRow,
  type DeviceKindRow,
} from '../store/device-catalogue.js';
import { parseAssignments, parseFlag, parseText } from './assignments.js';
import type { CommandContext } from './command-context.js';
import { CommandError, UsageError } from './command-error.js';
import { kindSentence } from './device-show.js';
import { showTime } from './display.js';
import { printable } from './printable.js';
import { unknownName } from './unknown-name.js';

/** What the schema takes, characters. */
const longestGroup = 100;
const longestAddress = 2000;

/** Lists kinds. */
export async function listKinds(context: CommandContext): Promise<void> {
  const kinds = await listDeviceKinds(await context.pool());
  if (context.json) return await context.printJson(kinds);
  const { drawTable } = await import('./table.js');
  await context.print(
    drawTable<DeviceKindRow>(
      [
        { title: 'KIND', value: (kind) => kind.name },
        { title: 'MEANS', value: kindSentence },
        { title: 'DEVICES', align: 'right', value: (kind) => kind.devices },
      ],
      kinds,
      context.columns,
    ),
  );
}

/** Makes a kind. */
export async function addKind(
  context: CommandContext,
  name: string,
  options: { readonly alone?: boolean; readonly sharedPorts?: boolean },
): Promise<void> {
  const values = { by_port: options.alone !== true, shared_ports: options.sharedPorts === true };
  const pool = await context.pool();
  await withActor(pool, context.actor, (client) => insertDeviceKind(client, parseText('the name', name, 63), values));
  await printKind(context, name);
}

/** Changes a kind. */
export async function setKind(context: CommandContext, name: string, args: readonly string[]): Promise<void> {
  const given = parseAssignments(args, ['by_port', 'shared_ports'] as const);
  const values = Object.fromEntries([...given].map(([key, text]) => [key, parseFlag(key, text)]));
  const pool = await context.pool();
  const found = await withActor(pool, context.actor, (client) => updateDeviceKind(client, name, values));
  if (!found) {
    const { kinds } = await loadDeviceCatalogueIds(pool);
    throw unknownName('kind', name, kinds.keys(), `sluice device kind add ${name}`);
  }
  await printKind(context, name);
}

async function printKind(context: CommandContext, name: string): Promise<void> {
  const kind = (await listDeviceKinds(await context.pool())).find((one) => one.name === name);
  if (kind === undefined) throw new CommandError(`there is no kind '${name}'`);
  if (context.json) await context.printJson(kind);
  else await context.print(printable(`${kind.name}: ${kindSentence(kind)}`));
}

/** Makes a group. */
export async function addGroup(context: CommandContext, name: string): Promise<void> {
  const pool = await context.pool();
  const text = parseText('the name', name, longestGroup);
  await withActor(pool, context.actor, (client) => insertDeviceGroup(client, text));
  if (context.json) await context.printJson((await listDeviceGroups(pool)).find((one) => one.name === text));
  else await context.print(printable(`made the group ${text}`));
}

/** Lists groups. */
export async function listGroups(context: CommandContext): Promise<void> {
  const groups = await listDeviceGroups(await context.pool());
  if (context.json) return await context.printJson(groups);
  const { drawTable } = await import('./table.js');
  await context.print(
    drawTable<DeviceGroupRow>(
      [
        { title: 'GROUP', value: (group) => group.name },
        { title: 'DEVICES', align: 'right', value: (group) => group.devices },
        { title: 'CONTACTS', align: 'right', value: (group) => group.contacts },
      ],
      groups,
      context.columns,
    ),
  );
}

/** The options of `device contact add`, as typed. */
export interface ContactOptions {
  readonly mail?: string;
  readonly webhook?: string;
  readonly secret?: string;
}

/** Adds somebody who is told of a group. */
export async function addContact(context: CommandContext, group: string, options: ContactOptions): Promise<void> {
  const contact = readContact(options);
  const pool = await context.pool();
  const groupId = await groupNamed(context, group);
  await withActor(pool, context.actor, (client) => putDeviceContact(client, groupId, contact));
  await remarkOnSettings(context, contact);
  await printContacts(context, group);
}

function readContact(options: ContactOptions): { kind: ContactKind; address: string; secret: string | null } {
  const { mail, webhook, secret } = options;
  if ((mail === undefined) === (webhook === undefined))
    throw new UsageError('a contact is a mail address or a webhook', 'give one of --mail and --webhook');
  if (mail !== undefined) {
    if (secret !== undefined) throw new UsageError('mail is not signed', 'leave --secret out');
    return { kind: 'mail', address: parseText('--mail', mail, longestAddress), secret: null };
  }
  const address = parseText('--webhook', webhook ?? '', longestAddress);
  const url = URL.canParse(address) ? new URL(address) : undefined;
  if (url === undefined || (url.protocol !== 'http:' && url.protocol !== 'https:'))
    throw new UsageError(
      `--webhook is '${address}', which is no web address`,
      'write it like https://noc.example/hook',
    );
  if (url.username !== '' || url.password !== '')
    throw new UsageError(
      'a password in the address would be stored in the database',
      'leave it out; --secret names a secret of monitoring.webhook_secrets, which signs what is posted',
    );
  return {
    kind: 'webhook',
    address: url.href,
    secret: secret === undefined ? null : parseText('--secret', secret, 63),
  };
}

/** What is right in the database and will still tell nobody. */
async function remarkOnSettings(
  context: CommandContext,
  contact: { readonly kind: ContactKind; readonly secret: string | null },
): Promise<void> {
  const { monitoring } = await context.settings();
  if (contact.kind === 'mail' && monitoring.smtp_host === undefined)
    context.remark('note: no mail is sent yet: monitoring.smtp_host is not set');
  if (contact.kind === 'webhook' && !monitoring.webhooks)
    context.remark('note: webhooks are not told yet: monitoring.webhooks is not true');
  if (contact.secret !== null && !Object.hasOwn(monitoring.webhook_secrets, contact.secret))
    context.remark(`note: monitoring.webhook_secrets has no '${contact.secret}': nothing is posted until it has`);
}

/** Takes somebody away who is told of a group. */
export async function removeContact(context: CommandContext, group: string, address: string): Promise<void> {
  const pool = await context.pool();
  const groupId = await groupNamed(context, group);
  const href = URL.canParse(address) ? new URL(address).href : address;
  const isGone = await withActor(
    pool,
    context.actor,
    async (client) =>
      (await deleteDeviceContact(client, groupId, address)) || (await deleteDeviceContact(client, groupId, href)),
  );
  if (!isGone) {
    const contacts = await listDeviceContacts(pool, group);
    throw unknownName(
      'contact',
      address,
      contacts.map((contact) => contact.address),
    );
  }
  await printContacts(context, group);
}

/** Lists contacts, of one group or of all. */
export async function printContacts(context: CommandContext, group: string | undefined): Promise<void> {
  if (group !== undefined) await groupNamed(context, group);
  const contacts = await listDeviceContacts(await context.pool(), group);
  if (context.json) return await context.printJson(contacts);
  const { drawTable } = await import('./table.js');
  const zone = await context.timeZone();
  await context.print(
    drawTable<DeviceContactRow>(
      [
        { title: 'GROUP', value: (contact) => contact.group },
        { title: 'KIND', value: (contact) => contact.kind },
        { title: 'ADDRESS', value: (contact) => contact.address },
        { title: 'SECRET', value: (contact) => contact.secret },
        { title: 'TOLD', value: (contact) => showTime(contact.told_at, zone) },
        { title: 'WAITING', align: 'right', value: (contact) => (contact.waiting === 0 ? '' : contact.waiting) },
        { title: 'TROUBLE', value: (contact) => (contact.active ? contact.last_error : 'not active') },
      ],
      contacts,
      context.columns,
    ),
  );
}

async function groupNamed(context: CommandContext, name: string): Promise<number> {
  const { groups } = await loadDeviceCatalogueIds(await context.pool());
  const id = groups.get(name);
  if (id === undefined) throw unknownName('group', name, groups.keys(), `sluice device group add ${name}`);
  return id;
}
