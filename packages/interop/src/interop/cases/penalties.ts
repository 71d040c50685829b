import type { InteropCase } from '../interopCase.js';
import type { InteropChannelType } from '../rig.js';
import type { RivuletDaemon } from '../rivuletDaemon.js';
import type { RivuletTower } from '../rivuletTower.js';
import { expectSame } from '../waitUntil.js';
import { Cheater, type HeldHtlcs, holdBothWays, payBothWays } from './cheating.js';
import { confirmedSat, expectAbout, expectState } from './closings.js';
import { forceClose } from './forceCloses.js';

/** Two of ours that expire at the same block, which LDK claims in one transaction where it can. */
const amounts = { offeredMsat: [50_000_000n, 60_000_000n], receivedMsat: [40_000_000n] };

/** Settles what is held in the normal way, and goes on: the commitment that held it is revoked. */
async function goOn(cheater: Cheater, held: HeldHtlcs | undefined): Promise<void> {
  const { pair } = cheater;
  for (const { preimage } of held?.offered ?? []) await pair.ldk.claimPayment(preimage);
  for (const paymentHash of held?.received ?? []) await pair.rivulet.api.settleInvoice({ paymentHash });
  await pair.untilQuiet();
  await pair.ldk.setReceivePolicy('claim');
  await payBothWays(pair, 2);
}

/** Mines until all but fees of the channel's million is ours. */
async function expectAll({ pair, rig }: Cheater, beforeSat: bigint): Promise<void> {
  const { rivulet } = pair;
  const gainSat = async () => (await confirmedSat(rivulet)) - beforeSat;
  // Below the smallest HTLC: none of them may be missing.
  const atLeastSat = 1_000_000n - 20_000n;
  await rig.mineUntil("the whole channel in Rivulet's wallet", async () => (await gainSat()) >= atLeastSat);
  expectAbout(await gainSat(), { what: 'the whole channel', atMostSat: 1_000_000n, atLeastSat });
  // All is taken, and has to be buried.
  await rig.mine(90);
  await rig.mineUntil("Rivulet's channel closed", async () => {
    const channel = await pair.findRivuletChannel();
    return channel === undefined || channel.state === 'closed';
  });
}

const withHtlcs: InteropCase = {
  name: 'LDK publishes a revoked commitment with HTLCs of both directions: we take all of them',
  async run(rig) {
    const rivulet = await rig.startRivulet();
    const cheater = await Cheater.open(rig, rivulet, { receivePolicy: 'hold' });
    const { pair } = cheater;
    const held = await holdBothWays(pair, amounts);
    await cheater.remember();
    await goOn(cheater, held);
    await pair.part();
    const beforeSat = await confirmedSat(rivulet);
    await cheater.forget();
    await forceClose(pair, 'ldk');
    await expectAll(cheater, beforeSat);
  },
};

const secondStage: InteropCase = {
  name: 'LDK publishes a revoked commitment and its HTLC transactions while we are away: we take their outputs too',
  async run(rig) {
    const rivulet = await rig.startRivuletProcess();
    const cheater = await Cheater.open(rig, rivulet, { receivePolicy: 'hold' });
    const { pair } = cheater;
    const held = await holdBothWays(pair, amounts);
    await cheater.remember();
    await goOn(cheater, held);
    const beforeSat = await confirmedSat(rivulet);
    await rivulet.stop({ crash: true });
    await cheater.forget();
    const commitment = await cheater.publish();
    await cheater.mineAlone();
    const unspent = cheater.unspentOutputs(commitment).length;
    for (const { preimage } of held.offered) await pair.ldk.claimPayment(preimage);
    await rig.until('HTLC transactions of LDK', () => {
      return cheater.unspentOutputs(commitment).length === unspent - held.offered.length;
    });
    await cheater.mineAlone(5);
    await rivulet.start();
    await rig.synced();
    await expectAll(cheater, beforeSat);
  },
};

/** Until a tower was told all that LDK has revoked. */
async function told(
  { rig }: Cheater,
  rivulet: RivuletDaemon,
  towers: readonly RivuletTower[],
): Promise<void> {
  await rig.until('the towers know all', async () => {
    const known = (await rivulet.api.towers({})).towers;
    return towers.every(({ towerId }) => {
      const tower = known.find((one) => one.towerId === towerId);
      return tower?.state === 'watching' && tower.channels.every(({ queued }) => queued === 0);
    });
  });
}

interface TowerCase {
  readonly what: string;
  readonly towers: number;
  readonly channelTypes?: readonly InteropChannelType[];
  /** HTLCs in the revoked commitment. */
  readonly htlcs?: boolean;
  /** What becomes of the towers, before LDK cheats and after that is in a block. */
  before?(towers: readonly RivuletTower[]): Promise<void>;
  after?(towers: readonly RivuletTower[], cheater: Cheater): Promise<void>;
}

const watched = ({ what, towers: count, htlcs = false, before, after, ...rest }: TowerCase): InteropCase => ({
  name: `LDK cheats while we are away: ${what}`,
  ...rest,
  async run(rig) {
    const towers: RivuletTower[] = [];
    for (let i = 0; i < count; i++) towers.push(await rig.startTower());
    const rivulet = await rig.startRivuletDaemon();
    for (const { uri } of towers) await rivulet.api.addTower({ uri });
    const cheater = await Cheater.open(rig, rivulet, htlcs ? { receivePolicy: 'hold' } : {});
    const { pair } = cheater;
    await payBothWays(pair, htlcs ? 0 : 1);
    const held = htlcs ? await holdBothWays(pair, amounts) : undefined;
    await cheater.remember();
    await goOn(cheater, held);
    await told(cheater, rivulet, towers);
    const beforeSat = await confirmedSat(rivulet);
    await rivulet.stop({ crash: true });
    await before?.(towers);
    await cheater.forget();
    const commitment = await cheater.publish();
    await cheater.mineAlone();
    await after?.(towers, cheater);
    // Only our own balance needs nobody to watch over it.
    await rig.until('penalties for all that LDK could take', () => {
      return cheater.unspentOutputs(commitment).length === 1;
    });
    // After 144 blocks LDK could take its balance.
    await cheater.mineAlone(150);
    expectSame(rig.chain.regtest.mempool.size, 0, 'transactions that no block took');
    await rivulet.start();
    await rig.synced();
    await expectAll(cheater, beforeSat);
    await expectState(pair, 'closed');
  },
});

export const penaltyCases: readonly InteropCase[] = [
  withHtlcs,
  secondStage,
  watched({ what: 'our tower takes its balance for us', towers: 1 }),
  watched({
    what: 'our tower takes its balance and HTLCs of both directions for us',
    towers: 1,
    htlcs: true,
  }),
  watched({
    what: 'one of our two towers has died, and the other one takes its balance for us',
    towers: 2,
    channelTypes: ['anchors'],
    before: async ([dead]) => dead?.stop({ crash: true }),
  }),
  watched({
    what: 'our tower is away as well, comes back and takes its balance in time',
    towers: 1,
    channelTypes: ['static_remotekey'],
    before: async ([tower]) => tower?.stop({ crash: true }),
    after: async ([tower], cheater) => {
      await cheater.mineAlone(30);
      await tower?.start();
    },
  }),
];
