/**
 * `plan add|show|list|set`.
 *
 * Enters: names, rates, limits. Leaves: rows of `plan`, or what they say.
 * Invariant: rates are bit/s in the database and in JSON; suffixes are only for people.
 */
import type { Command } from 'commander';
import { formatRate } from '../domain/rate.js';
import type { PlanRow, PlanValues } from '../store/catalogue.js';
import { withActor } from '../store/actor.js';
import { findPlan, insertPlan, listPlans, loadCatalogueIds, updatePlan } from '../store/catalogue.js';
import { parseAssignments, parseFlag, parseRateOption, parseText, parseWholeNumber } from './assignments.js';
import type { CommandContext } from './command-context.js';
import type { CommandError } from './command-error.js';
import { UsageError } from './command-error.js';
import { showTime } from './display.js';
import { parseInstant } from './instant.js';
import { unknownName } from './unknown-name.js';

/** What the database takes for a number of days: a hundred years. */
const LONGEST_DAYS = 36_500;

/** Keys of `plan set`; the options of `plan add` have the same names with hyphens. */
const planKeys = [
  'down',
  'up',
  'pool',
  'framed_pool',
  'delegated_pool',
  'session_limit',
  'session_limit_action',
  'own_block_max_days',
  'own_block_pause_days',
  'active',
  'valid_from',
  'valid_until',
] as const;
type PlanKey = (typeof planKeys)[number];

/** Adds `plan` with its subcommands. */
export function registerPlanCommands(program: Command, context: CommandContext): void {
  const plan = program.command('plan').description('plans: rates, pools and session limits');
  plan
    .command('add <name>')
    .description('make a plan')
    .option('--down <rate>', 'rate towards the subscriber, such as 50M; default unlimited')
    .option('--up <rate>', 'rate from the subscriber')
    .option('--pool <pool>', 'pool of its dynamic addresses')
    .option('--framed-pool <pool>', 'pool of IPv6 prefixes for its links')
    .option('--delegated-pool <pool>', 'pool of IPv6 prefixes for the networks of its subscribers')
    .option('--session-limit <number>', 'sessions at once, 1 to 64; default 1')
    .option('--session-limit-action <action>', 'what one too many does: reject, or replace the oldest; default reject')
    .option('--own-block-max-days <days>', 'a voluntary block ends by itself after so many days; default never')
    .option('--own-block-pause-days <days>', 'days between two voluntary blocks; default none')
    .option('--valid-from <time>', 'serves from this instant')
    .option('--valid-until <time>', 'serves until this instant')
    .action(async (name: string, options: Record<string, string | undefined>) => {
      const given = new Map<PlanKey, string>();
      for (const key of planKeys) {
        const value = options[key.replace(/_([a-z])/gu, (_, letter: string) => letter.toUpperCase())];
        if (value !== undefined) given.set(key, value);
      }
      await addPlan(context, parseText('the name', name, 100), given);
    });
  plan
    .command('set <name> <key=value...>')
    .description(`change a plan; keys: ${planKeys.join(', ')}`)
    .action((name: string, args: string[]) => setPlan(context, name, parseAssignments(args, planKeys)));
  plan
    .command('show <name>')
    .description('show a plan')
    .action((name: string) => showPlan(context, name));
  plan
    .command('list')
    .description('list all plans')
    .action(() => listAllPlans(context));
}

async function planValues(context: CommandContext, given: ReadonlyMap<PlanKey, string>): Promise<PlanValues> {
  const values: PlanValues = {};
  for (const [key, text] of given) {
    if (key === 'down') values.rate_down_bps = parseRateOption(key, text);
    else if (key === 'up') values.rate_up_bps = parseRateOption(key, text);
    else if (key === 'active') values.active = parseFlag(key, text);
    else if (key === 'session_limit') values.session_limit = parseWholeNumber(key, text, 1, 64);
    else if (key === 'session_limit_action') values.session_limit_action = parseAction(text);
    else if (key === 'own_block_max_days' || key === 'own_block_pause_days')
      values[key] = text === '' ? null : parseWholeNumber(key, text, 0, LONGEST_DAYS);
    else if (key === 'pool' || key === 'framed_pool' || key === 'delegated_pool')
      values[`${key}_id`] = text === '' ? null : await poolId(context, text);
    else values[key] = text === '' ? null : parseInstant(text, await context.timeZone(), context.io.nowMs());
  }
  return values;
}

