import { ByteReader, bytesToHex } from '@rivulet/core/bytes';
import { decodeTransaction, encodeTransaction, type Transaction } from '@rivulet/core/tx';
import * as ldk from 'lightningdevkit';
import type { KeyWallet } from './keyWallet.js';
import { LdkError } from './ldkError.js';

/** A P2WPKH input's witness and its empty scriptSig (four times), with all lengths, in weight units. */
const satisfactionWeight = 4n + 1n + 1n + 73n + 1n + 33n;

/** The unsigned transaction of a version 0 PSBT: the first thing in its global map. */
function unsignedTransaction(psbt: Uint8Array): Transaction {
  const reader = new ByteReader(psbt);
  const magic = bytesToHex(reader.bytes(5));
  if (magic !== '70736274ff' || reader.u8() !== 1 || reader.u8() !== 0) {
    throw new LdkError('ldk_refused', 'LDK gave a PSBT that does not begin with its transaction');
  }
  const first = reader.u8();
  const length = first < 0xfd ? first : first === 0xfd ? reader.u16Le() : reader.u32Le();
  return decodeTransaction(reader.bytes(length));
}

/** A wallet as LDK's coin selection sees it: it pays for closing anchor channels. */
export function createWalletSource(wallet: KeyWallet): ldk.WalletSource {
  return ldk.WalletSource.new_impl({
    list_confirmed_utxos: () =>
      ldk.Result_CVec_UtxoZNoneZ.constructor_ok(
        wallet
          .coins()
          .map(({ outpoint, output }) =>
            ldk.Utxo.constructor_new(
              ldk.OutPoint.constructor_new(outpoint.txid, outpoint.index),
              ldk.TxOut.constructor_new(output.valueSat, output.script),
              satisfactionWeight,
            ),
          ),
      ),
    get_change_script: () => ldk.Result_CVec_u8ZNoneZ.constructor_ok(wallet.script),
    sign_psbt: (psbt) => {
      try {
        const signed = wallet.sign(unsignedTransaction(psbt));
        return ldk.Result_TransactionNoneZ.constructor_ok(encodeTransaction(signed));
      } catch {
        return ldk.Result_TransactionNoneZ.constructor_err();
      }
    },
  });
}
