import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { bytesToHex, concatBytes, utf8ToBytes } from '@rivulet/core/bytes';
import { secp256k1, sha256 } from '@rivulet/core/crypto';
import {
  OP,
  p2trScript,
  p2wshScript,
  script,
  segwitSighash,
  sighashAll,
  signatureToDer,
  type Transaction,
  type TxOutput,
  txid,
  withWitness,
} from '@rivulet/core/tx';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { decodeBlock, encodeBlock } from '../block.js';
import { networks } from '../network.js';
import { subsidySat } from './consensus.js';
import { hashToHex } from './preparedTransaction.js';
import { RegtestChain } from './regtestChain.js';
import { SignatureHasher } from './signatureHash.js';
import { tapLeafHash } from './taprootCommitment.js';
import { coinOf, TestClock, type TestCoin, TestWallet } from './testWallet.js';
import { TxRejection } from './txRejection.js';

function setup(coins = 1): { chain: RegtestChain; wallet: TestWallet; clock: TestClock; coins: TestCoin[] } {
  const clock = new TestClock();
  const chain = new RegtestChain({ now: clock.now });
  const wallet = new TestWallet();
  return { chain, wallet, clock, coins: wallet.fund(chain, coins) };
}

function reasonOf(action: () => unknown): string {
  try {
    action();
  } catch (error) {
    if (error instanceof TxRejection) return error.reason;
    throw error;
  }
  return 'accepted';
}

/** Pays `valueSat` to a script, confirms it, and gives back the coin. */
function confirmOutput(options: {
  chain: RegtestChain;
  wallet: TestWallet;
  coin: TestCoin;
  output: TxOutput;
}): TestCoin {
  const { chain, wallet, coin, output } = options;
  const change = coin.valueSat - output.valueSat - 1000n;
  const tx = wallet.sign({ coins: [coin], outputs: [output, { valueSat: change, script: wallet.script }] });
  const entry = chain.broadcast(tx);
  chain.mine();
  return coinOf(entry.txid, tx);
}

describe('blocks', () => {
  test('starts at the genesis block of regtest', () => {
    const chain = new RegtestChain();
    expect(chain.tip.hash).toEqual(networks.regtest.chainHash);
    expect(chain.height).toBe(0);
    expect(bytesToHex(chain.tip.header.merkleRoot)).toBe(bytesToHex(chain.tip.transactions[0]!.txid));
  });

  test('a block survives its serialization', () => {
    const { chain, wallet, coins } = setup();
    chain.broadcast(wallet.sweep(coins, 1000n));
    const [block] = chain.mine();
    const plain = { header: block!.header, transactions: block!.transactions.map((one) => one.tx) };
    expect(decodeBlock(encodeBlock(plain))).toEqual(plain);
    expect(() => decodeBlock(encodeBlock(plain).subarray(0, 150))).toThrow('no block');
  });

  test('the reward halves every 150 blocks', () => {
    expect([1, 149, 150, 299, 300].map(subsidySat)).toEqual([
      5_000_000_000n,
      5_000_000_000n,
      2_500_000_000n,
      2_500_000_000n,
      1_250_000_000n,
    ]);
  });

  test('times follow the injected clock and stay above the median of the past', () => {
    const clock = new TestClock();
    const chain = new RegtestChain({ now: clock.now });
    chain.mine({ blocks: 20 });
    for (let height = 12; height <= 20; height++) {
      expect(chain.blockAt(height)!.header.time).toBeGreaterThan(chain.medianTimePastAt(height - 1));
    }
    clock.milliseconds += 3_600_000;
    expect(chain.mine()[0]!.header.time).toBe(clock.milliseconds / 1000);
  });

  test.each([
    [
      'bad-cb-amount',
      (tx: Transaction) => ({
        ...tx,
        outputs: [{ ...tx.outputs[0]!, valueSat: 6_000_000_000n }, ...tx.outputs.slice(1)],
      }),
    ],
    [
      'bad-cb-height',
      (tx: Transaction) => ({ ...tx, inputs: [{ ...tx.inputs[0]!, scriptSig: Uint8Array.of(0x01, 0x07) }] }),
    ],
    ['bad-witness-merkle-match', (tx: Transaction) => ({ ...tx, outputs: tx.outputs.slice(0, 1) })],
    [
      'bad-cb-missing',
      (tx: Transaction) => ({
        ...tx,
        inputs: [{ ...tx.inputs[0]!, outpoint: { txid: sha256(Uint8Array.of(1)), index: 0 } }],
      }),
    ],
  ])('a block is refused: %s', (reason, change) => {
    const chain = new RegtestChain();
    const other = new RegtestChain();
    const [good] = other.mine();
    const coinbase = change(good!.transactions[0]!.tx) as Transaction;
    let header = { ...good!.header, merkleRoot: txid(coinbase) };
    while (reasonOf(() => chain.addBlock({ header, transactions: [coinbase] })) === 'high-hash') {
      header = { ...header, nonce: header.nonce + 1 };
    }
    expect(reasonOf(() => chain.addBlock({ header, transactions: [coinbase] }))).toBe(reason);
    expect(chain.height).toBe(0);
  });

  test('a block that another chain mined is accepted whole', () => {
    const { chain, wallet, coins } = setup();
    chain.broadcast(wallet.sweep(coins, 500n));
    chain.mine();
    const copy = new RegtestChain();
    for (let height = 1; height <= chain.height; height++) {
      const { header, transactions } = chain.blockAt(height)!;
      copy.addBlock({ header, transactions: transactions.map((one) => one.tx) });
    }
    expect(copy.tip.hashHex).toBe(chain.tip.hashHex);
    expect([...copy.coins()]).toEqual([...chain.coins()]);
  });
});

