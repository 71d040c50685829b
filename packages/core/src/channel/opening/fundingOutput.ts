import { equalBytes } from '../../bytes/index.js';
import { fundingScript, type Transaction, txid } from '../../tx/index.js';
import type { ChannelParams } from '../channel.js';

/**
 * Whether a transaction is the channel's funding transaction and pays exactly its capacity to its script
 * (BOLT 2: channel_ready, sender). One that has the right id and fails here makes the channel worthless:
 * it must never be confirmed to the channel.
 */
export function paysFunding(
  { fundingOutpoint, fundingSat, local, remote }: ChannelParams,
  tx: Transaction,
): boolean {
  const output = tx.outputs[fundingOutpoint.index];
  return (
    output !== undefined &&
    equalBytes(txid(tx), fundingOutpoint.txid) &&
    output.valueSat === fundingSat &&
    equalBytes(output.script, fundingScript(local.fundingPubkey, remote.fundingPubkey))
  );
}
