import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { KeysendError } from '../keysendError.js';
import { splitAmount } from '../value/splitAmount.js';
import { fixture, rss } from './feed.test.support.js';
import { findItem, parseFeed } from './parseFeed.js';

const key = (id: number): string => `02${id.toString(16).padStart(2, '0').repeat(32)}`;
const invalid = expect.objectContaining({ code: 'feed_invalid' });

describe('feeds as they are published', () => {
  test('an album: custom keys, fees, CDATA, an item that overrides its channel', () => {
    const feed = parseFeed(fixture('music-album.xml'));
    expect(feed).toMatchObject({
      title: 'Album & Friends',
      guid: 'a94f5cc9-8c58-55fc-91fe-a324087a655b',
      url: 'https://music.example/albums/1.xml',
      medium: 'music',
      value: {
        suggestedMsat: 15_000n,
        recipients: [
          {
            name: 'The band',
            address: key(1),
            customKey: '696969',
            customValue: 'band',
            split: 96n,
            fee: false,
          },
          { name: 'Cover artist', split: 4n, fee: false },
          { name: 'Host', split: 2n, fee: true },
        ],
      },
      problems: [],
    });
    expect(findItem(feed, 'song-1')).toEqual({
      index: 0,
      guid: 'song-1',
      title: 'First <song> & more',
      enclosure: { url: 'https://music.example/1.mp3', mediaType: 'audio/mpeg' },
      durationSeconds: 205,
    });
    const second = findItem(feed, ' song-2 ');
    expect(second.value?.recipients.map(({ split }) => split)).toEqual([190n, 152n, 38n, 2n]);
    expect(second.value?.timeSplits).toHaveLength(1);
  });

  test('one node for everybody: the custom value tells them apart', () => {
    const feed = parseFeed(fixture('hosted-music.xml'));
    expect(feed.problems).toEqual([]);
    const { payments } = splitAmount({ amountMsat: 100_000n, block: feed.items[0]!.value! });
    expect(payments.map(({ amountMsat }) => amountMsat)).toEqual([90_000n, 10_000n]);
  });

  test('time splits, good and broken', () => {
    const feed = parseFeed(fixture('music-show.xml'));
    const block = findItem(feed, 'show-1').value!;
    expect(block.timeSplits).toHaveLength(6);
    expect(block.timeSplits[1]).toEqual({
      startSeconds: 330.5,
      durationSeconds: 53,
      remoteStartSeconds: 174,
      remotePercentage: 100,
      target: {
        type: 'remoteItem',
        remoteItem: {
          feedGuid: '0b7e7a2e-4c7c-53b1-9d0f-0e6f0a3c9b11',
          feedUrl: 'https://host.example/feed.xml',
          medium: 'music',
          title: 'Hosted music',
        },
      },
    });
    expect(block.timeSplits[2]!.target).toMatchObject({
      type: 'recipients',
      recipients: [{ split: 85n }, {}],
    });
    const told = feed.problems.map(({ where }) => where);
    for (const broken of [7, 8, 9])
      expect(told.join()).toContain(`item 1 "Show 1", value, time split ${broken}`);
  });

  test('a live item has a block of its own', () => {
    const feed = parseFeed(fixture('live.xml'));
    expect(feed.items[0]).toMatchObject({
      guid: 'https://live.example/tonight',
      live: { status: 'live', start: '2026-05-01T07:30:00.000-0600' },
      value: { recipients: [{ name: 'Band on stage' }, { name: 'Show' }] },
    });
    expect(feed.items[1]?.live).toBeUndefined();
  });

  test('every way to write a row: read, or left out whole, and told', () => {
    const feed = parseFeed(fixture('quirks.xml'));
    const rows = feed.value!.recipients.map(({ name, type, address, split, fee, customKey, customValue }) => [
      ...[name, type, type === 'node' ? '' : address, split, fee],
      ...(customKey === undefined ? [] : [customKey, customValue]),
    ]);
    expect(rows).toEqual([
      ['Percent', 'node', '', 50n, false],
      ['Decimal', 'lnaddress', 'bob@wallet.example', 50n, false],
      ['Exponent', 'node', '', 100n, false, '818818', 'hive.account'],
      ['Half', 'node', '', 1n, false],
      ['Yes', 'node', '', 1n, true],
      ['True', 'node', '', 1n, true],
      ['Maybe', 'node', '', 3n, false],
      ['Not a fee', 'node', '', 3n, false],
      ['Wrong type', 'lnaddress', 'carol@wallet.example', 5n, false],
      ['Empty custom fields', 'node', '', 5n, false],
      ['Zero', 'node', '', 0n, false],
    ]);
    expect(feed.value!.recipients[0]!.address).toBe(key(31));
    expect(feed.value!.suggestedMsat).toBe(5_000n);
    const told = feed.problems.map(({ where, what }) => `${where}: ${what}`).join('\n');
    for (const name of [
      'Bad key',
      'Key without value',
      'Bad address',
      'Bad split',
      'Negative',
      'Too much',
      'Wallet',
    ]) {
      expect(told).toMatch(new RegExp(`"${name}": .*is left out`));
    }
    for (const name of ['Percent', 'Decimal', 'Exponent', 'Half', 'Yes', 'Maybe', 'Wrong type']) {
      expect(told).toContain(`"${name}": `);
    }
    for (const what of ['another value in it', 'type "hbd"', 'another for keysend', 'outside of a value']) {
      expect(told).toContain(what);
    }
  });

  test('an empty block overrides nothing, one in which nobody can be paid does', () => {
    const feed = parseFeed(fixture('quirks.xml'));
    expect(feed.items[0]!.value).toBeUndefined();
    expect(feed.items[1]!.value?.recipients).toEqual([]);
    expect(feed.items[2]!.value?.recipients).toMatchObject([{ name: 'Alone', split: 1n }]);
  });

  test('an item without a guid goes by its enclosure, and of two the first is found', () => {
    const feed = parseFeed(fixture('quirks.xml'));
    expect(findItem(feed, 'https://quirks.example/1.mp3').index).toBe(0);
    expect(findItem(feed, 'alone').index).toBe(2);
    expect(feed.problems.filter(({ item }) => item === 3)).toHaveLength(1);
    expect(() => findItem(feed, 'nowhere')).toThrow(expect.objectContaining({ code: 'item_unknown' }));
  });

  test('namespaces go by their URI', () => {
    const feed = parseFeed(fixture('undeclared.xml'));
    expect(feed.value?.recipients[0]?.name).toBe('Usual prefix');
    expect(feed.items[0]?.value?.recipients[0]?.name).toBe('Default namespace');
    expect(feed.items[1]?.value).toBeUndefined();
    expect(feed.problems.map(({ what }) => what).join()).toContain('podcast is not declared');
  });
});

