import { decodeInvoice } from '@rivulet/core/invoice';
import { examineSpend } from '@rivulet/core/monitor';
import { buildHtlcPackage, buildSweep, type Transaction, txidToHex } from '@rivulet/core/tx';
import { afterEach, describe, expect, test } from 'vitest';
import { deriveNodeSecrets } from '../wallet/index.js';
import { Pair, until } from './pair.test.support.js';
import { Signers } from './signers.js';
import { pause, Trio } from './trio.test.support.js';

let trio: Trio | undefined;
let pair: Pair | undefined;
afterEach(async () => {
  await trio?.stop();
  await pair?.stop();
  trio = undefined;
  pair = undefined;
});

const amountMsat = 50_000_000n;
const lakeSeed = new Uint8Array(64).fill(13);

/** Lake's claim with its preimage, at a fee that no honest one would pay. */
function claimOfLake(made: Trio): Transaction {
  const { lake } = made;
  const closed = made.channel('lake', 'brook');
  if (closed.phase.name !== 'spent') throw new Error('the channel is not closed');
  const signer = new Signers(deriveNodeSecrets(lakeSeed, 'regtest').channelSeed).of(
    closed.params.channelKeyId,
  );
  const [htlc] = closed.htlcs.direction('received');
  const preimage = lake.store.memory.getInvoice(htlc!.paymentHash)!.preimage!;
  const htlcs = closed.htlcs.with({ ...htlc!, settlement: { type: 'fulfill', preimage } });
  const { claims } = examineSpend({
    channel: { ...closed, htlcs },
    by: closed.phase.by,
    signer,
    archived: [],
  });
  const claim = claims.find(({ purpose }) => purpose === 'htlc_success');
  const feeInputs = lake.node.wallet.feeInputs().slice(0, 1);
  const script = lake.node.wallet.newAddress().script;
  const feeratePerKw = 100_000;
  if (claim?.how === 'input') {
    return buildSweep({ inputs: [claim.input, ...feeInputs], script, feeratePerKw })!.tx;
  }
  if (claim?.how !== 'package') throw new Error('there is nothing to claim');
  return buildHtlcPackage({ items: [claim.item], feeInputs, changeScript: script, feeratePerKw })!.tx;
}

describe.each(['lake', 'brook'] as const)(
  'threat 7: the channel on which a payment went on is closed by %s',
  (by) => {
    test('and the preimage shows in the mempool alone: the payer’s HTLC is fulfilled with it at once', async () => {
      trio = await Trio.withChannels();
      const made = trio;
      const { spring, brook, lake, chain } = made;
      const { bolt11, paymentHash } = await lake.node.payments.invoices.create({
        amountMsat,
        description: 'held',
        hold: true,
      });
      const sent = spring.node.payments.outgoing.payInvoice({ invoice: decodeInvoice(bolt11) });
      await until(() => lake.node.storage.getInvoice(paymentHash)?.state === 'held', 'it is held');
      const other = by === 'lake' ? 'brook' : 'lake';
      const closing = made.channel(by, other);
      await made[by].node.closeChannel({ key: made.key(by, other), force: true });
      await until(() => made.isSpent(closing), 'the commitment is published');
      await made.mine(1);
      await until(() => made.channel('lake', 'brook').phase.name === 'spent', 'lake sees it');
      await until(() => made.channel('brook', 'lake').phase.name === 'spent', 'brook sees it');

      // Until the HTLC has expired lake does nothing; then brook takes it back, and no block has that.
      const [htlc] = made.channel('brook', 'lake').htlcs.direction('offered');
      await lake.node.peers.close();
      const claim = claimOfLake(made);
      await made.stopNode('lake');
      const caughtUp = async () => {
        const nodes = [spring.node, brook.node];
        await until(
          () => nodes.every((node) => node.blockHeight === chain.tip.height),
          'the blocks are seen',
        );
        await pause();
      };
      chain.mine({ blocks: htlc!.cltvExpiry - chain.tip.height, transactions: 'none' });
      await caughtUp();
      const expired = () => chain.mempool.entries().some(({ tx }) => tx.lockTime === htlc!.cltvExpiry);
      await until(expired, 'brook takes it back');
      chain.broadcast(claim);
      expect(expired()).toBe(false);
      chain.mine({ blocks: 1, transactions: 'none' });
      await caughtUp();
      expect((await sent.outcome).status).toBe('succeeded');
      await until(() => made.channel('brook', 'spring').htlcs.size === 0, 'the incoming HTLC is over');
      expect(chain.mempool.entries().length).toBeGreaterThan(0);
      expect(brook.node.storage.loadForwards()).toEqual([]);

      // Lake withdraws its claim: brook takes the HTLC back after all, and nothing is taken back of the payment.
      chain.mempool.clear();
      for (let i = 0; i < 12; i++) {
        chain.mine({ blocks: 1 });
        await caughtUp();
      }
      expect(made.forwarded).toMatchObject({ settledCount: 1, failedCount: 0 });
      await made.startAgain('lake');
    });
  },
);

