import { compareBytes } from '../bytes/index.js';
import { signatureToDer } from './derSignature.js';
import { OP, p2wshScript, script } from './script.js';
import { segwitSighash, sighashAll } from './sighash.js';
import type { Transaction } from './transaction.js';

const emptyItem = new Uint8Array(0);

/** The 2-of-2 witness script of a channel's funding output; the keys may come in either order. */
export function fundingWitnessScript(pubkeyA: Uint8Array, pubkeyB: Uint8Array): Uint8Array {
  const [first, second] = compareBytes(pubkeyA, pubkeyB) < 0 ? [pubkeyA, pubkeyB] : [pubkeyB, pubkeyA];
  return script(OP.TWO, first, second, OP.TWO, OP.CHECKMULTISIG);
}

/** The output script that the opener has to pay. */
export function fundingScript(pubkeyA: Uint8Array, pubkeyB: Uint8Array): Uint8Array {
  return p2wshScript(fundingWitnessScript(pubkeyA, pubkeyB));
}

/** One side's public funding key and its 64-byte signature. */
export interface FundingSignature {
  pubkey: Uint8Array;
  signature: Uint8Array;
}

/** The witness that spends the funding output: signatures in the order of the keys. */
export function fundingWitness(a: FundingSignature, b: FundingSignature): Uint8Array[] {
  const [first, second] = compareBytes(a.pubkey, b.pubkey) < 0 ? [a, b] : [b, a];
  return [
    emptyItem,
    signatureToDer(first.signature, sighashAll),
    signatureToDer(second.signature, sighashAll),
    fundingWitnessScript(a.pubkey, b.pubkey),
  ];
}

/** What both peers sign in a transaction that spends the funding output: a commitment or a closing transaction. */
export function fundingSpendSighash({
  tx,
  fundingSat,
  pubkeys,
}: {
  tx: Transaction;
  fundingSat: bigint;
  pubkeys: readonly [Uint8Array, Uint8Array];
}): Uint8Array {
  return segwitSighash({
    tx,
    inputIndex: 0,
    scriptCode: fundingWitnessScript(...pubkeys),
    valueSat: fundingSat,
    sighashType: sighashAll,
  });
}
