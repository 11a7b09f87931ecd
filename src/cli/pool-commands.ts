/**
 * `pool add|list|show|set`.
 *
 * Enters: a name and networks. Leaves: a pool whose addresses or prefixes can be given out, or how they stand.
 * Invariant: a pool is added whole or not at all; the network and broadcast addresses of an IPv4 network shorter than /31 are
 * never given out.
 */
import type { Command } from 'commander';
import type { PoolClient } from 'pg';
import { formatIpNetwork, parseIpNetwork, type IpNetwork } from '../config/ip-network.js';
import { parseIpv6Prefix } from '../domain/ipv6-prefix.js';
import type { AddressKind } from '../domain/pool-address.js';
import { withActor } from '../store/actor.js';
import { findPool, insertAddresses, insertNetwork, insertPool, listPools, updatePool } from '../store/pool-writes.js';
import type { PoolRow } from '../store/pool-writes.js';
import { parseAddress, parseAssignments, parseText, parseWholeNumber } from './assignments.js';
import type { CommandContext } from './command-context.js';
import { CommandError, UsageError } from './command-error.js';
import { Progress } from './command-io.js';
import { count, showTime } from './display.js';
import { unknownName } from './unknown-name.js';

/** Addresses per statement: about half a second each, so that progress is seen and the statement timeout is far. */
const sliceAddresses = 32_768;

/** The largest network of a pool is a million addresses; the schema refuses larger ones too. */
const shortestPrefix = 12;

/** The shortest network that prefixes are cut from, and how many bits may lie between: rows are made as they are given, so more is no burden. */
const shortestIpv6Network = 16;
const mostCutBits = 40;

const poolKeys = ['quarantine_seconds', 'add_network'] as const;

/** A network of a pool, and the offsets of the first and last usable address of IPv4. */
export interface PoolNetwork {
  readonly text: string;
  readonly addresses: { readonly first: number; readonly last: number } | undefined;
}

/** What a pool gives: addresses, or prefixes of a length. */
export interface PoolMaterial {
  readonly kind: AddressKind;
  readonly prefixLength: number;
}

interface AddOptions {
  readonly routingDomain: string;
  readonly quarantineSeconds?: string;
  readonly exclude?: string[];
  readonly framed?: string;
  readonly delegate?: string;
}

/** Adds `pool` with its subcommands. */
export function registerPoolCommands(program: Command, context: CommandContext): void {
  const pool = program.command('pool').description('pools of dynamic addresses and IPv6 prefixes');
  pool
    .command('add <name> <network...>')
    .description('make a pool of one or more networks: IPv4, /12 at most, or IPv6 with --framed or --delegate')
    .option('--framed <length>', 'cut IPv6 networks into prefixes of links, such as 64')
    .option('--delegate <length>', 'cut IPv6 networks into prefixes for the networks of subscribers, such as 56')
    .option('--routing-domain <name>', 'where its addresses are unique', 'default')
    .option('--quarantine-seconds <seconds>', 'how long a freed address rests; default: addresses.quarantine_seconds')
    .option('--exclude <address...>', 'addresses to leave out, such as that of the gateway')
    .action((name: string, networks: string[], options: AddOptions) =>
      addPool(context, parseText('the name', name, 100), networks, options),
    );
  pool
    .command('set <name> <key=value...>')
    .description(`change a pool; keys: ${poolKeys.join(', ')}`)
    .action((name: string, args: string[]) => setPool(context, name, parseAssignments(args, poolKeys)));
  pool
    .command('show <name>')
    .description('show a pool and how its addresses stand')
    .action((name: string) => showPool(context, name));
  pool
    .command('list')
    .description('list all pools')
    .action(() => listAllPools(context));
}

/**
 * Reads the network of a pool.
 *
 * @throws UsageError for anything but an IPv4 network from /12 to /32, or an IPv6 network that can be cut, without host bits
 */
