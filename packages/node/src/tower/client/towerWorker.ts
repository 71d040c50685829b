import { bytesToHex, hexToBytes } from '@rivulet/core/bytes';
import type { Channel } from '@rivulet/core/channel';
import { type ChannelSigner, shachainIndex } from '@rivulet/core/keys';
import {
  appointmentReceiptMessage,
  deriveTowerUser,
  encryptPenalty,
  type Penalty,
  penaltiesOf,
  type TowerUser,
  towerErrorCodes,
} from '@rivulet/core/tower';
import type { NodeStorage, StorageTransaction, StoredTowerState } from '@rivulet/storage';
import type { ChannelKey } from '../../driver/turns.js';
import type { Logger } from '../../logging/index.js';
import { reconnectDelayMs } from '../../peers/backoff.js';
import type { CancelTimer, Scheduler } from '../../peers/index.js';
import { type Delivered, TowerAnswerError, TowerConnection, TowerMisbehaviour } from './towerConnection.js';
import {
  getProgress,
  type KeptReceipt,
  keptReceipts,
  putProgress,
  putTowerRecord,
  type TowerProgress,
  type TowerRecord,
} from './towerRecords.js';
import { decodeWaitingState } from './waitingState.js';

export interface TowerWorkerPorts {
  readonly storage: NodeStorage;
  readonly scheduler: Scheduler;
  readonly logger: Logger;
  readonly now: () => number;
  /** From 0 (inclusive) to 1 (exclusive). */
  readonly random: () => number;
  readonly secret: Uint8Array;
  readonly requestTimeoutMs: number;
  readonly blockHeight: () => number;
  readonly channel: (key: ChannelKey) => Channel | undefined;
  readonly signerOf: (channelKeyId: Uint8Array) => ChannelSigner;
  /** The channels with states that wait, and the highest commitment number of each. */
  readonly waiting: () => ReadonlyMap<ChannelKey, bigint>;
  /** No state of this channel is stored any more. */
  readonly nothingWaits: (channel: ChannelKey) => void;
  readonly penaltyTerms: () => Promise<{ script: Uint8Array; feeratePerKw: number }>;
  /** Stores in a turn of the node; rejects when that could not be. */
  readonly store: (write: (tx: StorageTransaction) => void) => Promise<void>;
  /** What every tower has of a channel is forgotten. */
  readonly trim: (tx: StorageTransaction, channel: ChannelKey) => void;
}

/** States that are taken at once, and what of them is under way at the same time. */
const batchSize = 32;
const concurrency = 8;
const firstRetryMs = 1_000;
const longestRetryMs = 600_000;
/** Slots below which a subscription is renewed. */
const fewSlots = 200;

/** Tells one tower of what it has to know, in the order of the commitments, and keeps its subscriptions alive. */
export class TowerWorker {
  readonly #ports: TowerWorkerPorts;
  readonly #connection: TowerConnection;
  readonly #users = new Map<number, TowerUser>();
  readonly #registering = new Map<number, Promise<void>>();
  #record: TowerRecord;
  #running: Promise<void> | undefined;
  #again = false;
  #stopped = false;
  #failures = 0;
  #cancelRetry: CancelTimer | undefined;
  #lastContactMs: number | undefined;
  #lastError: { message: string; atMs: number } | undefined;
  #auditedAt = 0;

  constructor(record: TowerRecord, ports: TowerWorkerPorts) {
    this.#record = record;
    this.#ports = ports;
    const { towerId, url } = record;
    const { scheduler, requestTimeoutMs: timeoutMs } = ports;
    this.#connection = new TowerConnection({ towerId, url, scheduler, timeoutMs });
  }

  get record(): TowerRecord {
    return this.#record;
  }

  get lastContactMs(): number | undefined {
    return this.#lastContactMs;
  }

  get lastError(): { message: string; atMs: number } | undefined {
    return this.#lastError;
  }

  /** Registers the first user, before the tower is remembered. @throws TowerError */
  async introduce(): Promise<void> {
    await this.#register(0);
  }

