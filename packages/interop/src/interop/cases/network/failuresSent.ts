import { hexToBytes } from '@rivulet/core/bytes';
import { decodeInvoice, type Invoice } from '@rivulet/core/invoice';
import type { InteropCase } from '../../interopCase.js';
import { type Network, openLine } from '../../network.js';
import { expectFailure, here, ourFailure } from './failing.js';

const amountMsat = 10_000_000n;

/** Has alice pay an invoice that says something else than its maker wrote. */
async function payChanged(
  network: Network,
  change: (invoice: Invoice) => Partial<Invoice>,
  limits: { readonly maxCltvDelta?: number } = {},
): Promise<string> {
  const text = await network.station('carol').createInvoice({ amountMsat, description: '' });
  const invoice = decodeInvoice(text);
  const { outgoing } = here(network, 'alice').node.payments;
  const changed = { ...invoice, ...change(invoice) };
  return ourFailure(network, outgoing.payInvoice({ invoice: changed, ...limits }).outcome);
}

/** What LDK asks for between the expiries of both sides, where nothing else is set. */
const ldkDelta = 72;

/** Leaves so many blocks at the end, and no room for more of them. */
function payWithFinalDelta(network: Network, blocks: number): Promise<string> {
  // Three are added for blocks that may come.
  const change = () => ({ minFinalCltvDelta: blocks - 3 });
  return payChanged(network, change, { maxCltvDelta: blocks + ldkDelta });
}

/** The one hint of an invoice over an unannounced channel, changed. */
function changedHint(change: Partial<Invoice['hints'][number][number]>) {
  return ({ hints }: Invoice): Partial<Invoice> => ({
    hints: hints.map((hint) => hint.map((hop) => ({ ...hop, ...change }))),
  });
}

const refusedByLdk: InteropCase = {
  name: 'we send, LDK at the end refuses: keysend rejected, hash unknown, too little, expiry too near',
  async run(rig) {
    const network = await openLine(rig, 'us-LDK-LDK');
    const [alice, carol] = [network.station('alice'), network.station('carol')];
    const told = 'refused_by_destination, incorrect_or_unknown_payment_details, at carol';
    await network.ldk('carol').ldk.setReceivePolicy('fail');
    const keysend = () => ourFailure(network, alice.keysend(carol, { amountMsat }));
    await expectFailure(network, { attempt: keysend, told });
    await network.ldk('carol').ldk.setReceivePolicy('claim');
    const other = { paymentSecret: new Uint8Array(32).fill(7) };
    await expectFailure(network, { attempt: () => payChanged(network, () => other), told });
    const less = { amountMsat: amountMsat - 1n };
    await expectFailure(network, { attempt: () => payChanged(network, () => less), told });
    await expectFailure(network, { attempt: () => payWithFinalDelta(network, 22), told });
    await alice.keysend(carol, { amountMsat });
  },
};

const refusedByUs: InteropCase = {
  name: 'we send over LDK, we at the end refuse: keysend off, too small, invoice cancelled, hash unknown, too little, expiry too near',
  async run(rig) {
    const network = await openLine(rig, 'us-LDK-us');
    const [alice, carol] = [network.station('alice'), network.station('carol')];
    const { rivulet } = network.us('carol');
    const told = 'refused_by_destination, incorrect_or_unknown_payment_details, at carol';
    await rivulet.setReceivePolicy({ acceptKeysend: false, minAmountMsat: 1n });
    const keysend = (msat: bigint) => () => ourFailure(network, alice.keysend(carol, { amountMsat: msat }));
    await expectFailure(network, { attempt: keysend(amountMsat), told });
    await rivulet.setReceivePolicy({ acceptKeysend: true, minAmountMsat: 5_000n });
    await expectFailure(network, { attempt: keysend(4_999n), told });
    const cancelled = await rivulet.api.createInvoice({ amountMsat });
    await rivulet.api.cancelInvoice({ paymentHash: cancelled.paymentHash });
    const pay = () => ourFailure(network, alice.pay(cancelled.invoice));
    await expectFailure(network, { attempt: pay, told });
    const other = { paymentSecret: new Uint8Array(32).fill(7) };
    await expectFailure(network, { attempt: () => payChanged(network, () => other), told });
    const less = { amountMsat: amountMsat - 1n };
    await expectFailure(network, { attempt: () => payChanged(network, () => less), told });
    await expectFailure(network, { attempt: () => payWithFinalDelta(network, 18), told });
    await alice.keysend(carol, { amountMsat });
  },
};

