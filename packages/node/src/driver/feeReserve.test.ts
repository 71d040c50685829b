import { sha256 } from '@rivulet/core/crypto';
import { p2wshScript, type Transaction } from '@rivulet/core/tx';
import { openMemoryStorage } from '@rivulet/storage';
import { expect, test } from 'vitest';
import { silentLogger } from '../logging/logger.js';
import { openWallet } from '../wallet/index.js';
import { FeeReserve } from './feeReserve.js';

test('a coin that pays for a claim on chain is not spent on a channel that is opened meanwhile', () => {
  const wallet = openWallet({
    seed: new Uint8Array(64).fill(3),
    network: 'regtest',
    storage: openMemoryStorage(),
  });
  const { script } = wallet.newAddress({ type: 'p2wpkh' });
  const payment: Transaction = {
    version: 2,
    lockTime: 0,
    inputs: [
      {
        outpoint: { txid: sha256(Uint8Array.of(1)), index: 0 },
        scriptSig: new Uint8Array(0),
        sequence: 0,
        witness: [],
      },
    ],
    outputs: [{ valueSat: 100_000n, script }],
  };
  wallet.processBlock({ height: 100, hash: new Uint8Array(32).fill(9), transactions: [payment] });
  const reserve = new FeeReserve({
    wallet,
    broadcast: async () => ({ accepted: true, txid: new Uint8Array(32) }),
    logger: silentLogger,
  });
  const claim = { id: 'sweep 1', weight: 1_000, feeratePerKw: 1_000 };
  const inputs = reserve.reserve(claim);
  expect(inputs).toHaveLength(1);
  const fund = () =>
    wallet.fund({
      outputs: [{ script: p2wshScript(Uint8Array.of(0x51)), valueSat: 50_000n }],
      feeratePerKw: 1_000,
    });
  wallet.reload();
  expect(fund).toThrow(expect.objectContaining({ code: 'insufficient_funds' }));
  // The claim itself keeps it, at a higher feerate too; another one does not get it.
  expect(reserve.reserve({ ...claim, feeratePerKw: 2_000 })).toEqual(inputs);
  expect(reserve.reserve({ ...claim, id: 'sweep 2' })).toBeUndefined();
  reserve.release('sweep 1');
  expect(fund().inputs).toHaveLength(1);
});
