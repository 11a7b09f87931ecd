/**
 * `pool add|list|show|set`.
 *
 * Enters: a name and networks. Leaves: a pool whose addresses can be given out, or how they stand.
 * Invariant: a pool is added whole or not at all; the network and broadcast addresses of a network shorter than /31 are
 * never given out.
 */
import type { Command } from 'commander';
import type { PoolClient } from 'pg';
import { formatIpNetwork, parseIpNetwork } from '../config/ip-network.js';
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

const poolKeys = ['quarantine_seconds', 'add_network'] as const;

/** A network of a pool, and the offsets of its first and last usable address. */
export interface PoolNetwork {
  readonly text: string;
  readonly first: number;
  readonly last: number;
}

/** Adds `pool` with its subcommands. */
export function registerPoolCommands(program: Command, context: CommandContext): void {
  const pool = program.command('pool').description('pools of dynamic addresses');
  pool
    .command('add <name> <network...>')
    .description('make a pool of one or more networks, /12 at most')
    .option('--routing-domain <name>', 'where its addresses are unique', 'default')
    .option('--quarantine-seconds <seconds>', 'how long a freed address rests; default: addresses.quarantine_seconds')
    .option('--exclude <address...>', 'addresses to leave out, such as that of the gateway')
    .action(
      (
        name: string,
        networks: string[],
        options: { routingDomain: string; quarantineSeconds?: string; exclude?: string[] },
      ) => addPool(context, parseText('the name', name, 100), networks, options),
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
 * @throws UsageError for anything but an IPv4 network from /12 to /32 without host bits
 */
export function parsePoolNetwork(text: string): PoolNetwork {
  const result = parseIpNetwork(text);
  if (!result.ok) throw new UsageError(`'${text}' ${result.problem}`, result.remedy);
  const { network } = result;
  if (network.family !== 4) throw new UsageError(`'${text}' is not IPv4`, 'pools have IPv4 networks');
  if (network.prefixLength < shortestPrefix) {
    throw new UsageError(`'${text}' is larger than a /${String(shortestPrefix)}`, 'split it into several pools');
  }
  const addresses = 2 ** (32 - network.prefixLength);
  const whole = network.prefixLength >= 31;
  const shown = formatIpNetwork(network);
  return {
    text: shown.includes('/') ? shown : `${shown}/32`,
    first: whole ? 0 : 1,
    last: whole ? addresses - 1 : addresses - 2,
  };
}

async function addPool(
  context: CommandContext,
  name: string,
  networks: readonly string[],
  options: { routingDomain: string; quarantineSeconds?: string; exclude?: string[] },
): Promise<void> {
  const parsed = networks.map(parsePoolNetwork);
  const excluded = (options.exclude ?? []).map((address) => parseAddress('--exclude', address));
  const settings = await context.settings();
  const quarantineSeconds =
    options.quarantineSeconds === undefined
      ? settings.addresses.quarantine_seconds
      : parseWholeNumber('--quarantine-seconds', options.quarantineSeconds, 0, 604_800);
  const routingDomain = parseText('--routing-domain', options.routingDomain, 100);
  const pool = await context.pool();
  await withActor(pool, context.actor, async (client) => {
    const poolId = await insertPool(client, { name, routingDomain, quarantineSeconds });
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
  const progress = new Progress(context.io);
  try {
    for (let first = network.first; first <= network.last; first += sliceAddresses) {
      const last = Math.min(network.last, first + sliceAddresses - 1);
      await insertAddresses(client, { poolId, routingDomain, network: network.text, first, last, excluded });
      progress.update(`${network.text}: ${String(last)} of ${count(network.last, 'address', 'addresses')}`);
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
  const network = added === undefined ? undefined : parsePoolNetwork(added);
  await withActor(pool, context.actor, async (client) => {
    const found = await findPool(client, name);
    if (found === undefined) throw await noPool(context, name);
    if (network !== undefined) {
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
        ['routing domain', pool.routing_domain],
        ['networks', pool.networks.join(' ')],
        ['quarantine', `${String(pool.quarantine_seconds)} s`],
        ['addresses', pool.addresses],
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
