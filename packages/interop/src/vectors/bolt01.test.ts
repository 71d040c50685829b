import { describe, expect, test } from 'vitest';
import { bolt01Cases } from './bolt01.js';

describe('BOLT 1 vectors', () => {
  test.each(bolt01Cases())('$name', ({ run }) => run());

  test('none is missing', () => {
    const count = (appendix: string) =>
      bolt01Cases().filter((vector) => vector.name.includes(`appendix ${appendix}:`)).length;
    expect(count('A')).toBe(18 + 8);
    // 57 streams, of which 9 + 4 + 7 are for both namespaces, and two cases for each valid one.
    expect(count('B')).toBe(57 + 20 + 2 * (19 + 7));
    expect(count('C')).toBe(2 + 3);
    expect(count('D')).toBe(23);
  });
});
