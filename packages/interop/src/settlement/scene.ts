import { bytesToHex, hexToBytes } from '@rivulet/core/bytes';
import { sha256 } from '@rivulet/core/crypto';
import { decodeInvoice } from '@rivulet/core/invoice';
import { createOnion, encodeHopPayload } from '@rivulet/core/onion';
import type { Transaction } from '@rivulet/core/tx';
import { channelOf, type Line, nodeOf, type PaymentFact, spendsFunding } from './line.js';
import { otherSide, type Side } from './oracle.js';
import type { SettlementNode } from './settlementNode.js';
import type { Situation } from './situation.js';
import { fundingSat, pushMsat, type World } from './world.js';

/** What is not a whole satoshi goes to the miners: it has to be looked at, too. */
const amountsMsat = {
  offered: 50_000_123n,
  received: 40_000_456n,
  twin: 30_000_000n,
  dustOffered: 300_100n,
  dustReceived: 310_200n,
  half: 20_000_789n,
  extra: 11_000_500n,
} as const;
const finalStates = new Set(['sent_add_ack_revocation', 'rcvd_add_ack_revocation']);

/** What brings a channel to the point at which a situation ends it, and what was agreed until then. */
export class Scene {
  readonly world: World;
  readonly situation: Situation;
  readonly us: SettlementNode;
  /** The channels that are closed. */
  readonly lines: readonly Line[];
  /** The middle's other channel, where that stays open. */
  readonly openLine: Line | undefined;
  readonly payments: PaymentFact[] = [];
  /** Our file from before the HTLCs, where our data is to be lost. */
  before: string | undefined;
  #count = 0;

  constructor(world: World, situation: Situation) {
    this.world = world;
    this.situation = situation;
    const middle = situation.path === 'middle';
    const [first, second, third] = world.nodes as [SettlementNode, SettlementNode, SettlementNode];
    this.us = middle ? second : first;
    if (!middle) {
      this.lines = [lineOf(first, second, 'us')];
      return;
    }
    const upstream = lineOf(second, first, 'peer');
    const downstream = lineOf(second, third, 'us');
    const { htlcs } = situation;
    this.lines = htlcs === 'both' ? [upstream, downstream] : [htlcs === 'offered' ? downstream : upstream];
    this.openLine = htlcs === 'both' ? undefined : htlcs === 'offered' ? upstream : downstream;
  }

  get line(): Line {
    return this.lines[0] as Line;
  }

