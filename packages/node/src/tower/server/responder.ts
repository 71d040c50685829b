import type {
  BroadcastRejectionCode,
  BroadcastResult,
  ChainBackend,
  ChainBlock,
  ChainTip,
} from '@rivulet/chain';
import { bytesToHex } from '@rivulet/core/bytes';
import { locatorOf, slotsOf } from '@rivulet/core/tower';
import { type Transaction, txid } from '@rivulet/core/tx';
import type { AppointmentKey, StoredAppointment, TowerStore, TowerTransaction } from '@rivulet/storage';
import type { Logger } from '../../logging/index.js';
import { outpointKey } from '../../onchain/outpointKey.js';
import { type BumpWallet, PenaltyBumper } from './penaltyBumper.js';
import { openAppointment, type Tracked, trackedOf, trackerKey } from './penaltyTracking.js';
import { RecentTransactions } from './recentTransactions.js';
import type { TowerLimits } from './towerLimits.js';

/** BOLT 5: General Nomenclature: an output is irrevocably resolved that many blocks deep. */
const buriedBlocks = 100;
/** A penalty that no miner took, and nothing else resolved, is given up after that many blocks. */
const givenUpBlocks = 4_032;
/** A penalty so many blocks deep may make room for others. */
const safeBlocks = 6;
/** Who has more cheats than this at the same time may have made them. */
const manyTrackers = 100;
/** Appointments of expired subscriptions that are deleted with one block: all at once would take minutes. */
const deletedPerBlock = 20_000;
/** Appointments that come up to that many blocks after their transaction are answered at once. */
const lateBlocks = 12;

export interface ResponderOptions {
  readonly store: TowerStore;
  readonly backend: Pick<ChainBackend, 'broadcast' | 'broadcastPackage' | 'estimateFeeratePerKw'>;
  readonly limits: TowerLimits;
  /** Pays for children of penalties that are not mined; without it they are only sent again. */
  readonly wallet?: BumpWallet | undefined;
  readonly logger: Logger;
}

/** Finds cheats in blocks, and sees to it that their penalties are mined and stay so. */
export class Responder {
  readonly #options: ResponderOptions;
  readonly #bumper: PenaltyBumper;
  readonly #recent = new RecentTransactions(lateBlocks);
  readonly #trackers = new Map<string, Tracked>();
  /** How many trackers each user has. */
  readonly #perUser = new Map<string, number>();
  /** How many trackers have the same penalty. */
  readonly #perPenalty = new Map<string, number>();
  /** Which trackers wait for the spending of an output. */
  readonly #watched = new Map<string, Set<string>>();
  /** What the backend said last of each penalty; what it will hardly ever take is sent ever more rarely. */
  readonly #answers = new Map<string, Answer>();
  /** The height at which each penalty was sent last. */
  readonly #sentAt = new Map<string, number>();
  #publishing: Promise<void> | undefined;
  #again = false;
  #stopped = false;
  #height: number;

  constructor(options: ResponderOptions) {
    this.#options = options;
    this.#bumper = new PenaltyBumper(options);
    this.#height = options.store.getTip()?.height ?? 0;
    for (const stored of options.store.loadTrackers()) this.#remember(trackedOf(stored));
  }

  get height(): number {
    return this.#height;
  }

