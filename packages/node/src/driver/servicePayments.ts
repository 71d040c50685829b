import { bytesToHex, hexToBytes, utf8ToBytes } from '@rivulet/core/bytes';
import { type Channel, spendableNowMsat } from '@rivulet/core/channel';
import type { HintHop } from '@rivulet/core/graph';
import { decodeInvoice, isExpired } from '@rivulet/core/invoice';
import { messageRecordType } from '@rivulet/core/payment';
import { formatShortChannelId, hasFeature, parseShortChannelId } from '@rivulet/core/wire';
import {
  type HintHopInfo,
  type NodeService,
  type RequestOf,
  type ResponseOf,
  ServiceError,
} from '@rivulet/sdk';
import { describeInvoice, describePayment, isUsable } from './describe.js';
import type { RivuletNode } from './node.js';
import type { SendLimits, SentPayment } from './payments/outgoing.js';
import { PaymentError } from './payments/paymentError.js';
import { checkOtherNode } from './serviceChecks.js';

type PaymentService = Pick<
  NodeService,
  | 'keysend'
  | 'pay'
  | 'payments'
  | 'payment'
  | 'signMessage'
  | 'createInvoice'
  | 'invoices'
  | 'settleInvoice'
  | 'cancelInvoice'
  | 'decodeInvoice'
>;

/** The endpoints that pay and are paid. */
export function paymentService(node: RivuletNode): PaymentService {
  const { outgoing, invoices, receiver } = node.payments;
  return {
    keysend: async (request) => keysend(node, request),
    pay: async ({ invoice, amountMsat, waitSeconds, ...limits }) => {
      const decoded = decodeInvoice(invoice);
      if (bytesToHex(decoded.nodeId) === node.nodeId) {
        throw new ServiceError(
          'own_node',
          'this invoice was made by this node itself: it is for others to pay; `rivulet rebalance` moves balance between channels',
        );
      }
      await node.reach(bytesToHex(decoded.nodeId));
      const sent = outgoing.payInvoice({
        invoice: decoded,
        ...limitsOf(limits),
        ...(amountMsat === undefined ? {} : { amountMsat }),
      });
      return outcomeOf(node, { sent, waitSeconds });
    },
    payments: async (filter) => {
      const page = node.storage.listPayments(filter);
      return {
        payments: page.payments.map((payment) => describePayment(node.storage, payment)),
        ...(page.next === undefined ? {} : { next: page.next }),
      };
    },
    payment: async ({ paymentHash, direction }) => {
      const hash = hexToBytes(paymentHash);
      const { storage } = node;
      const found =
        (direction === 'incoming' ? undefined : storage.getOutgoingPayment(hash)) ??
        (direction === 'outgoing' ? undefined : storage.getIncomingPayment(hash));
      if (found !== undefined) return describePayment(storage, found);
      throw new ServiceError(
        'unknown_payment',
        `this node has no payment with the hash ${paymentHash}; \`rivulet payments\` lists them`,
      );
    },
    signMessage: async ({ message }) => ({
      nodeId: node.nodeId,
      signature: node.payments.signMessage(message),
    }),
    createInvoice: async ({ description = '', paymentHash, ...request }) => {
      const { paymentHash: hash } = await invoices.create({
        description,
        ...withoutUndefined(request),
        ...(paymentHash === undefined ? {} : { paymentHash: hexToBytes(paymentHash) }),
      });
      return invoiceOf(node, hash);
    },
    invoices: async ({ paymentHash, ...filter }) => {
      if (paymentHash !== undefined) return { invoices: [invoiceOf(node, hexToBytes(paymentHash))] };
      const page = node.storage.listInvoices(filter);
      const nowMs = Date.now();
      return {
        invoices: page.invoices.map((invoice) => describeInvoice(invoice, nowMs)),
        ...(page.next === undefined ? {} : { next: page.next }),
      };
    },
    settleInvoice: async ({ paymentHash, preimage }) => {
      const hash = hexToBytes(paymentHash);
      invoiceOf(node, hash);
      await receiver.settleHeld(hash, preimage === undefined ? undefined : hexToBytes(preimage));
      return invoiceOf(node, hash);
    },
    cancelInvoice: async ({ paymentHash }) => {
      const hash = hexToBytes(paymentHash);
      invoiceOf(node, hash);
      await receiver.cancel(hash);
      return invoiceOf(node, hash);
    },
    decodeInvoice: async ({ invoice }) => decoded(invoice),
  };
}

