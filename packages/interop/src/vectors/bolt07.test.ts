import { describe, expect, test } from 'vitest';
import { bolt07Cases } from './bolt07.js';

describe('BOLT 7 vectors', () => {
  test.each(bolt07Cases())('$name', ({ run }) => run());

  test('none is missing', () => {
    const count = (what: string) => bolt07Cases().filter(({ name }) => name.endsWith(what)).length;
    expect(count('decode')).toBe(5);
    expect(count('encode')).toBe(5);
    expect(count('zlib is refused')).toBe(5);
    expect(count('the same without zlib, both ways')).toBe(5);
  });
});
