import { bytesToHex } from '@rivulet/core/bytes';
import type { InteropCase } from '../interopCase.js';
import { type Opener, Pair } from '../pair.js';
import { expectSame } from '../waitUntil.js';
import { confirmedSat, expectState } from './closings.js';
import { expectShares, forceClose } from './forceCloses.js';
import { allPayments, ldkOutcomes, startFromRivulet } from './outcomes.js';

/** Two payments of Rivulet that LDK holds, one to be claimed, and the two apart. */
async function heldByLdk(pair: Pair): Promise<{ preimage: Uint8Array; paymentHash: string }> {
  const { rig, ldk } = pair;
  await startFromRivulet(pair, 100_000_000n);
  // LDK 0.1.2 claims HTLCs of one expiry together, and never again without the one that its peer took back.
  await rig.mine(1);
  await startFromRivulet(pair, 40_000_000n);
  const claimable = await rig.until('two payments held', () => {
    const events = ldk.log.eventsOf('paymentClaimable');
    return events.length === 2 && events;
  });
  await pair.part();
  const claim = claimable.find(({ amountMsat }) => amountMsat === 100_000_000n)!;
  return { preimage: claim.preimage!, paymentHash: bytesToHex(claim.paymentHash) };
}

async function expectOutcomes(pair: Pair, claimedHash: string): Promise<void> {
  await pair.rig.until('both payments of Rivulet ended', async () =>
    (await allPayments(pair, 'outgoing')).every(({ status }) => status !== 'pending'),
  );
  for (const payment of await allPayments(pair, 'outgoing')) {
    const claimed = payment.paymentHash === claimedHash;
    expectSame(payment.status, claimed ? 'succeeded' : 'failed', `the payment of ${payment.amountMsat} msat`);
    if (!claimed) expectSame(payment.failure?.code, 'timed_out_on_chain', 'its failure');
  }
}

const offered = (closer: Opener): InteropCase => ({
  name: `${closer} closes by force while LDK holds payments of ours: one is claimed on chain, one times out`,
  async run(rig) {
    const peers = { rivulet: await rig.startRivulet(), ldk: await rig.startLdk({ receivePolicy: 'hold' }) };
    const pair = await Pair.open(rig, peers, { opener: 'rivulet' });
    const beforeSat = await confirmedSat(pair.rivulet);
    const { preimage, paymentHash } = await heldByLdk(pair);
    await forceClose(pair, closer);
    await rig.mine(1);
    await pair.ldk.claimPayment(preimage);
    await expectShares(pair, { beforeSat, rivuletSat: 500_000n, ldkSat: 500_000n });
    await expectOutcomes(pair, paymentHash);
  },
});

/** A payment of LDK that Rivulet has taken, and LDK does not know: the connection is gone. */
async function unheardOf(pair: Pair, cut: () => void): Promise<void> {
  cut();
  await pair.ldk.startKeysend({ pubkey: pair.rivulet.pubkey, amountMsat: 100_000_000n });
  await pair.untilApart();
  expectSame((await allPayments(pair, 'incoming')).length, 1, 'payments taken');
  expectSame(pair.ldk.log.eventsOf('paymentSent').length, 0, 'payments that LDK knows to be taken');
}

const received = (closer: Opener): InteropCase => ({
  name: `${closer} closes by force before LDK hears that we took its payment: we claim it on chain`,
  async run(rig) {
    const rivulet = await rig.startRivulet();
    const pair = await Pair.open(rig, { rivulet, ldk: await rig.startLdk() }, { opener: 'rivulet' });
    const beforeSat = await confirmedSat(rivulet);
    await unheardOf(pair, () => rivulet.cut('before', 'update_fulfill_htlc'));
    await forceClose(pair, closer);
    await expectShares(pair, { beforeSat, rivuletSat: 700_000n, ldkSat: 300_000n });
    await pair.ldk.log.waitForEvent('paymentSent', () => true);
  },
});

