import { bytesToHex, hexToBytes } from '@rivulet/core/bytes';
import type { InteropCase } from '../../interopCase.js';
import { type Network, openLine } from '../../network.js';
import type { StationChannel } from '../../station.js';
import { expectSame, expectThat } from '../../waitUntil.js';
import { confirmedSat, expectAbout, ldkSpendableSat } from '../closings.js';

const amountMsat = 100_000_000n;
const feeMsat = 11_000n;
/** Commitment fee, anchors and sweeps at 253 sat/kW cost no more than this together. */
const costsSat = 4_000n;

/** Our terms in the middle: 1 sat and 100 millionths. */
async function openHolding(...[rig, kinds]: Parameters<typeof openLine>): Promise<Network> {
  return openLine(rig, kinds, { carol: { ldk: { receivePolicy: 'hold' } } });
}

/** A payment of alice that carol holds. */
async function hold(network: Network, msat = amountMsat) {
  const [{ ldk: alice }, { ldk: carol }] = [network.ldk('alice'), network.ldk('carol')];
  const before = carol.log.eventsOf('paymentClaimable').length;
  const id = await alice.startKeysend({ pubkey: carol.pubkey, amountMsat: msat });
  const held = await network.rig.until(
    'carol holds the payment',
    () => carol.log.eventsOf('paymentClaimable')[before],
  );
  return { id, preimage: held.preimage!, paymentHash: held.paymentHash };
}

async function only(network: Network, from: string, to: string): Promise<StationChannel> {
  const [channel, ...others] = await network.between(from, to);
  expectThat(channel !== undefined && others.length === 0, `one channel of ${from} and ${to}`);
  return channel!;
}

async function forceClose(
  network: Network,
  who: 'bob' | 'carol',
  { channelId }: StationChannel,
): Promise<void> {
  if (who === 'bob') await network.us('bob').rivulet.api.closeChannel({ channelId, force: true });
  else {
    const ref = { channelId: hexToBytes(channelId), pubkey: network.station('bob').pubkey };
    await network.ldk('carol').ldk.forceClose(ref);
  }
  await network.rig.until(
    'the commitment in the mempool',
    () => [...network.rig.chain.regtest.mempool.entries()].length > 0,
  );
}

/** Mines until bob's wallet has so much more, and checks that it is not more than that. */
async function expectGain(network: Network, { beforeSat, gainSat }: { beforeSat: bigint; gainSat: bigint }) {
  const { rivulet } = network.us('bob');
  await network.rig.mineUntil(
    "bob's money in his wallet",
    async () => (await confirmedSat(rivulet)) - beforeSat >= gainSat - costsSat,
  );
  expectAbout((await confirmedSat(rivulet)) - beforeSat, {
    what: "bob's share",
    atMostSat: gainSat,
    atLeastSat: gainSat - costsSat,
  });
}

/** Alice and bob still have their channel, nothing is pending in it, and alice has so much less in it. */
async function expectUpstream(
  network: Network,
  { before, paidMsat }: { before: StationChannel; paidMsat: bigint },
) {
  await network.rig.until('nothing pending between alice and bob', async () => {
    const ends = [await only(network, 'alice', 'bob'), await only(network, 'bob', 'alice')];
    return ends.every(({ pending, usable }) => pending === 0 && usable);
  });
  const after = await only(network, 'alice', 'bob');
  expectSame(before.localMsat - after.localMsat, paidMsat, 'what alice paid bob, in msat');
  const opposite = await only(network, 'bob', 'alice');
  expectSame(after.localMsat + opposite.localMsat, after.capacitySat * 1000n, 'both ends together');
}

