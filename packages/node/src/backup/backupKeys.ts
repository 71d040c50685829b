import type { Network } from '@rivulet/chain';
import { type BasepointsOf, deriveBackupKey } from '@rivulet/core/backup';
import { secp256k1 } from '@rivulet/core/crypto';
import { deriveChannelSecrets, publicBasepoints } from '@rivulet/core/keys';
import { deriveNodeSecrets } from '../wallet/index.js';

/** What of a node's seed its backups need. */
export interface BackupKeys {
  readonly network: Network;
  readonly nodeId: Uint8Array;
  /** Seals and opens the backups; a secret. */
  readonly key: Uint8Array;
  readonly basepointsOf: BasepointsOf;
}

export function backupKeysOf(seed: Uint8Array, network: Network): BackupKeys {
  const { nodePrivateKey, channelSeed } = deriveNodeSecrets(seed, network);
  return {
    network,
    nodeId: secp256k1.publicKey(nodePrivateKey),
    key: deriveBackupKey(channelSeed),
    basepointsOf: (channelKeyId) => publicBasepoints(deriveChannelSecrets(channelSeed, channelKeyId)),
  };
}
