import { bytesToHex } from '@rivulet/core/bytes';
import type { InteropCase } from '../../interopCase.js';
import { type LineKinds, type Network, openLine } from '../../network.js';
import { expectSame } from '../../waitUntil.js';

const amountMsat = 2_000_000n;
const count = 6;

/** How payments of alice end, by their hashes. */
type Outcomes = Map<string, 'succeeded' | 'failed'>;

/** Begins payments from alice to carol. @returns how they ended, once all have. */
async function begin(network: Network): Promise<{ ended: () => Promise<Outcomes> }> {
  const [alice, carol] = [network.station('alice'), network.station('carol')];
  if (alice.kind === 'us') {
    const { api } = network.us('alice').rivulet;
    for (let i = 0; i < count; i++) {
      await api.keysend({ nodeId: carol.nodeId, amountMsat, waitSeconds: 0 });
    }
    const ended = () =>
      network.rig.until('all payments of alice ended', async () => {
        const { payments } = await api.payments({ direction: 'outgoing' });
        if (payments.some(({ status }) => status === 'pending')) return undefined;
        return new Map(payments.map(({ paymentHash, status }) => [paymentHash, status])) as Outcomes;
      });
    return { ended };
  }
  const { ldk } = network.ldk('alice');
  const ids: string[] = [];
  for (let i = 0; i < count; i++) {
    ids.push(bytesToHex(await ldk.startKeysend({ pubkey: carol.pubkey, amountMsat })));
  }
  const ended = async () => {
    await network.rig.until('all payments of alice ended', () => {
      const over = [...ldk.log.eventsOf('paymentSent'), ...ldk.log.eventsOf('paymentFailed')];
      return new Set(over.map(({ paymentId }) => bytesToHex(paymentId))).size === count;
    });
    const outcomes: Outcomes = new Map();
    for (const event of ldk.log.eventsOf('paymentSent'))
      outcomes.set(bytesToHex(event.paymentHash), 'succeeded');
    const failed = new Set(ldk.log.eventsOf('paymentFailed').map(({ paymentId }) => bytesToHex(paymentId)));
    for (const id of failed) outcomes.set(id, 'failed');
    expectSame(outcomes.size, count, 'payments that ended one way each');
    return outcomes;
  };
  return { ended };
}

/** Kills bob and starts him again; he is alone then. */
async function crash(network: Network): Promise<void> {
  const bob = network.station('bob');
  if (bob.kind === 'us') {
    await network.us('bob').rivulet.stop({ crash: true });
    await network.us('bob').rivulet.start();
  } else await network.ldk('bob').ldk.restart({ crash: true });
  await network.untilApart('alice', 'bob');
  await network.untilApart('bob', 'carol');
}

async function meetAgain(network: Network): Promise<void> {
  await network.connect('bob', 'alice');
  await network.connect('bob', 'carol');
  await network.untilUsable();
}

const middleKilled = (kinds: LineKinds): InteropCase => ({
  name: `${kinds}: the middle is killed while the end holds payments; those that it claims settle, those that it fails fail, each once`,
  async run(rig) {
    const network = await openLine(rig, kinds, {
      bob: { apart: true },
      carol: { ldk: { receivePolicy: 'hold' } },
    });
    const before = await network.funds();
    const { ldk: carol } = network.ldk('carol');
    const { ended } = await begin(network);
    const held = await rig.until('carol holds all', () => {
      const events = carol.log.eventsOf('paymentClaimable');
      return events.length === count && events;
    });
    // One is claimed, and one failed, while bob is there; one each while he is dead; the others when he is back.
    await carol.claimPayment(held[0]!.preimage!);
    await carol.failPayment(held[1]!.paymentHash);
    const killed = crash(network);
    await carol.claimPayment(held[2]!.preimage!);
    await carol.failPayment(held[3]!.paymentHash);
    await killed;
    await meetAgain(network);
    await carol.claimPayment(held[4]!.preimage!);
    await carol.failPayment(held[5]!.paymentHash);
    const outcomes = await ended();
    const succeeded = [...outcomes].filter(([, outcome]) => outcome === 'succeeded').map(([hash]) => hash);
    const claimed = [0, 2, 4].map((i) => bytesToHex(held[i]!.paymentHash));
    expectSame(succeeded.sort().join(), claimed.sort().join(), 'the payments that succeeded');
    const feeMsat = await feeOf(network);
    await network.expectMoved(before, {
      alice: -3n * (amountMsat + feeMsat),
      bob: 3n * feeMsat,
      carol: 3n * amountMsat,
    });
  },
});

/** What bob takes for one payment, as gossip told alice. */
async function feeOf(network: Network): Promise<bigint> {
  const bob = network.station('bob');
  const [channel] = await network.between('bob', 'carol');
  const known = (await network.station('carol').known()).find(
    ({ shortChannelId }) => shortChannelId === channel!.shortChannelId,
  );
  const policy = known!.policies.get(bob.nodeId)!;
  return BigInt(policy.feeBaseMsat) + (amountMsat * BigInt(policy.feeProportionalMillionths)) / 1_000_000n;
}

