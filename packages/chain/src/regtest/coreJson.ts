import { bytesToHex } from '@rivulet/core/bytes';
import type { TxOutput } from '@rivulet/core/tx';
import { scriptToAddress } from '../address.js';
import { encodeBlock, encodeBlockHeader } from '../block.js';
import type { StoredBlock } from './chainState.js';
import { isCoinbase } from './consensus.js';
import type { MempoolEntry } from './mempool.js';
import { type ScriptKind, scriptKind } from './policy.js';
import { hashToHex, type PreparedTransaction } from './preparedTransaction.js';
import type { RegtestChain } from './regtestChain.js';

/** Regtest's target as a share of the lowest one of mainnet. */
export const regtestDifficulty = 4.656542373906925e-10;

/** Satoshis as the number of bitcoin that Bitcoin Core's JSON has. */
export function bitcoins(valueSat: bigint): number {
  return Number(valueSat) / 1e8;
}

/** The address of a script, if it has one. */
export function addressOf(script: Uint8Array): string | undefined {
  try {
    return scriptToAddress(script, 'regtest');
  } catch {
    return undefined;
  }
}

export function scriptJson(script: Uint8Array): {
  hex: string;
  type: ScriptKind | 'nonstandard';
  address?: string;
} {
  const address = addressOf(script);
  return {
    hex: bytesToHex(script),
    type: scriptKind(script) ?? 'nonstandard',
    ...(address === undefined ? {} : { address }),
  };
}

function outputJson(output: TxOutput, n: number): object {
  return { value: bitcoins(output.valueSat), n, scriptPubKey: scriptJson(output.script) };
}

export function transactionJson({
  tx,
  bytes,
  txidHex,
  wtxidHex,
  vsize,
  weight,
}: PreparedTransaction): object {
  const coinbase = isCoinbase(tx);
  return {
    txid: txidHex,
    hash: wtxidHex,
    version: tx.version,
    size: bytes.length,
    vsize,
    weight,
    locktime: tx.lockTime,
    vin: tx.inputs.map(({ outpoint, scriptSig, sequence, witness }) => ({
      ...(coinbase
        ? { coinbase: bytesToHex(scriptSig) }
        : {
            txid: hashToHex(outpoint.txid),
            vout: outpoint.index,
            scriptSig: { hex: bytesToHex(scriptSig) },
          }),
      ...(witness.length === 0 ? {} : { txinwitness: witness.map(bytesToHex) }),
      sequence,
    })),
    vout: tx.outputs.map(outputJson),
    hex: bytesToHex(bytes),
  };
}

function confirmationsOf(chain: RegtestChain, block: StoredBlock): number {
  return chain.isActive(block) ? chain.height - block.height + 1 : -1;
}

/** What a transaction of a block has on top of transactionJson. */
export function confirmationJson(chain: RegtestChain, block: StoredBlock): object {
  return {
    in_active_chain: chain.isActive(block),
    blockhash: block.hashHex,
    confirmations: confirmationsOf(chain, block),
    time: block.header.time,
    blocktime: block.header.time,
  };
}

/** The work of regtest's target: two hashes a block. */
export function chainwork(height: number): string {
  return (2n * BigInt(height + 1)).toString(16).padStart(64, '0');
}

export function headerHex(block: StoredBlock): string {
  return bytesToHex(encodeBlockHeader(block.header));
}

export function blockBytes(block: StoredBlock): Uint8Array {
  return encodeBlock({ header: block.header, transactions: block.transactions.map((one) => one.tx) });
}

export function headerJson(chain: RegtestChain, block: StoredBlock): object {
  const { header, height } = block;
  const next = chain.isActive(block) ? chain.blockAt(height + 1)?.hashHex : undefined;
  return {
    hash: block.hashHex,
    confirmations: confirmationsOf(chain, block),
    height,
    version: header.version,
    versionHex: (header.version >>> 0).toString(16).padStart(8, '0'),
    merkleroot: hashToHex(header.merkleRoot),
    time: header.time,
    mediantime: chain.medianTimePastOf(block),
    nonce: header.nonce,
    bits: header.bits.toString(16),
    difficulty: regtestDifficulty,
    chainwork: chainwork(height),
    nTx: block.transactions.length,
    ...(height === 0 ? {} : { previousblockhash: hashToHex(header.previousHash) }),
    ...(next === undefined ? {} : { nextblockhash: next }),
  };
}

export function blockJson(options: { chain: RegtestChain; block: StoredBlock; verbosity: number }): object {
  const { chain, block } = options;
  const { transactions } = block;
  return {
    ...headerJson(chain, block),
    size: blockBytes(block).length,
    strippedsize: 80 + 1 + transactions.reduce((sum, one) => sum + one.baseSize, 0),
    weight: 4 * 81 + transactions.reduce((sum, one) => sum + one.weight, 0),
    tx: transactions.map((one) => (options.verbosity >= 2 ? transactionJson(one) : one.txidHex)),
  };
}

export function mempoolEntryJson(chain: RegtestChain, entry: MempoolEntry): object {
  const { mempool } = chain;
  const sum = (ids: Set<string>) => {
    const all = [entry, ...[...ids].map((id) => mempool.get(id)!)];
    return {
      count: all.length,
      vsize: all.reduce((total, one) => total + one.vsize, 0),
      fee: bitcoins(all.reduce((total, one) => total + one.feeSat, 0n)),
    };
  };
  const ancestors = sum(mempool.ancestors(entry.txidHex));
  const descendants = sum(mempool.descendants(entry.txidHex));
  return {
    vsize: entry.vsize,
    weight: entry.weight,
    time: Math.floor(entry.time / 1000),
    height: entry.height,
    descendantcount: descendants.count,
    descendantsize: descendants.vsize,
    ancestorcount: ancestors.count,
    ancestorsize: ancestors.vsize,
    wtxid: entry.wtxidHex,
    fees: {
      base: bitcoins(entry.feeSat),
      modified: bitcoins(entry.feeSat),
      ancestor: ancestors.fee,
      descendant: descendants.fee,
    },
    depends: [...entry.parents],
    spentby: [...entry.children],
    'bip125-replaceable': true,
    unbroadcast: false,
  };
}
