import { cpSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import type { InteropCase } from '../interopCase.js';
import { Pair } from '../pair.js';
import type { InteropChannelType, Rig } from '../rig.js';
import type { RivuletDaemon } from '../rivuletDaemon.js';
import { runRivuletProgram } from '../rivuletProgram.js';
import { expectSame, expectThat } from '../waitUntil.js';
import { Cheater, holdBothWays, payBothWays } from './cheating.js';
import { confirmedSat, expectState, ldkClosedBecause, untilFundingSpent } from './closings.js';
import { expectShares } from './forceCloses.js';
import { failureOf } from './outcomes.js';

/** What was kept of a daemon elsewhere, and what is left when its folder is lost. */
class Keepsakes {
  /** Where a copy of the database may be put. */
  readonly copy: string;
  readonly #dataDir: string;
  readonly #words: string;
  readonly #backup: string;

  constructor(rig: Rig, { dataDir }: RivuletDaemon) {
    this.#dataDir = dataDir;
    this.#words = join(rig.folder, 'words');
    this.#backup = join(rig.folder, 'channels.backup');
    this.copy = join(rig.folder, 'copy');
    cpSync(join(dataDir, 'wallet-words'), this.#words);
  }

  /** As `rivulet backup` does, while the daemon runs. */
  async takeBackup(): Promise<void> {
    await runRivuletProgram(['backup', this.#backup, '--data-dir', this.#dataDir]);
  }

  /** The disk is lost, and another one gets what `rivulet restore` makes of words and something else. */
  async #restore(...source: string[]): Promise<void> {
    rmSync(this.#dataDir, { recursive: true });
    const args = ['--words-file', this.#words, '--data-dir', this.#dataDir];
    await runRivuletProgram(['restore', ...args, ...source]);
  }

  restoreBackup(): Promise<void> {
    return this.#restore('--backup', this.#backup);
  }

  restoreCopy(): Promise<void> {
    return this.#restore('--copy', this.copy);
  }
}

async function expectNothingPublished({ logLines }: RivuletDaemon): Promise<void> {
  const purposes = logLines.filter((line) => line.includes('"purpose":"commitment"'));
  expectSame(purposes.length, 0, 'commitments of ours that were published');
}

/** Whether the daemon tells that channels of it are of unknown age. */
async function isUnproven({ api }: RivuletDaemon): Promise<boolean> {
  return (await api.health({})).warnings.some(({ code }) => code === 'unproven_channel');
}

/** Most of the blocks that LDK has to wait for its own balance. */
async function mineLdkDelay(rig: Rig): Promise<void> {
  await rig.mine(1);
  await rig.mine(140);
}

const fromBackup = (payments: number, channelType: InteropChannelType): InteropCase => ({
  name: `Rivulet is restored from words and a backup, ${payments} payments each way old: it dials LDK, which closes, and our money comes back`,
  channelTypes: [channelType],
  async run(rig) {
    const rivulet = await rig.startRivuletDaemon({ flags: { '--reconnect': 'true' } });
    const pair = await Pair.open(rig, { rivulet, ldk: await rig.startLdk() }, { opener: 'rivulet' });
    const keepsakes = new Keepsakes(rig, rivulet);
    await keepsakes.takeBackup();
    await payBothWays(pair, payments);
    const { localMsat, remoteMsat } = await pair.rivuletChannel();
    const beforeSat = await confirmedSat(rivulet);
    await rivulet.stop({ crash: true });
    await keepsakes.restoreBackup();
    await rivulet.start();
    await rig.synced();
    expectSame(await confirmedSat(rivulet), beforeSat, 'the coins of the words');
    expectThat(
      ['stale', 'spent'].includes((await pair.rivuletChannel()).state),
      'a restored channel is used no more',
    );
    await ldkClosedBecause(pair);
    await untilFundingSpent(pair);
    await mineLdkDelay(rig);
    await expectShares(pair, { beforeSat, rivuletSat: localMsat / 1000n, ldkSat: remoteMsat / 1000n });
    await expectNothingPublished(rivulet);
  },
});

const withHtlcs: InteropCase = {
  name: 'Rivulet is restored from words and a backup while HTLCs of both directions are pending: our balance comes back',
  channelTypes: ['anchors'],
  async run(rig) {
    const rivulet = await rig.startRivuletDaemon({ flags: { '--reconnect': 'true' } });
    const ldk = await rig.startLdk({ receivePolicy: 'hold' });
    const pair = await Pair.open(rig, { rivulet, ldk }, { opener: 'rivulet' });
    const keepsakes = new Keepsakes(rig, rivulet);
    await keepsakes.takeBackup();
    const amounts = { offeredMsat: [50_000_000n], receivedMsat: [40_000_000n] };
    const { offered } = await holdBothWays(pair, amounts);
    const beforeSat = await confirmedSat(rivulet);
    await rivulet.stop({ crash: true });
    await keepsakes.restoreBackup();
    await rivulet.start();
    await ldkClosedBecause(pair);
    await untilFundingSpent(pair);
    await rig.mine(1);
    await ldk.claimPayment(offered[0]!.preimage);
    // What a backup knows nothing of is LDK's: the payment that it has claimed, and its own, which expires.
    await expectShares(pair, { beforeSat, rivuletSat: 550_000n, ldkSat: 450_000n });
    await expectNothingPublished(rivulet);
  },
};

const closedMeanwhile: InteropCase = {
  name: 'Rivulet is restored from words and a backup after LDK has closed by force: our money comes back without a connection',
  channelTypes: ['static_remotekey'],
  async run(rig) {
    const rivulet = await rig.startRivuletDaemon();
    const pair = await Pair.open(rig, { rivulet, ldk: await rig.startLdk() }, { opener: 'ldk' });
    const keepsakes = new Keepsakes(rig, rivulet);
    await keepsakes.takeBackup();
    await payBothWays(pair, 1);
    const { localMsat, remoteMsat } = await pair.rivuletChannel();
    const beforeSat = await confirmedSat(rivulet);
    await rivulet.stop({ crash: true });
    await pair.ldk.forceClose(pair.ref);
    await pair.ldk.log.waitForEvent('broadcast', () => true);
    rig.chain.mine(30);
    await pair.ldk.sync();
    rig.chain.mine(110);
    await keepsakes.restoreBackup();
    await rivulet.start();
    await rig.synced();
    await expectShares(pair, { beforeSat, rivuletSat: localMsat / 1000n, ldkSat: remoteMsat / 1000n });
    await expectState(pair, 'closed');
  },
};

/** A daemon that keeps a live copy of its database. */
async function startWithCopy(rig: Rig): Promise<{ rivulet: RivuletDaemon; live: string }> {
  const live = join(rig.folder, 'live');
  const rivulet = await rig.startRivuletDaemon({ flags: { '--database-copy-folder': live } });
  return { rivulet, live };
}

const fromCurrentCopy: InteropCase = {
  name: 'Rivulet is restored from the live copy of its database: with LDK away nothing is published, with LDK back the channel goes on',
  channelTypes: ['anchors'],
  async run(rig) {
    const { rivulet, live } = await startWithCopy(rig);
    const ldk = await rig.startLdk({ receivePolicy: 'hold' });
    const pair = await Pair.open(rig, { rivulet, ldk }, { opener: 'rivulet' });
    const keepsakes = new Keepsakes(rig, rivulet);
    const amounts = { offeredMsat: [50_000_000n], receivedMsat: [40_000_000n] };
    const { offered, received } = await holdBothWays(pair, amounts);
    await rivulet.stop({ crash: true });
    cpSync(live, keepsakes.copy, { recursive: true });
    await keepsakes.restoreCopy();
    await rivulet.start();
    expectSame(await isUnproven(rivulet), true, 'the channel is of unknown age');
    const force = rivulet.api.closeChannel({ channelId: pair.channelId, force: true });
    expectThat((await failureOf(force)).length > 0, 'no close by force');
    await pair.reconnect();
    expectSame(await isUnproven(rivulet), false, 'LDK has shown that the copy is the latest');
    await ldk.claimPayment(offered[0]!.preimage);
    await rivulet.api.settleInvoice({ paymentHash: received[0]! });
    await pair.untilQuiet();
    await ldk.setReceivePolicy('claim');
    await payBothWays(pair, 1);
    await pair.expectBalances({ rivuletMsat: 570_000_000n });
    await expectNothingPublished(rivulet);
  },
};

const overDeadlines: InteropCase = {
  name: 'Rivulet is restored from the live copy of its database and LDK stays away over all deadlines: only LDK publishes, and all comes back',
  channelTypes: ['static_remotekey'],
  async run(rig) {
    const { rivulet, live } = await startWithCopy(rig);
    const ldk = await rig.startLdk({ receivePolicy: 'hold' });
    const pair = await Pair.open(rig, { rivulet, ldk }, { opener: 'rivulet' });
    const keepsakes = new Keepsakes(rig, rivulet);
    await holdBothWays(pair, { offeredMsat: [50_000_000n], receivedMsat: [40_000_000n] });
    const beforeSat = await confirmedSat(rivulet);
    await rivulet.stop({ crash: true });
    cpSync(live, keepsakes.copy, { recursive: true });
    await keepsakes.restoreCopy();
    await rivulet.start();
    while (ldk.log.eventsOf('channelClosed').length === 0) await rig.mine(10);
    await untilFundingSpent(pair);
    expectSame(await isUnproven(rivulet), true, 'the channel is of unknown age');
    await mineLdkDelay(rig);
    await expectShares(pair, { beforeSat, rivuletSat: 600_000n, ldkSat: 400_000n });
    await expectNothingPublished(rivulet);
  },
};

const fromOldCopy: InteropCase = {
  name: 'Rivulet is restored from a live copy that is old: we publish nothing, LDK closes, our money comes back',
  channelTypes: ['static_remotekey'],
  async run(rig) {
    const { rivulet, live } = await startWithCopy(rig);
    const pair = await Pair.open(rig, { rivulet, ldk: await rig.startLdk() }, { opener: 'rivulet' });
    const keepsakes = new Keepsakes(rig, rivulet);
    await payBothWays(pair, 1);
    await rivulet.stop();
    cpSync(live, keepsakes.copy, { recursive: true });
    await rivulet.start();
    await pair.reconnect();
    await payBothWays(pair, 2);
    const { localMsat, remoteMsat } = await pair.rivuletChannel();
    const beforeSat = await confirmedSat(rivulet);
    await rivulet.stop({ crash: true });
    await keepsakes.restoreCopy();
    // As long as the newest copy is where the settings say, there is no need to go on from another one.
    expectThat((await failureOf(rivulet.start())).includes('copy_conflict'), 'a newer copy is noticed');
    rmSync(live, { recursive: true });
    await rivulet.start();
    expectSame(
      (await pair.rivuletChannel()).localMsat,
      580_000_000n,
      'the balance that the copy believes in',
    );
    // LDK may close the connection before it is told to be up.
    await pair.dial().catch(() => undefined);
    await ldkClosedBecause(pair);
    const force = rivulet.api.closeChannel({ channelId: pair.channelId, force: true });
    expectThat((await failureOf(force)).length > 0, 'no close by force');
    await untilFundingSpent(pair);
    await mineLdkDelay(rig);
    await expectShares(pair, { beforeSat, rivuletSat: localMsat / 1000n, ldkSat: remoteMsat / 1000n });
    await expectNothingPublished(rivulet);
  },
};

const ldkIsOld: InteropCase = {
  name: 'LDK is restored from an old copy of its folder and connects: we close with our latest commitment, LDK gets its balance',
  async run(rig) {
    const rivulet = await rig.startRivulet();
    const cheater = await Cheater.open(rig, rivulet);
    const { pair } = cheater;
    await payBothWays(pair, 1);
    await cheater.remember();
    await payBothWays(pair, 2);
    await pair.part();
    const { localMsat, remoteMsat } = await pair.rivuletChannel();
    const beforeSat = await confirmedSat(rivulet);
    await cheater.forget();
    // LDK 0.1.2 ends its own process when it learns that it has lost data.
    await pair.dial().catch(() => undefined);
    const spend = await untilFundingSpent(pair);
    const ldkOutput = spend.outputs.some(({ valueSat }) => valueSat === remoteMsat / 1000n);
    expectThat(ldkOutput, "LDK's latest balance in the commitment, whose fee is ours");
    await pair.ldk.restart({ crash: true });
    await expectShares(pair, { beforeSat, rivuletSat: localMsat / 1000n, ldkSat: remoteMsat / 1000n });
  },
};

export const restoredCases: readonly InteropCase[] = [
  fromBackup(0, 'static_remotekey'),
  fromBackup(3, 'anchors'),
  withHtlcs,
  closedMeanwhile,
  fromCurrentCopy,
  overDeadlines,
  fromOldCopy,
  ldkIsOld,
];
