import { hexToBytes, reverseBytes } from '@rivulet/core/bytes';

/** The Bitcoin networks that Rivulet knows. */
export type Network = 'mainnet' | 'testnet4' | 'signet' | 'regtest';

export interface NetworkParameters {
  readonly network: Network;
  /** `chain_hash` of BOLT 7: the hash of the genesis block, internal byte order. */
  readonly chainHash: Uint8Array;
  /** The human-readable part of segregated witness addresses (BIP 173). */
  readonly bech32Prefix: string;
  /** Version bytes of base58 addresses. */
  readonly pubkeyHashVersion: number;
  readonly scriptHashVersion: number;
  /** What `getblockchaininfo` of Bitcoin Core calls this network. */
  readonly coreName: string;
}

function parameters(
  network: Network,
  fields: { genesis: string; bech32Prefix: string; versions: readonly [number, number]; coreName: string },
): NetworkParameters {
  return {
    network,
    chainHash: reverseBytes(hexToBytes(fields.genesis)),
    bech32Prefix: fields.bech32Prefix,
    pubkeyHashVersion: fields.versions[0],
    scriptHashVersion: fields.versions[1],
    coreName: fields.coreName,
  };
}

/** The constants of each network. */
export const networks: Readonly<Record<Network, NetworkParameters>> = {
  mainnet: parameters('mainnet', {
    genesis: '000000000019d6689c085ae165831e934ff763ae46a2a6c172b3f1b60a8ce26f',
    bech32Prefix: 'bc',
    versions: [0x00, 0x05],
    coreName: 'main',
  }),
  testnet4: parameters('testnet4', {
    genesis: '00000000da84f2bafbbc53dee25a72ae507ff4914b867c565be350b0da8bf043',
    bech32Prefix: 'tb',
    versions: [0x6f, 0xc4],
    coreName: 'testnet4',
  }),
  signet: parameters('signet', {
    genesis: '00000008819873e925422c1ff0f99f7cc9bbb232af63a077a480a3633bee1ef6',
    bech32Prefix: 'tb',
    versions: [0x6f, 0xc4],
    coreName: 'signet',
  }),
  regtest: parameters('regtest', {
    genesis: '0f9188f13cb7b2c71f2a335e3a4fc328bf5beb436012afca590b1a11466e2206',
    bech32Prefix: 'bcrt',
    versions: [0x6f, 0xc4],
    coreName: 'regtest',
  }),
};

/** The network of a genesis hash (internal byte order), or `undefined` for one that Rivulet does not know. */
export function networkOfChainHash(chainHash: Uint8Array): Network | undefined {
  return Object.values(networks).find((one) => one.chainHash.every((byte, i) => byte === chainHash[i]))
    ?.network;
}
