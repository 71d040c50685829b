import { describe, expect, test } from 'vitest';
import { secp256k1, sha256 } from '../crypto/index.js';
import {
  anchorClaim,
  delayedClaim,
  htlcPreimageClaim,
  htlcTimeoutClaim,
  p2trClaim,
  p2wpkhClaim,
  preimageInWitness,
  revokedHtlcClaim,
  revokedToLocalClaim,
  type SweepInput,
  toRemoteClaim,
} from './claims.js';
import type { CommitmentOutput } from './commitmentTx.js';
import { signatureFromDer } from './derSignature.js';
import { htlcTxOf } from './htlcTx.js';
import {
  counterparty,
  holder,
  sampleCommitment,
  sampleHtlc,
  sampleKeys,
  samplePreimage,
} from './samples.test.support.js';
import { p2trScript, p2wpkhScript, p2wshScript } from './script.js';
import { segwitSighash, sighashAll, sighashSingleAnyoneCanPay, taprootSighash } from './sighash.js';
import { signRemoteCommitment } from './signing.js';
import { buildHtlcPackage, buildSweep, type Sweep } from './sweep.js';
import { type Transaction, weight } from './transaction.js';
import { TransactionError } from './transactionError.js';

const walletScript = p2wpkhScript(new Uint8Array(20).fill(8));
const walletKey = new Uint8Array(32).fill(6);
const walletPubkey = secp256k1.publicKey(walletKey);

function walletInput(valueSat: bigint): SweepInput {
  return p2wpkhClaim({
    outpoint: { txid: new Uint8Array(32).fill(9), index: 0 },
    valueSat,
    pubkey: walletPubkey,
    sign: (hash) => secp256k1.sign(hash, walletKey),
  });
}

/** Checks one input of a signed transaction: its script belongs to the output, its signature to the key. */
function expectSigned(
  tx: Transaction,
  inputIndex: number,
  spent: { input: SweepInput; script: Uint8Array; pubkey: Uint8Array },
) {
  const { input, script, pubkey } = spent;
  const witness = tx.inputs[inputIndex]?.witness ?? [];
  const last = witness.at(-1) as Uint8Array;
  expect(script).toEqual(script.length === 22 ? p2wpkhScript(last) : p2wshScript(last));
  const { signature, sighashType } = signatureFromDer(witness[0] as Uint8Array);
  expect(sighashType).toBe(sighashAll);
  const { scriptCode, valueSat } = input;
  const hash = segwitSighash({ tx, inputIndex, scriptCode, valueSat, sighashType: sighashAll });
  expect(secp256k1.verify(signature, hash, pubkey)).toBe(true);
}

/** The sweep's fee fits its real weight, which signatures make up to 2 smaller for each. */
function expectFeerate(sweep: Sweep, signatures: number, feeratePerKw: number) {
  const real = weight(sweep.tx);
  expect(real).toBeLessThanOrEqual(sweep.weight);
  expect(real).toBeGreaterThanOrEqual(sweep.weight - 3 * signatures - 1);
  expect(sweep.feeSat * 1000n).toBeGreaterThanOrEqual(BigInt(real) * BigInt(feeratePerKw));
}

