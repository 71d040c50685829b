import { bytesToHex, bytesToUtf8 } from '@rivulet/core/bytes';
import {
  type Channel,
  commitmentSpec,
  htlcStateFacts,
  isRestored,
  receivableNowMsat,
  spendableNowMsat,
} from '@rivulet/core/channel';
import { messageRecordType } from '@rivulet/core/payment';
import { txid, txidToHex } from '@rivulet/core/tx';
import { decodeTlvStream, formatShortChannelId, toShortChannelId } from '@rivulet/core/wire';
import { boostagramRecordType, readBoostagram } from '@rivulet/keysend';
import type { ChannelInfo, HeldKeysendInfo, Invoice, Payment } from '@rivulet/sdk';
import type {
  IncomingPayment,
  ListedInvoice,
  ListedPayment,
  NodeStorage,
  OutgoingPayment,
} from '@rivulet/storage';
import type { WaitingKeysend } from './payments/receiver.js';

/** The sender's alias, as the satoshis.stream registry of custom records has it. */
const senderNameRecordType = 34349340n;

/** A channel as the API shows it. */
export function describeChannel(channel: Channel): ChannelInfo {
  const { params, phase, readiness } = channel;
  const { fundingConfirmed } = readiness;
  const spec = commitmentSpec(channel, { side: 'local', stage: 'committed' });
  const usable = isUsable(channel);
  const closing = closingTxidHex(channel);
  const note = noteOf(channel);
  return {
    channelId: bytesToHex(params.channelId),
    ...(fundingConfirmed === undefined
      ? {}
      : {
          shortChannelId: formatShortChannelId(
            toShortChannelId({
              blockHeight: fundingConfirmed.height,
              txIndex: fundingConfirmed.index,
              outputIndex: params.fundingOutpoint.index,
            }),
          ),
        }),
    nodeId: bytesToHex(params.remoteNodeId),
    state: phase.name,
    link: channel.link,
    usable,
    opener: params.localIsOpener ? 'local' : 'remote',
    channelType: params.format.commitment,
    announced: params.announce,
    capacitySat: params.fundingSat,
    ...balancesOf(channel),
    spendableMsat: usable ? spendableNowMsat(channel) : 0n,
    receivableMsat: usable ? receivableNowMsat(channel) : 0n,
    pendingHtlcs: channel.htlcs.size,
    feeratePerKw: spec.feeratePerKw,
    fundingTxidHex: txidToHex(params.fundingOutpoint.txid),
    fundingOutputIndex: params.fundingOutpoint.index,
    ...(closing === undefined ? {} : { closingTxidHex: closing }),
    ...(note === undefined ? {} : { note }),
  };
}

/**
 * What each side has: a payment is its receiver's from the moment that the preimage is given out, for it
 * can be claimed with that on chain too.
 */
function balancesOf(channel: Channel): { localMsat: bigint; remoteMsat: bigint } {
  let { localMsat, remoteMsat } = channel;
  channel.htlcs.forEach(({ direction, amountMsat, settlement }) => {
    const paid = settlement?.type === 'fulfill';
    if (direction === 'offered') {
      localMsat -= amountMsat;
      if (paid) remoteMsat += amountMsat;
    } else {
      remoteMsat -= amountMsat;
      if (paid) localMsat += amountMsat;
    }
  });
  return { localMsat, remoteMsat };
}

export function isUsable(channel: Channel): boolean {
  const { phase, link, shutdown } = channel;
  const closing = shutdown.localScript !== undefined || shutdown.remoteScript !== undefined;
  return phase.name === 'open' && link === 'online' && !closing;
}

function closingTxidHex({ phase, closingTransactions }: Channel): string | undefined {
  if (phase.name === 'spent') return txidToHex(txid(phase.by));
  const last = closingTransactions.at(-1);
  return last === undefined ? undefined : txidToHex(txid(last));
}

function noteOf(channel: Channel): string | undefined {
  if (isRestored(channel) && channel.phase.name === 'stale') {
    return 'restored from a backup: its peer has been asked to close it; what is ours is known when that is done';
  }
  const { phase, shutdown, readiness, params } = channel;
  switch (phase.name) {
    case 'awaiting_ready':
      return readiness.fundingConfirmed === undefined
        ? `waits for ${params.minimumDepth} confirmations of its funding transaction`
        : 'waits for both sides to be ready';
    case 'open':
      if (shutdown.localScript === undefined && shutdown.remoteScript === undefined) return undefined;
      return 'is being closed: waits for pending payments and for the peer';
    case 'closing':
      return 'waits for the closing transaction to confirm';
    case 'failed':
      // The error's own words are for the peer.
      return phase.error.code === 'closed_by_us'
        ? `closed by us alone: waits for our commitment to confirm; what is ours is free ${params.remote.toSelfDelay} blocks after that`
        : phase.error.message;
    case 'stale':
      return 'data of this channel was lost: the peer has to close it, nothing of ours may be published';
    case 'spent':
      return 'closed on chain; what is ours is being collected';
    case 'closed':
      return undefined;
  }
}

