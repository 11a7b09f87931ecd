/**
 * Accounting-Requests. Enters: admitted requests of the accounting port. Leaves: an Accounting-Response, after the record is durable in
 * the spool and never before (RFC 2866 §2). Invariant: what cannot be recorded is not acknowledged, so that the NAS sends it again.
 */
import type { AccountingFact } from '../domain/accounting-fact.js';
import type { AdmittedRequest } from '../radius/admitted-request.js';
import { Code } from '../radius/code.js';
import type { Packet } from '../radius/packet.js';
import { ReplyBuilder } from '../radius/reply.js';
import type { Spool } from '../spool/spool.js';
import {
  accountingFact,
  accountingStatus,
  encodeAccountingRecord,
  type FactReading,
  isWholeAccounting,
  RecordKind,
  type RecordOrigin,
} from './accounting-record.js';

export interface AccountingDeps extends FactReading {
  readonly spool: Pick<Spool, 'append' | 'appendable'>;
  /** Which NAS entry speaks; undefined: none of those behind this address. */
  readonly originOf: (request: AdmittedRequest) => RecordOrigin | undefined;
  /** Told of each fact once it is durable, before the answer leaves: session limits see it at once. */
  readonly onFact: (fact: AccountingFact) => void;
  /** Whether an Interim-Update from there can be no news to `onFact`: so it is with nearly all, and they are not read a first time then. */
  readonly isKnown?: (origin: RecordOrigin, packet: Packet) => boolean;
}

/** Counters by what became of a request. */
export interface AccountingCounters {
  start: number;
  interim: number;
  stop: number;
  on: number;
  off: number;
  other: number;
  refused: number;
}

export class AccountingHandler {
  readonly counters: AccountingCounters = { start: 0, interim: 0, stop: 0, on: 0, off: 0, other: 0, refused: 0 };
  readonly #deps: AccountingDeps;

  constructor(deps: AccountingDeps) {
    this.#deps = deps;
  }

  handle(request: AdmittedRequest): void {
    const { packet } = request;
    if (packet.code === Code.statusServer) {
      // A NAS that asks whether we are well must not hear yes while nothing can be recorded (RFC 5997 §4.2).
      if (this.#deps.spool.appendable) this.#acknowledge(request);
      else this.#refuse(request, 'spool-unavailable');
      return;
    }
    const status = accountingStatus(packet);
    if (status === undefined || !isWholeAccounting(packet, status)) {
      this.#refuse(request, 'accounting-incomplete');
      return;
    }
    const origin = this.#deps.originOf(request);
    if (origin === undefined) {
      this.#refuse(request, 'unknown-nas');
      return;
    }
    if (status === 'other') {
      this.counters.other += 1;
      this.#acknowledge(request);
      return;
    }
    const accepted = this.#deps.spool.append(
      RecordKind.accounting,
      request.receivedAtMs,
      encodeAccountingRecord(origin, packet),
      (result) => {
        if (!result.ok) {
          this.#refuse(request, 'spool-failed');
          return;
        }
        this.counters[status] += 1;
        if (status !== 'interim' || this.#deps.isKnown?.(origin, packet) !== true) {
          const fact = accountingFact({ ...origin, packet }, request.receivedAtMs, this.#deps);
          if (fact !== undefined) this.#deps.onFact(fact);
        }
        this.#acknowledge(request);
      },
    );
    if (!accepted) this.#refuse(request, 'spool-unavailable');
  }

  #acknowledge(request: AdmittedRequest): void {
    request.reply(new ReplyBuilder(request.packet, Code.accountingResponse, request.secret));
  }

  #refuse(request: AdmittedRequest, reason: string): void {
    this.counters.refused += 1;
    request.discard(reason);
  }
}
