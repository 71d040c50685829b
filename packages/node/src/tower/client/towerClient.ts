import { bytesToHex, hexToBytes } from '@rivulet/core/bytes';
import type { Channel, ChannelEvent } from '@rivulet/core/channel';
import type { ChannelSigner } from '@rivulet/core/keys';
import { revokedStateOf } from '@rivulet/core/tower';
import { type NodeStorage, StorageError, type StorageTransaction } from '@rivulet/storage';
import type { NodePart } from '../../driver/nodePart.js';
import { type ChannelKey, channelKey, type Turn, type Turns } from '../../driver/turns.js';
import type { Logger } from '../../logging/index.js';
import type { Scheduler } from '../../peers/index.js';
import { TowerError } from '../towerError.js';
import {
  deleteProgress,
  deleteTowerRecord,
  getMissed,
  getPenaltyScript,
  getProgress,
  loadTowerRecords,
  putMissed,
  putPenaltyScript,
  putProgress,
  putTowerRecord,
  type TowerRecord,
} from './towerRecords.js';
import { describeTower, type TowerStatus } from './towerStatus.js';
import { parseTowerUri } from './towerUri.js';
import { TowerWorker, type TowerWorkerPorts } from './towerWorker.js';
import { encodeWaitingState } from './waitingState.js';

export interface TowerClientOptions {
  readonly turns: Turns;
  readonly storage: NodeStorage;
  readonly signers: { of(channelKeyId: Uint8Array): ChannelSigner };
  /** 32 bytes, of the wallet's words: the keys by which towers know us come from it. */
  readonly secret: Uint8Array;
  /** A script of the wallet, which penalties pay to. */
  readonly newScript: (tx: StorageTransaction) => Uint8Array;
  readonly blockHeight: () => number;
  /** Satoshis a 1000 weight units for confirmation within a few blocks. */
  readonly estimateFeeratePerKw: () => Promise<number | undefined>;
  readonly scheduler: Scheduler;
  /** Milliseconds since 1970. */
  readonly now: () => number;
  readonly random?: () => number;
  readonly logger: Logger;
  /** States that may wait for towers; what is revoked after that is not watched. Default: 500,000. */
  readonly maxWaiting?: number;
  /** Bytes of these states: a peer can make them large. Default: 256 MB */
  readonly maxWaitingBytes?: number;
  /** How long a tower has for an answer. Default: 20 seconds. */
  readonly requestTimeoutMs?: number;
}

/** A penalty's fee is fixed when it is signed: so many times today's estimate, and at least that. */
const feerateFactor = 3;
const leastFeeratePerKw = 2_500;
const defaultMaxWaiting = 500_000;
const defaultMaxWaitingBytes = 256_000_000;

/**
 * Has watchtowers watch the channels: what a peer revokes is written down in the same transaction, and told to
 * every tower from there, in order, as fast as it takes it. Towers are added and removed while the node runs.
 */
export class TowerClient implements NodePart {
  readonly #options: TowerClientOptions;
  readonly #workers = new Map<string, TowerWorker>();
  /** The highest number that waits, of each channel. */
  readonly #waiting = new Map<ChannelKey, bigint>();
  #count = 0;
  #bytes = 0;
  #feeratePerKw: number | undefined;
  #started = false;
  #full = false;

  constructor(options: TowerClientOptions) {
    this.#options = options;
    for (const record of loadTowerRecords(options.storage)) this.#addWorker(record);
    this.#loadQueues();
  }

