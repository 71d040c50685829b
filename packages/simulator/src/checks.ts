import { bytesToHex } from '@rivulet/core/bytes';
import type { Channel } from '@rivulet/core/channel';
import { channelKey } from './htlcRef.js';
import type { PaymentRecord } from './paymentRecord.js';
import type { SimNode } from './simNode.js';
import type { Simulation } from './simulation.js';

const walletStartMsat = 20n * 50_000n * 1000n;
/** Both anchors of a commitment stay where they are: they are worth less than their spending costs. */
const anchorsSat = 660n;

/** Payments whose two ends do not agree, by somebody else's loss. */
export interface Disagreements {
  /** The receiver has the amount, though the payment failed: a hostile node, or a miner, has less. */
  readonly paidByOthers: number;
}

/** What is left to be checked when all is over. Each entry of `violations` is a fault. */
export function checkEnd(simulation: Simulation): { violations: string[]; disagreements: Disagreements } {
  const violations: string[] = [];
  for (const node of simulation.nodes) {
    if (node.busy) violations.push(`not at rest: ${node.describePending()}`);
  }
  // While something is pending, sums would only repeat that.
  if (violations.length > 0) return { violations, disagreements: { paidByOthers: 0 } };
  checkChannels(simulation, violations);
  checkChain(simulation, violations);
  const disagreements = checkPayments(simulation, violations);
  for (const node of simulation.nodes) if (node.honest) checkWealth(simulation, { node, violations });
  return { violations, disagreements };
}

function isOpen({ phase }: Channel): boolean {
  return phase.name === 'open';
}

/** Both ends of an open channel say the same. */
function checkChannels({ nodes, links }: Simulation, violations: string[]): void {
  for (const { ends, keys } of links) {
    for (const key of keys) {
      const [a, b] = ends.map((number) => nodes[number]?.channel(key)) as [Channel, Channel];
      if (isOpen(a) !== isOpen(b)) {
        violations.push(
          `channel ${key} is ${a.phase.name} for ${ends[0]} and ${b.phase.name} for ${ends[1]}`,
        );
      } else if (isOpen(a) && (a.localMsat !== b.remoteMsat || a.remoteMsat !== b.localMsat)) {
        violations.push(`the ends of channel ${key} do not agree on its balances`);
      }
    }
  }
}

/** All that was there at the beginning is there, or with the miners. */
function checkChain({ chain, nodes, links }: Simulation, violations: string[]): void {
  if (chain.unspentSat + chain.feesSat !== chain.issuedSat)
    violations.push('money has appeared or gone on chain');
  let ownedSat = 0n;
  let leftSat = 0n;
  for (const node of nodes) {
    ownedSat += chain.balanceSat(node.walletScript);
    leftSat += node.sweeper.costSat;
  }
  for (const { ends, keys } of links) {
    for (const key of keys) {
      const channel = nodes[ends[0]]?.channel(key) as Channel;
      if (isOpen(channel)) ownedSat += channel.params.fundingSat;
      else leftSat += anchorsSat;
    }
  }
  const unownedSat = chain.unspentSat - ownedSat;
  if (unownedSat < 0n || unownedSat > leftSat) {
    violations.push(`${unownedSat} sat on chain belong to nobody; ${leftSat} are explained`);
  }
}

