import { bytesToHex, equalBytes } from '@rivulet/core/bytes';
import { check, findChannel, openPair, reconnect, type Scenario, waitUsable } from './scenario.js';

const boost = new TextEncoder().encode('{"action":"boost","value_msat_total":21000}');

export const keysendBothWays: Scenario = {
  name: 'keysend both ways, with custom records, below and above dust',
  async run(context) {
    const { alice, bob, channel } = await openPair(context);
    for (const amountMsat of [1n, 1000n, 5_000_000n, 200_000_000n]) {
      for (const [from, to] of [
        [alice, bob],
        [bob, alice],
      ] as const) {
        const customRecords = new Map([
          [7_629_169n, boost],
          [65_536n, new Uint8Array()],
          [(1n << 63n) + 1n, Uint8Array.of(255)],
        ]);
        const { paymentHash } = await from.sendKeysend({ pubkey: to.pubkey, amountMsat, customRecords });
        const received = await to.log.waitForEvent('paymentClaimable', (event) =>
          equalBytes(event.paymentHash, paymentHash),
        );
        check(received.amountMsat === amountMsat, `${amountMsat} msat received`);
        check(
          bytesToHex(received.customRecords.get(7_629_169n)!) === bytesToHex(boost),
          'the boost received',
        );
        check(received.customRecords.size === 3, 'three custom records received');
      }
    }
    // Equal amounts went both ways, so the channel is where it began, less the reserves of 1 %.
    const isAsBegun = async (): Promise<boolean> => {
      const [mine, theirs] = [
        await findChannel(alice, channel.channelId),
        await findChannel(bob, channel.channelId),
      ];
      return mine?.outboundCapacityMsat === 690_000_000n && theirs?.outboundCapacityMsat === 290_000_000n;
    };
    for (const peer of [alice, bob])
      await peer.log.waitFor(isAsBegun, { what: 'balances as at the beginning' });
  },
};

export const killedInTheMiddle: Scenario = {
  name: 'both nodes are killed in turn in the middle of 60 payments, and every payment settles once',
  async run(context) {
    const { alice, bob, channel } = await openPair(context);
    const payments = 60;
    const ids: Uint8Array[] = [];
    const settledBefore = (): number => alice.log.eventsOf('paymentSent').length;
    for (const victim of [bob, alice, bob]) {
      await waitUsable(channel.channelId, alice, bob);
      const before = settledBefore();
      for (let i = 0; i < payments / 3; i++) {
        ids.push(await alice.startKeysend({ pubkey: bob.pubkey, amountMsat: 2_000_000n, retries: 0 }));
      }
      await alice.log.waitFor(() => settledBefore() >= before + 3, { what: 'some payments settled' });
      await victim.restart({ crash: true });
      await reconnect(alice, bob);
    }
    for (const id of ids) await alice.log.settlement(id);
    const sent = new Set(alice.log.eventsOf('paymentSent').map((event) => bytesToHex(event.paymentHash)));
    check(sent.size === payments, `${payments} different payments sent, not ${sent.size}`);
    const claimed = new Set(bob.log.eventsOf('paymentClaimed').map((event) => bytesToHex(event.paymentHash)));
    check(claimed.size === payments, `${payments} different payments claimed, not ${claimed.size}`);
  },
};

export const holdAndFail: Scenario = {
  name: 'a payment is held and claimed, another is held and failed',
  async run(context) {
    const { alice, bob } = await openPair(context, { receivePolicy: 'hold' });
    const first = await alice.startKeysend({ pubkey: bob.pubkey, amountMsat: 9_000_000n });
    const second = await alice.startKeysend({ pubkey: bob.pubkey, amountMsat: 8_000_000n });
    const claimable = await bob.log.waitFor(
      () => {
        const events = bob.log.eventsOf('paymentClaimable');
        return events.length === 2 && events;
      },
      { what: 'two payments held' },
    );
    if (!claimable) return;
    const keep = claimable.find((event) => event.amountMsat === 9_000_000n)!;
    const refuse = claimable.find((event) => event.amountMsat === 8_000_000n)!;
    await bob.claimPayment(keep.preimage!);
    await bob.failPayment(refuse.paymentHash);
    await alice.log.settlement(first);
    const failure = await alice.log.settlement(second).then(
      () => 'success',
      (error: Error) => error.message,
    );
    check(failure.includes('RecipientRejected'), `the second payment rejected, not ${failure}`);
  },
};

export const feeUpdate: Scenario = {
  name: 'the funder raises the feerate of the channel with update_fee',
  async run(context) {
    const { alice, bob, channel } = await openPair(context);
    await alice.setFeerate(1500);
    await alice.timerTick();
    for (const peer of [alice, bob]) {
      await peer.log.waitFor(
        async () => (await findChannel(peer, channel.channelId))?.feeratePerKw === 1500,
        { what: 'feerate of 1500 a kiloweight' },
      );
    }
  },
};
