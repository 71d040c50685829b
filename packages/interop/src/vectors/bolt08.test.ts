import { describe, expect, test } from 'vitest';
import { bolt08Cases } from './bolt08.js';

describe('BOLT 8 vectors', () => {
  test.each(bolt08Cases())('$name', ({ run }) => run());

  test('none is missing', () => {
    const names = bolt08Cases().map(({ name }) => name);
    expect(names.filter((name) => name.includes('transport-initiator')).length).toBe(5);
    expect(names.filter((name) => name.includes('transport-responder')).length).toBe(10);
    expect(names.filter((name) => name.includes('message')).map((name) => name.split(' ').at(-1))).toEqual([
      '0',
      '1',
      '500',
      '501',
      '1000',
      '1001',
    ]);
  });
});
