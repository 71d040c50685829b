import { bytesToHex } from '@rivulet/core/bytes';
import type { InteropCase } from '../interopCase.js';
import { type Opener, Pair } from '../pair.js';
import { expectSame, expectThat } from '../waitUntil.js';
import {
  confirmedSat,
  feeSat,
  ldkClosedBecause,
  ldkSpendableSat,
  sweepLdk,
  untilFundingSpent,
} from './closings.js';
import { allPayments, ldkOutcomes, startFromRivulet } from './outcomes.js';

async function begin(pair: Pair, closer: Opener): Promise<void> {
  if (closer === 'rivulet') {
    await pair.rivulet.api.closeChannel({ channelId: pair.channelId });
    return;
  }
  // LDK begins no close while an HTLC of its own waits for its commitment.
  await pair.rig.until('LDK begins the close', () =>
    pair.ldk.closeChannel(pair.ref).then(
      () => true,
      (error: Error) => {
        if (!error.message.includes('with pending HTLCs')) throw error;
        return undefined;
      },
    ),
  );
}

/** The closing transaction confirms, and both have what is theirs, to the satoshi. */
export async function expectClosed(
  pair: Pair,
  { opener, beforeSat }: { opener: Opener; beforeSat: bigint },
): Promise<void> {
  const { rig, rivulet, ldk } = pair;
  const tx = await untilFundingSpent(pair);
  // LDK may have our last closing_signed to read when we have published already.
  const reason = await ldkClosedBecause(pair);
  expectThat(reason.includes('CooperativeClosure'), `LDK calls it cooperative, not ${reason}`);
  const { capacitySat, localMsat, remoteMsat } = await pair.rivuletChannel();
  await rig.mine(1);
  await rig.mineUntil('the closing transaction buried', () => ldkSpendableSat(ldk) > 0n);
  const paidSat = feeSat(tx, capacitySat);
  expectThat(paidSat > 100n && paidSat < 1_000n, `a fee for 253 sat/kW, not ${paidSat} sat`);
  const gainSat = (await confirmedSat(rivulet)) - beforeSat;
  const theirsSat = ldkSpendableSat(ldk);
  if (opener === 'rivulet') expectSame(theirsSat, remoteMsat / 1000n, "LDK's share in sat");
  else expectSame(gainSat, localMsat / 1000n, "Rivulet's share in sat");
  expectSame(gainSat + theirsSat + paidSat, capacitySat, 'shares and fee together');
  await sweepLdk(pair);
  await rig.mineUntil("Rivulet's channel closed", async () => {
    const channel = await pair.findRivuletChannel();
    return channel === undefined || channel.state === 'closed';
  });
}

const close = (opener: Opener, closer: Opener): InteropCase => ({
  name: `${opener} opens, ${closer} closes together with the other; both have their money, to the sat`,
  async run(rig) {
    const peers = { rivulet: await rig.startRivulet(), ldk: await rig.startLdk() };
    const pair = await Pair.open(rig, peers, { opener });
    await pair.rivulet.api.keysend({ nodeId: bytesToHex(pair.ldk.pubkey), amountMsat: 12_345_678n });
    await pair.untilQuiet();
    const beforeSat = await confirmedSat(pair.rivulet);
    await begin(pair, closer);
    await expectClosed(pair, { opener, beforeSat });
  },
});

const upfront = (opener: Opener): InteropCase => ({
  name: `${opener} opens, and LDK commits to its closing script upfront: the close pays it`,
  async run(rig) {
    const peers = { rivulet: await rig.startRivulet(), ldk: await rig.startLdk({ upfrontShutdown: true }) };
    const pair = await Pair.open(rig, peers, { opener });
    const { params } = peers.rivulet.channels[0]!;
    const committed = params.remote.upfrontShutdownScript;
    expectThat((committed?.length ?? 0) > 0, "LDK's script known from the opening");
    const beforeSat = await confirmedSat(pair.rivulet);
    await begin(pair, 'rivulet');
    const tx = await untilFundingSpent(pair);
    expectThat(
      tx.outputs.some(({ script }) => bytesToHex(script) === bytesToHex(committed!)),
      'an output to it',
    );
    await expectClosed(pair, { opener, beforeSat });
  },
});

