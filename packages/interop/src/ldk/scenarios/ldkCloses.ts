import { bytesToHex } from '@rivulet/core/bytes';
import { decodeTransaction } from '@rivulet/core/tx';
import type { LdkPeer } from '../ldkPeer.js';
import {
  type ChannelPair,
  check,
  mineAndSync,
  openPair,
  type Scenario,
  type ScenarioContext,
} from './scenario.js';

/** Mines block by block, so that each node can answer each block, until `done`. */
async function mineUntil(
  { chain }: ScenarioContext,
  { peers, what, done }: { peers: readonly LdkPeer[]; what: string; done: () => boolean },
): Promise<void> {
  for (let blocks = 0; !done(); blocks++) {
    check(blocks < 400, `${what} within 400 blocks`);
    await mineAndSync(chain, 1, ...peers);
  }
}

function spendableSat(peer: LdkPeer): bigint {
  return peer.log
    .eventsOf('spendableOutputs')
    .flatMap((event) => event.valuesSat)
    .reduce((sum, value) => sum + value, 0n);
}

/** Sweeps what a node can spend, and says how much arrives at a script of nobody. */
async function sweep({ chain }: ScenarioContext, peer: LdkPeer): Promise<bigint> {
  const script = Uint8Array.of(0, 20, ...new Uint8Array(20).fill(9));
  const raw = await peer.sweep(script);
  check(raw !== undefined, 'something to sweep');
  check([...chain.regtest.mempool.entries()].length > 0, 'the sweep in the mempool');
  await mineAndSync(chain, 1, peer);
  return decodeTransaction(raw!).outputs.reduce((sum, output) => sum + output.valueSat, 0n);
}

export const cooperativeClose: Scenario = {
  name: 'cooperative close, and both sides sweep their share',
  async run(context) {
    const { alice, bob, channel } = await openPair(context);
    await bob.sendKeysend({ pubkey: alice.pubkey, amountMsat: 50_000_000n });
    await alice.closeChannel({ channelId: channel.channelId, pubkey: bob.pubkey });
    for (const peer of [alice, bob]) await peer.log.waitForEvent('channelClosed', () => true);
    await mineUntil(context, {
      peers: [alice, bob],
      what: 'closing outputs spendable',
      done: () => spendableSat(alice) > 0n && spendableSat(bob) > 0n,
    });
    check(spendableSat(bob) === 250_000n, `bob has 250,000 sat, not ${spendableSat(bob)}`);
    check((await sweep(context, alice)) > 748_000n, 'alice swept 750,000 sat less fees');
    check((await sweep(context, bob)) > 249_000n, 'bob swept 250,000 sat less fees');
  },
};

async function pairWithHeldPayments(context: ScenarioContext): Promise<ChannelPair> {
  const pair = await openPair(context, { receivePolicy: 'hold' });
  await pair.alice.startKeysend({ pubkey: pair.bob.pubkey, amountMsat: 100_000_000n });
  // LDK 0.1.2 claims HTLCs of one expiry together, and never again without the one that the peer has claimed
  // before. It adds multiples of 40 blocks to an expiry, so these two are never the same.
  await pair.alice.startKeysend({ pubkey: pair.bob.pubkey, amountMsat: 40_000_000n, finalCltvDelta: 60 });
  await pair.bob.log.waitFor(() => pair.bob.log.eventsOf('paymentClaimable').length === 2, {
    what: 'two payments held',
  });
  return pair;
}

export const forceCloseBySender: Scenario = {
  name: 'the sender force closes with HTLCs pending: one is claimed on chain, the other times out',
  async run(context) {
    const { alice, bob, channel } = await pairWithHeldPayments(context);
    // Above the commitment's own feerate: with anchors, a child has to pay for the rest.
    await alice.setFeerate(1000);
    await alice.forceClose({ channelId: channel.channelId, pubkey: bob.pubkey });
    if (context.channelType === 'anchors') {
      await alice.log.waitForEvent('bumpTransaction', ({ kind }) => kind === 'commitment');
      await alice.log.waitForEvent('broadcast', ({ txids }) => txids.length === 2);
    }
    await bob.log.waitForEvent('channelClosed', () => true);
    const keep = bob.log.eventsOf('paymentClaimable').find((event) => event.amountMsat === 100_000_000n)!;
    await bob.claimPayment(keep.preimage!);
    await mineUntil(context, {
      peers: [alice, bob],
      what: 'all outputs resolved',
      done: () =>
        spendableSat(alice) > 700_000n - 140_000n + 40_000n - 10_000n && spendableSat(bob) >= 395_000n,
    });
    const sent = alice.log.eventsOf('paymentSent');
    check(
      sent.length === 1 && bytesToHex(sent[0]!.paymentHash) === bytesToHex(keep.paymentHash),
      'one payment sent',
    );
    check(alice.log.eventsOf('paymentFailed').length === 1, 'the other payment failed');
    check((await sweep(context, alice)) > 585_000n, 'alice swept her balance and the timed out HTLC');
    check((await sweep(context, bob)) > 390_000n, 'bob swept his balance and the claimed HTLC');
  },
};

export const forceCloseByReceiver: Scenario = {
  name: 'the receiver force closes with HTLCs pending: one is claimed on chain, the other times out',
  async run(context) {
    const { alice, bob, channel } = await pairWithHeldPayments(context);
    const keep = bob.log.eventsOf('paymentClaimable').find((event) => event.amountMsat === 100_000_000n)!;
    await bob.disconnect(alice.pubkey);
    await bob.claimPayment(keep.preimage!);
    await bob.forceClose({ channelId: channel.channelId, pubkey: alice.pubkey });
    await mineUntil(context, {
      peers: [alice, bob],
      what: 'all outputs resolved',
      done: () =>
        spendableSat(alice) > 700_000n - 140_000n + 40_000n - 10_000n && spendableSat(bob) >= 390_000n,
    });
    check(alice.log.eventsOf('paymentSent').length === 1, 'one payment sent');
    check(alice.log.eventsOf('paymentFailed').length === 1, 'the other payment failed');
    check((await sweep(context, alice)) > 585_000n, 'alice swept her balance and the timed out HTLC');
    check((await sweep(context, bob)) > 385_000n, 'bob swept his balance and the claimed HTLC');
  },
};

export const reorganisation: Scenario = {
  name: 'blocks above the funding transaction are replaced by a longer chain, and the channel goes on',
  async run(context) {
    const { chain } = context;
    const { alice, bob, channel } = await openPair(context);
    await mineAndSync(chain, 2, alice, bob);
    chain.reorganise(1);
    for (const peer of [alice, bob]) await peer.sync();
    await alice.sendKeysend({ pubkey: bob.pubkey, amountMsat: 1_000_000n });
    check((await alice.channels())[0]?.isUsable === true, 'channel usable');
    check(alice.log.eventsOf('channelClosed').length === 0, `${bytesToHex(channel.channelId)} still open`);
  },
};
