import { addressToScript, minimumFeeratePerKw } from '@rivulet/chain';
import { bytesToHex } from '@rivulet/core/bytes';
import {
  encodeTransaction,
  type Outpoint,
  type Transaction,
  txidFromHex,
  txid as txidOf,
  txidToHex,
} from '@rivulet/core/tx';
import { type NodeService, type RequestOf, type ResponseOf, ServiceError } from '@rivulet/sdk';
import { base64 } from '@scure/base';
import { type Logger, silentLogger } from '../logging/index.js';
import {
  checkLabel,
  commitBump,
  commitPlan,
  commitPsbt,
  createPsbt,
  exportLabels,
  finalizePsbt,
  findSent,
  getLabel,
  importLabels,
  inspectPsbt,
  labelTarget,
  listCoins,
  listHistory,
  lockCoins,
  outpointText,
  type PsbtView,
  planBump,
  planCancel,
  planSend,
  type SendRequest,
  setLabel,
  signPsbt,
  unlockCoins,
  WalletError,
  WalletPublisher,
} from '../wallet/index.js';
import { anchorChannels, neededReserveSat } from './feeReserve.js';
import type { RivuletNode } from './node.js';
import { describeOutput, describePsbt, describePublished, describeSent } from './walletAnswers.js';
import { channelTransactions, foreignFees } from './walletChannels.js';

type WalletService = Pick<
  NodeService,
  | 'send'
  | 'bumpTransaction'
  | 'coins'
  | 'lockCoins'
  | 'transactions'
  | 'setLabel'
  | 'exportLabels'
  | 'importLabels'
  | 'createPsbt'
  | 'showPsbt'
  | 'signPsbt'
  | 'broadcastPsbt'
>;

/** Blocks within which a payment, and one that somebody is impatient about, should confirm. */
const sendTarget = 6;
const bumpTarget = 2;

/** The endpoints of the on-chain wallet; what it has sent is sent again at every block from now on. */
export function walletService(
  node: RivuletNode,
  { logger = silentLogger, now = Date.now }: { logger?: Logger; now?: () => number } = {},
): WalletService {
  const publisher = new WalletPublisher({
    state: node.wallet.state,
    broadcast: (tx) => node.backend.broadcast(tx),
    broadcastPackage: (transactions) => node.backend.broadcastPackage(transactions),
    logger,
  });
  node.on('block', () => void publisher.republish());
  if (node.synced) void publisher.republish();
  const given: Given = { node, publisher, now };
  return {
    send: (request) => send(given, request),
    bumpTransaction: (request) => bump(given, request),
    coins: async () => coins(node),
    lockCoins: async ({ coins: names, locked }) => {
      const outpoints = names.map(parseOutpoint);
      if (!locked) return { changed: unlockCoins(node.wallet.state, outpoints) };
      lockCoins(node.wallet.state, outpoints);
      return { changed: outpoints.length };
    },
    transactions: async () => transactions(given),
    setLabel: async ({ of, label }) => {
      const target = labelTarget(of.trim(), node.network);
      node.storage.transaction((tx) => setLabel(tx, target, checkLabel(label)));
      return { type: target.type as 'tx' | 'output' | 'addr', ref: target.ref };
    },
    exportLabels: async () => ({ lines: exportLabels(node.wallet.state) }),
    importLabels: async ({ lines }) => importLabels(node.wallet.state, lines),
    createPsbt: async ({ version, unlocked, ...request }) => {
      const spending = await spendingOf(node, request);
      const made = createPsbt(node.wallet.state, {
        ...spending,
        ...(version === undefined ? {} : { version }),
        lock: unlocked !== true,
      });
      return { psbt: base64.encode(made.psbt), ...describePsbt(node, made.view) };
    },
    showPsbt: async ({ psbt }) => describePsbt(node, inspectPsbt(node.wallet.state, decodePsbt(psbt))),
    signPsbt: async ({ psbt, foreignInputs, maxFeeSat }) => {
      const signed = signPsbt(node.wallet.state, decodePsbt(psbt), {
        allowForeign: foreignInputs,
        maxFeeSat,
      });
      return { psbt: base64.encode(signed.psbt), ...describePsbt(node, signed.view) };
    },
    broadcastPsbt: (request) => broadcastPsbt(given, request),
  };
}

interface Given {
  readonly node: RivuletNode;
  readonly publisher: WalletPublisher;
  readonly now: () => number;
}

/** Whether a channel has this funding transaction: its txid must not change. */
function isAwaited(node: RivuletNode): (txid: Uint8Array) => boolean {
  const { isFunding } = channelTransactions(node);
  return isFunding;
}

