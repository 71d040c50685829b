import { hexToBytes } from '@rivulet/core/bytes';
import { decodeTransaction, type Transaction } from '@rivulet/core/tx';
import { RpcError, rpcCodes } from './rpcError.js';

/** The arguments of one call, by position or by name, checked as they are read. */
export class RpcParameters {
  readonly #values: readonly unknown[];
  readonly #names: readonly string[];

  /** @throws RpcError on a name that the method does not have, or too many arguments */
  constructor(params: unknown, names: readonly string[]) {
    this.#names = names;
    if (params === undefined || params === null) this.#values = [];
    else if (Array.isArray(params)) this.#values = params;
    else if (typeof params === 'object') {
      const named = params as Record<string, unknown>;
      const unknown = Object.keys(named).find((name) => !names.includes(name));
      if (unknown !== undefined) {
        throw new RpcError(rpcCodes.invalidParameter, `Unknown named parameter ${unknown}`);
      }
      this.#values = names.map((name) => (Object.hasOwn(named, name) ? named[name] : undefined));
    } else {
      throw new RpcError(rpcCodes.invalidRequest, 'Params must be an array or object');
    }
    if (this.#values.length > names.length) {
      throw new RpcError(
        rpcCodes.miscellaneous,
        `too many arguments; this method takes (${names.join(', ')})`,
      );
    }
  }

  has(index: number): boolean {
    return this.#values[index] !== undefined && this.#values[index] !== null;
  }

  #wrong(index: number, expected: string): RpcError {
    const code = this.has(index) ? rpcCodes.type : rpcCodes.miscellaneous;
    return new RpcError(code, `the argument ${this.#names[index]} has to be ${expected}`);
  }

  text(index: number): string {
    const value = this.#values[index];
    if (typeof value !== 'string') throw this.#wrong(index, 'a string');
    return value;
  }

  number(index: number, fallback?: number): number {
    const value = this.has(index) ? this.#values[index] : fallback;
    if (typeof value !== 'number' || !Number.isFinite(value)) throw this.#wrong(index, 'a number');
    return value;
  }

  integer(index: number, fallback?: number): number {
    const value = this.number(index, fallback);
    if (!Number.isSafeInteger(value)) throw this.#wrong(index, 'an integer');
    return value;
  }

  /** A verbosity: a number, or a boolean for 0 and 1. */
  verbosity(index: number, fallback: number): number {
    const value = this.#values[index];
    if (typeof value === 'boolean') return value ? 1 : 0;
    return this.integer(index, fallback);
  }

  boolean(index: number, fallback: boolean): boolean {
    const value = this.has(index) ? this.#values[index] : fallback;
    if (typeof value !== 'boolean') throw this.#wrong(index, 'true or false');
    return value;
  }

  list(index: number): readonly unknown[] {
    const value = this.#values[index];
    if (!Array.isArray(value)) throw this.#wrong(index, 'an array');
    return value;
  }

  /** 64 hex digits, in lower case. */
  hash(index: number): string {
    return checkHash(this.text(index), this.#names[index] as string);
  }

  transaction(index: number): Transaction {
    return parseTransaction(this.text(index));
  }
}

export function checkHash(text: unknown, name: string): string {
  if (typeof text !== 'string' || !/^[0-9a-fA-F]{64}$/.test(text)) {
    throw new RpcError(rpcCodes.invalidParameter, `${name} must be of length 64 and hexadecimal`);
  }
  return text.toLowerCase();
}

export function parseTransaction(hex: unknown): Transaction {
  try {
    return decodeTransaction(hexToBytes(String(hex)));
  } catch {
    throw new RpcError(
      rpcCodes.deserialization,
      'TX decode failed. Make sure the tx has at least one input.',
    );
  }
}