function parseAction(text: string): string {
  if (text === 'reject' || text === 'replace') return text;
  throw new UsageError(`session_limit_action is '${text}'`, 'write reject or replace');
}

async function poolId(context: CommandContext, name: string): Promise<number> {
  const { pools } = await loadCatalogueIds(await context.pool());
  const id = pools.get(name);
  if (id === undefined) throw unknownName('pool', name, pools.keys(), `sluice pool add ${name} NETWORK`);
  return id;
}

async function addPlan(context: CommandContext, name: string, given: ReadonlyMap<PlanKey, string>): Promise<void> {
  const values = await planValues(context, given);
  await withActor(await context.pool(), context.actor, (client) => insertPlan(client, name, values));
  await showPlan(context, name);
}

async function setPlan(context: CommandContext, name: string, given: ReadonlyMap<PlanKey, string>): Promise<void> {
  const values = await planValues(context, given);
  const found = await withActor(await context.pool(), context.actor, (client) => updatePlan(client, name, values));
  if (!found) throw await noPlan(context, name);
  await showPlan(context, name);
}

async function noPlan(context: CommandContext, name: string): Promise<CommandError> {
  const { plans } = await loadCatalogueIds(await context.pool());
  return unknownName('plan', name, plans.keys(), `sluice plan add ${name} --down 50M --up 10M`);
}

async function showPlan(context: CommandContext, name: string): Promise<void> {
  const plan = await findPlan(await context.pool(), name);
  if (plan === undefined) throw await noPlan(context, name);
  if (context.json) {
    await context.printJson(plan);
    return;
  }
  const { drawFields } = await import('./table.js');
  const zone = await context.timeZone();
  await context.print(
    drawFields(
      [
        ['plan', plan.name],
        ['active', String(plan.active)],
        ['valid', validity(plan, zone)],
        ['down', rate(plan.rate_down_bps)],
        ['up', rate(plan.rate_up_bps)],
        ['pool', plan.pool],
        ['framed pool', plan.framed_pool],
        ['delegated pool', plan.delegated_pool],
        ['session limit', `${String(plan.session_limit)}, then ${plan.session_limit_action}`],
        ['voluntary block', ownBlock(plan)],
        ['accounts', plan.accounts],
        ['created', showTime(plan.created_at, zone)],
      ],
      context.columns,
    ),
  );
}

function rate(bps: number | null): string {
  return bps === null ? 'unlimited' : formatRate(bps);
}

function ownBlock({ own_block_max_days: most, own_block_pause_days: pause }: PlanRow): string | null {
  const parts = [
    ...(most === null || most === 0 ? [] : [`at most ${String(most)} days`]),
    ...(pause === null || pause === 0 ? [] : [`${String(pause)} days between two`]),
  ];
  return parts.length === 0 ? null : parts.join(', ');
}

function validity(plan: PlanRow, zone: string): string {
  const from = plan.valid_from === null ? '' : `from ${showTime(plan.valid_from, zone)}`;
  const until = plan.valid_until === null ? '' : `until ${showTime(plan.valid_until, zone)}`;
  return [from, until].filter((part) => part !== '').join(' ');
}

async function listAllPlans(context: CommandContext): Promise<void> {
  const plans = await listPlans(await context.pool());
  if (context.json) {
    await context.printJson(plans);
    return;
  }
  const { drawTable } = await import('./table.js');
  const zone = await context.timeZone();
  await context.print(
    drawTable<PlanRow>(
      [
        { title: 'PLAN', value: (plan) => plan.name },
        { title: 'DOWN', align: 'right', value: (plan) => rate(plan.rate_down_bps) },
        { title: 'UP', align: 'right', value: (plan) => rate(plan.rate_up_bps) },
        {
          title: 'POOL',
          value: ({ pool, framed_pool, delegated_pool }) =>
            [pool, framed_pool, delegated_pool].filter((one) => one !== null).join(' '),
        },
        { title: 'SESSIONS', align: 'right', value: (plan) => plan.session_limit },
        { title: 'BEYOND', value: (plan) => plan.session_limit_action },
        { title: 'ACTIVE', value: (plan) => (plan.active ? 'yes' : 'no') },
        { title: 'ACCOUNTS', align: 'right', value: (plan) => plan.accounts },
        { title: 'VALID', value: (plan) => validity(plan, zone) },
      ],
      plans,
      context.columns,
    ),
  );
}