export function parsePoolNetwork(text: string, material: PoolMaterial): PoolNetwork {
  const result = parseIpNetwork(text);
  if (!result.ok) throw new UsageError(`'${text}' ${result.problem}`, result.remedy);
  const { network } = result;
  if (material.kind !== 'ipv4') return { text: parsePrefixNetwork(text, network, material), addresses: undefined };
  if (network.family !== 4)
    throw new UsageError(`'${text}' is not IPv4`, 'say what it is cut into: --delegate 56, or --framed 64');
  if (network.prefixLength < shortestPrefix) {
    throw new UsageError(`'${text}' is larger than a /${String(shortestPrefix)}`, 'split it into several pools');
  }
  const addresses = 2 ** (32 - network.prefixLength);
  const whole = network.prefixLength >= 31;
  const shown = formatIpNetwork(network);
  return {
    text: shown.includes('/') ? shown : `${shown}/32`,
    addresses: { first: whole ? 0 : 1, last: whole ? addresses - 1 : addresses - 2 },
  };
}

function parsePrefixNetwork(text: string, network: IpNetwork, { prefixLength }: PoolMaterial): string {
  const cut = `/${String(prefixLength)}`;
  if (network.family !== 6)
    throw new UsageError(`'${text}' is not IPv6`, 'leave --framed and --delegate out for IPv4 addresses');
  if (network.prefixLength < shortestIpv6Network || prefixLength - network.prefixLength > mostCutBits)
    throw new UsageError(
      `'${text}' makes more than ${String(2 ** mostCutBits)} prefixes of ${cut}, or is shorter than /${String(shortestIpv6Network)}`,
      'give a part of it',
    );
  const canonical = network.prefixLength > prefixLength ? undefined : parseIpv6Prefix(text);
  if (canonical === undefined)
    throw new UsageError(
      `'${text}' cannot be cut into ${cut}`,
      'give a network of global addresses that is not longer',
    );
  return canonical;
}

/** @throws UsageError for both options, or a length that is none */
function parseMaterial({ framed, delegate, exclude }: AddOptions): PoolMaterial {
  if (framed === undefined && delegate === undefined) return { kind: 'ipv4', prefixLength: 32 };
  if (framed !== undefined && delegate !== undefined)
    throw new UsageError('a pool is cut for links or for delegation, not for both', 'make two pools');
  if (exclude !== undefined)
    throw new UsageError('--exclude is for IPv4 addresses', 'give the networks around what is to be left out');
  return framed === undefined
    ? { kind: 'delegated-prefix', prefixLength: parseWholeNumber('--delegate', delegate ?? '', 33, 128) }
    : { kind: 'framed-prefix', prefixLength: parseWholeNumber('--framed', framed, 33, 128) };
}

async function addPool(
  context: CommandContext,
  name: string,
  networks: readonly string[],
  options: AddOptions,
): Promise<void> {
  const material = parseMaterial(options);
  const parsed = networks.map((text) => parsePoolNetwork(text, material));
  const excluded = (options.exclude ?? []).map((address) => parseAddress('--exclude', address));
  const settings = await context.settings();
  const quarantineSeconds =
    options.quarantineSeconds === undefined
      ? settings.addresses.quarantine_seconds
      : parseWholeNumber('--quarantine-seconds', options.quarantineSeconds, 0, 604_800);
  const routingDomain = parseText('--routing-domain', options.routingDomain, 100);
  const pool = await context.pool();
  await withActor(pool, context.actor, async (client) => {
    const poolId = await insertPool(client, { name, routingDomain, quarantineSeconds, ...material });
    for (const network of parsed) await addNetwork(context, client, { poolId, routingDomain, network, excluded });
  });
  await showPool(context, name);
}

async function addNetwork(
  context: CommandContext,
  client: PoolClient,
  given: { poolId: number; routingDomain: string; network: PoolNetwork; excluded: readonly string[] },
): Promise<void> {
  const { network, poolId, routingDomain, excluded } = given;
  const conflict = await insertNetwork(client, poolId, routingDomain, network.text);
  if (conflict !== undefined) {
    throw new CommandError(
      `${network.text} overlaps ${conflict.network} of the pool ${conflict.pool}`,
      'choose another network, or another --routing-domain if the two never meet',
    );
  }
  // Prefixes get their rows as they are given.
  if (network.addresses === undefined) return;
  const progress = new Progress(context.io);
  const end = network.addresses.last;
  try {
    for (let first = network.addresses.first; first <= end; first += sliceAddresses) {
      const last = Math.min(end, first + sliceAddresses - 1);
      await insertAddresses(client, { poolId, routingDomain, network: network.text, first, last, excluded });
      progress.update(`${network.text}: ${String(last)} of ${count(end, 'address', 'addresses')}`);
    }
  } finally {
    progress.end();
  }
}

