import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { foldForMatch } from './foldForMatch.js';
import { hasLink } from './hasLink.js';
import { WordList } from './wordList.js';

describe('folding', () => {
  test.each([
    ['case', 'VIAGRA'],
    ['full width', 'ｖｉａｇｒａ'],
    ['mathematical letters', '𝓿𝓲𝓪𝓰𝓻𝓪'],
    ['circled letters', 'ⓥⓘⓐⓖⓡⓐ'],
    ['accents', 'víágrà'],
    ['stacked marks', 'v̴̢i̶a̷g̸r̵a̶'],
    ['zero width', 'v\u200bi\u200da\u2060g\ufeffr\u00ada'],
    ['direction marks', '\u202eviagra\u202c'],
    ['variation selectors and tags', 'v\ufe0fi\u{e0041}agra'],
    ['Cyrillic', 'viаgrа'],
    ['Greek', 'vιαgrα'],
    ['dotless i', 'vıagra'],
    ['dotted capital I', 'vİagra'],
  ])('%s make no difference', (_name, text) => {
    expect(foldForMatch(text)).toBe('viagra');
  });

  test('folding twice is folding once', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'binary', maxLength: 50 }), (text) => {
        const once = foldForMatch(text);
        expect(foldForMatch(once)).toBe(once);
      }),
    );
  });
});

describe('words', () => {
  const isIn = (words: string[], text: string) => new WordList(words).isIn(foldForMatch(text));

  test('whole words and phrases, wherever they stand', () => {
    expect(isIn(['scam'], 'This is a SCAM!')).toBe(true);
    expect(isIn(['scam'], 'scampi')).toBe(false);
    expect(isIn(['cunt'], 'Scunthorpe')).toBe(false);
    expect(isIn(['free money'], 'get  free\nmoney now')).toBe(true);
    expect(isIn(['scam'], 'a scampi scam')).toBe(true);
  });

  test('with a star, parts of words', () => {
    expect(isIn(['crypto*'], 'cryptocurrency')).toBe(true);
    expect(isIn(['*coin'], 'shitcoin.')).toBe(true);
    expect(isIn(['*coin'], 'coins')).toBe(false);
    expect(isIn(['*coin*'], 'some bitcoins')).toBe(true);
  });

  test('in scripts without spaces wherever they stand', () => {
    expect(isIn(['垃圾'], '这是垃圾信息')).toBe(true);
  });

  test('a word of which nothing is seen is in no text', () => {
    expect(isIn(['\u200b', '\u00ad*'], 'anything')).toBe(false);
  });

  test('no word and no text takes long', () => {
    const words = new WordList(Array.from({ length: 1_000 }, (_, index) => `${'a'.repeat(90)}${index}*`));
    expect(words.isIn('a'.repeat(4_000))).toBe(false);
    expect(hasLink(`${'a'.repeat(100_000)}.${'b'.repeat(100_000)}`)).toBe(false);
    expect(hasLink('a-'.repeat(50_000))).toBe(false);
    expect(hasLink('@a'.repeat(50_000))).toBe(false);
  });
});

describe('links', () => {
  test.each([
    'https://evil.example/x',
    'see HTTP://x',
    'hxxps://evil',
    'www.evil.example',
    'go to evil.com now',
    'evil．com',
    'evil。com',
    'e\u200bvil.c\u200bom',
    'evil.example/path',
    'mail me@evil.example',
    'bitcoin:bc1qxyz',
    'lnbc10u1p3abcdefghijklmnopqrstuvwxyz',
    'npub1abcdefghijklmnopqrstuvwxyz0123456789',
    'xn--evil-8na.ru',
  ])('%s is one', (text) => {
    expect(hasLink(foldForMatch(text))).toBe(true);
  });

  test.each([
    'Great show.It was fun',
    'v1.2 at 3.30, 50/50',
    'Hello... world',
    'me and/or you',
    '10:30 – see you',
    'thanks :)',
    'Alice @ home',
  ])('%s is none', (text) => {
    expect(hasLink(foldForMatch(text))).toBe(false);
  });
});
