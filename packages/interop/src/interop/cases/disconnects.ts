import { bytesToHex } from '@rivulet/core/bytes';
import type { InteropCase } from '../interopCase.js';
import { type Opener, Pair } from '../pair.js';
import { expectSame, expectThat } from '../waitUntil.js';
import { allPayments, expectAllEndedOnce, ldkOutcomes, startFromRivulet } from './outcomes.js';

/** Starts payments in both directions. @returns the ids of LDK's. */
async function startBothWays(pair: Pair, count: number): Promise<Uint8Array[]> {
  const ids: Uint8Array[] = [];
  for (let i = 0; i < count; i++) {
    const amountMsat = BigInt(1 + i) * 100_000n;
    await startFromRivulet(pair, amountMsat);
    ids.push(await pair.ldk.startKeysend({ pubkey: pair.rivulet.pubkey, amountMsat }));
  }
  return ids;
}

async function settledSoFar(pair: Pair): Promise<{ sent: number; received: number }> {
  const incoming = await allPayments(pair, 'incoming');
  const outgoing = await allPayments(pair, 'outgoing');
  const settled = outgoing.filter(({ status }) => status !== 'pending').length;
  return { sent: settled, received: incoming.length };
}

const disconnections = (opener: Opener): InteropCase => ({
  name: `${opener} opens; the connection breaks six times in the middle of payments both ways`,
  async run(rig) {
    const peers = { rivulet: await rig.startRivulet(), ldk: await rig.startLdk() };
    const pair = await Pair.open(rig, peers, { opener });
    const startMsat = (await pair.rivuletChannel()).localMsat;
    const ldkPayments: Uint8Array[] = [];
    let interrupted = 0;
    for (let round = 0; round < 6; round++) {
      const before = await settledSoFar(pair);
      ldkPayments.push(...(await startBothWays(pair, 15)));
      await rig.until('some of the payments settled', async () => {
        const now = await settledSoFar(pair);
        return now.sent >= before.sent + round && now.received >= before.received + 1;
      });
      if (round % 2 === 0) await pair.rivulet.api.disconnect({ nodeId: bytesToHex(pair.ldk.pubkey) });
      else await pair.ldk.disconnect(pair.rivulet.pubkey);
      interrupted += await pair.reconnect();
    }
    expectThat(interrupted > 0, 'payments under way when the connection broke');
    const ended = await expectAllEndedOnce(pair, { startMsat, ldkPayments });
    expectSame(ended.fromRivulet, 90, 'payments of Rivulet that succeeded');
    expectSame(ended.fromLdk + ldkOutcomes(pair).failed.length, 90, "LDK's payments that ended");
    expectThat(ended.fromLdk > 45, `most of LDK's payments to succeed, not ${ended.fromLdk} of 90`);
  },
});

const offline: InteropCase = {
  name: 'LDK is gone: a payment is refused at once with a sentence, and works when it is back',
  async run(rig) {
    const peers = { rivulet: await rig.startRivulet(), ldk: await rig.startLdk() };
    const pair = await Pair.open(rig, peers, { opener: 'rivulet' });
    await pair.ldk.disconnect(pair.rivulet.pubkey);
    await rig.until('Rivulet noticed', async () => (await pair.rivuletChannel()).link === 'offline');
    const nodeId = bytesToHex(pair.ldk.pubkey);
    const failure = await pair.rivulet.api.keysend({ nodeId, amountMsat: 1_000n }).then(
      () => 'success',
      (error: Error) => error.message,
    );
    expectThat(failure.startsWith('none of our channels can send now'), `a sentence, not "${failure}"`);
    await pair.reconnect();
    await pair.rivulet.api.keysend({ nodeId, amountMsat: 1_000n });
    await pair.expectBalances({ rivuletMsat: 599_999_000n });
  },
};

export const disconnectCases: readonly InteropCase[] = [
  disconnections('rivulet'),
  disconnections('ldk'),
  offline,
];