const inTheMiddle = (closer: Opener): InteropCase => ({
  name: `${closer} begins a close in the middle of 20 payments both ways; all end, then it closes`,
  async run(rig) {
    const peers = { rivulet: await rig.startRivulet(), ldk: await rig.startLdk() };
    const pair = await Pair.open(rig, peers, { opener: 'ldk' });
    const beforeSat = await confirmedSat(pair.rivulet);
    const ldkPayments: Uint8Array[] = [];
    for (let i = 0; i < 20; i++) {
      await startFromRivulet(pair, 2_000_000n);
      ldkPayments.push(await pair.ldk.startKeysend({ pubkey: pair.rivulet.pubkey, amountMsat: 1_000_000n }));
    }
    await begin(pair, closer);
    await expectClosed(pair, { opener: 'ldk', beforeSat });
    const outgoing = await allPayments(pair, 'outgoing');
    expectThat(
      outgoing.every(({ status }) => status !== 'pending'),
      'every payment of Rivulet ended',
    );
    const { sent, failed } = ldkOutcomes(pair);
    expectSame(sent.length + failed.length, ldkPayments.length, "LDK's payments that ended");
    const incoming = await allPayments(pair, 'incoming');
    expectSame(incoming.length, sent.length, 'payments that Rivulet received and LDK sent');
  },
});

const withPayments = (closer: Opener): InteropCase => ({
  name: `${closer} begins a close while LDK holds payments; after a disconnection they settle, then it closes`,
  async run(rig) {
    const peers = { rivulet: await rig.startRivulet(), ldk: await rig.startLdk({ receivePolicy: 'hold' }) };
    const pair = await Pair.open(rig, peers, { opener: 'rivulet' });
    for (const amountMsat of [5_000_000n, 6_000_000n]) await startFromRivulet(pair, amountMsat);
    const claimable = await rig.until('two payments held', () => {
      const events = pair.ldk.log.eventsOf('paymentClaimable');
      return events.length === 2 && events;
    });
    const beforeSat = await confirmedSat(pair.rivulet);
    await begin(pair, closer);
    await rig.until('both shutting down', async () => {
      const [ours, theirs] = [await pair.rivuletChannel(), await pair.ldkChannel()];
      return !ours.usable && theirs.isShuttingDown;
    });
    const nodeId = bytesToHex(pair.ldk.pubkey);
    const refused = await pair.rivulet.api.keysend({ nodeId, amountMsat: 1_000n }).then(
      () => 'success',
      (error: Error) => error.message,
    );
    expectThat(refused !== 'success', 'no new payment while closing');
    await pair.part();
    await pair.dial();
    await rig.until('back online', async () => (await pair.rivuletChannel()).link === 'online');
    await pair.ldk.claimPayment(claimable[0]!.preimage!);
    await pair.ldk.failPayment(claimable[1]!.paymentHash);
    await rig.until('payments settled', async () => {
      const { payments } = await pair.rivulet.api.payments({ direction: 'outgoing' });
      return payments.every(({ status }) => status !== 'pending');
    });
    await expectClosed(pair, { opener: 'rivulet', beforeSat });
  },
});

export const cooperativeCloseCases: readonly InteropCase[] = [
  close('rivulet', 'rivulet'),
  close('rivulet', 'ldk'),
  close('ldk', 'rivulet'),
  close('ldk', 'ldk'),
  withPayments('rivulet'),
  withPayments('ldk'),
  inTheMiddle('rivulet'),
  inTheMiddle('ldk'),
  upfront('rivulet'),
  upfront('ldk'),
];
