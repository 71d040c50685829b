import { bytesToHex } from '@rivulet/core/bytes';
import type { InteropCase } from '../interopCase.js';
import { type Opener, Pair } from '../pair.js';
import { expectSame } from '../waitUntil.js';
import { type HeldHtlcs, holdBothWays } from './cheating.js';
import { confirmedSat } from './closings.js';
import { expectShares, forceClose } from './forceCloses.js';
import { allPayments, ldkOutcomes } from './outcomes.js';

/** More than the fees of a commitment, of four HTLCs and of their sweeps at 253 sat/kW, less than any HTLC. */
const costsSat = 12_000n;

/** Two HTLCs each way, of which the first is to be claimed; ours expire at different blocks. */
async function holdFour(pair: Pair): Promise<HeldHtlcs> {
  const first = await holdBothWays(pair, { offeredMsat: [50_000_000n], receivedMsat: [40_000_000n] });
  // LDK 0.1.2 claims HTLCs of one expiry together, and never again without the one that its peer took back.
  await pair.rig.mine(1);
  const second = await holdBothWays(pair, { offeredMsat: [60_000_000n], receivedMsat: [45_000_000n] });
  return {
    offered: [...first.offered, ...second.offered],
    received: [...first.received, ...second.received],
  };
}

async function claimFirst({ rivulet, ldk }: Pair, { offered, received }: HeldHtlcs): Promise<void> {
  await ldk.claimPayment(offered[0]!.preimage);
  await rivulet.api.settleInvoice({ paymentHash: received[0]! });
}

/** What both sides say of payments, once all is over. */
async function expectEnds(pair: Pair, held: HeldHtlcs, claimed: boolean): Promise<void> {
  const { rig, rivulet } = pair;
  const outgoing = () => allPayments(pair, 'outgoing');
  await rig.mineUntil('every payment ended', async () => {
    const { sent, failed } = ldkOutcomes(pair);
    return (
      (await outgoing()).every(({ status }) => status !== 'pending') &&
      sent.length + failed.length === held.received.length
    );
  });
  for (const [i, { paymentHash }] of held.offered.entries()) {
    const payment = (await outgoing()).find((one) => one.paymentHash === bytesToHex(paymentHash));
    const succeeds = claimed && i === 0;
    expectSame(payment?.status, succeeds ? 'succeeded' : 'failed', `our payment ${i + 1}`);
    if (!succeeds) expectSame(payment?.failure?.code, 'timed_out_on_chain', 'its failure');
  }
  expectSame(ldkOutcomes(pair).sent.length, claimed ? 1 : 0, 'payments that LDK sent');
  for (const [i, paymentHash] of held.received.entries()) {
    const [invoice] = (await rivulet.api.invoices({ paymentHash })).invoices;
    expectSame(invoice?.state === 'settled', claimed && i === 0, `LDK has paid invoice ${i + 1}`);
  }
}

/** When the preimages of the first two become known to those who can claim with them. */
type Known = 'before' | 'after' | 'never';

const knownText: Record<Known, string> = {
  before: 'preimages known before: each is claimed or comes back',
  after: 'preimages known after the commitment is in a block: each is claimed or comes back',
  never: 'no preimage known: all come back',
};

const closedWithFour = (closer: Opener, known: Known): InteropCase => ({
  name: `${closer} closes by force with two HTLCs each way, ${knownText[known]}`,
  async run(rig) {
    const peers = { rivulet: await rig.startRivulet(), ldk: await rig.startLdk({ receivePolicy: 'hold' }) };
    const pair = await Pair.open(rig, peers, { opener: 'rivulet' });
    const beforeSat = await confirmedSat(pair.rivulet);
    const held = await holdFour(pair);
    await pair.part();
    if (known === 'before') await claimFirst(pair, held);
    await forceClose(pair, closer);
    await rig.mine(1);
    if (known === 'after') await claimFirst(pair, held);
    const claimed = known !== 'never';
    const rivuletSat = claimed ? 590_000n : 600_000n;
    await expectShares(pair, { beforeSat, rivuletSat, ldkSat: 1_000_000n - rivuletSat, costsSat });
    await expectEnds(pair, held, claimed);
  },
});

const away: InteropCase = {
  name: 'Rivulet is away when LDK closes by force and until all HTLCs have expired: it takes back what LDK has not claimed',
  channelTypes: ['anchors'],
  async run(rig) {
    const rivulet = await rig.startRivuletProcess();
    const pair = await Pair.open(
      rig,
      { rivulet, ldk: await rig.startLdk({ receivePolicy: 'hold' }) },
      { opener: 'rivulet' },
    );
    const beforeSat = await confirmedSat(rivulet);
    const held = await holdFour(pair);
    await rivulet.stop({ crash: true });
    await pair.ldk.forceClose(pair.ref);
    await pair.ldk.log.waitForEvent('broadcast', () => true);
    for (let i = 0; i < 3; i++) {
      rig.chain.mine();
      await pair.ldk.sync();
      if (i === 1) await pair.ldk.claimPayment(held.offered[0]!.preimage);
    }
    for (let i = 0; i < 12; i++) {
      rig.chain.mine(20);
      await pair.ldk.sync();
    }
    await rivulet.start();
    await rig.synced();
    await expectShares(pair, { beforeSat, rivuletSat: 550_000n, ldkSat: 450_000n, costsSat });
    const [first, second] = held.offered.map(({ paymentHash }) => bytesToHex(paymentHash));
    for (const { paymentHash, status } of await allPayments(pair, 'outgoing')) {
      if (paymentHash === first) expectSame(status, 'succeeded', 'what LDK claimed');
      if (paymentHash === second) expectSame(status, 'failed', 'what we took back');
    }
    expectSame(ldkOutcomes(pair).failed.length, 2, 'payments that LDK took back');
  },
};

export const htlcCloseCases: readonly InteropCase[] = [
  closedWithFour('rivulet', 'before'),
  closedWithFour('rivulet', 'after'),
  closedWithFour('rivulet', 'never'),
  closedWithFour('ldk', 'before'),
  closedWithFour('ldk', 'after'),
  closedWithFour('ldk', 'never'),
  away,
];
