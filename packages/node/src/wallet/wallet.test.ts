import { addressToScript } from '@rivulet/chain';
import { bytesToHex } from '@rivulet/core/bytes';
import { secp256k1, sha256 } from '@rivulet/core/crypto';
import {
  dustThresholdSat,
  encodeWithoutWitness,
  p2wpkhScript,
  p2wshScript,
  type Transaction,
  type TxOutput,
  txid,
  weight,
} from '@rivulet/core/tx';
import { type NodeStorage, openMemoryStorage } from '@rivulet/storage';
import { Transaction as LibraryTransaction } from '@scure/btc-signer';
import fc from 'fast-check';
import { beforeEach, describe, expect, test } from 'vitest';
import { feeForSat } from './coinSelection.js';
import { createWords, wordsToSeed } from './seed.js';
import { openWallet, type Wallet } from './wallet.js';
import { WalletError } from './walletError.js';
import type { WalletBlock } from './walletTypes.js';

const seed = wordsToSeed(`${'abandon '.repeat(11)}about`);
const foreign = p2wshScript(Uint8Array.of(0x51));

function failureOf(action: () => unknown): WalletError {
  try {
    action();
  } catch (error) {
    if (error instanceof WalletError) return error;
    throw error;
  }
  throw new Error('nothing was thrown');
}

let nonce = 0;
/** A transaction of strangers that pays these outputs. */
function payment(...outputs: TxOutput[]): Transaction {
  return {
    version: 2,
    lockTime: 0,
    inputs: [
      {
        outpoint: { txid: sha256(Uint8Array.of(nonce >> 8, nonce++ & 0xff)), index: 0 },
        scriptSig: new Uint8Array(0),
        sequence: 0,
        witness: [],
      },
    ],
    outputs,
  };
}
function reward(...outputs: TxOutput[]): Transaction {
  const tx = payment(...outputs);
  const outpoint = { txid: new Uint8Array(32), index: 0xffff_ffff };
  const scriptSig = Uint8Array.of(nonce >> 8, nonce++ & 0xff);
  return { ...tx, inputs: [{ ...tx.inputs[0]!, outpoint, scriptSig }] };
}
const block = (height: number, ...transactions: Transaction[]): WalletBlock => ({
  height,
  hash: sha256(Uint8Array.of(height >> 8, height & 0xff, transactions.length)),
  transactions,
});
const empty = { confirmedSat: 0n, unconfirmedSat: 0n, immatureSat: 0n, reservedSat: 0n };

/** Whether every input is signed validly, as BIP 341 and BIP 143 say. */
function isSigned(tx: Transaction, spent: readonly TxOutput[]): boolean {
  const hasher = LibraryTransaction.fromRaw(encodeWithoutWitness(tx), {
    allowUnknownInputs: true,
    allowUnknownOutputs: true,
  });
  return tx.inputs.every(({ witness }, index) => {
    const { script, valueSat } = spent[index]!;
    if (script.length === 34) {
      const hash = hasher.preimageWitnessV1(
        index,
        spent.map((one) => one.script),
        0,
        spent.map((one) => one.valueSat),
      );
      return witness.length === 1 && secp256k1.verifySchnorr(witness[0]!, hash, script.subarray(2));
    }
    return (
      witness.length === 2 && bytesToHex(p2wpkhScript(witness[1]!)) === bytesToHex(script) && valueSat > 0n
    );
  });
}