describe.each(['static_remotekey', 'anchors'] as const)('claims of a commitment (%s)', (channelType) => {
  const commitment = sampleCommitment({ channelType });
  const { txid, params } = commitment;
  const { keys, toSelfDelay } = params;
  const perCommitmentSecret = holder.perCommitmentSecret(7n);
  const output = (matches: (candidate: CommitmentOutput) => boolean) => {
    const found = commitment.outputs.find(matches);
    if (found === undefined) throw new Error('the sample commitment has no such output');
    return { script: found.script, outpoint: { txid, index: found.index }, valueSat: found.valueSat };
  };
  const toLocal = output(({ kind }) => kind === 'to_local');
  const toRemote = output(({ kind }) => kind === 'to_remote');
  const offered = output((o) => o.kind === 'htlc' && o.htlc.direction === 'offered');
  const received = output((o) => o.kind === 'htlc' && o.htlc.direction === 'received');
  const [offeredHtlc, receivedHtlc] = params.htlcs as [
    ReturnType<typeof sampleHtlc>,
    ReturnType<typeof sampleHtlc>,
  ];
  const csv = channelType === 'anchors' ? 1 : 0xfffffffd;
  const empty = new Uint8Array(0);

  const byHolder = { signer: holder, keys, channelType, toSelfDelay };
  const byCounterparty = { ...byHolder, signer: counterparty, perCommitmentSecret };
  const { paymentBasepoint } = counterparty.basepoints;
  const cases = [
    {
      name: 'to_local of our own after its delay',
      spent: toLocal,
      input: delayedClaim({ ...byHolder, ...toLocal }),
      pubkey: keys.localDelayedPubkey,
      expected: { sequence: 144, lockTime: 0, second: empty },
    },
    {
      name: 'to_remote of the peer',
      spent: toRemote,
      input: toRemoteClaim({ ...byCounterparty, ...toRemote }),
      pubkey: paymentBasepoint,
      expected: { sequence: csv, lockTime: 0, second: undefined },
    },
    {
      name: 'an HTLC that the peer offered, by its preimage',
      spent: offered,
      input: htlcPreimageClaim({
        ...byCounterparty,
        ...offered,
        htlc: offeredHtlc,
        preimage: samplePreimage,
      }),
      pubkey: keys.remoteHtlcPubkey,
      expected: { sequence: csv, lockTime: 0, second: samplePreimage },
    },
    {
      name: 'an HTLC that we offered to the peer, after its expiry',
      spent: received,
      input: htlcTimeoutClaim({ ...byCounterparty, ...received, htlc: receivedHtlc }),
      pubkey: keys.remoteHtlcPubkey,
      expected: { sequence: csv, lockTime: 800_010, second: empty },
    },
    {
      name: 'to_local of a revoked commitment',
      spent: toLocal,
      input: revokedToLocalClaim({ ...byCounterparty, ...toLocal }),
      pubkey: keys.revocationPubkey,
      expected: { sequence: 0xfffffffd, lockTime: 0, second: Uint8Array.of(1) },
    },
    {
      name: 'an HTLC that was offered in a revoked commitment',
      spent: offered,
      input: revokedHtlcClaim({ ...byCounterparty, ...offered, htlc: offeredHtlc }),
      pubkey: keys.revocationPubkey,
      expected: { sequence: 0xfffffffd, lockTime: 0, second: keys.revocationPubkey },
    },
    {
      name: 'an HTLC that was received in a revoked commitment',
      spent: received,
      input: revokedHtlcClaim({ ...byCounterparty, ...received, htlc: receivedHtlc }),
      pubkey: keys.revocationPubkey,
      expected: { sequence: 0xfffffffd, lockTime: 0, second: keys.revocationPubkey },
    },
  ];

  test.each(cases)('$name', ({ spent, input, pubkey, expected }) => {
    const sweep = buildSweep({ inputs: [input], script: walletScript, feeratePerKw: 2_500 });
    if (sweep === undefined) throw new Error('the output is worth sweeping');
    expectSigned(sweep.tx, 0, { input, script: spent.script, pubkey });
    expectFeerate(sweep, 1, 2_500);
    expect(sweep.tx).toMatchObject({ version: 2, lockTime: expected.lockTime });
    expect(sweep.tx.inputs[0]?.sequence).toBe(expected.sequence);
    const second = sweep.tx.inputs[0]?.witness.slice(1, -1)[0];
    expect(second).toEqual(expected.second);
    expect(sweep.tx.outputs).toEqual([{ valueSat: spent.valueSat - sweep.feeSat, script: walletScript }]);
  });

  test('go into one transaction together, with the latest locktime', () => {
    const inputs = cases.filter(({ name }) => !name.includes('revoked')).map(({ input }) => input);
    const sweep = buildSweep({ inputs, script: walletScript, feeratePerKw: 253, lockTime: 799_000 });
    if (sweep === undefined) throw new Error('the outputs are worth sweeping');
    expect(sweep.tx.lockTime).toBe(800_010);
    const totalSat = inputs.reduce((sum, { valueSat }) => sum + valueSat, 0n);
    expect(sweep.tx.outputs[0]?.valueSat).toBe(totalSat - sweep.feeSat);
    for (const [i, input] of inputs.entries()) {
      const { spent, pubkey } = cases[i] as (typeof cases)[number];
      expectSigned(sweep.tx, i, { input, script: spent.script, pubkey });
    }
    expectFeerate(sweep, inputs.length, 253);
  });

  test('the revocation witnesses weigh what BOLT 5 expects, for scripts of its lengths', () => {
    const weightOf = (name: string) => cases.find((c) => c.name.startsWith(name))?.input.weight;
    // BOLT 5 counts 8 bytes of delay where there are 2, and one byte for the item `1`, which takes two.
    expect(weightOf('to_local of a revoked')).toBe(324 - 6 + 1);
    const anchorBytes = channelType === 'anchors' ? 3 : 0;
    expect(weightOf('an HTLC that was offered in a revoked')).toBe(407 + anchorBytes);
    // 139 bytes: an expiry of 3 bytes.
    expect(weightOf('an HTLC that was received in a revoked')).toBe(413 + anchorBytes);
  });
});

