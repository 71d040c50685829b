import { decodeFeatureBits, encodeFeatureBits, type FeatureBits, FeatureError } from './features.js';

/** What a `channel_type` says (BOLT 2, "Defined Channel Types"). */
export interface ChannelTypeFeatures {
  /** The format of the commitments; `anchors` has a static remote key too. */
  readonly base: 'static_remotekey' | 'anchors';
  /** The channel is known by aliases only. */
  readonly scidAlias: boolean;
  /** The channel is usable before its funding confirms. */
  readonly zeroconf: boolean;
}

const STATIC_REMOTEKEY = 12;
const ANCHORS = 22;
const SCID_ALIAS = 46;
const ZEROCONF = 50;
const defined = new Set([STATIC_REMOTEKEY, ANCHORS, SCID_ALIAS, ZEROCONF]);

/** The feature vector of a channel type: even bits only. */
export function encodeChannelType(channelType: ChannelTypeFeatures): FeatureBits {
  const bits = [STATIC_REMOTEKEY];
  if (channelType.base === 'anchors') bits.push(ANCHORS);
  if (channelType.scidAlias) bits.push(SCID_ALIAS);
  if (channelType.zeroconf) bits.push(ZEROCONF);
  return encodeFeatureBits(bits);
}

/**
 * Reads a `channel_type`: exactly one of the combinations that BOLT 2 defines.
 * @throws FeatureError `channel_type_unknown` for any other.
 */
export function decodeChannelType(features: FeatureBits): ChannelTypeFeatures {
  const bits = new Set(decodeFeatureBits(features));
  const strange = [...bits].filter((bit) => !defined.has(bit));
  if (strange.length > 0 || !bits.has(STATIC_REMOTEKEY)) {
    throw new FeatureError('channel_type_unknown', 'this channel type is none that BOLT 2 defines', [
      ...bits,
    ]);
  }
  return {
    base: bits.has(ANCHORS) ? 'anchors' : 'static_remotekey',
    scidAlias: bits.has(SCID_ALIAS),
    zeroconf: bits.has(ZEROCONF),
  };
}