const receivedDeadline: InteropCase = {
  name: 'LDK stays away after we took its payment: we close in time by ourselves and claim it',
  async run(rig) {
    const rivulet = await rig.startRivulet();
    const pair = await Pair.open(rig, { rivulet, ldk: await rig.startLdk() }, { opener: 'ldk' });
    const beforeSat = await confirmedSat(rivulet);
    await unheardOf(pair, () => rivulet.cut('before', 'update_fulfill_htlc'));
    await rig.mineUntil('the channel closed by Rivulet', async () => {
      const { state } = await pair.rivuletChannel();
      return state === 'failed' || state === 'spent';
    });
    await expectState(pair, 'failed');
    await expectShares(pair, { beforeSat, rivuletSat: 500_000n, ldkSat: 500_000n });
    await pair.ldk.log.waitForEvent('paymentSent', () => true);
  },
};

const offeredDeadline: InteropCase = {
  name: 'LDK stays away with a payment of ours: after its expiry we close by ourselves and take it back',
  async run(rig) {
    const peers = { rivulet: await rig.startRivulet(), ldk: await rig.startLdk({ receivePolicy: 'hold' }) };
    const pair = await Pair.open(rig, peers, { opener: 'rivulet' });
    const beforeSat = await confirmedSat(pair.rivulet);
    await startFromRivulet(pair, 40_000_000n);
    await pair.ldk.log.waitForEvent('paymentClaimable', () => true);
    await pair.part();
    await expectShares(pair, { beforeSat, rivuletSat: 600_000n, ldkSat: 400_000n });
    await expectOutcomes(pair, '');
  },
};

const inTheMiddle = (closer: Opener): InteropCase => ({
  name: `${closer} closes by force in the middle of 10 payments each way: each is paid or comes back, on both sides`,
  async run(rig) {
    const peers = { rivulet: await rig.startRivulet(), ldk: await rig.startLdk() };
    const pair = await Pair.open(rig, peers, { opener: 'rivulet' });
    const { rivulet, ldk } = pair;
    const beforeSat = await confirmedSat(rivulet);
    for (let i = 0; i < 10; i++) {
      await startFromRivulet(pair, 20_000_000n);
      // LDK adds multiples of 40 blocks: no two expire together, see above.
      const finalCltvDelta = 42 + i;
      await ldk.startKeysend({ pubkey: rivulet.pubkey, amountMsat: 25_000_000n, finalCltvDelta });
    }
    await rig.until('some payments settled', async () => (await allPayments(pair, 'incoming')).length >= 3);
    await forceClose(pair, closer);
    await rig.mineUntil('every payment ended', async () => {
      const outgoing = await allPayments(pair, 'outgoing');
      const { sent, failed } = ldkOutcomes(pair);
      return outgoing.every(({ status }) => status !== 'pending') && sent.length + failed.length === 10;
    });
    const paid = (await allPayments(pair, 'outgoing')).filter(({ status }) => status === 'succeeded');
    const incoming = await allPayments(pair, 'incoming');
    expectSame(incoming.length, ldkOutcomes(pair).sent.length, 'payments that Rivulet received and LDK sent');
    const claimed = new Set(ldk.log.eventsOf('paymentClaimed').map((event) => bytesToHex(event.paymentHash)));
    expectSame(paid.length, claimed.size, 'payments that Rivulet sent and LDK claimed');
    const rivuletSat = 600_000n - 20_000n * BigInt(paid.length) + 25_000n * BigInt(incoming.length);
    await expectShares(pair, { beforeSat, rivuletSat, ldkSat: 1_000_000n - rivuletSat, costsSat: 12_000n });
  },
});

export const pendingCloseCases: readonly InteropCase[] = [
  offered('rivulet'),
  offered('ldk'),
  received('rivulet'),
  received('ldk'),
  receivedDeadline,
  offeredDeadline,
  inTheMiddle('rivulet'),
  inTheMiddle('ldk'),
];
