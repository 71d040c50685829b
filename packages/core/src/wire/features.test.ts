import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { bytesToHex, hexToBytes } from '../bytes/index.js';
import { type ChannelTypeFeatures, decodeChannelType, encodeChannelType } from './channelTypeFeatures.js';
import {
  createFeatures,
  decodeFeatureBits,
  encodeFeatureBits,
  FeatureError,
  featureNames,
  featuresFor,
  hasFeature,
  hasFeatureBit,
  initFeatures,
  isCompulsory,
  negotiateFeatures,
  unknownEvenBits,
} from './features.js';

function errorOf(run: () => unknown): FeatureError {
  try {
    run();
  } catch (error) {
    if (error instanceof FeatureError) return error;
    throw error;
  }
  throw new Error('nothing was thrown');
}

/** What LDK sends in `init`. */
const ldk = encodeFeatureBits([0, 5, 7, 8, 12, 14, 17, 19, 23, 25, 27, 39, 45, 47, 51]);

describe('feature vectors', () => {
  test('bits round-trip in the shortest vector', () => {
    fc.assert(
      fc.property(fc.uniqueArray(fc.nat(2000)), (bits) => {
        const ascending = [...bits].sort((a, b) => a - b);
        const features = encodeFeatureBits(bits);
        expect(decodeFeatureBits(features)).toEqual(ascending);
        expect(features[0]).not.toBe(0);
        for (const bit of bits) expect(hasFeatureBit(features, bit)).toBe(true);
      }),
    );
  });

  test('bit 0 is the lowest bit of the last byte', () => {
    expect(bytesToHex(encodeFeatureBits([0, 9]))).toBe('0201');
    expect(bytesToHex(encodeFeatureBits([]))).toBe('');
    expect(hasFeatureBit(hexToBytes('0201'), 10)).toBe(false);
    expect(hasFeatureBit(hexToBytes('0201'), 5000)).toBe(false);
  });

  test.each([-1, 1.5, 65535 * 8])('%d is no feature bit', (bit) => {
    expect(errorOf(() => encodeFeatureBits([bit])).code).toBe('feature_bit_invalid');
  });

  test('a feature is offered by either bit and compulsory by the even one', () => {
    expect(hasFeature(encodeFeatureBits([23]), 'anchors')).toBe(true);
    expect(isCompulsory(encodeFeatureBits([23]), 'anchors')).toBe(false);
    expect(isCompulsory(encodeFeatureBits([22, 23]), 'anchors')).toBe(true);
    expect(hasFeature(encodeFeatureBits([21, 24]), 'anchors')).toBe(false);
  });

  test('both vectors of an init count as one', () => {
    const init = { globalfeatures: encodeFeatureBits([1, 13]), features: encodeFeatureBits([23, 1]) };
    expect(decodeFeatureBits(initFeatures(init))).toEqual([1, 13, 23]);
  });

  test('our own vector is refused when a dependency is missing, and never has both bits of a pair', () => {
    expect(errorOf(() => createFeatures({ optional: ['simpleClose'] })).code).toBe(
      'feature_missing_dependency',
    );
    expect(
      decodeFeatureBits(createFeatures({ compulsory: ['anchors'], optional: ['anchors', 'quiesce'] })),
    ).toEqual([22, 35]);
  });

  test('keysend is told in node_announcement only, payment metadata in invoices only', () => {
    const ours = createFeatures({ optional: ['keysend', 'anchors', 'paymentMetadata', 'basicMpp'] });
    expect(decodeFeatureBits(featuresFor('init', ours))).toEqual([17, 23]);
    expect(decodeFeatureBits(featuresFor('node', ours))).toEqual([17, 23, 55]);
    expect(decodeFeatureBits(featuresFor('invoice', ours))).toEqual([17, 49]);
  });
});

