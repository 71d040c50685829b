import { expect, test } from 'vitest';
import { shownUrl } from './shownUrl.js';

test('a URL is shown without what may be secret in it', () => {
  expect(shownUrl('https://esplora.example/signet/api')).toBe('https://esplora.example/signet/api');
  expect(shownUrl('http://127.0.0.1:3000')).toBe('http://127.0.0.1:3000');
  const secret = 'abcdef0123456789abcdef';
  for (const url of [
    `https://esplora.example/v1/${secret}/api`,
    `https://user:${secret}@esplora.example/`,
    `https://esplora.example/api?key=${secret}`,
    secret,
  ]) {
    expect(shownUrl(url)).not.toContain(secret);
  }
});
