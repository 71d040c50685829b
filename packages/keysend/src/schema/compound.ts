import { type AnySchema, Misfit, type Output, type Schema, schema } from './schema.js';

type Shape = Readonly<Record<string, AnySchema>>;
type OptionalNames<S extends Shape> = { [K in keyof S]: undefined extends Output<S[K]> ? K : never }[keyof S];
type Flat<T> = { [K in keyof T]: T[K] };
type ObjectOf<S extends Shape> = Flat<
  { [K in Exclude<keyof S, OptionalNames<S>>]: Output<S[K]> } & { [K in OptionalNames<S>]?: Output<S[K]> }
>;

/** A schema that knows what its members are. */
export interface ObjectSchema<S extends Shape> extends Schema<ObjectOf<S>> {
  readonly shape: S;
}

function isRecord(input: unknown): input is Readonly<Record<string, unknown>> {
  return typeof input === 'object' && input !== null && !Array.isArray(input);
}

/** Members that are not named are left out of what is read. */
export function object<const S extends Shape>(shape: S): ObjectSchema<S> {
  const members = Object.entries(shape);
  const read = (input: unknown): ObjectOf<S> | Misfit => {
    if (!isRecord(input)) return new Misfit();
    const result: Record<string, unknown> = {};
    for (const [name, member] of members) {
      const value: unknown = member.read(Object.hasOwn(input, name) ? input[name] : undefined);
      if (value instanceof Misfit) return new Misfit([name, ...value.path]);
      if (value !== undefined) result[name] = value;
    }
    return result as ObjectOf<S>;
  };
  return { ...schema(read), shape };
}

export const array = <S extends AnySchema>(item: S): Schema<Output<S>[]> =>
  schema((input) => {
    if (!Array.isArray(input)) return new Misfit();
    const result: Output<S>[] = [];
    for (const [index, one] of input.entries()) {
      const value = item.read(one);
      if (value instanceof Misfit) return new Misfit([index, ...value.path]);
      result.push(value);
    }
    return result;
  });

/** An object with any names. */
export const record = <S extends AnySchema>(
  name: Schema<string>,
  item: S,
): Schema<Record<string, Output<S>>> =>
  schema((input) => {
    if (!isRecord(input)) return new Misfit();
    const result: [string, Output<S>][] = [];
    for (const [key, one] of Object.entries(input)) {
      const value = name.read(key) instanceof Misfit ? new Misfit() : item.read(one);
      if (value instanceof Misfit) return new Misfit([key, ...value.path]);
      result.push([key, value]);
    }
    return Object.fromEntries(result);
  });

/** The first that fits. */
export const union = <const S extends readonly AnySchema[]>(options: S): Schema<Output<S[number]>> =>
  schema((input) => {
    for (const option of options) {
      const value = option.read(input);
      if (!(value instanceof Misfit)) return value;
    }
    return new Misfit();
  });

/** The one whose member of this name fits. */
export const discriminatedUnion = <const S extends readonly ObjectSchema<Shape>[]>(
  name: string,
  options: S,
): Schema<Output<S[number]>> =>
  schema((input) => {
    if (!isRecord(input)) return new Misfit();
    const option = options.find(({ shape }) => !(shape[name]?.read(input[name]) instanceof Misfit));
    return option === undefined ? new Misfit([name]) : (option.read(input) as Output<S[number]>);
  });