/** Every payment ends once, and the receiver has what that says. */
function checkPayments({ nodes, records, options }: Simulation, violations: string[]): Disagreements {
  let paidByOthers = 0;
  for (const record of records) {
    const { index, sending, endings, request } = record;
    if (sending === undefined || sending.status === 'pending' || endings !== 1) {
      violations.push(`payment ${index} has ended ${endings} times and is ${sending?.status ?? 'not begun'}`);
      continue;
    }
    const paidMsat = paidBySender(record);
    const failed = sending.status === 'failed';
    if (failed && paidMsat > 0n) violations.push(`payment ${index} failed and ${paidMsat} msat were paid`);
    if (paidMsat > request.amountMsat + request.maxFeeMsat) {
      violations.push(`payment ${index} has cost ${paidMsat} msat, more than was allowed`);
    }
    const receiver = nodes[record.receiver] as SimNode;
    if (!receiver.honest) continue;
    const receivedMsat = receiver.receiver.received.get(bytesToHex(request.paymentHash)) ?? 0n;
    if (!failed && receivedMsat < request.amountMsat) {
      violations.push(`payment ${index} succeeded and ${receivedMsat} of ${request.amountMsat} msat arrived`);
    }
    if (failed && receivedMsat > 0n) {
      paidByOthers++;
      if (options.hostile === 0) violations.push(`payment ${index} failed and ${receivedMsat} msat arrived`);
    }
  }
  return { paidByOthers };
}

/** What a payment has taken from its sender. */
function paidBySender({ sending }: PaymentRecord): bigint {
  let sum = 0n;
  for (const { status, route } of sending?.attempts ?? []) {
    if (status === 'fulfilled') sum += route.amountMsat + route.feeMsat;
  }
  return sum;
}

/** What a node should have: what it had, with what HTLCs that were fulfilled brought and took. */
function ledgerMsat(node: SimNode): bigint {
  let sum = 0n;
  for (const [key, amountMsat] of node.ledger.entries())
    sum += key.startsWith('in') ? amountMsat : -amountMsat;
  return sum;
}

/** What closing channels on chain may have taken: fees, HTLCs that were too small for it, parts of satoshis. */
function closingCostMsat({ chain }: Simulation, node: SimNode): bigint {
  let costSat = node.sweeper.costSat;
  for (const { params, phase } of node.channels()) {
    if (phase.name === 'open') continue;
    const spend = chain.spendOf(params.fundingOutpoint);
    const outputs = spend?.tx.outputs ?? [];
    const paidSat = outputs.reduce((sum, { valueSat }) => sum + valueSat, 0n);
    costSat += params.fundingSat - paidSat + anchorsSat + BigInt(outputs.length);
  }
  return costSat * 1000n;
}

/** An honest node has what it should, whatever others did, and forwarding has cost it nothing. */
function checkWealth(
  simulation: Simulation,
  { node, violations }: { node: SimNode; violations: string[] },
): void {
  const earnedMsat = ledgerMsat(node);
  let hasMsat = simulation.chain.balanceSat(node.walletScript) * 1000n;
  let hadMsat = walletStartMsat;
  for (const facts of node.facts.values()) hadMsat += facts.startMsat;
  for (const channel of node.channels()) if (isOpen(channel)) hasMsat += channel.localMsat;
  const costMsat = closingCostMsat(simulation, node);
  if (hasMsat < hadMsat + earnedMsat - costMsat) {
    const missing = hadMsat + earnedMsat - costMsat - hasMsat;
    violations.push(`node ${node.number} has ${missing} msat less than it should`);
  }
  const forwardingMsat = forwardingGainMsat(simulation, node);
  if (forwardingMsat < 0n)
    violations.push(`node ${node.number} has lost ${-forwardingMsat} msat by forwarding`);
}

/** What a node has got for passing on: its ledger without its own payments and what it received. */
export function forwardingGainMsat({ records }: Simulation, node: SimNode): bigint {
  let gainMsat = ledgerMsat(node);
  for (const record of records) if (record.sender === node.number) gainMsat += paidBySender(record);
  for (const receivedMsat of node.receiver.received.values()) gainMsat -= receivedMsat;
  return gainMsat;
}

/** How many channels are closed. */
export function closedChannels({ nodes }: Simulation): number {
  const closed = new Set<string>();
  for (const node of nodes) {
    for (const { params, phase } of node.channels()) {
      if (phase.name !== 'open') closed.add(channelKey(params.channelId));
    }
  }
  return closed.size;
}
