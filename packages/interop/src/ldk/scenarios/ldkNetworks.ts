import { createHash } from 'node:crypto';
import { bytesToHex, equalBytes } from '@rivulet/core/bytes';
import { knowsChannels, type Line, openLine, waitForGraph } from './network.js';
import { check, findChannel, reconnect, type Scenario, waitUsable } from './scenario.js';

const policy = { feeBaseMsat: 2000, feeProportionalMillionths: 500, cltvExpiryDelta: 60 };

/** What bob takes for a payment of this amount. */
function feeOf(amountMsat: bigint): bigint {
  return 2000n + (amountMsat * 500n) / 1_000_000n;
}

async function shortChannelIdOf({ bob, last }: Line): Promise<bigint> {
  const id = (await findChannel(bob, last[0]!.channelId))?.shortChannelId;
  if (id === undefined) throw new Error('expected: the channel has a short channel id');
  return id;
}

function failureOf(payment: Promise<unknown>): Promise<string> {
  return payment.then(
    () => 'success',
    (error: Error) => error.message,
  );
}

export const gossipReachesAll: Scenario = {
  name: 'channels, their updates and nodes are announced to nodes that have no part in them',
  async run(context) {
    const line = await openLine(context, { bob: { forwarding: policy } });
    const { alice, bob, carol } = line;
    await carol.announceNode({ alias: 'carol of the end', rgb: Uint8Array.of(1, 2, 3), withAddress: true });
    const graph = await waitForGraph(alice, 'carol announced', ({ nodes }) =>
      nodes.some(({ nodeId, announcement }) => announcement && equalBytes(nodeId, carol.pubkey)),
    );
    const announced = graph.nodes.find(({ nodeId }) => equalBytes(nodeId, carol.pubkey))!.announcement!;
    check(announced.alias === 'carol of the end', `the alias, not ${announced.alias}`);
    check(announced.addresses[0] === `127.0.0.1:${carol.port}`, 'the address');
    check(graph.nodes.length === 3, 'three nodes');
    const shortChannelId = await shortChannelIdOf(line);
    const channel = graph.channels.find((each) => each.shortChannelId === shortChannelId)!;
    check(channel.capacitySat === 1_000_000n, `the capacity by the chain, not ${channel.capacitySat}`);
    const isOne = equalBytes(channel.nodeId1, bob.pubkey);
    const update = isOne ? channel.oneToTwo! : channel.twoToOne!;
    check(update.enabled, 'the channel enabled');
    check(update.feeBaseMsat === 2000 && update.feeProportionalMillionths === 500, 'the fees');
    check(update.cltvExpiryDelta === 60, 'the delta');
    await bob.setForwardingPolicy(
      { channelId: line.last[0]!.channelId, pubkey: carol.pubkey },
      { feeBaseMsat: 7 },
    );
    await waitForGraph(alice, 'the new fee', ({ channels }) =>
      channels.some(({ oneToTwo, twoToOne }) => oneToTwo?.feeBaseMsat === 7 || twoToOne?.feeBaseMsat === 7),
    );
  },
};

export const keysendOverTwoHops: Scenario = {
  name: 'keysend over the middle, its fee and events, a probe, and a failure behind the middle',
  async run(context) {
    const { alice, bob, carol, first, last } = await openLine(context, { bob: { forwarding: policy } });
    for (const amountMsat of [1n, 5_000_000n]) {
      const customRecords = new Map([[7_629_169n, Uint8Array.of(1, 2, 3)]]);
      const sent = await alice.sendKeysend({ pubkey: carol.pubkey, amountMsat, customRecords });
      check(sent.feeMsat === feeOf(amountMsat), `a fee of ${feeOf(amountMsat)} msat, not ${sent.feeMsat}`);
      const received = await carol.log.waitForEvent('paymentClaimable', ({ paymentHash }) =>
        equalBytes(paymentHash, sent.paymentHash),
      );
      check(received.amountMsat === amountMsat && received.customRecords.size === 1, 'all received');
      const forwarded = await bob.log.waitForEvent(
        'paymentForwarded',
        (event) => event.feeMsat === feeOf(amountMsat),
      );
      check(forwarded.amountMsat === amountMsat, `${amountMsat} msat forwarded`);
      check(equalBytes(forwarded.fromChannelId, first.channelId), 'from the first channel');
      check(equalBytes(forwarded.toChannelId, last[0]!.channelId), 'to the last channel');
    }
    await alice.sendProbes({ pubkey: carol.pubkey, amountMsat: 3_000_000n });
    const probe = await alice.log.waitForEvent('probeSuccessful', () => true);
    check(probe.path.length === 2, 'a probe over two hops');
    await carol.setReceivePolicy('fail');
    const failed = await failureOf(alice.sendKeysend({ pubkey: carol.pubkey, amountMsat: 1_000_000n }));
    check(failed.includes('RecipientRejected'), `the recipient rejects, not ${failed}`);
    const [path] = alice.log.eventsOf('paymentPathFailed');
    check(path?.permanent === true && path.path.length === 2, 'the failed path known');
  },
};