  get #peer(): SettlementNode {
    return this.line.peer;
  }

  /** Makes the situation's HTLCs stand, irrevocably on both sides but for the half ones. */
  async stand(): Promise<void> {
    const { us, situation } = this;
    if (situation.close === 'data_loss') this.before = us.snapshot();
    if (situation.path === 'middle') {
      await this.#pass();
      return;
    }
    const peer = this.#peer;
    switch (situation.htlcs) {
      case 'none':
        return;
      case 'offered':
        await this.#pay(us, peer, amountsMsat.offered);
        return;
      case 'received':
        await this.#pay(peer, us, amountsMsat.received);
        return;
      case 'both':
        await this.#pay(us, peer, amountsMsat.offered);
        await this.#pay(peer, us, amountsMsat.received);
        return;
      case 'twins':
        await this.#payTwins('us');
        return;
      case 'twins_received':
        await this.#payTwins('peer');
        return;
      case 'dust':
        await this.#pay(us, peer, amountsMsat.dustOffered);
        await this.#pay(peer, us, amountsMsat.dustReceived);
        return;
      case 'half_offered':
        await this.#payHalf('us');
        return;
      case 'half_received':
        await this.#payHalf('peer');
        return;
      default:
        situation.htlcs satisfies never;
    }
  }

  async #invoice(payee: SettlementNode, amountMsat: bigint) {
    const preimage = sha256(Uint8Array.of(77, this.#count++));
    const paymentHash = sha256(preimage);
    const { bolt11 } = await payee.node.payments.invoices.create({
      amountMsat,
      description: 'held',
      hold: true,
      paymentHash,
    });
    return { preimage, paymentHash, invoice: decodeInvoice(bolt11) };
  }

  #begin(payer: SettlementNode, invoice: ReturnType<typeof decodeInvoice>): void {
    payer.node.payments.outgoing.payInvoice({ invoice }).outcome.catch(() => {});
  }

  #isHeld(payee: SettlementNode, paymentHash: Uint8Array): boolean {
    return payee.node.storage.getInvoice(paymentHash)?.state === 'held';
  }

  /** One payment between the two, held by its payee. */
  async #pay(payer: SettlementNode, payee: SettlementNode, amountMsat: bigint): Promise<void> {
    const { preimage, paymentHash, invoice } = await this.#invoice(payee, amountMsat);
    this.#begin(payer, invoice);
    await this.world.until(() => this.#isHeld(payee, paymentHash), 'the payment is held');
    await this.calm();
    const payment: PaymentFact = {
      payer,
      payee,
      amountMsat,
      feeMsat: 0n,
      paymentHash,
      preimage,
      raw: false,
      released: false,
    };
    this.payments.push(payment);
    this.#note(this.line, {
      payment,
      from: payer === this.us ? 'us' : 'peer',
      inCommitmentOf: ['us', 'peer'],
    });
  }

  /** Notes the HTLCs of a payment with the expiry that was agreed on. */
  #note(
    line: Line,
    { payment, from, inCommitmentOf }: { payment: PaymentFact; from: Side; inCommitmentOf: readonly Side[] },
  ): void {
    const direction = from === 'us' ? 'offered' : 'received';
    const source = direction === 'offered' ? 'us' : 'peer';
    for (const htlc of channelOf(line, source).htlcs.direction('offered')) {
      if (bytesToHex(htlc.paymentHash) !== bytesToHex(payment.paymentHash)) continue;
      const { amountMsat, cltvExpiry } = htlc;
      line.htlcs.push({ payment, from, amountMsat, expiry: cltvExpiry, inCommitmentOf });
    }
  }

  /** A payment through us, held by its payee. */
  async #pass(): Promise<void> {
    const [payer, , payee] = this.world.nodes as [SettlementNode, SettlementNode, SettlementNode];
    const amountMsat = amountsMsat.offered;
    const { preimage, paymentHash, invoice } = await this.#invoice(payee, amountMsat);
    this.#begin(payer, invoice);
    await this.world.until(() => this.#isHeld(payee, paymentHash), 'the payment is held');
    await this.calm();
    const [incoming] = [...channelOf(this.#upstream, 'us').htlcs.direction('received')];
    const feeMsat = (incoming?.amountMsat ?? 0n) - amountMsat;
    const payment = { payer, payee, amountMsat, feeMsat, paymentHash, preimage, raw: false, released: false };
    this.payments.push(payment);
    this.#note(this.#upstream, { payment, from: 'peer', inCommitmentOf: ['us', 'peer'] });
    this.#note(this.#downstream, { payment, from: 'us', inCommitmentOf: ['us', 'peer'] });
  }

  #lineWith(node: SettlementNode | undefined): Line {
    const all = this.openLine === undefined ? this.lines : [...this.lines, this.openLine];
    return all.find(({ peer }) => peer === node) as Line;
  }

  get #upstream(): Line {
    return this.#lineWith(this.world.nodes[0]);
  }

  get #downstream(): Line {
    return this.#lineWith(this.world.nodes[2]);
  }

  /** Two HTLCs that look the same, which the payee takes for the parts of one payment. */
  async #payTwins(from: Side): Promise<void> {
    const { line } = this;
    const payer = nodeOf(line, from);
    const payee = nodeOf(line, otherSide(from));
    const amountMsat = amountsMsat.twin;
    const totalMsat = 2n * amountMsat;
    const { preimage, paymentHash, invoice } = await this.#invoice(payee, totalMsat);
    const { paymentSecret } = invoice;
    if (paymentSecret === undefined) throw new Error('our invoices have a payment secret');
    const key = bytesToHex(line.channelId);
    const expiry = this.world.chain.height + 50;
    payer.node.turns.enqueue({
      channel: key,
      run: (turn) => {
        for (const [index, cltvExpiry] of [expiry, expiry + 5].entries()) {
          const payload = encodeHopPayload({
            amountToForwardMsat: amountMsat,
            outgoingCltvValue: cltvExpiry,
            paymentData: { paymentSecret, totalMsat },
            customRecords: new Map(),
          });
          const { packet } = createOnion({
            sessionKey: sha256(Uint8Array.of(index, 1)),
            associatedData: paymentHash,
            hops: [{ publicKey: hexToBytes(payee.node.nodeId), payload }],
          });
          turn.command(key, {
            type: 'addHtlc',
            requestId: `twin ${index}`,
            htlc: { amountMsat, paymentHash, cltvExpiry, onion: packet },
          });
        }
      },
    });
    await this.world.until(() => this.#isHeld(payee, paymentHash), 'both twins are held');
    await this.calm();
    const payment = {
      payer,
      payee,
      amountMsat: totalMsat,
      feeMsat: 0n,
      paymentHash,
      preimage,
      raw: true,
      released: false,
    };
    this.payments.push(payment);
    this.#note(line, { payment, from, inCommitmentOf: ['us', 'peer'] });
  }

  /** The link ends when the other side has the commitment with the HTLC, and before its answer comes. */
  async #payHalf(from: Side): Promise<void> {
    const { line, world } = this;
    const payer = nodeOf(line, from);
    const payee = nodeOf(line, otherSide(from));
    const amountMsat = amountsMsat.half;
    const { preimage, paymentHash, invoice } = await this.#invoice(payee, amountMsat);
    payer.cut('after', 'commitment_signed');
    this.#begin(payer, invoice);
    const received = () => [...channelOf(line, otherSide(from)).htlcs.direction('received')];
    await world.until(() => received().some(({ state }) => state !== 'rcvd_add'), 'half of it stands');
    await this.disconnected(line);
    const payment = {
      payer,
      payee,
      amountMsat,
      feeMsat: 0n,
      paymentHash,
      preimage,
      raw: false,
      released: false,
    };
    this.payments.push(payment);
    this.#note(line, { payment, from, inCommitmentOf: [otherSide(from)] });
  }

  /** We sign one more HTLC of ours, and the peer never hears of it. */
  async payIntoTheVoid(): Promise<void> {
    const { line, world, us } = this;
    const peer = this.#peer;
    const amountMsat = amountsMsat.half;
    const { preimage, paymentHash, invoice } = await this.#invoice(peer, amountMsat);
    us.cut('before', 'commitment_signed');
    this.#begin(us, invoice);
    await world.until(() => channelOf(line, 'us').remoteCommit.awaitingRevocation, 'we have signed');
    await this.disconnected(line);
    const payment = {
      payer: us,
      payee: peer,
      amountMsat,
      feeMsat: 0n,
      paymentHash,
      preimage,
      raw: false,
      released: false,
    };
    this.payments.push(payment);
    this.#note(line, { payment, from: 'us', inCommitmentOf: [] });
  }

  /** A payment of ours that is over: another commitment than before is the latest. */
  async payOnce(): Promise<void> {
    const { line, us } = this;
    const amountMsat = amountsMsat.extra;
    const { outcome } = us.node.payments.outgoing.keysend({
      destination: hexToBytes(this.#peer.node.nodeId),
      amountMsat,
      customRecords: new Map(),
    });
    await outcome;
    await this.calm();
    line.balanceMsat = {
      us: line.balanceMsat.us - amountMsat,
      peer: line.balanceMsat.peer + amountMsat,
    };
  }

  /** No message is awaited and none is left to be sent: on each channel all is irrevocable. */
  async calm(): Promise<void> {
    await this.world.until(
      () =>
        this.world.running.every(({ node }) =>
          node.channels.every(
            ({ htlcs, remoteCommit, unsignedChanges, link }) =>
              link !== 'online' ||
              (!remoteCommit.awaitingRevocation &&
                !unsignedChanges &&
                [...htlcs].every(({ state }) => finalStates.has(state))),
          ),
        ),
      'nothing is under way on the channels',
    );
  }

  /** Both sides know that there is no connection. */
  async disconnected(line: Line): Promise<void> {
    await this.world.until(
      () => channelOf(line, 'us').link === 'offline' && channelOf(line, 'peer').link === 'offline',
      'both know that the link is gone',
    );
  }

  async disconnect(line: Line): Promise<void> {
    line.us.node.peers.disconnect(line.peer.node.nodeId);
    await this.disconnected(line);
  }

  /** A payee gives out the preimage. */
  async release(payment: PaymentFact): Promise<void> {
    await payment.payee.node.payments.receiver.settleHeld(payment.paymentHash, payment.preimage);
    payment.released = true;
  }

  /** An HTLC was settled while the channel could: nobody has it any more. */
  noteSettled(line: Line): void {
    const balanceMsat = { ...line.balanceMsat };
    for (const { from, payment, amountMsat } of line.htlcs) {
      if (!payment.released) continue;
      balanceMsat[from] -= amountMsat;
      balanceMsat[otherSide(from)] += amountMsat;
    }
    line.balanceMsat = balanceMsat;
    line.htlcs = line.htlcs.filter(({ payment }) => !payment.released);
  }

  /** One side publishes its latest commitment. */
  async forceClose(line: Line, side: Side): Promise<void> {
    const { node } = nodeOf(line, side);
    await node.closeChannel({ key: bytesToHex(line.channelId), force: true });
    await this.commitmentOf(line, side);
  }

  /** The commitment that a side has tried to broadcast. */
  async commitmentOf(line: Line, side: Side): Promise<Transaction> {
    const { broadcasts } = nodeOf(line, side);
    const find = () => [...broadcasts.values()].find((tx) => spendsFunding(line, tx));
    await this.world.until(
      () => find() !== undefined,
      `the commitment of ${nodeOf(line, side).name} is sent`,
    );
    return find() as Transaction;
  }
}

function lineOf(us: SettlementNode, peer: SettlementNode, opener: Side): Line {
  const [channel] = us.channelsWith({ nodeId: peer.node.nodeId });
  if (channel === undefined) throw new Error(`${us.name} has no channel with ${peer.name}`);
  const { params, fee } = channel;
  return {
    us,
    peer,
    opener,
    channelId: params.channelId,
    outpoint: params.fundingOutpoint,
    feeratePerKw: fee.feeratePerKw,
    dustLimitSat: params.local.dustLimitSat,
    balanceMsat:
      opener === 'us'
        ? { us: fundingSat * 1000n - pushMsat, peer: pushMsat }
        : { us: pushMsat, peer: fundingSat * 1000n - pushMsat },
    htlcs: [],
  };
}
