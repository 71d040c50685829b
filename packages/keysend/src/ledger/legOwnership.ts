import type { StoreReader, StoreTransaction, ToolkitStore } from '../store/toolkitStore.js';
import type { Schedule } from '../timing/schedule.js';
import { keyPart } from './keyPart.js';
import type { Leg } from './leg.js';

export interface LegOwnershipOptions {
  readonly store: ToolkitStore;
  /** Unlike that of any other ledger that uses the store, now or before. */
  readonly id: string;
  readonly leaseMs: number;
  readonly now: () => number;
  readonly schedule: Schedule;
  /** Stores a renewal that nothing else is stored with. */
  readonly commit: <T>(body: (tx: StoreTransaction) => T) => Promise<T>;
  readonly isOwnerAlive: ((owner: string) => boolean | undefined) | undefined;
}

/** How long the lease of somebody who has gone is kept, so that nobody wonders. */
const forgottenAfterMs = 86_400_000;

/**
 * Who is busy with a payment: its `owner`, as long as the lease of that owner runs (`legOwner/<id>`: until when).
 * One row an owner, however many payments: renewing costs next to nothing.
 */
export class LegOwnership {
  readonly #options: LegOwnershipOptions;
  #untilMs = 0;
  #entered = 0;
  #cancel: (() => void) | undefined;

  constructor(options: LegOwnershipOptions) {
    this.#options = options;
  }

  get id(): string {
    return this.#options.id;
  }

  /** Whether nobody may have taken over what is ours, and will not for a while. */
  isFresh(): boolean {
    const { now, leaseMs } = this.#options;
    const leftMs = this.#untilMs - now();
    // Longer than a lease runs: the clock was set back, and others may not believe it.
    return leftMs > leaseMs / 4 && leftMs <= leaseMs;
  }

  /**
   * Prolongs our lease within a transaction that is made anyway, where that is due.
   * @returns until when it runs once the transaction is durable: for `confirm`.
   */
  renew(tx: StoreTransaction): number {
    const { leaseMs, now, id } = this.#options;
    const storedMs = leaseUntil(tx, id);
    const leftMs = storedMs - now();
    if (leftMs > leaseMs / 2 && leftMs <= leaseMs) return storedMs;
    const untilMs = now() + leaseMs;
    tx.put(ownerKey(id), String(untilMs));
    return untilMs;
  }

  /** The transaction of a renewal is durable. */
  confirm(untilMs: number): void {
    this.#untilMs = untilMs;
  }

  /**
   * For how long somebody else may still be busy with a payment: 0 where nobody is.
   * @param seenUntilMs what `busyUntilMs` said a whole lease ago.
   */
  busyForMs({ owner }: Leg, seenUntilMs?: number): number {
    const { now, leaseMs } = this.#options;
    if (owner === undefined || !this.mayLive({ owner })) return 0;
    const untilMs = this.busyUntilMs({ owner });
    const leftMs = untilMs - now();
    if (leftMs <= leaseMs) return Math.max(0, leftMs);
    // The clock was set back since: whoever is alive says a sensible time soon.
    return untilMs === seenUntilMs ? 0 : leaseMs;
  }

  busyUntilMs({ owner }: Pick<Leg, 'owner'>): number {
    return owner === undefined ? 0 : leaseUntil(this.#options.store, owner);
  }

  /** Whether somebody else, who was busy with a payment, may still be there, whatever the lease says. */
  mayLive({ owner }: Pick<Leg, 'owner'>): boolean {
    const { id, isOwnerAlive } = this.#options;
    return owner !== undefined && owner !== id && isOwnerAlive?.(owner) !== false;
  }

  /** Keeps the lease until `leave`: a run, or a visit of a payment, has begun. */
  enter(): void {
    if (this.#entered++ === 0) this.#renewLater();
  }

  /** It is over. Never rejects: a lease that cannot be given up runs out by itself. */
  async leave(): Promise<void> {
    if (--this.#entered > 0) return;
    this.#cancel?.();
    this.#cancel = undefined;
    if (this.#untilMs === 0) return;
    const { commit, id, now } = this.#options;
    await commit((tx) => {
      // Something has begun meanwhile.
      if (this.#entered > 0) return;
      this.#untilMs = 0;
      tx.delete(ownerKey(id));
      for (const { key, value } of tx.list({ prefix: 'legOwner/' })) {
        if (Number(value) < now() - forgottenAfterMs) tx.delete(key);
      }
    }).catch(() => {});
  }

  #renewLater(): void {
    const { schedule, leaseMs, commit } = this.#options;
    this.#cancel = schedule(leaseMs / 3, () => {
      if (this.#entered === 0) return;
      // What is not stored is not renewed: then others take over, and `isFresh` says so.
      commit((tx) => this.renew(tx))
        .then((untilMs) => this.confirm(untilMs))
        .catch(() => {});
      this.#renewLater();
    });
  }
}

function leaseUntil(reader: StoreReader, owner: string): number {
  return Number(reader.get(ownerKey(owner)) ?? '0');
}

function ownerKey(owner: string): string {
  return `legOwner/${keyPart(owner)}`;
}
