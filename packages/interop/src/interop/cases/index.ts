import type { InteropCase } from '../interopCase.js';
import { keysendCases } from './keysends.js';

/** Every case, the simplest first. */
export const allCases: readonly InteropCase[] = [...keysendCases];
