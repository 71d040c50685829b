import { describe, expect, test } from 'vitest';
import { utf8ToBytes } from '../bytes/index.js';
import { crc32c } from './crc32c.js';
import { sampleUpdate } from './samples.test.support.js';
import { channelUpdateChecksum } from './updateChecksum.js';

describe('CRC32C', () => {
  test('gives the check value', () => {
    expect(crc32c(utf8ToBytes('123456789'))).toBe(0xe3069283);
    expect(crc32c()).toBe(0);
  });

  test('gives the values of RFC 3720 (B.4, which writes their bytes in reverse)', () => {
    const ascending = Uint8Array.from({ length: 32 }, (_, i) => i);
    expect(crc32c(new Uint8Array(32))).toBe(0x8a9136aa);
    expect(crc32c(new Uint8Array(32).fill(0xff))).toBe(0x62a8ab43);
    expect(crc32c(ascending)).toBe(0x46dd794e);
    expect(crc32c(ascending.toReversed())).toBe(0x113fdb5c);
  });

  test('takes parts as if they were one', () => {
    expect(crc32c(utf8ToBytes('1234'), utf8ToBytes(''), utf8ToBytes('56789'))).toBe(0xe3069283);
  });
});

describe('the checksum of a channel_update', () => {
  const update = sampleUpdate();

  test('does not depend on signature and timestamp', () => {
    const later = sampleUpdate({ timestamp: update.timestamp + 1 });
    expect(later.signature).not.toEqual(update.signature);
    expect(channelUpdateChecksum(later)).toBe(channelUpdateChecksum(update));
  });

  test('depends on each other field, unknown ones too', () => {
    const sums = [
      update,
      { ...update, chainHash: new Uint8Array(32) },
      { ...update, shortChannelId: 1n },
      { ...update, messageFlags: 3 },
      { ...update, channelFlags: 1 },
      { ...update, cltvExpiryDelta: 1 },
      { ...update, htlcMinimumMsat: 2n },
      { ...update, feeBaseMsat: 1 },
      { ...update, feeProportionalMillionths: 1 },
      { ...update, htlcMaximumMsat: 2n },
      { ...update, extension: Uint8Array.of(1) },
    ].map(channelUpdateChecksum);
    expect(new Set(sums).size).toBe(sums.length);
  });
});
