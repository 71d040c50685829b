import { bytesToHex, reverseBytes } from '@rivulet/core/bytes';
import { type Transaction, txid, txidToHex } from '@rivulet/core/tx';
import { HDKey } from '@scure/bip32';
import { Transaction as LibraryTransaction, RawTx, SigHash } from '@scure/btc-signer';
import { beforeEach, describe, expect, test } from 'vitest';
import { unlockCoins } from './locking.js';
import { commitPsbt, createPsbt, finalizePsbt, inspectPsbt, signPsbt } from './psbt.js';
import { failureOf, foreign, stranger, testSeed, WalletRig } from './walletRig.test.support.js';

/** Another wallet of the same words: what it signs and says is checked by nothing of ours. */
const elsewhere = HDKey.fromMasterSeed(testSeed, { private: 0x04358394, public: 0x043587cf });
/** By the path that the PSBT names, and nothing else. */
function signElsewhere(made: LibraryTransaction, index: number): void {
  const input = made.getInput(index);
  const der = input.bip32Derivation?.[0]?.[1] ?? input.tapBip32Derivation![0]![1].der;
  let node = elsewhere;
  for (const step of der.path) node = node.deriveChild(step);
  made.signIdx(node.privateKey!, index);
}
const outputs = [{ valueSat: 30_000n, script: foreign }];

let rig: WalletRig;
beforeEach(() => {
  rig = new WalletRig();
  rig.fill([60_000n]);
  rig.fill([50_000n], 'p2wpkh');
});

const parse = (psbt: Uint8Array) => LibraryTransaction.fromPSBT(psbt, { allowUnknownOutputs: true });
const create = (version: 0 | 2 = 0, all = true) =>
  createPsbt(rig.state, {
    outputs: all ? [{ valueSat: 90_000n, script: foreign }] : outputs,
    feeratePerKw: 1_000,
    reserveSat: 0n,
    version,
  });
/** The same PSBT with an input changed by the library alone. */
function changed(psbt: Uint8Array, index: number, change: object): Uint8Array {
  const made = LibraryTransaction.fromPSBT(psbt, { allowUnknownOutputs: true, disableScriptCheck: true });
  made.updateInput(index, change, true);
  return made.toPSBT();
}
const p2wpkhIndex = (psbt: Uint8Array) => {
  const made = parse(psbt);
  return made.getInput(0).witnessUtxo?.script.length === 22 ? 0 : 1;
};