describe('consensus', () => {
  test('a wrong signature is refused', () => {
    const { chain, wallet, coins } = setup();
    const tx = wallet.sweep(coins, 1000n);
    const other = new TestWallet(2).sweep(coins, 1000n);
    const wrong = withWitness(tx, 0, [other.inputs[0]!.witness[0]!, wallet.publicKey]);
    expect(reasonOf(() => chain.broadcast(wrong))).toMatch(/^mandatory-script-verify-flag-failed/);
    expect(reasonOf(() => chain.broadcast(other))).toMatch(/^mandatory-script-verify-flag-failed/);
    expect(reasonOf(() => chain.broadcast(tx))).toBe('accepted');
  });

  test('threat 2: a signature with a high S is refused', () => {
    const { chain, wallet, coins } = setup();
    const tx = wallet.sweep(coins, 1000n);
    const order = BigInt('0xfffffffffffffffffffffffffffffffebaaedce6af48a03bbfd25e8cd0364141');
    const hash = segwitSighash({
      tx,
      inputIndex: 0,
      scriptCode: script(OP.DUP, OP.HASH160, wallet.script.subarray(2), OP.EQUALVERIFY, OP.CHECKSIG),
      valueSat: coins[0]!.valueSat,
      sighashType: sighashAll,
    });
    const low = secp256k1.sign(hash, wallet.privateKey);
    const s = order - BigInt(`0x${bytesToHex(low.subarray(32))}`);
    const high = concatBytes(
      low.subarray(0, 32),
      Uint8Array.from(Buffer.from(s.toString(16).padStart(64, '0'), 'hex')),
    );
    const witness = [signatureToDer(high, sighashAll), wallet.publicKey];
    expect(reasonOf(() => chain.broadcast(withWitness(tx, 0, witness)))).toBe(
      'mandatory-script-verify-flag-failed (SCRIPT_ERR_SIG_HIGH_S)',
    );
  });

  test('an immature coinbase is refused until its 100th confirmation', () => {
    const chain = new RegtestChain();
    const wallet = new TestWallet();
    const [block] = chain.mine({ script: wallet.script });
    const { txid: id, tx: coinbase } = block!.transactions[0]!;
    const spend = wallet.sweep([coinOf(id, coinbase)], 1000n);
    chain.mine({ blocks: 98 });
    expect(reasonOf(() => chain.broadcast(spend))).toBe('bad-txns-premature-spend-of-coinbase');
    chain.mine();
    expect(reasonOf(() => chain.broadcast(spend))).toBe('accepted');
  });

  test('more out than in is refused, and so are missing and spent inputs', () => {
    const { chain, wallet, coins } = setup();
    expect(reasonOf(() => chain.broadcast(wallet.sweep(coins, -1n)))).toBe('bad-txns-in-belowout');
    const ghost = { ...coins[0]!, outpoint: { txid: sha256(Uint8Array.of(9)), index: 0 } };
    expect(reasonOf(() => chain.broadcast(wallet.sweep([ghost], 1000n)))).toBe(
      'bad-txns-inputs-missingorspent',
    );
    expect(reasonOf(() => chain.broadcast(wallet.sweep([coins[0]!, coins[0]!], 1000n)))).toBe(
      'bad-txns-inputs-duplicate',
    );
    const spend = wallet.sweep(coins, 1000n);
    chain.broadcast(spend);
    expect(reasonOf(() => chain.broadcast(spend))).toBe('txn-already-in-mempool');
    chain.mine();
    expect(reasonOf(() => chain.broadcast(spend))).toBe('txn-already-known');
    expect(reasonOf(() => chain.broadcast(wallet.sweep(coins, 2000n)))).toBe(
      'bad-txns-inputs-missingorspent',
    );
  });

  test('a height locktime is refused until the block after it', () => {
    const { chain, wallet, coins } = setup();
    const lockTime = chain.height + 1;
    const outputs = [{ valueSat: coins[0]!.valueSat - 1000n, script: wallet.script }];
    const locked = wallet.sign({ coins, outputs, lockTime });
    expect(reasonOf(() => chain.broadcast(locked))).toBe('non-final');
    const disabled = wallet.sign({ coins, outputs, lockTime, sequence: 0xffff_ffff });
    expect(reasonOf(() => chain.mempool.check(disabled))).toBe('accepted');
    chain.mine();
    expect(reasonOf(() => chain.broadcast(locked))).toBe('accepted');
  });

  test('a time locktime counts the median time of the past, not the clock', () => {
    const { chain, wallet, clock, coins } = setup();
    clock.milliseconds += 7_200_000;
    const lockTime = clock.milliseconds / 1000 - 1;
    const outputs = [{ valueSat: coins[0]!.valueSat - 1000n, script: wallet.script }];
    const locked = wallet.sign({ coins, outputs, lockTime });
    chain.mine({ blocks: 5 });
    expect(reasonOf(() => chain.broadcast(locked))).toBe('non-final');
    chain.mine();
    expect(reasonOf(() => chain.broadcast(locked))).toBe('accepted');
  });

  test('a relative locktime (BIP 68) is refused until enough blocks have passed', () => {
    const { chain, wallet, coins } = setup();
    const coin = confirmOutput({
      chain,
      wallet,
      coin: coins[0]!,
      output: { valueSat: 50_000n, script: wallet.script },
    });
    const outputs = [{ valueSat: 49_000n, script: wallet.script }];
    const locked = wallet.sign({ coins: [coin], outputs, sequence: 3 });
    chain.mine();
    expect(reasonOf(() => chain.broadcast(locked))).toBe('non-BIP68-final');
    chain.mine();
    expect(reasonOf(() => chain.broadcast(locked))).toBe('accepted');
  });

  test('a relative locktime in time is counted from the median before the output', () => {
    const { chain, wallet, clock, coins } = setup();
    const coin = confirmOutput({
      chain,
      wallet,
      coin: coins[0]!,
      output: { valueSat: 50_000n, script: wallet.script },
    });
    const outputs = [{ valueSat: 49_000n, script: wallet.script }];
    const locked = wallet.sign({ coins: [coin], outputs, sequence: 0x0040_0002 });
    clock.milliseconds += 2000_000;
    expect(reasonOf(() => chain.broadcast(locked))).toBe('non-BIP68-final');
    chain.mine({ blocks: 6 });
    expect(reasonOf(() => chain.broadcast(locked))).toBe('accepted');
  });

  test('OP_CHECKSEQUENCEVERIFY and OP_CHECKLOCKTIMEVERIFY are enforced', () => {
    const { chain, wallet, coins } = setup(2);
    const csv = script(3n, OP.CHECKSEQUENCEVERIFY, OP.DROP, wallet.publicKey, OP.CHECKSIG);
    const height = BigInt(chain.height + 3);
    const cltv = script(height, OP.CHECKLOCKTIMEVERIFY, OP.DROP, wallet.publicKey, OP.CHECKSIG);
    for (const [i, witnessScript] of [csv, cltv].entries()) {
      const output = { valueSat: 50_000n, script: p2wshScript(witnessScript) };
      const coin = confirmOutput({ chain, wallet, coin: coins[i]!, output });
      const spend = (fields: { sequence: number; lockTime: number }) => {
        const tx = wallet.unsigned({
          coins: [coin],
          outputs: [{ valueSat: 49_000n, script: wallet.script }],
          ...fields,
        });
        const hash = segwitSighash({
          tx,
          inputIndex: 0,
          scriptCode: witnessScript,
          valueSat: coin.valueSat,
          sighashType: sighashAll,
        });
        const signature = signatureToDer(secp256k1.sign(hash, wallet.privateKey), sighashAll);
        return withWitness(tx, 0, [signature, witnessScript]);
      };
      const early = spend({ sequence: i === 0 ? 2 : 0, lockTime: i === 0 ? 0 : Number(height) - 1 });
      const right = spend({ sequence: i === 0 ? 3 : 0, lockTime: i === 0 ? 0 : Number(height) });
      chain.mine({ blocks: 2 });
      expect(reasonOf(() => chain.broadcast(early))).toBe(
        'mandatory-script-verify-flag-failed (SCRIPT_ERR_UNSATISFIED_LOCKTIME)',
      );
      expect(reasonOf(() => chain.broadcast(right))).toBe('accepted');
      chain.mine();
    }
  });

  test('a 2-of-2 P2WSH output, as a channel funding, needs both signatures', () => {
    const { chain, wallet, coins } = setup();
    const keys = [new TestWallet(3), new TestWallet(4)].sort((a, b) =>
      Buffer.compare(a.publicKey, b.publicKey),
    ) as [TestWallet, TestWallet];
    const witnessScript = script(OP.TWO, keys[0].publicKey, keys[1].publicKey, OP.TWO, OP.CHECKMULTISIG);
    const output = { valueSat: 1_000_000n, script: p2wshScript(witnessScript) };
    const coin = confirmOutput({ chain, wallet, coin: coins[0]!, output });
    const tx = wallet.unsigned({ coins: [coin], outputs: [{ valueSat: 999_000n, script: wallet.script }] });
    const hash = segwitSighash({
      tx,
      inputIndex: 0,
      scriptCode: witnessScript,
      valueSat: 1_000_000n,
      sighashType: sighashAll,
    });
    const [first, second] = keys.map((key) =>
      signatureToDer(secp256k1.sign(hash, key.privateKey), sighashAll),
    );
    const empty = new Uint8Array(0);
    const spend = (...items: Uint8Array[]) => withWitness(tx, 0, [...items, witnessScript]);
    expect(reasonOf(() => chain.broadcast(spend(empty, second!, first!)))).toMatch('NULLFAIL');
    expect(reasonOf(() => chain.broadcast(spend(empty, first!, first!)))).toMatch('NULLFAIL');
    expect(reasonOf(() => chain.broadcast(spend(Uint8Array.of(1), first!, second!)))).toMatch('NULLDUMMY');
    expect(reasonOf(() => chain.broadcast(spend(empty, first!, second!)))).toBe('accepted');
  });

  test('taproot: the key path and a script path', () => {
    const { chain, wallet, coins } = setup(2);
    const tagged = (tag: string, data: Uint8Array) => {
      const hash = sha256(utf8ToBytes(tag));
      return sha256(concatBytes(hash, hash, data));
    };
    const internal = wallet.publicKey.subarray(1);
    const even =
      wallet.publicKey[0] === 2 ? wallet.privateKey : secp256k1.privateKeyNegate(wallet.privateKey);
    const leaf = script(internal, OP.CHECKSIG);
    const leafHash = tapLeafHash(0xc0, leaf);
    const tweak = tagged('TapTweak', concatBytes(internal, leafHash));
    const outputPrivate = secp256k1.privateKeyAdd(even, tweak);
    const outputKey = secp256k1.publicKey(outputPrivate);
    const output = { valueSat: 60_000n, script: p2trScript(outputKey.subarray(1)) };
    const keyCoin = confirmOutput({ chain, wallet, coin: coins[0]!, output });
    const scriptCoin = confirmOutput({ chain, wallet, coin: coins[1]!, output });
    const outputs = [{ valueSat: 59_000n, script: wallet.script }];
    const zeros = new Uint8Array(32);

    const keyTx = wallet.unsigned({ coins: [keyCoin], outputs });
    const keyHash = new SignatureHasher(keyTx, [keyCoin]).taproot({ index: 0, hashType: 0, spend: {} })!;
    const signature = secp256k1.signSchnorr(keyHash, outputPrivate, zeros);
    const broken = Uint8Array.from(signature);
    broken[40]! ^= 1;
    expect(reasonOf(() => chain.broadcast(withWitness(keyTx, 0, [broken])))).toMatch('SCHNORR_SIG');
    expect(reasonOf(() => chain.broadcast(withWitness(keyTx, 0, [signature])))).toBe('accepted');

    const scriptTx = wallet.unsigned({ coins: [scriptCoin], outputs });
    const hasher = new SignatureHasher(scriptTx, [scriptCoin]);
    const scriptHash = hasher.taproot({ index: 0, hashType: 0, spend: { leafHash } })!;
    const control = concatBytes(Uint8Array.of(0xc0 + (outputKey[0]! - 2)), internal);
    const leafSignature = secp256k1.signSchnorr(scriptHash, even, zeros);
    const wrongControl = concatBytes(Uint8Array.of(control[0]! ^ 1), internal);
    const spend = (one: Uint8Array) => withWitness(scriptTx, 0, [leafSignature, leaf, one]);
    expect(reasonOf(() => chain.broadcast(spend(wrongControl)))).toMatch('WITNESS_PROGRAM_MISMATCH');
    expect(reasonOf(() => chain.broadcast(spend(control)))).toBe('accepted');
    chain.mine();
    expect(chain.mempool.size).toBe(0);
  });
});