/** @throws ServiceError `unknown_invoice` */
function invoiceOf(node: RivuletNode, paymentHash: Uint8Array): ResponseOf<'createInvoice'> {
  const invoice = node.storage.getInvoice(paymentHash);
  if (invoice === undefined) {
    throw new ServiceError(
      'unknown_invoice',
      `this node made no invoice with the payment hash ${bytesToHex(paymentHash)}; \`rivulet invoices\` lists them`,
    );
  }
  return describeInvoice(invoice, Date.now());
}

const networks = { bc: 'mainnet', tb: 'testnet', tbs: 'signet', bcrt: 'regtest' } as const;

/** The last moment that a Date can have: an invoice may expire in 140 million years. */
const lastDateMs = 8.64e15;

function decoded(text: string): ResponseOf<'decodeInvoice'> {
  const invoice = decodeInvoice(text);
  const { amountMsat, description, timestamp, expirySeconds, features } = invoice;
  return {
    network: networks[invoice.currency],
    nodeId: bytesToHex(invoice.nodeId),
    paymentHash: bytesToHex(invoice.paymentHash),
    ...(amountMsat === undefined ? {} : { amountMsat }),
    ...(description.type === 'text'
      ? { description: description.text }
      : { descriptionHash: bytesToHex(description.hash) }),
    createdAtMs: timestamp * 1000,
    expiresAtMs: Math.min((timestamp + expirySeconds) * 1000, lastDateMs),
    expired: isExpired(invoice, Math.floor(Date.now() / 1000)),
    minFinalCltvDelta: invoice.minFinalCltvDelta,
    features: bytesToHex(features),
    takesParts: hasFeature(features, 'basicMpp'),
    hints: invoice.hints.map((hint) =>
      hint.map((hop) => ({
        nodeId: bytesToHex(hop.nodeId),
        shortChannelId: formatShortChannelId(hop.shortChannelId),
        feeBaseMsat: hop.feeBaseMsat,
        feeProportionalMillionths: hop.feeProportionalMillionths,
        cltvExpiryDelta: hop.cltvExpiryDelta,
      })),
    ),
  };
}

/** What a request says of limits, as the payment machine has them. */
export function limitsOf(request: {
  readonly maxFeeMsat?: bigint | undefined;
  readonly maxDelayBlocks?: number | undefined;
  readonly maxParts?: number | undefined;
}): SendLimits {
  const { maxFeeMsat, maxDelayBlocks, maxParts } = request;
  return {
    ...(maxFeeMsat === undefined ? {} : { maxFeeMsat }),
    ...(maxDelayBlocks === undefined ? {} : { maxCltvDelta: maxDelayBlocks }),
    ...(maxParts === undefined ? {} : { maxParts }),
  };
}

type Defined<T> = { [K in keyof T]: Exclude<T[K], undefined> };

/** With exact optional properties an absent field and one that is `undefined` are different. */
function withoutUndefined<T extends object>(object: T): Defined<T> {
  return Object.fromEntries(Object.entries(object).filter(([, value]) => value !== undefined)) as Defined<T>;
}

