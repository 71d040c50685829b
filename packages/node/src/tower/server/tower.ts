import { bytesToHex, RivuletError } from '@rivulet/core/bytes';
import { secp256k1 } from '@rivulet/core/crypto';
import {
  type Appointment,
  appointmentMessage,
  appointmentReceiptMessage,
  getAppointmentMessage,
  recoverMessageKey,
  registrationReceiptMessage,
  signMessage,
  slotsOf,
  subscriptionMessage,
} from '@rivulet/core/tower';
import type { StoredAppointment, StoredTowerUser, TowerStore, TowerTransaction } from '@rivulet/storage';
import type { Logger } from '../../logging/index.js';
import type { Tracked } from './penaltyTracking.js';
import type { Responder } from './responder.js';
import type { TowerLimits } from './towerLimits.js';
import { notAuthenticated, TowerRefusal, unavailable } from './towerRefusal.js';

export interface TowerOptions {
  readonly store: TowerStore;
  readonly responder: Responder;
  /** 32 bytes: what receipts are signed with. */
  readonly privateKey: Uint8Array;
  readonly limits: TowerLimits;
  /** Of the disk that has the tower's file; `undefined` where that cannot be told. */
  readonly freeBytes?: (() => number | undefined) | undefined;
  readonly logger: Logger;
}

interface Registration extends StoredTowerUser {
  readonly signature: string;
}

interface AcceptedAppointment {
  readonly startBlock: number;
  readonly signature: string;
  readonly user: StoredTowerUser;
}

/** What an appointment takes on the disk beside its blob: keys, signature, indexes. */
const rowBytes = 400;

/** What waits for the next transaction of the file: all that came until then share one. */
interface Work {
  run(tx: TowerTransaction): () => void;
  failed(error: unknown): void;
}

/**
 * A watchtower's side of the protocol: users, subscriptions and appointments. A receipt is only given for what is
 * durable; what waits for that shares one transaction.
 */
export class Tower {
  /** 33 bytes. */
  readonly id: Uint8Array;
  readonly #options: TowerOptions;
  #works: Work[] = [];
  #closed = false;
  /** Why nothing is taken on now, where that is so. */
  #obstacle: string | undefined = 'the chain is being read';

  constructor(options: TowerOptions) {
    this.#options = options;
    this.id = secp256k1.publicKey(options.privateKey);
  }

  /** What it does not see it cannot answer: without the chain nothing is taken on. `undefined` ends that. */
  setObstacle(reason: string | undefined): void {
    this.#obstacle = reason;
  }

