import { describe, expect, test } from 'vitest';
import { bytesToHex, hexToBytes } from '../bytes/index.js';
import { secp256k1 } from '../crypto/index.js';
import { buildLegacyClosingTx } from './closingTx.js';
import { signatureFromDer } from './derSignature.js';
import { fundingScript, fundingSpendSighash } from './funding.js';
import { counterparty, holder, sampleCommitment, samplePreimage } from './samples.test.support.js';
import { p2wpkhScript, p2wshScript } from './script.js';
import { segwitSighash, sighashAll, sighashSingleAnyoneCanPay } from './sighash.js';
import {
  completeClosingTx,
  completeCommitment,
  completeHtlcTx,
  signClosingTx,
  signRemoteCommitment,
  verifyClosingSignature,
  verifyLocalCommitment,
} from './signing.js';

const curveOrder = BigInt('0xfffffffffffffffffffffffffffffffebaaedce6af48a03bbfd25e8cd0364141');

/** The other valid form of a signature, which Bitcoin's nodes do not relay. */
function withHighS(signature: Uint8Array): Uint8Array {
  const s = BigInt(`0x${bytesToHex(signature.subarray(32))}`);
  const high = hexToBytes((curveOrder - s).toString(16).padStart(64, '0'));
  return Uint8Array.from([...signature.subarray(0, 32), ...high]);
}

describe.each(['static_remotekey', 'anchors'] as const)('signatures of a commitment (%s)', (channelType) => {
  const commitment = sampleCommitment({ channelType });
  const signatures = signRemoteCommitment(counterparty, commitment);
  const [first, second] = signatures.htlcSignatures as [Uint8Array, Uint8Array];

  test('are valid for its holder', () => {
    expect(verifyLocalCommitment(commitment, signatures)).toBeUndefined();
  });

  test('are refused when one is wrong, missing, surplus or in another order', () => {
    const check = (htlcSignatures: Uint8Array[]) =>
      verifyLocalCommitment(commitment, { ...signatures, htlcSignatures });
    expect(verifyLocalCommitment(commitment, { ...signatures, signature: first })).toEqual({
      kind: 'signature',
    });
    expect(check([first])).toEqual({ kind: 'htlc_signature_count', expected: 2, received: 1 });
    expect(check([first, second, second])).toMatchObject({ kind: 'htlc_signature_count', received: 3 });
    expect(check([second, first])).toEqual({ kind: 'htlc_signature', index: 0 });
    expect(check([first, first])).toEqual({ kind: 'htlc_signature', index: 1 });
    expect(check([first, new Uint8Array(64)])).toEqual({ kind: 'htlc_signature', index: 1 });
  });

  test('threat 2: are refused with a high S', () => {
    const { signature } = signatures;
    expect(verifyLocalCommitment(commitment, { ...signatures, signature: withHighS(signature) })).toEqual({
      kind: 'signature',
    });
    const htlcSignatures = [first, withHighS(second)];
    expect(verifyLocalCommitment(commitment, { ...signatures, htlcSignatures })).toEqual({
      kind: 'htlc_signature',
      index: 1,
    });
  });

  test('make a transaction that spends the funding output', () => {
    const tx = completeCommitment({ signer: holder, commitment, remoteSignature: signatures.signature });
    const [empty, a, b, witnessScript] = (tx.inputs[0]?.witness ?? []) as Uint8Array[];
    const pubkeys = [holder.basepoints.fundingPubkey, counterparty.basepoints.fundingPubkey] as const;
    expect(empty).toHaveLength(0);
    expect(p2wshScript(witnessScript as Uint8Array)).toEqual(fundingScript(...pubkeys));
    const hash = fundingSpendSighash({ tx, fundingSat: commitment.params.fundingSat, pubkeys });
    // The witness's signatures are in the order of the keys in the script.
    const script = witnessScript as Uint8Array;
    const keys = [script.subarray(2, 35), script.subarray(36, 69)];
    for (const [i, der] of [a, b].entries()) {
      const { signature, sighashType } = signatureFromDer(der as Uint8Array);
      expect(sighashType).toBe(sighashAll);
      expect(secp256k1.verify(signature, hash, keys[i] as Uint8Array)).toBe(true);
    }
  });

  test('make HTLC transactions that both sides have signed', () => {
    for (const [i, htlcOutput] of commitment.htlcOutputs.entries()) {
      const received = htlcOutput.htlc.direction === 'received';
      const tx = completeHtlcTx({
        signer: holder,
        commitment,
        htlcOutput,
        remoteSignature: signatures.htlcSignatures[i] as Uint8Array,
        ...(received ? { preimage: samplePreimage } : {}),
      });
      const [empty, remoteDer, localDer, preimage, scriptCode] = (tx.inputs[0]?.witness ?? []) as unknown as [
        Uint8Array,
        Uint8Array,
        Uint8Array,
        Uint8Array,
        Uint8Array,
      ];
      expect(empty).toHaveLength(0);
      expect(preimage).toEqual(received ? samplePreimage : new Uint8Array(0));
      expect(p2wshScript(scriptCode)).toEqual(commitment.tx.outputs[htlcOutput.outputIndex]?.script);
      const remote = signatureFromDer(remoteDer);
      const local = signatureFromDer(localDer);
      expect(remote.sighashType).toBe(channelType === 'anchors' ? sighashSingleAnyoneCanPay : sighashAll);
      expect(local.sighashType).toBe(sighashAll);
      const { valueSat } = htlcOutput;
      const input = { tx, inputIndex: 0, scriptCode, valueSat };
      const { localHtlcPubkey, remoteHtlcPubkey } = commitment.params.keys;
      const hashOf = (type: number) =>
        segwitSighash({
          ...input,
          sighashType: type === sighashAll ? sighashAll : sighashSingleAnyoneCanPay,
        });
      expect(secp256k1.verify(remote.signature, hashOf(remote.sighashType), remoteHtlcPubkey)).toBe(true);
      expect(secp256k1.verify(local.signature, hashOf(sighashAll), localHtlcPubkey)).toBe(true);
    }
  });
});

