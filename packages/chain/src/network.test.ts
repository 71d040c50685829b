import { bytesToHex, hexToBytes, reverseBytes } from '@rivulet/core/bytes';
import { describe, expect, test } from 'vitest';
import { addressToScript, scriptToAddress } from './address.js';
import { type BlockHeader, blockHash } from './block.js';
import { type Network, networkOfChainHash, networks } from './network.js';
import { proofOfWorkFault } from './proofOfWork.js';

const satoshisRoot = '4a5e1e4baab89f3a32518a88c31bc87f618f76673e2cc77ab2127b7afdeda33b';
const testnet4Root = '7aa0a7ae1e223414cb807e40cd57e667b718e42aaf9306db9102fe28912b7b4e';

/** The headers of the genesis blocks, from which the hashes are computed here. */
const genesisHeaders: Readonly<Record<Network, { root: string; time: number; bits: number; nonce: number }>> =
  {
    mainnet: { root: satoshisRoot, time: 1231006505, bits: 0x1d00ffff, nonce: 2083236893 },
    testnet4: { root: testnet4Root, time: 1714777860, bits: 0x1d00ffff, nonce: 393743547 },
    signet: { root: satoshisRoot, time: 1598918400, bits: 0x1e0377ae, nonce: 52613770 },
    regtest: { root: satoshisRoot, time: 1296688602, bits: 0x207fffff, nonce: 2 },
  };

function genesisOf(network: Network): BlockHeader {
  const { root, ...rest } = genesisHeaders[network];
  const merkleRoot = reverseBytes(hexToBytes(root));
  return { version: 1, previousHash: new Uint8Array(32), merkleRoot, ...rest };
}

describe.each(Object.keys(networks) as Network[])('%s', (network) => {
  test('is known by the hash of its genesis block, which has its proof of work', () => {
    const header = genesisOf(network);
    expect(bytesToHex(blockHash(header))).toBe(bytesToHex(networks[network].chainHash));
    expect(networkOfChainHash(blockHash(header))).toBe(network);
    expect(proofOfWorkFault(header, { network, height: 0 })).toBeUndefined();
    // On regtest every second hash is good enough.
    const others = Array.from({ length: 20 }, (_, i) => ({ ...header, nonce: header.nonce + 1 + i }));
    expect(others.some((other) => proofOfWorkFault(other, { network }) !== undefined)).toBe(true);
  });
});

test('names, prefixes and version bytes are those of Bitcoin Core', () => {
  const known = Object.values(networks).map((one) => [
    one.network,
    one.coreName,
    one.bech32Prefix,
    one.pubkeyHashVersion,
    one.scriptHashVersion,
  ]);
  expect(known).toEqual([
    ['mainnet', 'main', 'bc', 0, 5],
    ['testnet4', 'testnet4', 'tb', 111, 196],
    ['signet', 'signet', 'tb', 111, 196],
    ['regtest', 'regtest', 'bcrt', 111, 196],
  ]);
});

test('the same script has the address of its network', () => {
  // BIP 173's key hash.
  const script = hexToBytes('0014751e76e8199196d454941c45d1b3a323f1433bd6');
  const addresses: Record<Network, string> = {
    mainnet: 'bc1qw508d6qejxtdg4y5r3zarvary0c5xw7kv8f3t4',
    testnet4: 'tb1qw508d6qejxtdg4y5r3zarvary0c5xw7kxpjzsx',
    signet: 'tb1qw508d6qejxtdg4y5r3zarvary0c5xw7kxpjzsx',
    regtest: 'bcrt1qw508d6qejxtdg4y5r3zarvary0c5xw7kygt080',
  };
  for (const network of Object.keys(addresses) as Network[]) {
    expect(scriptToAddress(script, network)).toBe(addresses[network]);
    expect(addressToScript(addresses[network], network)).toEqual(script);
  }
});
