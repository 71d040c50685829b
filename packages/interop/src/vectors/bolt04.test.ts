import { describe, expect, test } from 'vitest';
import { bolt04Cases } from './bolt04.js';

describe('BOLT 4 vectors', () => {
  test.each(bolt04Cases())('$name', ({ run }) => run());

  test('none is missing', () => {
    const count = (name: string) => bolt04Cases().filter((vector) => vector.name.includes(name)).length;
    expect(count('onion-test:')).toBe(1 + 5);
    expect(count('onion-error-test:')).toBe(3);
    expect(count('returning errors:')).toBe(2 + 5 + 1);
    expect(count('attribution of failures:')).toBe(5 + 1);
    expect(count('attribution of fulfills:')).toBe(5 + 1);
  });
});