const claimsAndFails: InteropCase = {
  name: 'LDK-us-LDK: the end holds payments over some blocks, claims one and fails one: so do we',
  async run(rig) {
    const network = await openHolding(rig, 'LDK-us-LDK');
    const { ldk: alice } = network.ldk('alice');
    const { ldk: carol } = network.ldk('carol');
    const before = await network.funds();
    const [first, second] = [await hold(network), await hold(network)];
    await rig.mine(5);
    const { api } = network.us('bob').rivulet;
    expectSame((await api.forwards({})).pending, 2, 'HTLCs that we passed on');
    await carol.claimPayment(first.preimage);
    expectSame((await alice.log.settlement(first.id)).feeMsat, feeMsat, 'the fee');
    await carol.failPayment(second.paymentHash);
    const failure = await alice.log.settlement(second.id).then(
      () => 'success',
      (error: Error) => error.message,
    );
    expectThat(failure.includes('RecipientRejected'), `the recipient rejects, not ${failure}`);
    await network.expectMoved(before, { alice: -amountMsat - feeMsat, bob: feeMsat, carol: amountMsat });
    const { pending, settled, totals } = await api.forwards({});
    expectSame([pending, settled, totals[0]?.failed].join(), '0,1,1', 'pending, settled, failed');
  },
};

const claimedOnChain = (closer: 'bob' | 'carol'): InteropCase => ({
  name: `LDK-us-LDK: the outgoing channel is closed by force by ${closer === 'bob' ? 'us' : 'LDK'} and the preimage appears on chain: the incoming HTLC is fulfilled`,
  async run(rig) {
    const network = await openHolding(rig, 'LDK-us-LDK');
    const upstream = await only(network, 'alice', 'bob');
    const beforeSat = await confirmedSat(network.us('bob').rivulet);
    const { id, preimage } = await hold(network);
    const outgoing = await only(network, 'bob', 'carol');
    await network.part('bob', 'carol');
    const { ldk: carol } = network.ldk('carol');
    await carol.claimPayment(preimage);
    await forceClose(network, closer, outgoing);
    const { ldk: alice } = network.ldk('alice');
    await rig.mineUntil('alice has the preimage', () => alice.log.eventsOf('paymentSent').length === 1);
    expectSame(bytesToHex((await alice.log.settlement(id)).preimage), bytesToHex(preimage), 'the preimage');
    await expectUpstream(network, { before: upstream, paidMsat: amountMsat + feeMsat });
    await expectGain(network, { beforeSat, gainSat: 400_000n });
    await rig.mineUntil("carol's money", () => ldkSpendableSat(carol) >= 600_000n - costsSat);
    expectSame((await network.us('bob').rivulet.api.forwards({})).settled, 1, 'settled forwards');
  },
});

const timedOut = (closer: 'bob' | 'carol'): InteropCase => ({
  name: `LDK-us-LDK: the outgoing channel is closed by force by ${closer === 'bob' ? 'us' : 'LDK'} and nobody claims: the incoming HTLC is failed, its channel lives`,
  async run(rig) {
    const network = await openHolding(rig, 'LDK-us-LDK');
    const upstream = await only(network, 'alice', 'bob');
    const beforeSat = await confirmedSat(network.us('bob').rivulet);
    await hold(network);
    const outgoing = await only(network, 'bob', 'carol');
    await network.part('bob', 'carol');
    await forceClose(network, closer, outgoing);
    const { ldk: alice } = network.ldk('alice');
    await rig.mineUntil('the payment failed', () => alice.log.eventsOf('paymentFailed').length === 1);
    const [path] = alice.log.eventsOf('paymentPathFailed');
    expectSame(path?.shortChannelId, outgoing.shortChannelId, 'the channel that alice blames');
    expectThat(path?.networkUpdate?.permanent === true, 'a failure for good');
    await expectUpstream(network, { before: upstream, paidMsat: 0n });
    await expectGain(network, { beforeSat, gainSat: 500_000n });
  },
});

