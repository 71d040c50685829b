import { bytesToHex } from '@rivulet/core/bytes';
import type { InteropCase } from '../interopCase.js';
import { type Opener, Pair } from '../pair.js';
import { expectSame } from '../waitUntil.js';
import { expectAllEndedOnce, startFromRivulet } from './outcomes.js';

const feerates = [2_000, 500, 1_200] as const;

/** LDK takes no feerate from its peer that is below its own estimate. */
async function setFeerate(pair: Pair, feeratePerKw: number, opener: Opener): Promise<void> {
  const { rig, ldk } = pair;
  rig.chain.regtest.feeratePerKw = feeratePerKw;
  await ldk.setFeerate(opener === 'ldk' ? feeratePerKw : Math.min(feeratePerKw, 253));
  if (opener === 'ldk') await ldk.timerTick();
  else await rig.mine(1);
}

const feeUpdates = (opener: Opener): InteropCase => ({
  name: `${opener} opens and updates the feerate, up, down and up; payments go on`,
  async run(rig) {
    const peers = { rivulet: await rig.startRivulet(), ldk: await rig.startLdk() };
    const pair = await Pair.open(rig, peers, { opener });
    const { rivulet, ldk } = pair;
    let rivuletMsat = (await pair.rivuletChannel()).localMsat;
    for (const feeratePerKw of feerates) {
      await setFeerate(pair, feeratePerKw, opener);
      await rig.until(`a feerate of ${feeratePerKw} on both sides`, async () => {
        const [ours, theirs] = [await pair.rivuletChannel(), await pair.ldkChannel()];
        return ours.feeratePerKw === feeratePerKw && theirs.feeratePerKw === feeratePerKw;
      });
      await rivulet.api.keysend({ nodeId: bytesToHex(ldk.pubkey), amountMsat: 7_000_000n });
      await ldk.sendKeysend({ pubkey: rivulet.pubkey, amountMsat: 2_000_000n });
      rivuletMsat -= 5_000_000n;
      await pair.expectBalances({ rivuletMsat });
    }
  },
});

const inTheMiddle = (opener: Opener): InteropCase => ({
  name: `${opener} opens and updates the feerate four times in the middle of payments both ways`,
  async run(rig) {
    const peers = { rivulet: await rig.startRivulet(), ldk: await rig.startLdk() };
    const pair = await Pair.open(rig, peers, { opener });
    const startMsat = (await pair.rivuletChannel()).localMsat;
    const ldkPayments: Uint8Array[] = [];
    for (const feeratePerKw of [...feerates, 2_400]) {
      for (let i = 0; i < 12; i++) {
        await startFromRivulet(pair, 500_000n * BigInt(i + 1));
        const amountMsat = 400_000n * BigInt(i + 1);
        ldkPayments.push(await pair.ldk.startKeysend({ pubkey: pair.rivulet.pubkey, amountMsat }));
        if (i === 5) await setFeerate(pair, feeratePerKw, opener);
      }
      await pair.untilQuiet();
    }
    const ended = await expectAllEndedOnce(pair, { startMsat, ldkPayments });
    expectSame(ended.fromRivulet, 48, 'payments of Rivulet that succeeded');
    expectSame(ended.fromLdk, 48, 'payments of LDK that succeeded');
    expectSame((await pair.ldkChannel()).feeratePerKw, 2_400, 'the feerate at the end');
  },
});

export const feeCases: readonly InteropCase[] = [
  feeUpdates('rivulet'),
  feeUpdates('ldk'),
  inTheMiddle('rivulet'),
  inTheMiddle('ldk'),
];
