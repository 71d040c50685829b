import { describe, test } from 'vitest';
import { bolt03Cases } from './bolt03.js';

describe('BOLT 3 vectors', () => {
  test.each(bolt03Cases())('$name', ({ run }) => run());
});