describe('negotiateFeatures', () => {
  const ours = createFeatures({
    compulsory: ['varOnionOptin', 'staticRemotekey', 'paymentSecret', 'dataLossProtect', 'channelType'],
    optional: ['anchors', 'quiesce', 'scidAlias', 'shutdownAnysegwit', 'simpleClose'],
  });

  test('what both offer is negotiated, what one lacks is not', () => {
    const common = negotiateFeatures(ours, ldk);
    const names = featureNames.filter((name) => hasFeature(common, name));
    expect(names).toEqual([
      'dataLossProtect',
      'varOnionOptin',
      'staticRemotekey',
      'paymentSecret',
      'anchors',
      'shutdownAnysegwit',
      'channelType',
      'scidAlias',
    ]);
  });

  test('what we require is negotiated, because the peer would have left', () => {
    expect(hasFeature(negotiateFeatures(createFeatures({ compulsory: ['anchors'] }), ldk), 'anchors')).toBe(
      true,
    );
  });

  test('an unknown even bit is refused and named, an unknown odd one ignored', () => {
    expect(errorOf(() => negotiateFeatures(ours, encodeFeatureBits([0, 100, 4000])))).toMatchObject({
      code: 'feature_unknown_even',
      bits: [100, 4000],
    });
    expect(() => negotiateFeatures(ours, encodeFeatureBits([101, 4001]))).not.toThrow();
  });

  test('a peer that requires a known feature that we do not offer is refused', () => {
    expect(errorOf(() => negotiateFeatures(ours, encodeFeatureBits([28])))).toMatchObject({
      code: 'feature_unknown_even',
      bits: [28],
    });
  });

  test('a missing dependency is refused, an assumed one is not missed', () => {
    expect(errorOf(() => negotiateFeatures(ours, encodeFeatureBits([51])))).toMatchObject({
      code: 'feature_missing_dependency',
      bits: [50, 46],
    });
    expect(() => negotiateFeatures(ours, encodeFeatureBits([17]))).not.toThrow();
  });

  test('any vector gives a vector or a FeatureError', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 40 }), (remote) => {
        let common: Uint8Array;
        try {
          common = negotiateFeatures(ours, remote);
        } catch (error) {
          expect(error).toBeInstanceOf(FeatureError);
          return;
        }
        expect(unknownEvenBits(remote)).toEqual([]);
        for (const bit of decodeFeatureBits(common)) expect(bit % 2).toBe(1);
      }),
      { numRuns: 1000 },
    );
  });

  test('the longest vector there can be is refused with a short message', () => {
    const error = errorOf(() => negotiateFeatures(ours, new Uint8Array(65535).fill(0xff)));
    expect(error.code).toBe('feature_unknown_even');
    expect(error.message.length).toBeLessThan(200);
  });
});

describe('channel types', () => {
  test('every defined type round-trips', () => {
    for (const base of ['static_remotekey', 'anchors'] as const) {
      for (const scidAlias of [false, true]) {
        for (const zeroconf of [false, true]) {
          const channelType: ChannelTypeFeatures = { base, scidAlias, zeroconf };
          expect(decodeChannelType(encodeChannelType(channelType))).toEqual(channelType);
        }
      }
    }
  });

  test('the bits are those of BOLT 2', () => {
    const plain = { scidAlias: false, zeroconf: false };
    expect(bytesToHex(encodeChannelType({ base: 'static_remotekey', ...plain }))).toBe('1000');
    expect(bytesToHex(encodeChannelType({ base: 'anchors', ...plain }))).toBe('401000');
    expect(
      decodeFeatureBits(encodeChannelType({ base: 'anchors', scidAlias: true, zeroconf: true })),
    ).toEqual([12, 22, 46, 50]);
  });

  test.each([[[]], [[22]], [[13]], [[12, 23]], [[12, 20]], [[12, 22, 24]]])(
    'bits %j are no channel type',
    (bits) => {
      expect(errorOf(() => decodeChannelType(encodeFeatureBits(bits))).code).toBe('channel_type_unknown');
    },
  );
});
