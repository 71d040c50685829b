import { secp256k1 } from '@rivulet/core/crypto';
import { p2trClaim, p2wpkhClaim, type SweepInput } from '@rivulet/core/tx';
import { taprootTweakPrivKey } from '@scure/btc-signer/utils.js';
import type { Keyring } from './keyring.js';
import type { WalletCoin } from './ledger.js';

const noAuxiliary = new Uint8Array(32);

/** A coin of the wallet as an input of core's sweeps, HTLC packages and children of anchors: one that pays their fee. */
export function feeInputOf({ outpoint, valueSat, key }: WalletCoin, keyring: Keyring): SweepInput {
  if (key.keychain.type === 'p2wpkh') {
    const sign = (hash: Uint8Array) => secp256k1.sign(hash, keyring.privateKey(key));
    return p2wpkhClaim({ outpoint, valueSat, pubkey: key.publicKey, sign });
  }
  const sign = (hash: Uint8Array) =>
    secp256k1.signSchnorr(hash, taprootTweakPrivKey(keyring.privateKey(key)), noAuxiliary);
  return p2trClaim({ outpoint, valueSat, script: key.script, sign });
}