  get tracked(): readonly Tracked[] {
    return [...this.#trackers.values()];
  }

  find(key: AppointmentKey): Tracked | undefined {
    return this.#trackers.get(trackerKey(key));
  }

  /** Makes the blocks known that were handled before: appointments for what is in them may still come. */
  recall(block: ChainBlock): void {
    this.#recent.add(block.height, withTxids(block));
  }

  get lateBlocks(): number {
    return lateBlocks;
  }

  /**
   * Those that are taken up, of what has begun, and those that make room for them. A user has a cheat a channel: one
   * with very many wants something else, and of each the first come first.
   */
  #admit(found: readonly Tracked[]): { begun: Tracked[]; evicted: Tracked[] } {
    const { maxTrackers, maxTrackersPerUser } = this.#options.limits;
    const counts = new Map<string, number>();
    const ranked = found
      .map((tracked) => {
        const user = bytesToHex(tracked.stored.userId);
        const rank = counts.get(user) ?? this.#perUser.get(user) ?? 0;
        counts.set(user, rank + 1);
        return { tracked, rank };
      })
      .filter(({ rank }) => rank < maxTrackersPerUser)
      .sort((a, b) => a.rank - b.rank)
      .slice(0, maxTrackers);
    const evicted = this.#evictable(this.#trackers.size + ranked.length - maxTrackers);
    const room = Math.max(0, maxTrackers - this.#trackers.size + evicted.length);
    return { begun: ranked.slice(0, room).map(({ tracked }) => tracked), evicted };
  }

  /** What can be done without: what is resolved, what nodes refuse most often, and then what one user has most of. */
  #evictable(count: number): Tracked[] {
    if (count <= 0) return [];
    const score = (tracked: Tracked): number => {
      const { resolvedHeight, userId } = tracked.stored;
      if (resolvedHeight !== undefined) {
        return this.#height - resolvedHeight + 1 >= safeBlocks ? Number.POSITIVE_INFINITY : 0;
      }
      const many = this.#perUser.get(bytesToHex(userId)) ?? 0;
      return this.#refusals(tracked) + (many > manyTrackers ? many / 1e9 : 0);
    };
    return [...this.#trackers.values()]
      .map((tracked) => ({ tracked, score: score(tracked) }))
      .filter((one) => one.score > 0)
      .sort((a, b) => b.score - a.score)
      .slice(0, count)
      .map(({ tracked }) => tracked);
  }

  #refusals({ penaltyId }: Tracked): number {
    return this.#answers.get(penaltyId)?.refusals ?? 0;
  }

  #remember(tracked: Tracked): void {
    const key = trackerKey(tracked.stored);
    if (!this.#trackers.has(key)) this.#count(tracked, 1);
    this.#trackers.set(key, tracked);
    for (const outpoint of tracked.watched) {
      const waiting = this.#watched.get(outpoint) ?? new Set();
      this.#watched.set(outpoint, waiting.add(key));
    }
  }

