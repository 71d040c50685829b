import { decodeTransaction } from '@rivulet/core/tx';
import { fromShortChannelId } from '@rivulet/core/wire';
import * as ldk from 'lightningdevkit';
import type { LdkBlock } from './ldkTypes.js';

/** What a look-up may give: an output, none, or that the block is not here yet. */
type Found = { valueSat: bigint; script: Uint8Array } | 'absent' | 'later';

/** The outputs of the chain by short channel id, by which LDK checks announcements of channels. */
export class LdkUtxos {
  readonly #blocks = new Map<number, readonly Uint8Array[]>();
  #waiting: { shortChannelId: bigint; future: ldk.UtxoFuture }[] = [];
  #height = 0;

  addBlock({ height, transactions }: LdkBlock): void {
    this.#height = height;
    // Coinbases alone fund no channel.
    if (transactions.length > 1) this.#blocks.set(height, transactions);
    else this.#blocks.delete(height);
  }

  /** The look-up as LDK wants it; `resolveWaiting` answers what it left open. */
  asLookup(): ldk.UtxoLookup {
    return ldk.UtxoLookup.new_impl({
      get_utxo: (_chainHash, shortChannelId) => {
        const found = this.#find(shortChannelId);
        if (found !== 'later') return ldk.UtxoResult.constructor_sync(resultOf(found));
        const future = ldk.UtxoFuture.constructor_new();
        this.#waiting.push({ shortChannelId, future });
        return ldk.UtxoResult.constructor_async(future.clone());
      },
    });
  }

  /** Answers what was asked about blocks that have come since; to be called outside LDK. */
  resolveWaiting(graph: ldk.NetworkGraph, gossip: ldk.P2PGossipSync): void {
    const waiting = this.#waiting;
    this.#waiting = [];
    for (const each of waiting) {
      const found = this.#find(each.shortChannelId);
      if (found === 'later') this.#waiting.push(each);
      else each.future.resolve(graph, gossip, resultOf(found));
    }
  }

  /** A stopped node asks no more. */
  forgetWaiting(): void {
    this.#waiting = [];
  }

  #find(shortChannelId: bigint): Found {
    const { blockHeight, txIndex, outputIndex } = fromShortChannelId(shortChannelId);
    if (blockHeight > this.#height) return 'later';
    const raw = this.#blocks.get(blockHeight)?.[txIndex];
    const output = raw && decodeTransaction(raw).outputs[outputIndex];
    return output ? { valueSat: output.valueSat, script: output.script } : 'absent';
  }
}

function resultOf(found: Exclude<Found, 'later'>): ldk.Result_TxOutUtxoLookupErrorZ {
  if (found === 'absent') {
    return ldk.Result_TxOutUtxoLookupErrorZ.constructor_err(ldk.UtxoLookupError.LDKUtxoLookupError_UnknownTx);
  }
  return ldk.Result_TxOutUtxoLookupErrorZ.constructor_ok(
    ldk.TxOut.constructor_new(found.valueSat, found.script),
  );
}
