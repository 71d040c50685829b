import { bytesToHex, concatBytes, equalBytes } from '@rivulet/core/bytes';
import { sha256d } from '@rivulet/core/crypto';
import type { Transaction } from '@rivulet/core/tx';
import { type Block, merkleRoot } from './block.js';
import type { Network } from './network.js';
import { heightPush, witnessCommitmentPrefix } from './regtest/blockAssembly.js';
import { isCoinbase } from './regtest/consensus.js';
import { prepareTransaction } from './regtest/preparedTransaction.js';

/** BIP 34: from when on every coinbase begins with its height. Regtest is left out: it may not. */
const heightInCoinbaseFrom: Readonly<Record<Network, number>> = {
  mainnet: 227_931,
  testnet4: 1,
  signet: 1,
  regtest: Number.POSITIVE_INFINITY,
};

/** BIP 141: the last output of the coinbase that has the form of a commitment counts. */
function commitmentOf(coinbase: Transaction): Uint8Array | undefined {
  return coinbase.outputs
    .map(({ script }) => script)
    .findLast((script) => {
      return script.length >= 38 && equalBytes(script.subarray(0, 6), witnessCommitmentPrefix);
    })
    ?.subarray(6, 38);
}

/**
 * Why these transactions are not the ones that the header's proof of work stands for, witnesses included;
 * `undefined` where they are. The header itself is judged by `proofOfWorkFault`.
 */
export function blockFault(
  block: Block,
  { network, height }: { network: Network; height?: number | undefined },
): string | undefined {
  const [coinbase] = block.transactions;
  // Without it, inner nodes of the merkle tree could be passed off as transactions of 64 bytes.
  if (coinbase === undefined || !isCoinbase(coinbase)) return 'it does not begin with a coinbase';
  const prepared = block.transactions.map((tx) => prepareTransaction(tx));
  // Hashes that come twice can be left out of a merkle tree without a change of its root (CVE-2012-2459).
  if (new Set(prepared.map(({ txid }) => bytesToHex(txid))).size !== prepared.length) {
    return 'it has a transaction twice';
  }
  if (!equalBytes(merkleRoot(prepared.map(({ txid }) => txid)), block.header.merkleRoot)) {
    return 'its transactions are not those of its header';
  }
  const commitment = commitmentOf(coinbase);
  if (commitment === undefined) {
    const bare = block.transactions.every((tx) => tx.inputs.every(({ witness }) => witness.length === 0));
    if (!bare) return 'it has witnesses and does not commit to them';
  } else {
    const [reserved, ...more] = coinbase.inputs[0]?.witness ?? [];
    if (reserved?.length !== 32 || more.length > 0) return 'its coinbase has not the witness it needs';
    const root = merkleRoot([new Uint8Array(32), ...prepared.slice(1).map(({ wtxid }) => wtxid)]);
    if (!equalBytes(sha256d(concatBytes(root, reserved)), commitment)) {
      return 'its witnesses are not those that it commits to';
    }
  }
  if (height !== undefined && height >= heightInCoinbaseFrom[network]) {
    const push = heightPush(height);
    const { scriptSig } = coinbase.inputs[0] as (typeof coinbase.inputs)[0];
    if (!equalBytes(scriptSig.subarray(0, push.length), push))
      return `it is not the block of height ${height}`;
  }
  return undefined;
}
