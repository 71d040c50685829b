import { hexToBytes, reverseBytes } from '@rivulet/core/bytes';
import { describe, expect, test } from 'vitest';
import type { BlockHeader } from './block.js';
import { isAllowedChange, proofOfWorkFault, targetOfBits, workOfBits } from './proofOfWork.js';

const internal = (hex: string): Uint8Array => reverseBytes(hexToBytes(hex));

/** Block 1 of mainnet. */
const first: BlockHeader = {
  version: 1,
  previousHash: internal('000000000019d6689c085ae165831e934ff763ae46a2a6c172b3f1b60a8ce26f'),
  merkleRoot: internal('0e3e2357e806b6cdb1f70b54c3a3a17b6714ee1f0e68bebb44a74b1efd512098'),
  time: 1231469665,
  bits: 0x1d00ffff,
  nonce: 2573394689,
};

describe('targets', () => {
  test.each<[number, bigint | undefined]>([
    [0x1d00ffff, 0xffffn << 208n],
    [0x207fffff, 0x7fffffn << 232n],
    [0x01123456, 0x12n],
    [0x02123456, 0x1234n],
    [0x03123456, 0x123456n],
    [0x04123456, 0x12345600n],
    // Zero, negative and too large: Bitcoin Core's arith_uint256 tests.
    [0, undefined],
    [0x00123456, undefined],
    [0x01fedcba, undefined],
    [0x04923456, undefined],
    [0xff123456, undefined],
  ])('bits %i', (bits, target) => {
    expect(targetOfBits(bits)).toBe(target);
  });

  test('work is what it takes to meet a target', () => {
    expect(workOfBits(0x207fffff)).toBe(2n);
    expect(workOfBits(0x1d00ffff)).toBe(0x100010001n);
    expect(workOfBits(0)).toBe(0n);
  });
});

describe('proof of work', () => {
  test('of a block of mainnet is good, and of one with another time is not', () => {
    expect(proofOfWorkFault(first, { network: 'mainnet', height: 1 })).toBeUndefined();
    expect(proofOfWorkFault({ ...first, time: first.time + 1 }, { network: 'mainnet', height: 1 })).toMatch(
      /does not meet/,
    );
  });

  test('has to be for a target of the network', () => {
    for (const network of ['mainnet', 'testnet4', 'signet'] as const) {
      const easy = { ...first, bits: 0x207fffff };
      expect(proofOfWorkFault(easy, { network })).toMatch(/not one of/);
    }
    expect(proofOfWorkFault({ ...first, bits: 0x1d810000 }, { network: 'regtest' })).toMatch(/not one of/);
  });

  test('a block of our days with the difficulty of 2009 is none', () => {
    expect(proofOfWorkFault(first, { network: 'mainnet', height: 900_000 })).toMatch(/far below/);
    // The easiest epoch since 2021: difficulty 13.67 trillion. Its bits pass, so what fails is the hash.
    const easiest = { ...first, bits: 0x171398ce };
    expect(proofOfWorkFault(easiest, { network: 'mainnet', height: 900_000 })).toMatch(/does not meet/);
  });
});

describe('the difficulty', () => {
  const change = { network: 'mainnet', height: 2016, previousBits: 0x1b0404cb, bits: 0x1b0404cb } as const;

  test('changes once in 2016 blocks on mainnet and signet', () => {
    for (const network of ['mainnet', 'signet'] as const) {
      expect(isAllowedChange({ ...change, network })).toBe(true);
      expect(isAllowedChange({ ...change, network, bits: 0x1b0404ca })).toBe(true);
      expect(isAllowedChange({ ...change, network, bits: 0x1b0404ca, height: 2017 })).toBe(false);
    }
  });

  test('changes by a factor of four at most', () => {
    const times = (factor: number) => 0x1b000000 + Math.floor(0x0404cb * factor);
    expect(isAllowedChange({ ...change, bits: times(4) })).toBe(true);
    expect(isAllowedChange({ ...change, bits: times(4) + 1 })).toBe(false);
    expect(isAllowedChange({ ...change, bits: times(1 / 4) })).toBe(true);
    expect(isAllowedChange({ ...change, bits: times(1 / 4) - 1000 })).toBe(false);
    // Core's own case: from block 68543, four times easier.
    expect(isAllowedChange({ ...change, height: 70_560, previousBits: 0x1c05a3f4, bits: 0x1c168fd0 })).toBe(
      true,
    );
    // Never easier than the network's limit.
    expect(isAllowedChange({ ...change, previousBits: 0x1d00ffff, bits: 0x1d01ffff })).toBe(false);
  });

  test('may be anything on testnet4, and never changes on regtest', () => {
    expect(isAllowedChange({ ...change, network: 'testnet4', height: 5, bits: 0x1d00ffff })).toBe(true);
    expect(isAllowedChange({ ...change, network: 'regtest', height: 2016, bits: 0x207ffffe })).toBe(false);
  });
});
