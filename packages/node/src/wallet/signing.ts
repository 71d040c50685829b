import { encodeWithoutWitness, type Transaction, type TxOutput, withWitness } from '@rivulet/core/tx';
import { SigHash, Transaction as SignerTransaction } from '@scure/btc-signer';
import type { Keyring } from './keyring.js';
import { WalletError } from './walletError.js';

/** The weight of an input and its witness. A version 0 signature is reckoned at its longest. */
export const inputWeights = { p2tr: 4 * 41 + 66, p2wpkh: 4 * 41 + 108 } as const;

/** The library's form of a transaction, unsigned. */
export function toSigner(tx: Transaction): SignerTransaction {
  const unsigned = { ...tx, inputs: tx.inputs.map((input) => ({ ...input, witness: [] })) };
  return SignerTransaction.fromRaw(encodeWithoutWitness(unsigned), {
    allowUnknownInputs: true,
    allowUnknownOutputs: true,
    allowUnknownVersion: true,
    disableScriptCheck: true,
  });
}

/**
 * Signs those inputs of a transaction that are the wallet's and leaves the others as they are. `spent` are
 * the outputs that all inputs spend, in order: a taproot signature commits to every one (BIP 341).
 * @param given.explicitAll inputs whose taproot signature says SIGHASH_ALL, which means the same as saying nothing.
 * @throws WalletError `unknown_input` when none is the wallet's.
 */
export function signInputs({
  keyring,
  tx,
  spent,
  explicitAll,
}: {
  keyring: Keyring;
  tx: Transaction;
  spent: readonly TxOutput[];
  explicitAll?: ReadonlySet<number>;
}): Transaction {
  const signer = toSigner(tx);
  const keys = spent.map(({ script }) => keyring.find(script));
  spent.forEach(({ valueSat, script }, index) => {
    const key = keys[index];
    signer.updateInput(index, {
      witnessUtxo: { amount: valueSat, script },
      ...(key?.keychain.type === 'p2tr' ? { tapInternalKey: key.publicKey.subarray(1) } : {}),
      ...(explicitAll?.has(index) === true ? { sighashType: SigHash.ALL } : {}),
    });
  });
  let signed = tx;
  let count = 0;
  keys.forEach((key, index) => {
    if (key === undefined) return;
    const privateKey = keyring.privateKey(key);
    if (explicitAll?.has(index) === true) signer.signIdx(privateKey, index, [SigHash.ALL]);
    else signer.signIdx(privateKey, index);
    signer.finalizeIdx(index);
    signed = withWitness(signed, index, signer.getInput(index).finalScriptWitness ?? []);
    count++;
  });
  if (count === 0) throw new WalletError('unknown_input', 'no input of this transaction is of the wallet');
  return signed;
}
