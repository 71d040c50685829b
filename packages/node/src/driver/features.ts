import { createFeatures, type FeatureBits } from '@rivulet/core/wire';

/** What this node tells its peers that it can do (BOLT 9). Nothing is here that is not built. */
export function nodeFeatures({ anchors }: { anchors: boolean }): FeatureBits {
  return createFeatures({
    compulsory: ['dataLossProtect', 'varOnionOptin', 'staticRemotekey', 'paymentSecret', 'channelType'],
    optional: [
      'upfrontShutdownScript',
      'gossipQueries',
      'gossipQueriesEx',
      'basicMpp',
      'attributionData',
      'supportLargeChannel',
      'shutdownAnysegwit',
      'scidAlias',
      'simpleClose',
      ...(anchors ? (['anchors'] as const) : []),
    ],
  });
}