describe('a PSBT', () => {
  test.each([0, 2] as const)(
    'of version %i is signed by another wallet of the words, and taken back',
    (version) => {
      const { psbt, view } = create(version);
      expect(view).toMatchObject({ complete: false });
      expect(view.inputs.map(({ ours, signed }) => ({ ours, signed }))).toEqual([
        { ours: true, signed: false },
        { ours: true, signed: false },
      ]);
      const made = parse(psbt);
      expect(made.fee).toBe(view.feeSat);
      for (let index = 0; index < made.inputsLength; index++) signElsewhere(made, index);
      const signed = made.toPSBT();
      const { tx, view: done } = commitPsbt(rig.state, signed, { nowMs: 1 });
      expect(done).toMatchObject({ complete: true, netSat: view.netSat, txid: view.txid });
      expect(rig.refusal(tx)).toBeUndefined();
      rig.mine();
      expect(rig.wallet.getTransaction(view.txid)?.height).toBe(rig.chain.height);
      expect(rig.wallet.balance().confirmedSat).toBe(110_000n + view.netSat);
    },
  );

  test.each([0, 2] as const)('of version %i is signed here, and another wallet can finish it', (version) => {
    const { psbt, view } = create(version);
    const { psbt: signed, view: after } = signPsbt(rig.state, psbt);
    expect(after.complete).toBe(true);
    const made = parse(signed);
    made.finalize();
    const raw = made.extract();
    const ours = finalizePsbt(rig.state, signed).tx;
    expect(RawTx.decode(raw).outputs.length).toBe(2);
    expect(made.id).toBe(txidToHex(view.txid));
    expect(rig.refusal(ours)).toBeUndefined();
    // Finalized elsewhere, it is taken as well.
    expect(finalizePsbt(rig.state, made.toPSBT()).tx).toEqual(ours);
  });

  test('says where our keys come from, change as well, so that signers can check', () => {
    const { psbt } = create();
    const made = parse(psbt);
    for (let index = 0; index < made.inputsLength; index++) {
      const input = made.getInput(index);
      const [[key, origin]] = (input.bip32Derivation ?? [[undefined, undefined]]) as [
        [Uint8Array | undefined, { fingerprint: number; path: number[] } | undefined],
      ];
      const der = origin ?? input.tapBip32Derivation![0]![1].der;
      let node = elsewhere;
      for (const step of der.path) node = node.deriveChild(step);
      expect(der.fingerprint).toBe(elsewhere.fingerprint);
      const expected = key ?? input.tapBip32Derivation![0]![0];
      expect(bytesToHex(node.publicKey!)).toContain(bytesToHex(expected));
    }
    const change = [0, 1].map((index) => made.getOutput(index)).find(({ tapInternalKey }) => tapInternalKey);
    expect(change?.tapBip32Derivation?.[0]?.[1].der.path.slice(-2)[0]).toBe(1);
    // A signer of a version 0 input needs the transaction that it spends.
    expect(made.getInput(p2wpkhIndex(psbt)).nonWitnessUtxo).toBeDefined();
  });

  test('keeps its coins from other payments, over a restart, until it is broadcast', () => {
    const { psbt, view } = create();
    rig.restart();
    expect(rig.wallet.coins().map(({ state, reason }) => [state, reason])).toEqual([
      ['locked', `PSBT ${txidToHex(view.txid)}`],
      ['locked', `PSBT ${txidToHex(view.txid)}`],
    ]);
    expect(rig.wallet.spendableCoins()).toEqual([]);
    const { psbt: signed } = signPsbt(rig.state, psbt);
    commitPsbt(rig.state, signed, { nowMs: 1, label: 'rent' });
    expect(rig.state.locks.size).toBe(0);
    rig.restart();
    expect(rig.wallet.spendableCoins().length).toBe(1);
  });

  test('whose coins a payment has spent is refused, and one whose coins are its owner’s as well', () => {
    const { psbt } = createPsbt(rig.state, { outputs, feeratePerKw: 1_000, reserveSat: 0n, lock: false });
    const [coin] = parse(psbt).getInput(0).witnessUtxo!.script.length === 34 ? [60_000n] : [50_000n];
    rig.wallet.hold(
      'a claim',
      rig.wallet.coins().map(({ outpoint }) => outpoint),
    );
    expect(failureOf(() => signPsbt(rig.state, psbt)).code).toBe('coin_taken');
    rig.wallet.hold('a claim', []);
    const outpoint = rig.wallet.coins().find(({ valueSat }) => valueSat === coin)!.outpoint;
    rig.send({ outputs: [{ valueSat: 1_000n, script: stranger }], coins: [outpoint] });
    expect(failureOf(() => signPsbt(rig.state, psbt)).code).toBe('psbt_refused');
  });
});

