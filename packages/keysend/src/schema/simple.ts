import { type AnySchema, Misfit, matching, type Output, type Schema, schema } from './schema.js';

export const string = (): Schema<string> => matching((input) => typeof input === 'string');
/** Finite. */
export const number = (): Schema<number> => matching(Number.isFinite);
/** Whole, and exact in a double. */
export const int = (): Schema<number> => matching(Number.isSafeInteger);
export const boolean = (): Schema<boolean> => matching((input) => typeof input === 'boolean');
export const unknown = (): Schema<unknown> => matching(() => true);

export const literal = <const T extends string | number>(value: T): Schema<T> =>
  matching((input) => input === value);

export const enumeration = <const T extends string>(values: readonly T[]): Schema<T> =>
  matching((input) => values.includes(input as T));

export const optional = <S extends AnySchema>(inner: S): Schema<Output<S> | undefined> =>
  schema((input) => (input === undefined ? undefined : inner.read(input)));

export const nullable = <S extends AnySchema>(inner: S): Schema<Output<S> | null> =>
  schema((input) => (input === null ? null : inner.read(input)));

export const nullish = <S extends AnySchema>(inner: S): Schema<Output<S> | null | undefined> =>
  optional(nullable(inner));

/** What one schema reads, made into something else. */
export const pipe = <T, R>(inner: Schema<T>, make: (value: T) => R): Schema<R> =>
  schema((input) => {
    const value = inner.read(input);
    return value instanceof Misfit ? value : make(value);
  });

export const transform = <T, R>(make: (value: T) => R): ((value: T) => R) => make;

type Condition<T> = (value: T) => boolean;

export const regex =
  (pattern: RegExp): Condition<string> =>
  (text) =>
    pattern.test(text);
export const gte =
  (least: number): Condition<number> =>
  (value) =>
    value >= least;
export const lte =
  (most: number): Condition<number> =>
  (value) =>
    value <= most;
export const nonnegative = (): Condition<number> => gte(0);
export const refine = <T>(fits: Condition<T>): Condition<T> => fits;
