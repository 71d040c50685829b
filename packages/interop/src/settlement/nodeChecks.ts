import type { ChainAudit } from './chainAudit.js';
import type { Ending } from './closing.js';
import { channelOf, type LineHtlc, type PaymentFact } from './line.js';
import type { Scene } from './scene.js';
import type { SettlementNode } from './settlementNode.js';
import { isRace, reorgDepth } from './situation.js';
import type { HtlcFate } from './verdict.js';

/** Blocks after which a node says what became of a payment. */
const finalDepth = 6;

interface Outcome {
  readonly ending: Ending;
  readonly fates: ReadonlyMap<LineHtlc, HtlcFate>;
  readonly audit: ChainAudit;
}

/** Holds what the nodes say against what the chain has; what is wrong, in words. */
export function checkNodes(scene: Scene, outcome: Outcome): string[] {
  const { world, payments } = scene;
  return [
    ...payments.flatMap((payment) => checkPayment(scene, outcome, payment)),
    ...world.nodes.flatMap((node) => checkNode(node, outcome, knows(scene, outcome, node))),
    ...checkOpenLine(scene),
  ];
}

/** A node that cheats or that has lost its data does not know its payments; the rest do. */
function knows(scene: Scene, { ending }: Outcome, node: SettlementNode): boolean {
  const { situation, line } = scene;
  if (situation.close.startsWith('revoked') && node === line.peer) return false;
  return !(situation.close === 'data_loss' && ending.blind === 'us' && node === line.us);
}

/** What may be said of a payment: it has succeeded when the payee's side got it by its preimage. */
function outcomesOf(scene: Scene, { ending, fates }: Outcome, payment: PaymentFact): readonly string[] {
  const { situation } = scene;
  if (!payment.released) return ['failed'];
  // Settled while the channel could.
  if (ending.holder === 'both' || situation.close.startsWith('revoked')) return ['succeeded'];
  const own = [...fates].filter(([htlc]) => htlc.payment === payment);
  if (own.every(([, fate]) => fate === 'receiver')) {
    // That it had come back for good was told when that was as deep as what is taken for final.
    const toldBefore = situation.resolution === 'late_offerer' && reorgDepth(situation) >= finalDepth;
    return toldBefore ? ['succeeded', 'failed'] : ['succeeded'];
  }
  // The receiver was too late, but the preimage was seen: in the mempool, or in a block that was undone.
  return isRace(situation) ? ['succeeded', 'failed'] : ['failed'];
}

function checkPayment(scene: Scene, outcome: Outcome, payment: PaymentFact): string[] {
  const problems: string[] = [];
  const { payer, payee, paymentHash, raw, feeMsat, released } = payment;
  if (!raw && knows(scene, outcome, payer)) {
    const listed = payer.node.storage.getOutgoingPayment(paymentHash);
    const wanted = outcomesOf(scene, outcome, payment);
    if (listed === undefined || !wanted.includes(listed.status)) {
      const status = listed?.status ?? 'unknown';
      problems.push(`to ${payer.name} a payment is ${status} that has ${wanted.join(' or ')}`);
    } else if (listed.status === 'succeeded' && listed.feeMsat !== feeMsat) {
      problems.push(`to ${payer.name} its fee is ${listed.feeMsat}, not ${feeMsat}`);
    }
  }
  if (knows(scene, outcome, payee)) {
    const listed = payee.node.storage.getIncomingPayment(paymentHash);
    // It is noted when the preimage is given out: from then on the payer may have it.
    if ((listed !== undefined) !== released) {
      problems.push(`${payee.name} has ${listed === undefined ? 'not ' : ''}noted a payment as received`);
    }
    const state = payee.node.storage.getInvoice(paymentHash)?.state;
    if (released ? state !== 'settled' : state === 'settled' || state === 'held') {
      problems.push(`to ${payee.name} the invoice is ${state}`);
    }
  }
  return problems;
}

function checkNode(node: SettlementNode, { audit }: Outcome, knowsItsPayments: boolean): string[] {
  const problems: string[] = [];
  const say = (what: string) => problems.push(`${node.name}: ${what}`);
  const { storage, wallet, channels } = node.node;
  const found = storage.integrityCheck();
  if (found.length > 0) say(`its database is damaged: ${found.join(', ')}`);
  if (knowsItsPayments) {
    const pending = storage.loadSendings().length;
    if (pending > 0) say(`${pending} payments are under way`);
    const forwards = storage.loadForwards().length;
    if (forwards > 0) say(`${forwards} forwards are pending`);
    const listed = storage.listPayments({ status: 'pending' }).payments.length;
    if (listed > 0) say(`${listed} payments are pending in the list`);
  }
  const { confirmedSat, immatureSat, unconfirmedSat, reservedSat } = wallet.balance();
  const counted = confirmedSat + immatureSat;
  const there = audit.walletSat(node);
  if (counted !== there) say(`its wallet counts ${counted} sat of the ${there} that it has`);
  if (unconfirmedSat !== 0n) say(`${unconfirmedSat} sat are unconfirmed`);
  if (reservedSat !== 0n) say(`${reservedSat} sat are reserved`);
  for (const { phase } of channels) {
    if (phase.name !== 'closed' && phase.name !== 'open') say(`a channel is ${phase.name}`);
  }
  const fault = node.logLines.find((line) => line.includes('internal fault'));
  if (fault !== undefined) say(`it reports a fault of its own: ${fault}`);
  return problems;
}

/** The channel that stays open has what the payments leave it. */
function checkOpenLine({ openLine, payments }: Scene): string[] {
  if (openLine === undefined) return [];
  const balance = { ...openLine.balanceMsat };
  for (const { from, amountMsat, payment } of openLine.htlcs) {
    if (!payments.includes(payment) || !payment.released) continue;
    balance[from] -= amountMsat;
    balance[from === 'us' ? 'peer' : 'us'] += amountMsat;
  }
  const problems: string[] = [];
  for (const side of ['us', 'peer'] as const) {
    const { localMsat, phase } = channelOf(openLine, side);
    const name = openLine[side].name;
    if (localMsat !== balance[side])
      problems.push(`${name} has ${localMsat}, not ${balance[side]}, in the open channel`);
    if (phase.name !== 'open') problems.push(`the open channel of ${name} is ${phase.name}`);
  }
  return problems;
}