describe('a hostile PSBT', () => {
  const refusal = (psbt: Uint8Array) => {
    const failure = failureOf(() => signPsbt(rig.state, psbt));
    expect(failureOf(() => finalizePsbt(rig.state, psbt)).code).toBe(failure.code);
    return failure;
  };

  test.each([
    SigHash.NONE,
    SigHash.SINGLE,
    SigHash.ALL_ANYONECANPAY,
    SigHash.NONE_ANYONECANPAY,
    SigHash.SINGLE_ANYONECANPAY,
  ])('that asks for sighash type %i is refused, for either kind of coin', (sighashType) => {
    const { psbt } = create();
    for (const index of [0, 1]) {
      const failure = refusal(changed(psbt, index, { sighashType }));
      expect(failure.code).toBe('psbt_refused');
      expect(failure.message).toContain(`sighash type ${sighashType}`);
    }
  });

  test('that asks for SIGHASH_ALL by name gets it', () => {
    const { psbt } = create();
    const asked = changed(changed(psbt, 0, { sighashType: SigHash.ALL }), 1, { sighashType: SigHash.ALL });
    const { psbt: signed } = signPsbt(rig.state, asked);
    const { tx } = finalizePsbt(rig.state, signed);
    expect(tx.inputs.map(({ witness }) => witness[0]!.at(-1))).toEqual([1, 1]);
    expect(rig.refusal(tx)).toBeUndefined();
  });

  test('that lies about the amount or script of our coin is refused', () => {
    const { psbt } = create();
    const { script } = parse(psbt).getInput(0).witnessUtxo!;
    for (const amount of [1n, 200_000n]) {
      const lie = changed(psbt, 0, { witnessUtxo: { amount, script }, nonWitnessUtxo: undefined });
      expect(refusal(lie).code).toBe('psbt_refused');
    }
    const amount = parse(psbt).getInput(0).witnessUtxo!.amount;
    expect(refusal(changed(psbt, 0, { witnessUtxo: { amount, script: foreign } })).code).toBe('psbt_refused');
  });

  test('that claims a coin for us that no block has is refused', () => {
    const made = new LibraryTransaction({ allowUnknownOutputs: true });
    const { script } = rig.wallet.newAddress();
    made.addInput({ txid: new Uint8Array(32).fill(3), index: 0, witnessUtxo: { amount: 5_000n, script } });
    made.addOutput({ amount: 4_000n, script: foreign });
    expect(refusal(made.toPSBT()).code).toBe('psbt_refused');
  });

  test('with inputs of others shows them, and is signed only where that is agreed to', () => {
    const { psbt } = create(2, false);
    const made = LibraryTransaction.fromPSBT(psbt, {
      allowUnknownOutputs: true,
      allowMissingTxModifiable: true,
    });
    const [coin] = rig.other.coins().filter(({ state }) => state === 'confirmed');
    const script = rig.other.state.ledger.output(coin!.outpoint)!.key.script;
    made.addInput({
      txid: reverseBytes(coin!.outpoint.txid),
      index: coin!.outpoint.index,
      witnessUtxo: { amount: coin!.valueSat, script },
    });
    made.addOutput({ amount: coin!.valueSat, script: stranger });
    const both = made.toPSBT();
    const view = inspectPsbt(rig.state, both);
    expect(view.inputs.map(({ ours }) => ours)).toEqual([true, false]);
    expect(view.netSat).toBe(-(30_000n + view.feeSat!));
    // The coin was locked for the transaction as it was before the other input came.
    expect(failureOf(() => signPsbt(rig.state, both, { allowForeign: true })).code).toBe('coin_taken');
    unlockCoins(
      rig.state,
      rig.wallet.coins().map(({ outpoint }) => outpoint),
    );
    expect(failureOf(() => signPsbt(rig.state, both)).code).toBe('psbt_foreign_inputs');
    const { psbt: half, view: after } = signPsbt(rig.state, both, { allowForeign: true });
    expect(after).toMatchObject({ complete: false });
    expect(failureOf(() => finalizePsbt(rig.state, half)).code).toBe('psbt_incomplete');
    const { psbt: whole } = signPsbt(rig.other.state, half, { allowForeign: true });
    const { tx } = finalizePsbt(rig.state, whole);
    expect(rig.refusal(tx)).toBeUndefined();
  });

  test('that does not say what an input of others has is not signed with a signature that commits to it', () => {
    const { psbt } = create(2, false);
    const made = LibraryTransaction.fromPSBT(psbt, {
      allowUnknownOutputs: true,
      allowMissingTxModifiable: true,
    });
    made.addInput({ txid: new Uint8Array(32).fill(3), index: 0 });
    const silent = made.toPSBT();
    expect(inspectPsbt(rig.state, silent).feeSat).toBeUndefined();
    unlockCoins(
      rig.state,
      rig.wallet.coins().map(({ outpoint }) => outpoint),
    );
    expect(failureOf(() => signPsbt(rig.state, silent, { allowForeign: true })).code).toBe('psbt_refused');
  });

  test('with a signature of ours that is wrong is refused before it is stored', () => {
    const { psbt } = create();
    const { psbt: signed } = signPsbt(rig.state, psbt);
    const index = p2wpkhIndex(psbt);
    const taproot = 1 - index;
    const sig = parse(signed).getInput(taproot).tapKeySig!;
    const bad = Uint8Array.from(sig, (byte, at) => (at === 40 ? byte ^ 1 : byte));
    expect(failureOf(() => finalizePsbt(rig.state, changed(signed, taproot, { tapKeySig: bad }))).code).toBe(
      'psbt_refused',
    );
    const [key, der] = parse(signed).getInput(index).partialSig![0]!;
    const wrong = Uint8Array.from(der, (byte, at) => (at === der.length - 1 ? SigHash.NONE : byte));
    const weak = changed(psbt, index, { partialSig: [[key, wrong]] });
    expect(() => finalizePsbt(rig.state, weak)).toThrow();
    expect(rig.state.notes.size).toBe(0);
  });

  test('with an absurd fee is refused unless that is allowed', () => {
    rig.fill([5_000_000n]);
    const rich = rig.wallet.coins()[0]!;
    const made = new LibraryTransaction({ allowUnknownOutputs: true });
    const coin = rig.state.ledger.output(rich.outpoint)!;
    made.addInput({
      txid: reverseBytes(rich.outpoint.txid),
      index: rich.outpoint.index,
      witnessUtxo: { amount: rich.valueSat, script: coin.key.script },
    });
    made.addOutput({ amount: 1_000_000n, script: foreign });
    expect(refusal(made.toPSBT()).code).toBe('fee_absurd');
    expect(signPsbt(rig.state, made.toPSBT(), { maxFeeSat: 4_000_000n }).view.complete).toBe(true);
  });

  test('gives our coin scripts that it has not', () => {
    const { psbt } = create();
    const taproot = 1 - p2wpkhIndex(psbt);
    expect(refusal(changed(psbt, taproot, { tapMerkleRoot: new Uint8Array(32).fill(1) })).code).toBe(
      'psbt_refused',
    );
  });

  test('or anything else that is none is refused as such', () => {
    const { psbt } = create();
    const code = (bytes: Uint8Array) => failureOf(() => inspectPsbt(rig.state, bytes)).code;
    expect(code(new Uint8Array(0))).toBe('psbt_malformed');
    expect(code(new Uint8Array(2_000_000))).toBe('psbt_malformed');
    expect(code(psbt.subarray(0, -9))).toBe('psbt_malformed');
    for (let at = 0; at < psbt.length; at += 7) {
      const bytes = Uint8Array.from(psbt, (byte, index) => (index === at ? byte ^ 0x41 : byte));
      try {
        inspectPsbt(rig.state, bytes);
      } catch (error) {
        expect((error as { code?: string }).code).toMatch(/^psbt_/);
      }
    }
  });
});

test('a PSBT that has nothing to do with the wallet is not broadcast by it', () => {
  const coin = rig.other.coins().find(({ state }) => state === 'confirmed')!;
  const { psbt } = createPsbt(rig.other.state, {
    outputs,
    feeratePerKw: 253,
    reserveSat: 0n,
    coins: [coin.outpoint],
  });
  const { psbt: signed } = signPsbt(rig.other.state, psbt);
  expect(failureOf(() => commitPsbt(rig.state, signed, { nowMs: 1 })).code).toBe('psbt_refused');
  const tx: Transaction = finalizePsbt(rig.other.state, signed).tx;
  expect(rig.state.ledger.transactions.has(bytesToHex(txid(tx)))).toBe(false);
});