describe('encodings', () => {
  const title = (feed: Uint8Array | string) => parseFeed(feed).title;
  const latin1 = (text: string) => Uint8Array.from(text, (char) => char.codePointAt(0)!);

  test('UTF-8 with and without a mark, as bytes and as text', () => {
    const text = rss('<title>Größe ☃</title>');
    const bytes = new TextEncoder().encode(text);
    expect([text, `\ufeff${text}`, bytes, Uint8Array.from([0xef, 0xbb, 0xbf, ...bytes])].map(title)).toEqual(
      Array(4).fill('Größe ☃'),
    );
  });

  test('UTF-16 with a mark, either way round', () => {
    const text = rss('<title>Größe</title>');
    const big = Uint8Array.from(
      [...`\ufeff${text}`].flatMap((c) => [c.charCodeAt(0) >> 8, c.charCodeAt(0) & 255]),
    );
    const little = Uint8Array.from(big, (_, index) => big[index ^ 1]!);
    expect([big, little].map(title)).toEqual(['Größe', 'Größe']);
  });

  test.each(['ISO-8859-1', 'latin1', 'windows-1252'])('declared as %s', (encoding) => {
    const text = `<?xml version="1.0" encoding="${encoding}"?>${rss('<title>Gr\u00f6\u00dfe \u0093</title>')}`;
    expect(title(latin1(text))).toBe('Größe “');
  });

  test('what is declared wrongly is read as well as it can be, and told', () => {
    for (const encoding of ['UTF-16', 'x-nonsense', 'utf-8']) {
      const feed = parseFeed(
        latin1(`<?xml version="1.0" encoding="${encoding}"?>${rss('<title>\u00f6</title>')}`),
      );
      expect(feed.title).toBe('\ufffd');
      expect(feed.problems).toHaveLength(1);
    }
  });
});

