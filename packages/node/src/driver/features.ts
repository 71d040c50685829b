import { createFeatures, type FeatureBits } from '@rivulet/core/wire';

/** What this node tells its peers that it can do (BOLT 9). Nothing is here that is not built. */
export function nodeFeatures({
  anchors,
  gossip,
}: {
  readonly anchors: boolean;
  readonly gossip: { readonly enabled: boolean };
}): FeatureBits {
  return createFeatures({
    compulsory: ['dataLossProtect', 'varOnionOptin', 'staticRemotekey', 'paymentSecret', 'channelType'],
    optional: [
      'upfrontShutdownScript',
      ...(gossip.enabled ? (['gossipQueries', 'gossipQueriesEx'] as const) : []),
      'basicMpp',
      'attributionData',
      'supportLargeChannel',
      'shutdownAnysegwit',
      'provideStorage',
      'scidAlias',
      'simpleClose',
      ...(anchors ? (['anchors'] as const) : []),
    ],
  });
}
