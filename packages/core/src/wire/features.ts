import { RivuletError } from '../bytes/index.js';
import type { Init } from './messages/init.js';

/**
 * Features as a bit vector: big endian, so bit 0 is the lowest bit of the last byte. The form of the wire,
 * of `init.features` and of a `channel_type`.
 */
export type FeatureBits = Uint8Array;

/** Where a feature may be told (BOLT 9, "context"). */
export type FeatureContext = 'init' | 'node' | 'invoice' | 'channelType';

interface FeatureRow {
  /** The even, compulsory bit; the odd, optional one is one higher. */
  readonly bit: number;
  readonly contexts: readonly FeatureContext[];
  /** Every node is taken to have it (BOLT 9, ASSUMED); still told, for peers that look for it. */
  readonly assumed?: true;
  readonly dependencies?: readonly string[];
}

const peers = ['init', 'node'] as const;
const peersAndInvoices = ['init', 'node', 'invoice'] as const;
const peersAndChannels = ['init', 'node', 'channelType'] as const;

/** BOLT 9, and `keysend` of bLIP 3. Names are those of BOLT 9 in camelCase without `option_`. */
const table = {
  dataLossProtect: { bit: 0, contexts: peers, assumed: true },
  upfrontShutdownScript: { bit: 4, contexts: peers },
  gossipQueries: { bit: 6, contexts: peers },
  varOnionOptin: { bit: 8, contexts: peersAndInvoices, assumed: true },
  gossipQueriesEx: { bit: 10, contexts: peers },
  staticRemotekey: { bit: 12, contexts: peersAndChannels, assumed: true },
  paymentSecret: { bit: 14, contexts: peersAndInvoices, assumed: true },
  basicMpp: { bit: 16, contexts: peersAndInvoices, dependencies: ['paymentSecret'] },
  supportLargeChannel: { bit: 18, contexts: peers },
  anchors: { bit: 22, contexts: peersAndChannels },
  routeBlinding: { bit: 24, contexts: peersAndInvoices },
  shutdownAnysegwit: { bit: 26, contexts: peers },
  dualFund: { bit: 28, contexts: peers },
  quiesce: { bit: 34, contexts: peers },
  attributionData: { bit: 36, contexts: peersAndInvoices },
  onionMessages: { bit: 38, contexts: peers },
  provideStorage: { bit: 42, contexts: peers },
  channelType: { bit: 44, contexts: peers, assumed: true },
  scidAlias: { bit: 46, contexts: peersAndChannels },
  paymentMetadata: { bit: 48, contexts: ['invoice'] },
  zeroconf: { bit: 50, contexts: peersAndChannels, dependencies: ['scidAlias'] },
  keysend: { bit: 54, contexts: ['node'], dependencies: ['varOnionOptin'] },
  simpleClose: { bit: 60, contexts: peers, dependencies: ['shutdownAnysegwit'] },
  splice: { bit: 62, contexts: peers },
} as const satisfies Record<string, FeatureRow>;

export type FeatureName = keyof typeof table;

const rows: Readonly<Record<FeatureName, FeatureRow>> = table;

/** The names of all features that are known, by ascending bit. */
export const featureNames = Object.keys(table) as readonly FeatureName[];

const nameOfBit = new Map(featureNames.map((name) => [rows[name].bit, name]));

export type FeatureErrorCode =
  /** The peer requires what we do not know or do not offer. BOLT 1: close the connection. */
  | 'feature_unknown_even'
  /** A feature is set without another that it needs. BOLT 1: close the connection. */
  | 'feature_missing_dependency'
  /** Not a bit that a feature vector of a message can hold. */
  | 'feature_bit_invalid'
  /** A `channel_type` that BOLT 2 does not define. */
  | 'channel_type_unknown';

export class FeatureError extends RivuletError<FeatureErrorCode> {
  /** The bits at fault. */
  readonly bits: readonly number[];

  constructor(code: FeatureErrorCode, message: string, bits: readonly number[]) {
    super(code, message);
    this.bits = bits;
  }
}

/** Whether one bit is set. */
export function hasFeatureBit(features: FeatureBits, bit: number): boolean {
  const byte = features[features.length - 1 - (bit >> 3)];
  return byte !== undefined && ((byte >> (bit & 7)) & 1) === 1;
}

/** Whether a feature is offered: as compulsory or as optional. */
export function hasFeature(features: FeatureBits, name: FeatureName): boolean {
  const { bit } = rows[name];
  return hasFeatureBit(features, bit) || hasFeatureBit(features, bit + 1);
}

/** Whether a feature is required; if both bits of the pair are set, it is (BOLT 9, receiving node). */
export function isCompulsory(features: FeatureBits, name: FeatureName): boolean {
  return hasFeatureBit(features, rows[name].bit);
}

/** The most bits that a vector with a length of two bytes can hold. */
const MAX_BITS = 0xffff * 8;

/**
 * The shortest vector with these bits set.
 * @throws FeatureError `feature_bit_invalid`
 */
