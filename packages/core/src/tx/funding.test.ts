import { describe, expect, test } from 'vitest';
import { bytesToHex, hexToBytes } from '../bytes/index.js';
import { fundingScript, fundingWitness, fundingWitnessScript } from './funding.js';

// BOLT 3 appendix B
const first = hexToBytes('023da092f6980e58d2c037173180e9a465476026ee50f96695963e8efe436f54eb');
const second = hexToBytes('030e9f7b623d2ccc7c9bd44d66d5ce21ce504c0acf6385a132cec6d3c39fa711c1');

describe('the funding output', () => {
  test('is the same, whichever side builds it', () => {
    const script = '0020c015c4a6be010e21657068fc2e6a9d02b27ebe4d490a25846f7237f104d1a3cd';
    expect(bytesToHex(fundingScript(first, second))).toBe(script);
    expect(bytesToHex(fundingScript(second, first))).toBe(script);
  });

  test('is spent by signatures in the order of the keys', () => {
    const a = { pubkey: first, signature: new Uint8Array(64).fill(1) };
    const b = { pubkey: second, signature: new Uint8Array(64).fill(2) };
    const witness = fundingWitness(b, a);
    expect(witness).toEqual(fundingWitness(a, b));
    expect(witness.map((item) => item[4])).toEqual([undefined, 1, 2, first[2]]);
    expect(witness[3]).toEqual(fundingWitnessScript(first, second));
  });
});
