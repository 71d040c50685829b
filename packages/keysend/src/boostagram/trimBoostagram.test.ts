import { bytesToUtf8 } from '@rivulet/core/bytes';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import type { Boostagram } from './boostagram.js';
import { anyBoostagram, fullBoostagram } from './boostagrams.test.support.js';
import { graphemes } from './graphemes.js';
import { readBoostagram } from './readBoostagram.js';
import { trimBoostagram } from './trimBoostagram.js';
import { writeBoostagram } from './writeBoostagram.js';

const sizeOf = (boostagram: Boostagram) => writeBoostagram(boostagram).length;

describe('trimming a boostagram', () => {
  test('leaves what fits as it is', () => {
    const roomBytes = sizeOf(fullBoostagram);
    expect(trimBoostagram(fullBoostagram, { roomBytes })).toEqual({
      bytes: writeBoostagram(fullBoostagram),
      boostagram: fullBoostagram,
      trimmed: [],
    });
  });

  test('leaves out what is worth least first, and no more than it has to', () => {
    const { boostagram, trimmed } = trimBoostagram(fullBoostagram, { roomBytes: sizeOf(fullBoostagram) - 1 });
    expect(boostagram).toEqual({ ...fullBoostagram, extra: undefined });
    expect(trimmed).toEqual([{ field: 'extra', kept: 0, lost: 46 }]);
    const next = trimBoostagram(fullBoostagram, { roomBytes: sizeOf(fullBoostagram) - 100 });
    expect(next.trimmed.map(({ field }) => field)).toEqual(['boost_link', 'extra']);
    // Without its message nothing but guids is worth a word of it.
    const small = { ...fullBoostagram, extra: undefined, message: 'x'.repeat(300) } as Boostagram;
    const { boostagram: kept, trimmed: lost } = trimBoostagram(small, { roomBytes: 850 });
    expect(kept.message).toBe(small.message);
    expect(lost.every(({ kept: characters }) => characters === 0)).toBe(true);
  });

  test('brings back small fields where a large one made room', () => {
    const boostagram: Boostagram = {
      action: 'boost',
      ts: 1,
      appVersion: '1',
      boostLink: 'x'.repeat(500),
      message: 'm',
    };
    const trimmed = trimBoostagram(boostagram, { roomBytes: 100 });
    expect(trimmed.trimmed.map(({ field }) => field)).toEqual(['boost_link']);
  });

  test('shortens the message by whole characters, and says by how many', () => {
    const family = '👨‍👩‍👧‍👦';
    const boostagram: Boostagram = {
      action: 'boost',
      guid: 'g',
      valueMsatTotal: 5n,
      message: family.repeat(10),
    };
    const roomBytes = sizeOf(boostagram) - 1;
    const { boostagram: cut, bytes, trimmed } = trimBoostagram(boostagram, { roomBytes });
    expect(cut).toEqual({ ...boostagram, message: `${family.repeat(9)}…` });
    expect(trimmed).toEqual([{ field: 'message', kept: 9, lost: 1 }]);
    expect(bytes.length).toBeLessThanOrEqual(roomBytes);
  });

  test('counts what JSON escapes', () => {
    const boostagram: Boostagram = { action: 'boost', message: '"\n\u0001'.repeat(100) };
    const { bytes } = trimBoostagram(boostagram, { roomBytes: 200 });
    expect(bytes.length).toBeLessThanOrEqual(200);
    expect(bytes.length).toBeGreaterThan(190);
    expect(readBoostagram(bytes).boostagram?.message?.startsWith('"\n\u0001"\n\u0001')).toBe(true);
  });

  test('drops a signature with the words that it is for', () => {
    const boostagram: Boostagram = {
      action: 'boost',
      message: 'x'.repeat(400),
      signature: 's',
      sigFields: 'message',
    };
    expect(trimBoostagram(boostagram, { roomBytes: 200 }).boostagram).not.toHaveProperty('signature');
  });

  test('keeps all of a reply address or nothing', () => {
    for (let roomBytes = 400; roomBytes < sizeOf(fullBoostagram); roomBytes += 7) {
      const { boostagram } = trimBoostagram(fullBoostagram, { roomBytes });
      const there = [boostagram.replyAddress, boostagram.replyCustomKey, boostagram.replyCustomValue];
      expect(there.filter((value) => value !== undefined).length % 3).toBe(0);
    }
  });

  test('shortens titles only where nothing else says which show is meant', () => {
    const boostagram: Boostagram = {
      action: 'boost',
      podcast: 'P'.repeat(100),
      episode: 'E'.repeat(100),
      boostUuid: 'u',
    };
    const { boostagram: cut, trimmed } = trimBoostagram(boostagram, { roomBytes: 120 });
    expect(cut.podcast?.startsWith('P')).toBe(true);
    expect(cut.episode).toMatch(/^E+…$/);
    expect(trimmed.map(({ field }) => field)).toContain('episode');
    expect(() => trimBoostagram(boostagram, { roomBytes: 10 })).toThrow(
      expect.objectContaining({ code: 'records_too_large' }),
    );
    const withGuids = { ...boostagram, guid: 'g', episodeGuid: 'e' };
    const { boostagram: short } = trimBoostagram(withGuids, { roomBytes: 70 });
    expect(short).toEqual({ action: 'boost', guid: 'g', episodeGuid: 'e', boostUuid: 'u' });
  });

  test('always fits or says that it cannot, is valid, and keeps what has to stay', () => {
    const kept = [
      'action',
      'valueMsat',
      'valueMsatTotal',
      'guid',
      'episodeGuid',
      'remoteFeedGuid',
      'remoteItemGuid',
    ] as const;
    fc.assert(
      fc.property(anyBoostagram, fc.integer({ min: 0, max: 1400 }), (boostagram, roomBytes) => {
        let trimmed: ReturnType<typeof trimBoostagram>;
        try {
          trimmed = trimBoostagram(boostagram, { roomBytes });
        } catch (error) {
          expect((error as { code: string }).code).toBe('records_too_large');
          const must = Object.fromEntries(kept.map((field) => [field, boostagram[field]]));
          expect(sizeOf({ ...boostagram })).toBeGreaterThan(roomBytes);
          // With a guid for both, nothing but what never goes can be too much.
          if (boostagram.guid !== undefined && boostagram.episodeGuid !== undefined) {
            expect(sizeOf(must as unknown as Boostagram)).toBeGreaterThan(roomBytes);
          }
          return;
        }
        expect(trimmed.bytes.length).toBeLessThanOrEqual(roomBytes);
        expect(bytesToUtf8(trimmed.bytes)).toBeDefined();
        expect(readBoostagram(trimmed.bytes).boostagram).toEqual(trimmed.boostagram);
        for (const field of kept) expect(trimmed.boostagram[field]).toEqual(boostagram[field]);
        const { message } = trimmed.boostagram;
        if (message !== undefined && message !== boostagram.message) {
          expect(message.endsWith('…')).toBe(true);
          const whole = graphemes(boostagram.message ?? '');
          const left = graphemes(message.slice(0, -1));
          expect(whole.slice(0, left.length)).toEqual(left);
        }
        const changed = Object.keys(boostagram).filter(
          (field) => boostagram[field as 'ts'] !== trimmed.boostagram[field as 'ts'],
        );
        expect(trimmed.trimmed).toHaveLength(changed.length);
      }),
      { numRuns: 300 },
    );
  });
});
