import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { buildCommitment } from './commitmentTx.js';
import { buildHtlcTx, htlcSighashes, htlcTxOf, remoteHtlcSighashType } from './htlcTx.js';
import { arbitraryParams, sampleCommitment, sampleHtlc } from './samples.test.support.js';
import { segwitSighash, sighashAll, sighashSingleAnyoneCanPay } from './sighash.js';
import { TransactionError } from './transactionError.js';

describe('HTLC transactions', () => {
  test('have the same sighash on the fast path as when they are built', () => {
    const types = fc.constantFrom(sighashAll, sighashSingleAnyoneCanPay);
    fc.assert(
      fc.property(arbitraryParams, types, (params, sighashType) => {
        const commitment = buildCommitment(params);
        const slow = commitment.htlcOutputs.map((output) =>
          segwitSighash({
            tx: htlcTxOf(commitment, output),
            inputIndex: 0,
            scriptCode: output.witnessScript,
            valueSat: output.valueSat,
            sighashType,
          }),
        );
        expect(htlcSighashes(commitment, sighashType)).toEqual(slow);
      }),
    );
  });

  test('pay a fee without anchors, none and one block of delay with them', () => {
    const feeratePerKw = 1_000;
    const first = (channelType: 'static_remotekey' | 'anchors', direction: 'offered' | 'received') => {
      const commitment = sampleCommitment({ channelType, feeratePerKw, htlcs: [sampleHtlc({ direction })] });
      const [output] = commitment.htlcOutputs;
      if (output === undefined) throw new Error('the HTLC is not trimmed');
      const { lockTime, inputs, outputs } = htlcTxOf(commitment, output);
      return [lockTime, inputs[0]?.sequence, outputs[0]?.valueSat];
    };
    expect(first('static_remotekey', 'offered')).toEqual([800_000, 0, 49_337n]);
    expect(first('static_remotekey', 'received')).toEqual([0, 0, 49_297n]);
    expect(first('anchors', 'offered')).toEqual([800_000, 1, 50_000n]);
    expect(first('anchors', 'received')).toEqual([0, 1, 50_000n]);
  });

  test('sign with SINGLE|ANYONECANPAY only where peers must, with anchors', () => {
    expect(remoteHtlcSighashType('anchors')).toBe(sighashSingleAnyoneCanPay);
    expect(remoteHtlcSighashType('static_remotekey')).toBe(sighashAll);
  });

  test('are refused when the HTLC cannot pay their fee', () => {
    const { params, txid } = sampleCommitment();
    const input = {
      ...params,
      channelType: 'static_remotekey',
      kind: 'timeout',
      commitmentTxid: txid,
    } as const;
    expect(() => buildHtlcTx({ ...input, outputIndex: 0, amountMsat: 662_999n, cltvExpiry: 1 })).toThrow(
      TransactionError,
    );
  });
});