const dustOnChain: InteropCase = {
  name: 'LDK-us-LDK: the outgoing channel is closed by force with an HTLC too small for an output: the incoming one is failed',
  async run(rig) {
    const network = await openHolding(rig, 'LDK-us-LDK');
    const upstream = await only(network, 'alice', 'bob');
    await hold(network, 200_000n);
    const outgoing = await only(network, 'bob', 'carol');
    await network.part('bob', 'carol');
    await forceClose(network, 'bob', outgoing);
    const { ldk: alice } = network.ldk('alice');
    await rig.mineUntil('the payment failed', () => alice.log.eventsOf('paymentFailed').length === 1);
    await expectUpstream(network, { before: upstream, paidMsat: 0n });
  },
};

const upstreamAway: InteropCase = {
  name: 'LDK-us-LDK: LDK before us stays away after the end claimed: we close in time and claim the incoming HTLC on chain',
  async run(rig) {
    const network = await openHolding(rig, 'LDK-us-LDK');
    const beforeSat = await confirmedSat(network.us('bob').rivulet);
    const downstream = await only(network, 'bob', 'carol');
    const { id, preimage } = await hold(network);
    await network.part('alice', 'bob');
    await network.ldk('carol').ldk.claimPayment(preimage);
    await rig.until(
      'bob knows the preimage',
      async () => (await only(network, 'bob', 'carol')).pending === 0,
    );
    const after = await only(network, 'bob', 'carol');
    expectSame(downstream.localMsat - after.localMsat, amountMsat, 'what bob paid carol, in msat');
    await expectGain(network, { beforeSat, gainSat: 600_011n });
    const { ldk: alice } = network.ldk('alice');
    expectSame(bytesToHex((await alice.log.settlement(id)).preimage), bytesToHex(preimage), 'the preimage');
    expectThat((await only(network, 'bob', 'carol')).usable, 'the channel of bob and carol lives');
  },
};

const ourHold = (first: 'close' | 'settle'): InteropCase => ({
  name: `us-LDK-us: we hold an invoice and ${first === 'close' ? 'close by force, then settle it' : 'settle it while LDK is away, then close by force'}: LDK learns the preimage on chain and so do we before it`,
  async run(rig) {
    const network = await openLine(rig, 'us-LDK-us');
    const { api: alice } = network.us('alice').rivulet;
    const { rivulet } = network.us('carol');
    const beforeSat = await confirmedSat(rivulet);
    const { invoice, paymentHash } = await rivulet.api.createInvoice({ amountMsat, hold: true });
    await alice.pay({ invoice, waitSeconds: 0 });
    await rig.until('it is held', () => rivulet.events.some(({ type }) => type === 'invoice_held'));
    const { channelId } = await only(network, 'carol', 'bob');
    await network.part('bob', 'carol');
    if (first === 'settle') await rivulet.api.settleInvoice({ paymentHash });
    await rivulet.api.closeChannel({ channelId, force: true });
    await rig.until('the commitment', () => [...rig.chain.regtest.mempool.entries()].length > 0);
    if (first === 'close') {
      await rig.mine(1);
      await rivulet.api.settleInvoice({ paymentHash });
    }
    await rig.mineUntil('the payment settled', async () => {
      const { payments } = await alice.payments({ direction: 'outgoing' });
      return payments[0]?.status === 'succeeded';
    });
    await rig.mineUntil(
      "carol's money in her wallet",
      async () => (await confirmedSat(rivulet)) - beforeSat >= 600_000n - costsSat,
    );
    const { invoices } = await rivulet.api.invoices({ paymentHash });
    expectSame(invoices[0]?.state, 'settled', 'the invoice');
    const { payments } = await alice.payments({ direction: 'outgoing' });
    const upstream = await only(network, 'alice', 'bob');
    expectSame(upstream.localMsat, 500_000_000n - amountMsat - payments[0]!.feeMsat, "alice's balance");
  },
});

export const networkHoldCases: readonly InteropCase[] = [
  { ...claimsAndFails, channelTypes: ['anchors'] },
  claimedOnChain('bob'),
  claimedOnChain('carol'),
  timedOut('bob'),
  timedOut('carol'),
  dustOnChain,
  upstreamAway,
  ourHold('close'),
  ourHold('settle'),
];
