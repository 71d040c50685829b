import { rmSync } from 'node:fs';
import { join } from 'node:path';
import { bytesToHex } from '@rivulet/core/bytes';
import { decodeChannel, encodeChannel, restoredChannel } from '@rivulet/core/channel';
import { openStorage } from '@rivulet/storage';
import type { InteropCase } from '../interopCase.js';
import { Pair } from '../pair.js';
import type { Rig } from '../rig.js';
import { expectSame } from '../waitUntil.js';
import { confirmedSat, ldkClosedBecause, untilFundingSpent } from './closings.js';
import { expectShares } from './forceCloses.js';

/** Leaves of a folder what a backup of its channels restores. */
function loseAllButTheBackup(dataDir: string, rig: Rig): void {
  const path = join(dataDir, 'rivulet.db');
  const before = openStorage({ path });
  const channels = before.loadChannels().map(({ state }) => {
    const { params, readiness } = decodeChannel(state, () => undefined);
    return restoredChannel({ params, fundingConfirmed: readiness.fundingConfirmed });
  });
  before.close();
  rmSync(dataDir, { recursive: true });
  const after = openStorage({ path });
  after.transaction((tx) => {
    for (const channel of channels) {
      const { channelId, remoteNodeId } = channel.params;
      tx.putChannel({ channelId, remoteNodeId, state: encodeChannel(channel) });
    }
    const hash = rig.chain.regtest.blockAt(0)?.hash;
    if (hash === undefined) throw new Error('a chain without its first block');
    tx.putBlock({ height: 0, hash });
  });
  after.close();
}

const restored = (payments: number): InteropCase => ({
  name: `Rivulet has lost all but words and a backup, ${payments} payments each way ago: LDK closes, our money comes back`,
  async run(rig) {
    const dataDir = join(rig.folder, 'data');
    const rivulet = await rig.startRivuletProcess({ dataDir });
    const pair = await Pair.open(rig, { rivulet, ldk: await rig.startLdk() }, { opener: 'rivulet' });
    for (let i = 0; i < payments; i++) {
      await rivulet.api.keysend({ nodeId: bytesToHex(pair.ldk.pubkey), amountMsat: 30_000_000n });
      await pair.ldk.sendKeysend({ pubkey: rivulet.pubkey, amountMsat: 10_000_000n });
      await pair.untilQuiet();
    }
    const { localMsat, remoteMsat } = await pair.rivuletChannel();
    const beforeSat = await confirmedSat(rivulet);
    await rivulet.stop();
    loseAllButTheBackup(dataDir, rig);
    await rivulet.start();
    await rig.synced();
    expectSame(await confirmedSat(rivulet), beforeSat, 'the coins of the words');
    expectSame((await pair.rivuletChannel()).state, 'stale', 'the state of the restored channel');
    // LDK may close the connection before it is told to be up.
    await pair.dial().catch(() => undefined);
    await ldkClosedBecause(pair);
    await untilFundingSpent(pair);
    const purposes = rivulet.logLines.filter((line) => line.includes('"purpose":"commitment"'));
    expectSame(purposes.length, 0, 'commitments of ours that were published');
    await expectShares(pair, { beforeSat, rivuletSat: localMsat / 1000n, ldkSat: remoteMsat / 1000n });
  },
});

export const restoredCases: readonly InteropCase[] = [restored(0), restored(1), restored(4)];