describe('hostile feeds', () => {
  test.each([
    ['a billion laughs', `<!DOCTYPE rss [<!ENTITY a "ha"><!ENTITY b "&a;&a;">]>${rss('<title>&b;</title>')}`],
    [
      'an external entity',
      `<!DOCTYPE rss [<!ENTITY x SYSTEM "file:///etc/passwd">]>${rss('<title>&x;</title>')}`,
    ],
    ['an external document type', `<!DOCTYPE rss SYSTEM "https://evil.example/x.dtd">${rss('')}`],
    ['a late document type', rss('<!DOCTYPE rss>')],
    ['nothing', ''],
    ['no XML', 'feed'],
    ['JSON', '{"a":"<b>"}'],
    ['Atom', '<feed xmlns="http://www.w3.org/2005/Atom"/>'],
    ['no channel', '<rss version="2.0"/>'],
    ['an open tag', rss('<title>')],
    ['wrong nesting', rss('<item><title></item></title>')],
    ['an end too many', `${rss('')}</rss>`],
    ['two roots', rss('') + rss('')],
    ['an open comment', rss('<!-- ')],
    ['an open CDATA section', rss('<![CDATA[ ]]')],
    ['an open attribute', rss('<item a="></item>')],
    ['a tag in a tag', rss('<item <b></item>')],
    ['too deep', rss('<item>'.repeat(70) + '</item>'.repeat(70))],
    ['a tag too long', rss(`<item a="${'x'.repeat(70_000)}"/>`)],
    ['a text too long', rss(`<title>${'x'.repeat(1_000_001)}</title>`)],
    ['a prototype', rss('<__proto__/>')],
    ['a constructor', rss('<item constructor="1"/>')],
  ])('%s is refused', (_name, xml) => {
    expect(() => parseFeed(xml)).toThrow(invalid);
  });

  test('an error says where', () => {
    expect(() => parseFeed(`${rss('<item>\n<b></c>\n</item>')}`)).toThrow(
      /end of c where b is open.* line 2, column 4/,
    );
  });

  test('entities that are not XML’s own stay as they are, and what they come to is not read again', () => {
    const feed = parseFeed(rss('<title>&nbsp;&amp;lt;&#60;&#x3C;&#0;&#xD800;&unknown;&</title>'));
    expect(feed.title).toBe('&nbsp;&lt;<<\ufffd\ufffd&unknown;&');
  });

  test('names of the prototype change nothing', () => {
    const feed = parseFeed(rss('<item hasOwnProperty="x"><toString>1</toString><guid>g</guid></item>'));
    expect(feed.items[0]?.guid).toBe('g');
    expect(({} as Record<string, unknown>).guid).toBeUndefined();
  });

  test('a value in a text, a comment or an unknown element is none', () => {
    const value = `<podcast:value type="lightning" method="keysend"><podcast:valueRecipient type="node" address="${key(1)}" split="1"/></podcast:value>`;
    const feed = parseFeed(
      rss(
        `<title>x</title><description><![CDATA[${value}]]></description><!--${value}--><podcast:podroll>${value}</podcast:podroll><?pi ${value}?>`,
      ),
    );
    expect(feed.value).toBeUndefined();
  });

  test('larger than allowed is refused before it is read', () => {
    expect(() => parseFeed(rss(''), { maxBytes: 20 })).toThrow(invalid);
    expect(() => parseFeed(new Uint8Array(20_000_001))).toThrow(invalid);
  });

  test('too many tags, too many elements, too many recipients', () => {
    expect(() => parseFeed(rss('<a/>'.repeat(2_000_001)))).toThrow(/2000000 tags/);
    expect(() => parseFeed(rss('<item/>'.repeat(500_001)))).toThrow(/500000 elements/);
    const row = `<podcast:valueRecipient type="node" address="${key(1)}" split="1"/>`;
    const feed = parseFeed(
      rss(`<podcast:value type="lightning" method="keysend">${row.repeat(10_001)}</podcast:value>`),
    );
    expect(feed.value?.recipients).toEqual([]);
  });

  test('problems are bounded in number and length', () => {
    const feed = parseFeed(rss(`<item><title>${'x'.repeat(10_000)}\u202e</title></item>`.repeat(1_000)));
    expect(feed.problems).toHaveLength(501);
    expect(feed.problems.every(({ where, what }) => where.length + what.length < 500)).toBe(true);
    expect(feed.problems.at(-1)?.what).toContain('500 more');
  });

  test('whatever the bytes, there is a feed or a typed error', () => {
    const good = [...fixture('quirks.xml')];
    const damaged = fc.array(fc.tuple(fc.nat(good.length - 1), fc.integer({ min: 0, max: 255 })), {
      maxLength: 20,
    });
    fc.assert(
      fc.property(damaged, (changes) => {
        const bytes = Uint8Array.from(good);
        for (const [at, byte] of changes) bytes[at] = byte;
        try {
          const { value } = parseFeed(bytes);
          for (const { split } of value?.recipients ?? [])
            expect(split >= 0n && split < 1n << 64n).toBe(true);
        } catch (error) {
          expect(error).toBeInstanceOf(KeysendError);
        }
      }),
      { numRuns: 300 },
    );
  });
});
