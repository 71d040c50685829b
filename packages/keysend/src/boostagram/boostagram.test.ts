import { bytesToUtf8, hexToBytes, utf8ToBytes } from '@rivulet/core/bytes';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import type { Boostagram } from './boostagram.js';
import { anyBoostagram, fullBoostagram } from './boostagrams.test.support.js';
import { readBoostagram } from './readBoostagram.js';
import { writeBoostagram } from './writeBoostagram.js';

const read = (json: unknown) =>
  readBoostagram(utf8ToBytes(typeof json === 'string' ? json : JSON.stringify(json)));
const problemsOf = (json: unknown) => read(json).problems.map(({ field, problem }) => `${field}:${problem}`);
const invalid = expect.objectContaining({ code: 'record_invalid' });

describe('reading boostagrams', () => {
  test('reads the sample of bLIP 10, which ends in a newline', () => {
    const bytes = hexToBytes(
      '7b226170705f6e616d65223a202243617374616d61746963222c20226170705f76657273696f6e223a2022382e302e36222c' +
        '202276616c75655f6d7361745f746f74616c223a2034393936302c202275726c223a202268747470733a2f2f66656564732e' +
        '62757a7a7370726f75742e636f6d2f313834343335322e727373222c2022706f6463617374223a20224d657265204d6f7274' +
        '616c73222c2022616374696f6e223a202273747265616d222c2022657069736f6465223a202254686520417274204f66204e' +
        '4654277320262041696d6c6573732057616e646572696e67222c2022657069736f64655f67756964223a202242757a7a7370' +
        '726f75742d39393331303137222c202276616c75655f6d736174223a2039373934302c20227473223a203537342c20226e61' +
        '6d65223a2022506f64636173746572222c202273656e6465725f6e616d65223a20225065746572227d0a',
    );
    expect(readBoostagram(bytes)).toEqual({
      boostagram: {
        action: 'stream',
        appName: 'Castamatic',
        appVersion: '8.0.6',
        valueMsatTotal: 49960n,
        url: 'https://feeds.buzzsprout.com/1844352.rss',
        podcast: 'Mere Mortals',
        episode: "The Art Of NFT's & Aimless Wandering",
        episodeGuid: 'Buzzsprout-9931017',
        valueMsat: 97940n,
        ts: 574,
        name: 'Podcaster',
        senderName: 'Peter',
      },
      problems: [],
    });
  });

  test('takes what apps really send', () => {
    // Podverse
    expect(read({ action: 'streaming', speed: 1 }).boostagram).toEqual({ action: 'stream', speed: '1' });
    // Fountain
    expect(read({ itemID: '14934154309', message: null }).boostagram).toEqual({
      action: 'stream',
      itemId: 14934154309,
    });
    // Breez
    expect(read({ itemID: '12b4df54-af38', sender_name: '' }).boostagram).toEqual({
      action: 'stream',
      episodeGuid: '12b4df54-af38',
      senderName: '',
    });
    expect(read({ itemID: '12b4df54-af38', episode_guid: 'kept' }).boostagram?.episodeGuid).toBe('kept');
    // No action means stream; other spellings
    expect(read({ podcast: 'P' }).boostagram?.action).toBe('stream');
    expect(read({ action: 'Boost' }).boostagram?.action).toBe('boost');
    expect(read({ action: 'boostagram' }).boostagram?.action).toBe('boost');
    expect(read({ action: 'AUTOMATED' }).boostagram?.action).toBe('auto');
    expect(read({ feedId: 5 }).boostagram).toEqual({ action: 'stream', feedId: 5 });
    expect(read({ feedID: 4, feedId: 5 }).boostagram).toEqual({ action: 'stream', feedId: 4 });
  });

  test('takes numbers as text, fractions and exponents, and leaves out what makes no sense', () => {
    expect(read({ value_msat: '95049', ts: 33.9, feedID: ' 7 ', seconds_back: 6e1 }).boostagram).toEqual({
      action: 'stream',
      valueMsat: 95049n,
      ts: 33,
      feedId: 7,
      secondsBack: 60,
    });
    const bad = {
      value_msat: -1,
      ts: 1e300,
      feedID: 'x1',
      value_msat_total: '9007199254740992',
      uuid: {},
      url: [],
    };
    expect(read(bad).boostagram).toEqual({ action: 'stream' });
    expect(problemsOf(bad).sort()).toEqual([
      'feedID:wrong_type',
      'ts:out_of_range',
      'url:wrong_type',
      'uuid:wrong_type',
      'value_msat:out_of_range',
      'value_msat_total:out_of_range',
    ]);
    expect(read('{"value_msat":9007199254740993}').problems[0]?.problem).toBe('out_of_range');
    expect(read('{"ts":1e999}').boostagram).toEqual({ action: 'stream' });
    expect(read({ action: 7, ts: true, message: false }).boostagram).toEqual({ action: 'stream' });
    expect(read({ reply_custom_key: '18446744073709551615' }).boostagram?.replyCustomKey).toBe(
      (1n << 64n) - 1n,
    );
    expect(read({ value_msat: '' }).problems).toEqual([]);
  });

  test('shows what has an action that nobody knows as a boost, and says so', () => {
    expect(read({ action: 'tip' })).toEqual({
      boostagram: { action: 'boost' },
      problems: [{ field: 'action', problem: 'action_unknown' }],
    });
  });

  test('reads the first of a list', () => {
    expect(read([1, { ts: 1 }, { ts: 2 }])).toEqual({
      boostagram: { action: 'stream', ts: 1 },
      problems: [{ field: '', problem: 'several' }],
    });
    for (const none of ['[]', '[1]', '7', 'null', '"x"', 'true']) {
      expect(read(none)).toEqual({ problems: [{ field: '', problem: 'not_object' }] });
    }
  });

  test('survives broken bytes', () => {
    expect(readBoostagram(new Uint8Array()).problems).toEqual([{ field: '', problem: 'json_invalid' }]);
    expect(readBoostagram(Uint8Array.of(0xff, 0xfe)).boostagram).toBeUndefined();
    const broken = utf8ToBytes('{"message":"caf?"}').map((byte) => (byte === 0x3f ? 0xe9 : byte));
    expect(readBoostagram(broken)).toEqual({
      boostagram: { action: 'stream', message: 'caf\ufffd' },
      problems: [{ field: '', problem: 'utf8_invalid' }],
    });
    expect(read('\ufeff{"ts":1}\0\0').boostagram?.ts).toBe(1);
    expect(read('{"message":"\\ud83d"}').boostagram?.message).toBe('\ufffd');
    expect(read(`${'{"a":'.repeat(100)}1${'}'.repeat(100)}`).problems[0]?.problem).toBe('json_too_deep');
    expect(readBoostagram(new Uint8Array(65_537)).problems[0]?.problem).toBe('too_large');
    expect(read({ message: 'x'.repeat(5000) }).boostagram?.message).toHaveLength(4096);
    expect(read({ message: `${'x'.repeat(4095)}🦊` }).boostagram?.message).toBe('x'.repeat(4095));
  });

  test('keeps fields that are not known, but not __proto__', () => {
    const { boostagram } = read('{"ts":1,"theme":{"a":[1]},"__proto__":{"admin":true},"feed_id":3}');
    expect(boostagram).toEqual({ action: 'stream', ts: 1, feedId: 3, extra: { theme: { a: [1] } } });
    expect(({ ...boostagram } as { admin?: boolean }).admin).toBeUndefined();
    const many = Object.fromEntries(Array.from({ length: 100 }, (_, i) => [`x${i}`, i]));
    expect(Object.keys(read(many).boostagram?.extra ?? {})).toHaveLength(64);
    expect(read('{"ts":1,"__proto__":{"message":"m"}}').boostagram?.message).toBeUndefined();
  });

  test('never throws, whatever comes', () => {
    const anything = fc.oneof(
      fc.uint8Array({ maxLength: 200 }),
      fc.json().map(utf8ToBytes),
      fc
        .dictionary(
          fc.constantFrom(
            'action',
            'ts',
            'itemID',
            'message',
            'value_msat',
            'reply_custom_key',
            'feedId',
            'x',
          ),
          fc.jsonValue(),
        )
        .map((object) => utf8ToBytes(JSON.stringify(object))),
    );
    fc.assert(
      fc.property(anything, (bytes) => {
        const { boostagram } = readBoostagram(bytes);
        // What was read can be written, and then reads the same.
        if (boostagram === undefined) return;
        expect(readBoostagram(writeBoostagram(boostagram)).boostagram).toEqual(boostagram);
      }),
    );
  });
});

