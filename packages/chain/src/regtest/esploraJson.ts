import { bytesToHex } from '@rivulet/core/bytes';
import type { TxOutput } from '@rivulet/core/tx';
import type { StoredBlock } from './chainState.js';
import { isCoinbase } from './consensus.js';
import { addressOf, blockBytes, regtestDifficulty } from './coreJson.js';
import { type ScriptKind, scriptKind } from './policy.js';
import { hashToHex, type PreparedTransaction } from './preparedTransaction.js';
import type { RegtestChain } from './regtestChain.js';

const kindNames: Readonly<Record<ScriptKind, string>> = {
  pubkey: 'p2pk',
  pubkeyhash: 'p2pkh',
  scripthash: 'p2sh',
  multisig: 'multisig',
  nulldata: 'op_return',
  witness_v0_keyhash: 'v0_p2wpkh',
  witness_v0_scripthash: 'v0_p2wsh',
  witness_v1_taproot: 'v1_p2tr',
  anchor: 'anchor',
  witness_unknown: 'unknown',
};

function outputJson({ script, valueSat }: TxOutput): object {
  const kind = scriptKind(script);
  const address = addressOf(script);
  return {
    scriptpubkey: bytesToHex(script),
    scriptpubkey_type: kind === undefined ? 'unknown' : kindNames[kind],
    ...(address === undefined ? {} : { scriptpubkey_address: address }),
    value: Number(valueSat),
  };
}

export function statusJson(block: StoredBlock | undefined): object {
  if (block === undefined) return { confirmed: false };
  return {
    confirmed: true,
    block_height: block.height,
    block_hash: block.hashHex,
    block_time: block.header.time,
  };
}

export function esploraTransactionJson(chain: RegtestChain, prepared: PreparedTransaction): object {
  const { tx, txidHex, bytes, weight } = prepared;
  const coinbase = isCoinbase(tx);
  let feeSat = 0n;
  const vin = tx.inputs.map(({ outpoint, scriptSig, sequence, witness }) => {
    const prevout = coinbase ? undefined : chain.output(outpoint);
    feeSat += prevout?.valueSat ?? 0n;
    return {
      txid: hashToHex(outpoint.txid),
      vout: outpoint.index,
      prevout: prevout === undefined ? null : outputJson(prevout),
      scriptsig: bytesToHex(scriptSig),
      ...(witness.length === 0 ? {} : { witness: witness.map(bytesToHex) }),
      is_coinbase: coinbase,
      sequence,
    };
  });
  for (const { valueSat } of tx.outputs) feeSat -= valueSat;
  return {
    txid: txidHex,
    version: tx.version,
    locktime: tx.lockTime,
    vin,
    vout: tx.outputs.map(outputJson),
    size: bytes.length,
    weight,
    fee: coinbase ? 0 : Number(feeSat),
    status: statusJson(chain.confirmed(txidHex)?.block),
  };
}

export function esploraBlockJson(chain: RegtestChain, block: StoredBlock): object {
  const { header, height, transactions } = block;
  return {
    id: block.hashHex,
    height,
    version: header.version,
    timestamp: header.time,
    tx_count: transactions.length,
    size: blockBytes(block).length,
    weight: 4 * 81 + transactions.reduce((sum, one) => sum + one.weight, 0),
    merkle_root: hashToHex(header.merkleRoot),
    previousblockhash: height === 0 ? null : hashToHex(header.previousHash),
    mediantime: chain.medianTimePastOf(block),
    nonce: header.nonce,
    bits: header.bits,
    difficulty: regtestDifficulty,
  };
}