describe('policy', () => {
  const pay = (wallet: TestWallet, coin: TestCoin, output: TxOutput, version = 2) =>
    wallet.sign({
      coins: [coin],
      version,
      outputs: [output, { valueSat: coin.valueSat - output.valueSat - 1000n, script: wallet.script }],
    });

  test('dust is refused at one satoshi below the threshold', () => {
    const { chain, wallet, coins } = setup();
    const output = { valueSat: 293n, script: wallet.script };
    expect(reasonOf(() => chain.mempool.check(pay(wallet, coins[0]!, output)))).toBe('dust');
    const enough = { ...output, valueSat: 294n };
    expect(reasonOf(() => chain.mempool.check(pay(wallet, coins[0]!, enough)))).toBe('accepted');
    const p2wsh = p2wshScript(Uint8Array.of(0x51));
    expect(
      reasonOf(() => chain.mempool.check(pay(wallet, coins[0]!, { valueSat: 329n, script: p2wsh }))),
    ).toBe('dust');
  });

  test('scripts, versions and sizes that are not standard are refused', () => {
    const { chain, wallet, coins } = setup();
    const check = (tx: Transaction) => reasonOf(() => chain.mempool.check(tx));
    const odd = { valueSat: 1000n, script: Uint8Array.of(0x51, 0x51, 0x51) };
    expect(check(pay(wallet, coins[0]!, odd))).toBe('scriptpubkey');
    const fine = { valueSat: 1000n, script: wallet.script };
    expect(check(pay(wallet, coins[0]!, fine, 4))).toBe('version');
    expect(check(pay(wallet, coins[0]!, fine, 3))).toBe('accepted');
    const data = (size: number) => ({ valueSat: 0n, script: script(OP.RETURN, new Uint8Array(size)) });
    expect(check(pay(wallet, coins[0]!, data(80)))).toBe('accepted');
    expect(check(pay(wallet, coins[0]!, data(81)))).toBe('datacarrier');
    const many = Array.from({ length: 3300 }, () => ({ valueSat: 1000n, script: wallet.script }));
    expect(check(wallet.sign({ coins, outputs: many }))).toBe('tx-size');
  });

  test('threat 6: a witness that is larger than policy allows is refused before its script runs', () => {
    const { chain, wallet, coins } = setup();
    const witnessScript = new Uint8Array(3601).fill(0x61);
    const coin = confirmOutput({
      chain,
      wallet,
      coin: coins[0]!,
      output: { valueSat: 50_000n, script: p2wshScript(witnessScript) },
    });
    const tx = wallet.unsigned({ coins: [coin], outputs: [{ valueSat: 40_000n, script: wallet.script }] });
    expect(reasonOf(() => chain.broadcast(withWitness(tx, 0, [witnessScript])))).toBe(
      'bad-witness-nonstandard',
    );
  });

  test('a fee below 1 sat a virtual byte is refused', () => {
    const { chain, wallet, coins } = setup();
    const { vsize } = chain.mempool.check(wallet.sweep(coins, 1000n));
    const fee = BigInt(vsize);
    expect(reasonOf(() => chain.mempool.check(wallet.sweep(coins, fee - 2n)))).toBe('min relay fee not met');
    expect(reasonOf(() => chain.broadcast(wallet.sweep(coins, fee + 1n)))).toBe('accepted');
  });

  test('a replacement pays for itself and for what it evicts', () => {
    const { chain, wallet, coins } = setup();
    const first = chain.broadcast(wallet.sweep(coins, 1000n));
    const child = chain.broadcast(wallet.sweep([coinOf(first.txid, first.tx)], 3000n));
    expect(reasonOf(() => chain.broadcast(wallet.sweep(coins, 1000n)))).toBe('txn-already-in-mempool');
    expect(reasonOf(() => chain.broadcast(wallet.sweep(coins, 1001n)))).toBe('insufficient fee');
    expect(reasonOf(() => chain.broadcast(wallet.sweep(coins, 4000n)))).toBe('insufficient fee');
    expect(reasonOf(() => chain.broadcast(wallet.sweep(coins, 4200n)))).toBe('accepted');
    expect(chain.mempool.get(first.txidHex)).toBeUndefined();
    expect(chain.mempool.get(child.txidHex)).toBeUndefined();
    expect(chain.mempool.size).toBe(1);
  });

  test('a replacement may not spend what it replaces, nor add unconfirmed inputs', () => {
    const { chain, wallet, coins } = setup(2);
    const first = chain.broadcast(wallet.sweep([coins[0]!], 1000n));
    const other = chain.broadcast(wallet.sweep([coins[1]!], 1000n));
    const own = wallet.sweep([coins[0]!, coinOf(first.txid, first.tx)], 100_000n);
    expect(reasonOf(() => chain.broadcast(own))).toBe('bad-txns-spends-conflicting-tx');
    const adds = wallet.sweep([coins[0]!, coinOf(other.txid, other.tx)], 100_000n);
    expect(reasonOf(() => chain.broadcast(adds))).toBe('replacement-adds-unconfirmed');
  });

  test('a chain of 25 unconfirmed transactions is as long as it gets', () => {
    const { chain, wallet, coins } = setup();
    let coin = coins[0]!;
    for (let i = 0; i < 25; i++) {
      const entry = chain.broadcast(wallet.sweep([coin], 1000n));
      coin = coinOf(entry.txid, entry.tx);
    }
    expect(reasonOf(() => chain.broadcast(wallet.sweep([coin], 1000n)))).toBe('too-long-mempool-chain');
    chain.mine();
    expect(chain.mempool.size).toBe(0);
    expect(reasonOf(() => chain.broadcast(wallet.sweep([coin], 1000n)))).toBe('accepted');
  });

  test('version 3 transactions have one parent and one small child at most', () => {
    const { chain, wallet, coins } = setup();
    const half = (coins[0]!.valueSat - 1000n) / 2n;
    const outputs = [0, 1].map(() => ({ valueSat: half, script: wallet.script }));
    const parent = chain.broadcast(wallet.sign({ coins, outputs, version: 3 }));
    const spend = (index: number, version: number) =>
      wallet.sign({
        coins: [coinOf(parent.txid, parent.tx, index)],
        outputs: [{ valueSat: half - 1000n, script: wallet.script }],
        version,
      });
    expect(reasonOf(() => chain.broadcast(spend(0, 2)))).toBe('TRUC-violation');
    expect(reasonOf(() => chain.broadcast(spend(0, 3)))).toBe('accepted');
    expect(reasonOf(() => chain.broadcast(spend(1, 3)))).toBe('TRUC-violation');
  });

  test('a child pays for a parent below the minimum, in a package and in the block', () => {
    const { chain, wallet, coins } = setup();
    const parent = wallet.sweep(coins, 0n);
    expect(reasonOf(() => chain.broadcast(parent))).toBe('min relay fee not met');
    const poor = wallet.sweep([coinOf(txid(parent), parent)], 200n);
    expect(chain.broadcastPackage([parent, poor]).map((one) => (one as TxRejection).reason)).toEqual([
      'package-fee-too-low',
      'package-fee-too-low',
    ]);
    expect(chain.mempool.size).toBe(0);
    const child = wallet.sweep([coinOf(txid(parent), parent)], 2000n);
    expect(chain.broadcastPackage([parent, child]).some((one) => one instanceof TxRejection)).toBe(false);
    expect(chain.mine()[0]!.transactions).toHaveLength(3);
  });

  test('blocks take the best feerate first, and parents before children', () => {
    const { chain, wallet, coins } = setup(3);
    const low = chain.broadcast(wallet.sweep([coins[0]!], 200n));
    const middle = chain.broadcast(wallet.sweep([coins[1]!], 5000n));
    const child = chain.broadcast(wallet.sweep([coinOf(low.txid, low.tx)], 50_000n));
    const [block] = chain.mine();
    expect(block!.transactions.slice(1).map((one) => one.txidHex)).toEqual([
      low.txidHex,
      child.txidHex,
      middle.txidHex,
    ]);
  });

  test('a miner who takes no less than a feerate takes a poor parent with a child that pays for both', () => {
    const { chain, wallet, coins } = setup();
    const parent = wallet.sweep(coins, 1000n);
    const low = chain.broadcast(parent);
    chain.mine({ minFeeratePerKw: 10_000 });
    expect(chain.mempool.get(low.txidHex)).toBeDefined();
    chain.broadcast(wallet.sweep([coinOf(txid(parent), parent)], 50_000n));
    chain.mine({ minFeeratePerKw: 10_000 });
    expect(chain.mempool.size).toBe(0);
  });

  test('a full mempool takes nothing below its minimum, but with a child that pays for both', () => {
    const { chain, wallet, coins } = setup();
    chain.mempool.minFeePerKvb = 40_000n;
    const parent = wallet.sweep(coins, 1000n);
    expect(() => chain.broadcast(parent)).toThrow('min relay fee not met');
    const poor = wallet.sweep([coinOf(txid(parent), parent)], 2000n);
    expect(chain.broadcastPackage([parent, poor]).every((one) => one instanceof TxRejection)).toBe(true);
    const rich = wallet.sweep([coinOf(txid(parent), parent)], 50_000n);
    expect(chain.broadcastPackage([parent, rich]).some((one) => one instanceof TxRejection)).toBe(false);
  });

  test('a commitment-like transaction of 483 outputs is accepted and mined in reasonable time', () => {
    const { chain, wallet, coins } = setup();
    const outputs = Array.from({ length: 483 }, (_, i) => ({
      valueSat: 10_000n,
      script: p2wshScript(Uint8Array.of(0x51, i & 0x7f)),
    }));
    chain.broadcast(wallet.sign({ coins, outputs }));
    expect(chain.mine()[0]!.transactions[1]!.tx.outputs).toHaveLength(483);
  });
});

