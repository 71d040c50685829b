import { type ChainBackend, encodeBlockHeader } from '@rivulet/chain';
import { decodeTransaction, encodeTransaction } from '@rivulet/core/tx';
import { LdkError } from './ldkError.js';
import type { LdkChain } from './ldkTypes.js';

/** Lets an LDK node live on one of Rivulet's chain backends. */
export function ldkChainOf(backend: ChainBackend): LdkChain {
  return {
    tip: () => backend.getTip(),
    async block(height) {
      const block = await backend.getBlock(height);
      return (
        block && {
          height: block.height,
          hash: block.hash,
          header: encodeBlockHeader(block.header),
          transactions: block.transactions.map(encodeTransaction),
        }
      );
    },
    async broadcast(transactions) {
      const decoded = transactions.map(decodeTransaction);
      const results =
        decoded.length === 1
          ? [await backend.broadcast(decoded[0]!)]
          : await backend.broadcastPackage(decoded);
      // LDK sends the whole package again at every block: what is there already is no failure.
      const refused = results.find(
        (result) =>
          !result.accepted && result.code !== 'already_known' && result.code !== 'already_confirmed',
      );
      if (refused && !refused.accepted)
        throw new LdkError('ldk_refused', `${refused.code}: ${refused.message}`);
    },
    onTip: (listener) => backend.onTip(() => listener()),
  };
}