/** What is on our side of a channel's pending payments. */
export function pendingMsat(channel: Channel): bigint {
  let sumMsat = 0n;
  channel.htlcs.forEach((htlc) => {
    if (htlc.direction === 'offered' && !htlcStateFacts[htlc.state].removing) sumMsat += htlc.amountMsat;
  });
  return sumMsat;
}

/** A payment as the API shows it. @param storage where the invoices of the node are. */
export function describePayment(storage: Pick<NodeStorage, 'getInvoice'>, payment: ListedPayment): Payment {
  const records = new Map(decodeTlvStream(payment.records).map(({ type, value }) => [type, value]));
  return {
    sequence: payment.sequence,
    paymentHash: bytesToHex(payment.paymentHash),
    amountMsat: payment.amountMsat,
    records,
    ...(payment.preimage === undefined ? {} : { preimage: bytesToHex(payment.preimage) }),
    ...(payment.channelId === undefined ? {} : { channelId: bytesToHex(payment.channelId) }),
    ...textsOf(records),
    ...(payment.direction === 'incoming' ? describeIncoming(storage, payment) : describeOutgoing(payment)),
  };
}

/** What the records say in words. */
function textsOf(records: ReadonlyMap<bigint, Uint8Array>): { message?: string; senderName?: string } {
  const text = (type: bigint): string | undefined => {
    const value = records.get(type);
    return value === undefined ? undefined : bytesToUtf8(value);
  };
  const message = text(messageRecordType);
  const senderName = text(senderNameRecordType);
  return {
    ...(message === undefined ? {} : { message }),
    ...(senderName === undefined ? {} : { senderName }),
  };
}

function boostTextsOf(records: ReadonlyMap<bigint, Uint8Array>): { message?: string; senderName?: string } {
  const value = records.get(boostagramRecordType);
  const { message, senderName } = (value && readBoostagram(value).boostagram) ?? {};
  return {
    ...(message === undefined ? {} : { message }),
    ...(senderName === undefined ? {} : { senderName }),
  };
}

/** A keysend that waits for a decision as the API shows it. */
export function describeHeldKeysend(keysend: WaitingKeysend): HeldKeysendInfo {
  const { paymentHash, channelId, customRecords, amountMsat, rule, heldAtMs, untilMs } = keysend;
  return {
    paymentHash: bytesToHex(paymentHash),
    channelId: bytesToHex(channelId),
    amountMsat,
    records: new Map(customRecords),
    // Whoever decides has to see what is said, in whichever record that is.
    ...boostTextsOf(customRecords),
    ...textsOf(customRecords),
    rule,
    heldAtMs,
    untilMs,
  };
}

function describeIncoming(storage: Pick<NodeStorage, 'getInvoice'>, payment: IncomingPayment) {
  const { paymentHash, receivedAtMs, sender } = payment;
  return {
    direction: 'incoming',
    kind: storage.getInvoice(paymentHash) === undefined ? 'keysend' : 'invoice',
    status: 'succeeded',
    feeMsat: 0n,
    createdAtMs: receivedAtMs,
    settledAtMs: receivedAtMs,
    ...(sender === undefined ? {} : { nodeId: bytesToHex(sender) }),
  } as const;
}

function describeOutgoing(payment: OutgoingPayment) {
  const { failureCode, failureText, settledAtMs, idempotencyKey } = payment;
  return {
    direction: 'outgoing',
    status: payment.status,
    feeMsat: payment.feeMsat,
    createdAtMs: payment.createdAtMs,
    nodeId: bytesToHex(payment.destination),
    ...(settledAtMs === undefined ? {} : { settledAtMs }),
    ...(idempotencyKey === undefined ? {} : { idempotencyKey }),
    ...(failureCode === undefined
      ? {}
      : { failure: { code: failureCode, message: failureText ?? failureCode } }),
  } as const;
}

/** An invoice of ours as the API shows it. */
export function describeInvoice(invoice: ListedInvoice, nowMs: number): Invoice {
  const { sequence, state, amountMsat, receivedMsat, settledAtMs, preimage } = invoice;
  const expired = state === 'open' && nowMs > invoice.expiresAtMs;
  return {
    sequence,
    state: expired ? 'expired' : state,
    paymentHash: bytesToHex(invoice.paymentHash),
    // Who has it before it is paid could pass for somebody who paid.
    ...(state === 'settled' && preimage !== undefined ? { preimage: bytesToHex(preimage) } : {}),
    invoice: invoice.bolt11,
    description: invoice.description,
    ...(amountMsat === undefined ? {} : { amountMsat }),
    ...(receivedMsat === undefined ? {} : { receivedMsat }),
    createdAtMs: invoice.createdAtMs,
    expiresAtMs: invoice.expiresAtMs,
    ...(settledAtMs === undefined ? {} : { settledAtMs }),
  };
}