describe('sweeps', () => {
  test('take our second-stage output after its delay, or by revocation', () => {
    const commitment = sampleCommitment({ channelType: 'static_remotekey' });
    const [htlcOutput] = commitment.htlcOutputs;
    if (htlcOutput === undefined) throw new Error('the HTLC is not trimmed');
    const [second] = htlcTxOf(commitment, htlcOutput).outputs;
    if (second === undefined) throw new Error('an HTLC transaction has one output');
    const target = {
      ...second,
      outpoint: { txid: new Uint8Array(32), index: 0 },
      keys: sampleKeys,
      toSelfDelay: 144,
    };
    const perCommitmentSecret = holder.perCommitmentSecret(7n);
    const inputs = [
      delayedClaim({ ...target, signer: holder }),
      revokedToLocalClaim({ ...target, signer: counterparty, perCommitmentSecret }),
    ];
    const keys = [sampleKeys.localDelayedPubkey, sampleKeys.revocationPubkey];
    for (const [i, input] of inputs.entries()) {
      const sweep = buildSweep({ inputs: [input], script: walletScript, feeratePerKw: 1_000 });
      if (sweep === undefined) throw new Error('the output is worth sweeping');
      expectSigned(sweep.tx, 0, { input, script: second.script, pubkey: keys[i] as Uint8Array });
    }
  });

  test('are not made when they would leave dust', () => {
    const sweepOf = (valueSat: bigint) =>
      buildSweep({ inputs: [walletInput(valueSat)], script: walletScript, feeratePerKw: 1_000 });
    const feeSat = sweepOf(100_000n)?.feeSat as bigint;
    expect(sweepOf(feeSat + 293n)).toBeUndefined();
    expect(sweepOf(feeSat + 294n)?.tx.outputs[0]?.valueSat).toBe(294n);
    expect(buildSweep({ inputs: [], script: walletScript, feeratePerKw: 0 })).toBeUndefined();
  });

  test.each([
    ['our own', holder, 'local_anchor', sampleKeys.localFundingPubkey],
    ["the peer's", counterparty, 'remote_anchor', sampleKeys.remoteFundingPubkey],
  ] as const)('raise the fee of %s commitment through the anchor', (_, signer, kind, pubkey) => {
    const commitment = sampleCommitment({ feeratePerKw: 253 });
    const anchor = commitment.outputs.find((output) => output.kind === kind);
    if (anchor === undefined) throw new Error('the sample has both anchors');
    const outpoint = { txid: commitment.txid, index: anchor.index };
    const inputs = [anchorClaim({ signer, outpoint }), walletInput(50_000n)];
    const parent = { weight: 1_124 + 2 * 172, feeSat: commitment.feeSat };
    const sweep = buildSweep({ inputs, script: walletScript, feeratePerKw: 5_000, parents: [parent] });
    if (sweep === undefined) throw new Error('the wallet can pay');
    expectSigned(sweep.tx, 0, { input: inputs[0] as SweepInput, script: anchor.script, pubkey });
    expectSigned(sweep.tx, 1, {
      input: inputs[1] as SweepInput,
      script: p2wpkhScript(walletPubkey),
      pubkey: walletPubkey,
    });
    const packageFeeSat = sweep.feeSat + parent.feeSat;
    expect(packageFeeSat * 1000n).toBeGreaterThanOrEqual(BigInt(sweep.weight + parent.weight) * 5_000n);
    const rich = { ...parent, feeSat: 1_000_000n };
    const alone = buildSweep({ inputs, script: walletScript, feeratePerKw: 5_000 });
    expect(buildSweep({ inputs, script: walletScript, feeratePerKw: 5_000, parents: [rich] })).toEqual(alone);
  });
});

