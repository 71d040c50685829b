import { type BlockHeader, blockHash } from './block.js';
import type { Network } from './network.js';

/** The easiest target of each network, in compact form. */
const easiestBits: Readonly<Record<Network, number>> = {
  mainnet: 0x1d00ffff,
  testnet4: 0x1d00ffff,
  signet: 0x1e0377ae,
  regtest: 0x207fffff,
};

/**
 * No block of mainnet since 2021 was as easy as a third of this target's difficulty (4 trillion): a server
 * cannot begin its tale with a tip of its own that any machine could have mined.
 */
const mainnetFloor = { height: 700_000, target: (0xffffn << 208n) / 4_000_000_000_000n } as const;
const blocksOfPeriod = 2016;

/** The number that a block's hash may not exceed; `undefined` for bits that mean no such number. */
export function targetOfBits(bits: number): bigint | undefined {
  const size = bits >>> 24;
  const mantissa = BigInt(bits & 0x7fffff);
  if ((bits & 0x800000) !== 0 || mantissa === 0n || size > 34) return undefined;
  const target = size <= 3 ? mantissa >> BigInt(8 * (3 - size)) : mantissa << BigInt(8 * (size - 3));
  return target === 0n || target >> 256n !== 0n ? undefined : target;
}

/** The hashes that a block of these bits took, on average. */
export function workOfBits(bits: number): bigint {
  const target = targetOfBits(bits);
  return target === undefined ? 0n : (1n << 256n) / (target + 1n);
}

function numberOfHash(hash: Uint8Array): bigint {
  let value = 0n;
  for (let i = hash.length - 1; i >= 0; i--) value = (value << 8n) | BigInt(hash[i] as number);
  return value;
}

/**
 * Why the header's proof of work is none on this network; `undefined` where it is good. The height, where it
 * is known, refuses difficulties that mainnet has left behind long ago.
 */
export function proofOfWorkFault(
  header: BlockHeader,
  { network, height, hash }: { network: Network; height?: number | undefined; hash?: Uint8Array },
): string | undefined {
  const target = targetOfBits(header.bits);
  if (target === undefined || target > (targetOfBits(easiestBits[network]) as bigint)) {
    return `its target is not one of ${network}`;
  }
  if (network === 'mainnet' && (height ?? 0) >= mainnetFloor.height && target > mainnetFloor.target) {
    return 'its difficulty is far below what mainnet has';
  }
  return numberOfHash(hash ?? blockHash(header)) > target ? 'its hash does not meet its target' : undefined;
}

/**
 * Whether a block may have these bits after its parent's. On mainnet and signet the difficulty changes once
 * in 2016 blocks, by a factor of four at most; testnet4 has blocks of the lowest difficulty in between, and
 * regtest never changes it.
 */
export function isAllowedChange(change: {
  network: Network;
  height: number;
  previousBits: number;
  bits: number;
}): boolean {
  const { network, height, previousBits, bits } = change;
  if (network === 'testnet4') return true;
  if (network === 'regtest' || height % blocksOfPeriod !== 0) return bits === previousBits;
  const before = targetOfBits(previousBits);
  const after = targetOfBits(bits);
  if (before === undefined || after === undefined) return false;
  const easiest = targetOfBits(easiestBits[network]) as bigint;
  const highest = before * 4n < easiest ? before * 4n : easiest;
  // The compact form rounds down, by less than one part in 2^15.
  return after <= highest && after >= before / 4n - (before >> 15n);
}
