/**
 * Checks of what others send, in as little code as can be: the names and the meaning of zod's functions, as far as they
 * are needed by what every browser loads. Topics with entries of their own use zod.
 */
export { array, discriminatedUnion, object, record, union } from './compound.js';
export type { AnySchema, Output as output } from './schema.js';
export {
  boolean,
  enumeration as enum,
  gte,
  int,
  literal,
  lte,
  nonnegative,
  nullable,
  nullish,
  number,
  optional,
  pipe,
  refine,
  regex,
  string,
  transform,
  unknown,
} from './simple.js';
