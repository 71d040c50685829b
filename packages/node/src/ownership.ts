import type { Network } from '@rivulet/chain';
import { bytesToHex, bytesToUtf8, utf8ToBytes } from '@rivulet/core/bytes';
import { secp256k1 } from '@rivulet/core/crypto';
import type { NodeStorage } from '@rivulet/storage';
import { DaemonError } from './daemonError.js';
import { deriveNodeSecrets } from './wallet/index.js';

const ownerKey = 'owner';

/**
 * Ties a database to the words and the network that it was begun with. With others, channels would be signed
 * for with wrong keys and coins looked for where there are none.
 * @throws DaemonError `wrong_network`, `words_changed`; nothing was changed then.
 */
export function claimStorage(
  storage: NodeStorage,
  given: { seed: Uint8Array; network: Network; wordsFile: string; dataDir: string },
): void {
  const { seed, network, wordsFile, dataDir } = given;
  const nodeId = bytesToHex(secp256k1.publicKey(deriveNodeSecrets(seed, network).nodePrivateKey));
  const stored = storage.getValue(ownerKey);
  if (stored === undefined) {
    storage.transaction((tx) => tx.putValue(ownerKey, utf8ToBytes(`${network} ${nodeId}`)));
    return;
  }
  const [ownNetwork = '', ownId = ''] = (bytesToUtf8(stored) ?? '').split(' ');
  if (ownNetwork !== network) {
    throw new DaemonError(
      'wrong_network',
      `the data folder ${dataDir} belongs to a node on ${ownNetwork}, and network is set to ${network}: set it to ${ownNetwork}, or choose another folder with --data-dir`,
    );
  }
  if (ownId !== nodeId) {
    throw new DaemonError(
      'words_changed',
      `the words in ${wordsFile} are those of node ${nodeId}, and the database belongs to node ${ownId}: put its words back, or give these words a data folder of their own`,
    );
  }
}