describe('taproot inputs', () => {
  const key = sha256(Uint8Array.of(77));
  const xOnly = secp256k1.publicKey(key).subarray(1);
  const input = (valueSat: bigint): SweepInput =>
    p2trClaim({
      outpoint: { txid: sha256(Uint8Array.of(78)), index: 3 },
      valueSat,
      script: p2trScript(xOnly),
      sign: (hash) => secp256k1.signSchnorr(hash, key, new Uint8Array(32)),
    });
  const isSigned = (tx: Transaction, inputIndex: number, spent: readonly SweepInput[]) => {
    const [signature = new Uint8Array(0)] = tx.inputs[inputIndex]?.witness ?? [];
    return secp256k1.verifySchnorr(signature, taprootSighash({ tx, inputIndex, spent }), xOnly);
  };

  test('sign as BIP 341 says, together with others, and know their exact weight', () => {
    const inputs = [walletInput(20_000n), input(30_000n)];
    const sweep = buildSweep({ inputs, script: walletScript, feeratePerKw: 1_000 });
    if (sweep === undefined) throw new Error('the inputs suffice');
    expect(isSigned(sweep.tx, 1, inputs)).toBe(true);
    expect(isSigned(sweep.tx, 1, [walletInput(20_001n), input(30_000n)])).toBe(false);
    expectFeerate(sweep, 1, 1_000);
    const alone = buildSweep({ inputs: [input(30_000n)], script: walletScript, feeratePerKw: 1_000 });
    expect(alone?.weight).toBe(weight(alone!.tx));
  });
});

describe('a replacement', () => {
  test('pays at least what it has to, whatever its feerate', () => {
    const inputs = [walletInput(50_000n)];
    const free = buildSweep({ inputs, script: walletScript, feeratePerKw: 253 });
    const bound = buildSweep({ inputs, script: walletScript, feeratePerKw: 253, minimumFeeSat: 9_000n });
    expect([free!.feeSat < 9_000n, bound?.feeSat]).toEqual([true, 9_000n]);
    expect(bound?.tx.outputs[0]?.valueSat).toBe(41_000n);
    const unable = { inputs, script: walletScript, feeratePerKw: 253, minimumFeeSat: 49_900n };
    expect(buildSweep(unable)).toBeUndefined();
  });
});

