import { KeysendError } from '../keysendError.js';
import type { StoreTransaction, ToolkitStore } from '../store/toolkitStore.js';
import { pause, type Schedule } from '../timing/schedule.js';
import type { ReceivedPayment, Wallet } from '../wallets/wallet.js';
import type { BoostStore } from './boostStore.js';
import { type ProveSender, readBoost, senderProver } from './readBoost.js';
import type { ReceivedBoost } from './receivedBoost.js';

/** How a wallet's payments are being collected. */
export type CollectState =
  | { readonly status: 'listening'; readonly sinceMs: number }
  /** The connection is lost, or what came could not be stored; tried again at `retryAtMs`. */
  | {
      readonly status: 'waiting';
      readonly retryAtMs: number;
      readonly code: string;
      readonly message: string;
    }
  /** For good where there is a message: this wallet cannot. */
  | { readonly status: 'stopped'; readonly message?: string };

export interface CollectOptions {
  readonly wallet: Wallet;
  /** Names the wallet in the store for good: its cursor is found by it, and a payment is known by it and its hash. */
  readonly source: string;
  readonly store: ToolkitStore;
  /** Of that store. */
  readonly boosts: BoostStore;
  readonly signal: AbortSignal;
  readonly now: () => number;
  readonly schedule: Schedule;
  /** In the transaction that stores what was new of a batch: what has to be stored with it. */
  readonly alongside?: (tx: StoreTransaction, boosts: readonly ReceivedBoost[]) => void;
  /** What was new of a batch, after it is stored: also when nothing was. */
  readonly onBoosts?: (boosts: readonly ReceivedBoost[]) => void;
  readonly onState?: (state: CollectState) => void;
}

/** Payments that one transaction takes at most. */
const maxBatch = 200;
const firstDelayMs = 1_000;
const longestDelayMs = 60_000;
/** A subscription that held for so long was a good one: what ends it is a new trouble. */
const goodMs = 60_000;

/**
 * Takes what a wallet receives into a store until the signal aborts: each payment once, however often the wallet tells
 * of it and wherever this process dies. The wallet's cursor is stored with the payments before it.
 * @throws KeysendError `wallet_cannot` where the wallet does not tell what it receives.
 */
export async function collect(options: CollectOptions): Promise<void> {
  const { signal, now, schedule, onState } = options;
  let failures = 0;
  while (!signal.aborted) {
    const beganMs = now();
    let received = false;
    try {
      await subscribeOnce(options, () => {
        received = true;
      });
      if (signal.aborted) break;
      throw new KeysendError('wallet_unreachable', 'the wallet has ended the subscription');
    } catch (error) {
      if (signal.aborted) break;
      if (error instanceof KeysendError && error.code === 'wallet_cannot') throw error;
      if (received || now() - beganMs >= goodMs) failures = 0;
      const delayMs = Math.min(firstDelayMs * 2 ** failures, longestDelayMs);
      failures++;
      onState?.({ status: 'waiting', retryAtMs: now() + delayMs, ...describe(error) });
      await pause(schedule, delayMs, signal);
    }
  }
  onState?.({ status: 'stopped' });
}

/**
 * The name of a wallet that is its own node's: the same wherever it is opened. Two ways to one node have two names, and
 * each payment would count twice: collect over one of them.
 * @throws KeysendError `request_invalid` where the wallet does not say which node it is.
 */
export async function sourceOf(wallet: Wallet, signal?: AbortSignal): Promise<string> {
  const { nodeId } = await wallet.info(signal === undefined ? {} : { signal });
  if (nodeId !== undefined) return `${wallet.kind}:${nodeId}`;
  throw new KeysendError(
    'request_invalid',
    `this ${wallet.kind} wallet has no node id: give it a name of its own`,
  );
}

function describe(error: unknown): { code: string; message: string } {
  const code =
    error instanceof Error && 'code' in error && typeof error.code === 'string' ? error.code : 'failed';
  return { code, message: error instanceof Error ? error.message : String(error) };
}

async function subscribeOnce(options: CollectOptions, onReceived: () => void): Promise<void> {
  const { wallet, source, boosts, signal, now, onState, onBoosts } = options;
  const { receives } = await wallet.capabilities({ signal });
  if (receives === 'none') {
    throw new KeysendError('wallet_cannot', `the wallet ${source} does not tell what it receives`);
  }
  const proveSender = await proverOf(wallet, signal);
  // Its own end, so that a wallet lets go of a connection when what came could not be stored.
  const end = new AbortController();
  const abort = (): void => end.abort();
  signal.addEventListener('abort', abort);
  try {
    if (signal.aborted) return;
    const after = boosts.cursor(source);
    const subscription = wallet.subscribe({ signal: end.signal, ...(after === undefined ? {} : { after }) });
    onState?.({ status: 'listening', sinceMs: now() });
    for await (const batch of batches(subscription)) {
      const taken = ingest(options, { batch, proveSender });
      onReceived();
      onBoosts?.(taken);
    }
  } finally {
    signal.removeEventListener('abort', abort);
    end.abort();
  }
}

/** What a signature of the sender has to name: our node. */
async function proverOf(wallet: Wallet, signal: AbortSignal): Promise<ProveSender | undefined> {
  try {
    const { nodeId } = await wallet.info({ signal });
    return nodeId === undefined ? undefined : senderProver(nodeId);
  } catch (error) {
    // Such wallets are no node of their own.
    if (error instanceof KeysendError && error.code === 'wallet_cannot') return undefined;
    throw error;
  }
}

function ingest(
  { store, boosts, source, alongside }: CollectOptions,
  { batch, proveSender }: { batch: readonly ReceivedPayment[]; proveSender: ProveSender | undefined },
): readonly ReceivedBoost[] {
  const read = batch.map((payment) => readBoost(payment, { source, proveSender }));
  const cursor = batch.at(-1)?.cursor;
  return store.transaction((tx) => {
    const taken = boosts.ingest(tx, { source, boosts: read, ...(cursor === undefined ? {} : { cursor }) });
    alongside?.(tx, taken);
    return taken;
  });
}

/** What comes without waiting comes together: one commit for many payments that were missed. */
async function* batches(payments: AsyncIterable<ReceivedPayment>): AsyncIterable<readonly ReceivedPayment[]> {
  const iterator = payments[Symbol.asyncIterator]();
  let next = iterator.next();
  for (;;) {
    const first = await next;
    if (first.done === true) return;
    const batch = [first.value];
    next = iterator.next();
    while (batch.length < maxBatch && (await settlesSoon(next))) {
      const more = await next.catch(() => undefined);
      // Its end or its failure is met again above, after the batch.
      if (more === undefined || more.done === true) break;
      batch.push(more.value);
      next = iterator.next();
    }
    // A failure must not be nobody's while the batch is being stored.
    next.catch(() => {});
    yield batch;
  }
}

/** Turns of the queue of promises that generators inside generators need to hand on what is there already. */
const turns = 32;

async function settlesSoon(promise: Promise<unknown>): Promise<boolean> {
  let settled = false;
  const settle = (): void => {
    settled = true;
  };
  promise.then(settle, settle);
  for (let i = 0; i < turns && !settled; i++) await Promise.resolve();
  return settled;
}