describe('the commitment of a channel that failed', () => {
  test('is paid for by a child when the chain asks for more, also after a restart', async () => {
    pair = await Pair.withChannel();
    const { chain } = pair;
    const keyOf = () => [...pair!.alice.node.turns.channels.keys()][0]!;
    await pair.bob.node.peers.close();
    await until(() => pair!.alice.node.peers.peers.length === 0, 'nobody is connected');
    chain.feeratePerKw = 10_000;
    await pair.alice.node.closeChannel({ key: keyOf(), force: true });
    await until(() => pair!.closing, 'the commitment is published');
    const family = () => {
      const parent = chain.mempool.entries().find(({ children }) => children.size > 0);
      return parent && { parent, child: chain.mempool.get([...parent.children][0]!)! };
    };
    chain.mine({ blocks: 1, transactions: 'none' });
    await pair.caughtUp();
    await until(() => family() !== undefined, 'a child pays for it');
    const { parent, child } = family()!;
    const feerate = Number(((parent.feeSat + child.feeSat) * 250n) / BigInt(parent.vsize + child.vsize));
    // Sizes are rounded up to whole virtual bytes, twice.
    expect(feerate).toBeGreaterThanOrEqual(9_950);
    const fees = pair.alice.node.storage.loadClaimFees();
    expect(fees.map(({ txid, feeratePerKw }) => [txidToHex(txid), feeratePerKw])).toEqual([
      [parent.txidHex, 10_000],
    ]);

    chain.feeratePerKw = 300;
    chain.mempool.clear();
    await pair.restart('alice');
    await until(() => family() !== undefined, 'a child pays for it again');
    expect(family()!.child.feeSat).toBeGreaterThanOrEqual(child.feeSat);
    await pair.mine(1);
    await until(() => pair!.alice.node.channels[0]?.phase.name === 'spent', 'it is confirmed');
    expect(
      pair.alice.node.storage.loadClosingSpends(pair.alice.node.channels[0]!.params.channelId),
    ).toHaveLength(1);
  });
});

describe('channels of a peer that never funds them', () => {
  test('bind no coin of ours when they fail, however many there are', async () => {
    pair = await Pair.start();
    const { alice, bob, chain } = pair;
    for (let i = 0; i < 3; i++) {
      chain.mine({ blocks: 1, script: bob.node.wallet.newAddress({ type: 'p2wpkh' }).script });
    }
    await pair.mine(101);
    const coins = bob.node.wallet.spendableCoins().length;
    expect(coins).toBeGreaterThanOrEqual(3);
    const { neededSat } = bob.node.reserveStatus;
    const broadcast = alice.backend.broadcast.bind(alice.backend);
    alice.backend.broadcast = async () => ({ accepted: false, code: 'insufficient_fee', message: 'a test' });
    const peer = await pair.connect();
    for (let i = 0; i < 2; i++) {
      await alice.node.openChannel({ peer, capacitySat: 1_000_000n, pushMsat: 300_000_000n });
    }
    chain.feeratePerKw = 10_000;
    for (const { params } of bob.node.channels) {
      alice.node.peers.send(bob.node.nodeId, [
        { type: 'error', channelId: params.channelId, data: new Uint8Array(0) },
      ]);
    }
    const failed = () => bob.node.channels.filter(({ phase }) => phase.name === 'failed').length;
    await until(() => failed() === 2, 'they have failed');
    for (let i = 0; i < 3; i++) {
      await pair.mine(1);
      await pause();
      expect(bob.node.wallet.spendableCoins()).toHaveLength(coins);
    }
    expect(bob.node.reserveStatus.neededSat).toBe(neededSat);
    alice.backend.broadcast = broadcast;
  });
});