  /** Something waits, or time has passed. A retry that is due later is not waited for only with `force`. */
  wake({ force = false }: { force?: boolean } = {}): void {
    if (this.#stopped || this.#record.misbehaving) return;
    if (this.#running !== undefined) {
      this.#again = true;
      return;
    }
    if (this.#cancelRetry !== undefined && !force) return;
    this.#cancelRetry?.();
    this.#cancelRetry = undefined;
    this.#running = this.#run().finally(() => {
      this.#running = undefined;
      if (this.#again && this.#cancelRetry === undefined) this.wake();
    });
  }

  async stop(): Promise<void> {
    this.#stopped = true;
    this.#cancelRetry?.();
    this.#connection.close();
    await this.#running;
  }

  async #run(): Promise<void> {
    try {
      do {
        this.#again = false;
        await this.#renew();
        for (let channel = this.#nextChannel(); channel !== undefined; channel = this.#nextChannel()) {
          await this.#deliverBatch(channel);
          if (this.#stopped) return;
        }
        await this.#audit();
      } while (this.#again && !this.#stopped);
      this.#failures = 0;
      this.#lastError = undefined;
    } catch (error) {
      await this.#fail(error);
    }
  }

  async #fail(error: unknown): Promise<void> {
    if (this.#stopped) return;
    const { logger, scheduler, random, now } = this.#ports;
    const { towerId } = this.#record;
    const message = error instanceof Error ? error.message : String(error);
    this.#lastError = { message, atMs: now() };
    if (error instanceof TowerMisbehaviour) {
      logger.error({ towerId, signer: error.proof.signerHex }, `${message}; nothing more is sent to it`);
      const proofs = [...this.#record.proofs, { ...error.proof, atMs: now() }].slice(-keptReceipts);
      this.#record = { ...this.#record, misbehaving: true, proofs };
      await this.#saveRecord().catch((cause) =>
        logger.error({ err: cause }, 'the proof could not be stored'),
      );
      return;
    }
    const retryInMs = reconnectDelayMs(this.#failures, {
      firstDelayMs: firstRetryMs,
      maximumDelayMs: longestRetryMs,
      random,
    });
    if (this.#failures === 0) logger.warn({ towerId, err: error, retryInMs }, 'a tower could not be told');
    this.#failures++;
    this.#cancelRetry = scheduler.schedule(retryInMs, () => {
      this.#cancelRetry = undefined;
      this.wake();
    });
  }