  #count({ stored, penaltyId }: Tracked, change: number): void {
    addTo(this.#perUser, { key: bytesToHex(stored.userId), change });
    addTo(this.#perPenalty, { key: penaltyId, change });
  }

  #forget(key: string): void {
    const tracked = this.#trackers.get(key);
    if (tracked === undefined) return;
    this.#trackers.delete(key);
    this.#count(tracked, -1);
    for (const outpoint of tracked.watched) {
      const waiting = this.#watched.get(outpoint);
      waiting?.delete(key);
      if (waiting?.size === 0) this.#watched.delete(outpoint);
    }
    if (this.#perPenalty.has(tracked.penaltyId)) return;
    this.#sentAt.delete(tracked.penaltyId);
    this.#answers.delete(tracked.penaltyId);
    this.#bumper.forget(tracked.penaltyId);
  }

  /**
   * An appointment was taken in this transaction, and its transaction may be in one of the last blocks.
   * @returns what to call when the transaction has committed.
   */
  takeLate(tx: TowerTransaction, appointment: StoredAppointment): (() => void) | undefined {
    const found = this.#recent.find(appointment.locator);
    if (found === undefined) return undefined;
    const tracked = openAppointment(appointment, {
      disputeTxid: found.txid,
      disputeHeight: found.height,
      ...(found.tx === undefined ? {} : { dispute: found.tx }),
    });
    if (tracked === undefined) return undefined;
    const { begun, evicted } = this.#admit([tracked]);
    if (begun.length === 0) return undefined;
    for (const { stored } of evicted) tx.deleteAppointment(stored);
    tx.putTracker(tracked.stored);
    return () => {
      for (const { stored } of evicted) this.#forget(trackerKey(stored));
      this.#remember(tracked);
    };
  }

  /** Stores what a block means, in one transaction; `publish` sends what follows from it. */
  processBlock(block: ChainBlock): void {
    const { store, limits, logger } = this.#options;
    const { height } = block;
    const transactions = withTxids(block);
    const found: Tracked[] = [];
    const useless: StoredAppointment[] = [];
    for (const { txid: disputeTxid, tx: dispute } of transactions) {
      const locator = locatorOf(disputeTxid);
      if (!store.hasLocator(locator)) continue;
      for (const appointment of store.appointmentsAt(locator)) {
        if (this.find(appointment) !== undefined) continue;
        const tracked = openAppointment(appointment, { disputeTxid, disputeHeight: height, dispute });
        if (tracked === undefined) useless.push(appointment);
        else found.push(tracked);
      }
    }
    const { begun, evicted } = this.#admit(found);
    const resolved = this.#resolvedBy(transactions, { begun, height });
    const over = [...this.#trackers.values()].filter(({ stored }) => isOver(stored, height));
    const gone = new Set(evicted);
    const outdated = store.listExpiredUsers(height - limits.graceBlocks);
    store.transaction((tx) => {
      for (const { stored } of begun) tx.putTracker(stored);
      for (const { stored } of resolved) tx.putTracker(stored);
      for (const appointment of useless) tx.deleteAppointment(appointment);
      for (const { stored } of evicted) tx.deleteAppointment(stored);
      for (const tracked of over) if (!gone.has(tracked)) endTracker(tx, tracked.stored);
      let left = deletedPerBlock;
      for (const { userId } of outdated) if (left > 0) left -= tx.deleteUser(userId, left);
      tx.putBlock({ height, hash: block.hash });
    });
    for (const tracked of [...begun, ...resolved]) this.#remember(tracked);
    for (const { stored } of [...over, ...evicted]) this.#forget(trackerKey(stored));
    this.#recent.add(height, transactions);
    this.#height = height;
    for (const { stored } of begun) {
      logger.warn({ disputeTxid: shown(stored.disputeTxid), height }, 'a revoked commitment was confirmed');
    }
    if (evicted.length + found.length > begun.length) {
      const lost = { evicted: evicted.length, refused: found.length - begun.length };
      logger.error(lost, 'the tower has more cheats to answer than it can: some are given up');
    }
    if (useless.length > 0)
      logger.info({ count: useless.length }, 'appointments that answer nothing are dropped');
  }

  #resolvedBy(
    transactions: readonly { readonly tx: Transaction }[],
    { begun, height }: { begun: Tracked[]; height: number },
  ): Tracked[] {
    const touched = new Set<string>();
    const spent = new Set<string>();
    for (const { tx } of transactions) {
      for (const { outpoint } of tx.inputs) {
        const key = outpointKey(outpoint);
        spent.add(key);
        for (const tracker of this.#watched.get(key) ?? []) touched.add(tracker);
      }
    }
    const known = [...touched].flatMap((key) => this.#trackers.get(key) ?? []);
    const fresh = begun.filter(({ watched }) => watched.some((outpoint) => spent.has(outpoint)));
    return [...known, ...fresh]
      .filter(({ stored }) => stored.resolvedHeight === undefined)
      .map((tracked) => ({ ...tracked, stored: { ...tracked.stored, resolvedHeight: height } }));
  }

  /**
   * Takes back a block. A cheat that was in it is no cheat until it is mined again: its appointment is still
   * there. A penalty that was in it is to be mined again.
   */
  undoBlock({ height }: ChainTip): void {
    const { store } = this.#options;
    const undone = [...this.#trackers.values()].filter(({ stored }) => stored.disputeHeight >= height);
    const reopened = [...this.#trackers.values()]
      .filter(({ stored }) => (stored.resolvedHeight ?? -1) >= height && stored.disputeHeight < height)
      .map((tracked) => ({ ...tracked, stored: { ...tracked.stored, resolvedHeight: undefined } }));
    store.transaction((tx) => {
      for (const { stored } of undone) tx.deleteTracker(stored);
      for (const { stored } of reopened) tx.putTracker(stored);
      tx.removeBlocksFrom(height);
    });
    for (const { stored } of undone) this.#forget(trackerKey(stored));
    for (const tracked of reopened) this.#remember(tracked);
    this.#recent.remove(height);
    this.#height = height - 1;
  }

  /**
   * Sends every penalty that is not mined (again), and has children pay for those that wait. Those come first
   * that nothing was said against: others may have been made to keep us busy. Blocks are not kept waiting by it:
   * called again it goes on with what is most urgent then, and with nothing twice at one height.
   */
  publish(): Promise<void> {
    this.#again = true;
    this.#publishing ??= this.#publishAll().finally(() => {
      this.#publishing = undefined;
    });
    return this.#publishing;
  }

  /** Resolves when nothing is being sent. */
  async settled(): Promise<void> {
    await this.#publishing;
  }

  /** Nothing more is sent. */
  stop(): void {
    this.#stopped = true;
  }

  async #publishAll(): Promise<void> {
    while (this.#again && !this.#stopped) {
      this.#again = false;
      for (const tracked of this.#due()) {
        if (this.#again || this.#stopped) break;
        this.#sentAt.set(tracked.penaltyId, this.#height);
        await this.#send(tracked);
      }
    }
  }

  #due(): Tracked[] {
    const due = new Map<string, Tracked>();
    for (const tracked of this.#trackers.values()) {
      const { penaltyId, stored } = tracked;
      if (stored.resolvedHeight !== undefined || this.#sentAt.get(penaltyId) === this.#height) continue;
      if ((this.#answers.get(penaltyId)?.notBefore ?? 0) <= this.#height) due.set(penaltyId, tracked);
    }
    return [...due.values()].sort((a, b) => this.#refusals(a) - this.#refusals(b));
  }

  async #send(tracked: Tracked): Promise<void> {
    const { backend, logger } = this.#options;
    const { penalty, stored } = tracked;
    try {
      this.#note(tracked, await backend.broadcast(penalty));
      if (!this.#stopped && this.#height > stored.disputeHeight)
        await this.#bumper.bump(tracked, this.#height);
    } catch (error) {
      logger.warn({ err: error }, 'a penalty could not be sent; it is tried again with the next block');
    }
  }

  /** Remembers what was said of a penalty, and logs it where that is news. */
  #note({ penalty, penaltyId, stored }: Tracked, result: BroadcastResult): void {
    const { logger } = this.#options;
    if (!this.#perPenalty.has(penaltyId)) return;
    const before = this.#answers.get(penaltyId);
    const said = result.accepted ? 'sent' : result.code;
    const refusals = result.accepted ? 0 : (before?.refusals ?? 0) + 1;
    const hopeless = !result.accepted && hopelessCodes.has(result.code);
    const notBefore = hopeless ? this.#height + 2 ** Math.min(refusals, 10) : 0;
    this.#answers.set(penaltyId, { said, refusals, notBefore });
    if (before?.said === said) return;
    const about = { disputeTxid: shown(stored.disputeTxid), penaltyTxid: shown(txid(penalty)) };
    if (result.accepted) logger.info(about, 'a penalty was sent');
    else logger.warn({ ...about, code: result.code }, `a penalty was not taken: ${result.message}`);
  }
}

interface Answer {
  readonly said: string;
  /** In a row. */
  readonly refusals: number;
  /** A height. */
  readonly notBefore: number;
}

/** What a later block will hardly change. */
const hopelessCodes: ReadonlySet<BroadcastRejectionCode> = new Set(['invalid', 'not_standard', 'dust']);

function addTo(counts: Map<string, number>, { key, change }: { key: string; change: number }): void {
  const count = (counts.get(key) ?? 0) + change;
  if (count === 0) counts.delete(key);
  else counts.set(key, count);
}

function isOver({ resolvedHeight, disputeHeight }: Tracked['stored'], height: number): boolean {
  return resolvedHeight === undefined
    ? height - disputeHeight >= givenUpBlocks
    : height - resolvedHeight + 1 >= buriedBlocks;
}

/** What is buried is forgotten, and its slots are free again. */
function endTracker(tx: TowerTransaction, key: AppointmentKey): void {
  const appointment = tx.getAppointment(key);
  const user = tx.getUser(key.userId);
  tx.deleteAppointment(key);
  if (appointment === undefined || user === undefined) return;
  const availableSlots = user.availableSlots + slotsOf(appointment.encryptedBlob.length);
  tx.putUser({ ...user, availableSlots });
}

function withTxids({ transactions }: Pick<ChainBlock, 'transactions'>) {
  return transactions.map((tx) => ({ txid: txid(tx), tx }));
}

function shown(id: Uint8Array): string {
  return bytesToHex(id.toReversed());
}