const reserveOf = (node: RivuletNode): bigint => neededReserveSat(anchorChannels(node.channels));

async function estimate(node: RivuletNode, targetBlocks: number): Promise<number> {
  const feeratePerKw = await node.backend.estimateFeeratePerKw(targetBlocks);
  if (feeratePerKw !== undefined) return feeratePerKw;
  if (node.network === 'regtest') return minimumFeeratePerKw;
  throw new ServiceError(
    'not_supported',
    'the chain backend has no fee estimate now: give one with --feerate',
  );
}

function parseOutpoint(name: string): Outpoint {
  const [txidHex = '', index = ''] = name.split(':');
  return { txid: txidFromHex(txidHex), index: Number(index) };
}

function decodePsbt(text: string): Uint8Array {
  try {
    return base64.decode(text);
  } catch {
    throw new WalletError('psbt_malformed', 'this PSBT is no base64: copy all of it, from cHNidP to its end');
  }
}

async function spendingOf(
  node: RivuletNode,
  request: Pick<
    RequestOf<'send'>,
    'recipients' | 'allTo' | 'feeratePerKw' | 'coins' | 'maxFeeSat' | 'includingReserve'
  >,
): Promise<SendRequest> {
  const { recipients, allTo, coins: names, maxFeeSat, includingReserve } = request;
  const outputs = recipients.map(({ address, amountSat }) => ({
    valueSat: amountSat,
    script: addressToScript(address, node.network),
  }));
  return {
    outputs,
    allTo: allTo === undefined ? undefined : addressToScript(allTo, node.network),
    feeratePerKw: request.feeratePerKw ?? (await estimate(node, sendTarget)),
    coins: names?.map(parseOutpoint),
    maxFeeSat,
    reserveSat: includingReserve === true ? 0n : reserveOf(node),
  };
}

async function send(given: Given, request: RequestOf<'send'>): Promise<ResponseOf<'send'>> {
  const { node, publisher, now } = given;
  const { state } = node.wallet;
  const spending = await spendingOf(node, request);
  const label = request.label === undefined ? undefined : checkLabel(request.label);
  const { idempotencyKey } = request;
  const idempotency =
    idempotencyKey === undefined ? undefined : { key: idempotencyKey, request: essenceOf(request) };
  // From here to the storing nothing else can happen: two requests with one key make one payment.
  const earlier = idempotency === undefined ? undefined : findSent(state, idempotency);
  if (earlier !== undefined) return repeated(given, earlier);
  const plan = planSend(state, spending);
  const kept = plan.keptSat === undefined ? {} : { keptSat: plan.keptSat };
  if (request.dryRun === true) {
    const answer = describeSent(node, plan.tx, plan.feeSat);
    return {
      ...answer,
      ...kept,
      repeated: false,
      accepted: false,
      message: 'nothing was sent: this was a trial',
    };
  }
  const tx = commitPlan(state, plan, { purpose: 'send', nowMs: now(), label, idempotency });
  const published = await publisher.publish(txidOf(tx));
  return {
    ...describeSent(node, tx, plan.feeSat),
    ...kept,
    repeated: false,
    ...describePublished(published),
  };
}

/** What makes two requests the same payment: who gets how much, out of what. */
function essenceOf({ recipients, allTo, coins: names }: RequestOf<'send'>): string {
  const paid = recipients.map(({ address, amountSat }) => [address, amountSat.toString()]);
  return JSON.stringify([paid, allTo ?? null, names ?? null]);
}

/** The transaction that an earlier request made, or what took its place and pays the same. @throws WalletError */
async function repeated(given: Given, txid: Uint8Array): Promise<ResponseOf<'send'>> {
  const { node, publisher } = given;
  const history = new Map(
    listHistory(node.wallet.state, channelTransactions(node)).map((one) => [bytesToHex(one.txid), one]),
  );
  let entry = history.get(bytesToHex(txid));
  while (entry?.state === 'replaced' && entry.replacedBy !== undefined) {
    entry = history.get(bytesToHex(entry.replacedBy));
  }
  if (entry === undefined || entry.state === 'lost') {
    throw new WalletError(
      'payment_lost',
      `transaction ${txidToHex(txid)} of this idempotency key can never confirm, for a block spends its coins: ` +
        'nothing was paid; to pay, use a new key',
    );
  }
  if (entry.kind === 'cancel') {
    throw new WalletError(
      'payment_cancelled',
      `transaction ${txidToHex(txid)} of this idempotency key was taken back by ${txidToHex(entry.txid)}` +
        (entry.state === 'confirmed'
          ? ': nothing was paid; to pay, use a new key'
          : ', which is not confirmed: the payment may still be made. Wait for a block before you pay again'),
    );
  }
  const answer = { ...describeSent(node, entry.tx, entry.feeSat ?? 0n), repeated: true };
  if (entry.state === 'confirmed') return { ...answer, accepted: true };
  return { ...answer, ...describePublished(await publisher.publish(entry.txid)) };
}

