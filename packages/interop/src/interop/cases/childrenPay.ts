import { type Transaction, txid, txidToHex, weight } from '@rivulet/core/tx';
import type { InteropCase } from '../interopCase.js';
import { type Opener, Pair } from '../pair.js';
import type { Rig } from '../rig.js';
import { expectSame, expectThat } from '../waitUntil.js';
import { holdBothWays } from './cheating.js';
import { confirmedSat, feeSat, untilFundingSpent } from './closings.js';
import { expectShares, forceClose } from './forceCloses.js';

/** What commitments pay, what the chain wants after fees rose, and what it wants after they rose again. */
const [lowPerKw, highPerKw, highestPerKw] = [253, 4_000, 12_000];
/** Children, claims and sweeps at such feerates. */
const costsSat = 60_000n;

/** Fees rise: estimates say so, and miners want it. */
function setFees({ chain }: Rig, feeratePerKw: number): void {
  chain.regtest.feeratePerKw = feeratePerKw;
  chain.minersFeeratePerKw = (feeratePerKw * 3) / 4;
}

/** Fees are what they were, so that LDK and sweeps are not kept waiting. */
function calmFees(rig: Rig): void {
  rig.chain.regtest.feeratePerKw = lowPerKw;
  rig.chain.minersFeeratePerKw = 0;
  rig.chain.regtest.mempool.minFeePerKvb = 1_000n;
}

/** The two are apart, and LDK has not heard that we have taken its payment: before it expires we have to claim it. */
async function withDeadline(rig: Rig, opener: Opener) {
  const peers = { rivulet: await rig.startRivulet(), ldk: await rig.startLdk() };
  const pair = await Pair.open(rig, peers, { opener });
  const beforeSat = await confirmedSat(pair.rivulet);
  const { localMsat } = await pair.rivuletChannel();
  const { received } = await holdBothWays(pair, { offeredMsat: [], receivedMsat: [100_000_000n] });
  await pair.part();
  await pair.rivulet.api.settleInvoice({ paymentHash: received[0]! });
  return { pair, beforeSat, rivuletSat: localMsat / 1000n + 100_000n };
}

function isConfirmed({ chain }: Rig, tx: Transaction): boolean {
  return chain.regtest.confirmed(txidToHex(txid(tx))) !== undefined;
}

/** Mines until the commitment is in a block, which its own fee would never have brought. */
async function untilMined(rig: Rig, commitment: Transaction): Promise<void> {
  const ownPerKw = Number(feeSat(commitment, 1_000_000n) * 1000n) / weight(commitment);
  expectThat(ownPerKw < 600, `a commitment of a low feerate, not ${ownPerKw}`);
  await rig.mineUntil('the commitment in a block', () => isConfirmed(rig, commitment), { limit: 12 });
}

async function expectTaken(
  pair: Pair,
  { beforeSat, rivuletSat }: { beforeSat: bigint; rivuletSat: bigint },
): Promise<void> {
  await expectShares(pair, { beforeSat, rivuletSat, ldkSat: 1_000_000n - rivuletSat, costsSat });
  await pair.ldk.log.waitForEvent('paymentSent', () => true);
}

const ours = (opener: Opener, full: boolean): InteropCase => ({
  name: `${opener} opens, fees rise${full ? ' so much that no mempool takes our commitment alone' : ''}, we close by force: our child gets the commitment mined`,
  channelTypes: ['anchors'],
  async run(rig) {
    const { pair, ...shares } = await withDeadline(rig, opener);
    setFees(rig, highPerKw);
    if (full) rig.chain.regtest.mempool.minFeePerKvb = 8_000n;
    await pair.rivulet.api.closeChannel({ channelId: pair.channelId, force: true });
    if (full) await rig.mine(1);
    await untilMined(rig, await untilFundingSpent(pair));
    calmFees(rig);
    await expectTaken(pair, shares);
  },
});

const oursAgain: InteropCase = {
  name: 'fees rise again after our child pays for our commitment: another child replaces it',
  channelTypes: ['anchors'],
  async run(rig) {
    const { pair, ...shares } = await withDeadline(rig, 'ldk');
    setFees(rig, highPerKw);
    await pair.rivulet.api.closeChannel({ channelId: pair.channelId, force: true });
    const commitment = await untilFundingSpent(pair);
    const child = () =>
      rig.chain.regtest.mempool
        .entries()
        .find(({ tx }) =>
          tx.inputs.some(({ outpoint }) => txidToHex(outpoint.txid) === txidToHex(txid(commitment))),
        );
    const first = await rig.until('a child', child);
    setFees(rig, highestPerKw);
    await untilMined(rig, commitment);
    expectSame(
      rig.chain.regtest.confirmed(first.txidHex) === undefined,
      true,
      'the first child was replaced',
    );
    calmFees(rig);
    await expectTaken(pair, shares);
  },
};

const theirs: InteropCase = {
  name: 'LDK closes by force with too low a fee while a deadline of ours comes near: our child gets its commitment mined',
  channelTypes: ['anchors'],
  async run(rig) {
    const { pair, ...shares } = await withDeadline(rig, 'ldk');
    setFees(rig, highPerKw);
    await forceClose(pair, 'ldk');
    const commitment = await untilFundingSpent(pair);
    await rig.mine(3);
    expectSame(isConfirmed(rig, commitment), false, "LDK's commitment is in a block by itself");
    await rig.mineUntil('the channel given up by Rivulet', async () => {
      return (await pair.rivuletChannel()).state !== 'open';
    });
    await untilMined(rig, commitment);
    calmFees(rig);
    await expectTaken(pair, shares);
  },
};

const theirsPatiently: InteropCase = {
  name: 'LDK closes by force with too low a fee and only our balance waits: our child gets its commitment mined',
  channelTypes: ['anchors'],
  async run(rig) {
    const peers = { rivulet: await rig.startRivulet(), ldk: await rig.startLdk() };
    const pair = await Pair.open(rig, peers, { opener: 'ldk' });
    const beforeSat = await confirmedSat(pair.rivulet);
    setFees(rig, highPerKw);
    await forceClose(pair, 'ldk');
    await untilMined(rig, await untilFundingSpent(pair));
    calmFees(rig);
    await expectShares(pair, { beforeSat, rivuletSat: 400_000n, ldkSat: 600_000n, costsSat });
  },
};

export const childrenPayCases: readonly InteropCase[] = [
  ours('ldk', false),
  ours('rivulet', true),
  oursAgain,
  theirs,
  theirsPatiently,
];