describe('HTLC packages of anchor channels', () => {
  const htlcs = [
    sampleHtlc({ id: 1n, direction: 'received', amountMsat: 20_000_000n }),
    sampleHtlc({ id: 2n, direction: 'received', amountMsat: 30_000_000n }),
    sampleHtlc({ id: 3n, direction: 'offered', amountMsat: 40_000_000n }),
  ];
  const commitment = sampleCommitment({ htlcs, toLocalMsat: 500_000_000n });
  const signatures = signRemoteCommitment(counterparty, commitment).htlcSignatures;
  const items = commitment.htlcOutputs.map((htlcOutput, i) => ({
    commitment,
    htlcOutput,
    remoteSignature: signatures[i] as Uint8Array,
    signer: holder,
    ...(htlcOutput.htlc.direction === 'received' ? { preimage: samplePreimage } : {}),
  }));
  const received = items.filter(({ htlcOutput }) => htlcOutput.htlc.direction === 'received');
  const options = { changeScript: walletScript, feeratePerKw: 2_000 };

  test('carry the signatures of the peer over to the larger transaction', () => {
    const sweep = buildHtlcPackage({ ...options, items: received, feeInputs: [walletInput(40_000n)] });
    if (sweep === undefined) throw new Error('the wallet can pay');
    const { tx } = sweep;
    expect(tx.inputs).toHaveLength(3);
    expect(tx.outputs.map(({ valueSat }) => valueSat)).toEqual([20_000n, 30_000n, 40_000n - sweep.feeSat]);
    for (const [inputIndex, { htlcOutput }] of received.entries()) {
      const [, remoteDer, localDer, preimage, scriptCode] = (tx.inputs[inputIndex]?.witness ??
        []) as Uint8Array[];
      const input = { tx, inputIndex, scriptCode: scriptCode as Uint8Array, valueSat: htlcOutput.valueSat };
      const remote = signatureFromDer(remoteDer as Uint8Array).signature;
      const local = signatureFromDer(localDer as Uint8Array).signature;
      const remoteHash = segwitSighash({ ...input, sighashType: sighashSingleAnyoneCanPay });
      const localHash = segwitSighash({ ...input, sighashType: sighashAll });
      expect(secp256k1.verify(remote, remoteHash, sampleKeys.remoteHtlcPubkey)).toBe(true);
      expect(secp256k1.verify(local, localHash, sampleKeys.localHtlcPubkey)).toBe(true);
      expect(preimage).toEqual(samplePreimage);
    }
    expectSigned(tx, 2, {
      input: walletInput(40_000n),
      script: p2wpkhScript(walletPubkey),
      pubkey: walletPubkey,
    });
    expectFeerate(sweep, 7, 2_000);
  });

  test('leave out change that would be dust, and are not made when the fee is missing', () => {
    const packageOf = (valueSat: bigint) =>
      buildHtlcPackage({ ...options, items: received, feeInputs: [walletInput(valueSat)] });
    const full = packageOf(40_000n);
    const needed = full?.feeSat as bigint;
    expect(packageOf(needed + 294n)?.tx.outputs).toHaveLength(3);
    const noChange = packageOf(needed + 293n);
    expect(noChange?.tx.outputs).toHaveLength(2);
    expect(noChange?.feeSat).toBe(needed + 293n);
    // 31 bytes of change less, at 2 sat a weight unit.
    expect(packageOf(needed - 248n)?.feeSat).toBe(needed - 248n);
    expect(packageOf(needed - 249n)).toBeUndefined();
  });

  test('refuse different locktimes and channels without anchors', () => {
    const feeInputs = [walletInput(40_000n)];
    expect(() => buildHtlcPackage({ ...options, items, feeInputs })).toThrow(TransactionError);
    const old = sampleCommitment({ channelType: 'static_remotekey' });
    const [htlcOutput] = old.htlcOutputs;
    if (htlcOutput === undefined) throw new Error('the HTLC is not trimmed');
    const item = { commitment: old, htlcOutput, remoteSignature: new Uint8Array(64), signer: holder };
    expect(() => buildHtlcPackage({ ...options, items: [item], feeInputs })).toThrow(TransactionError);
  });
});

describe('preimages', () => {
  test('are found in the witness that revealed them, by their hash alone', () => {
    const { paymentHash } = sampleHtlc();
    const wrong = new Uint8Array(32).fill(1);
    expect(
      preimageInWitness([new Uint8Array(71), wrong, samplePreimage, new Uint8Array(133)], paymentHash),
    ).toEqual(samplePreimage);
    expect(preimageInWitness([new Uint8Array(71), wrong], paymentHash)).toBeUndefined();
    expect(preimageInWitness([], paymentHash)).toBeUndefined();
  });
});
