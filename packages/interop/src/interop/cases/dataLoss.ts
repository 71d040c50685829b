import { cpSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import type { InteropCase } from '../interopCase.js';
import { Pair } from '../pair.js';
import { expectSame, expectThat } from '../waitUntil.js';
import { Cheater, payBothWays } from './cheating.js';
import {
  confirmedSat,
  expectAbout,
  expectState,
  findFundingSpend,
  ldkClosedBecause,
  untilFundingSpent,
} from './closings.js';
import { expectShares, forceClose } from './forceCloses.js';

/** What happens after the copy was made. */
interface Since {
  readonly what: string;
  readonly localMsat: bigint;
  run(pair: Pair): Promise<void>;
}

const threePayments: Since = {
  what: 'three payments each way old',
  localMsat: 520_000_000n,
  run: (pair) => payBothWays(pair, 3),
};

/** The least that can be lost. */
const oneCommitment: Since = {
  what: 'one commitment old',
  localMsat: 580_000_000n,
  async run(pair) {
    pair.rig.chain.regtest.feeratePerKw = 400;
    await pair.rig.mine(1);
    await pair.rig.until('the feerate on both sides', async () => {
      const [ours, theirs] = [await pair.rivuletChannel(), await pair.ldkChannel()];
      return ours.feeratePerKw === 400 && theirs.feeratePerKw === 400;
    });
  },
};

const lost = (since: Since): InteropCase => ({
  name: `a copy of Rivulet's folder, ${since.what}: we publish nothing, LDK closes, our money comes back`,
  async run(rig) {
    const dataDir = join(rig.folder, 'data');
    const copy = join(rig.folder, 'copy');
    const rivulet = await rig.startRivuletProcess({ dataDir });
    const pair = await Pair.open(rig, { rivulet, ldk: await rig.startLdk() }, { opener: 'rivulet' });
    await payBothWays(pair, 1);
    const beforeSat = await confirmedSat(rivulet);
    await rivulet.stop();
    cpSync(dataDir, copy, { recursive: true });
    await rivulet.start();
    await pair.reconnect();
    await since.run(pair);
    const { localMsat, remoteMsat } = await pair.rivuletChannel();
    expectSame(localMsat, since.localMsat, "Rivulet's balance before the loss");
    await rivulet.stop();
    rmSync(dataDir, { recursive: true });
    cpSync(copy, dataDir, { recursive: true });
    await rivulet.start();
    expectSame(
      (await pair.rivuletChannel()).localMsat,
      580_000_000n,
      'the balance that the copy believes in',
    );
    // LDK may close the connection before it is told to be up.
    await pair.dial().catch(() => undefined);
    await rig.until('Rivulet knows that it lost data', async () => {
      const { state } = await pair.rivuletChannel();
      return state === 'stale' || state === 'spent';
    });
    await ldkClosedBecause(pair);
    const refused = await rivulet.api.closeChannel({ channelId: pair.channelId, force: true }).then(
      () => undefined,
      (error: Error) => error.message,
    );
    expectThat(refused !== undefined, 'no close by force with lost data');
    await untilFundingSpent(pair);
    const purposes = rivulet.logLines.filter((line) => line.includes('"purpose":"commitment"'));
    expectSame(purposes.length, 0, 'commitments of ours that were published');
    await expectShares(pair, { beforeSat, rivuletSat: localMsat / 1000n, ldkSat: remoteMsat / 1000n });
  },
});

const cheated: InteropCase = {
  name: 'LDK publishes a revoked commitment from an old copy of its folder: we take the whole channel',
  async run(rig) {
    const rivulet = await rig.startRivulet();
    const cheater = await Cheater.open(rig, rivulet);
    const { pair } = cheater;
    await payBothWays(pair, 1);
    await cheater.remember();
    await payBothWays(pair, 3);
    await pair.part();
    const beforeSat = await confirmedSat(rivulet);
    await cheater.forget();
    await forceClose(pair, 'ldk');
    await rig.mineUntil("the whole channel in Rivulet's wallet", async () => {
      return (await confirmedSat(rivulet)) - beforeSat > 990_000n;
    });
    const gainSat = (await confirmedSat(rivulet)) - beforeSat;
    expectAbout(gainSat, { what: 'the whole channel', atMostSat: 1_000_000n, atLeastSat: 990_000n });
    await rig.mineUntil("Rivulet's channel closed", async () => {
      const channel = await pair.findRivuletChannel();
      return channel === undefined || channel.state === 'closed';
    });
  },
};

const restarted: InteropCase = {
  name: 'Rivulet is killed after its force close and is away for 200 blocks: it collects its money at its return',
  async run(rig) {
    const peers = { rivulet: await rig.startRivuletProcess(), ldk: await rig.startLdk() };
    const pair = await Pair.open(rig, peers, { opener: 'rivulet' });
    const beforeSat = await confirmedSat(peers.rivulet);
    await forceClose(pair, 'rivulet');
    await peers.rivulet.stop({ crash: true });
    rig.chain.mine(200);
    await peers.rivulet.start();
    await rig.synced();
    await expectShares(pair, { beforeSat, rivuletSat: 600_000n, ldkSat: 400_000n });
  },
};

const unpublished: InteropCase = {
  name: 'LDK closes by force while Rivulet is away: it collects its money at its return',
  async run(rig) {
    const peers = { rivulet: await rig.startRivuletProcess(), ldk: await rig.startLdk() };
    const pair = await Pair.open(rig, peers, { opener: 'ldk' });
    const beforeSat = await confirmedSat(peers.rivulet);
    await peers.rivulet.stop({ crash: true });
    await pair.ldk.forceClose(pair.ref);
    await pair.ldk.log.waitForEvent('broadcast', () => true);
    rig.chain.mine(30);
    await peers.rivulet.start();
    await rig.synced();
    expectThat((await findFundingSpend(pair)) !== undefined, 'the commitment of LDK in a block');
    await expectShares(pair, { beforeSat, rivuletSat: 400_000n, ldkSat: 600_000n });
    await expectState(pair, 'closed');
  },
};

export const dataLossCases: readonly InteropCase[] = [
  lost(threePayments),
  lost(oneCommitment),
  cheated,
  restarted,
  unpublished,
];
