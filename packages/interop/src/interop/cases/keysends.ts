import { bytesToHex, equalBytes, utf8ToBytes } from '@rivulet/core/bytes';
import type { InteropCase } from '../interopCase.js';
import { type Opener, Pair } from '../pair.js';
import { expectSame, expectThat } from '../waitUntil.js';

const amountsMsat = [1_000n, 1_000_000n, 200_000_000n];

const textMessage = 34_349_334n;
/** A text message, an even record, an odd one, an empty one and one of 900 bytes. */
const customRecords: ReadonlyMap<bigint, Uint8Array> = new Map([
  [65_537n, Uint8Array.of(1, 2, 3)],
  [77_776n, new Uint8Array(0)],
  [7_629_169n, new Uint8Array(900).map((_, i) => i & 0xff)],
  [textMessage, utf8ToBytes('für dich ⚡')],
  [(1n << 62n) + 2n, Uint8Array.of(0xff)],
]);

function expectRecords(actual: ReadonlyMap<bigint, Uint8Array>, whose: string): void {
  const show = (records: ReadonlyMap<bigint, Uint8Array>) =>
    [...records].map(([type, value]) => `${type}=${bytesToHex(value)}`).join(' ');
  expectSame(show(actual), show(customRecords), `the records of ${whose}`);
}

async function fromRivulet({ rivulet, ldk }: Pair, amountMsat: bigint): Promise<void> {
  const sent = await rivulet.api.keysend({
    nodeId: bytesToHex(ldk.pubkey),
    amountMsat,
    records: new Map(customRecords),
  });
  expectSame(sent.status, 'succeeded', 'the payment');
  const received = ldk.log
    .eventsOf('paymentClaimable')
    .find(({ paymentHash }) => bytesToHex(paymentHash) === sent.paymentHash);
  expectThat(received !== undefined, 'LDK received it');
  expectSame(received!.amountMsat, amountMsat, 'the amount that LDK sees');
  expectSame(bytesToHex(received!.preimage!), sent.preimage, 'the preimage');
  expectRecords(received!.customRecords, 'Rivulet, as LDK sees them');
}

async function fromLdk({ rig, rivulet, ldk }: Pair, amountMsat: bigint): Promise<void> {
  const preimage = new Uint8Array(32).fill(Number(amountMsat % 251n));
  const sent = await ldk.sendKeysend({
    pubkey: rivulet.pubkey,
    amountMsat,
    customRecords,
    preimage,
    // Some senders add one, of no use to a keysend in one part.
    withPaymentSecret: amountMsat === 1_000_000n,
  });
  expectThat(equalBytes(sent.preimage, preimage), 'the preimage comes back');
  const paymentHash = bytesToHex(sent.paymentHash);
  const received = await rig.until('Rivulet tells of the payment', async () => {
    const { payments } = await rivulet.api.payments({ direction: 'incoming' });
    return payments.find((payment) => payment.paymentHash === paymentHash);
  });
  expectSame(received.amountMsat, amountMsat, 'the amount that Rivulet sees');
  expectSame(received.preimage, bytesToHex(preimage), 'the preimage');
  expectSame(received.message, 'für dich ⚡', 'the message');
  expectRecords(received.records, 'LDK, as Rivulet sees them');
}

async function keysendBothWays(pair: Pair, rivuletMsat: bigint): Promise<void> {
  for (const amountMsat of amountsMsat) {
    await fromRivulet(pair, amountMsat);
    await pair.expectBalances({ rivuletMsat: rivuletMsat - amountMsat });
    await fromLdk(pair, amountMsat);
    await pair.expectBalances({ rivuletMsat });
  }
}

function keysend(opener: Opener): InteropCase {
  return {
    name: `${opener} opens; keysend both ways with records, at 1, 1,000 and 200,000 sat`,
    async run(rig) {
      const peers = { rivulet: await rig.startRivulet(), ldk: await rig.startLdk() };
      const pair = await Pair.open(rig, peers, { opener });
      await keysendBothWays(pair, opener === 'rivulet' ? 600_000_000n : 400_000_000n);
    },
  };
}

export const keysendCases: readonly InteropCase[] = [keysend('rivulet'), keysend('ldk')];
