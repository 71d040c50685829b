import { describe, expect, test } from 'vitest';
import { bolt11Cases } from './bolt11.js';

describe('BOLT 11 vectors', () => {
  test.each(bolt11Cases())('$name', ({ run }) => run());

  test('none is missing', () => {
    const names = bolt11Cases().map(({ name }) => name);
    expect(names.filter((name) => name.startsWith('BOLT 11 example')).length).toBe(16);
    expect(names.filter((name) => name.startsWith('BOLT 11 invalid')).length).toBe(10);
  });
});
