import { bytesToHex, equalBytes } from '@rivulet/core/bytes';
import {
  type FeatureBits,
  FeatureError,
  featuresFor,
  type Init,
  initFeatures,
  type NodeAddress,
  negotiateFeatures,
} from '@rivulet/core/wire';
import { PeerError } from './peerError.js';

/** Our own `init` (BOLT 1). `remoteAddress`: the peer's public address, for a connection that came in. */
export function createInit(options: {
  features: FeatureBits;
  chainHash: Uint8Array;
  remoteAddress?: NodeAddress | undefined;
}): Init {
  const { features, chainHash, remoteAddress } = options;
  return {
    type: 'init',
    // BOLT 1: features above 13 SHOULD NOT be set in `globalfeatures`; `features` alone says it all.
    globalfeatures: new Uint8Array(),
    features: featuresFor('init', features),
    networks: [chainHash],
    ...(remoteAddress === undefined ? {} : { remoteAddr: remoteAddress }),
  };
}

/**
 * Checks the peer's `init` (BOLT 1, receiving node) and returns the features that both sides have.
 * @throws PeerError `chain_incompatible`, `features_incompatible`: close the connection.
 */
export function acceptInit(
  remote: Init,
  local: { features: FeatureBits; chainHash: Uint8Array },
): FeatureBits {
  // BOLT 1: upon receiving `networks` containing no common chains, MAY close the connection.
  if (remote.networks !== undefined && !remote.networks.some((chain) => equalBytes(chain, local.chainHash))) {
    const first = remote.networks[0];
    throw new PeerError(
      'chain_incompatible',
      `the peer is on another chain${first === undefined ? '' : ` (${bytesToHex(first)})`} than this node: check "network" on both sides`,
    );
  }
  try {
    return negotiateFeatures(featuresFor('init', local.features), initFeatures(remote));
  } catch (error) {
    if (!(error instanceof FeatureError)) throw error;
    throw new PeerError('features_incompatible', error.message, { cause: error });
  }
}
