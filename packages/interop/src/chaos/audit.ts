import type { Payment } from '@rivulet/sdk';
import { type ChainBooks, collectedFromSat } from './chainBooks.js';
import type { KnownChannel } from './channelRegistry.js';
import type { ChaosNodeBooks } from './chaosChildProtocol.js';
import type { AskedPayment } from './paymentLedger.js';

export interface PaymentVerdict {
  readonly asked: number;
  readonly succeeded: number;
  readonly failed: number;
  readonly lost: readonly string[];
  readonly doubled: readonly string[];
  readonly stuck: readonly string[];
  /** Told one thing, while another is so. */
  readonly contradicted: readonly string[];
  /** Too small for an output, under way when their channel was closed by force: BOLT 5 lets these be lost. */
  readonly dustLost: readonly string[];
  /** What each node lists as received, and lost so. */
  readonly notReceivedMsat: readonly bigint[];
}

/** Below this an HTLC may have no output of its own in a commitment, at the feerates of chaos. */
const trimmedBelowMsat = 3_000_000n;

/** Each payment that was asked for ended once, and everybody tells the same of it. */
export function auditPayments(given: {
  readonly asked: readonly AskedPayment[];
  readonly books: readonly ChaosNodeBooks[];
  readonly forcedCloses: boolean;
}): PaymentVerdict {
  const { asked, books, forcedCloses } = given;
  const lost: string[] = [];
  const doubled: string[] = [];
  const stuck: string[] = [];
  const contradicted: string[] = [];
  const dustLost: string[] = [];
  const notReceivedMsat = books.map(() => 0n);
  const sent = books.map(({ payments }) => group(payments, 'outgoing'));
  const received = books.map(({ payments }) => group(payments, 'incoming'));
  const matched = new Set<Payment>();
  let succeeded = 0;
  for (const entry of asked) {
    const { key, from, to, paymentHash, told, kind } = entry;
    const name = `${key} (${kind}, ${entry.amountMsat} msat, ${paymentHash ?? 'no hash'}, told ${told})`;
    const rows =
      kind === 'keysend'
        ? [...(sent[from]?.values() ?? [])].flat().filter(({ idempotencyKey }) => idempotencyKey === key)
        : (sent[from]?.get(paymentHash ?? '') ?? []);
    // An invoice may be tried again when it failed: one of all its payments counts.
    const live = rows.filter(({ status }) => status !== 'failed');
    if (live.length > 1 || (kind === 'keysend' && rows.length > 1)) {
      doubled.push(`${name}: its sender lists it ${rows.length} times`);
    }
    const row = live[0] ?? rows[0];
    if (row === undefined) {
      if (told === 'succeeded' || told === 'pending') lost.push(`${name}: its sender does not list it`);
      continue;
    }
    const incoming = received[to]?.get(row.paymentHash) ?? [];
    for (const one of incoming) matched.add(one);
    if (incoming.length > 1) doubled.push(`${name}: its receiver has it ${incoming.length} times`);
    if (row.status === 'pending') stuck.push(`${name}: it is still under way`);
    if (row.status === 'succeeded') {
      succeeded++;
      if (incoming.length === 0) lost.push(`${name}: paid, and its receiver has nothing`);
      else if ((incoming[0] as Payment).amountMsat < entry.amountMsat) {
        lost.push(`${name}: its receiver has ${incoming[0]?.amountMsat} msat`);
      }
      if (told === 'failed' || told === 'refused') {
        contradicted.push(`${name}: it succeeded (${entry.reason ?? ''})`);
      }
      if (entry.hold === 'cancelled') contradicted.push(`${name}: its owner cancelled it, and it is paid`);
    }
    if (row.status === 'failed') {
      if (incoming.length > 0) {
        const isDust = forcedCloses && entry.amountMsat < trimmedBelowMsat;
        (isDust ? dustLost : lost).push(`${name}: failed for its sender, and its receiver has it`);
        if (isDust) notReceivedMsat[to] = (notReceivedMsat[to] ?? 0n) + (incoming[0]?.amountMsat ?? 0n);
      }
      if (told === 'succeeded') contradicted.push(`${name}: it failed`);
      if (entry.hold === 'settled') {
        const isDust = forcedCloses && entry.amountMsat < trimmedBelowMsat;
        if (!isDust) contradicted.push(`${name}: its owner settled it, and it failed`);
      }
    }
  }
  received.forEach((byHash, node) => {
    for (const payment of [...byHash.values()].flat()) {
      if (!matched.has(payment))
        doubled.push(`node ${node} received ${payment.paymentHash}, which nobody asked for`);
    }
  });
  return {
    asked: asked.length,
    succeeded,
    failed: asked.length - succeeded,
    lost,
    doubled,
    stuck,
    contradicted,
    dustLost,
    notReceivedMsat,
  };
}

