import type { Channel } from '@rivulet/core/channel';
import { sha256 } from '@rivulet/core/crypto';
import { p2wshScript, type Transaction } from '@rivulet/core/tx';
import { openMemoryStorage } from '@rivulet/storage';
import { describe, expect, test } from 'vitest';
import { createLogger, silentLogger } from '../logging/logger.js';
import { openWallet, type Wallet } from '../wallet/index.js';
import { FeeReserve, fundWithReserve } from './feeReserve.js';

const foreign = p2wshScript(Uint8Array.of(0x51));

/** A wallet with confirmed coins of these values. */
function walletWith(
  valuesSat: readonly bigint[],
  { type = 'p2wpkh' }: { type?: 'p2wpkh' | 'p2tr' } = {},
): { wallet: Wallet; storage: ReturnType<typeof openMemoryStorage>; pay: (valueSat: bigint) => void } {
  const storage = openMemoryStorage();
  const wallet = openWallet({ seed: new Uint8Array(64).fill(3), network: 'regtest', storage });
  let height = 99;
  const pay = (...values: readonly bigint[]) => {
    height++;
    const payment: Transaction = {
      version: 2,
      lockTime: 0,
      inputs: [
        {
          outpoint: { txid: sha256(Uint8Array.of(height)), index: 0 },
          scriptSig: new Uint8Array(0),
          sequence: 0,
          witness: [],
        },
      ],
      outputs: values.map((valueSat) => ({ valueSat, script: wallet.newAddress({ type }).script })),
    };
    wallet.processBlock({ height, hash: new Uint8Array(32).fill(height), transactions: [payment] });
  };
  pay(...valuesSat);
  return { wallet, storage, pay };
}

function reserveOf(wallet: Wallet, log: string[] = []): FeeReserve {
  return new FeeReserve({
    wallet,
    broadcast: async () => ({ accepted: true, txid: new Uint8Array(32) }),
    logger: createLogger({ level: 'warn', to: { write: (line) => void log.push(line) } }),
  });
}

/** As much of channels as the reserve looks at. */
function channels(
  ...of: readonly (readonly ['anchors' | 'static_remotekey', Channel['phase']['name']])[]
): Channel[] {
  return of.map(
    ([commitment, name]) =>
      ({ params: { format: { commitment }, localIsOpener: true }, phase: { name } }) as Channel,
  );
}

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

describe('what pays fees', () => {
  const claim = { weight: 1_000, feeratePerKw: 1_000 };

  test('is the smallest coin with room for twice the fee, so that others stay free', () => {
    const { wallet } = walletWith([1_400n, 3_000n, 90_000n]);
    const reserve = reserveOf(wallet);
    const valuesOf = (id: string, more: object = {}) =>
      reserve.reserve({ id, ...claim, ...more })?.map(({ valueSat }) => valueSat);
    expect(valuesOf('a')).toEqual([3_000n]);
    expect(valuesOf('b')).toEqual([90_000n]);
    expect(valuesOf('c')).toEqual([1_400n]);
    expect(valuesOf('d')).toBeUndefined();
    expect(valuesOf('c', { extraSat: 500n })).toBeUndefined();
    reserve.release('b');
    expect(valuesOf('c', { extraSat: 500n })).toEqual([1_400n, 90_000n]);
  });

  test('is a taproot coin as well', () => {
    const { wallet } = walletWith([50_000n], { type: 'p2tr' });
    expect(reserveOf(wallet).reserve({ id: 'a', ...claim })).toMatchObject([{ taproot: true }]);
  });
});

describe('what is kept for fees', () => {
  test('grows with the anchor channels that are not over, up to a bound', () => {
    const { wallet } = walletWith([15_000n]);
    const reserve = reserveOf(wallet);
    const of = channels(
      ['anchors', 'open'],
      ['anchors', 'spent'],
      ['static_remotekey', 'open'],
      ['anchors', 'closed'],
    );
    expect(reserve.status(of)).toEqual({ neededSat: 20_000n, haveSat: 15_000n });
    const many = Array.from({ length: 40 }, () => of[0]!);
    expect(reserve.status(many).neededSat).toBe(100_000n);
    reserve.reserve({ id: 'a', weight: 500, feeratePerKw: 1_000 });
    expect(reserve.status(of).haveSat).toBe(15_000n);
  });

  test('is warned of when it is too little: once, and again when that changes', () => {
    const { wallet, pay } = walletWith([15_000n]);
    const log: string[] = [];
    const reserve = reserveOf(wallet, log);
    const two = channels(['anchors', 'open'], ['anchors', 'open']);
    for (let i = 0; i < 3; i++) reserve.check(two);
    expect(log).toHaveLength(1);
    reserve.check([...two, two[0]!]);
    expect(log).toHaveLength(2);
    pay(30_000n);
    reserve.check(two);
    expect(log).toHaveLength(2);
  });

  test('is not spent on a channel, which gets a coin of its own where there are too few', () => {
    const { wallet, storage } = walletWith([200_000n]);
    const open = (valueSat: bigint, count: number) =>
      storage.transaction((tx) =>
        fundWithReserve(wallet, {
          funding: { script: foreign, valueSat },
          feeratePerKw: 253,
          tx,
          channels: count,
        }),
      );
    expect(() => open(195_000n, 1)).toThrow(expect.objectContaining({ code: 'reserve_needed' }));
    expect(() => open(170_000n, 4)).toThrow(expect.objectContaining({ code: 'reserve_needed' }));
    expect(() => open(300_000n, 1)).toThrow(expect.objectContaining({ code: 'insufficient_funds' }));
    expect(wallet.reservations()).toEqual([]);
    const funded = open(150_000n, 1);
    expect(funded.tx.outputs.map(({ valueSat }) => valueSat)).toContain(10_000n);
    wallet.release(funded.txid);
    // Without anchors nothing is kept.
    expect(open(199_000n, 0).tx.outputs).toHaveLength(2);
  });
});
