import { bytesToHex } from '@rivulet/core/bytes';
import type { InteropCase } from '../interopCase.js';
import { type Opener, Pair } from '../pair.js';
import { expectSame, expectThat } from '../waitUntil.js';
import { allPayments, expectAllEndedOnce, startFromRivulet } from './outcomes.js';

const rounds = 4;
const perRound = 20;

/** Starts payments both ways; those that Rivulet did not store before it was killed never were. */
function startBothWays(pair: Pair): { ids: Uint8Array[]; started: Promise<unknown> } {
  const ids: Uint8Array[] = [];
  const started: Promise<unknown>[] = [];
  for (let i = 0; i < perRound; i++) {
    const amountMsat = BigInt(1 + i) * 100_000n;
    started.push(startFromRivulet(pair, amountMsat).catch(() => undefined));
    started.push(
      pair.ldk.startKeysend({ pubkey: pair.rivulet.pubkey, amountMsat }).then(
        (id) => ids.push(id),
        () => undefined,
      ),
    );
  }
  return { ids, started: Promise.all(started) };
}

async function settledSoFar(pair: Pair): Promise<number> {
  const incoming = await allPayments(pair, 'incoming');
  const outgoing = await allPayments(pair, 'outgoing');
  return incoming.length + outgoing.filter(({ status }) => status !== 'pending').length;
}

async function untilSomeSettled(pair: Pair, before: number, count: number): Promise<void> {
  await pair.rig.until(`${count} payments settled`, async () => (await settledSoFar(pair)) >= before + count);
}

const rivuletKilled = (opener: Opener): InteropCase => ({
  name: `${opener} opens; Rivulet is killed four times in the middle of payments both ways`,
  async run(rig) {
    const peers = { rivulet: await rig.startRivuletProcess(), ldk: await rig.startLdk() };
    const pair = await Pair.open(rig, peers, { opener });
    const startMsat = (await pair.rivuletChannel()).localMsat;
    const ldkPayments: Uint8Array[] = [];
    let interrupted = 0;
    for (let round = 0; round < rounds; round++) {
      const before = await settledSoFar(pair);
      const { ids, started } = startBothWays(pair);
      await untilSomeSettled(pair, before, 1 + round * 3);
      await pair.rivulet.stop({ crash: true });
      await started;
      ldkPayments.push(...ids);
      await pair.rivulet.start();
      interrupted += await pair.reconnect();
    }
    expectThat(interrupted > 0, 'payments under way when Rivulet was killed');
    const ended = await expectAllEndedOnce(pair, { startMsat, ldkPayments });
    expectThat(ended.fromRivulet >= rounds && ended.fromLdk >= rounds, 'payments in both directions');
  },
});

const ldkKilled = (opener: Opener): InteropCase => ({
  name: `${opener} opens; LDK is killed four times in the middle of payments both ways`,
  async run(rig) {
    const peers = { rivulet: await rig.startRivulet(), ldk: await rig.startLdkProcess() };
    const pair = await Pair.open(rig, peers, { opener });
    const startMsat = (await pair.rivuletChannel()).localMsat;
    const ldkPayments: Uint8Array[] = [];
    let interrupted = 0;
    for (let round = 0; round < rounds; round++) {
      const before = await settledSoFar(pair);
      const { ids, started } = startBothWays(pair);
      await started;
      await untilSomeSettled(pair, before, 1 + round * 3);
      ldkPayments.push(...ids);
      await pair.ldk.restart({ crash: true });
      interrupted += await pair.reconnect();
    }
    expectThat(interrupted > 0, 'payments under way when LDK was killed');
    const ended = await expectAllEndedOnce(pair, { startMsat, ldkPayments });
    expectThat(ended.fromRivulet >= rounds && ended.fromLdk >= rounds, 'payments in both directions');
  },
});

const heldOverRestart: InteropCase = {
  name: 'payments that LDK holds survive a kill of Rivulet, then a kill of LDK; one is claimed, one failed',
  async run(rig) {
    const peers = {
      rivulet: await rig.startRivuletProcess(),
      ldk: await rig.startLdkProcess({ receivePolicy: 'hold' }),
    };
    const pair = await Pair.open(rig, peers, { opener: 'rivulet' });
    await startFromRivulet(pair, 30_000_000n);
    await startFromRivulet(pair, 20_000_000n);
    const claimable = await rig.until('two payments held', () => {
      const events = pair.ldk.log.eventsOf('paymentClaimable');
      return events.length === 2 && events;
    });
    await pair.rivulet.stop({ crash: true });
    await pair.rivulet.start();
    await pair.reconnect();
    await pair.ldk.restart({ crash: true });
    await pair.reconnect();
    const claim = claimable.find(({ amountMsat }) => amountMsat === 30_000_000n);
    const fail = claimable.find(({ amountMsat }) => amountMsat === 20_000_000n);
    await pair.ldk.claimPayment(claim!.preimage!);
    await pair.ldk.failPayment(fail!.paymentHash);
    await expectAllEndedOnce(pair, { startMsat: 600_000_000n, ldkPayments: [] });
    await pair.expectBalances({ rivuletMsat: 570_000_000n });
    const failed = (await allPayments(pair, 'outgoing')).find(({ status }) => status === 'failed');
    expectThat(failed?.paymentHash === bytesToHex(fail!.paymentHash), 'the failed one reported as such');
    expectSame(failed?.failure?.code, 'refused_by_destination', 'its failure, read after the restart');
  },
};

export const crashCases: readonly InteropCase[] = [
  rivuletKilled('rivulet'),
  rivuletKilled('ldk'),
  ldkKilled('rivulet'),
  ldkKilled('ldk'),
  heldOverRestart,
];
