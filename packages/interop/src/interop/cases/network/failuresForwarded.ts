import type { InteropCase } from '../../interopCase.js';
import { type Network, openLine } from '../../network.js';
import { expectFailure, here, ldkFailure } from './failing.js';

const amountMsat = 10_000_000n;
/** For so long terms that were changed are still taken (BOLT 7). */
const graceMs = 600_000;

/** One attempt of LDK's, with no other after it. */
async function payOnce(network: Network, invoice: string): Promise<string> {
  return ldkFailure(network, 'alice', network.ldk('alice').ldk.payInvoice({ invoice }));
}

function keysendOnce(network: Network, msat: bigint): Promise<string> {
  const { ldk } = network.ldk('alice');
  return ldkFailure(
    network,
    'alice',
    ldk.sendKeysend({ pubkey: network.station('carol').pubkey, amountMsat: msat }),
  );
}

const dry: InteropCase = {
  name: 'LDK sends, we in the middle have no balance: it blames our channel, for now',
  async run(rig) {
    const network = await openLine(rig, 'LDK-us-LDK');
    const [alice, bob, carol] = network.stations;
    await bob!.keysend(carol!, { amountMsat: 480_000_000n });
    await expectFailure(network, {
      attempt: () => keysendOnce(network, 100_000_000n),
      told: 'temporary_channel_failure from bob; to be tried again, at bob-carol, the channel failed for now; RetriesExhausted',
    });
    await alice!.keysend(carol!, { amountMsat: 1_000_000n });
  },
};

const away: InteropCase = {
  name: 'LDK sends, the node behind us is away: it blames our channel, for now; when it is back the payment goes',
  async run(rig) {
    const network = await openLine(rig, 'LDK-us-LDK');
    const [alice, , carol] = network.stations;
    await network.part('bob', 'carol');
    await expectFailure(network, {
      attempt: () => keysendOnce(network, amountMsat),
      told: 'temporary_channel_failure from bob; to be tried again, at bob-carol, the channel failed for now; RetriesExhausted',
    });
    await network.connect('bob', 'carol');
    await network.untilUsable();
    // It tries the channel that it blamed only after a while, or where it is told to.
    await alice!.pay(await carol!.createInvoice({ amountMsat, description: 'back' }));
  },
};

const stale: InteropCase = {
  name: 'LDK sends by a hint whose terms are ten minutes out of date: we ask for the fee, the delta and the minimum of now',
  async run(rig) {
    const network = await openLine(rig, 'LDK-us-LDK', { announced: false });
    const [alice, , carol] = network.stations;
    const [channel] = await network.between('bob', 'carol');
    for (const [policy, code] of [
      [{ feeBaseMsat: 20_000 }, 'fee_insufficient'],
      [{ cltvExpiryDelta: 200 }, 'incorrect_cltv_expiry'],
      [{ htlcMinimumMsat: 11_000_000n }, 'amount_below_minimum'],
    ] as const) {
      const invoice = await carol!.createInvoice({ amountMsat, description: code });
      await network.us('bob').rivulet.api.setPolicy({ channelId: channel!.channelId, ...policy });
      const before = await network.funds();
      // The old terms are taken for a while.
      const still = await alice!.pay(await carol!.createInvoice({ amountMsat, description: 'still' }));
      await network.expectMoved(before, {
        alice: -amountMsat - still.feeMsat,
        bob: still.feeMsat,
        carol: amountMsat,
      });
      here(network, 'bob').advance(graceMs + 1);
      await expectFailure(network, {
        attempt: () => payOnce(network, invoice),
        told: `${code} from bob; to be tried again, at a channel without a public name, the channel failed for now; RetriesExhausted`,
      });
    }
  },
};

const gone: InteropCase = {
  name: 'LDK sends by a hint to a channel of ours that is closed: it hears that there is none, for good',
  async run(rig) {
    const network = await openLine(rig, 'LDK-us-LDK', { announced: false });
    const carol = network.station('carol');
    const invoice = await carol.createInvoice({ amountMsat, description: 'too late' });
    const other = await carol.createInvoice({ amountMsat, description: 'later still' });
    const [channel] = await network.between('bob', 'carol');
    const { api } = network.us('bob').rivulet;
    await api.closeChannel({ channelId: channel!.channelId });
    const state = async () =>
      (await api.channels({})).channels.find(({ channelId }) => channelId === channel!.channelId)?.state;
    await rig.until('the closing transaction', () => [...rig.chain.regtest.mempool.entries()].length > 0);
    const told =
      '; to be tried again, at a channel without a public name, the channel failed for good; RetriesExhausted';
    await rig.until('both know of it', async () => {
      return (await state()) === 'closing' && (await carol.channels()).length === 0;
    });
    await expectFailure(network, {
      attempt: () => payOnce(network, invoice),
      told: `permanent_channel_failure from bob${told}`,
    });
    await rig.mineUntil('the channel is closed', async () => [undefined, 'closed'].includes(await state()));
    await expectFailure(network, {
      attempt: () => payOnce(network, other),
      told: `unknown_next_peer from bob${told}`,
    });
    await network.link([{ from: 'bob', to: 'carol', announced: false }]);
    await network.station('alice').pay(await carol.createInvoice({ amountMsat, description: 'a new way' }));
  },
};