  #loadQueues(): void {
    this.#waiting.clear();
    this.#count = 0;
    this.#bytes = 0;
    for (const { channelId, count, bytes, last } of this.#options.storage.listTowerQueues()) {
      this.#waiting.set(bytesToHex(channelId), last);
      this.#count += count;
      this.#bytes += bytes;
    }
    this.#full = this.#isOverLimit;
  }

  get #isOverLimit(): boolean {
    const { maxWaiting = defaultMaxWaiting, maxWaitingBytes = defaultMaxWaitingBytes } = this.#options;
    return this.#count >= maxWaiting || this.#bytes >= maxWaitingBytes;
  }

  #addWorker(record: TowerRecord): TowerWorker {
    const worker = new TowerWorker(record, this.#ports);
    this.#workers.set(record.towerId, worker);
    return worker;
  }

  get #ports(): TowerWorkerPorts {
    const { turns, storage, scheduler, logger, now, secret, blockHeight, signers } = this.#options;
    return {
      storage,
      scheduler,
      logger,
      now,
      random: this.#options.random ?? Math.random,
      secret,
      requestTimeoutMs: this.#options.requestTimeoutMs ?? 20_000,
      blockHeight,
      channel: (key) => turns.channels.get(key),
      signerOf: (channelKeyId) => signers.of(channelKeyId),
      waiting: () => this.#waiting,
      nothingWaits: (channel) => void this.#waiting.delete(channel),
      penaltyTerms: () => this.#penaltyTerms(),
      store: (write) => this.#store(write),
      trim: (tx, channel) => this.#trim(tx, channel),
    };
  }

  wantsRevocations(): boolean {
    return this.#workers.size > 0;
  }

  onEvent(turn: Turn, channel: Channel, event: ChannelEvent): void {
    if (event.type === 'phaseChanged' && channel.phase.name === 'closed') this.#forget(turn, channel);
    if (event.type !== 'remoteRevoked' || this.#workers.size === 0) return;
    try {
      this.#note(turn, event);
    } catch (error) {
      if (error instanceof StorageError) throw error;
      // Not to be told of one state is no reason to stop a channel.
      this.#options.logger.error(
        { err: error },
        'towers will not hear of a revoked state: an internal fault',
      );
    }
  }

  #note(turn: Turn, event: Extract<ChannelEvent, { type: 'remoteRevoked' }>): void {
    const { commitmentNumber, before } = event;
    const { channelId } = before.params;
    const key = channelKey(channelId);
    if (this.#isFull()) {
      putMissed(turn.tx, { channel: key, count: getMissed(turn.tx, key) + 1 });
      return;
    }
    const data = encodeWaitingState({ atMs: this.#options.now(), state: revokedStateOf(before) });
    turn.tx.putTowerState({ channelId, commitmentNumber, data });
    turn.afterCommit(() => {
      this.#count++;
      this.#bytes += data.length;
      this.#waiting.set(key, commitmentNumber);
      this.#wake();
    });
  }

  /** Counted anew only where it may be so: what was told is not counted one by one. */
  #isFull(): boolean {
    if (this.#full || !this.#isOverLimit) return this.#full;
    this.#loadQueues();
    if (this.#full)
      this.#options.logger.error('too much waits for towers: what is revoked from now on is not watched');
    return this.#full;
  }

  /** A channel that is over needs no tower. */
  #forget(turn: Turn, { params }: Channel): void {
    const key = channelKey(params.channelId);
    const last = this.#waiting.get(key);
    if (last !== undefined) turn.tx.deleteTowerStates({ channelId: params.channelId, before: last + 1n });
    for (const towerId of this.#workers.keys()) deleteProgress(turn.tx, { towerId, channel: key });
    turn.afterCommit(() => this.#loadQueues());
  }

  async start(): Promise<void> {
    this.#started = true;
    await this.#learnFeerate();
    this.#wake();
  }

  /** A new block: subscriptions may have to be prolonged, and fees may have changed. */
  async onCaughtUp(): Promise<void> {
    if (!this.#started || this.#workers.size === 0) return;
    await this.#learnFeerate();
    this.#wake();
  }

  async stop(): Promise<void> {
    this.#started = false;
    await Promise.all([...this.#workers.values()].map((worker) => worker.stop()));
  }

  async #learnFeerate(): Promise<void> {
    this.#feeratePerKw =
      (await this.#options.estimateFeeratePerKw().catch(() => undefined)) ?? this.#feeratePerKw;
  }

  #wake(): void {
    if (!this.#started) return;
    for (const worker of this.#workers.values()) worker.wake();
  }

  async #penaltyTerms(): Promise<{ script: Uint8Array; feeratePerKw: number }> {
    const { storage, newScript } = this.#options;
    if (this.#feeratePerKw === undefined) await this.#learnFeerate();
    const feeratePerKw = Math.max((this.#feeratePerKw ?? 0) * feerateFactor, leastFeeratePerKw);
    const known = getPenaltyScript(storage);
    if (known !== undefined) return { script: known, feeratePerKw };
    const script = await this.#turn((turn) => {
      const made = getPenaltyScript(turn.tx) ?? newScript(turn.tx);
      putPenaltyScript(turn.tx, made);
      return made;
    });
    return { script, feeratePerKw };
  }

  #turn<T>(body: (turn: Turn) => T): Promise<T> {
    return new Promise((resolve, reject) => {
      this.#options.turns.enqueue({
        run: (turn) => {
          const value = body(turn);
          turn.afterCommit(() => resolve(value));
        },
        failed: reject,
      });
    });
  }

  #store(write: (tx: StorageTransaction) => void): Promise<void> {
    return this.#turn((turn) => {
      write(turn.tx);
      turn.afterCommit(() => this.#recount());
    });
  }

  /** What waits, after some of it was told. */
  #recount(): void {
    const { storage } = this.#options;
    for (const [key, last] of this.#waiting) {
      const next = this.#leastNext(storage, key);
      if (next !== undefined && next > last) this.#waiting.delete(key);
    }
    if (this.#waiting.size === 0) {
      this.#count = 0;
      this.#bytes = 0;
    }
    if (this.#full) this.#loadQueues();
  }

  /** The first commitment that some tower has not heard of; `undefined` where no tower is to hear of any. */
  #leastNext(reader: Pick<StorageTransaction, 'getValue'>, channel: ChannelKey): bigint | undefined {
    let least: bigint | undefined;
    for (const [towerId, { record }] of this.#workers) {
      if (record.misbehaving) continue;
      const { next } = getProgress(reader as StorageTransaction, { towerId, channel });
      if (least === undefined || next < least) least = next;
    }
    return least;
  }

  #trim(tx: StorageTransaction, channel: ChannelKey): void {
    const least = this.#leastNext(tx, channel);
    if (least === undefined) return;
    const channelId = hexToBytes(channel);
    tx.deleteTowerStates({ channelId, before: least });
  }

  /**
   * Registers with a tower, and has it watch from now on; one that is known gets its new address, and another
   * chance where it had misbehaved.
   * @throws TowerError where the URI is none, or the tower does not answer as a tower does.
   */
  async add(uri: string): Promise<TowerStatus> {
    const { towerId, url } = parseTowerUri(uri);
    const { now } = this.#options;
    const known = this.#workers.get(towerId)?.record;
    const record: TowerRecord = {
      addedAtMs: now(),
      proofs: [],
      users: {},
      ...known,
      towerId,
      url,
      misbehaving: false,
    };
    const worker = new TowerWorker(record, this.#ports);
    try {
      await worker.introduce();
    } catch (error) {
      await worker.stop();
      throw error;
    }
    await this.#turn((turn) => {
      putTowerRecord(turn.tx, worker.record);
      if (known !== undefined) return;
      // From here on, and not after it: what is revoked later in this very turn is to be heard of.
      this.#workers.set(towerId, worker);
      for (const [key, { params, remoteCommit, phase }] of turn.channels) {
        if (phase.name === 'closed') continue;
        const { channelId } = params;
        const [first] = turn.tx.loadTowerStates({ channelId, from: 0n, limit: 1 });
        const from = first?.commitmentNumber ?? remoteCommit.number;
        putProgress(turn.tx, {
          towerId,
          channel: key,
          value: { from, next: from, refused: 0, receipts: [] },
        });
      }
    }).catch((error) => {
      if (known === undefined) this.#workers.delete(towerId);
      throw error;
    });
    if (known !== undefined) await this.#workers.get(towerId)?.stop();
    this.#workers.set(towerId, worker);
    worker.wake();
    return this.status(towerId);
  }

  /** Forgets a tower: it keeps what it has, but hears of nothing more. @throws TowerError `tower_unknown` */
  async remove(towerId: string): Promise<void> {
    const worker = this.#worker(towerId);
    await worker.stop();
    await this.#turn((turn) => {
      deleteTowerRecord(turn.tx, towerId);
      turn.afterCommit(() => this.#workers.delete(towerId));
    });
    await this.#turn((turn) => {
      for (const [channel, last] of this.#waiting) {
        if (this.#workers.size > 0) this.#trim(turn.tx, channel);
        else turn.tx.deleteTowerStates({ channelId: hexToBytes(channel), before: last + 1n });
      }
      turn.afterCommit(() => this.#loadQueues());
    });
  }

  #worker(towerId: string): TowerWorker {
    const worker = this.#workers.get(towerId);
    if (worker !== undefined) return worker;
    throw new TowerError('tower_unknown', `there is no tower ${towerId}; \`rivulet towers list\` lists them`);
  }

  /** How far every tower is with every channel. */
  list(): TowerStatus[] {
    return [...this.#workers.keys()].map((towerId) => this.status(towerId));
  }

  /** @throws TowerError `tower_unknown` */
  status(towerId: string): TowerStatus {
    const { storage, turns, blockHeight } = this.#options;
    return describeTower(this.#worker(towerId), { storage, channels: turns.channels, height: blockHeight() });
  }
}
