import { bytesToHex, hexToBytes } from '@rivulet/core/bytes';
import { describe, expect, test } from 'vitest';
import { AddressError, addressToScript, scriptToAddress, witnessProgramOf } from './address.js';
import { type Network, networkOfChainHash, networks } from './network.js';

function codeOf(action: () => unknown): string {
  try {
    action();
  } catch (error) {
    if (error instanceof AddressError) return error.code;
    throw error;
  }
  return 'none';
}

describe('addresses', () => {
  // BIP 173 and BIP 350, and well-known base58 addresses.
  test.each<[Network, string, string]>([
    ['mainnet', 'BC1QW508D6QEJXTDG4Y5R3ZARVARY0C5XW7KV8F3T4', '0014751e76e8199196d454941c45d1b3a323f1433bd6'],
    [
      'signet',
      'tb1qrp33g0q5c5txsp9arysrx4k6zdkfs4nce4xj0gdcccefvpysxf3q0sl5k7',
      '00201863143c14c5166804bd19203356da136c985678cd4d27a1b8c6329604903262',
    ],
    [
      'mainnet',
      'bc1p0xlxvlhemja6c4dqv22uapctqupfhlxm9h8z3k2e72q4k9hcz7vqzk5jj0',
      '512079be667ef9dcbbac55a06295ce870b07029bfcdb2dce28d959f2815b16f81798',
    ],
    ['mainnet', 'bc1sw50qgdz25j', '6002751e'],
    ['mainnet', '1A1zP1eP5QGefi2DMPTfTL5SLmv7DivfNa', '76a91462e907b15cbf27d5425399ebf6f0fb50ebb88f1888ac'],
    ['mainnet', '3J98t1WpEZ73CNmQviecrnyiWrnqRhWNLy', 'a914b472a266d0bd89c13706a4132ccfb16f7c3b9fcb87'],
  ])('%s %s', (network, address, scriptHex) => {
    expect(bytesToHex(addressToScript(address, network))).toBe(scriptHex);
    const expected = address.startsWith('BC1') ? address.toLowerCase() : address;
    expect(scriptToAddress(hexToBytes(scriptHex), network)).toBe(expected);
  });

  test('each network has its own addresses, testnet4 and signet excepted', () => {
    const script = hexToBytes('0014751e76e8199196d454941c45d1b3a323f1433bd6');
    for (const network of Object.keys(networks) as Network[]) {
      const address = scriptToAddress(script, network);
      expect(addressToScript(address, network)).toEqual(script);
      const other = network === 'mainnet' ? 'regtest' : 'mainnet';
      expect(codeOf(() => addressToScript(address, other))).toBe('address_wrong_network');
    }
    expect(codeOf(() => addressToScript('1A1zP1eP5QGefi2DMPTfTL5SLmv7DivfNa', 'regtest'))).toBe(
      'address_wrong_network',
    );
  });

  test.each([
    '',
    '1',
    'bc1',
    'nonsense',
    // BIP 350: wrong checksum algorithm, version, length, mixed case.
    'bc1p0xlxvlhemja6c4dqv22uapctqupfhlxm9h8z3k2e72q4k9hcz7vqh2y7hd',
    'bc1q0xlxvlhemja6c4dqv22uapctqupfhlxm9h8z3k2e72q4k9hcz7vq24jc47',
    'BC130XLXVLHEMJA6C4DQV22UAPCTQUPFHLXM9H8Z3K2E72Q4K9HCZ7VQ7ZWS8R',
    'bc1pw5dgrnzv',
    'bc1gmk9yu',
    'bc1qw508d6qejxtdg4y5r3zarvary0c5xw7kv8f3t5',
    'bc1qw508d6qejxtdg4y5r3zarvary0c5xw7kv8F3t4',
    '1A1zP1eP5QGefi2DMPTfTL5SLmv7DivfNb',
  ])('refuses %j', (address) => {
    expect(codeOf(() => addressToScript(address, 'mainnet'))).toBe('address_malformed');
  });

  test('a script without an address is refused with its own code', () => {
    for (const hex of ['', '6a00', '51', '00021234']) {
      expect(codeOf(() => scriptToAddress(hexToBytes(hex), 'regtest'))).toBe('address_no_such_form');
    }
    expect(witnessProgramOf(hexToBytes('51024e73'))).toEqual({ version: 1, program: hexToBytes('4e73') });
  });
});

test('the chain hash of each network is known', () => {
  for (const { network, chainHash } of Object.values(networks))
    expect(networkOfChainHash(chainHash)).toBe(network);
  expect(networkOfChainHash(new Uint8Array(32))).toBeUndefined();
});