describe('reorganisations', () => {
  test('put transactions back into the mempool, and the next block takes them again', () => {
    const { chain, wallet, coins } = setup();
    const entry = chain.broadcast(wallet.sweep(coins, 1000n));
    const [old] = chain.mine();
    const tips: string[] = [];
    chain.onTip((tip) => tips.push(hashToHex(tip.hash)));
    const fresh = chain.reorganise({ depth: 1, blocks: 2, transactions: 'none' });
    expect(chain.isActive(old!)).toBe(false);
    expect(chain.tip.hashHex).toBe(fresh[1]!.hashHex);
    expect(chain.mempool.get(entry.txidHex)).toBeDefined();
    expect(chain.confirmed(entry.txidHex)).toBeUndefined();
    expect(tips).toHaveLength(3);
    chain.mine();
    expect(chain.confirmed(entry.txidHex)?.block.height).toBe(chain.height);
  });

  test('a longer branch takes over, and what only the old one allowed is gone', () => {
    const { chain, wallet, coins } = setup();
    const fork = chain.height;
    const before = chain.tip.hashHex;
    const first = chain.broadcast(wallet.sweep(coins, 1000n));
    const [losing] = chain.mine();
    chain.invalidateBlock(losing!.hashHex);
    expect(chain.tip.hashHex).toBe(before);
    const second = chain.broadcast(wallet.sweep(coins, 9000n));
    chain.mine({ blocks: 2 });
    expect(chain.confirmed(second.txidHex)?.block.height).toBe(fork + 1);
    chain.reconsiderBlock(losing!.hashHex);
    expect(chain.height).toBe(fork + 2);
    expect(chain.confirmed(first.txidHex)).toBeUndefined();
    expect(chain.mempool.size).toBe(0);
    expect(reasonOf(() => chain.broadcast(first.tx))).toBe('bad-txns-inputs-missingorspent');
  });

  test('a transaction whose coinbase left the chain leaves the mempool', () => {
    const { chain, wallet, coins } = setup();
    chain.broadcast(wallet.sweep(coins, 1000n));
    chain.reorganise({ depth: 101, blocks: 102, transactions: 'none' });
    expect(chain.mempool.size).toBe(0);
  });
});