  /** Takes a user on, or prolongs its subscription. @throws TowerRefusal */
  register(userId: Uint8Array): Promise<Registration> {
    this.#checkReady();
    const { limits, responder, store, privateKey } = this.#options;
    if (!secp256k1.isPublicKey(userId)) {
      throw new TowerRefusal('wrongFieldFormat', 'user_id is not a compressed public key of 33 bytes');
    }
    return this.#store((tx) => {
      const known = tx.getUser(userId);
      const { height } = responder;
      if (known === undefined && store.totals().users >= limits.maxUsers) {
        throw new TowerRefusal('resourceExhausted', 'this tower has as many users as it can watch for');
      }
      const start = known?.subscriptionStart ?? height;
      const expiry = Math.max(known?.subscriptionExpiry ?? 0, height) + limits.subscriptionBlocks;
      const free = (known?.availableSlots ?? 0) + limits.slotsPerRegistration;
      const user: StoredTowerUser = {
        userId,
        availableSlots: Math.max(known?.availableSlots ?? 0, Math.min(free, limits.maxFreeSlots)),
        subscriptionStart: start,
        subscriptionExpiry: Math.max(
          known?.subscriptionExpiry ?? 0,
          Math.min(expiry, height + limits.maxSubscriptionBlocks),
        ),
      };
      tx.putUser(user);
      return { value: { ...user, signature: signMessage(registrationReceiptMessage(user), privateKey) } };
    });
  }

  /** @throws TowerRefusal */
  addAppointment(appointment: Appointment, signature: string): Promise<AcceptedAppointment> {
    this.#checkReady();
    const { limits, responder, store, privateKey } = this.#options;
    const { encryptedBlob } = appointment;
    // A tag alone, and the least that a transaction can be.
    if (encryptedBlob.length < 16 + 60) {
      throw new TowerRefusal('fieldTooSmall', 'encrypted_blob is too small for a transaction');
    }
    if (encryptedBlob.length > limits.maxBlob) {
      throw new TowerRefusal('fieldTooBig', `encrypted_blob has more than ${limits.maxBlob} bytes`);
    }
    const userId = this.#userOf(appointmentMessage(appointment), signature).userId;
    return this.#store((tx) => {
      const user = this.#subscribed(tx.getUser(userId));
      const key = { locator: appointment.locator, userId };
      if (responder.find(key) !== undefined) {
        throw new TowerRefusal(
          'alreadyTriggered',
          'what this appointment answers was seen and is being answered',
        );
      }
      const before = tx.getAppointment(key)?.encryptedBlob.length ?? 0;
      const slots = slotsOf(encryptedBlob.length) - slotsOf(before);
      if (slots > user.availableSlots) {
        throw notAuthenticated('the subscription has too few slots left: register again');
      }
      const { blobBytes, appointments } = store.totals();
      if (blobBytes + appointments * rowBytes + encryptedBlob.length - before > limits.maxBlobBytes) {
        throw new TowerRefusal('resourceExhausted', 'this tower is full');
      }
      // The disk may be that of a node's database, which must not be filled by strangers.
      if ((this.#options.freeBytes?.() ?? Number.POSITIVE_INFINITY) < limits.minFreeBytes) {
        throw new TowerRefusal('resourceExhausted', "the tower's disk is full");
      }
      const startBlock = responder.height;
      const stored: StoredAppointment = { ...appointment, userId, userSignature: signature, startBlock };
      tx.putAppointment(stored);
      const paying = { ...user, availableSlots: user.availableSlots - slots };
      tx.putUser(paying);
      const late = responder.takeLate(tx, stored);
      const message = appointmentReceiptMessage({ userSignature: signature, startBlock });
      return {
        value: { startBlock, signature: signMessage(message, privateKey), user: paying },
        ...(late === undefined ? {} : { after: () => this.#answerLate(late) }),
      };
    });
  }

  #answerLate(remember: () => void): void {
    remember();
    void this.#options.responder.publish();
  }

  /** @throws TowerRefusal */
  getAppointment(
    locator: Uint8Array,
    signature: string,
  ): { watched: StoredAppointment } | { answered: Tracked } {
    this.#checkReady();
    const { store, responder } = this.#options;
    const { userId } = this.#subscribed(this.#userOf(getAppointmentMessage(locator), signature));
    const answered = responder.find({ locator, userId });
    if (answered !== undefined) return { answered };
    const watched = store.getAppointment({ locator, userId });
    if (watched === undefined) throw new TowerRefusal('notFound', 'there is no such appointment', 404);
    return { watched };
  }

  /** @throws TowerRefusal */
  subscription(signature: string): { user: StoredTowerUser; locators: Uint8Array[] } {
    this.#checkReady();
    const { store, limits } = this.#options;
    const user = this.#subscribed(this.#userOf(subscriptionMessage, signature));
    return { user, locators: store.locatorsOf(user.userId, limits.maxListedLocators) };
  }

  /** No more work: what waits is stored, what comes later is refused. */
  close(): void {
    this.#flush();
    this.#closed = true;
  }

  #checkReady(): void {
    if (this.#closed) throw unavailable('the tower stops');
    if (this.#obstacle !== undefined) throw unavailable(`the tower cannot watch now: ${this.#obstacle}`);
  }

  #userOf(message: Uint8Array, signature: string): StoredTowerUser {
    const userId = recoverMessageKey(message, signature);
    const user = userId && this.#options.store.getUser(userId);
    if (user === undefined)
      throw notAuthenticated('the signature is not valid, or its user is not registered');
    return user;
  }

  #subscribed(user: StoredTowerUser | undefined): StoredTowerUser {
    if (user === undefined) throw notAuthenticated('the user is not registered');
    if (this.#options.responder.height >= user.subscriptionExpiry) {
      throw notAuthenticated(`the subscription expired at height ${user.subscriptionExpiry}`);
    }
    return user;
  }

  #store<T>(body: (tx: TowerTransaction) => { value: T; after?: () => void }): Promise<T> {
    return new Promise((resolve, reject) => {
      if (this.#works.length === 0) setImmediate(() => this.#flush());
      this.#works.push({
        run: (tx) => {
          const { value, after } = body(tx);
          return () => {
            after?.();
            resolve(value);
          };
        },
        failed: reject,
      });
    });
  }

  #flush(): void {
    const works = this.#works;
    this.#works = [];
    if (works.length === 0 || this.#closed) return;
    const refused: (() => void)[] = [];
    try {
      const done = this.#options.store.transaction((tx) =>
        works.flatMap((work) => {
          try {
            return [work.run(tx)];
          } catch (error) {
            // Refused before anything of it was written.
            if (!(error instanceof TowerRefusal)) throw error;
            refused.push(() => work.failed(error));
            return [];
          }
        }),
      );
      for (const finish of done) finish();
      for (const refuse of refused) refuse();
    } catch (error) {
      this.#options.logger.error({ err: error }, 'the tower could not store what it was given');
      const reason = error instanceof RivuletError ? error.code : 'internal';
      for (const work of works) work.failed(unavailable(`the tower cannot store anything now (${reason})`));
    }
  }

  get idHex(): string {
    return bytesToHex(this.id);
  }
}