export const invoiceOverTwoHops: Scenario = {
  name: 'invoices with and without an amount are paid over the middle, one with a route hint',
  async run(context) {
    const { alice, bob, carol } = await openLine(context, {
      bob: { forwarding: policy },
      announceLast: false,
    });
    const invoice = await carol.createInvoice({ amountMsat: 20_000_000n, description: 'a cup of tea' });
    const decoded = await alice.decodeInvoice(invoice.text);
    check(decoded.amountMsat === 20_000_000n && decoded.description === 'a cup of tea', 'the invoice read');
    check(equalBytes(decoded.payee, carol.pubkey), 'the payee recovered');
    const hint = decoded.routeHints[0]?.[0];
    check(hint !== undefined && equalBytes(hint.nodeId, bob.pubkey), 'a hint that begins at bob');
    check(hint?.feeBaseMsat === 2000 && hint.cltvExpiryDelta === 60, "bob's policy in the hint");
    const sent = await alice.payInvoice({ invoice: invoice.text });
    check(equalBytes(sent.paymentHash, invoice.paymentHash), 'the hash of the invoice paid');
    check(sent.feeMsat === feeOf(20_000_000n), `the fee, not ${sent.feeMsat}`);

    const open = await carol.createInvoice({ description: '' });
    check(open.amountMsat === undefined, 'no amount');
    await alice.payInvoice({ invoice: open.text, amountMsat: 1234n });

    const preimage = new Uint8Array(32).fill(9);
    const paymentHash = new Uint8Array(createHash('sha256').update(preimage).digest());
    await carol.setReceivePolicy('hold');
    const held = await carol.createInvoice({ amountMsat: 5_000_000n, description: 'held', paymentHash });
    const id = await alice.startInvoicePayment({ invoice: held.text });
    await carol.log.waitForEvent('paymentClaimable', (event) => equalBytes(event.paymentHash, paymentHash));
    await carol.claimPayment(preimage);
    const settled = await alice.log.settlement(id);
    check(bytesToHex(settled.preimage) === bytesToHex(preimage), 'the preimage learned');
    const broken = `${open.text.slice(0, -1)}${open.text.endsWith('q') ? 'p' : 'q'}`;
    check((await failureOf(alice.decodeInvoice(broken))).includes('invoice'), 'a broken invoice refused');
  },
};

export const partsOverTheMiddle: Scenario = {
  name: 'a payment larger than any channel behind the middle arrives in parts',
  async run(context) {
    const { alice, bob, carol } = await openLine(context, {
      lastChannels: 3,
      lastCapacitySat: 200_000n,
    });
    const amountMsat = 400_000_000n;
    const invoice = await carol.createInvoice({ amountMsat, description: 'in parts' });
    await alice.payInvoice({ invoice: invoice.text, maxParts: 10, retries: 3 });
    const { parts } = await carol.log.waitForEvent('paymentClaimed', () => true);
    check(parts.length > 1, `several parts, not ${parts.length}`);
    const total = parts.reduce((sum, { valueMsat }) => sum + valueMsat, 0n);
    check(total === amountMsat, `${amountMsat} msat in all parts, not ${total}`);
    await bob.log.waitFor(() => bob.log.eventsOf('paymentForwarded').length === parts.length, {
      what: 'all parts forwarded',
    });
  },
};

export const middleWithoutLiquidity: Scenario = {
  name: 'a failure in the middle names the channel, and the payment takes another one',
  async run(context) {
    const line = await openLine(context, { lastChannels: 1, capacitySat: 500_000n });
    const { alice, bob, carol } = line;
    // Empties what bob can send to carol.
    await bob.sendKeysend({ pubkey: carol.pubkey, amountMsat: 400_000_000n });
    const failed = await failureOf(alice.sendKeysend({ pubkey: carol.pubkey, amountMsat: 200_000_000n }));
    check(failed.includes('RouteNotFound') || failed.includes('RetriesExhausted'), `no route, not ${failed}`);
    const [event] = alice.log.eventsOf('paymentPathFailed');
    const shortChannelId = await shortChannelIdOf(line);
    check(event?.shortChannelId === shortChannelId, `the channel that failed, not ${event?.shortChannelId}`);
    check(event?.permanent === false, 'a failure for now');
    check(event?.networkUpdate?.kind === 'channel', 'what it says about the channel');
    const handling = await bob.log.waitForEvent('htlcHandlingFailed', () => true);
    check(handling.reason === 'NextHopChannel', `the reason at the middle, not ${handling.reason}`);
  },
};

export const middleKilled: Scenario = {
  name: 'the middle is killed with payments in flight, and each settles once',
  async run(context) {
    const { alice, bob, carol, first, last } = await openLine(context, { carol: { receivePolicy: 'hold' } });
    const ids: Uint8Array[] = [];
    for (let i = 0; i < 5; i++) {
      ids.push(await alice.startKeysend({ pubkey: carol.pubkey, amountMsat: 2_000_000n }));
    }
    const isHeld = () => carol.log.eventsOf('paymentClaimable').length === 5;
    await carol.log.waitFor(isHeld, { what: 'five payments held' });
    const held = carol.log.eventsOf('paymentClaimable');
    for (const { preimage } of held.slice(0, 2)) await carol.claimPayment(preimage!);
    await bob.restart({ crash: true });
    for (const { preimage } of held.slice(2, 4)) await carol.claimPayment(preimage!);
    await carol.failPayment(held[4]!.paymentHash);
    await reconnect(alice, bob);
    await bob.connect(carol);
    await waitUsable(first.channelId, alice, bob);
    await waitUsable(last[0]!.channelId, bob, carol);
    const outcomes = await Promise.all(ids.map((id) => failureOf(alice.log.settlement(id))));
    const successes = outcomes.filter((outcome) => outcome === 'success').length;
    check(successes === 4, `four payments settled, not ${outcomes.join('; ')}`);
    await waitForGraph(bob, 'the graph learned anew', knowsChannels(2));
  },
};