describe('writing boostagrams', () => {
  test('gives JSON without spaces in one fixed order', () => {
    const shuffled = Object.fromEntries(Object.entries(fullBoostagram).reverse()) as unknown as Boostagram;
    expect(writeBoostagram(shuffled)).toEqual(writeBoostagram(fullBoostagram));
    expect(
      bytesToUtf8(
        writeBoostagram({ ts: 3, action: 'stream', feedId: 7, valueMsat: 12n, extra: { b: 1, a: 2 } }),
      ),
    ).toBe('{"action":"stream","feedID":7,"ts":3,"value_msat":12,"a":2,"b":1}');
    expect(bytesToUtf8(writeBoostagram({ action: 'boost', replyCustomKey: (1n << 64n) - 1n }))).toBe(
      '{"action":"boost","reply_custom_key":"18446744073709551615"}',
    );
  });

  test('is read back as it was, without a problem', () => {
    expect(readBoostagram(writeBoostagram(fullBoostagram))).toEqual({
      boostagram: fullBoostagram,
      problems: [],
    });
    fc.assert(
      fc.property(anyBoostagram, (boostagram) => {
        const { boostagram: back, problems } = readBoostagram(writeBoostagram(boostagram));
        expect(back).toEqual(boostagram);
        expect(problems.filter(({ problem }) => problem !== 'converted')).toEqual([]);
      }),
      { numRuns: 200 },
    );
  });

  test('refuses what would not be read back', () => {
    const bad: readonly object[] = [
      {},
      { action: 'streaming' },
      { action: 'boost', ts: 1.5 },
      { action: 'boost', ts: -1 },
      { action: 'boost', ts: '1' },
      { action: 'boost', feedId: Number.NaN },
      { action: 'boost', valueMsat: -1n },
      { action: 'boost', valueMsat: 5 },
      { action: 'boost', valueMsat: 1n << 53n },
      { action: 'boost', replyCustomKey: 1n << 64n },
      { action: 'boost', message: 7 },
      { action: 'boost', message: '\udc00' },
      { action: 'boost', message: 'x'.repeat(4097) },
      { action: 'boost', extra: { message: 'again' } },
      { action: 'boost', extra: { feedId: 3 } },
      { action: 'boost', extra: { x: undefined } },
      { action: 'boost', extra: { x: 1n } },
      { action: 'boost', extra: { x: new Date(0) } },
      { action: 'boost', extra: JSON.parse('{"__proto__":1}') as object },
    ];
    for (const boostagram of bad) {
      expect(
        () => writeBoostagram(boostagram as Boostagram),
        String(JSON.stringify(Object.keys(boostagram))),
      ).toThrow(invalid);
    }
  });
});
