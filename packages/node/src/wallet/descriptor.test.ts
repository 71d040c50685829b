import { openMemoryStorage } from '@rivulet/storage';
import { describe, expect, test } from 'vitest';
import { withChecksum } from './descriptor.js';
import { wordsToSeed } from './seed.js';
import { openWallet } from './wallet.js';

const words = 'abandon abandon abandon abandon abandon abandon abandon abandon abandon abandon abandon about';

describe('descriptors', () => {
  test('have the checksum of BIP 380', () => {
    expect(withChecksum('raw(deadbeef)')).toBe('raw(deadbeef)#89f8spxm');
  });

  test('with a character that none has are refused', () => {
    expect(() => withChecksum('raw(é)')).toThrow(RangeError);
  });

  test('name the account keys of BIP 86 and BIP 84 on mainnet', () => {
    const wallet = openWallet({ seed: wordsToSeed(words), network: 'mainnet', storage: openMemoryStorage() });
    const [taproot, change, witness] = wallet.descriptors();
    // The account keys are those of the test vectors of BIP 86 and, as an xpub, of BIP 84.
    expect(taproot).toMatch(
      /^tr\(\[73c5da0a\/86h\/0h\/0h\]xpub6BgBgsespWvERF3LHQu6CnqdvfEvtMcQjYrcRzx53QJjSxarj2afYWcLteoGVky7D3UKDP9QyrLprQ3VCECoY49yfdDEHGCtMMj92pReUsQ\/0\/\*\)#[a-z0-9]{8}$/,
    );
    expect(change).toMatch(/\/1\/\*\)#[a-z0-9]{8}$/);
    expect(witness).toMatch(/^wpkh\(\[73c5da0a\/84h\/0h\/0h\]xpub/);
  });

  test('have the keys of test networks elsewhere', () => {
    const wallet = openWallet({ seed: wordsToSeed(words), network: 'regtest', storage: openMemoryStorage() });
    expect(wallet.descriptors()[0]).toMatch(/^tr\(\[73c5da0a\/86h\/1h\/0h\]tpub/);
  });
});
