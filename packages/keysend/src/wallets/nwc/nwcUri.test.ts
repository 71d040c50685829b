import { bytesToHex } from '@rivulet/core/bytes';
import { describe, expect, test } from 'vitest';
import { formatNwcUri, parseNwcUri } from './nwcUri.js';

// From the text of NIP-47.
const example =
  'nostr+walletconnect://b889ff5b1513b641e2a139f661a661364979c5beee91842f8f0ef42ab558e9d4?relay=wss%3A%2F%2Frelay.damus.io&secret=71a8c14c1407c113601079c4302dab36460f0ccd0ad506f1f2dc73b5100e4f3c';
const [pubkey, secret] = [
  'b889ff5b1513b641e2a139f661a661364979c5beee91842f8f0ef42ab558e9d4',
  '71a8c14c1407c113601079c4302dab36460f0ccd0ad506f1f2dc73b5100e4f3c',
];

describe('connections of Nostr Wallet Connect', () => {
  test('are read and written', () => {
    const connection = parseNwcUri(example);
    expect(connection).toMatchObject({ walletPubkey: pubkey, relays: ['wss://relay.damus.io/'] });
    expect(bytesToHex(connection.secret)).toBe(secret);
    const more = {
      ...connection,
      relays: ['wss://a.example/', 'ws://b.example:81/x?y=z&q'],
      lud16: 'me@a.example',
    };
    expect(parseNwcUri(formatNwcUri(more))).toEqual(more);
  });

  test.each([
    example.replace('://', ':'),
    example.replace('nostr+walletconnect', 'nostrwalletconnect'),
    ` ${example}\n`,
    example.replace(pubkey, pubkey.toUpperCase()),
    `${example}&relay=wss%3A%2F%2Frelay.damus.io`,
  ])('are read in the forms that are seen: %#', (uri) => {
    expect(parseNwcUri(uri)).toMatchObject({ walletPubkey: pubkey, relays: ['wss://relay.damus.io/'] });
  });

  test.each([
    ['', /begin/],
    ['https://a.example', /begin/],
    [example.replace(pubkey, 'b889'), /begin/],
    [example.replace('wss%3A', 'https%3A'), /wss:/],
    [example.replace('relay=', 'other='), /no relay/],
    [example.replace(secret, secret.slice(1)), /secret/],
    [example.replace(secret, '00'.repeat(32)), /no key/],
    [example.replace(secret, 'ff'.repeat(32)), /no key/],
    [example + Array.from({ length: 9 }, (_, i) => `&relay=wss://r${i}.example`).join(''), /more than 8/],
  ])('are refused without a word of what they say: %#', (uri, message) => {
    let error: unknown;
    try {
      parseNwcUri(uri);
    } catch (thrown) {
      error = thrown;
    }
    expect(error).toMatchObject({ code: 'wallet_invalid', message: expect.stringMatching(message) });
    expect(String(error)).not.toContain(secret.slice(1, 20));
  });
});