const finals: InteropCase = {
  name: 'LDK sends over LDK, we at the end refuse: it hears that the recipient does, for good, and blames nobody',
  async run(rig) {
    const network = await openLine(rig, 'us-LDK-LDK');
    const { rivulet } = network.us('alice');
    const { ldk: carol } = network.ldk('carol');
    const told = 'incorrect_or_unknown_payment_details from alice; rejected for good; RecipientRejected';
    const keysend = (msat: bigint) => () =>
      ldkFailure(network, 'carol', carol.sendKeysend({ pubkey: rivulet.pubkey, amountMsat: msat }));
    await rivulet.setReceivePolicy({ acceptKeysend: false, minAmountMsat: 1n });
    await expectFailure(network, { attempt: keysend(amountMsat), told });
    await rivulet.setReceivePolicy({ acceptKeysend: true, minAmountMsat: 5_000n });
    await expectFailure(network, { attempt: keysend(4_999n), told });
    const { invoice, paymentHash } = await rivulet.api.createInvoice({ amountMsat });
    await rivulet.api.cancelInvoice({ paymentHash });
    const pay = (text: string) => ldkFailure(network, 'carol', carol.payInvoice({ invoice: text }));
    await expectFailure(network, { attempt: () => pay(invoice), told });
    const short = await rivulet.api.createInvoice({ amountMsat, expirySeconds: 3_600 });
    here(network, 'alice').advance(3_601_000);
    await expectFailure(network, { attempt: () => pay(short.invoice), told });
    await carol.sendKeysend({ pubkey: rivulet.pubkey, amountMsat });
  },
};

const held: InteropCase = {
  name: 'LDK sends over us, LDK at the end refuses: its answer comes back through us as it was',
  async run(rig) {
    const network = await openLine(rig, 'LDK-us-LDK');
    const { ldk: carol } = network.ldk('carol');
    await carol.setReceivePolicy('fail');
    const told = 'incorrect_or_unknown_payment_details from carol; rejected for good; RecipientRejected';
    await expectFailure(network, { attempt: () => keysendOnce(network, amountMsat), told });
    await carol.setReceivePolicy('hold');
    const paymentHash = new Uint8Array(32).fill(3);
    const { text } = await carol.createInvoice({ amountMsat, description: 'nobody knows', paymentHash });
    const attempt = async () => {
      const failing = payOnce(network, text);
      const [{ paymentHash: hash }] = await rig.until('carol holds it', () => {
        const events = carol.log.eventsOf('paymentClaimable');
        return events.some((event) => event.preimage === undefined) && [events.at(-1)!];
      });
      await carol.failPayment(hash);
      return failing;
    };
    await expectFailure(network, { attempt, told });
    await carol.setReceivePolicy('claim');
    await network.station('alice').keysend(network.station('carol'), { amountMsat });
  },
};

const behind: InteropCase = {
  name: 'LDK sends and is behind with its blocks: the end finds the expiry too near, then we in the middle do',
  async run(rig) {
    const network = await openLine(rig, 'LDK-us-LDK');
    const { ldk: alice } = network.ldk('alice');
    // LDK leaves room for 80 blocks that hide the way; where there are less, it adds none.
    const cltvExpiryDelta = 79;
    const [channel] = await network.between('bob', 'carol');
    await network.us('bob').rivulet.api.setPolicy({ channelId: channel!.channelId, cltvExpiryDelta });
    await rig.until('alice hears of it', async () => {
      const known = await network.station('alice').known();
      const policies = known.flatMap((each) => [...each.policies.values()]);
      return policies.some((policy) => policy.cltvExpiryDelta === cltvExpiryDelta);
    });
    await rig.holdChainOf(alice);
    const { pubkey } = network.station('carol');
    const limits = { finalCltvDelta: 42, maxTotalCltvDelta: 42 + cltvExpiryDelta };
    const attempt = () => ldkFailure(network, 'alice', alice.sendKeysend({ pubkey, amountMsat, ...limits }));
    await rig.mine(25);
    await expectFailure(network, {
      attempt,
      told: 'incorrect_or_unknown_payment_details from carol; rejected for good; RecipientRejected',
    });
    await rig.mine(15);
    await expectFailure(network, {
      attempt,
      told: 'expiry_too_soon from bob; to be tried again, at bob-carol, the channel failed for now; RetriesExhausted',
    });
  },
};

export const forwardedFailureCases: readonly InteropCase[] = [
  dry,
  away,
  stale,
  gone,
  finals,
  held,
  behind,
].map((each) => ({ ...each, channelTypes: ['anchors'] }));
