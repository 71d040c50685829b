import { bytesToHex } from '@rivulet/core/bytes';
import { sha256 } from '@rivulet/core/crypto';
import { KeysendError } from '../keysendError.js';
import type { StoreTransaction, ToolkitStore } from '../store/toolkitStore.js';
import type { Schedule } from '../timing/schedule.js';
import type { Destination, DestinationResolver, Recipient } from '../value/recipient.js';
import type {
  InvoiceRequest,
  KeysendRequest,
  PaymentOutcome,
  PaymentQuery,
  Wallet,
  WalletCapabilities,
} from '../wallets/wallet.js';
import type { LegPlan } from './leg.js';
import { LegLedger, type LegLedgerOptions } from './legLedger.js';

export const secret = new Uint8Array(32).fill(7);

/** Time that passes at once when nothing else is left to do. */
export class TestTime {
  nowMs = Date.UTC(2026, 10, 21);
  #timers: { readonly atMs: number; readonly order: number; readonly run: () => void }[] = [];
  #order = 0;
  #turning = false;

  readonly now = (): number => this.nowMs;

  readonly schedule: Schedule = (delayMs, run) => {
    const timer = { atMs: this.nowMs + Math.max(0, delayMs), order: this.#order++, run };
    this.#timers.push(timer);
    this.#turn();
    return () => {
      this.#timers = this.#timers.filter((other) => other !== timer);
    };
  };

  sleep(delayMs: number): Promise<void> {
    return new Promise((resolve) => this.schedule(delayMs, resolve));
  }

  #turn(): void {
    if (this.#turning) return;
    this.#turning = true;
    setImmediate(() => {
      this.#turning = false;
      this.#timers.sort((a, b) => a.atMs - b.atMs || a.order - b.order);
      const first = this.#timers[0];
      if (first === undefined) return;
      this.nowMs = Math.max(this.nowMs, first.atMs);
      const due = this.#timers.filter(({ atMs }) => atMs <= this.nowMs);
      this.#timers = this.#timers.filter(({ atMs }) => atMs > this.nowMs);
      for (const { run } of due) run();
      if (this.#timers.length > 0) this.#turn();
    });
  }
}

/** What the wallet of a test does with one request. */
export type Behaviour =
  | { readonly does: 'pay'; readonly afterMs?: number; readonly feeMsat?: bigint }
  | { readonly does: 'fail'; readonly retryable: boolean; readonly afterMs?: number }
  /** Pays, and nobody hears of it. */
  | { readonly does: 'pay unheard'; readonly afterMs?: number; readonly feeMsat?: bigint }
  /** Never pays, and nobody hears of it. */
  | { readonly does: 'lose'; readonly afterMs?: number }
  /** Says that it is under way; pays or fails later. */
  | { readonly does: 'linger'; readonly forMs: number; readonly pays: boolean };

interface WalletEntry {
  readonly key: string;
  readonly id: string;
  status: 'pending' | 'succeeded' | 'failed';
  feeMsat: bigint;
  settled: Promise<void>;
}

/**
 * A wallet over a network that never forgets what was paid. Where it tells payments by their preimage, it pays each
 * once; else it pays whatever it is asked to, however often.
 */
export class TestWallet implements Wallet {
  readonly kind = 'rivulet';
  nodeId: string | undefined = `02${'aa'.repeat(32)}`;
  network = 'regtest';
  readonly paid = new Map<string, { times: number; amountMsat: bigint; feeMsat: bigint; nodeId: string }>();
  readonly requests: (KeysendRequest | InvoiceRequest)[] = [];
  underWay = 0;
  mostUnderWay = 0;
  lookups = 0;
  reachable = true;
  /** How long a request takes to the wallet. */
  transitMs = 0;
  /** Which calls are refused, whatever became of earlier ones; counted from 0. */
  refusedCalls: readonly number[] = [];
  readonly can: Partial<WalletCapabilities> = {};
  /** With which preimage it says that it has paid; nothing where it does not say. */
  preimageOf: ((given: Uint8Array) => Uint8Array) | undefined;
  /** How many lookups find out nothing. */
  doubts = 0;
  #calls = 0;
  readonly #entries: WalletEntry[] = [];
  readonly #time: TestTime;
  readonly #repeats: WalletCapabilities['repeats'];
  readonly #behave: (id: string, tries: number) => Behaviour;

  constructor(given: {
    time: TestTime;
    repeats?: WalletCapabilities['repeats'];
    behave?: (id: string, tries: number) => Behaviour;
  }) {
    this.#time = given.time;
    this.#repeats = given.repeats ?? 'preimage';
    this.#behave = given.behave ?? (() => ({ does: 'pay' }));
  }

  async capabilities(): Promise<WalletCapabilities> {
    return {
      keysend: true,
      sendsRecords: true,
      repeats: this.#repeats,
      receives: 'none',
      holds: false,
      signs: false,
      paysInvoices: true,
      takesHints: true,
      limitsFees: true,
      ...this.can,
    };
  }

  async info() {
    const { kind, nodeId, network } = this;
    return { kind, network, ...(nodeId === undefined ? {} : { nodeId }) } as const;
  }

  /** Was restored, or had its list cleared: of what it has paid, it knows nothing more. */
  forget(): void {
    this.#entries.length = 0;
  }

  async balance() {
    return { spendableMsat: 1_000_000_000n };
  }

  keysend(request: KeysendRequest): Promise<PaymentOutcome> {
    this.requests.push(request);
    const hash = bytesToHex(sha256(request.preimage));
    const { key, nodeId, amountMsat, preimage } = request;
    const said = this.preimageOf?.(preimage);
    return this.#pay({ key, hash, nodeId, amountMsat }).then((outcome) =>
      outcome.status === 'succeeded' && said !== undefined
        ? { ...outcome, preimage: bytesToHex(said), paymentHash: bytesToHex(sha256(said)) }
        : outcome,
    );
  }

  payInvoice(request: InvoiceRequest): Promise<PaymentOutcome> {
    this.requests.push(request);
    const [, key = '', amount = '0', hash = ''] = request.invoice.split(':');
    return this.#pay({ key, hash, nodeId: 'invoice', amountMsat: BigInt(amount) });
  }

  async #pay(request: {
    key: string;
    hash: string;
    nodeId: string;
    amountMsat: bigint;
  }): Promise<PaymentOutcome> {
    const id = this.#repeats === 'preimage' ? request.hash : request.key;
    if (!this.reachable) {
      return { status: 'failed', failure: 'unreachable', message: 'refused', retryable: true };
    }
    if (this.refusedCalls.includes(this.#calls++)) {
      return { status: 'failed', failure: 'rate_limited', message: 'slow down', retryable: false };
    }
    // On its way to the wallet, a request is in no list.
    if (this.transitMs > 0) await this.#time.sleep(this.transitMs);
    if (this.#repeats === 'preimage') {
      for (;;) {
        const earlier = this.#entries.filter((entry) => entry.id === id).at(-1);
        if (earlier?.status === 'succeeded') return { status: 'succeeded', feeMsat: earlier.feeMsat };
        if (earlier?.status !== 'pending') break;
        // Of two that wait for the same one, only the first may try again.
        await earlier.settled;
      }
    }
    const tries = this.#entries.filter((entry) => entry.id === id).length;
    const behaviour = this.#behave(request.key, tries);
    const entry: WalletEntry = {
      key: request.key,
      id,
      status: 'pending',
      feeMsat: 0n,
      settled: Promise.resolve(),
    };
    this.#entries.push(entry);
    this.underWay++;
    this.mostUnderWay = Math.max(this.mostUnderWay, this.underWay);
    const settle = async (afterMs: number, feeMsat: bigint | undefined): Promise<void> => {
      if (afterMs > 0) await this.#time.sleep(afterMs);
      this.underWay--;
      if (feeMsat === undefined) {
        entry.status = 'failed';
        return;
      }
      entry.status = 'succeeded';
      entry.feeMsat = feeMsat;
      const before = this.paid.get(request.key);
      this.paid.set(request.key, {
        times: (before?.times ?? 0) + 1,
        amountMsat: request.amountMsat,
        feeMsat: (before?.feeMsat ?? 0n) + feeMsat,
        nodeId: request.nodeId,
      });
    };
    switch (behaviour.does) {
      case 'pay':
        entry.settled = settle(behaviour.afterMs ?? 0, behaviour.feeMsat ?? 0n);
        await entry.settled;
        return { status: 'succeeded', feeMsat: entry.feeMsat, paymentHash: request.hash };
      case 'fail':
        entry.settled = settle(behaviour.afterMs ?? 0, undefined);
        await entry.settled;
        return { status: 'failed', failure: 'no_route', message: 'no', retryable: behaviour.retryable };
      case 'pay unheard':
        entry.settled = settle(behaviour.afterMs ?? 0, behaviour.feeMsat ?? 0n);
        await entry.settled;
        return { status: 'unknown', message: 'the connection broke' };
      case 'lose':
        entry.settled = settle(behaviour.afterMs ?? 0, undefined);
        await entry.settled;
        return { status: 'unknown', message: 'the connection broke' };
      case 'linger':
        entry.settled = settle(behaviour.forMs, behaviour.pays ? 0n : undefined);
        return { status: 'pending', message: 'under way' };
    }
  }

  async lookup(query: PaymentQuery): Promise<PaymentOutcome | undefined> {
    this.lookups++;
    if (!this.reachable) throw new KeysendError('wallet_unreachable', 'gone');
    if (this.#repeats === 'none' || this.doubts-- > 0) return { status: 'unknown', message: 'cannot tell' };
    const id = this.#repeats === 'preimage' ? query.paymentHash : query.key;
    const found = this.#entries.filter((entry) => entry.id === id);
    const entry = found.find(({ status }) => status === 'succeeded') ?? found.at(-1);
    switch (entry?.status) {
      case undefined:
        return undefined;
      case 'pending':
        return { status: 'pending', message: 'under way' };
      case 'succeeded':
        return { status: 'succeeded', feeMsat: entry.feeMsat, paymentHash: query.paymentHash };
      case 'failed':
        return { status: 'failed', failure: 'no_route', message: 'no', retryable: true };
    }
  }

  async *subscribe(): AsyncIterable<never> {}

  signMessage(): Promise<string> {
    return Promise.reject(new KeysendError('wallet_cannot', 'no'));
  }

  async close(): Promise<void> {}
}

/** Nodes are where they say; name@host is paid by invoices. */
export class TestResolver implements DestinationResolver {
  readonly invoices: { readonly address: string; readonly comment?: string | undefined }[] = [];
  readonly #time: TestTime;
  failures = 0;
  validForMs = 3_600_000;
  /** Makes the hash of an invoice the one of the payment's key, so that the wallet knows whose it is. */
  keyOf: (address: string) => string = (address) => address;

  constructor(time: TestTime) {
    this.#time = time;
  }

  async resolve(recipient: Recipient): Promise<Destination> {
    if (this.failures > 0) {
      this.failures--;
      throw new KeysendError('address_unreachable', 'nobody answers');
    }
    const { type, address } = recipient;
    if (address.startsWith('nobody')) throw new KeysendError('address_unknown', 'not known there');
    if (type === 'node') return { type: 'keysend', nodeId: address, records: new Map() };
    return {
      type: 'lnurl',
      callback: address,
      minMsat: 1_000n,
      maxMsat: 1_000_000_000n,
      commentLength: 5,
      metadata: '',
    };
  }

  async invoice(
    { callback }: Extract<Destination, { type: 'lnurl' }>,
    { amountMsat, comment }: { amountMsat: bigint; comment?: string },
  ) {
    this.invoices.push({ address: callback, comment });
    const hash = bytesToHex(sha256(new TextEncoder().encode(`${callback}${this.invoices.length}`)));
    return {
      invoice: `invoice:${this.keyOf(callback)}:${amountMsat}:${hash}`,
      paymentHash: hash,
      expiresAtMs: this.#time.nowMs + this.validForMs,
    };
  }
}

export class Crash extends Error {}

/** A disk that is full, a database that is busy. */
export class StoreFault extends Error {}

/**
 * A process that can die: then its store refuses, its timers are silent, and no answer reaches it.
 * @param given.dieAt the how manieth of its commits and calls kills it: even before it happens, odd after.
 */
export class TestProcess {
  readonly died: Promise<void>;
  dead = false;
  steps = 0;
  #commits = 0;
  #die: () => void = () => {};
  readonly #dieAt: number;
  readonly #faultsAt: readonly number[];

  /** @param given.faultsAt which commits, counted from 0, are not made, and the process lives on. */
  constructor({
    dieAt = Number.POSITIVE_INFINITY,
    faultsAt = [],
  }: { dieAt?: number; faultsAt?: readonly number[] } = {}) {
    this.#dieAt = dieAt;
    this.#faultsAt = faultsAt;
    this.died = new Promise((resolve) => {
      this.#die = resolve;
    });
  }

  die(): void {
    this.dead = true;
    this.#die();
  }

  /** @throws Crash where this step kills, before or after it has been made. */
  step<T>(make: () => T): T {
    if (this.dead) throw new Crash();
    const at = this.steps;
    this.steps += 2;
    if (at === this.#dieAt) {
      this.die();
      throw new Crash();
    }
    const result = make();
    if (at + 1 === this.#dieAt) {
      this.die();
      throw new Crash();
    }
    return result;
  }

  store(store: ToolkitStore): ToolkitStore {
    return {
      get: (key) => store.get(key),
      list: (range) => store.list(range),
      transaction: <T>(body: (tx: StoreTransaction) => T): T =>
        this.step(() =>
          store.transaction((tx) => {
            const result = body(tx);
            if (this.#faultsAt.includes(this.#commits++)) throw new StoreFault();
            return result;
          }),
        ),
      close() {},
    };
  }

  schedule(schedule: Schedule): Schedule {
    return (delayMs, run) =>
      schedule(delayMs, () => {
        if (!this.dead) run();
      });
  }

  wallet(wallet: TestWallet): Wallet {
    const alive = async <T>(make: () => Promise<T>): Promise<T> => {
      const answer = this.step(make);
      const result = await answer;
      return this.dead ? new Promise<T>(() => {}) : result;
    };
    return {
      kind: wallet.kind,
      capabilities: () => wallet.capabilities(),
      info: () => wallet.info(),
      balance: () => wallet.balance(),
      keysend: (request) => alive(() => wallet.keysend(request)),
      payInvoice: (request) => alive(() => wallet.payInvoice(request)),
      lookup: (query) => alive(() => wallet.lookup(query)),
      subscribe: () => wallet.subscribe(),
      signMessage: () => wallet.signMessage(),
      close: () => wallet.close(),
    };
  }
}

let owners = 0;

export function testLedger(
  given: {
    time: TestTime;
    store: ToolkitStore;
    wallet: Wallet;
    process?: TestProcess;
  } & Partial<LegLedgerOptions>,
): LegLedger {
  const { time, process, store, wallet, ...options } = given;
  return new LegLedger({
    store: process === undefined ? store : process.store(store),
    wallet: process === undefined ? wallet : process.wallet(wallet as TestWallet),
    secret,
    now: time.now,
    schedule: process === undefined ? time.schedule : process.schedule(time.schedule),
    resolver: new TestResolver(time),
    owner: `owner-${owners++}`,
    ...options,
  });
}

export function nodeIdOf(n: number): string {
  return `02${n.toString(16).padStart(64, '0')}`;
}

export function legPlan(n: number, changes: Partial<LegPlan> = {}): LegPlan {
  return {
    key: `leg-${n}`,
    group: 'g',
    recipient: { type: 'node', address: nodeIdOf(n) },
    amountMsat: BigInt(1_000 * (n + 1)),
    records: new Map([[7_629_169n, new TextEncoder().encode(`{"n":${n}}`)]]),
    ...changes,
  };
}
