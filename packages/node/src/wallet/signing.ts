import { encodeWithoutWitness, type Transaction, type TxOutput, withWitness } from '@rivulet/core/tx';
import { Transaction as SignerTransaction } from '@scure/btc-signer';
import type { Keyring } from './keyring.js';
import { WalletError } from './walletError.js';

/** The weight of an input and its witness. A version 0 signature is reckoned at its longest. */
export const inputWeights = { p2tr: 4 * 41 + 66, p2wpkh: 4 * 41 + 108 } as const;

/**
 * Signs those inputs of a transaction that are the wallet's and leaves the others as they are. `spent` are
 * the outputs that all inputs spend, in order: a taproot signature commits to every one (BIP 341).
 * @throws WalletError `unknown_input` when none is the wallet's.
 */
export function signInputs({
  keyring,
  tx,
  spent,
}: {
  keyring: Keyring;
  tx: Transaction;
  spent: readonly TxOutput[];
}): Transaction {
  const unsigned = { ...tx, inputs: tx.inputs.map((input) => ({ ...input, witness: [] })) };
  const signer = SignerTransaction.fromRaw(encodeWithoutWitness(unsigned), {
    allowUnknownInputs: true,
    allowUnknownOutputs: true,
    allowUnknownVersion: true,
    disableScriptCheck: true,
  });
  const keys = spent.map(({ script }) => keyring.find(script));
  spent.forEach(({ valueSat, script }, index) => {
    const key = keys[index];
    signer.updateInput(index, {
      witnessUtxo: { amount: valueSat, script },
      ...(key?.keychain.type === 'p2tr' ? { tapInternalKey: key.publicKey.subarray(1) } : {}),
    });
  });
  let signed = tx;
  let count = 0;
  keys.forEach((key, index) => {
    if (key === undefined) return;
    const privateKey = keyring.privateKey(key);
    signer.signIdx(privateKey, index);
    signer.finalizeIdx(index);
    signed = withWitness(signed, index, signer.getInput(index).finalScriptWitness ?? []);
    count++;
  });
  if (count === 0) throw new WalletError('unknown_input', 'no input of this transaction is of the wallet');
  return signed;
}
