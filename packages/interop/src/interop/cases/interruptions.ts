import { bytesToHex } from '@rivulet/core/bytes';
import type { Message } from '@rivulet/core/wire';
import type { InteropCase } from '../interopCase.js';
import { Pair } from '../pair.js';
import { expectThat } from '../waitUntil.js';
import { confirmedSat } from './closings.js';
import { expectClosed } from './cooperativeCloses.js';
import { expectAllEndedOnce, startFromRivulet } from './outcomes.js';

const whens = ['before', 'after'] as const;
const ofPayments: readonly Message['type'][] = [
  'update_add_htlc',
  'commitment_signed',
  'revoke_and_ack',
  'update_fulfill_htlc',
];

const payments: InteropCase = {
  name: 'the connection ends before and after each kind of our messages of a payment, both ways',
  async run(rig) {
    const rivulet = await rig.startRivulet();
    const pair = await Pair.open(rig, { rivulet, ldk: await rig.startLdk() }, { opener: 'rivulet' });
    const ldkPayments: Uint8Array[] = [];
    for (const type of ofPayments) {
      for (const when of whens) {
        rivulet.cut(when, type);
        for (const amountMsat of [3_000n, 3_000_000n]) {
          // Where the first has ended the connection, the second is refused.
          await startFromRivulet(pair, amountMsat).catch(() => undefined);
          ldkPayments.push(await pair.ldk.startKeysend({ pubkey: rivulet.pubkey, amountMsat }));
        }
        await pair.reconnect();
        await pair.untilQuiet();
      }
    }
    await expectAllEndedOnce(pair, { startMsat: 600_000_000n, ldkPayments });
  },
};

const refusals: InteropCase = {
  name: 'the connection ends before and after our refusal of a payment',
  async run(rig) {
    const rivulet = await rig.startRivulet({ receive: { acceptKeysend: false, minAmountMsat: 1n } });
    const pair = await Pair.open(rig, { rivulet, ldk: await rig.startLdk() }, { opener: 'ldk' });
    for (const when of whens) {
      rivulet.cut(when, 'update_fail_htlc');
      const id = await pair.ldk.startKeysend({ pubkey: rivulet.pubkey, amountMsat: 3_000_000n });
      await pair.reconnect();
      const reason = await pair.ldk.log.settlement(id).then(
        () => 'success',
        (error: Error) => error.message,
      );
      expectThat(reason.includes('RecipientRejected'), `RecipientRejected, not ${reason}`);
      await pair.expectBalances({ rivuletMsat: 400_000_000n });
    }
  },
};

const feeUpdates: InteropCase = {
  name: 'the connection ends before and after our update of the feerate and its commitment',
  async run(rig) {
    const rivulet = await rig.startRivulet();
    const pair = await Pair.open(rig, { rivulet, ldk: await rig.startLdk() }, { opener: 'rivulet' });
    let feeratePerKw = 253;
    for (const type of ['update_fee', 'commitment_signed', 'revoke_and_ack'] as const) {
      for (const when of whens) {
        feeratePerKw = Math.floor(feeratePerKw * 1.3);
        rivulet.cut(when, type);
        rig.chain.regtest.feeratePerKw = feeratePerKw;
        await rig.mine(1);
        await pair.reconnect();
        // What went down with the connection is proposed anew with the next block.
        await rig.mine(1);
        await rig.until(`a feerate of ${feeratePerKw} on both sides`, async () => {
          const [ours, theirs] = [await pair.rivuletChannel(), await pair.ldkChannel()];
          return ours.feeratePerKw === feeratePerKw && theirs.feeratePerKw === feeratePerKw;
        });
        await rivulet.api.keysend({ nodeId: bytesToHex(pair.ldk.pubkey), amountMsat: 1_000_000n });
        await pair.ldk.sendKeysend({ pubkey: rivulet.pubkey, amountMsat: 1_000_000n });
        await pair.expectBalances({ rivuletMsat: 600_000_000n });
      }
    }
  },
};

const closes = (type: 'shutdown' | 'closing_signed', when: 'before' | 'after'): InteropCase => ({
  name: `the connection ends ${when} our ${type}: the close goes on when it is back`,
  async run(rig) {
    const rivulet = await rig.startRivulet();
    const pair = await Pair.open(rig, { rivulet, ldk: await rig.startLdk() }, { opener: 'rivulet' });
    const beforeSat = await confirmedSat(rivulet);
    rivulet.cut(when, type);
    await rivulet.api.closeChannel({ channelId: pair.channelId });
    await pair.untilApart();
    await pair.dial();
    await expectClosed(pair, { opener: 'rivulet', beforeSat });
  },
});

const ready = (when: 'before' | 'after'): InteropCase => ({
  name: `the connection ends ${when} our channel_ready: the channel becomes usable when it is back`,
  async run(rig) {
    const rivulet = await rig.startRivulet();
    const ldk = await rig.startLdk();
    rivulet.cut(when, 'channel_ready');
    const redial = rivulet.onChange(() => {
      if (rivulet.logLines.some((line) => line.includes('the disconnection was asked for'))) {
        redial();
        void rivulet.api.connect({ nodeId: bytesToHex(ldk.pubkey), host: '127.0.0.1', port: ldk.port });
      }
    });
    const pair = await Pair.open(rig, { rivulet, ldk }, { opener: 'rivulet' });
    await rivulet.api.keysend({ nodeId: bytesToHex(ldk.pubkey), amountMsat: 1_000_000n });
    await pair.expectBalances({ rivuletMsat: 599_000_000n });
  },
});

export const interruptionCases: readonly InteropCase[] = [
  ready('before'),
  ready('after'),
  payments,
  refusals,
  feeUpdates,
  closes('shutdown', 'before'),
  closes('shutdown', 'after'),
  closes('closing_signed', 'before'),
  closes('closing_signed', 'after'),
];