  #saveRecord(): Promise<void> {
    return this.#ports.store((tx) => putTowerRecord(tx, this.#record));
  }

  /** The first channel that has something for this tower. */
  #nextChannel(): ChannelKey | undefined {
    for (const [channel, last] of this.#ports.waiting()) {
      if (this.#progress(channel).next <= last) return channel;
    }
    return undefined;
  }

  #progress(channel: ChannelKey): TowerProgress {
    return getProgress(this.#ports.storage, { towerId: this.#record.towerId, channel });
  }

  /** Delivers the next states of a channel, and stores how far that went even where it did not go to the end. */
  async #deliverBatch(channel: ChannelKey): Promise<void> {
    const { storage, store, trim, nothingWaits } = this.#ports;
    const before = this.#progress(channel);
    const channelId = hexToBytes(channel);
    const states = storage.loadTowerStates({ channelId, from: before.next, limit: batchSize });
    const outcomes = new Array<StateOutcome | undefined>(states.length).fill(undefined);
    let failure: { error: unknown } | undefined;
    let taken = 0;
    const work = async (): Promise<void> => {
      for (let i = taken++; i < states.length && failure === undefined && !this.#stopped; i = taken++) {
        try {
          outcomes[i] = await this.#deliver(channel, states[i] as StoredTowerState);
        } catch (error) {
          failure ??= { error };
        }
      }
    };
    if (states.length === 0) {
      // They went with their channel: there is nothing to tell.
      nothingWaits(channel);
      return;
    }
    await Promise.all(Array.from({ length: Math.min(concurrency, states.length) }, work));
    const told = outcomes.indexOf(undefined);
    const done = outcomes.slice(0, told < 0 ? states.length : told) as StateOutcome[];
    if (done.length > 0) {
      const last = states[done.length - 1] as StoredTowerState;
      const refusals = done.flatMap(({ refusal }) => refusal ?? []);
      await store((tx) => {
        // As it is now: meanwhile the tower may have turned out to have forgotten what was before.
        const current = getProgress(tx, { towerId: this.#record.towerId, channel });
        this.#putProgress(tx, channel, {
          ...current,
          from: gapless(current, states.slice(0, done.length)),
          next: last.commitmentNumber + 1n,
          refused: current.refused + refusals.length,
          ...(refusals.length === 0 ? {} : { refusal: refusals.at(-1) }),
          receipts: [...current.receipts, ...done.flatMap(({ receipts }) => receipts)].slice(-keptReceipts),
        });
        putTowerRecord(tx, this.#record);
        trim(tx, channel);
      });
    }
    if (failure !== undefined) throw failure.error;
  }

  #putProgress(tx: StorageTransaction, channel: ChannelKey, value: TowerProgress): void {
    putProgress(tx, { towerId: this.#record.towerId, channel, value });
  }

  async #deliver(key: ChannelKey, { commitmentNumber, data }: StoredTowerState): Promise<StateOutcome> {
    const { channel: channelOf, signerOf, penaltyTerms } = this.#ports;
    const channel = channelOf(key);
    const perCommitmentSecret = channel?.revocations.lookup(shachainIndex(commitmentNumber));
    // A channel that is gone needs no tower any more.
    if (channel === undefined || perCommitmentSecret === undefined) return { receipts: [] };
    const { params } = channel;
    const terms = await penaltyTerms();
    let penalties: Penalty[];
    try {
      const { state } = decodeWaitingState(data);
      const signer = signerOf(params.channelKeyId);
      penalties = penaltiesOf({ params, signer, state, commitmentNumber, perCommitmentSecret, ...terms });
    } catch (err) {
      // It will not go better the next time, and must not keep all that comes later from the tower.
      this.#ports.logger.error({ err, channel: key }, 'a revoked state cannot be told to towers; report it');
      return { receipts: [], refusal: 'an internal fault: see the log' };
    }
    const outcome: { receipts: KeptReceipt[]; refusal?: string } = { receipts: [] };
    for (const penalty of penalties) {
      try {
        const delivered = await this.#send(penalty, params.local.toSelfDelay);
        if (delivered !== undefined) outcome.receipts.push(keptReceipt(commitmentNumber, penalty, delivered));
      } catch (error) {
        if (!(error instanceof TowerAnswerError) || !isFinal(error)) throw error;
        outcome.refusal = error.message;
        this.#ports.logger.error(
          { towerId: this.#record.towerId, channel: key, commitmentNumber: String(commitmentNumber) },
          `a tower will not watch a revoked state: ${error.message}`,
        );
      }
    }
    return outcome;
  }

  /** @returns `undefined` where the tower answers that cheat already. */
  async #send(penalty: Penalty, toSelfDelay: number): Promise<Delivered | undefined> {
    const { userIndex, locator, disputeTxid, tx } = penalty;
    if (this.#record.users[userIndex] === undefined) await this.#register(userIndex);
    const appointment = { locator, encryptedBlob: encryptPenalty(tx, disputeTxid), toSelfDelay };
    const send = async () => {
      const delivered = await this.#connection.addAppointment(this.#user(userIndex), appointment);
      this.#noteContact();
      const { availableSlots, subscriptionExpiry } = delivered;
      this.#noteSubscription(userIndex, { availableSlots, subscriptionExpiry });
      return delivered;
    };
    try {
      return await send();
    } catch (error) {
      if (!(error instanceof TowerAnswerError)) throw error;
      if (error.errorCode === towerErrorCodes.alreadyTriggered) return undefined;
      if (error.errorCode !== towerErrorCodes.invalidSignatureOrSubscription) throw error;
      // Expired, used up or forgotten: all of these are mended so.
      await this.#register(userIndex);
      return await send();
    }
  }

  #noteContact(): void {
    this.#lastContactMs = this.#ports.now();
  }

  #noteSubscription(index: number, change: Partial<TowerRecord['users'][string]>): void {
    const user = this.#record.users[index];
    if (user === undefined) return;
    this.#record = { ...this.#record, users: { ...this.#record.users, [index]: { ...user, ...change } } };
  }

  #user(index: number): TowerUser {
    const known = this.#users.get(index);
    if (known !== undefined) return known;
    const towerId = hexToBytes(this.#record.towerId);
    const user = deriveTowerUser({ secret: this.#ports.secret, towerId, index });
    this.#users.set(index, user);
    return user;
  }

  /** Once at a time for each user: what is told at the same time needs the same subscription. */
  #register(index: number): Promise<void> {
    const running = this.#registering.get(index);
    if (running !== undefined) return running;
    const begun = this.#registerNow(index).finally(() => this.#registering.delete(index));
    this.#registering.set(index, begun);
    return begun;
  }

  async #registerNow(index: number): Promise<void> {
    const before = this.#record.users[index];
    const receipt = await this.#connection.register(this.#user(index));
    this.#noteContact();
    const { availableSlots, subscriptionStart, subscriptionExpiry } = receipt;
    const user = {
      availableSlots,
      subscriptionStart,
      subscriptionExpiry,
      registeredAt: this.#ports.blockHeight(),
    };
    this.#record = { ...this.#record, users: { ...this.#record.users, [index]: user } };
    if (before !== undefined && before.subscriptionStart !== subscriptionStart) await this.#lostCoverage();
  }

  /** The tower takes us for somebody new: what it was told before is gone. */
  async #lostCoverage(): Promise<void> {
    const { storage, store, logger } = this.#ports;
    const { towerId } = this.#record;
    logger.error({ towerId }, 'a tower has forgotten us, and with us all that it was told: it watches anew');
    const prefix = `tower-progress/${towerId}/`;
    const channels = storage.listValues(prefix).map(({ key }) => key.slice(prefix.length));
    await store((tx) => {
      putTowerRecord(tx, this.#record);
      for (const channel of channels) {
        const { next } = getProgress(tx, { towerId, channel });
        putProgress(tx, { towerId, channel, value: { from: next, next, refused: 0, receipts: [] } });
      }
    });
  }

  /** Prolongs subscriptions in time: the last quarter of what was left when they were prolonged last. */
  async #renew(): Promise<void> {
    const height = this.#ports.blockHeight();
    let changed = false;
    for (const [index, user] of Object.entries(this.#record.users)) {
      const { subscriptionExpiry, registeredAt, availableSlots } = user;
      const left = subscriptionExpiry - height;
      const lastQuarter = left <= (subscriptionExpiry - registeredAt) / 4;
      // Once a block at most: a tower need not give more.
      if (!(lastQuarter || availableSlots < fewSlots) || (registeredAt === height && left > 0)) continue;
      await this.#register(Number(index));
      changed = true;
    }
    if (changed) await this.#saveRecord();
  }

  /** Once a day the tower is asked for the last appointment of each open channel that it gave a receipt for. */
  async #audit(): Promise<void> {
    const { blockHeight, storage, channel: channelOf } = this.#ports;
    const height = blockHeight();
    if (this.#auditedAt === 0) this.#auditedAt = height;
    if (height - this.#auditedAt < 144) return;
    this.#auditedAt = height;
    const prefix = `tower-progress/${this.#record.towerId}/`;
    for (const { key } of storage.listValues(prefix)) {
      const channel = key.slice(prefix.length);
      const receipt = this.#progress(channel).receipts.at(-1);
      if (receipt === undefined || channelOf(channel)?.phase.name !== 'open') continue;
      const user = this.#user(receipt.userIndex);
      const { locatorHex, userSignature } = receipt;
      if (await this.#connection.hasAppointment(user, { locator: hexToBytes(locatorHex), userSignature }))
        continue;
      throw new TowerMisbehaviour({
        what: `it does not have the appointment ${receipt.locatorHex} that it gave a receipt for`,
        messageHex: bytesToHex(appointmentReceiptMessage(receipt)),
        signature: receipt.towerSignature,
        signerHex: this.#record.towerId,
      });
    }
  }
}

interface StateOutcome {
  readonly receipts: readonly KeptReceipt[];
  readonly refusal?: string;
}

/** The first commitment from which on none is missing; what was not kept for want of room leaves gaps. */
function gapless({ from, next }: TowerProgress, told: readonly StoredTowerState[]): bigint {
  let first = from;
  let expected = next;
  for (const { commitmentNumber } of told) {
    if (commitmentNumber > expected) first = commitmentNumber;
    expected = commitmentNumber + 1n;
  }
  return first;
}

/** What no later attempt changes. */
function isFinal({ status, errorCode }: TowerAnswerError): boolean {
  if (errorCode === towerErrorCodes.invalidSignatureOrSubscription) return false;
  if (errorCode === towerErrorCodes.resourceExhausted) return false;
  return status === 413 || status === 400;
}

function keptReceipt(commitmentNumber: bigint, penalty: Penalty, delivered: Delivered): KeptReceipt {
  const { receipt, signature } = delivered;
  return {
    commitmentNumber,
    userIndex: penalty.userIndex,
    locatorHex: bytesToHex(penalty.locator),
    userSignature: receipt.userSignature,
    startBlock: receipt.startBlock,
    towerSignature: signature,
  };
}