describe('wallet', () => {
  let storage: NodeStorage;
  let wallet: Wallet;
  beforeEach(() => {
    nonce = 0;
    storage = openMemoryStorage();
    wallet = openWallet({ seed, network: 'regtest', storage });
  });
  const restart = (): void => {
    wallet = openWallet({ seed, network: 'regtest', storage });
  };
  /** Gives the wallet confirmed coins of these values. */
  const fill = (...values: bigint[]): void => {
    const outputs = values.map((valueSat) => ({ valueSat, script: wallet.newAddress().script }));
    wallet.processBlock(block((wallet.tip?.height ?? 99) + 1, payment(...outputs)));
  };

  describe('addresses', () => {
    test('are those of BIP 86 and BIP 84 on mainnet', () => {
      const main = openWallet({ seed, network: 'mainnet', storage: openMemoryStorage() });
      expect(main.newAddress()).toMatchObject({
        address: 'bc1p5cyxnuxmeuwuvkwfem96lqzszd02n6xdcjrs20cac6yqjjwudpxqkedrcr',
        path: "m/86'/0'/0'/0/0",
      });
      expect(main.newAddress().address).toBe(
        'bc1p4qhjn9zdvkux4e44uhx8tc55attvtyu358kutcqkudyccelu0was9fqzwh',
      );
      expect(main.newAddress({ change: true }).address).toBe(
        'bc1p3qkhfews2uk44qtvauqyr2ttdsw7svhkl9nkm9s9c3x4ax5h60wqwruhk7',
      );
      expect(main.newAddress({ type: 'p2wpkh' })).toMatchObject({
        address: 'bc1qcr8te4kr609gcawutmrza0j4xv80jy8z306fyu',
        path: "m/84'/0'/0'/0/0",
      });
      expect(main.descriptors()[0]).toContain(
        '[73c5da0a/86h/0h/0h]xpub6BgBgsespWvERF3LHQu6CnqdvfEvtMcQjYrcRzx53QJjSxarj2afYWcLteoGVky7D3UKDP9QyrLprQ3VCECoY49yfdDEHGCtMMj92pReUsQ/0/*',
      );
    });

    test('are never given out twice, also after a restart', () => {
      const seen = new Set([wallet.newAddress().address, wallet.newAddress().address]);
      restart();
      seen.add(wallet.newAddress().address);
      expect(seen.size).toBe(3);
      expect(addressToScript([...seen][0]!, 'regtest')).toEqual(wallet.scripts()[0]);
    });

    test('the storage of another seed or network is refused', () => {
      const other = wordsToSeed(createWords(new Uint8Array(16).fill(1)));
      expect(failureOf(() => openWallet({ seed: other, network: 'regtest', storage })).code).toBe(
        'wrong_seed',
      );
      expect(failureOf(() => openWallet({ seed, network: 'signet', storage })).code).toBe('wrong_seed');
    });
  });

  describe('blocks', () => {
    test('credit and debit the wallet, once, and over a restart', () => {
      const { script } = wallet.newAddress();
      const received = block(100, payment({ valueSat: 70_000n, script }, { valueSat: 1n, script: foreign }));
      expect(wallet.processBlock(received).map(({ netSat }) => netSat)).toEqual([70_000n]);
      expect(wallet.processBlock(received)).toEqual([]);
      restart();
      expect(wallet.processBlock(received)).toEqual([]);
      expect(wallet.balance()).toEqual({ ...empty, confirmedSat: 70_000n });
      const { tx } = wallet.fund({ outputs: [{ valueSat: 20_000n, script: foreign }], feeratePerKw: 253 });
      const [spent] = wallet.processBlock(block(101, tx));
      expect(spent?.netSat).toBe(wallet.balance().confirmedSat - 70_000n);
      restart();
      expect(wallet.balance().confirmedSat).toBe(70_000n + spent!.netSat);
      expect(wallet.transactions().map(({ height }) => height)).toEqual([101, 100]);
      expect(wallet.tip).toEqual({ height: 101, hash: block(101, tx).hash });
    });

    test('must come in order', () => {
      wallet.processBlock(block(100));
      expect(failureOf(() => wallet.processBlock(block(102))).code).toBe('block_order');
      expect(failureOf(() => wallet.processBlock(block(100, payment()))).code).toBe('block_order');
      expect(failureOf(() => wallet.undoBlock(block(99))).code).toBe('block_order');
      expect(failureOf(() => wallet.undoBlock(block(100, payment()))).code).toBe('block_order');
      wallet.undoBlock(block(101));
      expect(wallet.tip?.height).toBe(100);
    });

    test('that are undone leave their payments unconfirmed, and those of the new branch count', () => {
      const { script } = wallet.newAddress();
      const tx = payment({ valueSat: 70_000n, script });
      const mined = reward({ valueSat: 5_000n, script });
      wallet.processBlock(block(100, mined, tx));
      wallet.undoBlock(block(100, mined, tx));
      restart();
      expect(wallet.balance()).toEqual({ ...empty, unconfirmedSat: 70_000n });
      // It came from strangers, who may spend their coins otherwise.
      expect(wallet.spendableCoins()).toEqual([]);
      wallet.processBlock(block(100, payment()));
      wallet.processBlock(block(101, tx));
      expect(wallet.balance()).toEqual({ ...empty, confirmedSat: 70_000n });
    });

    test('with a double spend drop what it makes impossible, and all that builds on that', () => {
      fill(70_000n);
      const first = wallet.fund({ outputs: [{ valueSat: 20_000n, script: foreign }], feeratePerKw: 253 });
      wallet.addUnconfirmed(first.tx);
      const second = wallet.fund({ outputs: [{ valueSat: 10_000n, script: foreign }], feeratePerKw: 253 });
      wallet.addUnconfirmed(second.tx);
      expect(second.inputs[0]?.outpoint).toEqual({ txid: first.txid, index: first.changeIndex });
      const thief = { ...first.tx, outputs: [{ valueSat: 69_000n, script: foreign }] };
      wallet.processBlock(block(101, thief));
      for (const _ of [0, 1]) {
        expect(wallet.balance()).toEqual(empty);
        expect(wallet.transactions().map((one) => bytesToHex(one.txid))).toContain(bytesToHex(txid(thief)));
        expect(wallet.transactions().length).toBe(2);
        restart();
      }
    });

    test('rewards can be spent in the block that is 100 after theirs, not before', () => {
      const { script } = wallet.newAddress();
      wallet.processBlock(block(100, reward({ valueSat: 50_000n, script })));
      for (let height = 101; height < 199; height++) wallet.processBlock(block(height));
      expect(wallet.balance()).toEqual({ ...empty, immatureSat: 50_000n });
      expect(wallet.spendableCoins()).toEqual([]);
      // The next block is 200: 100 after the reward's.
      wallet.processBlock(block(199));
      expect(wallet.balance()).toEqual({ ...empty, confirmedSat: 50_000n });
      expect(wallet.spendableCoins().length).toBe(1);
    });

    test('rewards of different blocks do not displace one another', () => {
      const { script } = wallet.newAddress();
      for (let height = 100; height < 103; height++) {
        wallet.processBlock(block(height, reward({ valueSat: 50_000n, script })));
      }
      expect(wallet.balance()).toEqual({ ...empty, immatureSat: 150_000n });
    });

    test('restore a wallet from its words alone, over gaps of up to 20 addresses, in any order', () => {
      const scripts = Array.from({ length: 41 }, () => wallet.newAddress().script);
      const pay = (index: number) => payment({ valueSat: 1_000n, script: scripts[index]! });
      const restored = openWallet({ seed, network: 'regtest', storage: openMemoryStorage() });
      // Address 40 is within the gap only once 39 is known to be used, and that only after 19.
      restored.processBlock(block(100, pay(40), pay(39), pay(19)));
      expect(restored.balance().confirmedSat).toBe(3_000n);
      expect(restored.newAddress().path).toBe("m/86'/1'/0'/0/41");
    });

    test('a failing storage transaction leaves memory as storage is', () => {
      const { script } = wallet.newAddress();
      const received = block(100, payment({ valueSat: 70_000n, script }));
      expect(() =>
        storage.transaction((tx) => {
          wallet.processBlock(received, tx);
          throw new Error('the driver failed');
        }),
      ).toThrow('the driver failed');
      wallet.reload();
      expect(wallet.balance()).toEqual(empty);
      expect(wallet.processBlock(received).length).toBe(1);
    });
  });

  describe('funding', () => {
    test('reserves its inputs until they are released, over a restart', () => {
      fill(70_000n);
      const request = { outputs: [{ valueSat: 20_000n, script: foreign }], feeratePerKw: 253 };
      const funded = wallet.fund(request);
      expect(wallet.balance()).toEqual({ ...empty, reservedSat: 70_000n });
      restart();
      expect(wallet.balance()).toEqual({ ...empty, reservedSat: 70_000n });
      expect(wallet.reservations()).toEqual([funded.tx]);
      expect(failureOf(() => wallet.fund(request)).code).toBe('insufficient_funds');
      expect(wallet.release(funded.txid)).toBe(true);
      expect(wallet.release(funded.txid)).toBe(false);
      restart();
      expect(wallet.balance()).toEqual({ ...empty, confirmedSat: 70_000n });
      wallet.fund(request);
    });

    test('a funded transaction that is broadcast gives change that can be spent at once', () => {
      fill(70_000n);
      const funded = wallet.fund({ outputs: [{ valueSat: 20_000n, script: foreign }], feeratePerKw: 253 });
      wallet.addUnconfirmed(funded.tx);
      const changeSat = 50_000n - funded.feeSat;
      expect(wallet.balance()).toEqual({ ...empty, unconfirmedSat: changeSat });
      expect(wallet.reservations()).toEqual([]);
      const request = { outputs: [{ valueSat: 20_000n, script: foreign }], feeratePerKw: 253 };
      expect(failureOf(() => wallet.fund({ ...request, confirmedOnly: true })).code).toBe(
        'insufficient_funds',
      );
      const next = wallet.fund(request);
      expect(next.inputs[0]?.outpoint.txid).toEqual(funded.txid);
      // Given up, and the broadcast one lost: the first coin is back.
      wallet.release(next.txid);
      expect(wallet.abandon(funded.txid)).toBe(true);
      restart();
      expect(wallet.balance()).toEqual({ ...empty, confirmedSat: 70_000n });
    });

    test('has a locktime of the tip, final txid and valid signatures of every kind of coin', () => {
      const taproot = wallet.newAddress().script;
      const version0 = wallet.newAddress({ type: 'p2wpkh' }).script;
      const outputs = [taproot, version0, taproot].map((script) => ({ valueSat: 40_000n, script }));
      wallet.processBlock(block(777, payment(...outputs)));
      const { tx, inputs, feeSat, changeIndex } = wallet.fund({
        outputs: [{ valueSat: 100_000n, script: foreign }],
        feeratePerKw: 1_000,
      });
      expect(tx.lockTime).toBe(777);
      expect(tx.inputs.length).toBe(3);
      for (const input of tx.inputs) {
        expect(input.scriptSig.length).toBe(0);
        expect(input.sequence).toBe(0xffff_fffd);
      }
      expect(isSigned(tx, inputs)).toBe(true);
      expect(isSigned({ ...tx, lockTime: 778 }, inputs)).toBe(false);
      expect(tx.outputs[changeIndex!]?.valueSat).toBe(120_000n - 100_000n - feeSat);
      expect(feeSat).toBeGreaterThanOrEqual(feeForSat(weight(tx), 1_000));
      expect(feeSat).toBeLessThanOrEqual(feeForSat(weight(tx) + 8, 1_000));
    });

    test('says what is there and what is needed when it is not enough', () => {
      fill(10_000n, 5_000n);
      const failure = failureOf(() =>
        wallet.fund({ outputs: [{ valueSat: 15_000n, script: foreign }], feeratePerKw: 1_000 }),
      );
      expect(failure.code).toBe('insufficient_funds');
      expect(failure.details?.availableSat).toBe(15_000n);
      expect(failure.details?.neededSat).toBe(15_000n + failure.details!.feeSat);
      expect(failure.message).toContain(String(failure.details?.neededSat));
      expect(wallet.balance().reservedSat).toBe(0n);
    });

    test('refuses dust, no outputs, and feerates that are too low or absurd', () => {
      fill(70_000n);
      const code = (outputs: TxOutput[], feeratePerKw = 253) =>
        failureOf(() => wallet.fund({ outputs, feeratePerKw })).code;
      expect(code([{ valueSat: 329n, script: foreign }])).toBe('dust_output');
      expect(code([])).toBe('bad_output');
      expect(code([{ valueSat: -1n, script: foreign }])).toBe('bad_output');
      expect(code([{ valueSat: 2n ** 63n, script: foreign }])).toBe('bad_output');
      expect(code([{ valueSat: 1_000n, script: foreign }], 252)).toBe('feerate_too_low');
      expect(code([{ valueSat: 1_000n, script: foreign }], Number.NaN)).toBe('feerate_too_low');
      expect(code([{ valueSat: 1_000n, script: foreign }], 250_001)).toBe('feerate_absurd');
      expect(wallet.balance()).toEqual({ ...empty, confirmedSat: 70_000n });
    });

    test('sweepAll sends everything worth its fee to one script', () => {
      fill(70_000n, 30_000n, 331n);
      const { tx, feeSat, inputs, changeIndex } = wallet.sweepAll({ script: foreign, feeratePerKw: 2_000 });
      expect(inputs.map(({ valueSat }) => valueSat)).toEqual([70_000n, 30_000n]);
      expect(tx.outputs).toEqual([{ valueSat: 100_000n - feeSat, script: foreign }]);
      expect(changeIndex).toBeUndefined();
      expect(isSigned(tx, inputs)).toBe(true);
      expect(failureOf(() => wallet.sweepAll({ script: foreign, feeratePerKw: 2_000 })).code).toBe(
        'insufficient_funds',
      );
    });

    test('signs its own inputs of a transaction that has others', () => {
      fill(70_000n);
      const [coin] = wallet.spendableCoins();
      const spent = [
        { valueSat: 5_000n, script: foreign },
        { valueSat: 70_000n, script: coin!.key.script },
      ];
      const mixed = payment({ valueSat: 74_000n, script: foreign });
      const own = { ...mixed.inputs[0]!, outpoint: coin!.outpoint };
      const tx = { ...mixed, inputs: [mixed.inputs[0]!, own] };
      const signed = wallet.signInputs(tx, spent);
      expect(signed.inputs[0]).toEqual(mixed.inputs[0]);
      expect(isSigned({ ...signed, inputs: signed.inputs }, spent)).toBe(false);
      const hash = LibraryTransaction.fromRaw(encodeWithoutWitness(signed), {
        allowUnknownOutputs: true,
      }).preimageWitnessV1(
        1,
        spent.map(({ script }) => script),
        0,
        spent.map(({ valueSat }) => valueSat),
      );
      expect(secp256k1.verifySchnorr(signed.inputs[1]!.witness[0]!, hash, coin!.key.script.subarray(2))).toBe(
        true,
      );
      const stranger = () => wallet.signInputs(mixed, [spent[0]!]);
      expect(failureOf(stranger).code).toBe('unknown_input');
    });

    test('any sequence of deposits, payments, releases, broadcasts and blocks keeps the books', () => {
      const step = fc.oneof(
        fc.record({ kind: fc.constant('deposit' as const), sat: fc.bigInt({ min: 330n, max: 200_000n }) }),
        fc.record({
          kind: fc.constant('fund' as const),
          sat: fc.bigInt({ min: 330n, max: 150_000n }),
          feeratePerKw: fc.integer({ min: 253, max: 5_000 }),
        }),
        fc.record({ kind: fc.constantFrom('release' as const, 'broadcast' as const, 'mine' as const) }),
      );
      let funded = 0;
      fc.assert(
        fc.property(fc.array(step, { minLength: 10, maxLength: 30 }), (steps) => {
          const kept = openMemoryStorage();
          let each = openWallet({ seed, network: 'regtest', storage: kept });
          const first = [90_000n, 60_000n, 200_000n, 1_000n].map((valueSat) => ({
            valueSat,
            script: each.newAddress().script,
          }));
          let height = 100;
          each.processBlock(block(height++, payment(...first)));
          let totalSat = sumOf(each);
          const waiting: Transaction[] = [];
          for (const one of steps) {
            if (one.kind === 'deposit') {
              const tx = payment({ valueSat: one.sat, script: each.newAddress().script });
              each.processBlock(block(height++, tx));
              totalSat += one.sat;
            } else if (one.kind === 'fund') {
              const reservedBefore = new Set(
                each
                  .reservations()
                  .flatMap(({ inputs }) =>
                    inputs.map(({ outpoint }) => `${bytesToHex(outpoint.txid)}${outpoint.index}`),
                  ),
              );
              try {
                const plan = each.fund({
                  outputs: [{ valueSat: one.sat, script: foreign }],
                  feeratePerKw: one.feeratePerKw,
                });
                funded++;
                const inSat = plan.inputs.reduce((sum, { valueSat }) => sum + valueSat, 0n);
                const outSat = plan.tx.outputs.reduce((sum, { valueSat }) => sum + valueSat, 0n);
                expect(inSat).toBe(outSat + plan.feeSat);
                expect(plan.feeSat).toBeGreaterThanOrEqual(feeForSat(weight(plan.tx), one.feeratePerKw));
                for (const { valueSat, script } of plan.tx.outputs) {
                  expect(valueSat).toBeGreaterThanOrEqual(dustThresholdSat(script));
                }
                for (const { outpoint } of plan.inputs) {
                  expect(reservedBefore.has(`${bytesToHex(outpoint.txid)}${outpoint.index}`)).toBe(false);
                }
              } catch (error) {
                if (!(error instanceof WalletError) || error.code !== 'insufficient_funds') throw error;
              }
            } else if (one.kind === 'release') {
              const [reserved] = each.reservations();
              if (reserved !== undefined) each.release(txid(reserved));
            } else if (one.kind === 'broadcast') {
              const [reserved] = each.reservations();
              if (reserved !== undefined) {
                const before = sumOf(each);
                each.addUnconfirmed(reserved);
                waiting.push(reserved);
                totalSat += sumOf(each) - before;
                const own = each.getTransaction(txid(reserved));
                expect(own?.netSat).toBe(sumOf(each) - before);
              }
            } else {
              each.processBlock(block(height++, ...waiting.splice(0)));
              const balance = each.balance();
              each = openWallet({ seed, network: 'regtest', storage: kept });
              expect(each.balance()).toEqual(balance);
            }
            expect(sumOf(each)).toBe(totalSat);
          }
          kept.close();
        }),
        { numRuns: 12 },
      );
      expect(funded).toBeGreaterThan(12);
    });
  });
});

function sumOf(wallet: Wallet): bigint {
  return Object.values(wallet.balance()).reduce((sum: bigint, value: bigint) => sum + value, 0n);
}
