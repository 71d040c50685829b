/** Why a value does not fit, and where: the names and indexes that lead there. */
export class Misfit {
  readonly path: readonly (string | number)[];

  constructor(path: readonly (string | number)[] = []) {
    this.path = path;
  }
}

/** What a value from outside has to look like. Reads it into a new one that has nothing else in it. */
export interface Schema<T> {
  /** The value, or where it does not fit. Never throws. */
  read(input: unknown): T | Misfit;
  /** The same schema with further conditions. */
  check(...conditions: readonly ((value: T) => boolean)[]): Schema<T>;
  safeParse(input: unknown): Parsed<T>;
}

type Parsed<T> =
  | { readonly success: true; readonly data: T }
  | { readonly success: false; readonly path: readonly (string | number)[] };

// biome-ignore lint/suspicious/noExplicitAny: stands for every schema; `unknown` does not, as `check` takes the type
export type AnySchema = Schema<any>;

export type Output<S> = S extends Schema<infer T> ? T : never;

export function schema<T>(read: (input: unknown) => T | Misfit): Schema<T> {
  return {
    read,
    check: (...conditions) =>
      schema((input) => {
        const value = read(input);
        return value instanceof Misfit || conditions.every((fits) => fits(value)) ? value : new Misfit();
      }),
    safeParse(input) {
      const data = read(input);
      return data instanceof Misfit ? { success: false, path: data.path } : { success: true, data };
    },
  };
}

/** A schema of what a condition lets through as it is. */
export function matching<T>(fits: (input: unknown) => boolean): Schema<T> {
  return schema((input) => (fits(input) ? (input as T) : new Misfit()));
}
