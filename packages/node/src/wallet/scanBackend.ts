import type { ChainBackend } from '@rivulet/chain';
import { bytesToHex, equalBytes } from '@rivulet/core/bytes';
import { type Transaction, txid as txidOf, txidToHex } from '@rivulet/core/tx';
import type { ScannedCoin, ScanResult, ScanScripts } from './restore.js';
import { WalletError } from './walletError.js';

export type ScanningBackend = Pick<
  ChainBackend,
  'getTip' | 'getBlockHash' | 'getBlock' | 'getTransaction' | 'scanScripts'
>;

/** The chain may be reorganised while it is searched: so often before it is given up. */
const maxAttempts = 5;

/** The search of restoreFromScan over a backend. */
export function scanBackend(backend: ScanningBackend): ScanScripts {
  return async (scripts) => {
    for (let attempt = 0; attempt < maxAttempts; attempt++) {
      const result = await scanOnce(backend, scripts);
      if (result !== undefined) return result;
    }
    throw new WalletError('bad_import', 'the chain was reorganised during each search: try again');
  };
}

/**
 * The coins as of the tip before the search. What came during it, and what was spent during it, is in blocks that
 * the wallet reads afterwards.
 */
async function scanOnce(
  backend: ScanningBackend,
  scripts: readonly Uint8Array[],
): Promise<ScanResult | undefined> {
  const { height, hash } = await backend.getTip();
  const found = await backend.scanScripts({ scripts });
  const still = await backend.getBlockHash(height);
  if (still === undefined || !equalBytes(still, hash)) return undefined;
  const coins: ScannedCoin[] = [];
  const known = new Map<string, Transaction>();
  for (const coin of found) {
    if (coin.height > height) continue;
    const key = bytesToHex(coin.txid);
    const tx = known.get(key) ?? (await transactionOf(backend, coin));
    known.set(key, tx);
    const { txid, index, valueSat, script } = coin;
    coins.push({ outpoint: { txid, index }, output: { valueSat, script }, height: coin.height, tx });
  }
  return { tip: { height, hash }, coins };
}

/** From its block, which a backend without an index of transactions has as well. */
async function transactionOf(
  backend: ScanningBackend,
  { txid, height }: { txid: Uint8Array; height: number },
): Promise<Transaction> {
  const block = await backend.getBlock(height).catch(() => undefined);
  const tx =
    block?.transactions.find((one) => equalBytes(txidOf(one), txid)) ??
    (await backend.getTransaction(txid).catch(() => undefined));
  if (tx !== undefined) return tx;
  throw new WalletError(
    'bad_import',
    `the backend found a coin in block ${height} and cannot give its transaction ${txidToHex(txid)}: ` +
      'a pruned node has lost that block; restore with a backend that has it, and change back afterwards',
  );
}
