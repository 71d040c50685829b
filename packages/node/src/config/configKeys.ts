import { z } from 'zod';
import { settings } from './configSchema.js';

export interface ConfigKey {
  /** As in the file, with dots: `listen.port`. */
  readonly key: string;
  /** `RIVULET_LISTEN_PORT` */
  readonly variable: string;
  /** `--listen-port` */
  readonly flag: string;
  readonly description: string;
  /** A flag of this kind needs no value. */
  readonly isBoolean: boolean;
  /** As text; `undefined` without one. What an empty list means is in the description. */
  readonly defaultText: string | undefined;
}

interface Unwrapped {
  readonly inner: z.ZodType;
  readonly defaultValue: unknown;
}

/** What is inside defaults, optionals and preprocessing. */
function unwrap(schema: z.ZodType): Unwrapped {
  let inner = schema;
  let defaultValue: unknown;
  for (;;) {
    if (inner instanceof z.ZodDefault || inner instanceof z.ZodPrefault) {
      if (inner instanceof z.ZodDefault) defaultValue = inner.def.defaultValue;
      inner = inner.def.innerType as z.ZodType;
    } else if (inner instanceof z.ZodOptional) inner = inner.def.innerType as z.ZodType;
    else if (inner instanceof z.ZodPipe) inner = inner.def.out as z.ZodType;
    else return { inner, defaultValue };
  }
}

function textOf(value: unknown): string | undefined {
  if (value === undefined || (Array.isArray(value) && value.length === 0)) return undefined;
  return String(value);
}

function words(key: string): string[] {
  return key
    .replace(/([A-Z])/g, '.$1')
    .toLowerCase()
    .split('.');
}

function collect(schema: z.ZodObject, prefix: string): ConfigKey[] {
  return Object.entries(schema.shape as Record<string, z.ZodType>).flatMap(([name, field]) => {
    const key = `${prefix}${name}`;
    const { inner, defaultValue } = unwrap(field);
    if (inner instanceof z.ZodObject) return collect(inner, `${key}.`);
    return [
      {
        key,
        variable: `RIVULET_${words(key).join('_').toUpperCase()}`,
        flag: `--${words(key).join('-')}`,
        description: field.description ?? '',
        isBoolean: inner instanceof z.ZodBoolean,
        defaultText: textOf(defaultValue),
      },
    ];
  });
}

/** Every setting with its names, in the order of the schema. */
export const configKeys: readonly ConfigKey[] = collect(settings, '');
