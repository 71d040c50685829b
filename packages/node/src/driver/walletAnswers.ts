import { scriptToAddress } from '@rivulet/chain';
import { type Transaction, type TxOutput, txid as txidOf, txidToHex, weight } from '@rivulet/core/tx';
import type { ResponseOf } from '@rivulet/sdk';
import { outpointText, type PsbtView, type Published } from '../wallet/index.js';
import type { RivuletNode } from './node.js';

/** Whether a mempool has it. */
export const describePublished = ({ accepted, message }: Published) => ({
  accepted,
  ...(message === undefined ? {} : { message }),
});

/** An output with its address, where it has one. */
export function describeOutput(node: RivuletNode, { valueSat, script }: TxOutput) {
  let address: string | undefined;
  try {
    address = scriptToAddress(script, node.network);
  } catch {
    // Some scripts have none.
  }
  return { ...(address === undefined ? {} : { address }), valueSat, ours: node.wallet.isOurs(script) };
}

/** A transaction that pays, signed or planned. */
export function describeSent(node: RivuletNode, tx: Transaction, feeSat: bigint) {
  return {
    txidHex: txidToHex(txidOf(tx)),
    feeSat,
    feeratePerKw: Math.round((Number(feeSat) * 1000) / signedWeight(node, tx)),
    coins: tx.inputs.map(({ outpoint }) => outpointText(outpoint)),
    outputs: tx.outputs.map((output) => describeOutput(node, output)),
  };
}

/** Of a trial as well, whose signatures are not there yet. */
function signedWeight(node: RivuletNode, tx: Transaction): number {
  const unsigned = tx.inputs.filter(({ witness }) => witness.length === 0);
  const missing = unsigned.reduce((sum, { outpoint }) => {
    const isTaproot = node.wallet.state.ledger.output(outpoint)?.key.keychain.type === 'p2tr';
    return sum + (isTaproot ? 66 : 108);
  }, 0);
  return weight(tx) + missing + (missing > 0 ? 2 : 0);
}

/** What a PSBT does, as the API shows it. */
export function describePsbt(node: RivuletNode, view: PsbtView): ResponseOf<'showPsbt'> {
  return {
    txidHex: txidToHex(view.txid),
    inputs: view.inputs.map(({ outpoint, valueSat, ours, signed }) => ({
      coin: outpoint,
      ...(valueSat === undefined ? {} : { valueSat }),
      ours,
      signed,
    })),
    outputs: view.outputs.map((output) => describeOutput(node, output)),
    netSat: view.netSat,
    ...(view.feeSat === undefined ? {} : { feeSat: view.feeSat }),
    complete: view.complete,
  };
}
