/**
 * `subscriber add`.
 *
 * Enters: a login, options, a password. Leaves: a subscriber whom every server knows within moments.
 * Invariant: account and subscriber are made together or not at all; the password is stored sealed.
 */
import type { PoolClient } from 'pg';
import { withActor } from '../store/actor.js';
import { loadCatalogueIds } from '../store/catalogue.js';
import { findSubscribers } from '../store/subscriber-queries.js';
import {
  insertAccount,
  insertSubscriber,
  lockAccount,
  nasIsKnown,
  otherHolderOf,
  updateAccount,
} from '../store/subscriber-writes.js';
import type { AccountValues, SubscriberValues } from '../store/subscriber-writes.js';
import { parseAddress, parseMac, parseOption82Auth, parsePort, parsePrefix, parseText } from './assignments.js';
import type { CommandContext } from './command-context.js';
import { CommandError } from './command-error.js';
import { pickDevice } from './device-pick.js';
import { takePassword } from './password-input.js';
import type { PasswordOptions } from './password-input.js';
import { longestText } from './subscriber-keys.js';
import { showSubscriberById } from './subscriber-show.js';
import { unknownName } from './unknown-name.js';

/** The options of `subscriber add`, as typed. */
export interface AddOptions extends PasswordOptions {
  readonly plan?: string;
  readonly ip?: string;
  readonly framedPrefix?: string;
  readonly delegatedPrefix?: string;
  readonly pool?: string;
  readonly mac?: string;
  readonly nas?: string;
  readonly device?: string;
  readonly port?: string;
  readonly option82Auth?: string;
  readonly contract?: string;
  readonly name?: string;
  readonly phone?: string;
  readonly address?: string;
}

/** User-Name is one attribute: 253 octets (RFC 2865 §5). */
const longestLoginOctets = 253;

/** A login that RADIUS can carry and PostgreSQL can store. */
export function parseLogin(text: string): string {
  const login = parseText('the login', text);
  const octets = Buffer.byteLength(login, 'utf8');
  if (octets >= 1 && octets <= longestLoginOctets) return login;
  throw new CommandError(`a login has 1 to ${String(longestLoginOctets)} octets`, 'choose another one');
}

/** Makes a subscriber and shows it. */
export async function addSubscriber(context: CommandContext, loginText: string, options: AddOptions): Promise<void> {
  const login = parseLogin(loginText);
  const mac = options.mac === undefined ? undefined : parseMac('--mac', options.mac);
  const address = options.ip === undefined ? undefined : parseAddress('--ip', options.ip);
  const prefixes = {
    ...(options.framedPrefix !== undefined && {
      static_framed_prefix: parsePrefix('--framed-prefix', options.framedPrefix),
    }),
    ...(options.delegatedPrefix !== undefined && {
      static_delegated_prefix: parsePrefix('--delegated-prefix', options.delegatedPrefix),
    }),
  };
  const line = {
    ...(options.port !== undefined && { port: parsePort('--port', options.port) }),
    ...(options.option82Auth !== undefined && {
      option82_auth: parseOption82Auth('--option82-auth', options.option82Auth),
    }),
  };
  const contract = parseText('--contract', options.contract ?? login, longestText.contract);
  if (contract === '') throw new CommandError('the contract is empty', 'leave --contract out to use the login');
  const pool = await context.pool();
  const { plans, pools } = await loadCatalogueIds(pool);
  const planId = idOf('plan', options.plan, plans, (name) => `sluice plan add ${name} --down 50M --up 10M`);
  const poolId = idOf('pool', options.pool, pools, (name) => `sluice pool add ${name} NETWORK`);
  const device = options.device === undefined ? undefined : await pickDevice(pool, options.device);
  const earlier = (await findSubscribers(pool, login)).at(0);
  if (earlier?.deleted === false) {
    throw new CommandError(
      `there is a subscriber '${login}'`,
      `change it with: sluice subscriber set ${login} key=value`,
    );
  }
  // Known by its MAC, it needs no password; with a terminal the person may still give one.
  const ask = mac === undefined || context.io.stdin.isTTY === true;
  const password = await takePassword(context, options, ask);
  const subscriber: SubscriberValues & { login: string } = {
    login,
    ...(password !== undefined && { password }),
    ...(mac !== undefined && { mac }),
    ...(address !== undefined && { static_address: address }),
    ...prefixes,
    ...(poolId !== undefined && { pool_id: poolId }),
    ...(options.nas !== undefined && { nas_name: parseText('--nas', options.nas, longestText.nas) }),
    ...(device !== undefined && { device_id: device.id }),
    ...line,
  };
  const account: AccountValues = {
    ...(planId !== undefined && { plan_id: planId }),
    ...(options.name !== undefined && { name: parseText('--name', options.name, longestText.name) }),
    ...(options.phone !== undefined && { phone: parseText('--phone', options.phone, longestText.phone) }),
    ...(options.address !== undefined && { address: parseText('--address', options.address, longestText.address) }),
  };
  const id = await withActor(pool, context.actor, async (client) => {
    const accountId = await useAccount(context, client, contract, account);
    return await insertSubscriber(client, { ...subscriber, account_id: accountId });
  });
  if (earlier !== undefined) {
    context.remark(`note: another '${login}' (id ${String(earlier.id)}) is deleted; this is a new one`);
  }
  if (password === undefined) context.remark(`note: '${login}' has no password and is known by its MAC`);
  await remarkOnReferences(context, id, { address, nas: options.nas });
  await showSubscriberById(context, id);
}

function idOf(
  kind: string,
  name: string | undefined,
  known: ReadonlyMap<string, number>,
  maker: (name: string) => string,
): number | undefined {
  if (name === undefined) return undefined;
  const id = known.get(name);
  if (id === undefined) throw unknownName(kind, name, known.keys(), maker(name));
  return id;
}

async function useAccount(
  context: CommandContext,
  client: PoolClient,
  contract: string,
  values: AccountValues,
): Promise<number> {
  const found = await lockAccount(client, contract);
  if (found === undefined) {
    if (values.plan_id === undefined)
      context.remark('note: without a plan every request is refused; set one with plan=NAME');
    return await insertAccount(client, contract, values);
  }
  await updateAccount(client, found.id, values);
  if (values.plan_id !== undefined && values.plan_id !== found.plan_id && found.subscribers > 0) {
    context.remark(
      `note: the plan is that of the contract ${contract}: ${String(found.subscribers)} other subscriber(s) get it too`,
    );
  }
  return found.id;
}

/** Says what is right in the database and will still surprise on the network. */
export async function remarkOnReferences(
  context: CommandContext,
  subscriberId: number,
  given: { readonly address?: string | undefined; readonly nas?: string | undefined },
): Promise<void> {
  const pool = await context.pool();
  if (given.address !== undefined) {
    const holder = await otherHolderOf(pool, given.address, subscriberId);
    if (holder !== undefined) {
      context.remark(
        `note: ${given.address} is ${holder.how} to '${holder.login}' now; requests are refused until that ends`,
      );
    }
  }
  if (given.nas !== undefined && given.nas !== '' && !(await nasIsKnown(pool, given.nas))) {
    context.remark(`note: no server has read a NAS named '${given.nas}' from its configuration yet`);
  }
}
