import { bytesToHex } from '@rivulet/core/bytes';
import type { InteropCase } from '../interopCase.js';
import { type Opener, Pair } from '../pair.js';
import {
  confirmedSat,
  expectAbout,
  ldkClosedBecause,
  ldkSpendableSat,
  sweepLdk,
  untilFundingSpent,
} from './closings.js';

/** Commitment fee, anchors and sweeps at 253 sat/kW cost no more than this together. */
const usualCostsSat = 4_000n;

export async function forceClose(pair: Pair, closer: Opener): Promise<void> {
  if (closer === 'ldk') await pair.ldk.forceClose(pair.ref);
  else await pair.rivulet.api.closeChannel({ channelId: pair.channelId, force: true });
  await untilFundingSpent(pair);
}

/** Mines until both have all that is theirs. */
export async function expectShares(
  pair: Pair,
  {
    beforeSat,
    rivuletSat,
    ldkSat,
    costsSat = usualCostsSat,
  }: { beforeSat: bigint; rivuletSat: bigint; ldkSat: bigint; costsSat?: bigint },
): Promise<void> {
  const { rig, rivulet, ldk } = pair;
  await rig.mineUntil("both sides' money spendable", async () => {
    const gainSat = (await confirmedSat(rivulet)) - beforeSat;
    return gainSat >= rivuletSat - costsSat && ldkSpendableSat(ldk) >= ldkSat - costsSat;
  });
  const gainSat = (await confirmedSat(rivulet)) - beforeSat;
  expectAbout(gainSat, { what: "Rivulet's share", atMostSat: rivuletSat, atLeastSat: rivuletSat - costsSat });
  expectAbout(ldkSpendableSat(ldk), {
    what: "LDK's share",
    atMostSat: ldkSat,
    atLeastSat: ldkSat - costsSat,
  });
  if (ldkSat > 0n) await sweepLdk(pair);
  // All is claimed, and has to be buried.
  await rig.mine(90);
  await rig.mineUntil("Rivulet's channel closed", async () => {
    const channel = await pair.findRivuletChannel();
    return channel === undefined || channel.state === 'closed';
  });
}

const withoutPayments = (opener: Opener, closer: Opener): InteropCase => ({
  name: `${opener} opens, ${closer} closes by force; both get their money back`,
  async run(rig) {
    const peers = { rivulet: await rig.startRivulet(), ldk: await rig.startLdk() };
    const pair = await Pair.open(rig, peers, { opener });
    await pair.rivulet.api.keysend({ nodeId: bytesToHex(pair.ldk.pubkey), amountMsat: 50_000_000n });
    await pair.untilQuiet();
    const beforeSat = await confirmedSat(pair.rivulet);
    const { localMsat, remoteMsat } = await pair.rivuletChannel();
    await forceClose(pair, closer);
    await ldkClosedBecause(pair);
    await expectShares(pair, {
      beforeSat,
      rivuletSat: localMsat / 1000n,
      ldkSat: remoteMsat / 1000n,
    });
  },
});

export const forceCloseCases: readonly InteropCase[] = [
  withoutPayments('rivulet', 'rivulet'),
  withoutPayments('rivulet', 'ldk'),
  withoutPayments('ldk', 'rivulet'),
  withoutPayments('ldk', 'ldk'),
];
