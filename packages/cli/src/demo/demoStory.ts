import type { Payment } from '@rivulet/sdk';
import { formatMsat, formatSat } from '../format/amount.js';
import { shortId } from '../format/text.js';
import type { DemoNode } from './demoNode.js';

/** A node's money, as the demo shows it. */
export interface Holdings {
  readonly name: string;
  readonly onchainSat: bigint;
  readonly channelMsat: bigint;
}

export async function holdingsOf({ name, client }: DemoNode): Promise<Holdings> {
  const { onchain, channels } = await client.balance({});
  return {
    name,
    onchainSat: onchain.confirmedSat + onchain.unconfirmedSat,
    channelMsat: channels.localMsat,
  };
}

export function describeHoldings(title: string, holdings: readonly Holdings[]): string {
  const rows = holdings.map(
    ({ name, onchainSat, channelMsat }) =>
      `  ${name.padEnd(8)} ${formatMsat(channelMsat).padStart(18)} in the channel   ${formatSat(onchainSat).padStart(22)} on chain`,
  );
  return [title, ...rows].join('\n');
}

/** What a payment looks like from each place: all that there is to see, and what is not there. */
export function describeViews({
  payment,
  sender,
  receiver,
}: {
  payment: Payment;
  sender: string;
  receiver: string;
}): string {
  const hash = shortId(payment.paymentHash);
  const amount = formatMsat(payment.amountMsat);
  const text =
    payment.message === undefined ? 'no message' : `the message ${JSON.stringify(payment.message)}`;
  const views: [who: string, what: string][] = [
    [`${sender} knows`, `to whom, ${amount}, the preimage it made, the message`],
    [
      `${receiver} sees`,
      `${amount} locked to ${hash}… on its channel; in the onion's last layer the preimage`,
    ],
    ['', `and ${text}`],
    [
      `${receiver} can't see`,
      `whether ${sender} sent it or passes it on: nothing in it is signed by a sender`,
    ],
    ['the wire', 'carries encrypted bytes (BOLT 8); the onion in them is encrypted to the receiver alone'],
    ['the chain', 'sees nothing: the payment is a new signature on an unpublished transaction'],
  ];
  const width = Math.max(...views.map(([who]) => who.length));
  return views.map(([who, what]) => `  ${who.padEnd(width)}  ${what}`).join('\n');
}
