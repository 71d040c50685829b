import { bytesToHex } from '@rivulet/core/bytes';
import type { Payment } from '@rivulet/sdk';
import type { Pair } from '../pair.js';
import { expectSame, expectThat } from '../waitUntil.js';

/** The message of a rejection. @throws where there is none. */
export async function failureOf(attempt: Promise<unknown>): Promise<string> {
  let failure: unknown;
  try {
    await attempt;
  } catch (error) {
    failure = error;
  }
  expectThat(failure instanceof Error, 'it fails');
  return (failure as Error).message;
}

/** Every payment that Rivulet knows of, however many pages that is. */
export async function allPayments(
  { rivulet }: Pair,
  direction: 'incoming' | 'outgoing',
): Promise<readonly Payment[]> {
  const found: Payment[] = [];
  for (let before: number | undefined; ; ) {
    const page = await rivulet.api.payments({
      direction,
      limit: 500,
      ...(before === undefined ? {} : { before }),
    });
    found.push(...page.payments);
    if (page.next === undefined) return found;
    before = page.next;
  }
}

/** Starts a keysend of Rivulet and does not wait for its outcome. */
export async function startFromRivulet({ rivulet, ldk }: Pair, amountMsat: bigint): Promise<Payment> {
  return rivulet.api.keysend({ nodeId: bytesToHex(ldk.pubkey), amountMsat, waitSeconds: 0 });
}

/** Ids of LDK's payments that were sent, or that failed; each as often as LDK told. */
export function ldkOutcomes({ ldk }: Pair): { sent: string[]; failed: string[] } {
  return {
    sent: ldk.log.eventsOf('paymentSent').map(({ paymentId }) => bytesToHex(paymentId)),
    failed: ldk.log.eventsOf('paymentFailed').map(({ paymentId }) => bytesToHex(paymentId)),
  };
}

function sum(payments: readonly { readonly amountMsat: bigint }[]): bigint {
  return payments.reduce((total, { amountMsat }) => total + amountMsat, 0n);
}

function hashes(payments: readonly { readonly paymentHash: string | Uint8Array }[]): string[] {
  return payments
    .map(({ paymentHash }) => (typeof paymentHash === 'string' ? paymentHash : bytesToHex(paymentHash)))
    .sort();
}

/**
 * When all is quiet: what one side says it paid is what the other says it received, payment by payment, none
 * lost and none doubled, and the balances are what follows from that.
 * @param startMsat Rivulet's balance at the beginning.
 * @param ldkPayments the ids of all payments that LDK was asked for.
 * @returns how many payments succeeded.
 */
export async function expectAllEndedOnce(
  pair: Pair,
  { startMsat, ldkPayments }: { startMsat: bigint; ldkPayments: readonly Uint8Array[] },
): Promise<{ fromRivulet: number; fromLdk: number }> {
  const { rig, ldk } = pair;
  await rig.until('every payment of LDK ended', () => {
    const { sent, failed } = ldkOutcomes(pair);
    const ended = new Set([...sent, ...failed]);
    return ldkPayments.every((id) => ended.has(bytesToHex(id)));
  });
  await rig.until('every payment of Rivulet ended', async () =>
    (await allPayments(pair, 'outgoing')).every(({ status }) => status !== 'pending'),
  );
  await pair.untilQuiet();
  const { sent, failed } = ldkOutcomes(pair);
  // LDK may tell twice after a crash; it must not tell both.
  const ends = new Set(sent);
  expectThat(
    failed.every((id) => !ends.has(id)),
    'no payment of LDK both sent and failed',
  );
  const outgoing = (await allPayments(pair, 'outgoing')).filter(({ status }) => status === 'succeeded');
  const incoming = await allPayments(pair, 'incoming');
  const claimed = new Map(
    ldk.log.eventsOf('paymentClaimed').map((event) => [bytesToHex(event.paymentHash), event]),
  );
  const sentByLdk = new Map(
    ldk.log.eventsOf('paymentSent').map((event) => [bytesToHex(event.paymentHash), event]),
  );
  expectSame(
    hashes(outgoing).join(),
    hashes([...claimed.values()]).join(),
    'what Rivulet paid and what LDK claimed',
  );
  expectSame(
    hashes(incoming).join(),
    hashes([...sentByLdk.values()]).join(),
    'what Rivulet received and what LDK paid',
  );
  expectSame(sum([...claimed.values()]), sum(outgoing), 'the sum that LDK claimed');
  await pair.expectBalances({ rivuletMsat: startMsat - sum(outgoing) + sum(incoming) });
  return { fromRivulet: outgoing.length, fromLdk: incoming.length };
}
