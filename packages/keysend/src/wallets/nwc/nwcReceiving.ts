import { hexToBytes } from '@rivulet/core/bytes';
import type * as z from 'zod/mini';
import { KeysendError } from '../../keysendError.js';
import { keysendRecordType } from '../../records/recordTypes.js';
import { pause, type Schedule } from '../../timing/schedule.js';
import type { ReceivedPayment } from '../wallet.js';
import type { NwcServiceInfo } from './nwcClient.js';
import { metadataSchema, type NwcTransaction, transactionSchema, transactionsSchema } from './nwcProtocol.js';

/** What receiving needs of the connection. */
export interface NwcReceivingPort {
  readonly now: () => number;
  readonly schedule: Schedule;
  serviceInfo(signal: AbortSignal): Promise<NwcServiceInfo>;
  subscribeNotifications(
    info: NwcServiceInfo,
    listener: { onNotification: (type: string) => void; onLive: () => void },
  ): () => void;
  /** @throws KeysendError `wallet_cannot` where this connection may not see what arrives. */
  requireReceiving(signal: AbortSignal): Promise<void>;
  list<T extends z.ZodMiniType>(
    params: Readonly<Record<string, unknown>>,
    schema: T,
    signal: AbortSignal,
  ): Promise<z.infer<T>>;
}

/** NIP-47: larger pages may not fit through a relay. */
const pageSize = 20;
/** More than this in one go is refused rather than kept in memory. */
const maxPages = 2_500;
/** A wallet's list may get an entry a little later than its time says. */
const overlapSeconds = 900;
const pollMs = { notified: 60_000, alone: 15_000 };

/**
 * Keysends from the wallet's list of transactions; a notification only says when to look. The cursor is the time of
 * the newest one and those of that second: a payment that arrived while nobody listened, and was held for long
 * before it was settled, is not found.
 */
export async function* receivedPayments(
  port: NwcReceivingPort,
  { after, signal }: { after?: string; signal: AbortSignal },
): AsyncGenerator<ReceivedPayment, void> {
  let position = readCursor(after);
  /** What was given out in the last minutes, by hash. */
  const given = new Map<string, number>(position.hashes.map((hash) => [hash, position.seconds]));
  const bell = new Bell();
  let end = (): void => {};
  try {
    await port.requireReceiving(signal);
    const info = await port.serviceInfo(signal);
    const notified = info.notifications.has('payment_received');
    if (notified) {
      end = port.subscribeNotifications(info, {
        onNotification(type) {
          if (type === 'payment_received') bell.ring();
        },
        onLive: () => bell.ring(),
      });
    }
    // Only what this call has seen itself can be late: before the cursor, all was given out.
    let from = position.seconds;
    while (!signal.aborted) {
      bell.reset();
      for (const { transaction, seconds } of await listSince(port, { from, signal })) {
        const hash = transaction.payment_hash.toLowerCase();
        if (given.has(hash.slice(0, 16))) continue;
        given.set(hash.slice(0, 16), seconds);
        position = advance(position, seconds, hash.slice(0, 16));
        yield toReceived(transaction, seconds, writeCursor(position));
        if (signal.aborted) return;
      }
      from = Math.max(from, position.seconds - overlapSeconds);
      for (const [hash, seconds] of given) if (seconds < from) given.delete(hash);
      await bell.wait(port.schedule, notified ? pollMs.notified : pollMs.alone, signal);
    }
  } catch (error) {
    if (!signal.aborted) throw error;
  } finally {
    end();
  }
}

/** Settled keysends, the oldest first. */
async function listSince(
  port: NwcReceivingPort,
  { from, signal }: { from: number; signal: AbortSignal },
): Promise<{ transaction: NwcTransaction; seconds: number }[]> {
  const found: { transaction: NwcTransaction; seconds: number }[] = [];
  const until = Math.floor(port.now() / 1000) + 3_600;
  for (let page = 0; ; page++) {
    if (page === maxPages) throw new KeysendError('wallet_failed', 'the wallet lists more payments than fit');
    const params = { type: 'incoming', from, until, limit: pageSize, offset: page * pageSize };
    const { transactions } = await port.list(params, transactionsSchema, signal);
    for (const value of transactions) {
      const parsed = transactionSchema.safeParse(value);
      if (!parsed.success) continue;
      const transaction = parsed.data;
      const seconds = Math.floor(transaction.created_at);
      if (seconds >= from && isReceivedKeysend(transaction)) found.push({ transaction, seconds });
    }
    if (transactions.length < pageSize) break;
  }
  // NIP-47: the newest come first; of one second, their order is all that is known.
  return found.reverse().sort((a, b) => a.seconds - b.seconds);
}

function isReceivedKeysend({ type, state, settled_at, invoice, metadata }: NwcTransaction): boolean {
  if (type === 'outgoing') return false;
  const settled = state === null || state === undefined ? (settled_at ?? 0) > 0 : state === 'settled';
  const withoutInvoice = invoice === null || invoice === undefined || invoice === '';
  return settled && (withoutInvoice || metadataSchema.safeParse(metadata).success);
}

function toReceived(transaction: NwcTransaction, seconds: number, cursor: string): ReceivedPayment {
  const records = new Map<bigint, Uint8Array>();
  const metadata = metadataSchema.safeParse(transaction.metadata);
  for (const { type, value } of metadata.success ? metadata.data.tlv_records : []) {
    if (BigInt(type) !== keysendRecordType && /^([0-9a-fA-F]{2})*$/.test(value)) {
      records.set(BigInt(type), hexToBytes(value));
    }
  }
  return {
    paymentHash: transaction.payment_hash.toLowerCase(),
    amountMsat: BigInt(transaction.amount),
    receivedAtMs: (transaction.settled_at ?? seconds) * 1000,
    records,
    cursor,
  };
}

/** The newest second, and the beginnings of the hashes that were given out in it. */
interface Position {
  readonly seconds: number;
  readonly hashes: readonly string[];
}

function readCursor(cursor: string | undefined): Position {
  if (cursor === undefined) return { seconds: 0, hashes: [] };
  const match = /^(\d{1,12}):((?:[0-9a-f]{16},?)*)$/.exec(cursor);
  if (match === null) throw new KeysendError('request_invalid', 'this cursor is not one of this wallet');
  return { seconds: Number(match[1]), hashes: (match[2] ?? '').split(',').filter(Boolean) };
}

function writeCursor({ seconds, hashes }: Position): string {
  return `${seconds}:${hashes.join(',')}`;
}

function advance(position: Position, seconds: number, hash: string): Position {
  if (seconds > position.seconds) return { seconds, hashes: [hash] };
  if (seconds < position.seconds) return position;
  return { seconds, hashes: [...position.hashes, hash] };
}

/** Lets somebody wait until it rings. */
class Bell {
  #controller = new AbortController();
  ring(): void {
    this.#controller.abort();
  }
  reset(): void {
    if (this.#controller.signal.aborted) this.#controller = new AbortController();
  }
  wait(schedule: Schedule, ms: number, signal: AbortSignal): Promise<void> {
    const stop = (): void => this.#controller.abort();
    signal.addEventListener('abort', stop, { once: true });
    return pause(schedule, ms, this.#controller.signal).finally(() =>
      signal.removeEventListener('abort', stop),
    );
  }
}