describe('persistence', () => {
  test('the chain, its invalid blocks and the mempool survive a restart and a torn tail', () => {
    const folder = mkdtempSync(join(tmpdir(), 'rivulet-chain-'));
    try {
      const dataFile = join(folder, 'deep', 'regtest.dat');
      const chain = new RegtestChain({ dataFile });
      const wallet = new TestWallet();
      const coins = wallet.fund(chain, 2);
      chain.broadcast(wallet.sweep([coins[0]!], 1000n));
      chain.mine();
      chain.reorganise({ depth: 2, blocks: 1 });
      const waiting = chain.broadcast(wallet.sweep([coins[1]!], 1000n));
      chain.close();

      const again = new RegtestChain({ dataFile });
      expect(again.tip.hashHex).toBe(chain.tip.hashHex);
      expect(again.mempool.entries().map((one) => one.txidHex)).toEqual([waiting.txidHex]);
      expect(new Map(again.coins())).toEqual(new Map(chain.coins()));
      again.mine();
      again.close();

      writeFileSync(dataFile, readFileSync(dataFile).subarray(0, -7));
      const torn = new RegtestChain({ dataFile });
      expect(torn.tip.hashHex).toBe(chain.tip.hashHex);
      torn.mine();
      torn.close();
      const last = new RegtestChain({ dataFile });
      expect(last.tip.hashHex).toBe(torn.tip.hashHex);
      last.close();
    } finally {
      rmSync(folder, { recursive: true });
    }
  });
});