const middleIsDry: InteropCase = {
  name: 'we send, LDK in the middle has no balance: we know where, look for another way and say what there is not',
  async run(rig) {
    const network = await openLine(rig, 'us-LDK-us');
    const [alice, bob, carol] = network.stations;
    await bob!.keysend(carol!, { amountMsat: 480_000_000n });
    const attempt = () => ourFailure(network, alice!.keysend(carol!, { amountMsat: 100_000_000n }));
    const told = 'no_route, temporary_channel_failure, at bob, bob-carol';
    await expectFailure(network, { attempt, told });
    await alice!.keysend(carol!, { amountMsat: 1_000_000n });
    await carol!.keysend(alice!, { amountMsat: 400_000_000n });
    await alice!.keysend(carol!, { amountMsat: 100_000_000n });
  },
};

const nextIsAway: InteropCase = {
  name: 'we send, the node behind LDK is away: a failure of that channel; when it is back the payment goes',
  async run(rig) {
    const network = await openLine(rig, 'us-LDK-LDK');
    const [alice, carol] = [network.station('alice'), network.station('carol')];
    await network.part('bob', 'carol');
    const attempt = () => ourFailure(network, alice.keysend(carol, { amountMsat }));
    const told = 'no_route, temporary_channel_failure, at bob, bob-carol';
    await expectFailure(network, { attempt, told });
    await network.connect('bob', 'carol');
    await network.untilUsable();
    await alice.keysend(carol, { amountMsat });
  },
};

const wrongHint: InteropCase = {
  name: 'we send by a hint to a channel that LDK does not have, then with an expiry too near: it says so',
  async run(rig) {
    const network = await openLine(rig, 'us-LDK-us', { announced: false });
    const [alice, carol] = [network.station('alice'), network.station('carol')];
    const elsewhere = changedHint({ shortChannelId: 123n << 40n });
    await expectFailure(network, {
      attempt: () => payChanged(network, elsewhere),
      told: 'no_route, unknown_next_peer, at bob, a channel without a public name',
    });
    await expectFailure(network, {
      attempt: () => payWithFinalDelta(network, 3),
      told: 'no_route, expiry_too_soon, at bob, a channel without a public name',
    });
    await alice.pay(await carol.createInvoice({ amountMsat, description: '' }));
  },
};

const staleHint: InteropCase = {
  name: 'we send by a hint whose fee or delta is out of date: LDK says so; a new invoice is paid',
  async run(rig) {
    const network = await openLine(rig, 'us-LDK-us', { announced: false });
    const [alice, carol] = [network.station('alice'), network.station('carol')];
    const { ldk: bob } = network.ldk('bob');
    const [channel] = await network.between('bob', 'carol');
    const ref = { channelId: hexToBytes(channel!.channelId), pubkey: carol.pubkey };
    for (const [policy, cause] of [
      [{ feeBaseMsat: 20_000 }, 'fee_insufficient'],
      [{ cltvExpiryDelta: 150 }, 'incorrect_cltv_expiry'],
    ] as const) {
      const invoice = await carol.createInvoice({ amountMsat, description: 'stale' });
      await bob.setForwardingPolicy(ref, policy);
      // For five ticks it takes the old terms as well.
      for (let i = 0; i < 6; i++) await bob.timerTick();
      await network.untilUsable();
      // BOLT 4: the update that would explain it is left out of failures nowadays.
      await expectFailure(network, {
        attempt: () => ourFailure(network, alice.pay(invoice)),
        told: `no_route, ${cause}, at bob, a channel without a public name`,
      });
      const fresh = await rig.until('carol writes the new terms into her invoices', async () => {
        const text = await carol.createInvoice({ amountMsat, description: 'fresh' });
        const hint = decodeInvoice(text).hints[0]?.[0];
        const [name, value] = Object.entries(policy)[0]!;
        return hint?.[name as keyof typeof policy] === value && text;
      });
      const before = await network.funds();
      const { feeMsat } = await alice.pay(fresh);
      await network.expectMoved(before, { alice: -amountMsat - feeMsat, bob: feeMsat, carol: amountMsat });
    }
  },
};

export const sentFailureCases: readonly InteropCase[] = [
  refusedByLdk,
  refusedByUs,
  middleIsDry,
  nextIsAway,
  wrongHint,
  staleHint,
].map((each) => ({ ...each, channelTypes: ['anchors'] }));
