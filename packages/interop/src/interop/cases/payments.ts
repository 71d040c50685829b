import { bytesToHex } from '@rivulet/core/bytes';
import type { InteropCase } from '../interopCase.js';
import { type Opener, Pair } from '../pair.js';
import { expectSame, expectThat } from '../waitUntil.js';
import { expectAllEndedOnce, failureOf, ldkOutcomes, startFromRivulet } from './outcomes.js';

const atOnce = 50;

const manyAtOnce = (opener: Opener): InteropCase => ({
  name: `${opener} opens; 50 payments at once in each direction at the same time`,
  async run(rig) {
    const peers = { rivulet: await rig.startRivulet(), ldk: await rig.startLdk() };
    const pair = await Pair.open(rig, peers, { opener, pushSat: 450_000n });
    const startMsat = (await pair.rivuletChannel()).localMsat;
    const ldkPayments: Uint8Array[] = [];
    for (let i = 0; i < atOnce; i++) {
      // Some below dust, some above it.
      const amountMsat = BigInt(1 + i) * 50_000n;
      const [, id] = await Promise.all([
        startFromRivulet(pair, amountMsat),
        pair.ldk.startKeysend({ pubkey: pair.rivulet.pubkey, amountMsat: amountMsat + 1n }),
      ]);
      ldkPayments.push(id);
    }
    const ended = await expectAllEndedOnce(pair, { startMsat, ldkPayments });
    expectSame(ended.fromRivulet, atOnce, 'payments of Rivulet that succeeded');
    expectSame(ended.fromLdk, atOnce, 'payments of LDK that succeeded');
  },
});

const ldkFails: InteropCase = {
  name: 'LDK fails a payment: ours fails with a sentence, the HTLC is gone, the balances are as before',
  async run(rig) {
    const peers = { rivulet: await rig.startRivulet(), ldk: await rig.startLdk({ receivePolicy: 'fail' }) };
    const pair = await Pair.open(rig, peers, { opener: 'rivulet' });
    const nodeId = bytesToHex(pair.ldk.pubkey);
    const message = await failureOf(pair.rivulet.api.keysend({ nodeId, amountMsat: 5_000_000n }));
    expectThat(
      message.startsWith('the destination does not take this payment'),
      `a sentence, not "${message}"`,
    );
    await pair.expectBalances({ rivuletMsat: 600_000_000n });
    const { payments } = await pair.rivulet.api.payments({});
    expectSame(payments[0]?.status, 'failed', 'the payment');
    expectSame(payments[0]?.failure?.code, 'refused_by_destination', 'the failure');
    await pair.ldk.setReceivePolicy('claim');
    await pair.rivulet.api.keysend({ nodeId, amountMsat: 5_000_000n });
    await pair.expectBalances({ rivuletMsat: 595_000_000n });
  },
};

const tooMuch: InteropCase = {
  name: 'payments that nobody can afford: Rivulet says so and sends nothing, LDK finds no route',
  async run(rig) {
    const peers = { rivulet: await rig.startRivulet(), ldk: await rig.startLdk() };
    const pair = await Pair.open(rig, peers, { opener: 'rivulet' });
    const nodeId = bytesToHex(pair.ldk.pubkey);
    const message = await failureOf(pair.rivulet.api.keysend({ nodeId, amountMsat: 600_000_000n }));
    expectThat(/at most|balance|reserve/.test(message), `a sentence, not "${message}"`);
    await failureOf(pair.ldk.sendKeysend({ pubkey: pair.rivulet.pubkey, amountMsat: 400_000_000n }));
    await pair.expectBalances({ rivuletMsat: 600_000_000n });
    // All that each says it can send, to the millisatoshi.
    const { spendableMsat } = await pair.rivuletChannel();
    await pair.rivulet.api.keysend({ nodeId, amountMsat: spendableMsat });
    await pair.expectBalances({ rivuletMsat: 600_000_000n - spendableMsat });
    const { nextOutboundHtlcLimitMsat } = await pair.ldkChannel();
    await pair.ldk.sendKeysend({ pubkey: pair.rivulet.pubkey, amountMsat: nextOutboundHtlcLimitMsat });
    await pair.expectBalances({ rivuletMsat: 600_000_000n - spendableMsat + nextOutboundHtlcLimitMsat });
  },
};

const weRefuse: InteropCase = {
  name: 'Rivulet refuses (keysend off, amount too small): LDK is told that the recipient rejected it',
  async run(rig) {
    const rivulet = await rig.startRivulet({ receive: { acceptKeysend: false, minAmountMsat: 1n } });
    const pair = await Pair.open(rig, { rivulet, ldk: await rig.startLdk() }, { opener: 'ldk' });
    const pay = (amountMsat: bigint) => pair.ldk.sendKeysend({ pubkey: rivulet.pubkey, amountMsat });
    const off = await failureOf(pay(5_000_000n));
    expectThat(off.includes('RecipientRejected'), `keysend off: RecipientRejected, not "${off}"`);
    await rivulet.setReceivePolicy({ acceptKeysend: true, minAmountMsat: 10_000n });
    const small = await failureOf(pay(9_999n));
    expectThat(small.includes('RecipientRejected'), `too small: RecipientRejected, not "${small}"`);
    await pair.expectBalances({ rivuletMsat: 400_000_000n });
    await pay(10_000n);
    await pair.expectBalances({ rivuletMsat: 400_010_000n });
    const { sent, failed } = ldkOutcomes(pair);
    expectSame(`${sent.length} sent, ${failed.length} failed`, '1 sent, 2 failed', "LDK's payments");
    expectThat(
      pair.ldk.log.eventsOf('paymentPathFailed').every(({ permanent }) => permanent),
      'failures that are permanent',
    );
  },
};

const held: InteropCase = {
  name: 'LDK holds 20 payments for a while, then claims half of them and fails the others',
  async run(rig) {
    const peers = { rivulet: await rig.startRivulet(), ldk: await rig.startLdk({ receivePolicy: 'hold' }) };
    const pair = await Pair.open(rig, peers, { opener: 'rivulet' });
    for (let i = 0; i < 20; i++) await startFromRivulet(pair, BigInt(i + 1) * 400_000n);
    const claimable = await rig.until('20 payments held', () => {
      const events = pair.ldk.log.eventsOf('paymentClaimable');
      return events.length === 20 && events;
    });
    expectSame((await pair.rivuletChannel()).pendingHtlcs, 20, 'HTLCs pending');
    for (const [i, { preimage, paymentHash }] of claimable.entries()) {
      if (i % 2 === 0) await pair.ldk.claimPayment(preimage!);
      else await pair.ldk.failPayment(paymentHash);
    }
    const ended = await expectAllEndedOnce(pair, { startMsat: 600_000_000n, ldkPayments: [] });
    expectSame(ended.fromRivulet, 10, 'payments that succeeded');
  },
};

export const paymentCases: readonly InteropCase[] = [
  manyAtOnce('rivulet'),
  manyAtOnce('ldk'),
  ldkFails,
  weRefuse,
  tooMuch,
  held,
];