describe('signatures of a closing transaction', () => {
  const tx = buildLegacyClosingTx({
    fundingOutpoint: { txid: new Uint8Array(32), index: 0 },
    toLocalMsat: 600_000_000n,
    toRemoteMsat: 400_000_000n,
    localScript: p2wpkhScript(new Uint8Array(20).fill(1)),
    remoteScript: p2wpkhScript(new Uint8Array(20).fill(2)),
    feeSat: 500n,
    localIsOpener: true,
    dustLimitSat: 354n,
  });
  const fundingSat = 1_000_000n;
  const localFundingPubkey = holder.basepoints.fundingPubkey;
  const remoteFundingPubkey = counterparty.basepoints.fundingPubkey;
  const remoteSignature = signClosingTx({
    signer: counterparty,
    tx,
    fundingSat,
    remoteFundingPubkey: localFundingPubkey,
  });
  const spend = { tx, fundingSat, localFundingPubkey, remoteFundingPubkey, remoteSignature };

  test('are valid for the other side, and for this transaction only', () => {
    expect(verifyClosingSignature(spend)).toBe(true);
    expect(verifyClosingSignature({ ...spend, fundingSat: 999_999n })).toBe(false);
    expect(verifyClosingSignature({ ...spend, tx: { ...tx, lockTime: 1 } })).toBe(false);
    expect(verifyClosingSignature({ ...spend, remoteFundingPubkey: localFundingPubkey })).toBe(false);
  });

  test('threat 2: are refused with a high S', () => {
    expect(verifyClosingSignature({ ...spend, remoteSignature: withHighS(remoteSignature) })).toBe(false);
  });

  test('complete it, whoever of the two does so', () => {
    const localSignature = signClosingTx({ signer: holder, tx, fundingSat, remoteFundingPubkey });
    const ours = completeClosingTx({ ...spend, localSignature });
    const theirs = completeClosingTx({
      tx,
      localFundingPubkey: remoteFundingPubkey,
      localSignature: remoteSignature,
      remoteFundingPubkey: localFundingPubkey,
      remoteSignature: localSignature,
    });
    expect(ours).toEqual(theirs);
    expect(ours.inputs[0]?.witness).toHaveLength(4);
  });
});
