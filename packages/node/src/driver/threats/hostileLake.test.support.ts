import { type Channel, completeLocalCommitment } from '@rivulet/core/channel';
import { decodeInvoice } from '@rivulet/core/invoice';
import type { ChannelSigner } from '@rivulet/core/keys';
import { examineSpend } from '@rivulet/core/monitor';
import { buildHtlcPackage, buildSweep, type Transaction } from '@rivulet/core/tx';
import { deriveNodeSecrets } from '../../wallet/index.js';
import { until } from '../pair.test.support.js';
import { Signers } from '../signers.js';
import { type Place, pause, type Trio } from '../trio.test.support.js';

const lakeSeed = new Uint8Array(64).fill(13);

/** The keys of lake: what its node would never do, a test does with them. */
function lakeSigner({ params }: Channel): ChannelSigner {
  return new Signers(deriveNodeSecrets(lakeSeed, 'regtest').channelSeed).of(params.channelKeyId);
}

/** Lake's commitment of a value that its channel with brook has, or had. */
export function commitmentOfLake(channel: Channel): Transaction {
  return completeLocalCommitment(channel, lakeSigner(channel)).tx;
}

/** Lake's claim with a preimage, on a commitment that a value of its channel describes. */
export function claimOfLake(
  { lake }: Trio,
  {
    channel,
    by,
    preimage,
    feeratePerKw = 5_000,
  }: { channel: Channel; by: Transaction; preimage: Uint8Array; feeratePerKw?: number },
): Transaction {
  const [htlc] = channel.htlcs.direction('received');
  if (htlc === undefined) throw new Error('there is no HTLC');
  const htlcs = channel.htlcs.with({ ...htlc, settlement: { type: 'fulfill', preimage } });
  const { claims } = examineSpend({
    channel: { ...channel, htlcs },
    by,
    signer: lakeSigner(channel),
    archived: [],
  });
  const claim = claims.find(({ purpose }) => purpose === 'htlc_success');
  const feeInputs = lake.node.wallet.feeInputs().slice(0, 1);
  const script = lake.node.wallet.newAddress().script;
  if (claim?.how === 'input') {
    return buildSweep({ inputs: [claim.input, ...feeInputs], script, feeratePerKw })!.tx;
  }
  if (claim?.how !== 'package') throw new Error('there is nothing to claim');
  return buildHtlcPackage({ items: [claim.item], feeInputs, changeScript: script, feeratePerKw })!.tx;
}

interface HeldPayment {
  readonly paymentHash: Uint8Array;
  /** What lake could claim with; to be read before the invoice is cancelled. */
  readonly preimage: Uint8Array;
}

/** A payment of spring's that is through brook and that lake holds. */
export async function heldPayment({ spring, lake }: Trio, amountMsat: bigint): Promise<HeldPayment> {
  const { bolt11, paymentHash, preimage } = await lake.node.payments.invoices.create({
    amountMsat,
    description: 'held',
    hold: true,
  });
  const sent = spring.node.payments.outgoing.payInvoice({ invoice: decodeInvoice(bolt11) });
  sent.outcome.catch(() => {});
  await until(() => lake.node.storage.getInvoice(paymentHash)?.state === 'held', 'it is held');
  return { paymentHash, preimage: preimage! };
}

/** From its next revoke_and_ack on, lake says nothing to brook. */
export function keepRevocation({ brook, lake }: Trio): { readonly kept: () => boolean } {
  const send = lake.node.peers.send.bind(lake.node.peers);
  let kept = false;
  lake.node.peers.send = (...call) => {
    if (call[0] !== brook.node.nodeId) return send(...call);
    kept ||= call[1].some(({ type }) => type === 'revoke_and_ack');
    return kept || send(...call);
  };
  return { kept: () => kept };
}

/** Blocks, one by one, that the nodes at some of the places see. */
export async function mineFor(trio: Trio, places: readonly Place[], blocks: number): Promise<void> {
  for (let i = 0; i < blocks; i++) {
    trio.chain.mine({ blocks: 1 });
    await seenBy(trio, places);
  }
}

export async function seenBy(trio: Trio, places: readonly Place[]): Promise<void> {
  const { height } = trio.chain.tip;
  await until(() => places.every((place) => trio[place].node.blockHeight === height), 'the blocks are seen');
  await pause();
}