function group(payments: readonly Payment[], direction: Payment['direction']): Map<string, Payment[]> {
  const byHash = new Map<string, Payment[]>();
  for (const payment of payments) {
    if (payment.direction !== direction) continue;
    const same = byHash.get(payment.paymentHash);
    if (same === undefined) byHash.set(payment.paymentHash, [payment]);
    else same.push(payment);
  }
  return byHash;
}

export interface BalanceVerdict {
  readonly wrong: readonly string[];
  /** What each node has in channels, and had from them, less what it should have, in msat. */
  readonly differencesMsat: readonly bigint[];
  readonly tolerancesMsat: readonly bigint[];
}

/**
 * What each node has in its channels, and got out of those that are over, is what it put in, and what it received
 * and earned, less what it sent: to the millisatoshi for channels that are open.
 */
export function auditChannels(given: {
  readonly books: readonly ChaosNodeBooks[];
  readonly channels: Iterable<KnownChannel>;
  readonly chain: ChainBooks;
  /** See PaymentVerdict. */
  readonly notReceivedMsat: readonly bigint[];
}): BalanceVerdict {
  const { books, channels, chain, notReceivedMsat } = given;
  const wrong: string[] = [];
  const has = books.map(() => 0n);
  const should = books.map(({ payments, forwardFeeMsat }, node) => {
    let sum = forwardFeeMsat - (notReceivedMsat[node] ?? 0n);
    for (const { direction, status, amountMsat, feeMsat } of payments) {
      if (direction === 'incoming') sum += amountMsat;
      else if (status === 'succeeded') sum -= amountMsat + feeMsat;
    }
    return sum;
  });
  const tolerances = books.map(() => 0n);
  const add = (to: bigint[], node: number, amountMsat: bigint): void => {
    to[node] = (to[node] ?? 0n) + amountMsat;
  };
  for (const channel of channels) {
    const { opener, accepter, fundingSat, pushMsat, channelId, fundingTxidHex, last } = channel;
    if (!chain.isConfirmed(fundingTxidHex)) {
      const phase = last.get(opener)?.phase;
      if (phase !== undefined && phase !== 'failed' && phase !== 'closed') {
        wrong.push(`channel ${channelId} is ${phase} for its opener, and was never funded`);
      }
      continue;
    }
    add(should, opener, fundingSat * 1_000n - pushMsat);
    add(should, accepter, pushMsat);
    const end = chain.endOf(channel);
    if (end === undefined) {
      for (const node of [opener, accepter]) {
        const facts = last.get(node);
        if (facts === undefined) wrong.push(`node ${node} does not know channel ${channelId}, which is open`);
        else {
          add(has, node, facts.localMsat);
          if (facts.htlcs > 0) wrong.push(`channel ${channelId} still has ${facts.htlcs} HTLCs`);
        }
      }
      continue;
    }
    for (const output of end.unclaimed) wrong.push(`channel ${channelId}: nobody collected ${output}`);
    for (const [node, grossSat] of end.grossSat) add(has, node, grossSat * 1_000n);
    add(has, opener, end.lossSat * 1_000n);
    const unclearSat = end.isCommitment ? end.unclearSat : end.lossSat;
    for (const node of [opener, accepter]) add(tolerances, node, unclearSat * 1_000n);
  }
  const differencesMsat = has.map((amount, node) => amount - (should[node] as bigint));
  differencesMsat.forEach((difference, node) => {
    const tolerance = tolerances[node] as bigint;
    if (difference > tolerance || difference < -tolerance) {
      wrong.push(
        `node ${node} has ${difference} msat more than it should have (of which ${tolerance} may be dust)`,
      );
    }
  });
  return { wrong, differencesMsat, tolerancesMsat: tolerances };
}

/** The wallets have what the chain says, and nothing is left lying about but anchors and crumbs. */
export function auditWallets(given: {
  readonly books: readonly ChaosNodeBooks[];
  readonly chain: ChainBooks;
  readonly startSat: bigint;
}): { readonly wrong: readonly string[]; readonly feesSat: bigint; readonly leftSat: bigint } {
  const { books, chain, startSat } = given;
  const wrong: string[] = [];
  let endSat = 0n;
  books.forEach(({ walletCoins }, node) => {
    const onChain = chain.balanceSat(node);
    const inWallet = walletCoins.reduce((sum, { valueSat }) => sum + valueSat, 0n);
    if (onChain !== inWallet) {
      wrong.push(`the wallet of node ${node} can spend ${inWallet} sat, the chain has ${onChain} sat for it`);
    }
    endSat += onChain;
  });
  let leftSat = 0n;
  for (const { outpoint, valueSat } of chain.leftovers()) {
    if (valueSat < collectedFromSat) leftSat += valueSat;
    else wrong.push(`nobody has collected ${outpoint} (${valueSat} sat)`);
  }
  const missing = startSat - endSat - leftSat - chain.feesSat;
  if (missing !== 0n) wrong.push(`${missing} sat are missing: neither in a wallet nor paid as a fee`);
  return { wrong, feesSat: chain.feesSat, leftSat };
}