async function setPool(
  context: CommandContext,
  name: string,
  given: ReadonlyMap<(typeof poolKeys)[number], string>,
): Promise<void> {
  const pool = await context.pool();
  const quarantine = given.get('quarantine_seconds');
  const seconds = quarantine === undefined ? undefined : parseWholeNumber('quarantine_seconds', quarantine, 0, 604_800);
  const added = given.get('add_network');
  await withActor(pool, context.actor, async (client) => {
    const found = await findPool(client, name);
    if (found === undefined) throw await noPool(context, name);
    if (added !== undefined) {
      const network = parsePoolNetwork(added, { kind: found.kind, prefixLength: found.prefix_length });
      const routingDomain = found.routing_domain;
      await addNetwork(context, client, { poolId: found.id, routingDomain, network, excluded: [] });
    }
    await updatePool(client, found.id, seconds ?? found.quarantine_seconds);
  });
  await showPool(context, name);
}

/** The error for a pool that does not exist. */
export async function noPool(context: CommandContext, name: string): Promise<CommandError> {
  const { loadCatalogueIds } = await import('../store/catalogue.js');
  const { pools } = await loadCatalogueIds(await context.pool());
  return unknownName('pool', name, pools.keys(), `sluice pool add ${name} NETWORK`);
}

async function showPool(context: CommandContext, name: string): Promise<void> {
  const pool = await findPool(await context.pool(), name);
  if (pool === undefined) throw await noPool(context, name);
  if (context.json) {
    await context.printJson(pool);
    return;
  }
  const { drawFields } = await import('./table.js');
  await context.print(
    drawFields(
      [
        ['pool', pool.name],
        ['gives', materialText(pool)],
        ['routing domain', pool.routing_domain],
        ['networks', pool.networks.join(' ')],
        ['quarantine', `${String(pool.quarantine_seconds)} s`],
        [pool.kind === 'ipv4' ? 'addresses' : 'prefixes', pool.addresses],
        ['free', pool.free],
        ['reserved', pool.reserved],
        ['offered', pool.offered],
        ['assigned', pool.assigned],
        ['quarantined', pool.quarantined],
        ['created', showTime(pool.created_at, await context.timeZone())],
      ],
      context.columns,
    ),
  );
}

/** What a pool gives, in words; the length comes first, since a narrow terminal cuts the rest. */
function materialText({ kind, prefix_length: length }: PoolRow): string {
  if (kind === 'ipv4') return 'IPv4';
  return `/${String(length)} ${kind === 'framed-prefix' ? 'framed' : 'delegated'}`;
}

async function listAllPools(context: CommandContext): Promise<void> {
  const pools = await listPools(await context.pool());
  if (context.json) {
    await context.printJson(pools);
    return;
  }
  const { drawTable } = await import('./table.js');
  await context.print(
    drawTable<PoolRow>(
      [
        { title: 'POOL', value: (pool) => pool.name },
        { title: 'GIVES', value: materialText },
        { title: 'ADDRESSES', align: 'right', value: (pool) => pool.addresses },
        { title: 'FREE', align: 'right', value: (pool) => pool.free },
        { title: 'RESERVED', align: 'right', value: (pool) => pool.reserved },
        { title: 'OFFERED', align: 'right', value: (pool) => pool.offered },
        { title: 'ASSIGNED', align: 'right', value: (pool) => pool.assigned },
        { title: 'QUARANTINED', align: 'right', value: (pool) => pool.quarantined },
        { title: 'DOMAIN', value: (pool) => pool.routing_domain },
        { title: 'NETWORKS', value: (pool) => pool.networks.join(' ') },
      ],
      pools,
      context.columns,
    ),
  );
}