const inTheMiddle = (kinds: LineKinds): InteropCase => ({
  name: `${kinds}: the middle is killed three times in the middle of payments; each ends once, and the sums add up`,
  async run(rig) {
    const network = await openLine(rig, kinds, { bob: { apart: true } });
    const before = await network.funds();
    const feeMsat = await feeOf(network);
    const [alice, carol] = [network.station('alice'), network.station('carol')];
    let succeeded = 0;
    for (let round = 0; round < 3; round++) {
      const attempts: Promise<boolean>[] = [];
      for (let i = 0; i < 15; i++) {
        attempts.push(
          alice.keysend(carol, { amountMsat }).then(
            () => true,
            () => false,
          ),
        );
      }
      await Promise.race(attempts);
      await crash(network);
      await meetAgain(network);
      succeeded += (await Promise.all(attempts)).filter(Boolean).length;
    }
    const many = BigInt(succeeded);
    await network.expectMoved(before, {
      alice: -many * (amountMsat + feeMsat),
      bob: many * feeMsat,
      carol: many * amountMsat,
    });
  },
});

const senderKilled: InteropCase = {
  name: 'us-LDK-LDK: the sender is killed while the end holds a payment in two parts; once it is failed, once claimed',
  async run(rig) {
    const network = await openLine(rig, 'us-LDK-LDK', {
      width: 2,
      alice: { apart: true },
      carol: { ldk: { receivePolicy: 'hold' } },
    });
    const { ldk: carol } = network.ldk('carol');
    const { rivulet } = network.us('alice');
    const largeMsat = 700_000_000n;
    const feesMsat: bigint[] = [];
    const before = await network.funds();
    for (const claim of [false, true]) {
      const invoice = await network
        .station('carol')
        .createInvoice({ amountMsat: largeMsat, description: '' });
      const heldBefore = carol.log.eventsOf('paymentClaimable').length;
      const { paymentHash } = await rivulet.api.pay({ invoice, waitSeconds: 0 });
      const held = await rig.until(
        'carol holds it',
        () => carol.log.eventsOf('paymentClaimable')[heldBefore],
      );
      await rivulet.stop({ crash: true });
      if (claim) await carol.claimPayment(held.preimage!);
      else await carol.failPayment(held.paymentHash);
      await rivulet.start();
      await network.untilApart('alice', 'bob');
      await network.connect('alice', 'bob');
      await network.untilUsable();
      const payment = await rig.until('the payment ended', async () => {
        const { payments } = await rivulet.api.payments({ direction: 'outgoing' });
        const found = payments.find((each) => each.paymentHash === paymentHash);
        return found?.status !== 'pending' && found;
      });
      expectSame(payment.status, claim ? 'succeeded' : 'failed', 'the payment');
      if (claim) feesMsat.push(payment.feeMsat);
      else expectSame(payment.failure?.code, 'refused_by_destination', 'its failure');
    }
    const [feeMsat] = feesMsat;
    await network.expectMoved(before, { alice: -largeMsat - feeMsat!, bob: feeMsat!, carol: largeMsat });
  },
};

const receiverKilled: InteropCase = {
  name: 'LDK-LDK-us: the receiver is killed with a hold invoice paid in two parts; it is held again and cancelled, another settled',
  async run(rig) {
    const network = await openLine(rig, 'us-LDK-LDK', { width: 2, alice: { apart: true } });
    const { rivulet } = network.us('alice');
    const { ldk: carol } = network.ldk('carol');
    const largeMsat = 700_000_000n;
    for (const settle of [false, true]) {
      const before = await network.funds();
      const { invoice, paymentHash } = await rivulet.api.createInvoice({ amountMsat: largeMsat, hold: true });
      const heldBefore = rivulet.events.filter(({ type }) => type === 'invoice_held').length;
      const id = await carol.startInvoicePayment({ invoice, retries: 5 });
      const isHeld = () => rivulet.events.filter(({ type }) => type === 'invoice_held').length > heldBefore;
      await rig.until('it is held', isHeld);
      await rivulet.stop({ crash: true });
      await rivulet.start();
      await network.untilApart('alice', 'bob');
      await network.connect('bob', 'alice');
      await network.untilUsable();
      const outcome = carol.log.settlement(id).then(
        (sent) => sent.feeMsat,
        () => undefined,
      );
      if (settle) await rivulet.api.settleInvoice({ paymentHash });
      else await rivulet.api.cancelInvoice({ paymentHash });
      const feeMsat = await outcome;
      expectSame(feeMsat !== undefined, settle, 'whether it was paid');
      if (feeMsat === undefined) await network.expectMoved(before, {});
      else {
        await network.expectMoved(before, { carol: -largeMsat - feeMsat, bob: feeMsat, alice: largeMsat });
      }
      const { invoices } = await rivulet.api.invoices({ paymentHash });
      expectSame(invoices[0]?.state, settle ? 'settled' : 'cancelled', 'the invoice');
    }
  },
};

export const networkRestartCases: readonly InteropCase[] = [
  middleKilled('LDK-us-LDK'),
  middleKilled('us-LDK-LDK'),
  inTheMiddle('LDK-us-LDK'),
  inTheMiddle('us-LDK-us'),
  senderKilled,
  receiverKilled,
].map((each) => ({ ...each, channelTypes: ['anchors'] }));