export function encodeFeatureBits(bits: Iterable<number>): FeatureBits {
  const all = [...bits];
  const wrong = all.filter((bit) => !Number.isInteger(bit) || bit < 0 || bit >= MAX_BITS);
  if (wrong.length > 0)
    throw new FeatureError('feature_bit_invalid', `no feature bits: ${wrong.join(', ')}`, wrong);
  const highest = all.reduce((most, bit) => Math.max(most, bit), -1);
  const features = new Uint8Array(highest < 0 ? 0 : (highest >> 3) + 1);
  for (const bit of all) (features[features.length - 1 - (bit >> 3)] as number) |= 1 << (bit & 7);
  return features;
}

/** The bits that are set, ascending. */
export function decodeFeatureBits(features: FeatureBits): number[] {
  const bits: number[] = [];
  for (let i = features.length - 1, base = 0; i >= 0; i--, base += 8) {
    const byte = features[i] as number;
    if (byte === 0) continue;
    for (let bit = 0; bit < 8; bit++) if ((byte >> bit) & 1) bits.push(base + bit);
  }
  return bits;
}

/** The features of an `init`: both of its vectors as one (BOLT 1, receiving node: bitwise OR). */
export function initFeatures(init: Pick<Init, 'globalfeatures' | 'features'>): FeatureBits {
  const combined = new Uint8Array(Math.max(init.globalfeatures.length, init.features.length));
  for (const features of [init.globalfeatures, init.features]) {
    const start = combined.length - features.length;
    for (let i = 0; i < features.length; i++) (combined[start + i] as number) |= features[i] as number;
  }
  return combined;
}

/**
 * The vector of our own features.
 * @throws FeatureError `feature_missing_dependency` when one needs another that is not given.
 */
export function createFeatures(parts: {
  readonly compulsory?: readonly FeatureName[];
  readonly optional?: readonly FeatureName[];
}): FeatureBits {
  const compulsory = new Set(parts.compulsory);
  const bits = [...compulsory].map((name) => rows[name].bit);
  // BOLT 9, origin node: MUST NOT set both the optional and mandatory bits.
  for (const name of parts.optional ?? []) if (!compulsory.has(name)) bits.push(rows[name].bit + 1);
  const features = encodeFeatureBits(bits);
  checkDependencies(features);
  return features;
}

/** Our features that may be told in a context; BOLT 9, origin node: none in another. */
export function featuresFor(context: FeatureContext, features: FeatureBits): FeatureBits {
  return encodeFeatureBits(
    decodeFeatureBits(features).filter((bit) => {
      const name = nameOfBit.get(bit - (bit % 2));
      return name !== undefined && rows[name].contexts.includes(context);
    }),
  );
}

/** The even bits of no known feature: in gossip, do not route through who sets one (BOLT 7). */
export function unknownEvenBits(features: FeatureBits): number[] {
  return decodeFeatureBits(features).filter((bit) => bit % 2 === 0 && !nameOfBit.has(bit));
}

/** @throws FeatureError `feature_missing_dependency` */
export function checkDependencies(features: FeatureBits): void {
  for (const name of featureNames) {
    if (!hasFeature(features, name)) continue;
    for (const needed of (rows[name].dependencies ?? []) as readonly FeatureName[]) {
      if (rows[needed].assumed || hasFeature(features, needed)) continue;
      throw new FeatureError(
        'feature_missing_dependency',
        `the feature ${name} needs ${needed}, which is not set`,
        [rows[name].bit, rows[needed].bit],
      );
    }
  }
}

/**
 * What two nodes have in common, as optional bits: what both offer, what we require (a peer that stays
 * has it, BOLT 1), and what every node is assumed to have.
 * @param local what we send in `init`. @param remote the peer's, see initFeatures.
 * @throws FeatureError `feature_unknown_even` when the peer requires what we do not offer,
 * `feature_missing_dependency` when its vector is not well formed: close the connection.
 */
export function negotiateFeatures(local: FeatureBits, remote: FeatureBits): FeatureBits {
  // BOLT 1, init, receiving node: unknown even feature bits close the connection. One that we know of but
  // do not offer is no better.
  const refused = decodeFeatureBits(remote).filter((bit) => {
    if (bit % 2 === 1) return false;
    const name = nameOfBit.get(bit);
    return name === undefined || !(rows[name].assumed || hasFeature(local, name));
  });
  if (refused.length > 0) {
    // A hostile vector has half a million bits: the error holds a few.
    const named = refused.slice(0, 8);
    throw new FeatureError(
      'feature_unknown_even',
      `the peer requires features that we lack: bits ${named.join(', ')}`,
      named,
    );
  }
  // BOLT 1, init, receiving node: all known, transitive dependencies must be set.
  checkDependencies(remote);
  const common = featureNames.filter(
    (name) =>
      rows[name].assumed ||
      isCompulsory(local, name) ||
      (hasFeature(local, name) && hasFeature(remote, name)),
  );
  return encodeFeatureBits(common.map((name) => rows[name].bit + 1));
}
