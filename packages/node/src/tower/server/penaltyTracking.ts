import { bytesToHex } from '@rivulet/core/bytes';
import { decryptPenalty } from '@rivulet/core/tower';
import {
  decodeTransaction,
  encodeTransaction,
  type Outpoint,
  type Transaction,
  txid,
} from '@rivulet/core/tx';
import type { AppointmentKey, StoredAppointment, StoredTracker } from '@rivulet/storage';
import { outpointKey } from '../../onchain/outpointKey.js';

/** A cheat that is being answered, as it is stored and as it is needed block by block. */
export interface Tracked {
  readonly stored: StoredTracker;
  readonly penalty: Transaction;
  /** Hex of the internal byte order. */
  readonly penaltyId: string;
  /** The outputs of the cheater's transaction that the penalty takes. */
  readonly watched: readonly string[];
}

export function trackerKey({ locator, userId }: AppointmentKey): string {
  return `${bytesToHex(locator)}:${bytesToHex(userId)}`;
}

export function trackedOf(stored: StoredTracker): Tracked {
  const penalty = decodeTransaction(stored.penaltyTx);
  const disputed = bytesToHex(stored.disputeTxid);
  const watched = penalty.inputs
    .filter(({ outpoint }) => bytesToHex(outpoint.txid) === disputed)
    .map(({ outpoint }) => outpointKey(outpoint));
  return { stored, penalty, penaltyId: bytesToHex(txid(penalty)), watched };
}

/** What a penalty pays, where it spends outputs of `dispute` alone. */
function feeOf(penalty: Transaction, dispute: Transaction | undefined): bigint | undefined {
  if (dispute === undefined) return undefined;
  const disputeTxid = bytesToHex(txid(dispute));
  let feeSat = 0n;
  for (const { outpoint } of penalty.inputs) {
    const spent = bytesToHex(outpoint.txid) === disputeTxid ? outputAt(dispute, outpoint) : undefined;
    if (spent === undefined) return undefined;
    feeSat += spent.valueSat;
  }
  for (const { valueSat } of penalty.outputs) feeSat -= valueSat;
  return feeSat < 0n ? undefined : feeSat;
}

function outputAt(tx: Transaction, { index }: Outpoint) {
  return tx.outputs[index];
}

/**
 * What an appointment turns into when its transaction is in a block; `undefined` where the blob does not open, or
 * does not answer that transaction.
 */
export function openAppointment(
  { locator, userId, encryptedBlob }: StoredAppointment,
  {
    disputeTxid,
    disputeHeight,
    dispute,
  }: { disputeTxid: Uint8Array; disputeHeight: number; dispute?: Transaction },
): Tracked | undefined {
  const penalty = decryptPenalty(encryptedBlob, disputeTxid);
  if (penalty === undefined) return undefined;
  const feeSat = feeOf(penalty, dispute);
  const tracked = trackedOf({
    locator,
    userId,
    disputeTxid,
    disputeHeight,
    penaltyTx: encodeTransaction(penalty),
    feeSat,
    resolvedHeight: undefined,
  });
  return tracked.watched.length === 0 ? undefined : tracked;
}
