import type { Payment, ResponseOf } from '@rivulet/sdk';
import { formatMsat, formatSat } from '../format/amount.js';
import { formatBlocks, formatProbability } from '../format/number.js';
import { printable, shortId } from '../format/text.js';
import type { DemoNode } from './demoNode.js';

/** A node's money, as the demo shows it. */
export interface Holdings {
  readonly name: string;
  readonly onchainSat: bigint;
  readonly channelMsat: bigint;
}

async function holdingsOf({ name, client }: DemoNode): Promise<Holdings> {
  const { onchain, channels } = await client.balance({});
  return {
    name,
    onchainSat: onchain.confirmedSat + onchain.unconfirmedSat,
    channelMsat: channels.localMsat,
  };
}

export function holdingsOfAll(nodes: readonly DemoNode[]): Promise<Holdings[]> {
  return Promise.all(nodes.map(holdingsOf));
}

export function describeHoldings(title: string, holdings: readonly Holdings[]): string {
  const rows = holdings.map(
    ({ name, onchainSat, channelMsat }) =>
      `  ${name.padEnd(8)} ${formatMsat(channelMsat).padStart(18)} in channels   ${formatSat(onchainSat).padStart(22)} on chain`,
  );
  return [title, ...rows].join('\n');
}

/** A way, in a line: `spring → brook (1.1 sat) → lake`. */
export function describeWay(
  { routes, feeMsat, delayBlocks, probability }: ResponseOf<'route'>,
  given: { from: string; names: ReadonlyMap<string, string> },
): string {
  const lines = routes.map(({ hops }) =>
    [
      given.from,
      ...hops.map((hop, i) => {
        const name = given.names.get(hop.nodeId) ?? printable(hop.alias ?? shortId(hop.nodeId));
        const takenMsat = hops[i + 1]?.feeMsat ?? 0n;
        return i === hops.length - 1 ? name : `${name} (takes ${formatMsat(takenMsat)})`;
      }),
    ].join(' → '),
  );
  return `  ${lines.join(', ')}: fee ${formatMsat(feeMsat)}, locked for at most ${formatBlocks(delayBlocks)}, likely to arrive: ${formatProbability(probability)}`;
}

/** What one place sees of a payment. */
type View = readonly [who: string, what: string];

/** What a payment looks like from each place: all that there is to see, and what is not there. */
export function describeViews({
  payment,
  earned,
  sender,
  between,
  receiver,
}: {
  /** As the receiver lists it. */
  payment: Payment;
  /** As the node between counts it. */
  earned: { readonly amountMsat: bigint; readonly feeMsat: bigint };
  sender: string;
  between: string;
  receiver: string;
}): string {
  const hash = shortId(payment.paymentHash);
  const amount = formatMsat(payment.amountMsat);
  const text =
    payment.message === undefined ? 'no message' : `the message ${JSON.stringify(payment.message)}`;
  const views: readonly View[] = [
    [`${sender} knows`, `to whom, ${amount}, the way and its fees, the preimage it made, the message`],
    [
      `${between} sees`,
      `${formatMsat(earned.amountMsat + earned.feeMsat)} coming in, locked to the hash ${hash}…, and the next hop: ${formatMsat(earned.amountMsat)}`,
    ],
    [
      '',
      `to go out, locked to the same hash. It earns ${formatMsat(earned.feeMsat)}, and counts that by the hour, without the hash`,
    ],
    [
      `${between} can't see`,
      'who pays, who is paid, for what: either neighbour may be passing it on as well',
    ],
    [
      `${receiver} sees`,
      `${amount} locked to ${hash}… on its channel; in the onion's last layer the preimage`,
    ],
    ['', `and ${text}`],
    [`${receiver} can't see`, 'who sent it: nothing in it is signed by a sender'],
    [
      'the wire',
      'carries encrypted bytes (BOLT 8); each layer of the onion in them opens for one node alone',
    ],
    ['the chain', 'sees nothing: the payment is a new signature on unpublished transactions'],
  ];
  const width = Math.max(...views.map(([who]) => who.length));
  return views.map(([who, what]) => `  ${who.padEnd(width)}  ${what}`).join('\n');
}
