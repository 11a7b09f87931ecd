// An Access-Request handler with everything around it in memory. Enters: conf files, subscribers, packets as a NAS builds them.
// Leaves: replies, opened as a strict client opens them, and what was noted. Invariant: no socket; the reserve and the spool
// do what the test says.

import { mkdtemp, mkdir, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { selectNas } from '../../src/config/source-table.js';
import { loadPolicy, standardDictionary, type Policy } from '../../src/app/policy.js';
import { RateClock } from '../../src/domain/effective-rate.js';
import { decodeGrant, type Grant } from '../../src/domain/grant.js';
import type { PoolAddress } from '../../src/domain/pool-address.js';
import { Subscriber, type Account, type Plan, type SubscriberFields } from '../../src/domain/subscriber.js';
import { AccessRequestHandler, type AccessDeps } from '../../src/handlers/access-request.js';
import { ClassCookie } from '../../src/handlers/class-cookie.js';
import { PasswordCheck } from '../../src/handlers/password-check.js';
import { AdmittedRequest } from '../../src/radius/admitted-request.js';
import { Attribute } from '../../src/radius/attribute-number.js';
import { parsePacket, type Packet } from '../../src/radius/packet.js';
import { PapVerifier } from '../../src/radius/pap.js';
import { SharedSecret } from '../../src/radius/shared-secret.js';
import type { AccessAttempt } from '../../src/store/access-attempts.js';
import { AddressReserve } from '../../src/store/address-reserve.js';
import { Directory } from '../../src/store/directory.js';
import { openReply, type BuiltRequest } from './radius-client.js';

export const SECRET = 'a-secret-for-the-tests-only';
export const SEAL_KEY = Buffer.alloc(32, 7);

export interface Answer {
  readonly reply: Packet | undefined;
  readonly discarded: string | undefined;
}

interface Teardown {
  teardown(undo: () => Promise<void>): void;
}

export interface DeskOptions {
  /** Files under conf/, beside a NAS `bras1` at 192.0.2.1. */
  readonly files?: Readonly<Record<string, string>>;
  readonly profile?: string;
  readonly overrides?: Partial<AccessDeps>;
  /** False: as before the first load. */
  readonly loaded?: boolean;
}

/** Everything that a test may look at or set. */
export class Desk {
  readonly directory = new Directory();
  readonly attempts: AccessAttempt[] = [];
  readonly grants: Grant[] = [];
  readonly errors: unknown[] = [];
  readonly cookie = new ClassCookie(Buffer.alloc(32, 9));
  readonly secret = new SharedSecret(SECRET);
  readonly reserve: AddressReserve;
  readonly handler: AccessRequestHandler;
  nowMs = Date.UTC(2026, 10, 21, 12);
  /** What becomes of the next grants: on disk, held until `writeGrants`, failed, or refused at once. */
  spool: 'writes' | 'holds' | 'fails' | 'refuses' = 'writes';
  /** Free addresses in the database, by pool. */
  readonly free: { poolId: number; address: PoolAddress }[] = [];
  private readonly heldGrants: ((ok: boolean) => void)[] = [];

  private constructor(
    private readonly policy: Policy,
    { overrides, loaded }: DeskOptions,
  ) {
    this.reserve = new AddressReserve({
      pool: this.databaseOfPools() as never,
      directory: this.directory,
      instance: 'one',
      reserveSize: 2,
      offerGraceMs: 300_000,
      outageHorizonMs: 3_600_000,
      nowMs: () => this.nowMs,
      onError: (error) => this.errors.push(error),
    });
    this.handler = new AccessRequestHandler(
      {
        directory: this.directory,
        reserve: this.reserve,
        spool: { append: (_kind, _at, payload, onDurable) => this.append(payload, onDurable) },
        passwords: new PasswordCheck({ pap: new PapVerifier(), sealKeys: new Map([[1, SEAL_KEY]]) }),
        classCookie: this.cookie,
        attempts: { note: (attempt) => this.attempts.push(attempt) },
        nowMs: () => this.nowMs,
        onError: (error) => this.errors.push(error),
        ...overrides,
      },
      {
        nasOf: (request) => {
          const { packet } = request;
          const group = policy.sources.lookup(request.sourceAddress);
          return (
            group && selectNas(group, packet.text(Attribute.nasIdentifier), packet.address(Attribute.nasIpAddress))
          );
        },
        profiles: policy.profiles,
        lineOf: policy.seenLines.of,
        offerGraceMs: 300_000,
        rates: new RateClock('Europe/Moscow'),
      },
    );
    this.directory.markCaughtUp(this.nowMs, this.nowMs);
    if (loaded !== false) this.directory.markLoaded();
  }

  /** As the server reads access lines. */
  get lineOf(): Policy['seenLines']['of'] {
    return this.policy.seenLines.of;
  }

  static async open(test: Teardown, options: DeskOptions = {}): Promise<Desk> {
    const root = await mkdtemp(join(tmpdir(), 'sluice-access-'));
    test.teardown(() => rm(root, { recursive: true, force: true }));
    const files: Record<string, string> = {
      'nas.d/bras1.toml': `name = "bras1"\naddress = "192.0.2.1"\nsecret = "${SECRET}"\nprofile = "${options.profile ?? 'mikrotik-ppp'}"\ninterim_seconds = 600\n`,
      ...options.files,
    };
    for (const [name, text] of Object.entries(files)) {
      const path = join(root, 'conf', name);
      await mkdir(join(path, '..'), { recursive: true });
      await writeFile(path, text, { mode: 0o600 });
    }
    const { policy } = await loadPolicy(
      { confDir: join(root, 'conf'), dataDir: join(root, 'data') },
      standardDictionary(),
    );
    return new Desk(policy, options);
  }

  addPlan(fields: Partial<Plan> = {}): void {
    this.directory.replacePlans([
      {
        id: 1,
        name: 'home',
        active: true,
        validFromMs: undefined,
        validUntilMs: undefined,
        rateDownBps: 50_000_000,
        rateUpBps: 10_000_000,
        poolId: undefined,
        sessionLimit: 1,
        sessionLimitAction: 'reject',
        ...fields,
      },
    ]);
  }

  addAccount(fields: Partial<Account> = {}): void {
    this.directory.putAccount({ id: 1, contract: 'C-1', planId: 1, adminBlocked: false, ...fields });
  }

  /** Alice, with a password, the static address 100.64.0.1 and account 1. */
  addSubscriber(fields: Partial<SubscriberFields> = {}): Subscriber {
    const subscriber = new Subscriber({
      id: 1,
      accountId: 1,
      login: 'alice',
      password: 'wonderland',
      mac: undefined,
      staticAddress: 0x6440_0001,
      poolId: undefined,
      nasName: undefined,
      associatePppoeMac: false,
      associateVpnIp: false,
      deleted: false,
      redirect: false,
      ownDisabled: false,
      adminBlocked: false,
      ...fields,
    });
    this.directory.putSubscriber(subscriber);
    return subscriber;
  }

  /** Hands a packet over as admission does, and waits for what becomes of it. */
  async ask(
    request: BuiltRequest,
    from: { readonly proven?: boolean; readonly secrets?: SharedSecret[] } = {},
  ): Promise<Answer> {
    const parsed = parsePacket(request.bytes);
    if (!parsed.ok) throw new Error(parsed.reason);
    const group = this.policy.sources.lookup('192.0.2.1')!;
    return new Promise((resolve, reject) => {
      const admitted = new AdmittedRequest(
        {
          replied: (_, bytes) => {
            try {
              resolve({ reply: openReply(bytes, request), discarded: undefined });
            } catch (error) {
              reject(error as Error);
            }
          },
          discarded: (_, reason) => resolve({ reply: undefined, discarded: reason }),
        },
        parsed.packet,
        'auth',
        '192.0.2.1',
        40_000,
        { ...group, secrets: from.secrets ?? [this.secret] },
        from.secrets?.[0] ?? this.secret,
        from.proven ?? true,
        this.nowMs,
        undefined as never,
        undefined as never,
      );
      this.handler.handle(admitted);
    });
  }

  /** For measuring: handled, and the reply thrown away. */
  askWithoutOpening(request: BuiltRequest): void {
    const parsed = parsePacket(request.bytes);
    if (!parsed.ok) throw new Error(parsed.reason);
    const owner = { replied: () => undefined, discarded: () => undefined };
    const group = { ...this.policy.sources.lookup('192.0.2.1')!, secrets: [this.secret] };
    const nothing = undefined as never;
    this.handler.handle(
      new AdmittedRequest(
        owner,
        parsed.packet,
        'auth',
        '192.0.2.1',
        1,
        group,
        this.secret,
        true,
        this.nowMs,
        nothing,
        nothing,
      ),
    );
    this.attempts.length = 0;
  }

  /** Ends what the spool holds. */
  writeGrants(ok: boolean): void {
    for (const end of this.heldGrants.splice(0)) end(ok);
  }

  get heldGrantCount(): number {
    return this.heldGrants.length;
  }

  private append(payload: Uint8Array, onDurable: Parameters<AccessDeps['spool']['append']>[3]): boolean {
    if (this.spool === 'refuses') return false;
    const end = (ok: boolean) => {
      if (ok) this.grants.push(decodeGrant(Buffer.from(payload))!);
      onDurable(ok ? ({ ok: true } as never) : ({ ok: false, error: new Error('the disk') } as never));
    };
    if (this.spool === 'holds') this.heldGrants.push(end);
    // Never in the same turn: a disk takes its time.
    else queueMicrotask(() => end(this.spool === 'writes'));
    return true;
  }

  /** Answers the reserve's statements from `free`. */
  private databaseOfPools(): unknown {
    return {
      // A transaction that cuts new prefixes: what there is, stands in `free`.
      connect: async () => ({
        query: async (text: string) => ({ command: text, rows: [], rowCount: 0 }),
        release: () => undefined,
      }),
      query: async (asked: string | { readonly text: string; readonly values?: unknown[] }, given: unknown[] = []) => {
        const text = typeof asked === 'string' ? asked : asked.text;
        const values = typeof asked === 'string' ? given : (asked.values ?? []);
        if (text.includes('FROM pool_network')) return { rows: [{ pool_id: 7, size: 254 }] };
        if (!text.includes('WITH picked')) return { rows: [], rowCount: 0 };
        const poolIds = values[1] as number[];
        const counts = values[2] as number[];
        const rows = poolIds.flatMap((poolId, i) => {
          const mine = this.free.filter((one) => one.poolId === poolId).slice(0, counts[i]);
          for (const one of mine) this.free.splice(this.free.indexOf(one), 1);
          return mine.map((one) => ({
            pool_id: one.poolId,
            routing_domain: this.directory.pool(one.poolId)?.routingDomain ?? 'default',
            address: one.address,
          }));
        });
        return { rows, rowCount: rows.length };
      },
    };
  }
}
