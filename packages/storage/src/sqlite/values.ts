import { StorageError } from '../storageError.js';
import type { SqliteValue } from './database.js';

const MAX_INTEGER = (1n << 63n) - 1n;

/** A bigint of 0 to 2^63 - 1, which is what an INTEGER column holds. @throws StorageError `out_of_range` */
export function integer(name: string, value: bigint): bigint {
  if (typeof value !== 'bigint' || value < 0n || value > MAX_INTEGER) {
    throw new StorageError('out_of_range', `${name} is ${value}: only 0 to 2^63 - 1 can be stored`);
  }
  return value;
}

/** A number that is a whole one and not negative. @throws StorageError `out_of_range` */
export function count(name: string, value: number): number {
  if (!Number.isSafeInteger(value) || value < 0) {
    throw new StorageError('out_of_range', `${name} is ${value}: only whole numbers from 0 can be stored`);
  }
  return value;
}

/** Bytes of exactly this length. @throws StorageError `out_of_range` */
export function bytesOf(name: string, value: Uint8Array, length: number): Uint8Array {
  if (!(value instanceof Uint8Array) || value.length !== length) {
    throw new StorageError('out_of_range', `${name} must be ${length} bytes, not ${value?.length}`);
  }
  return value;
}

// How a row is read: the schema's STRICT tables guarantee the types that these assert.
export const asBytes = (value: SqliteValue | undefined): Uint8Array => value as Uint8Array;
export const asBigint = (value: SqliteValue | undefined): bigint => value as bigint;
export const asNumber = (value: SqliteValue | undefined): number => Number(value as bigint);
export const asText = (value: SqliteValue | undefined): string => value as string;

/** For nullable columns: `undefined` for NULL. */
export function optional<T>(
  value: SqliteValue | undefined,
  read: (value: SqliteValue | undefined) => T,
): T | undefined {
  return value === null || value === undefined ? undefined : read(value);
}