async function keysend(node: RivuletNode, request: RequestOf<'keysend'>): Promise<ResponseOf<'keysend'>> {
  checkOtherNode(node, request.nodeId);
  const customRecords = new Map(request.records ?? []);
  if (request.message !== undefined) {
    if (customRecords.has(messageRecordType)) {
      throw new ServiceError('record_invalid', `a message is record ${messageRecordType}: give it once`);
    }
    customRecords.set(messageRecordType, utf8ToBytes(request.message));
  }
  if (request.preimage !== undefined && request.idempotencyKey !== undefined) {
    throw new ServiceError(
      'request_invalid',
      'a preimage names the payment as an idempotency key does: give one of them',
    );
  }
  await node.reach(request.nodeId);
  const sent = node.payments.outgoing.keysend({
    destination: hexToBytes(request.nodeId),
    amountMsat: request.amountMsat,
    customRecords,
    ...limitsOf(request),
    ...(request.hints === undefined ? {} : { hints: request.hints.map((hint) => hint.map(hintHopOf)) }),
    ...(request.idempotencyKey === undefined ? {} : { idempotencyKey: request.idempotencyKey }),
    ...(request.preimage === undefined ? {} : { preimage: hexToBytes(request.preimage) }),
  });
  return outcomeOf(node, { sent, waitSeconds: request.waitSeconds }).catch((error) =>
    Promise.reject(explainRefusal(node, { request, error })),
  );
}

/** A hop of a hint, as the router has it. */
function hintHopOf({ shortChannelId, nodeId, ...terms }: HintHopInfo): HintHop {
  return { ...terms, nodeId: hexToBytes(nodeId), shortChannelId: parseShortChannelId(shortChannelId) };
}

/** The payment as it is when it has ended, or when the caller does not wait any longer. */
export async function outcomeOf(
  node: RivuletNode,
  { sent, waitSeconds }: { sent: SentPayment; waitSeconds: number | undefined },
): Promise<ResponseOf<'keysend'>> {
  const { paymentHash, outcome } = sent;
  const settled = await withinSeconds(outcome, waitSeconds);
  // What was not waited for is stored all the same before the caller hears of it.
  node.turns.runNow();
  const stored = node.storage.getOutgoingPayment(settled?.paymentHash ?? paymentHash);
  // Not stored: it was refused, or it is the payment of another call with the same key.
  if (stored !== undefined) return describePayment(node.storage, stored);
  const other = node.storage.getOutgoingPayment((await outcome).paymentHash);
  if (other === undefined) throw new Error('a payment that was made is not in the storage');
  return describePayment(node.storage, other);
}

/** What could be sent to a peer of ours, where that is less than was wanted. */
function explainRefusal(
  node: RivuletNode,
  { request, error }: { request: RequestOf<'keysend'>; error: unknown },
): unknown {
  if (!(error instanceof PaymentError) || error.code !== 'insufficient_balance') return error;
  const spendable = node.channels
    .filter((channel) => isUsable(channel) && bytesToHex(channel.params.remoteNodeId) === request.nodeId)
    .map((channel: Channel) => spendableNowMsat(channel));
  if (spendable.length === 0) return error;
  let mostMsat = 0n;
  for (const oneMsat of spendable) if (oneMsat > mostMsat) mostMsat = oneMsat;
  if (mostMsat >= request.amountMsat) return error;
  const where = spendable.length === 1 ? 'the channel with this node' : 'one channel with this node';
  return new ServiceError(
    'insufficient_balance',
    `${where} can carry at most ${satText(mostMsat)} sat in one payment now: send less, or open a larger channel`,
    { spendableMsat: mostMsat.toString() },
  );
}

function satText(amountMsat: bigint): string {
  const fraction = (amountMsat % 1000n).toString().padStart(3, '0').replace(/0+$/, '');
  const whole = (amountMsat / 1000n).toString().replace(/\B(?=(\d{3})+$)/g, ',');
  return `${whole}${fraction === '' ? '' : `.${fraction}`}`;
}

/** Waits for the outcome, or as long as the caller wants; the payment goes on either way. */
async function withinSeconds<T>(outcome: Promise<T>, seconds: number | undefined): Promise<T | undefined> {
  if (seconds === undefined) return outcome;
  let timer: NodeJS.Timeout | undefined;
  const waited = new Promise<undefined>((resolve) => {
    timer = setTimeout(resolve, seconds * 1000, undefined);
  });
  return Promise.race([outcome, waited]).finally(() => clearTimeout(timer));
}
