import { bytesToHex } from '@rivulet/core/bytes';
import { type Transaction, txid as txidOf } from '@rivulet/core/tx';
import { outpointKey } from '../onchain/outpointKey.js';
import { type ChannelTransactions, channelFee } from '../wallet/index.js';
import type { RivuletNode } from './node.js';

/** What the channels of a node, as they are now, know of transactions. */
export function channelTransactions(node: RivuletNode): ChannelTransactions {
  const fundings = new Map<string, bigint>();
  const fundingTxids = new Set<string>();
  const closes = new Set<string>();
  for (const { params, phase } of node.channels) {
    fundings.set(outpointKey(params.fundingOutpoint), params.fundingSat);
    fundingTxids.add(bytesToHex(params.fundingOutpoint.txid));
    if (phase.name === 'spent') closes.add(bytesToHex(txidOf(phase.by)));
  }
  return {
    fundingOutput: (outpoint) => fundings.get(outpointKey(outpoint)),
    isFunding: (txid) => fundingTxids.has(bytesToHex(txid)),
    isClose: (txid) => closes.has(bytesToHex(txid)),
  };
}

/** More inputs than these are not looked up: their fee counts as not known. */
const maxLookUps = 20;

/** The fees of a transaction and of those before it, where inputs are not ours: from channels, or the backend. */
export async function foreignFees(node: RivuletNode, txid: Uint8Array): Promise<Map<string, bigint>> {
  const { ledger } = node.wallet.state;
  const fees = new Map<string, bigint>();
  const key = bytesToHex(txid);
  for (const one of [key, ...ledger.ancestors(key)]) {
    const tx = ledger.transactions.get(one)?.tx;
    if (tx === undefined || node.wallet.state.feeSat(tx) !== undefined) continue;
    const feeSat = channelFee(tx, channelTransactions(node)) ?? (await lookUpFee(node, tx));
    if (feeSat !== undefined) fees.set(one, feeSat);
  }
  return fees;
}

async function lookUpFee(node: RivuletNode, tx: Transaction): Promise<bigint | undefined> {
  if (tx.inputs.length > maxLookUps) return undefined;
  let feeSat = 0n;
  for (const { outpoint } of tx.inputs) {
    const previous = await node.backend.getTransaction(outpoint.txid).catch(() => undefined);
    const spent = previous?.outputs[outpoint.index];
    if (spent === undefined) return undefined;
    feeSat += spent.valueSat;
  }
  for (const { valueSat } of tx.outputs) feeSat -= valueSat;
  return feeSat < 0n ? undefined : feeSat;
}
