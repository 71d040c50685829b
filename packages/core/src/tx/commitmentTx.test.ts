import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { compareBytes } from '../bytes/index.js';
import { buildCommitment, commitmentNumberOf, obscuredFactor } from './commitmentTx.js';
import { commitmentFeeSat } from './fees.js';
import {
  arbitraryParams,
  counterparty,
  holder,
  sampleCommitment,
  sampleHtlc,
  sampleParams,
} from './samples.test.support.js';
import { p2wshScript } from './script.js';
import { txid } from './transaction.js';
import { TransactionError } from './transactionError.js';

const kinds = (commitment: ReturnType<typeof sampleCommitment>) => commitment.outputs.map(({ kind }) => kind);

describe('commitment transactions', () => {
  test('pay out no more than the channel, the rest is the fee, and every HTLC is an output or trimmed', () => {
    fc.assert(
      fc.property(arbitraryParams, (params) => {
        const { tx, feeSat, htlcOutputs, trimmedHtlcs, outputs } = buildCommitment(params);
        const totalSat = tx.outputs.reduce((sum, { valueSat }) => sum + valueSat, 0n);
        expect(totalSat + feeSat).toBe(params.fundingSat);
        expect(new Set([...htlcOutputs.map(({ htlc }) => htlc), ...trimmedHtlcs])).toEqual(
          new Set(params.htlcs),
        );
        expect(htlcOutputs.length + trimmedHtlcs.length).toBe(params.htlcs.length);
        for (const output of outputs) {
          expect(tx.outputs[output.index]).toEqual({ valueSat: output.valueSat, script: output.script });
          if (output.witnessScript) expect(output.script).toEqual(p2wshScript(output.witnessScript));
          if (output.kind !== 'local_anchor' && output.kind !== 'remote_anchor') {
            expect(output.valueSat).toBeGreaterThanOrEqual(params.dustLimitSat);
          }
        }
      }),
    );
  });

  test('order outputs by value, script and expiry, whatever the order of the HTLCs was', () => {
    fc.assert(
      fc.property(arbitraryParams, (params) => {
        const { outputs, htlcOutputs, txid: id } = buildCommitment(params);
        for (const [i, output] of outputs.entries()) {
          const next = outputs[i + 1];
          if (next === undefined) continue;
          expect(output.valueSat).toBeLessThanOrEqual(next.valueSat);
          if (output.valueSat !== next.valueSat) continue;
          expect(compareBytes(output.script, next.script)).toBeLessThanOrEqual(0);
          if (
            output.kind !== 'htlc' ||
            next.kind !== 'htlc' ||
            compareBytes(output.script, next.script) !== 0
          ) {
            continue;
          }
          expect(output.htlc.cltvExpiry).toBeLessThanOrEqual(next.htlc.cltvExpiry);
        }
        expect(htlcOutputs.map(({ outputIndex }) => outputIndex)).toEqual(
          outputs.filter(({ kind }) => kind === 'htlc').map(({ index }) => index),
        );
        expect(buildCommitment({ ...params, htlcs: [...params.htlcs].reverse() }).txid).toEqual(id);
      }),
    );
  });

  test('charge the base fee and both anchors to the opener alone, down to zero', () => {
    fc.assert(
      fc.property(arbitraryParams, (params) => {
        const { outputs, htlcOutputs } = buildCommitment(params);
        const feeSat = commitmentFeeSat({ ...params, untrimmedHtlcs: htlcOutputs.length });
        const costSat = feeSat + (params.channelType === 'anchors' ? 660n : 0n);
        const expected = (balanceMsat: bigint, pays: boolean) => {
          const sat = balanceMsat / 1000n - (pays ? costSat : 0n);
          return sat >= params.dustLimitSat ? sat : undefined;
        };
        const satOf = (kind: string) => outputs.find((output) => output.kind === kind)?.valueSat;
        expect(satOf('to_local')).toBe(expected(params.toLocalMsat, params.holderIsOpener));
        expect(satOf('to_remote')).toBe(expected(params.toRemoteMsat, !params.holderIsOpener));
      }),
    );
  });

  test('have anchors of 330 sat for each side that has something at stake', () => {
    const noHtlcs = { htlcs: [], toLocalMsat: 700_000_000n };
    expect(kinds(sampleCommitment(noHtlcs)).sort()).toEqual([
      'local_anchor',
      'remote_anchor',
      'to_local',
      'to_remote',
    ]);
    const noRemote = { htlcs: [], toLocalMsat: 1_000_000_000n, toRemoteMsat: 0n };
    expect(kinds(sampleCommitment(noRemote))).toEqual(['local_anchor', 'to_local']);
    const noLocal = { htlcs: [], toLocalMsat: 0n, toRemoteMsat: 1_000_000_000n, holderIsOpener: false };
    expect(kinds(sampleCommitment(noLocal))).toEqual(['remote_anchor', 'to_remote']);
    const onlyHtlc = { toLocalMsat: 950_000_000n, toRemoteMsat: 0n, htlcs: [sampleHtlc()] };
    expect(kinds(sampleCommitment(onlyHtlc)).sort()).toEqual([
      'htlc',
      'local_anchor',
      'remote_anchor',
      'to_local',
    ]);
    expect(kinds(sampleCommitment({ channelType: 'static_remotekey' }))).not.toContain('local_anchor');
  });

  test('keep an output of exactly the dust limit and drop one satoshi less', () => {
    const at = (toRemoteMsat: bigint) => kinds(sampleCommitment({ htlcs: [], toRemoteMsat }));
    expect(at(354_000n)).toContain('to_remote');
    expect(at(353_999n)).not.toContain('to_remote');
  });

  test('threat 16: two HTLCs of the same hash and amount are ordered by expiry, then id, and keep their own data', () => {
    const htlcs = [
      sampleHtlc({ id: 4n, cltvExpiry: 900 }),
      sampleHtlc({ id: 3n, cltvExpiry: 900, amountMsat: 50_000_999n }),
      sampleHtlc({ id: 5n, cltvExpiry: 800 }),
    ];
    const { htlcOutputs } = sampleCommitment({ htlcs, toLocalMsat: 500_000_000n });
    expect(htlcOutputs.map(({ htlc }) => htlc.id)).toEqual([5n, 3n, 4n]);
    expect(htlcOutputs.map(({ htlc }) => htlcs.indexOf(htlc))).toEqual([2, 1, 0]);
  });

  test('carry extra fields of the HTLCs through', () => {
    const htlcs = [{ ...sampleHtlc(), label: 'mine' }];
    expect(buildCommitment({ ...sampleParams(), htlcs }).htlcOutputs[0]?.htlc.label).toBe('mine');
  });

  test('hide their number so that only who knows the payment basepoints reads it', () => {
    const factor = obscuredFactor(
      holder.basepoints.paymentBasepoint,
      counterparty.basepoints.paymentBasepoint,
    );
    expect(factor).toBeLessThan(1n << 48n);
    fc.assert(
      fc.property(fc.bigInt(0n, (1n << 48n) - 1n), (commitmentNumber) => {
        const { tx } = sampleCommitment({ obscuredCommitmentFactor: factor, commitmentNumber });
        expect(tx.lockTime >>> 24).toBe(0x20);
        expect((tx.inputs[0]?.sequence ?? 0) >>> 24).toBe(0x80);
        expect(commitmentNumberOf(tx, factor)).toBe(commitmentNumber);
      }),
      { numRuns: 20 },
    );
  });

  test('are told from other spends of the funding output', () => {
    const { tx } = sampleCommitment();
    expect(commitmentNumberOf({ ...tx, lockTime: 0 }, 0n)).toBeUndefined();
    expect(commitmentNumberOf({ ...tx, inputs: [...tx.inputs, ...tx.inputs] }, 0n)).toBeUndefined();
    const closing = { ...tx, inputs: tx.inputs.map((input) => ({ ...input, sequence: 0xffffffff })) };
    expect(commitmentNumberOf(closing, 0n)).toBeUndefined();
  });

  test('come with their txid', () => {
    const { tx, txid: id } = sampleCommitment();
    expect(id).toEqual(txid(tx));
  });

  test('refuse to pay more than the channel has, or negative balances', () => {
    expect(() => sampleCommitment({ toRemoteMsat: 800_000_000n })).toThrow(TransactionError);
    expect(() => sampleCommitment({ toRemoteMsat: -1n })).toThrow(TransactionError);
    expect(() => sampleCommitment({ toLocalMsat: -1n })).toThrow(TransactionError);
  });
});
