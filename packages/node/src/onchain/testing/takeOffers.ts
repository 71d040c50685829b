import { examineSpend } from '@rivulet/core/monitor';
import type { Party } from '@rivulet/core/monitor/testing';
import { buildHtlcPackage, buildSweep, type Transaction, txid, txidToHex } from '@rivulet/core/tx';
import type { CloseRig } from './closeRig.js';

/** The preimage of what Alice offers with this number. */
export const preimageOf = (number: number) => new Uint8Array(32).fill(number + 1);

interface Taking {
  /** Whose commitment is on chain. */
  readonly closer: Party;
  /** Which of the HTLCs that Alice offered; their preimages are `preimageOf` their ids. */
  readonly ids: readonly number[];
  readonly feeratePerKw: number;
}

/** Bob takes HTLCs of Alice's with their preimages, all of them in one transaction, whatever fee he likes. */
export function takeOffers(rig: CloseRig, { closer, ids, feeratePerKw }: Taking): Transaction {
  const { channel, signer } = rig.pair.bob;
  let { htlcs } = channel;
  for (const id of ids) {
    const htlc = htlcs.get('received', BigInt(id));
    if (htlc === undefined) throw new Error(`there is no HTLC ${id}`);
    htlcs = htlcs.with({ ...htlc, settlement: { type: 'fulfill', preimage: preimageOf(id) } });
  }
  const by = rig.pair.commitmentOf(closer);
  const { claims } = examineSpend({ channel: { ...channel, htlcs }, by, signer, archived: [] });
  const wanted = claims.filter(({ htlc }) => htlc?.direction === 'received' && ids.includes(Number(htlc.id)));
  const feeInputs = rig.bob.wallet.feeInputs().slice(0, 1);
  const script = rig.bob.wallet.feeScript;
  const items = wanted.flatMap((claim) => (claim.how === 'package' ? [claim.item] : []));
  const inputs = wanted.flatMap((claim) => (claim.how === 'input' ? [claim.input] : []));
  const sweep =
    items.length > 0
      ? buildHtlcPackage({ items, feeInputs, changeScript: script, feeratePerKw })
      : buildSweep({ inputs: [...inputs, ...feeInputs], script, feeratePerKw });
  if (sweep === undefined) throw new Error('it does not pay for itself');
  return sweep.tx;
}

/** Whether a transaction waits in the mempool. */
export function waits({ chain }: CloseRig, tx: Transaction): boolean {
  return chain.mempool.get(txidToHex(txid(tx))) !== undefined;
}

/** Satoshis a 1000 weight units of a transaction that waits; 0 for one that does not. */
export function waitingFeerate({ chain }: CloseRig, tx: Transaction): number {
  const entry = chain.mempool.get(txidToHex(txid(tx)));
  return entry === undefined ? 0 : (Number(entry.feeSat) * 250) / entry.vsize;
}
