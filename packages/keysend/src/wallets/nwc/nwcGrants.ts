import { KeysendError } from '../../keysendError.js';
import type { StoreReader, StoreTransaction } from '../../store/toolkitStore.js';

/** How often a budget begins anew, in UTC. */
export type BudgetRenewal = 'never' | 'daily' | 'weekly' | 'monthly';

/** What an app may do over its connection. */
export interface NwcGrant {
  /** The app's public key, 64 hex digits. */
  readonly clientPubkey: string;
  readonly name: string;
  readonly methods: readonly string[];
  /** What it may spend, fees included; no limit where it is absent. */
  readonly budgetMsat?: bigint;
  readonly renewal: BudgetRenewal;
  readonly createdAtMs: number;
  /** Since the budget began anew. */
  readonly spentMsat: bigint;
  /** For payments that are under way. */
  readonly reservedMsat: bigint;
}

interface StoredGrant {
  readonly name: string;
  readonly methods: readonly string[];
  readonly budgetMsat?: string;
  readonly renewal: BudgetRenewal;
  readonly createdAtMs: number;
  readonly period: string;
  readonly spentMsat: string;
  readonly reservedMsat: string;
}

const prefix = 'nwc-service/connection/';

/** The connections, in the store: nothing of them is kept in memory, since other processes may change them. */
export const nwcGrants = {
  put(tx: StoreTransaction, grant: NwcGrant, nowMs: number): void {
    const { clientPubkey, budgetMsat, spentMsat, reservedMsat, ...rest } = grant;
    const stored: StoredGrant = {
      ...rest,
      ...(budgetMsat !== undefined && { budgetMsat: String(budgetMsat) }),
      period: periodOf(grant.renewal, nowMs),
      spentMsat: String(spentMsat),
      reservedMsat: String(reservedMsat),
    };
    tx.put(prefix + clientPubkey, JSON.stringify(stored));
  },

  get(reader: StoreReader, clientPubkey: string, nowMs: number): NwcGrant | undefined {
    const text = reader.get(prefix + clientPubkey);
    return text === undefined ? undefined : read(clientPubkey, text, nowMs);
  },

  list(reader: StoreReader, nowMs: number): NwcGrant[] {
    return reader.list({ prefix }).map(({ key, value }) => read(key.slice(prefix.length), value, nowMs));
  },

  delete(tx: StoreTransaction, clientPubkey: string): void {
    tx.delete(prefix + clientPubkey);
  },

  /** Sets aside what a payment may cost. @returns why it may not, where it may not. */
  reserve(
    tx: StoreTransaction,
    { clientPubkey, amountMsat, nowMs }: { clientPubkey: string; amountMsat: bigint; nowMs: number },
  ): string | undefined {
    const grant = nwcGrants.get(tx, clientPubkey, nowMs);
    if (grant === undefined) return 'this connection was ended';
    const left = leftOf(grant);
    if (left !== undefined && amountMsat > left) return `the budget of this connection has ${left} msat left`;
    nwcGrants.put(tx, { ...grant, reservedMsat: grant.reservedMsat + amountMsat }, nowMs);
    return undefined;
  },

  /** A payment ended: what it cost is spent, what was set aside for it is free. */
  settle(
    tx: StoreTransaction,
    payment: { clientPubkey: string; reservedMsat: bigint; spentMsat: bigint; nowMs: number },
  ): void {
    const grant = nwcGrants.get(tx, payment.clientPubkey, payment.nowMs);
    if (grant === undefined) return;
    const reservedMsat = grant.reservedMsat - payment.reservedMsat;
    const spentMsat = grant.spentMsat + payment.spentMsat;
    nwcGrants.put(
      tx,
      { ...grant, reservedMsat: reservedMsat > 0n ? reservedMsat : 0n, spentMsat },
      payment.nowMs,
    );
  },
} as const;

/** What may still be spent; nothing where there is no limit. */
function leftOf({ budgetMsat, spentMsat, reservedMsat }: NwcGrant): bigint | undefined {
  if (budgetMsat === undefined) return undefined;
  const left = budgetMsat - spentMsat - reservedMsat;
  return left > 0n ? left : 0n;
}

function read(clientPubkey: string, text: string, nowMs: number): NwcGrant {
  const { budgetMsat, period, spentMsat, reservedMsat, ...rest } = JSON.parse(text) as StoredGrant;
  return {
    ...rest,
    clientPubkey,
    ...(budgetMsat !== undefined && { budgetMsat: BigInt(budgetMsat) }),
    spentMsat: period === periodOf(rest.renewal, nowMs) ? BigInt(spentMsat) : 0n,
    reservedMsat: BigInt(reservedMsat),
  };
}

/** The name of the period that a time is in. */
function periodOf(renewal: BudgetRenewal, nowMs: number): string {
  const date = new Date(nowMs).toISOString();
  switch (renewal) {
    case 'never':
      return '';
    case 'daily':
      return date.slice(0, 10);
    case 'weekly':
      // 1970 began on a Thursday: weeks begin on Mondays.
      return String(Math.floor((nowMs / 86_400_000 + 3) / 7));
    case 'monthly':
      return date.slice(0, 7);
  }
}

/** @throws KeysendError `request_invalid` */
export function checkGrant({ name, budgetMsat }: { name: string; budgetMsat?: bigint | undefined }): void {
  if (name.trim() === '' || name.length > 200) {
    throw new KeysendError('request_invalid', 'a connection needs a name of 1 to 200 characters');
  }
  if (budgetMsat !== undefined && budgetMsat < 0n) {
    throw new KeysendError('request_invalid', 'a budget cannot be below zero');
  }
}