async function bump(
  given: Given,
  request: RequestOf<'bumpTransaction'>,
): Promise<ResponseOf<'bumpTransaction'>> {
  const { node, publisher, now } = given;
  const { state } = node.wallet;
  const txid = txidFromHex(request.txidHex);
  const fees = await foreignFees(node, txid);
  const wanted = {
    txid,
    feeratePerKw: request.feeratePerKw,
    estimatePerKw: await estimate(node, bumpTarget).catch(() => minimumFeeratePerKw),
    maxFeeSat: request.maxFeeSat,
    reserveSat: reserveOf(node),
    isAwaited: isAwaited(node),
    feeOf: (one: Uint8Array) => fees.get(bytesToHex(one)),
  };
  const plan = request.cancel === true ? planCancel(state, wanted) : planBump(state, wanted);
  const { how, feesUnknown, feeratePerKw } = plan;
  const answer = (tx: Transaction) => ({
    txidHex: txidToHex(txidOf(tx)),
    how,
    feeSat: plan.feeSat,
    feeratePerKw,
    feesUnknown,
    outputs: tx.outputs.map((output) => describeOutput(node, output)),
  });
  if (request.dryRun === true) {
    return { ...answer(plan.tx), accepted: false, message: 'nothing was sent: this was a trial' };
  }
  const tx = commitBump(state, plan, { nowMs: now() });
  return { ...answer(tx), ...describePublished(await publisher.publish(txidOf(tx))) };
}

function coins(node: RivuletNode): ResponseOf<'coins'> {
  const { state } = node.wallet;
  return {
    coins: listCoins(state).map(({ outpoint, reason, ...coin }) => {
      const name = outpointText(outpoint);
      const label =
        getLabel(state.storage, { type: 'output', ref: name }) ??
        getLabel(state.storage, { type: 'addr', ref: coin.address }) ??
        getLabel(state.storage, { type: 'tx', ref: txidToHex(outpoint.txid) });
      return {
        ...coin,
        coin: name,
        ...(reason === undefined ? {} : { reason }),
        ...(label === undefined ? {} : { label }),
      };
    }),
  };
}

function transactions({ node, publisher }: Given): ResponseOf<'transactions'> {
  return {
    transactions: listHistory(node.wallet.state, channelTransactions(node)).map((one) => ({
      txidHex: txidToHex(one.txid),
      state: one.state,
      kind: one.kind,
      ...(one.height === undefined ? {} : { height: one.height }),
      confirmations: one.confirmations,
      netSat: one.netSat,
      ...(one.feeSat === undefined ? {} : { feeSat: one.feeSat }),
      ...(one.label === undefined ? {} : { label: one.label }),
      ...(one.replacedBy === undefined ? {} : { replacedByTxidHex: txidToHex(one.replacedBy) }),
      ...(one.createdAtMs === undefined ? {} : { createdAtMs: one.createdAtMs }),
      ...(one.state === 'unconfirmed' ? noteOf(publisher, one.txid) : {}),
      outputs: one.tx.outputs.map((output) => describeOutput(node, output)),
    })),
  };
}

function noteOf(publisher: WalletPublisher, txid: Uint8Array): { note?: string } {
  const note = publisher.refusalOf(txid);
  return note === undefined ? {} : { note };
}

async function broadcastPsbt(
  { node, publisher, now }: Given,
  request: RequestOf<'broadcastPsbt'>,
): Promise<ResponseOf<'broadcastPsbt'>> {
  const { state } = node.wallet;
  const { maxFeeSat } = request;
  const bytes = decodePsbt(request.psbt);
  const label = request.label === undefined ? undefined : checkLabel(request.label);
  const answer = ({ tx, view }: { tx: Transaction; view: PsbtView }) => ({
    ...describePsbt(node, view),
    rawTx: bytesToHex(encodeTransaction(tx)),
  });
  if (request.dryRun === true) {
    const finished = finalizePsbt(state, bytes, { maxFeeSat });
    return { ...answer(finished), accepted: false, message: 'nothing was sent: this was a trial' };
  }
  const sent = commitPsbt(state, bytes, { nowMs: now(), label, maxFeeSat });
  return { ...answer(sent), ...describePublished(await publisher.publish(sent.view.txid)) };
}