describe('conservation', () => {
  test('whatever is mined, spent and reorganised, the unspent outputs are the sum of all rewards', () => {
    const action = fc.oneof(
      fc.record({
        type: fc.constant('spend' as const),
        pick: fc.nat(),
        fee: fc.integer({ min: 200, max: 5000 }),
        split: fc.boolean(),
      }),
      fc.record({ type: fc.constant('mine' as const), blocks: fc.integer({ min: 1, max: 3 }) }),
      fc.record({
        type: fc.constant('reorganise' as const),
        depth: fc.integer({ min: 1, max: 4 }),
        blocks: fc.integer({ min: 0, max: 5 }),
        keep: fc.boolean(),
      }),
    );
    fc.assert(
      fc.property(fc.array(action, { minLength: 5, maxLength: 25 }), (actions) => {
        const { chain, wallet } = setup(4);
        for (const one of actions) {
          if (one.type === 'mine') chain.mine({ blocks: one.blocks, script: wallet.script });
          else if (one.type === 'reorganise') {
            const transactions = one.keep ? 'mempool' : 'none';
            chain.reorganise({ depth: one.depth, blocks: one.blocks, transactions, script: wallet.script });
          } else {
            const own = [...chain.coins()].filter(
              ([, coin]) =>
                Buffer.compare(coin.script, wallet.script) === 0 &&
                (!coin.coinbase || chain.height - coin.height >= 100),
            );
            const picked = own[one.pick % own.length];
            if (picked === undefined) continue;
            const [key, coin] = picked;
            const outpoint = {
              txid: Uint8Array.from(Buffer.from(key.slice(0, 64), 'hex')).reverse(),
              index: Number(key.slice(65)),
            };
            const left = coin.valueSat - BigInt(one.fee);
            const values = one.split ? [left / 2n, left - left / 2n] : [left];
            const outputs = values.map((valueSat) => ({ valueSat, script: wallet.script }));
            reasonOf(() => chain.broadcast(wallet.sign({ coins: [{ ...coin, outpoint }], outputs })));
          }
          let supply = 0n;
          for (const [, coin] of chain.coins()) supply += coin.valueSat;
          let rewards = 0n;
          for (let height = 1; height <= chain.height; height++) rewards += subsidySat(height);
          expect(supply).toBe(rewards);
        }
      }),
      { numRuns: 15 },
    );
  });
});
