import { describe, expect, test } from 'vitest';
import { bytesToHex, hexToBytes } from '../bytes/index.js';
import { p2wpkhScriptCode } from './script.js';
import { segwitSighash, sharedSighashes, sighashAll, sighashSingleAnyoneCanPay } from './sighash.js';
import { decodeTransaction } from './transaction.js';

// BIP 143: Native P2WPKH
const tx = decodeTransaction(
  hexToBytes(
    '0100000002fff7f7881a8099afa6940d42d1e7f6362bec38171ea3edf433541db4e4ad969f0000000000eeffffffef51e1b804cc89d182d279655c3aa89e815b1b309fe287d9b2b55d57b90ec68a0100000000ffffffff02202cb206000000001976a9148280b37df378db99f66f85c95a783a76ac7a6d5988ac9093510d000000001976a9143bde42dbee7e4dbe6a21b2d50ce2f0167faa815988ac11000000',
  ),
);
const pubkey = hexToBytes('025476c2e83188368da1ff3e292e7acafcdb3566bb0ad253f62fc70f07aeee6357');
const input = { tx, inputIndex: 1, scriptCode: p2wpkhScriptCode(pubkey), valueSat: 600_000_000n };

describe('segwit sighashes', () => {
  test('agree with the example of BIP 143', () => {
    const expected = 'c37af31116d1b27caf68aae9e3ac82f1477929014d5b917657d0eb49478cb670';
    expect(bytesToHex(segwitSighash({ ...input, sighashType: sighashAll }))).toBe(expected);
    const shared = sharedSighashes(tx);
    expect(bytesToHex(segwitSighash({ ...input, sighashType: sighashAll, shared }))).toBe(expected);
  });

  test('of SINGLE|ANYONECANPAY cover the own input and output, and nothing else', () => {
    const sighashType = sighashSingleAnyoneCanPay;
    const hash = segwitSighash({ ...input, sighashType });
    const [first, second] = tx.outputs;
    if (first === undefined || second === undefined) throw new Error('the example has two outputs');
    const otherOutput = { ...tx, outputs: [{ ...first, valueSat: 1n }, second] };
    const ownOutput = { ...tx, outputs: [first, { ...second, valueSat: 1n }] };
    const otherInput = { ...tx, inputs: tx.inputs.map((i, n) => (n === 0 ? { ...i, sequence: 5 } : i)) };
    expect(segwitSighash({ ...input, tx: otherOutput, sighashType })).toEqual(hash);
    expect(segwitSighash({ ...input, tx: otherInput, sighashType })).toEqual(hash);
    expect(segwitSighash({ ...input, tx: ownOutput, sighashType })).not.toEqual(hash);
    expect(segwitSighash({ ...input, tx: { ...tx, lockTime: 1 }, sighashType })).not.toEqual(hash);
  });

  test('need an existing input', () => {
    expect(() => segwitSighash({ ...input, inputIndex: 2, sighashType: sighashAll })).toThrow(RangeError);
  });
});
